//! The ways of looking at a row, each with its own idea of what is unusual.
//!
//! **In:** a finite value and, where it can be trusted, its time.
//! **Out:** the largest surprise of all views, and a finding of each view that is surprised.
//! **Not here:** gaps and flat lines, alarms.

use super::finding::Finding;
use super::pattern::{LONG_ROWS, LongPattern, SHORT_ROWS, short_distance};
use super::rows::{Rows, mean};
use super::season::{Season, Usual};
use super::tail::Tail;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest rows, whose mean is compared with that of [`BEFORE_ROWS`] rows before them.
///
/// Why 20: a shift is noticed within 20 rows even where single rows are lost in the noise.
const NEWEST_ROWS: usize = 20;
const BEFORE_ROWS: usize = 100;

/// Rows over which unrest is measured.
const UNREST_ROWS: usize = 200;

/// Share of the usual range (5% to 95% of the values) that counts as no difference.
const GRAIN_RATIO: f64 = 0.01;

/// Rows over which distances from the range of this time of the day are averaged.
///
/// Why 3: one row outside is often noise; three in a row on the same side are not. Averages over
/// 2 to 6 rows score the same on NAB (2026-11-21, bench `nab`).
const OFF_SEASON_ROWS: usize = 3;

/// Rows whose median becomes the origin of all values, before anything is said.
///
/// Why the median of 20 and not the first row: one absurd first value would leave all others
/// without digits for ever.
const FIRST_ROWS: usize = 20;

/// How many views there are.
pub(super) const VIEWS: usize = 6;

/// What the views say about one row.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The largest surprise of all views.
    pub(super) surprise: f64,
    /// What surprises enough; `true` where it did not at the row before.
    pub(super) findings: Vec<(Finding, bool)>,
}

/// What all views remember.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Views {
    /// The first rows, until there are [`FIRST_ROWS`].
    first: Vec<(Option<Timestamp>, f64)>,
    has_begun: bool,
    rows: Rows,
    season: Season,
    long: LongPattern,
    /// How far the last [`OFF_SEASON_ROWS`] rows were outside the range of their time of day.
    off_season: [f32; OFF_SEASON_ROWS],
    tails: [Tail; VIEWS],
    /// Which views were surprised at the row before.
    surprised: [bool; VIEWS],
}

impl Views {
    /// Looks at a row and learns it; explains what surprises by at least `enough`.
    pub(super) fn look(&mut self, at: Option<Timestamp>, value: f64, enough: f64) -> Look {
        if !self.has_begun {
            self.first.push((at, value));
            if self.first.len() >= FIRST_ROWS {
                self.begin();
            }
            return Look::default();
        }
        let median = self.rows.quantile(0.5);
        let range = self.rows.quantile(0.95).zip(self.rows.quantile(0.05));
        let grain = range.map_or(0.0, |(high, low)| (high - low) * GRAIN_RATIO);
        let usual = at.and_then(|at| self.season.usual(at));
        let now = f64::from(self.remember(at, value));
        let change = self.rows.newest(NEWEST_ROWS + BEFORE_ROWS).map(|rows| {
            let (before, newest) = rows.split_at(BEFORE_ROWS);
            (mean(before), mean(newest))
        });
        let unrest = self.rows.newest(UNREST_ROWS + 1).map(unrest);
        let numbers: [Option<f64>; VIEWS] = [
            median.map(|median| (now - median).abs()),
            usual.map(|usual| self.off_season(usual, now)),
            short_distance(&self.rows),
            self.long.distance(&self.rows),
            change.map(|(before, newest)| (newest - before).abs()),
            unrest,
        ];
        self.long.learn(&self.rows);
        let mut look = Look::default();
        for (view, number) in numbers.into_iter().enumerate() {
            let Some(number) = number else { continue };
            let Some(tail) = self.tails.get_mut(view) else { continue };
            let surprise = tail.surprise(number, grain);
            tail.learn(number);
            look.surprise = look.surprise.max(surprise);
            let Some(was_surprised) = self.surprised.get_mut(view) else { continue };
            let is_news = surprise >= enough && !*was_surprised;
            *was_surprised = surprise >= enough;
            if surprise < enough {
                continue;
            }
            let one_in = 10_f64.powf(surprise);
            let absolute = |relative: f64| self.rows.absolute(relative);
            let finding = match view {
                0 => median.map(|usual| {
                    let usual = absolute(usual);
                    Finding::Spike { value, usual, one_in }
                }),
                1 => usual.map(|usual| {
                    let (low, high) = (absolute(usual.low), absolute(usual.high));
                    Finding::OutOfSeason { value, low, high, one_in }
                }),
                2 => Some(Finding::Unfamiliar { rows: SHORT_ROWS, one_in }),
                3 => Some(Finding::Unfamiliar { rows: LONG_ROWS, one_in }),
                4 => change.map(|(from, to)| {
                    let (from, to) = (absolute(from), absolute(to));
                    Finding::LevelShift { from, to, one_in }
                }),
                _ => unrest.map(|change| Finding::Unrest { change, one_in }),
            };
            look.findings.extend(finding.map(|finding| (finding, is_news)));
        }
        look
    }

    /// Learns the first rows, relative to the median of them.
    fn begin(&mut self) {
        let first = std::mem::take(&mut self.first);
        let mut values: Vec<f64> = first.iter().map(|row| row.1).collect();
        values.sort_unstable_by(f64::total_cmp);
        self.rows = Rows::new(values.get(values.len() / 2).copied().unwrap_or(0.0));
        self.has_begun = true;
        for (at, value) in first {
            self.remember(at, value);
            self.long.learn(&self.rows);
        }
    }

    fn remember(&mut self, at: Option<Timestamp>, value: f64) -> f32 {
        let value = self.rows.push(value);
        if let Some(at) = at {
            self.season.learn(at, value);
        }
        value
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        let tails = self.tails.iter().map(Tail::heap).sum::<usize>();
        self.rows.heap() + self.season.heap() + self.long.heap() + tails
    }

    /// How far the last rows were outside the usual range, on average; above and below cancel.
    fn off_season(&mut self, usual: Usual, now: f64) -> f64 {
        self.off_season.rotate_left(1);
        if let Some(newest) = self.off_season.last_mut() {
            *newest = usual.outside(now) as f32;
        }
        mean(&self.off_season).abs()
    }
}

/// Mean absolute step from row to row.
fn unrest(rows: &[f32]) -> f64 {
    let steps = rows.iter().zip(rows.iter().skip(1));
    steps.map(|(a, b)| f64::from((b - a).abs())).sum::<f64>() / UNREST_ROWS as f64
}
