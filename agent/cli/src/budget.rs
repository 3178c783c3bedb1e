//! `evenkeel budget`: what is spent, how fast, until when it lasts, and by whom.
//!
//! **In:** the agent's [`BudgetReport`]; for `fits` its answer.
//! **Out:** tables; below them what is not known for sure.
//! **Not here:** comparison with a bill ([`reconcile`]), error budgets of SLOs without a
//! `Budget` document ([`crate::slo`]).

mod reconcile;

use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::api::budgets::{
    BudgetReport, BudgetStatus, FitsAnswer, FitsRequest, ServiceSpend, TenantSpend,
};
use evenkeel_core::ids::BudgetId;
use jiff::Timestamp;

use crate::args::budgets::{BudgetArgs, BudgetVerb, FitsArgs, OneBudgetArgs};
use crate::args::{Common, Output};
use crate::budget_text::{burn, burns, exhausted, scope, share};
use crate::client::{Answer, Client};
use crate::failure::{Exit, Failure};
use crate::table::{Table, number, or_none};
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::times;

/// Asks and shows.
///
/// # Errors
///
/// As [`Client::get`]; [`Failure::Refused`] for a budget that there is not; for `reconcile`
/// faults of the bill.
pub(crate) fn run(
    args: &BudgetArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let all = OneBudgetArgs::default();
    match &args.verb {
        None => show(&all, common, terminal, status_shown),
        Some(BudgetVerb::Status(args)) => show(args, common, terminal, status_shown),
        Some(BudgetVerb::Forecast(args)) => show(args, common, terminal, forecast_shown),
        Some(BudgetVerb::Tenants) => show(&all, common, terminal, tenants_shown),
        Some(BudgetVerb::Services) => show(&all, common, terminal, services_shown),
        Some(BudgetVerb::Fits(args)) => fits(args, common, terminal),
        Some(BudgetVerb::Reconcile(args)) => reconcile::run(args, common, terminal),
    }
}

/// A report in words; `true` when it is about a single budget.
type Shown = fn(&BudgetReport, bool, &Terminal) -> String;

fn show(
    args: &OneBudgetArgs,
    common: &Common,
    terminal: &Terminal,
    shown: Shown,
) -> Result<Exit, Failure> {
    let Answer { value: mut report, json } =
        Client::new(common, terminal)?.get::<BudgetReport>(&["budgets"], &[])?;
    if let Some(id) = &args.budget {
        report.budgets.retain(|it| it.budget == *id);
        if report.budgets.is_empty() {
            return Err(unknown(id));
        }
    }
    match (common.output, &args.budget) {
        (Output::Json, None) => terminal.data(json.trim_end())?,
        (Output::Json, Some(_)) => terminal.json(&report)?,
        (Output::Text, one) => terminal.data(&shown(&report, one.is_some(), terminal))?,
    }
    Ok(Exit::Done)
}

fn unknown(id: &BudgetId) -> Failure {
    Failure::Refused {
        answer: ErrorAnswer {
            error: format!("there is no budget `{id}`"),
            hint: "`evenkeel budget` lists them".to_owned(),
        },
    }
}

fn status_shown(report: &BudgetReport, is_one: bool, terminal: &Terminal) -> String {
    let BudgetReport {
        at,
        currency,
        per_hour,
        budgets,
        services: _,
        unallocated: _,
        tenants: _,
        bill_drift_ratio: _,
        notes,
    } = report;
    let spend = per_hour.map_or_else(
        || "what is spent per hour is not known yet".to_owned(),
        |it| format!("{it:.2} {currency} are spent per hour"),
    );
    let mut parts = vec![format!("{}: {spend}", times::full(*at))];
    for it in budgets {
        if let Some(why) = &it.runaway {
            let word = terminal.mark(Stream::Out, Mark::Bad, "RUNAWAY");
            parts.push(format!("{word} of budget {}: {}", it.budget, visible(why)));
        }
    }
    match budgets.first() {
        None => parts.push("no budgets; `evenkeel check` tells what the documents say".to_owned()),
        Some(one) if is_one => parts.push(one_shown(one, *at)),
        Some(_) => parts.push(table(budgets, *at)),
    }
    if !notes.is_empty() {
        let notes: Vec<String> = notes.iter().map(|it| format!("note: {}", visible(it))).collect();
        parts.push(notes.join("\n"));
    }
    parts.join("\n\n")
}

