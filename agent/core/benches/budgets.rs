//! How long 1,000 SLOs take to read a slot and to be judged, and what memory they take.
//!
//! **In:** nothing; `cargo bench -p evenkeel-core --bench budgets`.
//! **Out:** milliseconds per evaluation, bytes per SLO.
//! **Not here:** whether the verdicts are right (`tests/slo/`).

#![expect(clippy::disallowed_macros, clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]

use std::hint::black_box;
use std::time::Instant;

use evenkeel_core::documents::{AlertPolicy, Budgeting, Indicator, MetricQuery, Objective, Slo};
use evenkeel_core::ids::{ServiceName, SloId};
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{Counts, LOOKBACK_MAX, SLOT, SliReading, SlotReading};
use jiff::{SignedDuration, Timestamp};

const N: usize = 1_000;
const ROUNDS: i64 = 20;

fn slo(nth: usize) -> Result<Slo, evenkeel_core::ids::NameError> {
    let query = |it: &str| MetricQuery::PromQl(it.to_owned());
    let indicator =
        Indicator::BadOfTotal { bad: query("bad"), total: query("total"), is_counter: true };
    let target = 0.999;
    let objective =
        Objective { name: "good".to_owned(), target, indicator, slice: None, weight: 1.0 };
    Ok(Slo {
        id: SloId::new(&format!("slo-{nth}"))?,
        display_name: String::new(),
        service: ServiceName::new("checkout")?,
        window: Window::Rolling(SignedDuration::from_hours(30 * 24)),
        budgeting: Budgeting::Occurrences,
        alert_policies: AlertPolicy::workbook(objective.error_budget()),
        objectives: vec![objective],
        is_composite: false,
        is_critical: false,
    })
}

fn slot(it: &SloMeters, nth: i64) -> Result<SliReading, jiff::Error> {
    let at = Timestamp::from_second(nth * SLOT.as_secs())?;
    let counts = Some(Counts { bad: 1.0, total: 1_000.0 });
    let slots = vec![SlotReading { at, counts, carried: None }];
    Ok(SliReading { slo: it.slo().id.clone(), objective: 0, step: SLOT, slots })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut all = (0..N)
        .map(|nth| Ok(SloMeters::of(&slo(nth)?)))
        .collect::<Result<Vec<_>, evenkeel_core::ids::NameError>>()?;
    let full = LOOKBACK_MAX.as_secs() / SLOT.as_secs();
    let began = Instant::now();
    for it in &mut all {
        for nth in 0..full {
            let reading = slot(it, nth)?;
            it.observe(Timestamp::from_second(nth * SLOT.as_secs())?, &reading);
        }
    }
    println!("three days of {N} SLOs read        {:8.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let (mut read, mut judged) = (Vec::new(), Vec::new());
    for nth in full..full + ROUNDS {
        let now = Timestamp::from_second(nth * SLOT.as_secs())?;
        let began = Instant::now();
        for it in &mut all {
            let reading = slot(it, nth)?;
            it.observe(now, &reading);
        }
        read.push(began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        for it in &mut all {
            black_box(it.evaluate(now));
        }
        judged.push(began.elapsed().as_secs_f64() * 1e3);
    }
    for (name, mut times) in [("one slot of each read", read), ("each judged, 5 policies", judged)]
    {
        times.sort_by(f64::total_cmp);
        let at = |nth: usize| times.get(nth).copied().unwrap_or_default();
        println!("{name:32} {:8.1} ms (worst {:.1})", at(times.len() / 2), at(times.len() - 1));
    }
    let bytes: usize = all.iter().map(SloMeters::bytes).sum();
    println!("memory                           {:8} bytes per SLO", bytes / N);
    Ok(())
}
