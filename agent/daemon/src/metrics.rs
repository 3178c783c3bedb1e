//! What the daemon tells Prometheus about itself.
//!
//! **In:** plain numbers and words from the loop, the executor and the API.
//! **Out:** the text of `GET /metrics` (OpenMetrics, which Prometheus reads).
//! **Not here:** when anything is counted (whoever does it), serving the text
//! ([`crate::api`]), metrics of the services that are scaled
//! ([`crate::prometheus`]).
//!
//! Label values come from closed sets: a `&'static str` cannot be made from what
//! a person or a provider sent. The exceptions are `target_id` and, of forecasts,
//! `signal`, which are bounded by [`TARGET_SERIES_MAX`], `workspace` and, of notices,
//! `channel`, which are as many as the configuration names, and those of budgets
//! (`metrics/budgets.rs`), which are bounded by [`OBJECTIVE_SERIES_MAX`] and
//! [`TENANT_SERIES_SHOWN_MAX`].

mod budgets;
mod capacities;
mod forecasts;
mod healing;
mod notices;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::guard::Refusal;
use evenkeel_core::ids::Term;
use evenkeel_core::notice::Topic;
use evenkeel_core::overrides::OverrideKind;
use evenkeel_core::quality::Quality;
use evenkeel_core::status::Mode;
use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use budgets::BudgetMetrics;
use capacities::TargetCapacities;
use forecasts::ForecastMetrics;
use healing::HealingMetrics;
use notices::NoticeMetrics;
use words::{
    ALL_CONCLUSIONS, ALL_MODES, ALL_OUTCOMES, ALL_OVERRIDES, ALL_QUALITIES, effect_labels,
    mode_word, override_word, quality_word,
};

pub use budgets::{OBJECTIVE_SERIES_MAX, TENANT_SERIES_SHOWN_MAX};
pub use capacities::{TARGET_SERIES_MAX, TargetCapacity};
pub use forecasts::{ForecastReport, SeriesForecast};
pub use notices::NoticeOutcome;
pub use words::EffectKind;

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type OneLabel = [(&'static str, &'static str); 1];
type TwoLabels = [(&'static str, &'static str); 2];
type FloatGauge = Gauge<f64, AtomicU64>;

