//! Traces at 5 min, 6 h ahead.
//!
//! **In:** `traces/*_1m.csv`.
//! **Out:** accuracy of the ensemble and of every member alone at rolling origins, how often the
//! ensemble abstained, and what a refit costs.
//! **Not here:** capacity decisions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evenkeel_forecast::Series;
use evenkeel_forecast::batch::{Request, forecast_one};
use evenkeel_forecast::ensemble::{Effort, Ensemble, Settings};
use jiff::{SignedDuration, Timestamp};

const HORIZON: usize = 72;
const FORTNIGHT: usize = 4_032;

/// Steps between origins: 6 h and 5 min, so that origins visit all times of the day.
const STRIDE: usize = 73;

const TRACES: [(&str, bool); 6] = [
    ("worldcup98_requests", true),
    ("crane_0", true),
    ("crane_9", true),
    ("crane_13", true),
    ("crane_5", false),
    ("crane_10", false),
];

fn read(path: &str) -> Option<Series> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut slots: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let (at, value) = line.split_once(',')?;
        let slot = slots.entry(at.parse::<i64>().ok()? / 300).or_default();
        slot.0 += value.parse::<f64>().ok()?;
        slot.1 += 1.0;
    }
    let (first, last) = (*slots.keys().next()?, *slots.keys().next_back()?);
    let values =
        (first..=last).map(|slot| slots.get(&slot).map_or(f64::NAN, |(sum, n)| sum / n)).collect();
    Some(Series {
        starts_at: Timestamp::from_second(first * 300).ok(),
        step: SignedDuration::from_mins(5),
        values,
    })
}

/// Sums of errors and of actual values.
#[derive(Default)]
struct Tally {
    missed: f64,
    size: f64,
}

impl Tally {
    fn add(&mut self, actual: &[f64], ahead: &[f64]) {
        for (a, f) in actual.iter().zip(ahead).filter(|(a, _)| a.is_finite()) {
            self.missed += (a - f).abs();
            self.size += a.abs();
        }
    }

    fn accuracy(&self) -> f64 {
        100.0 * (1.0 - self.missed / self.size)
    }
}

