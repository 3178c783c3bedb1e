//! Where playbooks reach a simulated region: its units by name, its traffic, its deployments,
//! its commands.
//!
//! **In:** [`Action`]s and [`LookAt`]s of the agent, for one service each.
//! **Out:** [`Seen`]; levers that are pulled, now or late, in part or not at all, as the
//! provider's knobs say; receipts.
//! **Not here:** changes of capacity ([`crate::provider`]), which command does what
//! ([`commands`]), when an effect leaves ([`crate::run`]).

pub mod commands;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use evenkeel_core::action::{Action, InstanceSeen, LookAt, Receipt, Seen};
use evenkeel_core::ids::{EffectId, InstanceName, TenantName};
use evenkeel_core::units::Capacity;
use jiff::{SignedDuration, Timestamp};

use crate::exporter::INSTANCES_MAX;
use crate::provider::{Admission, Answer, Provider, Reply};
use crate::world::World;

/// Receipts that are kept of one command or webhook, the newest. Why 1,000: a run of a year
/// makes fewer, and a step asks for its own within minutes.
const RECEIPTS_MAX: usize = 1_000;

/// What waits for its time under late changes; more is refused.
const LATE_MAX: usize = 1_000;

/// Something that is done late.
#[derive(Clone, Debug)]
struct Late {
    due_at: i64,
    service: usize,
    id: EffectId,
    action: Action,
    done_ratio: f64,
}

/// The site's side of every act: what it keeps.
#[derive(Clone, Debug, Default)]
pub struct Actuators {
    receipts: BTreeMap<String, BTreeMap<EffectId, Receipt>>,
    late: VecDeque<Late>,
    /// Services whose other automation was stopped.
    stopped: Vec<bool>,
}

impl Actuators {
    /// Of a region with so many services.
    pub fn new(n_services: usize) -> Actuators {
        Actuators { stopped: vec![false; n_services], ..Actuators::default() }
    }

    /// Whether another automation that sets the units of a service was stopped.
    pub fn is_stopped(&self, service: usize) -> bool {
        self.stopped.get(service).copied().unwrap_or(false)
    }

    /// Does what is late and due. To be called once after every [`World::tick`].
    pub fn tick(&mut self, world: &mut World) {
        let second = world.second();
        while self.late.front().is_some_and(|it| it.due_at <= second) {
            let Some(it) = self.late.pop_front() else { break };
            // Who asked was answered long ago.
            let _ = self.carry_out(world, it.service, it.id, &it.action, it.done_ratio);
        }
    }

    /// What is there.
    ///
    /// # Errors
    ///
    /// Why nobody can say now.
    pub fn look(
        &self,
        world: &World,
        provider: &mut Provider,
        service: usize,
        at: &LookAt,
    ) -> Result<Seen, String> {
        match at {
            LookAt::Capacity => {
                let inventory = provider.read(world, service)?;
                Ok(Seen::Capacity { current: Capacity(inventory.desired) })
            }
            LookAt::Instances | LookAt::Traffic => {
                let shown_ratio = provider.inspect(service)?;
                let has_weights = matches!(at, LookAt::Traffic);
                let instances = instances(world, service, has_weights, shown_ratio);
                Ok(Seen::Instances { instances })
            }
            LookAt::Revision => {
                provider.inspect(service)?;
                let (current, previous) = world.revisions(service);
                Ok(Seen::Revision { current, previous })
            }
            LookAt::Command { command: name } | LookAt::Webhook { webhook: name } => {
                if !commands::is_known(name.as_str()) {
                    return Err(format!("`{name}` is not in the allow-list"));
                }
                let receipts = self.receipts.get(name.as_str()).cloned().unwrap_or_default();
                Ok(Seen::Receipts { receipts })
            }
            LookAt::TenantLimits => {
                provider.inspect(service)?;
                let limits = world
                    .tenant_limits(service)
                    .into_iter()
                    .filter_map(|(name, limit)| Some((TenantName::new(name).ok()?, whole(limit))));
                Ok(Seen::TenantLimits { limits: limits.collect() })
            }
            LookAt::Terraform { workspace, .. } => {
                Err(format!("there is no Terraform workspace `{workspace}` in a simulated region"))
            }
        }
    }

    /// Carries one action out, or not, as the provider's knobs say. Twice with one `id` is once.
    pub fn act(
        &mut self,
        world: &mut World,
        provider: &mut Provider,
        service: usize,
        id: EffectId,
        action: &Action,
    ) -> Reply {
        if let Action::SetCapacity { desired } = action {
            return provider.set_units(world, service, desired.0, None);
        }
        let second = world.second();
        let (happens, delay_seconds, done_ratio, reply) = match provider.admit(second, service) {
            Admission::Refused(reply) => return reply,
            Admission::Taken { happens, delay_seconds, done_ratio, reply } => {
                (happens, delay_seconds, done_ratio, reply)
            }
        };
        if !happens {
            return reply;
        }
        if 0 < delay_seconds {
            if LATE_MAX <= self.late.len() {
                let answer = Answer::Rejected(format!("{LATE_MAX} changes wait already"));
                return Reply { answer, ..reply };
            }
            let due_at = second.saturating_add(delay_seconds);
            let place = self.late.partition_point(|it| it.due_at <= due_at);
            let late = Late { due_at, service, id, action: action.clone(), done_ratio };
            self.late.insert(place, late);
            return reply;
        }
        match self.carry_out(world, service, id, action, done_ratio) {
            Ok(()) => reply,
            Err(why) => Reply { answer: Answer::Rejected(why), ..reply },
        }
    }

