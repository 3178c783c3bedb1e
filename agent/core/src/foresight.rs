//! What a forecast means for one signal of one target at one evaluation.
//!
//! **In:** the outlook that came with a reading, the policy's objective, the lead
//! time of the target.
//! **Out:** [`ForecastFinding`]: what to cover, or why the forecast abstains, with
//! the numbers that people need to judge either.
//! **Not here:** the arithmetic of the objective ([`crate::plan_ahead`]), what all
//! signals together ask for ([`crate::decide`]).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Foresight;
use crate::lead_time::KnownLeadTime;
use crate::outlook::{Abstention, Outlook, Standing};
use crate::plan_ahead::{Ahead, Ledger, Question, plan_ahead};
use crate::units::Capacity;

/// The most that an outlook may be behind the evaluation that uses it.
///
/// Why 10 min: two steps of the 5 min grid; what is older was made before the
/// load that is there now.
pub const OUTLOOK_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What an evaluation made of one forecast. Loads are in the signal's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForecastFinding {
    /// Whether it drives capacity, and if not, why.
    pub standing: Standing,
    /// What made the middle of it.
    pub model: String,
    /// When it was made.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub made_at: Timestamp,
    /// How far it has to look ahead.
    pub lead_time: KnownLeadTime,
    /// As likely to be exceeded as not, at the end of the lead time.
    pub median: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end of the 95% interval.
    pub high: f64,
    /// Mean absolute error at the lead time / mean load, over the last day.
    pub recent_error_ratio: Option<f64>,
    /// The same for the better of persistence and seasonal naive.
    pub baseline_error_ratio: Option<f64>,
    /// Share of recent values inside their 95% interval.
    pub coverage_ratio: Option<f64>,
    /// What it asks for; `None` while it abstains.
    pub covers: Option<Covers>,
}

/// What a forecast asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Covers {
    /// The probability with which capacity shall be enough.
    pub level: f64,
    /// The load at that probability, in the signal's unit.
    pub peak: f64,
    /// Units to have by the end of the lead time.
    pub grow_to: f64,
    /// Units below which nothing may leave.
    pub keep: f64,
    /// Share of the remembered time in which demand was above ready capacity.
    pub short_ratio: f64,
}

/// What one evaluation knows when it looks at a forecast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) now: Timestamp,
    pub(crate) foresight: &'a Foresight,
    pub(crate) value: f64,
    pub(crate) value_per_unit: f64,
    pub(crate) usd_per_unit_hour: Option<f64>,
    pub(crate) lead_time: KnownLeadTime,
    pub(crate) period: SignedDuration,
    pub(crate) current: Capacity,
}

impl ForecastFinding {
    /// What `outlook` means for the signal, with `ledger` up to date.
    pub(crate) fn of(
        it: &Circumstances<'_>,
        outlook: &Outlook,
        ledger: &Ledger,
    ) -> ForecastFinding {
        let ahead = it.lead_time.duration();
        let age = it.now.duration_since(outlook.made_at);
        let standing = match &outlook.standing {
            Standing::Predicting if OUTLOOK_AGE_MAX < age => {
                Standing::Abstaining { why: Abstention::Stale { age_seconds: age.as_secs_f64() } }
            }
            Standing::Predicting | Standing::Abstaining { .. } => outlook.standing.clone(),
        };
        let covers = (standing == Standing::Predicting).then(|| {
            let question = Question {
                now: it.now,
                outlook: Some(outlook),
                value: it.value,
                value_per_unit: it.value_per_unit,
                shortfall: it.foresight.shortfall,
                usd_per_unit_hour: it.usd_per_unit_hour,
                lead_time: ahead,
                period: it.period,
                current: it.current,
            };
            let Ahead { grow_to, keep, level, peak, short_ratio, .. } =
                plan_ahead(&question, ledger);
            Covers { level, peak, grow_to, keep, short_ratio }
        });
        ForecastFinding {
            standing,
            model: outlook.model.clone(),
            made_at: outlook.made_at,
            lead_time: it.lead_time,
            median: outlook.quantile(ahead, 0.5),
            low: outlook.quantile(ahead, 0.025),
            high: outlook.quantile(ahead, 0.975),
            recent_error_ratio: outlook.recent_error_ratio,
            baseline_error_ratio: outlook.baseline_error_ratio,
            coverage_ratio: outlook.coverage_ratio,
            covers,
        }
    }
}

impl Abstention {
    /// Whether it tells of the forecast's worth, not of a start or a gap that
    /// passes. Only such a change of standing is worth a record.
    pub fn is_lasting(&self) -> bool {
        match self {
            Abstention::NotBetterThanNaive { .. }
            | Abstention::ErrorDrift { .. }
            | Abstention::CoverageDrift { .. }
            | Abstention::NoModel { .. } => true,
            Abstention::TooLittleHistory { .. }
            | Abstention::Stale { .. }
            | Abstention::NotFitted => false,
        }
    }
}

impl fmt::Display for Abstention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |ratio: f64| ratio * 100.0;
        match self {
            Abstention::TooLittleHistory { hours, hours_min } => {
                write!(f, "only {hours:.0} h of history, {hours_min:.0} h are needed")
            }
            Abstention::NotBetterThanNaive { error_ratio, naive_error_ratio } => write!(
                f,
                "its error of {:.1}% is not clearly below the {:.1}% of assuming no change",
                percent(*error_ratio),
                percent(*naive_error_ratio)
            ),
            Abstention::ErrorDrift { error_ratio, expected_error_ratio } => write!(
                f,
                "its error has grown to {:.1}%, {:.1}% was expected",
                percent(*error_ratio),
                percent(*expected_error_ratio)
            ),
            Abstention::CoverageDrift { coverage_ratio, coverage_ratio_min } => write!(
                f,
                "its 95% interval covered {:.1}% of the time, at least {:.1}% is required",
                percent(*coverage_ratio),
                percent(*coverage_ratio_min)
            ),
            Abstention::Stale { age_seconds } => {
                write!(f, "the newest value it knows is {age_seconds:.0} s old")
            }
            Abstention::NotFitted => f.write_str("no model is fitted yet"),
            Abstention::NoModel { message } => write!(f, "no model could be fitted: {message}"),
        }
    }
}
