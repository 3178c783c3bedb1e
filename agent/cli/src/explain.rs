//! `evenkeel explain`: why something did or did not happen to a target.
//!
//! **In:** the agent's [`ExplainAnswer`]; for people also the overrides in force.
//! **Out:** the sentence first, then what it was concluded from.
//! **Not here:** the conclusion and its sentence ([`evenkeel_core::explain`]).

use evenkeel_core::api::{ExplainAnswer, StatusReport};
use evenkeel_core::budget::arbiter::Ruling;
use evenkeel_core::explain::Explanation;
use evenkeel_core::foresight::{Covers, ForecastFinding};
use evenkeel_core::guard::Limit;
use evenkeel_core::outlook::Standing;
use jiff::Timestamp;

use crate::args::{Common, ExplainArgs, Output};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::status::overrides_table;
use crate::table::{Table, number, or_none};
use crate::terminal::{Terminal, visible};
use crate::times;

/// Most earlier explanations shown. Why 10: half a screen; JSON has them all.
const EARLIER_MAX: usize = 10;

/// Asks and shows.
///
/// # Errors
///
/// As [`Client::get`].
pub(crate) fn run(
    args: &ExplainArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let client = Client::new(common, terminal)?;
    let target = args.target.as_str();
    let mut query = Vec::new();
    if let Some(when) = args.at {
        query.push(("at", client.instant(when, Some(target))?.to_string()));
    }
    let answer = client.get::<ExplainAnswer>(&["explain", target], &query)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            let mut parts = shown(&answer.value);
            // As they are now, so not beside an explanation of the past; and the
            // explanation is worth showing without them.
            if args.at.is_none() {
                let query = [("target", target.to_owned())];
                let status = client.get::<StatusReport>(&["status"], &query);
                parts.extend(status.ok().and_then(|it| overrides_shown(&it.value)));
            }
            parts.extend(earlier_shown(&answer.value.earlier));
            terminal.data(&parts.join("\n\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn shown(answer: &ExplainAnswer) -> Vec<String> {
    let ExplainAnswer { explanation: it, sentence, earlier: _ } = answer;
    let mut lines = vec![format!("{}: {}", it.target, visible(sentence))];
    let evaluated = times::full(it.at);
    lines.push(if it.since == it.at {
        format!("  evaluated {evaluated}")
    } else {
        format!("  evaluated {evaluated}, the same since {}", times::full(it.since))
    });
    lines.push(match (&it.policy, it.autonomy) {
        (Some(policy), Some(autonomy)) => format!("  policy {policy}, autonomy {autonomy}"),
        (Some(policy), None) => format!("  policy {policy}"),
        (None, _) => "  no policy selects it".to_owned(),
    });
    let known = |capacity: Option<_>| or_none::<evenkeel_core::units::Capacity>(capacity);
    let or_unknown = |text: String| if text.is_empty() { "unknown".to_owned() } else { text };
    lines.push(format!(
        "  current {}, ready {}, proposed {}{}",
        or_unknown(known(it.current)),
        or_unknown(known(it.ready)),
        or_unknown(known(it.proposed)),
        it.bounds.map_or_else(String::new, |it| format!(", bounds {}..{}", it.min, it.max)),
    ));
    // Where no budget asks for anything there is nothing to decide.
    let ruling = it.arbitration.as_ref().filter(|it| **it != Ruling::Free);
    lines.extend(ruling.map(|it| format!("  cost against SLO: {}", visible(&it.to_string()))));
    lines.extend(it.limits.iter().map(|it| format!("  limit: {}", limit_shown(it))));
    let mut parts = vec![lines.join("\n")];
    if !it.signals.is_empty() {
        parts.push(signals_shown(it));
    }
    for finding in &it.signals {
        let forecast = finding.forecast.as_ref();
        parts.extend(forecast.map(|it| forecast_shown(finding.signal.as_str(), it)));
    }
    parts
}

fn signals_shown(explanation: &Explanation) -> String {
    let mut table = Table::new(["signal", "quality", "value", "demand", "age", "why"]);
    for it in &explanation.signals {
        let age = |sampled_at: Timestamp| times::about(explanation.at.duration_since(sampled_at));
        let why = match (&it.absence, &it.doubt) {
            (Some(absence), _) => absence.to_string(),
            (None, Some(doubt)) => doubt.to_string(),
            (None, None) => String::new(),
        };
        table.row([
            it.signal.to_string(),
            it.quality.to_string(),
            it.value.map_or_else(String::new, number),
            it.demand.map_or_else(String::new, |it| format!("{it:.1}")),
            it.sampled_at.map_or_else(String::new, age),
            why,
        ]);
    }
    table.text()
}

/// What is expected of one signal, how good that was lately, and what it asks for.
fn forecast_shown(signal: &str, it: &ForecastFinding) -> String {
    let mut lines = vec![match &it.standing {
        Standing::Predicting => format!("forecast of `{signal}`: predicting, by {}", it.model),
        Standing::Abstaining { why } => {
            format!("forecast of `{signal}`: abstains, for {why}; what is measured decides alone")
        }
    }];
    lines.push(format!(
        "  in {}: {} expected, 95% from {} to {}",
        it.lead_time,
        number(it.median),
        number(it.low),
        number(it.high)
    ));
    if let Some(Covers { level, peak, grow_to, keep, short_ratio }) = &it.covers {
        lines.push(format!(
            "  covers up to {} ({}%): grow to {grow_to:.1}, keep {keep:.1}; short of it {}% of the time",
            number(*peak),
            // Rounded down: nothing is covered for sure.
            percent((*level * 10_000.0).floor() / 10_000.0),
            percent(*short_ratio)
        ));
    }
    let ratio = |it: Option<f64>| {
        it.map_or_else(|| "not known".to_owned(), |it| format!("{}%", percent(it)))
    };
    lines.push(format!(
        "  error of the last day {} (naive {}), 95% interval covered {}",
        ratio(it.recent_error_ratio),
        ratio(it.baseline_error_ratio),
        ratio(it.coverage_ratio)
    ));
    if it.standing != Standing::Predicting && !it.model.is_empty() {
        lines.push(format!("  model {}", it.model));
    }
    lines.join("\n")
}

/// In percent, with at most two digits behind the point.
fn percent(ratio: f64) -> String {
    let shown = format!("{:.2}", ratio * 100.0);
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn limit_shown(limit: &Limit) -> String {
    match limit {
        Limit::Bounds { proposed, bounds } => {
            format!("{proposed} is outside the bounds {}..{}", bounds.min, bounds.max)
        }
        Limit::Step { proposed, units_max } => {
            format!("{proposed} is more than one step of {units_max} away")
        }
        Limit::BlastRadius { proposed, units_left, guardrail: Some(guardrail) } => format!(
            "{proposed} is beyond the blast radius of guardrail {guardrail}, {units_left} may leave now"
        ),
        Limit::BlastRadius { proposed, units_left, guardrail: None } => {
            format!("{proposed} is beyond the built-in blast radius, {units_left} may leave now")
        }
    }
}

fn overrides_shown(status: &StatusReport) -> Option<String> {
    let target = status.targets.first()?;
    (!target.overrides.is_empty())
        .then(|| overrides_table(target.overrides.iter(), status.agent.now))
}

fn earlier_shown(earlier: &[Explanation]) -> Option<String> {
    if earlier.is_empty() {
        return None;
    }
    let mut table = Table::new(["before that", "until", "it was"]);
    for it in earlier.iter().take(EARLIER_MAX) {
        table.row([times::full(it.since), times::full(it.at), it.sentence()]);
    }
    let mut text = table.text();
    if EARLIER_MAX < earlier.len() {
        text.push_str(&format!("\n… and {} before", earlier.len() - EARLIER_MAX));
    }
    Some(text)
}
