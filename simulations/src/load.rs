//! The load of one service over time.
//!
//! **In:** a curve (day, week, noise), the run's seed, and the service's name.
//! **Out:** arrivals per second at any instant, before and after the region's start.
//! **Not here:** flash crowds and other scripted happenings ([`crate::fault`]), and what
//! an exporter makes of the load ([`crate::exporter`]).

use crate::chance::{noise_at, seconds_f64, stream_key};

const DAY_SECONDS: i64 = 86_400;

/// Distance of the noise's knots in seconds with their share of `noise_ratio`, widest first.
///
/// Why these: days that differ, hours that differ, minutes that a five-minute grid sees, and a
/// flutter that it averages away but a 15 s scrape does not.
const OCTAVES: [(&str, i64, f64); 4] = [
    ("day", DAY_SECONDS, 0.35),
    ("hour", 3_600, 0.30),
    ("minutes", 420, 0.20),
    ("flutter", 20, 0.15),
];

/// How much arrives over a day and a week. Rates are per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadCurve {
    /// Lowest rate of an ordinary day; finite and `>= 0`.
    pub trough_rps: f64,
    /// Highest rate of an ordinary day, before noise; `>= trough_rps`.
    pub peak_rps: f64,
    /// Hour of the peak in UTC, `0.0 .. 24.0`; the trough is twelve hours away.
    pub peak_hour: f64,
    /// Saturday's and Sunday's load relative to other days; 0.7 is 30 % less. `>= 0`.
    pub weekend_ratio: f64,
    /// Largest relative distance from the curve: 0.12 stays within 12 %. `0.0 ..= 1.0`.
    pub noise_ratio: f64,
}

/// One service's load: a pure function of the instant.
#[derive(Clone, Debug)]
pub struct Load {
    curve: LoadCurve,
    keys: [u64; OCTAVES.len()],
}

impl Load {
    /// The load of `service` in the run `seed`. Each octave of noise is a stream of its own.
    pub fn new(seed: u64, service: &str, curve: LoadCurve) -> Load {
        let keys =
            OCTAVES.map(|(octave, ..)| stream_key(seed, &format!("load/{service}/{octave}")));
        Load { curve, keys }
    }

    /// Arrivals per second at `second` of Unix time; finite and `>= 0`.
    pub fn at(&self, second: i64) -> f64 {
        let LoadCurve { trough_rps, peak_rps, noise_ratio, .. } = self.curve;
        let day = trough_rps + (peak_rps - trough_rps) * self.height(second);
        let noise: f64 = OCTAVES
            .iter()
            .zip(self.keys)
            .map(|((_, knot_seconds, share), key)| share * noise_at(key, second, *knot_seconds))
            .sum();
        let load = day * self.week(second) * (1.0 + noise_ratio * noise);
        if load.is_finite() { load.max(0.0) } else { 0.0 }
    }

    /// Place between trough (0) and peak (1) by the hour of the day.
    fn height(&self, second: i64) -> f64 {
        let hour = seconds_f64(second.rem_euclid(DAY_SECONDS)) / 3_600.0;
        let turn = std::f64::consts::TAU * (hour - self.curve.peak_hour) / 24.0;
        // The second harmonic broadens the day and steepens the morning, as people do.
        let cosine = turn.cos();
        let wave = 0.5 + 0.5 * cosine;
        // sin^2 = (1 - cos 2x) / 2
        let shoulder = 1.0 - cosine * cosine;
        (wave + 0.12 * shoulder * wave).min(1.0)
    }

    /// Factor of the day of the week, joined linearly from one noon to the next.
    fn week(&self, second: i64) -> f64 {
        let since_noon = second - DAY_SECONDS / 2;
        let day = since_noon.div_euclid(DAY_SECONDS);
        let along = seconds_f64(since_noon.rem_euclid(DAY_SECONDS)) / seconds_f64(DAY_SECONDS);
        self.weekday(day) * (1.0 - along) + self.weekday(day + 1) * along
    }

    fn weekday(&self, unix_day: i64) -> f64 {
        // 1970-01-01 was a Thursday, so day 2 was a Saturday.
        match unix_day.rem_euclid(7) {
            2 | 3 => self.curve.weekend_ratio,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CURVE: LoadCurve = LoadCurve {
        trough_rps: 100.0,
        peak_rps: 1_000.0,
        peak_hour: 15.0,
        weekend_ratio: 0.5,
        noise_ratio: 0.0,
    };

    /// Load without noise at an hour of a day of 1970, whose first day was a Thursday.
    #[track_caller]
    fn check(day: i64, hour: i64, expected: f64) {
        let load = Load::new(1, "a", CURVE).at(day * DAY_SECONDS + hour * 3_600);
        assert!((load - expected).abs() < 0.5, "day {day}, {hour}:00: {load}");
    }

    #[test]
    fn the_day_peaks_and_the_weekend_rests() {
        check(5, 15, 1_000.0); // a Tuesday at its peak
        check(5, 3, 100.0); // twelve hours away
        // Three hours before the peak: 0.5 + 0.5 cos 45 deg = 0.85355, times 1.06 = 0.90477.
        check(5, 12, 914.3);
        check(2, 12, 914.3 / 2.0); // Saturday noon: the weekend in full
        check(3, 12, 914.3 / 2.0); // Sunday noon
        check(4, 12, 914.3); // Monday noon
    }

    proptest! {
        #[test]
        fn load_is_never_negative_and_always_finite(
            seed in any::<u64>(),
            second in -400_000_000_000i64..400_000_000_000,
            trough_rps in 0.0f64..1e6,
            span in 0.0f64..1e6,
            peak_hour in 0.0f64..24.0,
            weekend_ratio in 0.0f64..3.0,
            noise_ratio in 0.0f64..=1.0,
        ) {
            let curve = LoadCurve {
                trough_rps, peak_rps: trough_rps + span, peak_hour, weekend_ratio, noise_ratio,
            };
            let load = Load::new(seed, "any", curve).at(second);
            prop_assert!(load.is_finite() && 0.0 <= load);
            prop_assert!(load <= (trough_rps + span) * weekend_ratio.max(1.0) * (1.0 + noise_ratio) + 1e-6);
        }
    }
}
