//! The arithmetic of the rules: from signals to a number of units.
//!
//! **In:** a policy, the current capacity, and signal values at 15 s intervals.
//! **Out:** what the last evaluation concluded.
//! **Not here:** doubt ([`crate::safety`]), outside changes ([`crate::outside`]).

use evenkeel_core::documents::{
    Behaviour, BlastRadius, Rule, ScalingPolicy, Selector, Step, Target,
};
use evenkeel_core::effect::EffectOutcome;
use expect_test::{Expect, expect};

use crate::region::{
    FREELY, bounds, documents, guardrail, load, named, policy, seconds, signal, target,
};
use crate::rig::{Rig, brief};

fn web() -> ScalingPolicy {
    ScalingPolicy { tolerance_ratio: 0.0, ..policy("web", named(&["a"])) }
}

/// The only place that runs the agent: evaluates each column of signal values
/// 15 s after the one before; effects are done at once.
#[track_caller]
fn check(policy: ScalingPolicy, current: u32, columns: &[&[(&str, f64)]], expected: &Expect) {
    let mut free = guardrail("free", Selector::everything());
    free.blast_radius = Some(BlastRadius { window: seconds(60), removed_ratio_max: 1.0 });
    let there = Target { bounds: bounds(current.min(1), 20), ..target("a") };
    let mut rig = Rig::new(&documents("one", [there], [policy], [free]), current);
    // Seen once, so that the capacity is known and the blast radius is not in the way.
    rig.observe(rig.observation("a", &[]));
    let mut said = Vec::new();
    for signals in columns {
        let observation = rig.wait(15).observation("a", signals);
        said.push(brief(&rig.observe(observation)));
        rig.end_all(EffectOutcome::Done);
    }
    expected.assert_eq(&said.join("\n"));
}

/// The same for a policy with only `load`, of which one unit carries 10.
#[track_caller]
fn check_load(policy: ScalingPolicy, current: u32, values: &[f64], expected: &Expect) {
    let columns: Vec<[(&str, f64); 1]> = values.iter().map(|it| [("load", *it)]).collect();
    let columns: Vec<&[(&str, f64)]> = columns.iter().map(|it| it.as_slice()).collect();
    check(policy, current, &columns, expected);
}

#[test]
fn load_is_divided_by_what_one_unit_carries_and_rounded_up() {
    check_load(web(), 4, &[40.0], &expect!["kept at 4 (within_tolerance)"]);
    check_load(web(), 4, &[35.0], &expect!["kept at 4 (sufficient)"]);
    check_load(web(), 4, &[40.1], &expect!["effect 4->5"]);
    check_load(web(), 4, &[10.0], &expect!["effect 4->1"]);
    check_load(web(), 4, &[0.0], &expect!["effect 4->1"]);
    check_load(web(), 0, &[5.0], &expect!["effect 0->1"]);
}

#[test]
fn headroom_is_added_before_rounding() {
    let roomy = || ScalingPolicy { headroom_ratio: 0.25, ..web() };
    check_load(roomy(), 4, &[40.0], &expect!["effect 4->5"]);
    check_load(roomy(), 5, &[40.0], &expect!["kept at 5 (within_tolerance)"]);
    check_load(roomy(), 5, &[40.1], &expect!["effect 5->6"]);
}

#[test]
fn a_demand_within_the_tolerance_changes_nothing() {
    let calm = || ScalingPolicy { tolerance_ratio: 0.1, ..web() };
    check_load(calm(), 10, &[110.0], &expect!["kept at 10 (within_tolerance)"]);
    check_load(calm(), 10, &[111.0], &expect!["effect 10->12"]);
    check_load(calm(), 10, &[90.0], &expect!["kept at 10 (within_tolerance)"]);
    check_load(calm(), 10, &[89.0], &expect!["effect 10->9"]);
}

#[test]
fn a_queue_is_to_be_gone_in_time() {
    // One unit does 2 a second; 600 waiting in 60 s need 5 units.
    let rule = Rule::QueueDepth { drained_within: seconds(60), rate_per_unit: 2.0 };
    let queue = || ScalingPolicy { signals: vec![signal("queue", rule)], ..web() };
    check(queue(), 4, &[&[("queue", 600.0)]], &expect!["effect 4->5"]);
    check(queue(), 4, &[&[("queue", 601.0)]], &expect!["effect 4->6"]);
    check(queue(), 4, &[&[("queue", 0.0)]], &expect!["effect 4->1"]);
}

