//! The forecasters of all series, by target.
//!
//! **In:** documents, readings, the past, and what was kept before a restart.
//! **Out:** outlooks in the readings; whose turn it is to be fitted.
//! **Not here:** one series ([`super::book`]), locks and threads ([`super`]).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evenkeel_core::documents::{Calendar, Documents, Rule, ScalingPolicy, Signal};
use evenkeel_core::ids::{CalendarId, SignalName, TargetId};
use evenkeel_core::quality::SignalReading;
use evenkeel_forecast::live::{Refit, RefitTask};
use jiff::Timestamp;
use tracing::{error, warn};

use super::book::{Book, Meaning, RecalledBook};
use super::feedback::TargetFeedback;

/// Whose turn it is: what was never fitted, then what was fitted longest ago.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) fitted_at: Option<Timestamp>,
    pub(super) target: TargetId,
    pub(super) signal: SignalName,
}

/// All series that the documents want forecast.
#[derive(Debug, Default)]
pub(super) struct Books {
    documents_sha256: Option<String>,
    by_target: BTreeMap<TargetId, Vec<Book>>,
    calendars: BTreeMap<TargetId, Arc<Calendar>>,
    turns: BTreeSet<Turn>,
    /// The latest time that was told.
    pub(super) now: Option<Timestamp>,
    /// Whether what was kept before the start has been taken up, or never will be.
    pub(super) is_recalled: bool,
    /// The threads that fit shall end.
    pub(super) is_stopping: bool,
}

impl Books {
    /// Follows the documents: series that they no longer have, or that mean
    /// something else now, are forgotten; new ones begin.
    pub(super) fn follow(&mut self, documents: &Documents) {
        if self.is_about(documents) {
            return;
        }
        self.documents_sha256 = Some(documents.sha256.clone());
        let by_id: BTreeMap<&CalendarId, Arc<Calendar>> =
            documents.calendars().map(|it| (&it.id, Arc::new(it.clone()))).collect();
        let mut before = std::mem::take(&mut self.by_target);
        self.calendars.clear();
        for target in documents.targets() {
            let Some(policy) = documents.policy_of(&target.id) else { continue };
            let Some(foresight) = &policy.forecast else { continue };
            let calendar = foresight.calendar.as_ref().and_then(|it| by_id.get(it)).cloned();
            let mut old = before.remove(&target.id).unwrap_or_default();
            let mut books = Vec::new();
            for signal in policy.signals.iter().filter(|it| is_load(it)) {
                let meaning = Meaning::of(signal, foresight);
                let kept = old.iter().position(|it| it.signal == signal.name && it.means(&meaning));
                let book = match kept {
                    Some(place) => Some(old.swap_remove(place)),
                    None => begin(&target.id, signal, meaning),
                };
                if let Some(mut book) = book {
                    book.set_calendar(calendar.clone());
                    books.push(book);
                }
            }
            if let Some(calendar) = calendar {
                self.calendars.insert(target.id.clone(), calendar);
            }
            if !books.is_empty() {
                self.by_target.insert(target.id.clone(), books);
            }
        }
        let by_target = &self.by_target;
        self.turns.retain(|it| by_target.contains_key(&it.target));
    }

    /// Whether these are the documents that were followed last.
    pub(super) fn is_about(&self, documents: &Documents) -> bool {
        self.documents_sha256.as_ref() == Some(&documents.sha256)
    }

