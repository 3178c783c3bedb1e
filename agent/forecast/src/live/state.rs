//! The state of a live forecaster and what moves it.
//!
//! **In:** values and misses, in order.
//! **Out:** [`Outlook`]s.
//! **Not here:** the public face and its settings ([`crate::live`]), the horizon of
//! days ([`super::horizon`]).

use std::sync::Arc;

use evenkeel_core::documents::{Calendar, Event};
use evenkeel_core::outlook::{AHEAD_MAX, Abstention, LEVELS, N_LEVELS};
use evenkeel_core::outlook::{Lead as OutlookLead, Outlook, Standing};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::audit::{Audit, Errors};
use super::lead::{DayErrors, Lead, Promise};
use super::past::{Pace, Past};
use super::spread::Shape;
use crate::calendar::Uplifts;

/// Look-aheads with a regression of their own, in minutes.
///
/// Why these: lead times are minutes, so they are dense there; between them
/// quantiles are interpolated. Each costs 1.2 KB and about a microsecond per value.
const LEAD_MINUTES: [i64; 8] = [1, 2, 3, 5, 10, 20, 40, 60];

/// Look-aheads up to these minutes share the shape of their errors.
const SHAPE_MINUTES: [i64; 3] = [3, 10, i64::MAX];

/// What remains of a shape: e-fold in minutes. Why 8,000: five days and a half, so
/// that the 99.9% quantile has seen eight errors.
const SHAPE_MINUTES_KEPT: i64 = 8_000;

/// Between two solutions of one regression, in slots.
const SOLVED_EVERY: i64 = 64;

/// A value is too old to forecast from after this many fast slots (and 2 min).
const STALE_SLOTS: i64 = 3;

/// The newest value, which the next one may replace within its slot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Newest {
    at: Timestamp,
    slot: i64,
    value: f64,
    is_taken: bool,
}

/// Everything that survives a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub(crate) zone: TimeZone,
    #[serde(skip)]
    pub(crate) calendar: Option<Arc<Calendar>>,
    pub(crate) lead_time: SignedDuration,
    pub(crate) past: Past,
    leads: Vec<Lead>,
    shapes: Vec<Shape>,
    day_errors: Vec<DayErrors>,
    audit: Audit,
    pub(crate) uplifts: Uplifts,
    /// Events from the last hour to the next [`EVENTS_AHEAD`].
    #[serde(skip)]
    events: Vec<Event>,
    #[serde(skip)]
    events_until: Option<Timestamp>,
    newest: Option<Newest>,
}

impl State {
    pub(crate) fn new(pace: Pace, zone: TimeZone, lead_time: SignedDuration) -> State {
        let mut aheads: Vec<i64> = LEAD_MINUTES.iter().map(|it| pace.whole_slots(*it)).collect();
        aheads.dedup();
        State {
            zone,
            calendar: None,
            lead_time,
            past: Past::new(pace),
            leads: aheads.into_iter().map(Lead::new).collect(),
            shapes: vec![Shape::new(); SHAPE_MINUTES.len()],
            day_errors: vec![DayErrors::new(); SHAPE_MINUTES.len()],
            audit: Audit::new(),
            uplifts: Uplifts::default(),
            events: Vec::new(),
            events_until: None,
            newest: None,
        }
    }

    /// Whether what was read back can be worked with.
    pub(crate) fn is_sound(&self) -> bool {
        self.past.is_sound()
            && !self.leads.is_empty()
            && self.leads.iter().all(Lead::is_sound)
            && self.shapes.len() == SHAPE_MINUTES.len()
            && self.shapes.iter().all(Shape::is_sound)
            && self.day_errors.len() == SHAPE_MINUTES.len()
            && self.day_errors.iter().all(DayErrors::is_sound)
    }

