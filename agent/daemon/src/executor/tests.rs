//! The executor, with a platform that does whatever it is asked, or never answers.
//!
//! **In:** effects and looks.
//! **Out:** exactly one report for each, and what reached the platform.
//! **Not here:** real platforms (`evenkeel-providers`).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use evenkeel_core::action::Action;
use evenkeel_core::agent::Agent;
use evenkeel_core::documents::{
    ActuatorRef, Actuators as ActuatorRefs, Documents, ProviderRef, SourceText, load,
};
use evenkeel_core::ids::{AllowedName, InstanceName, RunId, SignalName, Term};
use evenkeel_core::quality::{CapacityReading, Reading, SignalReading, TargetObservation};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use evenkeel_providers::{
    Actuator, ActuatorSettings, AllowedCommand, AllowedSettings, LookRequest, Provider,
    ProviderSettings, ReadError,
};
use tokio::sync::{Notify, Semaphore};

use super::*;

const DOCUMENTS: &str = "
apiVersion: evenkeel/v1
kind: Target
metadata: { name: a, labels: { tier: web } }
spec: { region: r, provider: { simulated: { service: a } }, capacity: { min: 1, max: 9 } }
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: web }
spec:
  selector: { match_labels: { tier: web } }
  autonomy: auto
  target_label: service
  signals: [ { name: load, query: load, value_per_unit: 10 } ]
";

fn documents() -> Documents {
    load(&[SourceText { file: "test.yaml", text: DOCUMENTS }]).documents.unwrap()
}

/// The target of the documents, with an actuator for its instances.
fn target() -> Target {
    let mut target = documents().targets().next().unwrap().clone();
    let instances = Some(ActuatorRef::Simulated { service: "a".to_owned() });
    target.actuators = ActuatorRefs { instances, ..ActuatorRefs::default() };
    target
}

/// How a platform behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answering,
    Hanging,
    Refusing,
    Panicking,
}

/// Does whatever it is asked, and counts.
struct Platform {
    mood: Mood,
    n_done: AtomicUsize,
    n_looks: AtomicUsize,
    /// Told when it has begun something.
    began: Notify,
    /// It goes on with what it began when it gets one of these; only when `Hanging`.
    go_on: Semaphore,
}

impl Platform {
    fn new(mood: Mood) -> Arc<Platform> {
        Arc::new(Platform {
            mood,
            n_done: AtomicUsize::new(0),
            n_looks: AtomicUsize::new(0),
            began: Notify::new(),
            go_on: Semaphore::new(0),
        })
    }

    async fn behave(&self) {
        self.began.notify_one();
        match self.mood {
            Mood::Answering | Mood::Refusing => (),
            Mood::Hanging => self.go_on.acquire().await.unwrap().forget(),
            Mood::Panicking => panic!("planted"),
        }
    }
}

#[async_trait]
impl Provider for Platform {
    fn platform(&self) -> &'static str {
        "simulated"
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        self.n_looks.fetch_add(1, Ordering::SeqCst);
        self.behave().await;
        let (current, read_at) = (Capacity(2), Timestamp::UNIX_EPOCH);
        references.iter().map(|_| Ok(CapacityReading { current, ready: None, read_at })).collect()
    }

    async fn set_capacity(&self, _: &SetCapacityRequest) -> EffectReport {
        self.behave().await;
        self.n_done.fetch_add(1, Ordering::SeqCst);
        EffectReport::new(EffectOutcome::Done, "done")
    }
}

#[async_trait]
impl Actuator for Platform {
    fn platform(&self) -> &'static str {
        "simulated"
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        self.n_looks.fetch_add(1, Ordering::SeqCst);
        self.behave().await;
        if self.mood == Mood::Refusing {
            let (what, reason) = (request.target.to_string(), "not today".to_owned());
            return Err(ReadError::Refused { what, reason });
        }
        Ok(Seen::Instances { instances: Vec::new() })
    }

    async fn act(&self, _: &ActuatorRef, _: &ActRequest) -> EffectReport {
        self.behave().await;
        self.n_done.fetch_add(1, Ordering::SeqCst);
        EffectReport::new(EffectOutcome::Done, "done")
    }
}

