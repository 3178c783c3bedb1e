//! Pilots that hardly do anything: what any real one must beat.
//!
//! **In:** the spec. **Out:** nothing, or units once.
//! **Not here:** pilots that look at anything.

use super::sizing::units_for_peak;
use super::{Deed, Look, Pilot};

/// From look to look in seconds. Why 60: there is nothing to see.
const PERIOD_SECONDS: i64 = 60;

/// No agent at all: the twin. Never does anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Pilot for Nobody {
    fn label(&self) -> String {
        "none".to_owned()
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, _look: &Look<'_>) -> Vec<Deed> {
        Vec::new()
    }
}

/// What the peak needs, for ever: sets every scaled service once, at its first look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    is_set: bool,
}

impl Pilot for Peak {
    fn label(&self) -> String {
        "static".to_owned()
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        if std::mem::replace(&mut self.is_set, true) {
            return Vec::new();
        }
        (0..)
            .zip(units_for_peak(look.spec))
            .zip(&look.spec.services)
            .filter(|(_, spec)| spec.is_scaled)
            .map(|((service, units), _)| Deed::SetUnits { service, units })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MAIL, SHOP, STORE, look_at, region};
    use super::super::{Look, ServiceLook};
    use super::*;

    #[test]
    fn nobody_does_nothing() {
        let blind = [ServiceLook::default(); 3];
        assert_eq!(look_at(&mut Nobody, 0, &blind), []);
    }

    #[test]
    fn the_peak_is_set_once() {
        let (mut peak, blind) = (Peak::default(), [ServiceLook::default(); 3]);
        let expected = [(SHOP, 50), (MAIL, 38), (STORE, 10)]
            .map(|(service, units)| Deed::SetUnits { service, units });
        assert_eq!(look_at(&mut peak, 0, &blind), expected);
        assert_eq!(look_at(&mut peak, 60, &blind), []);
    }

    #[test]
    fn what_is_not_scaled_is_left_alone() {
        let mut spec = region();
        spec.services[STORE].is_scaled = false;
        let services = [ServiceLook::default(); 3];
        let look =
            Look { second: 0, unix_second: 0, spec: &spec, services: &services, world: None };
        let deeds = Peak::default().look(&look);
        assert_eq!(deeds.len(), 2, "{deeds:?}");
    }
}
