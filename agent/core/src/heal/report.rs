//! What incidents and runs are like at the moment, for people.
//!
//! **In:** an agent and a time; nothing is changed.
//! **Out:** the answers of [`crate::api::healing`].
//! **Not here:** transport, text for a terminal (the command line's).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::action::ActionClass;
use crate::agent::Agent;
use crate::api::healing::{
    IncidentReport, IncidentsAnswer, LapseReport, ReviewReport, RunReport, StandingReport,
};
use crate::heal::memory::{REVIEWED_WITHIN, show_ending};
use crate::heal::notices;
use crate::ids::{Actor, IncidentId, RunId, TargetId};
use crate::incident::Incident;
use crate::run::plan::Plan;
use crate::run::{Phase, Run, StepPhase};
use crate::units::show_duration;

/// Incidents (`with_resolved`: also those that are over), runs, and all that is due.
pub fn incidents(now: Timestamp, agent: &Agent, with_resolved: bool) -> IncidentsAnswer {
    let healing = agent.state().healing();
    let shown: Vec<&Incident> =
        healing.incidents().filter(|it| with_resolved || it.is_open()).collect();
    let of_shown: BTreeSet<RunId> = shown.iter().flat_map(|it| it.runs.iter().copied()).collect();
    let mut runs: Vec<RunReport> = healing
        .runs()
        .filter(|it| !it.phase.is_terminal() || of_shown.contains(&it.id) || with_resolved)
        .map(|it| of_run(now, agent, it))
        .collect();
    runs.reverse();
    IncidentsAnswer {
        incidents: shown.into_iter().rev().map(of_incident).collect(),
        runs,
        storm: healing.storm().cloned(),
        reviews: healing
            .reviews()
            .map(|(run, it)| ReviewReport {
                run,
                actor: it.actor.clone(),
                due_at: it.at.checked_add(REVIEWED_WITHIN).unwrap_or(Timestamp::MAX),
                is_overdue: it.is_overdue,
            })
            .collect(),
        autonomy: healing
            .standings()
            .map(|(target, class, it)| StandingReport {
                target: target.clone(),
                class,
                standing: it.clone(),
            })
            .collect(),
        lapses: healing
            .lapses()
            .iter()
            .map(|it| LapseReport { scope: it.scope.clone(), at: it.at, why: it.why.clone() })
            .collect(),
    }
}

/// One incident; `None` when it is not in memory.
pub fn incident(agent: &Agent, id: IncidentId) -> Option<IncidentReport> {
    agent.state().healing().incident(id).map(of_incident)
}

/// One run; `None` when it is not in memory.
pub fn run(now: Timestamp, agent: &Agent, id: RunId) -> Option<RunReport> {
    agent.state().healing().run(id).map(|it| of_run(now, agent, it))
}

/// One class of actions on one target; the default when nothing is known.
pub fn standing(agent: &Agent, target: &TargetId, class: ActionClass) -> StandingReport {
    let standing = agent.state().healing().standing(target, class).cloned().unwrap_or_default();
    StandingReport { target: target.clone(), class, standing }
}

fn of_incident(it: &Incident) -> IncidentReport {
    let targets: BTreeSet<&TargetId> = it.symptoms.iter().map(|it| &it.target).collect();
    IncidentReport {
        id: it.id,
        severity: it.severity,
        state: if it.is_open() { "open" } else { "resolved" }.to_owned(),
        targets: targets.into_iter().cloned().collect(),
        symptoms: it.symptoms.clone(),
        began_at: it.began_at,
        detected_at: it.detected_at,
        acknowledged_at: it.acknowledged.as_ref().map(|(_, at)| *at),
        acknowledged_by: it.acknowledged.as_ref().map(|(actor, _)| actor.clone()),
        resolved_at: it.resolved_at,
        mttd_seconds: it.time_to_detect().as_secs_f64(),
        mtta_seconds: it.time_to_acknowledge().map(|it| it.as_secs_f64()),
        mttr_seconds: it.time_to_resolve().map(|it| it.as_secs_f64()),
        n_reopened: it.n_reopened,
        runs: it.runs.clone(),
        waiting_for: it.waiting_for.clone(),
        timeline: it.timeline.clone(),
    }
}

