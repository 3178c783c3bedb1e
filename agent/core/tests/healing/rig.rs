//! An agent with a journal in memory, and a platform that does what effects say.
//!
//! **In:** what tests let be seen, said, and broken.
//! **Out:** the journal, what was performed, what people were told.
//! **Not here:** judging it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use evenkeel_core::action::{Action, InstanceSeen, LookAt, Receipt, Seen};
use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::documents::{Documents, Identity, SourceText, load, show};
use evenkeel_core::effect::{Act, Effect, EffectOutcome, Look, SetCapacity};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::{EffectId, IncidentId, RunId, ServiceName, TargetId, TenantName, Term};
use evenkeel_core::notice::{Delivery, Notice};
use evenkeel_core::quality::{Absence, CapacityReading, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::request::{Answer, OverrideAsked, Request, RequestRefusal, Verb};
use evenkeel_core::run::{Phase, Run};
use evenkeel_core::spend::tenants::TenantStanding;
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use jiff::{SignedDuration, Timestamp};

/// Where the agent dies, as the anchors name the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KillPoint {
    /// The records of an intent are lost with everything that follows from them.
    BeforeIntent,
    /// They are durable; the effect has not left.
    AfterIntent,
    /// The effect has happened; its end was not heard.
    AfterEffect,
    /// Its end is durable; what follows from it has not left.
    AfterOutcome,
}

/// Something that waits to be done by the shell.
#[derive(Debug)]
enum Work {
    Look(Look),
    Act(Act),
    Set(SetCapacity),
    Notify(Box<Notice>),
}

/// The made-up platform.
#[derive(Debug, Default)]
pub(crate) struct Platform {
    pub(crate) capacity: BTreeMap<TargetId, Capacity>,
    pub(crate) instances: BTreeMap<TargetId, Vec<InstanceSeen>>,
    pub(crate) revisions: BTreeMap<TargetId, (String, Option<String>)>,
    pub(crate) limits: BTreeMap<TenantName, u32>,
    pub(crate) receipts: BTreeMap<EffectId, Receipt>,
    pub(crate) terraform_sha256: String,
    /// Every effect that happened, in order, with its number.
    pub(crate) performed: Vec<(EffectId, TargetId, Action, bool)>,
    /// The fencing token of each effect that was asked for, in order.
    pub(crate) terms: Vec<Term>,
    /// Effects to which something else happens than being done.
    pub(crate) fails: VecDeque<EffectOutcome>,
    /// Why looks fail, while they do.
    pub(crate) looks_fail: Option<String>,
}

pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) journal: Vec<Record>,
    pub(crate) platform: Platform,
    pub(crate) now: Timestamp,
    pub(crate) notices: Vec<Notice>,
    /// What inputs read: target and input to one number, or to one per instance.
    pub(crate) numbers: BTreeMap<(String, String), Option<f64>>,
    pub(crate) per_instance: BTreeMap<(String, String), Vec<(String, f64)>>,
    /// Who uses which service; nobody knows where a service is not here.
    pub(crate) tenants: BTreeMap<ServiceName, Vec<TenantStanding>>,
    /// Where it dies next, and how many such points are passed before.
    pub(crate) dies_at: Option<(KillPoint, u32)>,
    /// How often it dies there, one after the other.
    pub(crate) n_deaths: u32,
    /// Points at which it died.
    pub(crate) died: Vec<KillPoint>,
    work: VecDeque<Work>,
    documents: Arc<Documents>,
}

/// A Monday morning.
pub(crate) fn start() -> Timestamp {
    "2026-03-02T06:00:00Z".parse().unwrap()
}

pub(crate) fn loaded(yaml: &str) -> Documents {
    let result = load(&[SourceText { file: "test.yaml", text: yaml }]);
    let shown: Vec<String> = result.diagnostics.iter().map(show).collect();
    result.documents.unwrap_or_else(|| panic!("{}", shown.join("\n")))
}

impl Rig {
    pub(crate) fn new(yaml: &str) -> Rig {
        let documents = Arc::new(loaded(yaml));
        let mut platform = Platform { terraform_sha256: "11".repeat(32), ..Platform::default() };
        for target in documents.targets() {
            platform.capacity.insert(target.id.clone(), Capacity(10));
            let instances = (0..10).map(|number| InstanceSeen {
                name: format!("{}/{number}", target.id).parse().unwrap(),
                zone: Some(format!("z{}", number % 3)),
                is_ready: true,
                is_drained: false,
                weight: Some(100),
                started_at: Some(start() - SignedDuration::from_hours(24)),
            });
            platform.instances.insert(target.id.clone(), instances.collect());
            let revisions = ("r2".to_owned(), Some("r1".to_owned()));
            platform.revisions.insert(target.id.clone(), revisions);
        }
        let mut rig = Rig {
            agent: Agent::new(State::default()),
            journal: Vec::new(),
            platform,
            now: start(),
            notices: Vec::new(),
            numbers: BTreeMap::new(),
            per_instance: BTreeMap::new(),
            tenants: BTreeMap::new(),
            dies_at: None,
            n_deaths: 1,
            died: Vec::new(),
            work: VecDeque::new(),
            documents,
        };
        rig.begin_term();
        rig
    }

