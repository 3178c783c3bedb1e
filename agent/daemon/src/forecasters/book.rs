//! The forecaster of one series, with all that the shell knows about it.
//!
//! **In:** readings, points from before the start, what the core says, refits.
//! **Out:** outlooks, and whether a refit shall be made now.
//! **Not here:** the models (`evenkeel_forecast::live`), when a refit is made
//! ([`super::schedule`]), whose turn it is among many ([`super::books`]), threads
//! ([`super::refits`]).

use std::collections::VecDeque;
use std::sync::Arc;

use evenkeel_core::documents::{Calendar, Foresight, Signal};
use evenkeel_core::ids::SignalName;
use evenkeel_core::outlook::{Outlook, Standing};
use evenkeel_core::quality::{Reading, SignalReading};
use evenkeel_forecast::live::{Forecaster, Refit, RefitTask, Settings, SettingsError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::schedule::Refits;

/// Live values that wait while the past is read.
///
/// Why 256: an hour at a 15 s period, longer than two weeks of 10,000 series take.
const LATE_MAX: usize = 256;

/// A gap since the last known value that is filled from the past after a restart.
///
/// Why 10 min: two steps of the grid; a shorter one is a gap like any other.
const GAP_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What the numbers of a series mean. A forecaster of another meaning is of no use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Meaning {
    query: String,
    seasons: Option<Vec<SignedDuration>>,
    time_zone: String,
}

impl Meaning {
    pub(super) fn of(signal: &Signal, foresight: &Foresight) -> Meaning {
        Meaning {
            query: signal.query.clone(),
            seasons: foresight.seasons.clone(),
            time_zone: foresight.time_zone.clone(),
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            seasons: self.seasons.clone(),
            time_zone: self.time_zone.clone(),
            ..Settings::default()
        }
    }
}

/// Where the past of a series comes from at the moment.
#[derive(Clone, Debug)]
enum Past {
    /// It is to be read, or being read; live values wait meanwhile.
    Wanted { late: VecDeque<(Timestamp, f64)> },
    /// It was read, or need not be.
    Known,
}

/// One series.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) signal: SignalName,
    /// In `[0, 1)`, from the name of the series: its place in whatever is spread.
    fraction: f64,
    meaning: Meaning,
    forecaster: Forecaster,
    lead_time: Option<SignedDuration>,
    past: Past,
    n_backfilled: usize,
    /// When the newest value that was taken in was sampled.
    newest: Option<Timestamp>,
    outlook: Option<Arc<Outlook>>,
    refits: Refits,
    /// A refit that ended and is adopted with the next reading.
    found: Option<Refit>,
    /// What `newest` was when a refit was asked for last.
    newest_asked: Option<Timestamp>,
}

/// What of a series survives a restart.
#[derive(Debug, Serialize)]
pub(super) struct KeptBook<'a> {
    meaning: &'a Meaning,
    forecaster: &'a Forecaster,
    n_backfilled: usize,
    newest: Option<Timestamp>,
    fitted_at: Option<Timestamp>,
}

/// A [`KeptBook`] as it is read back.
#[derive(Debug, Deserialize)]
pub(super) struct RecalledBook {
    meaning: Meaning,
    forecaster: Forecaster,
    n_backfilled: usize,
    newest: Option<Timestamp>,
    fitted_at: Option<Timestamp>,
}

impl Book {
    /// A series of which nothing is known yet.
    ///
    /// # Errors
    ///
    /// When the document asks for what no forecaster can do.
    pub(super) fn new(
        signal: SignalName,
        fraction: f64,
        meaning: Meaning,
    ) -> Result<Book, SettingsError> {
        let forecaster = Forecaster::new(meaning.settings())?;
        Ok(Book {
            signal,
            fraction,
            meaning,
            forecaster,
            lead_time: None,
            past: Past::Wanted { late: VecDeque::new() },
            n_backfilled: 0,
            newest: None,
            outlook: None,
            refits: Refits::default(),
            found: None,
            newest_asked: None,
        })
    }

    pub(super) fn means(&self, meaning: &Meaning) -> bool {
        self.meaning == *meaning
    }

    pub(super) fn set_calendar(&mut self, calendar: Option<Arc<Calendar>>) {
        self.forecaster.set_calendar(calendar);
    }

    pub(super) fn set_lead_time(&mut self, lead_time: Option<SignedDuration>) {
        if let Some(it) = lead_time.filter(|_| self.lead_time != lead_time) {
            self.lead_time = lead_time;
            self.forecaster.set_lead_time(it);
        }
    }

    /// Takes in one reading and adds the outlook to it. `is_doubted` is what the
    /// core said of the reading before.
    pub(super) fn take_in(
        &mut self,
        now: Timestamp,
        reading: &mut SignalReading,
        is_doubted: bool,
    ) {
        if let Some(refit) = self.found.take() {
            self.forecaster.adopt(refit);
        }
        match reading.reading {
            Reading::Value { value, sampled_at, doubt: None } if !is_doubted => {
                self.hear(sampled_at, value);
            }
            Reading::Value { .. } | Reading::Missing(_) => self.forecaster.miss(now),
        }
        self.outlook = self.forecaster.outlook(now).map(Arc::new);
        reading.outlook = self.outlook.clone();
    }

