//! Reading a Terraform plan, and judging it.
//!
//! **In:** the JSON of `terraform show -json PLAN`; the addresses that may change.
//! **Out:** a refusal with its reasons, or the hash and the lines that a person approves.
//! **Not here:** making and applying plans ([`super::Workspace`]), how one change reads
//! ([`super::changes`]).
//!
//! Source of the format: Terraform's "JSON Output Format", format version 1.x, whose minor
//! versions only add. What is not known here is refused, never passed.

use std::collections::BTreeMap;

use evenkeel_core::ids::AllowedName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::changes::line_of;
use crate::allowed::digest::{canonical, sha256};
use crate::provider::one_line;

/// Largest plan that is read, in bytes. Why 64 MiB: thousands of resources; a plan of
/// more is none that a playbook should apply.
pub(super) const PLAN_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Most changes of one plan. Why 100: more than a person reads before approving, and as
/// many as a step may touch of instances.
const CHANGES_MAX: usize = 100;

/// Most reasons that a refusal gives. Why 3: the fourth does not help.
const REASONS_MAX: usize = 3;

/// A plan as far as it matters here.
#[derive(Debug)]
pub(super) struct Plan {
    /// What would change, by address; without what is only read or stays as it is.
    changes: Vec<Change>,
    /// What has changed outside of Terraform since its last run.
    drifted: Vec<Change>,
}

/// One change of one resource.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) address: String,
    #[serde(default)]
    pub(super) previous_address: Option<String>,
    /// The object is a left-over of an earlier replacement.
    #[serde(default)]
    pub(super) deposed: Option<String>,
    #[serde(default)]
    mode: String,
    #[serde(rename = "change")]
    pub(super) delta: Delta,
}

/// Before and after.
#[derive(Debug, Deserialize)]
pub(super) struct Delta {
    pub(super) actions: Vec<String>,
    #[serde(default)]
    pub(super) before: Value,
    #[serde(default)]
    pub(super) after: Value,
    #[serde(default)]
    pub(super) after_unknown: Value,
    #[serde(default)]
    pub(super) before_sensitive: Value,
    #[serde(default)]
    pub(super) after_sensitive: Value,
    #[serde(default)]
    pub(super) importing: Option<Value>,
}

#[derive(Deserialize)]
struct Raw {
    format_version: String,
    #[serde(default)]
    errored: bool,
    #[serde(default)]
    resource_changes: Vec<Change>,
    #[serde(default)]
    resource_drift: Vec<Change>,
}

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Stays as it is, or is only read.
    Nothing,
    Create,
    Update,
    /// Known to the state from now on, under another address or at all.
    Adopt,
    /// Destroys, replaces, forgets, or what is not known here.
    Destroy,
}

impl Change {
    pub(super) fn verb(&self) -> Verb {
        let actions: Vec<&str> = self.delta.actions.iter().map(String::as_str).collect();
        let is_adopted = self.delta.importing.is_some() || self.previous_address.is_some();
        match actions[..] {
            ["no-op"] if is_adopted => Verb::Adopt,
            ["no-op"] => Verb::Nothing,
            ["read"] if self.mode == "data" => Verb::Nothing,
            ["create"] => Verb::Create,
            ["update"] => Verb::Update,
            _ => Verb::Destroy,
        }
    }

    /// Why this change cannot be applied by a playbook, if it cannot.
    fn refusal(&self, allowed: &[String]) -> Option<String> {
        let shown = one_line(&self.address, 200);
        if self.deposed.is_some() {
            return Some(format!(
                "it would touch what an earlier replacement of `{shown}` left over"
            ));
        }
        if self.verb() == Verb::Destroy {
            let actions = one_line(&self.delta.actions.join(" and "), 60);
            return Some(format!(
                "it would do `{actions}` to `{shown}`; playbooks create and update only"
            ));
        }
        let is_outside = |it: &str| !allowed.iter().any(|pattern| is_within(pattern, it));
        let both = [Some(self.address.as_str()), self.previous_address.as_deref()];
        let outside = both.into_iter().flatten().find(|it| is_outside(it))?;
        let outside = one_line(outside, 200);
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        Some(format!("it would change `{outside}`; allowed is {}", one_line(&allowed, 200)))
    }
}

