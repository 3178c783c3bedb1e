//! The live forecaster of one series: recursive between refits, calibrated from
//! its own errors, silent where it has nothing to add.
//!
//! **In:** observations as they come, the past, a calendar, and refits made elsewhere.
//! **Out:** [`evenkeel_core::outlook::Outlook`] for the next hour, a seasonal
//! expectation for the next two days, and how good both have been.
//! **Not here:** what capacity follows (`evenkeel_core::plan_ahead`), forecasts of
//! files ([`crate::batch`]).
//!
//! Two grids: the last day by the minute, because demand is judged by single values
//! and a lead time is minutes, and nine days by the `step`, 5 min where nobody says
//! otherwise, for the seasons. That is 33 KB per series. Several observations within
//! a minute: the newest stands for it, so that the noise of single values is learned
//! and not that of their mean.
//!
//! Per look-ahead (1, 2, 3, 5, 10, 20, 40 and 60 min) one forgetting ridge regression
//! of the change of load on short means and on what the load did at the same local
//! time before; one of the size of its error on recent errors, time of day and level;
//! and, for all of similar look-ahead, a forgetting histogram of error / size, whose
//! quantiles are the interval.
//!
//! Against season lengths other than a day, a week and an hour the next hour is
//! blind; [`Settings::seasons`] are used by [`Forecaster::horizon`] only.

mod audit;
mod horizon;
mod lead;
mod past;
mod regress;
mod ring;
mod spread;
mod state;

use std::sync::Arc;

use evenkeel_core::documents::Calendar;
use evenkeel_core::outlook::{Outlook, Standing};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Series;
use horizon::Hours;
use past::Pace;
use state::State;

/// What a forecaster is told about its series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Grid of the past, 10 s to 1 h; 5 min where nobody says otherwise.
    pub step: SignedDuration,
    /// Season lengths, ascending; `None` detects them.
    pub seasons: Option<Vec<SignedDuration>>,
    /// IANA name of the time zone whose clock the load follows, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Events whose uplift is learned, and incidents that are masked.
    #[serde(skip)]
    pub calendar: Option<Arc<Calendar>>,
    /// The look-ahead that matters most: the lead time of the target.
    pub lead_time: SignedDuration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            step: SignedDuration::from_mins(5),
            seasons: None,
            time_zone: "UTC".to_owned(),
            calendar: None,
            lead_time: SignedDuration::from_mins(5),
        }
    }
}

/// Settings that no forecaster can be made from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// `step` outside 10 s to 1 h.
    #[error("a step of {seconds} s is not between 10 s and 3600 s; use for example `5m`")]
    Step { seconds: i64 },
    /// Not in the time zone database.
    #[error("`{name}` is not a time zone; use an IANA name such as `Europe/Berlin`")]
    TimeZone { name: String },
    /// A season shorter than two steps or longer than 8 days.
    #[error("a season of {seconds} s is not between 2 steps and 8 days; use for example `24h`")]
    Season { seconds: i64 },
}

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Taken in.
    Taken,
    /// Inside an incident of the calendar: kept out of training.
    Masked,
    /// Not finite, negative, or older than what is known.
    Ignored,
}

/// One step of the seasonal expectation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Start of the step.
    pub at: Timestamp,
    /// What is expected, in the signal's unit.
    pub middle: f64,
    /// 2.5% quantile.
    pub low: f64,
    /// 97.5% quantile.
    pub high: f64,
}

/// The live forecaster of one series. Its state survives being written and read
/// back, except for the calendar, which comes from the documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Forecaster {
    settings: Settings,
    state: State,
    hours: Option<Hours>,
    fitted_at: Option<Timestamp>,
}

/// What a [`Forecaster`] is written as.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    settings: Settings,
    state: State,
    hours: Option<Hours>,
    fitted_at: Option<Timestamp>,
}

impl From<Forecaster> for Stored {
    fn from(it: Forecaster) -> Stored {
        let Forecaster { settings, state, hours, fitted_at } = it;
        Stored { settings, state, hours, fitted_at }
    }
}

