//! Names of things, one type each, so that they cannot be mixed up.
//!
//! **In:** text from documents, people and the journal.
//! **Out:** names that are cheap to clone and order the same everywhere.
//! **Not here:** what the named things are (see [`crate::documents`],
//! [`crate::overrides`], [`crate::effect`]).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of a document, target, signal or person, in bytes. Why 128: a
/// name appears in metrics labels, log lines and terminal columns.
pub const NAME_BYTES_MAX: usize = 128;

/// A name was empty, too long, or had a character that would be ambiguous on a
/// command line, in a label selector or in a metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("`{name}…` has {bytes} bytes, a name has at most {NAME_BYTES_MAX}")]
    TooLong { name: String, bytes: usize },
    /// Something other than letters, digits and `-_.@/+`.
    #[error("`{name}` contains {found:?}, a name has only letters, digits and `-_.@/+`")]
    Character { name: String, found: char },
    /// In the name of an instance, something other than letters, digits and
    /// `-_.@/+:[]%=,#`.
    #[error(
        "`{}` contains {found:?}, the name of an instance has only letters, digits and \
         `-_.@/+:[]%=,#`",
        name.escape_debug()
    )]
    InstanceCharacter { name: String, found: char },
    /// The name of an instance that a program would read as an option or that
    /// leads out of a folder.
    #[error("`{name}` {fault}, the name of an instance must not")]
    InstanceForm { name: String, fault: &'static str },
}

fn checked_length(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if NAME_BYTES_MAX < name.len() {
        let start = name.chars().take(24).collect();
        return Err(NameError::TooLong { name: start, bytes: name.len() });
    }
    Ok(())
}

fn checked_name(name: &str) -> Result<Arc<str>, NameError> {
    checked_length(name)?;
    let allowed = |it: char| it.is_ascii_alphanumeric() || "-_.@/+".contains(it);
    match name.chars().find(|it| !allowed(*it)) {
        Some(found) => Err(NameError::Character { name: name.to_owned(), found }),
        None => Ok(Arc::from(name)),
    }
}