#[test]
fn a_latency_above_its_objective_asks_for_more_but_at_most_twice() {
    let rule = Rule::LatencyObjective { objective_seconds: 0.2 };
    let latency =
        || ScalingPolicy { signals: vec![signal("latency", rule)], tolerance_ratio: 0.1, ..web() };
    check(latency(), 4, &[&[("latency", 0.3)]], &expect!["effect 4->6"]);
    check(latency(), 4, &[&[("latency", 9.0)]], &expect!["effect 4->8"]);
    check(latency(), 4, &[&[("latency", 0.21)]], &expect!["kept at 4 (within_tolerance)"]);
    check(latency(), 4, &[&[("latency", 0.19)]], &expect!["kept at 4 (within_tolerance)"]);
    check(latency(), 4, &[&[("latency", 0.01)]], &expect!["kept at 4 (nothing_asked)"]);
    check(latency(), 0, &[&[("latency", 0.5)]], &expect!["effect 0->2"]);
}

#[test]
fn the_largest_demand_wins_and_waiting_work_comes_on_top_of_load() {
    let three = || ScalingPolicy {
        signals: vec![
            load(),
            signal("queue", Rule::QueueDepth { drained_within: seconds(60), rate_per_unit: 1.0 }),
            signal("latency", Rule::LatencyObjective { objective_seconds: 0.2 }),
        ],
        ..web()
    };
    let column = |load, queue, latency| [("load", load), ("queue", queue), ("latency", latency)];
    check(three(), 4, &[&column(70.0, 60.0, 0.1)], &expect!["effect 4->8"]);
    check(three(), 4, &[&column(70.0, 0.0, 0.1)], &expect!["effect 4->7"]);
    check(three(), 4, &[&column(30.0, 360.0, 0.1)], &expect!["effect 4->9"]);
    check(three(), 4, &[&column(30.0, 60.0, 0.25)], &expect!["effect 4->5"]);
    check(three(), 4, &[&column(10.0, 60.0, 0.1)], &expect!["effect 4->2"]);
    // One that is missing does not keep the others from asking for more, only for less.
    check(three(), 4, &[&[("load", 70.0)]], &expect!["effect 4->7"]);
    check(three(), 4, &[&[("load", 20.0)]], &expect!["kept at 4 (held_on_quality)"]);
}

