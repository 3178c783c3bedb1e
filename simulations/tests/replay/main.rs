//! Replays of made-up recordings, checked with plainer arithmetic than theirs.
//!
//! **In:** series that are written down or drawn at random, and documents as people write them.
//! **Out:** what a replay says of them.
//! **Not here:** a real Prometheus (the command line's tests).

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a replay of hours has small numbers"
)]

mod policies;
mod scores;

use evenkeel_core::documents::{Documents, SourceText, load};
use evenkeel_core::ids::TargetId;
use evenkeel_sim::replay::{
    Card, Grid, Options, PAST, PAST_STEP, Part, Question, Recording, Replay, replay,
};

/// 2026-03-16T00:00:00Z, a Monday.
const FROM: i64 = 1_773_619_200;
const STEP: i64 = 60;
const LEAD: i64 = 150;
const PRICE: f64 = 0.5;

/// What the documents of a test say beside the usual.
#[derive(Clone, Copy)]
struct Said<'a> {
    value_per_unit: f64,
    lead: &'a str,
    autonomy: &'a str,
    signals: &'a str,
    policy: &'a str,
    more: &'a str,
}

const USUAL: Said<'_> = Said {
    value_per_unit: 50.0,
    lead: "150s",
    autonomy: "auto",
    signals: "",
    policy: "",
    more: "",
};

/// A policy for targets `a` and `b`.
fn documents(said: Said<'_>) -> Documents {
    let Said { value_per_unit, lead, autonomy, signals, policy, more } = said;
    let mut text = format!(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: {{ name: web }}\nspec:\n  \
         selector: {{ match_labels: {{ tier: web }} }}\n  autonomy: {autonomy}\n  \
         target_label: service\n  signals:\n    \
         - {{ name: requests, query: load, value_per_unit: {value_per_unit} }}\n{signals}{policy}  \
         headroom_ratio: 0.1\n  tolerance_ratio: 0\n  \
         scale_up: {{ stabilization: 0s, cooldown: 0s, step: {{ units: 50, ratio: 1.0 }} }}\n  \
         scale_down: {{ stabilization: 5m, cooldown: 0s, step: {{ units: 50, ratio: 1.0 }} }}\n\
         ---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: {{ name: free }}\nspec:\n  \
         selector: {{ everything: true }}\n  \
         blast_radius: {{ window: 1m, removed_ratio_max: 1.0 }}\n"
    );
    for name in ["a", "b"] {
        text += &format!(
            "---\napiVersion: evenkeel/v1\nkind: Target\nmetadata: {{ name: {name}, labels: {{ tier: web }} }}\n\
             spec:\n  region: eu-west-1\n  provider: {{ simulated: {{ service: {name} }} }}\n  \
             capacity: {{ min: 1, max: 60 }}\n  price_usd_per_hour: {PRICE}\n  lead_time: {lead}\n"
        );
    }
    text += more;
    let loaded = load(&[SourceText { file: "test.yaml", text: &text }]);
    let shown: Vec<_> = loaded.diagnostics.iter().map(|it| &it.message).collect();
    loaded.documents.unwrap_or_else(|| panic!("{shown:?}\n{text}"))
}

/// `None` is a gap.
type Values = Vec<Option<f64>>;

fn question(query: &str) -> Question {
    Question { query: query.to_owned(), label: "service".to_owned() }
}

fn recording(n_steps: usize) -> Recording {
    let past = Grid::between(FROM - PAST.as_secs(), FROM, PAST_STEP.as_secs());
    Recording::new(past, Grid { from: FROM, step: STEP, len: n_steps })
}

fn put(recording: &mut Recording, query: &str, service: &str, values: &Values) {
    let grid = recording.grid(Part::Span);
    for (place, value) in values.iter().enumerate() {
        if let Some(value) = value {
            assert!(recording.put(Part::Span, &question(query), service, grid.at(place), *value));
        }
    }
}

fn load_of_a(values: &Values) -> Recording {
    let mut recording = recording(values.len());
    put(&mut recording, "load", "a", values);
    recording
}

/// Replays with the plan of `a`.
fn run(documents: &Documents, recording: &Recording) -> Replay {
    let options = Options { plan_of: TargetId::new("a").ok(), ..Options::default() };
    replay(documents, recording, &options, &|| true).unwrap()
}

fn card_of<'a>(replay: &'a Replay, name: &str) -> &'a Card {
    let of = |it: &&Card| it.target.as_ref().is_some_and(|it| it.as_str() == name);
    replay.targets.iter().find(of).unwrap()
}

fn hours(n: usize, value: f64) -> Values {
    vec![Some(value); n * 60]
}
