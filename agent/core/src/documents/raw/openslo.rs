//! Documents of OpenSLO v1, as they are written.
//!
//! **In:** the root of a document whose `apiVersion` is of OpenSLO.
//! **Out:** its kind, its metadata, and where its `spec` is.
//! **Not here:** our own documents ([`super::envelope`]), what is inside `spec` (the modules
//! below), references between documents ([`crate::documents::load`]).
//!
//! Source: the OpenSLO specification, v1. Where it leaves a choice, the choice is written
//! where it is made.

pub(in crate::documents) mod alert;
pub(in crate::documents) mod inline;
pub(in crate::documents) mod metadata;
pub(in crate::documents) mod rest;
pub(in crate::documents) mod scalar;
pub(in crate::documents) mod sli;
pub(in crate::documents) mod slo;
pub(in crate::documents) mod window;

use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::openslo::metadata::RawMetadata;
use crate::documents::raw::scalar::text;
use crate::documents::raw::{Fields, Place, Read, fields, listed, nearest, wrong_type};

/// The only version of it that is read.
pub(in crate::documents) const API_VERSION: &str = "openslo/v1";

/// What an OpenSLO document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::documents) enum Kind {
    Slo,
    Sli,
    AlertPolicy,
    AlertCondition,
    AlertNotificationTarget,
    DataSource,
    Service,
}

impl Kind {
    pub(in crate::documents) const ALL: [Kind; 7] = [
        Kind::Slo,
        Kind::Sli,
        Kind::AlertPolicy,
        Kind::AlertCondition,
        Kind::AlertNotificationTarget,
        Kind::DataSource,
        Kind::Service,
    ];

    /// As it is written after `kind:`. The specification is full of these words, so
    /// messages call documents by them too.
    pub(in crate::documents) fn name(self) -> &'static str {
        match self {
            Kind::Slo => "SLO",
            Kind::Sli => "SLI",
            Kind::AlertPolicy => "AlertPolicy",
            Kind::AlertCondition => "AlertCondition",
            Kind::AlertNotificationTarget => "AlertNotificationTarget",
            Kind::DataSource => "DataSource",
            Kind::Service => "Service",
        }
    }

    /// The kind that is written so.
    pub(in crate::documents) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.name() == name)
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

/// Whether a document means to be of OpenSLO, of whatever version.
pub(in crate::documents) fn is_openslo(root: &Node) -> bool {
    let Value::Map(entries) = &root.value else { return false };
    let version = entries.iter().find(|it| it.key.value == "apiVersion");
    version.is_some_and(|it| match &it.node.value {
        Value::Text(text) => text.to_ascii_lowercase().starts_with("openslo"),
        Value::Null
        | Value::Bool(_)
        | Value::Whole(_)
        | Value::Number(_)
        | Value::List(_)
        | Value::Map(_) => false,
    })
}

/// Reads all but the `spec`. `None` when it is not known what should be inside.
pub(in crate::documents) fn read<'a>(root: &'a Node, faults: &mut Faults) -> Option<Envelope<'a>> {
    let fields = Fields::open(root, Place::ROOT, &[], &mut Faults::default())?;
    let entry = fields.entry("apiVersion")?;
    let version = text(&entry.node, &Place::ROOT.field("apiVersion"), "text", faults)?;
    if version != API_VERSION {
        let message = format!("`apiVersion` {} is not read", quoted(version));
        let hint = format!("write `{API_VERSION}`; of OpenSLO only this version is read");
        faults.error(entry.node.at, message, hint);
        return None;
    }
    let kind = kind(&fields, root, faults);
    let fields = Fields::open(root, Place::ROOT, &FIELDS, faults)?;
    let kind = kind?;
    let metadata = fields.required::<RawMetadata>("metadata", faults).map(|it| it.value);
    if let Some(metadata) = &metadata {
        faults.about = format!("{} `{}`", kind.name(), metadata.name());
        if kind != Kind::Slo {
            metadata.refuse_ours(faults);
        }
    }
    let spec = fields.required::<Anything>("spec", faults);
    let spec = spec.and_then(|_| fields.entry("spec")).map(|it| &it.node);
    Some(Envelope { kind, metadata, spec })
}

fn kind(fields: &Fields<'_>, root: &Node, faults: &mut Faults) -> Option<Kind> {
    let names = Kind::ALL.map(Kind::name);
    let Some(entry) = fields.entry("kind") else {
        let hint = format!("add `kind:` with one of {}", listed(&names));
        faults.error(root.at, "missing field `kind`", hint);
        return None;
    };
    let name = text(&entry.node, &Place::ROOT.field("kind"), "text", faults)?;
    if let Some(kind) = Kind::named(name) {
        return Some(kind);
    }
    let ours = crate::documents::raw::envelope::Kind::ALL;
    let hint = if ours.into_iter().any(|it| it.name() == name) {
        format!("write `apiVersion: {}` for it", crate::documents::raw::envelope::API_VERSION)
    } else {
        match nearest(name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("OpenSLO has {}", listed(&names)),
        }
    };
    let message = format!("unknown kind {} of `{API_VERSION}`", quoted(name));
    faults.error(entry.node.at, message, hint);
    None
}

/// What a document of `kind` is for, and the schema of its `spec`.
pub(in crate::documents) fn schema(kind: Kind) -> Json {
    let (about, spec) = match kind {
        Kind::Slo => ("How good a service must be.", slo::RawSlo::schema()),
        Kind::Sli => ("What is measured of a service.", sli::RawSli::schema()),
        Kind::AlertPolicy => ("When who is told of an SLO.", alert::RawAlertPolicy::schema()),
        Kind::AlertCondition => {
            ("Which burn rate is too much.", alert::RawAlertCondition::schema())
        }
        Kind::AlertNotificationTarget => {
            ("Where alerts are sent to.", alert::RawNotificationTarget::schema())
        }
        Kind::DataSource => ("Where metrics are read from.", rest::RawDataSource::schema()),
        Kind::Service => ("What SLOs are about.", OrNothing::<rest::RawService>::schema()),
    };
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

/// Whatever may stand there. It is neither read nor kept: it may hold secrets.
pub(in crate::documents) struct Anything;

impl Read for Anything {
    fn schema() -> Json {
        json!({})
    }

    fn read(_: &Node, _: &Place<'_>, _: &mut Faults) -> Option<Anything> {
        Some(Anything)
    }
}

/// A field that may be written without a value, as the examples of the specification do.
pub(in crate::documents) struct OrNothing<T>(pub(in crate::documents) Option<T>);

impl<T: Read> Read for OrNothing<T> {
    fn schema() -> Json {
        json!({"anyOf": [T::schema(), {"const": null}]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        if node.value == Value::Null {
            return Some(OrNothing(None));
        }
        T::read(node, place, faults).map(|it| OrNothing(Some(it)))
    }
}

/// The value of an optional field, wherever it was left empty.
pub(super) fn flat<T>(field: Option<At<OrNothing<T>>>) -> Option<T> {
    field.and_then(|it| it.value.0)
}
