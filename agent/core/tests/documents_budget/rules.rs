//! Every rule, each broken once.
//!
//! **In:** pieces of the good documents and what stands there instead.
//! **Out:** `rules.txt`: what is said about each.
//! **Not here:** limits of how many ([`super::limits`]).

use evenkeel_core::documents::{Severity, SourceText, load};
use expect_test::{expect, expect_file};

use super::{GOOD, loaded, shown};

const SECOND_BOOK: &str =
    "---\napiVersion: evenkeel/v1\nkind: PriceBook\nmetadata: { name: others }\nspec: {}\n";
const SECOND_TENANTS: &str = "---\napiVersion: evenkeel/v1\nkind: Tenants\nmetadata: { name: others }\nspec: { usage: { query: x } }\n";
const SECOND_BUDGET: &str = "---\napiVersion: evenkeel/v1\nkind: Budget\nmetadata: { name: month }\nspec: { spend: { scope: { everything: true }, amount: 1, window: { rolling: 1h } } }\n";

/// The last line of the good documents, where a document can be added.
const END: &str = "  tracked_max: 500\n";

/// A rule, and changes that break it, each alone.
type Rule<'a> = (&'a str, &'a [(&'a str, &'a str)]);

const BUDGETS: &[Rule<'_>] = &[
    (
        "a budget is of exactly one thing",
        &[
            ("clears_after: 20m", "errors: { slo: x }"),
            (
                "spec: { spend: { scope: { tenant: acme }, amount: 5, window: { rolling: 24h } } }",
                "spec: { clears_after: 1m }",
            ),
            ("scope: { tenant: acme }", "scope: { tenant: acme, everything: true }"),
            ("scope: { everything: true }", "scope: { everything: false }"),
            ("scope: { tenant: acme }", "scope: {}"),
            ("scope: { tenant: acme }", "scope: { team: acme }"),
        ],
    ),
    (
        "amounts are above 0 and add up exactly",
        &[
            ("amount: 12000.5", "amount: 0"),
            ("amount: 12000.5", "amount: 0.0000009"),
            ("amount: 12000.5", "amount: -5"),
            ("amount: 12000.5", "amount: .nan"),
            ("amount: 12000.5", "amount: .inf"),
            ("amount: 12000.5", "amount: 12000 USD"),
            ("amount: 9000000000", "amount: 9000000001"),
        ],
    ),
    (
        "windows are from an hour to a year",
        &[
            ("rolling: 24h", "rolling: 59m"),
            ("rolling: 24h", "rolling: 367d"),
            ("rolling: 24h", "rolling: 24"),
            ("window: { rolling: 24h }", "window: {}"),
            ("every: 1M", "every: 1m"),
            ("every: 1M", "every: 13M"),
            ("every: 1M", "every: 2Y"),
            ("every: 1M", "every: 0M"),
            ("every: 1M", "every: 367d"),
            ("every: 1M", "every: 99999999999999999999d"),
            ("every: 1M", "every: month"),
            ("every: 1M", "every: 1é"),
            ("every: 1M", "every: \"\""),
            ("every: 1M", "every: 1"),
            (
                "start: 2026-01-01T00:00, time_zone: Europe/Berlin",
                "start: 2026-03-29T02:30, time_zone: Europe/Berlin",
            ),
            ("time_zone: Europe/Berlin", "time_zone: Berlin"),
        ],
    ),
    (
        "there is one currency",
        &[
            ("    currency: USD", "    currency: EUR"),
            ("    currency: USD", "    currency: usd"),
            ("    currency: USD", "    currency: Euro"),
            ("  currency: USD\n  effective_from", "  currency: EUR\n  effective_from"),
        ],
    ),
    (
        "a scope is somebody's",
        &[
            ("scope: { service: search }", "scope: { service: serch }"),
            ("scope: { service: search }", "scope: { service: invoices }"),
            ("scope: { region: eu-west-1 }", "scope: { region: eu-west-2 }"),
            ("scope: { region: eu-west-1 }", "scope: { region: mars }"),
            ("scope: { tenant: acme }", "scope: { tenant: acmee }"),
            ("scope: { tenant: acme }", "scope: { tenant: globex }"),
        ],
    ),
    (
        "thresholds can be told apart and lead to something",
        &[
            ("name: burning", "name: most"),
            ("then: [notify], severity: info", "then: []"),
            ("then: [notify, stop_scaling_out]", "then: [notify, notify]"),
            ("then: [notify, stop_scaling_out]", "then: [notify, stop_scaling]"),
            ("severity: page", "severity: sms"),
            ("when: { spent_ratio: 0.8 }", "when: { spent_ratio: 0.8, runaway: { growth: 2 } }"),
            ("when: { spent_ratio: 0.8 }", "when: {}"),
            ("clears_after: 20m", "clears_after: 0s"),
        ],
    ),
    (
        "thresholds can be crossed",
        &[
            ("spent_ratio: 0.8", "spent_ratio: 0"),
            ("spent_ratio: 0.8", "spent_ratio: 80"),
            ("above: 6", "above: 0"),
            ("long: 6h, short: 30m", "long: 6h, short: 6h"),
            ("long: 6h, short: 30m", "long: 30m, short: 6h"),
            ("long: 6h", "long: 73h"),
            ("long: 6h, short: 30m", "long: 61s, short: 59s"),
            ("within: 3d", "within: 32d"),
            ("quantile: p90", "quantile: p95"),
            ("growth: 1.5", "growth: 1.0"),
            ("growth: 1.5", "growth: 101"),
            (
                "spec: { spend: { scope: { tenant: acme }, amount: 5, window: { rolling: 24h } } }",
                "spec: { errors: { slo: x }, thresholds: [{ name: t, when: { runaway: { growth: 2 } }, then: [notify] }] }",
            ),
            (
                "spec: { spend: { scope: { tenant: acme }, amount: 5, window: { rolling: 24h } } }",
                "spec: { errors: { slo: availability, objective: most } }",
            ),
            (
                "window: { rolling: 24h } }",
                "window: { rolling: 24h } }, thresholds: [{ name: t, when: { exhausts_within: { within: 25h } }, then: [notify] }]",
            ),
        ],
    ),
];

