//! What forecasts do to capacity: they ask early, they keep, and they know when
//! to be silent.
//!
//! **In:** a load of which one unit carries 10, and outlooks that say what comes.
//! **Out:** what each evaluation concluded.
//! **Not here:** how much of an outlook is to be covered
//! (`tests/plan_ahead.rs`), making outlooks (`evenkeel-forecast`).

use std::sync::Arc;

use evenkeel_core::documents::{BlastRadius, ScalingPolicy, Selector, Shortfall, Target};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::outlook::{Abstention, Standing};
use evenkeel_core::quality::{Absence, Reading};
use evenkeel_core::record::Record;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::region::{documents, foresight, guardrail, named, outlook, policy, seconds, target};
use crate::rig::{Rig, brief};

fn web() -> ScalingPolicy {
    ScalingPolicy {
        headroom_ratio: 0.5,
        forecast: Some(foresight(Shortfall::TimeRatio(0.005))),
        ..policy("web", named(&["a"]))
    }
}

fn rig(policy: ScalingPolicy, current: u32) -> Rig {
    let there = Target { price_usd_per_hour: Some(0.1), ..target("a") };
    let mut free = guardrail("free", Selector::everything());
    free.blast_radius = Some(BlastRadius { window: seconds(60), removed_ratio_max: 1.0 });
    let mut rig = Rig::new(&documents("one", [there], [policy], [free]), current);
    rig.observe(rig.observation("a", &[]));
    rig
}

/// Evaluates, 15 s apart, a load and the load that is expected for sure.
#[track_caller]
fn check(policy: ScalingPolicy, current: u32, columns: &[(f64, f32)], expected: &Expect) {
    let mut rig = rig(policy, current);
    let mut said = Vec::new();
    for (load, to_come) in columns {
        rig.wait(15);
        let sure = outlook(rig.now, Standing::Predicting, *to_come, *to_come);
        said.push(brief(&rig.look_with("a", *load, sure)));
        rig.end_all(EffectOutcome::Done);
    }
    expected.assert_eq(&said.join("\n"));
}

