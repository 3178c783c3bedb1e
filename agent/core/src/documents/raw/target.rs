//! `spec:` of a `Target`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Target`] whose bounds make sense.
//! **Not here:** what the platform says about it (the shell's).

use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::actuators::RawActuators;
use crate::documents::raw::scalar::{Duration, Name, Price, ShortText, Units};
use crate::documents::raw::{List, Place, Read, fields, one_of};
use crate::documents::{LeadTime, ProviderRef, Target};
use crate::ids::{Labels, Region, TargetId};
use crate::units::{Bounds, Capacity};

/// Most targets that one calls. Why 50: more is a list of everything.
const DEPENDENCIES_MAX: usize = 50;

fields! {
    /// Something with capacity.
    struct RawTarget {
        /// Where it runs; the daemon of that region looks after it.
        required region: Name<Region>,
        /// Where its capacity is set.
        required provider: RawProvider,
        /// Bounds of its capacity. The agent never leaves them.
        required capacity: RawBounds,
        /// Price of one unit, in US dollars per hour.
        optional price_usd_per_hour: Price,
        /// From asking for capacity to it being ready. `measure` learns it from
        /// the target's own scale-outs.
        defaulted(json!("measure")) lead_time: RawLeadTime,
        /// Where playbooks reach it, beside its capacity. What is not here, they cannot do.
        defaulted(json!({})) actuators: RawActuators,
        /// Targets that it calls: what is wrong with both at a time is one incident.
        defaulted(json!([])) depends_on: List<Name<TargetId>, 0, DEPENDENCIES_MAX>,
    }
}

fields! {
    /// Bounds of capacity, both inclusive.
    struct RawCapacity {
        /// Never go below this.
        required min: Units,
        /// Never go above this.
        required max: Units,
    }
}

one_of! {
    /// Exactly one platform.
    enum RawProvider {
        /// The desired capacity of an AWS Auto Scaling group.
        AwsAutoScalingGroup = "aws_auto_scaling_group" (RawAutoScalingGroup),
        /// The desired count of an AWS ECS service.
        AwsEcsService = "aws_ecs_service" (RawEcsService),
        /// Any platform that answers GET (current) and PUT (desired).
        Webhook = "webhook" (RawWebhook),
        /// A service of the demo's region.
        Simulated = "simulated" (RawSimulated),
    }
}

fields! {
    /// An AWS Auto Scaling group.
    struct RawAutoScalingGroup {
        /// The group's name.
        required group: ShortText,
    }
}

fields! {
    /// An AWS ECS service.
    struct RawEcsService {
        /// The cluster's name or ARN.
        required cluster: ShortText,
        /// The service's name.
        required service: ShortText,
    }
}

fields! {
    /// A platform behind HTTP.
    struct RawWebhook {
        /// `https://…`, or `http://` on loopback. No user or password in it.
        required url: Url,
        /// File with the key that signs requests. The key itself is never in a document.
        required secret_file: AbsolutePath,
    }
}

fields! {
    /// A service of the demo's region.
    struct RawSimulated {
        /// The service's name there.
        required service: ShortText,
    }
}

/// `measure` or a duration.
pub(in crate::documents) struct RawLeadTime(LeadTime);

/// Longest lead time. Why 1 day: nobody waits longer for one unit.
type GivenLeadTime = Duration<1, 86_400>;

