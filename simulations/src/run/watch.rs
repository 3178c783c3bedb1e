//! What must hold in every run, checked after every event from outside of the agent.
//!
//! **In:** what the agent's process did, what people were promised, and the world.
//! **Out:** violations, at most [`VIOLATIONS_MAX`], and the invariant's name in each.
//! **Not here:** what one scenario demands besides ([`super::verdict`]). Nothing here asks the
//! agent what it thinks: the books are kept a second time.

mod acts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use evenkeel_core::documents::{Autonomy, BlastRadius, Documents, Target};
use evenkeel_core::effect::{EffectOutcome, SetCapacity};
use evenkeel_core::explain::Conclusion;
use evenkeel_core::guard::freeze_window_of;
use evenkeel_core::ids::{EffectId, OverrideId, TargetId, Term};
use evenkeel_core::overrides::{Override, OverrideKind};
use jiff::{SignedDuration, Timestamp};

use self::acts::is_of_allowed_run;
use super::Stage;
use super::process::{Happened, Process};
use crate::scorecard::Violation;

/// Most violations that are written down. Why 100: the first one is what gets fixed.
pub(super) const VIOLATIONS_MAX: usize = 100;

/// Most removals that are remembered. Why 20,000: twice the targets of a daemon.
const REMOVALS_MAX: usize = 20_000;
/// How long. Why 24 h: the longest window that a blast radius may have.
const REMOVALS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Violations, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Violations {
    pub(super) list: Vec<Violation>,
}

impl Violations {
    pub(super) fn push(&mut self, at: i64, invariant: &'static str, what: String) {
        if self.list.len() < VIOLATIONS_MAX {
            self.list.push(Violation { at, invariant, what });
        }
    }
}

/// Most overrides that are remembered when they are over. Why 100: only the last few seconds of
/// them matter, to an effect that was decided while they held.
const PAST_MAX: usize = 100;

/// A removal that happened, or may have.
#[derive(Debug)]
struct Removal {
    effect: EffectId,
    target: TargetId,
    units: u32,
    at: Timestamp,
}

/// The second set of books.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What people were told is in force.
    overrides: BTreeMap<OverrideId, Override>,
    /// Overrides that are over, the newest last.
    past: VecDeque<Override>,
    /// The newest effect that left.
    newest: Option<EffectId>,
    /// Acts that left.
    acted: BTreeSet<EffectId>,
    newest_term: Term,
    /// Terms below this are over: the process died since.
    term_min: Term,
    /// Effects at the provider.
    running: BTreeMap<TargetId, EffectId>,
    /// Effects of which nobody knows what came of them, until somebody looked.
    unsure: BTreeMap<TargetId, EffectId>,
    removals: VecDeque<Removal>,
    /// Every effect that left, for tests.
    #[cfg(test)]
    started: Vec<SetCapacity>,
}

impl Watch {
    /// A person was told that this is in force.
    pub(super) fn promised(&mut self, accepted: &Override) {
        self.overrides.insert(accepted.id, accepted.clone());
    }

    /// A person was told that these are over.
    pub(super) fn ended(&mut self, ended: &[Override]) {
        for it in ended {
            if let Some(past) = self.overrides.remove(&it.id) {
                self.remember(past);
            }
        }
    }

    fn remember(&mut self, past: Override) {
        self.past.push_back(past);
        while PAST_MAX < self.past.len() {
            self.past.pop_front();
        }
    }

