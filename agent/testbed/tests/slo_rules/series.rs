//! Counters and gauges to which everything happens.
//!
//! In: a seed, a number of slots.
//! Out: samples 30 seconds apart; `None` where there is none.
//! Not here: which SLOs look at them.

/// Samples of one series.
pub(crate) type Samples = Vec<Option<f64>>;

/// Random numbers: splitmix64.
pub(crate) struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `0..n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What happens in a slot: an outage after half an hour, a gap after an hour and after
/// nine, a reset amid errors; then whatever chance has.
pub(crate) struct Weather {
    /// Of 1,000 requests, how many fail.
    pub(crate) failing: Vec<u64>,
    pub(crate) is_gap: Vec<bool>,
    pub(crate) is_reset: Vec<bool>,
    pub(crate) is_night: Vec<bool>,
}

impl Weather {
    pub(crate) fn of(seed: u64, n: usize) -> Weather {
        let mut chance = Chance(seed);
        let (mut incident, mut badness, mut gap) = (0, 0, 0);
        let mut it = Weather {
            failing: Vec::new(),
            is_gap: Vec::new(),
            is_reset: Vec::new(),
            is_night: Vec::new(),
        };
        for k in 0..n {
            match k {
                60 => (incident, badness) = (20, 1_000),
                170 => (incident, badness) = (30, 300),
                400 => (incident, badness) = (140, 20),
                _ if 1_000 < k && incident == 0 && chance.below(1_500) == 0 => {
                    incident = 1 + chance.below(90);
                    badness = [1_000, 300, 50, 15][usize::try_from(chance.below(4)).unwrap_or(0)];
                }
                _ => {}
            }
            match k {
                120 => gap = 24,
                65 | 405 => gap = 2,
                1_080 => gap = 150,
                _ if 1_300 < k && gap == 0 && chance.below(1_000) == 0 => {
                    gap = 1 + chance.below(30);
                }
                _ => {}
            }
            it.failing.push(if 0 < incident { badness } else { 0 });
            it.is_gap.push(0 < gap);
            it.is_reset.push(k == 70 || k == 180 || (200 < k && chance.below(700) == 0));
            it.is_night.push(600 < k % 2_880 && k % 2_880 < 900);
            (incident, gap) = (incident.saturating_sub(1), gap.saturating_sub(1));
        }
        it
    }
}

/// Two counters, the good or bad ones and all; `per_slot` requests, at night few.
pub(crate) fn counters(weather: &Weather, seed: u64, per_slot: u64, is_good: bool) -> [Samples; 2] {
    let mut chance = Chance(seed);
    let (mut part, mut total) = (0_u64, 0_u64);
    let mut all = [Vec::new(), Vec::new()];
    for k in 0..weather.failing.len() {
        let n = if weather.is_night[k] || per_slot == 0 {
            u64::from(chance.below(10) == 0)
        } else {
            per_slot / 2 + chance.below(per_slot)
        };
        let bad = (0..n)
            .filter(|_| chance.below(1_000) < weather.failing[k] || chance.below(4_000) == 0)
            .count();
        let bad = u64::try_from(bad).unwrap_or(n);
        if weather.is_reset[k] {
            (part, total) = (0, 0);
        }
        total += n;
        part += if is_good { n - bad } else { bad };
        for (samples, value) in all.iter_mut().zip([part, total]) {
            samples.push((!weather.is_gap[k]).then(|| small(value)));
        }
    }
    all
}

/// A gauge that is high where requests fail. By 1,024ths, which add up without error: where
/// a sum is exactly at a threshold, the last bit would decide.
pub(crate) fn gauge(weather: &Weather) -> Samples {
    let value = |(failing, is_gap): (&u64, &bool)| {
        (!is_gap).then(|| (small(*failing) * 1.024).round() / 1_024.0)
    };
    weather.failing.iter().zip(&weather.is_gap).map(value).collect()
}

fn small(value: u64) -> f64 {
    u32::try_from(value).map_or(f64::NAN, f64::from)
}