    fn begin_term(&mut self) {
        self.handle(Input::Started { version: "test".to_owned() });
        let documents = Arc::clone(&self.documents);
        self.handle(Input::DocumentsLoaded(documents));
    }

    pub(crate) fn reload(&mut self, yaml: &str) {
        self.documents = Arc::new(loaded(yaml));
        let documents = Arc::clone(&self.documents);
        self.handle(Input::DocumentsLoaded(documents));
        self.settle();
    }

    /// The process is killed and started again on the same journal.
    pub(crate) fn restart(&mut self) {
        self.work.clear();
        self.agent = Agent::new(State::replay(&self.journal));
        self.begin_term();
    }

    /// Whether it dies here.
    fn is_death(&mut self, point: KillPoint) -> bool {
        match &mut self.dies_at {
            Some((at, 0)) if *at == point => {
                self.n_deaths = self.n_deaths.saturating_sub(1);
                if self.n_deaths == 0 {
                    self.dies_at = None;
                }
                self.died.push(point);
                true
            }
            Some((at, before)) if *at == point => {
                *before -= 1;
                false
            }
            Some(_) | None => false,
        }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Option<Committed> {
        let outcome = self.agent.handle(self.now, input);
        let is_intent =
            outcome.records().iter().any(|it| matches!(it.kind(), "step_sent" | "effect_planned"));
        let is_end = outcome.records().iter().any(|it| it.kind() == "effect_finished");
        if is_intent && self.is_death(KillPoint::BeforeIntent) {
            drop(outcome);
            self.restart();
            return None;
        }
        let journal = &mut self.journal;
        let Ok(committed) = outcome.commit(|records| {
            journal.extend_from_slice(records);
            Ok::<(), Infallible>(())
        });
        if (is_intent && self.is_death(KillPoint::AfterIntent))
            || (is_end && self.is_death(KillPoint::AfterOutcome))
        {
            self.restart();
            return None;
        }
        for effect in &committed.effects {
            self.work.push_back(match effect {
                Effect::SetCapacity(it) => Work::Set(it.clone()),
                Effect::Act(it) => Work::Act(it.clone()),
                Effect::Look(it) => Work::Look(it.clone()),
                Effect::Notify(it) => Work::Notify(it.clone()),
            });
        }
        let withdrawn: BTreeSet<EffectId> = committed.withdrawn.iter().copied().collect();
        let mut dropped = Vec::new();
        self.work.retain(|it| {
            let id = match it {
                Work::Act(it) => it.id(),
                Work::Set(it) => it.id(),
                Work::Look(_) | Work::Notify(_) => return true,
            };
            let is_kept = !withdrawn.contains(&id);
            if !is_kept {
                dropped.push(id);
            }
            is_kept
        });
        for id in dropped {
            let (outcome, detail) = (EffectOutcome::Rejected, "withdrawn".to_owned());
            self.handle(Input::EffectFinished { id, outcome, detail });
        }
        Some(committed)
    }

    /// Everything that waits is done, until nothing does.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000 {
            let Some(work) = self.work.pop_front() else { return };
            self.carry_out(work);
        }
        panic!("it never settles: {:?}", self.journal.last());
    }

    /// Notices and looks are served, effects are not.
    pub(crate) fn settle_looks(&mut self) {
        let mut kept = VecDeque::new();
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Look(_) | Work::Notify(_) => self.carry_out(work),
                Work::Act(_) | Work::Set(_) => kept.push_back(work),
            }
        }
        self.work = kept;
    }

    fn carry_out(&mut self, work: Work) {
        match work {
            Work::Notify(notice) => {
                let id = notice.id;
                self.notices.push(*notice);
                self.handle(Input::NoticeFinished { id, delivery: Delivery::Delivered });
            }
            Work::Look(look) => {
                let result = self.platform.look(&look);
                self.handle(Input::Looked { run: look.run, step: look.step, result });
            }
            Work::Act(act) => {
                self.platform.terms.push(act.term());
                let (id, target) = (act.id(), act.target().clone());
                self.perform(id, &target, act.action(), act.is_undo());
            }
            Work::Set(set) => {
                self.platform.terms.push(set.term());
                let (id, target) = (set.id(), set.target().clone());
                let action = Action::SetCapacity { desired: set.desired() };
                self.perform(id, &target, &action, false);
            }
        }
    }

    fn perform(&mut self, id: EffectId, target: &TargetId, action: &Action, is_undo: bool) {
        let outcome = self.platform.fails.pop_front().unwrap_or(EffectOutcome::Done);
        if outcome != EffectOutcome::Rejected {
            self.platform.perform(self.now, id, target, action, is_undo);
        }
        if self.is_death(KillPoint::AfterEffect) {
            return self.restart();
        }
        self.handle(Input::EffectFinished { id, outcome, detail: "test".to_owned() });
    }

    /// One evaluation period: everything is looked at, and what follows is done.
    pub(crate) fn tick(&mut self, seconds: i64) -> &mut Rig {
        self.now += SignedDuration::from_secs(seconds);
        self.look_at_all();
        self.settle();
        self
    }

    /// Evaluation periods of 15 s, for so long.
    pub(crate) fn run_for(&mut self, seconds: i64) -> &mut Rig {
        for _ in 0..seconds / 15 {
            self.tick(15);
        }
        self
    }

    pub(crate) fn look_at_all(&mut self) {
        let documents = Arc::clone(&self.documents);
        self.agent.set_tenants(self.tenants.clone());
        let observations = documents.targets().map(|it| TargetObservation {
            target: it.id.clone(),
            capacity: Ok(CapacityReading {
                current: self.platform.capacity[&it.id],
                ready: Some(self.platform.capacity[&it.id]),
                read_at: self.now,
            }),
            signals: Vec::new(),
        });
        let observations = observations.collect();
        self.handle(Input::Observed(observations));
        let mut seen = Vec::new();
        for playbook in documents.playbooks() {
            for target in documents.targets_of_playbook(playbook) {
                let inputs = playbook.inputs.iter().map(|input| InputReading {
                    input: input.name.clone(),
                    reading: self.reading(target.id.as_str(), input.name.as_str()),
                });
                seen.push(PlaybookObservation {
                    playbook: playbook.id.clone(),
                    target: target.id.clone(),
                    inputs: inputs.collect(),
                });
            }
        }
        self.handle(Input::PlaybooksObserved(seen));
        self.handle(Input::TimePassed);
    }

    fn reading(&self, target: &str, input: &str) -> Result<InputValue, Absence> {
        let key = (target.to_owned(), input.to_owned());
        if let Some(values) = self.per_instance.get(&key) {
            let values = values.iter().map(|(name, it)| (name.parse().unwrap(), *it)).collect();
            return Ok(InputValue::Instances { values, sampled_at: self.now });
        }
        match self.numbers.get(&key) {
            Some(Some(value)) => Ok(InputValue::One { value: *value, sampled_at: self.now }),
            Some(None) | None => Err(Absence::NoSeries),
        }
    }

    pub(crate) fn sees(&mut self, target: &str, input: &str, value: f64) -> &mut Rig {
        self.numbers.insert((target.to_owned(), input.to_owned()), Some(value));
        self
    }

    pub(crate) fn sees_nothing(&mut self, target: &str, input: &str) -> &mut Rig {
        self.numbers.insert((target.to_owned(), input.to_owned()), None);
        self
    }

    /// Ten instances, of which some read `odd`, the others `usual`.
    pub(crate) fn sees_instances(
        &mut self,
        target: &str,
        input: &str,
        usual: f64,
        odd: &[(u32, f64)],
    ) -> &mut Rig {
        let value = |number: u32| odd.iter().find(|(it, _)| *it == number).map_or(usual, |it| it.1);
        let values = (0..10).map(|it| (format!("{target}/{it}"), value(it))).collect();
        self.per_instance.insert((target.to_owned(), input.to_owned()), values);
        self
    }

    pub(crate) fn ask_as(&mut self, who: &str, verb: Verb) -> Result<Answer, RequestRefusal> {
        let identity =
            Identity::UnixUser { uid: 1_000, name: who.to_owned(), is_daemon_owner: false };
        let committed = self.handle(Input::Requested(Request { identity, verb }));
        let answer = committed.expect("nothing kills it here").answer;
        answer.expect("a request gets an answer")
    }

    /// Sets an override as ana.
    pub(crate) fn set(
        &mut self,
        kind: OverrideAsked,
        scope: &str,
        seconds: i64,
    ) -> Result<Answer, RequestRefusal> {
        self.ask_as(
            "ana",
            Verb::SetOverride {
                kind,
                scope: scope.parse().unwrap(),
                duration: Some(SignedDuration::from_secs(seconds)),
                reason: "because".to_owned(),
            },
        )
    }

    pub(crate) fn approve_as(&mut self, who: &str, run: RunId) -> Result<Answer, RequestRefusal> {
        let plan_hash = self.run(run).plan.as_ref().unwrap().hash();
        let verb = Verb::Approve { run, plan_hash, is_break_glass: false, reason: String::new() };
        self.ask_as(who, verb)
    }

    pub(crate) fn run(&self, id: RunId) -> &Run {
        self.agent.state().healing().run(id).expect("there is such a run")
    }

    /// The timeline of an incident, with minutes and seconds since the start.
    pub(crate) fn timeline(&self, id: u64) -> String {
        let incident = self.agent.state().healing().incident(IncidentId(id)).expect("it is there");
        let line = |it: &evenkeel_core::incident::TimelineEntry| {
            let since = it.at.duration_since(start()).as_secs();
            format!("{:02}:{:02} {}\n", since / 60, since % 60, it.what)
        };
        incident.timeline.iter().map(line).collect()
    }

    /// Each notice in a line.
    pub(crate) fn told(&self) -> String {
        self.notices
            .iter()
            .map(|it| format!("{} {}: {}\n", it.severity, it.topic.name(), it.title))
            .collect()
    }

    /// What was performed, in words.
    pub(crate) fn performed(&self) -> String {
        let line = |(_, target, action, is_undo): &(EffectId, TargetId, Action, bool)| {
            format!("{}{action} on {target}\n", if *is_undo { "undo: " } else { "" })
        };
        self.platform.performed.iter().map(line).collect()
    }

    /// Records of a kind, in the journal.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.journal.iter().filter(|it| it.kind() == kind).count()
    }

    /// The phase of a run in one word, with its ending.
    pub(crate) fn phase(&self, id: RunId) -> String {
        match &self.run(id).phase {
            Phase::Ended { ending, .. } => format!("ended: {}", ending.name()),
            other => other.name().to_owned(),
        }
    }
}

