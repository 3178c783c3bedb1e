//! A full outage pages within two minutes.
//!
//! **In:** one request a second, scraped every 15 seconds, all failing from some instant on.
//! **Out:** seconds from that instant to the page.
//! **Not here:** what is paged by chance ([`super::quiet`]).

use evenkeel_core::incident::Severity;
use evenkeel_core::slo::SLOT;
use evenkeel_core::slo::SliReading;
use evenkeel_core::slo::alert::Verdict;
use evenkeel_core::slo::increments::{Grid, slot_readings};
use evenkeel_core::slo::standing::SloMeters;
use expect_test::{Expect, expect};

use crate::kit::{at, bad_of_total, objective, slo};

const SCRAPE_SECONDS: i32 = 15;

/// Bad and all requests that a query at second `now` finds counted; the outage begins at
/// second 0, and there were requests for so long before.
fn counted(now: i32, scrape_phase: i32, history: i32) -> (f64, f64) {
    let scraped_at = now - (now - scrape_phase).rem_euclid(SCRAPE_SECONDS);
    (f64::from(scraped_at.max(0)), f64::from(scraped_at + history))
}

/// Seconds from the outage to the page: the least and the most of all phases.
#[track_caller]
fn check(target: f64, expected: &Expect) {
    let slo = slo("outage", vec![objective("bad", target, bad_of_total())]);
    let history = 3 * 86_400;
    let first = 8_000;
    let mut quiet = SloMeters::of(&slo);
    for k in 0..=first {
        quiet.observe(at(k), &crate::kit::reading(&slo, k, Some((0.0, 30.0))));
    }
    let (mut least, mut most) = (i32::MAX, 0);
    for outage_phase in 0..30 {
        for scrape_phase in 0..SCRAPE_SECONDS {
            let mut meters = quiet.clone();
            // The first slot after `first` ends this many seconds after the outage began.
            let delay = (1..20).map(|nth| (nth, nth * 30 - outage_phase)).find_map(|(nth, now)| {
                let values = [now - 30, now].map(|it| counted(it, scrape_phase, history));
                let answers = vec![
                    vec![values.iter().map(|it| Some(it.0)).collect()],
                    vec![values.iter().map(|it| Some(it.1)).collect()],
                ];
                let k = first + usize::try_from(nth).unwrap();
                let grid = Grid { first: at(k - 1), step: SLOT, n: 2 };
                let slots = slot_readings(&slo.objectives[0].indicator, grid, &answers);
                let reading = SliReading { slo: slo.id.clone(), objective: 0, step: SLOT, slots };
                meters.observe(at(k), &reading);
                let standing = meters.evaluate(at(k));
                let is_paged = standing
                    .judged()
                    .flat_map(|it| &it.alerts)
                    .any(|it| it.severity == Severity::Page && it.verdict == Verdict::Firing);
                is_paged.then_some(now)
            });
            let delay = delay.expect("an outage pages");
            (least, most) = (least.min(delay), most.max(delay));
        }
    }
    assert!(most < 120, "{target}: {most} s");
    expected.assert_eq(&format!("{least} to {most} s"));
}

#[test]
fn a_full_outage_pages_in_less_than_two_minutes() {
    check(0.95, &expect!["72 to 115 s"]);
    check(0.99, &expect!["72 to 115 s"]);
    check(0.995, &expect!["72 to 115 s"]);
    check(0.999, &expect!["65 to 108 s"]);
    check(0.9999, &expect!["10 to 53 s"]);
}
