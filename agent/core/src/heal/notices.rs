//! What people are told, in words.
//!
//! **In:** what happened to an incident, a run, an override or an autonomy.
//! **Out:** a [`Notice`] with the reason, the plan, and how to answer.
//! **Not here:** numbers and times of notices ([`super::ward`]), delivery (the shell's).

use jiff::{SignedDuration, Timestamp};

use crate::action::ActionClass;
use crate::autonomy::Evidence;
use crate::documents::{Autonomy, Playbook};
use crate::heal::memory::{ReviewDue, show_ending};
use crate::ids::{IncidentId, NoticeId, RunId, TargetId};
use crate::incident::{Incident, Severity, Symptom};
use crate::notice::{Notice, Topic};
use crate::overrides::Override;
use crate::run::{Ending, Phase, Run};
use crate::units::show_duration;

/// What stands for the notifier where a playbook or a target is named.
pub(crate) const NOTIFIER: &str = "evenkeel-notifier";

/// A notice about nothing in particular yet; number and time are the ward's.
pub(crate) fn notice(severity: Severity, topic: Topic, title: String, body: String) -> Notice {
    Notice {
        id: NoticeId::default(),
        at: Timestamp::UNIX_EPOCH,
        severity,
        topic,
        title,
        body,
        plan: Vec::new(),
        answers: Vec::new(),
        runbook: None,
        target: None,
        incident: None,
        run: None,
    }
}

pub(crate) fn incident_opened(id: IncidentId, playbook: &Playbook, symptom: &Symptom) -> Notice {
    let title = format!("{id}: {} on {}", playbook.id, symptom.target);
    let body = format!(
        "{}\nSeen: {}\nFirst bad sample at {:.0}.",
        playbook.about, symptom.what, symptom.began_at
    );
    Notice {
        answers: vec![
            format!("evenkeel incidents {id}"),
            format!("evenkeel incidents {id} --acknowledge"),
            format!("evenkeel takeover {} --for 1h --reason TEXT", symptom.target),
        ],
        runbook: Some(playbook.runbook.clone()),
        target: Some(symptom.target.clone()),
        incident: Some(id),
        ..notice(playbook.severity, Topic::IncidentOpened, title, body)
    }
}

pub(crate) fn incident_resolved(now: Timestamp, incident: &Incident) -> Notice {
    let took = show_duration(whole_seconds(now.duration_since(incident.began_at)));
    let title = format!("{}: resolved after {took}", incident.id);
    let body = format!(
        "Detected after {}, {} run(s). The timeline is kept.",
        show_duration(whole_seconds(incident.time_to_detect())),
        incident.runs.len()
    );
    Notice {
        answers: vec![format!("evenkeel incidents {} --export FILE.md", incident.id)],
        target: incident.symptoms.first().map(|it| it.target.clone()),
        incident: Some(incident.id),
        ..notice(Severity::Info, Topic::IncidentResolved, title, body)
    }
}

pub(crate) fn incident_escalated(incident: &Incident) -> Notice {
    let title = format!("{}: nobody has taken note", incident.id);
    let first = incident.symptoms.first();
    let what = first
        .map_or_else(String::new, |it| format!("{} on {}: {}", it.playbook, it.target, it.what));
    let body = format!("Detected at {:.0}, and open since.\n{what}", incident.detected_at);
    Notice {
        answers: vec![format!("evenkeel incidents {} --acknowledge", incident.id)],
        target: first.map(|it| it.target.clone()),
        incident: Some(incident.id),
        ..notice(Severity::Page, Topic::IncidentEscalated, title, body)
    }
}

pub(crate) fn storm(why: &str) -> Notice {
    let title = "storm: nothing destructive until it is over".to_owned();
    let body = format!("{why}\nRuns go on with what adds or restores; everything else waits.");
    Notice {
        answers: vec!["evenkeel incidents".to_owned(), "evenkeel status".to_owned()],
        runbook: Some("runbooks/alerts/EvenkeelStorm.md".to_owned()),
        ..notice(Severity::Page, Topic::Storm, title, body)
    }
}