/// An executor in front of one platform.
struct Rig {
    platform: Arc<Platform>,
    executor: Executor,
    reports: mpsc::Receiver<Input>,
    glass: PathBuf,
    _folder: tempfile::TempDir,
}

const START: &str = "2026-03-02T06:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn rig(mood: Mood, age: SignedDuration) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let glass = folder.path().join("freeze");
    let platform = Platform::new(mood);
    let providers = Providers::of(vec![platform.clone()], &ProviderSettings::default()).unwrap();
    let actuators = Actuators::of(
        vec![platform.clone()],
        &ActuatorSettings::default(),
        Arc::new(|| Timestamp::UNIX_EPOCH),
    )
    .unwrap();
    let (sender, reports) = mpsc::channel(100);
    let executor = Executor::new(
        Arc::new(providers),
        Arc::new(actuators),
        Limits::default(),
        glass.clone(),
        Clock::starting_at(start() + age),
        sender,
    );
    Rig { platform, executor, reports, glass, _folder: folder }
}

impl Rig {
    fn act(&self, id: u64, granted_at: Timestamp, target: Option<Target>) {
        let instances = BTreeSet::from([InstanceName::new("i-1").unwrap()]);
        let request = ActRequest {
            effect_id: EffectId(id),
            term: Term(1),
            run: RunId(1),
            target: TargetId::new("a").unwrap(),
            is_undo: false,
            action: Action::RestartInstances { instances },
        };
        self.executor.act_on(&Handle::current(), granted_at, request, target);
    }

    fn look(&self, at: LookAt, target: Option<&Target>) {
        let look = Look { run: RunId(7), step: 3, target: TargetId::new("a").unwrap(), at };
        self.executor.look(&Handle::current(), look, target);
    }

    /// The next report in words.
    async fn report(&mut self) -> String {
        let report = self.reports.recv().await.unwrap();
        if let Input::EffectFinished { id, outcome, detail } = report {
            return format!("{id} {outcome}: {detail}");
        }
        let Input::Looked { run, step, result } = report else { panic!("{report:?}") };
        match result {
            Ok(seen) => format!("{run}/{step} saw {seen:?}"),
            Err(error) => format!("{run}/{step}: {error}"),
        }
    }

    fn n_done(&self) -> usize {
        self.platform.n_done.load(Ordering::SeqCst)
    }
}

/// A change of capacity that the core permitted at `now`, the only way there is to get one.
fn set_capacity_at(now: Timestamp) -> SetCapacity {
    let mut agent = Agent::new(State::default());
    let mut effects = Vec::new();
    let signals = vec![SignalReading {
        signal: SignalName::new("load").unwrap(),
        reading: Reading::Value { value: 50.0, sampled_at: now, doubt: None },
        usual_low: None,
        outlook: None,
    }];
    let capacity = Ok(CapacityReading { current: Capacity(2), ready: None, read_at: now });
    let observation = TargetObservation { target: "a".parse().unwrap(), capacity, signals };
    for input in [
        Input::Started { version: "test".to_owned() },
        Input::DocumentsLoaded(Arc::new(documents())),
        Input::Observed(vec![observation]),
    ] {
        let Ok(committed) = agent.handle(now, input).commit(|_| Ok::<(), Infallible>(()));
        effects.extend(committed.effects);
    }
    effects.remove(0).into_set_capacity().unwrap()
}

