//! An agent with a journal in memory and a world that does what effects say.
//!
//! **In:** what a test lets happen, and when.
//! **Out:** what the agent made of it.
//! **Not here:** judging it ([`crate::audit`] and the tests).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::documents::Documents;
use evenkeel_core::effect::{Effect, EffectOutcome, SetCapacity};
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::ids::{EffectId, TargetId};
use evenkeel_core::outlook::Outlook;
use evenkeel_core::overrides::Scope;
use evenkeel_core::quality::{CapacityReading, Reading, SignalReading, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::request::{Answer, OverrideAsked, Request, RequestRefusal, Verb};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use jiff::Timestamp;

use crate::region::{at, name, owner, seconds};

/// The rig. `journal` is everything that was ever committed.
pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) journal: Vec<Record>,
    /// Effects handed out and not yet ended, oldest first.
    pub(crate) running: Vec<SetCapacity>,
    /// What there is at the provider.
    pub(crate) provider: BTreeMap<TargetId, Capacity>,
    pub(crate) now: Timestamp,
}

impl Rig {
    /// A daemon's first start, with every target at `capacity`.
    pub(crate) fn new(documents: &Arc<Documents>, capacity: u32) -> Rig {
        let provider = documents.targets().map(|it| (it.id.clone(), Capacity(capacity))).collect();
        let mut rig = Rig {
            agent: Agent::new(State::default()),
            journal: Vec::new(),
            running: Vec::new(),
            provider,
            now: at(0),
        };
        rig.handle(Input::Started { version: "test".to_owned() });
        rig.load(documents);
        rig
    }

    /// Hands one input to the agent and commits what follows.
    pub(crate) fn handle(&mut self, input: Input) -> Committed {
        let outcome = self.agent.handle(self.now, input);
        let journal = &mut self.journal;
        let Ok(committed) = outcome.commit(|records| {
            journal.extend_from_slice(records);
            Ok::<(), Infallible>(())
        });
        let effects = committed.effects.iter().cloned();
        self.running.extend(effects.filter_map(Effect::into_set_capacity));
        committed
    }

    pub(crate) fn load(&mut self, documents: &Arc<Documents>) {
        self.handle(Input::DocumentsLoaded(Arc::clone(documents)));
    }

    /// The process is killed and started again on the same journal. Effects
    /// that were running go on without it; nobody will report on them.
    pub(crate) fn restart(&mut self) {
        let documents = Arc::clone(self.agent.documents());
        self.agent = Agent::new(State::replay(&self.journal));
        self.running.clear();
        self.handle(Input::Started { version: "test".to_owned() });
        self.load(&documents);
    }

    pub(crate) fn wait(&mut self, n: i64) -> &mut Rig {
        self.now += seconds(n);
        self
    }

    /// Observes one target with `load` at `value`, and says how it ended.
    pub(crate) fn look(&mut self, target: &str, value: f64) -> Arc<Explanation> {
        let observation = self.observation(target, &[("load", value)]);
        self.observe(observation)
    }

    /// A good observation of `target`, read right now.
    pub(crate) fn observation(&self, target: &str, signals: &[(&str, f64)]) -> TargetObservation {
        let target: TargetId = name(target);
        let current = self.provider.get(&target).copied().unwrap_or_default();
        let reading = |&(signal, value): &(&str, f64)| SignalReading {
            signal: name(signal),
            reading: Reading::Value { value, sampled_at: self.now, doubt: None },
            usual_low: None,
            outlook: None,
        };
        TargetObservation {
            target,
            capacity: Ok(CapacityReading { current, ready: None, read_at: self.now }),
            signals: signals.iter().map(reading).collect(),
        }
    }

    /// Observes one target with `load` at `value` and an outlook; all units that
    /// the provider has are ready.
    pub(crate) fn look_with(
        &mut self,
        target: &str,
        value: f64,
        outlook: Outlook,
    ) -> Arc<Explanation> {
        let mut observation = self.observation(target, &[("load", value)]);
        observation.signals[0].outlook = Some(Arc::new(outlook));
        self.observe(observation)
    }

    pub(crate) fn observe(&mut self, observation: TargetObservation) -> Arc<Explanation> {
        let committed = self.handle(Input::Observed(vec![observation]));
        let [explanation] = committed.explanations.as_slice() else {
            panic!("one observation, one explanation: {:?}", committed.explanations);
        };
        Arc::clone(explanation)
    }

    /// Every running effect ends like this; done ones happen in the world.
    pub(crate) fn end_all(&mut self, outcome: EffectOutcome) {
        for effect in std::mem::take(&mut self.running) {
            if outcome == EffectOutcome::Done {
                self.provider.insert(effect.target().clone(), effect.desired());
            }
            self.report(effect.id(), outcome);
        }
    }

    pub(crate) fn report(&mut self, id: EffectId, outcome: EffectOutcome) {
        let detail = "test".to_owned();
        self.handle(Input::EffectFinished { id, outcome, detail });
    }

    /// Somebody else sets a capacity.
    pub(crate) fn change_outside(&mut self, target: &str, capacity: u32) {
        self.provider.insert(name(target), Capacity(capacity));
    }

    /// The daemon's owner asks.
    pub(crate) fn ask(&mut self, verb: Verb) -> Result<Answer, RequestRefusal> {
        let request = Request { identity: owner(), verb };
        self.handle(Input::Requested(request)).answer.expect("a request gets an answer")
    }

    /// Sets an override for an hour.
    pub(crate) fn set(
        &mut self,
        kind: OverrideAsked,
        scope: &str,
    ) -> Result<Answer, RequestRefusal> {
        self.ask(set_verb(kind, scope, 3_600))
    }
}

/// The verb that sets an override for so many seconds.
pub(crate) fn set_verb(kind: OverrideAsked, scope: &str, duration: i64) -> Verb {
    let scope: Scope = scope.parse().expect("scopes in tests are valid");
    Verb::SetOverride {
        kind,
        scope,
        duration: Some(seconds(duration)),
        reason: "because".to_owned(),
    }
}

/// A pin at `capacity`.
pub(crate) fn pin(capacity: u32) -> OverrideAsked {
    OverrideAsked::Pin { capacity: Some(Capacity(capacity)) }
}

/// How an evaluation ended, in a few words for tables: `effect 4->6`.
pub(crate) fn brief(explanation: &Explanation) -> String {
    let current = explanation.current.map_or_else(|| "?".to_owned(), |it| it.to_string());
    match &explanation.conclusion {
        Conclusion::Planned { desired, .. } => format!("effect {current}->{desired}"),
        Conclusion::NoChange => {
            let reason = explanation.reason.as_ref().map_or_else(String::new, reason_word);
            format!("kept at {current} ({reason})")
        }
        Conclusion::Refused { refusal, would } if Some(*would) == explanation.current => {
            format!("kept at {current} ({})", refusal.name())
        }
        Conclusion::Refused { refusal, would } => {
            format!("refused {current}->{would} ({})", refusal.name())
        }
        Conclusion::CapacityUnknown { .. } => "kept (capacity unknown)".to_owned(),
        Conclusion::ReadBack { effect, happened, .. } => {
            format!("read back {effect}: {}", if *happened { "happened" } else { "not happened" })
        }
        Conclusion::ChangedOutside { expected, is_held } => {
            let then = if *is_held { "held" } else { "adopted" };
            format!("changed outside {expected}->{current}, {then}")
        }
    }
}

fn reason_word(reason: &evenkeel_core::decide::Reason) -> String {
    let shown = serde_json::to_value(reason).expect("reasons are JSON");
    shown["reason"].as_str().expect("a reason is tagged").to_owned()
}
