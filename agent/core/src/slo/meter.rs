//! The meter of one objective: its slots, its slices, its budget.
//!
//! **In:** readings of its indicator.
//! **Out:** counts over any window, and over the SLO's own.
//! **Not here:** what alerts make of them ([`super::alert`]), composites
//! ([`super::standing`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ledger::{Bucket, DatedBucket, Ledger};
use super::ring::{Ring, SlotNumber, WindowCounts, slots_in};
use super::slices::{judge, slice_end, slots_per_slice};
use super::window::{Period, Window};
use super::{Counts, LOOKBACK_MAX, SLOT, SlotReading};
use crate::documents::{Budgeting, Objective, Slice, Slo};

/// What a reading changed.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The first and the last slot whose event may be another now.
    pub(super) slots: Option<(SlotNumber, SlotNumber)>,
    /// What was spent apart from events of slots: by gaps, and by what is long ago.
    pub(super) apart: Vec<(Timestamp, Counts)>,
}

/// Counts of one objective.
#[derive(Clone, Debug)]
pub struct Meter {
    /// What was read, slot by slot, as long as a late slot may change its slice. Only for
    /// slices of time.
    raw: Ring,
    /// What counts: for slices of time one event in their last slot, else what was read.
    events: Ring,
    slices: Option<(Slice, Budgeting)>,
    /// What gaps hid, by the slot in which they ended, as long as they may be read again.
    carried: BTreeMap<SlotNumber, Counts>,
    ledger: Ledger,
    window: Window,
    /// Slots up to here were in the ledger before this meter began.
    recalled_until: Option<Timestamp>,
}

impl Meter {
    /// A meter that has read nothing, for an objective of `slo`.
    pub fn of(slo: &Slo, objective: &Objective) -> Meter {
        let slices = objective.slice.map(|it| (it, slo.budgeting));
        // A late slot changes a slice only when all of the slice is still known.
        let of_raw = slices.map_or(SLOT, |(it, _)| it.width + LATE);
        Meter { raw: Ring::of(of_raw), slices, ..Meter::of_events(&slo.window) }
    }

    /// A meter of events that somebody else has judged ([`Meter::count`]).
    pub(super) fn of_events(window: &Window) -> Meter {
        Meter {
            raw: Ring::of(SLOT),
            events: Ring::of(LOOKBACK_MAX),
            slices: None,
            carried: BTreeMap::new(),
            ledger: Ledger::default(),
            window: window.clone(),
            recalled_until: None,
        }
    }

    /// The same meter with what was counted before a restart.
    #[must_use]
    pub fn recalling(self, mut ledger: Ledger) -> Meter {
        ledger.adopt(&self.window);
        let recalled_until = ledger.counted_until();
        Meter { ledger, recalled_until, ..self }
    }

    /// The same meter for another window of the SLO.
    #[must_use]
    pub fn with_window(mut self, window: &Window) -> Meter {
        self.window = window.clone();
        self.ledger.adopt(window);
        self
    }

    /// Takes in slots, oldest first; those of `step` wider than [`SLOT`] are long ago and
    /// only spend the budget. Slots before the newest may come again, see [`LATE`].
    pub fn observe(&mut self, now: Timestamp, step: SignedDuration, slots: &[SlotReading]) {
        self.observe_touching(now, step, slots);
    }

    /// As [`Meter::observe`]; what a composite must count anew.
    pub(super) fn observe_touching(
        &mut self,
        now: Timestamp,
        step: SignedDuration,
        slots: &[SlotReading],
    ) -> Touched {
        let mut touched = Touched::default();
        let newest_before = self.newest();
        for it in slots.iter().filter(|it| it.at <= now) {
            let slot = SlotNumber::over_at(it.at);
            if step == SLOT {
                touched.apart.extend(self.carry(slot, it).map(|change| (it.at, change)));
                self.observe_slot(slot, it.counts);
                let end = self.slices.map_or(slot, |(slice, _)| slice_end(&slice, slot));
                // The slice that was left open is judged when a later slot comes.
                let open = newest_before.unwrap_or(slot).min(slot);
                let begin =
                    self.slices.map_or(slot, |(slice, _)| slice_end(&slice, open).min(slot));
                let (first, last) = touched.slots.unwrap_or((begin, end));
                touched.slots = Some((first.min(begin), last.max(end)));
            } else if let Some(counts) = it.counts {
                let change = self.judged_coarsely(counts, step);
                self.spend(it.at, change, step.as_secs_f64());
                touched.apart.push((it.at, change));
            }
        }
        self.ledger.roll(&self.window, now);
        touched
    }