/// What becomes of a change of capacity and of a step whose permits are of `age`.
async fn check(age: SignedDuration, is_glass_broken: bool, expected: &str, n_done: usize) {
    let mut rig = rig(Mood::Answering, age);
    if is_glass_broken {
        std::fs::write(&rig.glass, "").unwrap();
    }
    let set = set_capacity_at(start());
    rig.executor.set_capacity(&Handle::current(), &set, Some(&target()));
    assert_eq!(rig.report().await, format!("{} {expected}", set.id()));
    assert_eq!(rig.n_done(), n_done);
    rig.act(99, start(), Some(target()));
    assert_eq!(rig.report().await, format!("ef-99 {expected}"));
    assert_eq!(rig.n_done(), 2 * n_done);
}

#[tokio::test]
async fn a_fresh_permit_is_carried_out_and_an_old_one_is_not() {
    check(SignedDuration::ZERO, false, "done: done", 1).await;
    check(SignedDuration::from_secs(59), false, "done: done", 1).await;
    let old = "rejected: its permit is 90 s old, at most 60 s; the next evaluation decides anew";
    check(SignedDuration::from_secs(90), false, old, 0).await;
}

#[tokio::test]
async fn the_last_look_at_the_break_glass_file_is_before_the_platform() {
    check(SignedDuration::ZERO, true, "rejected: the break-glass file is in force", 0).await;
}

