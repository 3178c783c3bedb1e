//! People who stand by: they answer every gate in their own time.
//!
//! **In:** who answers what, and how long after they were asked; runs of the agent.
//! **Out:** requests with the plan that they saw.
//! **Not here:** deeds that are done once ([`super::hands`]), what the agent makes of it.

use std::collections::BTreeMap;

use evenkeel_core::heal::report;
use evenkeel_core::ids::RunId;
use evenkeel_core::request::{RequestRefusal, Verb};
use evenkeel_core::run::{Phase, Run};

use super::hands::REASON;
use super::{Driver, Engine};
use crate::people::{Person, Word};
use crate::timeline::EventKind;

/// One person who stands by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stander {
    who: Person,
    word: Word,
    after: i64,
}

/// What one of them saw when they were asked, and whether they have answered.
#[derive(Clone, Debug)]
struct Asked {
    at: i64,
    plan_hash: String,
    is_answered: bool,
}

/// Everybody who stands by.
#[derive(Debug, Default)]
pub(super) struct Standing {
    standers: Vec<Stander>,
    /// By stander, run and step.
    asked: BTreeMap<(usize, RunId, u16), Asked>,
}

/// Questions that are remembered; the oldest runs go first. Why 1,000: far more than one run has
/// open at a time.
const ASKED_MAX: usize = 1_000;

impl Standing {
    /// From now on.
    pub(super) fn add(&mut self, who: Person, word: Word, after: i64) {
        let stander = Stander { who, word, after };
        if !self.standers.contains(&stander) {
            self.standers.push(stander);
        }
    }
}

impl Engine<'_> {
    /// Whoever has made up their mind says so.
    pub(super) fn stand_by(&mut self, at: i64) {
        if self.standing.standers.is_empty() {
            return;
        }
        for (place, stander) in self.standing.standers.clone().into_iter().enumerate() {
            for (key, verb) in self.due(at, place, &stander) {
                self.answer(at, &stander, key, verb);
            }
        }
        while ASKED_MAX < self.standing.asked.len() {
            self.standing.asked.pop_first();
        }
    }

    /// What one of them says now.
    fn due(
        &mut self,
        at: i64,
        place: usize,
        stander: &Stander,
    ) -> Vec<((usize, RunId, u16), Verb)> {
        let Driver::Agent(process, _) = &self.driver else { return Vec::new() };
        let Some(agent) = process.agent() else { return Vec::new() };
        let now = self.stage.world.now();
        let mut due = Vec::new();
        for run in agent.state().healing().active() {
            let Some(step) = step_of(stander.word, run) else { continue };
            let key = (place, run.id, step);
            let plan_hash = || {
                let shown = report::run(now, agent, run.id).and_then(|it| it.plan_hash);
                shown.or_else(|| run.plan.as_ref().map(|it| it.hash())).unwrap_or_default()
            };
            let asked = self.standing.asked.entry(key).or_insert_with(|| Asked {
                at,
                plan_hash: plan_hash(),
                is_answered: false,
            });
            if asked.is_answered || at < asked.at + stander.after {
                continue;
            }
            asked.is_answered = true;
            let (run, reason) = (run.id, REASON.to_owned());
            let plan_hash = asked.plan_hash.clone();
            let verb = match stander.word {
                Word::Approve => Verb::Approve { run, plan_hash, is_break_glass: false, reason },
                Word::Deny => Verb::Deny { run, reason },
                Word::Abort => Verb::Abort { run, reason },
            };
            due.push((key, verb));
        }
        due
    }

    fn answer(&mut self, at: i64, stander: &Stander, key: (usize, RunId, u16), verb: Verb) {
        let (who, word) = (stander.who.name(), verb.word());
        let (_, run, _) = key;
        let Driver::Agent(process, _) = &mut self.driver else { return };
        self.trace.line(format_args!("{at} {who}: {word} {run}"));
        match process.ask(at, who, verb, &self.stage, &mut self.trace) {
            Some(Ok(_)) => self.event(EventKind::Person, None, format!("{who}: {word} {run}")),
            Some(Err(refusal)) => {
                self.trace.line(format_args!("refused: {refusal}"));
                let text = format!("{who}: {word} {run}: refused: {refusal}");
                self.event(EventKind::Person, None, text);
                if matches!(refusal, RequestRefusal::PlanChanged { .. }) {
                    // They look at the new plan, and take their time again.
                    self.standing.asked.remove(&key);
                }
            }
            None => {
                self.trace.line(format_args!("nobody answers"));
                self.standing.asked.remove(&key);
            }
        }
        self.settle(at);
    }
}

/// The step at which somebody with that word is asked; `None` where they are not.
fn step_of(word: Word, run: &Run) -> Option<u16> {
    match (word, &run.phase) {
        (Word::Approve | Word::Deny, Phase::AwaitingApproval { step, .. }) => Some(*step),
        // From its beginning until it is over or being undone.
        (
            Word::Abort,
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. },
        ) => Some(0),
        (
            Word::Approve | Word::Deny,
            Phase::Planning { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. },
        )
        | (Word::Abort, Phase::Undoing { .. } | Phase::Stuck { .. } | Phase::Ended { .. }) => None,
    }
}
