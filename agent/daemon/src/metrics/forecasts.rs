//! How forecasts are doing.
//!
//! **In:** one report per pass, and each refit as it ends.
//! **Out:** `evenkeel_forecast…`; two series per forecast, as long as there are
//! few enough of them.
//! **Not here:** the numbers themselves ([`crate::forecasters`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::ids::{SignalName, TargetId};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, OneLabel, as_gauge, histogram};
use crate::forecasters::STANDING_WORDS;

/// How all forecasts are doing at the end of a pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForecastReport {
    /// How many there are, by whether they may drive capacity or why they abstain.
    pub standings: BTreeMap<&'static str, usize>,
    /// How many wait for a refit.
    pub n_waiting: usize,
    /// Memory that all of them take.
    pub bytes: usize,
    /// Each of them; none where there are more than
    /// [`TARGET_SERIES_MAX`](super::TARGET_SERIES_MAX).
    pub series: Vec<SeriesForecast>,
}

/// How one forecast is doing. Ratios are `None` before there is anything to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesForecast {
    /// Whose.
    pub target: TargetId,
    /// Of what.
    pub signal: SignalName,
    /// Share of recent values inside the 95% interval that was forecast for them.
    pub coverage_ratio: Option<f64>,
    /// Mean absolute error at the lead time / mean load, over the last day.
    pub error_ratio: Option<f64>,
}

/// The metrics of this module.
#[derive(Debug)]
pub(super) struct ForecastMetrics {
    forecasts: Family<OneLabel, Gauge>,
    refits: Family<OneLabel, Counter>,
    refit_seconds: Histogram,
    members_dropped: Family<OneLabel, Counter>,
    refits_waiting: Gauge,
    lost: Counter,
    bytes: Gauge,
    series: Arc<ForecastSeries>,
}

impl Default for ForecastMetrics {
    fn default() -> ForecastMetrics {
        ForecastMetrics {
            forecasts: Family::default(),
            refits: Family::default(),
            refit_seconds: histogram(),
            members_dropped: Family::default(),
            refits_waiting: Gauge::default(),
            lost: Counter::default(),
            bytes: Gauge::default(),
            series: Arc::default(),
        }
    }
}

impl ForecastMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "forecasts",
            "Forecasts, by whether they may drive capacity or why they abstain",
            self.forecasts.clone(),
        );
        registry.register(
            "forecast_refits",
            "Fits of models that ended, by outcome",
            self.refits.clone(),
        );
        registry.register(
            "forecast_refit_seconds",
            "Time that one fit took",
            self.refit_seconds.clone(),
        );
        registry.register(
            "forecast_members_dropped",
            "Models without a part in a fit: failed, not for such a series, or far off",
            self.members_dropped.clone(),
        );
        registry.register(
            "forecast_refits_waiting",
            "Series that wait for a fit",
            self.refits_waiting.clone(),
        );
        registry.register(
            "forecasters_lost",
            "Forecasters that failed and began anew; each is a bug",
            self.lost.clone(),
        );
        registry.register("forecast_bytes", "Memory that all forecasters take", self.bytes.clone());
        registry.register_collector(Box::new(Arc::clone(&self.series)));
        for standing in STANDING_WORDS {
            self.forecasts.get_or_create(&[("standing", standing)]).set(0);
        }
        for outcome in ["done", "failed"] {
            self.refits.get_or_create(&[("outcome", outcome)]).inc_by(0);
        }
    }
}

impl Metrics {
    /// How all forecasts are doing, replacing all that was said before.
    pub fn set_forecasts(&self, report: ForecastReport) {
        let ForecastReport { standings, n_waiting, bytes, series } = report;
        let it = &self.forecasts;
        for standing in STANDING_WORDS {
            let count = standings.get(standing).copied().unwrap_or(0);
            it.forecasts.get_or_create(&[("standing", standing)]).set(as_gauge(count));
        }
        it.refits_waiting.set(as_gauge(n_waiting));
        it.bytes.set(as_gauge(bytes));
        *it.series.0.lock().unwrap_or_else(PoisonError::into_inner) = series;
    }