fn table(budgets: &[BudgetStatus], now: Timestamp) -> String {
    let mut table = Table::new([
        "budget",
        "of",
        "spent",
        "allowance",
        "used",
        "per hour",
        "burn 1h",
        "6h",
        "exhausted",
        "crossed",
    ]);
    for it in budgets {
        let crossed: Vec<&str> = it
            .thresholds
            .iter()
            .filter(|it| it.crossed_since.is_some())
            .map(|it| it.name.as_str())
            .collect();
        table.row([
            it.budget.to_string(),
            whose(it),
            spent(it),
            amount(it, it.allowance),
            share(it.spent_ratio),
            it.per_hour.map_or_else(String::new, |it| format!("{it:.2}")),
            burn(&it.burn_rates, "1h"),
            burn(&it.burn_rates, "6h"),
            exhausted(is_spent(it), it.exhaustion.as_ref(), now),
            crossed.join(", "),
        ]);
    }
    table.text()
}

fn whose(budget: &BudgetStatus) -> String {
    match (&budget.scope, &budget.slo) {
        (Some(it), _) => scope(it),
        (None, Some(slo)) => format!("errors of {slo}"),
        (None, None) => String::new(),
    }
}

/// Money with cents, events as they are.
fn amount(budget: &BudgetStatus, amount: f64) -> String {
    if budget.slo.is_some() { format!("{amount:.0}") } else { format!("{amount:.2}") }
}

/// `~` where a part is estimated.
fn spent(budget: &BudgetStatus) -> String {
    let about = if budget.is_estimated { "~" } else { "" };
    format!("{about}{}", amount(budget, budget.spent))
}

fn is_spent(budget: &BudgetStatus) -> bool {
    budget.spent_ratio.is_some_and(|it| 1.0 <= it)
}

fn one_shown(it: &BudgetStatus, now: Timestamp) -> String {
    let used = it.spent_ratio.map_or_else(String::new, |it| format!(" ({})", share(Some(it))));
    let what = if it.slo.is_some() { " bad events" } else { "" };
    let mut lines = vec![
        format!("{}: {}, {}", it.budget, whose(it), visible(&it.window)),
        format!("  from {} until {}", times::full(it.from), times::full(it.until)),
        format!("  {} of {}{what}{used}", spent(it), amount(it, it.allowance)),
        format!("  burn rates: {}", visible(&burns(&it.burn_rates))),
    ];
    if it.is_estimated {
        lines.push("  a part is estimated; see the notes".to_owned());
    }
    let exhausted = exhausted(is_spent(it), it.exhaustion.as_ref(), now);
    if !exhausted.is_empty() {
        lines.push(format!("  exhausted: {exhausted}"));
    }
    if !it.thresholds.is_empty() {
        let mut table = Table::new(["threshold", "when", "then", "crossed since", "why"]);
        for it in &it.thresholds {
            let then: Vec<&str> = it.then.iter().map(|it| it.name()).collect();
            table.row([
                it.name.to_string(),
                it.when.clone(),
                then.join(", "),
                or_none(it.crossed_since.map(times::full)),
                it.why.clone().unwrap_or_default(),
            ]);
        }
        lines.extend(table.text().lines().map(|it| format!("  {it}")));
    }
    lines.join("\n")
}

