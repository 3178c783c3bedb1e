//! How an SLO stands: its meters, its composite, and the verdicts of its alert policies.
//!
//! **In:** readings of its indicators, and when to look.
//! **Out:** a [`SloStanding`]: verdicts with their numbers, burn rates, what is left.
//! **Not here:** counting one objective ([`super::meter`]), judging one policy
//! ([`super::alert`]), when the budget will be spent ([`crate::budget::exhaustion`]), the
//! same as Prometheus rules ([`super::rules`]).

use jiff::{SignedDuration, Timestamp};

use super::alert::{ConditionFinding, Held, Verdict, judge, judge_by, window_burn_rate};
use super::burn::{budget_left, is_significant_together};
use super::ledger::Ledger;
use super::meter::Meter;
use super::ring::{SlotNumber, WindowCounts, slots_in};
use super::{Counts, SliReading};
use crate::documents::{AlertPolicy, Budgeting, Indicator, Slo};
use crate::ids::SloId;
use crate::incident::Severity;

/// Windows that are shown of every SLO, whatever its policies ask for.
pub const SHOWN: [SignedDuration; 5] = [
    SignedDuration::from_mins(5),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(6),
    SignedDuration::from_hours(24),
    SignedDuration::from_hours(72),
];

/// Everything that is counted for one SLO.
#[derive(Clone, Debug)]
pub struct SloMeters {
    slo: Slo,
    /// One per objective.
    meters: Vec<Meter>,
    /// The slices of a composite; its single events are only added up from its parts.
    slices: Option<Meter>,
    /// Per objective, per policy. Of a composite only one: its own.
    held: Vec<Vec<Held>>,
    /// All windows that are asked for, shortest first.
    lookbacks: Vec<SignedDuration>,
    /// The same in slots.
    n_slots: Vec<usize>,
}

/// How an SLO stands at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct SloStanding {
    /// Which.
    pub slo: SloId,
    /// One per objective, in the order of the document. Those of a composite have no
    /// alerts of their own.
    pub objectives: Vec<Standing>,
    /// All objectives together, where they are one journey.
    pub composite: Option<Standing>,
}

impl SloStanding {
    /// What people are told of: the composite, or else each objective.
    pub fn judged(&self) -> impl Iterator<Item = &Standing> {
        let parts = if self.composite.is_some() { &[][..] } else { &self.objectives };
        self.composite.iter().chain(parts)
    }
}

/// How one objective, or a composite, stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The objective's name, or [`composite_name`].
    pub objective: String,
    /// The share that must be good, in `(0, 1)`; of a composite the strictest.
    pub target: f64,
    /// One per alert policy, in the order of the document.
    pub alerts: Vec<AlertStanding>,
    /// One per window of [`SHOWN`].
    pub burn_rates: Vec<WindowBurn>,
    /// What was counted in the SLO's own window: events, or slices of time.
    pub spent: Counts,
    /// What is left of the budget: 1 is all, 0 none, below 0 overspent; `None` without
    /// events.
    pub budget_left: Option<f64>,
    /// For how much of the SLO's window there are observations, in `[0, 1]`. Of a
    /// composite the least of its parts'.
    pub coverage: f64,
    /// The end of the newest slot that was observed, within an hour of the newest that was
    /// asked for. Of a composite the earliest of its parts'.
    pub observed_until: Option<Timestamp>,
}

/// What one alert policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertStanding {
    /// Its name.
    pub policy: String,
    /// How urgent it is.
    pub severity: Severity,
    /// What it says.
    pub verdict: Verdict,
    /// Since when all of its conditions hold; `None` when they do not.
    pub since: Option<Timestamp>,
    /// Its conditions with their numbers.
    pub findings: Vec<ConditionFinding>,
}

/// One window and its burn rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowBurn {
    /// How long it is; it ends now.
    pub lookback: SignedDuration,
    /// What it holds. Of a composite, the plain sum of its parts.
    pub window: WindowCounts,
    /// `None` without events.
    pub burn_rate: Option<f64>,
}

/// What a composite is called among the objectives of its SLO: `composite`, with
/// underscores behind it when an objective has that name.
pub fn composite_name(slo: &Slo) -> String {
    let mut name = "composite".to_owned();
    while slo.objectives.iter().any(|it| it.name == name) {
        name.push('_');
    }
    name
}

/// The error budget of a composite: the strictest of its objectives'.
pub fn composite_error_budget(slo: &Slo) -> f64 {
    slo.objectives.iter().map(crate::documents::Objective::error_budget).fold(1.0, f64::min)
}

