//! `evenkeel playbook test`: when would these playbooks have been triggered?
//!
//! **In:** playbooks with their targets, and the metrics that a Prometheus has recorded; no
//! agent.
//! **Out:** per playbook and target each time that it would have been triggered, what would
//! have kept it from running, and what it would have done as far as metrics alone tell.
//! **Not here:** `playbook run` ([`crate::runs`]), reading metrics ([`record`]), judging them
//! ([`walk`]).

mod plan;
mod record;
mod show;
mod walk;

use evenkeel_core::documents::{Documents, Playbook, Target};
use evenkeel_core::units::show_duration;
use evenkeel_sim::replay::Grid;
use jiff::{SignedDuration, Timestamp};

use crate::args::{Common, Output, PlaybookTestArgs, When};
use crate::failure::{Exit, Failure};
use crate::replay::backend::Backend;
use crate::replay::documents_of;
use crate::replay::trouble::Trouble;
use crate::terminal::Terminal;
use walk::{Walked, walk};

/// Most looks at one target. Why 1,000,000: 173 days at 15 s.
const STEPS_MAX: usize = 1_000_000;

/// The longest step. Why 5 min: Prometheus looks back that far, and what lasts less than a
/// step would not be seen.
const STEP_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Tests, and says what was found.
///
/// # Errors
///
/// A file that cannot be read, [`Failure::Stdout`]. Faults of documents, of Prometheus and of
/// the question itself are said, and are an exit status.
pub(crate) fn test(
    args: &PlaybookTestArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let span = match span(args, Timestamp::now()) {
        Ok(span) => span,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let token_file = args.bearer_token_file.as_deref();
    let backend = match Backend::new(&args.prometheus, token_file, common)? {
        Ok(backend) => backend,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let Some(documents) = documents_of(&args.files, terminal) else { return Ok(Exit::Refused) };
    let pairs = match pairs(args, &documents) {
        Ok(pairs) => pairs,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let query = args.capacity_query.as_deref();
    let recorded = match record::read(&backend, &pairs, query, span, terminal) {
        Ok(recorded) => recorded,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let mut walked: Vec<Walked> = Vec::new();
    for (playbook, targets) in &pairs {
        for target in targets {
            let tracks = recorded.tracks(playbook, target);
            match walk(playbook, target, span, &tracks) {
                Some(done) => walked.push(done),
                None => terminal.warning(&format!(
                    "playbook `{}` has no condition: only people or a schedule start it",
                    playbook.id
                )),
            }
        }
    }
    match common.output {
        Output::Json => terminal.json(&walked)?,
        Output::Text => {
            terminal.data(&show::shown(&walked))?;
            terminal.talk(&explained(span, query.is_some()));
        }
    }
    Ok(Exit::Done)
}

/// The steps to look at.
fn span(args: &PlaybookTestArgs, now: Timestamp) -> Result<Grid, Trouble> {
    let step = args.step;
    if step < SignedDuration::from_secs(1) || STEP_MAX < step || step.subsec_nanos() != 0 {
        return Err(Trouble::usage(
            format!("a step of {} is not whole seconds from 1s to 5m", show_duration(step)),
            "the daemon looks every 15s",
        ));
    }
    let at = |when: When| match when {
        When::At(at) => at.as_second(),
        // On a whole step, so that asking again a moment later asks for the same.
        When::Ago(ago) => {
            let at = now.checked_sub(ago).unwrap_or(Timestamp::MIN).as_second();
            at - at.rem_euclid(step.as_secs().max(1))
        }
    };
    let (from, to) = (at(args.from), at(args.to));
    let shown =
        |at: i64| Timestamp::from_second(at).map_or_else(|_| at.to_string(), |it| it.to_string());
    if to <= from {
        return Err(Trouble::usage(
            format!("`--from` ({}) is not before `--to` ({})", shown(from), shown(to)),
            "give an earlier `--from` or a later `--to`",
        ));
    }
    let span = Grid::between(from, to, step.as_secs());
    if span.len == 0 {
        return Err(Trouble::usage(
            format!("from {} to {} there is not one whole step", shown(from), shown(to)),
            "test a longer time",
        ));
    }
    if STEPS_MAX < span.len {
        return Err(Trouble::usage(
            format!("that is {} looks per target, at most {STEPS_MAX} are made", span.len),
            "give a longer `--step`, or a shorter time",
        ));
    }
    Ok(span)
}

/// Each playbook with the targets that it is tested on.
fn pairs<'a>(
    args: &PlaybookTestArgs,
    documents: &'a Documents,
) -> Result<Vec<(&'a Playbook, Vec<&'a Target>)>, Trouble> {
    let is_asked = |it: &&Target| args.target.as_ref().is_none_or(|wanted| it.id == *wanted);
    let pairs: Vec<_> = documents
        .playbooks()
        .map(|it| (it, documents.targets_of_playbook(it).filter(is_asked).collect::<Vec<_>>()))
        .filter(|(_, targets)| !targets.is_empty())
        .collect();
    if pairs.is_empty() {
        let what = match (&args.target, documents.playbooks().len()) {
            (_, 0) => "there is no playbook in the documents".to_owned(),
            (Some(target), _) => format!("no playbook selects the target `{target}`"),
            (None, _) => "no playbook selects any target of the documents".to_owned(),
        };
        return Err(Trouble::refused(
            what,
            "name all files: playbooks, and the targets they select",
        ));
    }
    Ok(pairs)
}

/// What the report is about, for who sees it for the first time.
fn explained(span: Grid, has_capacity: bool) -> String {
    let seconds = |it: i64| show_duration(SignedDuration::from_secs(it));
    let capacity = match has_capacity {
        true => "",
        false => {
            "\nCapacity is not known; with `--capacity-query PROMQL` conditions about it are judged."
        }
    };
    format!(
        "\n{} with a look every {}. A run is taken to end when its trigger does; people, \
         overrides, storms and other runs are not part of this.{capacity}",
        seconds(span.ends_at() - span.from),
        seconds(span.step),
    )
}
