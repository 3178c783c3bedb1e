//! M4 Hourly.
//!
//! **In:** `m4_hourly/train.csv`, and `test.csv` after everything has been forecast.
//! **Out:** accuracy, members and intervals.
//! **Not here:** the measures ([`evenkeel_forecast::score`]).

use std::time::Instant;

use evenkeel_forecast::Series;
use evenkeel_forecast::batch::{Forecast, Request, each_member, forecast, forecast_one};
use evenkeel_forecast::score;
use jiff::SignedDuration;

const HORIZON: usize = 48;
const SEASON: usize = 24;

struct Row {
    id: String,
    values: Vec<f64>,
}

fn read(path: &str) -> Option<Vec<Row>> {
    let text = std::fs::read_to_string(path).ok()?;
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split(',').map(|cell| cell.trim_matches('"'));
        let id = cells.next()?.to_owned();
        let values: Vec<f64> = cells.map_while(|cell| cell.parse().ok()).collect();
        (!values.is_empty()).then_some(Row { id, values })
    });
    Some(rows.collect())
}

pub(crate) fn run(folder: &str, back: usize, take: Option<usize>) {
    let Some(mut train) = read(&format!("{folder}/m4_hourly/train.csv")) else {
        eprintln!("left out: M4 Hourly, no {folder}/m4_hourly/train.csv");
        return;
    };
    train.truncate(take.unwrap_or(train.len()));
    let mut answers = Vec::new();
    for row in &mut train {
        let keep = row.values.len().saturating_sub(back * HORIZON);
        let tail = row.values.split_off(keep);
        answers.push(tail.into_iter().take(HORIZON).collect::<Vec<f64>>());
    }
    let series: Vec<Series> = train.iter().map(series).collect();
    let request = request();
    let started = Instant::now();
    let results = forecast(&series, &request, &mut |_, _| ());
    let took = started.elapsed();
    let forecasts: Vec<Forecast> = results.into_iter().filter_map(Result::ok).collect();
    assert_eq!(forecasts.len(), series.len(), "every series has a forecast");
    // The answers are read only now.
    if back == 0 {
        let Some(test) = read(&format!("{folder}/m4_hourly/test.csv")) else { return };
        answers = train
            .iter()
            .map(|row| {
                let found = test.iter().find(|test| test.id == row.id);
                found.map(|row| row.values.clone()).unwrap_or_default()
            })
            .collect();
    }
    let scores = Scores::new(&train, &answers);
    println!("\n## M4 Hourly, {} series, {HORIZON} h ahead\n", train.len());
    scores.accuracy(&forecasts);
    scores.bands(&forecasts);
    members(&forecasts);
    println!("\nAll series, global models included: {:.1} s.", took.as_secs_f64());
    scores.alone(&each_member(&series, &request));
}

/// The series, their future, and Naive2's measures.
struct Scores<'a> {
    train: &'a [Row],
    answers: &'a [Vec<f64>],
    naive2: (f64, f64),
}

