//! What a forecaster says of one signal: how much load to expect, and how far to
//! trust it.
//!
//! **In:** quantiles per look-ahead from whoever forecasts (the shell, or the
//! simulator), with the standing of the forecast.
//! **Out:** [`Outlook`]; quantiles at any look-ahead, also for a whole span.
//! **Not here:** making forecasts (`evenkeel-forecast`), what capacity follows
//! ([`crate::decide`]).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The probabilities for which an outlook has quantiles, ascending.
///
/// Why these: the middle ones are what people read; the capacity objective asks
/// for one between 0.9 and 0.999, where they are dense.
pub const LEVELS: [f64; N_LEVELS] =
    [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999];

/// How many [`LEVELS`] there are.
pub const N_LEVELS: usize = 11;

/// The longest look-ahead with quantiles of its own.
///
/// Why 1 h: capacity that takes longer to come is bought, not scaled.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What is expected of one signal of one target, seen from one instant.
///
/// All values are in the signal's unit (work, such as requests per second).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it was made; it is about the time after.
    pub made_at: Timestamp,
    /// Whether it may drive capacity.
    pub standing: Standing,
    /// What made the middle of it, such as `seasonal-ridge`.
    pub model: String,
    /// Mean absolute error of the middle at the lead time, divided by the mean
    /// load, over the last day of live forecasts; `None` before there was one.
    pub recent_error_ratio: Option<f64>,
    /// The same for the better of persistence and seasonal naive.
    pub baseline_error_ratio: Option<f64>,
    /// Share of recent values that were inside the 95% interval (0.025 to 0.975)
    /// that had been forecast for them; `None` before there was one.
    pub coverage_ratio: Option<f64>,
    /// Ascending by `ahead`, not empty; the first is for now or the near future.
    pub leads: Vec<Lead>,
}

/// Quantiles of the load at one look-ahead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// From `made_at`.
    pub ahead: SignedDuration,
    /// One per [`LEVELS`], ascending, finite and `>= 0`.
    pub quantiles: [f32; N_LEVELS],
}

/// Whether a forecast may drive capacity, and if not, why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It beats what is trivial, and its live errors are as expected.
    Predicting,
    /// It abstains; the reactive rule decides alone.
    Abstaining {
        /// Why.
        why: Abstention,
    },
}

/// Why a forecast abstains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "abstention", rename_all = "snake_case")]
pub enum Abstention {
    /// Less past than the forecast needs.
    TooLittleHistory { hours: f64, hours_min: f64 },
    /// No member beats persistence and seasonal naive by the margin.
    NotBetterThanNaive { error_ratio: f64, naive_error_ratio: f64 },
    /// The live error has grown beyond what the backtest promised.
    ErrorDrift { error_ratio: f64, expected_error_ratio: f64 },
    /// The live coverage of the 95% interval is too low.
    CoverageDrift { coverage_ratio: f64, coverage_ratio_min: f64 },
    /// The newest value is too old to forecast from.
    Stale { age_seconds: f64 },
    /// No model has been fitted yet since the start.
    NotFitted,
    /// Every member failed.
    NoModel { message: String },
}

impl Outlook {
    /// The load that is expected with probability `level` to be enough at
    /// `ahead`; linear between neighbouring leads and levels, and the outermost
    /// beyond them. 0 where there are no leads.
    pub fn quantile(&self, ahead: SignedDuration, level: f64) -> f64 {
        let after = self.leads.partition_point(|it| it.ahead < ahead);
        match (after.checked_sub(1).and_then(|it| self.leads.get(it)), self.leads.get(after)) {
            (Some(before), Some(later)) => {
                let span = (later.ahead - before.ahead).as_secs_f64();
                let share =
                    if 0.0 < span { (ahead - before.ahead).as_secs_f64() / span } else { 1.0 };
                let (low, high) = (before.quantile(level), later.quantile(level));
                low + share.clamp(0.0, 1.0) * (high - low)
            }
            (Some(only), None) | (None, Some(only)) => only.quantile(level),
            (None, None) => 0.0,
        }
    }
}

impl Lead {
    /// The quantile at `level`; linear between [`LEVELS`], the outermost beyond.
    pub fn quantile(&self, level: f64) -> f64 {
        let after = LEVELS.partition_point(|it| *it < level).min(N_LEVELS - 1);
        let before = after.saturating_sub(1);
        let (low, high) = (f64::from(self.quantiles[before]), f64::from(self.quantiles[after]));
        let span = LEVELS[after] - LEVELS[before];
        let share = if 0.0 < span { (level - LEVELS[before]) / span } else { 1.0 };
        low + share.clamp(0.0, 1.0) * (high - low)
    }
}
