//! How much more load an event brings, learned from its earlier occurrences.
//!
//! **In:** occurrences of events; the load during them and without.
//! **Out:** the learned uplift at an instant.
//! **Not here:** when events are ([`evenkeel_core::documents::Calendar`]), how the
//! uplift enters a forecast ([`crate::live`]).

use evenkeel_core::documents::Event;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What earlier occurrences of events have brought, by name.
///
/// The uplift of a name is the geometric mean of the load with / the load without
/// over its occurrences, together with one occurrence's worth of what people expect
/// (`uplift_ratio`), or half an occurrence of no uplift where nobody said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uplifts {
    names: Vec<Learned>,
    /// The occurrences that go on, by name and start.
    ongoing: Vec<Ongoing>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Learned {
    name: String,
    log_sum: f64,
    n: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ongoing {
    name: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    with: f64,
    without: f64,
}

/// Most names learned, so that memory stays bounded. Why 64: a calendar with more
/// kinds of events than weeks in a year has no repetitions to learn from.
const NAMES_MAX: usize = 64;

/// What an occurrence without anybody's expectation is worth against learned ones.
const DOUBT_OCCURRENCES: f64 = 0.5;

/// No event is believed to bring more, or take more, than this factor.
const RATIO_MAX: f64 = 20.0;

impl Uplifts {
    /// Expected load at `at` / load without any event, in `[1/20, 20]`; 1 when there
    /// is no event. Events at once multiply. `events` ascend by `starts_at`.
    pub fn ratio(&self, events: &[Event], at: Timestamp) -> f64 {
        let mut ratio = 1.0;
        for event in events.iter().take_while(|it| it.starts_at <= at) {
            if at < event.ends_at {
                ratio *= self.ratio_of(&event.name, event.uplift_ratio);
            }
        }
        ratio.clamp(1.0 / RATIO_MAX, RATIO_MAX)
    }

    /// Expected uplift of an event with this name, `> 0`.
    pub fn ratio_of(&self, name: &str, expected: Option<f64>) -> f64 {
        let (mut sum, mut n) = match expected {
            Some(ratio) if 0.0 < ratio && ratio.is_finite() => (ratio.ln(), 1.0),
            Some(_) | None => (0.0, DOUBT_OCCURRENCES),
        };
        if let Some(learned) = self.names.iter().find(|it| it.name == name) {
            sum += learned.log_sum;
            n += learned.n;
        }
        (sum / n).exp().clamp(1.0 / RATIO_MAX, RATIO_MAX)
    }

    /// Takes in the load at `at` and what it would have been without event; learns
    /// from an occurrence when it is over.
    pub fn observe(&mut self, events: &[Event], at: Timestamp, value: f64, without: f64) {
        self.finish(at);
        if !(value.is_finite() && without.is_finite() && 0.0 < without) {
            return;
        }
        for event in events.iter().take_while(|it| it.starts_at <= at) {
            if event.ends_at <= at {
                continue;
            }
            let known = self
                .ongoing
                .iter_mut()
                .find(|it| it.name == event.name && it.starts_at == event.starts_at);
            if let Some(ongoing) = known {
                ongoing.with += value;
                ongoing.without += without;
            } else if self.ongoing.len() < NAMES_MAX {
                self.ongoing.push(Ongoing {
                    name: event.name.clone(),
                    starts_at: event.starts_at,
                    ends_at: event.ends_at,
                    with: value,
                    without,
                });
            }
        }
    }

    fn finish(&mut self, at: Timestamp) {
        let mut i = 0;
        while let Some(ongoing) = self.ongoing.get(i) {
            if at < ongoing.ends_at {
                i += 1;
                continue;
            }
            let done = self.ongoing.swap_remove(i);
            let ratio = (done.with / done.without).clamp(1.0 / RATIO_MAX, RATIO_MAX);
            if let Some(learned) = self.names.iter_mut().find(|it| it.name == done.name) {
                learned.log_sum += ratio.ln();
                learned.n += 1.0;
            } else if self.names.len() < NAMES_MAX {
                self.names.push(Learned { name: done.name, log_sum: ratio.ln(), n: 1.0 });
            }
        }
    }
}
