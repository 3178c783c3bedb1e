//! `evenkeel forecast`: what comes next in any CSV of numbers?
//!
//! **In:** a CSV of `timestamp,value`, or of rows `id,v1,v2,…`.
//! **Out:** per series and step the mean and its intervals; how they came about as talk.
//! **Not here:** the forecast itself ([`evenkeel_forecast::batch`]), reading (see
//! [`crate::series_file`]), `--backtest` (see [`crate::backtest`]).

use std::fmt::Write as _;

use evenkeel_forecast::Series;
use evenkeel_forecast::batch::{self, Forecast, ForecastError, Request};
use evenkeel_forecast::series::Treatment;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{Common, ForecastArgs, Output};
use crate::failure::{Exit, Failure};
use crate::forecast_talk;
use crate::progress::Progress;
use crate::series_file::{self, Lines};
use crate::terminal::Terminal;

/// A series that is one, with where it came from.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) treatment: Treatment,
    pub(crate) lines: Lines,
}

/// Reads, forecasts (or backtests), and writes.
///
/// # Errors
///
/// [`Failure::Series`] for a file that is no such CSV; [`Failure::Usage`];
/// [`Failure::Stdout`]. A series that cannot be forecast is said, does not stop the others, and
/// makes the exit status 1.
pub(crate) fn run(
    args: &ForecastArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let read = series_file::read(&args.file)?;
    let mut n_failed = 0;
    let (mut named, mut series) = (Vec::new(), Vec::new());
    for it in read {
        match it.series {
            Ok((one, treatment)) => {
                named.push(Named { id: it.id, treatment, lines: it.lines });
                series.push(one);
            }
            Err(error) => {
                n_failed += 1;
                forecast_talk::failed(&it.id, &it.lines, &error, terminal);
            }
        }
    }
    forecast_talk::treatments(&named, &series, terminal);
    if args.backtest {
        return crate::backtest::run(args, common, &named, &series, n_failed, terminal);
    }
    let request = args.request();
    let progress = Progress::steps("forecasting");
    let forecasts = batch::forecast(&series, &request, &mut |done, all| progress.of(done, all));
    drop(progress);
    for (it, forecast) in named.iter().zip(&forecasts) {
        if let Err(error) = forecast {
            n_failed += 1;
            forecast_talk::failed(&it.id, &it.lines, error, terminal);
        }
    }
    forecast_talk::reports(&named, &forecasts, terminal);
    match common.output {
        Output::Text => csv(&named, &forecasts, &request, terminal)?,
        Output::Json => json(&named, &series, &forecasts, &request, terminal)?,
    }
    Ok(if n_failed == 0 { Exit::Done } else { Exit::Refused })
}

/// `80`, `99.5`: a level as percent, as it was typed.
pub(crate) fn percent(level: f64) -> String {
    let percent = (level * 1e6).round() / 1e4;
    percent.to_string()
}

/// Writes `id,step,mean,lo80,hi80,…`.
fn csv(
    named: &[Named],
    forecasts: &[Result<Forecast, ForecastError>],
    request: &Request,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut text = "id,step,mean".to_owned();
    for level in &request.levels {
        let _ = write!(text, ",lo{0},hi{0}", percent(*level));
    }
    text.push('\n');
    for (it, forecast) in named.iter().zip(forecasts) {
        let Ok(forecast) = forecast else { continue };
        let id = quoted(&it.id);
        for (index, mean) in forecast.mean.iter().enumerate() {
            let _ = write!(text, "{id},{},{mean}", index + 1);
            for band in &forecast.bands {
                let ends = band.lo.get(index).zip(band.hi.get(index));
                let (lo, hi) = ends.unwrap_or((&f64::NAN, &f64::NAN));
                let _ = write!(text, ",{lo},{hi}");
            }
            text.push('\n');
        }
        if terminal.bytes(&[text.as_bytes()])?.is_break() {
            return Ok(());
        }
        text.clear();
    }
    terminal.bytes(&[text.as_bytes()]).map(|_| ())
}

/// A cell, in quotes where it needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// What `--output json` prints. The fields are a contract.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    id: &'a str,
    step_seconds: Option<f64>,
    seasons: &'a [usize],
    used: usize,
    error: Option<f64>,
    members: Vec<Member<'a>>,
    abstains: Option<&'a str>,
    treatment: Vec<String>,
    forecast: Vec<Point>,
}

/// One member of the ensemble.
#[derive(Debug, Serialize)]
struct Member<'a> {
    name: &'a str,
    weight: f64,
    errors: &'a [f64],
    dropped: Option<&'a str>,
}

/// One step.
#[derive(Debug, Serialize)]
struct Point {
    step: usize,
    timestamp: Option<Timestamp>,
    mean: f64,
    intervals: Vec<Interval>,
}

/// One interval of it.
#[derive(Debug, Serialize)]
struct Interval {
    level: f64,
    lo: f64,
    hi: f64,
}

fn json(
    named: &[Named],
    series: &[Series],
    forecasts: &[Result<Forecast, ForecastError>],
    request: &Request,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for ((it, series), forecast) in named.iter().zip(series).zip(forecasts) {
        let Ok(Forecast { mean, bands, report }) = forecast else { continue };
        let point = |index: usize, mean: f64| Point {
            step: index + 1,
            timestamp: series.time_of(series.values.len() + index),
            mean,
            intervals: bands
                .iter()
                .zip(&request.levels)
                .filter_map(|(band, level)| {
                    let (lo, hi) = (*band.lo.get(index)?, *band.hi.get(index)?);
                    Some(Interval { level: *level, lo, hi })
                })
                .collect(),
        };
        answers.push(Answer {
            id: &it.id,
            step_seconds: series.starts_at.map(|_| series.step.as_secs_f64()),
            seasons: &report.seasons,
            used: report.used,
            error: report.error,
            members: report
                .members
                .iter()
                .map(|member| Member {
                    name: member.name,
                    weight: member.weight,
                    errors: &member.errors,
                    dropped: member.dropped.as_deref(),
                })
                .collect(),
            abstains: report.abstains.as_ref().map(|it| it.reason.as_str()),
            treatment: it.treatment.notes(series, &|index| it.lines.place(index)),
            forecast: mean.iter().enumerate().map(|(index, mean)| point(index, *mean)).collect(),
        });
    }
    terminal.json(&answers)
}