/// All metrics of the daemon. Every method is cheap and may be called from any thread.
pub struct Metrics {
    registry: Registry,
    evaluations: Family<OneLabel, Counter>,
    evaluation_pass_seconds: Histogram,
    effects: Family<TwoLabels, Counter>,
    refusals: Family<OneLabel, Counter>,
    requests: Family<TwoLabels, Counter>,
    journal_append_seconds: Histogram,
    journal_records: Gauge,
    signals: Family<OneLabel, Gauge>,
    targets: Family<OneLabel, Gauge>,
    overrides: Family<OneLabel, Gauge>,
    break_glass: Gauge,
    documents_faults: Gauge,
    prometheus_queries: Family<OneLabel, Counter>,
    prometheus_query_seconds: Histogram,
    last_pass_timestamp_seconds: FloatGauge,
    term: Gauge,
    capacities: Arc<TargetCapacities>,
    budgets: BudgetMetrics,
    forecasts: ForecastMetrics,
    healing: HealingMetrics,
    notices: NoticeMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All metrics at zero. `version` is the daemon's.
    pub fn new(version: &'static str) -> Metrics {
        let mut registry = Registry::with_prefix("evenkeel");
        let metrics = Metrics {
            evaluations: Family::default(),
            evaluation_pass_seconds: histogram(),
            effects: Family::default(),
            refusals: Family::default(),
            requests: Family::default(),
            journal_append_seconds: histogram(),
            journal_records: Gauge::default(),
            signals: Family::default(),
            targets: Family::default(),
            overrides: Family::default(),
            break_glass: Gauge::default(),
            documents_faults: Gauge::default(),
            prometheus_queries: Family::default(),
            prometheus_query_seconds: histogram(),
            last_pass_timestamp_seconds: FloatGauge::default(),
            term: Gauge::default(),
            capacities: Arc::default(),
            budgets: BudgetMetrics::default(),
            forecasts: ForecastMetrics::default(),
            healing: HealingMetrics::default(),
            notices: NoticeMetrics::default(),
            registry: Registry::default(),
        };
        let m = &metrics;
        registry.register("build", "The version that runs", Info::new([("version", version)]));
        registry.register(
            "evaluations",
            "Evaluations of one target each, by conclusion",
            m.evaluations.clone(),
        );
        registry.register(
            "evaluation_pass_seconds",
            "Time that one look at all targets took, queries included",
            m.evaluation_pass_seconds.clone(),
        );
        registry.register("effects", "Effects that ended, by kind and outcome", m.effects.clone());
        registry.register(
            "refusals",
            "Evaluations that the guard refused a change, by refusal",
            m.refusals.clone(),
        );
        registry.register(
            "requests",
            "Requests to the HTTP API, by verb and kind of answer",
            m.requests.clone(),
        );
        registry.register(
            "journal_append_seconds",
            "Time until a batch of records was durable",
            m.journal_append_seconds.clone(),
        );
        registry.register(
            "journal_records",
            "Sequence number of the newest durable record",
            m.journal_records.clone(),
        );
        registry.register("signals", "Signals at the last pass, by quality", m.signals.clone());
        registry.register("targets", "Targets, by what rules them", m.targets.clone());
        registry.register("overrides", "Overrides in force, by kind", m.overrides.clone());
        registry.register("break_glass", "1 while break-glass is in force", m.break_glass.clone());
        registry.register(
            "documents_faults",
            "Faults of the newest documents, while older ones stay in force",
            m.documents_faults.clone(),
        );
        registry.register(
            "prometheus_queries",
            "Queries to Prometheus, by outcome",
            m.prometheus_queries.clone(),
        );
        registry.register(
            "prometheus_query_seconds",
            "Time that one query to Prometheus took",
            m.prometheus_query_seconds.clone(),
        );
        registry.register(
            "last_pass_timestamp_seconds",
            "When the last evaluation pass ended, in Unix time",
            m.last_pass_timestamp_seconds.clone(),
        );
        registry.register("term", "The fencing term of this daemon", m.term.clone());
        registry.register_collector(Box::new(Arc::clone(&m.capacities)));
        m.budgets.register(&mut registry);
        m.forecasts.register(&mut registry);
        m.healing.register(&mut registry);
        m.notices.register(&mut registry);
        // A series that exists from the start can be alerted on and rated.
        for quality in ALL_QUALITIES {
            m.signals.get_or_create(&[("quality", quality_word(quality))]).set(0);
        }
        // Shown at 0 from the start: otherwise `increase()` misses the first event.
        for conclusion in ALL_CONCLUSIONS {
            m.evaluations.get_or_create(&[("conclusion", conclusion)]).inc_by(0);
        }
        for refusal in Refusal::NAMES {
            m.refusals.get_or_create(&[("refusal", refusal)]).inc_by(0);
        }
        for outcome in ["answered", "failed"] {
            m.prometheus_queries.get_or_create(&[("outcome", outcome)]).inc_by(0);
        }
        for mode in ALL_MODES {
            m.targets.get_or_create(&[("mode", mode_word(mode))]).set(0);
        }
        for kind in ALL_OVERRIDES {
            m.overrides.get_or_create(&[("kind", kind)]).set(0);
        }
        for kind in [EffectKind::SetCapacity, EffectKind::Step] {
            for outcome in ALL_OUTCOMES {
                m.effects.get_or_create(&effect_labels(kind, outcome)).inc_by(0);
            }
        }
        Metrics { registry, ..metrics }
    }

