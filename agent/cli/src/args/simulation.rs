//! Words of `simulate`.
//!
//! **In:** one word as it was typed. **Out:** its meaning, or what can be typed.
//! **Not here:** which words there are ([`super::SimulateArgs`]), which controllers fit which
//! scenario ([`crate::simulate`]).

use evenkeel_sim::capacity::{ControllerKind, ControllerKindError};
use evenkeel_sim::pilot::PilotKind;

/// Most seeds of one call. Why 100,000: a soak of a night.
const SEEDS_MAX: u64 = 100_000;

/// Seeds from, up to and not including.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeds {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The name of a controller of any kind of scenario, or `all`.
pub(super) fn controller_word(text: &str) -> Result<String, String> {
    let is_known = ["all", "evenkeel"].contains(&text) || text.parse::<PilotKind>().is_ok();
    if is_known {
        return Ok(text.to_owned());
    }
    match text.parse::<ControllerKind>() {
        Ok(_) => Ok(text.to_owned()),
        // Which scenario it is for is not known yet.
        Err(error @ ControllerKindError::Unknown { .. }) => {
            Err(format!("{error}, for regions also `reflex` and `healer`, and `all` of them"))
        }
        Err(
            error @ (ControllerKindError::Target { .. }
            | ControllerKindError::TrackingTarget { .. }),
        ) => Err(error.to_string()),
    }
}

/// A multiple of a peak.
pub(super) fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (1e-3..=1e3).contains(&scale) => Ok(scale),
        Ok(_) | Err(_) => Err("write a number from 0.001 to 1000".to_owned()),
    }
}

/// `A..B`, at least one and at most [`SEEDS_MAX`].
pub(super) fn seeds(text: &str) -> Result<Seeds, String> {
    let range = text.split_once("..").and_then(|(from, to)| {
        Some(Seeds { from: from.trim().parse().ok()?, to: to.trim().parse().ok()? })
    });
    match range {
        Some(Seeds { from, to }) if to <= from => {
            Err(format!("there is no seed from {from} up to, not including, {to}"))
        }
        Some(Seeds { from, to }) if SEEDS_MAX < to - from => {
            Err(format!("{} seeds, at most {SEEDS_MAX} are run at once", to - from))
        }
        Some(seeds) => Ok(seeds),
        None => Err("write for example `1..200`, which ends with 199".to_owned()),
    }
}