#[test]
fn growing_uses_the_lowest_of_its_window_and_shrinking_the_highest() {
    let steady = || {
        let behaviour = Behaviour { stabilization: seconds(45), ..FREELY };
        ScalingPolicy { scale_up: behaviour, scale_down: behaviour, ..web() }
    };
    check_load(
        steady(),
        4,
        &[40.0, 90.0, 70.0, 80.0],
        &expect![[r#"
        kept at 4 (within_tolerance)
        kept at 4 (stabilizing)
        kept at 4 (stabilizing)
        effect 4->7"#]],
    );
    check_load(
        steady(),
        9,
        &[90.0, 60.0, 50.0, 40.0, 40.0],
        &expect![[r#"
        kept at 9 (within_tolerance)
        kept at 9 (stabilizing)
        kept at 9 (stabilizing)
        effect 9->6
        effect 6->5"#]],
    );
    check_load(
        steady(),
        4,
        &[90.0, 40.0, 90.0, 40.0, 90.0, 40.0],
        &expect![[r#"
            kept at 4 (stabilizing)
            kept at 4 (within_tolerance)
            kept at 4 (stabilizing)
            kept at 4 (within_tolerance)
            kept at 4 (stabilizing)
            kept at 4 (within_tolerance)"#]],
    );
}

#[test]
fn one_change_goes_at_most_one_step() {
    let slow = |units, ratio| {
        let behaviour = Behaviour { step: Step { units, ratio }, ..FREELY };
        ScalingPolicy { scale_up: behaviour, scale_down: behaviour, ..web() }
    };
    check_load(
        slow(2, 0.0),
        4,
        &[90.0, 90.0, 90.0, 90.0],
        &expect![[r#"
        effect 4->6
        effect 6->8
        effect 8->9
        kept at 9 (within_tolerance)"#]],
    );
    check_load(
        slow(1, 0.5),
        12,
        &[20.0, 20.0, 20.0, 20.0],
        &expect![[r#"
            effect 12->6
            effect 6->3
            effect 3->2
            kept at 2 (within_tolerance)"#]],
    );
    check_load(slow(0, 0.0), 4, &[90.0], &expect!["effect 4->5"]);
}

#[test]
fn a_cooldown_counts_from_the_end_of_the_last_change() {
    let behaviour = Behaviour { cooldown: seconds(30), ..FREELY };
    let cool = ScalingPolicy { scale_up: behaviour, scale_down: behaviour, ..web() };
    check_load(
        cool,
        4,
        &[60.0, 90.0, 90.0, 30.0, 30.0],
        &expect![[r#"
        effect 4->6
        refused 6->9 (cooling_down)
        effect 6->9
        refused 9->3 (cooling_down)
        effect 9->3"#]],
    );
}

#[test]
fn bounds_are_the_last_word_on_demand() {
    check_load(web(), 4, &[1e300], &expect!["effect 4->20"]);
    check_load(web(), 4, &[0.0], &expect!["effect 4->1"]);
    check_load(web(), 40, &[400.0], &expect!["effect 40->20"]);
}

#[test]
fn a_latency_multiplies_what_served_when_it_rose_and_not_what_came_since() {
    let rule = Rule::LatencyObjective { objective_seconds: 0.2 };
    let latency = ScalingPolicy { signals: vec![signal("latency", rule)], ..web() };
    check(
        latency,
        4,
        &[&[("latency", 0.3)], &[("latency", 0.3)]],
        &expect![[r#"
        effect 4->6
        kept at 6 (within_tolerance)"#]],
    );
}

#[test]
fn a_latency_that_more_units_do_not_lower_asks_for_no_more() {
    let rule = Rule::LatencyObjective { objective_seconds: 0.2 };
    let load = signal("load", Rule::ValuePerUnit { value_per_unit: 10.0 });
    let latency = || {
        let signals = vec![load.clone(), signal("latency", rule)];
        ScalingPolicy { signals, ..web() }
    };
    let after_growth = |then: f64| {
        let mut columns = vec![[("load", 40.0), ("latency", 0.3)]; 6];
        columns.push([("load", 40.0), ("latency", then)]);
        columns
    };
    for (then, expected) in [
        (
            0.3,
            expect![[r#"
        effect 4->6
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)"#]],
        ),
        (
            0.28,
            expect![[r#"
        effect 4->6
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)"#]],
        ),
        (
            0.25,
            expect![[r#"
        effect 4->6
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        effect 6->8"#]],
        ),
    ] {
        let columns = after_growth(then);
        let columns: Vec<&[(&str, f64)]> = columns.iter().map(|it| it.as_slice()).collect();
        check(latency(), 4, &columns, &expected);
    }
}

#[test]
fn without_a_measured_load_a_latency_that_stays_goes_on_asking() {
    let rule = Rule::LatencyObjective { objective_seconds: 0.2 };
    let latency = ScalingPolicy { signals: vec![signal("latency", rule)], ..web() };
    let columns = [[("latency", 0.3)]; 7];
    let columns: Vec<&[(&str, f64)]> = columns.iter().map(|it| it.as_slice()).collect();
    check(
        latency,
        4,
        &columns,
        &expect![[r#"
        effect 4->6
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        kept at 6 (within_tolerance)
        effect 6->9
        kept at 9 (within_tolerance)"#]],
    );
}

#[test]
fn a_latency_asks_for_a_bounded_multiple_of_what_the_load_needs() {
    let rule = Rule::LatencyObjective { objective_seconds: 0.2 };
    let per_unit = signal("load", Rule::ValuePerUnit { value_per_unit: 10.0 });
    let both = ScalingPolicy { signals: vec![per_unit, signal("latency", rule)], ..web() };
    // The load needs 2 of 4: 5 at most, and never fewer than there are.
    check(both, 4, &[&[("load", 20.0), ("latency", 0.4)]], &expect!["effect 4->5"]);
}
