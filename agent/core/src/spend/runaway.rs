//! The signature of a runaway: spend goes up, good requests do not.
//!
//! **In:** spend and good requests of a scope, slot by slot, for up to three days.
//! **Out:** a verdict, or why there is none.
//! **Not here:** what follows from it ([`crate::budget`]).
//!
//! "Usual" is the median of the last 6 hours, or (not on the first day) of the last hour, without the last 10 minutes:
//! against six hours a slow growth is seen too, against one also what begins while load rises or
//! falls. Spend that grew by the threshold's factor over either while good requests did not grow
//! with it is a runaway, after a patience that depends on what else it could be:
//!
//! | spend now | patience | because it could be |
//! |---|---|---|
//! | > 2.5 x of late, and > 1.15 x the peak | 2 slots | nothing else: a deployment doubles |
//! | > 1.15 x the peak | 8 min (20 min on the first day) | a deployment of 5 min |
//! | less | 20 min, and good requests dearer than ever (not on the first day) | scaling out ahead of load |
//!
//! "The peak" is the most that three days ever cost per hour for two slots, or what the forecast
//! load would cost, whichever is more. Below it, patience costs no more than a busy hour does every day.
//! A runaway that goes on is the usual after some three hours: by then it is the budget's
//! other thresholds that hold.

use serde::{Deserialize, Serialize};

/// Good requests follow spend when `ln(good growth) / ln(spend growth)` is at least this. Why
/// 0.3: units in whole numbers and caches keep it at 0.5 and above on honest growth.
pub const ELASTICITY_MIN: f64 = 0.3;

/// Above the peak, by more than noise.
const ABOVE_PEAK: f64 = 1.15;

/// Above what a deployment does, which doubles, while units are also scaled by a quarter.
const ABOVE_DEPLOYMENT: f64 = 2.5;

/// Dearer than ever, by more than noise. Why 1.4: at 1.3, a fleet of four units that became six
/// before a busy morning was one false alarm in 200 simulated days; at 1.4 there is none in those
/// (and some in 800, on first days, where this is not asked any more).
const ABOVE_UNIT_COST: f64 = 1.4;

/// Slots of 30 s.
const SLOTS_PER_HOUR: usize = 120;
/// The last 10 minutes are not usual.
const LATE: usize = 20;
/// Before that, half an hour is "of late".
const OF_LATE: usize = 40;
/// The usual: 6 hours.
const USUAL: usize = 6 * SLOTS_PER_HOUR;
/// Less history than this is none.
const HISTORY_MIN: usize = SLOTS_PER_HOUR;
/// With less than a day, the peak is not known.
const DAY: usize = 24 * SLOTS_PER_HOUR;
/// A runaway that began up to three hours ago is not the peak of the past: the same half of
/// the usual after which it is the usual.
const FORGIVEN: usize = USUAL / 2;
const FAST: usize = 2;
const DEPLOYMENT: usize = 16;
const LEAD: usize = 40;

/// Good requests that would have been usual during the patience. Why 30: with 30, a Poisson
/// count is within a third of its mean, 19 times of 20.
const GOOD_MIN: f64 = 30.0;

const SLOT_SECONDS: f64 = 30.0;

/// What a scope spent and got, slot by slot, oldest first; both of equal length, the last is
/// the newest whole slot. `None` was not observed.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Money per hour.
    pub spend_per_hour: &'a [Option<f64>],
    /// Good requests per second.
    pub good_rps: &'a [Option<f64>],
    /// What the load that is forecast within the lead time would cost per hour, if there is a
    /// forecast. Of load, not of desired capacity: an attacker may set that.
    pub expected_per_hour: Option<f64>,
}

/// Whether spend runs away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both as factors of what was usual.
    Runaway { spend_growth: f64, good_growth: f64 },
    /// Spend has not grown so much, or good requests have grown with it.
    Normal,
    /// It cannot be told.
    Unknown(NoVerdict),
}

/// Why it cannot be told whether spend runs away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVerdict {
    /// Less than an hour is known of before the last 10 minutes.
    TooLittleHistory,
    /// Spend was not observed of late.
    SpendNotObserved,
    /// Spend has grown, but good requests were not observed.
    GoodNotObserved,
    /// Spend has grown, but good requests are too few to tell whether they have.
    TooFewGoodRequests,
}

