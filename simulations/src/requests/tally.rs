//! What was counted of one service.
//!
//! **In:** every event of a station. **Out:** counts, integrals over time, histograms, minutes.
//! **Not here:** what happens ([`super::engine`]).

const NANOSECONDS: f64 = 1e9;

/// A whole number as a float; beyond 2^53 the last digits are rounded.
#[expect(clippy::cast_precision_loss, reason = "16 digits are enough for a mean")]
pub(super) fn float(count: u128) -> f64 {
    count as f64
}

/// Durations in buckets whose width is at most a sixteenth of their value.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
}

/// Sixteen buckets for every doubling, from 1 ns to 2^64 ns.
const BUCKETS: usize = 61 * 16;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], count: 0, sum: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.count += 1;
        self.sum += u128::from(nanoseconds);
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        self.count = 0;
        self.sum = 0;
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in nanoseconds, exact.
    pub fn sum_nanoseconds(&self) -> u128 {
        self.sum
    }

    /// Their mean in seconds, exact; 0 of none.
    pub fn mean_seconds(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        float(self.sum) / float(u128::from(self.count)) / NANOSECONDS
    }

    /// How many took no time at all.
    pub fn zeros(&self) -> u64 {
        self.counts[0]
    }

    /// The duration in seconds that the share `ratio` of them does not exceed, within a
    /// sixteenth; 0 of none.
    pub fn quantile_seconds(&self, ratio: f64) -> f64 {
        let rank = ratio.clamp(0.0, 1.0) * float(u128::from(self.count));
        let mut below = 0.0;
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            let count = float(u128::from(*count));
            if rank <= below + count {
                let (low, width) = edges(bucket);
                return (low + width * ((rank - below) / count)) / NANOSECONDS;
            }
            below += count;
        }
        0.0
    }
}

fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < 16 {
        return usize::try_from(nanoseconds).unwrap_or(0);
    }
    let exponent = 63 - nanoseconds.leading_zeros();
    let sixteenth = (nanoseconds >> (exponent - 4)) & 15;
    usize::try_from(u64::from(exponent - 3) * 16 + sixteenth).unwrap_or(0)
}

/// Lower edge and width. Below 16 ns a bucket is one value, and has no width.
fn edges(bucket: usize) -> (f64, f64) {
    let whole = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
    if bucket < 16 {
        return (whole(bucket), 0.0);
    }
    let width = 2f64.powf(whole(bucket / 16 - 1));
    (whole(16 + bucket % 16) * width, width)
}

/// One minute of a service, or what is left of it at the end of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    /// Its length in seconds.
    pub seconds: f64,
    /// First tries, per second.
    pub offered_rps: f64,
    /// All tries, per second.
    pub arrived_rps: f64,
    /// Worked off, useful or not, per second.
    pub served_rps: f64,
    /// Good, per second.
    pub good_rps: f64,
    /// Given up for good, per second.
    pub lost_rps: f64,
    /// Tries that failed, per second.
    pub errors_rps: f64,
    /// Mean number that waits for a slot.
    pub queue: f64,
    /// Mean number of slots in use.
    pub busy: f64,
    /// Mean response time of what was answered without error, in seconds; 0 of none.
    pub latency_mean_seconds: f64,
}

/// What was counted of one service since `measured_from`. "Good" and "late" go by the time of
/// the try that was answered, as a server's own metrics do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceTally {
    /// Seconds that were counted.
    pub seconds: f64,
    /// First tries.
    pub first_tries: u64,
    /// All tries, also those that were turned away.
    pub arrived: u64,
    /// Tries that found the queue full, or the service down.
    pub turned_away: u64,
    /// Tries whose callers gave up waiting.
    pub timed_out: u64,
    /// Tries that were worked off, in vain or not, with an error or not.
    pub served: u64,
    /// Of those, the ones for which nobody waited any more.
    pub served_in_vain: u64,
    /// Answered without error within the objective.
    pub good: u64,
    /// Answered without error, but later.
    pub late: u64,
    /// First tries that failed, with all their retries.
    pub lost: u64,
    /// Tries that failed: turned away, timed out, or answered with an error.
    pub errors: u64,
    /// First tries without an outcome when counting began, and at the end.
    pub open_at_start: u64,
    /// See `open_at_start`.
    pub open_at_end: u64,
    /// Number in the system (waiting or in a slot) over time, in request nanoseconds.
    pub in_system_integral: u128,
    /// The same by Little's law: the time in the system of each, of those still there as well.
    pub sojourns_sum: u128,
    /// Slots in use over time, in slot nanoseconds; a slot is in use while its request waits
    /// for calls.
    pub busy_integral: u128,
    /// Slots there are, over time.
    pub slots_integral: u128,
    /// The requests' own work, not counting what a slow factor adds, in nanoseconds. Counted in
    /// full where it begins.
    pub work_sum: u128,
    /// From arrival to the slot, of every try that got one.
    pub waits: Histogram,
    /// From arrival to the answer, of every try that was answered without error in time.
    pub responses: Histogram,
    /// Minute by minute since the start of the run, warm-up included.
    pub minutes: Vec<Minute>,
}

