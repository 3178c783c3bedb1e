//! `actuators:` of a `Target`.
//!
//! **In:** the mapping as written.
//! **Out:** [`Actuators`], each with a platform that can do what it is for.
//! **Not here:** whether a playbook needs one ([`crate::documents::load`]), what they do
//! (`evenkeel-providers`).

use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::Node;
use crate::documents::raw::scalar::ShortText;
use crate::documents::raw::target::{RawAutoScalingGroup, RawEcsService, RawSimulated, RawWebhook};
use crate::documents::raw::{Place, Read, fields, one_of};
use crate::documents::{ActuatorRef, Actuators};

fields! {
    /// Where playbooks reach a target, beside its capacity.
    struct RawActuators {
        /// Restarts and replaces its instances.
        optional instances: RawInstancesActuator,
        /// Sets weights and takes instances out of traffic.
        optional traffic: RawTrafficActuator,
        /// Says and sets the deployed revision.
        optional deployment: RawDeploymentActuator,
        /// Says and sets the limits of tenants.
        optional tenants: RawTenantsActuator,
    }
}

one_of! {
    /// Exactly one platform with instances.
    enum RawInstancesActuator {
        /// The instances of an AWS Auto Scaling group.
        AwsAutoScalingGroup = "aws_auto_scaling_group" (RawAutoScalingGroup),
        /// The tasks of an AWS ECS service.
        AwsEcsService = "aws_ecs_service" (RawEcsService),
        /// Any platform that speaks the signed protocol.
        Webhook = "webhook" (RawWebhook),
        /// A service of the demo's region.
        Simulated = "simulated" (RawSimulated),
    }
}

one_of! {
    /// Exactly one load balancer.
    enum RawTrafficActuator {
        /// A backend of a HAProxy.
        Haproxy = "haproxy" (RawHaproxy),
        /// Any load balancer that speaks the signed protocol.
        Webhook = "webhook" (RawWebhook),
        /// A service of the demo's region.
        Simulated = "simulated" (RawSimulated),
    }
}

one_of! {
    /// Exactly one platform with revisions.
    enum RawDeploymentActuator {
        /// The task definition of an AWS ECS service.
        AwsEcsService = "aws_ecs_service" (RawEcsService),
        /// Any platform that speaks the signed protocol.
        Webhook = "webhook" (RawWebhook),
        /// A service of the demo's region.
        Simulated = "simulated" (RawSimulated),
    }
}

one_of! {
    /// Exactly one place where tenants are limited.
    enum RawTenantsActuator {
        /// A map of a HAProxy from tenants to requests per second.
        Haproxy = "haproxy" (RawHaproxyMap),
        /// Any gateway that speaks the signed protocol.
        Webhook = "webhook" (RawWebhook),
        /// A service of the demo's region.
        Simulated = "simulated" (RawSimulated),
    }
}

fields! {
    /// A backend of a HAProxy on the daemon's host.
    struct RawHaproxy {
        /// Its runtime socket, with level `admin`.
        required socket: SocketPath,
        /// The backend's name.
        required backend: BackendName,
    }
}

fields! {
    /// A map of a HAProxy on the daemon's host.
    struct RawHaproxyMap {
        /// Its runtime socket.
        required socket: SocketPath,
        /// The map's file, as HAProxy's configuration names it.
        required map: MapName,
    }
}

/// Path of a Unix socket.
pub(in crate::documents) struct SocketPath(String);

/// Longest path of a socket, in bytes. Why 107: what the kernel has room for, less the end.
const SOCKET_BYTES_MAX: usize = 107;

impl Read for SocketPath {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^/", "maxLength": SOCKET_BYTES_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<SocketPath> {
        let ShortText(path) = ShortText::read(node, place, faults)?;
        let is_absolute = path.starts_with('/') && path.split('/').all(|it| it != "..");
        if is_absolute && path.len() <= SOCKET_BYTES_MAX {
            return Some(SocketPath(path));
        }
        let message = if is_absolute {
            let bytes = path.len();
            format!("`{place}` has {bytes} bytes, a socket has at most {SOCKET_BYTES_MAX}")
        } else {
            format!("`{place}` must be the full path of a socket, without `..`")
        };
        faults.error(node.at, message, "write for example `/run/haproxy/admin.sock`");
        None
    }
}

