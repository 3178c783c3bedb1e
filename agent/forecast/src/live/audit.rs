//! Whether a forecast has earned that capacity follows it.
//!
//! **In:** every error as it becomes known, next to what trivial forecasts would
//! have got wrong.
//! **Out:** the [`Standing`], with hysteresis; recent errors and live coverage.
//! **Not here:** the errors' scale and shape ([`super::spread`]).

use evenkeel_core::outlook::{Abstention, Standing};
use serde::{Deserialize, Serialize};

use super::past::share;

/// A forecast drives capacity once its error at the lead time is at most this share
/// of the best trivial one's, and stops above [`DEMOTE_RATIO`].
///
/// Why 0.97 and 1.05: on traces with a cycle three days have 0.55 to 1.04; on those
/// without, smoothing alone has 0.80 and more, which is why the seasons are asked too.
pub(crate) const PROMOTE_RATIO: f64 = 0.97;
const DEMOTE_RATIO: f64 = 1.05;

/// And once the seasons gain at least this much somewhere beyond the lead time,
/// against the same regression without them.
///
/// Why 0.93 and 0.975: where they gain most, three traces with a cycle have 0.2 to
/// 0.8, the World Cup 0.56 to 0.95 after a week, two without a cycle 0.94 and more
/// (benches/live.rs, 2026-11-21).
const SEASON_PROMOTE_RATIO: f64 = 0.93;
const SEASON_DEMOTE_RATIO: f64 = 0.975;

/// A forecast that is wrong by half the load on average drives nothing.
const ERROR_MAX_RATIO: f64 = 0.5;

/// Over a few hours, the live error may be this much above the trivial one's.
///
/// Why 1.5: at 1.3 the World Cup's match days demoted a forecast that was better
/// over the day (benches/live.rs, 2026-11-21).
const DRIFT_RATIO: f64 = 1.5;
const DRIFT_AGAIN_RATIO: f64 = 1.1;

/// The 95% interval held at least this often over the last day, or capacity does
/// not follow it; 0.05 more before it does again.
const COVERAGE_MIN_RATIO: f64 = 0.85;
const COVERAGE_AGAIN_RATIO: f64 = 0.90;

/// Errors known before anything is promoted: a day.
pub(crate) const EVIDENCE_MINUTES: i64 = 1_440;
const DAY_MINUTES: i64 = 2 * 1_440;
const DRIFT_MINUTES: i64 = 180;
/// After a demotion, evidence is collected this long before the next promotion.
const PROBATION_MINUTES: i64 = 120;

/// Absolute errors of the forecast and of the trivial ones for one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errors {
    pub(crate) forecast: f64,
    /// The value stays.
    pub(crate) persistence: f64,
    /// As yesterday at this time; NaN when unknown.
    pub(crate) seasonal: f64,
    pub(crate) load: f64,
    pub(crate) is_inside: bool,
    /// Error with the seasons / without, where they gain most beyond the lead time.
    pub(crate) season_ratio: f64,
}

/// The running account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Audit {
    forecast: f64,
    persistence: f64,
    seasonal: f64,
    load: f64,
    inside: f64,
    lately: f64,
    lately_trivial: f64,
    season_ratio: f64,
    n: u64,
    /// Values until a promotion is possible again.
    probation: f64,
    is_predicting: bool,
    why: Abstention,
}

impl Audit {
    pub(crate) fn new() -> Audit {
        Audit {
            forecast: 0.0,
            persistence: 0.0,
            seasonal: 0.0,
            load: 0.0,
            inside: 0.95,
            lately: 0.0,
            lately_trivial: 0.0,
            season_ratio: f64::MAX,
            n: 0,
            probation: 0.0,
            is_predicting: false,
            why: Abstention::NotFitted,
        }
    }

