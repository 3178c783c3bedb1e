//! Whether what was observed may be acted on.
//!
//! **In:** raw readings of signals and capacity, with the shell's verdict on
//! their age, their clock and their number.
//! **Out:** values with a [`Quality`]; missing is a third value, never 0.
//! **Not here:** the query (the shell's), what follows from a value
//! ([`crate::decide`]), what is remembered of past values ([`crate::sight`]).

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{SignalName, TargetId};
use crate::outlook::Outlook;
use crate::units::{Capacity, show_duration};

/// How far a value may be trusted, from best to worst.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Fresh, complete and plausible.
    Good,
    /// There is a value, but reason to doubt it. Good enough to add capacity,
    /// never to remove it.
    Suspect,
    /// No value that means anything. Neither 0 nor full.
    Missing,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Quality::Good => "good",
            Quality::Suspect => "suspect",
            Quality::Missing => "missing",
        })
    }
}

/// What the shell read of one signal for one target.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalReading {
    /// Which signal of the target's policy.
    pub signal: SignalName,
    /// The value, or why there is none.
    pub reading: Reading,
    /// A low value that is usual for this series (1st percentile of its
    /// history), in the signal's unit; `None` while there is too little history.
    pub usual_low: Option<f64>,
    /// What is expected of it; `None` where nothing is forecast.
    pub outlook: Option<Arc<Outlook>>,
}

/// A value or its absence.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A finite number. `doubt` says why it must not lower capacity, if so.
    Value { value: f64, sampled_at: Timestamp, doubt: Option<Doubt> },
    /// Nothing usable.
    Missing(Absence),
}

/// Why a value is suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "doubt", rename_all = "snake_case")]
pub enum Doubt {
    /// The metrics backend's clock and ours disagree by more than allowed.
    ClockSkew { skew_seconds: f64 },
    /// The value fell far below what was seen minutes ago and below what is
    /// usual for this series: more often a broken exporter than an empty shop.
    SuddenDrop { recent: f64 },
    /// The backend attached warnings to its answer (a partial result).
    PartialAnswer,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::ClockSkew { skew_seconds } => {
                write!(f, "the metrics backend's clock is {skew_seconds:+.1} s off ours")
            }
            Doubt::SuddenDrop { recent } => {
                write!(f, "sudden drop from {recent:.1}, below what is usual here")
            }
            Doubt::PartialAnswer => f.write_str("the metrics backend warned of a partial answer"),
        }
    }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "absence", rename_all = "snake_case")]
pub enum Absence {
    /// The answer has no series for this target.
    NoSeries,
    /// The answer has several series for this target.
    SeveralSeries { n_series: usize },
    /// The newest sample is older than the signal allows.
    Stale { age_seconds: f64, age_seconds_max: f64 },
    /// The newest sample is from the future by more than clocks may differ.
    Future { ahead_seconds: f64 },
    /// NaN or an infinity.
    NotFinite,
    /// A negative value where the signal cannot be negative.
    Negative { value: f64 },
    /// The metrics backend could not be asked or refused the query.
    Backend { message: String },
    /// Nothing was observed yet since the start.
    NotObserved,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absence::NoSeries => f.write_str("the query returned no series for this target"),
            Absence::SeveralSeries { n_series } => write!(
                f,
                "the query returned {n_series} series for this target, it must return one"
            ),
            Absence::Stale { age_seconds, age_seconds_max } => {
                write!(f, "the sample is {age_seconds:.0} s old, at most {age_seconds_max:.0} s")
            }
            Absence::Future { ahead_seconds } => {
                write!(f, "the sample is {ahead_seconds:.0} s in the future")
            }
            Absence::NotFinite => f.write_str("the sample is not a finite number"),
            Absence::Negative { value } => write!(f, "the sample is negative ({value})"),
            Absence::Backend { message } => f.write_str(message),
            Absence::NotObserved => f.write_str("not observed yet since the start"),
        }
    }
}

