//! `kill -9` at every point of every step, on the way there and on the way back.
//!
//! **In:** {before intent, after intent, after effect, after outcome} x every kind of step x
//! {do, undo}, once, and before the effect also twice in a row.
//! **Out:** the run goes on or is undone, nothing happens twice, no override is lost.
//! **Not here:** a real process and a real disk (the daemon's tests).

use std::fmt::Write as _;

use expect_test::expect;

use evenkeel_core::ids::RunId;
use evenkeel_core::request::OverrideAsked;

use crate::kit::{DRAIN, GROW, auto, gone_bad, sent, sound, until, well_again};
use crate::rig::{KillPoint, Rig};

const KINDS: [(&str, &str); 10] = [
    ("set_capacity", "{ name: s, set_capacity: { to: target.current * 1.5 }, undo: before }"),
    (
        "restart",
        "{ name: s, restart_instances: { select: { outliers_of: latency, factor: 3 } }, undo: { restart_instances: { select: { outliers_of: latency, factor: 3 } } } }",
    ),
    (
        "replace",
        "{ name: s, replace_instances: { select: { outliers_of: latency, factor: 3 } }, undo: { run_command: { command: unreplace } } }",
    ),
    (
        "shift_traffic",
        "{ name: s, shift_traffic: { select: { outliers_of: latency, factor: 3 }, weight_ratio: 0.5 }, undo: before }",
    ),
    (
        "drain",
        "{ name: s, drain: { select: { outliers_of: latency, factor: 3 } }, undo: { restore: {} } }",
    ),
    (
        "restore",
        "{ name: d, drain: { select: { outliers_of: latency, factor: 3 } }, undo: before }\n    - { name: s, restore: {}, undo: before }",
    ),
    ("roll_back", "{ name: s, roll_back: {}, undo: before }"),
    (
        "run_command",
        "{ name: s, run_command: { command: rotate, arguments: ['--of={target}'] }, undo: { run_command: { command: unrotate } } }",
    ),
    (
        "call_webhook",
        "{ name: s, call_webhook: { webhook: shed, fields: { on: '{target}' } }, undo: { call_webhook: { webhook: unshed } } }",
    ),
    (
        "apply_terraform",
        "{ name: s, apply_terraform: { workspace: web, variables: { size: '3' } }, undo: { apply_terraform: { workspace: web } } }",
    ),
];

const POINTS: [KillPoint; 4] = [
    KillPoint::BeforeIntent,
    KillPoint::AfterIntent,
    KillPoint::AfterEffect,
    KillPoint::AfterOutcome,
];

/// Kills it `n_kills` times at `point` of the step, or of its undo; how it ended.
#[track_caller]
fn check(kind: &str, step: &str, point: KillPoint, is_undo: bool, n_kills: usize) -> String {
    let mut rig = gone_bad(&auto(&[step]));
    // What it restores is drained before, by a step that nothing happens to.
    let last = u16::from(kind == "restore");
    rig.set(OverrideAsked::Freeze, "db", 36_000).unwrap();
    rig.set(OverrideAsked::NoScaleDown, "db", 36_000).unwrap();
    let before: Vec<_> = rig.agent.state().overrides().cloned().collect();
    if !is_undo {
        kill(&mut rig, (point, u32::from(last)), n_kills, |it| it.phase(RunId(1)) == "verifying");
        well_again(&mut rig);
        until(&mut rig, 40, "ended", is_over);
    } else {
        kill(&mut rig, (point, 0), 0, |it| it.phase(RunId(1)) == "verifying");
        // It does not help, so it is undone.
        kill(&mut rig, (point, 0), n_kills, is_over);
    }
    let what = format!("{kind} {} {point:?} x{n_kills}", if is_undo { "undo" } else { "do" });
    assert_eq!(rig.died, vec![point; n_kills], "{what}: not reached\n{}", rig.timeline(1));
    let after: Vec<_> = rig.agent.state().overrides().cloned().collect();
    assert_eq!(after, before, "{what}: overrides");
    sound(&rig);
    let sent = sent(&rig);
    let n = |undo: bool| {
        rig.platform
            .performed
            .iter()
            .filter(|(id, ..)| {
                let (run, step, is_undo) = sent[id];
                run == RunId(1) && step == last && is_undo == undo
            })
            .count()
    };
    assert_eq!(n(false), 1, "{what}: done\n{}", rig.timeline(1));
    assert_eq!(n(true), usize::from(is_undo), "{what}: undone\n{}", rig.timeline(1));
    format!("{what}: {}", rig.phase(RunId(1)))
}

fn is_over(rig: &Rig) -> bool {
    rig.phase(RunId(1)).starts_with("ended") || rig.phase(RunId(1)) == "stuck"
}

