//! What a platform can do for a playbook: say what is there, and act on it.
//!
//! **In:** references of a target's `actuators`; actions that the guard has allowed.
//! **Out:** what was seen, and how each action ended.
//! **Not here:** which platform serves which reference (see [`crate::Actuators`]),
//! capacities (see [`crate::provider`]), commands, webhooks of the allow-list and Terraform
//! (see [`crate::allowed`]).

use async_trait::async_trait;
use evenkeel_core::action::{Action, LookAt, Seen};
use evenkeel_core::documents::ActuatorRef;
use evenkeel_core::ids::{EffectId, RunId, TargetId, Term};

#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
use evenkeel_core::action::InstanceSeen;
#[cfg(any(feature = "haproxy", feature = "webhook"))]
use evenkeel_core::action::TENANT_LIMITS_MAX;
#[cfg(any(feature = "aws", feature = "haproxy"))]
use evenkeel_core::ids::InstanceName;
#[cfg(any(feature = "haproxy", feature = "webhook"))]
use evenkeel_core::ids::TenantName;
#[cfg(any(feature = "haproxy", feature = "webhook"))]
use std::collections::BTreeMap;
#[cfg(any(feature = "aws", feature = "haproxy"))]
use std::fmt;

#[cfg(any(feature = "aws", feature = "haproxy"))]
use crate::failure::Failure;
use crate::failure::ReadError;
use crate::provider::EffectReport;

/// Most instances of one look. Why 1,000: what [`Seen::Instances`] allows; a list that was
/// cut would make a share of a fleet look larger than it is, so more is an error.
#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
pub(crate) const INSTANCES_SEEN_MAX: usize = 1_000;

/// One look, for a run. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookRequest {
    /// Whose instances, traffic, revision or tenants, for messages.
    pub target: TargetId,
    /// Where.
    pub reference: ActuatorRef,
    /// At what: instances, traffic, the revision or the limits of tenants.
    pub at: LookAt,
}

/// One action, from the daemon's executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRequest {
    /// Idempotency key: the same for every attempt at this effect.
    pub effect_id: EffectId,
    /// Fencing token: a term older than one seen before is rejected.
    pub term: Term,
    /// For which run, for messages.
    pub run: RunId,
    /// On which target, for messages.
    pub target: TargetId,
    /// Whether it takes something back.
    pub is_undo: bool,
    /// What to do: absolute, idempotent.
    pub action: Action,
}

/// One platform that playbooks reach.
#[async_trait]
pub trait Actuator: Send + Sync {
    /// Its name, as [`ActuatorRef::platform`] gives it.
    fn platform(&self) -> &'static str;

    /// Says what is there. Changes nothing. Ends within the read deadline of the settings.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it cannot be said in full: a list with gaps is an error.
    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError>;

    /// Carries one action out, once: never retried. Done when all of it is so afterwards,
    /// also when it was so before; rejected when surely nothing of it was changed; unknown
    /// in every other case, also when a part of it was done.
    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport;
}

/// Field of `actuators` that serves a look, with an example of what could stand there;
/// `None` for what no actuator says.
pub(crate) fn role_of(at: &LookAt) -> Option<(&'static str, &'static str)> {
    match at {
        LookAt::Instances => {
            Some(("instances", "{ aws_auto_scaling_group: { group: checkout-web } }"))
        }
        LookAt::Traffic => {
            Some(("traffic", "{ haproxy: { socket: /run/haproxy/admin.sock, backend: checkout } }"))
        }
        LookAt::Revision => {
            Some(("deployment", "{ aws_ecs_service: { cluster: production, service: checkout } }"))
        }
        LookAt::TenantLimits => Some((
            "tenants",
            "{ haproxy: { socket: /run/haproxy/admin.sock, map: /etc/haproxy/tenants.map } }",
        )),
        LookAt::Capacity
        | LookAt::Command { .. }
        | LookAt::Webhook { .. }
        | LookAt::Terraform { .. } => None,
    }
}

