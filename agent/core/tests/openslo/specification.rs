//! The specification's own documents.

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::shown;

const EXAMPLES: [(&str, &str); 4] = [
    (
        "budgeting-method/occurences-slo.yaml",
        include_str!("examples/budgeting-method/occurences-slo.yaml"),
    ),
    (
        "budgeting-method/ratio-timeslices.yaml",
        include_str!("examples/budgeting-method/ratio-timeslices.yaml"),
    ),
    (
        "budgeting-method/timeslices-slo.yaml",
        include_str!("examples/budgeting-method/timeslices-slo.yaml"),
    ),
    (
        "treat-low-traffic-as-equally-important/timeslices-slo.yaml",
        include_str!("examples/treat-low-traffic-as-equally-important/timeslices-slo.yaml"),
    ),
];

#[test]
fn every_example_is_read_or_refused_with_a_reason() {
    let mut all = String::new();
    for (name, text) in EXAMPLES {
        write!(all, "## {name}\n\n{}\n", shown(text)).unwrap();
    }
    expect_file!["examples.txt"].assert_eq(&all);
}

/// The YAML blocks of the specification that are whole documents, with their first line.
fn blocks() -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in include_str!("examples/SPECIFICATION.md").lines().enumerate() {
        match (&mut block, line) {
            (None, "```yaml") => block = Some((number + 2, String::new())),
            (None, _) => {}
            (Some(_), "```") => blocks.extend(block.take()),
            (Some((_, text)), line) => writeln!(text, "{line}").unwrap(),
        }
    }
    blocks.retain(|(_, text)| text.contains("apiVersion"));
    blocks
}

#[test]
fn every_document_of_the_specification_is_read_or_refused_with_a_reason() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 15, "documents in the specification");
    let mut all = String::new();
    for (line, text) in blocks {
        let kind = text.lines().find(|it| it.starts_with("kind:")).unwrap();
        write!(all, "## SPECIFICATION.md, line {line}, {kind}\n\n{}\n", shown(&text)).unwrap();
    }
    expect_file!["specification.txt"].assert_eq(&all);
}
