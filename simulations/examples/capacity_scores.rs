//! Scores of controllers on the traces at hand, and what a run costs.
//!
//! **In:** `EVENKEEL_DATA` or `../shared/data`; arguments: a cadence in seconds, controllers.
//! **Out:** one line per trace and controller on stdout, with what HPA costs at equal time
//! under demand, its target chosen in hindsight.
//! **Not here:** judging them (`tests/capacity_anchors.rs`).
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::PathBuf;
use std::time::Instant;

use evenkeel_sim::capacity::{ControllerKind, Setup, hpa_curve, simulate};
use evenkeel_sim::workload::Workload;

/// A trace, and the days of it (from, up to and not including).
type Part = (&'static str, i64, i64);

const TRACES: [Part; 7] = [
    ("worldcup98_requests", 0, 400),
    ("worldcup98_requests", 30, 75),
    ("crane_0", 0, 400),
    ("crane_9", 0, 400),
    ("crane_13", 0, 400),
    ("crane_5", 0, 400),
    ("crane_10", 0, 400),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let evaluation_period = arguments.next().map_or(Ok(15), |it| it.parse())?;
    let mut kinds: Vec<ControllerKind> =
        arguments.map(|it| it.parse()).collect::<Result<_, _>>()?;
    if kinds.is_empty() {
        kinds = ControllerKind::ALL.to_vec();
    }
    let folder = std::env::var_os("EVENKEEL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    for (trace, from, to) in TRACES {
        let path = folder.join("traces").join(format!("{trace}_1m.csv"));
        let workload = Workload::parse(trace, &std::fs::read_to_string(&path)?)?;
        let start = workload.starts_at();
        let part = workload.between(start + from * 86_400, start + to * 86_400);
        let workload = part.ok_or("no such days")?;
        let under_demand_max = Some(6 * 3_600);
        let setup = Setup { evaluation_period, under_demand_max, ..Setup::default() };
        let hpa = hpa_curve(&workload, &setup, 50..=99)?;
        for kind in &kinds {
            let begun = Instant::now();
            let card = simulate(&workload, &setup, *kind)?.scorecard;
            let seconds = begun.elapsed().as_secs_f64();
            let equal = hpa.at_tau_u(card.tau_u).map_or_else(
                || "no hpa".to_owned(),
                |(cost, changes)| format!("hpa {cost:.4}, {changes:.0} changes"),
            );
            println!(
                "{trace:<20} {from:>2} {kind:<9} tau_u {:6.3} cost/oracle {:.4} ({equal}) theta_u {:.3} theta_o {:.1} unserved {:.5} changes {:6} violations {} in {seconds:.2} s",
                card.tau_u,
                card.cost_ratio,
                card.theta_u,
                card.theta_o,
                card.unserved_ratio,
                card.capacity_changes,
                card.violations.len(),
            );
        }
    }
    Ok(())
}