/// Whether spend has grown by more than `growth` (above 1) without good requests growing with
/// it; see the module for what is waited for. Two to three slots (60 to 90 s) after a sudden
/// onset of more than [`ABOVE_DEPLOYMENT`] it is a [`Verdict::Runaway`].
pub fn runaway(past: &Past<'_>, growth: f64) -> Verdict {
    let spend = past.spend_per_hour;
    let growth = growth.max(1.0);
    let n_history = before(spend, LATE, spend.len()).iter().flatten().count();
    if n_history < HISTORY_MIN {
        return Verdict::Unknown(NoVerdict::TooLittleHistory);
    }
    let Some(now) = least(last(spend, FAST)) else {
        return Verdict::Unknown(NoVerdict::SpendNotObserved);
    };
    let usual = [USUAL, SLOTS_PER_HOUR].map(|n| median(before(spend, LATE, n)).unwrap_or(0.0));
    // Nothing was spent and now something is: that is a beginning, not growth.
    if usual.iter().all(|it| now <= it * growth) {
        return Verdict::Normal;
    }
    let has_day = DAY <= n_history;
    let peak = |patience: usize| {
        // A runaway of an hour is no peak, and in the first hours there is little else.
        let skipped = FORGIVEN.min(n_history / 2).max(patience + LATE);
        let known = before(spend, skipped, spend.len());
        let pairs = known.windows(FAST).filter_map(least);
        pairs.fold(0.0, f64::max).max(past.expected_per_hour.unwrap_or(0.0))
    };
    let of_late = median(before(spend, LATE, OF_LATE)).unwrap_or(0.0);
    let patience = if has_day { DEPLOYMENT } else { LEAD };
    // A small fleet adds a unit and then doubles: one becomes four.
    let deployed = (of_late + grain(before(spend, LATE, spend.len()))) * ABOVE_DEPLOYMENT;
    let tiers = [
        (FAST, (peak(FAST) * ABOVE_PEAK).max(deployed), false),
        (patience, peak(patience) * ABOVE_PEAK, false),
        (LEAD, 0.0, true),
    ];
    let mut doubt = None;
    for (n, above, needs_unit_cost) in tiers {
        let is_above = least(last(spend, n)).is_some_and(|it| above < it);
        if !is_above || (needs_unit_cost && !(has_day && is_dearer_than_ever(past))) {
            continue;
        }
        // On the first day one unit becomes two, and it is not known that it does so every day.
        let shorter = has_day.then_some(SLOTS_PER_HOUR);
        for n_usual in std::iter::once(USUAL).chain(shorter) {
            match growths(past, n, n_usual) {
                Ok(Some((spend_growth, good_growth))) => {
                    let has_grown = growth < spend_growth;
                    if has_grown && good_growth.ln() < ELASTICITY_MIN * spend_growth.ln() {
                        return Verdict::Runaway { spend_growth, good_growth };
                    }
                }
                Ok(None) => {}
                Err(why) => doubt = Some(why),
            }
        }
    }
    doubt.map_or(Verdict::Normal, Verdict::Unknown)
}

/// By how much spend (the least) and good requests (the mean) of the last `n` slots are more
/// than was usual in the `n_usual` slots before; `None` when nothing was spent then.
fn growths(past: &Past<'_>, n: usize, n_usual: usize) -> Result<Option<(f64, f64)>, NoVerdict> {
    let (spend, good) = (past.spend_per_hour, past.good_rps);
    let usual_spend = median(before(spend, LATE.max(n), n_usual)).filter(|it| 0.0 < *it);
    let (Some(least), Some(usual_spend)) = (least(last(spend, n)), usual_spend) else {
        return Ok(None);
    };
    let now = mean(last(good, n)).ok_or(NoVerdict::GoodNotObserved)?;
    let usual = before(good, LATE.max(n), n_usual);
    // The median of counts that are mostly 0 is 0.
    let usual = median(usual).filter(|it| 0.0 < *it).or_else(|| mean(usual));
    let usual = usual.ok_or(NoVerdict::GoodNotObserved)?;
    let n = f64::from(u16::try_from(n).unwrap_or(u16::MAX));
    if usual * n * SLOT_SECONDS < GOOD_MIN {
        return Err(NoVerdict::TooFewGoodRequests);
    }
    Ok(Some((least / usual_spend, now / usual)))
}

/// Whether a good request costs more than in any 20 minutes of the past.
fn is_dearer_than_ever(past: &Past<'_>) -> bool {
    let cost = |end: usize| {
        let range = end.checked_sub(LEAD)?..end;
        let spend = past.spend_per_hour.get(range.clone())?;
        let good = past.good_rps.get(range)?;
        let good = mean(good).filter(|it| 0.0 < *it)?;
        Some(mean(spend)? / good)
    };
    let n = past.spend_per_hour.len();
    let ends = (LEAD..n.saturating_sub(FORGIVEN)).step_by(LATE / 2);
    let dearest = ends.filter_map(cost).fold(0.0, f64::max);
    // Without any good request it is dearer than anything.
    cost(n).is_none_or(|it| dearest * ABOVE_UNIT_COST < it)
}

/// The least that spend ever changed by from one slot to the next: what a unit costs, where
/// it is units that cost; next to nothing, where use is metered.
fn grain(spend: &[Option<f64>]) -> f64 {
    let steps = spend.windows(2).filter_map(|it| match it {
        [Some(before), Some(after)] => Some((after - before).abs()),
        _ => None,
    });
    let least = steps.filter(|it| GRAIN_MIN < *it).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

/// Rounding is no change.
const GRAIN_MIN: f64 = 1e-6;

fn last<T>(slots: &[T], n: usize) -> &[T] {
    slots.get(slots.len().saturating_sub(n)..).unwrap_or_default()
}

/// The `n` slots before the last `skipped`.
fn before<T>(slots: &[T], skipped: usize, n: usize) -> &[T] {
    last(slots.get(..slots.len().saturating_sub(skipped)).unwrap_or_default(), n)
}

/// The least of all slots; `None` when one of the newest two, or half of all, is missing.
fn least(slots: &[Option<f64>]) -> Option<f64> {
    let n_known = slots.iter().flatten().count();
    let is_fresh = last(slots, FAST).iter().all(Option::is_some);
    (is_fresh && slots.len() < 2 * n_known + 1)
        .then(|| slots.iter().flatten().fold(f64::INFINITY, |a, b| a.min(*b)))
}

fn mean(slots: &[Option<f64>]) -> Option<f64> {
    let n = u32::try_from(slots.iter().flatten().count()).ok().filter(|it| 0 < *it)?;
    Some(slots.iter().flatten().sum::<f64>() / f64::from(n))
}

fn median(slots: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> = slots.iter().flatten().copied().collect();
    let middle = known.len() / 2;
    (!known.is_empty()).then(|| *known.select_nth_unstable_by(middle, f64::total_cmp).1)
}
