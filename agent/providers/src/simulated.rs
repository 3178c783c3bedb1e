//! The demo's region as a platform.
//!
//! **In:** a region that the demo shares with its exporter.
//! **Out:** readings and changes at the time of the clock given; to playbooks, nothing yet.
//! **Not here:** how a service behaves (`evenkeel-sim`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use evenkeel_core::action::Seen;
use evenkeel_core::documents::{ActuatorRef, ProviderRef};
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
use evenkeel_sim::provider::Inventory;
use evenkeel_sim::region::{ProviderFault, Region};
use jiff::Timestamp;

use crate::actuator::{ActRequest, Actuator, LookRequest};
use crate::failure::{ReadError, misrouted};
use crate::provider::{Clock, EffectReport, Provider, SetCapacityRequest};

/// The platform's name.
pub(crate) const PLATFORM: &str = "simulated";

/// A region that several parts of one process look at. Locked only for the
/// moment of one look or change, never across an await.
pub type SharedRegion = Arc<Mutex<Region>>;

/// Sets capacities in a region in this process.
pub(crate) struct Simulated {
    region: SharedRegion,
    clock: Clock,
}

impl Simulated {
    pub(crate) fn new(region: SharedRegion, clock: Clock) -> Simulated {
        Simulated { region, clock }
    }

    /// The region as it is at `now`.
    fn region(&self, now: Timestamp) -> MutexGuard<'_, Region> {
        // A region is whole after every call; a panic elsewhere does not harm it.
        let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        region.advance(now);
        region
    }
}

fn read_one(
    region: &mut Region,
    reference: &ProviderRef,
    read_at: Timestamp,
) -> Result<CapacityReading, ReadError> {
    let service = service_of(reference)?;
    let what = || what(service);
    let inventory = region.inventory(service).map_err(|fault| match fault {
        ProviderFault::NoSuchService { known, .. } => {
            ReadError::Absent { what: what(), hint: format!("the region has {known}") }
        }
        ProviderFault::Rejected(reason) => ReadError::Refused { what: what(), reason },
        ProviderFault::NoAnswer(reason) => ReadError::Silent { what: what(), reason },
    })?;
    let Inventory { desired, ready } = inventory;
    Ok(CapacityReading { current: Capacity(desired), ready: Some(Capacity(ready)), read_at })
}

/// The service of a reference that was routed here.
fn service_of(reference: &ProviderRef) -> Result<&str, ReadError> {
    match reference {
        ProviderRef::Simulated { service } => Ok(service),
        ProviderRef::AwsAutoScalingGroup { .. }
        | ProviderRef::AwsEcsService { .. }
        | ProviderRef::Webhook { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

#[async_trait]
impl Provider for Simulated {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        let now = (self.clock)();
        let mut region = self.region(now);
        references.iter().map(|it| read_one(&mut region, it, now)).collect()
    }

    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        let service = match service_of(&request.provider) {
            Ok(service) => service,
            Err(error) => return EffectReport::rejected(&error.to_string()),
        };
        let (desired, expected) = (request.desired.0, request.expected.0);
        let now = (self.clock)();
        match self.region(now).set_capacity(service, desired, Some(expected)) {
            Ok(()) => EffectReport::done(&format!("capacity set to {desired}")),
            Err(ProviderFault::NoAnswer(reason)) => EffectReport::unknown(&reason),
            Err(fault @ (ProviderFault::NoSuchService { .. } | ProviderFault::Rejected(_))) => {
                EffectReport::rejected(&fault.to_string())
            }
        }
    }
}

#[async_trait]
impl Actuator for Simulated {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        let service = service_of_actuator(&request.reference)?;
        Err(ReadError::NotSent { what: what(service), reason: NO_LEVERS.to_owned() })
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        match service_of_actuator(reference) {
            Ok(service) => EffectReport::rejected(&format!(
                "{} cannot {}: {NO_LEVERS}",
                what(service),
                request.action.class()
            )),
            Err(error) => EffectReport::rejected(&error.to_string()),
        }
    }
}

/// Why nothing but its capacity can be set here.
const NO_LEVERS: &str = "this region has no instances, weights, revisions or tenants to act on";

fn what(service: &str) -> String {
    format!("simulated service `{service}`")
}

/// The service of a reference that was routed here.
fn service_of_actuator(reference: &ActuatorRef) -> Result<&str, ReadError> {
    match reference {
        ActuatorRef::Simulated { service } => Ok(service),
        ActuatorRef::Haproxy { .. }
        | ActuatorRef::HaproxyMap { .. }
        | ActuatorRef::AwsAutoScalingGroup { .. }
        | ActuatorRef::AwsEcsService { .. }
        | ActuatorRef::Webhook { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}
