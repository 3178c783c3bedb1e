//! Texts with places for values.
//!
//! **In:** `scale {target} by {params.percent} %`.
//! **Out:** a [`Template`] whose places all exist.
//! **Not here:** the values, which are put in when a plan is made ([`crate::heal`]).

use serde_json::{Value as Json, json};

use super::Scope;
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node};
use crate::documents::raw::scalar::text;
use crate::documents::raw::{Place, Read, nearest};
use crate::documents::{Template, TemplatePart};
use crate::ids::ParameterName;

/// Longest text that people read, in bytes. Why 500: a message on a telephone.
pub(super) const TEXT_BYTES_MAX: usize = 500;

/// Text of at most [`TEXT_BYTES_MAX`] bytes in one line.
pub(in crate::documents) struct Sentence(pub(in crate::documents) String);

impl Read for Sentence {
    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Sentence> {
        let text = text(node, place, "text", faults)?;
        let text = text.trim_end_matches('\n');
        let message = if text.trim().is_empty() {
            format!("`{place}` is empty")
        } else if TEXT_BYTES_MAX < text.len() {
            let bytes = text.len();
            format!("`{place}` has {bytes} bytes, at most {TEXT_BYTES_MAX} are allowed")
        } else if text.chars().any(char::is_control) {
            format!("`{place}` contains a line break or another control character")
        } else {
            return Some(Sentence(text.to_owned()));
        };
        faults.error(node.at, message, "write one or two sentences in one line");
        None
    }
}

/// A template whose form is right.
pub(in crate::documents) struct TemplateText {
    parts: Vec<TemplatePart>,
    /// The way to it, for messages.
    place: String,
}

/// What can stand between braces, but for `params.NAME` and `labels.NAME`.
const PLACES: [&str; 4] = ["target", "region", "run", "incident"];

impl Read for TemplateText {
    fn schema() -> Json {
        Sentence::schema()
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<TemplateText> {
        let Sentence(text) = Sentence::read(node, place, faults)?;
        match parse(&text) {
            Ok(parts) => Some(TemplateText { parts, place: place.to_string() }),
            Err(fault) => {
                let before = text.get(..fault.at).unwrap_or_default();
                let message = format!("`{place}`: {}", fault.message);
                faults.inside(node.at, before, message, fault.hint);
                None
            }
        }
    }
}

struct TemplateFault {
    /// Byte of the text.
    at: usize,
    message: String,
    hint: String,
}

fn parse(text: &str) -> Result<Vec<TemplatePart>, TemplateFault> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(found) = rest.find(['{', '}']) {
        let (before, braces) = rest.split_at(found);
        let at = text.len() - braces.len();
        plain.push_str(before);
        if let Some(after) = braces.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = braces.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some(after) = braces.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                let message = "a `{` is not closed".to_owned();
                let hint = "write `{{` for a brace that is meant".to_owned();
                return Err(TemplateFault { at, message, hint });
            };
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(name, at)?);
            rest = after;
        } else {
            let message = "a `}` closes nothing".to_owned();
            let hint = "write `}}` for a brace that is meant".to_owned();
            return Err(TemplateFault { at, message, hint });
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(parts)
}

fn part(name: &str, at: usize) -> Result<TemplatePart, TemplateFault> {
    let parameter = name.strip_prefix("params.").map(ParameterName::new);
    let label = name.strip_prefix("labels.").filter(|it| !it.is_empty());
    match (name, parameter, label) {
        ("target", _, _) => Ok(TemplatePart::Target),
        ("region", _, _) => Ok(TemplatePart::Region),
        ("run", _, _) => Ok(TemplatePart::Run),
        ("incident", _, _) => Ok(TemplatePart::Incident),
        (_, Some(Ok(name)), _) => Ok(TemplatePart::Parameter(name)),
        (_, _, Some(label)) => Ok(TemplatePart::Label(label.to_owned())),
        (_, Some(Err(_)) | None, None) => {
            let message = format!("there is no value {}", quoted(&format!("{{{name}}}")));
            let hint = match nearest(name, &PLACES) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => "places are `{target}`, `{region}`, `{run}`, `{incident}`, \
                         `{params.NAME}` and `{labels.NAME}`; write `{{` for a brace"
                    .to_owned(),
            };
            Err(TemplateFault { at, message, hint })
        }
    }
}

/// The template, if every parameter in it exists.
pub(super) fn checked(
    raw: At<TemplateText>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<Template> {
    let At { value: TemplateText { parts, place }, at } = raw;
    for part in &parts {
        match part {
            TemplatePart::Parameter(name) if !scope.parameters.contains_key(name) => {
                let known: Vec<&str> = scope.parameters.keys().map(ParameterName::as_str).collect();
                let hint = match nearest(name.as_str(), &known) {
                    Some(near) => format!("did you mean `{{params.{near}}}`?"),
                    None => "add it under `parameters`".to_owned(),
                };
                faults.error(at, format!("`{place}`: there is no parameter `{name}`"), hint);
                return None;
            }
            TemplatePart::Parameter(_)
            | TemplatePart::Text(_)
            | TemplatePart::Target
            | TemplatePart::Region
            | TemplatePart::Label(_)
            | TemplatePart::Run
            | TemplatePart::Incident => {}
        }
    }
    Some(Template { parts })
}

/// Arguments of a command. Each is one argument whatever is put in; one that begins with a
/// value could be read as an option, so that is refused unless `--` came before.
pub(super) fn checked_arguments(
    raw: Vec<At<TemplateText>>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<Vec<Template>> {
    let mut options_are_over = false;
    let mut arguments = Some(Vec::new());
    for it in raw {
        let At { value: TemplateText { parts, place }, at } = &it;
        if !options_are_over && let Some(value) = may_begin_with_dash(parts, scope) {
            let message = format!(
                "`{place}` begins with `{{{value}}}`, which may begin with `-` and be read as an option"
            );
            let hint = format!(
                "write the argument `--` before it, or the option itself: `--name={{{value}}}`"
            );
            faults.error(*at, message, hint);
            arguments = None;
        }
        options_are_over |= *parts == [TemplatePart::Text("--".to_owned())];
        match (checked(it, scope, faults), &mut arguments) {
            (Some(template), Some(arguments)) => arguments.push(template),
            (None, _) | (_, None) => arguments = None,
        }
    }
    arguments
}

/// The value that a text begins with, if that may begin with `-`.
fn may_begin_with_dash(parts: &[TemplatePart], scope: &Scope<'_>) -> Option<String> {
    match parts.first()? {
        TemplatePart::Target => Some("target".to_owned()),
        TemplatePart::Region => Some("region".to_owned()),
        TemplatePart::Label(name) => Some(format!("labels.{name}")),
        TemplatePart::Parameter(name) => {
            let may_be_negative = scope.parameters.get(name).is_some_and(|it| it.min < 0.0);
            may_be_negative.then(|| format!("params.{name}"))
        }
        TemplatePart::Text(_) | TemplatePart::Run | TemplatePart::Incident => None,
    }
}
