//! Records about incidents, runs, autonomy and notifications, in one line each.
//!
//! **In:** a record.
//! **Out:** what happened, as a sentence.
//! **Not here:** every other record ([`super`]).

use evenkeel_core::autonomy::AutonomyEvent;
use evenkeel_core::heal::memory::StormEvent;
use evenkeel_core::ids::Actor;
use evenkeel_core::incident::{IncidentEvent, Symptom};
use evenkeel_core::notice::Delivery;
use evenkeel_core::record::Record;
use evenkeel_core::run::{Run, RunCause, RunEvent};

use crate::times;

/// What it says; nothing for a record that is about something else.
pub(super) fn line(record: &Record) -> String {
    match record {
        Record::RunOpened { at: _, run } => opened(run),
        Record::Run { at, id, target: _, change } => {
            format!("{id}: {}", run_event(*at, change))
        }
        Record::Incident { at: _, id, change } => format!("{id}: {}", incident_event(change)),
        Record::Storm { at: _, change } => match change {
            StormEvent::Began { why } => format!("a storm began: {why}"),
            StormEvent::GoesOn { why } => format!("the storm goes on: {why}"),
            StormEvent::Ended => "the storm is over".to_owned(),
        },
        Record::Autonomy { at: _, target: _, class, change } => {
            format!("{class}: {}", autonomy_event(change))
        }
        Record::NoticeRaised { at: _, notice: it } => {
            format!("{} ({}): {}", it.id, it.severity, it.title)
        }
        Record::NoticeEnded { at: _, id, delivery } => match delivery {
            Delivery::Delivered => format!("{id} delivered"),
            Delivery::GivenUp => format!("{id} given up: no channel took it"),
        },
        Record::OverrideEndAnnounced { at: _, id } => format!("the end of {id} was announced"),
        Record::HandedBack { at: _, scopes, actor, reason } => {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            format!("{} handed back by {actor}{}", scopes.join(", "), because(reason))
        }
        Record::LeftToPeople { at: _, target: _, why } => format!("left to people: {why}"),
        Record::Reviewed { at: _, run, actor, note } => {
            format!("break-glass of {run} reviewed by {actor}: {note}")
        }
        Record::ReviewOverdue { at: _, run } => {
            format!("the review of break-glass of {run} is overdue")
        }
        Record::TermStarted { .. }
        | Record::DocumentsAdopted { .. }
        | Record::TargetAdopted { .. }
        | Record::OverrideAccepted { .. }
        | Record::OverrideEnded { .. }
        | Record::BreakGlassEngaged { .. }
        | Record::BreakGlassReleased { .. }
        | Record::EffectPlanned { .. }
        | Record::EffectFinished { .. }
        | Record::EffectReadBack { .. }
        | Record::ChangedOutside { .. }
        | Record::LeadTimeMeasured { .. }
        | Record::LeadTimeMissed { .. }
        | Record::ForecastPromoted { .. }
        | Record::ForecastDemoted { .. }
        | Record::Budget { .. }
        | Record::SloAlert { .. }
        | Record::Reconciled { .. }
        | Record::RequestRefused { .. }
        | Record::Snapshot { .. } => String::new(),
    }
}

fn opened(run: &Run) -> String {
    let why = match &run.cause {
        RunCause::Triggered { why } => why.clone(),
        RunCause::Scheduled => "on schedule".to_owned(),
        RunCause::ByHand { actor, reason } => format!("by {actor}{}", because(reason)),
    };
    let incident = run.incident.map_or_else(String::new, |it| format!(" for {it}"));
    let dry = if run.is_dry { ", only to see its plan" } else { "" };
    format!("{}: {} began{incident}{dry}: {why}", run.id, run.playbook)
}

/// Steps are counted from 0 in records and from 1 for people.
fn nth(step: u16) -> String {
    format!("step {}", step.saturating_add(1))
}

