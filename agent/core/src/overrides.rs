//! Overrides: what people told the agent, and until when.
//!
//! **In:** accepted overrides and a time.
//! **Out:** which one rules a target. State is derived from time, never stored.
//! **Not here:** who may set one ([`crate::documents::Access`]), accepting and
//! ending them ([`crate::request`]).

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Target;
use crate::ids::{Actor, Labels, OverrideId, Region, TargetId};
use crate::units::Capacity;

/// How long an override lasts when nobody says.
///
/// Why 4 h: longer than nearly every incident, shorter than a shift, so that
/// it is never inherited unseen.
pub const OVERRIDE_DEFAULT: SignedDuration = SignedDuration::from_hours(4);

/// The longest an override may last.
///
/// Why 72 h: a long weekend. What shall hold for longer belongs in a document.
pub const OVERRIDE_MAX: SignedDuration = SignedDuration::from_hours(72);

/// How many overrides of people may be in force at once. Why 1,000: more than
/// any team keeps in mind, and every evaluation looks at most of them. The
/// agent's own holds, at most one per target, do not count: they must not keep
/// a person from freezing.
pub const OVERRIDES_MAX: usize = 1_000;

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;

/// One instruction from a person. Immutable once recorded; to change it, expire
/// it and set another, so that the journal keeps what was in force when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Override {
    /// Its number, never used twice.
    pub id: OverrideId,
    /// What it does.
    #[serde(flatten)]
    pub kind: OverrideKind,
    /// What it is about.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub scope: Scope,
    /// Who set it, as authenticated.
    pub actor: Actor,
    /// Why. Shown wherever the override changes what happens.
    pub reason: String,
    /// First instant in force.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub starts_at: Timestamp,
    /// First instant no longer in force.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub ends_at: Timestamp,
}

/// What an override does, from most to least restrictive; where several are in
/// force, the first in this order wins.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OverrideKind {
    /// No effect at all.
    Freeze,
    /// No effect at all, and every run ends as it is: a person has it in hand. When it
    /// expires, the agent only suggests until somebody hands it back.
    Takeover,
    /// Keep the current capacity.
    Hold,
    /// Capacity may grow, never shrink.
    NoScaleDown,
    /// Exactly this capacity.
    Pin {
        /// Within the bounds of every target in scope.
        capacity: Capacity,
    },
}

impl OverrideKind {
    /// The word for it, as on the command line.
    pub fn word(self) -> &'static str {
        match self {
            OverrideKind::Freeze => "freeze",
            OverrideKind::Takeover => "takeover",
            OverrideKind::Hold => "hold",
            OverrideKind::NoScaleDown => "no-scale-down",
            OverrideKind::Pin { .. } => "pin",
        }
    }
}

impl fmt::Display for OverrideKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OverrideKind::Pin { capacity } => write!(f, "pin at {capacity}"),
            OverrideKind::Freeze
            | OverrideKind::Takeover
            | OverrideKind::Hold
            | OverrideKind::NoScaleDown => f.pad(self.word()),
        }
    }
}

/// What an override is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Scope {
    /// One target.
    Target(TargetId),
    /// Every target with all of these labels; never empty.
    Labels(Labels),
    /// Every target of a region.
    Region(Region),
    /// Every target.
    Everything,
}

/// Text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a scope: {why}; write a target's name, `team=payments,tier=web`, `region:NAME` or `all`"
)]
pub struct ScopeError {
    text: String,
    why: String,
}

impl Scope {
    /// Whether `target` is in scope.
    pub fn covers(&self, target: &Target) -> bool {
        match self {
            Scope::Target(id) => *id == target.id,
            Scope::Labels(labels) => {
                !labels.is_empty()
                    && labels.iter().all(|(key, value)| target.labels.get(key) == Some(value))
            }
            Scope::Region(region) => *region == target.region,
            Scope::Everything => true,
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// `all`, `region:NAME`, `target:NAME`, `key=value,…`, or a target's name.
    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        let error = |why: String| ScopeError { text: text.to_owned(), why };
        let trimmed = text.trim();
        if trimmed == "all" {
            return Ok(Scope::Everything);
        }
        if let Some(name) = trimmed.strip_prefix("region:") {
            return Region::new(name).map(Scope::Region).map_err(|it| error(it.to_string()));
        }
        if let Some(name) = trimmed.strip_prefix("target:") {
            return TargetId::new(name).map(Scope::Target).map_err(|it| error(it.to_string()));
        }
        let selector = trimmed.strip_prefix("labels:").unwrap_or(trimmed);
        if !selector.contains('=') {
            return TargetId::new(trimmed).map(Scope::Target).map_err(|it| error(it.to_string()));
        }
        let mut labels = Labels::new();
        for pair in selector.split(',') {
            let (key, value) = pair
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .ok_or_else(|| error(format!("`{pair}` is not of the form `key=value`")))?;
            if labels.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(error(format!("label `{key}` is given twice")));
            }
        }
        Ok(Scope::Labels(labels))
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Scope, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A target may be called `all`.
            Scope::Target(id) if id.as_str() == "all" => f.write_str("target:all"),
            Scope::Target(id) => f.pad(id.as_str()),
            Scope::Labels(labels) => {
                let pairs: Vec<String> =
                    labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                f.pad(&pairs.join(","))
            }
            Scope::Region(region) => f.pad(&format!("region:{region}")),
            Scope::Everything => f.pad("all"),
        }
    }
}

