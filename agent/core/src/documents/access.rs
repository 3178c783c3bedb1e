//! `Access`: who may do what.
//!
//! **In:** an authenticated [`Identity`], a role needed and the targets touched.
//! **Out:** a [`Principal`], or a [`Denial`] that says what is missing.
//! **Not here:** authentication itself (the shell reads the peer of a socket or
//! a token), approval of runs.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::{Selector, Target};
use crate::ids::Actor;

/// What a person may do, from least to most. A higher role includes the lower.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read everything.
    Viewer,
    /// Set and expire overrides.
    Operator,
    /// Everything, also on targets outside their own selector.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        })
    }
}

/// Proof of who is asking, as the shell established it.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// The peer of a Unix socket, from the kernel.
    UnixUser { uid: u32, name: String, is_daemon_owner: bool },
    /// SHA-256 of the bearer token that came over TLS.
    Token { sha256: [u8; 32] },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::UnixUser { uid, name, .. } => write!(f, "UnixUser({name}, uid {uid})"),
            // Not even the hash: it would allow an offline search for weak tokens.
            Identity::Token { .. } => f.write_str("Token(…)"),
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name that records and messages show.
    pub name: Actor,
    /// Account on the daemon's host, for the Unix socket.
    pub unix_user: Option<String>,
    /// SHA-256 of each token, for TLS.
    pub token_sha256s: Vec<[u8; 32]>,
}

/// A role on some targets, for people and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// Who, groups already resolved to people.
    pub people: BTreeSet<Actor>,
    /// On which targets. Empty selects nothing.
    pub selector: Selector,
}

/// All `Access` documents together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Everybody known.
    pub people: Vec<Person>,
    /// What they may do.
    pub grants: Vec<Grant>,
}

/// An authenticated and known person (or the daemon's owner) with their grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name for records.
    pub actor: Actor,
    grants: Vec<(Role, Selector)>,
}

/// Why somebody may not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The identity is in no `Access` document.
    #[error("{identity} is not known to any `Access` document")]
    Unknown { identity: String },
    /// Known, but without the role anywhere.
    #[error("{actor} has no role `{needed}`")]
    Role { actor: Actor, needed: Role },
    /// Has the role, but not on every target touched.
    #[error("{actor} has no role `{needed}` on target `{target}`")]
    Target { actor: Actor, needed: Role, target: String },
}

impl Access {
    /// Who `identity` is.
    ///
    /// The daemon's own account on its Unix socket is an admin without any
    /// document: it can stop the process and edit the documents anyway.
    ///
    /// # Errors
    ///
    /// [`Denial::Unknown`].
    pub fn principal(&self, identity: &Identity) -> Result<Principal, Denial> {
        let person = self.people.iter().find(|person| match identity {
            Identity::UnixUser { name, .. } => person.unix_user.as_deref() == Some(name),
            Identity::Token { sha256 } => person.token_sha256s.contains(sha256),
        });
        let mut grants: Vec<(Role, Selector)> = Vec::new();
        let actor = match (person, identity) {
            (Some(person), _) => {
                grants.extend(
                    self.grants
                        .iter()
                        .filter(|it| it.people.contains(&person.name))
                        .map(|it| (it.role, it.selector.clone())),
                );
                person.name.clone()
            }
            (None, Identity::UnixUser { name, uid, is_daemon_owner: true }) => {
                // An account called like the agent must not pass for it.
                let named = Actor::new(name).ok().filter(|it| *it != Actor::agent());
                let numbered = || Actor::new(&format!("uid-{uid}")).ok();
                named.or_else(numbered).ok_or_else(|| Denial::Unknown {
                    identity: format!("Unix user with uid {uid}"),
                })?
            }
            (None, Identity::UnixUser { name, uid, is_daemon_owner: false }) => {
                let identity = format!("Unix user `{name}` (uid {uid})");
                return Err(Denial::Unknown { identity });
            }
            (None, Identity::Token { .. }) => {
                return Err(Denial::Unknown { identity: "the token".to_owned() });
            }
        };
        if matches!(identity, Identity::UnixUser { is_daemon_owner: true, .. }) {
            grants.push((Role::Admin, Selector::everything()));
        }
        Ok(Principal { actor, grants })
    }
}

impl Principal {
    /// The highest role held anywhere; `None` without any grant.
    pub fn role(&self) -> Option<Role> {
        self.grants.iter().map(|(role, _)| *role).max()
    }

    /// Checks that the role is held on something.
    ///
    /// # Errors
    ///
    /// [`Denial::Role`].
    pub fn require(&self, needed: Role) -> Result<(), Denial> {
        if self.role().is_some_and(|it| needed <= it) {
            Ok(())
        } else {
            Err(Denial::Role { actor: self.actor.clone(), needed })
        }
    }

    /// Checks that the role is held on every one of `targets`. An admin holds
    /// every role everywhere.
    ///
    /// # Errors
    ///
    /// [`Denial::Role`] or [`Denial::Target`] with the first target missing.
    pub fn require_on<'a>(
        &self,
        needed: Role,
        targets: impl IntoIterator<Item = &'a Target>,
    ) -> Result<(), Denial> {
        self.require(needed)?;
        if self.role() == Some(Role::Admin) {
            return Ok(());
        }
        let held: Vec<&Selector> =
            self.grants.iter().filter(|(role, _)| needed <= *role).map(|(_, it)| it).collect();
        match targets.into_iter().find(|target| !held.iter().any(|it| it.selects(target))) {
            None => Ok(()),
            Some(target) => Err(Denial::Target {
                actor: self.actor.clone(),
                needed,
                target: target.id.to_string(),
            }),
        }
    }
}
