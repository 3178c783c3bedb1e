//! The plan of a run: absolute actions, their undo, and the hash that people approve.
//!
//! **In:** a playbook, a target, parameters, and what was seen.
//! **Out:** a [`Plan`], whose hash changes with anything that would change what happens.
//! **Not here:** carrying it out ([`crate::heal`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::action::Action;
use crate::condition::Condition;
use crate::documents::Gate;
use crate::ids::{ParameterName, PlaybookId, StepName, TargetId};
use crate::incident::Severity;
use crate::units::Capacity;

/// What a run will do. All of it goes into [`Plan::hash`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Of which playbook.
    pub playbook: PlaybookId,
    /// Hash of the playbook's text.
    pub playbook_sha256: String,
    /// On which target.
    pub target: TargetId,
    /// What of the target the plan depends on: hash of its document and its policy. Checked
    /// again before the first effect, and before every gated one.
    pub target_generation: String,
    /// The capacity that it was made for, where it sets one. Checked before the first effect.
    pub capacity: Option<Capacity>,
    /// Parameters, all of them.
    pub parameters: BTreeMap<ParameterName, f64>,
    /// What it does, in order.
    pub steps: Vec<PlannedStep>,
    /// What must hold afterwards.
    pub verification: PlannedVerification,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// As in the playbook.
    pub name: StepName,
    /// What it does.
    pub kind: PlannedKind,
    /// What reverses it.
    pub undo: PlannedUndo,
    /// Who must agree before it; the playbook's own gate or the one that its autonomy or
    /// its nature asks for.
    pub gate: Option<Gate>,
    /// At most this share of the instances may be out of service for it, in `(0, 1]`.
    pub share_max: f64,
    /// What the plan relies on, as shown to people: lines such as a Terraform plan's changes.
    pub details: Vec<String>,
}

/// What a planned step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PlannedKind {
    /// An action.
    Act { action: Action },
    /// Wait until a condition is true.
    Wait { condition: Condition, within: SignedDuration },
    /// Tell people.
    Notify { message: String, severity: Severity },
    /// Ask people; the gate of the step says whom.
    Ask { question: String },
    /// Nothing, because its `only_if` was false or there is nothing to do.
    Skip { why: String },
}

/// What reverses a planned step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum PlannedUndo {
    /// The state before, as it was read.
    Act { action: Action },
    /// Nothing.
    Nothing { why: String },
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedVerification {
    /// What.
    pub condition: Condition,
    /// Without a gap for this long.
    pub holds_for: SignedDuration,
    /// By then.
    pub within: SignedDuration,
}

/// Characters of a plan's hash that people type. Why 16: 64 bits; a second plan with the
/// same would take somebody who can write plans some 2^64 attempts.
pub const HASH_CHARS: usize = 16;

impl Plan {
    /// The first [`HASH_CHARS`] hex characters of the SHA-256 over the plan as JSON.
    pub fn hash(&self) -> String {
        // Maps and sets are ordered, so equal plans have equal texts. A plan that cannot be
        // written as JSON cannot be recorded either; its empty text is approved by nobody.
        let text = serde_json::to_string(self).unwrap_or_default();
        let digest = Sha256::digest(text.as_bytes());
        digest.iter().take(HASH_CHARS / 2).fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// One line per step, with what is checked at the end.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let what = match &step.kind {
                PlannedKind::Act { action } => action.to_string(),
                PlannedKind::Wait { condition, within } => {
                    let within = crate::units::show_duration(*within);
                    format!("wait up to {within} until {}", condition.text())
                }
                PlannedKind::Notify { message, .. } => format!("tell people: {message}"),
                PlannedKind::Ask { question } => format!("ask: {question}"),
                PlannedKind::Skip { why } => format!("nothing: {why}"),
            };
            let undo = match &step.undo {
                PlannedUndo::Act { action } => format!("; undo: {action}"),
                PlannedUndo::Nothing { .. } if matches!(step.kind, PlannedKind::Act { .. }) => {
                    "; cannot be undone".to_owned()
                }
                PlannedUndo::Nothing { .. } => String::new(),
            };
            let gate = match &step.gate {
                Some(gate) => format!(" [waits for {} approval(s)]", gate.n_approvals),
                None => String::new(),
            };
            lines.push(format!("{}. {}: {what}{undo}{gate}", number + 1, step.name));
            lines.extend(step.details.iter().map(|it| format!("     {it}")));
        }
        lines.push(format!(
            "then {} must hold for {} within {}, else all of it is undone",
            self.verification.condition.text(),
            crate::units::show_duration(self.verification.holds_for),
            crate::units::show_duration(self.verification.within),
        ));
        lines
    }

    /// How many units it takes out of service at most, when there are `current`.
    pub fn takes_units(&self, current: Capacity) -> u32 {
        self.steps.iter().fold(0, |sum, it| match &it.kind {
            PlannedKind::Act { action } => sum.max(action.takes_units(current)),
            PlannedKind::Wait { .. }
            | PlannedKind::Notify { .. }
            | PlannedKind::Ask { .. }
            | PlannedKind::Skip { .. } => sum,
        })
    }
}
