//! A series made fit for members: no gaps, and a note of where they were.
//!
//! **In:** values with NaN (or an infinity) for gaps.
//! **Out:** [`Past`]: the newest [`PAST_MAX`] values, filled, with a mask.
//! **Not here:** putting samples on a grid ([`crate::series`]).

use std::borrow::Cow;

/// Values that are used at most: the newest ones.
///
/// Why 20,160: two weeks in minutes or ten weeks at 5 min; two periods of a weekly season and
/// still bounded when somebody passes ten million points.
pub(crate) const PAST_MAX: usize = 20_160;

/// Larger magnitudes count as gaps.
///
/// Why 1e100: their squares and sums of squares still fit an `f64`.
pub(crate) const MAGNITUDE_MAX: f64 = 1e100;

/// Values without gaps, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Past<'a> {
    /// All finite.
    pub(crate) values: Cow<'a, [f64]>,
    /// Whether each value was measured, not filled.
    pub(crate) known: Cow<'a, [bool]>,
}

impl<'a> Past<'a> {
    /// The newest part of `values` from its first known value on; gaps filled from one season
    /// earlier, moved to meet the values around the gap, or by a straight line where there is no
    /// season. `None` when nothing is known.
    pub(crate) fn new(values: &[f64], season: Option<usize>) -> Option<Past<'static>> {
        let usable = |value: &f64| value.is_finite() && value.abs() <= MAGNITUDE_MAX;
        let newest = &values[values.len().saturating_sub(PAST_MAX)..];
        let first = newest.iter().position(usable)?;
        let newest = &newest[first..];
        let known: Vec<bool> = newest.iter().map(usable).collect();
        let mut filled = newest.to_vec();
        let mut at = 0;
        while at < filled.len() {
            if known[at] {
                at += 1;
                continue;
            }
            let to = known[at..].iter().position(|known| *known).map_or(filled.len(), |n| at + n);
            fill(&mut filled, at, to, season);
            at = to;
        }
        Some(Past { values: Cow::Owned(filled), known: Cow::Owned(known) })
    }

    /// What was known at an earlier time: the oldest `n` values.
    pub(crate) fn prefix(&self, n: usize) -> Past<'_> {
        let n = n.min(self.values.len());
        Past { values: Cow::Borrowed(&self.values[..n]), known: Cow::Borrowed(&self.known[..n]) }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The last value; 0 for an empty past, which [`Past::new`] never makes.
    pub(crate) fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(0.0)
    }
}

/// Fills `values[from..to]`; `from > 0`, and everything before `from` is finite.
fn fill(values: &mut [f64], from: usize, to: usize, season: Option<usize>) {
    let earlier = season.filter(|season| *season > 0 && from > *season);
    let reference = |values: &[f64], at: usize| match earlier {
        Some(season) => values[at - season],
        None => 0.0,
    };
    let before = values[from - 1] - reference(values, from - 1);
    // A gap longer than the season refers to what was filled already, hence the order.
    let after = if to < values.len() {
        let at_end = match earlier {
            Some(season) if to - season < from => values[to - season],
            Some(_) => values[from - 1],
            None => 0.0,
        };
        values[to] - at_end
    } else {
        before
    };
    let width = share_of(to - from + 1);
    for at in from..to {
        let share = share_of(at - from + 1) / width;
        values[at] = reference(values, at) + before + (after - before) * share;
    }
}

#[expect(clippy::cast_precision_loss, reason = "bounded by PAST_MAX")]
fn share_of(n: usize) -> f64 {
    n as f64
}
