//! Playbooks as a person writes them: what is read, and what is said about faults.
//!
//! **In:** a good playbook with every field, and the same with one thing changed.
//! **Out:** the checked playbook; for each change the position, the message and the hint.
//! **Not here:** what a playbook does (`tests/agent`), the language of conditions
//! (`tests/condition`).

mod across;
mod expressions;
mod form;
mod host;
mod tenant;

use evenkeel_core::documents::{Loaded, Severity, SourceText, load, show};
use expect_test::{Expect, expect, expect_file};

const GOOD: &str = include_str!("../good_documents/playbook.yaml");
const README: &str = include_str!("../../../../playbooks/README.md");

fn loaded(text: &str) -> Loaded {
    load(&[SourceText { file: "x.yaml", text }])
}

fn shown(loaded: &Loaded) -> String {
    let lines = loaded.diagnostics.iter().map(|it| {
        let severity = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{}:{} {severity}: {}\n  hint: {}\n", it.line, it.column, it.message, it.hint)
    });
    lines.collect()
}

/// What is said about the good playbook when each piece of it is changed. Every piece must
/// be there, and whatever is an error must keep the documents out of force.
#[track_caller]
fn check(changes: &[(&str, &str)], expected: &Expect) {
    let mut all = String::new();
    for (from, to) in changes {
        assert!(GOOD.contains(from), "{from}");
        let loaded = loaded(&GOOD.replacen(from, to, 1));
        assert!(!loaded.diagnostics.is_empty(), "nothing is said about {to}");
        let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
        assert_eq!(loaded.documents.is_none(), has_error);
        all.push_str(&format!("## {}\n{}", to.trim(), shown(&loaded)));
    }
    expected.assert_eq(&all);
}

#[test]
fn every_field_that_is_given_is_used() {
    let loaded = loaded(GOOD);
    assert_eq!(shown(&loaded), "");
    let documents = loaded.documents.unwrap();
    let mut all = String::new();
    for playbook in documents.playbooks() {
        let mut playbook = playbook.clone();
        assert_eq!(playbook.sha256.len(), 64);
        playbook.sha256.clear();
        all.push_str(&format!("{playbook:#?}\n"));
    }
    for target in documents.targets() {
        all.push_str(&format!("{:?} {:?}\n", target.actuators, target.depends_on));
    }
    expect_file!["../read_documents/playbook.txt"].assert_eq(&all);
}

#[test]
fn a_run_is_pinned_to_the_text_of_its_playbook_and_to_nothing_else() {
    let hash = |text: &str, nth: usize| {
        let documents = loaded(text).documents.unwrap();
        documents.playbooks().nth(nth).unwrap().sha256.clone()
    };
    let other = GOOD.replacen("factor: 14.4", "factor: 14.5", 1);
    assert_ne!(hash(GOOD, 0), hash(&other, 0), "`errors` changed");
    assert_eq!(hash(GOOD, 1), hash(&other, 1), "`gray-node` did not");
}

#[test]
fn there_is_room_for_two_hundred_playbooks_and_not_for_one_more() {
    let errors = GOOD.split("---\n").nth(1).unwrap();
    let playbooks = |n: usize| -> String {
        (0..n)
            .map(|nth| {
                format!("---\n{}", errors.replacen("name: errors", &format!("name: p{nth}"), 1))
            })
            .collect()
    };
    assert_eq!(shown(&loaded(&playbooks(200))), "");
    expect![[r#"
        3602:1 error: playbook `p200`: there are more than 200 documents of kind `Playbook`
          hint: give this daemon fewer
    "#]]
    .assert_eq(&shown(&loaded(&playbooks(201))));
}

// The examples of the page for authors are right: all of them together load without a word.
#[test]
fn the_example_of_the_page_loads() {
    let examples: Vec<&str> =
        README.split("```yaml\n").skip(1).map(|it| it.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    let loaded = loaded(&examples.join("\n---\n"));
    assert_eq!(loaded.diagnostics.iter().map(show).collect::<String>(), "");
    assert_eq!(loaded.documents.unwrap().playbooks().len(), 1);
}
