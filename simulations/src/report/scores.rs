//! The scorecards of a page, side by side, and what must hold and did not.
//!
//! **In:** runs. **Out:** a verdict and a table in HTML.
//! **Not here:** charts ([`super::chart`]).

use std::fmt::Write as _;

use super::Run;
use super::words::{Safe, instant, number, span};
use crate::scorecard::Scorecard;

/// A row: its name, what it means, its text, and the number that is better when smaller.
type Row = (&'static str, &'static str, fn(&Scorecard) -> String, Option<fn(&Scorecard) -> f64>);

/// Says that a run was interrupted.
pub(super) fn partial(card: &Scorecard) -> &'static str {
    if card.partial { " <em class=\"partial\">partial</em>" } else { "" }
}

/// Violations first; a green line when there is none.
pub(super) fn verdict(page: &mut String, runs: &[Run<'_>]) {
    if runs.iter().any(|run| run.scorecard.partial) {
        page.push_str(
            "<p class=\"banner warn\"><b>Partial.</b> At least one run was interrupted; its \
             numbers are about the part that ran.</p>",
        );
    }
    let count: usize = runs.iter().map(|run| run.scorecard.violations.len()).sum();
    if count == 0 {
        let n_runs = runs.len();
        let runs = if n_runs == 1 { "this run".to_owned() } else { format!("these {n_runs} runs") };
        let _infallible =
            write!(page, "<p class=\"banner good\"><b>✓ No violation</b> in {runs}.</p>");
        return;
    }
    let s = if count == 1 { "" } else { "s" };
    let _infallible = write!(
        page,
        "<section class=\"banner bad\"><h2>✕ {count} violation{s}</h2>\
         <p>What must hold, and did not.</p>"
    );
    for Run { scorecard, .. } in runs {
        let n_here = scorecard.violations.len();
        if n_here == 0 {
            let _infallible = write!(page, "<p><b>{}</b>: none</p>", Safe(&scorecard.controller));
            continue;
        }
        let many = 5 < n_here;
        let _infallible = write!(page, "<h3>{}: {n_here}</h3><ol>", Safe(&scorecard.controller));
        for (position, violation) in scorecard.violations.iter().enumerate() {
            if many && position == 5 {
                let _infallible =
                    write!(page, "</ol><details><summary>{} more</summary><ol>", n_here - 5);
            }
            let _infallible = write!(
                page,
                "<li><time>{}</time> <b>{}</b> {}</li>",
                instant(violation.at, "%Y-%m-%d %H:%M:%S"),
                Safe(violation.invariant),
                Safe(&violation.what)
            );
        }
        page.push_str(if many { "</ol></details>" } else { "</ol>" });
    }
    page.push_str("</section>");
}

fn percent(value: f64) -> String {
    number(value) + " %"
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        Some(value) if value.is_finite() => span(format!("{value:.0}").parse().unwrap_or(0)),
        _ => "–".to_owned(),
    }
}

const ROWS: &[Row] = &[
    (
        "Good",
        "time with the objective met",
        |it| share(it.slo_good_ratio),
        Some(|it| -it.slo_good_ratio),
    ),
    (
        "Bad time",
        "objective missed, all services added",
        |it| span(i64::try_from(it.slo_bad_seconds).unwrap_or(i64::MAX)),
        None,
    ),
    (
        "Unserved",
        "load above ready capacity",
        |it| share(it.unserved_ratio),
        Some(|it| it.unserved_ratio),
    ),
    (
        "Lost requests",
        "given up for good",
        |it| number(it.lost_requests),
        Some(|it| it.lost_requests),
    ),
    ("Under-provisioned", "τᵤ, share of time", |it| percent(it.tau_u), Some(|it| it.tau_u)),
    ("Shortfall", "θᵤ, of demand", |it| percent(it.theta_u), Some(|it| it.theta_u)),
    ("Over-provisioned", "τₒ, share of time", |it| percent(it.tau_o), Some(|it| it.tau_o)),
    ("Surplus", "θₒ, of demand", |it| percent(it.theta_o), Some(|it| it.theta_o)),
    ("Cost", "USD", |it| format!("${}", number(it.cost_usd)), Some(|it| it.cost_usd)),
    (
        "Against the oracle",
        "who knows the future",
        |it| format!("{}×", number(it.cost_ratio)),
        Some(|it| it.cost_ratio),
    ),
    ("Changes", "of desired capacity", |it| number(f64::from(it.capacity_changes)), None),
    ("Pages", "people called", |it| number(f64::from(it.pages)), Some(|it| f64::from(it.pages))),
    ("To detect", "mean, per incident", |it| time(it.mttd_seconds), None),
    ("To repair", "mean, per incident", |it| time(it.mttr_seconds), None),
    ("Simulated", "virtual time", |it| span(it.simulated_seconds), None),
    ("Trace", "SHA-256, begins with", |it| it.trace_sha256.chars().take(12).collect(), None),
];

fn share(ratio: f64) -> String {
    if !ratio.is_finite() {
        return number(ratio);
    }
    // Three figures would turn 99.97 into 100.
    let text = format!("{:.3}", ratio * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// One column per run; the best of a row is bold.
pub(super) fn table(page: &mut String, runs: &[Run<'_>]) {
    page.push_str(
        "<section class=\"scores\"><h2>Scorecard</h2><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"Scorecard\"><table><thead><tr><th scope=\"col\">Score</th>",
    );
    for Run { scorecard, .. } in runs {
        let _infallible = write!(
            page,
            "<th scope=\"col\">{}{}<small>seed {}</small></th>",
            Safe(&scorecard.controller),
            partial(scorecard),
            scorecard.seed
        );
    }
    page.push_str("</tr></thead><tbody>");
    violations(page, runs);
    for (name, meaning, text, badness) in ROWS {
        let _infallible = write!(page, "<tr><th scope=\"row\">{name}<small>{meaning}</small></th>");
        let best = badness.and_then(|badness| best(runs, badness));
        for Run { scorecard, .. } in runs {
            let is_best = is_compared(scorecard)
                && badness.zip(best).is_some_and(|(it, best)| it(scorecard) <= best);
            let tag = if is_best { "b" } else { "span" };
            let text = text(scorecard);
            let _infallible = write!(page, "<td><{tag}>{}</{tag}></td>", Safe(&text));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
    if 1 < runs.len() {
        page.push_str("<p class=\"none\">Bold: the best of a row, the oracle and partial runs left aside.</p>");
    }
    page.push_str("</section>");
}

/// The oracle cheats, and a part of a run is not a run.
fn is_compared(card: &Scorecard) -> bool {
    !card.partial && !card.controller.starts_with("oracle")
}

/// The smallest; `None` when all are equal or there is nothing to compare.
fn best(runs: &[Run<'_>], badness: fn(&Scorecard) -> f64) -> Option<f64> {
    let compared = runs.iter().map(|run| run.scorecard).filter(|it| is_compared(it));
    let (least, most) =
        compared.map(badness).fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
            (least.min(it), most.max(it))
        });
    (least < most).then_some(least)
}

fn violations(page: &mut String, runs: &[Run<'_>]) {
    page.push_str("<tr><th scope=\"row\">Violations<small>of what must hold</small></th>");
    for Run { scorecard, .. } in runs {
        let count = scorecard.violations.len();
        let class = if count == 0 { "ok" } else { "broken" };
        let sign = if count == 0 { "✓" } else { "✕" };
        let _infallible = write!(page, "<td class=\"{class}\">{sign} {count}</td>");
    }
    page.push_str("</tr>");
}