/// Name of a HAProxy backend. Nothing in it can end the line of its protocol.
pub(in crate::documents) struct BackendName(String);

impl Read for BackendName {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<BackendName> {
        let ShortText(name) = ShortText::read(node, place, faults)?;
        let allowed = |it: char| it.is_ascii_alphanumeric() || "_.:-".contains(it);
        if name.chars().all(allowed) && name.len() <= 128 {
            return Some(BackendName(name));
        }
        let message = format!("`{place}`: {} is not a name of a backend", quoted(&name));
        faults.error(node.at, message, "HAProxy's names have letters, digits and `_.:-`");
        None
    }
}

/// Name of a map, which is the path of its file. Nothing in it can end the line of HAProxy's
/// protocol, and it is not a number of a map, which changes with the configuration.
pub(in crate::documents) struct MapName(String);

/// Longest name of a map, in bytes. Why 255: the longest name of a file.
const MAP_BYTES_MAX: usize = 255;

impl Read for MapName {
    fn schema() -> Json {
        let pattern = format!("^[A-Za-z0-9_./][A-Za-z0-9_.:/-]{{0,{}}}$", MAP_BYTES_MAX - 1);
        json!({"type": "string", "pattern": pattern})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<MapName> {
        let ShortText(name) = ShortText::read(node, place, faults)?;
        let allowed = |it: char| it.is_ascii_alphanumeric() || "_.:/-".contains(it);
        let starts_well = !name.starts_with(['-', ':']);
        if starts_well && name.chars().all(allowed) && name.len() <= MAP_BYTES_MAX {
            return Some(MapName(name));
        }
        let message = format!("`{place}`: {} is not the file of a map", quoted(&name));
        faults.error(
            node.at,
            message,
            "write it as HAProxy's configuration does, for example `/etc/haproxy/tenants.map`",
        );
        None
    }
}

impl RawActuators {
    /// Nothing here can be wrong any more.
    pub(in crate::documents) fn checked(self) -> Actuators {
        let RawActuators { instances, traffic, deployment, tenants } = self;
        Actuators {
            instances: instances.map(|it| match it.value {
                RawInstancesActuator::AwsAutoScalingGroup(it) => group(it),
                RawInstancesActuator::AwsEcsService(it) => service(it),
                RawInstancesActuator::Webhook(it) => webhook(it),
                RawInstancesActuator::Simulated(it) => simulated(it),
            }),
            traffic: traffic.map(|it| match it.value {
                RawTrafficActuator::Haproxy(RawHaproxy { socket, backend }) => {
                    ActuatorRef::Haproxy { socket: socket.value.0, backend: backend.value.0 }
                }
                RawTrafficActuator::Webhook(it) => webhook(it),
                RawTrafficActuator::Simulated(it) => simulated(it),
            }),
            deployment: deployment.map(|it| match it.value {
                RawDeploymentActuator::AwsEcsService(it) => service(it),
                RawDeploymentActuator::Webhook(it) => webhook(it),
                RawDeploymentActuator::Simulated(it) => simulated(it),
            }),
            tenants: tenants.map(|it| match it.value {
                RawTenantsActuator::Haproxy(RawHaproxyMap { socket, map }) => {
                    ActuatorRef::HaproxyMap { socket: socket.value.0, map: map.value.0 }
                }
                RawTenantsActuator::Webhook(it) => webhook(it),
                RawTenantsActuator::Simulated(it) => simulated(it),
            }),
        }
    }
}

fn group(RawAutoScalingGroup { group }: RawAutoScalingGroup) -> ActuatorRef {
    ActuatorRef::AwsAutoScalingGroup { group: group.value.0 }
}

fn service(RawEcsService { cluster, service }: RawEcsService) -> ActuatorRef {
    ActuatorRef::AwsEcsService { cluster: cluster.value.0, service: service.value.0 }
}

fn webhook(RawWebhook { url, secret_file }: RawWebhook) -> ActuatorRef {
    ActuatorRef::Webhook { url: url.value.0, secret_file: secret_file.value.0 }
}

fn simulated(RawSimulated { service }: RawSimulated) -> ActuatorRef {
    ActuatorRef::Simulated { service: service.value.0 }
}