/// Ticks until `is_so`, and is killed at each of `n` times that it comes by the point, after
/// so many at which it is not.
#[track_caller]
fn kill(rig: &mut Rig, point: (KillPoint, u32), n: usize, is_so: impl Fn(&Rig) -> bool) {
    if 0 < n {
        rig.dies_at = Some(point);
        rig.n_deaths = u32::try_from(n).unwrap();
    }
    for _ in 0..200 {
        if rig.agent.state().healing().run(RunId(1)).is_some() {
            if is_so(rig) {
                return;
            }
            if rig.phase(RunId(1)) == "awaiting_approval" {
                rig.approve_as("ana", RunId(1)).unwrap();
            }
        }
        rig.tick(15);
    }
    panic!("it never gets there: {:?}\n{}", rig.died, rig.timeline(1));
}

#[test]
fn a_kill_at_any_point_of_any_step_neither_loses_nor_repeats_anything() {
    let mut table = String::new();
    let mut n_kills = 0;
    for (kind, step) in KINDS {
        for is_undo in [false, true] {
            for point in POINTS {
                for n in [1, 2] {
                    // One effect happens once and its end is heard once.
                    if n == 2 && matches!(point, KillPoint::AfterEffect | KillPoint::AfterOutcome) {
                        continue;
                    }
                    n_kills += n;
                    writeln!(table, "{}", check(kind, step, point, is_undo, n)).unwrap();
                }
            }
        }
    }
    assert_eq!(n_kills, 160);
    expect![[r#"
        set_capacity do BeforeIntent x1: ended: succeeded
        set_capacity do BeforeIntent x2: ended: succeeded
        set_capacity do AfterIntent x1: ended: succeeded
        set_capacity do AfterIntent x2: ended: succeeded
        set_capacity do AfterEffect x1: ended: succeeded
        set_capacity do AfterOutcome x1: ended: succeeded
        set_capacity undo BeforeIntent x1: ended: rolled_back
        set_capacity undo BeforeIntent x2: ended: rolled_back
        set_capacity undo AfterIntent x1: ended: rolled_back
        set_capacity undo AfterIntent x2: ended: rolled_back
        set_capacity undo AfterEffect x1: ended: rolled_back
        set_capacity undo AfterOutcome x1: ended: rolled_back
        restart do BeforeIntent x1: ended: succeeded
        restart do BeforeIntent x2: ended: succeeded
        restart do AfterIntent x1: ended: succeeded
        restart do AfterIntent x2: ended: succeeded
        restart do AfterEffect x1: ended: succeeded
        restart do AfterOutcome x1: ended: succeeded
        restart undo BeforeIntent x1: ended: rolled_back
        restart undo BeforeIntent x2: ended: rolled_back
        restart undo AfterIntent x1: ended: rolled_back
        restart undo AfterIntent x2: ended: rolled_back
        restart undo AfterEffect x1: ended: rolled_back
        restart undo AfterOutcome x1: ended: rolled_back
        replace do BeforeIntent x1: ended: succeeded
        replace do BeforeIntent x2: ended: succeeded
        replace do AfterIntent x1: ended: succeeded
        replace do AfterIntent x2: ended: succeeded
        replace do AfterEffect x1: ended: succeeded
        replace do AfterOutcome x1: ended: succeeded
        replace undo BeforeIntent x1: ended: rolled_back
        replace undo BeforeIntent x2: ended: rolled_back
        replace undo AfterIntent x1: ended: rolled_back
        replace undo AfterIntent x2: ended: rolled_back
        replace undo AfterEffect x1: ended: rolled_back
        replace undo AfterOutcome x1: ended: rolled_back
        shift_traffic do BeforeIntent x1: ended: succeeded
        shift_traffic do BeforeIntent x2: ended: succeeded
        shift_traffic do AfterIntent x1: ended: succeeded
        shift_traffic do AfterIntent x2: ended: succeeded
        shift_traffic do AfterEffect x1: ended: succeeded
        shift_traffic do AfterOutcome x1: ended: succeeded
        shift_traffic undo BeforeIntent x1: ended: rolled_back
        shift_traffic undo BeforeIntent x2: ended: rolled_back
        shift_traffic undo AfterIntent x1: ended: rolled_back
        shift_traffic undo AfterIntent x2: ended: rolled_back
        shift_traffic undo AfterEffect x1: ended: rolled_back
        shift_traffic undo AfterOutcome x1: ended: rolled_back
        drain do BeforeIntent x1: ended: succeeded
        drain do BeforeIntent x2: ended: succeeded
        drain do AfterIntent x1: ended: succeeded
        drain do AfterIntent x2: ended: succeeded
        drain do AfterEffect x1: ended: succeeded
        drain do AfterOutcome x1: ended: succeeded
        drain undo BeforeIntent x1: ended: rolled_back
        drain undo BeforeIntent x2: ended: rolled_back
        drain undo AfterIntent x1: ended: rolled_back
        drain undo AfterIntent x2: ended: rolled_back
        drain undo AfterEffect x1: ended: rolled_back
        drain undo AfterOutcome x1: ended: rolled_back
        restore do BeforeIntent x1: ended: succeeded
        restore do BeforeIntent x2: ended: succeeded
        restore do AfterIntent x1: ended: succeeded
        restore do AfterIntent x2: ended: succeeded
        restore do AfterEffect x1: ended: succeeded
        restore do AfterOutcome x1: ended: succeeded
        restore undo BeforeIntent x1: ended: rolled_back
        restore undo BeforeIntent x2: ended: rolled_back
        restore undo AfterIntent x1: ended: rolled_back
        restore undo AfterIntent x2: ended: rolled_back
        restore undo AfterEffect x1: ended: rolled_back
        restore undo AfterOutcome x1: ended: rolled_back
        roll_back do BeforeIntent x1: ended: succeeded
        roll_back do BeforeIntent x2: ended: succeeded
        roll_back do AfterIntent x1: ended: succeeded
        roll_back do AfterIntent x2: ended: succeeded
        roll_back do AfterEffect x1: ended: succeeded
        roll_back do AfterOutcome x1: ended: succeeded
        roll_back undo BeforeIntent x1: ended: rolled_back
        roll_back undo BeforeIntent x2: ended: rolled_back
        roll_back undo AfterIntent x1: ended: rolled_back
        roll_back undo AfterIntent x2: ended: rolled_back
        roll_back undo AfterEffect x1: ended: rolled_back
        roll_back undo AfterOutcome x1: ended: rolled_back
        run_command do BeforeIntent x1: ended: succeeded
        run_command do BeforeIntent x2: ended: succeeded
        run_command do AfterIntent x1: ended: succeeded
        run_command do AfterIntent x2: ended: succeeded
        run_command do AfterEffect x1: ended: succeeded
        run_command do AfterOutcome x1: ended: succeeded
        run_command undo BeforeIntent x1: ended: rolled_back
        run_command undo BeforeIntent x2: ended: rolled_back
        run_command undo AfterIntent x1: ended: rolled_back
        run_command undo AfterIntent x2: ended: rolled_back
        run_command undo AfterEffect x1: ended: rolled_back
        run_command undo AfterOutcome x1: ended: rolled_back
        call_webhook do BeforeIntent x1: ended: succeeded
        call_webhook do BeforeIntent x2: ended: succeeded
        call_webhook do AfterIntent x1: ended: succeeded
        call_webhook do AfterIntent x2: ended: succeeded
        call_webhook do AfterEffect x1: ended: succeeded
        call_webhook do AfterOutcome x1: ended: succeeded
        call_webhook undo BeforeIntent x1: ended: rolled_back
        call_webhook undo BeforeIntent x2: ended: rolled_back
        call_webhook undo AfterIntent x1: ended: rolled_back
        call_webhook undo AfterIntent x2: ended: rolled_back
        call_webhook undo AfterEffect x1: ended: rolled_back
        call_webhook undo AfterOutcome x1: ended: rolled_back
        apply_terraform do BeforeIntent x1: ended: succeeded
        apply_terraform do BeforeIntent x2: ended: succeeded
        apply_terraform do AfterIntent x1: ended: succeeded
        apply_terraform do AfterIntent x2: ended: succeeded
        apply_terraform do AfterEffect x1: ended: succeeded
        apply_terraform do AfterOutcome x1: ended: succeeded
        apply_terraform undo BeforeIntent x1: ended: rolled_back
        apply_terraform undo BeforeIntent x2: ended: rolled_back
        apply_terraform undo AfterIntent x1: ended: rolled_back
        apply_terraform undo AfterIntent x2: ended: rolled_back
        apply_terraform undo AfterEffect x1: ended: rolled_back
        apply_terraform undo AfterOutcome x1: ended: rolled_back
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_was_done_is_undone_last_first() {
    let mut rig = gone_bad(&auto(&[GROW, DRAIN]));
    until(&mut rig, 60, "undone", |it| it.count("run_opened") == 1 && is_over(it));
    let expected = "set capacity to 15 on web\ndrain web/4 on web\n\
                    undo: put web/4 back into traffic on web\nset capacity to 10 on web\n";
    assert_eq!(rig.performed(), expected);
}
