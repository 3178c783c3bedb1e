//! What is wrong with a file, where, and what to do about it.
//!
//! **In:** positions and messages from parsing and checking.
//! **Out:** [`Diagnostic`], the shape that `evenkeel check --output json` prints.
//! **Not here:** colours and carets (the command line's).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a diagnostic is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The documents cannot be used.
    Error,
    /// They can, but probably do not do what their author wants.
    Warning,
}

/// One fault in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file as it was named to us.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong; lower-case, no full stop, both numbers where two conflict.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// The line in question, for showing; not part of the JSON contract.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub snippet: String,
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: error: message; hint: …` on one line, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Diagnostic { file, line, column, message, hint, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}: {message}; hint: {hint}")
    }
}