    /// What a gap hid is read again as long as the gap is read again: it counts once. When
    /// late samples fill the gap in part, what it hides is less than it was.
    fn carry(&mut self, slot: SlotNumber, reading: &SlotReading) -> Option<Counts> {
        let newest = self.newest();
        if newest.is_some_and(|it| slot < it.back(LATE_SLOTS)) {
            return None;
        }
        let before = self.carried.get(&slot).copied();
        let after = match (reading.carried, before) {
            // A gap that was not there when its end was read first: the samples before it
            // were taken away. What was counted stays.
            (Some(_), None) if newest.is_some_and(|it| slot <= it) => return None,
            (Some(carried), _) => self.carried_events(slot, carried),
            // Its end has become a step like any other, so the gap is filled. Else it was
            // read from within the gap on, and nothing is known of it anew.
            (None, Some(_))
                if reading.counts.is_some_and(|now| {
                    self.at(slot).is_none_or(|before| before.total < now.total)
                }) =>
            {
                Counts::default()
            }
            (None, _) => return None,
        };
        let before = before.unwrap_or_default();
        self.carried.insert(slot, after);
        let newest = newest.map_or(slot, |it| it.max(slot));
        self.carried.retain(|it, _| newest.back(LATE_SLOTS) <= *it);
        let change = Counts { bad: after.bad - before.bad, total: after.total - before.total };
        self.spend(slot.ends_at(), change, 0.0);
        Some(change)
    }

    /// Of slices, those that lie in the gap as a whole, judged as one. Those that lie in it
    /// in part are judged by what was seen of them.
    #[expect(clippy::cast_precision_loss, reason = "slices of a gap are few")]
    fn carried_events(&self, ended: SlotNumber, carried: Counts) -> Counts {
        let Some((slice, budgeting)) = &self.slices else { return carried };
        let observed = (1..LATE_SLOTS.saturating_add(self.raw.n_max()))
            .map(|n| ended.back(n))
            .find(|it| matches!(self.raw.at(*it), Some(Some(_))));
        // Where the gap began is not known any more.
        let Some(began) = observed else { return Counts::default() };
        let n = slots_per_slice(slice);
        // The gap's slots are those after `began` up to and with `ended`.
        let first = (began.0 + n - 1).div_euclid(n);
        let n_slices = ended.0.div_euclid(n).saturating_sub(first).max(0) as f64;
        let one = judge(slice, *budgeting, carried).unwrap_or_default();
        Counts { bad: one.bad * n_slices, total: one.total * n_slices }
    }

    /// Slices of long ago that are finer than the step are judged as one.
    fn judged_coarsely(&self, counts: Counts, step: SignedDuration) -> Counts {
        match &self.slices {
            None => counts,
            Some((slice, budgeting)) => {
                let n = step.as_secs_f64() / slice.width.as_secs_f64();
                let one = judge(slice, *budgeting, counts).unwrap_or_default();
                Counts { bad: one.bad * n, total: one.total * n }
            }
        }
    }

    fn observe_slot(&mut self, slot: SlotNumber, counts: Option<Counts>) {
        let before = self.at(slot);
        // What was observed once is not unobserved by a query that failed later.
        let counts = counts.or(before);
        let seconds = if before.is_none() && counts.is_some() { SLOT.as_secs_f64() } else { 0.0 };
        let Some((slice, budgeting)) = self.slices else {
            self.count(slot, counts, seconds);
            return;
        };
        let newest = self.raw.newest();
        if newest.is_some_and(|it| slot < it.back(LATE_SLOTS)) {
            return;
        }
        self.raw.set(slot, counts);
        if 0.0 < seconds {
            self.spend(slot.ends_at(), Counts::default(), seconds);
        }
        // Nobody read the end of the slice that was the newest: it is over all the same.
        if let Some(end) = newest.map(|it| slice_end(&slice, it)).filter(|it| *it < slot) {
            self.judge_slice(&slice, budgeting, end);
        }
        let end = slice_end(&slice, slot);
        if slot != end && self.events.at(slot).flatten().is_none() {
            // Between two ends nothing is counted, but it was looked.
            self.events.set(slot, counts.map(|_| Counts::default()));
        }
        // The slice is over when its last slot is; then also late slots judge it anew.
        if self.raw.newest().is_some_and(|it| end <= it) {
            self.judge_slice(&slice, budgeting, end);
        }
    }

    fn judge_slice(&mut self, slice: &Slice, budgeting: Budgeting, end: SlotNumber) {
        let n = usize::try_from(slots_per_slice(slice)).unwrap_or(1);
        let sum = self.raw.window(end, n);
        let event = judge(slice, budgeting, sum.counts);
        // Without events it is as between two ends: it was looked, or not.
        let event = event.or_else(|| self.raw.at(end).flatten().map(|_| Counts::default()));
        self.count(end, event, 0.0);
    }