/// Where an override is in its life at one instant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverrideState {
    /// Not in force yet.
    Pending,
    /// In force.
    Active,
    /// No longer in force, and never again.
    Expired,
}

impl Override {
    /// Whether the agent set it for somebody who changed a capacity outside.
    pub fn is_agents_hold(&self) -> bool {
        self.kind == OverrideKind::Hold && self.actor == Actor::agent()
    }

    /// State at `now`. The interval is half-open: `[starts_at, ends_at)`.
    pub fn state(&self, now: Timestamp) -> OverrideState {
        if now < self.starts_at {
            OverrideState::Pending
        } else if now < self.ends_at {
            OverrideState::Active
        } else {
            OverrideState::Expired
        }
    }
}

/// The override that rules `target` at `now`: the most restrictive active one,
/// among equals the newest.
pub fn in_force<'a>(
    overrides: impl IntoIterator<Item = &'a Override>,
    target: &Target,
    now: Timestamp,
) -> Option<&'a Override> {
    overrides
        .into_iter()
        .filter(|it| it.state(now) == OverrideState::Active && it.scope.covers(target))
        .min_by_key(|it| (precedence(it.kind), std::cmp::Reverse(it.id)))
}

/// The newest active pin of `target` at `now`. It says what capacity is wanted,
/// also while something more restrictive rules: under a no-scale-down it may
/// still be reached from below.
pub fn pin_in_force<'a>(
    overrides: impl IntoIterator<Item = &'a Override>,
    target: &Target,
    now: Timestamp,
) -> Option<(OverrideId, Capacity)> {
    overrides
        .into_iter()
        .filter(|it| it.state(now) == OverrideState::Active && it.scope.covers(target))
        .filter_map(|it| match it.kind {
            OverrideKind::Pin { capacity } => Some((it.id, capacity)),
            OverrideKind::Freeze
            | OverrideKind::Takeover
            | OverrideKind::Hold
            | OverrideKind::NoScaleDown => None,
        })
        .max_by_key(|(id, _)| *id)
}

/// Rank for the order freeze, takeover, hold, no-scale-down, pin; two pins rank equal
/// whatever their capacities, so that the newer wins.
fn precedence(kind: OverrideKind) -> u8 {
    match kind {
        OverrideKind::Freeze => 0,
        OverrideKind::Takeover => 1,
        OverrideKind::Hold => 2,
        OverrideKind::NoScaleDown => 3,
        OverrideKind::Pin { .. } => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scope_reads_back_what_it_prints() {
        for text in ["checkout-api", "team=payments,tier=web", "region:eu-1", "all", "target:all"] {
            assert_eq!(text.parse::<Scope>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("labels:a=b".parse::<Scope>(), "a=b".parse());
    }

    #[test]
    fn what_is_not_a_scope_is_refused() {
        for text in ["", "*", "=", "a=", "=b", "a=b,,c=d", "a=b,a=c", "region:", "a b", "a=b,c"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }

    proptest! {
        // An expired override cannot come back, whatever later time is asked about.
        #[test]
        fn once_expired_stays_expired(length in 0i64..300_000, at in 0i64..600_000, later in 0i64..600_000) {
            let starts_at = Timestamp::UNIX_EPOCH;
            let it = Override {
                id: OverrideId(1),
                kind: OverrideKind::Freeze,
                scope: Scope::Everything,
                actor: Actor::agent(),
                reason: "test".to_owned(),
                starts_at,
                ends_at: starts_at + SignedDuration::from_secs(length),
            };
            let at = starts_at + SignedDuration::from_secs(at);
            if it.state(at) == OverrideState::Expired {
                prop_assert_eq!(it.state(at + SignedDuration::from_secs(later)), OverrideState::Expired);
            }
        }
    }
}
