//! `selector:` of policies, guardrails and grants.
//!
//! **In:** a mapping of conditions.
//! **Out:** a [`Selector`].
//! **Not here:** whether it selects anything ([`crate::documents::load`]).

use serde_json::json;

use crate::documents::Selector;
use crate::documents::raw::List;
use crate::documents::raw::fields;
use crate::documents::raw::scalar::{Name, RawLabels};
use crate::ids::{Region, TargetId};

/// Most targets that one selector names. Why 10,000: all there are.
const NAMED_TARGETS_MAX: usize = 10_000;

fields! {
    /// Selects the targets that satisfy every condition given; without a
    /// condition it selects nothing.
    struct RawSelector {
        /// Targets that have all of these labels.
        optional match_labels: RawLabels,
        /// Targets with one of these names.
        optional targets: List<Name<TargetId>, 0, NAMED_TARGETS_MAX>,
        /// Targets of this region.
        optional region: Name<Region>,
        /// `true` selects every target. It is never implied.
        defaulted(json!(false)) everything: bool,
    }
}

impl RawSelector {
    /// Nothing here can be wrong any more.
    pub(in crate::documents) fn checked(self) -> Selector {
        let RawSelector { match_labels, targets, region, everything } = self;
        let targets = targets.map(|it| it.value.0).unwrap_or_default();
        Selector {
            everything: everything.value,
            region: region.map(|it| it.value.0),
            labels: match_labels.map(|it| it.value.0).unwrap_or_default(),
            targets: targets.into_iter().map(|it| it.value.0).collect(),
        }
    }
}