/// Whether `address` is the one that `pattern` names, or lies below its module.
fn is_within(pattern: &str, address: &str) -> bool {
    match pattern.strip_suffix('*') {
        // With its dot: `module.a.*` does not reach `module.ab`.
        Some(module) => address.starts_with(module),
        None => address == pattern,
    }
}

impl Plan {
    /// Reads the output of `terraform show -json`.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Nothing of its content, which may hold secrets.
    pub(super) fn read(text: &[u8]) -> Result<Plan, String> {
        let raw: Raw = serde_json::from_slice(text).map_err(|error| {
            format!(
                "the plan is not the JSON that is expected (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        let Raw { format_version, errored, resource_changes, resource_drift } = raw;
        if format_version.split('.').next() != Some("1") {
            return Err(format!(
                "the plan has format version `{}`, only 1.x is understood; use an older Terraform or a newer agent",
                one_line(&format_version, 20)
            ));
        }
        if errored {
            return Err("Terraform could not finish the plan".to_owned());
        }
        let mut changes = resource_changes;
        changes.retain(|it| it.verb() != Verb::Nothing || it.deposed.is_some());
        changes.sort_by(|a, b| (&a.address, &a.deposed).cmp(&(&b.address, &b.deposed)));
        Ok(Plan { changes, drifted: resource_drift })
    }

    /// Why no playbook may apply it.
    ///
    /// # Errors
    ///
    /// The first reasons, in words.
    pub(super) fn check(&self, allowed: &[String]) -> Result<(), String> {
        let reasons: Vec<String> =
            self.changes.iter().filter_map(|it| it.refusal(allowed)).collect();
        if !reasons.is_empty() {
            let shown: Vec<&str> = reasons.iter().take(REASONS_MAX).map(String::as_str).collect();
            let rest = match reasons.len().saturating_sub(REASONS_MAX) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            return Err(format!("the plan is refused: {}{rest}", shown.join("; ")));
        }
        if CHANGES_MAX < self.changes.len() {
            return Err(format!(
                "the plan is refused: it has {} changes, at most {CHANGES_MAX}; apply it by hand",
                self.changes.len()
            ));
        }
        Ok(())
    }

    /// Identifies what would change: SHA-256 over the canonical JSON of all changes (address,
    /// actions, before, after, what is not known yet) and of the variables. The time of the
    /// plan, Terraform's version and resources that stay as they are do not count: a second
    /// plan of the same changes has the same hash.
    pub(super) fn sha256(
        &self,
        workspace: &AllowedName,
        variables: &BTreeMap<String, String>,
    ) -> String {
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|it| {
                let Delta { actions, before, after, after_unknown, importing, .. } = &it.delta;
                json!({
                    "address": it.address,
                    "previous_address": it.previous_address,
                    "actions": actions,
                    "before": before,
                    "after": after,
                    "after_unknown": after_unknown,
                    "importing": importing,
                })
            })
            .collect();
        let whole = json!({
            "workspace": workspace.as_str(),
            "variables": variables,
            "resource_changes": changes,
        });
        sha256(canonical(&whole).as_bytes())
    }

    /// One line per change.
    pub(super) fn lines(&self) -> Vec<String> {
        self.changes.iter().map(line_of).collect()
    }

    /// What differs from what was applied last: changes outside of Terraform, then
    /// what an apply would do about them. At most [`CHANGES_MAX`] lines and a last one.
    pub(super) fn drift_lines(&self) -> Vec<String> {
        let outside = self.drifted.iter().filter(|it| it.verb() != Verb::Nothing);
        let outside = outside.map(|it| format!("changed outside of Terraform: {}", line_of(it)));
        let would = self.changes.iter().map(|it| format!("an apply would {}", line_of(it)));
        let mut lines: Vec<String> = outside.chain(would).collect();
        if CHANGES_MAX < lines.len() {
            let more = lines.len() - CHANGES_MAX;
            lines.truncate(CHANGES_MAX);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
