//! An agent with one service that has an SLO, a price and a budget.
//!
//! **In:** what each half minute brings: requests, failures, load.
//! **Out:** what the agent wrote down, said and did.
//! **Not here:** judging it (the tests).

use std::convert::Infallible;
use std::sync::Arc;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::documents::{Documents, SourceText, load};
use evenkeel_core::effect::{Effect, EffectOutcome};
use evenkeel_core::explain::Explanation;
use evenkeel_core::heal::view::PlaybookObservation;
use evenkeel_core::quality::{CapacityReading, Reading, SignalReading, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::slo::{Counts, SLOT, SliReading, SlotReading};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use jiff::Timestamp;

pub(crate) const BASE: &str = "
apiVersion: evenkeel/v1
kind: Target
metadata: { name: web, labels: { service: shop } }
spec:
  region: here
  provider: { simulated: { service: web } }
  capacity: { min: 2, max: 100 }
  price_usd_per_hour: 1
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: follow }
spec:
  selector: { match_labels: { service: shop } }
  autonomy: auto
  target_label: service
  signals:
    - { name: load, query: load, value_per_unit: 10 }
";

pub(crate) const SLO: &str = "
apiVersion: openslo/v1
kind: SLO
metadata: { name: answers }
spec:
  service: shop
  indicator:
    metadata: { name: answers }
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: Prometheus, spec: { query: bad } } }
        total: { metricSource: { type: Prometheus, spec: { query: total } } }
  timeWindow: [ { duration: 30d, isRolling: true } ]
  budgetingMethod: Occurrences
  objectives: [ { displayName: ok, target: 0.999 } ]
";

/// The documents of several texts.
pub(crate) fn documents(texts: &[&str]) -> Arc<Documents> {
    let text = texts.join("\n---\n");
    let loaded = load(&[SourceText { file: "test.yaml", text: &text }]);
    Arc::new(loaded.documents.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics)))
}

pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) journal: Vec<Record>,
    pub(crate) now: Timestamp,
    pub(crate) units: u32,
    pub(crate) said: Vec<String>,
}

impl Rig {
    pub(crate) fn new(texts: &[&str]) -> Rig {
        let mut rig = Rig {
            agent: Agent::new(State::default()),
            journal: Vec::new(),
            now: "2026-03-02T00:00:00Z".parse().unwrap(),
            units: 4,
            said: Vec::new(),
        };
        rig.handle(Input::Started { version: "test".to_owned() });
        rig.handle(Input::DocumentsLoaded(documents(texts)));
        rig
    }

    pub(crate) fn handle(&mut self, input: Input) -> Committed {
        let outcome = self.agent.handle(self.now, input);
        let journal = &mut self.journal;
        let Ok(committed) = outcome.commit(|records| {
            journal.extend_from_slice(records);
            Ok::<(), Infallible>(())
        });
        for effect in &committed.effects {
            if let Effect::Notify(notice) = effect {
                self.said.push(format!("{} {}", notice.severity, notice.title));
            }
        }
        committed
    }

    /// The next half minute: so many requests, so many of them bad; then spend is metered.
    pub(crate) fn slot(&mut self, total: f64, bad: f64) {
        self.slot_of(Some(Counts { bad, total }));
    }

    /// The next half minute, perhaps not observed.
    pub(crate) fn slot_of(&mut self, counts: Option<Counts>) {
        self.now = self.now.checked_add(SLOT).unwrap();
        let slots = vec![SlotReading { at: self.now, counts, carried: None }];
        let slo = "answers".parse().unwrap();
        self.handle(Input::SlisRead(vec![SliReading { slo, objective: 0, step: SLOT, slots }]));
        self.handle(Input::SpendRead(Box::default()));
    }

    /// Half minutes of good traffic.
    pub(crate) fn quiet(&mut self, n: usize) {
        for _ in 0..n {
            self.look(40.0);
            self.slot(300.0, 0.0);
        }
    }

    /// Observes the target at this load; what is planned happens at once.
    pub(crate) fn look(&mut self, load: f64) -> Arc<Explanation> {
        let target = "web".parse().unwrap();
        let capacity = CapacityReading {
            current: Capacity(self.units),
            ready: Some(Capacity(self.units)),
            read_at: self.now,
        };
        let reading = Reading::Value { value: load, sampled_at: self.now, doubt: None };
        let signal = SignalReading {
            signal: "load".parse().unwrap(),
            reading,
            usual_low: None,
            outlook: None,
        };
        let observation =
            TargetObservation { target, capacity: Ok(capacity), signals: vec![signal] };
        let committed = self.handle(Input::Observed(vec![observation]));
        for effect in committed.effects.into_iter().filter_map(Effect::into_set_capacity) {
            self.units = effect.desired().0;
            let (id, outcome) = (effect.id(), EffectOutcome::Done);
            self.handle(Input::EffectFinished { id, outcome, detail: String::new() });
        }
        Arc::clone(&committed.explanations[0])
    }

    /// Lets a playbook look; its only inputs are about budgets.
    pub(crate) fn look_at_playbook(&mut self, playbook: &str) {
        self.handle(Input::PlaybooksObserved(vec![PlaybookObservation {
            playbook: playbook.parse().unwrap(),
            target: "web".parse().unwrap(),
            inputs: Vec::new(),
        }]));
    }

    /// Kinds of records about budgets and SLOs, in order, with what they say.
    pub(crate) fn facts(&self) -> String {
        let mut facts = String::new();
        for record in &self.journal {
            let line = match record {
                Record::Budget { budget, threshold, change, .. } => {
                    format!("{} {budget}/{threshold}", change.kind())
                }
                Record::SloAlert { slo, policy, change, .. } => {
                    format!("{} {slo} {policy}", change.kind())
                }
                Record::Reconciled { source, differences, .. } => {
                    format!("reconciled {source}: {}", differences.join("; "))
                }
                _ => continue,
            };
            facts.push_str(&line);
            facts.push('\n');
        }
        facts
    }

    /// The process is killed and started again on the same journal.
    pub(crate) fn restart(&mut self) {
        let documents = Arc::clone(self.agent.documents());
        self.agent = Agent::new(State::replay(&self.journal));
        self.handle(Input::Started { version: "test".to_owned() });
        self.handle(Input::DocumentsLoaded(documents));
    }
}
