//! What a step of a playbook can do, and what is read before and after it.
//!
//! **In:** a plan's resolved steps; what an actuator says there is.
//! **Out:** [`Action`]: absolute, idempotent instructions; whether one has happened.
//! **Not here:** carrying them out (`evenkeel-providers`), whether one is allowed
//! ([`crate::guard`]), when it is its turn ([`crate::run`]).
//!
//! A change of capacity is an action here too, but leaves as [`crate::effect::SetCapacity`],
//! by the same way and under the same limits as one that a policy asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Truth;
use crate::ids::{AllowedName, EffectId, InstanceName, TenantName};
use crate::units::Capacity;

/// What kind of thing an action does. Autonomy is granted per class and target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActionClass {
    /// Set the capacity of the target.
    SetCapacity,
    /// Restart instances in place.
    RestartInstances,
    /// Replace instances by new ones.
    ReplaceInstances,
    /// Set the weights of instances or routes behind a load balancer.
    ShiftTraffic,
    /// Take instances out of traffic, or back in.
    Drain,
    /// Set the deployed revision.
    RollBack,
    /// Limit how many requests of one tenant are served.
    ThrottleTenant,
    /// Run a command of the daemon's allow-list.
    RunCommand,
    /// Call a webhook of the daemon's allow-list.
    CallWebhook,
    /// Apply a Terraform plan.
    ApplyTerraform,
}

impl ActionClass {
    /// All of them.
    pub const ALL: [ActionClass; 10] = [
        ActionClass::SetCapacity,
        ActionClass::RestartInstances,
        ActionClass::ReplaceInstances,
        ActionClass::ShiftTraffic,
        ActionClass::Drain,
        ActionClass::RollBack,
        ActionClass::ThrottleTenant,
        ActionClass::RunCommand,
        ActionClass::CallWebhook,
        ActionClass::ApplyTerraform,
    ];

    /// As it is written in a playbook, in records and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ActionClass::SetCapacity => "set_capacity",
            ActionClass::RestartInstances => "restart_instances",
            ActionClass::ReplaceInstances => "replace_instances",
            ActionClass::ShiftTraffic => "shift_traffic",
            ActionClass::Drain => "drain",
            ActionClass::RollBack => "roll_back",
            ActionClass::ThrottleTenant => "throttle_tenant",
            ActionClass::RunCommand => "run_command",
            ActionClass::CallWebhook => "call_webhook",
            ActionClass::ApplyTerraform => "apply_terraform",
        }
    }

    /// Whether actions of this class can take something out of service or cannot be told
    /// from those that do.
    pub fn may_take_away(self) -> bool {
        match self {
            ActionClass::RestartInstances
            | ActionClass::ReplaceInstances
            | ActionClass::Drain
            | ActionClass::ShiftTraffic
            | ActionClass::RollBack
            | ActionClass::ThrottleTenant
            | ActionClass::RunCommand
            | ActionClass::CallWebhook
            | ActionClass::ApplyTerraform => true,
            ActionClass::SetCapacity => false,
        }
    }

    /// Whether a spent budget freezes it. Turning a tenant away is what spares a budget.
    pub fn is_risky(self) -> bool {
        self.may_take_away() && self != ActionClass::ThrottleTenant
    }

    /// Whether the state before can be brought back by an action of the same class, so
    /// that a playbook must say what its undo is. A command or a webhook is as reversible
    /// as its author says.
    pub fn is_reversible(self) -> bool {
        match self {
            ActionClass::SetCapacity
            | ActionClass::ShiftTraffic
            | ActionClass::Drain
            | ActionClass::RollBack
            | ActionClass::ThrottleTenant => true,
            // What was restarted stays restarted; a plan that is applied has its own way back.
            ActionClass::RestartInstances
            | ActionClass::ReplaceInstances
            | ActionClass::RunCommand
            | ActionClass::CallWebhook
            | ActionClass::ApplyTerraform => false,
        }
    }
}

