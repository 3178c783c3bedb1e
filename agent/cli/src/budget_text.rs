//! Budgets in words: shares, burn rates, when they run out.
//!
//! **In:** numbers of the agent's reports.
//! **Out:** cells of tables.
//! **Not here:** the tables ([`crate::slo`], [`crate::budget`]).

use std::collections::BTreeMap;

use evenkeel_core::budget::exhaustion::Exhaustion;
use evenkeel_core::documents::BudgetScope;
use jiff::Timestamp;

use crate::times;

/// `64.2%`; nothing when it is not known.
pub(crate) fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |it| format!("{:.1}%", it * 100.0))
}

/// `99.95%`: as many digits as it was written with, at most four.
pub(crate) fn target(ratio: f64) -> String {
    let shown = format!("{:.4}", ratio * 100.0);
    format!("{}%", shown.trim_end_matches('0').trim_end_matches('.'))
}

/// `14.4x` in one window of a report; nothing without events.
pub(crate) fn burn(rates: &BTreeMap<String, Option<f64>>, window: &str) -> String {
    rates.get(window).copied().flatten().map_or_else(String::new, burn_rate)
}

/// All windows, shortest first: `5m 0.30x, 1h 0.20x`.
pub(crate) fn burns(rates: &BTreeMap<String, Option<f64>>) -> String {
    let mut rates: Vec<_> = rates.iter().collect();
    rates.sort_by_key(|(window, _)| evenkeel_core::units::parse_duration(window).ok());
    let one = |(window, rate): &(&String, &Option<f64>)| {
        format!("{window} {}", rate.map_or_else(|| "-".to_owned(), burn_rate))
    };
    rates.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn burn_rate(rate: f64) -> String {
    if rate.abs() < 10.0 { format!("{rate:.2}x") } else { format!("{rate:.1}x") }
}

/// `in 2d3h (1d4h..9d)`: the middle of the estimate, and where eight of ten lie.
pub(crate) fn exhausted(is_spent: bool, at: Option<&Exhaustion>, now: Timestamp) -> String {
    let Some(at) = at else {
        return if is_spent { "spent".to_owned() } else { String::new() };
    };
    if is_spent {
        return "spent".to_owned();
    }
    let left = |it: Timestamp| times::roughly(it.duration_since(now));
    let horizon = left(at.until);
    let end = |it: Option<Timestamp>| it.map_or_else(|| format!(">{horizon}"), left);
    match (at.p10, at.p50) {
        (None, None) => format!("not in {horizon}"),
        (Some(early), None) => format!("not in {horizon}, 10% in {}", left(early)),
        (early, Some(middle)) => {
            format!("in {} ({}..{})", left(middle), end(early), end(at.p90))
        }
    }
}

/// Whose money: `service cart`.
pub(crate) fn scope(scope: &BudgetScope) -> String {
    match scope {
        BudgetScope::Everything => "everything".to_owned(),
        BudgetScope::Region(it) => format!("region {it}"),
        BudgetScope::Service(it) => format!("service {it}"),
        BudgetScope::Tenant(it) => format!("tenant {it}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_exhaustion_says_when_and_how_sure_that_is() {
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let in_hours = |hours: i64| Some(now + jiff::SignedDuration::from_hours(hours));
        let until = now + jiff::SignedDuration::from_hours(24 * 28);
        let cases = [
            (in_hours(28), in_hours(51), in_hours(216)),
            (in_hours(28), in_hours(51), None),
            (in_hours(28), None, None),
            (None, None, None),
        ];
        let mut shown: Vec<String> = cases
            .into_iter()
            .map(|(p10, p50, p90)| {
                exhausted(false, Some(&Exhaustion { p10, p50, p90, until }), now)
            })
            .collect();
        shown.push(exhausted(true, None, now));
        shown.push(format!("{:?}", exhausted(false, None, now)));
        expect![[r#"
            in 2d3h (1d4h..9d)
            in 2d3h (1d4h..>28d)
            not in 28d, 10% in 1d4h
            not in 28d
            spent
            """#]]
        .assert_eq(&shown.join("\n"));
    }

    #[test]
    fn numbers_of_budgets_are_short() {
        assert_eq!(target(0.9995), "99.95%");
        assert_eq!(target(0.5), "50%");
        assert_eq!(share(Some(-0.125)), "-12.5%");
        assert_eq!(share(None), "");
        let rates = [("6h", Some(0.25)), ("5m", Some(33.04)), ("1h", None)];
        let rates = rates.map(|(window, rate)| (window.to_owned(), rate)).into();
        assert_eq!(burns(&rates), "5m 33.0x, 1h -, 6h 0.25x");
        assert_eq!(burn(&rates, "1h"), "");
    }
}
