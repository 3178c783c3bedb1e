//! Bills: reading FOCUS, and what differs from it.

use std::collections::BTreeMap;

use evenkeel_core::spend::focus::{FocusRow, parse};
use evenkeel_core::spend::meter::SpendMeters;
use evenkeel_core::spend::money::{Currency, Money};
use evenkeel_core::spend::reconcile::reconcile;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::kit::{at, rates, service};

const HEADER: &str = "ServiceName,EffectiveCost,ChargePeriodStart,ChargePeriodEnd,BillingCurrency,\
                      ChargeCategory,ConsumedQuantity,Tags,SkuId";

#[track_caller]
fn check(rows: &str, expected: &Expect) {
    let shown = match parse(&format!("{HEADER}\n{rows}")) {
        Err(fault) => fault.to_string(),
        Ok(rows) => rows
            .iter()
            .map(|it| {
                format!(
                    "{} {} {:?} {:?} {:?}",
                    it.service_name,
                    it.effective_cost,
                    it.consumed_quantity,
                    it.charge_category,
                    it.tags
                )
            })
            .collect::<Vec<_>>()
            .join("\n"),
    };
    expected.assert_eq(&shown);
}

const DAY: &str = "2026-01-05T00:00:00Z,2026-01-06T00:00:00Z";