    /// The text of `GET /metrics`, of type [`CONTENT_TYPE`].
    ///
    /// # Errors
    ///
    /// Only when a metric cannot be written as text, which would be a bug.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut shown = String::new();
        text::encode(&mut shown, &self.registry)?;
        Ok(shown)
    }

    /// Counts one explanation: its conclusion, and its refusal if it is one.
    pub fn count_explanation(&self, explanation: &Explanation) {
        let conclusion = match &explanation.conclusion {
            Conclusion::Refused { refusal, .. } => {
                self.refusals.get_or_create(&[("refusal", refusal.name())]).inc();
                "refused"
            }
            Conclusion::Planned { .. }
            | Conclusion::NoChange
            | Conclusion::CapacityUnknown { .. }
            | Conclusion::ReadBack { .. }
            | Conclusion::ChangedOutside { .. } => explanation.conclusion.name(),
        };
        self.evaluations.get_or_create(&[("conclusion", conclusion)]).inc();
    }

    /// One evaluation pass took `took` and ended at `now`.
    pub fn observe_pass(&self, took: Duration, now: Timestamp) {
        self.evaluation_pass_seconds.observe(took.as_secs_f64());
        self.last_pass_timestamp_seconds.set(now.as_duration().as_secs_f64());
    }

    /// One effect ended.
    pub fn count_effect(&self, kind: EffectKind, outcome: EffectOutcome) {
        self.effects.get_or_create(&effect_labels(kind, outcome)).inc();
    }

    /// One request to the API was answered.
    pub fn count_request(&self, verb: &'static str, answer: &'static str) {
        self.requests.get_or_create(&[("verb", verb), ("answer", answer)]).inc();
    }

    /// One batch of records became durable after `took`; the newest is `last_seq`.
    pub fn observe_append(&self, took: Duration, last_seq: u64) {
        self.journal_append_seconds.observe(took.as_secs_f64());
        self.set_last_record(last_seq);
    }

    /// The newest durable record, for the start, when nothing was appended yet.
    pub fn set_last_record(&self, last_seq: u64) {
        self.journal_records.set(as_gauge(last_seq));
    }

    /// The newest durable record; 0 before the first.
    pub fn last_record(&self) -> u64 {
        u64::try_from(self.journal_records.get()).unwrap_or(0)
    }

    /// How many signals had which quality at the last pass.
    pub fn set_signals(&self, good: usize, suspect: usize, missing: usize) {
        let counts =
            [(Quality::Good, good), (Quality::Suspect, suspect), (Quality::Missing, missing)];
        for (quality, count) in counts {
            let labels = [("quality", quality_word(quality))];
            self.signals.get_or_create(&labels).set(as_gauge(count));
        }
    }

    /// How many targets are in which mode; a mode that is not there has none.
    pub fn set_targets(&self, counts: &BTreeMap<Mode, usize>) {
        for mode in ALL_MODES {
            let count = counts.get(&mode).copied().unwrap_or(0);
            self.targets.get_or_create(&[("mode", mode_word(mode))]).set(as_gauge(count));
        }
    }

    /// The overrides that are in force.
    pub fn set_overrides(&self, kinds: impl IntoIterator<Item = OverrideKind>) {
        let mut counts = BTreeMap::<&str, usize>::new();
        for kind in kinds {
            *counts.entry(override_word(kind)).or_default() += 1;
        }
        for kind in ALL_OVERRIDES {
            let count = counts.get(kind).copied().unwrap_or(0);
            self.overrides.get_or_create(&[("kind", kind)]).set(as_gauge(count));
        }
    }

    /// Whether break-glass is in force.
    pub fn set_break_glass(&self, engaged: bool) {
        self.break_glass.set(i64::from(engaged));
    }

    /// How many faults keep the newest documents out of force.
    pub fn set_documents_faults(&self, count: usize) {
        self.documents_faults.set(as_gauge(count));
    }

    /// One query to Prometheus ended after `took`; `outcome` is `answered` or
    /// `failed`.
    pub fn observe_query(&self, outcome: &'static str, took: Duration) {
        self.prometheus_queries.get_or_create(&[("outcome", outcome)]).inc();
        self.prometheus_query_seconds.observe(took.as_secs_f64());
    }

    /// A notice ended on the channel called `channel`.
    pub fn count_notice(&self, topic: Topic, channel: &str, outcome: NoticeOutcome) {
        self.notices.count(topic, channel, outcome);
    }

    /// Whether notifications cannot be delivered.
    pub fn set_notifier_dead(&self, dead: bool) {
        self.notices.set_dead(dead);
    }

    /// The term that this daemon acts under.
    pub fn set_term(&self, term: Term) {
        self.term.set(as_gauge(term.0));
    }

    /// Capacity of each target, replacing all that was said before. Beyond
    /// [`TARGET_SERIES_MAX`] targets nothing is exposed.
    pub fn set_capacities(&self, capacities: Vec<TargetCapacity>) {
        self.capacities.replace(capacities);
    }
}

