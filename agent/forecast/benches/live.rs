//! What the live forecaster costs, how often its intervals hold, and what capacity
//! that follows it would cost.
//!
//! **In:** the traces in `../shared/data` or `EVENKEEL_DATA`; optional names of traces.
//! **Out:** tables on stdout. Run with `cargo bench -p evenkeel-forecast --bench live`.
//! **Not here:** the capacity benchmark with the whole agent (`evenkeel simulate`);
//! this one has no guard, and decides once a minute.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "a bench prints tables, counts far below 2^53, and may fail"
)]

use std::path::PathBuf;
use std::time::Instant;

use evenkeel_core::documents::Shortfall;
use evenkeel_core::outlook::Standing;
use evenkeel_core::plan_ahead::{Ledger, Question, plan_ahead};
use evenkeel_core::units::Capacity;
use evenkeel_forecast::live::{Forecaster, Settings};
use jiff::{SignedDuration, Timestamp};

const TRACES: [(&str, &str); 6] = [
    ("wc", "worldcup98_requests_1m.csv"),
    ("c0", "crane_0_1m.csv"),
    ("c9", "crane_9_1m.csv"),
    ("c13", "crane_13_1m.csv"),
    ("c5", "crane_5_1m.csv"),
    ("c10", "crane_10_1m.csv"),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let root = std::env::var_os("EVENKEEL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    println!(
        "trace  tau_u  cost   chg/d | predicting coverage error naive | us/update us/outlook us/plan ms/refit bytes"
    );
    for (name, file) in TRACES {
        if !(wanted.is_empty() || wanted.iter().any(|it| it == name)) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root.join("traces").join(file)) else {
            println!("{name}: left out, no {file}");
            continue;
        };
        let mut points: Vec<(i64, f64)> = text
            .lines()
            .skip(1)
            .filter_map(|line| {
                let (at, value) = line.split_once(',')?;
                Some((at.parse().ok()?, value.parse().ok()?))
            })
            .collect();
        if name == "wc" {
            points = points.get(30 * 1_440..75 * 1_440).unwrap_or_default().to_vec();
        }
        run(name, &points);
    }
}

