//! Tenants, and demands that name SLOs and budgets.
//!
//! **In:** the shop with tenants and documents. **Out:** what is read, or what is wrong.
//! **Not here:** all other lines ([`super::variants`]).

use evenkeel_sim::scenario::{Scenario, ScenarioKind};
use expect_test::{Expect, expect};

use super::{DOCUMENTS, SHOP};

const BUDGET: &str = "\
---
apiVersion: evenkeel/v1
kind: Budget
metadata: { name: web-month }
spec:
  spend:
    scope: { service: web }
    amount: 100
    window: { rolling: 30d }
  thresholds: [{ name: all, when: { spent_ratio: 1 }, then: [notify] }]
";

/// The shop whose web service has these tenants, with one more fault, `must` and `must_not`.
#[track_caller]
fn check(tenants: &str, [fault, must, must_not]: [&str; 3], expected: &Expect) {
    let text = SHOP
        .replacen("critical: false\n", &format!("critical: false\n        tenants: {tenants}\n"), 1)
        .replacen("    faults:\n", &format!("    faults:\n      - {fault}\n"), 1)
        .replacen("    must:\n", &format!("    must:\n      - {must}\n"), 1)
        .replacen("    must_not:\n", &format!("    must_not:\n      - {must_not}\n"), 1);
    let shown = match Scenario::parse("shop.yaml", &(text + DOCUMENTS + BUDGET)) {
        Ok(Scenario { kind: ScenarioKind::Region(it), .. }) => format!(
            "{:?}\n{:?}\n{:?}\n{:?}\n",
            it.tenants[0], it.faults[0].kind, it.must[0], it.must_not[0]
        ),
        Ok(other) => format!("{other:?}\n"),
        Err(it) => format!("{}:{} {}; {}\n", it.line, it.column, it.message, it.hint),
    };
    expected.assert_eq(&shown);
}

const TWO: &str = "[{ name: acme, share_ratio: 0.7 }, { name: globex, share_ratio: 0.2 }]";
const FAULT: &str = "{ at: 1h, for: 10m, junk: { service: web, rps: 5, tenant: globex } }";
const MUST: &str = "{ tenant_good_ratio: { service: web, tenant: acme, min: 0.99, from: 1h } }";
const MUST_NOT: &str = "{ touch: { service: web } }";

#[test]
fn tenants_and_demands_about_money_are_read() {
    check(
        TWO,
        [FAULT, MUST, MUST_NOT],
        &expect![[r#"
        [TenantSpec { name: "acme", share_ratio: 0.7 }, TenantSpec { name: "globex", share_ratio: 0.2 }]
        Junk { service: 0, rps: 5.0, tenant: Some(1) }
        TenantGoodRatio { service: 0, tenant: 0, min: 0.99, span: Span { from: 3600, until: 10800 } }
        Touch { service: 0 }
    "#]],
    );
    let must = "{ contained_within: { service: web, within: 2m, budget: web-month, spent_ratio_max: 0.005 } }";
    check(
        TWO,
        [FAULT, must, MUST_NOT],
        &expect![[r#"
        [TenantSpec { name: "acme", share_ratio: 0.7 }, TenantSpec { name: "globex", share_ratio: 0.2 }]
        Junk { service: 0, rps: 5.0, tenant: Some(1) }
        ContainedWithin { service: 0, seconds: 120, budget: "web-month", spent_ratio_max: 0.005 }
        Touch { service: 0 }
    "#]],
    );
}

#[test]
fn names_that_nobody_has_are_refused_where_they_stand() {
    let fault = "{ at: 1h, for: 10m, junk: { service: web, rps: 5, tenant: hooli } }";
    check(
        TWO,
        [fault, MUST, MUST_NOT],
        &expect![[r#"
        58:67 `web` has no tenant `hooli`; there are acme, globex
    "#]],
    );
    let must = "{ slo_page_within: { slo: nothing-is, within: 2m } }";
    check(
        TWO,
        [FAULT, must, MUST_NOT],
        &expect![[r#"
        64:35 no budget of money or SLO is called `nothing-is`; write the document behind the scenario
    "#]],
    );
    let must = "{ contained_within: { service: web, within: 2m, budget: nobodys, spent_ratio_max: 0.005 } }";
    check(
        TWO,
        [FAULT, must, MUST_NOT],
        &expect![[r#"
        64:65 no budget of money or SLO is called `nobodys`; write the document behind the scenario
    "#]],
    );
    check(
        TWO,
        [FAULT, MUST, "{ slo_alerts: { slo: nothing-is } }"],
        &expect![[r#"
        67:30 no budget of money or SLO is called `nothing-is`; write the document behind the scenario
    "#]],
    );
}

#[test]
fn shares_are_of_one_whole() {
    let tenants = "[{ name: acme, share_ratio: 0.7 }, { name: globex, share_ratio: 0.4 }]";
    check(
        tenants,
        [FAULT, MUST, MUST_NOT],
        &expect![[r#"
        31:18 the tenants' shares add up to 1.1, at most 1; what is missing to 1 belongs to nobody
    "#]],
    );
    let tenants = "[{ name: acme, share_ratio: 0.7 }, { name: acme, share_ratio: 0.1 }]";
    check(
        tenants,
        [FAULT, MUST, MUST_NOT],
        &expect![[r#"
        31:61 two tenants are called `acme`; rename one
    "#]],
    );
}
