//! The Kubernetes HorizontalPodAutoscaler, as it is documented.
//!
//! **In:** load per ready unit against a target.
//! **Out:** the replicas that HPA would set.
//! **Not here:** several metrics, pods without metrics (the world has no such pods).
//!
//! Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` of Kubernetes
//! 1.31, with the default `behavior`.

use std::collections::VecDeque;

use super::{Controller, Look, Trace};

/// Relative distance from the target inside which nothing changes; HPA's default.
const TOLERANCE: f64 = 0.1;
/// Look-back for shrinking; HPA's default.
const STABILIZATION_SECONDS: i64 = 300;
/// Growth within one period: at most this many units or a doubling; HPA's default.
const GROWTH_UNITS: u32 = 4;
/// The period of the growth policies; HPA's default.
const GROWTH_PERIOD_SECONDS: i64 = 15;

/// HPA with one metric: load per ready unit, in percent of what a unit carries.
#[derive(Clone, Debug)]
pub struct Hpa {
    target_percent: f64,
    /// Recommendations of the last 5 min before the newest.
    recommendations: VecDeque<(i64, u32)>,
    /// Growth in the last period.
    growth: VecDeque<(i64, u32)>,
}

impl Hpa {
    /// HPA at a target utilisation in percent, `> 0`.
    pub fn new(target_percent: f64) -> Hpa {
        Hpa { target_percent, recommendations: VecDeque::new(), growth: VecDeque::new() }
    }

    /// The replica calculator: from the metric to a count, before any look back.
    fn recommended(&self, look: &Look, value: f64) -> u32 {
        let target = self.target_percent / 100.0;
        let (ready, current) = (f64::from(look.ready), f64::from(look.current));
        // One unit at least is asked about, so that an empty set can grow at all.
        let ratio = value / (look.unit * ready.max(1.0)) / target;
        let is_near = |ratio: f64| (ratio - 1.0).abs() <= TOLERANCE;
        if look.ready == look.current || ratio <= 1.0 {
            // Units that boot count only when growing.
            return if is_near(ratio) { look.current } else { ceil(ratio * ready.max(1.0)) };
        }
        // Units that boot use 0% when growing.
        let again = value / (look.unit * current) / target;
        if is_near(again) || again < 1.0 {
            return look.current;
        }
        ceil(again * current).max(look.current)
    }

    fn growth_limit(&mut self, look: &Look) -> u32 {
        let from = look.now - GROWTH_PERIOD_SECONDS;
        self.growth.retain(|(at, _)| from < *at);
        let grown: u32 = self.growth.iter().map(|(_, n)| *n).sum();
        let at_start = look.current.saturating_sub(grown);
        at_start.saturating_mul(2).max(at_start.saturating_add(GROWTH_UNITS))
    }
}

impl Controller for Hpa {
    fn label(&self) -> String {
        format!("hpa:{}", self.target_percent)
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        // A metric in error: no change at all.
        let Some(sample) = look.sample else { return look.current };
        let wanted = self.recommended(look, sample.value).max(1);
        let from = look.now - STABILIZATION_SECONDS;
        self.recommendations.retain(|(at, _)| from <= *at);
        let highest = self.recommendations.iter().map(|(_, it)| *it).max().unwrap_or(wanted);
        self.recommendations.push_back((look.now, wanted));
        // Growing has no look back; shrinking goes to the highest of the window.
        if look.current < wanted {
            let desired = wanted.min(self.growth_limit(look)).max(look.current);
            if look.current < desired {
                self.growth.push_back((look.now, desired - look.current));
            }
            return desired;
        }
        look.current.min(highest.max(wanted))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float-to-int `as` saturates and maps NaN to 0"
)]
fn ceil(units: f64) -> u32 {
    units.ceil() as u32
}
