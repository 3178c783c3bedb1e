//! All configured actuators behind one door.
//!
//! **In:** a target and what to look at, or what to do.
//! **Out:** what was seen, and one report per action.
//! **Not here:** what a platform's answers mean (see each platform's module), capacities
//! (see [`crate::Providers`]), the allow-list (see [`crate::allowed`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_core::action::{LookAt, Seen};
use evenkeel_core::documents::{ActuatorRef, Target};
use evenkeel_core::ids::AllowedName;
use tokio::time::timeout;

use crate::actuator::{ActRequest, Actuator, LookRequest, n_named, role_of};
#[cfg(feature = "allowed")]
use crate::allowed::{Allowed, AllowedSettings};
use crate::failure::ReadError;
#[cfg(not(feature = "allowed"))]
use crate::nothing_allowed::{Allowed, AllowedSettings};
use crate::provider::{Clock, EffectReport};
use crate::providers::{GRACE, Limits, check_limits};
use crate::settings::{AwsSettings, SettingsError, WebhookSettings};

/// Settings of all actuators. [`Default`] serves HAProxy and webhooks, and allows no
/// command, no webhook by name and no Terraform.
#[derive(Clone, Debug)]
pub struct ActuatorSettings {
    /// AWS, when it is to be used. Needs the feature `aws`.
    pub aws: Option<AwsSettings>,
    /// Webhooks. Served whenever the feature `webhook` is built in.
    pub webhook: WebhookSettings,
    /// What may be run, called and applied by name.
    pub allowed: AllowedSettings,
    /// The demo's region. Needs the feature `simulated`, without which it is not here.
    #[cfg(feature = "simulated")]
    pub region: Option<crate::SharedRegion>,
    /// Most time for one request to a platform, `> 0`. An action takes one to look and at
    /// most one per instance that it names. What is allowed by name has limits of its own.
    pub call_timeout: Duration,
    /// Most time for one look, `> 0`.
    pub read_deadline: Duration,
}

impl Default for ActuatorSettings {
    fn default() -> ActuatorSettings {
        let crate::ProviderSettings { call_timeout, read_deadline, .. } =
            crate::ProviderSettings::default();
        ActuatorSettings {
            aws: None,
            webhook: WebhookSettings::default(),
            allowed: AllowedSettings::default(),
            #[cfg(feature = "simulated")]
            region: None,
            call_timeout,
            read_deadline,
        }
    }
}

/// The closed set of configured actuators.
pub struct Actuators {
    platforms: BTreeMap<&'static str, Arc<dyn Actuator>>,
    allowed: Allowed,
    limits: Limits,
    /// The highest term seen in a request to act.
    term: AtomicU64,
}

