//! `spec:` of an `Access` document.
//!
//! **In:** the mapping as written.
//! **Out:** people, groups and grants, still by name.
//! **Not here:** resolving names across documents ([`crate::documents::load`]).

use serde_json::{Value as Json, json};

use crate::documents::Role;
use crate::documents::fault::Faults;
use crate::documents::positions::{Node, Value};
use crate::documents::raw::scalar::{Name, ShortText};
use crate::documents::raw::selector::RawSelector;
use crate::documents::raw::{List, Place, Read, fields};
use crate::ids::Actor;

/// Most people, groups, grants or members in one list.
const PEOPLE_MAX: usize = 1_000;
/// Most tokens of one person. Why 8: a laptop, a phone, some scripts, and room
/// for the old one while it is replaced.
const TOKENS_MAX: usize = 8;

fields! {
    /// Who may do what.
    struct RawAccess {
        /// Everybody this document introduces.
        defaulted(json!([])) people: List<RawPerson, 0, PEOPLE_MAX>,
        /// Names for several people.
        defaulted(json!([])) groups: List<RawGroup, 0, PEOPLE_MAX>,
        /// What people and groups may do.
        defaulted(json!([])) grants: List<RawGrant, 0, PEOPLE_MAX>,
    }
}

fields! {
    /// A person.
    struct RawPerson {
        /// The name that records and messages show.
        required name: Name<Actor>,
        /// Account on the daemon's host, for its Unix socket.
        optional unix_user: ShortText,
        /// SHA-256 of each of the person's tokens, as `evenkeel token` prints it.
        defaulted(json!([])) token_hashes: List<TokenHash, 0, TOKENS_MAX>,
    }
}

fields! {
    /// A name for several people.
    struct RawGroup {
        /// Unique among groups and people.
        required name: Name<Actor>,
        /// People, by name.
        required members: List<Name<Actor>, 0, PEOPLE_MAX>,
    }
}

fields! {
    /// A role on some targets.
    struct RawGrant {
        /// `viewer` reads, `operator` sets and expires overrides, `admin` does
        /// everything on every target and needs the selector `everything: true`.
        required role: Role,
        /// People and groups, by name.
        required to: List<Name<Actor>, 1, PEOPLE_MAX>,
        /// On which targets.
        required selector: RawSelector,
    }
}

/// `sha256:` and 64 hexadecimal digits.
pub(in crate::documents) struct TokenHash(pub(in crate::documents) [u8; 32]);

impl Read for TokenHash {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<TokenHash> {
        let parsed = match &node.value {
            Value::Text(text) => parse_hash(text),
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::List(_)
            | Value::Map(_) => None,
        };
        if parsed.is_none() {
            // What stands there is not shown anywhere: it may be the token itself.
            let message =
                format!("`{place}` is not `sha256:` followed by 64 lower-case hexadecimal digits");
            let hint = "run `evenkeel token`, which prints a new token and its hash; if a token \
                        stood here, it is no longer a secret";
            faults.secret(node.at, message, hint);
        }
        parsed.map(TokenHash)
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |it: u8| match it {
        b'0'..=b'9' => Some(it - b'0'),
        b'a'..=b'f' => Some(it - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
    }
    Some(hash)
}
