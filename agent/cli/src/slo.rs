//! `evenkeel slo`: what is left of the error budgets, how fast they burn, who is told.
//!
//! **In:** the agent's [`SloReport`]; for `rules`, documents and no agent.
//! **Out:** a table, or one SLO in full; rules for Prometheus.
//! **Not here:** how the numbers come about, and the rules ([`evenkeel_core::slo`]).

use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::api::budgets::{AlertStatus, ObjectiveStatus, SloReport, SloStatus};
use evenkeel_core::slo::alert::Verdict;
use evenkeel_core::slo::rules::rules;
use jiff::Timestamp;

use crate::args::budgets::{SloArgs, SloRulesArgs, SloVerb};
use crate::args::{Common, Output};
use crate::budget_text::{burn, burns, exhausted, share, target};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::replay::documents_of;
use crate::table::{Table, count, or_none};
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::times;

/// Asks and shows, or exports.
///
/// # Errors
///
/// As [`Client::get`]; [`Failure::Refused`] for an SLO that there is not; [`Failure::Write`].
pub(crate) fn run(args: &SloArgs, common: &Common, terminal: &Terminal) -> Result<Exit, Failure> {
    if let Some(SloVerb::Rules(args)) = &args.verb {
        return export(args, terminal);
    }
    let answer = Client::new(common, terminal)?.get::<SloReport>(&["slos"], &[])?;
    let Some(id) = &args.slo else {
        match common.output {
            Output::Json => terminal.data(answer.json.trim_end())?,
            Output::Text => terminal.data(&all_shown(&answer.value))?,
        }
        return Ok(Exit::Done);
    };
    let mut report = answer.value;
    report.slos.retain(|it| it.slo == *id);
    let Some(slo) = report.slos.first() else {
        return Err(Failure::Refused {
            answer: ErrorAnswer {
                error: format!("there is no SLO `{id}`"),
                hint: "`evenkeel slo` lists them".to_owned(),
            },
        });
    };
    match common.output {
        Output::Json => terminal.json(&report)?,
        Output::Text => terminal.data(&one_shown(slo, report.at, terminal))?,
    }
    Ok(Exit::Done)
}

fn all_shown(report: &SloReport) -> String {
    let SloReport { at, slos } = report;
    if slos.is_empty() {
        return "no SLOs; `evenkeel check` tells what the documents say".to_owned();
    }
    let mut table = Table::new([
        "slo",
        "objective",
        "target",
        "left",
        "burn 1h",
        "6h",
        "3d",
        "exhausted",
        "verdict",
        "coverage",
    ]);
    for slo in slos {
        for it in &slo.objectives {
            table.row([
                slo.slo.to_string(),
                it.name.clone(),
                target(it.target),
                share(it.budget_left),
                burn(&it.burn_rates, "1h"),
                burn(&it.burn_rates, "6h"),
                burn(&it.burn_rates, "3d"),
                exhausted(is_spent(it), it.exhaustion.as_ref(), *at),
                verdict(it),
                share(Some(it.coverage)),
            ]);
        }
    }
    table.text()
}

fn is_spent(objective: &ObjectiveStatus) -> bool {
    objective.budget_left.is_some_and(|it| it <= 0.0)
}

/// What the alert that matters most says.
fn verdict(objective: &ObjectiveStatus) -> String {
    if objective.unread.is_some() {
        return "not measured".to_owned();
    }
    // Of equal ones the most urgent.
    let worst = objective.alerts.iter().max_by_key(|it| (rank(it.verdict), it.severity));
    worst.map_or_else(String::new, said)
}

fn said(alert: &AlertStatus) -> String {
    match alert.verdict {
        Verdict::Firing | Verdict::Pending => {
            format!("{} ({})", alert.verdict.name(), alert.severity)
        }
        Verdict::Quiet | Verdict::NoTraffic | Verdict::NoData => alert.verdict.name().to_owned(),
    }
}

/// The greater, the more it matters.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Quiet => 0,
        Verdict::NoTraffic => 1,
        Verdict::NoData => 2,
        Verdict::Pending => 3,
        Verdict::Firing => 4,
    }
}

fn one_shown(slo: &SloStatus, now: Timestamp, terminal: &Terminal) -> String {
    let SloStatus { slo: id, display_name, service, window, is_critical, objectives } = slo;
    let critical = if *is_critical { ", critical: never starved to save money" } else { "" };
    let mut parts = vec![format!(
        "{id}: {}\n  service {service}, {}{critical}",
        visible(display_name),
        visible(window)
    )];
    parts.extend(objectives.iter().map(|it| objective_shown(it, now, terminal)));
    parts.join("\n\n")
}

fn objective_shown(it: &ObjectiveStatus, now: Timestamp, terminal: &Terminal) -> String {
    let mut lines = vec![format!("{} {}", visible(&it.name), target(it.target))];
    if let Some(why) = &it.unread {
        let word = terminal.mark(Stream::Out, Mark::Doubtful, "not measured");
        lines.push(format!("  {word}: {}", visible(why)));
        return lines.join("\n");
    }
    let observed = it.observed_until.map_or_else(
        || "nothing was observed yet".to_owned(),
        |it| format!("observed until {}", times::full(it)),
    );
    lines.push(match it.budget_left {
        Some(left) if left < 0.0 => format!(
            "  the error budget is overspent by {}: {:.0} bad of {:.0}",
            share(Some(-left)),
            it.bad,
            it.total
        ),
        Some(left) => format!(
            "  {} of the error budget is left: {:.0} bad of {:.0}",
            share(Some(left)),
            it.bad,
            it.total
        ),
        None => "  no events in the window: neither good nor bad".to_owned(),
    });
    lines.push(format!("  {} of the window is covered, {observed}", share(Some(it.coverage))));
    lines.push(format!("  burn rates: {}", visible(&burns(&it.burn_rates))));
    let exhausted = exhausted(is_spent(it), it.exhaustion.as_ref(), now);
    if !exhausted.is_empty() {
        lines.push(format!("  exhausted: {exhausted}"));
    }
    if !it.alerts.is_empty() {
        let mut table = Table::new(["alert", "severity", "verdict", "since", "why"]);
        for it in &it.alerts {
            table.row([
                it.policy.clone(),
                it.severity.to_string(),
                it.verdict.name().to_owned(),
                or_none(it.since.map(times::full)),
                it.why.clone(),
            ]);
        }
        lines.extend(table.text().lines().map(|it| format!("  {it}")));
    }
    lines.join("\n")
}

fn export(args: &SloRulesArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let Some(documents) = documents_of(&args.paths, terminal) else { return Ok(Exit::Refused) };
    let file = rules(documents.slos());
    for it in &file.skipped {
        terminal.warning(&format!("SLO `{}` is left out: {}", it.slo, it.reason));
    }
    if file.groups.is_empty() {
        terminal.error(if documents.slos().len() == 0 {
            "there is no SLO in these documents"
        } else {
            "none of the SLOs can be told to Prometheus"
        });
        terminal.hint("name the files that have `kind: SLO`, and those that they refer to");
        return Ok(Exit::Refused);
    }
    let text = file.to_yaml();
    match &args.out {
        Some(path) => {
            std::fs::write(path, text)
                .map_err(|source| Failure::Write { path: path.clone(), source })?;
            let n_exported = documents.slos().len() - file.skipped.len();
            terminal.note(&format!(
                "{} written to {}; try `promtool check rules {1}`",
                count(n_exported, "SLO"),
                path.display()
            ));
        }
        None => terminal.bytes(&[text.as_bytes()]).map(|_| ())?,
    }
    Ok(Exit::Done)
}
