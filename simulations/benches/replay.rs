//! How long it takes to replay a quarter.
//!
//! **In:** made-up load: 10 targets, 90 days at 60 s steps after 14 days of past, one policy
//! with forecasts. `cargo bench -p evenkeel-sim --bench replay -- DAYS TARGETS` for others.
//! **Out:** seconds, and what one evaluation costs, on stdout. The goal is 60 s.
//! **Not here:** reading from Prometheus (the command line's).
#![expect(clippy::print_stdout, reason = "a bench prints its numbers")]

use std::time::Instant;

use evenkeel_core::documents::{SourceText, load};
use evenkeel_sim::chance;
use evenkeel_sim::replay::{Grid, Options, PAST, PAST_STEP, Part, Question, Recording, replay};
use rand_chacha::rand_core::Rng as _;

const STEP: i64 = 60;
/// 2026-03-02T00:00:00Z, a Monday.
const FROM: i64 = 1_772_409_600;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().filter_map(|it| it.parse::<u32>().ok());
    let days = numbers.next().unwrap_or(90);
    let n_targets = numbers.next().unwrap_or(10);
    let documents = load(&[SourceText { file: "bench.yaml", text: &documents(n_targets) }]);
    let documents = documents.documents.ok_or("the documents are not valid")?;
    let from = FROM + PAST.as_secs();
    let past = Grid::between(FROM, from, PAST_STEP.as_secs());
    let span = Grid::between(from, from + i64::from(days) * 86_400, STEP);
    let mut recording = Recording::new(past, span);
    let question = Question { query: "load".to_owned(), label: "service".to_owned() };
    for target in 0..n_targets {
        let mut noise = chance::generator(u64::from(target), "bench/replay");
        for part in [Part::Past, Part::Span] {
            let grid = recording.grid(part);
            for at in (0..grid.len).map(|it| grid.at(it)) {
                let value = load_at(at, target) * (1.0 + 0.05 * unit(noise.next_u32()));
                recording.put(part, &question, &format!("s{target}"), at, value);
            }
        }
    }
    let begun = Instant::now();
    let done = replay(&documents, &recording, &Options::default(), &|| true)?;
    let seconds = begun.elapsed().as_secs_f64();
    let n_evaluations = f64::from(u32::try_from(span.len)?) * f64::from(n_targets);
    let card = &done.total.scorecard;
    println!(
        "{days} days x {n_targets} targets at {STEP} s: {seconds:.1} s, {:.1} us per evaluation; \
         tau_u {:.3} %, cost/oracle {:.3}, {} changes",
        seconds * 1e6 / n_evaluations,
        card.tau_u,
        card.cost_ratio,
        card.capacity_changes,
    );
    Ok(())
}

/// A day and a week, not the same for every target.
fn load_at(at: i64, target: u32) -> f64 {
    let hour = f64::from(u32::try_from(at.rem_euclid(86_400)).unwrap_or(0)) / 3_600.0;
    let day = at.div_euclid(86_400).rem_euclid(7);
    let weekend = if 4 < day { 0.6 } else { 1.0 };
    let wave = (std::f64::consts::TAU * (hour - 8.0 - f64::from(target) / 3.0) / 24.0).sin();
    weekend * (600.0 + 400.0 * wave) * (1.0 + f64::from(target) / 5.0)
}

/// In `[-1, 1]`.
fn unit(word: u32) -> f64 {
    2.0 * f64::from(word) / f64::from(u32::MAX) - 1.0
}

fn documents(n_targets: u32) -> String {
    let mut text =
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: { name: web }\nspec:\n  \
        selector: { match_labels: { tier: web } }\n  autonomy: auto\n  target_label: service\n  \
        signals:\n    - { name: requests, query: load, value_per_unit: 50 }\n  \
        forecast: { shortfall: { time_ratio_max: 0.005 } }\n  headroom_ratio: 0.2\n  \
        tolerance_ratio: 0.1\n  \
        scale_up: { stabilization: 0s, cooldown: 0s, step: { units: 4, ratio: 1.0 } }\n  \
        scale_down: { stabilization: 10m, cooldown: 0s, step: { units: 4, ratio: 0.2 } }\n"
            .to_owned();
    for target in 0..n_targets {
        text += &format!(
            "---\napiVersion: evenkeel/v1\nkind: Target\nmetadata: {{ name: s{target}, labels: {{ tier: web }} }}\n\
             spec:\n  region: eu-west-1\n  provider: {{ simulated: {{ service: s{target} }} }}\n  \
             capacity: {{ min: 1, max: 200 }}\n  price_usd_per_hour: 0.1\n  lead_time: 5m\n"
        );
    }
    text
}