const PRICES: &[Rule<'_>] = &[
    (
        "prices are prices",
        &[
            ("price_per_hour: 0.25", "price_per_hour: -0.25"),
            ("price_per_hour: 0.25", "price_per_hour: .nan"),
            ("price_per_hour: 0.25", "price_per_hour: .inf"),
            ("price_per_unit: 1 }", "price_per_unit: -1 }"),
            ("units: 10, price_per_hour: 0.12", "units: 0, price_per_hour: -1"),
            ("price_per_hour: 0.25", "gauge: { query: x }, price_per_hour: 1"),
            (", price_per_hour: 0.25 }", " }"),
        ],
    ),
    (
        "a discount leaves something to pay",
        &[
            ("discount_ratio: 0.05", "discount_ratio: 1"),
            ("discount_ratio: 0.05", "discount_ratio: -0.1"),
            ("discount_ratio: 0.05", "discount_ratio: 5%"),
        ],
    ),
    (
        "a time has an offset",
        &[
            ("2026-11-01T00:00:00+01:00", "2026-11-01T00:00:00"),
            ("2026-11-01T00:00:00+01:00", "2026-11-01"),
            ("2026-11-01T00:00:00+01:00", "2026-13-01T00:00:00Z"),
            ("2026-11-01T00:00:00+01:00", "2026-11-01T00:00:00+25:61"),
        ],
    ),
    (
        "names are unique",
        &[
            ("name: calls", "name: egress"),
            (
                "    - { name: savings plan,",
                "    - { name: savings plan, selector: { everything: true }, units: 1, price_per_hour: 1 }\n    - { name: savings plan,",
            ),
            (END, SECOND_BUDGET),
        ],
    ),
    ("one is in force", &[(END, SECOND_BOOK), (END, SECOND_TENANTS)]),
    (
        "prices apply to something",
        &[
            ("match_labels: { service: search } }, price", "everything: true }, price"),
            (
                "    - selector: { match_labels: { tier: web } }\n",
                "    - selector: { targets: [search-api] }\n",
            ),
            ("match_labels: { service: search } }, price", "match_labels: { service: x } }, price"),
            ("match_labels: { service: search } }, price", "targets: [serch-api] }, price"),
            ("match_labels: { service: search } }, price", "}, price"),
            ("selector: { everything: true }, units", "selector: { region: mars }, units"),
        ],
    ),
    (
        "queries are whole and keep their labels",
        &[
            ("avg by (app) (node", "avg by (app) ((node"),
            ("avg by (app) (node", "avg by (pod) (node"),
            ("sum by (service) (rate(egress", "sum (rate(egress"),
            ("query: good_requests", "query: sum(good_requests)"),
            ("query: good_requests", "query: ''"),
            ("label: app, max_age: 10m", "label: my-app, max_age: 10m"),
            ("label: app, max_age: 10m", "label: app, max_age: 2h"),
        ],
    ),
];

