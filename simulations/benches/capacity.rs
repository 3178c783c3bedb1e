//! The capacity benchmark: the agent beside HPA at every target, on real traces.
//!
//! **In:** the traces in `../shared/data/traces` or `EVENKEEL_DATA`.
//! **Out:** Markdown on stdout. Run with `cargo bench -p evenkeel-sim --bench capacity`.
//! **Not here:** the world and its scores (`evenkeel_sim::capacity`), other controllers
//! (`cargo run --release -p evenkeel-sim --example capacity_scores`).
#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

use std::path::PathBuf;

use evenkeel_sim::capacity::{ControllerKind, Curve, Setup, hpa_curve, simulate};
use evenkeel_sim::workload::Workload;

/// A trace and the days of it (from, up to and not including).
struct Part {
    trace: &'static str,
    days: (i64, i64),
    has_cycle: bool,
}

const PARTS: [Part; 7] = [
    Part { trace: "worldcup98_requests", days: (0, 400), has_cycle: true },
    Part { trace: "worldcup98_requests", days: (30, 75), has_cycle: true },
    Part { trace: "crane_0", days: (0, 400), has_cycle: true },
    Part { trace: "crane_9", days: (0, 400), has_cycle: true },
    Part { trace: "crane_13", days: (0, 400), has_cycle: true },
    Part { trace: "crane_5", days: (0, 400), has_cycle: false },
    Part { trace: "crane_10", days: (0, 400), has_cycle: false },
];

/// The objective: at most this percentage of the time under demand.
const TAU_U_MAX: f64 = 0.5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var_os("EVENKEEL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let mut curves = Vec::new();
    println!("## Capacity: cost / oracle at 5 min provisioning, looks every 15 s\n");
    println!(
        "The whole agent (`simulations/scenarios/capacity.yaml`) beside HPA. *At equal time under demand* and *at \
         {TAU_U_MAX}%* its target was chosen in hindsight, for each trace. An asterisk marks traces without a daily cycle.\n"
    );
    println!(
        "| Trace | tau_U % | cost | changes | HPA at equal tau_U: cost, changes | HPA at {TAU_U_MAX}%: cost, changes | theta_U | theta_O | unserved % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for Part { trace, days, has_cycle } in PARTS {
        let path = folder.join("traces").join(format!("{trace}_1m.csv"));
        let workload = Workload::parse(trace, &std::fs::read_to_string(&path)?)?;
        let start = workload.starts_at();
        let part = workload.between(start + days.0 * 86_400, start + days.1 * 86_400);
        let workload = part.ok_or("the trace has no such days")?;
        let setup = Setup::default();
        let hpa = hpa_curve(&workload, &setup, 50..=99)?;
        let card = simulate(&workload, &setup, ControllerKind::Evenkeel)?.scorecard;
        let name = match days {
            (0, _) => trace.to_owned(),
            (from, until) => format!("{trace}, days {from} to {until}"),
        };
        let mark = if has_cycle { "" } else { " *" };
        println!(
            "| {name}{mark} | {:.2} | {:.3} | {} | {} | {} | {:.2} | {:.1} | {:.2} |",
            card.tau_u,
            card.cost_ratio,
            card.capacity_changes,
            hpa_at(&hpa, card.tau_u),
            hpa_at(&hpa, TAU_U_MAX),
            card.theta_u,
            card.theta_o,
            card.unserved_ratio * 100.0,
        );
        curves.push((name, hpa));
    }
    println!("\n### HPA's curve: tau_U % / cost / changes at each target\n");
    println!("| Trace | 60% | 70% | 80% | 85% | 90% | 95% |\n|---|---|---|---|---|---|---|");
    for (name, hpa) in &curves {
        let cells: Vec<String> = hpa
            .points
            .iter()
            .filter(|it| [60.0, 70.0, 80.0, 85.0, 90.0, 95.0].contains(&it.target_percent))
            .map(|it| format!("{:.2} / {:.3} / {}", it.tau_u, it.cost_ratio, it.capacity_changes))
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn hpa_at(hpa: &Curve, tau_u: f64) -> String {
    hpa.at_tau_u(tau_u).map_or_else(
        || "no target reaches it".to_owned(),
        |(cost, changes)| format!("{cost:.3}, {changes:.0}"),
    )
}