/// What the provider says of one target's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityReading {
    /// The capacity the provider is set to, ready or not.
    pub current: Capacity,
    /// What serves now; `None` when the provider does not say.
    pub ready: Option<Capacity>,
    /// When the provider was asked (the start of the request, so that a
    /// reading newer than an effect's end cannot predate that effect).
    pub read_at: Timestamp,
}

/// Everything observed of one target in one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetObservation {
    /// Which target.
    pub target: TargetId,
    /// What the provider said, or why it could not be read.
    pub capacity: Result<CapacityReading, String>,
    /// One reading per signal of the target's policy. One that is not here
    /// counts as missing.
    pub signals: Vec<SignalReading>,
}

/// Clock difference between a sample and us that is still unremarkable.
///
/// Why 5 s: NTP-disciplined hosts are within milliseconds; scrape and query
/// take up to a few seconds.
pub const SKEW_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Clock difference beyond which a sample means nothing at all.
///
/// Why 60 s: rates and cooldowns are minutes long; a sample from a minute
/// ahead is from a broken clock, not from a slow network.
pub const FUTURE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Judges one sample by its number and its time. Shared by every metrics source.
///
/// `value` in the signal's unit; `sampled_at` as the backend says; `max_age`
/// from the signal's document. Future samples within [`SKEW_MAX`] are good,
/// within [`FUTURE_MAX`] suspect, beyond it missing.
pub fn judge_sample(
    now: Timestamp,
    value: f64,
    sampled_at: Timestamp,
    max_age: SignedDuration,
    partial: bool,
) -> Reading {
    if !value.is_finite() {
        return Reading::Missing(Absence::NotFinite);
    }
    if value < 0.0 {
        return Reading::Missing(Absence::Negative { value });
    }
    let age = now.duration_since(sampled_at);
    if max_age < age {
        return Reading::Missing(Absence::Stale {
            age_seconds: age.as_secs_f64(),
            age_seconds_max: max_age.as_secs_f64(),
        });
    }
    let ahead = sampled_at.duration_since(now);
    if FUTURE_MAX < ahead {
        return Reading::Missing(Absence::Future { ahead_seconds: ahead.as_secs_f64() });
    }
    let doubt = if SKEW_MAX < ahead {
        Some(Doubt::ClockSkew { skew_seconds: ahead.as_secs_f64() })
    } else if partial {
        Some(Doubt::PartialAnswer)
    } else {
        None
    };
    Reading::Value { value, sampled_at, doubt }
}

/// The age of a reading in words, for explanations: `12s ago`.
pub fn show_age(now: Timestamp, at: Timestamp) -> String {
    format!("{} ago", show_duration(now.duration_since(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(value: f64, age_seconds: i64, partial: bool, expected: &Expect) {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let sampled_at = now - SignedDuration::from_secs(age_seconds);
        let shown =
            match judge_sample(now, value, sampled_at, SignedDuration::from_mins(1), partial) {
                Reading::Value { value, doubt: None, .. } => format!("good {value}"),
                Reading::Value { value, doubt: Some(doubt), .. } => {
                    format!("suspect {value}: {doubt}")
                }
                Reading::Missing(absence) => format!("missing: {absence}"),
            };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_sample_is_judged_by_number_age_and_clock() {
        check(7.0, 10, false, &expect!["good 7"]);
        check(0.0, 0, false, &expect!["good 0"]);
        check(7.0, 60, false, &expect!["good 7"]);
        check(7.0, 61, false, &expect!["missing: the sample is 61 s old, at most 60 s"]);
        check(7.0, -5, false, &expect!["good 7"]);
        check(
            7.0,
            -6,
            false,
            &expect!["suspect 7: the metrics backend's clock is +6.0 s off ours"],
        );
        check(7.0, -61, false, &expect!["missing: the sample is 61 s in the future"]);
        check(7.0, 0, true, &expect!["suspect 7: the metrics backend warned of a partial answer"]);
        check(f64::NAN, 0, false, &expect!["missing: the sample is not a finite number"]);
        check(f64::INFINITY, 0, false, &expect!["missing: the sample is not a finite number"]);
        check(-1.0, 0, false, &expect!["missing: the sample is negative (-1)"]);
    }
}