fn of_run(run: &Run, severity: Severity, topic: Topic, title: String, body: String) -> Notice {
    Notice {
        plan: run.plan.as_ref().map(crate::run::plan::Plan::lines).unwrap_or_default(),
        target: Some(run.target.clone()),
        incident: run.incident,
        run: Some(run.id),
        ..notice(severity, topic, title, body)
    }
}

pub(crate) fn approval_wanted(
    run: &Run,
    runbook: Option<&Playbook>,
    step: &str,
    expires_at: Timestamp,
    topic: Topic,
) -> Notice {
    let hash = run.plan.as_ref().map(crate::run::plan::Plan::hash).unwrap_or_default();
    let title = format!("{}: {} on {} waits for a person", run.id, run.playbook, run.target);
    let body = format!(
        "Before step `{step}`. No answer until {expires_at:.0} means no.\nWhy: {}",
        cause(run)
    );
    let severity = runbook.map_or(Severity::Page, |it| it.severity.max(Severity::Ticket));
    Notice {
        answers: vec![
            format!("evenkeel approve {} --plan {hash}", run.id),
            format!("evenkeel deny {} --reason TEXT", run.id),
        ],
        runbook: runbook.map(|it| it.runbook.clone()),
        ..of_run(
            run,
            if topic == Topic::ApprovalEscalated { Severity::Page } else { severity },
            topic,
            title,
            body,
        )
    }
}

/// Why a run began, for people.
pub(crate) fn cause(run: &Run) -> String {
    use crate::run::RunCause;
    match &run.cause {
        RunCause::Triggered { why } => why.clone(),
        RunCause::Scheduled => "its schedule".to_owned(),
        RunCause::ByHand { actor, reason } => format!("{actor}: {reason}"),
    }
}

