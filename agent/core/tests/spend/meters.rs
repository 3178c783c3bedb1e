//! Meters: sums over time against plain calculations, budgets, restarts, costs.

use std::collections::BTreeMap;

use evenkeel_core::documents::{Budget, BudgetOf, BudgetScope};
use evenkeel_core::ids::BudgetId;
use evenkeel_core::slo::window::{CalendarWindow, PeriodLength, Window};
use evenkeel_core::spend::burn::cost_burn_rate;
use evenkeel_core::spend::cost::{CostPoint, NoCost, marginal_cost};
use evenkeel_core::spend::meter::{SpendMemory, SpendMeters};
use evenkeel_core::spend::money::Money;
use evenkeel_core::spend::tenants::{TenantRate, TenantRates};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::kit::{at, close, rates, service, tenant};

const WEB: &str = "web";

fn day() -> Window {
    Window::Calendar(CalendarWindow {
        start: "2026-01-01T00:00".parse().unwrap(),
        zone: TimeZone::UTC,
        length: PeriodLength::Days(1),
    })
}

fn budget(name: &str, window: Window, scope: BudgetScope) -> Budget {
    Budget {
        id: BudgetId::new(name).unwrap(),
        of: BudgetOf::Spend { scope, amount: Money::of(100.0), window },
        thresholds: Vec::new(),
        clears_after: SignedDuration::from_mins(5),
    }
}

fn observe(meters: &mut SpendMeters, now: Timestamp, rate: f64, good: Option<f64>) {
    let good = good.map(|it| (service(WEB), it)).into_iter().collect();
    meters.observe(now, &rates(&[(WEB, rate)]), None, &good);
}

fn id(name: &str) -> BudgetId {
    BudgetId::new(name).unwrap()
}

proptest! {
    #[test]
    fn integrals_are_those_of_a_plain_calculation(
        steps in proptest::collection::vec(
            (prop_oneof![1_i64..90, 20_i64..40, 1_000_i64..20_000], 0.0..100.0_f64), 2..60,
        ),
        lookback_minutes in 1_i64..600,
    ) {
        let mut meters = SpendMeters::default();
        meters.set_budgets(&[
            budget("day", day(), BudgetScope::Everything),
            budget("web", Window::Rolling(SignedDuration::from_hours(2_400)), BudgetScope::Service(service(WEB))),
        ]);
        let mut known: Vec<(i64, i64, f64)> = Vec::new();
        let mut now = 7;
        for (elapsed, rate) in &steps {
            observe(&mut meters, at(now), *rate, None);
            known.push((now, now + elapsed, *rate));
            now += elapsed;
        }
        known.pop();
        let now = now - steps.last().unwrap().0;
        // Second by second, in the plainest way there is: the overlap of two stretches.
        let overlap = |from: i64, until: i64| known.iter()
            .map(|(a, b, _)| ((*b).min(until) - (*a).max(from)).max(0)).sum::<i64>();
        let sum = |from: i64, until: i64| known.iter()
            .map(|(a, b, rate)| {
                let seconds = ((*b).min(until) - (*a).max(from)).max(0);
                rate * f64::from(i32::try_from(seconds).unwrap()) / 3600.0
            }).sum::<f64>();
        let end = now / 30 * 30;
        let from = (end - lookback_minutes * 60).max(end - 72 * 3600);
        let it = meters.window(&BudgetScope::Everything, SignedDuration::from_mins(lookback_minutes));
        if 0 < overlap(from, end) {
            let it = it.unwrap();
            close(it.amount, sum(from, end));
            close(it.hours * 3600.0, f64::from(i32::try_from(overlap(from, end)).unwrap()));
        }
        let midnight = now / 86_400 * 86_400;
        // A slot belongs to where it began, and days begin with a slot.
        close(meters.spent(&id("day")).unwrap().amount(), sum(midnight, now));
        close(meters.spent(&id("web")).unwrap().amount(), sum(0, now));
        let by_day: f64 = meters.days().iter().map(|it| it.1.by_service[&service(WEB)]).sum();
        close(by_day, sum(0, now));
        let recent: f64 = meters.recent(&BudgetScope::Everything, SignedDuration::from_hours(72))
            .iter().map(|it| it.bucket.counts.bad).sum();
        close(recent, sum(((end - 1) / 300 + 1) * 300 - 72 * 3600, end));
    }

    #[test]
    fn a_restart_at_any_time_changes_no_budget_and_no_day(
        steps in proptest::collection::vec((10_i64..400, 0.0..100.0_f64), 2..40),
        restart in 0_usize..40,
    ) {
        let budgets = [
            budget("day", day(), BudgetScope::Everything),
            budget("month", Window::Rolling(SignedDuration::from_hours(720)), BudgetScope::Everything),
        ];
        let (mut one, mut other) = (SpendMeters::default(), SpendMeters::default());
        one.set_budgets(&budgets);
        other.set_budgets(&budgets);
        let mut now = 0;
        for (nth, (elapsed, rate)) in steps.iter().enumerate() {
            if nth == restart % steps.len() {
                let memory = serde_json::to_string(&other.memory()).unwrap();
                let memory: SpendMemory = serde_json::from_str(&memory).unwrap();
                other = SpendMeters::recall(memory);
                other.set_budgets(&budgets);
            }
            observe(&mut one, at(now), *rate, None);
            observe(&mut other, at(now), *rate, None);
            now += elapsed;
        }
        for it in &budgets {
            prop_assert_eq!(one.spent(&it.id), other.spent(&it.id));
        }
        close(
            one.days().iter().map(|it| it.1.by_service.values().sum::<f64>()).sum(),
            other.days().iter().map(|it| it.1.by_service.values().sum::<f64>()).sum(),
        );
    }
}

