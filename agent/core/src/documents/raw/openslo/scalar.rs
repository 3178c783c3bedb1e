//! Single values that OpenSLO writes in its own way.
//!
//! **In:** one node.
//! **Out:** durations in shorthand, slices, targets, comparisons, descriptions.
//! **Not here:** values that our documents write too ([`crate::documents::raw::scalar`]).

use std::fmt;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::{quoted, text};
use crate::documents::fault::Faults;
use crate::documents::positions::{Node, Value};
use crate::documents::raw::scalar::{number, out_of_range, word};
use crate::documents::raw::{Place, Read};
use crate::documents::{Budgeting, Comparison};
use crate::slo::SLOT;
use crate::slo::window::PeriodLength;
use crate::units::show_duration;

/// Longest description, in characters. Source: OpenSLO v1.
const DESCRIPTION_CHARS_MAX: usize = 1_050;
/// Most digits of a duration. Why 6: a year has 525,600 minutes.
const DIGITS_MAX: usize = 6;
const MINUTES_OF_DAY: i64 = 1_440;

/// Text for people, of several lines if they like.
pub(in crate::documents) struct Description;

impl Read for Description {
    fn schema() -> Json {
        json!({"type": "string", "maxLength": DESCRIPTION_CHARS_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Description> {
        let n = text(node, place, "text", faults)?.chars().count();
        if n <= DESCRIPTION_CHARS_MAX {
            return Some(Description);
        }
        let message =
            format!("`{place}` has {n} characters, at most {DESCRIPTION_CHARS_MAX} are allowed");
        faults.error(node.at, message, "shorten it");
        None
    }
}

/// The unit of a [`Shorthand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Postfix {
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Quarters,
    Years,
}

/// Duration shorthand: a whole number and one letter, whose case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::documents) struct Shorthand {
    count: i64,
    postfix: Postfix,
}

impl Shorthand {
    /// As time that passes: a month is 30 days, a quarter 90, a year 365. The
    /// specification leaves it open; these are what people mean by a rolling one.
    pub(in crate::documents) fn rolling(self) -> SignedDuration {
        let minutes = match self.postfix {
            Postfix::Minutes => 1,
            Postfix::Hours => 60,
            Postfix::Days => MINUTES_OF_DAY,
            Postfix::Weeks => 7 * MINUTES_OF_DAY,
            Postfix::Months => 30 * MINUTES_OF_DAY,
            Postfix::Quarters => 90 * MINUTES_OF_DAY,
            Postfix::Years => 365 * MINUTES_OF_DAY,
        };
        SignedDuration::from_mins(self.count.saturating_mul(minutes))
    }

    /// As the calendar has it.
    pub(in crate::documents) fn calendar(self) -> PeriodLength {
        let n = self.count;
        match self.postfix {
            Postfix::Minutes => PeriodLength::Minutes(n),
            Postfix::Hours => PeriodLength::Minutes(n.saturating_mul(60)),
            Postfix::Days => PeriodLength::Days(n),
            Postfix::Weeks => PeriodLength::Days(n.saturating_mul(7)),
            Postfix::Months => PeriodLength::Months(n),
            Postfix::Quarters => PeriodLength::Months(n.saturating_mul(3)),
            Postfix::Years => PeriodLength::Months(n.saturating_mul(12)),
        }
    }

    /// What somebody meant who wrote minutes: `1M` for `1m`.
    pub(in crate::documents) fn in_months(self) -> Option<Shorthand> {
        (self.postfix == Postfix::Minutes).then_some(Shorthand { postfix: Postfix::Months, ..self })
    }
}

impl fmt::Display for Shorthand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.postfix {
            Postfix::Minutes => 'm',
            Postfix::Hours => 'h',
            Postfix::Days => 'd',
            Postfix::Weeks => 'w',
            Postfix::Months => 'M',
            Postfix::Quarters => 'Q',
            Postfix::Years => 'Y',
        };
        write!(f, "{}{letter}", self.count)
    }
}