/// Whether single events are counted, so that a few of them may be chance. Slices of time
/// and samples of a threshold are not single events.
pub fn counts_events(slo: &Slo, indicator: &Indicator) -> bool {
    slo.budgeting == Budgeting::Occurrences
        && match indicator {
            Indicator::GoodOfTotal { .. } | Indicator::BadOfTotal { .. } => true,
            Indicator::Raw { .. } | Indicator::Threshold { .. } => false,
        }
}

/// A part of a composite in one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) counts: Counts,
    pub(super) error_budget: f64,
    pub(super) weight: f64,
    /// As [`counts_events`].
    pub(super) is_of_events: bool,
}

impl SloMeters {
    /// Meters that have read nothing.
    pub fn of(slo: &Slo) -> SloMeters {
        let conditions = slo.alert_policies.iter().flat_map(|it| &it.conditions);
        let mut lookbacks: Vec<SignedDuration> =
            conditions.map(|it| it.lookback).chain(SHOWN).collect();
        lookbacks.sort_unstable();
        lookbacks.dedup();
        let n_judged = if slo.is_composite { 1 } else { slo.objectives.len() };
        let is_sliced = slo.is_composite && slo.budgeting != Budgeting::Occurrences;
        SloMeters {
            meters: slo.objectives.iter().map(|it| Meter::of(slo, it)).collect(),
            slices: is_sliced.then(|| Meter::of_events(&slo.window)),
            held: vec![vec![Held::default(); slo.alert_policies.len()]; n_judged],
            n_slots: lookbacks.iter().copied().map(slots_in).collect(),
            lookbacks,
            slo: slo.clone(),
        }
    }

    /// The same meters with the ledgers of before a restart, as [`SloMeters::ledgers`] gave
    /// them; those that are missing begin empty.
    #[must_use]
    pub fn recalling(mut self, ledgers: Vec<Ledger>) -> SloMeters {
        let mut ledgers = ledgers.into_iter();
        let recall = |it: Meter| match ledgers.next() {
            Some(ledger) => it.recalling(ledger),
            None => it,
        };
        let slices = self.slices.take();
        let mut meters: Vec<Meter> =
            std::mem::take(&mut self.meters).into_iter().chain(slices).map(recall).collect();
        self.slices = if self.slo.objectives.len() < meters.len() { meters.pop() } else { None };
        SloMeters { meters, ..self }
    }

