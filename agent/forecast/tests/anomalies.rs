//! Anomaly scores as playbooks read them.

use evenkeel_core::documents::{Documents, SourceText, load};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_forecast::anomalies::AnomalyScores;
use jiff::{SignedDuration, Timestamp};

const DOCUMENTS: &str = "
apiVersion: evenkeel/v1
kind: Target
metadata: { name: web, labels: { tier: web } }
spec: { region: r, provider: { simulated: { service: web } }, capacity: { min: 1, max: 9 } }
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: { name: odd }
spec:
  about: Requests are not as they ever were.
  runbook: odd.md
  severity: ticket
  selector: { everything: true }
  target_label: service
  inputs:
    - { name: oddness, query: sum by (service) (rps), unit: ratio, anomaly_score: true }
    - { name: plain, query: sum by (service) (rps), unit: rps }
  trigger: { condition: oddness > 0.6 }
  steps:
    - { name: tell, notify: { message: look at it, severity: ticket } }
  verification: { that: oddness < 0.6 }
";

fn documents() -> Documents {
    let loaded = load(&[SourceText { file: "test.yaml", text: DOCUMENTS }]);
    loaded.documents.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// What the inputs read after the value `value` was seen at so many seconds.
fn look(
    scores: &mut AnomalyScores,
    documents: &Documents,
    at: i64,
    value: f64,
) -> Vec<Option<f64>> {
    let sampled_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(at);
    let reading = |name: &str| InputReading {
        input: name.parse().expect("a name"),
        reading: Ok(InputValue::One { value, sampled_at }),
    };
    let mut observations = [PlaybookObservation {
        playbook: "odd".parse().expect("a name"),
        target: "web".parse().expect("a name"),
        inputs: vec![reading("oddness"), reading("plain")],
    }];
    scores.apply(documents, &mut observations);
    let number = |it: &InputReading| match it.reading {
        Ok(InputValue::One { value, .. }) => Some(value),
        Ok(InputValue::Instances { .. }) | Err(_) => None,
    };
    observations[0].inputs.iter().map(number).collect()
}

/// A load that breathes, with a little noise that is always the same.
fn ordinary(row: i64) -> f64 {
    let row = f64::from(i32::try_from(row).expect("a few thousand rows"));
    100.0 + 10.0 * (row / 60.0).sin() + (row * 12.9898).sin()
}

#[test]
fn a_series_is_unknown_for_an_hour_and_ordinary_after() {
    let (mut scores, documents) = (AnomalyScores::default(), documents());
    for row in 0..239 {
        assert_eq!(look(&mut scores, &documents, row * 15, ordinary(row))[0], None, "row {row}");
    }
    for row in 239..1_000 {
        let read = look(&mut scores, &documents, row * 15, ordinary(row));
        assert!(read[0].is_some_and(|it| it < 0.6), "row {row}: {read:?}");
        assert_eq!(read[1], Some(ordinary(row)), "others keep their value");
    }
}

#[test]
fn what_is_odd_is_held_for_five_minutes_and_not_scored_twice() {
    let (mut scores, documents) = (AnomalyScores::default(), documents());
    for row in 0..1_000 {
        let _ = look(&mut scores, &documents, row * 15, ordinary(row));
    }
    let odd = look(&mut scores, &documents, 15_000, 900.0)[0].unwrap();
    assert!(0.6 < odd, "{odd}");
    // The same sample, seen by the next look, is the same row.
    assert_eq!(look(&mut scores, &documents, 15_000, 900.0)[0], Some(odd));
    for row in 1_001..=1_020 {
        let held = look(&mut scores, &documents, row * 15, ordinary(row))[0].unwrap();
        assert!(odd <= held, "row {row}: {held}");
    }
    let after = look(&mut scores, &documents, 1_060 * 15, ordinary(1_060))[0].unwrap();
    assert!(after < odd, "{after}");
}

#[test]
fn what_no_document_asks_for_is_forgotten() {
    let (mut scores, documents) = (AnomalyScores::default(), documents());
    for row in 0..300 {
        let _ = look(&mut scores, &documents, row * 15, ordinary(row));
    }
    scores.retain(&Documents::default());
    assert_eq!(look(&mut scores, &documents, 300 * 15, ordinary(300))[0], None);
}
