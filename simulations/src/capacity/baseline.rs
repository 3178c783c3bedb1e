//! Controllers that hardly control: what any real one must beat.
//!
//! **In:** the history.
//! **Out:** one capacity for the whole scored part.
//! **Not here:** the oracle, which is no controller ([`super::controllers`]).

use super::{Controller, Look, Trace, units_for};

/// No agent at all: what the load needed when the scored part began, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Twin;

impl Controller for Twin {
    fn label(&self) -> String {
        "none".to_owned()
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        match look.sample {
            Some(sample) if !look.is_scored => units_for(sample.value, look.unit),
            Some(_) | None => look.current,
        }
    }
}

/// The most that the history needed, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak;

impl Controller for Peak {
    fn label(&self) -> String {
        "static".to_owned()
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        match look.sample {
            Some(sample) if !look.is_scored => units_for(sample.value, look.unit).max(look.current),
            Some(_) | None => look.current,
        }
    }
}