    fn hear(&mut self, sampled_at: Timestamp, value: f64) {
        // A sample that is read twice is one sample.
        if self.newest.is_some_and(|it| sampled_at <= it) {
            return;
        }
        match &mut self.past {
            Past::Wanted { late } => {
                if LATE_MAX <= late.len() {
                    late.pop_front();
                }
                if late.back().is_none_or(|it| it.0 < sampled_at) {
                    late.push_back((sampled_at, value));
                }
            }
            Past::Known => {
                self.newest = Some(sampled_at);
                self.forecaster.update(sampled_at, value);
            }
        }
    }

    /// The past is read from here on. A series that never had any begins anew.
    pub(super) fn begin_past(&mut self, calendar: Option<Arc<Calendar>>) {
        if matches!(self.past, Past::Known) && self.n_backfilled == 0 {
            self.begin_anew(calendar);
        }
    }

    /// Forgets everything; the past is wanted again.
    pub(super) fn begin_anew(&mut self, calendar: Option<Arc<Calendar>>) {
        // The same settings made a forecaster before.
        if let Ok(mut anew) = Book::new(self.signal.clone(), self.fraction, self.meaning.clone()) {
            anew.set_calendar(calendar);
            anew.set_lead_time(self.lead_time);
            *self = anew;
        }
    }

    /// Takes in a part of the past, oldest first; all of it ends at `until`.
    pub(super) fn backfill(&mut self, points: &[(Timestamp, f64)], until: Timestamp) {
        if let Past::Wanted { .. } = self.past {
            let newest = self.newest;
            let further = points.iter().filter(|it| newest.is_none_or(|newest| newest < it.0));
            let mut n_points = 0;
            self.forecaster.backfill(further.copied().inspect(|_| n_points += 1), until);
            self.n_backfilled += n_points;
            self.newest = self.newest.max(points.iter().map(|it| it.0).max());
        }
    }

    /// The past has been read, as far as it could be.
    pub(super) fn end_past(&mut self) {
        if let Past::Wanted { late } = std::mem::replace(&mut self.past, Past::Known) {
            for (at, value) in late {
                self.hear(at, value);
            }
        }
    }

    /// What of it survives a restart.
    pub(super) fn kept(&self) -> KeptBook<'_> {
        KeptBook {
            meaning: &self.meaning,
            forecaster: &self.forecaster,
            n_backfilled: self.n_backfilled,
            newest: self.newest,
            fitted_at: self.refits.fitted_at(),
        }
    }

    /// Takes up what was kept before a restart; false when it means something else
    /// or comes too late.
    pub(super) fn recall(
        &mut self,
        now: Timestamp,
        recalled: RecalledBook,
        calendar: Option<Arc<Calendar>>,
    ) -> bool {
        let RecalledBook { meaning, forecaster, n_backfilled, newest, fitted_at } = recalled;
        if self.meaning != meaning || 0 < self.n_backfilled {
            return false;
        }
        self.forecaster = forecaster;
        self.forecaster.set_calendar(calendar);
        if let Some(it) = self.lead_time {
            self.forecaster.set_lead_time(it);
        }
        (self.n_backfilled, self.newest) = (n_backfilled, newest);
        self.refits = Refits::last_at(fitted_at);
        // A longer gap is filled from the past first.
        if newest.is_some_and(|it| now.duration_since(it) <= GAP_MAX) {
            self.end_past();
        }
        true
    }

    /// Whether a refit shall be asked for now; if so it counts as asked for.
    pub(super) fn wants_refit(&mut self, now: Timestamp) -> bool {
        // A series that stands still has nothing to fit anew.
        let is_due = matches!(self.past, Past::Known)
            && self.newest_asked < self.newest
            && self.forecaster.refit_due(now);
        let is_asked = self.refits.ask(now, is_due, self.fraction);
        if is_asked {
            self.newest_asked = self.newest;
        }
        is_asked
    }

    /// When it was fitted last; what was never fitted comes first.
    pub(super) fn fitted_at(&self) -> Option<Timestamp> {
        self.refits.fitted_at()
    }

    pub(super) fn refit_task(&self) -> RefitTask {
        self.forecaster.refit_task()
    }

    /// A refit ended; it is adopted with the next reading. `None`: it failed.
    pub(super) fn refitted(&mut self, now: Timestamp, found: Option<Refit>) {
        // One that nobody waits for is about what was forgotten meanwhile.
        if self.refits.end(now, found.is_some()) {
            self.found = found;
        }
    }

    /// The newest outlook; `None` before the first value.
    pub(super) fn outlook(&self) -> Option<&Arc<Outlook>> {
        self.outlook.as_ref()
    }

    /// Whether it may drive capacity, and if not, why.
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        match &self.outlook {
            Some(outlook) => outlook.standing.clone(),
            None => self.forecaster.standing(now),
        }
    }

    /// Points of the past that it began with.
    #[cfg(test)]
    pub(super) fn n_backfilled(&self) -> usize {
        self.n_backfilled
    }

    /// When the newest value that was taken in was sampled.
    #[cfg(test)]
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The forecaster itself, to be read.
    pub(super) fn forecaster(&self) -> &Forecaster {
        &self.forecaster
    }
}
