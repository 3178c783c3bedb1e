//! Servers of a HAProxy backend and a map of its tenants, through its runtime API.
//!
//! **In:** the socket's path, a backend, weights and names of servers; a map and limits.
//! **Out:** the backend's servers; a new weight or administrative state for some of them.
//! **Not here:** the socket (see [`socket`]), the list of servers (see [`servers`]), the map
//! (see [`tenants`]).
//!
//! HAProxy forgets what was set at run time when it restarts or reloads its configuration,
//! unless `server-state-file` keeps it. The socket needs `level admin`, and the daemon's
//! account the right to write to it.

mod servers;
mod socket;
mod tenants;

use std::path::Path;

use async_trait::async_trait;
use evenkeel_core::action::{Action, InstanceSeen, LookAt, Seen};
use evenkeel_core::documents::ActuatorRef;
use evenkeel_core::ids::InstanceName;

use crate::actuator::{
    ActRequest, Actuator, LookRequest, failed_at, instance_name, not_offered, not_served,
    to_limits, to_seen,
};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::{EffectReport, one_line};
use crate::providers::Limits;
use servers::Server;
use tenants::MapPlace;

/// The platform's name.
const PLATFORM: &str = "haproxy";

/// Largest weight that HAProxy takes.
const WEIGHT_MAX: u32 = 256;

/// Sets weights and administrative states of servers.
pub(crate) struct Haproxy {
    limits: Limits,
}

/// Where a backend is.
#[derive(Clone, Copy)]
struct Place<'a> {
    socket: &'a Path,
    backend: &'a str,
}

/// What one server is to be like.
#[derive(Clone, Copy)]
enum Wanted {
    Weight(u32),
    Drained(bool),
}

impl Haproxy {
    pub(crate) fn new(limits: Limits) -> Haproxy {
        Haproxy { limits }
    }

    /// The servers of a backend that is there.
    async fn servers(&self, place: Place<'_>) -> Result<Vec<Server>, ReadError> {
        let what = place.what();
        place.check().map_err(|reason| ReadError::NotSent { what: what.clone(), reason })?;
        let command = format!("show servers state {}", place.backend);
        let answer = socket::ask(place.socket, &command, self.limits.call)
            .await
            .map_err(|failure| failure.to_read_error(&what))?;
        match answer.trim() {
            "Can't find backend." => {
                let hint = "compare the name with the `backend` sections of its configuration";
                return Err(ReadError::Absent { what, hint: hint.to_owned() });
            }
            text if is_refusal(text) => {
                return Err(ReadError::Refused { what, reason: shown(text) });
            }
            _ => {}
        }
        servers::parse(&answer, place.backend).map_err(|reason| ReadError::Silent { what, reason })
    }

    async fn try_act(
        &self,
        reference: &ActuatorRef,
        action: &Action,
    ) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let place = place_of(reference).map_err(|error| rejected(&error.to_string()))?;
        let what = place.what();
        let wanted = to_wanted(&what, action)?;
        // Nothing is sent that changes anything before every name was found here.
        let servers = self.servers(place).await.map_err(|error| {
            rejected(&format!("nothing was sent, because the servers could not be read: {error}"))
        })?;
        let mut commands = Vec::new();
        for (name, wanted) in &wanted {
            let server = servers
                .iter()
                .find(|it| it.name == name.as_str())
                .ok_or_else(|| rejected(&no_such_server(&what, name, &servers)))?;
            if let Some(change) = change_of(server, *wanted).map_err(|reason| rejected(&reason))? {
                let command = format!("set server {}/{name} {change}", place.backend);
                commands.push((*name, command));
            }
        }
        for (n_done, (name, command)) in commands.iter().enumerate() {
            let answer = socket::ask(place.socket, command, self.limits.call).await;
            let confirmed = answer.and_then(|it| confirmation(&it));
            confirmed.map_err(|failure| failed_at(name, n_done, &failure))?;
        }
        let was_so = wanted.len() - commands.len();
        let mut detail =
            format!("{} of {what}: {}", shown_count(wanted.len()), shown_wanted(action));
        if 0 < was_so {
            detail.push_str(&format!(" ({was_so} already so)"));
        }
        Ok(EffectReport::done(&detail))
    }
}

