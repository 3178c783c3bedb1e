//! Whether a level began of late that was not seen before, and when.
//!
//! **In:** a [`Series`].
//! **Out:** how many cells ago, or nothing.
//! **Not here:** what that means for the future ([`super::outlook`]).

use super::hindcast::Pseudo;
use super::history::Series;

/// How far, as a logarithm, a new level must be from all before. Why 0.25: less than that
/// is within what levels do all the time, and matters little for when a budget is spent.
const APART: f64 = 0.25;

/// Counts must speak this much against the most that was seen before. Why 10: some hundred
/// ages are tried each time, and chance alone reaches it once in 600.
const EVIDENCE: f64 = 10.0;

/// The part of the change that must happen at once. Why: a ramp has reached a new level
/// too, but it goes on.
const AT_ONCE: f64 = 0.6;

/// Cells since the newest step to a level that was not there before; `None` without one.
pub(super) fn newest_step(series: &Series, pseudo: Pseudo) -> Option<usize> {
    let n = series.len();
    let mut best: Option<(f64, usize)> = None;
    let mut age = 1;
    while age * 4 <= n * 3 {
        if let Some(gain) = gain(series, pseudo, age)
            && best.is_none_or(|it: (f64, usize)| it.0 < gain)
        {
            best = Some((gain, age));
        }
        age += 1 + age / 16;
    }
    // Between the ages that were tried.
    let (_, about) = best?;
    for age in about - about / 16..=about + about / 16 {
        if let Some(gain) = gain(series, pseudo, age)
            && best.is_none_or(|it| it.0 < gain)
        {
            best = Some((gain, age));
        }
    }
    best.map(|it| it.1)
}

/// Twice the log likelihood by which counts over an exposure speak against a ratio.
fn evidence((bad, exposure): (f64, f64), ratio: f64) -> f64 {
    let expected = (exposure * ratio).max(1e-9);
    2.0 * (bad * (bad.max(1e-9) / expected).ln() - (bad - expected))
}

/// How much better two levels tell what was than one, when a step began `age` cells ago;
/// `None` when that is no step to a new level.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn gain(series: &Series, pseudo: Pseudo, age: usize) -> Option<f64> {
    let n = series.len();
    let at = n - age;
    if at < 6 {
        return None;
    }
    let log = |from: usize, until: usize| {
        let sum = series.sum(from, until);
        let noise = if pseudo.counts { 1.0 / (sum.0 + pseudo.bad) } else { 0.0 };
        (0.0 < sum.1).then(|| (pseudo.log(sum), noise))
    };
    let (after, _) = log(at, n)?;
    let (before, _) = log(0, at)?;
    let up = before < after;
    // The most that was ever seen for as long, in the same direction.
    let block = age.min(at);
    let mut extreme: Option<(f64, (f64, f64))> = None;
    let mut until = at;
    while block <= until {
        if let Some((it, _)) = log(until - block, until)
            && extreme.is_none_or(|old| if up { old.0 < it } else { it < old.0 })
        {
            extreme = Some((it, series.sum(until - block, until)));
        }
        until = until.saturating_sub((block / 3).max(1));
    }
    let (extreme, extreme_sum) = extreme?;
    let apart = if up { after - extreme } else { extreme - after };
    if apart < APART {
        return None;
    }
    if pseudo.counts {
        // One standard deviation more than the most extreme, which has noise too.
        let bound = (extreme_sum.0 + 0.5).sqrt() + 0.5;
        let bad = if up { extreme_sum.0 + bound } else { (extreme_sum.0 - bound).max(0.0) };
        if evidence(series.sum(at, n), bad / extreme_sum.1) < EVIDENCE {
            return None;
        }
    }
    // Sharp: right after the step the level is there, right before it is not.
    let edge = (age / 6).max(1);
    let first = log(at, at + edge)?;
    let last = log(at.checked_sub(edge)?, at)?;
    let jump = if up { first.0 - last.0 } else { last.0 - first.0 };
    let slack = 1.5 * (first.1 + last.1).sqrt();
    let adjacent = log(at - block, at)?.0;
    if jump + slack < AT_ONCE * (after - adjacent).abs() {
        return None;
    }
    // The logarithm of the likelihood of two levels: of counts, or of amounts whose spread
    // is proportional to their level (a gamma distribution).
    let (new, old) = (series.sum(at, n), series.sum(0, at));
    let weight = |bad: f64, cells: usize| if pseudo.counts { bad } else { -(cells as f64) };
    Some(weight(new.0, age) * after + weight(old.0, at) * before)
}