fn run_event(at: jiff::Timestamp, event: &RunEvent) -> String {
    match event {
        RunEvent::Planned { plan } => {
            let hash = plan.hash();
            let start: String = hash.chars().take(12).collect();
            format!("planned {} steps (plan {start}…)", plan.steps.len())
        }
        RunEvent::Refused { why } => format!("ended before it touched anything: {why}"),
        RunEvent::ApprovalAsked { step, escalates_at: _, expires_at } => {
            format!(
                "waits for an approval before {}, {}",
                nth(*step),
                times::until(*expires_at, at)
            )
        }
        RunEvent::ApprovalEscalated => "still no answer; escalated".to_owned(),
        RunEvent::Approved { approval: it } if it.is_break_glass => {
            format!("{} passed alone by {}, by break-glass", nth(it.step), it.actor)
        }
        RunEvent::Approved { approval: it } => {
            format!("{} approved by {}", nth(it.step), it.actor)
        }
        RunEvent::GatePassed { step } => format!("enough approvals for {}", nth(*step)),
        RunEvent::Denied { actor, reason } => format!("denied by {actor}{}", because(reason)),
        RunEvent::ApprovalExpired => "nobody answered in time: that is a no".to_owned(),
        RunEvent::PlanVoided { why } => format!("the plan is out of date: {why}"),
        RunEvent::Sent { step, is_undo, effect, action, before: _, takes_units: _ } => {
            let undo = if *is_undo { "undoing " } else { "" };
            format!("{undo}{} as {effect}: {action}", nth(*step))
        }
        RunEvent::ReadBack { effect, happened: true } => format!("{effect} had happened"),
        RunEvent::ReadBack { effect, happened: false } => format!("{effect} had not happened"),
        RunEvent::WaitBegan { step, until } => {
            format!("{} waits {}", nth(*step), times::until(*until, at))
        }
        RunEvent::StepDone { step, why } => format!("{} done{}", nth(*step), because(why)),
        RunEvent::StepFailed { step, why } => format!("{} failed: {why}", nth(*step)),
        RunEvent::Verified => "verified: it helped".to_owned(),
        RunEvent::NotVerified { why } => format!("not verified: {why}"),
        RunEvent::Aborted { actor, reason } => format!("aborted by {actor}{}", because(reason)),
        RunEvent::TakenOver { actor } => {
            format!("taken over by {actor}: ended as it was, nothing undone")
        }
        RunEvent::UndoSkipped { step, why } => {
            format!("{} needs no undo: {why}", nth(*step))
        }
        RunEvent::UndoFailed { step, why } => {
            format!("{} could not be undone; a person has to look: {why}", nth(*step))
        }
        RunEvent::Reported => "people were told how it ended".to_owned(),
    }
}

fn incident_event(event: &IncidentEvent) -> String {
    let symptom = |it: &Symptom| format!("{} on {}: {}", it.playbook, it.target, it.what);
    match event {
        IncidentEvent::Opened { symptom: it, severity } => {
            format!("opened ({severity}): {}", symptom(it))
        }
        IncidentEvent::SymptomSeen { symptom: it, severity } => {
            format!("another symptom ({severity}): {}", symptom(it))
        }
        IncidentEvent::SymptomEnded { playbook, target } => {
            format!("{playbook} on {target} is over")
        }
        IncidentEvent::Acknowledged { actor } => format!("acknowledged by {actor}"),
        IncidentEvent::Escalated => "nobody took note; escalated".to_owned(),
        IncidentEvent::Waiting { why } => format!("no run is under way: {why}"),
        IncidentEvent::Resolved => "resolved".to_owned(),
        IncidentEvent::Reopened { symptom: it } => format!("it came back: {}", symptom(it)),
    }
}

fn autonomy_event(event: &AutonomyEvent) -> String {
    let by = |actor: &Actor, reason: &str| format!("by {actor}{}", because(reason));
    match event {
        AutonomyEvent::Decided { agreed: true } => "a person agreed".to_owned(),
        AutonomyEvent::Decided { agreed: false } => "a person disagreed".to_owned(),
        AutonomyEvent::Ended { verified: true } => "a run was verified".to_owned(),
        AutonomyEvent::Ended { verified: false } => "a run was not verified".to_owned(),
        AutonomyEvent::Proposed { to, why } => format!("`{to}` is proposed: {why}"),
        AutonomyEvent::Promoted { to, actor, reason } => {
            format!("`{to}` granted {}", by(actor, reason))
        }
        AutonomyEvent::Demoted { to, why } => format!("taken back to `{to}`: {why}"),
        AutonomyEvent::Resumed { actor } => format!("resumed by {actor}"),
    }
}

/// `: TEXT`, or nothing.
fn because(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
