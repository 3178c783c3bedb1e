//! Reading Prometheus: a real one where it can do what is tested, a forged one
//! where only a broken or lying one would.
//!
//! **In:** real servers from `evenkeel-testbed`, started on loopback.
//! **Out:** what the source makes of their answers.
//! **Not here:** parsing and piece arithmetic, which are tested beside their code.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod backfill;
mod faults;
mod inputs;
mod secrets;
mod signals;

use std::time::Duration;

use evenkeel_core::documents::{
    Access, Actuators, Autonomy, Behaviour, Documents, LeadTime, OutsideChange, ProviderRef, Rule,
    ScalingPolicy, Selector, Signal, Step, Target,
};
use evenkeel_core::ids::{Labels, PolicyId, Region, SignalName, TargetId};
use evenkeel_core::quality::Reading;
use evenkeel_core::units::{Bounds, Capacity};
use evenkeel_daemon::prometheus::{Observed, PrometheusSettings, PrometheusSource};
use jiff::{SignedDuration, Timestamp};

/// Longest wait for a real part to get somewhere.
const LIMIT: Duration = Duration::from_secs(30);

/// A target; with a service label unless it is to be known by its name.
fn target(id: &str, service: Option<&str>) -> Target {
    let labels = service.map(|it| ("service".to_owned(), it.to_owned()));
    Target {
        id: TargetId::new(id).unwrap(),
        labels: labels.into_iter().collect::<Labels>(),
        region: Region::new("eu-central-1").unwrap(),
        provider: ProviderRef::Simulated { service: id.to_owned() },
        bounds: Bounds { min: Capacity(1), max: Capacity(10) },
        price_usd_per_hour: None,
        lead_time: LeadTime::Measure,
        actuators: Actuators::default(),
        depends_on: Vec::new(),
    }
}

/// Documents with the policy `web` for everything, its signals as name and query.
fn documents(targets: impl IntoIterator<Item = Target>, signals: &[(&str, &str)]) -> Documents {
    let behaviour = Behaviour {
        stabilization: SignedDuration::ZERO,
        cooldown: SignedDuration::ZERO,
        step: Step { units: 1, ratio: 0.0 },
    };
    let signal = |(name, query): &(&str, &str)| Signal {
        name: SignalName::new(name).unwrap(),
        query: (*query).to_owned(),
        max_age: SignedDuration::from_mins(1),
        rule: Rule::ValuePerUnit { value_per_unit: 1.0 },
    };
    let policy = ScalingPolicy {
        id: PolicyId::new("web").unwrap(),
        selector: Selector::everything(),
        autonomy: Autonomy::Auto,
        target_label: "service".to_owned(),
        signals: signals.iter().map(signal).collect(),
        headroom_ratio: 0.0,
        tolerance_ratio: 0.0,
        scale_up: behaviour,
        scale_down: behaviour,
        forecast: None,
        outside_change: OutsideChange::Adopt,
    };
    Documents::new(String::new(), targets, [policy], [], [], Access::default())
}

fn policy(documents: &Documents) -> &ScalingPolicy {
    documents.policies().next().unwrap()
}

fn source(url: &str) -> PrometheusSource {
    source_with(url, |_| ())
}

fn source_with(url: &str, change: impl FnOnce(&mut PrometheusSettings)) -> PrometheusSource {
    let mut settings = PrometheusSettings::new(url);
    change(&mut settings);
    PrometheusSource::new(settings).unwrap()
}

/// Asks for the policy `web`, and checks what must hold whatever is answered.
#[track_caller]
fn checked(observed: Observed, documents: &Documents) -> Observed {
    let policy = policy(documents);
    let names: Vec<&SignalName> = policy.signals.iter().map(|it| &it.name).collect();
    let targets: Vec<&TargetId> = documents.targets_of(&policy.id).map(|it| &it.id).collect();
    assert_eq!(observed.readings.keys().collect::<Vec<_>>(), targets);
    for (target, readings) in &observed.readings {
        let read: Vec<&SignalName> = readings.iter().map(|it| &it.signal).collect();
        assert_eq!(read, names, "{target}: one reading per signal, in the policy's order");
    }
    let reported: Vec<&SignalName> = observed.queries.iter().map(|it| &it.signal).collect();
    assert_eq!(reported, names);
    observed
}

async fn observe(source: &PrometheusSource, documents: &Documents) -> Observed {
    checked(source.observe(Timestamp::now, documents, policy(documents)).await, documents)
}

/// One line per target and signal. Ports differ in every run and are left out.
fn shown(observed: &Observed) -> String {
    let mut lines = String::new();
    for (target, readings) in &observed.readings {
        for reading in readings {
            let verdict = match &reading.reading {
                Reading::Value { value, doubt: None, .. } => format!("good {value}"),
                Reading::Value { value, doubt: Some(doubt), .. } => {
                    format!("suspect {value}: {doubt}")
                }
                Reading::Missing(absence) => format!("missing: {absence}"),
            };
            lines += &format!("{target} {}: {verdict}\n", reading.signal);
        }
    }
    lines
}

/// An answer to an instant query: a sample per label value, `seconds_ahead` of now.
fn vector(samples: &[(&str, &str)], seconds_ahead: i64) -> String {
    let at = (Timestamp::now() + SignedDuration::from_secs(seconds_ahead)).as_second();
    let series: Vec<String> = samples
        .iter()
        .map(|(service, value)| {
            format!(r#"{{"metric":{{"service":"{service}"}},"value":[{at},"{value}"]}}"#)
        })
        .collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        series.join(",")
    )
}