/// How a run ended, or that it is stuck.
pub(crate) fn run_over(run: &Run, playbook: Option<&Playbook>) -> Option<Notice> {
    let runbook = playbook.map(|it| it.runbook.clone());
    match &run.phase {
        Phase::Stuck { step, why, .. } => {
            let title = format!("{} is stuck: {} is blocked", run.id, run.target);
            let body = format!(
                "Step {} could be neither done nor undone for sure: {why}\nNo run starts on {} \
                 until a person has looked at it.",
                step.saturating_add(1),
                run.target
            );
            let answers = vec![
                format!("evenkeel takeover {} --for 4h --reason TEXT", run.target),
                format!("evenkeel abort {} --reason \"looked at it: …\"", run.id),
            ];
            let stuck = of_run(run, Severity::Page, Topic::RunStuck, title, body);
            Some(Notice { answers, runbook, ..stuck })
        }
        Phase::Ended { ending, .. } => {
            let severity = match ending {
                Ending::Succeeded | Ending::Refused { .. } | Ending::Cleared { .. } => {
                    Severity::Info
                }
                Ending::Denied { .. } | Ending::Aborted { .. } | Ending::TakenOver { .. } => {
                    Severity::Ticket
                }
                Ending::RolledBack { .. } | Ending::Expired => Severity::Page,
            };
            let title =
                format!("{} of {} on {} {}", run.id, run.playbook, run.target, show_ending(ending));
            let body = format!("Why it began: {}", cause(run));
            let mut answers = Vec::new();
            if let Some(incident) = run.incident {
                answers.push(format!("evenkeel incidents {incident}"));
            }
            if run.is_dry && run.plan.is_some() {
                answers.push(format!(
                    "evenkeel playbook run {} {} --reason TEXT",
                    run.playbook, run.target
                ));
            }
            let over = of_run(run, severity, Topic::RunEnded, title, body);
            Some(Notice { answers, runbook, ..over })
        }
        Phase::Planning { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Running { .. }
        | Phase::Verifying { .. }
        | Phase::Undoing { .. } => None,
    }
}

pub(crate) fn attempts_used_up(
    incident: IncidentId,
    playbook: &Playbook,
    target: &TargetId,
    why: &str,
) -> Notice {
    let title = format!("{incident}: {} on {target} needs a person", playbook.id);
    Notice {
        answers: vec![
            format!("evenkeel takeover {target} --for 1h --reason TEXT"),
            format!("evenkeel playbook run {} {target} --reason TEXT", playbook.id),
        ],
        runbook: Some(playbook.runbook.clone()),
        target: Some(target.clone()),
        incident: Some(incident),
        ..notice(Severity::Page, Topic::AttemptsUsedUp, title, why.to_owned())
    }
}

pub(crate) fn break_glass_used(run: &Run, actor: &crate::ids::Actor, reason: &str) -> Notice {
    let title = format!("{actor} passed a gate of {} alone, by break-glass", run.id);
    let body = format!("Reason: {reason}\nSomebody else has to review it within 24 h.");
    Notice {
        answers: vec![
            format!("evenkeel review {} --note TEXT", run.id),
            format!("evenkeel abort {} --reason TEXT", run.id),
        ],
        ..of_run(run, Severity::Page, Topic::BreakGlassUsed, title, body)
    }
}

pub(crate) fn review_overdue(id: RunId, due: &ReviewDue) -> Notice {
    let title = format!("the break-glass approval of {id} was not reviewed");
    let body = format!("{} passed it alone at {:.0}.", due.actor, due.at);
    Notice {
        answers: vec![format!("evenkeel review {id} --note TEXT")],
        run: Some(id),
        ..notice(Severity::Page, Topic::ReviewOverdue, title, body)
    }
}

pub(crate) fn override_expiring(it: &Override) -> Notice {
    let title = format!("{} on {} ends at {:.0}", it.kind, it.scope, it.ends_at);
    let body = format!(
        "Set by {}: {}\nAfter its end playbooks only suggest there until somebody hands it back.",
        it.actor, it.reason
    );
    Notice {
        answers: vec![
            format!("evenkeel handback {} --reason TEXT", it.scope),
            format!("evenkeel {} {} --for 4h --reason TEXT", it.kind.word(), it.scope),
        ],
        ..notice(Severity::Ticket, Topic::OverrideExpiring, title, body)
    }
}

pub(crate) fn demoted(target: &TargetId, class: ActionClass, why: &str) -> Notice {
    let title = format!("{class} on {target} is only suggested from now on");
    let body = format!("{why}\nA person gives it back, or promotes it anew.");
    Notice {
        answers: vec![format!("evenkeel handback {target} --reason TEXT")],
        target: Some(target.clone()),
        ..notice(Severity::Ticket, Topic::Demoted, title, body)
    }
}

pub(crate) fn promotion_proposed(
    target: &TargetId,
    class: ActionClass,
    to: Autonomy,
    evidence: Evidence,
) -> Notice {
    let title = format!("{class} on {target} has earned {to}");
    let body = format!(
        "People agreed in {} of {} decisions (at least {:.0} % with 95 % confidence), {} run(s) \
         were verified, none failed.",
        evidence.n_agreed,
        evidence.n_decisions,
        evidence.agreement_lower() * 100.0,
        evidence.n_verified
    );
    Notice {
        answers: vec![format!("evenkeel promote {target} --class {class} --to {to} --reason TEXT")],
        target: Some(target.clone()),
        ..notice(Severity::Info, Topic::PromotionProposed, title, body)
    }
}

pub(crate) fn of_step(run: &Run, step: &str, message: &str, severity: Severity) -> Notice {
    let title = format!("{}: {message}", run.id);
    let body = format!("Step `{step}` of {} on {}.", run.playbook, run.target);
    of_run(run, severity, Topic::Step, title, body)
}

pub(crate) fn notifier_dead(id: IncidentId, why: &str) -> Notice {
    let title = format!("{id}: notifications cannot be delivered");
    Notice {
        incident: Some(id),
        answers: vec![format!("evenkeel incidents {id}")],
        runbook: Some("runbooks/alerts/EvenkeelNotifierDead.md".to_owned()),
        ..notice(Severity::Page, Topic::NotifierDead, title, why.to_owned())
    }
}

pub(crate) fn drift(workspace: &str, differences: &[String]) -> Notice {
    let title = format!("Terraform workspace {workspace} has drifted");
    Notice {
        plan: differences.to_vec(),
        ..notice(
            Severity::Ticket,
            Topic::Drift,
            title,
            format!("{} difference(s) between the code and what is there.", differences.len()),
        )
    }
}

fn whole_seconds(it: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(it.as_secs())
}
