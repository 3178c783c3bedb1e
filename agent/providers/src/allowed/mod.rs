//! What playbooks may do only by name: commands, webhooks and Terraform plans.
//!
//! **In:** the daemon's allow-list; looks and actions that name an entry of it.
//! **Out:** what was done before, what a plan would do, and how an effect ended.
//! **Not here:** whether it is allowed now (`evenkeel-core`, the guard), fencing terms
//! ([`crate::Actuators`]).
//!
//! Nothing of the outside says whether a command has run, so the executor keeps receipts
//! ([`receipts`]): killed at any point, it never does anything twice, and says `begun` where
//! nobody knows.

mod command;
mod digest;
mod environment;
mod mask;
mod process;
mod receipts;
mod settings;
mod terraform;
mod webhook;

use std::collections::BTreeMap;

use evenkeel_core::action::{Action, LookAt, Seen};
use evenkeel_core::ids::AllowedName;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use self::receipts::{Kind, Receipts};
use self::terraform::Workspace;
use crate::actuator::ActRequest;
use crate::failure::ReadError;
use crate::provider::{Clock, EffectReport};
use crate::providers::Limits;
use crate::settings::{SettingsError, WebhookSettings};
use crate::webhook::client::Client;

pub use settings::{
    AllowedCommand, AllowedSettings, AllowedWebhook, AllowedWorkspace, ArgumentRule,
    EnvironmentValue,
};

/// Commands that run at the same time. Why 4: healing is a few steps at once; more is
/// a loop.
const COMMANDS_MAX: usize = 4;

/// The allow-list in use.
pub(crate) struct Allowed {
    commands: BTreeMap<AllowedName, AllowedCommand>,
    webhooks: BTreeMap<AllowedName, AllowedWebhook>,
    terraform: BTreeMap<AllowedName, Workspace>,
    /// `None` when nothing is allowed.
    receipts: Option<Receipts>,
    client: Client,
    clock: Clock,
    commands_left: Semaphore,
}

impl Allowed {
    /// Checks the allow-list and opens the folder of receipts. Runs and sends nothing.
    ///
    /// `limits.call` bounds one call of a webhook; commands and Terraform have limits of
    /// their own, up to many minutes: whoever calls must not cut them short.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when an entry or the folder cannot be used.
    pub(crate) fn new(
        settings: &AllowedSettings,
        webhook: &WebhookSettings,
        limits: Limits,
        clock: Clock,
    ) -> Result<Allowed, SettingsError> {
        let folder = settings::check(settings)?;
        let unusable = |what: String, error: std::io::Error| SettingsError::Allowed {
            what,
            reason: format!("{error}; let the daemon write there, or name another folder"),
        };
        let receipts = match folder {
            None => None,
            Some(folder) => Some(
                Receipts::open(folder, Clock::clone(&clock))
                    .map_err(|it| unusable(format!("folder `{}`", folder.display()), it))?,
            ),
        };
        let mut terraform = BTreeMap::new();
        if let Some(folder) = folder {
            for (name, allowed) in &settings.terraform {
                let workspace = Workspace::open(name, allowed, folder)
                    .map_err(|it| unusable(format!("Terraform workspace `{name}`"), it))?;
                terraform.insert(name.clone(), workspace);
            }
        }
        Ok(Allowed {
            commands: settings.commands.clone(),
            webhooks: settings.webhooks.clone(),
            terraform,
            receipts,
            client: Client::new(webhook, limits)?,
            clock,
            commands_left: Semaphore::new(COMMANDS_MAX),
        })
    }

