//! Budgets, price books and tenants as a person writes them: what is read, and what is said
//! about faults.
//!
//! **In:** good documents with every field, and the same with one thing changed.
//! **Out:** the checked documents; for each change the position, the message and the hint.
//! **Not here:** error budgets and their SLOs (beside the check itself), other kinds
//! (`tests/documents.rs`).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod any_text;
mod limits;
mod rules;

use evenkeel_core::documents::{Loaded, Severity, SourceText, load};
use expect_test::{Expect, expect, expect_file};

const GOOD: &str = include_str!("../good_documents/budget.yaml");

fn loaded(text: &str) -> Loaded {
    load(&[SourceText { file: "x.yaml", text }])
}

fn shown(loaded: &Loaded) -> String {
    let lines = loaded.diagnostics.iter().map(|it| {
        let severity = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{}:{} {severity}: {}\n  hint: {}\n", it.line, it.column, it.message, it.hint)
    });
    lines.collect()
}

/// The least of each kind: what is left out must be the safe choice.
const LEAST: &str = "
apiVersion: evenkeel/v1
kind: Budget
metadata: { name: b }
spec:
  spend: { scope: { everything: true }, amount: 1, window: { rolling: 1h } }
  thresholds: [{ name: t, when: { exhausts_within: { within: 1h } }, then: [notify] }]
---
apiVersion: evenkeel/v1
kind: PriceBook
metadata: { name: p }
spec: { usage: [{ name: u, query: u, price_per_unit: 0 }] }
---
apiVersion: evenkeel/v1
kind: Tenants
metadata: { name: t }
spec: { usage: { query: requests } }
";

#[track_caller]
fn check_read(text: &str, expected: &expect_test::ExpectFile) {
    let loaded = loaded(text);
    assert_eq!(shown(&loaded), "");
    let documents = loaded.documents.unwrap();
    assert_eq!(documents.n_documents(), loaded.n_documents);
    expected.assert_eq(&format!("{:#?}\n", documents.economy()));
}

#[test]
fn every_field_that_is_given_is_used() {
    check_read(GOOD, &expect_file!["good.txt"]);
}

#[test]
fn what_is_left_out_gets_the_safe_default() {
    check_read(LEAST, &expect_file!["least.txt"]);
}

/// What is said about a text.
#[track_caller]
fn check_text(text: &str, expected: &Expect) {
    expected.assert_eq(&shown(&loaded(text)));
}

#[test]
fn a_budget_may_be_checked_before_there_is_anything_else() {
    let budget = GOOD.split("---\n").nth(2).unwrap();
    check_text(budget, &expect![[""]]);
    let tenant = GOOD.split("---\n").nth(3).unwrap();
    check_text(
        tenant,
        &expect![[r#"
        4:25 warning: budget `acme-day` is for tenant `acme`, and no usage of tenants is metered
          hint: add a `Tenants` document
    "#]],
    );
    let euro = budget.replacen("USD", "EUR", 1);
    check_text(
        &euro,
        &expect![[r#"
        8:15 error: budget `month` is in EUR, and without a `PriceBook` prices are in USD
          hint: add a `PriceBook` with `currency: EUR`
    "#]],
    );
    let errors = "apiVersion: evenkeel/v1\nkind: Budget\nmetadata: { name: b }\n\
                  spec: { errors: { slo: availability } }\n";
    check_text(
        errors,
        &expect![[r#"
        4:24 error: budget `b` is that of SLO `availability`, which no document describes
          hint: add an `SLO` document for it
    "#]],
    );
}
