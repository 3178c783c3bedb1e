//! How many units a load needs.
//!
//! **In:** a spec and requests per second. **Out:** units within the spec's bounds.
//! **Not here:** what is needed in truth, now ([`crate::world::Truth::needed`]).

use crate::hpa_rule::ceil_units;
use crate::world::{NEEDED_UTILISATION, ServiceSpec, WorldSpec};

/// Units that `arrived_rps` needs at `utilisation` (`> 0`) of what a unit can do
/// ([`WorldSpec::unit_rps`]); not clamped.
pub(super) fn units_at(unit_rps: f64, arrived_rps: f64, utilisation: f64) -> u32 {
    ceil_units(arrived_rps / (unit_rps * utilisation))
}

/// The nearest number of units inside the bounds.
pub(super) fn clamp(service: &ServiceSpec, units: u32) -> u32 {
    units.min(service.units_max).max(service.units_min)
}

/// Units that each service needs when `load[i]` comes to service `i` from outside and nothing is
/// broken, at [`NEEDED_UTILISATION`] and within bounds.
pub(super) fn units_for_load(spec: &WorldSpec, load: &[f64]) -> Vec<u32> {
    let arrived = spec.steady_rps(load);
    let units = spec.unit_rps().into_iter().zip(arrived);
    spec.services
        .iter()
        .zip(units)
        .map(|(service, (unit_rps, rps))| {
            clamp(service, units_at(unit_rps, rps, NEEDED_UTILISATION))
        })
        .collect()
}

/// The same at the peak of every curve, all at once: a person who plans for the peak does not
/// ask whether two peaks ever meet.
pub(super) fn units_for_peak(spec: &WorldSpec) -> Vec<u32> {
    let load: Vec<f64> =
        spec.services.iter().map(|it| it.load.map_or(0.0, |curve| curve.peak_rps)).collect();
    units_for_load(spec, &load)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_peak_reaches_those_who_are_called() {
        // shop: 800 rps of 20 each; mail: 30 of 1 each; store: 800 of 100 each; at 80 %.
        let spec = fixture::region();
        assert_eq!(units_for_peak(&spec), [50, 38, 10]);
        assert_eq!(units_for_load(&spec, &[0.0; 3]), [2, 1, 3]);
        assert_eq!(units_for_load(&spec, &[1e9; 3]), [100, 60, 30]);
    }
}
