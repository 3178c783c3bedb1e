//! Messages for Slack and what speaks like it.
//!
//! **In:** a defused notice.
//! **Out:** the JSON of an incoming webhook: a line for the phone, blocks for the desk.
//! **Not here:** sending it ([`super::outlet`]).

use evenkeel_core::ids::Region;
use evenkeel_core::notice::Notice;
use serde_json::{Value, json};

use super::message::{Summary, headline, references};

/// Longest text of one block, in characters. Slack refuses more than 3,000.
const BLOCK_MAX: usize = 2_900;

/// Longest escaped text inside a block, in characters: leaves room for what surrounds it.
const TEXT_MAX: usize = BLOCK_MAX - 100;

/// The message for one notice.
pub(super) fn notice_json(notice: &Notice, region: &Region) -> Value {
    let headline = headline(notice.severity, &notice.title, region);
    let mut blocks = vec![section(&format!("*{}*", escaped(&headline)))];
    if !notice.body.is_empty() {
        blocks.push(section(&escaped(&notice.body)));
    }
    if !notice.plan.is_empty() {
        blocks.push(fenced("Plan", &notice.plan));
    }
    if !notice.answers.is_empty() {
        blocks.push(fenced("To answer", &notice.answers));
    }
    if let Some(runbook) = &notice.runbook {
        blocks.push(section(&format!("*Runbook* {}", escaped(runbook))));
    }
    let about = escaped(&references(notice, region).join(" · "));
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&about)] }));
    message(&headline, &blocks)
}

/// The message for many.
pub(super) fn summary_json(summary: &Summary, region: &Region) -> Value {
    let headline = headline(summary.severity, &summary.title(), region);
    message(&headline, &[section(&format!("*{}*", escaped(&headline)))])
}

fn message(headline: &str, blocks: &[Value]) -> Value {
    json!({
        "text": escaped(headline),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(text) })
}

/// Lines as they are, to be copied.
fn fenced(name: &str, lines: &[String]) -> Value {
    let mut text = format!("*{name}*\n```");
    let mut n_chars = text.chars().count();
    for line in lines {
        // Three of them would end the fence.
        let line = escaped(&line.replace("```", "'''"));
        n_chars += line.chars().count() + 1;
        if BLOCK_MAX < n_chars {
            text.push_str("\n…");
            break;
        }
        text.push('\n');
        text.push_str(&line);
    }
    text.push_str("\n```");
    section(&text)
}

/// `verbatim`: names and addresses in the text are not made into links or mentions.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

/// Escaped as Slack asks, so that no text is a mention, a link or markup of its own; not
/// longer than a block may be.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut n_chars = 0;
    for it in text.chars() {
        let one = match it {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        n_chars += one.len().max(1);
        if TEXT_MAX < n_chars {
            shown.push('…');
            break;
        }
        if one.is_empty() {
            shown.push(it);
        } else {
            shown.push_str(one);
        }
    }
    shown
}
