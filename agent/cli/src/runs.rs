//! `approve`, `deny`, `abort`, `review` and `playbook run`.
//!
//! **In:** a word about a run; the agent's answer.
//! **Out:** *enforced*, and the run as it is now; or a [`Failure`].
//! **Not here:** whether it is allowed (the agent's to say), the run in words
//! ([`crate::run_text`]).

use std::time::{Duration, Instant};

use evenkeel_core::api::healing::{
    ApproveRequest, ReasonRequest, RunAnswer, RunReport, RunRequest,
};
use evenkeel_core::ids::RunId;
use evenkeel_core::units::show_duration;
use jiff::SignedDuration;
use serde::Serialize;

use crate::args::{ApproveArgs, Common, Output, PlaybookRunArgs, ReviewArgs, RunWordArgs};
use crate::client::{Answer, Client};
use crate::failure::{Exit, Failure};
use crate::run_text;
use crate::terminal::{Mark, Stream, Terminal};

/// From one question about a run to the next. Why 500 ms: a plan takes the agent one look,
/// mostly below a second.
const POLL_PERIOD: Duration = Duration::from_millis(500);

/// How long a plan is waited for when nobody says. Why 2 min: a look at Terraform takes one.
const PLAN_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// Says yes.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn approve(
    args: &ApproveArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let request = ApproveRequest {
        plan_hash: args.plan.clone(),
        break_glass: args.break_glass,
        reason: args.reason.clone(),
    };
    let done = if args.break_glass { "approved by break-glass" } else { "approved" };
    let run = say(args.run, "approve", &request, done, common, terminal)?;
    if args.break_glass && common.output == Output::Text {
        terminal.hint(&format!(
            "people were paged; within a day somebody else does `evenkeel review {} --note TEXT`",
            run.id
        ));
    }
    Ok(Exit::Done)
}

/// Says no.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn deny(
    args: &RunWordArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let request = ReasonRequest { reason: args.reason.clone() };
    say(args.run, "deny", &request, "denied", common, terminal).map(|_| Exit::Done)
}

/// Ends a run.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn abort(
    args: &RunWordArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let request = ReasonRequest { reason: args.reason.clone() };
    say(args.run, "abort", &request, "aborted", common, terminal).map(|_| Exit::Done)
}

/// Records a review.
///
/// # Errors
///
/// As [`Client::post`].
pub(crate) fn review(
    args: &ReviewArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let request = ReasonRequest { reason: args.note.clone() };
    say(args.run, "review", &request, "reviewed", common, terminal).map(|_| Exit::Done)
}

fn say<B: Serialize>(
    run: RunId,
    word: &str,
    request: &B,
    done: &str,
    common: &Common,
    terminal: &Terminal,
) -> Result<RunReport, Failure> {
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, RunAnswer>(&["runs", &run.to_string(), word], request)?;
    show(&answer, done, common, terminal)?;
    Ok(answer.value.run)
}

fn show(
    answer: &Answer<RunAnswer>,
    done: &str,
    common: &Common,
    terminal: &Terminal,
) -> Result<(), Failure> {
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end()),
        Output::Text => {
            let run = &answer.value.run;
            let enforced = terminal.mark(Stream::Out, Mark::Good, "enforced");
            terminal.data(&format!("{enforced}: {} {done}\n{}", run.id, run_text::shown(run)))?;
            if let Some(answers) = run_text::answers(run) {
                terminal.hint(&format!("it waits for an answer: {answers}"));
            }
            Ok(())
        }
    }
}

/// Starts a playbook by hand.
///
/// # Errors
///
/// As [`Client::post`] and [`Client::get`].
pub(crate) fn start(
    args: &PlaybookRunArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut parameters = std::collections::BTreeMap::new();
    for (name, value) in &args.set {
        if parameters.insert(name.clone(), *value).is_some() {
            return Err(Failure::Usage("a parameter is `--set` twice; say it once"));
        }
    }
    let request = RunRequest {
        playbook: args.playbook.clone(),
        target: args.target.clone(),
        parameters,
        reason: args.reason.clone(),
        dry_run: args.dry_run,
    };
    let client = Client::new(common, terminal)?;
    let answer = client.post::<_, RunAnswer>(&["runs"], &request)?;
    if !args.dry_run && !args.wait {
        show(&answer, "started", common, terminal)?;
        if common.output == Output::Text {
            terminal.hint(&format!("to end it, `evenkeel abort {}`", answer.value.run.id));
        }
        return Ok(Exit::Done);
    }
    let limit = args.dry_run.then(|| common.timeout.unwrap_or(PLAN_PATIENCE));
    let Some(ended) = ended(&client, &answer.value.run, limit, terminal)? else {
        return Ok(Exit::Refused);
    };
    match common.output {
        Output::Json => terminal.data(ended.json.trim_end())?,
        Output::Text => terminal.data(&run_text::shown(&ended.value))?,
    }
    let is_good = match args.dry_run {
        // It ends as refused, because nothing more was asked for.
        true => ended.value.plan_hash.is_some(),
        false => ended.value.ending.as_deref() == Some("succeeded"),
    };
    Ok(if is_good { Exit::Done } else { Exit::Refused })
}

/// The run once it has ended; `None` after saying that it has not within `limit`.
fn ended(
    client: &Client,
    begun: &RunReport,
    limit: Option<SignedDuration>,
    terminal: &Terminal,
) -> Result<Option<Answer<RunReport>>, Failure> {
    let since = Instant::now();
    let id = begun.id.to_string();
    let mut said = String::new();
    loop {
        let now = client.get::<RunReport>(&["runs", &id], &[])?;
        if now.value.phase == run_text::ENDED {
            return Ok(Some(now));
        }
        if let Some(limit) = limit.filter(|it| it.unsigned_abs() <= since.elapsed()) {
            let (limit, sentence) = (show_duration(limit), &now.value.sentence);
            terminal.error(&format!("{id} has no plan after {limit}: {sentence}"));
            terminal.hint(&format!(
                "it touches nothing; `evenkeel incidents` shows when it has one, `evenkeel abort {id}` ends it"
            ));
            return Ok(None);
        }
        let line = format!("{id}: {}: {}", run_text::phase(&now.value), now.value.sentence);
        if line != said {
            terminal.note(&line);
            if let Some(answers) = run_text::answers(&now.value) {
                terminal.note(&format!("  {answers}"));
            }
            said = line;
        }
        std::thread::sleep(POLL_PERIOD);
    }
}
