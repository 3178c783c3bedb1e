//! The agent's documents in a scenario's file.
//!
//! **In:** the text of the file. **Out:** where the scenario ends, and [`Documents`], each of
//! whose targets is a service of the region.
//! **Not here:** what documents mean (`evenkeel_core::documents`).

use std::collections::BTreeMap;

use evenkeel_core::documents::{Diagnostic, Documents, ProviderRef, Severity, SourceText, load};

use crate::run::documents::healing_text;
use crate::world::WorldSpec;

/// The file cut behind its first document: the scenario, and the rest, which begins with a
/// marker; with it, the number of lines before the rest.
pub(super) fn split(text: &str) -> (&str, &str, usize) {
    let (mut end, mut has_content) = (0, false);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_marker = is_marker(line, "---") || is_marker(line, "...");
        if is_marker && has_content {
            return (&text[..end], &text[end..], number);
        }
        let line_text = line.trim_start();
        has_content |= !is_marker && !line_text.is_empty() && !line_text.starts_with('#');
        end += line.len();
    }
    (text, "", 0)
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The part of a scenario's file behind the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) file: &'a str,
    pub(super) rest: &'a str,
    pub(super) lines_before: usize,
}

/// Line and column (from 1) of the first place where a text stands; the beginning where it does
/// not.
pub(super) fn place_of(text: &str, what: &str) -> (usize, usize) {
    let at = |(number, line): (usize, &str)| {
        let before = line.split_once(what)?.0;
        Some((number + 1, before.chars().count() + 1))
    };
    text.lines().enumerate().find_map(at).unwrap_or((1, 1))
}

/// The documents behind the scenario and in the files of its playbooks; made up ones with those
/// where the file has none of its own; `None` where there are none at all.
///
/// # Errors
///
/// The first fault in them, at its place in the whole file; or a target that is no service of
/// the region, or the service of another target.
pub(super) fn read(
    own: &Own<'_>,
    world: &WorldSpec,
    playbooks: &[(String, String)],
) -> Result<Option<Documents>, Box<Diagnostic>> {
    let Own { file, rest, lines_before } = *own;
    // Blank lines in place of the scenario, so that places are those of the whole file.
    let padded = "\n".repeat(lines_before) + rest;
    let mut loaded = load(&[SourceText { file, text: &padded }]);
    let has_own = 0 < loaded.n_documents;
    if !has_own && playbooks.is_empty() {
        return Ok(None);
    }
    if !playbooks.is_empty() {
        let made_up = if has_own { String::new() } else { healing_text(world) };
        let first = if has_own {
            SourceText { file, text: &padded }
        } else {
            SourceText { file: "made-up.yaml", text: &made_up }
        };
        let of = playbooks.iter().map(|(file, text)| SourceText { file, text });
        let sources: Vec<SourceText<'_>> = std::iter::once(first).chain(of).collect();
        loaded = load(&sources);
    }
    let Some(documents) = loaded.documents else {
        let is_error = |it: &Diagnostic| it.severity == Severity::Error;
        let error = loaded.diagnostics.into_iter().find(is_error);
        return Err(Box::new(error.unwrap_or_else(|| {
            at_line(file, &padded, lines_before, 0, "cannot be read".to_owned(), String::new())
        })));
    };
    let mut targets: BTreeMap<&str, &str> = BTreeMap::new();
    for target in documents.targets() {
        let id = target.id.as_str();
        let (line, column) = place_of_target(&padded, lines_before, id);
        let fault = |message, hint| Box::new(at_line(file, &padded, line, column, message, hint));
        let ProviderRef::Simulated { service } = &target.provider else {
            let platform = target.provider.platform();
            let message = format!("the provider of target `{id}` is `{platform}`");
            let hint = "in a scenario, write `provider: { simulated: { service: … } }`";
            return Err(fault(message, hint.to_owned()));
        };
        if world.find(service).is_none() {
            let message = format!("target `{id}`: no service is called `{service}`");
            let names: Vec<&str> =
                world.services.iter().take(20).map(|it| it.name.as_str()).collect();
            return Err(fault(message, format!("there are {}", names.join(", "))));
        }
        if let Some(other) = targets.insert(service, id) {
            let message = format!("targets `{other}` and `{id}` are both service `{service}`");
            return Err(fault(message, "remove one".to_owned()));
        }
    }
    Ok(Some(documents))
}

/// Line (from 0) and column (from 0) of the name of a target's document. Documents keep no
/// places, so it is looked for; the first document's line where it is written in a way that is
/// not found.
fn place_of_target(text: &str, lines_before: usize, id: &str) -> (usize, usize) {
    let mut is_target = false;
    for (number, line) in text.lines().enumerate().skip(lines_before) {
        if is_marker(line, "---") {
            is_target = false;
        }
        is_target |= line.trim_end() == "kind: Target";
        let name = line.find("name:").map(|at| at + "name:".len());
        if let (true, Some(at)) = (is_target, name)
            && let Some(rest) = line.get(at..)
            && let Some(offset) = rest.find(id)
            && rest.get(..offset).is_some_and(|it| it.trim_matches([' ', '"', '\'']).is_empty())
            && rest.get(offset + id.len()..).is_some_and(|it| {
                !it.starts_with(|it: char| it.is_ascii_alphanumeric() || "-_.".contains(it))
            })
        {
            let column = line.get(..at + offset).map_or(0, |it| it.chars().count());
            return (number, column);
        }
    }
    (lines_before, 0)
}

fn at_line(
    file: &str,
    text: &str,
    line: usize,
    column: usize,
    message: String,
    hint: String,
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        line: line + 1,
        column: column + 1,
        message,
        hint,
        snippet: text.lines().nth(line).unwrap_or_default().chars().take(200).collect(),
    }
}
