//! The agent's process dies, its answers get lost, and people speak.
//!
//! **In:** faults at a chosen point. **Out:** the story that the trace tells.
//! **Not here:** whether the invariants can fire ([`crate::run::watch`]).

use expect_test::{Expect, expect};

use super::{SURGE, agents};

/// The story from before the agent's first change to behind its first growth.
#[track_caller]
fn check(faults: &str, people: &str, lines: usize, expected: &Expect) {
    let played = agents(&format!("{SURGE}{faults}"), people);
    let story = played.story();
    // The first start is no news.
    let text: Vec<&str> = story.iter().skip(1).take(lines).map(String::as_str).collect();
    expected.assert_eq(&(text.join("\n") + "\n"));
    assert_eq!(played.violated, Vec::<&str>::new());
    // The surge is over: what the load needs is there, and nothing was lost on the way.
    assert!((7..=12).contains(&played.desired), "{} units at the end", played.desired);
}

#[test]
fn without_a_death_growth_is_planned_done_and_over() {
    check(
        "",
        "",
        3,
        &expect![[r#"
        effect_planned ef-1 8 11
        8 -> 11: done
        effect_finished ef-1 done
    "#]],
    );
}

#[test]
fn a_death_before_the_append_leaves_no_record_and_no_effect() {
    check(
        "      - { at: 119s, for: 1m, agent_dies: { point: before_append } }\n",
        "",
        5,
        &expect![[r#"
        the agent died
        term_started
        effect_planned ef-1 8 16
        8 -> 16: done
        effect_finished ef-1 done
    "#]],
    );
}

#[test]
fn a_death_after_the_append_leaves_a_record_without_an_effect_that_is_read_back() {
    check(
        "      - { at: 119s, for: 1m, agent_dies: { point: after_append } }\n",
        "",
        8,
        &expect![[r#"
        effect_planned ef-1 8 11
        the agent died
        term_started
        effect_finished ef-1 unknown
        effect_read_back ef-1 8
        effect_planned ef-2 8 16
        8 -> 16: done
        effect_finished ef-2 done
    "#]],
    );
}

#[test]
fn a_death_after_the_effect_leaves_it_without_an_end_and_it_is_read_back() {
    check(
        "      - { at: 119s, for: 1m, agent_dies: { point: after_effect } }\n",
        "",
        8,
        &expect![[r#"
        effect_planned ef-1 8 11
        8 -> 11: done
        the agent died
        term_started
        effect_finished ef-1 unknown
        effect_read_back ef-1 11
        effect_planned ef-2 11 16
        11 -> 16: done
    "#]],
    );
}

#[test]
fn an_idle_death_is_followed_by_a_start() {
    check(
        "      - { at: 119s, for: 1m, agent_dies: { point: idle } }\n",
        "",
        5,
        &expect![[r#"
        the agent died
        term_started
        effect_planned ef-1 8 16
        8 -> 16: done
        effect_finished ef-1 done
    "#]],
    );
}

#[test]
fn a_journal_that_fails_lets_nothing_out_and_ends_the_process() {
    check(
        "      - { at: 119s, for: 2m, journal_fails: {} }\n",
        "",
        5,
        &expect![[r#"
        the agent died
        term_started
        effect_planned ef-1 8 16
        8 -> 16: done
        effect_finished ef-1 done
    "#]],
    );
}

#[test]
fn an_outcome_that_nobody_knows_is_read_back_and_not_sent_again_before() {
    check(
        "      - { at: 1m, for: 90s, no_answer: { ratio: 1.0 } }\n",
        "",
        8,
        &expect![[r#"
        effect_planned ef-1 8 11
        8 -> 11: unknown
        effect_finished ef-1 unknown
        effect_read_back ef-1 11
        effect_planned ef-2 11 16
        11 -> 16: done
        effect_finished ef-2 done
        effect_planned ef-3 16 12
    "#]],
    );
}

#[test]
fn a_freeze_outlives_the_process() {
    check(
        "      - { at: 110s, for: 1m, agent_dies: { point: idle } }\n",
        "      - { at: 100s, freeze: { services: [web], for: 4m } }\n",
        6,
        &expect![[r#"
            override_accepted
            the agent died
            term_started
            override_ended ov-1
            effect_planned ef-1 8 16
            8 -> 16: done
        "#]],
    );
}

#[test]
fn a_freeze_stops_everything_within_a_second() {
    for at in 110..175 {
        let freeze = format!("      - {{ at: {at}s, freeze: {{ services: [web], for: 3m }} }}\n");
        let played = agents(SURGE, &freeze);
        let late: Vec<i64> =
            played.effects().into_iter().filter(|it| at < *it && *it < at + 180).collect();
        assert_eq!(late, Vec::<i64>::new(), "freeze at {at}");
        assert_eq!(played.violated, Vec::<&str>::new(), "freeze at {at}");
    }
}

#[test]
fn a_freeze_holds_to_its_end_and_no_longer() {
    let freeze = "      - { at: 110s, freeze: { services: [web], for: 3m } }\n";
    let first = agents(SURGE, freeze).effects().first().copied();
    assert!(first.is_some_and(|it| (290..=306).contains(&it)), "{first:?}");
}

#[test]
fn nobody_answers_while_the_process_is_dead() {
    let dies = "      - { at: 90s, for: 1m, agent_dies: { point: idle } }\n";
    let played = agents(dies, "      - { at: 100s, freeze: { services: [web], for: 4m } }\n");
    assert!(played.story().contains(&"nobody answers".to_owned()));
}