    /// `false` for a value that is older than what is known. Without `is_learned` it is
    /// only remembered.
    pub(crate) fn update(&mut self, at: Timestamp, value: f64, is_learned: bool) -> bool {
        let slot = self.past.pace.fast_slot(at);
        if let Some(newest) = self.newest {
            if slot < newest.slot || at < newest.at || (slot == newest.slot && newest.is_taken) {
                return false;
            }
            if newest.slot < slot {
                self.close(is_learned);
            }
        }
        self.newest = Some(Newest { at, slot, value, is_taken: false });
        true
    }

    /// What was open is over; nothing is known of the time since.
    pub(crate) fn miss(&mut self, at: Timestamp, is_learned: bool) {
        let slot = self.past.pace.fast_slot(at);
        if self.newest.is_some_and(|it| it.slot < slot) {
            self.close(is_learned);
        }
    }

    fn close(&mut self, is_learned: bool) {
        let Some(newest) = &mut self.newest else { return };
        if newest.is_taken {
            return;
        }
        newest.is_taken = true;
        let Newest { slot, value, at, .. } = *newest;
        self.look_up_events(at);
        let uplift = self.uplift(at);
        if is_learned {
            self.learn(slot, value);
        }
        let mut without = value / uplift;
        if self.calendar.is_some() {
            let usual = self.past.usual(slot);
            self.uplifts.observe(&self.events, at, value, usual);
            // Without anything to compare to, an event must not become the season.
            if usual.is_nan() && !(0.999..1.001).contains(&uplift) {
                without = f64::NAN;
            }
        }
        self.past.take(slot, value, without, &self.zone);
        if is_learned {
            self.promise(slot, at, uplift);
            self.solve(slot);
        }
    }

    fn learn(&mut self, slot: i64, value: f64) {
        let judged = self.judged();
        let season_ratio = self
            .leads
            .iter()
            .skip(judged + 1)
            .map(Lead::season_ratio)
            .fold(f64::INFINITY, f64::min);
        let per_minute = self.past.pace.slots(1).max(60.0 / to_f64(self.past.pace.fast));
        let Some(first) = self.past.newest() else { return };
        if slot <= first {
            return;
        }
        let there = self.past.around(slot);
        for (i, lead) in self.leads.iter_mut().enumerate() {
            let part = self.past.day_share(slot - lead.ahead);
            let group = group_of(lead.ahead, self.past.pace);
            let Some(day_errors) = self.day_errors.get_mut(group) else { continue };
            let day_error = day_errors.get(part);
            let Some(known) = lead.learn(slot, value, &self.past, &there, day_error) else {
                continue;
            };
            let Promise { middle, scale } = known.promise;
            let z = known.error / scale;
            let per_day = self.past.pace.slots(1_440) * LEADS_PER_GROUP;
            day_errors.learn(part, known.error.abs().min(8.0 * scale), per_day);
            if i == judged {
                let inside = self.shapes.get(group).map(|it| it.quantiles_at(INSIDE));
                let is_inside = inside.is_some_and(|[low, high]| (low..=high).contains(&z));
                let yesterday = self.past.value(slot - self.past.day(1));
                self.audit.learn(
                    Errors {
                        forecast: (value - middle).abs(),
                        persistence: (value - known.base).abs(),
                        seasonal: (value - yesterday).abs(),
                        load: value,
                        is_inside,
                        season_ratio,
                    },
                    per_minute,
                );
            }
            if let Some(shape) = self.shapes.get_mut(group) {
                let kept = self.past.pace.slots(SHAPE_MINUTES_KEPT) * LEADS_PER_GROUP;
                shape.learn(z, 1.0 - 1.0 / kept);
            }
        }
    }

