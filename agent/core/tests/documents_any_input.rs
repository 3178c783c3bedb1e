//! No text, however bad, does worse than a diagnostic.
//!
//! **In:** arbitrary text, good documents with mistakes put in, attacks.
//! **Out:** documents, or at least one error with a position, soon.
//! **Not here:** what the messages say (`documents.rs`).

#![expect(clippy::disallowed_methods, reason = "a test may time what the core does")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use evenkeel_core::documents::{Loaded, Severity, SourceText, load, show};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const GOOD: &[&str] = &[
    include_str!("../../../policies/access.yaml"),
    include_str!("../../../policies/aws-example.yaml"),
    include_str!("../../../policies/calendar.yaml"),
    include_str!("../../../policies/guardrails.yaml"),
    include_str!("../../../policies/queue-worker.yaml"),
    include_str!("../../../policies/web-service.yaml"),
    include_str!("good_documents/playbook.yaml"),
];

/// Loads, and checks what holds for every text.
#[track_caller]
fn check(texts: &[&str]) -> Loaded {
    let sources: Vec<SourceText<'_>> =
        texts.iter().map(|text| SourceText { file: "x.yaml", text }).collect();
    let loaded = load(&sources);
    let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(loaded.documents.is_none(), has_error, "{:?}", loaded.diagnostics);
    for it in &loaded.diagnostics {
        assert!(1 <= it.line && 1 <= it.column, "{it}");
        assert!(!it.message.chars().any(char::is_control), "{it:?}");
        assert!(!it.hint.is_empty() && !it.hint.chars().any(char::is_control), "{it:?}");
        assert!(!show(it).contains('\u{1b}'), "{it:?}");
    }
    loaded
}

/// One change of a text at a place: characters removed, and others put there.
fn changed(text: &str, place: usize, n_removed: usize, inserted: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let start = place % (characters.len() + 1);
    let end = (start + n_removed).min(characters.len());
    let before: String = characters[..start].iter().collect();
    let after: String = characters[end..].iter().collect();
    format!("{before}{inserted}{after}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text_loads_or_is_explained(text in "(?s).{0,400}") {
        check(&[&text]);
    }

    #[test]
    fn text_that_looks_like_yaml_loads_or_is_explained(
        text in "([ ]{0,4}(- )?[a-z&*!|>'\"{}\\[\\]%@#]{0,6}(: ?)?[a-z0-9.~,*&{}\\[\\]'\"-]{0,8}\n|---\n|\\.\\.\\.\n){0,20}"
    ) {
        check(&[&text]);
    }

    #[test]
    fn a_good_document_with_a_mistake_loads_or_is_explained(
        which in 0..GOOD.len(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..6, prop_oneof![
                Just(String::new()), "[ -~\n\t]{1,4}", "\\PC{1,3}", Just("\n---\n".to_owned()),
                Just("null".to_owned()), Just("-1".to_owned()), Just(".nan".to_owned()),
                Just("{".to_owned()), Just("*x".to_owned()), Just("9999999999999999999999".to_owned()),
            ]),
            1..4,
        ),
    ) {
        let mut text = GOOD[which].to_owned();
        for (place, n_removed, inserted) in changes {
            text = changed(&text, place.index(text.len().max(1)), n_removed, &inserted);
        }
        check(&[&text]);
    }

    #[test]
    fn a_missing_line_never_makes_a_document_mean_something_without_a_word(
        which in 0..GOOD.len(), line in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<&str> = GOOD[which].lines().collect();
        let line = line.index(lines.len());
        let text: Vec<&str> =
            lines.iter().enumerate().filter(|(it, _)| *it != line).map(|(_, it)| *it).collect();
        check(&[&text.join("\n")]);
    }
}

