//! What documents ask for is what is replayed, and what cannot be is said.

use evenkeel_sim::replay::{Missed, ReplayError};
use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::*;

#[test]
fn a_lead_time_that_is_to_be_measured_is_what_the_options_say() {
    let mut values = hours(1, 500.0);
    values.extend(hours(1, 1_000.0));
    let recording = load_of_a(&values);
    let documents = documents(Said { lead: "measure", ..USUAL });
    for seconds in [90, 300, 700] {
        let lead_time = SignedDuration::from_secs(seconds);
        let options = Options { lead_time, ..Options::default() };
        let done = replay(&documents, &recording, &options, &|| true).unwrap();
        assert_eq!(card_of(&done, "a").missed_seconds, seconds);
    }
}

#[test]
fn two_versions_differ_as_their_policies_do() {
    let values = hours(6, 1_000.0);
    let recording = load_of_a(&values);
    let one = run(&documents(USUAL), &recording);
    let other = run(&documents(Said { value_per_unit: 100.0, ..USUAL }), &recording);
    let lean = run(&documents(Said { policy: "", value_per_unit: 200.0, ..USUAL }), &recording);
    let cost = |it: &Replay| it.total.scorecard.cost_usd;
    // 22, 11 and 6 units (with a tenth of headroom), after the first minutes with 20, 10 and 5.
    for (replay, units) in [(&one, 22.0), (&other, 11.0), (&lean, 6.0)] {
        let expected = units * 6.0 * PRICE;
        let off = (cost(replay) / expected - 1.0).abs();
        assert!(off < 0.01, "{} for {units} units", cost(replay));
    }
    assert_ne!(one.total.scorecard.trace_sha256, other.total.scorecard.trace_sha256);
}

#[test]
fn a_freeze_window_shows() {
    // Every day from 01:00 to 03:00 UTC; the load doubles at 02:00.
    let more = "---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: { name: nightly }\nspec:\n  \
                selector: { everything: true }\n  freeze_windows:\n    \
                - { name: backup, cron: \"0 1 * * *\", time_zone: UTC, duration: 2h }\n";
    let mut values = hours(2, 500.0);
    values.extend(hours(2, 1_000.0));
    let recording = load_of_a(&values);
    let done = run(&documents(Said { more, ..USUAL }), &recording);
    let card = card_of(&done, "a");
    let is_frozen = |at: i64| (FROM + 3_600..FROM + 3 * 3_600).contains(&at);
    assert!(!card.changes.iter().any(|it| is_frozen(it.at)), "{:?}", card.changes);
    let held = &card.held["freeze_window"];
    // It wants more from 02:00 on.
    assert_eq!((held.times, held.seconds, held.first_at), (1, 3_600, FROM + 2 * 3_600));
    assert!(held.example.contains("backup"), "{}", held.example);
    // From the doubling to the end of the window, and the lead time after it.
    let missed = Missed { from: FROM + 7_200, until: FROM + 10_800 + LEAD, units_max: 9 };
    assert_eq!(card.missed, [missed]);
    let free = run(&documents(USUAL), &recording);
    assert_eq!(card_of(&free, "a").missed_seconds, LEAD);
}

#[test]
fn a_forecast_has_capacity_there_before_the_load() {
    // Six times a day the load rises tenfold and falls again, faster than units start.
    let value = |at: i64| {
        let minute = i32::try_from(at.rem_euclid(86_400) / 60).unwrap();
        let wave = (f64::from(minute) / 240.0 * std::f64::consts::TAU).sin();
        let noise = f64::from(i32::try_from(at / 60 * 7_919 % 101).unwrap() - 50) / 2_500.0;
        (1_100.0 + 900.0 * wave) * (1.0 + noise)
    };
    let mut recording = recording(2 * 1_440);
    for part in [Part::Past, Part::Span] {
        let grid = recording.grid(part);
        for at in (0..grid.len).map(|it| grid.at(it)) {
            assert!(recording.put(part, &question("load"), "a", at, value(at)));
        }
    }
    let policy = "  forecast: { shortfall: { time_ratio_max: 0.005 } }\n";
    let slow = Said { lead: "15m", ..USUAL };
    let ahead = run(&documents(Said { policy, ..slow }), &recording);
    let reactive = run(&documents(slow), &recording);
    let missed = |it: &Replay| card_of(it, "a").missed_seconds;
    // A third of the time against what the policy allows.
    assert!(48 * 3_600 / 3 < missed(&reactive), "{}", missed(&reactive));
    assert!(missed(&ahead) < 48 * 36, "{} s: {:?}", missed(&ahead), card_of(&ahead, "a").held);
    assert!(!card_of(&ahead, "a").held.contains_key("forecast_abstains"));
}

#[track_caller]
fn check_notes(said: Said<'_>, recording: &Recording, expected: &Expect) {
    let options = Options::default();
    let (word, notes) = match replay(&documents(said), recording, &options, &|| true) {
        Ok(done) => (format!("{} targets\n", done.targets.len()), done.notes),
        Err(ReplayError::Nothing { notes }) => ("nothing\n".to_owned(), notes),
        Err(error) => (format!("{error}\n"), Vec::new()),
    };
    let lines: String = notes.iter().map(|it| format!("{it}\n")).collect();
    expected.assert_eq(&format!("{word}{lines}"));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let both = {
        let mut both = load_of_a(&hours(1, 500.0));
        put(&mut both, "load", "b", &hours(1, 10.0));
        both
    };
    check_notes(
        USUAL,
        &both,
        &expect![[r#"
        2 targets
    "#]],
    );
    let signals = "    - { name: p95, query: p95, latency_objective: { objective: 250ms } }\n    \
                   - { name: bytes, query: bytes, value_per_unit: 1000 }\n";
    check_notes(
        Said { autonomy: "observe", signals, ..USUAL },
        &both,
        &expect![[r#"
        2 targets
        policy `web`: signal `p95` depends on the capacity that there was, so it is not replayed
        policy `web`: replayed as `auto`, it is `observe`
        target `a`: signal `bytes` has no recorded value; nothing can be removed without it
        target `b`: signal `bytes` has no recorded value; nothing can be removed without it
    "#]],
    );
    check_notes(
        USUAL,
        &load_of_a(&hours(1, 500.0)),
        &expect![[r#"
        1 targets
        target `b`: the load queries of policy `web` returned no series with service="b", so it is left out
    "#]],
    );
    check_notes(
        USUAL,
        &recording(60),
        &expect![[r#"
        nothing
        target `a`: the load queries of policy `web` returned no series with service="a", so it is left out
        target `b`: the load queries of policy `web` returned no series with service="b", so it is left out
    "#]],
    );
    let mut slow = Recording::new(Grid::between(0, 0, 300), Grid::between(0, 3_600, 300));
    assert!(slow.put(Part::Span, &question("load"), "a", 300, 1.0));
    check_notes(
        USUAL,
        &slow,
        &expect![[r#"
        a step of 300 s; it must be from 15 s to 60 s
    "#]],
    );
}

#[test]
fn policies_that_would_ask_first_do_the_same_here() {
    let recording = load_of_a(&hours(3, 777.0));
    let auto = run(&documents(USUAL), &recording);
    for autonomy in ["observe", "suggest", "approve"] {
        let other = run(&documents(Said { autonomy, ..USUAL }), &recording);
        assert_eq!(card_of(&other, "a").changes, card_of(&auto, "a").changes, "{autonomy}");
    }
}