    /// Takes in the readings of one target and adds outlooks to them. Returns how
    /// many series now wait for a refit, and how many forecasters were lost to a bug.
    pub(super) fn take_in(
        &mut self,
        now: Timestamp,
        target: &TargetId,
        readings: &mut [SignalReading],
        feedback: &TargetFeedback,
    ) -> Taken {
        let mut taken = Taken::default();
        self.now = self.now.max(Some(now));
        let Some(books) = self.by_target.get_mut(target) else { return taken };
        for book in books {
            let Some(reading) = readings.iter_mut().find(|it| it.signal == book.signal) else {
                continue;
            };
            let is_doubted = feedback.doubted.contains(&book.signal);
            // A bug in a forecaster must not take the reactive rule with it.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                book.set_lead_time(feedback.lead_time);
                book.take_in(now, reading, is_doubted);
                book.wants_refit(now)
            }));
            match ended {
                Ok(true) => {
                    let (target, signal) = (target.clone(), book.signal.clone());
                    self.turns.insert(Turn { fitted_at: book.fitted_at(), target, signal });
                    taken.n_due += 1;
                }
                Ok(false) => (),
                Err(_) => {
                    error!(target_id = %target, signal = %book.signal, "a forecaster failed; it begins anew");
                    reading.outlook = None;
                    book.begin_anew(self.calendars.get(target).cloned());
                    book.end_past();
                    taken.n_lost += 1;
                }
            }
            // What was kept is taken up first, with the shortfalls that belong to it.
            if !self.is_recalled {
                reading.outlook = None;
            }
        }
        taken
    }

    /// The past of one signal is read from here on.
    pub(super) fn begin_past(
        &mut self,
        documents: &Documents,
        policy: &ScalingPolicy,
        signal: &SignalName,
    ) {
        if !self.is_about(documents) {
            return;
        }
        for target in documents.targets_of(&policy.id) {
            let calendar = self.calendars.get(&target.id).cloned();
            if let Some(book) = self.book_mut(&target.id, signal) {
                book.begin_past(calendar);
            }
        }
    }

    /// Takes in a part of the past of one series, oldest first; all of it ends at `until`.
    pub(super) fn backfill(
        &mut self,
        target: &TargetId,
        signal: &SignalName,
        points: &[(Timestamp, f64)],
        until: Timestamp,
    ) {
        let calendar = self.calendars.get(target).cloned();
        let Some(book) = self.book_mut(target, signal) else { return };
        if catch_unwind(AssertUnwindSafe(|| book.backfill(points, until))).is_err() {
            error!(target_id = %target, %signal, "a forecaster failed on the past; it begins anew");
            book.begin_anew(calendar);
        }
    }

    /// The past of one signal has been read.
    pub(super) fn end_past(
        &mut self,
        documents: &Documents,
        policy: &ScalingPolicy,
        signal: &SignalName,
    ) {
        if !self.is_about(documents) {
            return;
        }
        for target in documents.targets_of(&policy.id) {
            if let Some(book) = self.book_mut(&target.id, signal) {
                book.end_past();
            }
        }
    }

    /// Takes up one series that was kept; false when it is not wanted any more.
    pub(super) fn recall(
        &mut self,
        now: Timestamp,
        target: &TargetId,
        signal: &SignalName,
        recalled: RecalledBook,
    ) -> bool {
        let calendar = self.calendars.get(target).cloned();
        self.book_mut(target, signal).is_some_and(|it| it.recall(now, recalled, calendar))
    }

    /// A series wants to be fitted.
    #[cfg(test)]
    pub(super) fn queue(&mut self, turn: Turn) {
        self.turns.insert(turn);
    }

    /// The next series to fit, with all that the fit needs.
    pub(super) fn next_refit(&mut self) -> Option<(Turn, RefitTask)> {
        while let Some(turn) = self.turns.pop_first() {
            if let Some(book) = self.book_mut(&turn.target, &turn.signal) {
                let task = book.refit_task();
                return Some((turn, task));
            }
        }
        None
    }

    /// A refit ended; `None` when it failed.
    pub(super) fn refitted(&mut self, turn: &Turn, found: Option<Refit>) {
        let now = self.now.unwrap_or(Timestamp::MIN);
        if let Some(book) = self.book_mut(&turn.target, &turn.signal) {
            book.refitted(now, found);
        }
    }

    /// Series that wait for a refit.
    pub(super) fn n_turns(&self) -> usize {
        self.turns.len()
    }

    /// All series, by target.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TargetId, &Book)> {
        self.by_target.iter().flat_map(|(target, books)| books.iter().map(move |it| (target, it)))
    }

    /// One series.
    pub(super) fn book(&self, target: &TargetId, signal: &SignalName) -> Option<&Book> {
        self.by_target.get(target)?.iter().find(|it| it.signal == *signal)
    }

    fn book_mut(&mut self, target: &TargetId, signal: &SignalName) -> Option<&mut Book> {
        self.by_target.get_mut(target)?.iter_mut().find(|it| it.signal == *signal)
    }
}

/// What came of some readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Series that are to be fitted since now.
    pub(super) n_due: usize,
    /// Forecasters that failed and begin anew.
    pub(super) n_lost: u64,
}

fn is_load(signal: &Signal) -> bool {
    matches!(signal.rule, Rule::ValuePerUnit { .. })
}

fn begin(target: &TargetId, signal: &Signal, meaning: Meaning) -> Option<Book> {
    let fraction = fraction_of(target, &signal.name);
    match Book::new(signal.name.clone(), fraction, meaning) {
        Ok(book) => Some(book),
        Err(error) => {
            warn!(target_id = %target, signal = %signal.name, %error, "no forecast is made");
            None
        }
    }
}

/// A number in `[0, 1)` that follows from the name of a series: FNV-1a (Fowler,
/// Noll, Vo), 64 bit, of which the upper half is used.
fn fraction_of(target: &TargetId, signal: &SignalName) -> f64 {
    let bytes = target.as_str().bytes().chain([b'/']).chain(signal.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let upper = u32::try_from(hash >> 32).unwrap_or(0);
    f64::from(upper) / (f64::from(u32::MAX) + 1.0)
}
