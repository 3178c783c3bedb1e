//! How long a round takes with many runs at once, and how many records a run costs.
//!
//! **In:** nothing; `cargo bench -p evenkeel-core --bench healing`.
//! **Out:** milliseconds per round of observations, records per run.
//! **Not here:** whether the decisions are right (`tests/healing/`), the disk.

#![expect(clippy::disallowed_macros, clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::documents::{Documents, SourceText, load};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::InputName;
use evenkeel_core::state::State;
use jiff::{SignedDuration, Timestamp};

const TARGETS: usize = 1_000;
const ROUNDS: u32 = 20;

fn documents() -> Result<Documents, Box<dyn std::error::Error>> {
    let mut yaml = String::from(
        "apiVersion: evenkeel/v1\nkind: Access\nmetadata: { name: nobody }\nspec: {}\n---\n\
         apiVersion: evenkeel/v1\nkind: Playbook\nmetadata: { name: fix }\nspec:\n  \
         about: Bad.\n  runbook: runbooks/fix.md\n  severity: ticket\n  \
         selector: { everything: true }\n  autonomy: auto\n  target_label: service\n  \
         inputs:\n    - { name: bad, query: bad, unit: ratio, max_age: 1m }\n  \
         trigger: { condition: bad > 0.5, lasts: 30s }\n  steps:\n    \
         - { name: tell, notify: { message: look at it } }\n    \
         - { name: settle, wait_for: { condition: bad < 0.3, within: 1h } }\n  \
         verification: { that: bad < 0.5, holds_for: 1m, within: 5m }\n  \
         limits: { attempts: 9, window: 1h, concurrency: 1000, cooldown: 1m }\n",
    );
    for number in 0..TARGETS {
        write!(
            yaml,
            "---\napiVersion: evenkeel/v1\nkind: Target\nmetadata: {{ name: t{number} }}\nspec:\n  \
             region: r\n  provider: {{ simulated: {{ service: t{number} }} }}\n  \
             capacity: {{ min: 2, max: 40 }}\n"
        )?;
    }
    let loaded = load(&[SourceText { file: "bench.yaml", text: &yaml }]);
    loaded.documents.ok_or_else(|| format!("{:?}", loaded.diagnostics.first()).into())
}

struct Bench {
    agent: Agent,
    documents: Arc<Documents>,
    now: Timestamp,
    n_records: usize,
}

impl Bench {
    fn round(&mut self, value: f64) -> Result<f64, Box<dyn std::error::Error>> {
        self.now = self.now.checked_add(SignedDuration::from_secs(15))?;
        let input: InputName = "bad".parse()?;
        let playbook = "fix".parse()?;
        let seen = self.documents.targets().map(|it| PlaybookObservation {
            playbook: evenkeel_core::ids::PlaybookId::clone(&playbook),
            target: it.id.clone(),
            inputs: vec![InputReading {
                input: input.clone(),
                reading: Ok(InputValue::One { value, sampled_at: self.now }),
            }],
        });
        let seen = seen.collect();
        let began = Instant::now();
        let outcome = self.agent.handle(self.now, Input::PlaybooksObserved(seen));
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        self.n_records += outcome.records().len();
        let _ = outcome.commit(|_| Ok::<(), std::convert::Infallible>(()));
        Ok(took)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let documents = Arc::new(documents()?);
    let now = "2026-03-02T06:00:00Z".parse()?;
    let agent = Agent::new(State::default());
    let mut it = Bench { agent, documents: Arc::clone(&documents), now, n_records: 0 };
    let _ = it.agent.handle(now, Input::DocumentsLoaded(documents));
    let quiet = it.round(0.1)?;
    it.n_records = 0;
    it.round(0.9)?;
    it.round(0.9)?;
    let opening = it.round(0.9)?;
    let n_active = it.agent.state().healing().active().count();
    let mut worst = 0.0_f64;
    let mut sum = 0.0;
    for _ in 0..ROUNDS {
        let took = it.round(0.4)?;
        worst = worst.max(took);
        sum += took;
    }
    for _ in 0..12 {
        it.round(0.1)?;
    }
    let n_left = it.agent.state().healing().active().count();
    println!("{n_active} runs at once on {TARGETS} targets, {n_left} left at the end");
    println!("quiet round          {quiet:8.2} ms");
    println!("round that opens all {opening:8.2} ms");
    println!(
        "round with all       {:8.2} ms on average, {worst:.2} ms at most",
        sum / f64::from(ROUNDS)
    );
    println!("records              {:8} in all, incidents and notices included", it.n_records);
    Ok(())
}
