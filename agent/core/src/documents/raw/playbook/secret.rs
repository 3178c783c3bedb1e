//! Secrets that somebody put into a playbook.
//!
//! **In:** the tree of a document, before anything in it is read.
//! **Out:** a fault for each key or text that looks like a secret, without showing it.
//! **Not here:** what else may stand where; lines shown beside other faults
//! ([`crate::documents::fault`]).

use crate::documents::fault::{Faults, SECRET_MARKS};
use crate::documents::positions::{At, Node, Position, Value};
use crate::documents::raw::Place;

/// What names of secrets contain.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credential",
];

const HINT: &str = "a document never holds one: let the command or the webhook read it from a file \
                    of the daemon's host; if it stood here, it is no longer a secret";

/// Reports everything that looks like a secret; whether there was anything.
pub(in crate::documents) fn reported(node: &Node, place: &Place<'_>, faults: &mut Faults) -> bool {
    match &node.value {
        Value::Text(text) if is_secret(text) => {
            refuse(node.at, format!("`{place}` looks like it holds a secret"), faults);
            true
        }
        Value::List(items) => items
            .iter()
            .enumerate()
            .fold(false, |any, (index, it)| reported(it, &place.item(index), faults) || any),
        Value::Map(entries) => entries.iter().fold(false, |any, entry| {
            let At { value: key, at } = &entry.key;
            let is_bad = if is_secret(key) {
                refuse(*at, format!("a key in `{place}` looks like a secret"), faults);
                true
            } else if is_name_of_secret(key) {
                let message = format!("`{}` is named like a secret", place.field(key));
                refuse(*at, message, faults);
                true
            } else {
                reported(&entry.node, &place.field(key), faults)
            };
            is_bad || any
        }),
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Number(_) => false,
    }
}

fn refuse(at: Position, message: String, faults: &mut Faults) {
    faults.secret(at, message, HINT);
}

/// Whether a text is a token of a known form, has a password in an address, or is an
/// argument such as `--password=…`.
fn is_secret(text: &str) -> bool {
    SECRET_MARKS.iter().any(|it| text.contains(it))
        || has_password_in_address(text)
        || is_argument_with_secret(text)
}

fn has_password_in_address(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', ' ', '"']).next().unwrap_or_default();
    authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// `--password`, `--password=…`, `-Dtoken:…`, `API_TOKEN=…`.
fn is_argument_with_secret(text: &str) -> bool {
    let is_in_name = |it: char| it.is_ascii_alphanumeric() || "_-.".contains(it);
    let name_end = text.find(|it| !is_in_name(it)).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let is_option = name.starts_with('-');
    let gives_value = rest.starts_with('=') && !rest.starts_with("==");
    let is_alone = rest.is_empty() || rest.starts_with([':', ' ']);
    (gives_value || is_option && is_alone) && is_name_of_secret(name)
}

/// Whether something is called like a secret, and not like the file with one.
fn is_name_of_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let is_elsewhere = ["file", "path", "name"].iter().any(|it| name.ends_with(it));
    !is_elsewhere && WORDS.iter().any(|it| name.contains(it))
}