impl fmt::Display for ActionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One absolute, idempotent instruction on one target: carried out twice, it has the effect
/// of once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// The target has exactly this capacity.
    SetCapacity { desired: Capacity },
    /// Each of these instances was restarted after the action was decided. Never empty.
    RestartInstances { instances: BTreeSet<InstanceName> },
    /// None of these instances is there any more; the platform starts others for them.
    /// Never empty.
    ReplaceInstances { instances: BTreeSet<InstanceName> },
    /// These instances have exactly these weights, in the actuator's own scale; others keep
    /// theirs. Never empty.
    SetWeights { weights: BTreeMap<InstanceName, u32> },
    /// These instances get no new traffic (`is_drained`), or do again. Never empty.
    SetDrained { instances: BTreeSet<InstanceName>, is_drained: bool },
    /// This revision is deployed.
    SetRevision { revision: String },
    /// These tenants are served at most so many requests per second, or without a limit
    /// (`None`); others keep theirs. Never empty.
    LimitTenants { limits: BTreeMap<TenantName, Option<u32>> },
    /// A command of the allow-list has run with these arguments; the executor keeps a
    /// receipt, so that it runs once per effect.
    RunCommand { command: AllowedName, arguments: Vec<String> },
    /// A webhook of the allow-list has accepted these fields under the effect's
    /// idempotency key.
    CallWebhook { webhook: AllowedName, fields: BTreeMap<String, String> },
    /// Exactly the plan with this hash was applied in a workspace of the allow-list. The
    /// hash is empty in the undo of a plan that is not under way: what Terraform plans on the
    /// way back is known only once the way there was gone.
    ApplyTerraform {
        workspace: AllowedName,
        variables: BTreeMap<String, String>,
        plan_sha256: String,
    },
}

/// Most instances of one action. Why 100: an ejection limit of a tenth of a fleet of 1,000.
pub const INSTANCES_MAX: usize = 100;

/// Most limits of tenants that one look shows. Why 10,000: ten times the tenants that are
/// metered each by itself, and an answer of 700 KB.
pub const TENANT_LIMITS_MAX: usize = 10_000;

impl Action {
    /// Its class.
    pub fn class(&self) -> ActionClass {
        match self {
            Action::SetCapacity { .. } => ActionClass::SetCapacity,
            Action::RestartInstances { .. } => ActionClass::RestartInstances,
            Action::ReplaceInstances { .. } => ActionClass::ReplaceInstances,
            Action::SetWeights { .. } => ActionClass::ShiftTraffic,
            Action::SetDrained { .. } => ActionClass::Drain,
            Action::SetRevision { .. } => ActionClass::RollBack,
            Action::LimitTenants { .. } => ActionClass::ThrottleTenant,
            Action::RunCommand { .. } => ActionClass::RunCommand,
            Action::CallWebhook { .. } => ActionClass::CallWebhook,
            Action::ApplyTerraform { .. } => ActionClass::ApplyTerraform,
        }
    }

    /// How many units of capacity it takes out of service, at least for a while, when there
    /// are `current`. What it takes counts against blast radii like a removal by a policy.
    pub fn takes_units(&self, current: Capacity) -> u32 {
        let counted = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        match self {
            Action::SetCapacity { desired } => current.above(*desired),
            Action::RestartInstances { instances } | Action::ReplaceInstances { instances } => {
                counted(instances.len())
            }
            Action::SetDrained { instances, is_drained: true } => counted(instances.len()),
            Action::SetWeights { weights } => {
                counted(weights.values().filter(|it| **it == 0).count())
            }
            Action::SetDrained { is_drained: false, .. }
            | Action::SetRevision { .. }
            | Action::LimitTenants { .. }
            | Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => 0,
        }
    }