impl Actuators {
    /// Prepares every configured platform and the allow-list. Sends nothing, except that AWS
    /// may look its region up on the instance when nothing else names one.
    ///
    /// `clock` gives the timestamps of webhooks.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when the settings cannot be used. A platform that does not answer is
    /// no error here: its looks are.
    pub async fn new(
        settings: &ActuatorSettings,
        clock: Clock,
    ) -> Result<Actuators, SettingsError> {
        let limits = check_limits(settings.call_timeout, settings.read_deadline)?;
        #[cfg_attr(
            not(any(
                feature = "aws",
                feature = "haproxy",
                feature = "webhook",
                feature = "simulated"
            )),
            expect(unused_mut, reason = "no platform is built in")
        )]
        let mut platforms: Vec<Arc<dyn Actuator>> = Vec::new();
        #[cfg(feature = "aws")]
        if let Some(aws) = &settings.aws {
            let (groups, services) = crate::aws::connect_actuators(aws, limits).await?;
            platforms.push(Arc::new(groups));
            platforms.push(Arc::new(services));
        }
        #[cfg(not(feature = "aws"))]
        if settings.aws.is_some() {
            return Err(SettingsError::AwsNotBuiltIn);
        }
        #[cfg(feature = "haproxy")]
        platforms.push(Arc::new(crate::haproxy::Haproxy::new(limits)));
        #[cfg(feature = "webhook")]
        platforms.push(Arc::new(crate::webhook::Webhooks::new(
            &settings.webhook,
            limits,
            Arc::clone(&clock),
        )?));
        #[cfg(feature = "simulated")]
        if let Some(region) = &settings.region {
            let region = Arc::clone(region);
            platforms.push(Arc::new(crate::simulated::Simulated::new(region, Arc::clone(&clock))));
        }
        let allowed = Allowed::new(&settings.allowed, &settings.webhook, limits, clock)?;
        Ok(Actuators::assemble(platforms, allowed, limits))
    }

    /// Platforms made elsewhere, for tests; `settings` gives the limits and the allow-list.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for a limit of 0 or an allow-list that cannot be used.
    pub fn of(
        platforms: Vec<Arc<dyn Actuator>>,
        settings: &ActuatorSettings,
        clock: Clock,
    ) -> Result<Actuators, SettingsError> {
        let limits = check_limits(settings.call_timeout, settings.read_deadline)?;
        let allowed = Allowed::new(&settings.allowed, &settings.webhook, limits, clock)?;
        Ok(Actuators::assemble(platforms, allowed, limits))
    }

    fn assemble(platforms: Vec<Arc<dyn Actuator>>, allowed: Allowed, limits: Limits) -> Actuators {
        let platforms = platforms.into_iter().map(|it| (it.platform(), it)).collect();
        Actuators { platforms, allowed, limits, term: AtomicU64::new(0) }
    }

    /// The platforms that are configured, in alphabetical order.
    pub fn platforms(&self) -> impl Iterator<Item = &'static str> {
        self.platforms.keys().copied()
    }

    /// Says what is there: at the target's `instances`, `traffic`, `deployment` or `tenants`
    /// actuator, or what the allow-list knows. Changes nothing.
    ///
    /// Takes at most [`ActuatorSettings::read_deadline`] and one second more; looks at the
    /// allow-list keep limits of their own.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; also for [`LookAt::Capacity`], which the target's provider says.
    pub async fn look(&self, target: &Target, at: &LookAt) -> Result<Seen, ReadError> {
        let Some(reference) = reference_for(target, at)? else {
            return self.allowed.look(at).await;
        };
        let platform = reference.platform();
        let actuator = self.platforms.get(platform).ok_or_else(|| not_configured(reference))?;
        let request =
            LookRequest { target: target.id.clone(), reference: reference.clone(), at: at.clone() };
        let limit = self.limits.read;
        timeout(limit.saturating_add(GRACE), actuator.look(&request))
            .await
            .unwrap_or_else(|_| Err(ReadError::Late { what: platform.to_owned(), limit }))
    }

    /// Carries one action out, once. Takes at most [`ActuatorSettings::call_timeout`] for
    /// every instance or tenant that it names and twice more, and one second; what is allowed by name
    /// keeps limits of its own.
    ///
    /// A term older than one seen before is rejected: another daemon has taken over since
    /// that action was decided. So are [`evenkeel_core::action::Action::SetCapacity`], which the target's provider
    /// carries out, and a request for another target than `target`.
    pub async fn act(&self, target: &Target, request: &ActRequest) -> EffectReport {
        let seen = self.term.fetch_max(request.term.0, Ordering::SeqCst);
        if request.term.0 < seen {
            return EffectReport::rejected(&format!(
                "term {} is older than term {seen}; a newer daemon has taken over",
                request.term
            ));
        }
        if request.target != target.id {
            return EffectReport::rejected(&format!(
                "the action is for target `{}` and came with `{}`; this is a fault of the agent",
                request.target, target.id
            ));
        }
        let report = match reference_for(target, &request.action.looks_at()) {
            Ok(Some(reference)) => self.act_at(reference, request).await,
            Ok(None) => self.allowed.act(request).await,
            Err(error) => EffectReport::rejected(&error.to_string()),
        };
        tracing::debug!(
            target_id = %request.target,
            effect_id = %request.effect_id,
            run = %request.run,
            term = request.term.0,
            action = %request.action.class(),
            is_undo = request.is_undo,
            outcome = %report.outcome,
            detail = report.detail,
            "action carried out at the platform"
        );
        report
    }

    async fn act_at(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        let platform = reference.platform();
        let Some(actuator) = self.platforms.get(platform) else {
            return EffectReport::rejected(&not_configured(reference).to_string());
        };
        // One request per instance or tenant at most, one to look before, one to ask afterwards.
        let n_requests = n_named(&request.action).saturating_add(2);
        let limit = self.limits.call.saturating_mul(n_requests).saturating_add(GRACE);
        timeout(limit, actuator.act(reference, request)).await.unwrap_or_else(|_| {
            EffectReport::unknown(&format!(
                "`{platform}` has not answered within {} s",
                limit.as_secs_f64()
            ))
        })
    }

    /// What Terraform would change in each workspace of the allow-list, one line per change:
    /// nothing where all is as written. For the scheduled drift report.
    pub async fn drift(&self) -> Vec<(AllowedName, Result<Vec<String>, String>)> {
        self.allowed.drift().await
    }
}

impl fmt::Debug for Actuators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platforms: Vec<&str> = self.platforms().collect();
        f.debug_struct("Actuators")
            .field("platforms", &platforms)
            .field("limits", &self.limits)
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

/// Where to look at `at`; `None` for the allow-list.
fn reference_for<'a>(
    target: &'a Target,
    at: &LookAt,
) -> Result<Option<&'a ActuatorRef>, ReadError> {
    let given = match at {
        LookAt::Instances => &target.actuators.instances,
        LookAt::Traffic => &target.actuators.traffic,
        LookAt::Revision => &target.actuators.deployment,
        LookAt::TenantLimits => &target.actuators.tenants,
        LookAt::Command { .. } | LookAt::Webhook { .. } | LookAt::Terraform { .. } => {
            return Ok(None);
        }
        LookAt::Capacity => {
            return Err(ReadError::NotSent {
                what: format!("the capacity of `{}`", target.id),
                reason: "its provider says and sets it, no actuator; this is a fault of the agent"
                    .to_owned(),
            });
        }
    };
    let (role, example) = role_of(at).unwrap_or_default();
    given.as_ref().map(Some).ok_or_else(|| ReadError::NoActuator {
        target: target.id.to_string(),
        role,
        example,
    })
}

fn not_configured(reference: &ActuatorRef) -> ReadError {
    let hint = match reference {
        ActuatorRef::AwsAutoScalingGroup { .. } | ActuatorRef::AwsEcsService { .. } => {
            "add an `aws` section to the daemon's configuration (and build with feature `aws`)"
        }
        ActuatorRef::Haproxy { .. } | ActuatorRef::HaproxyMap { .. } => {
            "build with feature `haproxy`"
        }
        ActuatorRef::Webhook { .. } => "build with feature `webhook`",
        ActuatorRef::Simulated { .. } => "it exists in `evenkeeld --demo` only",
    };
    ReadError::NotConfigured { platform: reference.platform(), hint }
}