    /// One fit ended after `took`; `outcome` is `done` or `failed`.
    pub fn observe_refit(&self, outcome: &'static str, took: Duration) {
        self.forecasts.refits.get_or_create(&[("outcome", outcome)]).inc();
        self.forecasts.refit_seconds.observe(took.as_secs_f64());
    }

    /// A fit went on without these models.
    pub fn count_members_dropped(&self, names: &[&'static str]) {
        for name in names {
            self.forecasts.members_dropped.get_or_create(&[("member", *name)]).inc();
        }
    }

    /// `n` forecasters failed and began anew.
    pub fn count_forecasters_lost(&self, n: u64) {
        self.forecasts.lost.inc_by(n);
    }
}

/// Each forecast as it was last told, in one piece.
#[derive(Debug, Default)]
struct ForecastSeries(Mutex<Vec<SeriesForecast>>);

/// Name, help and value of one metric.
type SeriesMetric = (&'static str, &'static str, fn(&SeriesForecast) -> Option<f64>);

impl Collector for ForecastSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Copied, so that a slow scrape does not hold the observer up.
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics: [SeriesMetric; 2] = [
            (
                "forecast_coverage_ratio",
                "Share of recent values inside their 95% interval; only with up to 1000 forecasts",
                |it| it.coverage_ratio,
            ),
            (
                "forecast_error_ratio",
                "Mean absolute error at the lead time / mean load; only with up to 1000 forecasts",
                |it| it.error_ratio,
            ),
        ];
        for (name, help, of) in metrics {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for it in &series {
                if let Some(ratio) = of(it) {
                    let labels =
                        [("target_id", it.target.as_str()), ("signal", it.signal.as_str())];
                    family.encode_family(&labels)?.encode_gauge(&ratio)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn forecasts_are_counted_by_standing_and_shown_one_by_one() {
        let metrics = Metrics::new("1.2.3");
        let of = |target: &str, coverage_ratio| SeriesForecast {
            target: target.parse().unwrap(),
            signal: "requests".parse().unwrap(),
            coverage_ratio,
            error_ratio: Some(0.125),
        };
        metrics.set_forecasts(ForecastReport {
            standings: [("predicting", 1), ("stale", 1)].into(),
            n_waiting: 3,
            bytes: 4096,
            series: vec![of("cart", Some(0.94)), of("search", None)],
        });
        metrics.observe_refit("done", Duration::from_millis(3));
        metrics.count_members_dropped(&["mstl"]);
        metrics.count_forecasters_lost(0);
        let text = metrics.text().unwrap();
        let shown = |it: &&str| {
            it.starts_with("evenkeel_forecast") && !it.contains("_bucket") && !it.contains("_sum")
        };
        let mut lines: Vec<&str> = text.lines().filter(shown).collect();
        lines.sort_unstable();
        expect![[r#"
            evenkeel_forecast_bytes 4096
            evenkeel_forecast_coverage_ratio{target_id="cart",signal="requests"} 0.94
            evenkeel_forecast_error_ratio{target_id="cart",signal="requests"} 0.125
            evenkeel_forecast_error_ratio{target_id="search",signal="requests"} 0.125
            evenkeel_forecast_members_dropped_total{member="mstl"} 1
            evenkeel_forecast_refit_seconds_count 1
            evenkeel_forecast_refits_total{outcome="done"} 1
            evenkeel_forecast_refits_total{outcome="failed"} 0
            evenkeel_forecast_refits_waiting 3
            evenkeel_forecasters_lost_total 0
            evenkeel_forecasts{standing="coverage_drift"} 0
            evenkeel_forecasts{standing="error_drift"} 0
            evenkeel_forecasts{standing="no_model"} 0
            evenkeel_forecasts{standing="not_better_than_naive"} 0
            evenkeel_forecasts{standing="not_fitted"} 0
            evenkeel_forecasts{standing="predicting"} 1
            evenkeel_forecasts{standing="stale"} 1
            evenkeel_forecasts{standing="too_little_history"} 0"#]]
        .assert_eq(&lines.join("\n"));
    }
}
