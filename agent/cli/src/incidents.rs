//! `evenkeel incidents`: what is wrong, what is done about it, and what waits for people.
//!
//! **In:** the agent's [`IncidentsAnswer`], or one incident with its runs.
//! **Out:** tables, or one incident in full; a page in Markdown for the review afterwards.
//! **Not here:** one incident in words ([`crate::incident_text`]), runs
//! ([`crate::run_text`]).

use std::path::Path;

use evenkeel_core::api::healing::{
    IncidentAnswer, IncidentReport, IncidentsAnswer, ReasonRequest, RunReport,
};
use evenkeel_core::heal::report::timeline_markdown;
use evenkeel_core::ids::{IncidentId, RunId};

use crate::args::{Common, IncidentsArgs, Output};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::Table;
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::{autonomy, incident_text, run_text, times};

/// Asks and shows.
///
/// # Errors
///
/// As [`Client::get`] and, to acknowledge, [`Client::post`]; [`Failure::Write`].
pub(crate) fn run(
    args: &IncidentsArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let client = Client::new(common, terminal)?;
    match (args.incident, &args.export) {
        (None, _) => list(args.all, &client, common, terminal)?,
        (Some(id), _) if args.acknowledge => acknowledge(id, &client, common, terminal)?,
        (Some(id), Some(path)) => export(id, path, &client, terminal)?,
        (Some(id), None) => one(id, &client, common, terminal)?,
    }
    Ok(Exit::Done)
}

fn list(
    with_resolved: bool,
    client: &Client,
    common: &Common,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let query: Vec<_> = with_resolved.then(|| ("all", "true".to_owned())).into_iter().collect();
    let answer = client.get::<IncidentsAnswer>(&["incidents"], &query)?;
    if common.output == Output::Json {
        return terminal.data(answer.json.trim_end());
    }
    terminal.data(&all_shown(&answer.value, with_resolved, terminal))?;
    for run in answer.value.runs.iter().filter(|it| run_text::is_awaiting(it)) {
        if let Some(answers) = run_text::answers(run) {
            terminal.hint(&format!(
                "{} on {} waits for you; look at its plan in `evenkeel incidents{}`, then {answers}",
                run.id,
                run.target,
                run.incident.map_or_else(String::new, |it| format!(" {it}"))
            ));
        }
    }
    Ok(())
}

fn all_shown(answer: &IncidentsAnswer, with_resolved: bool, terminal: &Terminal) -> String {
    let IncidentsAnswer { incidents, runs, storm, reviews, autonomy, lapses } = answer;
    let mut parts: Vec<String> = Vec::new();
    if let Some(storm) = storm {
        let word = terminal.mark(Stream::Out, Mark::Bad, "STORM");
        let since = times::full(storm.since);
        parts.push(format!(
            "{word}: since {since} nothing is removed or restarted: {}",
            visible(&storm.why)
        ));
    }
    parts.push(match (incidents.is_empty(), with_resolved) {
        (true, true) => "no incidents are in memory".to_owned(),
        (true, false) => "no incidents; `--all` shows those that are over".to_owned(),
        (false, _) => incidents_table(incidents, runs),
    });
    let is_listed =
        |id: RunId| incidents.iter().any(|it| shown_run(it, runs).is_some_and(|it| it.id == id));
    let others: Vec<&RunReport> = runs
        .iter()
        .filter(|it| !is_listed(it.id) && (with_resolved || it.phase != run_text::ENDED))
        .collect();
    if !others.is_empty() {
        parts.push(runs_table(&others));
    }
    if !reviews.is_empty() {
        let mut table = Table::new(["to review", "passed alone by", "due"]);
        for it in reviews {
            let late = if it.is_overdue { ", overdue" } else { "" };
            let due = format!("{}{late}", times::full(it.due_at));
            table.row([it.run.to_string(), it.actor.to_string(), due]);
        }
        parts.push(table.text());
    }
    if !lapses.is_empty() {
        let mut table = Table::new(["left to people", "since", "why"]);
        for it in lapses {
            table.row([it.scope.to_string(), times::full(it.at), it.why.clone()]);
        }
        parts.push(format!("{}\n`evenkeel handback SCOPE` gives it back", table.text()));
    }
    let mut standings = autonomy
        .iter()
        .filter(|it| {
            let it = &it.standing;
            with_resolved || it.promoted_to.is_some() || it.demotion.is_some() || it.is_proposed
        })
        .peekable();
    if standings.peek().is_some() {
        parts.push(autonomy::table(standings));
    }
    parts.join("\n\n")
}

