//! What several tests need: playbooks of one step, and what must hold after any story.
//!
//! **In:** pieces of documents; a rig at any point.
//! **Out:** whole documents; a panic where the journal tells of something forbidden.
//! **Not here:** the made-up platform ([`crate::rig`]).

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::action::Action;
use evenkeel_core::ids::{EffectId, RunId};
use evenkeel_core::record::Record;
use evenkeel_core::run::plan::{Plan, PlannedKind, PlannedUndo};
use evenkeel_core::run::{Run, RunEvent};
use evenkeel_core::state::State;

use crate::flow::REGION;
use crate::rig::Rig;

/// A playbook `name` for the web tier that is triggered by `bad`, with more of its fields
/// in `more` and its steps in `steps`, each a line of YAML.
pub(crate) fn playbook(name: &str, more: &[&str], steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|it| format!("    - {it}\n")).collect();
    let more: String = more.iter().map(|it| format!("  {it}\n")).collect();
    let verification = if more.contains("verification:") {
        ""
    } else {
        "  verification: { that: bad < 0.5, holds_for: 1m, within: 5m }\n"
    };
    let trigger = if more.contains("trigger:") {
        ""
    } else {
        "  trigger: { condition: bad > 0.5, lasts: 30s }\n"
    };
    let selector = if more.contains("selector:") {
        ""
    } else {
        "  selector: { match_labels: { tier: web } }\n"
    };
    format!(
        "
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: {{ name: {name} }}
spec:
  about: Something is bad.
  runbook: runbooks/playbooks/{name}.md
  severity: page
  target_label: service
  inputs:
    - {{ name: bad, query: bad, unit: ratio, max_age: 1m }}
    - {{ name: latency, query: latency, per: {{ instance: instance }}, unit: seconds, max_age: 1m }}
{selector}{trigger}{more}  steps:
{steps}{verification}"
    )
}

/// The region with one playbook `fix` that acts by itself.
pub(crate) fn auto(steps: &[&str]) -> String {
    format!("{REGION}{}", playbook("fix", &["autonomy: auto"], steps))
}

pub(crate) const DRAIN: &str = "{ name: eject, drain: { select: { outliers_of: latency, factor: 3 }, share_max: 0.2 }, undo: before }";
pub(crate) const GROW: &str =
    "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before }";
pub(crate) const TELL: &str = "{ name: tell, notify: { message: look at it } }";

/// A rig that has seen that all is well, and whose web tier then has one bad instance.
pub(crate) fn gone_bad(yaml: &str) -> Rig {
    let mut rig = Rig::new(yaml);
    rig.sees("web", "bad", 0.0).sees("db", "bad", 0.0);
    rig.sees_instances("web", "latency", 0.1, &[]).sees_instances("db", "latency", 0.1, &[]);
    rig.run_for(60);
    rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig
}

/// Everything is well again.
pub(crate) fn well_again(rig: &mut Rig) {
    rig.sees("web", "bad", 0.0).sees_instances("web", "latency", 0.1, &[]);
}

/// Ticks until `is_so`, at most `n` evaluation periods.
#[track_caller]
pub(crate) fn until(rig: &mut Rig, n: u32, what: &str, is_so: impl Fn(&Rig) -> bool) {
    for _ in 0..n {
        if is_so(rig) {
            return;
        }
        rig.tick(15);
    }
    assert!(is_so(rig), "never {what}: {}", rig.timeline(1));
}

/// The run, step and direction of each effect of a run.
pub(crate) fn sent(rig: &Rig) -> BTreeMap<EffectId, (RunId, u16, bool)> {
    rig.journal
        .iter()
        .filter_map(|it| match it {
            Record::Run { id, change: RunEvent::Sent { effect, step, is_undo, .. }, .. } => {
                Some((*effect, (*id, *step, *is_undo)))
            }
            _ => None,
        })
        .collect()
}

/// Panics unless the journal alone tells the whole state, every number was used once, what
/// happened outside was intended first, and nothing irreversible happened without a yes to
/// exactly its plan.
#[track_caller]
pub(crate) fn sound(rig: &Rig) {
    let mut state = State::default();
    let mut numbers = BTreeSet::new();
    for record in &rig.journal {
        if let Record::RunOpened { run, .. } = record {
            let other = state.healing().active_on(&run.target).map(|it| it.id);
            assert_eq!(other, None, "two runs on {}: {}", run.target, run.id);
        }
        if let Record::Run { id, change, .. } = record {
            let run = state.healing().run(*id).expect("it was opened");
            // The state takes up no impossible event, and none may be recorded.
            let taken_up = run.clone().apply(record.at(), change);
            assert_eq!(taken_up, Ok(()), "{id}: {change:?}");
            if let RunEvent::GatePassed { step } = change {
                assert!(is_agreed(run, *step), "{id} passed the gate of step {step} without a yes");
            }
            if let RunEvent::Sent { step, is_undo, effect, .. } = change {
                assert!(numbers.insert(*effect), "{effect} twice");
                let is_allowed = *is_undo || !is_irreversible(run, *step) || is_agreed(run, *step);
                assert!(is_allowed, "{id} did step {step} without a yes");
            }
        }
        state.apply(record);
    }
    assert!(state == *rig.agent.state(), "replay differs: {:?}", rig.journal.last());
    let performed: Vec<EffectId> = rig.platform.performed.iter().map(|it| it.0).collect();
    let once: BTreeSet<EffectId> = performed.iter().copied().collect();
    assert_eq!(once.len(), performed.len(), "an effect happened twice: {performed:?}");
    for record in &rig.journal {
        let text = serde_json::to_string(record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(&read, record, "{text}");
    }
}

/// Whether somebody said yes to the plan in force before a step.
fn is_agreed(run: &Run, step: u16) -> bool {
    let hash = run.plan.as_ref().map(Plan::hash).unwrap_or_default();
    run.approvals.iter().any(|it| it.step == step && it.plan_hash == hash)
}

fn is_irreversible(run: &Run, step: u16) -> bool {
    let step = &run.plan.as_ref().unwrap().steps[usize::from(step)];
    let PlannedKind::Act { action } = &step.kind else { return false };
    matches!(step.undo, PlannedUndo::Nothing { .. })
        || matches!(action, Action::ReplaceInstances { .. } | Action::RestartInstances { .. })
}
