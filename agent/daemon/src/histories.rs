//! Two weeks of past load per target and signal.
//!
//! **In:** readings as they come, and points from before the start.
//! **Out:** what low values are usual, added to the readings.
//! **Not here:** the ring buffer (`evenkeel-forecast`), asking for the past
//! ([`crate::source`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::documents::{Documents, Rule};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::{Reading, SignalReading};
use evenkeel_forecast::history::History;
use jiff::Timestamp;

type Books = BTreeMap<(TargetId, SignalName), History>;

/// Past load, shared between the observer and the backfill. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Histories {
    books: Arc<Mutex<Books>>,
    scratch: Arc<Mutex<Vec<f32>>>,
}

impl Histories {
    /// Records the readings of one target, and tells each what is usual for it.
    ///
    /// Only signals with the rule `value_per_unit` have a history: for queues
    /// and latencies a fall is what is wanted, at any hour.
    pub fn take_in(
        &self,
        now: Timestamp,
        documents: &Documents,
        target: &TargetId,
        readings: &mut [SignalReading],
    ) {
        let Some(policy) = documents.policy_of(target) else { return };
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        for reading in readings {
            let has_history = policy.signals.iter().any(|it| {
                it.name == reading.signal && matches!(it.rule, Rule::ValuePerUnit { .. })
            });
            if !has_history {
                continue;
            }
            let key = (target.clone(), reading.signal.clone());
            let history = books.entry(key).or_insert_with(History::fortnight);
            // Before recording: a lie must not make itself usual.
            reading.usual_low = history.usual_low(&mut scratch);
            if let Reading::Value { value, sampled_at, doubt: None } = reading.reading {
                history.record(now, sampled_at, value);
            }
        }
    }

    /// Records one point from before the start. Never replaces a live one.
    pub fn backfill(
        &self,
        now: Timestamp,
        target: &TargetId,
        signal: &SignalName,
        at: Timestamp,
        value: f64,
    ) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (target.clone(), signal.clone());
        books.entry(key).or_insert_with(History::fortnight).backfill(now, [(at, value)]);
    }

    /// Forgets targets and signals that the documents no longer have.
    pub fn retain(&self, documents: &Documents) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.retain(|(target, signal), _| {
            documents
                .policy_of(target)
                .is_some_and(|policy| policy.signals.iter().any(|it| it.name == *signal))
        });
    }

    /// Points kept for one signal of one target.
    pub fn n_points(&self, target: &TargetId, signal: &SignalName) -> usize {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.get(&(target.clone(), signal.clone())).map_or(0, History::n_present)
    }
}
