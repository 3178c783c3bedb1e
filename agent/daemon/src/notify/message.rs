//! What people read, whatever carries it.
//!
//! **In:** a [`Notice`], whose texts may come from documents, people and metrics.
//! **Out:** the same, defused: one-line titles, no control characters, bounded; and the
//! plain text of a mail.
//! **Not here:** markup ([`super::slack`]), headers ([`super::email`]).

use std::fmt::Write as _;

use evenkeel_core::ids::{NoticeId, Region};
use evenkeel_core::incident::Severity;
use evenkeel_core::notice::Notice;
use jiff::Timestamp;

use super::line::Job;

/// Longest title, in characters: a line on a phone's lock screen shows half of it.
const TITLE_MAX: usize = 200;

/// Longest body, in characters. Why 4,000: a screen; the rest is in `evenkeel incidents`.
const BODY_MAX: usize = 4_000;

/// Most lines of a plan. Why 40: longer plans are looked at before they are approved.
const PLAN_LINES_MAX: usize = 40;

/// Most command lines to answer with.
const ANSWERS_MAX: usize = 20;

/// Longest line of a plan or an answer, in characters.
const LINE_MAX: usize = 300;

/// Many notices as one message, because there were more than the channel's limit.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// How many.
    pub(super) n_notices: usize,
    /// The first and the last of them.
    pub(super) ids: (NoticeId, NoticeId),
    /// The worst of them.
    pub(super) severity: Severity,
    /// Since when.
    pub(super) since: Timestamp,
}

impl Summary {
    /// Of `jobs`; `None` when there are none.
    pub(super) fn of(jobs: &[Job]) -> Option<Summary> {
        let ids = || jobs.iter().map(|it| it.notice.id);
        Some(Summary {
            n_notices: jobs.len(),
            ids: (ids().min()?, ids().max()?),
            severity: jobs.iter().map(|it| it.notice.severity).max()?,
            since: jobs.iter().map(|it| it.notice.at).min()?,
        })
    }

    /// One line.
    pub(super) fn title(&self) -> String {
        format!("{} more notices, see `evenkeel incidents`", self.n_notices)
    }

    /// What receivers know it by.
    pub(super) fn key(&self) -> String {
        format!("summary-{}-{}", self.ids.0, self.ids.1)
    }
}

/// `notice` with nothing in it that could pass for something else.
pub(super) fn defused(notice: Notice) -> Notice {
    let Notice { title, body, plan, answers, runbook, .. } = &notice;
    let lines = |lines: &[String], max: usize| -> Vec<String> {
        let mut kept: Vec<String> =
            lines.iter().take(max).map(|it| one_line(it, LINE_MAX)).collect();
        if let Some(more) = lines.len().checked_sub(max).filter(|it| 0 < *it) {
            kept.push(format!("… and {more} more"));
        }
        kept
    };
    Notice {
        title: one_line(title, TITLE_MAX),
        body: several_lines(body, BODY_MAX),
        plan: lines(plan, PLAN_LINES_MAX),
        answers: lines(answers, ANSWERS_MAX),
        runbook: runbook.as_deref().map(|it| one_line(it, LINE_MAX)),
        ..notice
    }
}

/// `text` in one line of at most `max` characters.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let spaced: String = text.chars().map(|it| if is_break(it) { ' ' } else { it }).collect();
    let visible: String = spaced.chars().filter(|it| !is_hidden(*it)).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    shortened(&words.join(" "), max)
}

fn several_lines(text: &str, max: usize) -> String {
    let text = text.replace("\r\n", "\n");
    let visible: String = text.chars().filter(|it| *it == '\n' || !is_hidden(*it)).collect();
    shortened(visible.trim(), max)
}

fn shortened(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn is_break(it: char) -> bool {
    it.is_control() || matches!(it, '\u{2028}' | '\u{2029}')
}

/// Control characters, and those that change the direction of text or cannot be seen:
/// they make one text look like another.
fn is_hidden(it: char) -> bool {
    is_break(it)
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The subject of a mail, or the first line of a chat message.
pub(super) fn headline(severity: Severity, title: &str, region: &Region) -> String {
    format!("[{severity}] {title} ({region})")
}

/// What it is about, one line per thing.
pub(super) fn references(notice: &Notice, region: &Region) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name}: {value}"));
        }
    };
    line("target", notice.target.as_ref().map(ToString::to_string));
    line("incident", notice.incident.map(|it| it.to_string()));
    line("run", notice.run.map(|it| it.to_string()));
    line("notice", Some(format!("{} of {}", notice.id, shown_at(notice.at))));
    line("region", Some(region.to_string()));
    lines
}

/// To the second.
fn shown_at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The text of a mail.
pub(super) fn plain_text(notice: &Notice, region: &Region) -> String {
    let mut text = format!("{}\n", notice.title);
    let mut section = |name: &str, lines: &mut dyn Iterator<Item = String>| {
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            // Writing to a `String` never fails.
            let _ = writeln!(text, "\n{name}");
        }
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    };
    section("Why", &mut notice.body.lines().map(str::to_owned));
    section("Plan", &mut notice.plan.iter().cloned());
    section("To answer", &mut notice.answers.iter().cloned());
    section("Runbook", &mut notice.runbook.iter().cloned());
    section("About", &mut references(notice, region).into_iter());
    text
}

/// The text of a mail that sums up.
pub(super) fn plain_summary(summary: &Summary, region: &Region) -> String {
    format!(
        "{}\n\nWhy\n  There were more than this channel's limit since {}; {} to {} are summed up here.\n\nAbout\n  region: {region}\n",
        summary.title(),
        shown_at(summary.since),
        summary.ids.0,
        summary.ids.1,
    )
}