    /// Whether it destroys or takes something away that does not come back by itself at
    /// once: what a storm, a hold and a no-scale-down forbid. A limit of a tenant turns
    /// requests away; one that is no lower than what there is does not: see
    /// [`Action::only_lifts`].
    pub fn is_destructive(&self, current: Capacity) -> bool {
        match self {
            Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::SetRevision { .. }
            | Action::ApplyTerraform { .. } => true,
            Action::LimitTenants { limits } => limits.values().any(Option::is_some),
            Action::SetCapacity { .. }
            | Action::RestartInstances { .. }
            | Action::ReplaceInstances { .. }
            | Action::SetWeights { .. }
            | Action::SetDrained { .. } => 0 < self.takes_units(current),
        }
    }

    /// Whether it only lifts limits that `seen` shows, or leaves them as they are.
    pub fn only_lifts(&self, seen: &Seen) -> bool {
        let (Action::LimitTenants { limits }, Seen::TenantLimits { limits: there }) = (self, seen)
        else {
            return false;
        };
        let lifts = |(tenant, limit): (&TenantName, &Option<u32>)| match (limit, there.get(tenant))
        {
            (None, _) => true,
            (Some(limit), Some(there)) => there <= limit,
            (Some(_), None) => false,
        };
        limits.iter().all(lifts)
    }

    /// Whether it asks for a state, so that asking again for what is there changes nothing;
    /// what restarts, replaces, runs or calls is an event.
    pub fn is_state(&self) -> bool {
        match self {
            Action::SetCapacity { .. }
            | Action::SetWeights { .. }
            | Action::SetDrained { .. }
            | Action::SetRevision { .. }
            | Action::LimitTenants { .. } => true,
            Action::RestartInstances { .. }
            | Action::ReplaceInstances { .. }
            | Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => false,
        }
    }

    /// What to look at before it and, when its outcome is unknown, after it.
    pub fn looks_at(&self) -> LookAt {
        match self {
            Action::SetCapacity { .. } => LookAt::Capacity,
            Action::RestartInstances { .. } | Action::ReplaceInstances { .. } => LookAt::Instances,
            Action::SetWeights { .. } | Action::SetDrained { .. } => LookAt::Traffic,
            Action::SetRevision { .. } => LookAt::Revision,
            Action::LimitTenants { .. } => LookAt::TenantLimits,
            Action::RunCommand { command, .. } => LookAt::Command { command: command.clone() },
            Action::CallWebhook { webhook, .. } => LookAt::Webhook { webhook: webhook.clone() },
            Action::ApplyTerraform { workspace, variables, .. } => {
                LookAt::Terraform { workspace: workspace.clone(), variables: variables.clone() }
            }
        }
    }

    /// What of `seen` is worth remembering as the state before it.
    pub fn relevant(&self, seen: Seen) -> Option<Seen> {
        let is_touched = |name: &InstanceName| match self {
            Action::RestartInstances { instances }
            | Action::ReplaceInstances { instances }
            | Action::SetDrained { instances, .. } => instances.contains(name),
            Action::SetWeights { weights } => weights.contains_key(name),
            Action::SetCapacity { .. }
            | Action::SetRevision { .. }
            | Action::LimitTenants { .. }
            | Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => false,
        };
        match seen {
            Seen::Instances { mut instances } => {
                instances.retain(|it| is_touched(&it.name));
                Some(Seen::Instances { instances })
            }
            Seen::TerraformPlan { plan_sha256, changes, .. } => {
                let receipts = BTreeMap::new();
                Some(Seen::TerraformPlan { plan_sha256, changes, receipts })
            }
            Seen::TenantLimits { limits: mut there } => {
                there.retain(|it, _| match self {
                    Action::LimitTenants { limits } => limits.contains_key(it),
                    Action::SetCapacity { .. }
                    | Action::RestartInstances { .. }
                    | Action::ReplaceInstances { .. }
                    | Action::SetWeights { .. }
                    | Action::SetDrained { .. }
                    | Action::SetRevision { .. }
                    | Action::RunCommand { .. }
                    | Action::CallWebhook { .. }
                    | Action::ApplyTerraform { .. } => false,
                });
                Some(Seen::TenantLimits { limits: there })
            }
            Seen::Receipts { .. } => None,
            Seen::Capacity { .. } | Seen::Revision { .. } => Some(seen),
        }
    }

