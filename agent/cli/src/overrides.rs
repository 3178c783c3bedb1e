//! `freeze`, `takeover`, `hold`, `no-scale-down`, `pin`, `expire` and `handback`.
//!
//! **In:** a scope, a reason, a length; the agent's answer.
//! **Out:** *enforced*, with what can no longer be called back and how to end it;
//! anything else is a [`Failure`].
//! **Not here:** whether it is allowed (the agent's to say).

use evenkeel_core::api::healing::{HandbackAnswer, HandbackRequest, IncidentsAnswer};
use evenkeel_core::api::{ExpireAnswer, ExpireRequest, OverrideAnswer, OverrideRequest};
use evenkeel_core::overrides::{Override, OverrideKind};
use evenkeel_core::status::InFlightEffect;

use crate::args::{Common, Expirable, ExpireArgs, HandbackArgs, Output};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::count;
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::times;

/// Sets an override.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn set(
    request: &OverrideRequest,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, OverrideAnswer>(&["overrides"], request)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            terminal.data(&set_shown(&answer.value, terminal))?;
            terminal.hint(&format!("to end it, `evenkeel expire {}`", answer.value.accepted.id));
        }
    }
    Ok(Exit::Done)
}

/// Sets a takeover, and says which runs it has ended.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn take_over(
    request: &OverrideRequest,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, OverrideAnswer>(&["overrides"], request)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            terminal.data(&set_shown(&answer.value, terminal))?;
            say_ended_runs(&client, &answer.value.accepted, terminal)?;
            let scope = &answer.value.accepted.scope;
            terminal.hint(&format!(
                "it is yours; when you are done, `evenkeel handback {scope}`. When the time is up \
                 without that, the agent goes on only as `suggest`"
            ));
        }
    }
    Ok(Exit::Done)
}

/// What was under way is what the person has in hand now. The takeover is in force already, so
/// not to hear of runs is worth a warning and no more.
fn say_ended_runs(client: &Client, taken: &Override, terminal: &Terminal) -> Result<(), Failure> {
    let query = [("all", "true".to_owned())];
    let Ok(answer) = client.get::<IncidentsAnswer>(&["incidents"], &query) else {
        terminal.warning(
            "which runs were ended could not be read; `evenkeel incidents --all` shows them",
        );
        return Ok(());
    };
    let is_ended = |ending: Option<&str>, at: Option<jiff::Timestamp>| {
        ending == Some("taken_over") && at.is_some_and(|at| taken.starts_at <= at)
    };
    let runs = answer.value.runs.iter();
    let lines: Vec<String> = runs
        .filter(|it| is_ended(it.ending.as_deref(), it.ended_at))
        .map(|it| {
            let (id, playbook, target) = (it.id, &it.playbook, &it.target);
            format!("  ended as it was, nothing undone: {id}, {playbook} on {target}")
        })
        .collect();
    match lines.is_empty() {
        true => terminal.data("  no run was under way"),
        false => terminal.data(&lines.join("\n")),
    }
}

/// Gives back what was taken over or has lapsed.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn hand_back(
    args: &HandbackArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let request = HandbackRequest { scope: args.scope.clone(), reason: args.reason.clone() };
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, HandbackAnswer>(&["handback"], &request)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            let HandbackAnswer { enforced: _, ended, resumed, restored } = &answer.value;
            let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
            let mut lines = vec![format!("{enforced}: handed back {}", args.scope)];
            lines.extend(ended.iter().map(|it| format!("  ended {}", expired_shown(it))));
            lines.extend(resumed.iter().map(|it| format!("  resumed {it}")));
            lines.extend(
                restored.iter().map(|(target, class)| format!("  restored {class} on {target}")),
            );
            terminal.data(&lines.join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Ends overrides.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn expire(
    args: &ExpireArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let (id, scope) = match &args.which {
        Expirable::One(id) => (Some(*id), None),
        Expirable::WithScope(scope) => (None, Some(scope.clone())),
    };
    let request = ExpireRequest { id, scope, reason: args.reason.clone() };
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, ExpireAnswer>(&["overrides", "expire"], &request)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
            let lines: Vec<String> = answer
                .value
                .expired
                .iter()
                .map(|it| format!("{enforced}: expired {}", expired_shown(it)))
                .collect();
            terminal.data(&lines.join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn set_shown(answer: &OverrideAnswer, terminal: &Terminal) -> String {
    let OverrideAnswer { enforced: _, accepted, targets, effects_in_flight, effects_withdrawn } =
        answer;
    let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
    let mut text =
        format!("{enforced}: {}\n  on {}", override_shown(accepted), count(*targets, "target"));
    if effects_in_flight.is_empty() {
        text.push_str("; no effect is in flight");
    }
    for it in effects_in_flight {
        text.push_str(&format!("\n  started before, cannot be called back: {}", effect_shown(it)));
    }
    for it in effects_withdrawn {
        text.push_str(&format!("\n  withdrawn before it started: {}", effect_shown(it)));
    }
    text
}

/// `ef-12 on checkout-api 12 -> 18, since 2026-11-20 03:40:00 UTC`.
fn effect_shown(it: &InFlightEffect) -> String {
    let unknown = if it.is_unknown { "; its outcome is unknown and being read back" } else { "" };
    let since = times::full(it.since);
    format!("{} on {} {} -> {}, since {since}{unknown}", it.id, it.target, it.from, it.to)
}

/// `freeze ov-3 on checkout-api until 03:40 UTC (in 4h) by ana: database failover`.
fn override_shown(it: &Override) -> String {
    let at = match it.kind {
        OverrideKind::Pin { capacity } => format!(" at {capacity}"),
        OverrideKind::Freeze
        | OverrideKind::Takeover
        | OverrideKind::Hold
        | OverrideKind::NoScaleDown => String::new(),
    };
    format!(
        "{} {} on {}{at} {} by {}: {}",
        it.kind.word(),
        it.id,
        it.scope,
        times::until(it.ends_at, it.starts_at),
        it.actor,
        visible(&it.reason),
    )
}

/// `ov-3: freeze on checkout-api by ana: database failover`.
fn expired_shown(it: &Override) -> String {
    format!("{}: {} on {} by {}: {}", it.id, it.kind, it.scope, it.actor, visible(&it.reason))
}
