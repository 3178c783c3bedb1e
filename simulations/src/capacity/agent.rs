//! The agent as it is shipped, driven by virtual time, with memory as the store.
//!
//! **In:** what a scrape shows and a provider says.
//! **Out:** the capacity that the agent's effects set.
//! **Not here:** any decision; that is [`evenkeel_core::agent::Agent`]'s.

use std::convert::Infallible;
use std::sync::Arc;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::documents::{
    Access, Actuators, Autonomy, Behaviour, BlastRadius, Documents, Foresight, Guardrail, LeadTime,
    OutsideChange, ProviderRef, Rule, ScalingPolicy, Selector, Shortfall, Signal, Step, Target,
};
use evenkeel_core::effect::{Effect, EffectOutcome};
use evenkeel_core::ids::{GuardrailId, Labels, NameError, PolicyId, Region, SignalName, TargetId};
use evenkeel_core::outlook::Outlook;
use evenkeel_core::quality::{Absence, CapacityReading, Reading, SignalReading, TargetObservation};
use evenkeel_core::state::State;
use evenkeel_core::units::{Bounds, Capacity};
use evenkeel_forecast::History;
use evenkeel_forecast::live::{Forecaster, Settings};
use jiff::{SignedDuration, Timestamp};

use super::{Controller, Look, Setup, Trace};
use crate::workload::Workload;

/// The name of the one target, and of its service.
const TARGET: &str = "service";
/// The name of its one signal.
const SIGNAL: &str = "load";

/// The agent with one target and one policy, made from the scenario.
pub struct Evenkeel {
    agent: Agent,
    /// What is to be handled before the first look: a daemon's start.
    starting: Option<Arc<Documents>>,
    target: TargetId,
    signal: SignalName,
    /// `None` where the policy has no `forecast`, or settings that no forecaster takes.
    forecaster: Option<Forecaster>,
    /// What it says now.
    outlook: Option<Arc<Outlook>>,
    /// The newest sample it has seen.
    sampled_at: Option<i64>,
    history: History,
    usual_low: Option<f64>,
    scratch: Vec<f32>,
}

impl Evenkeel {
    /// The agent for `workload`, with the documents of [`documents_for`].
    ///
    /// # Errors
    ///
    /// None for the names that are used here.
    pub fn new(setup: &Setup, workload: &Workload, unit: f64) -> Result<Evenkeel, NameError> {
        Evenkeel::with_documents(Arc::new(documents_for(setup, workload, unit)?))
    }

    /// The agent with other documents; they need a target `service` with a signal `load`.
    ///
    /// # Errors
    ///
    /// None for the names that are used here.
    pub fn with_documents(documents: Arc<Documents>) -> Result<Evenkeel, NameError> {
        let target = TargetId::new(TARGET)?;
        let foresight = documents.policy_of(&target).and_then(|it| it.forecast.as_ref());
        let lead_time = match documents.target(&target).map(|it| it.lead_time) {
            Some(LeadTime::Given(given)) => given,
            Some(LeadTime::Measure) | None => Settings::default().lead_time,
        };
        let forecaster = foresight.and_then(|it| {
            let settings = Settings {
                seasons: it.seasons.clone(),
                time_zone: it.time_zone.clone(),
                lead_time,
                ..Settings::default()
            };
            Forecaster::new(settings).ok()
        });
        Ok(Evenkeel {
            agent: Agent::new(State::default()),
            starting: Some(documents),
            target,
            signal: SignalName::new(SIGNAL)?,
            forecaster,
            outlook: None,
            sampled_at: None,
            history: History::fortnight(),
            usual_low: None,
            scratch: Vec::new(),
        })
    }

    /// What the daemon does with a reading before the agent sees it: say what is usual,
    /// remember it, learn from it unless the agent doubted the one before, refit when that
    /// is due, look ahead.
    fn take_in(&mut self, now: Timestamp, look: &Look) {
        self.usual_low = self.history.usual_low(&mut self.scratch);
        if let Some(sample) = look.sample {
            self.history.record(now, instant(sample.at), sample.value);
        }
        let findings = self.agent.sight().target(&self.target).map_or(&[][..], |it| it.findings());
        let is_doubted = findings.iter().any(|it| it.doubt.is_some());
        let Some(forecaster) = &mut self.forecaster else { return };
        match look.sample {
            Some(sample) if !is_doubted => {
                // A sample that is read twice is one sample.
                if self.sampled_at.replace(sample.at) != Some(sample.at) {
                    forecaster.update(instant(sample.at), sample.value);
                }
            }
            Some(_) | None => forecaster.miss(now),
        }
        if forecaster.refit_due(now) {
            forecaster.refit();
        }
        self.outlook = forecaster.outlook(now).map(Arc::new);
    }

    /// Hands one input to the agent; its records are durable as soon as they are hashed.
    fn handle(&mut self, now: Timestamp, input: Input, trace: &mut Trace) -> Committed {
        let outcome = self.agent.handle(now, input);
        let Ok(committed) = outcome.commit(|records| {
            for record in records {
                match serde_json::to_string(record) {
                    Ok(json) => trace.line(format_args!("{json}")),
                    Err(error) => trace.line(format_args!("{record:?}: {error}")),
                }
            }
            Ok::<(), Infallible>(())
        });
        committed
    }