    /// Whether `seen` shows that it has happened since `since`. `Unknown` where what is
    /// seen cannot tell.
    pub fn has_happened(&self, since: Timestamp, effect: EffectId, seen: &Seen) -> Truth {
        let told = |it: bool| if it { Truth::True } else { Truth::False };
        match (self, seen) {
            (Action::SetCapacity { desired }, Seen::Capacity { current }) => {
                told(current == desired)
            }
            (Action::ReplaceInstances { instances }, Seen::Instances { instances: there }) => {
                // A platform may use a name again for the new one.
                let is_old = |it: &InstanceSeen| {
                    instances.contains(&it.name) && it.started_at.is_none_or(|at| at < since)
                };
                told(!there.iter().any(is_old))
            }
            (Action::RestartInstances { instances }, Seen::Instances { instances: there }) => {
                let asked: Vec<&InstanceSeen> =
                    there.iter().filter(|it| instances.contains(&it.name)).collect();
                if asked.iter().any(|it| it.started_at.is_none()) {
                    return Truth::Unknown;
                }
                told(asked.iter().all(|it| it.started_at.is_some_and(|at| since <= at)))
            }
            (Action::SetWeights { weights }, Seen::Instances { instances: there }) => {
                let has = |name: &InstanceName, weight: u32| {
                    there.iter().find(|it| it.name == *name).map(|it| it.weight == Some(weight))
                };
                // One that is gone gets no traffic whatever its weight.
                told(weights.iter().all(|(name, weight)| has(name, *weight).unwrap_or(true)))
            }
            (
                Action::SetDrained { instances, is_drained },
                Seen::Instances { instances: there },
            ) => {
                let mut asked = there.iter().filter(|it| instances.contains(&it.name));
                told(asked.all(|it| it.is_drained == *is_drained))
            }
            (Action::SetRevision { revision }, Seen::Revision { current, .. }) => {
                told(current == revision)
            }
            (Action::LimitTenants { limits }, Seen::TenantLimits { limits: there }) => {
                told(limits.iter().all(|(tenant, limit)| there.get(tenant) == limit.as_ref()))
            }
            (
                Action::RunCommand { .. }
                | Action::CallWebhook { .. }
                | Action::ApplyTerraform { .. },
                Seen::Receipts { receipts } | Seen::TerraformPlan { receipts, .. },
            ) => match receipts.get(&effect) {
                Some(Receipt::Done) => Truth::True,
                Some(Receipt::Failed) | None => Truth::False,
                Some(Receipt::Begun) => Truth::Unknown,
            },
            _ => Truth::Unknown,
        }
    }
}

impl fmt::Display for Action {
    /// As a person reads it in a plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::SetCapacity { desired } => write!(f, "set capacity to {desired}"),
            Action::RestartInstances { instances } => write!(f, "restart {}", listed(instances)),
            Action::ReplaceInstances { instances } => write!(f, "replace {}", listed(instances)),
            Action::SetWeights { weights } => {
                f.write_str("set weights ")?;
                let shown: Vec<String> =
                    weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect();
                f.write_str(&shown.join(", "))
            }
            Action::SetDrained { instances, is_drained: true } => {
                write!(f, "drain {}", listed(instances))
            }
            Action::SetDrained { instances, is_drained: false } => {
                write!(f, "put {} back into traffic", listed(instances))
            }
            Action::SetRevision { revision } => write!(f, "deploy revision {revision}"),
            Action::LimitTenants { limits } => {
                let shown: Vec<String> = limits.iter().map(shown_limit).collect();
                f.write_str(&shown.join(", "))
            }
            Action::RunCommand { command, arguments } => {
                write!(f, "run command {command}")?;
                arguments.iter().try_for_each(|it| write!(f, " {it:?}"))
            }
            Action::CallWebhook { webhook, fields } => {
                write!(f, "call webhook {webhook}")?;
                fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value:?}"))
            }
            Action::ApplyTerraform { workspace, plan_sha256, .. } if plan_sha256.is_empty() => {
                write!(f, "apply what Terraform plans then in {workspace}")
            }
            Action::ApplyTerraform { workspace, plan_sha256, .. } => {
                let short = plan_sha256.get(..12).unwrap_or(plan_sha256);
                write!(f, "apply Terraform plan {short} in {workspace}")
            }
        }
    }
}

