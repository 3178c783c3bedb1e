//! Anomaly scores as inputs of playbooks.
//!
//! **In:** what playbooks observe, one look after another.
//! **Out:** the same, where each input that asks for it reads how odd its series is instead
//! of its value.
//! **Not here:** the detector ([`crate::detect`]), what a playbook makes of a score.

use std::collections::{BTreeMap, VecDeque};

use evenkeel_core::documents::Documents;
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::{InputName, PlaybookId, TargetId};
use evenkeel_core::quality::Absence;
use jiff::{SignedDuration, Timestamp};

use crate::detect::{Detector, Settings};

/// Rows from which on a score means something. Why 240: an hour at a scrape every 15 s; what
/// a series has not shown by then, its views cannot know, and a score would be noise.
const ROWS_MIN: u32 = 240;

/// How long a score is held: the largest of this long counts. Why 5 min: a detector says an
/// anomaly once and then learns it; a playbook that looks, asks and acts needs it longer.
const HELD_FOR: SignedDuration = SignedDuration::from_mins(5);

/// Most series that are scored. Why 1,000: up to 64 KiB each.
pub const SERIES_MAX: usize = 1_000;

/// One detector per input and target that asks for one.
#[derive(Debug, Default)]
pub struct AnomalyScores {
    series: BTreeMap<(PlaybookId, TargetId, InputName), Series>,
}

#[derive(Debug)]
struct Series {
    detector: Detector,
    sampled_at: Option<Timestamp>,
    n_rows: u32,
    /// Scores of the last [`HELD_FOR`], oldest first.
    scores: VecDeque<(Timestamp, f64)>,
}

impl AnomalyScores {
    /// Replaces values by scores. A series that is too young is not observed; one beyond
    /// [`SERIES_MAX`] says so.
    pub fn apply(&mut self, documents: &Documents, observations: &mut [PlaybookObservation]) {
        for observation in observations {
            let Some(playbook) = documents.playbook(&observation.playbook) else { continue };
            for input in playbook.inputs.iter().filter(|it| it.is_anomaly_score) {
                let reading = observation.inputs.iter_mut().find(|it| it.input == input.name);
                let Some(reading) = reading else { continue };
                let key = (playbook.id.clone(), observation.target.clone(), input.name.clone());
                self.score(key, reading);
            }
        }
    }

    /// Forgets series that no document asks for any more.
    pub fn retain(&mut self, documents: &Documents) {
        self.series.retain(|(playbook, target, input), _| {
            documents.target(target).is_some()
                && documents.playbook(playbook).is_some_and(|it| {
                    it.inputs.iter().any(|it| it.name == *input && it.is_anomaly_score)
                })
        });
    }

    fn score(&mut self, key: (PlaybookId, TargetId, InputName), reading: &mut InputReading) {
        let Ok(InputValue::One { value, sampled_at }) = reading.reading else { return };
        if SERIES_MAX <= self.series.len() && !self.series.contains_key(&key) {
            let message = format!("more than {SERIES_MAX} series have an anomaly score");
            reading.reading = Err(Absence::Backend { message });
            return;
        }
        let series = self.series.entry(key).or_insert_with(|| Series {
            detector: Detector::new(Settings::default()),
            sampled_at: None,
            n_rows: 0,
            scores: VecDeque::new(),
        });
        reading.reading = match series.take(sampled_at, value) {
            Some(value) => Ok(InputValue::One { value, sampled_at }),
            None => Err(Absence::NotObserved),
        };
    }
}

impl Series {
    /// The largest score of the last while; `None` while the series is too young. A sample
    /// that was scored already is not learned twice.
    fn take(&mut self, at: Timestamp, value: f64) -> Option<f64> {
        if self.sampled_at.is_none_or(|it| it < at) {
            self.sampled_at = Some(at);
            self.n_rows = self.n_rows.saturating_add(1);
            let score = self.detector.score(at, value).score;
            self.scores.push_back((at, score));
        }
        while self.scores.front().is_some_and(|(it, _)| HELD_FOR < at.duration_since(*it)) {
            self.scores.pop_front();
        }
        if self.n_rows < ROWS_MIN {
            return None;
        }
        self.scores.iter().map(|(_, it)| *it).reduce(f64::max)
    }
}
