//! Who is who, across all `Access` documents.
//!
//! **In:** `Access` documents, still by name.
//! **Out:** [`Access`], every group resolved to people.
//! **Not here:** what a role allows ([`crate::documents::Principal`]).

use std::collections::{BTreeMap, BTreeSet};

use super::{Drafts, Placed, SourceText};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::access::{RawAccess, RawGrant, RawGroup, RawPerson};
use crate::documents::raw::nearest;
use crate::documents::raw::scalar::Name;
use crate::documents::{Access, Grant, Person, Role, Selector};
use crate::ids::Actor;

/// Most people in all documents together.
const PEOPLE_MAX: usize = 1_000;

/// Where something was first written.
type Origin = (usize, Position);

pub(super) fn shown(origin: Origin, faults: &Faults, sources: &[SourceText<'_>]) -> String {
    let (source, at) = origin;
    match sources.get(source) {
        Some(file) if source != faults.source => format!("{}, line {}", file.file, at.line),
        Some(_) | None => format!("line {}", at.line),
    }
}

/// As [`nearest`], but does not search for what is not shown.
pub(super) fn nearest_unless_full<'a>(
    name: &str,
    known: &[&'a str],
    faults: &Faults,
) -> Option<&'a str> {
    if faults.is_full() { None } else { nearest(name, known) }
}

/// Resolves names and checks what must be unique. Unless `all_read`, a name
/// that is missing may just be in a document with a fault, so it is no fault.
pub(super) fn resolve(
    drafts: &mut Drafts,
    sources: &[SourceText<'_>],
    all_read: bool,
    faults: &mut Faults,
) -> Access {
    let mut people = People { sources, all_read, ..People::default() };
    let mut groups = Vec::new();
    let mut grants = Vec::new();
    for Placed { source, value, .. } in std::mem::take(&mut drafts.accesses) {
        faults.source = source;
        let RawAccess { people: raw_people, groups: raw_groups, grants: raw_grants } = value;
        for person in raw_people.value.0 {
            people.person(person, faults);
        }
        groups.extend(raw_groups.value.0.into_iter().map(|it| (source, it)));
        grants.extend(raw_grants.value.0.into_iter().map(|it| (source, it)));
    }
    for (source, group) in groups {
        faults.source = source;
        people.group(group.value, faults);
    }
    for (source, grant) in grants {
        faults.source = source;
        people.grant(grant.value, faults);
    }
    drafts.granted = people.granted;
    drafts.groups = people.groups.into_iter().map(|(name, (_, it))| (name, it)).collect();
    Access { people: people.people, grants: people.grants }
}

#[derive(Default)]
struct People<'a> {
    sources: &'a [SourceText<'a>],
    all_read: bool,
    people: Vec<Person>,
    grants: Vec<Grant>,
    granted: Vec<(usize, Position, Selector)>,
    names: BTreeMap<Actor, Origin>,
    groups: BTreeMap<Actor, (Origin, BTreeSet<Actor>)>,
    unix_users: BTreeMap<String, (Origin, Actor)>,
    tokens: BTreeMap<[u8; 32], (Origin, Actor)>,
}

impl People<'_> {
    fn person(&mut self, raw: At<RawPerson>, faults: &mut Faults) {
        let RawPerson { name: At { value: Name(name), at }, unix_user, token_hashes } = raw.value;
        let origin = (faults.source, at);
        if name == Actor::agent() {
            let message = format!("person `{name}` has the name of the agent itself");
            faults.error(at, message, "choose another; records must show who did what");
            return;
        }
        if let Some(first) = self.names.get(&name) {
            let first = shown(*first, faults, self.sources);
            let message = format!("person `{name}` is there twice, first in {first}");
            faults.error(at, message, "keep one of the two");
            return;
        }
        if self.people.len() == PEOPLE_MAX {
            faults.error(at, format!("there are more than {PEOPLE_MAX} people"), "remove some");
            return;
        }
        let unix_user = unix_user.map(|it| (it.value.0, it.at));
        if let Some((user, user_at)) = &unix_user {
            match self.unix_users.get(user) {
                Some((first, other)) => {
                    let first = shown(*first, faults, self.sources);
                    let message =
                        format!("Unix user `{user}` is both `{other}` ({first}) and `{name}`");
                    faults.error(*user_at, message, "give each person their own account");
                }
                None => {
                    let origin = (faults.source, *user_at);
                    self.unix_users.insert(user.clone(), (origin, name.clone()));
                }
            }
        }
        let mut token_sha256s = Vec::new();
        for At { value: hash, at } in token_hashes.value.0 {
            if let Some((first, other)) = self.tokens.get(&hash.0) {
                let first = shown(*first, faults, self.sources);
                let message = if *other == name {
                    format!("person `{name}` has the same token twice, first in {first}")
                } else {
                    format!("`{other}` ({first}) and `{name}` have the same token")
                };
                faults.secret(at, message, "give each person their own: run `evenkeel token`");
                continue;
            }
            self.tokens.insert(hash.0, ((faults.source, at), name.clone()));
            token_sha256s.push(hash.0);
        }
        self.names.insert(name.clone(), origin);
        let unix_user = unix_user.map(|(user, _)| user);
        self.people.push(Person { name, unix_user, token_sha256s });
    }

    fn group(&mut self, raw: RawGroup, faults: &mut Faults) {
        let RawGroup { name: At { value: Name(name), at }, members } = raw;
        let first = self.groups.get(&name).map(|(it, _)| *it).or(self.names.get(&name).copied());
        if let Some(first) = first {
            let first = shown(first, faults, self.sources);
            let message = format!("group `{name}` has a name that is taken, first in {first}");
            faults.error(at, message, "groups and people share one list of names");
            return;
        }
        let mut known = BTreeSet::new();
        for At { value: Name(member), at } in members.value.0 {
            if self.names.contains_key(&member) {
                known.insert(member);
            } else if self.all_read {
                let names: Vec<&str> = self.names.keys().map(Actor::as_str).collect();
                let hint = match nearest_unless_full(member.as_str(), &names, faults) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add them under `people`".to_owned(),
                };
                let message = format!("group `{name}`: nobody is called `{member}`");
                faults.error(at, message, hint);
            }
        }
        self.groups.insert(name, ((faults.source, at), known));
    }

    fn grant(&mut self, raw: RawGrant, faults: &mut Faults) {
        let RawGrant { role, to, selector } = raw;
        let mut people = BTreeSet::new();
        for At { value: Name(name), at } in to.value.0 {
            if let Some((_, members)) = self.groups.get(&name) {
                people.extend(members.iter().cloned());
            } else if self.names.contains_key(&name) {
                people.insert(name);
            } else if self.all_read {
                let names: Vec<&str> =
                    self.names.keys().chain(self.groups.keys()).map(Actor::as_str).collect();
                let hint = match nearest_unless_full(name.as_str(), &names, faults) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it under `people` or `groups`".to_owned(),
                };
                let message = format!("grant of `{}`: nobody is called `{name}`", role.value);
                faults.error(at, message, hint);
            }
        }
        let at = selector.at;
        let selector = selector.value.checked();
        if role.value == Role::Admin && selector != Selector::everything() {
            faults.error(
                at,
                "a grant of `admin` holds on every target, this selector would not limit it",
                "write `everything: true` if that is meant, or grant `operator`",
            );
        }
        self.granted.push((faults.source, at, selector.clone()));
        self.grants.push(Grant { role: role.value, people, selector });
    }
}