    /// Takes in the errors of one value; `slots_per_minute` may be below 1.
    #[expect(clippy::cast_precision_loss, reason = "counts of values")]
    pub(crate) fn learn(&mut self, errors: Errors, slots_per_minute: f64) {
        let values = |minutes: i64| minutes as f64 * slots_per_minute;
        self.n += 1;
        let ramp = 1.0 / self.n as f64;
        let day = share(values(DAY_MINUTES)).max(ramp);
        let hours = share(values(DRIFT_MINUTES)).max(ramp);
        self.forecast += day * (errors.forecast - self.forecast);
        self.persistence += day * (errors.persistence - self.persistence);
        if errors.seasonal.is_finite() {
            // The first day has no yesterday: start where the forecast is.
            if self.seasonal <= 0.0 {
                self.seasonal = errors.seasonal.max(self.forecast);
            }
            self.seasonal += day * (errors.seasonal - self.seasonal);
        }
        self.season_ratio = errors.season_ratio.min(f64::MAX);
        self.load += day * (errors.load - self.load);
        let inside = share(values(DAY_MINUTES));
        self.inside += inside * (f64::from(u8::from(errors.is_inside)) - self.inside);
        self.lately += hours * (errors.forecast - self.lately);
        self.lately_trivial += hours * (errors.persistence - self.lately_trivial);
        self.probation = (self.probation - 1.0).max(0.0);
        self.judge(values(EVIDENCE_MINUTES), values(PROBATION_MINUTES));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of values")]
    fn judge(&mut self, evidence: f64, probation: f64) {
        let naive = self.naive();
        let ratio = |it: f64| if 0.0 < self.load { it / self.load } else { 0.0 };
        let without_seasons = self.forecast / self.season_ratio.max(f64::MIN_POSITIVE);
        let demotion = if (self.n as f64) < evidence {
            Some(Abstention::TooLittleHistory {
                hours: self.n as f64 / evidence * 24.0,
                hours_min: 24.0,
            })
        } else if self.inside < COVERAGE_MIN_RATIO {
            Some(Abstention::CoverageDrift {
                coverage_ratio: self.inside,
                coverage_ratio_min: COVERAGE_MIN_RATIO,
            })
        } else if DRIFT_RATIO * self.lately_best() < self.lately {
            Some(Abstention::ErrorDrift {
                error_ratio: ratio(self.lately),
                expected_error_ratio: ratio(self.lately_best()),
            })
        } else if SEASON_DEMOTE_RATIO <= self.season_ratio {
            Some(Abstention::NotBetterThanNaive {
                error_ratio: ratio(self.forecast),
                naive_error_ratio: ratio(without_seasons),
            })
        } else if DEMOTE_RATIO * naive <= self.forecast
            || ERROR_MAX_RATIO * self.load <= self.forecast
        {
            Some(Abstention::NotBetterThanNaive {
                error_ratio: ratio(self.forecast),
                naive_error_ratio: ratio(naive),
            })
        } else {
            None
        };
        match demotion {
            Some(why) => {
                if self.is_predicting {
                    self.probation = probation;
                }
                self.is_predicting = false;
                self.why = why;
            }
            None if self.is_predicting => {}
            None => {
                let has_earned = self.forecast <= PROMOTE_RATIO * naive
                    && self.season_ratio <= SEASON_PROMOTE_RATIO
                    && COVERAGE_AGAIN_RATIO <= self.inside
                    && self.lately <= self.lately_best() * DRIFT_AGAIN_RATIO;
                self.is_predicting = has_earned && self.probation <= 0.0;
                if !self.is_predicting {
                    self.why = Abstention::NotBetterThanNaive {
                        error_ratio: ratio(self.forecast),
                        naive_error_ratio: ratio(naive),
                    };
                }
            }
        }
    }

    fn lately_best(&self) -> f64 {
        self.lately_trivial
    }

    /// The best trivial forecast's mean absolute error over the last day.
    fn naive(&self) -> f64 {
        let seasonal = if 0.0 < self.seasonal { self.seasonal } else { f64::INFINITY };
        self.persistence.min(seasonal)
    }

    pub(crate) fn standing(&self) -> Standing {
        if self.is_predicting {
            Standing::Predicting
        } else {
            Standing::Abstaining { why: self.why.clone() }
        }
    }

    /// Error of the forecast / mean load, and of the best trivial one.
    pub(crate) fn error_ratios(&self) -> Option<(f64, f64)> {
        (0 < self.n && 0.0 < self.load)
            .then(|| (self.forecast / self.load, self.naive() / self.load))
            .filter(|(a, b)| a.is_finite() && b.is_finite())
    }

    /// Share of values inside their 95% interval, over about a day.
    pub(crate) fn coverage(&self) -> Option<f64> {
        (0 < self.n).then_some(self.inside)
    }
}