    fn promise(&mut self, slot: i64, at: Timestamp, uplift: f64) {
        let value = self.past.value(slot);
        let Some(moment) = self.past.moment(slot).filter(|_| !value.is_nan()) else { return };
        let here = self.past.around(slot);
        let part = self.past.day_share(slot);
        for lead in &mut self.leads {
            // What an event does within the look-ahead is not the season's doing.
            let ahead = SignedDuration::from_secs(lead.ahead * self.past.pace.fast);
            let then = at.checked_add(ahead).unwrap_or(Timestamp::MAX);
            let is_alike = match &self.calendar {
                Some(calendar) => {
                    (self.uplifts.ratio(&self.events, then) - uplift).abs() < 1e-6
                        && !calendar.is_masked(then)
                }
                None => true,
            };
            if !is_alike {
                continue;
            }
            let there = self.past.around(slot + lead.ahead);
            let row = self.past.row((moment, value), &here, &there, lead.spike_from());
            let group = group_of(lead.ahead, self.past.pace);
            let day_error = self.day_errors.get(group).map_or(f64::NAN, |it| it.get(part));
            let promise = lead.promise(&row, day_error, self.past.level);
            lead.remember(slot, promise);
        }
    }

    fn solve(&mut self, slot: i64) {
        for (i, lead) in (0..).zip(&mut self.leads) {
            if (slot + i * SOLVED_EVERY / 8).rem_euclid(SOLVED_EVERY) == 0 && 0 < lead.n_errors() {
                lead.solve();
            }
        }
    }

    /// When the newest value was.
    pub(crate) fn newest_at(&self) -> Option<Timestamp> {
        self.newest.map(|it| it.at)
    }

    fn uplift(&self, at: Timestamp) -> f64 {
        self.uplifts.ratio(&self.events, at)
    }

    /// Exchanges the calendar.
    pub(crate) fn set_calendar(&mut self, calendar: Option<Arc<Calendar>>) {
        self.calendar = calendar;
        self.events.clear();
        self.events_until = None;
        if let Some(newest) = self.newest {
            self.look_up_events(newest.at);
        }
    }

    /// Looks up the events around `at`, once an hour.
    fn look_up_events(&mut self, at: Timestamp) {
        let Some(calendar) = &self.calendar else { return };
        if self.events_until.is_some_and(|it| at < it) {
            return;
        }
        let from = at.checked_sub(EVENTS_BEFORE).unwrap_or(Timestamp::MIN);
        let until = at.checked_add(EVENTS_AHEAD).unwrap_or(Timestamp::MAX);
        self.events = calendar.occurrences(from, until);
        self.events.truncate(EVENTS_MAX);
        self.events_until = Some(at.checked_add(EVENTS_BEFORE).unwrap_or(Timestamp::MAX));
    }

    /// The look-ahead that the standing is about: the first that reaches the lead time.
    fn judged(&self) -> usize {
        let wanted = self.lead_time.as_secs();
        let reaches = |it: &Lead| wanted <= it.ahead * self.past.pace.fast;
        self.leads.iter().position(reaches).unwrap_or(self.leads.len().saturating_sub(1))
    }

