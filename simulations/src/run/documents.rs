//! The agent's documents for a region that brings none of its own.
//!
//! **In:** a [`WorldSpec`]. **Out:** the YAML that an author would write first: one target and
//! one policy per scaled service, everything else left to the defaults; and what the loader
//! makes of it.
//! **Not here:** documents of a scenario's own ([`crate::scenario`] reads them).

use std::fmt::Write as _;
use std::sync::Arc;

use evenkeel_core::documents::{Documents, SourceText, load};

use crate::world::{ServiceKind, ServiceSpec, WorldSpec};

/// Share of what a unit can do that a policy plans with.
///
/// Why 0.7: what most people set, and what HPA is compared at.
const PLANNED_UTILISATION: f64 = 0.7;

/// Share of the time that may fall short. Why 0.5 %: the capacity benchmark's.
const SHORT_TIME_RATIO: f64 = 0.005;

/// Share of a worker's objective within which the agent plans to drain a queue.
///
/// Why half: the other half is for units to boot.
const DRAIN_SHARE: f64 = 0.5;

/// The documents of `world`, as text.
pub fn text(world: &WorldSpec) -> String {
    written(world, false)
}

/// The documents of `world` for playbooks, as text: all services are targets, with everything
/// that playbooks reach and with what they call; and two people may do everything.
pub fn healing_text(world: &WorldSpec) -> String {
    let people = "---\napiVersion: evenkeel/v1\nkind: Access\nmetadata: { name: people }\nspec:\n  \
         people:\n    - { name: ana, unix_user: ana }\n    - { name: ben, unix_user: ben }\n    \
         - { name: oncall, unix_user: oncall }\n  \
         grants:\n    - { role: admin, to: [ana, ben, oncall], selector: { everything: true } }\n";
    written(world, true) + people
}

fn written(world: &WorldSpec, heals: bool) -> String {
    let mut text = String::new();
    for (service, unit_rps) in
        world.services.iter().zip(world.unit_rps()).filter(|(it, _)| heals || it.is_scaled)
    {
        let ServiceSpec { name, units_min, units_max, unit_usd_per_hour, .. } = service;
        let per_unit = PLANNED_UTILISATION * unit_rps;
        let labels = if heals { format!(", kind: {}", kind_of(service)) } else { String::new() };
        let objective_ms = (1_000.0 * service.objective_seconds).round().max(1.0);
        // Writing to a `String` cannot fail.
        let _infallible = write!(
            text,
            "---\napiVersion: evenkeel/v1\nkind: Target\n\
             metadata: {{ name: {name}, labels: {{ service: {name}{labels} }} }}\n\
             spec:\n  region: simulated\n  provider: {{ simulated: {{ service: {name} }} }}\n  \
             capacity: {{ min: {units_min}, max: {units_max} }}\n  \
             price_usd_per_hour: {unit_usd_per_hour}\n"
        );
        if heals {
            let _infallible = write!(
                text,
                "  actuators:\n    instances: {{ simulated: {{ service: {name} }} }}\n    \
                 traffic: {{ simulated: {{ service: {name} }} }}\n    \
                 deployment: {{ simulated: {{ service: {name} }} }}\n  depends_on: [{}]\n",
                callees(world, service)
            );
        }
        if !service.is_scaled {
            continue;
        }
        let _infallible = write!(
            text,
            "---\napiVersion: evenkeel/v1\nkind: ScalingPolicy\n\
             metadata: {{ name: follow-{name} }}\n\
             spec:\n  selector: {{ match_labels: {{ service: {name} }} }}\n  autonomy: auto\n  \
             target_label: service\n  signals:\n"
        );
        let _infallible = match service.kind {
            ServiceKind::Workers { .. } => write!(
                text,
                "    - {{ name: arrivals, query: queue_arrivals_per_second, value_per_unit: {per_unit} }}\n    \
                 - {{ name: queue, query: queue_depth, queue_depth: {{ drained_within: {}s, rate_per_unit: {} }} }}\n",
                (DRAIN_SHARE * service.objective_seconds).round().max(1.0),
                unit_rps,
            ),
            ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
                write!(
                    text,
                    "    - {{ name: requests, query: http_requests_per_second, value_per_unit: {per_unit} }}\n    \
                     - {{ name: latency, query: latency_p95_seconds, latency_objective: {{ objective: {objective_ms}ms }} }}\n",
                )
            }
        };
        let _infallible =
            writeln!(text, "  forecast: {{ shortfall: {{ time_ratio_max: {SHORT_TIME_RATIO} }} }}");
    }
    text
}

/// The services that one calls, as a list.
fn callees(world: &WorldSpec, service: &ServiceSpec) -> String {
    let callees = service.calls.iter().filter_map(|it| world.services.get(it.service));
    let names: std::collections::BTreeSet<&str> = callees.map(|it| it.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// As scenarios write it.
fn kind_of(service: &ServiceSpec) -> &'static str {
    match service.kind {
        ServiceKind::Web { .. } => "web",
        ServiceKind::Workers { .. } => "workers",
        ServiceKind::Cache { .. } => "cache",
        ServiceKind::Database { .. } => "database",
    }
}

/// The documents of `world`, loaded as a daemon loads them.
///
/// # Errors
///
/// What the loader says, where a service has a name that no document may have.
pub fn made_up(world: &WorldSpec) -> Result<Arc<Documents>, String> {
    let text = text(world);
    let loaded = load(&[SourceText { file: "made-up.yaml", text: &text }]);
    match loaded.documents {
        Some(documents) => Ok(Arc::new(documents)),
        None => Err(loaded
            .diagnostics
            .first()
            .map_or_else(|| "the documents cannot be loaded".to_owned(), |it| it.message.clone())),
    }
}