fn postfix(letter: &str) -> Option<Postfix> {
    Some(match letter {
        "m" => Postfix::Minutes,
        "h" => Postfix::Hours,
        "d" => Postfix::Days,
        "w" => Postfix::Weeks,
        "M" => Postfix::Months,
        "Q" => Postfix::Quarters,
        "Y" => Postfix::Years,
        _ => return None,
    })
}

impl Read for Shorthand {
    fn schema() -> Json {
        json!({"type": "string", "pattern": format!("^[0-9]{{1,{DIGITS_MAX}}}[mhdwMQY]$")})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Shorthand> {
        if let Value::Whole(n) = node.value {
            let message = format!("`{place}` is {n}, a duration without a unit");
            let hint = format!("write for example `{n}d` for days, or `{n}m` for minutes");
            faults.error(node.at, message, hint);
            return None;
        }
        let written = text(node, place, "a duration such as `4w`", faults)?;
        let n_digits = written.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, letter) = written.split_at(n_digits);
        let is_short = (1..=DIGITS_MAX).contains(&n_digits);
        let count = digits.parse().ok().filter(|_| is_short);
        if let (Some(count), Some(postfix)) = (count, postfix(letter)) {
            return Some(Shorthand { count, postfix });
        }
        let other_case = [letter.to_ascii_lowercase(), letter.to_ascii_uppercase()];
        let near = other_case.iter().find(|it| postfix(it).is_some());
        let parsed = crate::units::parse_duration(written).ok();
        let minutes = parsed.map(|it| it.as_secs()).filter(|it| it % 60 == 0 && 0 < *it);
        let hint = if DIGITS_MAX < n_digits {
            format!("it has {n_digits} digits, at most {DIGITS_MAX} are read")
        } else if let (true, Some(near)) = (is_short, near) {
            format!("did you mean `{digits}{near}`?")
        } else if let Some(seconds) = minutes {
            format!("write `{}m`", seconds / 60)
        } else {
            "write a whole number and one of m (minutes), h, d, w, M (months), Q and Y, for \
             example `4w`"
                .to_owned()
        };
        let message = format!("`{place}`: {} is not a duration in shorthand", quoted(written));
        faults.error(node.at, message, hint);
        None
    }
}

/// How long a slice of time is: in shorthand, or a number of minutes.
pub(in crate::documents) struct SliceWidth(pub(in crate::documents) SignedDuration);

