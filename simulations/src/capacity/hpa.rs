//! The Kubernetes HorizontalPodAutoscaler on the load per unit.
//!
//! **In:** load per ready unit against a target.
//! **Out:** the replicas that HPA would set.
//! **Not here:** HPA's arithmetic ([`crate::hpa_rule`]), several metrics, pods without metrics
//! (the world has no such pods).

use super::{Controller, Look, Trace};
use crate::hpa_rule::{Behavior, Calculator, Pods};

/// HPA with one metric: load per ready unit, in percent of what a unit carries.
#[derive(Clone, Debug)]
pub struct Hpa {
    calculator: Calculator,
    behavior: Behavior,
}

impl Hpa {
    /// HPA at a target utilisation in percent, `> 0`.
    pub fn new(target_percent: f64) -> Hpa {
        let calculator = Calculator { target_percent, is_whole_percent: false };
        Hpa { calculator, behavior: Behavior::default() }
    }
}

impl Controller for Hpa {
    fn label(&self) -> String {
        format!("hpa:{}", self.calculator.target_percent)
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        // A metric in error: no change at all.
        let Some(sample) = look.sample else { return look.current };
        // One unit at least is asked about, so that an empty set can grow at all.
        let ready = look.ready.max(1);
        let unready = look.current.saturating_sub(ready);
        let pods = Pods { current: look.current, ready, unready, missing: 0 };
        let ready_use = sample.value / (look.unit * f64::from(ready));
        let Some(wanted) = self.calculator.recommended(pods, ready_use) else {
            return look.current;
        };
        self.behavior.settle(look.now, look.current, wanted.max(1))
    }
}
