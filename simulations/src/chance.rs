//! Chance that a seed and a name fix.
//!
//! **In:** the run's seed and the name of a stream, such as `boot/checkout-api`.
//! **Out:** a generator of its own per stream, and noise that can be read at any instant.
//! **Not here:** entropy. Nothing in this crate asks the operating system for any.
//!
//! One stream per name is why a service that is added, or a fault, leaves the numbers of all
//! others as they were.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Increment of SplitMix64: 2^64 divided by the golden ratio, made odd.
/// Source: Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators* (2014).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Offset basis and prime of 64-bit FNV-1a (Fowler, Noll, Vo).
const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

/// SplitMix64's output function: every bit of the input moves every bit of the output.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a of `bytes`, going on from `hash`.
pub fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The key of the stream `name` of the run `seed`.
pub fn stream_key(seed: u64, name: &str) -> u64 {
    mix(fnv1a(FNV_OFFSET ^ mix(seed), name.as_bytes()))
}

/// A generator for the stream `name` of the run `seed`, independent of every other name's.
pub fn generator(seed: u64, name: &str) -> ChaCha8Rng {
    let key = stream_key(seed, name);
    let mut bytes = [0u8; 32];
    // Written out because `seed_from_u64` may change between releases of rand_core.
    for (chunk, n) in bytes.chunks_exact_mut(8).zip(0u64..) {
        chunk.copy_from_slice(&mix(key.wrapping_add(n)).to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// The top 53 bits as a fraction in `0.0 .. 1.0`.
pub fn fraction(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exactly what an f64 holds")]
    let top = (bits >> 11) as f64;
    top / 9_007_199_254_740_992.0
}

/// One draw from the standard normal distribution (Box and Muller, 1958).
pub fn normal(generator: &mut ChaCha8Rng) -> f64 {
    // 1 - fraction is in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - fraction(generator.next_u64())).ln()).sqrt();
    radius * (std::f64::consts::TAU * fraction(generator.next_u64())).cos()
}

/// Smooth noise in `-1.0 ..= 1.0` at any second, without reading what came before.
///
/// A value is drawn for every multiple of `knot_seconds` and joined by a smoothstep, so the
/// past can be asked for after the present and gives the same numbers. `knot_seconds` must be
/// at least 1; less counts as 1.
pub fn noise_at(key: u64, second: i64, knot_seconds: i64) -> f64 {
    let knot_seconds = knot_seconds.max(1);
    let knot = second.div_euclid(knot_seconds);
    let at_knot =
        |knot: i64| 2.0 * fraction(mix(key ^ mix(u64::from_le_bytes(knot.to_le_bytes())))) - 1.0;
    let along = seconds_f64(second.rem_euclid(knot_seconds)) / seconds_f64(knot_seconds);
    let smooth = along * along * (3.0 - 2.0 * along);
    at_knot(knot) * (1.0 - smooth) + at_knot(knot + 1) * smooth
}

/// Whole seconds as a float.
pub(crate) fn seconds_f64(seconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no timestamp reaches 2^53 seconds")]
    let seconds = seconds as f64;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_give_equal_streams_and_others_differ() {
        let draw = |seed, name: &str| {
            let mut generator = generator(seed, name);
            [generator.next_u64(), generator.next_u64()]
        };
        assert_eq!(draw(1, "boot/a"), draw(1, "boot/a"));
        assert_ne!(draw(1, "boot/a"), draw(1, "boot/b"));
        assert_ne!(draw(1, "boot/a"), draw(2, "boot/a"));
    }

    #[test]
    fn normal_draws_have_the_mean_and_spread_of_the_distribution() {
        let mut generator = generator(7, "test/normal");
        let draws: Vec<f64> = (0..20_000).map(|_| normal(&mut generator)).collect();
        let n = f64::from(20_000u32);
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / n;
        // Four standard errors: 4/sqrt(n) and 4*sqrt(2/n).
        assert!(mean.abs() < 0.029, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.04, "variance {variance}");
    }

    #[test]
    fn noise_is_bounded_smooth_and_independent_of_what_was_read_before() {
        let key = stream_key(3, "test/noise");
        let read = |second| noise_at(key, second, 300);
        let forward: Vec<u64> = (-600..600).map(|second| read(second).to_bits()).collect();
        let mut backward: Vec<u64> =
            (-600..600).rev().map(|second| read(second).to_bits()).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        for second in -600..600 {
            assert!(read(second).abs() <= 1.0);
            // Steepest point of a smoothstep: 1.5 of the height per knot width.
            assert!((read(second + 1) - read(second)).abs() <= 2.0 * 1.5 / 300.0 + 1e-9);
        }
    }
}