const TENANTS: &[Rule<'_>] = &[
    (
        "shares that are always one's own fit together",
        &[
            ("{ name: zero, value: 0 }", "{ name: zero, value: 0, share_ratio: 0.25 }"),
            ("share_ratio: 0.5, quota", "share_ratio: 1.5, quota"),
            ("share_ratio: 0.5, quota", "share_ratio: -0.5, quota"),
        ],
    ),
    (
        "quotas let something through, and values are not below nothing",
        &[
            ("quota_rps: 500", "quota_rps: 0"),
            ("quota_rps: 50 }", "quota_rps: -1 }"),
            ("value: 100", "value: -1"),
            ("value: 10.5, ", ""),
        ],
    ),
    (
        "tenants are told apart and metered",
        &[
            ("name: emca", "name: acme"),
            ("name: zero", "name: zero tenant"),
            ("tracked_max: 500", "tracked_max: 2"),
            ("tracked_max: 500", "tracked_max: 0"),
            ("tracked_max: 500", "tracked_max: 10001"),
        ],
    ),
    (
        "usage has a tenant and a service",
        &[
            ("sum by (tenant, service) (rate(r", "sum by (service) (rate(r"),
            ("sum by (tenant, service) (rate(r", "sum by (tenant) (rate(r"),
            ("sum by (tenant, service) (rate(r", "sum by (tenant, service (rate(r"),
            ("service_label: service", "service_label: tenant"),
            ("tenant_label: tenant", "tenant_label: org"),
        ],
    ),
];

fn table(rules: &[Rule<'_>]) -> String {
    let mut all = String::new();
    for (rule, changes) in rules {
        all.push_str(&format!("# {rule}\n\n"));
        for (from, to) in *changes {
            assert!(GOOD.contains(from), "{from}");
            // What is added comes after what is there.
            let added = if *from == END { format!("{END}{to}") } else { (*to).to_owned() };
            let loaded = loaded(&GOOD.replacen(from, &added, 1));
            assert!(!loaded.diagnostics.is_empty(), "nothing is said about {to}");
            let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
            assert_eq!(loaded.documents.is_none(), has_error, "{to}");
            let heading = if to.is_empty() { format!("without {from}") } else { (*to).to_owned() };
            all.push_str(&format!("## {}\n{}\n", heading.trim(), shown(&loaded)));
        }
    }
    all
}

#[test]
fn every_rule_has_a_message_with_both_numbers_and_a_hint() {
    let all = [table(BUDGETS), table(PRICES), table(TENANTS)].concat();
    expect_file!["rules.txt"].assert_eq(&all);
}

#[test]
fn a_target_in_dollars_needs_a_price_where_the_book_is_in_euros() {
    let euros = GOOD.replace("currency: USD", "currency: EUR");
    assert_eq!(shown(&loaded(&euros)), "", "prices of the book select all targets");
    let own_price = euros.replacen("tier: web } }\n      gauge", "tier: db } }\n      gauge", 1);
    expect![[r#"
        58:13 error: the price book is in EUR, and target `checkout` (line 3) has its price in USD (`price_usd_per_hour`)
          hint: add a price of capacity that selects it: nothing is exchanged
        62:17 warning: a price of capacity selects none of the 2 targets
          hint: compare it with the labels and regions of the targets
    "#]].assert_eq(&shown(&loaded(&own_price)));
    let free = own_price.replacen("price_usd_per_hour: 0.2", "price_usd_per_hour: 0", 1);
    expect![[r#"
        62:17 warning: a price of capacity selects none of the 2 targets
          hint: compare it with the labels and regions of the targets
    "#]]
    .assert_eq(&shown(&loaded(&free)));
}

// Each of them alone would be fine.
#[test]
fn two_books_in_two_files_are_named_both() {
    let book = SECOND_BOOK;
    let loaded = load(&[
        SourceText { file: "a.yaml", text: book },
        SourceText { file: "b.yaml", text: book },
    ]);
    assert!(loaded.documents.is_none());
    expect![[r#"
        4:19 error: there is a second price book, the first is in a.yaml, line 4
          hint: one is in force: make one document of the two
    "#]]
    .assert_eq(&shown(&loaded));
}