#[async_trait]
impl Actuator for Haproxy {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        if let ActuatorRef::HaproxyMap { socket, map } = &request.reference {
            let place = MapPlace::new(socket, map);
            if request.at != LookAt::TenantLimits {
                return Err(not_served(place.what(), &request.at, "`actuators.tenants` only"));
            }
            let limits = self.limits_of(place).await?;
            return to_limits(&place.what(), limits);
        }
        let place = place_of(&request.reference)?;
        let what = place.what();
        if request.at != LookAt::Traffic {
            return Err(not_served(what, &request.at, "`actuators.traffic` only"));
        }
        let servers = self.servers(place).await?;
        let seen = servers.iter().map(|it| to_instance(&what, it)).collect::<Result<_, _>>()?;
        to_seen(&what, seen)
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        let done = match reference {
            ActuatorRef::HaproxyMap { socket, map } => {
                self.try_limit(MapPlace::new(socket, map), &request.action).await
            }
            ActuatorRef::Haproxy { .. }
            | ActuatorRef::AwsAutoScalingGroup { .. }
            | ActuatorRef::AwsEcsService { .. }
            | ActuatorRef::Webhook { .. }
            | ActuatorRef::Simulated { .. } => self.try_act(reference, &request.action).await,
        };
        done.unwrap_or_else(|report| report)
    }
}

impl Place<'_> {
    fn what(&self) -> String {
        let socket = one_line(&self.socket.display().to_string(), 120);
        format!("HAProxy backend `{}` at `{socket}`", one_line(self.backend, 80))
    }

    /// Whether the backend's name can stand in a command, and the socket be opened.
    fn check(&self) -> Result<(), String> {
        /// What HAProxy allows in a name. A space, `;` or newline would end the word or
        /// begin another command.
        fn is_allowed(it: char) -> bool {
            it.is_ascii_alphanumeric() || "-_.:".contains(it)
        }
        /// HAProxy gives no limit; names are words.
        const NAME_BYTES_MAX: usize = 128;
        if self.backend.is_empty() {
            return Err("the backend's name is empty".to_owned());
        }
        if NAME_BYTES_MAX < self.backend.len() {
            let n = self.backend.len();
            return Err(format!("the backend's name has {n} bytes, at most {NAME_BYTES_MAX}"));
        }
        if let Some(found) = self.backend.chars().find(|it| !is_allowed(*it)) {
            return Err(format!(
                "the backend's name contains {found:?}; a name has only letters, digits and `-_.:`"
            ));
        }
        if !self.socket.is_absolute() {
            return Err("the socket's path must begin with `/`".to_owned());
        }
        Ok(())
    }
}