    /// What was promised of `target` at an instant of the agent's clock.
    fn promised_at<'a>(
        &'a self,
        target: &'a Target,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Override> {
        let all = self.overrides.values().chain(&self.past);
        all.filter(move |it| it.starts_at <= at && at < it.ends_at && it.scope.covers(target))
    }

    /// Looks at one thing that happened. `unix` is the true time in Unix seconds.
    pub(super) fn saw(
        &mut self,
        happened: &Happened,
        unix: i64,
        process: &Process,
        stage: &Stage,
        violations: &mut Violations,
    ) {
        match happened {
            Happened::Started(effect, outcome) => {
                self.started(effect, unix, process, violations);
                if *outcome != EffectOutcome::Rejected {
                    self.removed(effect, unix, process, stage, violations);
                }
            }
            Happened::Ended { effect, outcome } => {
                let unsure = &mut self.unsure;
                self.running.retain(|target, it| {
                    if it == effect && *outcome == EffectOutcome::Unknown {
                        unsure.insert(target.clone(), *effect);
                    }
                    it != effect
                });
                if *outcome == EffectOutcome::Rejected {
                    self.removals.retain(|it| it.effect != *effect);
                }
            }
            Happened::Died { state_is_durable } => {
                self.unsure.append(&mut self.running);
                self.term_min = Term(self.newest_term.0.saturating_add(1));
                if !state_is_durable {
                    let what = "the agent's memory was not what its journal leads to".to_owned();
                    violations.push(unix, "durability", what);
                }
            }
            Happened::Revived => self.revived(unix, process, violations),
            Happened::Unexplained { shown, explained } => {
                let what = format!("{shown} targets were looked at, {explained} explained");
                violations.push(unix, "explained", what);
            }
            Happened::Acted(left) => self.acted(left, unix, process, violations),
            Happened::Incident { .. }
            | Happened::Run { .. }
            | Happened::Budget { .. }
            | Happened::SloAlert { .. }
            | Happened::Told(_) => (),
            Happened::Explained(explanation) => {
                if let Conclusion::ReadBack { effect, .. } = explanation.conclusion
                    && self.unsure.get(&explanation.target) == Some(&effect)
                {
                    self.unsure.remove(&explanation.target);
                }
            }
        }
    }

    /// What must hold at any moment.
    pub(super) fn check(&mut self, unix: i64, process: &Process, violations: &mut Violations) {
        if !process.memory_is_durable() {
            let what = "the agent's memory is not what its journal leads to".to_owned();
            violations.push(unix, "durability", what);
        }
        if let Ok(now) = Timestamp::from_second(unix) {
            // A clock that was wrong at a start may end them early or late by its error.
            let latest = process.journal.state().latest_at();
            let is_over = |_: &OverrideId, it: &mut Override| it.ends_at <= now.max(latest);
            let over: Vec<Override> =
                self.overrides.extract_if(.., is_over).map(|(_, it)| it).collect();
            over.into_iter().for_each(|it| self.remember(it));
        }
    }

    /// Whatever a person was promised is still there after a start.
    fn revived(&self, unix: i64, process: &Process, violations: &mut Violations) {
        let state = process.journal.state();
        for it in self.overrides.values() {
            if state.find_override(it.id).is_none() && state.latest_at() < it.ends_at {
                let what = format!("{} ({} {}) was lost in a restart", it.id, it.kind, it.scope);
                violations.push(unix, "override_kept", what);
            }
        }
    }

    /// How much is kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [(&'static str, usize); 4] {
        [
            ("overrides", self.overrides.len()),
            ("past overrides", self.past.len()),
            ("running", self.running.len()),
            ("unsure", self.unsure.len()),
        ]
    }

    fn started(
        &mut self,
        effect: &SetCapacity,
        unix: i64,
        process: &Process,
        violations: &mut Violations,
    ) {
        #[cfg(test)]
        self.started.push(effect.clone());
        let documents = process.documents();
        let (from, to) = (effect.expected(), effect.desired());
        let id = effect.id();
        let named = format!("{} {from} -> {to} ({id})", effect.target());
        if process.journal.planned(id) != Some(to) {
            violations.push(unix, "durability", format!("{named} left without a durable record"));
        }
        if self.newest.is_some_and(|it| id <= it) {
            violations.push(unix, "no_duplicates", format!("{named} left a second time"));
        }
        self.newest = self.newest.max(Some(id));
        if effect.term() < self.newest_term.max(self.term_min) {
            violations.push(unix, "fencing", format!("{named} is of an earlier term"));
        }
        self.newest_term = self.newest_term.max(effect.term());
        if let Some(earlier) = self.running.insert(effect.target().clone(), id) {
            violations.push(unix, "one_at_a_time", format!("{named} while {earlier} runs"));
        }
        if let Some(earlier) = self.unsure.get(effect.target()) {
            let what = format!("{named} before anybody looked what came of {earlier}");
            violations.push(unix, "read_back", what);
        }
        let Some(target) = documents.target(effect.target()) else {
            violations.push(unix, "known_targets", format!("{named}: no document has it"));
            return;
        };
        // On the way back into them is right: a step or the blast radius may spread it.
        let is_below = to < target.bounds.min && to <= from;
        let is_above = target.bounds.max < to && from <= to;
        if is_below || is_above {
            let bounds = target.bounds;
            let what = format!("{named} is outside of {}..{}", bounds.min, bounds.max);
            violations.push(unix, "bounds", what);
        }
        self.against_people(effect, target, unix, process, &named, violations);
        let watched = process.watched.iter().find(|it| it.target == target.id);
        // By the agent's own clock, which both the override and the permit are timed by.
        let is_pinned = self
            .promised_at(target, effect.granted_at())
            .any(|it| matches!(it.kind, OverrideKind::Pin { .. }));
        let is_removal = to < from && !is_pinned;
        if is_removal && watched.is_some_and(|it| it.is_missing) {
            violations.push(unix, "missing_is_not_zero", format!("{named} with a signal missing"));
        }
        if is_removal && watched.is_some_and(|it| it.is_doubted) {
            violations.push(unix, "doubt_keeps", format!("{named} on a value that is doubted"));
        }
        let needs = watched.map_or(0.0, |it| it.needs);
        // Bounds are the last word on demand.
        if is_removal && to < target.bounds.max && f64::from(to) < needs * (1.0 - 1e-6) {
            let what = format!("{named}, the load of now needs {needs:.1}");
            violations.push(unix, "reactive_floor", what);
        }
        let autonomy = documents.policy_of(&target.id).map(|it| it.autonomy);
        let is_allowed = autonomy == Some(Autonomy::Auto)
            || is_of_allowed_run(process.journal.state().healing().active_on(&target.id), to);
        if !is_pinned && !is_allowed {
            violations.push(unix, "autonomy", format!("{named} without being allowed to"));
        }
        if let Some((_, window, _)) = freeze_window_of(documents, &target.id, effect.granted_at()) {
            violations.push(unix, "freeze_window", format!("{named} in {window}"));
        }
        if documents.guardrails_of(&target.id).any(|it| it.protected) {
            violations.push(unix, "protected", format!("{named} is protected"));
        }
    }

    /// Units left, or may have left.
    fn removed(
        &mut self,
        effect: &SetCapacity,
        unix: i64,
        process: &Process,
        stage: &Stage,
        violations: &mut Violations,
    ) {
        let units = effect.expected().above(effect.desired());
        let Ok(at) = Timestamp::from_second(unix) else { return };
        let Some(target) = process.documents().target(effect.target()).filter(|_| 0 < units) else {
            return;
        };
        let removal = Removal { effect: effect.id(), target: target.id.clone(), units, at };
        self.removals.push_back(removal);
        let is_old = |it: &Removal| REMOVALS_KEPT < at.duration_since(it.at);
        while REMOVALS_MAX < self.removals.len() || self.removals.front().is_some_and(is_old) {
            self.removals.pop_front();
        }
        self.check_blast_radius(target, at, stage, process, violations);
    }

    /// No effect against what a person was promised.
    fn against_people(
        &self,
        effect: &SetCapacity,
        target: &Target,
        unix: i64,
        process: &Process,
        named: &str,
        violations: &mut Violations,
    ) {
        // The agent lives by its own clock, which may be off by so much.
        let error = process.clock_error();
        let Ok(now) = Timestamp::from_second(unix) else { return };
        let (Ok(early), Ok(late)) = (now.checked_sub(error.abs()), now.checked_add(error.abs()))
        else {
            return;
        };
        // What is over by its own clock stays so, also when a start sets that clock back.
        let late = late.max(process.journal.state().latest_at());
        let (from, to) = (effect.expected(), effect.desired());
        let certain = self
            .overrides
            .values()
            .filter(|it| it.starts_at <= early && late < it.ends_at && it.scope.covers(target));
        // An effect that was decided before the person spoke is in flight: they are told so.
        let certain: Vec<&Override> =
            certain.filter(|it| it.starts_at <= effect.granted_at()).collect();
        let pin = certain.iter().filter_map(|it| match it.kind {
            OverrideKind::Pin { capacity } => Some((it.id, capacity)),
            OverrideKind::Freeze
            | OverrideKind::Takeover
            | OverrideKind::Hold
            | OverrideKind::NoScaleDown => None,
        });
        let pin = pin.max_by_key(|(id, _)| *id);
        for it in &certain {
            let is_against = match it.kind {
                OverrideKind::Freeze | OverrideKind::Takeover | OverrideKind::Hold => true,
                OverrideKind::NoScaleDown => to < from,
                OverrideKind::Pin { .. } => pin.is_some_and(|(_, capacity)| {
                    // On the way there is right: the blast radius may spread it.
                    to != capacity && !(from < to && to < capacity) && !(capacity < to && to < from)
                }),
            };
            if is_against {
                let what = format!("{named} against {} {} of {}", it.id, it.kind, it.actor);
                violations.push(unix, "people_win", what);
            }
        }
    }

    /// No guardrail's share is exceeded: what left within its window, of what would be there; by
    /// the provider's word where that says more, because nobody can know better.
    fn check_blast_radius(
        &self,
        target: &Target,
        now: Timestamp,
        stage: &Stage,
        process: &Process,
        violations: &mut Violations,
    ) {
        let documents: &Documents = process.documents();
        let own = documents.guardrails_of(&target.id).filter_map(|it| {
            it.blast_radius.map(|radius| (it.id.to_string(), radius, Some(&it.selector)))
        });
        let own: Vec<_> = own.collect();
        let built_in =
            || vec![("the built-in blast radius".to_owned(), BlastRadius::BUILT_IN, None)];
        let radii = if own.is_empty() { built_in() } else { own };
        for (name, radius, selector) in radii {
            let is_selected = |id: &TargetId| match selector {
                Some(selector) => documents.target(id).is_some_and(|it| selector.selects(it)),
                None => documents.has_built_in_blast_radius(id),
            };
            // The agent's clock may have made a step of so much since.
            let window = radius.window - process.clock_error().abs();
            let removed: u32 = self
                .removals
                .iter()
                .filter(|it| now.duration_since(it.at) < window && is_selected(&it.target))
                .map(|it| it.units)
                .sum();
            let present: u32 = process
                .watched
                .iter()
                .filter(|it| is_selected(&it.target))
                .map(|it| it.shown.max(stage.world.truth(it.service).desired))
                .sum();
            // The effect is at the provider already, so what is present no longer has it.
            let share = radius.removed_ratio_max * f64::from(present.saturating_add(removed));
            if share.floor().max(1.0) < f64::from(removed) {
                let what = format!(
                    "{}: {removed} units removed within {:.0} s, at most {:.0} by {name}",
                    target.id,
                    radius.window.as_secs_f64(),
                    share.floor().max(1.0)
                );
                violations.push(now.as_second(), "blast_radius", what);
            }
        }
    }
}

#[cfg(test)]
mod tests;