    /// Looks. Changes nothing outside: a plan is written to a file of the daemon's own, and
    /// Terraform locks the state while it plans.
    ///
    /// # Errors
    ///
    /// When the allow-list has no such entry, or a plan cannot be made or is refused.
    pub(crate) async fn look(&self, at: &LookAt) -> Result<Seen, ReadError> {
        match at {
            LookAt::Command { command } => {
                let what = format!("command `{command}`");
                let is_there = self.commands.contains_key(command);
                self.look_at_receipts(Kind::Command, command, is_there, &what).await
            }
            LookAt::Webhook { webhook } => {
                let what = format!("webhook `{webhook}`");
                let is_there = self.webhooks.contains_key(webhook);
                self.look_at_receipts(Kind::Webhook, webhook, is_there, &what).await
            }
            LookAt::Terraform { workspace, variables } => {
                let what = format!("Terraform workspace `{workspace}`");
                let (Some(found), Some(receipts)) = (self.terraform.get(workspace), &self.receipts)
                else {
                    return Err(not_allowed(&what));
                };
                let (plan_sha256, changes) =
                    found.look(variables).await.map_err(|it| it.to_read_error(&what))?;
                let receipts = receipts
                    .of(Kind::Terraform, workspace)
                    .await
                    .map_err(|reason| ReadError::Silent { what, reason })?;
                Ok(Seen::TerraformPlan { plan_sha256, changes, receipts })
            }
            LookAt::Capacity
            | LookAt::Instances
            | LookAt::Traffic
            | LookAt::Revision
            | LookAt::TenantLimits => Err(ReadError::NotSent {
                what: "the allow-list".to_owned(),
                reason: "what it was asked for is read elsewhere; this is a fault of the agent"
                    .to_owned(),
            }),
        }
    }

    async fn look_at_receipts(
        &self,
        kind: Kind,
        name: &AllowedName,
        is_there: bool,
        what: &str,
    ) -> Result<Seen, ReadError> {
        let Some(receipts) = self.receipts.as_ref().filter(|_| is_there) else {
            return Err(not_allowed(what));
        };
        let receipts = receipts.of(kind, name).await;
        let receipts =
            receipts.map_err(|reason| ReadError::Silent { what: what.to_owned(), reason })?;
        Ok(Seen::Receipts { receipts })
    }

    /// Carries out one action, once. Rejected also when a command or an apply said itself
    /// that it failed, which may have changed something; see [`command`].
    pub(crate) async fn act(&self, request: &ActRequest) -> EffectReport {
        let absent = |what: String| EffectReport::rejected(&not_allowed(&what).to_string());
        match (&request.action, &self.receipts) {
            (Action::RunCommand { command, arguments }, Some(receipts)) => {
                let Some(allowed) = self.commands.get(command) else {
                    return absent(format!("command `{command}`"));
                };
                // Never closed; without a permit nothing has begun.
                let Ok(_permit) = self.commands_left.acquire().await else {
                    return EffectReport::rejected("the daemon ends");
                };
                command::act(command, allowed, arguments, request, receipts).await
            }
            (Action::CallWebhook { webhook, fields }, Some(receipts)) => {
                let Some(allowed) = self.webhooks.get(webhook) else {
                    return absent(format!("webhook `{webhook}`"));
                };
                webhook::act(webhook, allowed, fields, request, receipts, &self.client, &self.clock)
                    .await
            }
            (Action::ApplyTerraform { workspace, variables, plan_sha256 }, Some(receipts)) => {
                let Some(found) = self.terraform.get(workspace) else {
                    return absent(format!("Terraform workspace `{workspace}`"));
                };
                found.apply(variables, plan_sha256, request, receipts).await
            }
            (
                Action::RunCommand { .. }
                | Action::CallWebhook { .. }
                | Action::ApplyTerraform { .. },
                None,
            ) => absent("entry".to_owned()),
            (
                Action::SetCapacity { .. }
                | Action::RestartInstances { .. }
                | Action::ReplaceInstances { .. }
                | Action::SetWeights { .. }
                | Action::LimitTenants { .. }
                | Action::SetDrained { .. }
                | Action::SetRevision { .. },
                _,
            ) => EffectReport::rejected(
                "the action came to the allow-list, which does not do it; this is a fault of the agent",
            ),
        }
    }

    /// What differs in each workspace from what was applied last, for the drift report. One
    /// workspace after another where they are busy, all at once where not.
    pub(crate) async fn drift(&self) -> Vec<(AllowedName, Result<Vec<String>, String>)> {
        let drifts = self.terraform.iter().map(|(name, workspace)| async move {
            let drift = workspace.drift().await;
            let drift = drift.map_err(|it| it.to_read_error(&workspace.what()).to_string());
            (name.clone(), drift)
        });
        join_all(drifts).await
    }
}

fn not_allowed(what: &str) -> ReadError {
    ReadError::Absent {
        what: format!("{what} on the allow-list"),
        hint:
            "add it to `allowed` in the daemon's configuration, or correct the name in the playbook"
                .to_owned(),
    }
}
