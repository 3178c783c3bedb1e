//! Documents as a person writes them, through the public door.
//!
//! **In:** the ready-made documents and the faulty ones beside this file.
//! **Out:** what is read, and what is said about what is not.
//! **Not here:** the JSON Schema (`documents_schema.rs`), arbitrary input
//! (`documents_any_input.rs`).

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and reads its own files"
)]

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_core::documents::{Loaded, Severity, SourceText, load, show};
use expect_test::expect_file;

fn files(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .map(|it| {
            let name = it.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(it).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn loaded(files: &[(String, String)]) -> Loaded {
    let sources: Vec<SourceText<'_>> =
        files.iter().map(|(file, text)| SourceText { file, text }).collect();
    load(&sources)
}

fn shown(loaded: &Loaded) -> String {
    loaded.diagnostics.iter().map(|it| format!("{}\n", show(it))).collect()
}

#[test]
fn the_ready_made_documents_load_together_without_a_warning() {
    let files = files("../../policies");
    assert!(5 <= files.len(), "{}", files.len());
    let loaded = loaded(&files);
    assert_eq!(shown(&loaded), "");
    let documents = loaded.documents.unwrap();
    assert_eq!(loaded.n_documents, documents.n_documents() + 1, "all but one are not `Access`");
    for target in documents.targets() {
        assert!(documents.policy_of(&target.id).is_some(), "{}", target.id);
    }
}

#[test]
fn every_faulty_document_gets_a_position_and_a_hint() {
    let mut all = String::new();
    let files = files("tests/bad_documents");
    assert!(40 <= files.len(), "{}", files.len());
    for (file, text) in files {
        let loaded = loaded(&[(file.clone(), text.clone())]);
        let is_warning_only = file.starts_with("warning-");
        assert_eq!(loaded.documents.is_some(), is_warning_only, "{file}\n{}", shown(&loaded));
        assert!(!loaded.diagnostics.is_empty(), "{file}");
        for it in &loaded.diagnostics {
            assert!((1..=text.lines().count()).contains(&it.line), "{file}: {it}");
            let line = text.lines().nth(it.line - 1).unwrap();
            assert!((1..=line.chars().count() + 1).contains(&it.column), "{file}: {it}");
            assert!(!it.hint.is_empty() && !it.message.is_empty(), "{file}: {it}");
            assert!(!is_warning_only || it.severity == Severity::Warning, "{file}: {it}");
        }
        all.push_str(&format!("## {file}\n\n{}\n", shown(&loaded)));
    }
    expect_file!["bad_documents/expected.txt"].assert_eq(&all);
}

/// The least that a person can write: what is left out must be the safe choice.
const LEAST: &str = "
apiVersion: evenkeel/v1
kind: Target
metadata: { name: checkout }
spec:
  region: eu-central-1
  provider: { simulated: { service: checkout } }
  capacity: { min: 3, max: 40 }
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: web }
spec:
  selector: { everything: true }
  target_label: service
  signals:
    - { name: requests, query: requests_per_second, value_per_unit: 55 }
---
apiVersion: evenkeel/v1
kind: Guardrail
metadata: { name: all }
spec: { selector: { everything: true } }
---
apiVersion: evenkeel/v1
kind: Access
metadata: { name: nobody }
spec: {}
";

#[test]
fn what_is_left_out_gets_the_safe_default() {
    let loaded = loaded(&[("least.yaml".to_owned(), LEAST.to_owned())]);
    assert_eq!(shown(&loaded), "");
    let documents = loaded.documents.unwrap();
    let mut all = String::new();
    for target in documents.targets() {
        all.push_str(&format!("{target:#?}\n"));
    }
    for policy in documents.policies() {
        all.push_str(&format!("{policy:#?}\n"));
    }
    for guardrail in documents.guardrails() {
        all.push_str(&format!("{guardrail:#?}\n"));
    }
    all.push_str(&format!("{:#?}\n", documents.access()));
    expect_file!["read_documents/least.txt"].assert_eq(&all);
}

#[test]
fn every_field_that_is_given_is_used() {
    let files = files("../../policies");
    let documents = loaded(&files).documents.unwrap();
    let mut all = String::new();
    for target in documents.targets() {
        all.push_str(&format!("{target:?}\n"));
    }
    for policy in documents.policies() {
        all.push_str(&format!("{policy:?}\n"));
    }
    for guardrail in documents.guardrails() {
        let windows: Vec<String> = guardrail
            .freeze_windows
            .iter()
            .map(|it| format!("{} {} {} {}", it.name, it.cron_text, it.time_zone, it.duration))
            .collect();
        let (id, blast_radius) = (&guardrail.id, &guardrail.blast_radius);
        all.push_str(&format!("{id} {:?} {windows:?} {blast_radius:?}\n", guardrail.selector));
    }
    all.push_str(&format!("{:?}\n", documents.access()));
    expect_file!["read_documents/ready_made.txt"].assert_eq(&all);
}
