//! The last few explanations of every target.
//!
//! **In:** one explanation per evaluation.
//! **Out:** those that differ from the one before, for `explain` and `status`.
//! **Not here:** what they say ([`crate::explain`]), the journal: explanations are
//! not facts and are gone after a restart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::documents::Documents;
use crate::explain::Explanation;
use crate::ids::TargetId;

/// How many different explanations of a target are kept for `explain --at`.
pub const EXPLANATIONS_KEPT: usize = 8;

/// By target, oldest first.
#[derive(Debug, Default)]
pub struct Explanations {
    targets: BTreeMap<TargetId, VecDeque<Arc<Explanation>>>,
}

impl Explanations {
    /// Keeps `explanation`; one that says the same as the last takes its place.
    pub(crate) fn remember(&mut self, explanation: Arc<Explanation>) {
        let it = self.targets.entry(explanation.target.clone()).or_default();
        if it.back().is_some_and(|last| last.says_the_same(&explanation)) {
            let since = it.pop_back().map_or(explanation.since, |last| last.since);
            let mut renewed = explanation.as_ref().clone();
            renewed.since = since;
            it.push_back(Arc::new(renewed));
            return;
        }
        if EXPLANATIONS_KEPT <= it.len() {
            it.pop_front();
        }
        it.push_back(explanation);
    }

    /// Keeps only targets that the documents still have.
    pub(crate) fn retain(&mut self, documents: &Documents) {
        self.targets.retain(|id, _| documents.target(id).is_some());
    }

    /// The explanations of one target that differ from the one before, oldest
    /// first; `None` before its first evaluation.
    pub fn of(
        &self,
        target: &TargetId,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Explanation>>> {
        Some(self.targets.get(target)?.iter())
    }

    /// The newest explanation of one target.
    pub fn newest(&self, target: &TargetId) -> Option<&Arc<Explanation>> {
        self.targets.get(target)?.back()
    }
}
