//! Two weeks of past load per target and signal.
//!
//! **In:** readings as they come, and points from before the start.
//! **Out:** what low values are usual, added to the readings.
//! **Not here:** the ring buffer (`evenkeel-forecast`), asking for the past
//! ([`crate::source`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::documents::{Documents, Rule, ScalingPolicy};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::{Reading, SignalReading};
use evenkeel_forecast::history::History;
use jiff::{SignedDuration, Timestamp};

/// Slots of the history of a series that is forecast: wider ones, because its
/// forecaster remembers the same two weeks at 5 min.
///
/// Why 15 min: two weeks then take 5 KiB and not 16, 100 MiB less for 10,000 series;
/// the lowest hundredth of a fortnight is hours long.
const COARSE_STEP: SignedDuration = SignedDuration::from_mins(15);
const COARSE_SLOTS: usize = 14 * 24 * 4;

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
            let history = books.entry(key).or_insert_with(|| begin(policy));
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
        policy: &ScalingPolicy,
        target: &TargetId,
        signal: &SignalName,
        at: Timestamp,
        value: f64,
    ) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (target.clone(), signal.clone());
        books.entry(key).or_insert_with(|| begin(policy)).backfill(now, [(at, value)]);
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

fn begin(policy: &ScalingPolicy) -> History {
    match policy.forecast {
        Some(_) => History::new(COARSE_STEP, COARSE_SLOTS).unwrap_or_else(|_| History::fortnight()),
        None => History::fortnight(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::documents::{SourceText, load};

    /// Points kept of two days of 5 min, and what low values are usual then.
    #[track_caller]
    fn check(forecast: &str, n_points: usize) {
        let text = format!(
            "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: {{ name: web }}\nspec:\n  \
             selector: {{ match_labels: {{ tier: web }} }}\n  autonomy: auto\n  target_label: service\n  \
             signals:\n    - {{ name: requests, query: load, value_per_unit: 50 }}\n{forecast}"
        );
        let loaded = load(&[SourceText { file: "test.yaml", text: &text }]);
        let documents = loaded.documents.unwrap();
        let policy = documents.policies().next().unwrap();
        let (target, signal) = (TargetId::new("a").unwrap(), SignalName::new("requests").unwrap());
        let histories = Histories::default();
        let start: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        let now = start + SignedDuration::from_hours(48);
        for slot in 0..576 {
            let at = start + SignedDuration::from_mins(5) * slot;
            // Every morning there is a quiet hour.
            let value = if slot % 288 < 12 { 40.0 } else { 400.0 };
            histories.backfill(now, policy, &target, &signal, at, value);
        }
        assert_eq!(histories.n_points(&target, &signal), n_points, "{forecast}");
        let mut books = histories.books.lock().unwrap();
        let low = books.get_mut(&(target, signal)).unwrap().usual_low(&mut Vec::new());
        assert_eq!(low, Some(40.0), "{forecast}");
    }

    #[test]
    fn a_series_that_is_forecast_keeps_wider_slots_and_knows_its_low_all_the_same() {
        check("", 576);
        check("  forecast: { shortfall: { time_ratio_max: 0.005 } }\n", 192);
    }
}