proptest! {
    // Fewer: each tries out what many schedules mean.
    #![proptest_config(ProptestConfig::with_cases(60))]

    // Also at hours that the clocks of these zones skip or show twice.
    #[test]
    fn a_calendar_of_any_times_is_refused_or_in_order(
        zone in prop_oneof![Just("Europe/Berlin"), Just("America/Santiago"), Just("Asia/Kathmandu")],
        dated in prop::collection::vec(
            ("[a-h]", 1u32..13, 1u32..30, 0u32..24, 0u32..60, "[1-9]{1,2}[mh]"), 1..8),
        repeating in prop::collection::vec(
            ("[a-h]", "(0|30) (0|2|3) (1|29|31|L|1,15) (1|2|\\*|10) (\\*|SUN|1)", "[1-9]{1,2}[mh]"),
            0..4),
        incidents in prop::collection::vec((1u32..13, 1u32..32, 0u32..24, 0u32..24), 0..4),
        from in -8_000i64..8_000, days in 0i64..800,
    ) {
        let mut text = format!(
            "apiVersion: evenkeel/v1\nkind: Calendar\nmetadata: {{ name: x }}\nspec:\n  time_zone: {zone}\n  events:\n"
        );
        for (name, month, day, hour, minute, lasts) in dated {
            let starts = format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}");
            writeln!(text, "    - {{ name: {name}, starts: {starts}, lasts: {lasts} }}")?;
        }
        for (name, cron, lasts) in repeating {
            writeln!(text, "    - {{ name: {name}, cron: \"{cron}\", lasts: {lasts} }}")?;
        }
        text.push_str("  incidents: [");
        for (month, day, starts, ends) in incidents {
            let at = |hour| format!("2026-{month:02}-{day:02}T{hour:02}:30");
            write!(text, "{{ name: i, starts: {}, ends: {} }}, ", at(starts), at(ends))?;
        }
        text.push_str("]\n");
        let Some(documents) = check(&[&text]).documents else { return Ok(()) };
        let calendar = documents.calendars().next().expect("the only document");
        let day = SignedDuration::from_hours(24);
        let from = Timestamp::UNIX_EPOCH + day * i32::try_from(20_000 + from)?;
        let until = from + day * i32::try_from(days)?;
        let occurrences = calendar.occurrences(from, until);
        for it in &occurrences {
            prop_assert!(it.starts_at < it.ends_at && it.starts_at < until && from < it.ends_at);
        }
        prop_assert!(occurrences.is_sorted_by_key(|it| it.starts_at));
        prop_assert!(calendar.incidents.iter().all(|it| it.starts_at < it.ends_at));
        prop_assert!(calendar.incidents.is_sorted_by_key(|it| it.starts_at));
        let middle = from + until.duration_since(from) / 2;
        let in_halves: BTreeSet<(Timestamp, String)> = calendar
            .occurrences(from, middle)
            .into_iter()
            .chain(calendar.occurrences(middle, until))
            .map(|it| (it.starts_at, it.name))
            .collect();
        let whole: BTreeSet<(Timestamp, String)> =
            occurrences.into_iter().map(|it| (it.starts_at, it.name)).collect();
        prop_assert_eq!(in_halves, whole);
    }
}

/// Loads a text that is an attack and gives the message of its first error.
#[track_caller]
fn check_attack(text: &str) -> String {
    // Generous for a slow machine in a debug build; a bomb that goes off takes hours.
    const TIME_MAX: Duration = Duration::from_secs(2);
    let began = Instant::now();
    let loaded = check(&[text]);
    let took = began.elapsed();
    assert!(took < TIME_MAX, "{took:?}");
    assert!(loaded.documents.is_none());
    loaded.diagnostics[0].message.clone()
}

/// The slowest calendar that is still allowed: as many schedules as there may
/// be, as often as they may come, with all dates of the same name.
#[test]
fn the_largest_calendar_is_read_soon() {
    let mut text = "apiVersion: evenkeel/v1\nkind: Calendar\nmetadata: { name: x }\n\
                    spec:\n  time_zone: Europe/Berlin\n  events:\n"
        .to_owned();
    for minute in 0..64 {
        writeln!(
            text,
            "    - {{ name: e, cron: \"{} {} * * MON\", lasts: 1m }}",
            minute % 60,
            minute / 60
        )
        .unwrap();
    }
    for n in 0..936 {
        let (year, day, hour) = (2_000 + n / 24, 1 + n % 7, 3 + n % 20);
        writeln!(
            text,
            "    - {{ name: e, starts: {year}-{:02}-{day:02}T{hour:02}:00, lasts: 1m }}",
            1 + n / 2 % 12
        )
        .unwrap();
    }
    // Generous for a slow machine in a debug build, where it takes half a second.
    const TIME_MAX: Duration = Duration::from_secs(5);
    let began = Instant::now();
    let loaded = check(&[&text]);
    let took = began.elapsed();
    assert!(took < TIME_MAX, "{took:?}");
    let documents = loaded.documents.expect("it is within the limits");
    let calendar = documents.calendars().next().expect("the only document");
    assert_eq!((calendar.repeating.len(), calendar.dated.len()), (64, 936));
}

#[test]
fn a_billion_laughs_are_refused_at_once() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..='y').zip('b'..='z') {
        writeln!(text, "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}]")
            .unwrap();
    }
    assert_eq!(check_attack(&text), "aliases repeat more than 10000 values");
}

