//! `evenkeel forecast --backtest`: how good would past forecasts have been?
//!
//! **In:** series, and what is to be forecast of them.
//! **Out:** a table of accuracy per horizon, or JSON; the newest origin as a picture in the
//! terminal or as a file.
//! **Not here:** the measures ([`evenkeel_forecast::backtest`]), drawing (see [`crate::plot`] and
//! [`crate::plot_svg`]).

use evenkeel_forecast::Series;
use evenkeel_forecast::backtest::{self, Accuracy, Backtest, Newest};
use evenkeel_forecast::batch::{self, Request};
use serde::Serialize;

use crate::args::{Common, ForecastArgs, Output};
use crate::failure::{Exit, Failure};
use crate::forecast::{Named, percent};
use crate::plot::{self, Picture};
use crate::plot_svg;
use crate::progress::Progress;
use crate::table::Table;
use crate::terminal::Terminal;

/// What `--output json` prints. The fields are a contract.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    series: usize,
    horizon: usize,
    origins: usize,
    stride: usize,
    forecasts: usize,
    failed: usize,
    abstained: usize,
    levels: &'a [f64],
    overall: Row,
    by_horizon: Vec<Row>,
}

/// One range of steps of it. `null` where there was nothing to measure.
#[derive(Debug, Serialize)]
struct Row {
    from_step: usize,
    to_step: usize,
    values: usize,
    accuracy: Option<f64>,
    accuracy_seasonal_naive: Option<f64>,
    accuracy_persistence: Option<f64>,
    wape: Option<f64>,
    mase: Option<f64>,
    pinball: Option<f64>,
    coverage: Vec<Option<f64>>,
}

impl Row {
    fn of(it: &Accuracy) -> Row {
        let accuracy = |wape: Option<f64>| wape.map(|it| 1.0 - it);
        Row {
            from_step: it.from,
            to_step: it.to,
            values: it.values,
            accuracy: accuracy(it.wape),
            accuracy_seasonal_naive: accuracy(it.wape_seasonal),
            accuracy_persistence: accuracy(it.wape_persistence),
            wape: it.wape,
            mase: it.mase,
            pinball: it.pinball,
            coverage: it.coverage.clone(),
        }
    }
}

/// Forecasts from past instants, and shows how that went.
///
/// # Errors
///
/// [`Failure::Backtest`] when there is not enough past; [`Failure::Write`]; [`Failure::Stdout`].
pub(crate) fn run(
    args: &ForecastArgs,
    common: &Common,
    named: &[Named],
    series: &[Series],
    n_failed: usize,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    if series.is_empty() {
        return Ok(Exit::Refused);
    }
    let request = args.request();
    let progress = Progress::steps("backtesting");
    let result = backtest::backtest(
        series,
        &request,
        args.origins(),
        &mut |pasts, request| batch::forecast(pasts, request, &mut |_, _| {}),
        &mut |done, all| progress.of(done, all),
    )?;
    drop(progress);
    tell(&result, terminal);
    match common.output {
        Output::Json => json(&result, &request, series.len(), terminal)?,
        Output::Text => terminal.data(&table(&result, &request))?,
    }
    let picture = result.newest.as_ref().and_then(|it| picture(it, named, series));
    if let Some(picture) = picture {
        match (&args.svg, common.output) {
            (Some(path), _) => {
                let text = plot_svg::draw(&picture);
                std::fs::write(path, text)
                    .map_err(|source| Failure::Write { path: path.clone(), source })?;
                terminal.note(&format!("the newest origin is drawn in {}", path.display()));
            }
            (None, Output::Text) => terminal.data(&format!("\n{}", plot::draw(&picture)))?,
            (None, Output::Json) => {}
        }
    }
    Ok(if n_failed == 0 { Exit::Done } else { Exit::Refused })
}

fn tell(result: &Backtest, terminal: &Terminal) {
    let Backtest { stride, origins, asked, failed, abstained, .. } = result;
    terminal.note(&format!(
        "{asked} forecasts from {origins} origins, {stride} steps apart; {abstained} abstained"
    ));
    if 0 < *failed {
        terminal.warning(&format!("{failed} of {asked} forecasts failed: not counted below"));
    }
}

fn json(
    result: &Backtest,
    request: &Request,
    n_series: usize,
    terminal: &Terminal,
) -> Result<(), Failure> {
    terminal.json(&Answer {
        series: n_series,
        horizon: request.horizon,
        origins: result.origins,
        stride: result.stride,
        forecasts: result.asked,
        failed: result.failed,
        abstained: result.abstained,
        levels: &request.levels,
        overall: Row::of(&result.overall),
        by_horizon: result.by_horizon.iter().map(Row::of).collect(),
    })
}

fn table(result: &Backtest, request: &Request) -> String {
    let mut table = Table::new([
        "steps",
        "accuracy",
        "seasonal naive",
        "persistence",
        "mase",
        "pinball",
        "inside",
    ]);
    for (name, it) in result
        .by_horizon
        .iter()
        .map(|it| (steps(it), it))
        .chain([("all".to_owned(), &result.overall)])
    {
        let coverage = request.levels.iter().zip(&it.coverage);
        let coverage: Vec<String> = coverage
            .filter_map(|(level, share)| {
                Some(format!("{}%: {:.1}%", percent(*level), (*share)? * 100.0))
            })
            .collect();
        table.row([
            name,
            accuracy(it.wape),
            accuracy(it.wape_seasonal),
            accuracy(it.wape_persistence),
            it.mase.map(|it| format!("{it:.3}")).unwrap_or_default(),
            it.pinball.map(|it| format!("{it:.4}")).unwrap_or_default(),
            coverage.join(", "),
        ]);
    }
    table.text()
}

fn steps(it: &Accuracy) -> String {
    if it.from == it.to { it.from.to_string() } else { format!("{}-{}", it.from, it.to) }
}

/// `1 - WAPE` in percent.
fn accuracy(wape: Option<f64>) -> String {
    wape.map(|it| format!("{:.1}%", (1.0 - it) * 100.0)).unwrap_or_default()
}

/// What there is to draw: the newest origin, with as much past as fits well.
fn picture<'a>(newest: &Newest, named: &'a [Named], series: &'a [Series]) -> Option<Picture<'a>> {
    let Newest { index, origin, forecast } = newest;
    let (one, id) = (series.get(*index)?, &named.get(*index)?.id);
    let horizon = forecast.mean.len();
    // Enough past to see what repeats, and the forecast still a third of the picture.
    let from = origin.saturating_sub(horizon * 2);
    let to = (origin + horizon).min(one.values.len());
    let widest = forecast.bands.iter().max_by(|one, other| one.level.total_cmp(&other.level));
    Some(Picture {
        title: id,
        values: one.values.get(from..to)?,
        n_past: origin - from,
        mean: forecast.mean.clone(),
        band: widest.cloned(),
        times: [from, *origin, to].map(|it| match one.time_of(it) {
            Some(at) => at.strftime("%Y-%m-%d %H:%M").to_string(),
            None => it.to_string(),
        }),
    })
}