    pub(crate) fn outlook(&self, now: Timestamp) -> Option<Outlook> {
        let newest = self.newest?;
        let slot_at = Timestamp::from_second(newest.slot.saturating_mul(self.past.pace.fast));
        let age = now.duration_since(slot_at.unwrap_or(newest.at));
        let uplift = self.uplift(newest.at);
        let mut shapes = [[0.0; N_LEVELS]; SHAPE_MINUTES.len()];
        for (to, shape) in shapes.iter_mut().zip(&self.shapes) {
            *to = shape.quantiles_at(LEVELS);
        }
        let mut leads = Vec::with_capacity(1 + self.leads.len());
        leads.push(lead_of(SignedDuration::ZERO, [newest.value; N_LEVELS]));
        let from = if newest.is_taken {
            self.past.moment(newest.slot).zip(Some(self.past.value(newest.slot)))
        } else {
            Some((self.past.moment_if(newest.value), newest.value))
        };
        let from = from.filter(|it| !it.1.is_nan());
        let here = self.past.around(newest.slot);
        let part = self.past.day_share(newest.slot);
        for lead in &self.leads {
            let ahead = SignedDuration::from_secs(lead.ahead * self.past.pace.fast) - age;
            if ahead <= SignedDuration::ZERO {
                continue;
            }
            if AHEAD_MAX < ahead && 1 < leads.len() {
                break;
            }
            let Some(from) = from else { continue };
            let there = self.past.around(newest.slot + lead.ahead);
            let row = self.past.row(from, &here, &there, lead.spike_from());
            let group = group_of(lead.ahead, self.past.pace);
            let day_error = self.day_errors.get(group).map_or(f64::NAN, |it| it.get(part));
            let Promise { middle, scale } = lead.promise(&row, day_error, self.past.level);
            let then = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
            let factor = self.uplift(then) / uplift;
            let mut quantiles = [0.0; N_LEVELS];
            if let Some(shape) = shapes.get(group) {
                for (to, z) in quantiles.iter_mut().zip(shape) {
                    *to = (middle + scale * z).max(0.0) * factor;
                }
            }
            leads.push(lead_of(ahead, quantiles));
        }
        let ratios = self.audit.error_ratios();
        Some(Outlook {
            made_at: now,
            standing: self.standing(now),
            model: MODEL.to_owned(),
            recent_error_ratio: ratios.map(|it| it.0),
            baseline_error_ratio: ratios.map(|it| it.1),
            coverage_ratio: self.audit.coverage(),
            leads,
        })
    }

    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let Some(newest) = self.newest else {
            return Standing::Abstaining { why: Abstention::NotFitted };
        };
        let age = now.duration_since(newest.at);
        if SignedDuration::from_secs(STALE_SLOTS * self.past.pace.fast).max(STALE_MIN) < age {
            let why = Abstention::Stale { age_seconds: age.as_secs_f64() };
            return Standing::Abstaining { why };
        }
        self.audit.standing()
    }

    pub(crate) fn season_ratios(&self) -> Vec<f64> {
        self.leads.iter().map(Lead::season_ratio).collect()
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.past.heap_bytes()
            + self.leads.iter().map(Lead::heap_bytes).sum::<usize>()
            + self.leads.capacity() * size_of::<Lead>()
            + self.shapes.iter().map(Shape::heap_bytes).sum::<usize>()
            + self.day_errors.iter().map(DayErrors::heap_bytes).sum::<usize>()
    }
}

/// Events are looked up this far ahead: the longest horizon, and an hour.
const EVENTS_AHEAD: SignedDuration = SignedDuration::from_hours(49);
const EVENTS_BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// Most events at once. Why 256: two days in which one begins every eleven minutes.
const EVENTS_MAX: usize = 256;

/// What the middle of an outlook is made by.
const MODEL: &str = "seasonal-regression";

const STALE_MIN: SignedDuration = SignedDuration::from_mins(2);

/// Between these levels is the 95% interval whose coverage is watched.
const INSIDE: [f64; 2] = [LEVELS[0], LEVELS[N_LEVELS - 4]];

/// Look-aheads that share a shape, about.
const LEADS_PER_GROUP: f64 = 2.7;

fn group_of(ahead: i64, pace: Pace) -> usize {
    SHAPE_MINUTES
        .iter()
        .position(|minutes| *minutes == i64::MAX || ahead <= pace.whole_slots(*minutes))
        .unwrap_or_default()
}

fn lead_of(ahead: SignedDuration, quantiles: [f64; N_LEVELS]) -> OutlookLead {
    let mut lead = OutlookLead { ahead, quantiles: [0.0; LEVELS.len()] };
    let mut highest = 0.0_f32;
    for (to, from) in lead.quantiles.iter_mut().zip(quantiles) {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits; clamped to finite")]
        let from = from.clamp(0.0, f64::from(f32::MAX)) as f32;
        highest = highest.max(from);
        *to = highest;
    }
    lead
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a step")]
fn to_f64(seconds: i64) -> f64 {
    seconds as f64
}
