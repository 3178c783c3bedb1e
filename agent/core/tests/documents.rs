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
use expect_test::{Expect, expect, expect_file};

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

/// The least for forecasts; the calendar has one event of each form.
const LEAST_FORECAST: &str = "
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: web }
spec:
  selector: { everything: true }
  target_label: service
  signals:
    - { name: requests, query: requests_per_second, value_per_unit: 55 }
  forecast: { shortfall: { usd_per_unit_hour: 4 }, calendar: shop }
---
apiVersion: evenkeel/v1
kind: Calendar
metadata: { name: shop }
spec:
  time_zone: America/New_York
  events:
    - { name: launch, starts: 2026-07-04T09:30:30, lasts: 1h }
    - { name: pay-day, cron: '0 9 1,15 * *', lasts: 8h }
  incidents:
    - { name: outage, starts: 2026-01-02T14:05, ends: 2026-01-02T15:40 }
---
apiVersion: evenkeel/v1
kind: Calendar
metadata: { name: empty }
spec: { time_zone: UTC }
";

#[test]
fn a_forecast_and_a_calendar_need_only_what_nobody_can_guess() {
    let loaded = loaded(&[("least.yaml".to_owned(), LEAST_FORECAST.to_owned())]);
    expect![[r#"
        warning: calendar `empty` is used by no policy
          --> least.yaml:25:19
           |
        25 | metadata: { name: empty }
           |                   ^
        hint: name it under `forecast.calendar` of a policy, or remove it
    "#]]
    .assert_eq(&shown(&loaded));
    let documents = loaded.documents.unwrap();
    let forecasts: Vec<_> = documents.policies().map(|it| &it.forecast).collect();
    let calendars: Vec<_> = documents.calendars().collect();
    expect_file!["read_documents/least_forecast.txt"]
        .assert_eq(&format!("{forecasts:#?}\n{calendars:#?}\n"));
}

/// The instants of an incident from `starts` to `ends`.
#[track_caller]
fn check_clock(time_zone: &str, starts: &str, ends: &str, expected: &Expect) {
    let text = format!(
        "apiVersion: evenkeel/v1\nkind: Calendar\nmetadata: {{ name: x }}\n\
         spec: {{ time_zone: {time_zone}, incidents: [{{ name: i, starts: {starts}, ends: {ends} }}] }}"
    );
    let loaded = loaded(&[("x.yaml".to_owned(), text)]);
    let warnings: Vec<&str> = loaded.diagnostics.iter().map(|it| it.message.as_str()).collect();
    let documents = loaded.documents.unwrap();
    let incident = &documents.calendars().next().unwrap().incidents[0];
    let (starts, ends) = (incident.starts_at, incident.ends_at);
    expected.assert_eq(&format!("{starts} to {ends}, {} warnings", warnings.len()));
}

#[test]
fn a_local_time_is_the_instant_that_the_schema_says() {
    let zone = "Europe/Berlin";
    check_clock(
        zone,
        "2026-10-24T02:30",
        "2026-10-26T02:30",
        &expect!["2026-10-24T00:30:00Z to 2026-10-26T01:30:00Z, 0 warnings"],
    );
    // Shown twice: the first starts, the second ends.
    check_clock(
        zone,
        "2026-10-25T02:30",
        "2026-10-25T02:30",
        &expect!["2026-10-25T00:30:00Z to 2026-10-25T01:30:00Z, 2 warnings"],
    );
    // Skipped: as much later.
    check_clock(
        zone,
        "2026-03-29T02:00",
        "2026-03-29T02:59:59",
        &expect!["2026-03-29T01:00:00Z to 2026-03-29T01:59:59Z, 2 warnings"],
    );
    // Midnight of 6 September is not there in Chile.
    check_clock(
        "America/Santiago",
        "2026-09-05T00:00",
        "2026-09-06T00:00",
        &expect!["2026-09-05T04:00:00Z to 2026-09-06T04:00:00Z, 1 warnings"],
    );
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
            .map(|it| {
                format!(
                    "{} {} {} {}",
                    it.name,
                    it.schedule.cron(),
                    it.schedule.time_zone(),
                    it.duration
                )
            })
            .collect();
        let (id, blast_radius) = (&guardrail.id, &guardrail.blast_radius);
        all.push_str(&format!("{id} {:?} {windows:?} {blast_radius:?}\n", guardrail.selector));
    }
    for calendar in documents.calendars() {
        assert_eq!(documents.calendar(&calendar.id), Some(calendar));
        all.push_str(&format!("{calendar:?}\n"));
    }
    all.push_str(&format!("{:?}\n", documents.access()));
    expect_file!["read_documents/ready_made.txt"].assert_eq(&all);
}
