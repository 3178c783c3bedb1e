//! A run as one page that needs no network.
//!
//! **In:** a [`Scorecard`] and a [`Timeline`]. **Out:** HTML.
//! **Not here:** gathering them ([`crate::run`], [`crate::capacity`]), files.
//!
//! Everything is in the page: style, a small script for reading values off, drawings. A content
//! policy names the hashes of both, so a hostile text that got past the escaping still runs
//! nothing and loads nothing. Without scripts only the reading of values is missing.

mod chart;
mod draw;
mod scores;
mod words;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::scorecard::Scorecard;
use crate::timeline::{Event, Timeline};

use self::chart::{Place, kind, symbol_svg};
use self::draw::TimeAxis;
use self::words::{Safe, base64, instant, shell_word, span};

const STYLE: &str = include_str!("report/page.css");
const SCRIPT: &str = include_str!("report/page.js");

/// Services whose charts are open; the others are folded.
const OPEN_SERVICES: usize = 4;
/// Events that are open; the others are folded.
const OPEN_EVENTS: usize = 12;
/// Columns of one series, over all charts of a page. Why 10,000: with about eleven series of
/// seven bytes per column they make 800 kB.
const COLUMNS_MAX: usize = 10_000;

/// Shapes of marks, centred on the origin; each kind has its own, so colour is never alone.
const SYMBOLS: &str = "<svg class=\"symbols\" aria-hidden=\"true\"><defs>\
    <path id=\"m-began\" d=\"M-5.5 4.5L0-5.5 5.5 4.5Z\"/>\
    <path id=\"m-ended\" d=\"M-4.5 3.7L0-4.5 4.5 3.7Z\"/>\
    <path id=\"m-decision\" d=\"M0-5L5 0 0 5-5 0Z\"/>\
    <path id=\"m-refusal\" d=\"M-4-4L4 4M4-4L-4 4\"/>\
    <path id=\"m-person\" d=\"M-4.5 0a4.5 4.5 0 1 1 9 0a4.5 4.5 0 1 1-9 0Z\"/>\
    <path id=\"m-page\" d=\"M-4.5-4.5h9v9h-9Z\"/>\
    <path id=\"m-violation\" d=\"M-3-6.5h6L6.5-3v6L3 6.5h-6L-6.5 3v-6Z\"/>\
    </defs></svg>";

/// One run on a page.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its scores.
    pub scorecard: &'a Scorecard,
    /// What it looked like.
    pub timeline: &'a Timeline,
}

/// One self-contained page. Several runs (controllers of one seed) share the time axis.
///
/// `file` is the scenario's path as it was typed, for the commands that show the same again.
/// All text may be hostile; it is shown, not obeyed, and shortened where it is very long.
pub fn page(title: &str, about: &str, file: &str, runs: &[Run<'_>]) -> String {
    let axis = TimeAxis::over(runs.iter().map(|run| run.timeline));
    let mut page = String::new();
    let hash = |text: &str| base64(&Sha256::digest(text.as_bytes()));
    let _infallible = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>{}</title><style>{STYLE}</style>\
         </head><body>{SYMBOLS}<header><p class=\"brand\">Evenkeel simulation</p><h1>{}</h1>",
        hash(STYLE),
        hash(SCRIPT),
        Safe(title),
        Safe(title)
    );
    if !about.is_empty() {
        let _infallible = write!(page, "<p class=\"about\">{}</p>", Safe(about));
    }
    let length = axis.ends_at.saturating_sub(axis.begins_at);
    let format = if length < 3_600 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    let _infallible = write!(
        page,
        "<p class=\"when\"><time>{}</time> to <time>{}</time> UTC · {}</p></header><main>",
        instant(axis.begins_at, format),
        instant(axis.ends_at, format),
        span(length)
    );
    if runs.is_empty() {
        page.push_str("<p class=\"none\">There is no run to show.</p>");
    } else {
        scores::verdict(&mut page, runs);
        scores::table(&mut page, runs);
        commands(&mut page, file, runs);
    }
    let services: usize = runs.iter().map(|run| run.timeline.services.len()).sum();
    let columns_max = (COLUMNS_MAX / services.max(1)).clamp(64, 512);
    for (position, run) in runs.iter().enumerate() {
        let id = format!("r{position}");
        show(
            &mut page,
            run,
            position == 0,
            Place { axis: &axis, timeline: run.timeline, columns_max, id: &id },
        );
    }
    let _infallible = writeln!(page, "</main><script>{SCRIPT}</script></body></html>");
    page
}

/// The commands that show the same again.
fn commands(page: &mut String, file: &str, runs: &[Run<'_>]) {
    page.push_str("<section class=\"again\"><h2>Reproduce it</h2><pre tabindex=\"0\"><code>");
    for Run { scorecard, .. } in runs {
        let (file, controller) = (shell_word(file), shell_word(&scorecard.controller));
        let _infallible = writeln!(
            page,
            "evenkeel simulate {} --seed {} --controller {}",
            Safe(&file),
            scorecard.seed,
            Safe(&controller)
        );
    }
    page.push_str("</code></pre></section>");
}

fn show(page: &mut String, run: &Run<'_>, is_first: bool, place: Place<'_>) {
    let title =
        format!("<h2>{}{}</h2>", Safe(&run.scorecard.controller), scores::partial(run.scorecard));
    let _infallible = if is_first {
        write!(page, "<section class=\"run\">{title}")
    } else {
        write!(page, "<details class=\"run\"><summary>{title}</summary>")
    };
    let services = &run.timeline.services;
    if services.is_empty() {
        page.push_str("<p class=\"none\">This run has no services.</p>");
    }
    for (position, service) in services.iter().enumerate() {
        let id = format!("{}s{position}", place.id);
        let name = format!("<h3>{}</h3>", Safe(&service.name));
        let is_open = position < OPEN_SERVICES;
        let _infallible = if is_open {
            write!(page, "<section class=\"service\">{name}")
        } else {
            write!(page, "<details class=\"service\"><summary>{name}</summary>")
        };
        chart::service(page, Place { id: &id, ..place }, service);
        page.push_str(if is_open { "</section>" } else { "</details>" });
    }
    events(page, run.timeline);
    page.push_str(if is_first { "</section>" } else { "</details>" });
}

fn events(page: &mut String, timeline: &Timeline) {
    page.push_str("<section class=\"events\"><h3>Events and decisions</h3>");
    if timeline.events.is_empty() {
        page.push_str("<p class=\"none\">Nothing happened.</p>");
    }
    let (open, folded) = timeline.events.split_at(timeline.events.len().min(OPEN_EVENTS));
    list(page, open);
    if !folded.is_empty() {
        let _infallible = write!(page, "<details><summary>{} more events</summary>", folded.len());
        list(page, folded);
        page.push_str("</details>");
    }
    if 0 < timeline.events_left_out {
        let _infallible = write!(
            page,
            "<p class=\"none\">{} events in the middle of the run are left out.</p>",
            timeline.events_left_out
        );
    }
    page.push_str("</section>");
}

fn list(page: &mut String, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    page.push_str("<ol class=\"log\">");
    for event in events {
        let (name, _, symbol) = kind(event.kind);
        let service = if event.service.is_empty() { "region" } else { &event.service };
        let _infallible = write!(
            page,
            "<li><time>{}</time><b class=\"k-{symbol}\">{}{name}</b><span>{}</span><p>{}</p></li>",
            instant(event.at, "%m-%d %H:%M:%S"),
            symbol_svg(symbol),
            Safe(service),
            Safe(&event.text)
        );
    }
    page.push_str("</ol>");
}
