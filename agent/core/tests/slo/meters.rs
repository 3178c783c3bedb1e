//! Meters: late samples, gaps, slices, memory.
//!
//! **In:** a few slots.
//! **Out:** what was counted.
//! **Not here:** verdicts ([`super::equal`]).

use evenkeel_core::documents::{Budgeting, Slo};
use evenkeel_core::slo::ledger::Ledger;
use evenkeel_core::slo::meter::Meter;
use evenkeel_core::slo::ring::{Ring, SlotNumber};
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{Counts, SLOT, SlotReading};
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::kit::{at, bad_of_total, objective, reading, sliced, slo};

fn plain() -> Slo {
    slo("plain", vec![objective("bad", 0.99, bad_of_total())])
}

fn slices() -> Slo {
    sliced(plain(), Budgeting::Timeslices, 5, 0.9)
}

type Slot = (usize, Option<(f64, f64)>, Option<(f64, f64)>);

/// Each reading is a list of slots: number, counts, carried.
#[track_caller]
fn check(slo: &Slo, readings: &[&[Slot]], expected: &Expect) {
    let mut meter = Meter::of(slo, &slo.objectives[0]);
    let counts = |it: Option<(f64, f64)>| it.map(|(bad, total)| Counts { bad, total });
    let mut now = 0;
    for slots in readings {
        now = slots.iter().map(|it| it.0).fold(now, usize::max);
        let slots: Vec<SlotReading> = slots
            .iter()
            .map(|it| SlotReading { at: at(it.0), counts: counts(it.1), carried: counts(it.2) })
            .collect();
        meter.observe(at(now), SLOT, &slots);
    }
    let window = meter.window(at(now), SignedDuration::from_hours(1));
    let (seen, spent) = (window.counts, meter.spent());
    let hours = meter.ledger().sums().observed_seconds;
    expected.assert_eq(&format!(
        "window {} of {} in {} slots; spent {} of {} in {hours} s",
        seen.bad, seen.total, window.n_observed, spent.bad, spent.total,
    ));
}

#[test]
fn the_newest_reading_of_a_slot_is_what_counts() {
    check(
        &plain(),
        &[&[(1, Some((1.0, 10.0)), None), (2, None, None)], &[(1, Some((2.0, 20.0)), None)]],
        &expect!["window 2 of 20 in 1 slots; spent 2 of 20 in 30 s"],
    );
}

#[test]
fn a_query_that_failed_later_takes_nothing_away_however_long_ago() {
    let far = [(1, Some((1.0, 10.0)), None), (200, Some((0.0, 5.0)), None)];
    check(
        &plain(),
        &[&far, &[(1, None, None), (200, None, None)], &far],
        &expect!["window 0 of 5 in 1 slots; spent 1 of 15 in 60 s"],
    );
}

#[test]
fn what_a_gap_hid_is_spent_once_and_alerts_do_not_count_it() {
    let gap = [(1, Some((0.0, 10.0)), None), (2, None, None), (5, None, Some((3.0, 30.0)))];
    check(&plain(), &[&gap, &gap], &expect!["window 0 of 10 in 1 slots; spent 3 of 40 in 30 s"]);
}

#[test]
fn a_gap_that_late_samples_fill_hides_no_more() {
    let gap = [(1, Some((0.0, 10.0)), None), (5, None, Some((3.0, 30.0)))];
    let in_part = [(2, Some((1.0, 10.0)), None), (5, None, Some((2.0, 20.0)))];
    check(
        &plain(),
        &[&gap, &in_part],
        &expect!["window 1 of 20 in 2 slots; spent 3 of 40 in 60 s"],
    );
    let whole: Vec<Slot> = (1..=5).map(|it| (it, Some((1.0, 10.0)), None)).collect();
    check(&plain(), &[&gap, &whole], &expect!["window 5 of 50 in 5 slots; spent 5 of 50 in 150 s"]);
}

#[test]
fn a_slice_is_one_event_when_it_is_over() {
    let slots: Vec<Slot> = (1..=9).map(|it| (it, Some((5.0, 10.0)), None)).collect();
    check(&slices(), &[&slots], &expect!["window 0 of 0 in 9 slots; spent 0 of 0 in 270 s"]);
    check(
        &slices(),
        &[&slots, &[(10, Some((0.0, 10.0)), None)]],
        &expect!["window 1 of 1 in 10 slots; spent 1 of 1 in 300 s"],
    );
}

#[test]
fn a_slice_whose_end_nobody_read_is_judged_by_what_was_seen_of_it() {
    let slots = [(1, Some((5.0, 10.0)), None), (3, Some((5.0, 10.0)), None)];
    check(
        &slices(),
        &[&slots, &[(25, Some((0.0, 10.0)), None)]],
        &expect!["window 1 of 1 in 4 slots; spent 1 of 1 in 90 s"],
    );
}

