//! An agent that is killed for real, at every point of every kind of step, and goes on.
//!
//! **In:** the real agent on the real journal, in a process of its own, and a platform in a
//! file ([`platform`]); who dies where ([`parent`]).
//! **Out:** no effect twice, none without its intent, no override lost, an unbroken chain,
//! and runs that end as if nothing had happened ([`judge`]).
//! **Not here:** what a power cut does, and the actuators' own receipts (the providers').
//!
//! `EVENKEEL_KILLS` sets how many processes are killed in all; 200 without it.

mod judge;
mod parent;
mod platform;
mod stories;
mod worker;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parent::{Chance, Decision, Played, play};
use stories::{KINDS, Kind, Plant, Point, Story, Turn};

/// Kills in all; what is missing after one story for each point is drawn.
///
/// Why 200: the smallest number that the project promises for every run of the tests.
const KILLS: u64 = 200;

/// The first step of a plan, on the way there.
const DO: Turn = Turn { step: 0, is_undo: false };

/// Not a test of its own: [`play`] runs it in another process and kills that.
#[test]
fn worker_that_is_killed() {
    worker::live_if_asked();
}

/// By hand, and it helps.
fn story(kind: Kind) -> Story {
    Story { kind, is_triggered: false, is_undone: false, begins_first: false, plant: None }
}

/// Kills at each of `kills`, in this order, and lets everything else pass.
fn at(kills: Vec<(Point, Turn)>) -> impl FnMut(Point, Turn) -> Decision {
    let mut left = kills.into_iter().peekable();
    move |point, turn| match left.next_if_eq(&(point, turn)) {
        Some(_) => Decision::Kill,
        None => Decision::Go,
    }
}

/// One story for each kind of step, direction and point. Where the same point comes again
/// in the next life, it dies there twice.
fn one_story_each() -> Vec<(Story, Vec<(Point, Turn)>)> {
    let mut stories = Vec::new();
    for kind in KINDS {
        for is_undone in [false, true] {
            for point in Point::OF_EVERY_STEP {
                let is_triggered = stories.len() % 3 == 0;
                let n = match point {
                    Point::BeforeIntent | Point::AfterIntent => 2,
                    Point::AfterEffect | Point::AfterOutcome | Point::Begun => 1,
                };
                let story = Story { is_triggered, is_undone, ..story(kind) };
                let turn = Turn { step: story.step(), is_undo: is_undone };
                stories.push((story, vec![(point, turn); n]));
            }
        }
    }
    stories
}

fn played(story: Story, mut decide: impl FnMut(Point, Turn) -> Decision) -> Result<Played, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let played = play(folder.path(), story, &mut decide)?;
    judge::judge(folder.path(), story, &played).map(|()| played)
}

#[test]
fn killed_at_every_point_of_every_step_it_does_everything_once_and_forgets_nothing() {
    let wanted =
        std::env::var("EVENKEEL_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    let fixed = one_story_each();
    let began = Instant::now();
    let (next, n_kills) = (AtomicU64::new(0), AtomicU64::new(0));
    let hits: Mutex<BTreeMap<(Kind, bool, Point), u64>> = Mutex::default();
    let faults: Mutex<Vec<String>> = Mutex::default();
    // Most of the time goes into waiting for the disk.
    let n_workers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let tell_one_story = || {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let index = usize::try_from(number).expect("few stories");
        let (story, result) = if let Some((story, kills)) = fixed.get(index) {
            (*story, played(*story, at(kills.clone())))
        } else if n_kills.load(Ordering::SeqCst) < wanted {
            let mut chance = Chance::new(number);
            let kind = KINDS[chance.below(KINDS.len())];
            let (is_triggered, is_undone) = (chance.below(2) == 0, chance.below(2) == 0);
            let story = Story { is_triggered, is_undone, ..story(kind) };
            (story, played(story, chance.decisions()))
        } else {
            return false;
        };
        match result {
            Ok(played) => {
                n_kills.fetch_add(played.n_kills, Ordering::SeqCst);
                let mut hits = hits.lock().expect("no panic");
                for (point, Turn { step, is_undo }) in played.hits {
                    *hits.entry((story.kind_of(step), is_undo, point)).or_default() += 1;
                }
            }
            Err(fault) => {
                let fault = format!("story {number}, {story:?}: {fault}");
                faults.lock().expect("no panic").push(fault);
            }
        }
        faults.lock().expect("no panic").len() < 5
    };
    std::thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| while tell_one_story() {});
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    let n_kills = n_kills.into_inner();
    let seconds = began.elapsed().as_secs_f64();
    // Through the handle, because the test harness captures the macro.
    use std::io::Write as _;
    let told = format!("{n_kills} kills in {seconds:.1} s, {} stories\n", next.into_inner());
    std::io::stderr().write_all(told.as_bytes()).expect("written");
    assert!(wanted <= n_kills, "{n_kills} processes were killed, {wanted} are wanted");
    let hits = hits.into_inner().expect("no panic");
    for kind in KINDS {
        for is_undo in [false, true] {
            for point in Point::OF_EVERY_STEP {
                let key = (kind, is_undo, point);
                assert!(hits.contains_key(&key), "nothing died at {key:?}");
            }
        }
    }
}

#[test]
fn what_had_begun_when_it_died_and_left_no_end_is_not_tried_again_but_paged() {
    for kind in [Kind::RunCommand, Kind::CallWebhook, Kind::ApplyTerraform] {
        let story = Story { begins_first: true, ..story(kind) };
        let played = played(story, at(vec![(Point::Begun, DO)]));
        let ending = played.unwrap_or_else(|fault| panic!("{story:?}: {fault}")).ending;
        assert_eq!(ending, "stuck", "{kind:?}");
    }
}

#[test]
fn an_effect_that_leaves_before_its_intent_is_durable_is_caught() {
    let plant = Some(Plant::EffectsBeforeIntents);
    for kind in [Kind::Drain, Kind::RunCommand] {
        let story = Story { plant, ..story(kind) };
        let fault = played(story, at(vec![(Point::BeforeIntent, DO)])).unwrap_err();
        // A state that is found to be so already is not asked for again.
        let told = if kind == Kind::Drain { "without an intent" } else { "happened 2 times" };
        assert!(fault.contains(told), "{fault}");
    }
}

#[test]
fn an_effect_that_is_repeated_because_nobody_looked_is_caught() {
    let plant = Some(Plant::LooksAtTheBeginning);
    for kind in [Kind::RestartInstances, Kind::RunCommand] {
        let story = Story { plant, ..story(kind) };
        let fault = played(story, at(vec![(Point::AfterEffect, DO)])).unwrap_err();
        assert!(fault.contains("happened 2 times"), "{fault}");
    }
}

#[test]
fn an_override_that_is_acknowledged_too_early_is_caught() {
    let story = Story { plant: Some(Plant::ForgetsOverrides), ..story(Kind::Drain) };
    let fault = played(story, at(vec![(Point::AfterIntent, DO)])).unwrap_err();
    assert!(fault.contains("was acknowledged"), "{fault}");
}