/// Names of instances are not ours to choose: platforms put addresses, ports and
/// paths into them. They come from outside and go into commands and addresses.
fn checked_instance_name(name: &str) -> Result<Arc<str>, NameError> {
    checked_length(name)?;
    let allowed = |it: char| it.is_ascii_alphanumeric() || "-_.@/+:[]%=,#".contains(it);
    if let Some(found) = name.chars().find(|it| !allowed(*it)) {
        return Err(NameError::InstanceCharacter { name: name.to_owned(), found });
    }
    let form = |fault| Err(NameError::InstanceForm { name: name.to_owned(), fault });
    if name.starts_with('-') {
        return form("begins with `-`");
    }
    if name.split('/').any(|it| it == "..") {
        return form("has `..` between slashes");
    }
    Ok(Arc::from(name))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        name_type! { $(#[$doc])* $name, checked_name }
    };
    ($(#[$doc:meta])* $name:ident, $checked:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// # Errors
            ///
            /// [`NameError`] when the text is not a valid name.
            pub fn new(name: &str) -> Result<$name, NameError> {
                $checked(name).map($name)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<$name, NameError> {
                $name::new(&name)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<$name, NameError> {
                $name::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }
    };
}

name_type! {
    /// A target: the thing whose capacity is set.
    TargetId
}
name_type! {
    /// A [`crate::documents::ScalingPolicy`].
    PolicyId
}
name_type! {
    /// A named signal of a policy, unique within it.
    SignalName
}
name_type! {
    /// A [`crate::documents::Guardrail`].
    GuardrailId
}
name_type! {
    /// A [`crate::documents::Calendar`].
    CalendarId
}
name_type! {
    /// A region of a cloud or a site; one daemon serves one.
    Region
}
name_type! {
    /// A [`crate::documents::Playbook`].
    PlaybookId
}
name_type! {
    /// A named input of a playbook, unique within it.
    InputName
}
name_type! {
    /// A [`crate::documents::Slo`].
    SloId
}
name_type! {
    /// A [`crate::documents::Budget`].
    BudgetId
}
name_type! {
    /// A threshold of a budget, unique within it.
    ThresholdName
}
name_type! {
    /// A service: what SLOs, tenants' usage and spend are filed under. A target belongs to
    /// the service that its label `service` names, else to that of its own name.
    ServiceName
}
name_type! {
    /// A tenant, as the label of its usage says.
    TenantName
}
name_type! {
    /// A line of a price book that is paid by use, unique within it.
    UsageName
}
name_type! {
    /// A step of a playbook, unique within it.
    StepName
}
name_type! {
    /// A parameter of a playbook, unique within it.
    ParameterName
}
name_type! {
    /// Something that the daemon's configuration allows by name: a command, a webhook,
    /// a Terraform workspace.
    AllowedName
}
name_type! {
    /// Who did something: a person as authenticated, or the agent itself.
    /// Never free text from a request.
    Actor
}

name_type! {
    /// One instance, server or unit, as its platform calls it: `10.0.0.7:8080`,
    /// `i-0abc`, `web/3`. It may become an argument of a command, but is never
    /// read as an option (`-…`), by a shell, or as a way out of a folder.
    InstanceName, checked_instance_name
}

impl Actor {
    /// The agent acting on its own behalf, for overrides that it sets for
    /// people it cannot see (see [`crate::overrides`]).
    pub fn agent() -> Actor {
        Actor(Arc::from("evenkeel"))
    }
}

/// Labels of a target: `team: payments`.
pub type Labels = BTreeMap<String, String>;

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this. Saturates; 2^64 are never used up.
            #[must_use]
            pub fn next(self) -> $name {
                $name(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!(concat!($prefix, "-{}"), self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NumberError;
            fn from_str(text: &str) -> Result<$name, NumberError> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(|digits| digits.parse().ok())
                    .map($name)
                    .ok_or_else(|| NumberError { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NumberError;
            fn try_from(text: String) -> Result<$name, NumberError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(number: $name) -> String {
                number.to_string()
            }
        }
    };
}

/// Text that should be a numbered name was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not of the form `{prefix}-NUMBER`")]
pub struct NumberError {
    text: String,
    prefix: &'static str,
}

number_type! {
    /// An override: `ov-31`. Never used twice, so an ended one cannot return.
    OverrideId, "ov"
}
number_type! {
    /// An effect: `ef-12`. Doubles as the provider's idempotency key.
    EffectId, "ef"
}

number_type! {
    /// A run of a playbook: `run-7`.
    RunId, "run"
}
number_type! {
    /// An incident: `inc-3`.
    IncidentId, "inc"
}
number_type! {
    /// A notification: `no-5`. Doubles as its deduplication key.
    NoticeId, "no"
}

/// Fencing token: grows at every start of a daemon on a store. The executor
/// and the providers refuse an effect of an older term.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_character_that_a_scope_or_a_shell_would_read_differently() {
        for bad in
            ["", "a b", "a=b", "a,b", "a:b", "*", "a\n", "é", "$(x)", "a'b", &"x".repeat(129)]
        {
            assert!(TargetId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["checkout-api", "ana@example.com", "eu-central-1", "a/b.c_d+e"] {
            assert_eq!(TargetId::new(good).map(|it| it.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn the_name_of_an_instance_is_no_option_no_shell_and_no_way_out_of_a_folder() {
        let bad = [
            "",
            " ",
            "a b",
            "a\tb",
            "a\nb",
            "a\u{1b}[2Jb",
            "é",
            "-rf",
            "--all",
            "a'b",
            "a\"b",
            "a`b`",
            "a\\b",
            "$HOME",
            "$(x)",
            "a;b",
            "a&b",
            "a|b",
            "a<b",
            "a>b",
            "(a)",
            "{a}",
            "*",
            "a?",
            "!a",
            "~",
            "..",
            "../etc",
            "a/../b",
            "a/..",
            &"x".repeat(129),
        ];
        for bad in bad {
            assert!(InstanceName::new(bad).is_err(), "{bad:?}");
        }
        let good = [
            "10.0.0.7:8080",
            "i-0abc",
            "web/3",
            "[2001:db8::1]:9100",
            "fe80::1%eth0",
            "vmss_0",
            "arn:aws:ecs:eu-central-1:1:task/a/b",
            "web.1.x7",
            "app#0",
            "zone=a,rack=3",
            "a..b",
            &"x".repeat(128),
        ];
        for good in good {
            assert_eq!(InstanceName::new(good).map(|it| it.to_string()), Ok(good.to_owned()));
        }
        let bad = InstanceName::new("a\u{1b}[2J").unwrap_err().to_string();
        assert!(!bad.chars().any(char::is_control), "{bad:?}");
    }

    #[test]
    fn numbered_names_read_back_what_they_print() {
        assert_eq!("ov-31".parse(), Ok(OverrideId(31)));
        assert_eq!(OverrideId(31).to_string(), "ov-31");
        for bad in ["31", "ov-", "ov-x", "ef-31", "ov--1", "ov-99999999999999999999"] {
            assert!(bad.parse::<OverrideId>().is_err(), "{bad}");
        }
    }
}