#[test]
fn a_gap_of_any_length_is_filled_at_the_last_rate_and_said_to_be_estimated() {
    let mut meters = SpendMeters::default();
    let year = Window::Rolling(SignedDuration::from_hours(24 * 400));
    meters.set_budgets(&[budget("year", year, BudgetScope::Everything)]);
    observe(&mut meters, at(0), 2.0, None);
    observe(&mut meters, at(60), 2.0, None);
    let hour = SignedDuration::from_hours(1);
    let everything = BudgetScope::Everything;
    assert!(!meters.window(&everything, hour).unwrap().is_estimated);
    let until = 60 + 86_400 * 300;
    observe(&mut meters, at(until), 2.0, None);
    let it = meters.window(&everything, hour).unwrap();
    assert!(it.is_estimated);
    close(it.amount, 2.0);
    close(meters.spent(&id("year")).unwrap().amount(), 2.0 * 300.0 * 24.0 + 2.0 / 60.0);
    close(meters.estimated_hours(&id("year")).unwrap(), 300.0 * 24.0);
    assert_eq!(meters.days().iter().count(), 40);
    for nth in 1..=140 {
        observe(&mut meters, at(until + nth * 30), 2.0, None);
    }
    assert!(!meters.window(&everything, hour).unwrap().is_estimated);
}

#[test]
fn a_clock_that_goes_back_adds_nothing() {
    let mut meters = SpendMeters::default();
    meters.set_budgets(&[budget("day", day(), BudgetScope::Everything)]);
    for seconds in [0, 3600, 1800, 1830, 3599, 3600] {
        observe(&mut meters, at(seconds), 5.0, None);
    }
    assert_eq!(meters.spent(&id("day")), Some(Money::of(5.0)));
    observe(&mut meters, at(7200), 0.0, None);
    assert_eq!(meters.spent(&id("day")), Some(Money::of(10.0)));
}

#[test]
fn new_prices_do_not_change_what_was_metered() {
    let mut meters = SpendMeters::default();
    meters.set_budgets(&[budget("day", day(), BudgetScope::Everything)]);
    observe(&mut meters, at(0), 10.0, None);
    observe(&mut meters, at(3600), 1.0, None);
    assert_eq!(meters.spent(&id("day")), Some(Money::of(10.0)));
    observe(&mut meters, at(7200), 1.0, None);
    assert_eq!(meters.spent(&id("day")), Some(Money::of(11.0)));
}