    fn carry_out(
        &mut self,
        world: &mut World,
        service: usize,
        id: EffectId,
        action: &Action,
        done_ratio: f64,
    ) -> Result<(), String> {
        let ids = |names: &BTreeSet<InstanceName>| some_of(world, service, names, done_ratio);
        match action {
            Action::SetCapacity { desired } => world.set_units(service, desired.0),
            Action::RestartInstances { instances } => {
                let ids = ids(instances);
                world.restart_units(service, &ids);
            }
            Action::ReplaceInstances { instances } => {
                let ids = ids(instances);
                world.replace_units(service, &ids);
            }
            Action::SetWeights { weights } => {
                let names = weights.keys().cloned().collect();
                let done = ids(&names);
                let weights = weights.iter().filter_map(|(name, weight)| {
                    let id = world.unit_id(service, name.as_str())?;
                    done.contains(&id).then_some((id, *weight))
                });
                let weights: Vec<(u32, u32)> = weights.collect();
                world.weigh_units(service, &weights);
            }
            Action::SetDrained { instances, is_drained } => {
                let ids = ids(instances);
                world.drain_units(service, &ids, *is_drained);
            }
            Action::SetRevision { revision } => world.set_revision(service, revision)?,
            Action::LimitTenants { limits } => {
                let n = part(limits.len(), done_ratio).max(1);
                for (tenant, limit) in limits.iter().take(n) {
                    world.limit_tenant(service, tenant.as_str(), limit.map(f64::from))?;
                }
            }
            Action::RunCommand { command, arguments } => {
                self.run(world, service, id, command.as_str(), arguments)?;
            }
            Action::CallWebhook { webhook, fields } => {
                let arguments: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                self.run(world, service, id, webhook.as_str(), &arguments)?;
            }
            Action::ApplyTerraform { workspace, .. } => {
                return Err(format!("there is no Terraform workspace `{workspace}`"));
            }
        }
        Ok(())
    }

    /// Runs a command once per effect, and writes down how it ended.
    fn run(
        &mut self,
        world: &mut World,
        service: usize,
        id: EffectId,
        name: &str,
        arguments: &[String],
    ) -> Result<(), String> {
        if self.receipts.get(name).is_some_and(|it| it.get(&id) == Some(&Receipt::Done)) {
            return Ok(());
        }
        let done = commands::carry_out(world, &mut self.stopped, service, name, arguments);
        let receipts = self.receipts.entry(name.to_owned()).or_default();
        receipts.insert(id, if done.is_ok() { Receipt::Done } else { Receipt::Failed });
        while RECEIPTS_MAX < receipts.len() {
            receipts.pop_first();
        }
        done
    }
}

/// Units as their platform lists them; so large a share of them.
fn instances(
    world: &World,
    service: usize,
    has_weights: bool,
    shown_ratio: f64,
) -> Vec<InstanceSeen> {
    let units = world.units(service, INSTANCES_MAX);
    let n = part(units.len(), shown_ratio);
    let zones = &world.spec().zones;
    let seen = units.into_iter().take(n).filter_map(|unit| {
        let since = SignedDuration::from_secs(unit.started_at);
        let started_at: Option<Timestamp> = world.start().checked_add(since).ok();
        Some(InstanceSeen {
            name: InstanceName::new(&world.unit_name(service, unit.id)).ok()?,
            zone: zones.get(unit.zone).cloned(),
            is_ready: unit.is_ready,
            is_drained: unit.is_drained,
            weight: has_weights.then_some(unit.weight),
            started_at,
        })
    });
    seen.collect()
}

/// The numbers of the units that are meant, as many of them as are done; who is gone is gone.
fn some_of(
    world: &World,
    service: usize,
    names: &BTreeSet<InstanceName>,
    done_ratio: f64,
) -> Vec<u32> {
    let n = part(names.len(), done_ratio).max(1);
    names.iter().take(n).filter_map(|it| world.unit_id(service, it.as_str())).collect()
}

/// Whole requests per second.
fn whole(limit: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let whole = limit.round() as u32;
    whole
}

/// A share of `n`, rounded down.
fn part(n: usize, ratio: f64) -> usize {
    if 1.0 <= ratio {
        return n;
    }
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let part = (f64::from(n) * ratio + 1e-9).floor() as usize;
    part
}
