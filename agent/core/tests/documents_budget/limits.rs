//! How many there may be.
//!
//! **In:** as many as are allowed, and one more.
//! **Out:** documents, or a fault with the limit.
//! **Not here:** what is in them ([`super::rules`]).

use super::{loaded, shown};

fn head(kind: &str, name: &str) -> String {
    format!("---\napiVersion: evenkeel/v1\nkind: {kind}\nmetadata: {{ name: {name} }}\n")
}

fn listed(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(|nth| format!("{}, ", item(nth))).collect()
}

fn budgets(n: usize) -> String {
    let spend =
        "spec: { spend: { scope: { everything: true }, amount: 1, window: { rolling: 1h } } }";
    (0..n).map(|nth| format!("{}{spend}\n", head("Budget", &format!("b{nth}")))).collect()
}

fn thresholds(n: usize) -> String {
    let all = listed(n, |nth| {
        format!("{{ name: t{nth}, when: {{ spent_ratio: 0.5 }}, then: [notify] }}")
    });
    format!(
        "{}spec: {{ spend: {{ scope: {{ everything: true }}, amount: 1, window: {{ rolling: 1h }} }}, thresholds: [{all}] }}\n",
        head("Budget", "b")
    )
}

fn capacity(n: usize) -> String {
    let all = listed(n, |_| "{ selector: { everything: true }, price_per_hour: 1 }".to_owned());
    format!("{}spec: {{ capacity: [{all}] }}\n", head("PriceBook", "p"))
}

fn usage(n: usize) -> String {
    let all = listed(n, |nth| format!("{{ name: u{nth}, query: x, price_per_unit: 1 }}"));
    format!("{}spec: {{ usage: [{all}] }}\n", head("PriceBook", "p"))
}

fn commitments(n: usize) -> String {
    let all = listed(n, |nth| {
        format!("{{ name: c{nth}, selector: {{ everything: true }}, units: 1, price_per_hour: 1 }}")
    });
    format!("{}spec: {{ commitments: [{all}] }}\n", head("PriceBook", "p"))
}

/// With every field, so that the limits of a document do not come before.
fn tenants(n: usize) -> String {
    let all: String = (0..n)
        .map(|nth| {
            format!(
                "    - {{ name: tenant-{nth}, value: 1, share_ratio: 0.0001, quota_rps: 10 }}\n"
            )
        })
        .collect();
    format!(
        "{}spec:\n  usage: {{ query: x }}\n  tracked_max: 10000\n  tenants:\n{all}",
        head("Tenants", "t")
    )
}

#[track_caller]
fn check(max: usize, text: impl Fn(usize) -> String, message: &str) {
    assert_eq!(shown(&loaded(&text(max))), "");
    let loaded = loaded(&text(max + 1));
    assert!(loaded.documents.is_none());
    assert!(loaded.diagnostics.len() == 1, "{}", shown(&loaded));
    assert_eq!(loaded.diagnostics[0].message, message);
}

#[test]
fn there_is_room_for_so_many_and_not_for_one_more() {
    check(1_000, budgets, "budget `b1000`: there are more than 1000 documents of kind `Budget`");
    check(32, thresholds, "budget `b`: `spec.thresholds` has 33 items, it must have 0 to 32");
    check(200, capacity, "price book `p`: `spec.capacity` has 201 items, it must have 0 to 200");
    check(200, usage, "price book `p`: `spec.usage` has 201 items, it must have 0 to 200");
    check(
        100,
        commitments,
        "price book `p`: `spec.commitments` has 101 items, it must have 0 to 100",
    );
    check(10_000, tenants, "tenants `t`: `spec.tenants` has 10001 items, it must have 0 to 10000");
}