/// The run of an incident that counts: the one that is not over, else the last.
fn shown_run<'a>(incident: &IncidentReport, runs: &'a [RunReport]) -> Option<&'a RunReport> {
    let of = |id: &RunId| runs.iter().find(|it| it.id == *id);
    let mut newest_first = incident.runs.iter().rev().filter_map(of);
    let mut all = newest_first.clone();
    all.find(|it| it.phase != run_text::ENDED).or_else(|| newest_first.next())
}

fn incidents_table(incidents: &[IncidentReport], runs: &[RunReport]) -> String {
    let mut table =
        Table::new(["id", "severity", "state", "since", "targets", "run", "phase", "waiting for"]);
    for it in incidents {
        let run = shown_run(it, runs);
        let targets: Vec<&str> = it.targets.iter().map(|it| it.as_str()).collect();
        let waiting_for = match run.filter(|it| it.phase != run_text::ENDED) {
            Some(run) => run.sentence.clone(),
            None => it.waiting_for.clone().unwrap_or_default(),
        };
        table.row([
            it.id.to_string(),
            it.severity.to_string(),
            it.state.clone(),
            times::full(it.began_at),
            targets.join(", "),
            run.map_or_else(String::new, |it| it.id.to_string()),
            run.map_or_else(String::new, run_text::phase),
            waiting_for,
        ]);
    }
    table.text()
}

/// Runs that no row of incidents shows.
fn runs_table(runs: &[&RunReport]) -> String {
    let mut table = Table::new(["run", "playbook", "target", "phase", "since", "what"]);
    for it in runs {
        table.row([
            it.id.to_string(),
            it.playbook.to_string(),
            it.target.to_string(),
            run_text::phase(it),
            times::full(it.opened_at),
            it.sentence.clone(),
        ]);
    }
    table.text()
}

fn one(
    id: IncidentId,
    client: &Client,
    common: &Common,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let answer = client.get::<IncidentReport>(&["incidents", &id.to_string()], &[])?;
    if common.output == Output::Json {
        return terminal.data(answer.json.trim_end());
    }
    let runs = runs_of(&answer.value, client)?;
    terminal.data(&incident_text::shown(&answer.value, &runs))?;
    for run in &runs {
        if let Some(answers) = run_text::answers(run) {
            terminal.hint(&format!("{} waits for you: {answers}", run.id));
        }
    }
    if answer.value.acknowledged_at.is_none() && answer.value.resolved_at.is_none() {
        terminal.hint(&format!("to take note of it, `evenkeel incidents {id} --acknowledge`"));
    }
    Ok(())
}

/// Its runs, oldest first; those that are no longer in the agent's memory are left out.
fn runs_of(incident: &IncidentReport, client: &Client) -> Result<Vec<RunReport>, Failure> {
    let mut runs = Vec::new();
    for id in &incident.runs {
        match client.get::<RunReport>(&["runs", &id.to_string()], &[]) {
            Ok(answer) => runs.push(answer.value),
            Err(Failure::Refused { .. }) => (),
            Err(failure) => return Err(failure),
        }
    }
    Ok(runs)
}

fn acknowledge(
    id: IncidentId,
    client: &Client,
    common: &Common,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let path = ["incidents", &id.to_string(), "acknowledge"];
    let answer = client.post::<_, IncidentAnswer>(&path, &ReasonRequest::default())?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end()),
        Output::Text => {
            let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
            let by = answer.value.incident.acknowledged_by;
            let by = by.map_or_else(String::new, |it| format!(" by {}", visible(it.as_str())));
            terminal.data(&format!("{enforced}: {id} acknowledged{by}"))
        }
    }
}

fn export(
    id: IncidentId,
    path: &Path,
    client: &Client,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let answer = client.get::<IncidentReport>(&["incidents", &id.to_string()], &[])?;
    let runs = runs_of(&answer.value, client)?;
    let page = timeline_markdown(&answer.value, &runs);
    if path == Path::new("-") {
        return terminal.bytes(&[page.as_bytes()]).map(|_| ());
    }
    std::fs::write(path, page)
        .map_err(|source| Failure::Write { path: path.to_owned(), source })?;
    terminal.note(&format!("{id} written to {}", path.display()));
    Ok(())
}