/// The backend of a reference that was routed here.
fn place_of(reference: &ActuatorRef) -> Result<Place<'_>, ReadError> {
    match reference {
        ActuatorRef::Haproxy { socket, backend } => {
            Ok(Place { socket: Path::new(socket), backend })
        }
        ActuatorRef::HaproxyMap { .. }
        | ActuatorRef::AwsAutoScalingGroup { .. }
        | ActuatorRef::AwsEcsService { .. }
        | ActuatorRef::Webhook { .. }
        | ActuatorRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

/// What each server is to be like.
fn to_wanted<'a>(
    what: &str,
    action: &'a Action,
) -> Result<Vec<(&'a InstanceName, Wanted)>, EffectReport> {
    let wanted: Vec<(&InstanceName, Wanted)> = match action {
        Action::SetWeights { weights } => {
            weights.iter().map(|(name, weight)| (name, Wanted::Weight(*weight))).collect()
        }
        Action::SetDrained { instances, is_drained } => {
            instances.iter().map(|name| (name, Wanted::Drained(*is_drained))).collect()
        }
        Action::SetCapacity { .. }
        | Action::RestartInstances { .. }
        | Action::ReplaceInstances { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => {
            return Err(not_offered(what, action, "shift_traffic and drain"));
        }
    };
    if wanted.is_empty() {
        return Err(EffectReport::rejected("the action names no server"));
    }
    let too_heavy = |it: &&(&InstanceName, Wanted)| matches!(it.1, Wanted::Weight(weight) if WEIGHT_MAX < weight);
    if let Some((name, Wanted::Weight(weight))) = wanted.iter().find(too_heavy) {
        return Err(EffectReport::rejected(&format!(
            "weight {weight} of {name} is above {WEIGHT_MAX}, the most that HAProxy takes"
        )));
    }
    Ok(wanted)
}

/// The end of the command that makes a server as wanted; `None` when it is so already.
fn change_of(server: &Server, wanted: Wanted) -> Result<Option<String>, String> {
    match wanted {
        Wanted::Weight(weight) if server.weight == weight => Ok(None),
        Wanted::Weight(weight) => Ok(Some(format!("weight {weight}"))),
        Wanted::Drained(true) if server.is_out() => Ok(None),
        Wanted::Drained(true) => Ok(Some("state drain".to_owned())),
        Wanted::Drained(false) if !server.is_out() => Ok(None),
        // `ready` would also end a maintenance that a person began.
        Wanted::Drained(false) if server.is_only_drained() => Ok(Some("state ready".to_owned())),
        Wanted::Drained(false) => Err(format!(
            "`{}` was not drained by the agent: it is in maintenance or follows another server; \
             whoever did that has to put it back",
            server.name
        )),
    }
}

/// Whether a command was carried out: HAProxy answers with an empty line.
fn confirmation(answer: &str) -> Result<(), Failure> {
    match answer.trim() {
        "" => Ok(()),
        text if is_refusal(text) => Err(Failure::Refused(shown(text))),
        text => Err(Failure::Silent(format!("HAProxy answers {}", shown(text)))),
    }
}

/// Whether HAProxy says that it did nothing. Its words differ from version to version; what
/// is not here counts as unknown and is read back.
fn is_refusal(text: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "Absolute weight",
        "Backend is using a static LB algorithm",
        "Can't find",
        "No such",
        "Permission denied",
        "Relative weight",
        "Require",
        "Unknown",
        "entry not found",
        "unable to parse",
    ];
    BEGINNINGS.iter().any(|it| text.starts_with(it))
}

/// HAProxy's words, for people.
fn shown(text: &str) -> String {
    const SHOWN_BYTES_MAX: usize = 160;
    let hint = if text.starts_with("Permission denied") {
        "; its `stats socket` needs `level admin`"
    } else {
        ""
    };
    format!("`{}`{hint}", one_line(text, SHOWN_BYTES_MAX))
}

fn no_such_server(what: &str, name: &InstanceName, servers: &[Server]) -> String {
    /// Why 10: a line that a person still reads.
    const NAMES_SHOWN: usize = 10;
    let names: Vec<&str> = servers.iter().take(NAMES_SHOWN).map(|it| it.name.as_str()).collect();
    let more = if names.len() < servers.len() { ", …" } else { "" };
    format!("there is no server `{name}` in {what}; it has {}{more}", names.join(", "))
}

fn shown_count(n: usize) -> String {
    if n == 1 { "1 server".to_owned() } else { format!("{n} servers") }
}

fn shown_wanted(action: &Action) -> String {
    one_line(&action.to_string(), 200)
}

fn to_instance(what: &str, server: &Server) -> Result<InstanceSeen, ReadError> {
    Ok(InstanceSeen {
        name: instance_name(what, &server.name)?,
        zone: None,
        is_ready: server.is_up,
        is_drained: server.is_out(),
        weight: Some(server.weight),
        started_at: None,
    })
}
