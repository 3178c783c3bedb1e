//! How long capacity takes to come, measured from the agent's own scale-outs.
//!
//! **In:** growth that becomes ready some time after it was asked for.
//! **Out:** the lead time that the agent plans with, and the records about it.
//! **Not here:** what is done with it ([`crate::foresight`]).

use evenkeel_core::documents::LeadTime;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::lead_time::{KnownLeadTime, LeadTimes};
use evenkeel_core::record::Record;
use evenkeel_core::units::Capacity;
use expect_test::{Expect, expect};

use crate::region::{documents, name, named, policy, seconds, target};
use crate::rig::Rig;

/// What there is and what of it is ready, so many seconds after the look before.
enum Then {
    Load(i64, f64, u32),
    Restart,
    Outside(u32),
}
use Then::{Load, Outside, Restart};

/// Lets it happen, all effects done at once, and tells the records about lead
/// times and what is planned with in the end.
#[track_caller]
fn check(steps: &[Then], expected: &Expect) {
    let mut rig = Rig::new(&documents("one", [target("a")], [policy("web", named(&["a"]))], []), 4);
    for step in steps {
        match step {
            Load(after_seconds, load, ready) => {
                rig.wait(*after_seconds);
                let mut observation = rig.observation("a", &[("load", *load)]);
                if let Ok(capacity) = &mut observation.capacity {
                    capacity.ready = Some(Capacity(*ready));
                }
                rig.observe(observation);
                rig.end_all(EffectOutcome::Done);
            }
            Restart => rig.restart(),
            Outside(capacity) => rig.change_outside("a", *capacity),
        }
    }
    let mut told: Vec<String> = rig
        .journal
        .iter()
        .filter_map(|it| {
            if let Record::LeadTimeMeasured { lead_time, .. } = it {
                return Some(format!("measured {lead_time:#}"));
            }
            if let Record::LeadTimeMissed { why, .. } = it {
                return Some(format!("missed: {why}"));
            }
            None
        })
        .collect();
    told.push(format!("planned with {}", rig.agent.lead_time_of(&name("a"))));
    expected.assert_eq(&told.join("\n"));
}

#[test]
fn growth_is_timed_from_asking_to_ready() {
    let looks = [Load(0, 40.0, 4), Load(15, 60.0, 4), Load(15, 60.0, 4), Load(50, 60.0, 5)];
    check(&looks, &expect!["planned with 5m (assumed)"]);
    let ready = [Load(0, 40.0, 4), Load(15, 60.0, 4), Load(40, 60.0, 5), Load(50, 60.0, 6)];
    check(
        &ready,
        &expect![[r#"
        measured 1m 30s
        planned with 1m30s (measured)"#]],
    );
}

#[test]
fn growth_upon_growth_is_timed_from_its_own_beginning() {
    let steps = [
        Load(0, 40.0, 4),
        Load(15, 60.0, 4),
        Load(30, 90.0, 4),
        Load(30, 90.0, 6),
        Load(30, 90.0, 9),
    ];
    check(
        &steps,
        &expect![[r#"
        measured 1m
        planned with 1m (measured)"#]],
    );
}

#[test]
fn what_nobody_watched_is_not_a_measurement() {
    check(
        &[Load(0, 40.0, 4), Load(15, 60.0, 4), Restart, Load(3_000, 60.0, 6)],
        &expect![[r#"
            missed: it became ready while nobody looked
            planned with 5m (assumed)"#]],
    );
    check(
        &[Load(0, 40.0, 4), Load(15, 60.0, 4), Load(15, 60.0, 4), Load(300, 60.0, 6)],
        &expect![[r#"
            missed: it became ready while nobody looked
            planned with 5m (assumed)"#]],
    );
}

#[test]
fn growth_that_never_comes_is_given_up_and_a_change_from_outside_ends_the_wait() {
    let never = [Load(0, 40.0, 4), Load(15, 60.0, 4), Load(7_300, 60.0, 5)];
    check(
        &never,
        &expect![[r#"
        missed: 6 were asked for, 5 are ready after 2h1m40s
        planned with 5m (assumed)"#]],
    );
    let outside = [Load(0, 40.0, 4), Load(15, 60.0, 4), Outside(7), Load(30, 60.0, 7)];
    check(&outside, &expect!["planned with 5m (assumed)"]);
    let given_back = [Load(0, 40.0, 4), Load(15, 60.0, 4), Load(15, 40.0, 4), Load(30, 40.0, 4)];
    check(&given_back, &expect!["planned with 5m (assumed)"]);
}

#[test]
fn nine_of_ten_are_no_longer_than_the_lead_time_that_is_planned_with() {
    let mut rig = Rig::new(&documents("one", [target("a")], [], []), 4);
    let mut told = Vec::new();
    for (nth, minutes) in [3, 2, 9, 2, 2, 2, 2, 2, 2, 2, 2].into_iter().enumerate() {
        let record = Record::LeadTimeMeasured {
            at: rig.now,
            target: name("a"),
            lead_time: seconds(60 * minutes),
        };
        rig.journal.push(record);
        rig.restart();
        told.push(format!("{}: {}", nth + 1, rig.agent.lead_time_of(&name("a"))));
    }
    expect![[r#"
        1: 3m (measured)
        2: 3m (measured)
        3: 9m (measured)
        4: 9m (measured)
        5: 9m (measured)
        6: 9m (measured)
        7: 9m (measured)
        8: 9m (measured)
        9: 9m (measured)
        10: 3m (measured)
        11: 3m (measured)"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_the_document_says_wins() {
    let given = LeadTime::Given(seconds(90));
    expect!["1m30s (given)"].assert_eq(&KnownLeadTime::of(given, None).to_string());
    let none = LeadTimes::default();
    let unmeasured = KnownLeadTime::of(LeadTime::Measure, Some(&none));
    expect!["5m (assumed)"].assert_eq(&unmeasured.to_string());
}
