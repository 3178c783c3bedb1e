//! Documents of OpenSLO inside of others, or named there.
//!
//! **In:** an item that is a whole document but for its version, or has a field with a name.
//! **Out:** the one or the other.
//! **Not here:** finding what is named ([`crate::documents::load`]).

use serde_json::{Value as Json, json};

use super::metadata::RawMetadata;
use super::{API_VERSION, Fields, Kind, listed, quoted, text};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node};
use crate::documents::raw::scalar::Name;
use crate::documents::raw::{Place, Read};
use crate::ids::SloId;

/// What may stand inside of another document.
pub(in crate::documents) trait Inlined: Read {
    const KIND: Kind;
    /// The field that names one instead.
    const REF: &'static str;
}

/// A document inside of another.
pub(in crate::documents) struct Inline<T> {
    pub(in crate::documents) metadata: RawMetadata,
    pub(in crate::documents) spec: At<T>,
}

const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

impl<T: Inlined> Read for Inline<T> {
    fn schema() -> Json {
        json!({
            "type": "object",
            "properties": {
                "apiVersion": {"const": API_VERSION},
                "kind": {"const": T::KIND.name()},
                "metadata": RawMetadata::schema(),
                "spec": T::schema(),
            },
            "required": ["metadata", "spec"],
            "additionalProperties": false,
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        inside(&Fields::open(node, place, &FIELDS, faults)?, place, faults)
    }
}

fn inside<T: Inlined>(
    fields: &Fields<'_>,
    place: &Place<'_>,
    faults: &mut Faults,
) -> Option<Inline<T>> {
    let mut is_good = true;
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", T::KIND.name())] {
        let Some(entry) = fields.entry(field) else { continue };
        let place = place.field(field);
        match text(&entry.node, &place, "text", faults) {
            Some(found) if found == expected => {}
            Some(found) => {
                let message = format!("`{place}` is {}, not `{expected}`", quoted(found));
                faults.error(entry.node.at, message, format!("write `{expected}`"));
                is_good = false;
            }
            None => is_good = false,
        }
    }
    let metadata = fields.required::<RawMetadata>("metadata", faults);
    let spec = fields.required::<T>("spec", faults);
    let metadata = metadata?.value;
    metadata.refuse_ours(faults);
    Some(Inline { metadata, spec: spec? }).filter(|_| is_good)
}

/// A document inside of another, or the name of one.
pub(in crate::documents) enum RefOr<T> {
    Ref(At<String>),
    Inline(Box<Inline<T>>),
}

impl<T: Inlined> Read for RefOr<T> {
    fn schema() -> Json {
        json!({"anyOf": [
            {
                "type": "object",
                "properties": {T::REF: Name::<SloId>::schema()},
                "required": [T::REF],
                "additionalProperties": false,
            },
            Inline::<T>::schema(),
        ]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let known = [T::REF, "apiVersion", "kind", "metadata", "spec"];
        let fields = Fields::open(node, place, &known, faults)?;
        let Some(name) = fields.optional::<Name<SloId>>(T::REF, faults)? else {
            if fields.entry("metadata").is_none() && fields.entry("spec").is_none() {
                let message =
                    format!("`{place}` is neither the name of an {} nor one", T::KIND.name());
                let hint = format!("write `{}:` with a name, or {}", T::REF, listed(&known[3..]));
                // What was misspelled is said already.
                if fields.misspelled.is_empty() {
                    faults.error(node.at, message, hint);
                }
                return None;
            }
            return inside(&fields, place, faults).map(|it| RefOr::Inline(Box::new(it)));
        };
        let other = fields.entries.iter().find(|it| FIELDS.contains(&it.key.value.as_str()));
        if let Some(other) = other {
            let other_name = &other.key.value;
            let message = format!("`{place}` has both `{}` and `{other_name}`", T::REF);
            faults.error(other.key.at, message, "name it, or write it here; not both");
            return None;
        }
        Some(RefOr::Ref(At { value: name.value.0.as_str().to_owned(), at: name.at }))
    }
}