    fn observation(&self, now: Timestamp, look: &Look) -> TargetObservation {
        let reading = match look.sample {
            Some(sample) => {
                Reading::Value { value: sample.value, sampled_at: instant(sample.at), doubt: None }
            }
            None => Reading::Missing(Absence::NoSeries),
        };
        TargetObservation {
            target: self.target.clone(),
            capacity: Ok(CapacityReading {
                current: Capacity(look.current),
                ready: Some(Capacity(look.ready)),
                read_at: now,
            }),
            signals: vec![SignalReading {
                signal: self.signal.clone(),
                reading,
                usual_low: self.usual_low,
                outlook: self.outlook.clone(),
            }],
        }
    }
}

impl Controller for Evenkeel {
    fn label(&self) -> String {
        "evenkeel".to_owned()
    }

    fn evaluate(&mut self, look: &Look, trace: &mut Trace) -> u32 {
        let now = instant(look.now);
        if let Some(documents) = self.starting.take() {
            self.handle(now, Input::Started { version: "simulated".to_owned() }, trace);
            self.handle(now, Input::DocumentsLoaded(documents), trace);
        }
        self.take_in(now, look);
        let observation = self.observation(now, look);
        let committed = self.handle(now, Input::Observed(vec![observation]), trace);
        let mut desired = look.current;
        for effect in committed.effects.into_iter().filter_map(Effect::into_set_capacity) {
            desired = effect.desired().0;
            let (id, outcome) = (effect.id(), EffectOutcome::Done);
            self.handle(now, Input::EffectFinished { id, outcome, detail: String::new() }, trace);
        }
        desired
    }

    fn expected(&self) -> Option<(i64, [f64; 3])> {
        let outlook = self.outlook.as_deref()?;
        let ahead = self.forecaster.as_ref()?.settings().lead_time;
        let quantiles = [0.1, 0.5, 0.9].map(|level| outlook.quantile(ahead, level));
        Some((ahead.as_secs(), quantiles))
    }
}

/// Unix seconds as an instant; a workload has none that is out of range.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// One target with the scenario's bounds, price and lead time, and one policy that follows
/// `load`, of which one unit carries `unit`. What the scenario does not say is as a document
/// without that field has it.
///
/// # Errors
///
/// None for the names that are used here.
pub fn documents_for(
    setup: &Setup,
    workload: &Workload,
    unit: f64,
) -> Result<Documents, NameError> {
    let target = Target {
        id: TargetId::new(TARGET)?,
        labels: Labels::default(),
        region: Region::new("simulated")?,
        provider: ProviderRef::Simulated { service: TARGET.to_owned() },
        bounds: Bounds { min: Capacity(setup.units_min), max: Capacity(setup.units_max) },
        price_usd_per_hour: Some(setup.price_usd_per_hour),
        lead_time: LeadTime::Given(SignedDuration::from_secs(setup.boot)),
        actuators: Actuators::default(),
        depends_on: Vec::new(),
    };
    let policy = ScalingPolicy {
        id: PolicyId::new("follow-the-load")?,
        selector: Selector { targets: [TargetId::new(TARGET)?].into(), ..Selector::default() },
        autonomy: Autonomy::Auto,
        target_label: "service".to_owned(),
        signals: vec![Signal {
            name: SignalName::new(SIGNAL)?,
            query: "sum by (service) (load)".to_owned(),
            max_age: SignedDuration::from_secs(setup.stale_after(workload).clamp(60, 3_600)),
            rule: Rule::ValuePerUnit { value_per_unit: unit },
        }],
        headroom_ratio: 0.2,
        tolerance_ratio: 0.1,
        scale_up: Behaviour {
            stabilization: SignedDuration::ZERO,
            cooldown: SignedDuration::ZERO,
            step: Step { units: 4, ratio: 1.0 },
        },
        scale_down: Behaviour {
            stabilization: SignedDuration::from_mins(5),
            cooldown: SignedDuration::ZERO,
            step: Step { units: setup.units_max, ratio: 1.0 },
        },
        forecast: Some(Foresight {
            shortfall: Shortfall::TimeRatio(setup.under_time_ratio_max),
            seasons: None,
            time_zone: "UTC".to_owned(),
            calendar: None,
        }),
        outside_change: OutsideChange::Hold(SignedDuration::from_hours(4)),
    };
    // Removal is as free here as it is for the other controllers.
    let free = Guardrail {
        id: GuardrailId::new("free")?,
        selector: Selector::everything(),
        protected: false,
        freeze_windows: Vec::new(),
        blast_radius: Some(BlastRadius {
            window: SignedDuration::from_mins(1),
            removed_ratio_max: 1.0,
        }),
    };
    let sha256 = "0".repeat(64);
    Ok(Documents::new(sha256, [target], [policy], [free], [], Access::default()))
}
