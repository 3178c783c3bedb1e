//! When a run is worse than its twin.
//!
//! **In:** sums of two runs. **Out:** a table.
//! **Not here:** how a run comes to its sums.

use std::fmt::Write as _;

use evenkeel_sim::run::harm::Totals;
use expect_test::expect;

#[test]
fn harm_is_what_is_worse_beyond_chance_and_not_worth_it() {
    let twin = Totals {
        offered: 1_000_000.0,
        good: 990_000.0,
        lost: 5_000.0,
        bad_seconds: 10_000,
        cost_usd: 100.0,
        ..Totals::default()
    };
    let cases: [(&str, Totals); 11] = [
        ("the same", twin),
        ("better", Totals { bad_seconds: 0, lost: 0.0, cost_usd: 50.0, good: 999_000.0, ..twin }),
        ("200 bad seconds more are chance", Totals { bad_seconds: 10_200, ..twin }),
        ("201 are harm", Totals { bad_seconds: 10_201, ..twin }),
        ("500 more lost are chance", Totals { lost: 5_500.0, ..twin }),
        ("501 are harm", Totals { lost: 5_501.0, ..twin }),
        ("a tenth dearer is chance", Totals { cost_usd: 110.0, ..twin }),
        ("more is harm", Totals { cost_usd: 111.0, ..twin }),
        ("but not for 201 good ones", Totals { cost_usd: 150.0, good: 990_201.0, ..twin }),
        ("and for 200 it is", Totals { cost_usd: 150.0, good: 990_200.0, ..twin }),
        ("all of it", Totals { bad_seconds: 20_000, lost: 9_000.0, cost_usd: 200.0, ..twin }),
    ];
    let mut table = String::new();
    for (name, mine) in cases {
        let harm = mine.harm_against(&twin).map_or("none".to_owned(), |it| {
            format!("{} bad s, {} lost, {} USD", it.bad_seconds, it.lost, it.cost_usd)
        });
        writeln!(table, "{name}: {harm}").expect("a string");
    }
    expect![[r#"
        the same: none
        better: none
        200 bad seconds more are chance: none
        201 are harm: 201 bad s, 0 lost, 0 USD
        500 more lost are chance: none
        501 are harm: 0 bad s, 501 lost, 0 USD
        a tenth dearer is chance: none
        more is harm: 0 bad s, 0 lost, 11 USD
        but not for 201 good ones: none
        and for 200 it is: 0 bad s, 0 lost, 50 USD
        all of it: 10000 bad s, 4000 lost, 100 USD
    "#]]
    .assert_eq(&table);
}

#[test]
fn next_to_a_good_twin_a_minute_counts() {
    let twin = Totals { offered: 1_000.0, good: 1_000.0, ..Totals::default() };
    let harmed = |bad_seconds| Totals { bad_seconds, ..twin }.harm_against(&twin).is_some();
    assert_eq!([harmed(60), harmed(61)], [false, true]);
}