#[test]
fn what_is_too_deep_too_long_or_too_much_is_refused_with_the_limit() {
    for (text, message) in [
        ("[".repeat(1_000_000), "nested deeper than 32 levels"),
        ("{a: ".repeat(100_000), "nested deeper than 32 levels"),
        ("- ".repeat(100_000), "nested deeper than 32 levels"),
        (format!("a: {}", "x".repeat(3 << 20)), "a document has more than 1048576 bytes of text"),
        (format!("[{}]", "1, ".repeat(200_000)), "a document has more than 100000 values"),
        ("x".repeat((4 << 20) + 1), "the file has 4194305 bytes, at most 4194304 are read"),
        ("--- 1\n".repeat(20_001), "there are more than 20000 documents, none is read"),
    ] {
        assert_eq!(check_attack(&text), message);
    }
}

#[test]
fn too_many_faults_are_counted_and_not_all_shown() {
    let loaded = check(&["--- 1\n".repeat(5_000).as_str()]);
    assert_eq!(loaded.n_documents, 5_000);
    assert_eq!(loaded.diagnostics.len(), 1_001);
    assert_eq!(loaded.diagnostics[1_000].message, "4000 more errors are not shown");
}

#[test]
fn many_warnings_are_still_no_error() {
    let mut text: String = (0..1_500).map(target).collect();
    text.push_str(
        "---\napiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: { name: p }\n\
         spec: { selector: { targets: [t0] }, target_label: service, \
         signals: [{ name: s, query: up, value_per_unit: 1 }] }\n",
    );
    let loaded = check(&[&text]);
    assert_eq!(loaded.documents.map(|it| it.targets().len()), Some(1_500));
    assert_eq!(loaded.diagnostics.len(), 1_001);
    assert_eq!(loaded.diagnostics[1_000].message, "499 more warnings are not shown");
    let loaded = check(&[&text, "]"]);
    assert_eq!(loaded.diagnostics.len(), 1, "warnings wait until the errors are gone");
}

fn target(index: usize) -> String {
    format!(
        "---\napiVersion: evenkeel/v1\nkind: Target\nmetadata: {{ name: t{index} }}\n\
         spec: {{ region: r, provider: {{ simulated: {{ service: s }} }}, capacity: {{ min: 1, max: 2 }} }}\n"
    )
}

#[test]
fn there_is_room_for_ten_thousand_targets_and_not_for_one_more() {
    let mut text: String = (0..10_000).map(target).collect();
    let loaded = check(&[&text]);
    assert_eq!(loaded.documents.map(|it| it.targets().len()), Some(10_000));
    text.push_str(&target(10_000));
    let loaded = check(&[&text]);
    let message = "target `t10000`: there are more than 10000 documents of kind `Target`";
    assert_eq!(loaded.diagnostics[0].message, message);
}

#[test]
fn a_mistake_in_one_file_does_not_hide_one_in_another_and_names_both() {
    let loaded = load(&[
        SourceText { file: "a.yaml", text: &target(1) },
        SourceText { file: "b.yaml", text: &target(1) },
        SourceText { file: "c.yaml", text: "]" },
    ]);
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "b.yaml:4:19: error: target `t1` is there twice, first in a.yaml, line 4; \
             hint: rename or remove one of the two",
            "c.yaml:1:1: error: not YAML: misplaced bracket; \
             hint: check indentation, quotes and brackets",
        ]
    );
}

#[test]
fn a_secret_that_was_pasted_is_not_repeated() {
    for line in [
        "token: hunter2",
        "token_hashes: [hunter2]",
        "token_hashes: hunter2",
        "token_hashes: { hunter2: x }",
        "api_token: hunter2",
        "token_hashes: [\"sha256:hunter2\"]",
        "unix_user: ana, unix_user: ana, token: hunter2",
        "password: hunter2",
    ] {
        let text = format!(
            "apiVersion: evenkeel/v1\nkind: Access\nmetadata: {{ name: x }}\n\
             spec: {{ people: [{{ name: ana, {line} }}] }}\n"
        );
        let loaded = check(&[&text]);
        assert!(loaded.documents.is_none(), "{line}");
        for it in &loaded.diagnostics {
            let all = format!("{it} {} {}", show(it), it.snippet);
            assert!(!all.contains("hunter2"), "{all}");
        }
    }
}

#[test]
fn the_same_texts_have_the_same_hash_and_others_another() {
    let hash = |texts: &[&str]| check(texts).documents.unwrap().sha256;
    let (one, two) = (target(1), target(2));
    assert_eq!(hash(&[&one, &two]), hash(&[&one, &two]));
    assert_ne!(hash(&[&one, &two]), hash(&[&two, &one]));
    assert_ne!(hash(&[&one, &two]), hash(&[&format!("{one}{two}")]));
    assert_eq!(hash(&[&one]).len(), 64);
}