    /// The ledger of each objective, then that of the composite's slices, to be kept.
    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        self.meters.iter().chain(&self.slices).map(Meter::ledger)
    }

    /// The SLO that is counted for.
    pub fn slo(&self) -> &Slo {
        &self.slo
    }

    /// The meter of an objective.
    pub fn meter(&self, objective: usize) -> Option<&Meter> {
        self.meters.get(objective)
    }

    /// The same meters for an SLO that was changed. What was counted is kept where the same
    /// is counted in the same way; a changed objective, window or policy judges it anew.
    #[must_use]
    pub fn changed_to(self, slo: &Slo) -> SloMeters {
        if self.slo == *slo {
            return self;
        }
        let mut changed = SloMeters::of(slo);
        let is_counted_alike = self.slo.budgeting == slo.budgeting;
        let mut all_kept = is_counted_alike && self.meters.len() == slo.objectives.len();
        for (meter, objective) in changed.meters.iter_mut().zip(&slo.objectives) {
            let before = self.slo.objectives.iter().position(|it| {
                it.name == objective.name
                    && it.indicator == objective.indicator
                    && it.slice == objective.slice
            });
            match before.and_then(|it| self.meters.get(it)).filter(|_| is_counted_alike) {
                Some(kept) => *meter = kept.clone().with_window(&slo.window),
                None => all_kept = false,
            }
        }
        if let (true, Some(kept), Some(slices)) = (all_kept, self.slices, &mut changed.slices) {
            *slices = kept.with_window(&slo.window);
        }
        if self.slo.alert_policies == slo.alert_policies && self.held.len() == changed.held.len() {
            changed.held = self.held;
        }
        changed
    }

    /// Takes in a reading. One of another SLO, or of an objective that there is not, is
    /// none.
    pub fn observe(&mut self, now: Timestamp, reading: &SliReading) {
        if reading.slo != self.slo.id {
            return;
        }
        let Some(meter) = self.meters.get_mut(reading.objective) else { return };
        let touched = meter.observe_touching(now, reading.step, &reading.slots);
        if let Some((first, last)) = touched.slots {
            self.combine(first, last);
        }
        let Some(slices) = &mut self.slices else { return };
        let weight = match self.slo.budgeting {
            Budgeting::RatioTimeslices => {
                self.slo.objectives.get(reading.objective).map_or(1.0, |it| it.weight)
            }
            Budgeting::Timeslices | Budgeting::Occurrences => 1.0,
        };
        // Which slices of the parts fell together is not known where they were judged as
        // one: all that were bad count, and the first objective says how many there were.
        for (at, change) in touched.apart {
            let total = if reading.objective == 0 { change.total } else { 0.0 };
            slices.spend(at, Counts { bad: weight * change.bad, total }, 0.0);
        }
    }

    /// Judges the slices of a composite that end in `first..=last` anew.
    fn combine(&mut self, first: SlotNumber, last: SlotNumber) {
        let Some(slices) = &mut self.slices else { return };
        for slot in (first.0..=last.0).map(SlotNumber) {
            let parts = self
                .meters
                .iter()
                .zip(&self.slo.objectives)
                .filter_map(|(meter, it)| meter.event_at(slot).map(|event| (event, it.weight)));
            let event = combined_slice(self.slo.budgeting, parts);
            if event != slices.event_at(slot) {
                slices.count(slot, event, 0.0);
            }
        }
    }

    /// Judges everything at `now`.
    pub fn evaluate(&mut self, now: Timestamp) -> SloStanding {
        for it in self.meters.iter_mut().chain(&mut self.slices) {
            it.roll(now);
        }
        let windows: Vec<Vec<WindowCounts>> =
            self.meters.iter().map(|it| it.windows(now, &self.n_slots)).collect();
        let mut held = std::mem::take(&mut self.held);
        let mut objectives = Vec::with_capacity(self.meters.len());
        let mut unheld = Vec::new();
        for (nth, (meter, windows)) in self.meters.iter().zip(&windows).enumerate() {
            let held = if self.slo.is_composite { Some(&mut unheld) } else { held.get_mut(nth) };
            let held = held.map_or(&mut [][..], Vec::as_mut_slice);
            objectives.extend(self.standing(nth, meter, windows, now, held));
        }
        let composite = self.slo.is_composite.then(|| {
            let held = held.first_mut().map_or(&mut [][..], Vec::as_mut_slice);
            self.composite(&windows, &objectives, now, held)
        });
        self.held = held;
        SloStanding { slo: self.slo.id.clone(), objectives, composite }
    }

    fn standing(
        &self,
        nth: usize,
        meter: &Meter,
        windows: &[WindowCounts],
        now: Timestamp,
        held: &mut [Held],
    ) -> Option<Standing> {
        let objective = self.slo.objectives.get(nth)?;
        let error_budget = objective.error_budget();
        let counted = counts_events(&self.slo, &objective.indicator);
        let of = |lookback: SignedDuration| {
            let window = self.nth_window(lookback).and_then(|it| windows.get(it)).copied();
            let window = window.unwrap_or_default();
            (window, window_burn_rate(window, error_budget))
        };
        let spent = meter.spent();
        Some(Standing {
            objective: objective.name.clone(),
            target: objective.target,
            alerts: alerts(&self.slo.alert_policies, held, |policy, held| {
                judge(policy, error_budget, counted, now, held, of)
            }),
            burn_rates: shown(of),
            spent,
            budget_left: budget_left(spent, error_budget),
            coverage: meter.coverage(now),
            observed_until: meter.observed_until(),
        })
    }

    fn composite(
        &self,
        windows: &[Vec<WindowCounts>],
        objectives: &[Standing],
        now: Timestamp,
        held: &mut [Held],
    ) -> Standing {
        let error_budget = composite_error_budget(&self.slo);
        // Per window, the numbers of each part, and what was seen of the least seen.
        let parts = |nth: Option<usize>| -> (Vec<Part>, usize) {
            let each: Vec<WindowCounts> =
                windows.iter().filter_map(|it| nth.and_then(|nth| it.get(nth)).copied()).collect();
            let n_observed = each.iter().map(|it| it.n_observed).min().unwrap_or_default();
            (self.parts(each.iter().map(|it| it.counts)), n_observed)
        };
        let sliced = self.slices.as_ref().map(|it| it.windows(now, &self.n_slots));
        let of = |lookback: SignedDuration| {
            let nth = self.nth_window(lookback);
            let (parts, n_observed) = parts(nth);
            let n_slots = slots_in(lookback);
            match &sliced {
                Some(windows) => {
                    let counts = nth.and_then(|it| windows.get(it)).map(|it| it.counts);
                    let counts = counts.unwrap_or_default();
                    let window = WindowCounts { counts, n_observed, n_slots };
                    (window, window_burn_rate(window, error_budget))
                }
                None => {
                    let counts =
                        parts.iter().fold(Counts::default(), |sum, it| sum.plus(it.counts));
                    (WindowCounts { counts, n_observed, n_slots }, burn_rate_together(&parts))
                }
            }
        };
        let (spent, left) = match &self.slices {
            Some(it) => (it.spent(), budget_left(it.spent(), error_budget)),
            None => {
                let parts = self.parts(self.meters.iter().map(Meter::spent));
                let sum = parts.iter().fold(Counts::default(), |sum, it| sum.plus(it.counts));
                (sum, burn_rate_together(&parts).map(|it| 1.0 - it))
            }
        };
        Standing {
            objective: composite_name(&self.slo),
            target: 1.0 - error_budget,
            alerts: alerts(&self.slo.alert_policies, held, |policy, held| {
                judge_by(policy, now, held, of, |condition, _| {
                    sliced.is_some()
                        || is_significant_together(
                            &parts(self.nth_window(condition.lookback)).0,
                            condition.threshold,
                        )
                })
            }),
            burn_rates: shown(of),
            spent,
            budget_left: left,
            coverage: objectives.iter().map(|it| it.coverage).fold(1.0, f64::min),
            observed_until: objectives.iter().map(|it| it.observed_until).min().flatten(),
        }
    }

    fn parts(&self, counts: impl Iterator<Item = Counts>) -> Vec<Part> {
        let part = |(counts, it): (Counts, &crate::documents::Objective)| Part {
            counts,
            error_budget: it.error_budget(),
            weight: it.weight,
            is_of_events: counts_events(&self.slo, &it.indicator),
        };
        counts.zip(&self.slo.objectives).map(part).collect()
    }

    fn nth_window(&self, lookback: SignedDuration) -> Option<usize> {
        self.lookbacks.binary_search(&lookback).ok()
    }

    /// The memory that it takes, in bytes, without the document.
    pub fn bytes(&self) -> usize {
        self.meters.iter().chain(&self.slices).map(Meter::bytes).sum()
    }
}