impl Read for SliceWidth {
    fn schema() -> Json {
        json!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, Shorthand::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<SliceWidth> {
        let (shown, seconds) = if matches!(node.value, Value::Whole(_) | Value::Number(_)) {
            let minutes = number(node, place, "a number of minutes", faults)?;
            // Through text, as for whole numbers: nothing is lost or wrapped.
            let half_minutes = (minutes * 2.0).to_string().parse::<i64>().ok();
            let seconds = half_minutes.and_then(|it| it.checked_mul(SLOT.as_secs()));
            (format!("{minutes} minutes"), seconds)
        } else {
            let written = Shorthand::read(node, place, faults)?;
            (format!("`{written}`"), Some(written.rolling().as_secs()))
        };
        let day = MINUTES_OF_DAY * 60;
        let divides = |it: &i64| 0 < *it && it % SLOT.as_secs() == 0 && day % it == 0;
        if let Some(seconds) = seconds.filter(divides) {
            return Some(SliceWidth(SignedDuration::from_secs(seconds)));
        }
        let message = format!(
            "`{place}` is {shown}; slices are whole multiples of {} that divide a day",
            show_duration(SLOT)
        );
        faults.error(node.at, message, "write for example `1m`, `5m`, `1h` or `1d`");
        None
    }
}

/// The share that must be good, as a ratio. Above 0 and below 1.
pub(in crate::documents) struct TargetRatio(pub(in crate::documents) f64);

/// The same, in percent; kept as a ratio.
pub(in crate::documents) struct TargetPercent(pub(in crate::documents) f64);

impl Read for TargetRatio {
    fn schema() -> Json {
        json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<TargetRatio> {
        let target = number(node, place, "a number above 0 and below 1", faults)?;
        in_range(node, place, target, 1.0, faults).then_some(TargetRatio(target))
    }
}

impl Read for TargetPercent {
    fn schema() -> Json {
        json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<TargetPercent> {
        let percent = number(node, place, "a number above 0 and below 100", faults)?;
        if !in_range(node, place, percent, 100.0, faults) {
            return None;
        }
        // Through text: 99.9 is then 0.999 and not a neighbour of it.
        format!("{percent}e-2").parse().ok().filter(|it| *it < 1.0).map(TargetPercent)
    }
}

fn in_range(node: &Node, place: &Place<'_>, it: f64, whole: f64, faults: &mut Faults) -> bool {
    if it.is_finite() && 0.0 < it && it < whole && 0.0 < 1.0 - it / whole {
        return true;
    }
    let percent = format!("`targetPercent: {it}`");
    let hint = if it.total_cmp(&0.0).is_eq() {
        "with 0 % there is nothing to lose, so nothing is measured against it".to_owned()
    } else if it.total_cmp(&whole).is_eq() {
        "with 100 % there is no error budget, so every failure is one too many; write for \
         example `target: 0.999`"
            .to_owned()
    } else if 1.0 < it && it < 100.0 {
        format!("write {percent} if that is percent")
    } else {
        "write for example `target: 0.999` or `targetPercent: 99.9`".to_owned()
    };
    let message = format!("`{place}` is {it}, it must be above 0 and below {whole}");
    faults.error(node.at, message, hint);
    false
}

/// A number with a range of its own.
macro_rules! number {
    ($(#[doc = $doc:literal])+ $name:ident: $expected:literal, $within:expr, $schema:tt) => {
        $(#[doc = $doc])+
        pub(in crate::documents) struct $name(pub(in crate::documents) f64);

        impl Read for $name {
            fn schema() -> Json {
                let mut schema = json!($schema);
                schema["type"] = json!("number");
                schema
            }

            fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<$name> {
                let within: fn(f64) -> bool = $within;
                let value = number(node, place, $expected, faults)?;
                if value.is_finite() && within(value) {
                    return Some($name(value));
                }
                out_of_range(node, place, &value, $expected, faults);
                None
            }
        }
    };
}

number! {
    /// Least share of good events of a good slice.
    SliceTarget: "a number above 0 and at most 1", |it| 0.0 < it && it <= 1.0,
    {"exclusiveMinimum": 0, "maximum": 1}
}
number! {
    /// Weight in a composite. Why at most a million: the specification allows any, and
    /// sums must stay finite.
    Weight: "a number above 0 and at most 1000000", |it| 0.0 < it && it <= 1e6,
    {"exclusiveMinimum": 0, "maximum": 1_000_000}
}

/// A closed set of words.
macro_rules! words {
    ($type:ty: $($word:literal = $value:expr),+) => {
        impl Read for $type {
            fn schema() -> Json {
                json!({"enum": [$($word),+]})
            }

            fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<$type> {
                word(node, place, &[$(($word, $value)),+], faults)
            }
        }
    };
}

words!(Comparison:
    "lte" = Comparison::Lte, "gte" = Comparison::Gte, "lt" = Comparison::Lt,
    "gt" = Comparison::Gt);
words!(Budgeting:
    "Occurrences" = Budgeting::Occurrences, "Timeslices" = Budgeting::Timeslices,
    "RatioTimeslices" = Budgeting::RatioTimeslices);

/// What a stored ratio is of.
#[derive(Clone, Copy)]
pub(in crate::documents) enum RawType {
    Success,
    Failure,
}
words!(RawType: "success" = RawType::Success, "failure" = RawType::Failure);

/// What an alert condition compares. There is only one.
#[derive(Clone, Copy)]
pub(in crate::documents) enum ConditionKind {
    BurnRate,
}
words!(ConditionKind: "burnrate" = ConditionKind::BurnRate);
