//! One run from the inside: what the engine promises, on a region of one service.
//!
//! **In:** a scenario's faults, people and expectations. **Out:** panics of failed tests.
//! **Not here:** the invariants one by one ([`super::watch`]), the museum.

mod deaths;
mod expectations;
mod healing;
mod lasting;
mod monitoring;

use super::*;
use crate::scenario::{Scenario, ScenarioKind};

/// A service that has the 8 units it needs and can have 40; its load doubles from minute 2 to minute 7.
/// Documents without a forecast, so that every change has its cause in the same minute.
pub(super) fn scenario(extra: &str) -> RegionScenario {
    let text = format!(
        "apiVersion: evenkeel/v1
kind: Scenario
metadata: {{ name: tiny }}
spec:
  region:
    about: one service
    starts_at: 2026-03-02T12:00:00Z
    warm_up: 5m
    lasts: 20m
    services:
      - name: web
        kind: web
        queue_per_unit: 16
        load: {{ trough: 400, peak: 400, peak_hour: 12, weekend_ratio: 1.0, noise_ratio: 0.0 }}
        unit: {{ slots: 8, service_time: 100ms, cpu_ratio: 0.6 }}
        units: {{ start: 8, min: 2, max: 40 }}
        boot: {{ median: 30s, sigma: 0.1 }}
        objective: {{ latency: 1s, good_ratio: 0.99 }}
        price_usd_per_hour: 0.2
{extra}
---
apiVersion: evenkeel/v1
kind: Target
metadata: {{ name: web, labels: {{ service: web }} }}
spec:
  region: simulated
  provider: {{ simulated: {{ service: web }} }}
  capacity: {{ min: 2, max: 40 }}
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: {{ name: follow-web }}
spec:
  selector: {{ match_labels: {{ service: web }} }}
  autonomy: auto
  target_label: service
  signals:
    - {{ name: requests, query: http_requests_per_second, value_per_unit: 56 }}
"
    );
    let parsed = Scenario::parse("tiny.yaml", &text).unwrap_or_else(|it| panic!("{it:?}"));
    match parsed.kind {
        ScenarioKind::Region(region) => *region,
        ScenarioKind::Capacity(_) => panic!("a region"),
    }
}

/// The doubled load.
pub(super) const SURGE: &str =
    "      - { at: 2m, for: 5m, surge: { service: web, factor: 2, ramp: 10s } }\n";

/// Everything that a run leaves behind.
pub(super) struct Played {
    /// The trace.
    pub(super) lines: Vec<String>,
    /// Violated invariants.
    pub(super) violated: Vec<&'static str>,
    pub(super) first_page: Option<i64>,
    pub(super) means: (Option<f64>, Option<f64>),
    pub(super) desired: u32,
}

/// Plays it to the end.
pub(super) fn play(scenario: &RegionScenario, controller: Controller) -> Played {
    let settings = Settings::new(1, controller);
    let mut engine = Engine::new(scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, scenario.lasts);
    let unix = engine.unix();
    if let Driver::Agent(process, watch) = &mut engine.driver {
        watch.check(unix, process, &mut engine.violations);
    }
    let totals = Totals::of(&engine.stage.world);
    let first_fault = engine.schedule.faults().iter().map(|it| it.from).min();
    engine.verdict.end(
        unix,
        &engine.stage.world,
        totals.cost_usd / totals.oracle_cost_usd,
        engine.monitor.first_page,
        first_fault,
        &mut engine.violations,
    );
    Played {
        violated: engine.violations.list.iter().map(|it| it.invariant).collect(),
        first_page: engine.monitor.first_page,
        means: engine.monitor.incidents.means(scenario.lasts),
        desired: engine.stage.world.truth(0).desired,
        lines: std::mem::take(&mut engine.trace.lines),
    }
}

/// As the run does it, from second `from` to `until`.
pub(super) fn advance(engine: &mut Engine<'_>, from: i64, until: i64) {
    for at in from..until {
        if at == 0 {
            engine.stage.world.restart_sums();
            engine.monitor.restart();
        }
        engine.second(at);
    }
}

/// The agent's run with these faults and people.
pub(super) fn agents(faults: &str, people: &str) -> Played {
    let faults = if faults.is_empty() { String::new() } else { format!("    faults:\n{faults}") };
    let people = if people.is_empty() { String::new() } else { format!("    people:\n{people}") };
    play(&scenario(&(faults + &people)), Controller::Evenkeel)
}

impl Played {
    /// What the trace says of effects, records of them, deaths and starts; in short.
    pub(super) fn story(&self) -> Vec<String> {
        let short = |line: &String| {
            let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
                let is_effect = line.contains(" web ") && line.contains(" -> ");
                let is_death = line == "the agent died" || line == "nobody answers";
                // Without its second.
                let text = line.split_once(" web ").map_or(line.as_str(), |(_, rest)| rest);
                return (is_effect || is_death).then(|| text.to_owned());
            };
            let text = |key: &str| record.get(key).map(|it| it.to_string().replace('"', ""));
            let kind = text("record")?;
            let kinds = [
                "term_started",
                "effect_planned",
                "effect_finished",
                "effect_read_back",
                "override_accepted",
                "override_ended",
            ];
            kinds.contains(&kind.as_str()).then(|| {
                let of = ["id", "expected", "desired", "current", "outcome"];
                let of: Vec<String> = of.iter().filter_map(|it| text(it)).collect();
                format!("{kind} {}", of.join(" ")).trim_end().to_owned()
            })
        };
        self.lines.iter().filter_map(short).collect()
    }

    /// Seconds at which effects left.
    pub(super) fn effects(&self) -> Vec<i64> {
        let at = |line: &String| {
            let (at, rest) = line.split_once(" web ")?;
            rest.contains(" -> ").then(|| at.parse().ok()).flatten()
        };
        self.lines.iter().filter_map(at).collect()
    }
}
