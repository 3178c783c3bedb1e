//! How long an action or a look may take.
//!
//! **In:** what the configuration allows commands and workspaces.
//! **Out:** one limit per action and look.
//! **Not here:** keeping the limits ([`super::Executor`]; each actuator keeps shorter ones
//! itself).

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::action::{Action, LookAt};
use evenkeel_core::ids::AllowedName;
use evenkeel_providers::AllowedSettings;
use jiff::SignedDuration;

/// Longest that a call to a platform may take before its outcome counts as unknown.
///
/// Why 30 s: providers give up after two calls of 5 s by themselves; this is
/// for one that does not.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// More time for each further instance of an action. Why 5 s: instances are acted on one
/// after the other, each with one call; cut off in between, some would be done.
const PER_INSTANCE: Duration = Duration::from_secs(5);

/// Runs of `terraform` that one step takes at most: to set up, to plan, to show, to apply,
/// and to show again. Each has the time that the configuration gives.
const TERRAFORM_RUNS: u32 = 5;

/// Time beyond what the configuration allows a command or Terraform. Why 30 s: whoever
/// runs it ends it at its own limit and then has to collect and write down how it ended.
const GRACE: Duration = Duration::from_secs(30);

fn for_instances(n_instances: usize) -> Duration {
    let n_instances = u32::try_from(n_instances).unwrap_or(u32::MAX);
    CALL_TIMEOUT.saturating_add(PER_INSTANCE.saturating_mul(n_instances))
}

/// The limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    commands: BTreeMap<AllowedName, Duration>,
    workspaces: BTreeMap<AllowedName, Duration>,
}

impl Limits {
    /// Those that follow from what is allowed.
    pub(crate) fn of(allowed: &AllowedSettings) -> Limits {
        let limit = |timeout: SignedDuration, n_runs: u32| {
            let each = Duration::try_from(timeout).unwrap_or_default();
            each.saturating_mul(n_runs).saturating_add(GRACE)
        };
        let commands =
            allowed.commands.iter().map(|(name, it)| (name.clone(), limit(it.timeout, 1)));
        let workspaces = allowed
            .terraform
            .iter()
            .map(|(name, it)| (name.clone(), limit(it.timeout, TERRAFORM_RUNS)));
        Limits { commands: commands.collect(), workspaces: workspaces.collect() }
    }

    /// Longest that an action may take. What is not allowed at all is refused at once.
    pub(super) fn of_action(&self, action: &Action) -> Duration {
        match action {
            Action::RunCommand { command, .. } => self.of_command(command),
            Action::ApplyTerraform { workspace, .. } => self.of_workspace(workspace),
            Action::RestartInstances { instances }
            | Action::ReplaceInstances { instances }
            | Action::SetDrained { instances, .. } => for_instances(instances.len()),
            Action::SetWeights { weights } => for_instances(weights.len()),
            // One request for each, and one to read back.
            Action::LimitTenants { limits } => for_instances(limits.len().saturating_add(1)),
            Action::SetCapacity { .. }
            | Action::SetRevision { .. }
            | Action::CallWebhook { .. } => CALL_TIMEOUT,
        }
    }

    /// Longest that a look may take. A look at a command only reads receipts; one at
    /// Terraform makes a plan.
    pub(super) fn of_look(&self, at: &LookAt) -> Duration {
        match at {
            LookAt::Terraform { workspace, .. } => self.of_workspace(workspace),
            LookAt::Capacity
            | LookAt::Instances
            | LookAt::Traffic
            | LookAt::Revision
            | LookAt::TenantLimits
            | LookAt::Command { .. }
            | LookAt::Webhook { .. } => CALL_TIMEOUT,
        }
    }

    fn of_command(&self, name: &AllowedName) -> Duration {
        self.commands.get(name).copied().unwrap_or(CALL_TIMEOUT)
    }

    fn of_workspace(&self, name: &AllowedName) -> Duration {
        self.workspaces.get(name).copied().unwrap_or(CALL_TIMEOUT)
    }
}