#[test]
fn rows_are_read_with_quotes_tags_and_both_line_ends() {
    check(
        &format!(
            "\"Compute, \"\"big\"\"\",1.5,{DAY},USD,Usage,24,\"{{\"\"service\"\":\"\"web\"\",\"\"spot\"\":true}}\",x\r\n\
             \n\"two\nlines\",-0.25,{DAY},EUR,Credit,,null,\"\""
        ),
        &expect![[r#"
            Compute, "big" 1.5 Some(24.0) Usage {"service": "web", "spot": "true"}
            two
            lines -0.25 None Credit {}"#]],
    );
}

#[test]
fn faults_are_named_with_line_and_column() {
    check(
        &format!("a,1.5,{DAY},USD,Usage,24,,x\na,free,{DAY},USD,Usage,,,"),
        &expect!["line 3, column 2: `free` is no number"],
    );
    check(
        &format!("\"a\n\",1,{DAY},usd,Usage,,,"),
        &expect!["line 2, column 5: `usd` is no currency: three capital letters, such as `USD`"],
    );
    check(
        &format!("a,1,{DAY},USD,Gift,,,"),
        &expect!["line 2, column 6: `Gift` is no charge category of FOCUS 1.2"],
    );
    check(
        "a,1,2026-01-05,2026-01-06T00:00:00Z,USD,Usage,,,",
        &expect![
            "line 2, column 3: `2026-01-05` is no instant: write it like `2026-01-31T00:00:00Z`"
        ],
    );
    check(
        "a,1,2026-01-06T00:00:00Z,2026-01-06T00:00:00Z,USD,Usage,,,",
        &expect!["line 2, column 4: `2026-01-06T00:00:00Z` is not after the start of its period"],
    );
    check(
        &format!("a,1,{DAY},USD,Usage,,[],"),
        &expect!["line 2, column 8: `[]` is no JSON object of tags"],
    );
    check(
        &format!("a,1,{DAY},USD,Usage,,"),
        &expect!["line 2, column 9: the row has 8 fields, the first line has 9"],
    );
    check("a,\"1", &expect!["line 2, column 2: a quote is opened and never closed"]);
    check(
        "a,\"1\"2,",
        &expect![
            "line 2, column 2: text after a closing quote: a comma or the end of the line is due"
        ],
    );
    check(
        "a,1\"2,",
        &expect![
            "line 2, column 2: a quote inside a field: write the field between quotes, and it twice"
        ],
    );
    expect!["line 1, column 1: the bill is empty: its first line names the columns of FOCUS"]
        .assert_eq(&parse("").unwrap_err().to_string());
    expect![
        "line 1, column 2: the column `EffectiveCost` is missing: export the bill as FOCUS 1.2"
    ]
    .assert_eq(&parse("ServiceName,BillingCurrency\n").unwrap_err().to_string());
    expect!["line 1, column 3: the column `EffectiveCost` is there twice"]
        .assert_eq(&parse("ServiceName,EffectiveCost,EffectiveCost").unwrap_err().to_string());
}

fn rows(text: &str) -> Vec<FocusRow> {
    parse(&format!("{HEADER}\n{text}")).unwrap()
}

/// Web at 2 and db at 1 an hour, metered for two days and an hour.
fn metered() -> SpendMeters {
    let mut meters = SpendMeters::default();
    for nth in 0..=49 {
        let rates = rates(&[("web", 2.0), ("db", 1.0)]);
        meters.observe(at(nth * 3600), &rates, None, &BTreeMap::new());
    }
    meters
}

#[test]
fn differences_are_of_whole_days_and_only_more_than_ten_percent_is_drift() {
    let tag = |name: &str| format!("\"{{\"\"service\"\":\"\"{name}\"\"}}\"");
    let two_days = "2026-01-05T00:00:00Z,2026-01-07T00:00:00Z";
    let text = [
        format!("EC2,100,{two_days},USD,Usage,,{},", tag("web")),
        format!("EC2,-4,{DAY},USD,Credit,,{},", tag("web")),
        format!("RDS,30,{two_days},USD,Usage,,{},", tag("db")),
        format!("Tax,50,{DAY},USD,Tax,,,"),
        format!("S3,9,{DAY},USD,Usage,,,"),
        format!("EC2,7,{DAY},EUR,Usage,,{},", tag("web")),
        "EC2,7,2026-01-04T00:00:00Z,2026-01-05T00:00:00Z,USD,Usage,,,".to_owned(),
        "EC2,7,2026-01-07T00:00:00Z,2026-01-08T00:00:00Z,USD,Usage,,,".to_owned(),
    ];
    let meters = metered();
    let it = reconcile(at(49 * 3600), meters.days(), &rows(&text.join("\n")), Currency::USD);
    assert_eq!(it.n_days, 2);
    let web = it.by_service[&service("web")];
    assert_eq!((web.metered, web.billed, web.is_drift), (Money::of(96.0), Money::of(96.0), false));
    let drifts: Vec<(&str, f64)> =
        it.drifts().iter().map(|it| (it.0.as_str(), it.1.drift_ratio.unwrap())).collect();
    assert_eq!(drifts, [("db", 0.6)]);
    assert_eq!((it.unallocated.billed, it.unallocated.is_drift), (Money::of(9.0), true));
    assert_eq!((it.total.metered, it.total.billed), (Money::of(144.0), Money::of(135.0)));
    assert!(!it.total.is_drift);
    assert_eq!((it.n_taxes, it.n_refused.values().sum::<usize>()), (1, 1));
}

#[test]
fn a_day_that_was_metered_in_part_is_not_compared() {
    let mut meters = SpendMeters::default();
    meters.observe(at(3600), &rates(&[("web", 2.0)]), None, &BTreeMap::new());
    meters.observe(at(90_000), &rates(&[("web", 2.0)]), None, &BTreeMap::new());
    let bill = rows(&format!("EC2,100,{DAY},USD,Usage,,,"));
    let it = reconcile(at(90_000), meters.days(), &bill, Currency::USD);
    assert_eq!((it.n_days, it.n_days_not_metered, it.total.metered), (0, 1, Money(0)));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a,\"\r\n{}:0-9.]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("{HEADER}\n{text}"));
    }

    #[test]
    fn any_field_survives_quoting(name in "[ -~\r\n]{0,40}") {
        let quoted = name.replace('"', "\"\"");
        let row = rows(&format!("\"{quoted}\",1,{DAY},USD,Usage,,,"));
        prop_assert_eq!(&row[0].service_name, name.trim());
    }
}