pub(crate) fn run(folder: &str) {
    println!("\n## Traces at 5 min, 6 h ahead, accuracy = 1 - WAPE in percent\n");
    println!(
        "| Trace | ensemble | quick | seasonal naive | best alone | abstains | 80% | 95% \
         | refit ms | full ms |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    let mut alone = Vec::new();
    let mut longest = None;
    for (name, _) in TRACES {
        let path = format!("{folder}/traces/{name}_1m.csv");
        let Some(series) = read(&path) else {
            eprintln!("left out: no {path}");
            continue;
        };
        alone.push((name, one(name, &series)));
        if name == "worldcup98_requests" {
            longest = Some(series);
        }
    }
    println!("\n| Trace | every member alone |\n|---|---|");
    for (name, members) in alone {
        let list: Vec<String> =
            members.iter().map(|(name, tally)| format!("{name} {:.2}", tally.accuracy())).collect();
        println!("| {name} | {} |", list.join(", "));
    }
    if let Some(series) = longest {
        costs(&series);
    }
}

/// What a refit of 4,000 points costs, in all and by member.
fn costs(series: &Series) {
    let past = Series { values: series.values[..4_000].to_vec(), ..series.clone() };
    let settings = |effort, weekly: bool| Settings {
        horizon: HORIZON,
        seasons: Some(if weekly { vec![288, 1_440] } else { vec![288] }),
        effort,
    };
    let ms = |work: &dyn Fn()| -> f64 {
        let mut times: Vec<f64> = (0..15)
            .map(|_| {
                let started = Instant::now();
                work();
                1e3 * started.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    println!("\n## Refit of 4,000 points, ms (median of 15)\n");
    println!("| What | one season | two seasons |\n|---|---|---|");
    let line = |name: &str, work: &dyn Fn(&Settings)| {
        let one = settings(Effort::Quick, false);
        let two = settings(Effort::Quick, true);
        println!("| {name} | {:.3} | {:.3} |", ms(&|| work(&one)), ms(&|| work(&two)));
    };
    line("**refit, quick**", &|settings| {
        std::hint::black_box(Ensemble::fit(&past, settings).is_ok());
    });
    line("refit, quick, seasons detected", &|settings| {
        let settings = Settings { seasons: None, ..settings.clone() };
        std::hint::black_box(Ensemble::fit(&past, &settings).is_ok());
    });
    line("refit, thorough", &|settings| {
        let settings = Settings { effort: Effort::Thorough, ..settings.clone() };
        std::hint::black_box(Ensemble::fit(&past, &settings).is_ok());
    });
    for member in [
        "persistence",
        "flat",
        "seasonal_short",
        "seasonal_long",
        "leveled",
        "profile",
        "ridge",
        "ridge_log",
        "ridge_coarse",
        "ridge_coarse_log",
        "mstl",
    ] {
        line(&format!("only {member}"), &|settings| {
            std::hint::black_box(Ensemble::fit_only(&past, settings, &[member]).is_ok());
        });
    }
    let fitted = Ensemble::fit(&past, &settings(Effort::Quick, false));
    if let Ok(fitted) = fitted {
        let cost = ms(&|| {
            std::hint::black_box(fitted.forecast(&past.values, 0, HORIZON));
        });
        println!("| forecast of 72 steps from a fit | {cost:.3} | |");
    }
}

fn one(name: &str, series: &Series) -> BTreeMap<&'static str, Tally> {
    let n = series.values.len();
    let (mut ensemble, mut quick) = (Tally::default(), Tally::default());
    let mut alone: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let (mut origins, mut abstained) = (0_u32, 0_u32);
    let mut inside = [0.0_f64; 2];
    let mut known = 0.0_f64;
    let (mut refit, mut full) = (Duration::ZERO, Duration::ZERO);
    let mut origin = FORTNIGHT.min(n / 2);
    while origin + HORIZON <= n {
        let past = Series {
            starts_at: None,
            step: series.step,
            values: series.values[origin.saturating_sub(FORTNIGHT)..origin].to_vec(),
        };
        let actual = &series.values[origin..origin + HORIZON];
        let started = Instant::now();
        let request = Request { horizon: HORIZON, seasons: None, levels: vec![0.80, 0.95] };
        if let Ok(forecast) = forecast_one(&past, &request) {
            full += started.elapsed();
            ensemble.add(actual, &forecast.mean);
            origins += 1;
            abstained += u32::from(forecast.report.abstains.is_some());
            for (step, actual) in actual.iter().enumerate().filter(|(_, a)| a.is_finite()) {
                known += 1.0;
                for (inside, band) in inside.iter_mut().zip(&forecast.bands) {
                    *inside += f64::from(band.lo[step] <= *actual && *actual <= band.hi[step]);
                }
            }
        }
        let started = Instant::now();
        let settings = Settings { horizon: HORIZON, seasons: None, effort: Effort::Quick };
        if let Ok(fitted) = Ensemble::fit(&past, &settings) {
            refit += started.elapsed();
            quick.add(actual, &fitted.forecast(&past.values, 0, HORIZON));
        }
        let settings = Settings { effort: Effort::Thorough, ..settings };
        for (name, ahead) in Ensemble::each_member(&past, &settings).unwrap_or_default() {
            alone.entry(name).or_default().add(actual, &ahead);
        }
        origin += STRIDE;
    }
    let naive = ["seasonal_short", "seasonal_long"]
        .iter()
        .filter_map(|name| alone.get(name))
        .map(Tally::accuracy)
        .reduce(f64::max)
        .map_or_else(|| "no season".to_owned(), |accuracy| format!("{accuracy:.2}"));
    let best = alone
        .iter()
        .map(|(name, tally)| (*name, tally.accuracy()))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .unwrap_or(("none", f64::NAN));
    println!(
        "| {name} | {:.2} | {:.2} | {naive} | {} {:.2} | {abstained}/{origins} | {:.1}% | \
         {:.1}% | {:.2} | {:.2} |",
        ensemble.accuracy(),
        quick.accuracy(),
        best.0,
        best.1,
        100.0 * inside[0] / known,
        100.0 * inside[1] / known,
        1e3 * refit.as_secs_f64() / f64::from(origins),
        1e3 * full.as_secs_f64() / f64::from(origins),
    );
    alone
}