/// How many instances or tenants an action names; 1 for one that names none.
pub(crate) fn n_named(action: &Action) -> u32 {
    let n = match action {
        Action::RestartInstances { instances }
        | Action::ReplaceInstances { instances }
        | Action::SetDrained { instances, .. } => instances.len(),
        Action::SetWeights { weights } => weights.len(),
        Action::LimitTenants { limits } => limits.len(),
        Action::SetCapacity { .. }
        | Action::SetRevision { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => 1,
    };
    u32::try_from(n.max(1)).unwrap_or(u32::MAX)
}

/// A look that this platform does not serve; `serves` names the fields that it does.
#[cfg(any(feature = "aws", feature = "haproxy"))]
pub(crate) fn not_served(what: String, at: &LookAt, serves: &str) -> ReadError {
    let role = role_of(at).map_or("none", |it| it.0);
    ReadError::NotSent {
        what,
        reason: format!("it serves {serves}; point `actuators.{role}` of the target elsewhere"),
    }
}

/// An action that this platform cannot carry out.
#[cfg(any(feature = "aws", feature = "haproxy"))]
pub(crate) fn not_offered(what: &str, action: &Action, offers: &str) -> EffectReport {
    EffectReport::rejected(&format!("{what} cannot {}; it can {offers}", action.class()))
}

/// The instances of one look, by name.
#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
pub(crate) fn to_seen(what: &str, mut instances: Vec<InstanceSeen>) -> Result<Seen, ReadError> {
    let unusable = |state: String| ReadError::Unusable { what: what.to_owned(), state };
    if INSTANCES_SEEN_MAX < instances.len() {
        let n = instances.len();
        return Err(unusable(format!("has {n} instances, at most {INSTANCES_SEEN_MAX}")));
    }
    instances.sort_by(|a, b| a.name.cmp(&b.name));
    let twice = instances.windows(2).find_map(|pair| match pair {
        [a, b] if a.name == b.name => Some(&a.name),
        _ => None,
    });
    if let Some(name) = twice {
        return Err(unusable(format!("names instance {name} twice")));
    }
    Ok(Seen::Instances { instances })
}

/// The limits of tenants of one look.
#[cfg(any(feature = "haproxy", feature = "webhook"))]
pub(crate) fn to_limits(what: &str, limits: BTreeMap<TenantName, u32>) -> Result<Seen, ReadError> {
    if TENANT_LIMITS_MAX < limits.len() {
        let n = limits.len();
        let state = format!("limits {n} tenants, at most {TENANT_LIMITS_MAX}");
        return Err(ReadError::Unusable { what: what.to_owned(), state });
    }
    Ok(Seen::TenantLimits { limits })
}

/// The name of an instance as the platform gives it. One that the agent cannot name would
/// be missing in every share of the fleet, so it is an error for the whole look.
#[cfg(any(feature = "aws", feature = "haproxy"))]
pub(crate) fn instance_name(what: &str, name: &str) -> Result<InstanceName, ReadError> {
    InstanceName::new(name).map_err(|error| ReadError::Unusable {
        what: what.to_owned(),
        state: format!("has an instance that the agent cannot name: {error}"),
    })
}

/// How an action on several instances or tenants ended that failed at one of them: as that failure
/// when nothing was done before, unknown otherwise.
#[cfg(any(feature = "aws", feature = "haproxy"))]
pub(crate) fn failed_at(name: &dyn fmt::Display, n_done: usize, failure: &Failure) -> EffectReport {
    if n_done == 0 {
        return EffectReport::new(failure.outcome(), &format!("{name}: {failure}"));
    }
    let were = if n_done == 1 { "was" } else { "were" };
    EffectReport::unknown(&format!("{n_done} {were} changed, then at {name}: {failure}"))
}

#[cfg(all(test, any(feature = "aws", feature = "haproxy")))]
mod tests {
    use super::*;

    fn instance(name: &str) -> InstanceSeen {
        InstanceSeen {
            name: InstanceName::new(name).expect("tests give names"),
            zone: None,
            is_ready: true,
            is_drained: false,
            weight: None,
            started_at: None,
        }
    }

    #[test]
    fn a_look_is_sorted_and_has_each_instance_once_and_at_most_a_thousand() {
        let seen = to_seen("it", vec![instance("b"), instance("a")]).unwrap();
        assert_eq!(seen, Seen::Instances { instances: vec![instance("a"), instance("b")] });
        let twice = to_seen("it", vec![instance("b"), instance("a"), instance("b")]);
        assert!(twice.unwrap_err().to_string().contains("names instance b twice"));
        let many: Vec<InstanceSeen> = (0..1_001).map(|n| instance(&format!("i-{n}"))).collect();
        assert!(to_seen("it", many[..1_000].to_vec()).is_ok());
        let error = to_seen("it", many).unwrap_err().to_string();
        assert!(error.contains("has 1001 instances, at most 1000"), "{error}");
        assert!(instance_name("it", "a b").is_err());
    }
}
