//! `evenkeel budget reconcile`: does the bill say what was metered?
//!
//! **In:** a bill in the FOCUS format, and the daily sums of the agent.
//! **Out:** a table by service; exit 1 when the drift is above 10 %.
//! **Not here:** reading the bill ([`evenkeel_core::spend::focus`]), the comparison
//! ([`evenkeel_core::spend::reconcile`]).

use std::path::Path;

use evenkeel_core::api::budgets::BudgetReport;
use evenkeel_core::spend::focus::{FocusRow, parse};
use evenkeel_core::spend::meter::Days;
use evenkeel_core::spend::reconcile::{DRIFT_MAX_RATIO, Difference, Reconciliation, reconcile};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::args::budgets::ReconcileArgs;
use crate::args::{Common, Output};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::{Table, count};
use crate::terminal::{Mark, Stream, Terminal};

/// The largest bill. Why 64 MB: 200,000 rows of a provider's daily export; the core keeps all
/// of it in memory.
const BILL_BYTES_MAX: u64 = 64_000_000;

/// Seconds of a day, UTC.
const DAY: i64 = 86_400;

/// Asks, compares and shows.
///
/// # Errors
///
/// As [`Client::get`]; [`Failure::File`], [`Failure::Content`], [`Failure::Bill`].
pub(super) fn run(
    args: &ReconcileArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let from = args.from.map_or(Timestamp::MIN, |it| midnight(it, Timestamp::MIN));
    let until = args.until.map_or(Timestamp::MAX, |it| midnight(it, Timestamp::MAX));
    if until <= from {
        return Err(Failure::Usage(
            "`--until` must be after `--from`: it is the first day that is not compared",
        ));
    }
    let mut rows = bill(&args.file)?;
    let is_within = |it: &FocusRow| from < it.charge_period_end && it.charge_period_start < until;
    rows.retain(is_within);
    let answer = Client::new(common, terminal)?.get::<BudgetReport>(&["budgets"], &[])?;
    let report = answer.value;
    let sums = report.services.iter().flat_map(|service| {
        let days = service.days.iter().filter(|it| from <= it.from && it.from < until);
        days.map(|it| {
            let day = it.from.as_second().div_euclid(DAY);
            (day, Some(&service.service), it.amount.amount(), it.hours * 3600.0)
        })
    });
    let unallocated = report.unallocated.iter().filter(|it| from <= it.from && it.from < until);
    let unallocated = unallocated.map(|it| {
        let day = it.from.as_second().div_euclid(DAY);
        (day, None, it.amount.amount(), it.hours * 3600.0)
    });
    let days = Days::of_sums(sums.chain(unallocated));
    let found = reconcile(report.at, &days, &rows, report.currency);
    let is_drift = found.total.is_drift || found.by_service.values().any(|it| it.is_drift);
    match common.output {
        Output::Json => terminal.json(&found)?,
        Output::Text => terminal.data(&shown(&found, is_drift, terminal))?,
    }
    for (currency, n) in &found.n_refused {
        terminal.warning(&format!(
            "{} in {currency} are left out, prices are in {}",
            count(*n, "row"),
            report.currency
        ));
    }
    if found.n_days == 0 {
        terminal.hint(
            "nothing was compared: the bill and the agent have no whole day (UTC) in common; \
             the agent keeps 40 days, and the day of today is not over",
        );
    }
    Ok(if is_drift || found.n_days == 0 { Exit::Refused } else { Exit::Done })
}

fn midnight(date: Date, beyond: Timestamp) -> Timestamp {
    date.to_zoned(TimeZone::UTC).map_or(beyond, |it| it.timestamp())
}

fn bill(path: &Path) -> Result<Vec<FocusRow>, Failure> {
    let failed = |source| Failure::File { what: "the bill", path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if BILL_BYTES_MAX < bytes {
        return Err(Failure::Content {
            path: path.to_owned(),
            expected: "a bill of at most 64 MB",
            hint: "split it by day or by service, and compare the parts with `--from` and `--until`",
        });
    }
    let text = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(text).map_err(|_| Failure::Content {
        path: path.to_owned(),
        expected: "text in UTF-8",
        hint: "export the bill as CSV in UTF-8",
    })?;
    parse(&text).map_err(|source| Failure::Bill { path: path.to_owned(), source })
}

fn shown(found: &Reconciliation, is_drift: bool, terminal: &Terminal) -> String {
    let mut table = Table::new(["service", "metered", "billed", "difference", "drift"]);
    let mut row = |name: String, it: &Difference| {
        let ratio = it.drift_ratio.map_or_else(
            || if it.is_drift { "not billed" } else { "" }.to_owned(),
            |it| format!("{:+.1}%", it * 100.0),
        );
        let word = if it.is_drift { ", too large" } else { "" };
        table.row([
            name,
            it.metered.to_string(),
            it.billed.to_string(),
            it.metered.minus(it.billed).to_string(),
            format!("{ratio}{word}"),
        ]);
    };
    for (service, it) in &found.by_service {
        row(service.to_string(), it);
    }
    if found.unallocated != Difference::default() {
        row("(no service)".to_owned(), &found.unallocated);
    }
    row("all".to_owned(), &found.total);
    let word = if is_drift {
        terminal.mark(Stream::Out, Mark::Bad, "drift")
    } else {
        terminal.mark(Stream::Out, Mark::Good, "agrees")
    };
    let mut text = table.text();
    if found.n_days != 0 {
        let limit = DRIFT_MAX_RATIO * 100.0;
        text.push_str(&format!(
            "\n\n{word}: {} compared, {limit:.0}% is tolerated",
            count(found.n_days, "whole day")
        ));
    }
    if found.n_days_not_metered != 0 {
        text.push_str(&format!(
            "\nleft out: {} that was not metered from begin to end",
            count(found.n_days_not_metered, "day")
        ));
    }
    if found.n_taxes != 0 {
        text.push_str(&format!("\nleft out: {} of taxes", count(found.n_taxes, "row")));
    }
    text
}
