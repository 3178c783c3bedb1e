//! Pieces of PromQL.
//!
//! **In:** names, durations, numbers.
//! **Out:** text that Prometheus 2.42 and later reads, and evaluates alike.
//! **Not here:** which rules there are ([`super::records`], [`super::alerts`]).

use jiff::SignedDuration;

use crate::slo::SLOT;
use crate::units::show_duration;

/// Half of a slot: a range that ends now and is shorter by this than `n` slots has exactly
/// `n` samples, whether its beginning belongs to it (Prometheus 2) or not (3).
const HALF_SLOT: SignedDuration = SignedDuration::from_secs(15);

/// A string literal.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for it in text.chars() {
        match it {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            it if it.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(it))),
            it => quoted.push(it),
        }
    }
    quoted.push('"');
    quoted
}

/// `metric{label="value", …}`.
pub(super) fn selector(metric: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", string(value))).collect();
    format!("{metric}{{{}}}", labels.join(","))
}

/// A range that ends now and has the samples of `length`, 30 seconds apart.
pub(super) fn range(length: SignedDuration) -> String {
    show_duration(length.max(SLOT).saturating_sub(HALF_SLOT))
}

/// What was recorded at this very evaluation. Not an instant selector: that would find a
/// sample of up to five minutes ago where evaluations are missing.
pub(super) fn now(selector: &str) -> String {
    format!("last_over_time({selector}[{}])", range(SLOT))
}

/// What was recorded at the evaluation before.
pub(super) fn before(selector: &str) -> String {
    format!("last_over_time({selector}[{}] offset {})", range(SLOT), show_duration(SLOT))
}

/// What all samples of `length` add up to.
pub(super) fn sum_over(selector: &str, length: SignedDuration) -> String {
    format!("sum_over_time({selector}[{}])", range(length))
}

/// A number, all digits of it.
pub(super) fn number(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_half_a_slot_less_than_its_slots() {
        assert_eq!(range(SignedDuration::from_hours(1)), "59m45s");
        assert_eq!(range(SignedDuration::from_hours(72)), "2d23h59m45s");
        assert_eq!(range(SLOT), "15s");
    }

    #[test]
    fn strings_are_quoted_whatever_is_in_them() {
        assert_eq!(string("a\"b\\c\nd\u{7}é"), "\"a\\\"b\\\\c\\nd\\u0007é\"");
    }

    #[test]
    fn a_number_has_all_its_digits_and_no_exponent() {
        assert_eq!(number(1.0 - 0.999), "0.0010000000000000009");
        assert_eq!(number(1e-9), "0.000000001");
    }
}
