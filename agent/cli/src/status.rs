//! `evenkeel status`: what rules each target, and what comes next.
//!
//! **In:** the agent's [`StatusReport`].
//! **Out:** the agent in one line, a table of targets, the overrides in force.
//! **Not here:** why (see [`crate::explain`]).

use std::collections::BTreeMap;

use evenkeel_core::api::{AgentStatus, StatusReport};
use evenkeel_core::ids::OverrideId;
use evenkeel_core::overrides::Override;
use evenkeel_core::status::InFlightEffect;
use jiff::Timestamp;

use crate::args::{Common, Output, StatusArgs};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::{Table, count, number, or_none};
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::times;

/// Asks and shows.
///
/// # Errors
///
/// As [`Client::get`].
pub(crate) fn run(
    args: &StatusArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let query: Vec<_> = args.target.iter().map(|it| ("target", it.to_string())).collect();
    let answer = Client::new(common, terminal)?.get::<StatusReport>(&["status"], &query)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => terminal.data(&shown(&answer.value, terminal))?,
    }
    Ok(Exit::Done)
}

fn shown(report: &StatusReport, terminal: &Terminal) -> String {
    let StatusReport { agent, targets } = report;
    let mut parts = vec![agent_lines(agent, terminal)];
    if targets.is_empty() {
        parts.push("no targets; `evenkeel check` tells what the documents say".to_owned());
    } else {
        let mut table = Table::new([
            "target",
            "mode",
            "owner",
            "current",
            "ready",
            "desired",
            "bounds",
            "forecast",
            "next action",
        ]);
        for it in targets {
            table.row([
                it.target.to_string(),
                it.mode.to_string(),
                it.owner.clone(),
                or_none(it.current),
                or_none(it.ready),
                or_none(it.desired),
                format!("{}..{}", it.bounds.min, it.bounds.max),
                it.forecast.map_or_else(String::new, number),
                it.next_action.clone(),
            ]);
        }
        parts.push(table.text());
    }
    let in_flight: Vec<&InFlightEffect> =
        targets.iter().filter_map(|it| it.in_flight.as_ref()).collect();
    if !in_flight.is_empty() {
        parts.push(effects_table(&in_flight));
    }
    let overrides: BTreeMap<OverrideId, &Override> =
        targets.iter().flat_map(|it| &it.overrides).map(|it| (it.id, it)).collect();
    if !overrides.is_empty() {
        parts.push(overrides_table(overrides.into_values(), agent.now));
    }
    parts.join("\n\n")
}

fn agent_lines(agent: &AgentStatus, terminal: &Terminal) -> String {
    let AgentStatus {
        region,
        version,
        term,
        now,
        break_glass,
        documents_sha256: _,
        documents_faults,
        n_overrides,
        n_in_flight,
        last_record,
    } = agent;
    let mut lines = vec![format!(
        "evenkeel {} in {region}, term {term}, {}: {}, {} in flight, last record {last_record}",
        visible(version),
        times::full(*now),
        count(*n_overrides, "override"),
        count(*n_in_flight, "effect"),
    )];
    if let Some(cause) = break_glass {
        let word = terminal.mark(Stream::Out, Mark::Bad, "BREAK-GLASS");
        lines.push(format!("{word}: everything is frozen: {}", visible(cause)));
    }
    if !documents_faults.is_empty() {
        let word = terminal.mark(Stream::Out, Mark::Bad, "DOCUMENTS");
        lines.push(format!(
            "{word}: the newest could not be taken into force, older ones still are; {}:",
            count(documents_faults.len(), "fault")
        ));
        lines.extend(documents_faults.iter().map(|it| format!("  {}", visible(it))));
    }
    lines.join("\n")
}

/// Effects that have not ended for sure.
fn effects_table(effects: &[&InFlightEffect]) -> String {
    let mut table = Table::new(["effect", "target", "from", "to", "since", "outcome"]);
    for it in effects {
        table.row([
            it.id.to_string(),
            it.target.to_string(),
            it.from.to_string(),
            it.to.to_string(),
            times::full(it.since),
            if it.is_unknown { "unknown, being read back" } else { "not yet" }.to_owned(),
        ]);
    }
    table.text()
}

/// Overrides in force or pending, as seen at `now`.
pub(crate) fn overrides_table<'a>(
    overrides: impl Iterator<Item = &'a Override>,
    now: Timestamp,
) -> String {
    let mut table = Table::new(["override", "does", "on", "by", "ends", "reason"]);
    for it in overrides {
        table.row([
            it.id.to_string(),
            it.kind.to_string(),
            it.scope.to_string(),
            it.actor.to_string(),
            times::until(it.ends_at, now),
            it.reason.clone(),
        ]);
    }
    table.text()
}