impl Scores<'_> {
    fn new<'a>(train: &'a [Row], answers: &'a [Vec<f64>]) -> Scores<'a> {
        let mut scores = Scores { train, answers, naive2: (1.0, 1.0) };
        let naive2 = |i: usize| score::naive2(&train[i].values, SEASON, HORIZON);
        let (smape, mase, _) = scores.of(&naive2);
        scores.naive2 = (smape, mase);
        scores
    }

    fn average(&self, measure: &dyn Fn(usize) -> f64) -> f64 {
        (0..self.train.len()).map(measure).sum::<f64>() / self.train.len() as f64
    }

    /// sMAPE, MASE and OWA.
    fn of(&self, ahead: &dyn Fn(usize) -> Vec<f64>) -> (f64, f64, f64) {
        let smape = self.average(&|i| score::smape(&self.answers[i], &ahead(i)));
        let mase = self
            .average(&|i| score::mase(&self.answers[i], &ahead(i), &self.train[i].values, SEASON));
        (smape, mase, score::owa(smape, mase, self.naive2.0, self.naive2.1))
    }

    fn line(&self, name: &str, ahead: &dyn Fn(usize) -> Vec<f64>) {
        let (smape, mase, owa) = self.of(ahead);
        println!("| {name} | {smape:.3} | {mase:.3} | {owa:.4} |");
    }

    fn accuracy(&self, forecasts: &[Forecast]) {
        println!("| Method | sMAPE | MASE | OWA |\n|---|---|---|---|");
        let past = |i: usize| &self.train[i].values;
        self.line("Naive2", &|i| score::naive2(past(i), SEASON, HORIZON));
        self.line("seasonal naive, a day", &|i| score::seasonal_naive(past(i), SEASON, HORIZON));
        self.line("seasonal naive, a week", &|i| score::seasonal_naive(past(i), 168, HORIZON));
        self.line("**ensemble**", &|i| forecasts[i].mean.clone());
        let started = Instant::now();
        let own: Vec<Vec<f64>> = self
            .train
            .iter()
            .map(|row| {
                let request = Request { levels: Vec::new(), ..request() };
                forecast_one(&series(row), &request).map(|one| one.mean).unwrap_or_default()
            })
            .collect();
        let each = 1e3 * started.elapsed().as_secs_f64() / own.len() as f64;
        self.line(&format!("each series by itself ({each:.1} ms)"), &|i| own[i].clone());
    }

    fn bands(&self, forecasts: &[Forecast]) {
        println!("\n| Level | MSIS | coverage |\n|---|---|---|");
        for band in 0..forecasts[0].bands.len() {
            let level = forecasts[0].bands[band].level;
            let msis = self.average(&|i| {
                let band = &forecasts[i].bands[band];
                let past = &self.train[i].values;
                score::msis(&self.answers[i], &band.lo, &band.hi, level, past, SEASON)
            });
            let coverage = self.average(&|i| {
                let band = &forecasts[i].bands[band];
                score::coverage(&self.answers[i], &band.lo, &band.hi)
            });
            println!("| {:.0}% | {msis:.3} | {:.2}% |", 100.0 * level, 100.0 * coverage);
        }
    }

    /// Every member alone and in pairs of equal weight.
    fn alone(&self, members: &[Vec<(&'static str, Vec<f64>)>]) {
        let names: Vec<&str> = members[0].iter().map(|(name, _)| *name).collect();
        let ahead = |name: &str, i: usize| -> Vec<f64> {
            let found = members[i].iter().find(|(other, _)| *other == name);
            let floor = if self.train[i].values.iter().any(|v| *v < 0.0) { f64::MIN } else { 0.0 };
            found
                .map(|(_, ahead)| ahead.iter().map(|value| value.max(floor)).collect())
                .unwrap_or_else(|| score::seasonal_naive(&self.train[i].values, SEASON, HORIZON))
        };
        println!("\n| Member alone | sMAPE | MASE | OWA |\n|---|---|---|---|");
        for name in &names {
            self.line(name, &|i| ahead(name, i));
        }
        let mut pairs = Vec::new();
        for (at, one) in names.iter().enumerate() {
            for two in &names[at + 1..] {
                let both = |i: usize| -> Vec<f64> {
                    let pairs = ahead(one, i).into_iter().zip(ahead(two, i));
                    pairs.map(|(a, b)| f64::midpoint(a, b)).collect()
                };
                let (smape, mase, owa) = self.of(&both);
                pairs.push((owa, format!("| {one} + {two} | {smape:.3} | {mase:.3} | {owa:.4} |")));
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("\nBest ten of {} pairs with equal weights:\n", pairs.len());
        println!("| Pair | sMAPE | MASE | OWA |\n|---|---|---|---|");
        for (_, line) in pairs.iter().take(10) {
            println!("{line}");
        }
    }
}

/// What the rolling origins said about each member.
fn members(forecasts: &[Forecast]) {
    println!(
        "\n| Member | mean weight | error at origins, median | has no part |\n|---|---|---|---|"
    );
    for at in 0..forecasts[0].report.members.len() {
        let all: Vec<_> =
            forecasts.iter().filter_map(|forecast| forecast.report.members.get(at)).collect();
        let weight: f64 = all.iter().map(|member| member.weight).sum::<f64>() / all.len() as f64;
        let mut errors: Vec<f64> =
            all.iter().flat_map(|m| m.errors.iter().copied()).filter(|e| e.is_finite()).collect();
        errors.sort_by(f64::total_cmp);
        let error = errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN);
        let dropped = all.iter().filter(|member| member.dropped.is_some()).count();
        println!("| {} | {weight:.3} | {error:.3} | {dropped} |", all[0].name);
    }
}

fn series(row: &Row) -> Series {
    Series { starts_at: None, step: SignedDuration::from_hours(1), values: row.values.clone() }
}

fn request() -> Request {
    Request { horizon: HORIZON, seasons: Some(vec![24, 168]), levels: vec![0.80, 0.95] }
}
