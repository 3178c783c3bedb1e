//! What a name stands for: a number or one number per instance, and its unit.
//!
//! **In:** the inputs, parameters and facts that a playbook declares.
//! **Out:** [`Environment`], the only names that a condition may use.
//! **Not here:** their values ([`super::Lookup`]).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The unit of a number. Two numbers are compared or added only in one unit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share or a factor; 0.05 is 5 %.
    Ratio,
    /// How many of something.
    Count,
    /// Requests, messages or other events per second.
    Rps,
    /// A duration.
    Seconds,
    /// A rate of spending.
    UsdPerHour,
    /// An amount of money.
    Usd,
    /// A size.
    Bytes,
    /// Units of capacity of a target.
    Units,
}

impl Unit {
    /// Every unit, in the order of the documentation.
    pub const ALL: [Unit; 8] = [
        Unit::Ratio,
        Unit::Count,
        Unit::Rps,
        Unit::Seconds,
        Unit::UsdPerHour,
        Unit::Usd,
        Unit::Bytes,
        Unit::Units,
    ];

    /// The name as it is written in documents: `usd_per_hour`.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Ratio => "ratio",
            Unit::Count => "count",
            Unit::Rps => "rps",
            Unit::Seconds => "seconds",
            Unit::UsdPerHour => "usd_per_hour",
            Unit::Usd => "usd",
            Unit::Bytes => "bytes",
            Unit::Units => "units",
        }
    }

    /// After "is": `a ratio`, `in seconds`.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Unit::Ratio => "a ratio",
            Unit::Count => "a count",
            Unit::Rps => "in rps",
            Unit::Seconds => "in seconds",
            Unit::UsdPerHour => "in usd per hour",
            Unit::Usd => "in usd",
            Unit::Bytes => "in bytes",
            Unit::Units => "in units of capacity",
        }
    }

    /// Whether a literal without a unit may stand where this unit is wanted.
    pub(super) fn takes_plain_numbers(self) -> bool {
        match self {
            Unit::Ratio | Unit::Count | Unit::Units => true,
            Unit::Rps | Unit::Seconds | Unit::UsdPerHour | Unit::Usd | Unit::Bytes => false,
        }
    }
}

/// What a name stands for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One number.
    Number(Unit),
    /// One number per instance.
    Instances(Unit),
}

impl Kind {
    /// The unit of the number or numbers.
    pub fn unit(self) -> Unit {
        match self {
            Kind::Number(unit) | Kind::Instances(unit) => unit,
        }
    }
}

/// The names that a condition may use. A name is an identifier, or two with a dot
/// between: `error_ratio`, `params.slow_ratio`, `target.ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    kinds: BTreeMap<String, Kind>,
}

impl Environment {
    /// No names at all.
    pub fn new() -> Environment {
        Environment::default()
    }

    /// The same with one more name; of two with one name the later counts.
    #[must_use]
    pub fn with(mut self, name: &str, kind: Kind) -> Environment {
        self.insert(name, kind);
        self
    }

    /// Adds a name; of two with one name the later counts. A name that the language
    /// cannot write ([`Self::is_writable`]) does no harm, it just cannot be used.
    pub fn insert(&mut self, name: &str, kind: Kind) {
        self.kinds.insert(name.to_owned(), kind);
    }

    /// What `name` stands for.
    pub fn get(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// All names with what they stand for, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.kinds.iter().map(|(name, kind)| (name.as_str(), *kind))
    }

    /// Whether a condition can write `name`: one identifier or two with a dot between,
    /// of letters, digits and `_`, none of them a word that CEL reserves.
    pub fn is_writable(name: &str) -> bool {
        let mut parts = name.split('.');
        let identifiers = parts.by_ref().take(2).all(super::lexer::is_identifier);
        identifiers && parts.next().is_none()
    }
}

impl From<BTreeMap<String, Kind>> for Environment {
    fn from(kinds: BTreeMap<String, Kind>) -> Environment {
        Environment { kinds }
    }
}