#[test]
fn a_new_budget_begins_with_what_its_scope_remembers_and_an_old_one_goes_on() {
    let mut meters = SpendMeters::default();
    for nth in 0..=240 {
        observe(&mut meters, at(nth * 30), 3.0, None);
    }
    let of_day = budget("day", day(), BudgetScope::Service(service(WEB)));
    meters.set_budgets([&of_day]);
    close(meters.spent(&id("day")).unwrap().amount(), 6.0);
    meters.set_budgets([&of_day]);
    close(meters.spent(&id("day")).unwrap().amount(), 6.0);
    meters.set_budgets([]);
    assert_eq!(meters.spent(&id("day")), None);
}

#[test]
fn tenants_that_come_and_go_are_bounded() {
    let mut meters = SpendMeters::default();
    for nth in 0..12 {
        let by_tenant = (0..1_000).map(|n| {
            (
                tenant(&format!("t{}", nth * 1_000 + n)),
                TenantRate { per_hour: 1.0, ..TenantRate::default() },
            )
        });
        let tenants =
            TenantRates { by_tenant: by_tenant.collect(), n_others: 1, ..TenantRates::default() };
        meters.observe(at(nth * 30), &rates(&[(WEB, 1_000.0)]), Some(&tenants), &BTreeMap::new());
    }
    assert_eq!(meters.scopes().count(), 4_096);
    let newest = BudgetScope::Tenant(tenant("t10000"));
    close(meters.window(&newest, SignedDuration::from_hours(1)).unwrap().per_hour, 1.0);
    observe(&mut meters, at(600), 1.0, None);
    for nth in 0..200 {
        observe(&mut meters, at(86_400 * 3 + 1_000 + nth * 30), 1.0, None);
    }
    assert_eq!(meters.scopes().count(), 2);
}

#[test]
fn a_burn_rate_of_one_spends_what_is_left_by_the_end_of_the_period() {
    let (hundred, day_window) = (Money::of(100.0), day());
    let noon = at(12 * 3600);
    let check = |window: &Window, spent: f64, per_hour: f64, expected: f64| {
        let it = cost_burn_rate(window, noon, hundred, Money::of(spent), per_hour);
        assert!(it.total_cmp(&expected).is_eq() || (it - expected).abs() < 1e-9, "{it}");
    };
    check(&day_window, 40.0, 5.0, 1.0);
    check(&day_window, 40.0, 10.0, 2.0);
    check(&day_window, 100.0, 1.0, f64::INFINITY);
    check(&day_window, 120.0, 0.0, 0.0);
    check(&Window::Rolling(SignedDuration::from_hours(50)), 100.0, 2.0, 1.0);
}

#[test]
fn unit_cost_counts_only_slots_where_both_are_known() {
    let mut meters = SpendMeters::default();
    let web = BudgetScope::Service(service(WEB));
    let hour = SignedDuration::from_hours(1);
    for nth in 0..=20 {
        // 3.6 an hour for 10 good requests a second: 0.1 per 1,000.
        observe(&mut meters, at(nth * 30), 3.6, (nth < 10).then_some(10.0));
    }
    close(meters.unit_cost(&web, hour).unwrap(), 0.1);
    close(meters.unit_cost(&BudgetScope::Everything, hour).unwrap(), 0.1);
    let tenant = BudgetScope::Tenant(tenant("a"));
    assert_eq!(meters.unit_cost(&tenant, hour), Err(NoCost::NoGoodRequests));
    assert_eq!(meters.marginal_cost(&web), Err(NoCost::TooFewPoints { n_points: 1 }));
}

#[test]
fn marginal_cost_is_the_slope_and_needs_variation() {
    let mut meters = SpendMeters::default();
    let web = BudgetScope::Service(service(WEB));
    for nth in 0..=720_i32 {
        let rps = 100.0 + 50.0 * (f64::from(nth) / 100.0).sin();
        // 7.2 fixed, and 0.036 an hour for each request per second: 0.01 per 1,000.
        observe(&mut meters, at(i64::from(nth) * 30), 7.2 + 0.036 * rps, Some(rps));
    }
    close(meters.marginal_cost(&web).unwrap(), 0.01);
    let flat = vec![CostPoint { per_hour: 1.0, good_rps: 5.0 }; 20];
    assert_eq!(marginal_cost(&flat), Err(NoCost::NoVariation { ratio: 0.0 }));
}
