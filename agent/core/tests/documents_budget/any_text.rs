//! No text, however bad, does worse than a diagnostic.
//!
//! **In:** good documents with mistakes put in, values of every kind in every place.
//! **Out:** documents within their ranges, or at least one error with a position.
//! **Not here:** what the messages say ([`super::rules`]).

use evenkeel_core::documents::{BudgetOf, Crossing, Loaded, Severity};
use proptest::prelude::*;

use super::{GOOD, loaded};

const READY_MADE: &str = include_str!("../../../../policies/budgets.yaml");

/// Loads, and checks what holds for every text.
#[track_caller]
fn check(text: &str) -> Loaded {
    let loaded = loaded(text);
    let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(loaded.documents.is_none(), has_error, "{:?}", loaded.diagnostics);
    for it in &loaded.diagnostics {
        assert!(1 <= it.line && 1 <= it.column && !it.hint.is_empty(), "{it}");
        assert!(!it.message.chars().any(char::is_control), "{it:?}");
    }
    let Some(documents) = &loaded.documents else { return loaded };
    for budget in documents.budgets() {
        if let BudgetOf::Spend { amount, .. } = &budget.of {
            assert!((1..=9_000_000_000_000_000).contains(&amount.0), "{budget:?}");
        }
        for it in &budget.thresholds {
            assert!(!it.then.is_empty(), "{budget:?}");
            match it.when {
                Crossing::SpentRatio(it) => assert!(0.0 < it && it <= 10.0, "{budget:?}"),
                Crossing::BurnRate { above, long, short } => {
                    assert!(0.0 < above && above.is_finite() && short < long, "{budget:?}");
                    assert!(long.as_secs() % 30 == 0 && short.as_secs() % 30 == 0, "{budget:?}");
                }
                Crossing::ExhaustsWithin { within, .. } => assert!(within.is_positive()),
                Crossing::Runaway { growth } => assert!((1.1..=100.0).contains(&growth)),
            }
        }
    }
    if let Some(book) = &documents.economy().price_book {
        assert!((0.0..1.0).contains(&book.discount_ratio), "{book:?}");
        assert!(book.usage.iter().all(|it| (0.0..=1e9).contains(&it.price_per_unit)), "{book:?}");
    }
    if let Some(tenants) = &documents.economy().tenants {
        let shared: f64 = tenants.tenants.values().map(|it| it.share_ratio).sum();
        assert!(shared <= 1.0 + 1e-6, "{tenants:?}");
        let quotas = tenants.tenants.values().filter_map(|it| it.quota_rps);
        assert!(quotas.into_iter().all(|it| 0.0 < it && it.is_finite()), "{tenants:?}");
    }
    loaded
}

/// One change of a text at a place: characters removed, and others put there.
fn changed(text: &str, place: usize, n_removed: usize, inserted: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let start = place % (characters.len() + 1);
    let end = (start + n_removed).min(characters.len());
    let before: String = characters[..start].iter().collect();
    let after: String = characters[end..].iter().collect();
    format!("{before}{inserted}{after}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_good_document_with_a_mistake_loads_or_is_explained(
        which in prop_oneof![Just(GOOD), Just(READY_MADE)],
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..6, prop_oneof![
                Just(String::new()), "[ -~\n\t]{1,4}", "\\PC{1,3}", Just("\n---\n".to_owned()),
                Just("null".to_owned()), Just("-1".to_owned()), Just(".nan".to_owned()),
                Just("{".to_owned()), Just("*x".to_owned()), Just("9999999999999999999999".to_owned()),
            ]),
            1..4,
        ),
    ) {
        let mut text = which.to_owned();
        for (place, n_removed, inserted) in changes {
            text = changed(&text, place.index(text.len().max(1)), n_removed, &inserted);
        }
        check(&text);
    }

    // Where a mistake of the form would come first, values are what is tried.
    #[test]
    fn any_values_load_within_their_ranges_or_are_explained(
        amount in value(), every in "[0-9]{0,4}[dwMQYmé]{0,2}", rolling in "[0-9]{1,4}[smhdw]",
        start in "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T[0-2][0-9]:[0-5][0-9]",
        above in value(), long in "[0-9]{1,3}[smhd]", short in "[0-9]{1,3}[smh]",
        ratio in value(), growth in value(), discount in value(),
        shares in prop::collection::vec(value(), 3), quota in value(),
    ) {
        let text = GOOD
            .replacen("12000.5", &amount, 1)
            .replacen("every: 1M", &format!("every: {every}"), 1)
            .replacen("rolling: 24h", &format!("rolling: {rolling}"), 1)
            .replacen("2026-01-01T00:00", &start, 1)
            .replacen("above: 6", &format!("above: {above}"), 1)
            .replacen("long: 6h, short: 30m", &format!("long: {long}, short: {short}"), 1)
            .replacen("spent_ratio: 0.8", &format!("spent_ratio: {ratio}"), 1)
            .replacen("growth: 1.5", &format!("growth: {growth}"), 1)
            .replacen("discount_ratio: 0.05", &format!("discount_ratio: {discount}"), 1)
            .replacen("share_ratio: 0.5", &format!("share_ratio: {}", shares[0]), 1)
            .replacen("share_ratio: 0.5", &format!("share_ratio: {}", shares[1]), 1)
            .replacen("quota_rps: 500", &format!("quota_rps: {quota}"), 1);
        check(&text);
    }
}

/// Numbers as people and accidents write them; mostly good ones.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (1.1..9.0).prop_map(|it: f64| it.to_string()),
        8 => (0.0..0.5).prop_map(|it: f64| it.to_string()),
        1 => any::<f64>().prop_map(|it| it.to_string()),
        1 => any::<i64>().prop_map(|it| it.to_string()),
        1 => Just("x".to_owned()),
    ]
}
