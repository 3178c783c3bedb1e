//! A rule file as YAML.
//!
//! **In:** a [`RuleFile`].
//! **Out:** its text: keys in the order of Prometheus' documentation, every text quoted.
//! **Not here:** any other YAML; the shape is fixed, so that a writer of one page will do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::RuleFile;
use crate::units::show_duration;

pub(super) fn write(file: &RuleFile) -> String {
    let mut out = String::from("# Written by `evenkeel slo rules`; changes here are lost.\n");
    for it in &file.skipped {
        // A comment ends with its line.
        let reason: String =
            it.reason.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        line(&mut out, 0, &format!("# Not here: SLO {}: {reason}.", it.slo));
    }
    line(&mut out, 0, if file.groups.is_empty() { "groups: []" } else { "groups:" });
    for group in &file.groups {
        line(&mut out, 1, &format!("- name: {}", quoted(&group.name)));
        line(&mut out, 2, &format!("interval: {}", show_duration(group.interval)));
        let is_empty = group.records.is_empty() && group.alerts.is_empty();
        line(&mut out, 2, if is_empty { "rules: []" } else { "rules:" });
        for it in &group.records {
            line(&mut out, 3, &format!("- record: {}", quoted(&it.record)));
            text(&mut out, 4, "expr", &it.expr);
            texts(&mut out, 4, "labels", &it.labels);
        }
        for it in &group.alerts {
            line(&mut out, 3, &format!("- alert: {}", quoted(&it.alert)));
            text(&mut out, 4, "expr", &it.expr);
            if !it.hold_for.is_zero() {
                line(&mut out, 4, &format!("for: {}", show_duration(it.hold_for)));
            }
            texts(&mut out, 4, "labels", &it.labels);
            texts(&mut out, 4, "annotations", &it.annotations);
        }
    }
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{:indent$}{text}", "", indent = depth * 2);
}

fn texts(out: &mut String, depth: usize, name: &str, of: &BTreeMap<String, String>) {
    if !of.is_empty() {
        line(out, depth, &format!("{name}:"));
        for (name, value) in of {
            text(out, depth + 1, &quoted_name(name), value);
        }
    }
}

/// Several plain lines as a block, so that people can read them; anything else quoted.
fn text(out: &mut String, depth: usize, name: &str, value: &str) {
    let is_plain =
        |line: &str| !line.is_empty() && line.bytes().all(|it| (b' '..=b'~').contains(&it));
    let is_block = value.contains('\n') && !value.starts_with(' ') && value.lines().all(is_plain);
    if is_block && !value.ends_with('\n') {
        line(out, depth, &format!("{name}: |-"));
        for it in value.lines() {
            line(out, depth + 1, it);
        }
    } else {
        line(out, depth, &format!("{name}: {}", quoted(value)));
    }
}

fn quoted_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// Double-quoted, in ASCII only: what YAML does with other line breaks is never asked.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for it in value.chars() {
        match it {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(it),
            it if u32::from(it) <= 0xFFFF => out.push_str(&format!("\\u{:04X}", u32::from(it))),
            it => out.push_str(&format!("\\U{:08X}", u32::from(it))),
        }
    }
    out.push('"');
    out
}
