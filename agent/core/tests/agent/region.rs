//! Documents for tests, built in code.
//!
//! **In:** names and the few fields that a test is about.
//! **Out:** targets, policies, guardrails and whole sets of them.
//! **Not here:** documents as text (`tests/documents.rs`).

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use evenkeel_core::documents::{
    Access, Actuators, Autonomy, Behaviour, Documents, Foresight, Guardrail, Identity, LeadTime,
    OutsideChange, ProviderRef, Rule, ScalingPolicy, Selector, Shortfall, Signal, Step, Target,
};
use evenkeel_core::ids::Labels;
use evenkeel_core::outlook::{Lead, N_LEVELS, Outlook, Standing};
use evenkeel_core::units::{Bounds, Capacity};
use jiff::{SignedDuration, Timestamp};

/// Thursday, 2026-01-01 00:00:00 UTC and so many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    const START: i64 = 1_767_225_600;
    Timestamp::from_second(START + seconds).expect("tests stay near 2026")
}

/// So many seconds.
pub(crate) fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

/// A name of any kind.
pub(crate) fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("names in tests are valid")
}

/// `team=web`.
pub(crate) fn labels(pairs: &str) -> Labels {
    pairs
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Bounds from and to, both inclusive.
pub(crate) fn bounds(min: u32, max: u32) -> Bounds {
    Bounds { min: Capacity(min), max: Capacity(max) }
}

/// A target of team `web` in region `eu-1`, with bounds 1..20.
pub(crate) fn target(id: &str) -> Target {
    Target {
        id: name(id),
        labels: labels("team=web"),
        region: name("eu-1"),
        provider: ProviderRef::Simulated { service: id.to_owned() },
        bounds: bounds(1, 20),
        price_usd_per_hour: None,
        lead_time: LeadTime::Measure,
        actuators: Actuators::default(),
        depends_on: Vec::new(),
    }
}

/// Selects targets by name.
pub(crate) fn named(targets: &[&str]) -> Selector {
    Selector { targets: targets.iter().map(|it| name(it)).collect(), ..Selector::default() }
}

/// Selects targets by label.
pub(crate) fn labelled(pairs: &str) -> Selector {
    Selector { labels: labels(pairs), ..Selector::default() }
}

/// A signal `load` of which one unit carries 10.
pub(crate) fn load() -> Signal {
    signal("load", Rule::ValuePerUnit { value_per_unit: 10.0 })
}

/// A named signal with a rule.
pub(crate) fn signal(id: &str, rule: Rule) -> Signal {
    Signal { name: name(id), query: id.to_owned(), max_age: seconds(60), rule }
}

/// Any change, at any time.
pub(crate) const FREELY: Behaviour = Behaviour {
    stabilization: SignedDuration::ZERO,
    cooldown: SignedDuration::ZERO,
    step: Step { units: 1_000, ratio: 1.0 },
};

/// A policy that follows `load` at once and exactly; changes from outside are
/// held for an hour.
pub(crate) fn policy(id: &str, selector: Selector) -> ScalingPolicy {
    ScalingPolicy {
        id: name(id),
        selector,
        autonomy: Autonomy::Auto,
        target_label: "service".to_owned(),
        signals: vec![load()],
        headroom_ratio: 0.0,
        tolerance_ratio: 0.05,
        scale_up: FREELY,
        scale_down: FREELY,
        forecast: None,
        outside_change: OutsideChange::Hold(seconds(3_600)),
    }
}

/// An outlook in which the load is between `low` and `high` at every look-ahead.
pub(crate) fn outlook(made_at: Timestamp, standing: Standing, low: f32, high: f32) -> Outlook {
    let mut quantiles = [low; N_LEVELS];
    for (nth, it) in (0u8..).zip(&mut quantiles) {
        *it += (high - low) * f32::from(nth) / 10.0;
    }
    let lead = |minutes| Lead { ahead: SignedDuration::from_mins(minutes), quantiles };
    Outlook {
        made_at,
        standing,
        model: "seasonal".to_owned(),
        recent_error_ratio: Some(0.03),
        baseline_error_ratio: Some(0.08),
        coverage_ratio: Some(0.951),
        leads: vec![lead(0), lead(5), lead(15), lead(60)],
    }
}

/// A policy's use of forecasts with the objective `shortfall`.
pub(crate) fn foresight(shortfall: Shortfall) -> Foresight {
    Foresight { shortfall, seasons: None, time_zone: "UTC".to_owned(), calendar: None }
}

/// A guardrail that forbids nothing yet.
pub(crate) fn guardrail(id: &str, selector: Selector) -> Guardrail {
    Guardrail {
        id: name(id),
        selector,
        protected: false,
        freeze_windows: Vec::new(),
        blast_radius: None,
    }
}

/// A set of documents without people; the daemon's owner may do everything.
pub(crate) fn documents(
    sha256: &str,
    targets: impl IntoIterator<Item = Target>,
    policies: impl IntoIterator<Item = ScalingPolicy>,
    guardrails: impl IntoIterator<Item = Guardrail>,
) -> Arc<Documents> {
    let access = Access::default();
    Arc::new(Documents::new(sha256.to_owned(), targets, policies, guardrails, [], access))
}

/// The account that the daemon runs under.
pub(crate) fn owner() -> Identity {
    Identity::UnixUser { uid: 1_000, name: "ana".to_owned(), is_daemon_owner: true }
}
