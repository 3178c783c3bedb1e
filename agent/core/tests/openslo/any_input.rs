//! No change of a document, however bad, does worse than a diagnostic.

use evenkeel_core::documents::{Severity, show};
use proptest::prelude::*;

use crate::loaded;

const GOOD: [&str; 5] = [
    include_str!("../../../../policies/slo.yaml"),
    include_str!("examples/budgeting-method/occurences-slo.yaml"),
    include_str!("examples/budgeting-method/ratio-timeslices.yaml"),
    include_str!("examples/budgeting-method/timeslices-slo.yaml"),
    include_str!("examples/treat-low-traffic-as-equally-important/timeslices-slo.yaml"),
];

/// Loads, and checks what holds for every text.
fn check(text: &str) -> Result<(), TestCaseError> {
    let read = loaded(text);
    let has_error = read.diagnostics.iter().any(|it| it.severity == Severity::Error);
    prop_assert_eq!(read.documents.is_none(), has_error, "{:?}", read.diagnostics);
    for it in &read.diagnostics {
        prop_assert!(1 <= it.line && 1 <= it.column && !it.hint.is_empty(), "{}", it);
        prop_assert!(!show(it).chars().any(|it| it == '\u{1b}'), "{:?}", it);
    }
    for slo in read.documents.iter().flat_map(|it| it.slos()) {
        prop_assert!(!slo.objectives.is_empty(), "{}", slo.id);
        for it in &slo.objectives {
            prop_assert!(0.0 < it.target && it.target < 1.0 && 0.0 < it.weight, "{:?}", it);
            prop_assert!(0.0 < it.error_budget(), "{:?}", it);
        }
        for policy in &slo.alert_policies {
            prop_assert!(!policy.conditions.is_empty(), "{}", policy.name);
            for it in &policy.conditions {
                prop_assert_eq!(it.lookback.as_secs() % 30, 0);
                prop_assert!(it.lookback <= evenkeel_core::slo::LOOKBACK_MAX, "{:?}", it);
            }
        }
        // Whatever window it has, it has a period now.
        let period = slo.window.period(jiff::Timestamp::UNIX_EPOCH);
        prop_assert!(period.from < period.until, "{:?}", slo.window);
    }
    Ok(())
}

const NUMBERS: [&str; 12] =
    ["0", "1", "-1", "100", "1e308", ".inf", ".nan", "null", "\"\"", "{}", "[]", "999999Y"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_good_document_with_a_mistake_loads_or_is_explained(
        which in 0..GOOD.len(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..6, prop_oneof![
                Just(String::new()), "[ -~\n]{1,4}", "\\PC{1,3}", Just("\n---\n".to_owned()),
                prop::sample::select(&NUMBERS[..]).prop_map(str::to_owned),
            ]),
            1..4,
        ),
    ) {
        let mut text: Vec<char> = GOOD[which].chars().collect();
        for (place, n_removed, inserted) in changes {
            let start = place.index(text.len());
            let end = (start + n_removed).min(text.len());
            text.splice(start..end, inserted.chars());
            if text.is_empty() {
                text.push(' ');
            }
        }
        check(&text.into_iter().collect::<String>())?;
    }

    // A value, and not just a character, is another: deeper into the checks.
    #[test]
    fn any_value_in_the_place_of_another_loads_or_is_explained(
        which in 0..GOOD.len(), line in any::<prop::sample::Index>(),
        value in prop_oneof![
            prop::sample::select(&NUMBERS[..]).prop_map(str::to_owned),
            "[0-9]{1,7}[mhdwMQYs]", "-?[0-9]{1,3}\\.[0-9]{1,9}", "[a-zA-Z/]{1,12}",
        ],
    ) {
        let lines: Vec<&str> = GOOD[which].lines().collect();
        let line = line.index(lines.len());
        let mut text = String::new();
        for (number, it) in lines.iter().enumerate() {
            match it.split_once(": ") {
                Some((key, _)) if number == line => text.push_str(&format!("{key}: {value}")),
                _ => text.push_str(it),
            }
            text.push('\n');
        }
        check(&text)?;
    }

    #[test]
    fn a_missing_line_loads_or_is_explained(
        which in 0..GOOD.len(), line in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<&str> = GOOD[which].lines().collect();
        lines.remove(line.index(lines.len()));
        check(&lines.join("\n"))?;
    }
}
