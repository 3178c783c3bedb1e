//! From counters as they are read to what each slot counted.

use evenkeel_core::documents::{Indicator, MetricQuery};
use evenkeel_core::slo::increments::{Grid, SeriesOnGrid, slot_readings};
use evenkeel_core::slo::{SLOT, SlotReading};
use expect_test::{Expect, expect};

/// Values of a series; `.` is a gap.
fn series(text: &str) -> SeriesOnGrid {
    text.split_whitespace().map(|it| it.parse().ok()).collect()
}

fn shown(it: &SlotReading) -> String {
    let counts = |it: evenkeel_core::slo::Counts| format!("{}/{}", it.bad, it.total);
    let now = it.counts.map_or_else(|| ".".to_owned(), counts);
    it.carried.map_or_else(|| now.clone(), |carried| format!("{now}+{}", counts(carried)))
}

/// Bad of all, as counters; each line is one series of a query.
#[track_caller]
fn check(bad: &[&str], total: &[&str], expected: &Expect) {
    let query = || MetricQuery::PromQl(String::new());
    let indicator = Indicator::BadOfTotal { bad: query(), total: query(), is_counter: true };
    check_of(&indicator, bad, total, expected);
}

#[track_caller]
fn check_of(indicator: &Indicator, part: &[&str], total: &[&str], expected: &Expect) {
    let answers: Vec<Vec<SeriesOnGrid>> =
        [part, total].map(|it| it.iter().map(|it| series(it)).collect()).to_vec();
    let n = total.iter().map(|it| series(it).len()).max().unwrap_or_default();
    let grid = Grid { first: "2026-03-02T00:00:00Z".parse().unwrap(), step: SLOT, n };
    let readings = slot_readings(indicator, grid, &answers);
    expected.assert_eq(&readings.iter().map(shown).collect::<Vec<_>>().join(" "));
}

#[test]
fn a_counter_that_began_anew_counted_what_it_says() {
    check(&["1 3 2 4"], &["10 20 5 15"], &expect!["2/10 2/5 2/10"]);
}

#[test]
fn what_is_no_count_is_not_read() {
    check(&[], &["1 nan 3 inf 5 -1 7 1e300 9"], &expect![". .+0/2 . .+0/2 . .+0/2 . .+0/2"]);
}

#[test]
fn series_are_added_up_after_their_resets() {
    check(&[], &["10 20 30", "100 5 6"], &expect!["0/15 0/11"]);
}

#[test]
fn what_was_not_observed_is_neither_good_nor_bad_and_what_a_gap_hid_is_carried() {
    check(&["0 0 . . 7"], &["0 10 . . 40"], &expect!["0/10 . . .+7/30"]);
}

#[test]
fn errors_that_no_series_counts_yet_are_none_and_good_ones_are_not_known() {
    check(&[". . 5 6"], &["0 10 20 30"], &expect!["0/10 0/10 1/10"]);
    let query = || MetricQuery::PromQl(String::new());
    let good = Indicator::GoodOfTotal { good: query(), total: query(), is_counter: true };
    check_of(&good, &[". . 5 6"], &["0 10 20 30"], &expect![". . 9/10"]);
    // More good ones than there are: the scrape of one is ahead.
    check_of(&good, &["0 12"], &["0 10"], &expect!["0/10"]);
}