impl Read for RawLeadTime {
    fn schema() -> Json {
        json!({"anyOf": [{"const": "measure"}, GivenLeadTime::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawLeadTime> {
        if node.value == Value::Text("measure".to_owned()) {
            return Some(RawLeadTime(LeadTime::Measure));
        }
        let Duration(given) = GivenLeadTime::read(node, place, faults)?;
        Some(RawLeadTime(LeadTime::Given(given)))
    }
}

/// Address of a webhook.
pub(in crate::documents) struct Url(pub(in crate::documents) String);

impl Read for Url {
    fn schema() -> Json {
        json!({
            "type": "string",
            "maxLength": 512,
            "pattern": "^(https://|http://(localhost|127\\.[0-9.]+|\\[::1\\])(:|/|$))[^@\\s]+$",
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Url> {
        let ShortText(url) = ShortText::read(node, place, faults)?;
        let (message, hint) = match url_fault(&url) {
            None => return Some(Url(url)),
            Some(UrlFault::Credentials) => {
                let message = format!("`{place}` has a user or password in it");
                let hint =
                    "remove everything up to the `@`; requests are signed with `secret_file`";
                faults.secret(node.at, message, hint);
                return None;
            }
            Some(UrlFault::Plain) => (
                format!("`{place}`: {} would send unencrypted over a network", quoted(&url)),
                "write `https://…`; plain `http://` is only for loopback",
            ),
            Some(UrlFault::Form) => (
                format!("`{place}`: {} is not an address", quoted(&url)),
                "write for example `https://platform.example/checkout`",
            ),
        };
        faults.error(node.at, message, hint);
        None
    }
}

enum UrlFault {
    Credentials,
    Plain,
    Form,
}

fn url_fault(url: &str) -> Option<UrlFault> {
    if url.contains('@') {
        return Some(UrlFault::Credentials);
    }
    if !url.bytes().all(|it| it.is_ascii_graphic()) {
        return Some(UrlFault::Form);
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Some(UrlFault::Form) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return Some(UrlFault::Form),
        }
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        authority.split_at(end)
    };
    let port_is_good = port.is_empty()
        || port.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok_and(|it| 0 < it));
    let host_is_good = !host.is_empty()
        && host.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._:".contains(&it));
    if !port_is_good || !host_is_good || url.contains('#') {
        return Some(UrlFault::Form);
    }
    let ip = host.parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || ip.is_ok_and(|it| it.is_loopback());
    match scheme {
        "https" => None,
        "http" if is_loopback => None,
        "http" => Some(UrlFault::Plain),
        _ => Some(UrlFault::Form),
    }
}

/// A file of the daemon's host.
pub(in crate::documents) struct AbsolutePath(pub(in crate::documents) String);

impl Read for AbsolutePath {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^/", "maxLength": 512})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<AbsolutePath> {
        let ShortText(path) = ShortText::read(node, place, faults)?;
        if path.starts_with('/') {
            return Some(AbsolutePath(path));
        }
        // Somebody may have put the key itself here.
        let message = format!("`{place}` must be the full path of a file");
        faults.secret(node.at, message, "begin it with `/`; the key itself stays in that file");
        None
    }
}

impl RawTarget {
    /// The targets that it calls, each where it is written.
    pub(in crate::documents) fn dependencies(&self) -> Vec<At<TargetId>> {
        let called = self.depends_on.value.0.iter();
        called.map(|At { value: Name(name), at }| At { value: name.clone(), at: *at }).collect()
    }

    /// The target of that name; nothing is left to check between the fields.
    pub(in crate::documents) fn checked(self, id: TargetId, labels: Labels) -> Target {
        let RawTarget {
            region,
            provider,
            capacity,
            price_usd_per_hour,
            lead_time,
            actuators,
            depends_on,
        } = self;
        Target {
            id,
            labels,
            region: region.value.0,
            provider: provider.value.checked(),
            bounds: capacity.value.0,
            price_usd_per_hour: price_usd_per_hour.map(|it| it.value.0),
            lead_time: lead_time.value.0,
            actuators: actuators.value.checked(),
            depends_on: depends_on.value.0.into_iter().map(|it| it.value.0).collect(),
        }
    }
}

/// Bounds of which the lower is not above the upper. Checked while reading, so
/// that a fault elsewhere in the document does not hide this one.
pub(in crate::documents) struct RawBounds(Bounds);

impl Read for RawBounds {
    fn schema() -> Json {
        RawCapacity::schema()
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawBounds> {
        let RawCapacity { min, max } = RawCapacity::read(node, place, faults)?;
        bounds(&min, &max, faults).map(RawBounds)
    }
}

fn bounds(min: &At<Units>, max: &At<Units>, faults: &mut Faults) -> Option<Bounds> {
    let (Units(low), Units(high)) = (&min.value, &max.value);
    if *high == 0 {
        faults.error(
            max.at,
            "capacity.max is 0, so the target could never run",
            "write at least 1; to have no unit at times, set `min: 0`",
        );
        return None;
    }
    if high < low {
        faults.error(
            min.at,
            format!("capacity.min ({low}) is above capacity.max ({high})"),
            "swap the two, or set both to the same value to pin the target",
        );
        return None;
    }
    Some(Bounds { min: Capacity(*low), max: Capacity(*high) })
}

impl RawProvider {
    fn checked(self) -> ProviderRef {
        match self {
            RawProvider::AwsAutoScalingGroup(RawAutoScalingGroup { group }) => {
                ProviderRef::AwsAutoScalingGroup { group: group.value.0 }
            }
            RawProvider::AwsEcsService(RawEcsService { cluster, service }) => {
                ProviderRef::AwsEcsService { cluster: cluster.value.0, service: service.value.0 }
            }
            RawProvider::Webhook(RawWebhook { url, secret_file }) => {
                ProviderRef::Webhook { url: url.value.0, secret_file: secret_file.value.0 }
            }
            RawProvider::Simulated(RawSimulated { service }) => {
                ProviderRef::Simulated { service: service.value.0 }
            }
        }
    }
}