impl Platform {
    fn look(&self, look: &Look) -> Result<Seen, String> {
        if let Some(why) = &self.looks_fail {
            return Err(why.clone());
        }
        Ok(match &look.at {
            LookAt::Capacity => Seen::Capacity { current: self.capacity[&look.target] },
            LookAt::Instances | LookAt::Traffic => {
                Seen::Instances { instances: self.instances[&look.target].clone() }
            }
            LookAt::Revision => {
                let (current, previous) = self.revisions[&look.target].clone();
                Seen::Revision { current, previous }
            }
            LookAt::TenantLimits => Seen::TenantLimits { limits: self.limits.clone() },
            LookAt::Command { .. } | LookAt::Webhook { .. } => {
                Seen::Receipts { receipts: self.receipts.clone() }
            }
            LookAt::Terraform { .. } => Seen::TerraformPlan {
                plan_sha256: self.terraform_sha256.clone(),
                changes: vec!["update terraform_data.size: 2 -> 3".to_owned()],
                receipts: self.receipts.clone(),
            },
        })
    }

    fn perform(
        &mut self,
        now: Timestamp,
        id: EffectId,
        target: &TargetId,
        action: &Action,
        is_undo: bool,
    ) {
        self.performed.push((id, target.clone(), action.clone(), is_undo));
        let instances = self.instances.get_mut(target).expect("a known target");
        match action {
            Action::SetCapacity { desired } => {
                self.capacity.insert(target.clone(), *desired);
            }
            Action::RestartInstances { instances: named } => {
                for it in instances.iter_mut().filter(|it| named.contains(&it.name)) {
                    it.started_at = Some(now);
                }
            }
            Action::ReplaceInstances { instances: named } => {
                instances.retain(|it| !named.contains(&it.name));
                for it in named {
                    instances.push(InstanceSeen {
                        name: format!("{it}-new").parse().unwrap(),
                        zone: Some("z0".to_owned()),
                        is_ready: true,
                        is_drained: false,
                        weight: Some(100),
                        started_at: Some(now),
                    });
                }
            }
            Action::SetWeights { weights } => {
                for it in instances.iter_mut() {
                    it.weight = weights.get(&it.name).copied().or(it.weight);
                }
            }
            Action::SetDrained { instances: named, is_drained } => {
                for it in instances.iter_mut().filter(|it| named.contains(&it.name)) {
                    it.is_drained = *is_drained;
                }
            }
            Action::SetRevision { revision } => {
                let before = self.revisions[target].0.clone();
                self.revisions.insert(target.clone(), (revision.clone(), Some(before)));
            }
            Action::LimitTenants { limits } => {
                for (tenant, limit) in limits {
                    match limit {
                        Some(limit) => self.limits.insert(tenant.clone(), *limit),
                        None => self.limits.remove(tenant),
                    };
                }
            }
            Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => {
                self.receipts.insert(id, Receipt::Done);
            }
        }
    }
}