/// A state of another version, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored forecaster does not have the shape of this version; start it anew from the past")]
pub struct UnsoundError;

impl TryFrom<Stored> for Forecaster {
    type Error = UnsoundError;

    fn try_from(it: Stored) -> Result<Forecaster, UnsoundError> {
        let Stored { settings, state, hours, fitted_at } = it;
        let is_sound =
            state.is_sound() && hours.as_ref().is_none_or(|it| it.values.len() <= horizon::HOURS);
        is_sound.then_some(Forecaster { settings, state, hours, fitted_at }).ok_or(UnsoundError)
    }
}

/// A fit that is due: owns what it needs, so that it can run on any thread.
#[derive(Clone, Debug)]
pub struct RefitTask {
    made_at: Option<Timestamp>,
    series: Option<Series>,
    seasons: Option<Vec<usize>>,
}

/// What a fit has found.
#[derive(Clone, Debug)]
pub struct Refit {
    made_at: Option<Timestamp>,
    hours: Option<Hours>,
    members_dropped: Vec<&'static str>,
}

impl Refit {
    /// Members of the ensemble that have no part in it: they failed, do not apply to
    /// this series, or were far off. Names as in [`crate::batch::MemberReport`].
    pub fn members_dropped(&self) -> &[&'static str] {
        &self.members_dropped
    }
}

impl RefitTask {
    /// Runs the batch ensemble over the past. Deterministic.
    pub fn run(self) -> Refit {
        horizon::run(self)
    }
}

impl Forecaster {
    /// A forecaster that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], one per setting.
    pub fn new(settings: Settings) -> Result<Forecaster, SettingsError> {
        let step = settings.step.as_secs();
        if !(10..=3_600).contains(&step) {
            return Err(SettingsError::Step { seconds: step });
        }
        for season in settings.seasons.iter().flatten() {
            if !(2 * step..=8 * 86_400).contains(&season.as_secs()) {
                return Err(SettingsError::Season { seconds: season.as_secs() });
            }
        }
        let zone = TimeZone::get(&settings.time_zone)
            .map_err(|_| SettingsError::TimeZone { name: settings.time_zone.clone() })?;
        let pace = if step <= FAST_MAX_SECONDS {
            Pace { fast: step.min(60), slow: step.max(60) }
        } else {
            Pace { fast: step, slow: step }
        };
        let mut state = State::new(pace, zone, settings.lead_time);
        state.calendar.clone_from(&settings.calendar);
        Ok(Forecaster { settings, state, hours: None, fitted_at: None })
    }

    /// Takes in the past, oldest first, at any distance; before going live, in as many
    /// calls as it takes. Points that are not finite, negative or out of order are left
    /// out. `until` is when the past ends: what is older than [`LEARNED`] before it is
    /// remembered for the seasons, but no forecast is judged or learned from on it.
    pub fn backfill(
        &mut self,
        points: impl IntoIterator<Item = (Timestamp, f64)>,
        until: Timestamp,
    ) {
        let learned_from = until.checked_sub(LEARNED).unwrap_or(Timestamp::MIN);
        for (at, value) in points {
            self.take(at, value, learned_from <= at);
        }
    }

    /// Takes in one observation. Several may fall into one fast step: the newest
    /// stands for it, because demand is judged by values, not by their mean.
    pub fn update(&mut self, at: Timestamp, value: f64) -> Updated {
        self.take(at, value, true)
    }

    fn take(&mut self, at: Timestamp, value: f64, is_learned: bool) -> Updated {
        if !(value.is_finite() && (0.0..=LOAD_MAX).contains(&value)) {
            self.state.miss(at, is_learned);
            return Updated::Ignored;
        }
        if self.state.calendar.as_ref().is_some_and(|it| it.is_masked(at)) {
            self.state.miss(at, is_learned);
            return Updated::Masked;
        }
        if self.state.update(at, value, is_learned) { Updated::Taken } else { Updated::Ignored }
    }

    /// Notes that the value at `at` is missing or suspect: nothing is learned from it.
    pub fn miss(&mut self, at: Timestamp) {
        self.state.miss(at, true);
    }

