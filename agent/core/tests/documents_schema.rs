//! The JSON Schema says what the reader reads.
//!
//! **In:** the schema, the ready-made documents and the faulty ones.
//! **Out:** proof that both agree, as far as a schema can.
//! **Not here:** messages (`documents.rs`).

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and reads its own files"
)]

use std::fs;
use std::path::Path;

use evenkeel_core::documents::{SourceText, json_schema, json_schemas, load};
use expect_test::expect_file;
use regex_lite::Regex;
use serde_json::Value;

/// Whether `schema` accepts `value`. Knows the words that our schema uses and
/// panics on any other, so that a new one cannot pass unseen.
fn accepts(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "title" | "description" | "default" => true,
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_number() && value.as_f64().unwrap().fract().abs() < f64::EPSILON,
            other => panic!("type {other}"),
        },
        "const" => rule == value,
        "enum" => list(rule).contains(value),
        "oneOf" => list(rule).iter().filter(|it| accepts(it, value)).count() == 1,
        "anyOf" => list(rule).iter().any(|it| accepts(it, value)),
        "properties" => entries(value)
            .iter()
            .all(|(key, it)| rule.get(key).is_none_or(|schema| accepts(schema, it))),
        "additionalProperties" => {
            let known = schema.get("properties").map(entries).unwrap_or_default();
            let others = entries(value).into_iter();
            let mut others = others.filter(|(key, _)| known.iter().all(|(it, _)| it != key));
            if rule == &Value::Bool(false) {
                others.next().is_none()
            } else {
                others.all(|(_, it)| accepts(rule, &it))
            }
        }
        "propertyNames" => entries(value).iter().all(|(key, _)| accepts(rule, &key.clone().into())),
        "required" => list(rule).iter().all(|it| value.get(it.as_str().unwrap()).is_some()),
        "minProperties" => u64::try_from(entries(value).len()).unwrap() >= rule.as_u64().unwrap(),
        "maxProperties" => u64::try_from(entries(value).len()).unwrap() <= rule.as_u64().unwrap(),
        "items" => list(value).iter().all(|it| accepts(rule, it)),
        "minItems" => u64::try_from(list(value).len()).unwrap() >= rule.as_u64().unwrap(),
        "maxItems" => u64::try_from(list(value).len()).unwrap() <= rule.as_u64().unwrap(),
        "minimum" => value.as_f64().is_none_or(|it| rule.as_f64().unwrap() <= it),
        "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|it| rule.as_f64().unwrap() < it),
        "exclusiveMaximum" => value.as_f64().is_none_or(|it| it < rule.as_f64().unwrap()),
        "pattern" => {
            value.as_str().is_none_or(|it| Regex::new(rule.as_str().unwrap()).unwrap().is_match(it))
        }
        "minLength" => value.as_str().is_none_or(|it| rule.as_u64().unwrap() <= chars(it)),
        "maxLength" => value.as_str().is_none_or(|it| chars(it) <= rule.as_u64().unwrap()),
        other => panic!("the schema uses `{other}`, which this test does not know"),
    })
}

fn chars(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn entries(value: &Value) -> Vec<(String, Value)> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, it)| (key.clone(), it.clone())).collect()
}

/// Each file of `folder` with its documents as other tools see them; those that
/// are not even YAML are left out.
fn as_json(folder: &str) -> Vec<(String, String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let options = serde_saphyr::options! { strict_booleans: true };
        if let Ok(documents) = serde_saphyr::from_multiple_with_options(&text, options) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            all.push((name, text, documents));
        }
    }
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    all
}

#[test]
fn the_schema_in_the_repository_is_the_one_that_the_code_has() {
    let text = |schema: &Value| format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    expect_file!["../../../policies/schema/evenkeel-v1.schema.json"]
        .assert_eq(&text(&json_schema()));
    for (kind, schema) in json_schemas() {
        let name = kind.to_ascii_lowercase();
        let path = format!("../../../policies/schema/{name}.schema.json");
        expect_file![path].assert_eq(&text(&schema));
    }
}

#[test]
fn every_ready_made_document_satisfies_the_schema() {
    let schema = json_schema();
    let mut n_documents = 0;
    let mut ready_made = as_json("../../policies");
    ready_made.extend(as_json("tests/good_documents"));
    ready_made.extend(as_json("tests/openslo/examples/budgeting-method"));
    ready_made.extend(as_json("tests/openslo/examples/treat-low-traffic-as-equally-important"));
    for (name, _, documents) in ready_made {
        for document in documents {
            assert!(accepts(&schema, &document), "{name}: {document}");
            let kind = document["kind"].as_str().unwrap();
            for (other, schema) in json_schemas() {
                assert_eq!(accepts(&schema, &document), kind == other, "{name} as {other}");
            }
            n_documents += 1;
        }
    }
    assert!(8 <= n_documents, "{n_documents}");
}

/// Faults that need more than one field, another document, a time zone database
/// or arithmetic with units, or that are about YAML itself: what a schema
/// cannot say.
const ONLY_THE_READER_SEES: &[&str] = &[
    "access-admin-of-some-targets",
    "access-grantee-missing",
    "access-group-called-like-a-person",
    "access-member-missing",
    "access-person-called-like-the-agent",
    "access-person-twice",
    "access-token-shared",
    "access-unix-user-shared",
    "calendar-cron-faults",
    "calendar-events-overlap",
    "calendar-incident-faults",
    "calendar-named-twice",
    "calendar-time-zone-misspelled",
    "calendar-time-zone-unknown",
    "calendar-times-that-do-not-exist",
    "calendar-too-many-schedules",
    "crlf-lines",
    "directive",
    "duration-out-of-range",
    "forecast-calendar-unknown",
    "forecast-of-nothing",
    "forecast-seasons-not-ascending",
    "forecast-time-zone-unknown",
    "forecast-without-a-price",
    "guardrail-cron-and-zone-unknown",
    "guardrail-cron-six-fields",
    "guardrail-duration-zero",
    "guardrail-window-named-twice",
    "guardrail-window-that-never-comes",
    "latency-zero",
    "max-zero",
    "merge-key",
    "min-above-max",
    "openslo-alert-never-fires",
    "playbook-condition-faults",
    "playbook-secret-pasted",
    "playbook-select-needs-instances",
    "playbook-trigger-of-nothing",
    "playbook-undo-missing",
    "policy-named-twice",
    "query-open-quote",
    "query-unbalanced",
    "query-wrong-bracket",
    "signal-named-twice",
    "step-zero",
    "tag",
    "target-depends-on-itself-and-on-nobody",
    "target-named-twice",
    "two-policies-for-one-target",
];

#[test]
fn the_schema_refuses_what_the_reader_refuses_as_far_as_it_can() {
    let schema = json_schema();
    let mut only_the_reader = Vec::new();
    let mut n_refused = 0;
    for (name, text, documents) in as_json("tests/bad_documents") {
        let is_read = load(&[SourceText { file: &name, text: &text }]).documents.is_some();
        let is_valid = documents.iter().all(|it| accepts(&schema, it));
        match (is_read, is_valid) {
            (true, true) => {}
            (true, false) => panic!("{name}: the schema refuses what is read"),
            (false, true) => only_the_reader.push(name),
            (false, false) => n_refused += 1,
        }
    }
    assert_eq!(only_the_reader, ONLY_THE_READER_SEES);
    assert!(40 <= n_refused, "{n_refused}");
}
