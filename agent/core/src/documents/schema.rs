//! The JSON Schema of documents, for editors and for other tools.
//!
//! **In:** the field lists of [`super::raw`].
//! **Out:** one schema per kind, and one for all.
//! **Not here:** what a schema cannot say (`min <= max`, names across documents).

use serde_json::{Value, json};

use super::raw::Read as _;
use super::raw::access::RawAccess;
use super::raw::budget::RawBudget;
use super::raw::calendar::RawCalendar;
use super::raw::envelope::{Kind, schema};
use super::raw::guardrail::RawGuardrail;
use super::raw::openslo;
use super::raw::playbook::RawPlaybook;
use super::raw::policy::RawPolicy;
use super::raw::price_book::RawPriceBook;
use super::raw::target::RawTarget;
use super::raw::tenants::RawTenants;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of each kind of document, by the name that stands after `kind:`: our own,
/// then those of OpenSLO.
pub fn json_schemas() -> Vec<(&'static str, Value)> {
    let ours = Kind::ALL.into_iter().map(|it| (it.name(), of(it)));
    let others = openslo::Kind::ALL.into_iter().map(|it| (it.name(), openslo::schema(it)));
    ours.chain(others)
        .map(|(name, mut schema)| {
            schema["$schema"] = json!(DIALECT);
            (name, schema)
        })
        .collect()
}

/// The schema of one document of any kind.
pub fn json_schema() -> Value {
    let ours = Kind::ALL.into_iter().map(of);
    let all: Vec<Value> = ours.chain(openslo::Kind::ALL.into_iter().map(openslo::schema)).collect();
    json!({
        "$schema": DIALECT,
        "title": "Documents of Evenkeel, evenkeel/v1, and of OpenSLO, openslo/v1",
        "oneOf": all,
    })
}

fn of(kind: Kind) -> Value {
    let (about, spec) = match kind {
        Kind::Target => ("Something with capacity.", RawTarget::schema()),
        Kind::ScalingPolicy => ("What should hold for some targets.", RawPolicy::schema()),
        Kind::Guardrail => ("What must never happen to some targets.", RawGuardrail::schema()),
        Kind::Access => ("Who may do what.", RawAccess::schema()),
        Kind::Calendar => ("What the load alone cannot tell.", RawCalendar::schema()),
        Kind::Playbook => ("What to do when something is wrong.", RawPlaybook::schema()),
        Kind::Budget => ("What may be spent, of money or of errors.", RawBudget::schema()),
        Kind::PriceBook => ("What things cost. One is in force.", RawPriceBook::schema()),
        Kind::Tenants => ("Who shares the services. One is in force.", RawTenants::schema()),
    };
    schema(kind, about, spec)
}