    /// Exchanges the calendar.
    pub fn set_calendar(&mut self, calendar: Option<Arc<Calendar>>) {
        self.state.set_calendar(calendar.clone());
        self.settings.calendar = calendar;
    }

    /// Exchanges the lead time, as it is measured anew.
    pub fn set_lead_time(&mut self, lead_time: SignedDuration) {
        self.settings.lead_time = lead_time;
        self.state.lead_time = lead_time;
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Is it time for [`Forecaster::refit_task`]? The next hour needs no refit: its
    /// regressions are solved as they learn. The two days of
    /// [`Forecaster::horizon`] are fitted every six hours.
    pub fn refit_due(&self, now: Timestamp) -> bool {
        let has_past = self.state.past.slow.newest().is_some();
        has_past && self.fitted_at.is_none_or(|it| horizon::REFIT_EVERY <= now.duration_since(it))
    }

    /// What a refit needs, owned: 10 KB times two.
    pub fn refit_task(&self) -> RefitTask {
        let made_at = self.state.newest_at();
        horizon::task(&self.state.past, self.settings.seasons.as_deref(), made_at)
    }

    /// Takes in what a refit found.
    pub fn adopt(&mut self, refit: Refit) {
        self.fitted_at = refit.made_at;
        self.hours = refit.hours;
    }

    /// [`Forecaster::refit_task`], run and adopted here and now.
    pub fn refit(&mut self) {
        let refit = self.refit_task().run();
        self.adopt(refit);
    }

    /// Quantiles for the next hour; `None` before the first observation.
    pub fn outlook(&self, now: Timestamp) -> Option<Outlook> {
        self.state.outlook(now)
    }

    /// The expectation at every step of the past's grid from `now`, for at most 48 h:
    /// of the newest fit, and beyond it as at the same local time on the days before.
    /// Steps without any past to go by are left out.
    pub fn horizon(&self, now: Timestamp, horizon: SignedDuration) -> Vec<Expected> {
        let State { past, zone, .. } = &self.state;
        horizon::expected(past, self.hours.as_ref(), zone, now, horizon)
    }

    /// Whether it may drive capacity, and if not, why.
    pub fn standing(&self, now: Timestamp) -> Standing {
        self.state.standing(now)
    }

    /// Mean absolute error at the lead time / mean load over the last day: its own,
    /// and the best trivial forecast's. `None` before there was an error.
    pub fn error_ratios(&self) -> Option<(f64, f64)> {
        self.state.audit().error_ratios()
    }

    /// Share of values that were inside the 95% interval forecast for them at the
    /// lead time, over about a day; `None` before there was one.
    pub fn coverage_ratio(&self) -> Option<f64> {
        self.state.audit().coverage()
    }

    /// Per look-ahead, mean absolute error with the seasons / without them (or two
    /// thirds of persistence's), over three days; infinite before there was an error.
    pub fn season_ratios(&self) -> Vec<f64> {
        self.state.season_ratios()
    }

    /// Bytes held, for the bound on memory.
    pub fn bytes(&self) -> usize {
        let hours =
            self.hours.as_ref().map_or(0, |it| it.values.capacity() * size_of::<[f32; 3]>());
        size_of::<Forecaster>() + self.state.heap_bytes() + hours
    }
}

/// How much of a backfilled past forecasts are made, judged and learned from on.
///
/// Why 6 days: a day of errors at the lead time is what a promotion takes, which are
/// five days of points 5 min apart; the sixth is for those that are missing. The
/// standing at the end was that of living through all of two weeks on six of six
/// traces, and so was the error of the day after (2026-11-21).
pub const LEARNED: SignedDuration = SignedDuration::from_hours(6 * 24);

/// Steps up to this have a fast grid of a minute beside them.
///
/// Why 15 min: a longer step means that values come too rarely for a minute to matter.
const FAST_MAX_SECONDS: i64 = 900;

/// No load is larger. Why 1e15: its square, summed over days, still fits into an `f32`.
const LOAD_MAX: f64 = 1e15;
