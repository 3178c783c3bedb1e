//! Good conditions, damaged: the fuzz that runs everywhere.
//!
//! A fuzz by coverage needs a nightly compiler (`agent/core/fuzz`); this one is seeded
//! and the same on every machine. `EVENKEEL_FUZZ_CASES` raises the number of cases.

use evenkeel_core::condition::{FUNCTIONS, TEXT_BYTES_MAX};

use crate::any_text;
use crate::expressions::Writer;
use crate::world::Chance;

const CASES: u64 = 200_000;

const CORPUS: &[&str] = &[
    "error_ratio > params.limit && latency < duration(\"500ms\")",
    "!(known(latency)) || worst(slow) > 3 * median(slow)",
    "outlier_count(slow, 3) == 1 && share_above(slow, duration(\"1s\")) < percent(30)",
    "load / target.ready < rps(100) ? target.ready >= 2 : true",
    "max(error_ratio, params.limit, 0.1) - min(0.5, abs(-error_ratio)) <= 1e-3",
    "instances(slow) != 5 || lowest(slow) + mean(slow) > latency * 1.5",
    "latency * (1 + error_ratio) / (2 - params.limit)",
    "((((error_ratio))))",
];

const PIECES: &[&str] = &[
    "(",
    ")",
    "((((((((",
    "))))))))",
    "&&",
    "||",
    "!",
    "-",
    "<",
    "==",
    "?",
    ":",
    ",",
    ".",
    "\"",
    "'",
    "\\",
    "0",
    "9e9",
    "1e308",
    "latency",
    "slow",
    "duration(\"",
    "\u{0}",
    "\u{1b}[2J",
    "é",
    "…",
    "\n",
    " ",
    "\u{a0}",
    "//",
    "/*",
    "true",
    "&",
    "%",
    "[",
    "{",
];

fn mutated(chance: &mut Chance, corpus: &[String]) -> String {
    let mut text: Vec<char> = chance.choose(corpus).chars().collect();
    for _ in 0..=chance.below(4) {
        let at = chance.below(text.len() + 1);
        let end = (at + chance.below(12)).min(text.len());
        match chance.below(8) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, chance.choose(PIECES).chars())),
            2 => drop(text.splice(at..end, chance.choose(PIECES).chars())),
            3 => {
                let other: Vec<char> = chance.choose(corpus).chars().collect();
                let from = chance.below(other.len() + 1);
                drop(text.splice(at.., other[from..].iter().copied()));
            }
            4 => {
                let copied = text[at..end].to_vec();
                for _ in 0..chance.below(40) {
                    drop(text.splice(at..at, copied.iter().copied()));
                }
            }
            5 => {
                let n = chance.below(50);
                drop(text.splice(0..0, std::iter::repeat_n('(', n)));
                text.extend(std::iter::repeat_n(')', n));
            }
            6 => drop(text.splice(at..at, chance.choose(FUNCTIONS).form.chars())),
            _ => {
                if let Some(it) = text.get_mut(at) {
                    *it = char::from_u32(u32::try_from(chance.below(0x250)).unwrap_or(0))
                        .unwrap_or('x');
                }
            }
        }
        text.truncate(TEXT_BYTES_MAX + 10);
    }
    text.into_iter().collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn damaged_conditions_get_a_fault_or_a_value() {
    let n_cases = std::env::var("EVENKEEL_FUZZ_CASES")
        .map_or(CASES, |it| it.parse().expect("EVENKEEL_FUZZ_CASES is a number"));
    let mut chance = Chance(5);
    let mut corpus: Vec<String> = CORPUS.iter().map(|it| (*it).to_owned()).collect();
    for _ in 0..50 {
        let mut writer = Writer {
            chance: &mut chance,
            with_instances: false,
            with_known: false,
            wrong_percent: 0,
        };
        corpus.push(writer.boolean(3));
    }
    let environment = any_text::environment();
    let mut n_accepted = 0;
    for _ in 0..n_cases {
        let text = mutated(&mut chance, &corpus);
        if any_text::check(&text, &environment) {
            n_accepted += 1;
            // Good children have children too.
            if chance.percent(10) && corpus.len() < 2_000 {
                corpus.push(text);
            }
        }
    }
    assert!(n_cases / 100 <= n_accepted, "only {n_accepted} of {n_cases} were conditions");
}
