//! Slots of the last hours or days, one pair of numbers each.
//!
//! **In:** slots by their number, in any order within the ring.
//! **Out:** exact sums over any window of whole slots.
//! **Not here:** what the two numbers are (events for an SLO, money and hours for spend).

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{Counts, SLOT};

/// The number of a slot since the epoch: it ends at that many times [`SLOT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotNumber(pub i64);

impl SlotNumber {
    /// The newest slot that is over at `at`.
    pub fn over_at(at: Timestamp) -> SlotNumber {
        SlotNumber(at.as_second().div_euclid(SLOT.as_secs()))
    }

    /// When it ends.
    pub fn ends_at(self) -> Timestamp {
        let limit = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(self.0.saturating_mul(SLOT.as_secs())).unwrap_or(limit)
    }

    /// `n` slots earlier.
    #[must_use]
    pub fn back(self, n: usize) -> SlotNumber {
        SlotNumber(self.0.saturating_sub(i64::try_from(n).unwrap_or(i64::MAX)))
    }
}

/// How many whole slots a duration has.
pub fn slots_in(length: SignedDuration) -> usize {
    usize::try_from(length.as_secs().div_euclid(SLOT.as_secs())).unwrap_or_default()
}

/// One slot. `f32` and not `f64`: whole counts are exact up to 16 million in 30 seconds, and
/// a thousand SLOs take half the memory. NaN in `total` is a slot that was not observed.
#[derive(Clone, Copy, Debug)]
struct Cell {
    bad: f32,
    total: f32,
}

/// Room for so many slots at first: half an hour.
const ROOM_MIN: usize = 60;

const MISSING: Cell = Cell { bad: 0.0, total: f32::NAN };

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowCounts {
    /// The sums.
    pub counts: Counts,
    /// How many of its slots were observed.
    pub n_observed: usize,
    /// How many slots it has.
    pub n_slots: usize,
}

/// What several slots add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    counts: Counts,
    n_observed: usize,
}

/// How many slots are added up in advance. Why 120: 72 blocks of three days and two parts
/// of blocks are the fewest additions, give or take a few.
const BLOCK: usize = 120;
const BLOCK_I64: i64 = 120;

/// The newest slots, at most `n_max`.
#[derive(Clone, Debug)]
pub struct Ring {
    cells: VecDeque<Cell>,
    /// The sums of whole blocks before that of the newest slot, by their number. Added up
    /// anew when one of their slots changes, so that no error of rounding stays.
    blocks: BTreeMap<i64, Sums>,
    /// Of the last cell.
    newest: Option<SlotNumber>,
    n_max: usize,
}

impl Ring {
    /// An empty one that holds windows up to `length`.
    pub fn of(length: SignedDuration) -> Ring {
        Ring {
            cells: VecDeque::new(),
            blocks: BTreeMap::new(),
            newest: None,
            n_max: slots_in(length).max(1),
        }
    }

    /// How many slots it holds at most.
    pub fn n_max(&self) -> usize {
        self.n_max
    }

    /// The newest slot that was set, observed or not.
    pub fn newest(&self) -> Option<SlotNumber> {
        self.newest
    }

    /// What a slot holds: `None` when it was never set or is forgotten, `Some(None)` when
    /// it was not observed.
    pub fn at(&self, slot: SlotNumber) -> Option<Option<Counts>> {
        let cell = self.cells.get(self.index(slot)?)?;
        let counts = Counts { bad: f64::from(cell.bad), total: f64::from(cell.total) };
        Some((!cell.total.is_nan()).then_some(counts))
    }

    /// Sets a slot. Those between it and the newest were not observed. Nothing happens to
    /// one that is too old.
    #[expect(clippy::cast_possible_truncation, reason = "the precision that a slot has")]
    pub fn set(&mut self, slot: SlotNumber, counts: Option<Counts>) {
        let newest = *self.newest.get_or_insert_with(|| slot.back(1));
        let n_ahead = usize::try_from(slot.0.saturating_sub(newest.0)).unwrap_or_default();
        if 0 < n_ahead {
            if self.n_max <= n_ahead {
                self.cells.clear();
            }
            for _ in 0..n_ahead.min(self.n_max) {
                if self.n_max <= self.cells.len() {
                    self.cells.pop_front();
                }
                self.make_room();
                self.cells.push_back(MISSING);
            }
            self.newest = Some(slot);
        }
        // What is read again from before the first slot that was ever seen.
        let n_before = usize::try_from(newest.0.saturating_sub(slot.0)).unwrap_or_default();
        while self.cells.len() <= n_before && n_before < self.n_max {
            self.make_room();
            self.cells.push_front(MISSING);
        }
        let Some(index) = self.index(slot) else { return };
        if let Some(cell) = self.cells.get_mut(index) {
            *cell =
                counts.map_or(MISSING, |it| Cell { bad: it.bad as f32, total: it.total as f32 });
        }
        // The newest block is not known as a whole before it is over.
        let block_of = |it: SlotNumber| it.0.div_euclid(BLOCK_I64);
        let current = block_of(newest.max(slot));
        if block_of(slot) < current {
            self.sum_block(block_of(slot));
        } else if block_of(newest) < current {
            self.sum_block(block_of(newest));
            let oldest = block_of(self.number(0));
            self.blocks = self.blocks.split_off(&oldest);
        }
    }