fn run(name: &str, points: &[(i64, f64)]) {
    let mut sorted: Vec<f64> = points.iter().map(|it| it.1).collect();
    sorted.sort_by(f64::total_cmp);
    let unit = sorted[(sorted.len() as f64 * 0.995) as usize] / 40.0;
    let mut forecaster = Forecaster::new(Settings::default()).unwrap();
    let mut ledger = Ledger::default();
    let shortfall = Shortfall::TimeRatio(0.005);
    let (mut ready, mut booting): (u32, Vec<(i64, u32)>) = (0, Vec::new());
    let mut changes = 0_u32;
    let (mut n, mut short, mut paid, mut needed) = (0.0, 0.0, 0.0, 0.0);
    let (mut short_predicting, mut paid_predicting, mut needed_predicting) = (0.0, 0.0, 0.0);
    let mut reasons = std::collections::BTreeMap::<String, u32>::new();
    let (mut predicting, mut inside, mut errors) = (0.0, 0.0, (0.0, 0.0));
    let (mut in_refit, mut refits) = (0.0, 0.0);
    let (mut in_update, mut in_outlook, mut in_plan) = (0.0, 0.0, 0.0);
    for (i, (second, value)) in points.iter().enumerate() {
        let now = Timestamp::from_second(*second).unwrap();
        let started = Instant::now();
        forecaster.update(now, *value);
        in_update += started.elapsed().as_secs_f64();
        if forecaster.refit_due(now) {
            let started = Instant::now();
            forecaster.refit();
            in_refit += started.elapsed().as_secs_f64();
            refits += 1.0;
        }
        if i < 2_880 {
            continue;
        }
        let started = Instant::now();
        let outlook = forecaster.outlook(now);
        in_outlook += started.elapsed().as_secs_f64();
        booting.retain(|(at, units)| {
            let is_ready = *at <= *second;
            ready += if is_ready { *units } else { 0 };
            !is_ready
        });
        let demand = Capacity::covering(value / unit).max(Capacity(1));
        if i == 2_880 {
            ready = demand.0;
        }
        let is_driving = outlook.as_ref().is_some_and(|it| it.standing == Standing::Predicting);
        ledger.observe(now, value / unit, Capacity(ready), shortfall, is_driving);
        let current = ready + booting.iter().map(|it| it.1).sum::<u32>();
        let question = Question {
            now,
            outlook: outlook.as_ref(),
            value: *value,
            value_per_unit: unit,
            shortfall,
            usd_per_unit_hour: Some(1.0),
            lead_time: SignedDuration::from_mins(5),
            period: SignedDuration::from_secs(15),
            current: Capacity(current),
        };
        let started = Instant::now();
        let ahead = plan_ahead(&question, &ledger);
        in_plan += started.elapsed().as_secs_f64();
        let is_predicting = outlook.as_ref().is_some_and(|it| it.standing == Standing::Predicting);
        predicting += f64::from(u8::from(is_predicting));
        if let Some(Standing::Abstaining { why }) = outlook.as_ref().map(|it| &it.standing) {
            let why = format!("{why:?}");
            *reasons.entry(why.split(' ').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
        }
        let wanted = if ahead.is_forecast {
            Capacity(current)
                .min(Capacity::covering(ahead.keep))
                .max(Capacity::covering(ahead.grow_to))
                .max(Capacity(1))
        } else {
            // The bench's stand-in for the reactive rule: a fifth of headroom, and
            // nothing leaves before a third is idle.
            let reactive = Capacity::covering(value / unit * 1.2).max(Capacity(1));
            let is_idle = f64::from(current) > 1.33 * f64::from(reactive);
            if current < demand.0 || is_idle { reactive } else { Capacity(current) }
        };
        if wanted.0 != current {
            changes += 1;
        }
        if current < wanted.0 {
            booting.push((second + 300, wanted.0 - current));
        } else {
            let mut surplus = current - wanted.0;
            while 0 < surplus
                && let Some(newest) = booting.last_mut()
            {
                let taken = surplus.min(newest.1);
                newest.1 -= taken;
                surplus -= taken;
                if newest.1 == 0 {
                    booting.pop();
                }
            }
            ready -= surplus;
        }
        n += 1.0;
        let is_short = f64::from(u8::from(ready < demand.0));
        short += is_short;
        short_predicting += is_short * f64::from(u8::from(is_predicting));
        paid_predicting += f64::from(ready) * f64::from(u8::from(is_predicting));
        needed_predicting += f64::from(demand) * f64::from(u8::from(is_predicting));
        paid += f64::from(ready);
        needed += f64::from(demand);
        inside += forecaster.coverage_ratio().unwrap_or_default();
        let (error, naive) = forecaster.error_ratios().unwrap_or_default();
        errors.0 += error;
        errors.1 += naive;
    }
    println!(
        "{name:5} {:5.2}% {:.4} {:6.1} | while predicting {:5.2}% {:.4} | {:8.1}% {:7.1}% {:5.2}% {:5.2}% | {:8.1} {:8.1} {:8.1} {:8.2} {:6}",
        100.0 * short / n,
        paid / needed,
        f64::from(changes) / (n / 1_440.0),
        100.0 * short_predicting / f64::max(predicting, 1.0),
        paid_predicting / f64::max(needed_predicting, 1.0),
        100.0 * predicting / n,
        100.0 * inside / n,
        100.0 * errors.0 / n,
        100.0 * errors.1 / n,
        1e6 * in_update / points.len() as f64,
        1e6 * in_outlook / n,
        1e6 * in_plan / n,
        1e3 * in_refit / f64::max(refits, 1.0),
        forecaster.bytes(),
    );
    println!("      abstained: {reasons:?}");
}
