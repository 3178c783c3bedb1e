//! What every document has: `apiVersion`, `kind`, `metadata`, `spec`.
//!
//! **In:** the root of a document.
//! **Out:** its kind, its metadata and where its `spec` is.
//! **Not here:** what is inside `spec` (the neighbouring modules).

use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::openslo;
use crate::documents::raw::scalar::{Name, RawLabels, text};
use crate::documents::raw::{Fields, Place, Read, fields, listed, nearest};
use crate::ids::TargetId;

/// The only version there is.
pub(in crate::documents) const API_VERSION: &str = "evenkeel/v1";

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::documents) enum Kind {
    Target,
    ScalingPolicy,
    Guardrail,
    Access,
    Calendar,
    Playbook,
    Budget,
    PriceBook,
    Tenants,
}

impl Kind {
    pub(in crate::documents) const ALL: [Kind; 9] = [
        Kind::Target,
        Kind::ScalingPolicy,
        Kind::Guardrail,
        Kind::Access,
        Kind::Calendar,
        Kind::Playbook,
        Kind::Budget,
        Kind::PriceBook,
        Kind::Tenants,
    ];

    /// As it is written after `kind:`.
    pub(in crate::documents) fn name(self) -> &'static str {
        match self {
            Kind::Target => "Target",
            Kind::ScalingPolicy => "ScalingPolicy",
            Kind::Guardrail => "Guardrail",
            Kind::Access => "Access",
            Kind::Calendar => "Calendar",
            Kind::Playbook => "Playbook",
            Kind::Budget => "Budget",
            Kind::PriceBook => "PriceBook",
            Kind::Tenants => "Tenants",
        }
    }

    /// As messages call one of them.
    pub(in crate::documents) fn noun(self) -> &'static str {
        match self {
            Kind::Target => "target",
            Kind::ScalingPolicy => "policy",
            Kind::Guardrail => "guardrail",
            Kind::Access => "access",
            Kind::Calendar => "calendar",
            Kind::Playbook => "playbook",
            Kind::Budget => "budget",
            Kind::PriceBook => "price book",
            Kind::Tenants => "tenants",
        }
    }

    fn names() -> Vec<&'static str> {
        Kind::ALL.iter().map(|it| it.name()).collect()
    }
}

/// Kinds that have a place in the design and no reader yet.
const KINDS_TO_COME: [&str; 3] = ["Cache", "CachePolicy", "Drill"];

fields! {
    /// What the document is called.
    struct RawMetadata {
        /// Unique among the documents of its kind.
        required name: Name<TargetId>,
        /// For selecting targets; on other kinds they are only for the reader.
        defaulted(json!({})) labels: RawLabels,
    }
}

/// A document before its `spec` is read.
pub(in crate::documents) struct Envelope<'a> {
    pub(in crate::documents) kind: Kind,
    /// `None` when it was faulty; the `spec` is worth reading all the same.
    pub(in crate::documents) metadata: Option<RawMetadata>,
    pub(in crate::documents) spec: Option<&'a Node>,
}

const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// Reads all but the `spec`. `None` when it is not known what should be inside.
pub(in crate::documents) fn read<'a>(root: &'a Node, faults: &mut Faults) -> Option<Envelope<'a>> {
    let Value::Map(_) = &root.value else {
        faults.error(
            root.at,
            format!("a document must be a mapping, found {}", root.value.kind()),
            format!("begin with `apiVersion: {API_VERSION}`"),
        );
        return None;
    };
    // Another format has other fields, so the version comes before them.
    let fields = Fields::open(root, Place::ROOT, &[], &mut Faults::default())?;
    let version_is_good = api_version(&fields, root, faults);
    let kind = kind(&fields, root, version_is_good, faults);
    if !version_is_good {
        return None;
    }
    let fields = Fields::open(root, Place::ROOT, &FIELDS, faults)?;
    let kind = kind?;
    let metadata = fields.required::<RawMetadata>("metadata", faults).map(|it| it.value);
    if let Some(metadata) = &metadata {
        faults.about = format!("{} `{}`", kind.noun(), metadata.name().value);
    }
    let spec = fields.required::<Unread>("spec", faults);
    let spec = spec.and_then(|_| fields.entry("spec")).map(|it| &it.node);
    Some(Envelope { kind, metadata, spec })
}

fn api_version(fields: &Fields<'_>, root: &Node, faults: &mut Faults) -> bool {
    let Some(entry) = fields.entry("apiVersion") else {
        let hint = match fields.entry("apiversion").or(fields.entry("api_version")) {
            Some(_) => "it is spelled `apiVersion`".to_owned(),
            None => format!("add `apiVersion: {API_VERSION}`"),
        };
        faults.error(root.at, "missing field `apiVersion`", hint);
        return false;
    };
    let place = Place::ROOT.field("apiVersion");
    let Some(version) = text(&entry.node, &place, "text", faults) else { return false };
    if version == API_VERSION {
        return true;
    }
    let message = format!("`apiVersion` {} is not known", quoted(version));
    faults.error(entry.node.at, message, format!("write `{API_VERSION}`"));
    false
}

fn kind(fields: &Fields<'_>, root: &Node, reports: bool, faults: &mut Faults) -> Option<Kind> {
    let mut unheard = Faults::default();
    let faults = if reports { faults } else { &mut unheard };
    let names = Kind::names();
    let Some(entry) = fields.entry("kind") else {
        let hint = format!("add `kind:` with one of {}", listed(&names));
        faults.error(root.at, "missing field `kind`", hint);
        return None;
    };
    let place = Place::ROOT.field("kind");
    let name = text(&entry.node, &place, "text", faults)?;
    if let Some(kind) = Kind::ALL.into_iter().find(|it| it.name() == name) {
        return Some(kind);
    }
    if KINDS_TO_COME.contains(&name) {
        not_yet(entry.node.at, &format!("kind `{name}`"), faults);
        return None;
    }
    let hint = match nearest(name, &names) {
        _ if openslo::Kind::named(name).is_some() => {
            format!("it is of OpenSLO: write `apiVersion: {}`", openslo::API_VERSION)
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("this version reads {}", listed(&names)),
    };
    faults.error(entry.node.at, format!("unknown kind {}", quoted(name)), hint);
    None
}

fn not_yet(at: crate::documents::positions::Position, what: &str, faults: &mut Faults) {
    let hint = format!(
        "it reads {} of `{API_VERSION}`; keep other documents in a folder of their own",
        listed(&Kind::names())
    );
    faults.error(at, format!("this version does not read {what} yet"), hint);
}

/// A value that is only looked for; what is inside is read later.
struct Unread;

impl Read for Unread {
    fn schema() -> Json {
        json!({})
    }

    fn read(_: &Node, _: &Place<'_>, _: &mut Faults) -> Option<Unread> {
        Some(Unread)
    }
}

/// The schema of a whole document.
pub(in crate::documents) fn schema(kind: Kind, about: &str, spec: Json) -> Json {
    json!({
        "type": "object",
        "title": kind.name(),
        "description": about,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind.name()},
            "metadata": RawMetadata::schema(),
            "spec": spec,
        },
        "required": FIELDS,
        "additionalProperties": false,
    })
}

impl RawMetadata {
    /// The name as text, to be made into a name of the right type.
    pub(in crate::documents) fn name(&self) -> At<&str> {
        At { value: self.name.value.0.as_str(), at: self.name.at }
    }
}