/// Buckets from 1 ms to 16 s. Why: passes and appends are milliseconds, their
/// limits are 1 s, and what takes longer than 16 s is only ever "far too long".
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

fn as_gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::ids::TargetId;
    use evenkeel_core::units::Capacity;
    use expect_test::expect;

    #[track_caller]
    fn lines(metrics: &Metrics, with: &str) -> String {
        let text = metrics.text().unwrap();
        text.lines().filter(|it| it.contains(with)).map(|it| format!("{it}\n")).collect()
    }

    fn capacity_of(name: &str, current: Option<u32>) -> TargetCapacity {
        TargetCapacity {
            target: TargetId::new(name).unwrap(),
            current: current.map(Capacity),
            desired: Some(Capacity(7)),
        }
    }

    #[test]
    fn every_metric_has_help_a_type_and_the_name_that_alerts_use() {
        let metrics = Metrics::new("1.2.3");
        expect![[r#"
            # TYPE evenkeel_build info
            # TYPE evenkeel_evaluations counter
            # TYPE evenkeel_evaluation_pass_seconds histogram
            # TYPE evenkeel_effects counter
            # TYPE evenkeel_refusals counter
            # TYPE evenkeel_journal_append_seconds histogram
            # TYPE evenkeel_journal_records gauge
            # TYPE evenkeel_signals gauge
            # TYPE evenkeel_targets gauge
            # TYPE evenkeel_overrides gauge
            # TYPE evenkeel_break_glass gauge
            # TYPE evenkeel_documents_faults gauge
            # TYPE evenkeel_prometheus_queries counter
            # TYPE evenkeel_prometheus_query_seconds histogram
            # TYPE evenkeel_last_pass_timestamp_seconds gauge
            # TYPE evenkeel_term gauge
            # TYPE evenkeel_slo_reads counter
            # TYPE evenkeel_spend_reads counter
            # TYPE evenkeel_bill_reads counter
            # TYPE evenkeel_forecasts gauge
            # TYPE evenkeel_forecast_refits counter
            # TYPE evenkeel_forecast_refit_seconds histogram
            # TYPE evenkeel_forecast_refits_waiting gauge
            # TYPE evenkeel_forecasters_lost counter
            # TYPE evenkeel_forecast_bytes gauge
            # TYPE evenkeel_incidents_open gauge
            # TYPE evenkeel_incidents_unacknowledged gauge
            # TYPE evenkeel_runs gauge
            # TYPE evenkeel_approvals_waiting gauge
            # TYPE evenkeel_storm gauge
            # TYPE evenkeel_runs_ended counter
            # TYPE evenkeel_playbook_inputs gauge
            # TYPE evenkeel_notifier_dead gauge
            # TYPE evenkeel_target_current_capacity gauge
            # TYPE evenkeel_target_desired_capacity gauge
            # TYPE evenkeel_slo_error_budget_left_ratio gauge
            # TYPE evenkeel_slo_coverage_ratio gauge
            # TYPE evenkeel_slo_no_data gauge
            # TYPE evenkeel_slo_burn_rate gauge
            # TYPE evenkeel_slo_alert_firing gauge
            # TYPE evenkeel_slo_exhaustion_seconds gauge
            # TYPE evenkeel_budget_spent_ratio gauge
            # TYPE evenkeel_budget_burn_rate gauge
            # TYPE evenkeel_budget_exhaustion_seconds gauge
            # TYPE evenkeel_budget_threshold_crossed gauge
            # TYPE evenkeel_spend_per_hour gauge
            # TYPE evenkeel_spend_cost_per_thousand_good gauge
            # TYPE evenkeel_spend_estimated gauge
            # TYPE evenkeel_spend_reconciliation_drift_ratio gauge
            # TYPE evenkeel_tenant_requests_per_second gauge
            # TYPE evenkeel_tenant_cost_per_hour gauge
            # TYPE evenkeel_forecast_coverage_ratio gauge
            # TYPE evenkeel_forecast_error_ratio gauge
        "#]]
        .assert_eq(&lines(&metrics, "# TYPE"));
        expect![[r#"
            evenkeel_build_info{version="1.2.3"} 1
        "#]]
        .assert_eq(&lines(&metrics, "1.2.3"));
    }

    #[test]
    fn closed_sets_start_at_zero_and_count() {
        let metrics = Metrics::new("1.2.3");
        metrics.count_effect(EffectKind::SetCapacity, EffectOutcome::Unknown);
        metrics.set_overrides([OverrideKind::Pin { capacity: Capacity(3) }, OverrideKind::Freeze]);
        metrics.set_signals(5, 1, 0);
        metrics.set_last_record(41);
        assert_eq!(metrics.last_record(), 41);
        let mut shown: Vec<String> =
            ["evenkeel_effects_", "evenkeel_overrides{", "evenkeel_signals{"]
                .iter()
                .flat_map(|it| lines(&metrics, it).lines().map(str::to_owned).collect::<Vec<_>>())
                .collect();
        shown.sort();
        expect![[r#"
            evenkeel_effects_total{kind="set_capacity",outcome="done"} 0
            evenkeel_effects_total{kind="set_capacity",outcome="rejected"} 0
            evenkeel_effects_total{kind="set_capacity",outcome="unknown"} 1
            evenkeel_effects_total{kind="step",outcome="done"} 0
            evenkeel_effects_total{kind="step",outcome="rejected"} 0
            evenkeel_effects_total{kind="step",outcome="unknown"} 0
            evenkeel_overrides{kind="freeze"} 1
            evenkeel_overrides{kind="hold"} 0
            evenkeel_overrides{kind="no_scale_down"} 0
            evenkeel_overrides{kind="pin"} 1
            evenkeel_overrides{kind="takeover"} 0
            evenkeel_signals{quality="good"} 5
            evenkeel_signals{quality="missing"} 0
            evenkeel_signals{quality="suspect"} 1"#]]
        .assert_eq(&shown.join("\n"));
    }

    #[test]
    fn targets_have_series_only_while_they_are_few() {
        let metrics = Metrics::new("1.2.3");
        metrics.set_capacities(vec![capacity_of("cart", Some(4)), capacity_of("search", None)]);
        expect![[r#"
            evenkeel_target_current_capacity{target_id="cart"} 4
            evenkeel_target_desired_capacity{target_id="cart"} 7
            evenkeel_target_desired_capacity{target_id="search"} 7
        "#]]
        .assert_eq(&lines(&metrics, "target_id="));
        let many = (0..=TARGET_SERIES_MAX).map(|it| capacity_of(&format!("t-{it}"), Some(1)));
        metrics.set_capacities(many.collect());
        assert_eq!(lines(&metrics, "target_id="), "");
    }
}