impl ServiceTally {
    /// Events per second.
    pub fn rate(&self, count: u64) -> f64 {
        if self.seconds <= 0.0 { 0.0 } else { float(u128::from(count)) / self.seconds }
    }

    /// Mean number that waits for a slot.
    pub fn queue_mean(&self) -> f64 {
        let waiting = self.in_system_integral.saturating_sub(self.busy_integral);
        self.mean(waiting)
    }

    /// Mean share of slots in use, `0.0 ..= 1.0`; 0 without slots.
    pub fn busy_ratio(&self) -> f64 {
        ratio(self.busy_integral, self.slots_integral)
    }

    /// Mean share of slots at their own work, a slow factor not counted: processor use where
    /// the unit's `cpu_ratio` is 1.
    pub fn work_ratio(&self) -> f64 {
        ratio(self.work_sum, self.slots_integral)
    }

    /// Share of tries that had to wait, of those that got a slot.
    pub fn waits_probability(&self) -> f64 {
        let began = self.waits.count();
        ratio(u128::from(began - self.waits.zeros()), u128::from(began))
    }

    /// Counts begin anew; the series of minutes goes on.
    pub(super) fn clear(&mut self) {
        self.waits.clear();
        self.responses.clear();
        let waits = std::mem::take(&mut self.waits);
        let responses = std::mem::take(&mut self.responses);
        let minutes = std::mem::take(&mut self.minutes);
        *self = ServiceTally { waits, responses, minutes, ..ServiceTally::default() };
    }

    fn mean(&self, integral: u128) -> f64 {
        if self.seconds <= 0.0 { 0.0 } else { float(integral) / NANOSECONDS / self.seconds }
    }
}

fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// Where the counts stood when the minute began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    counts: [u64; 6],
    integrals: [u128; 2],
    responses: (u64, u128),
}

impl Mark {
    pub(super) fn of(tally: &ServiceTally) -> Mark {
        let ServiceTally { first_tries, arrived, served, good, lost, errors, .. } = *tally;
        let waiting = tally.in_system_integral.saturating_sub(tally.busy_integral);
        Mark {
            counts: [first_tries, arrived, served, good, lost, errors],
            integrals: [waiting, tally.busy_integral],
            responses: (tally.responses.count, tally.responses.sum),
        }
    }

    /// What came since `earlier`, which lies `seconds` back.
    pub(super) fn since(&self, earlier: &Mark, seconds: f64) -> Minute {
        let rate = |n: usize| float(u128::from(self.counts[n] - earlier.counts[n])) / seconds;
        let mean =
            |n: usize| float(self.integrals[n] - earlier.integrals[n]) / NANOSECONDS / seconds;
        let answered = u128::from(self.responses.0 - earlier.responses.0);
        let spent = self.responses.1 - earlier.responses.1;
        Minute {
            seconds,
            offered_rps: rate(0),
            arrived_rps: rate(1),
            served_rps: rate(2),
            good_rps: rate(3),
            lost_rps: rate(4),
            errors_rps: rate(5),
            queue: mean(0),
            busy: mean(1),
            latency_mean_seconds: ratio(spent, answered) / NANOSECONDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_within_a_sixteenth(value in 0u64..=u64::MAX) {
            let (low, width) = edges(bucket(value));
            let value = float(u128::from(value));
            prop_assert!(low <= value * (1.0 + 1e-12) && value <= low + width * (1.0 + 1e-9));
            prop_assert!(width <= low / 16.0 + 1e-9);
        }

        #[test]
        fn a_quantile_lies_within_a_sixteenth_of_the_sorted_value(
            mut values in prop::collection::vec(0u64..1 << 40, 1..200), ratio in 0.01f64..1.0,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|it| histogram.add(*it));
            values.sort_unstable();
            let rank = ratio * float(values.len() as u128);
            let place = values.iter().zip(1u32..).find(|(_, n)| rank <= f64::from(*n));
            let sorted = float(u128::from(*place.expect("a rank within").0)) / 1e9;
            let quantile = histogram.quantile_seconds(ratio);
            prop_assert!((quantile - sorted).abs() <= sorted / 15.9 + 2e-9, "{quantile} {sorted}");
        }
    }
}