#[test]
fn a_late_slot_judges_its_slice_anew() {
    let bad: Vec<Slot> = (1..=12).map(|it| (it, Some((5.0, 10.0)), None)).collect();
    check(
        &slices(),
        &[&bad, &[(4, Some((0.0, 1_000.0)), None)]],
        &expect!["window 0 of 1 in 12 slots; spent 0 of 1 in 360 s"],
    );
}

#[test]
fn a_gap_counts_as_the_slices_that_lie_in_it_not_as_events() {
    let before: Vec<Slot> = (1..=12).map(|it| (it, Some((0.0, 10.0)), None)).collect();
    check(
        &slices(),
        &[&before, &[(45, None, Some((600.0, 1_000.0)))]],
        &expect!["window 0 of 2 in 13 slots; spent 2 of 4 in 360 s"],
    );
}

#[test]
fn the_memory_of_an_slo_does_not_depend_on_its_window() {
    let bytes = |days: i64| {
        let window = Window::Rolling(SignedDuration::from_hours(24 * days));
        let slo = Slo { window, ..plain() };
        let mut meters = SloMeters::of(&slo);
        for k in 0..20_000 {
            meters.observe(at(k), &reading(&slo, k, Some((1.0, 100.0))));
        }
        // The tree of buckets is as large as it may become.
        let n_buckets = meters.ledgers().next().unwrap().buckets().count();
        meters.bytes() + (121 - n_buckets) * 64
    };
    assert_eq!(bytes(1), bytes(365));
    assert_eq!(bytes(1), bytes(30));
    expect!["79168 bytes"].assert_eq(&format!("{} bytes", bytes(30)));
}

#[test]
fn a_ledger_goes_on_with_a_changed_window() {
    let hours = |it| Window::Rolling(SignedDuration::from_hours(it));
    let mut ledger = Ledger::default();
    for k in 0..40 * 2_880 {
        let one = Counts { bad: 0.0, total: 1.0 };
        ledger.add(&hours(30 * 24), at(k), one, 30.0);
    }
    let now = at(40 * 2_880 - 1);
    ledger.roll(&hours(30 * 24), now);
    let mut shown = format!("30 days: {}", ledger.sums().counts.total / 2_880.0);
    for (name, window) in [("7 days", hours(7 * 24)), ("30 days again", hours(30 * 24))] {
        ledger.adopt(&window);
        ledger.roll(&window, now);
        shown += &format!("\n{name}: {:.2}", ledger.sums().counts.total / 2_880.0);
    }
    let month = Window::Calendar(evenkeel_core::slo::window::CalendarWindow {
        start: "2026-01-01T00:00".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
        length: evenkeel_core::slo::window::PeriodLength::Months(1),
    });
    ledger.adopt(&month);
    shown += &format!("\nthis month: {:.2}", ledger.sums().counts.total / 2_880.0);
    expect![[r#"
        30 days: 30.24965277777778
        7 days: 7.00
        30 days again: 7.00
        this month: 7.00"#]]
    .assert_eq(&shown);
}

proptest! {
    // Whatever is set in whatever order, sums are those of what was set at last.
    #[test]
    fn sums_of_a_ring_are_those_of_its_slots(
        sets in proptest::collection::vec((0_i64..1_200, proptest::option::of(0_u8..9)), 1..300),
        windows in proptest::collection::btree_set(1_usize..1_500, 1..5),
        last in 0_i64..1_300,
    ) {
        let mut ring = Ring::of(SLOT * 900);
        let mut plain = std::collections::BTreeMap::new();
        let mut newest = i64::MIN;
        for (slot, counts) in sets {
            newest = newest.max(slot);
            let counts = counts.map(|it| Counts { bad: 1.0, total: f64::from(it) });
            ring.set(SlotNumber(slot), counts);
            plain.insert(slot, counts);
            plain.retain(|it, _| newest - 900 < *it);
        }
        let windows: Vec<usize> = windows.into_iter().collect();
        for (n, found) in windows.iter().zip(ring.windows(SlotNumber(last), &windows)) {
            let from = last - i64::try_from(*n).unwrap();
            let inside = plain.range(..=last).filter(|(it, _)| from < **it);
            let seen: Vec<Counts> = inside.filter_map(|(_, it)| *it).collect();
            let total: f64 = seen.iter().map(|it| it.total).sum();
            prop_assert_eq!((found.n_observed, found.n_slots), (seen.len(), *n));
            prop_assert!((found.counts.total - total).abs() < 1e-9);
        }
    }
}