    /// What a slot counts from now on, instead of what it counted before.
    pub(super) fn count(&mut self, slot: SlotNumber, counts: Option<Counts>, seconds: f64) {
        let before = self.events.at(slot).flatten().unwrap_or_default();
        self.events.set(slot, counts);
        let after = self.events.at(slot).flatten().unwrap_or_default();
        let change = Counts { bad: after.bad - before.bad, total: after.total - before.total };
        let is_known = self.events.at(slot).is_some();
        self.spend(slot.ends_at(), change, if is_known { seconds } else { 0.0 });
    }

    /// What was read of a slot, not what it counts.
    fn at(&self, slot: SlotNumber) -> Option<Counts> {
        let read = if self.slices.is_some() { &self.raw } else { &self.events };
        read.at(slot).flatten()
    }

    fn newest(&self) -> Option<SlotNumber> {
        if self.slices.is_some() { self.raw.newest() } else { self.events.newest() }
    }

    /// What a slot counts; `None` when it was not observed or is forgotten.
    pub(super) fn event_at(&self, slot: SlotNumber) -> Option<Counts> {
        self.events.at(slot).flatten()
    }

    pub(super) fn spend(&mut self, at: Timestamp, change: Counts, seconds: f64) {
        let is_recalled = self.recalled_until.is_some_and(|it| at <= it);
        let is_nothing = change == Counts::default() && seconds <= 0.0;
        if !is_recalled && !is_nothing {
            self.ledger.add(&self.window, at, change, seconds);
        }
    }

    /// Forgets what left the budget's window by `now`.
    pub(super) fn roll(&mut self, now: Timestamp) {
        self.ledger.roll(&self.window, now);
    }

    /// The counts of the window of `lookback` that ends at `now`.
    pub fn window(&self, now: Timestamp, lookback: SignedDuration) -> WindowCounts {
        self.events.window(SlotNumber::over_at(now), slots_in(lookback))
    }

    /// The counts of several windows that end at `now`, in one pass; `ascending` are their
    /// numbers of slots, shortest first.
    pub(super) fn windows(&self, now: Timestamp, ascending: &[usize]) -> Vec<WindowCounts> {
        self.events.windows(SlotNumber::over_at(now), ascending)
    }

    /// The last `n` buckets of `width` that end with the newest slot, oldest first; those
    /// of which nothing was observed are not there.
    #[expect(clippy::cast_precision_loss, reason = "slots of three days are few")]
    pub fn recent(&self, width: SignedDuration, n: usize) -> Vec<DatedBucket> {
        let Some(newest) = self.events.newest() else { return Vec::new() };
        let n_slots = slots_in(width).max(1);
        (0..n)
            .rev()
            .filter_map(|nth| {
                let last = newest.back(nth * n_slots);
                let sum = self.events.window(last, n_slots);
                let period = Period { from: last.back(n_slots).ends_at(), until: last.ends_at() };
                let observed_seconds = sum.n_observed as f64 * SLOT.as_secs_f64();
                let bucket = Bucket { counts: sum.counts, observed_seconds };
                (0 < sum.n_observed).then_some(DatedBucket { period, bucket })
            })
            .collect()
    }

    /// The counts of the SLO's own window.
    pub fn spent(&self) -> Counts {
        self.ledger.sums().counts
    }

    /// Buckets of the SLO's own window.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// For how much of the SLO's window there are observations, in `[0, 1]`.
    pub fn coverage(&self, now: Timestamp) -> f64 {
        let period = self.window.period(now);
        let so_far = now.duration_since(period.from).as_secs_f64().max(SLOT.as_secs_f64());
        (self.ledger.sums().observed_seconds / so_far).min(1.0)
    }

    /// The newest slot that was observed, of the last hour of slots.
    pub fn observed_until(&self) -> Option<Timestamp> {
        let newest = self.newest()?;
        let mut slots = (0..LATE_SLOTS).map(|n| newest.back(n));
        slots.find(|it| self.at(*it).is_some()).map(SlotNumber::ends_at)
    }

    /// The memory that it takes, in bytes; the same for every window.
    pub fn bytes(&self) -> usize {
        // A bucket with its number and the tree around it takes about 64.
        let n_in_trees = self.ledger.buckets().count() + self.carried.len();
        self.raw.bytes() + self.events.bytes() + n_in_trees * 64
    }
}

/// How late a sample still changes a slice that was judged, or what a gap hid; single
/// events may be as late as [`LOOKBACK_MAX`]. Why an hour: what senders keep and send again
/// when a backend comes back.
pub const LATE: SignedDuration = SignedDuration::from_hours(1);
const LATE_SLOTS: usize = 120;