fn of_run(now: Timestamp, agent: &Agent, it: &Run) -> RunReport {
    let ended = match &it.phase {
        Phase::Ended { ending, at } => Some((ending, *at)),
        Phase::Planning { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Running { .. }
        | Phase::Verifying { .. }
        | Phase::Undoing { .. }
        | Phase::Stuck { .. } => None,
    };
    RunReport {
        id: it.id,
        playbook: it.playbook.clone(),
        playbook_sha256: it.playbook_sha256.clone(),
        target: it.target.clone(),
        incident: it.incident,
        cause: it.cause.clone(),
        parameters: it.parameters.clone(),
        opened_at: it.opened_at,
        phase: it.phase.name().to_owned(),
        ending: ended.map(|(ending, _)| ending.name().to_owned()),
        sentence: sentence(now, agent, it),
        step: step_of(it).map(|it| it.saturating_add(1)),
        plan_hash: it.plan.as_ref().map(Plan::hash),
        plan: it.plan.as_ref().map(Plan::lines).unwrap_or_default(),
        approvals: it.approvals.clone(),
        approval_expires_at: match &it.phase {
            Phase::AwaitingApproval { expires_at, .. } => Some(*expires_at),
            Phase::Planning { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => None,
        },
        ended_at: ended.map(|(_, at)| at),
    }
}

fn step_of(it: &Run) -> Option<u16> {
    match &it.phase {
        Phase::AwaitingApproval { step, .. }
        | Phase::Running { step, .. }
        | Phase::Stuck { step, .. } => Some(*step),
        Phase::Undoing { .. } => it.undoing_step(),
        Phase::Planning { .. } | Phase::Verifying { .. } | Phase::Ended { .. } => None,
    }
}

/// What a run does now, and what it waits for.
fn sentence(now: Timestamp, agent: &Agent, it: &Run) -> String {
    let name = |step: u16| {
        let planned = it.plan.as_ref().and_then(|it| it.steps.get(usize::from(step)));
        planned.map_or_else(String::new, |it| format!("step `{}`", it.name))
    };
    let doing = match &it.phase {
        Phase::Planning { .. } => "making its plan".to_owned(),
        Phase::AwaitingApproval { step, expires_at, .. } => {
            let left = expires_at.duration_since(now).max(SignedDuration::ZERO);
            let left = show_duration(SignedDuration::from_secs(left.as_secs()));
            format!("waits for an approval before {}; no answer in {left} means no", name(*step))
        }
        Phase::Running { step, at } => format!("{}: {}", name(*step), show_step(at)),
        Phase::Verifying { until, .. } => {
            let plan = it.plan.as_ref();
            let condition = plan.map_or("", |it| it.verification.condition.text());
            format!("verifying until {until:.0}: {condition}")
        }
        Phase::Undoing { at, why, .. } => {
            let step = it.undoing_step().map(name).unwrap_or_default();
            format!("undoing {step} because {why}: {}", show_step(at))
        }
        Phase::Stuck { why, .. } => {
            format!("stuck: {why}; look at it, then `evenkeel abort {}`", it.id)
        }
        Phase::Ended { ending, .. } => show_ending(ending),
    };
    match agent.views().waiting_for(it.id).filter(|_| !it.phase.is_terminal()) {
        Some(why) => format!("{doing} ({why})"),
        None => doing,
    }
}

fn show_step(at: &StepPhase) -> String {
    match at {
        StepPhase::Ready { .. } => "its turn has come".to_owned(),
        StepPhase::Sent { effect, .. } => format!("{effect} is on its way"),
        StepPhase::Unknown { effect, .. } => {
            format!("the outcome of {effect} is unknown; reading back")
        }
        StepPhase::Waiting { until, .. } => format!("waiting until {until:.0} at the latest"),
    }
}

/// The incident as a page for the review afterwards, in Markdown. Texts of others are put in
/// code, so that they cannot be read as markup.
pub fn timeline_markdown(report: &IncidentReport, runs: &[RunReport]) -> String {
    let mut page = String::new();
    let seconds = |it: f64| {
        let whole = SignedDuration::try_from_secs_f64(it.max(0.0).round());
        show_duration(whole.unwrap_or(SignedDuration::ZERO))
    };
    let targets: Vec<String> = report.targets.iter().map(|it| format!("`{it}`")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# Incident {}\n", report.id);
    let _ = writeln!(page, "| | |\n|---|---|");
    let _ = writeln!(page, "| Severity | {} |", report.severity);
    let _ = writeln!(page, "| State | {} |", report.state);
    let _ = writeln!(page, "| Targets | {} |", targets.join(", "));
    let _ = writeln!(page, "| First bad sample | {:.0} |", report.began_at);
    let _ = writeln!(
        page,
        "| Detected | {:.0} (after {}) |",
        report.detected_at,
        seconds(report.mttd_seconds)
    );
    let noted = match (&report.acknowledged_by, report.acknowledged_at, report.mtta_seconds) {
        (Some(actor), Some(at), Some(mtta)) => {
            format!("{at:.0} by `{}` (after {})", code(actor_text(actor)), seconds(mtta))
        }
        _ => "nobody".to_owned(),
    };
    let _ = writeln!(page, "| Acknowledged | {noted} |");
    let resolved = match (report.resolved_at, report.mttr_seconds) {
        (Some(at), Some(mttr)) => format!("{at:.0} (after {})", seconds(mttr)),
        _ => "not yet".to_owned(),
    };
    let _ = writeln!(page, "| Resolved | {resolved} |");
    let _ = writeln!(page, "| Came back | {} times |", report.n_reopened);
    let _ = writeln!(page, "\n## Symptoms\n");
    for it in &report.symptoms {
        let end = it.ended_at.map_or_else(|| "lasts".to_owned(), |it| format!("until {it:.0}"));
        let _ = writeln!(
            page,
            "- {:.0}, {end}: `{}` on `{}`: `{}`",
            it.began_at,
            it.playbook,
            it.target,
            code(&it.what)
        );
    }
    let _ = writeln!(page, "\n## Runs\n");
    if report.runs.is_empty() {
        let _ = writeln!(page, "None.");
    }
    for it in runs.iter().filter(|it| report.runs.contains(&it.id)) {
        let ending = it.ending.as_deref().unwrap_or(it.phase.as_str());
        let _ = writeln!(page, "### {} of `{}` on `{}`: {ending}\n", it.id, it.playbook, it.target);
        let _ = writeln!(page, "- `{}`", code(&it.sentence));
        if let Some(hash) = &it.plan_hash {
            let _ = writeln!(page, "- plan `{hash}`");
        }
        for line in &it.plan {
            let _ = writeln!(page, "    - `{}`", code(line.trim()));
        }
        for approval in &it.approvals {
            let how = if approval.is_break_glass { " by break-glass" } else { "" };
            let _ = writeln!(
                page,
                "- approved{how} by `{}` at {:.0}",
                code(actor_text(&approval.actor)),
                approval.at
            );
        }
        let _ = writeln!(page);
    }
    let _ = writeln!(page, "## Timeline\n\n| When | What |\n|---|---|");
    for it in &report.timeline {
        let _ = writeln!(page, "| {:.0} | `{}` |", it.at, code(&it.what).replace('|', "\\|"));
    }
    let _ = writeln!(page, "\n## For the review\n");
    for question in [
        "What was the cause?",
        "What helped, what did not?",
        "What would have found it sooner?",
        "What changes, who does it, by when?",
    ] {
        let _ = writeln!(page, "- {question}");
    }
    page
}

fn actor_text(actor: &Actor) -> &str {
    actor.as_str()
}

/// Without what would end code or begin a line.
fn code(text: &str) -> String {
    text.chars().map(|it| if it == '`' || it.is_control() { '\'' } else { it }).collect()
}

/// Why a run began, for people.
pub fn cause(run: &Run) -> String {
    notices::cause(run)
}