#[tokio::test]
async fn a_target_that_is_in_no_document_any_more_is_left_alone() {
    let mut rig = rig(Mood::Answering, SignedDuration::ZERO);
    let why = "target `a` is in no document any more; nothing says where it is";
    let set = set_capacity_at(start());
    rig.executor.set_capacity(&Handle::current(), &set, None);
    assert_eq!(rig.report().await, format!("{} rejected: {why}", set.id()));
    rig.act(99, start(), None);
    assert_eq!(rig.report().await, format!("ef-99 rejected: {why}"));
    rig.look(LookAt::Instances, None);
    assert_eq!(rig.report().await, format!("run-7/3: {why}"));
    assert_eq!((rig.n_done(), rig.platform.n_looks.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn what_waits_is_withdrawn_and_what_has_started_is_not() {
    let mut rig = rig(Mood::Hanging, SignedDuration::ZERO);
    let n_turns = u64::try_from(STEPS_MAX).unwrap();
    for id in 0..=n_turns {
        rig.act(id, start(), Some(target()));
    }
    // Until all turns are taken.
    while rig.executor.lock().values().filter(|it| **it == Stage::Started).count() < STEPS_MAX {
        rig.platform.began.notified().await;
    }
    assert_eq!(rig.executor.n_unfinished(), STEPS_MAX + 1);
    let waiting = EffectId(n_turns);
    let asked = [EffectId(0), waiting, EffectId(1_000)];
    let answers = rig.executor.withdraw(&asked);
    assert_eq!(answers, [(EffectId(0), false), (waiting, true), (EffectId(1_000), false)]);
    rig.platform.go_on.add_permits(1);
    // One ends, and gives its turn to the one that was withdrawn.
    let mut reports = [rig.report().await, rig.report().await];
    reports.sort();
    assert!(reports.iter().any(|it| it.ends_with(" done: done")), "{reports:?}");
    let withdrawn = "ef-16 rejected: withdrawn before it started: a person said otherwise";
    assert!(reports.iter().any(|it| it == withdrawn), "{reports:?}");
    assert_eq!(rig.n_done(), 1);
}

#[tokio::test]
async fn scaling_does_not_wait_for_steps_that_take_long() {
    let mut rig = rig(Mood::Hanging, SignedDuration::ZERO);
    for id in 100..100 + 2 * u64::try_from(STEPS_MAX).unwrap() {
        rig.act(id, start(), Some(target()));
    }
    while rig.executor.lock().values().filter(|it| **it == Stage::Started).count() < STEPS_MAX {
        rig.platform.began.notified().await;
    }
    let set = set_capacity_at(start());
    rig.executor.set_capacity(&Handle::current(), &set, Some(&target()));
    while rig.executor.lock().get(&set.id()) != Some(&Stage::Started) {
        rig.platform.began.notified().await;
    }
    rig.platform.go_on.add_permits(1_000);
    while rig.report().await != format!("{} done: done", set.id()) {}
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_in_time_is_unknown_and_a_look_an_error() {
    let mut rig = rig(Mood::Hanging, SignedDuration::ZERO);
    rig.act(99, start(), Some(target()));
    // The platform's own limits come first; those of the executor hold for all the rest.
    assert_eq!(rig.report().await, "ef-99 unknown: `simulated` has not answered within 16 s");
    rig.look(LookAt::Instances, Some(&target()));
    assert_eq!(
        rig.report().await,
        "run-7/3: simulated was not read within 10 s; the platform is slow or there are too many at once"
    );
}

#[tokio::test]
async fn a_platform_that_fails_within_the_daemon_is_unknown_too() {
    let mut rig = rig(Mood::Panicking, SignedDuration::ZERO);
    rig.act(99, start(), Some(target()));
    assert_eq!(rig.report().await, "ef-99 unknown: it failed within the daemon; this is a bug");
    rig.look(LookAt::Instances, Some(&target()));
    assert_eq!(rig.report().await, "run-7/3: the look failed within the daemon; this is a bug");
    assert_eq!(rig.executor.n_unfinished(), 0);
}

#[tokio::test]
async fn a_look_is_always_answered_also_with_the_glass_broken() {
    let mut rig = rig(Mood::Answering, SignedDuration::from_hours(9));
    std::fs::write(&rig.glass, "").unwrap();
    rig.look(LookAt::Instances, Some(&target()));
    assert_eq!(rig.report().await, "run-7/3 saw Instances { instances: [] }");
    rig.look(LookAt::Capacity, Some(&target()));
    assert_eq!(rig.report().await, "run-7/3 saw Capacity { current: Capacity(2) }");
    // Looks change nothing: a stop does not wait for them.
    assert_eq!(rig.executor.n_unfinished(), 0);
}

#[tokio::test]
async fn a_look_that_fails_says_why() {
    let mut rig = rig(Mood::Refusing, SignedDuration::ZERO);
    rig.look(LookAt::Instances, Some(&target()));
    assert_eq!(rig.report().await, "run-7/3: cannot read a: not today");
}

#[tokio::test]
async fn only_so_many_looks_are_under_way_at_once() {
    let mut rig = rig(Mood::Hanging, SignedDuration::ZERO);
    for _ in 0..3 * LOOKS_MAX {
        rig.look(LookAt::Instances, Some(&target()));
    }
    while rig.platform.n_looks.load(Ordering::SeqCst) < LOOKS_MAX {
        rig.platform.began.notified().await;
    }
    assert_eq!(rig.executor.turns.looks.available_permits(), 0);
    assert_eq!(rig.platform.n_looks.load(Ordering::SeqCst), LOOKS_MAX);
    rig.platform.go_on.add_permits(3 * LOOKS_MAX);
    for _ in 0..3 * LOOKS_MAX {
        rig.report().await;
    }
    assert_eq!(rig.platform.n_looks.load(Ordering::SeqCst), 3 * LOOKS_MAX);
}

#[test]
fn a_command_has_the_time_that_it_is_allowed_and_some() {
    let rotate = AllowedName::new("rotate").unwrap();
    let command = AllowedCommand {
        program: PathBuf::from("/bin/rotate"),
        arguments: Vec::new(),
        timeout: SignedDuration::from_mins(2),
        environment: BTreeMap::new(),
        folder: None,
    };
    let commands = BTreeMap::from([(rotate.clone(), command)]);
    let limits = Limits::of(&AllowedSettings { commands, ..AllowedSettings::default() });
    let run = |command| Action::RunCommand { command, arguments: Vec::new() };
    assert_eq!(limits.of_action(&run(rotate.clone())), Duration::from_secs(150));
    assert_eq!(limits.of_action(&run(AllowedName::new("x").unwrap())), CALL_TIMEOUT);
    // Looking at one only reads what is written of it.
    assert_eq!(limits.of_look(&LookAt::Command { command: rotate }), CALL_TIMEOUT);
}