#[test]
fn capacity_is_asked_for_before_the_load_is_there() {
    check(
        web(),
        4,
        &[(40.0, 40.0), (40.0, 75.0), (75.0, 75.0)],
        &expect![[r#"
            kept at 4 (sufficient)
            effect 4->8
            kept at 8 (sufficient)"#]],
    );
}

#[test]
fn what_is_needed_now_is_a_floor_under_every_forecast() {
    check(web(), 4, &[(71.0, 20.0)], &expect!["effect 4->8"]);
}

#[test]
fn capacity_that_will_be_needed_soon_is_kept() {
    check(
        web(),
        8,
        &[(20.0, 80.0), (20.0, 55.0), (20.0, 20.0)],
        &expect![[r#"
            kept at 8 (forecast_keeps)
            effect 8->6
            effect 6->2"#]],
    );
}

#[test]
fn a_forecast_takes_the_place_of_headroom() {
    check(web(), 4, &[(40.0, 40.0)], &expect!["kept at 4 (sufficient)"]);
    let no_forecast = ScalingPolicy { forecast: None, ..web() };
    check(no_forecast, 4, &[(40.0, 40.0)], &expect!["effect 4->6"]);
}

#[test]
fn shrinking_waits_until_reactive_rule_and_interval_agree() {
    let mut slow = web();
    slow.scale_down.stabilization = seconds(30);
    let column = [(80.0, 30.0), (30.0, 30.0), (30.0, 30.0), (30.0, 30.0)];
    check(
        slow,
        8,
        &column,
        &expect![[r#"
        kept at 8 (sufficient)
        kept at 8 (stabilizing)
        effect 8->3
        kept at 3 (sufficient)"#]],
    );
}

#[test]
fn a_forecast_that_abstains_leaves_the_reactive_rule_with_its_headroom_and_says_why() {
    let mut rig = rig(web(), 4);
    let mut said = Vec::new();
    for why in [
        Abstention::TooLittleHistory { hours: 5.2, hours_min: 48.0 },
        Abstention::NotBetterThanNaive { error_ratio: 0.081, naive_error_ratio: 0.08 },
        Abstention::ErrorDrift { error_ratio: 0.31, expected_error_ratio: 0.1 },
        Abstention::CoverageDrift { coverage_ratio: 0.78, coverage_ratio_min: 0.9 },
        Abstention::Stale { age_seconds: 700.0 },
        Abstention::NotFitted,
        Abstention::NoModel { message: "all values are equal".to_owned() },
    ] {
        rig.wait(15);
        let shown = why.to_string();
        let silent = outlook(rig.now, Standing::Abstaining { why }, 190.0, 190.0);
        said.push(format!("{} | {shown}", brief(&rig.look_with("a", 40.0, silent))));
        rig.end_all(EffectOutcome::Done);
    }
    expect![[r#"
        effect 4->6 | only 5 h of history, 48 h are needed
        kept at 6 (within_tolerance) | its error of 8.1% is not clearly below the 8.0% of assuming no change
        kept at 6 (within_tolerance) | its error has grown to 31.0%, 10.0% was expected
        kept at 6 (within_tolerance) | its 95% interval covered 78.0% of the time, at least 90.0% is required
        kept at 6 (within_tolerance) | the newest value it knows is 700 s old
        kept at 6 (within_tolerance) | no model is fitted yet
        kept at 6 (within_tolerance) | no model could be fitted: all values are equal"#]].assert_eq(&said.join("\n"));
}

#[test]
fn an_outlook_from_before_the_load_is_not_used() {
    let mut rig = rig(web(), 4);
    let old = outlook(rig.now, Standing::Predicting, 190.0, 190.0);
    rig.wait(601);
    expect!["effect 4->3"].assert_eq(&brief(&rig.look_with("a", 20.0, old)));
}

#[test]
fn a_missing_value_holds_whatever_is_expected() {
    let mut rig = rig(web(), 4);
    rig.wait(15);
    let mut observation = rig.observation("a", &[("load", 0.0)]);
    let expected = outlook(rig.now, Standing::Predicting, 190.0, 190.0);
    observation.signals[0].reading = Reading::Missing(Absence::NoSeries);
    observation.signals[0].outlook = Some(expected.into());
    expect!["kept at 4 (no_usable_signal)"].assert_eq(&brief(&rig.observe(observation)));
}

#[test]
fn promotions_and_demotions_are_recorded_once_and_survive_a_restart() {
    let mut rig = rig(web(), 4);
    let look = |rig: &mut Rig, standing: Standing| {
        rig.wait(15);
        let it = outlook(rig.now, standing, 40.0, 40.0);
        rig.look_with("a", 40.0, it);
    };
    let drift = || Standing::Abstaining {
        why: Abstention::ErrorDrift { error_ratio: 0.31, expected_error_ratio: 0.1 },
    };
    let unfitted = || Standing::Abstaining { why: Abstention::NotFitted };
    look(&mut rig, unfitted());
    look(&mut rig, Standing::Predicting);
    look(&mut rig, Standing::Predicting);
    rig.restart();
    // A start that passes is no demotion.
    look(&mut rig, unfitted());
    look(&mut rig, Standing::Predicting);
    look(&mut rig, drift());
    look(&mut rig, drift());
    look(&mut rig, Standing::Predicting);
    let told: Vec<String> = rig
        .journal
        .iter()
        .filter_map(|it| {
            if let Record::ForecastDemoted { why, .. } = it {
                return Some(format!("{}: {why}", it.kind()));
            }
            matches!(it, Record::ForecastPromoted { .. }).then(|| it.kind().to_owned())
        })
        .collect();
    expect![[r#"
        forecast_promoted
        forecast_demoted: its error has grown to 31.0%, 10.0% was expected
        forecast_promoted"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn the_explanation_names_what_is_expected_by_when_and_what_it_needs() {
    let mut rig = rig(web(), 4);
    rig.wait(15);
    let rising = outlook(rig.now, Standing::Predicting, 60.0, 80.0);
    let explanation = rig.look_with("a", 40.0, rising);
    let finding = serde_json::to_string_pretty(&explanation.signals[0].forecast).unwrap();
    expect![[r#"
        scaling 4 -> 8: `load` is expected to reach up to 80.0 (99.9%) within 5m and needs 8.0
        {
          "standing": {
            "standing": "predicting"
          },
          "model": "seasonal",
          "made_at": "2026-01-01T00:00:15Z",
          "lead_time": {
            "seconds": 300,
            "source": "assumed"
          },
          "median": 66.0,
          "low": 60.0,
          "high": 74.0,
          "recent_error_ratio": 0.03,
          "baseline_error_ratio": 0.08,
          "coverage_ratio": 0.951,
          "covers": {
            "level": 0.999,
            "peak": 80.0,
            "grow_to": 8.0,
            "keep": 8.0,
            "short_ratio": 0.0
          }
        }"#]]
    .assert_eq(&format!("{}\n{finding}", explanation.sentence()));
}

#[test]
fn shortfalls_are_kept_by_the_shell_and_taken_up_again() {
    let mut rig = rig(web(), 4);
    for load in [40.0, 55.0, 55.0, 40.0] {
        rig.wait(15);
        let now = outlook(rig.now, Standing::Predicting, 40.0, 40.0);
        rig.look_with("a", load, now);
    }
    let kept = |rig: &Rig| -> Vec<_> {
        let all = rig.agent.sight().shortfalls();
        all.map(|(target, signal, it)| (target.clone(), signal.clone(), it.clone())).collect()
    };
    let before = kept(&rig);
    assert_eq!(before.len(), 1, "one target, one signal with a forecast");
    assert!(0.0 < before[0].2.short_ratio(), "{before:?}");
    let documents = Arc::clone(rig.agent.documents());
    rig.load(&documents);
    assert_eq!(kept(&rig), before, "a reload forgets nothing");
    rig.restart();
    assert_eq!(kept(&rig), Vec::new());
    rig.handle(evenkeel_core::agent::Input::ShortfallsRecalled(before.clone()));
    assert_eq!(kept(&rig), before);
}

proptest! {
    /// Whatever a forecaster says, capacity for the load that is there stays.
    #[test]
    fn no_outlook_takes_away_what_is_needed_now(
        current in 1u32..20,
        load in 0.0f64..200.0,
        low in any::<f32>(),
        high in any::<f32>(),
    ) {
        let mut rig = rig(web(), current);
        for _ in 0..3 {
            rig.wait(15);
            let any = outlook(rig.now, Standing::Predicting, low, high);
            rig.look_with("a", load, any);
            for effect in &rig.running {
                prop_assert!(load / 10.0 <= f64::from(effect.desired()) || effect.desired().0 == 20);
            }
            rig.end_all(EffectOutcome::Done);
        }
    }
}
