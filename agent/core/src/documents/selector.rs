//! Which targets something is about.
//!
//! **In:** labels, region and name of a target.
//! **Out:** yes or no.
//! **Not here:** scopes of overrides ([`crate::overrides::Scope`]), which a
//! person types and which cannot be combined.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::documents::Target;
use crate::ids::{Labels, Region, TargetId};

/// Selects the targets that satisfy *every* condition given. With no condition
/// it selects nothing: an empty selector is more often an accident than "all".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Written out on purpose: every target.
    pub everything: bool,
    /// Targets of this region.
    pub region: Option<Region>,
    /// Targets with all of these labels.
    pub labels: Labels,
    /// Targets with one of these names.
    pub targets: BTreeSet<TargetId>,
}

impl Selector {
    /// The selector that a person writes as `everything: true`.
    pub fn everything() -> Selector {
        Selector { everything: true, ..Selector::default() }
    }

    /// Whether no condition is given.
    pub fn is_empty(&self) -> bool {
        !self.everything
            && self.region.is_none()
            && self.labels.is_empty()
            && self.targets.is_empty()
    }

    /// Whether `target` is selected.
    pub fn selects(&self, target: &Target) -> bool {
        !self.is_empty()
            && self.region.as_ref().is_none_or(|it| *it == target.region)
            && self.labels.iter().all(|(key, value)| target.labels.get(key) == Some(value))
            && (self.targets.is_empty() || self.targets.contains(&target.id))
    }
}