fn forecast_shown(report: &BudgetReport, _: bool, _: &Terminal) -> String {
    if report.budgets.is_empty() {
        return "no budgets; `evenkeel check` tells what the documents say".to_owned();
    }
    let mut table = Table::new([
        "budget",
        "of",
        "used",
        "10% before",
        "50% before",
        "90% before",
        "looked until",
    ]);
    for it in &report.budgets {
        let at = |quantile: Option<Timestamp>| {
            quantile.map_or_else(
                || "later, if at all".to_owned(),
                |it| {
                    let left = times::roughly(it.duration_since(report.at));
                    format!("{} (in {left})", it.strftime("%Y-%m-%d %H:%M"))
                },
            )
        };
        let cells = match (&it.exhaustion, is_spent(it)) {
            (_, true) => ["spent".to_owned(), String::new(), String::new(), String::new()],
            (None, false) => {
                ["too little history".to_owned(), String::new(), String::new(), String::new()]
            }
            (Some(it), false) => {
                let until = it.until.strftime("%Y-%m-%d %H:%M").to_string();
                [at(it.p10), at(it.p50), at(it.p90), until]
            }
        };
        let [p10, p50, p90, until] = cells;
        table.row([it.budget.to_string(), whose(it), share(it.spent_ratio), p10, p50, p90, until]);
    }
    format!("{}\ntimes are UTC", table.text())
}

fn tenants_shown(report: &BudgetReport, _: bool, _: &Terminal) -> String {
    if report.tenants.is_empty() {
        return "no tenants are metered; a `Tenants` document names the query for them".to_owned();
    }
    let per_hour = format!("{} per hour", report.currency);
    let mut table =
        Table::new(["tenant", "value", "per second", "share", "quota", per_hour.as_str(), "over"]);
    for it in &report.tenants {
        let TenantSpend { tenant, value, rps, share_ratio, quota_rps, is_over_quota, per_hour } =
            it;
        table.row([
            tenant.to_string(),
            number(*value),
            number(*rps),
            share(Some(*share_ratio)),
            quota_rps.map_or_else(String::new, number),
            format!("{per_hour:.2}"),
            if *is_over_quota { "over its quota" } else { "" }.to_owned(),
        ]);
    }
    table.text()
}

fn services_shown(report: &BudgetReport, _: bool, _: &Terminal) -> String {
    if report.services.is_empty() {
        return "what services cost is not known yet".to_owned();
    }
    let per_hour = format!("{} per hour", report.currency);
    let mut table =
        Table::new(["service", per_hour.as_str(), "per 1,000 good", "per 1,000 more", "critical"]);
    for it in &report.services {
        let ServiceSpend {
            service,
            is_critical,
            per_hour,
            per_thousand_good,
            per_thousand_more,
            days: _,
        } = it;
        let price = |it: Option<f64>| it.map_or_else(String::new, |it| format!("{it:.4}"));
        table.row([
            service.to_string(),
            format!("{per_hour:.2}"),
            price(*per_thousand_good),
            price(*per_thousand_more),
            if *is_critical { "yes" } else { "" }.to_owned(),
        ]);
    }
    table.text()
}

fn fits(args: &FitsArgs, common: &Common, terminal: &Terminal) -> Result<Exit, Failure> {
    let request = FitsRequest { slo: args.slo.clone(), spends_ratio: args.spends };
    let answer =
        Client::new(common, terminal)?.ask::<_, FitsAnswer>(&["budgets", "fits"], &request)?;
    let FitsAnswer { fits, budget_left, why } = &answer.value;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            let word = if *fits {
                terminal.mark(Stream::Out, Mark::Good, "fits")
            } else {
                terminal.mark(Stream::Out, Mark::Bad, "does not fit")
            };
            let left =
                budget_left.map_or_else(String::new, |it| format!("; {} is left", share(Some(it))));
            terminal.data(&format!("{word}: {}{left}", visible(why)))?;
        }
    }
    Ok(if *fits { Exit::Done } else { Exit::Refused })
}
