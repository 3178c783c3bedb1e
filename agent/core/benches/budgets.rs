//! How long 1,000 SLOs take to read a slot and to be judged, what memory they take, and how
//! long the whole agent takes over them and 1,000 tenants of 20 services.
//!
//! **In:** nothing; `cargo bench -p evenkeel-core --bench budgets`.
//! **Out:** milliseconds per evaluation, bytes per SLO.
//! **Not here:** whether the verdicts are right (`tests/slo/`).

#![expect(clippy::disallowed_macros, clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::documents::{
    AlertPolicy, Budgeting, Economy, Indicator, MetricQuery, Objective, Slo, SourceText, load,
};
use evenkeel_core::ids::{ServiceName, SloId, TenantName};
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{Counts, LOOKBACK_MAX, SLOT, SliReading, SlotReading};
use evenkeel_core::spend::{SpendReading, TenantUsage};
use evenkeel_core::state::State;
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
    drop(all);
    whole_agent()
}

/// One evaluation of the whole agent: slots of all SLOs, then spend and tenants' usage, each
/// with thresholds, alerts and what is due of the estimates.
fn whole_agent() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::from(TENANTS);
    for service in 0..20 {
        text.push_str(&TARGET.replace("NTH", &service.to_string()));
    }
    let loaded = load(&[SourceText { file: "bench.yaml", text: &text }]);
    let documents = loaded.documents.ok_or_else(|| format!("{:?}", loaded.diagnostics))?;
    let slos = (0..N).map(slo).collect::<Result<Vec<_>, _>>()?;
    let slos = slos.into_iter().map(|it| (it.id.clone(), it)).collect();
    let economy = Economy { slos, ..documents.economy().clone() };
    let mut agent = Agent::new(State::default());
    let documents = Arc::new(documents.with_economy(economy));
    let first = 1_000_000;
    let at = |nth: i64| Timestamp::from_second(nth * SLOT.as_secs());
    drop(agent.handle(at(first)?, Input::DocumentsLoaded(Arc::clone(&documents))));
    let mut usage = TenantUsage::default();
    for tenant in 0..N {
        for service in 0..20 {
            let tenant = TenantName::new(&format!("tenant-{tenant}"))?;
            usage.by_tenant.push((tenant, ServiceName::new(&format!("service-{service}"))?, 1.0));
        }
    }
    let spend = SpendReading { tenants: Some(usage), ..SpendReading::default() };
    let (mut slis, mut spends) = (Vec::new(), Vec::new());
    for nth in first..first + 400 {
        let now = at(nth)?;
        let counts = Some(Counts { bad: 1.0, total: 1_000.0 });
        let reading = |it: &Slo| SliReading {
            slo: it.id.clone(),
            objective: 0,
            step: SLOT,
            slots: vec![SlotReading { at: now, counts, carried: None }],
        };
        let readings: Vec<SliReading> = documents.slos().map(reading).collect();
        let began = Instant::now();
        drop(black_box(agent.handle(now, Input::SlisRead(readings))));
        slis.push(began.elapsed().as_secs_f64() * 1e3);
        let reading = Box::new(spend.clone());
        let began = Instant::now();
        drop(black_box(agent.handle(now, Input::SpendRead(reading))));
        spends.push(began.elapsed().as_secs_f64() * 1e3);
    }
    for (name, mut times) in
        [("agent: slots of 1,000 SLOs", slis), ("agent: 1,000 tenants", spends)]
    {
        times.sort_by(f64::total_cmp);
        let at = |nth: usize| times.get(nth).copied().unwrap_or_default();
        println!("{name:32} {:8.1} ms (worst {:.1})", at(times.len() / 2), at(times.len() - 1));
    }
    Ok(())
}

const TENANTS: &str = "
apiVersion: evenkeel/v1
kind: Tenants
metadata: { name: tenants }
spec:
  usage: { query: 'sum by (tenant, service) (rate(r[1m]))' }
  tracked_max: 1000
---
apiVersion: evenkeel/v1
kind: Budget
metadata: { name: month }
spec:
  spend:
    scope: { everything: true }
    amount: 10000
    window: { calendar: { every: 1M, start: 2026-01-01T00:00, time_zone: UTC } }
  thresholds:
    - { name: runaway, when: { runaway: { growth: 1.5 } }, then: [notify] }
    - { name: burns, when: { burn_rate: { above: 6, long: 6h, short: 30m } }, then: [notify] }
";

const TARGET: &str = "
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: service-NTH }
spec:
  region: here
  provider: { simulated: { service: service-NTH } }
  capacity: { min: 1, max: 10 }
  price_usd_per_hour: 1
";