    /// The sums over the `n` slots that end with `last`.
    pub fn window(&self, last: SlotNumber, n: usize) -> WindowCounts {
        self.windows(last, &[n]).pop().unwrap_or_default()
    }

    /// The sums over several windows that end with `last`, in one pass; `ascending` are
    /// their numbers of slots, shortest first. Newest slots are added first.
    pub fn windows(&self, last: SlotNumber, ascending: &[usize]) -> Vec<WindowCounts> {
        let newest = self.newest.unwrap_or(last);
        // Slots after the newest were not observed.
        let ahead = usize::try_from(last.0.saturating_sub(newest.0)).unwrap_or_default();
        let behind = usize::try_from(newest.0.saturating_sub(last.0)).unwrap_or_default();
        let end = self.cells.len().saturating_sub(behind);
        let mut sums = Sums::default();
        let mut until = end;
        ascending
            .iter()
            .map(|n| {
                let from = end.saturating_sub(n.saturating_sub(ahead)).min(until);
                self.add(&mut sums, from, until);
                until = from;
                WindowCounts { counts: sums.counts, n_observed: sums.n_observed, n_slots: *n }
            })
            .collect()
    }

    /// Adds the cells `from..until`, whole blocks at once where they are known.
    fn add(&self, sums: &mut Sums, from: usize, mut until: usize) {
        while from < until {
            let last = self.number(until - 1);
            let begin = until.saturating_sub(BLOCK);
            let is_block = from <= begin && last.0.rem_euclid(BLOCK_I64) == BLOCK_I64 - 1;
            let known = self.blocks.get(&last.0.div_euclid(BLOCK_I64));
            match known.filter(|_| is_block && BLOCK <= until) {
                Some(block) => {
                    sums.counts = sums.counts.plus(block.counts);
                    sums.n_observed += block.n_observed;
                    until = begin;
                }
                None => {
                    // Down to the end of the block before.
                    let n = usize::try_from(last.0.rem_euclid(BLOCK_I64)).unwrap_or_default() + 1;
                    let begin = until.saturating_sub(n).max(from);
                    self.add_cells(sums, begin, until);
                    until = begin;
                }
            }
        }
    }

    fn add_cells(&self, sums: &mut Sums, from: usize, until: usize) {
        for cell in self.cells.range(from..until).rev() {
            if !cell.total.is_nan() {
                sums.counts.bad += f64::from(cell.bad);
                sums.counts.total += f64::from(cell.total);
                sums.n_observed += 1;
            }
        }
    }

    /// Adds up a block anew, if all of it is in the ring; else forgets it.
    fn sum_block(&mut self, block: i64) {
        let first = self.index(SlotNumber(block.saturating_mul(BLOCK_I64)));
        let Some(first) = first.filter(|it| it + BLOCK <= self.cells.len()) else {
            self.blocks.remove(&block);
            return;
        };
        let mut sums = Sums::default();
        self.add_cells(&mut sums, first, first + BLOCK);
        self.blocks.insert(block, sums);
    }

    /// The number of the cell at `index`.
    fn number(&self, index: usize) -> SlotNumber {
        let back = self.cells.len().saturating_sub(index + 1);
        self.newest.map_or(SlotNumber(0), |it| it.back(back))
    }

    /// The memory that it takes, in bytes; the same for every window of an SLO.
    pub fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>() + self.blocks.len() * size_of::<(i64, Sums)>()
    }

    /// Grows as vectors do, but never beyond what it may hold: doubling would take nearly
    /// twice the memory of three days.
    fn make_room(&mut self) {
        let n = self.cells.len();
        if n == self.cells.capacity() && n < self.n_max {
            self.cells.reserve_exact(n.max(ROOM_MIN).min(self.n_max - n));
        }
    }

    fn index(&self, slot: SlotNumber) -> Option<usize> {
        let back = usize::try_from(self.newest?.0.checked_sub(slot.0)?).ok()?;
        self.cells.len().checked_sub(back + 1)
    }
}