/// The burn rate of a composite: the weighted sum of its parts', of those that had events.
pub(super) fn burn_rate_together(parts: &[Part]) -> Option<f64> {
    let burns = parts
        .iter()
        .filter_map(|it| it.counts.bad_ratio().map(|ratio| it.weight * (ratio / it.error_budget)));
    burns.fold(None, |sum: Option<f64>, it| Some(sum.unwrap_or_default() + it))
}

/// A slice of a composite from those of its parts that were observed: bad when any is, or,
/// for shares, by the weighted sum of what each misses.
fn combined_slice(
    budgeting: Budgeting,
    parts: impl Iterator<Item = (Counts, f64)>,
) -> Option<Counts> {
    let mut event: Option<Counts> = None;
    for (it, weight) in parts {
        let sum = event.unwrap_or_default();
        let bad = match budgeting {
            Budgeting::Timeslices | Budgeting::Occurrences => sum.bad.max(it.bad),
            Budgeting::RatioTimeslices => (sum.bad + weight * it.bad).min(1.0),
        };
        event = Some(Counts { bad, total: sum.total.max(it.total) });
    }
    event
}

fn shown(of: impl Fn(SignedDuration) -> (WindowCounts, Option<f64>)) -> Vec<WindowBurn> {
    let burn = |lookback| {
        let (window, burn_rate) = of(lookback);
        WindowBurn { lookback, window, burn_rate }
    };
    SHOWN.map(burn).to_vec()
}

fn alerts(
    policies: &[AlertPolicy],
    held: &mut [Held],
    mut judged: impl FnMut(&AlertPolicy, &mut Held) -> (Verdict, Vec<ConditionFinding>),
) -> Vec<AlertStanding> {
    let alert = |(policy, held): (&AlertPolicy, &mut Held)| {
        let (verdict, findings) = judged(policy, held);
        AlertStanding {
            policy: policy.name.clone(),
            severity: policy.severity,
            verdict,
            since: held.since,
            findings,
        }
    };
    policies.iter().zip(held).map(alert).collect()
}
