//! What `evenkeel forecast` says beside its numbers.
//!
//! **In:** what was done to the series, and how the forecasts came about.
//! **Out:** talk on stderr: all of it for one series, a summary for many.
//! **Not here:** the numbers (see [`crate::forecast`]).

use evenkeel_forecast::Series;
use evenkeel_forecast::batch::{Forecast, ForecastError, Report};

use crate::forecast::Named;
use crate::series_file::Lines;
use crate::table::count;
use crate::terminal::Terminal;

/// Most series whose treatment is told. Why 10: half a screen.
const SERIES_TOLD_MAX: usize = 10;

/// A member with less weight is not told. Why half a percent: it is shown as 0%.
const WEIGHT_TOLD_MIN: f64 = 0.005;

/// Says why there is no forecast of one series.
pub(crate) fn failed(id: &str, lines: &Lines, error: &dyn std::error::Error, terminal: &Terminal) {
    let at = match lines {
        Lines::Below(_) => String::new(),
        Lines::Beside(line) => format!(" (line {line})"),
    };
    terminal.error(&format!("series `{id}`{at}: {error}"));
}

/// Says what was done to the series.
pub(crate) fn treatments(named: &[Named], series: &[Series], terminal: &Terminal) {
    let mut n_told = 0;
    for (it, series) in named.iter().zip(series) {
        let notes = it.treatment.notes(series, &|index| it.lines.place(index));
        if notes.is_empty() {
            continue;
        }
        n_told += 1;
        if SERIES_TOLD_MAX < n_told {
            continue;
        }
        for note in notes {
            terminal.warning(&format!("{}: {note}", it.id));
        }
    }
    if SERIES_TOLD_MAX < n_told {
        let more = n_told - SERIES_TOLD_MAX;
        terminal.warning(&format!("{more} more series were treated: `--output json` says how"));
    }
}

/// Says how the forecasts came about.
pub(crate) fn reports(
    named: &[Named],
    forecasts: &[Result<Forecast, ForecastError>],
    terminal: &Terminal,
) {
    let good: Vec<(&Named, &Report)> = named
        .iter()
        .zip(forecasts)
        .filter_map(|(it, forecast)| Some((it, &forecast.as_ref().ok()?.report)))
        .collect();
    match good.as_slice() {
        [] => {}
        [(it, report)] => one(&it.id, report, terminal),
        _ => many(&good, terminal),
    }
}

fn one(id: &str, report: &Report, terminal: &Terminal) {
    let Report { seasons, members, error, abstains, used, gaps: _ } = report;
    let seasons: Vec<String> = seasons.iter().map(ToString::to_string).collect();
    let seasons = if seasons.is_empty() {
        "no season".to_owned()
    } else {
        format!("seasons of {} steps", seasons.join(", "))
    };
    terminal.note(&format!("{id}: the newest {} used, {seasons}", count(*used, "value")));
    let weighed: Vec<String> = members
        .iter()
        .filter(|it| WEIGHT_TOLD_MIN <= it.weight)
        .map(|it| format!("{} {:.0}%", it.name, it.weight * 100.0))
        .collect();
    if !weighed.is_empty() {
        terminal.note(&format!("{id}: members: {}", weighed.join(", ")));
    }
    for member in members {
        if let Some(why) = &member.dropped {
            terminal.note(&format!("{id}: dropped {}: {why}", member.name));
        }
    }
    if let Some(error) = error {
        terminal.note(&format!(
            "{id}: error at rolling origins: {error:.3} of that of repeating the last season"
        ));
    }
    if let Some(it) = abstains {
        terminal.warning(&format!("{id}: abstains, do not act on it: {}", it.reason));
    }
}

fn many(good: &[(&Named, &Report)], terminal: &Terminal) {
    let n_abstain = good.iter().filter(|(_, report)| report.abstains.is_some()).count();
    terminal.note(&format!("{} series, {n_abstain} abstain", good.len()));
    for (it, report) in good.iter().filter(|(_, it)| it.abstains.is_some()).take(SERIES_TOLD_MAX) {
        if let Some(abstains) = &report.abstains {
            terminal.warning(&format!("{}: abstains: {}", it.id, abstains.reason));
        }
    }
    let mut dropped: Vec<(&'static str, usize)> = Vec::new();
    for member in good.iter().flat_map(|(_, report)| &report.members) {
        if member.dropped.is_none() {
            continue;
        }
        match dropped.iter_mut().find(|(name, _)| *name == member.name) {
            Some((_, n)) => *n += 1,
            None => dropped.push((member.name, 1)),
        }
    }
    for (name, n) in dropped {
        terminal.note(&format!("dropped {name} in {n} of {} series", good.len()));
    }
}
