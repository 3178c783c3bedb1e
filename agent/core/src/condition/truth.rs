//! Three values: true, false, and not known.
//!
//! **In:** comparisons of which some operands may be unknown.
//! **Out:** Kleene's strong logic: an unknown part leaves the whole unknown, unless the
//! other part decides it alone.
//! **Not here:** which values are unknown ([`super::Lookup`]).

use std::fmt;
use std::ops::Not;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether something holds.
///
/// Source: Kleene, *Introduction to Metamathematics* (1952), § 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Something that decides it is not known. Whoever acts must hold still.
    Unknown,
}

impl Truth {
    /// False when one side is false, whatever the other is.
    #[must_use]
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            (Truth::Unknown, Truth::True | Truth::Unknown) | (Truth::True, Truth::Unknown) => {
                Truth::Unknown
            }
        }
    }

    /// True when one side is true, whatever the other is.
    #[must_use]
    pub fn or(self, other: Truth) -> Truth {
        !(!self).and(!other)
    }

    /// Whether it is known to hold. Unknown does not.
    pub fn is_true(self) -> bool {
        self == Truth::True
    }

    /// Whether it is known not to hold. Unknown does not.
    pub fn is_false(self) -> bool {
        self == Truth::False
    }

    /// Whether it cannot be told.
    pub fn is_unknown(self) -> bool {
        self == Truth::Unknown
    }

    /// `true`, `false` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Truth::True => "true",
            Truth::False => "false",
            Truth::Unknown => "unknown",
        }
    }
}

impl Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Truth {
        if holds { Truth::True } else { Truth::False }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
