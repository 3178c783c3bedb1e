//! What must hold of every act of a run.
//!
//! **In:** an act that left, and the target at that moment. **Out:** violations.
//! **Not here:** changes of capacity ([`super`]), which have a rule more each.

use evenkeel_core::action::Action;
use evenkeel_core::documents::{Autonomy, Playbook, SelectBy, StepKind, Undo};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::guard::freeze_window_of;
use evenkeel_core::overrides::OverrideKind;
use evenkeel_core::run::plan::{PlannedKind, PlannedUndo};
use evenkeel_core::run::{Run, RunCause};
use evenkeel_core::units::Capacity;
use jiff::Timestamp;

use super::{Violations, Watch};
use crate::run::effects::Left;
use crate::run::process::Process;

/// Acts that are remembered. Why 10,000: more than one run of the simulator sends.
const ACTED_MAX: usize = 10_000;

/// The most that any step may take out, by the documents' own limit.
const SHARE_MAX: f64 = 0.5;

impl Watch {
    /// An act left.
    pub(super) fn acted(
        &mut self,
        left: &Left,
        unix: i64,
        process: &Process,
        violations: &mut Violations,
    ) {
        let sent = &left.sent;
        let named = format!("{}: {} on {} ({})", sent.run, sent.action, sent.target, sent.id);
        if process.journal.sent(sent.id) != Some(&sent.action) {
            violations.push(unix, "durability", format!("{named} left without a durable record"));
        }
        if !self.acted.insert(sent.id) {
            violations.push(unix, "no_duplicates", format!("{named} left a second time"));
        }
        while ACTED_MAX < self.acted.len() {
            self.acted.pop_first();
        }
        if sent.term < self.newest_term.max(self.term_min) {
            violations.push(unix, "fencing", format!("{named} is of an earlier term"));
        }
        self.newest_term = self.newest_term.max(sent.term);
        let documents = process.documents();
        let Some(target) = documents.target(&sent.target) else {
            violations.push(unix, "known_targets", format!("{named}: no document has it"));
            return;
        };
        self.against_people_acted(left, unix, process, &named, violations);
        if let Some((_, window, _)) = freeze_window_of(documents, &target.id, sent.granted_at) {
            violations.push(unix, "freeze_window", format!("{named} in {window}"));
        }
        if documents.guardrails_of(&target.id).any(|it| it.protected) {
            violations.push(unix, "protected", format!("{named} is protected"));
        }
        if left.outcome == EffectOutcome::Rejected {
            return;
        }
        let run = process.journal.state().healing().run(sent.run);
        let playbook = run.and_then(|it| documents.playbook(&it.playbook));
        let share = playbook.map_or(SHARE_MAX, share_max);
        let most = share * f64::from(left.n_units);
        let touches_more = left.n_out_before < left.n_out;
        // One may always go, when all others serve.
        if touches_more && 1 < left.n_out && most < f64::from(left.n_out) {
            let what = format!(
                "{named}: {} of {} units out of service, at most {share} of them",
                left.n_out, left.n_units
            );
            violations.push(unix, "ejection_limit", what);
        }
    }

    /// No act against what a person was promised, nor under break-glass.
    fn against_people_acted(
        &self,
        left: &Left,
        unix: i64,
        process: &Process,
        named: &str,
        violations: &mut Violations,
    ) {
        let sent = &left.sent;
        let state = process.journal.state();
        if state.break_glass().is_some_and(|it| it.since <= sent.granted_at) {
            violations.push(unix, "people_win", format!("{named} under break-glass"));
        }
        let Some(target) = process.documents().target(&sent.target) else { return };
        let error = process.clock_error().abs();
        let Ok(now) = Timestamp::from_second(unix) else { return };
        let (Ok(early), Ok(late)) = (now.checked_sub(error), now.checked_add(error)) else {
            return;
        };
        let late = late.max(state.latest_at());
        let current = Capacity(left.n_units);
        let takes = 0 < sent.action.takes_units(current);
        let certain = self
            .overrides
            .values()
            .filter(|it| it.starts_at <= early && late < it.ends_at && it.scope.covers(target))
            // One that was decided before the person spoke is in flight: they are told so.
            .filter(|it| it.starts_at <= sent.granted_at);
        for it in certain {
            let is_against = match it.kind {
                OverrideKind::Freeze | OverrideKind::Takeover => true,
                OverrideKind::Hold => sent.action.is_destructive(current),
                OverrideKind::NoScaleDown | OverrideKind::Pin { .. } => takes,
            };
            if is_against {
                let what = format!("{named} against {} {} of {}", it.id, it.kind, it.actor);
                violations.push(unix, "people_win", what);
            }
        }
    }
}

/// Whether a run that has the target may set this capacity: its plan says so, forth or back, and
/// it is automatic, or people have agreed.
pub(super) fn is_of_allowed_run(run: Option<&Run>, to: Capacity) -> bool {
    let Some(run) = run else { return false };
    let sets = |action: &Action| *action == Action::SetCapacity { desired: to };
    let is_planned = run.plan.iter().flat_map(|it| &it.steps).any(|it| {
        matches!(&it.kind, PlannedKind::Act { action } if sets(action))
            || matches!(&it.undo, PlannedUndo::Act { action } if sets(action))
    });
    let is_asked = !run.passed.is_empty() || matches!(run.cause, RunCause::ByHand { .. });
    is_planned && !run.is_dry && (run.autonomy == Autonomy::Auto || is_asked)
}

/// The largest ejection limit of any step.
fn share_max(playbook: &Playbook) -> f64 {
    let of_undo = |undo: &Undo| match undo {
        Undo::Step(kind) => share_of(kind),
        Undo::Before | Undo::Nothing { .. } => 0.0,
    };
    let shares = playbook.steps.iter().map(|it| share_of(&it.kind).max(of_undo(&it.undo)));
    shares.fold(0.0, f64::max)
}

fn share_of(kind: &StepKind) -> f64 {
    match kind {
        StepKind::RestartInstances { select }
        | StepKind::ReplaceInstances { select }
        | StepKind::ShiftTraffic { select, .. }
        | StepKind::Drain { select } => match select.by {
            // One domain after the other has a limit of its own: the domain.
            SelectBy::All | SelectBy::WorstDomain => select.share_max.max(SHARE_MAX),
            SelectBy::OutliersOf { .. } | SelectBy::Above { .. } | SelectBy::NotReady => {
                select.share_max
            }
        },
        StepKind::SetCapacity { .. }
        | StepKind::Restore
        | StepKind::RollBack
        | StepKind::ThrottleTenant { .. }
        | StepKind::RunCommand { .. }
        | StepKind::CallWebhook { .. }
        | StepKind::ApplyTerraform { .. }
        | StepKind::WaitFor { .. }
        | StepKind::Notify { .. }
        | StepKind::Ask { .. } => 0.0,
    }
}
