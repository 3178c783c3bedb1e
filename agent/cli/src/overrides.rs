//! `freeze`, `hold`, `no-scale-down`, `pin` and `expire`.
//!
//! **In:** a scope, a reason, a length; the agent's answer.
//! **Out:** *enforced*, with what can no longer be called back and how to end it;
//! anything else is a [`Failure`].
//! **Not here:** whether it is allowed (the agent's to say).

use evenkeel_core::api::{ExpireAnswer, ExpireRequest, OverrideAnswer, OverrideRequest};
use evenkeel_core::overrides::{Override, OverrideKind};
use evenkeel_core::status::InFlightEffect;

use crate::args::{Common, Expirable, ExpireArgs, Output};
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
        OverrideKind::Freeze | OverrideKind::Hold | OverrideKind::NoScaleDown => String::new(),
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
