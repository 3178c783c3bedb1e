//! `promote`: how much the agent may do by itself.
//!
//! **In:** a target, a class of actions, a level; the agent's answer.
//! **Out:** *enforced*, and what is known of that class there.
//! **Not here:** what the documents allow at most (the agent's to say).

use evenkeel_core::api::healing::{PromoteAnswer, PromoteRequest, StandingReport};
use evenkeel_core::autonomy::{Demotion, Evidence, Standing};

use crate::args::{Common, Output, PromoteArgs};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::{Table, count, or_none};
use crate::terminal::{Mark, Stream, Terminal};
use crate::times;

/// Grants autonomy, or takes it back.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn promote(
    args: &PromoteArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let PromoteArgs { target, class, to, reason } = args;
    let request =
        PromoteRequest { target: target.clone(), class: *class, to: *to, reason: reason.clone() };
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, PromoteAnswer>(&["autonomy"], &request)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => {
            let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
            let it = &answer.value.standing;
            terminal.data(&format!(
                "{enforced}: {} on {}: {} from now on\n  evidence is counted anew",
                it.class, it.target, to
            ))?;
            terminal.hint("any run that does not verify takes it back at once");
        }
    }
    Ok(Exit::Done)
}

/// What is known, one row per class and target.
pub(crate) fn table<'a>(standings: impl Iterator<Item = &'a StandingReport>) -> String {
    let mut table =
        Table::new(["target", "actions", "promoted to", "demoted to", "evidence", "why"]);
    for StandingReport { target, class, standing } in standings {
        let Standing { promoted_to, demotion, evidence, is_proposed } = standing;
        let why = match demotion {
            Some(Demotion { to: _, at, why }) => format!("since {}: {why}", times::full(*at)),
            None if *is_proposed => format!(
                "more has been earned: `evenkeel promote {target} --class {class} --to LEVEL --reason TEXT`"
            ),
            None => String::new(),
        };
        table.row([
            target.to_string(),
            class.to_string(),
            or_none(*promoted_to),
            or_none(demotion.as_ref().map(|it| it.to)),
            evidence_shown(*evidence),
            why,
        ]);
    }
    table.text()
}

/// `49 of 50 agreed, 12 runs verified, 0 not`.
fn evidence_shown(evidence: Evidence) -> String {
    let Evidence { n_decisions, n_agreed, n_verified, n_failed } = evidence;
    let verified = count(usize::try_from(n_verified).unwrap_or(usize::MAX), "run");
    format!("{n_agreed} of {n_decisions} agreed, {verified} verified, {n_failed} not")
}