fn shown_limit((tenant, limit): (&TenantName, &Option<u32>)) -> String {
    match limit {
        Some(limit) => format!("limit tenant {tenant} to {limit} requests/s"),
        None => format!("lift the limit of tenant {tenant}"),
    }
}

fn listed(instances: &BTreeSet<InstanceName>) -> String {
    let names: Vec<&str> = instances.iter().map(InstanceName::as_str).collect();
    names.join(", ")
}

/// What to look at. A look changes nothing outside (a Terraform plan is written to a file
/// of the daemon's own).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "look_at", rename_all = "snake_case")]
pub enum LookAt {
    /// What the target's provider says of its capacity.
    Capacity,
    /// The target's instances, at its `instances` actuator.
    Instances,
    /// The target's instances as its `traffic` actuator knows them.
    Traffic,
    /// The deployed revision and the one before, at its `deployment` actuator.
    Revision,
    /// The limits of tenants that there are, at its `tenants` actuator.
    TenantLimits,
    /// The receipts of a command, and whether the allow-list has it at all.
    Command { command: AllowedName },
    /// The receipts of a webhook, and whether the allow-list has it at all.
    Webhook { webhook: AllowedName },
    /// A fresh plan with these variables, and the receipts of earlier ones.
    Terraform { workspace: AllowedName, variables: BTreeMap<String, String> },
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// The capacity.
    Capacity { current: Capacity },
    /// Instances, by name. At most 1,000.
    Instances { instances: Vec<InstanceSeen> },
    /// Revisions; `previous` is the one to go back to, where the platform knows.
    Revision { current: String, previous: Option<String> },
    /// Requests per second, by tenant; who is not here has no limit. At most
    /// [`TENANT_LIMITS_MAX`].
    TenantLimits { limits: BTreeMap<TenantName, u32> },
    /// How earlier effects of the same command, webhook or workspace ended.
    Receipts { receipts: BTreeMap<EffectId, Receipt> },
    /// A Terraform plan that was made and kept, and how earlier effects ended.
    TerraformPlan {
        /// Hash of the plan as JSON without what differs from plan to plan (times).
        plan_sha256: String,
        /// One line per change, such as `update aws_autoscaling_group.web`.
        changes: Vec<String>,
        /// How earlier effects ended.
        receipts: BTreeMap<EffectId, Receipt>,
    },
}

/// One instance at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSeen {
    /// Its name.
    pub name: InstanceName,
    /// Its failure domain: a zone, a rack; `None` where the platform does not say.
    pub zone: Option<String>,
    /// Whether it serves, as the platform's own health check says.
    pub is_ready: bool,
    /// Whether it is out of traffic on purpose.
    pub is_drained: bool,
    /// Its weight, in the actuator's own scale; `None` where there are none.
    pub weight: Option<u32>,
    /// When it started; `None` where the platform does not say.
    pub started_at: Option<Timestamp>,
}

/// How an effect of which nothing can be read back at its target ended, as the executor
/// wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// It began; its end is not known.
    Begun,
    /// It ended well.
    Done,
    /// It ended badly or never began.
    Failed,
}
