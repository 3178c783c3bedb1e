//! What one scenario demands: of the outcome, and of whoever sets the units.
//!
//! **In:** changes that a controller makes, and the truth of every second.
//! **Out:** violations: `must_not: …` at once, `must: …` at the end.
//! **Not here:** what must hold in every run ([`super::watch`]).

mod money;

use std::collections::{BTreeSet, VecDeque};

use self::money::Kept;
use super::Controller;
use super::watch::Violations;
use crate::expectation::{Must, MustNot, Span};
use crate::scenario::region::RegionScenario;
use crate::scorecard::Violation;
use crate::world::World;

/// A queue that holds work for less than this is empty enough. Why 5 s: less than any timeout
/// leaves time for.
const QUEUE_SECONDS_MAX: f64 = 5.0;
/// How long it must be good to have recovered. Why 5 min: as for the end of an incident.
const GOOD_SECONDS: i64 = 300;
/// Bad seconds of those that are noise. Why 15: one scrape.
const BAD_SECONDS_MAX: u64 = 15;
/// Over which time [`MustNot::TakeAwayMoreThan`] counts. Why 10 min: as the agent's own limit.
const TAKEN_SECONDS: i64 = 600;
/// How long to recover where a scenario does not say. Why 30 min: boots, stabilization and
/// backoff after ten failures, added up.
pub(super) const RECOVER_SECONDS: i64 = 1_800;

/// Good and offered requests of a service, at two instants.
#[derive(Clone, Copy, Debug, Default)]
struct Marked {
    begin: Option<(f64, f64)>,
    end: Option<(f64, f64)>,
}

/// Keeps the score of all demands.
#[derive(Debug)]
pub(super) struct Verdict {
    names: Vec<String>,
    must: Vec<Must>,
    must_not: Vec<MustNot>,
    marked: Vec<Marked>,
    /// Fewest ready units by demand.
    fewest: Vec<u32>,
    changes: Vec<u32>,
    /// Of demands about money and SLOs.
    kept: Vec<Kept>,
    /// By service: units that a controller took away, and when.
    taken: Vec<VecDeque<(i64, u32)>>,
    /// Each demand is told of once.
    told: Vec<bool>,
    healed_at: i64,
    /// Since when all is good; bad seconds at the last look.
    good_since: Option<i64>,
    bad_seconds: u64,
    recovered_at: Option<i64>,
    what_is_bad: String,
    /// When the first fault begins, where detection is asked for; then the first bad second.
    first_fault: Option<i64>,
    first_bad: Option<i64>,
    detected_at: Option<i64>,
    /// Playbooks of runs that ended well.
    healed_by: BTreeSet<String>,
}

/// What a controller did to a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// Asked for other units.
    Set { from: u32, to: u32 },
    /// Took so many of so many out of service, for a while at least.
    Took { units: u32, of: u32 },
}

impl Verdict {
    /// Of a run that lasts so many seconds, and whose last fault ends at `healed_at`.
    pub(super) fn new(
        scenario: &RegionScenario,
        controller: Controller,
        healed_at: i64,
        lasts: i64,
    ) -> Verdict {
        let mut must = scenario.must.clone();
        if controller != Controller::Evenkeel {
            // Nobody else has incidents or playbooks: who must fail has to fail for what it did.
            must.retain(|it| !is_of_the_agent(it));
        }
        // A recorded load may end before there was time to recover: then nobody can tell.
        must.retain(|it| match it {
            Must::RecoverWithin { seconds } => healed_at + seconds <= lasts,
            Must::GoodRatio { .. }
            | Must::ReadyAtLeast { .. }
            | Must::CostRatioAtMost { .. }
            | Must::DetectedWithin { .. }
            | Must::HealedByPlaybook { .. }
            | Must::ContainedWithin { .. }
            | Must::TenantGoodRatio { .. }
            | Must::SloPageWithin { .. }
            | Must::PageWithin { .. } => true,
        });
        let has_bound = must.iter().any(|it| matches!(it, Must::RecoverWithin { .. }));
        if !has_bound && healed_at + RECOVER_SECONDS + GOOD_SECONDS < lasts {
            must.push(Must::RecoverWithin { seconds: RECOVER_SECONDS });
        }
        Verdict {
            names: scenario.world.services.iter().map(|it| it.name.clone()).collect(),
            marked: vec![Marked::default(); must.len()],
            fewest: vec![u32::MAX; must.len()],
            kept: must.iter().map(|it| Kept::of(it, scenario)).collect(),
            changes: vec![0; scenario.must_not.len()],
            told: vec![false; scenario.must_not.len()],
            taken: vec![VecDeque::new(); scenario.world.services.len()],
            must,
            must_not: scenario.must_not.clone(),
            healed_at,
            good_since: None,
            bad_seconds: 0,
            recovered_at: None,
            what_is_bad: String::new(),
            first_fault: scenario.faults.iter().map(|it| it.from).min(),
            first_bad: None,
            detected_at: None,
            healed_by: BTreeSet::new(),
        }
    }

    /// A second passed.
    pub(super) fn tick(&mut self, at: i64, world: &World) {
        for ((must, marked), fewest) in self.must.iter().zip(&mut self.marked).zip(&mut self.fewest)
        {
            match must {
                Must::GoodRatio { service, span, .. } => {
                    let sums = world.sums(*service);
                    if at == span.from {
                        // The second that just passed is the first one of the span.
                        let truth = world.truth(*service);
                        marked.begin =
                            Some((sums.offered - truth.offered_rps, sums.good - truth.good_rps));
                    }
                    if span.has(at) {
                        marked.end = Some((sums.offered, sums.good));
                    }
                }
                Must::ReadyAtLeast { service, span, .. } if span.has(at) => {
                    *fewest = (*fewest).min(world.truth(*service).ready);
                }
                Must::ReadyAtLeast { .. }
                | Must::RecoverWithin { .. }
                | Must::CostRatioAtMost { .. }
                | Must::DetectedWithin { .. }
                | Must::HealedByPlaybook { .. }
                | Must::ContainedWithin { .. }
                | Must::TenantGoodRatio { .. }
                | Must::SloPageWithin { .. }
                | Must::PageWithin { .. } => (),
            }
        }
        for kept in &mut self.kept {
            kept.tick(at, world);
        }
        if self.first_bad.is_none()
            && self.first_fault.is_some_and(|it| it <= at)
            && self.must.iter().any(|it| matches!(it, Must::DetectedWithin { .. }))
        {
            let services = world.spec().services.iter().enumerate();
            let mut critical = services.filter(|(_, it)| it.is_critical);
            if critical.any(|(place, _)| !world.truth(place).is_good) {
                self.first_bad = Some(at);
            }
        }
        if self.healed_at <= at && at.rem_euclid(15) == 0 {
            self.look_for_recovery(at, world);
        }
    }

    /// Whether everything has been good for long enough, after the last fault.
    fn look_for_recovery(&mut self, at: i64, world: &World) {
        let mut bad = 0;
        let mut full = None;
        for (place, service) in world.spec().services.iter().enumerate() {
            bad += world.sums(place).bad_seconds;
            let truth = world.truth(place);
            let in_seconds = truth.queue / truth.served_rps.max(1.0);
            if QUEUE_SECONDS_MAX.max(service.objective_seconds) < in_seconds {
                full = Some(format!("`{}` has {:.0} waiting", service.name, truth.queue));
            } else if !truth.is_good {
                full = full.or_else(|| Some(format!("`{}` is not good", service.name)));
            }
        }
        let bad_now = bad - std::mem::replace(&mut self.bad_seconds, bad);
        if self.good_since.is_none() && full.is_none() {
            self.good_since = Some(at);
        }
        if BAD_SECONDS_MAX / 2 < bad_now && full.is_some() {
            self.good_since = None;
        }
        if let Some(what) = full {
            self.what_is_bad = what;
        }
        if let Some(since) = self.good_since
            && GOOD_SECONDS <= at - since
        {
            self.recovered_at = self.recovered_at.or(Some(since));
        }
    }

    /// A controller changed something.
    pub(super) fn changed(
        &mut self,
        at: i64,
        unix: i64,
        service: usize,
        change: Change,
        is_against_a_person: bool,
        violations: &mut Violations,
    ) {
        // The warm-up is nobody's fault: a controller's first looks have no metrics yet.
        if at < 0 {
            return;
        }
        if let (Change::Took { units, .. }, Some(taken)) = (change, self.taken.get_mut(service)) {
            taken.push_back((at, units));
            while taken.front().is_some_and(|(then, _)| TAKEN_SECONDS <= at - then) {
                taken.pop_front();
            }
        }
        let changes = self.changes.iter_mut().zip(&mut self.told);
        for (must_not, (times, told)) in self.must_not.iter().zip(changes) {
            let what =
                broken(must_not, at, service, change, times, is_against_a_person, &self.taken);
            if let Some((name, what)) = what
                && !*told
            {
                *told = true;
                let service = self.names.get(service).map_or("", String::as_str);
                violations.push(unix, name, format!("`{service}`: {what}"));
            }
        }
    }

    /// A promotion lost writes.
    pub(super) fn lost_writes(
        &mut self,
        unix: i64,
        service: usize,
        writes: f64,
        violations: &mut Violations,
    ) {
        for (must_not, told) in self.must_not.iter().zip(&mut self.told) {
            let is_about =
                matches!(must_not, MustNot::LoseWrites { service: it } if *it == service);
            if is_about && 0.0 < writes && !std::mem::replace(told, true) {
                let what = format!("a promotion lost {writes:.0} writes");
                violations.push(unix, "must_not: lose_writes", what);
            }
        }
    }

    /// The agent opened an incident.
    pub(super) fn incident(&mut self, at: i64, unix: i64, what: &str, violations: &mut Violations) {
        // Before the first fault it is a false alarm.
        if self.first_fault.is_some_and(|it| it <= at) {
            self.detected_at = self.detected_at.or(Some(at));
        }
        for (must_not, told) in self.must_not.iter().zip(&mut self.told) {
            let is_about = matches!(must_not, MustNot::Incidents) && 0 <= at;
            if is_about && !std::mem::replace(told, true) {
                violations.push(unix, "must_not: incidents", what.to_owned());
            }
        }
    }

    /// A run of a playbook ended well.
    pub(super) fn healed(&mut self, playbook: &str) {
        if !self.healed_by.contains(playbook) {
            self.healed_by.insert(playbook.to_owned());
        }
    }

    /// What was demanded of the outcome.
    pub(super) fn end(
        &self,
        unix: i64,
        world: &World,
        cost_ratio: f64,
        first_page: Option<i64>,
        first_fault: Option<i64>,
        violations: &mut Violations,
    ) {
        let name = |service: usize| world.spec().services.get(service).map_or("", |it| &it.name);
        let scores = self.marked.iter().zip(&self.fewest).zip(&self.kept);
        for (must, ((marked, fewest), kept)) in self.must.iter().zip(scores) {
            let what = match must {
                Must::ContainedWithin { service, .. } | Must::TenantGoodRatio { service, .. } => {
                    kept.end(must, name(*service))
                }
                Must::SloPageWithin { .. } => kept.end(must, ""),
                Must::RecoverWithin { seconds } => {
                    let took = self.recovered_at.map(|it| it - self.healed_at);
                    match (took, self.good_since) {
                        (Some(took), Some(_)) if took <= *seconds => None,
                        (Some(took), Some(_)) => {
                            Some(format!("recovered after {took} s, at most {seconds}"))
                        }
                        (_, None) | (None, _) => Some(format!(
                            "not recovered {seconds} s after the last fault: {}",
                            self.what_is_bad
                        )),
                    }
                }
                Must::GoodRatio { service, min, .. } => {
                    let (begin, end) =
                        (marked.begin.unwrap_or_default(), marked.end.unwrap_or_default());
                    let offered = end.0 - begin.0;
                    let ratio = (end.1 - begin.1) / offered;
                    (0.0 < offered && ratio < *min).then(|| {
                        format!(
                            "`{}`: {ratio:.5} of requests were good, at least {min}",
                            name(*service)
                        )
                    })
                }
                Must::ReadyAtLeast { service, units, .. } => (*fewest < *units).then(|| {
                    format!("`{}`: {fewest} units were ready, at least {units}", name(*service))
                }),
                Must::DetectedWithin { seconds } => match (self.first_bad, self.detected_at) {
                    (_, None) => Some("the agent opened no incident".to_owned()),
                    (Some(bad), Some(at)) if *seconds < at - bad => {
                        let after = at - bad;
                        Some(format!(
                            "detected {after} s after the first bad second, at most {seconds}"
                        ))
                    }
                    (Some(_) | None, Some(_)) => None,
                },
                Must::HealedByPlaybook { name } => (!self.healed_by.contains(name))
                    .then(|| format!("no run of `{name}` ended well")),
                Must::CostRatioAtMost { ratio } => (*ratio < cost_ratio).then(|| {
                    format!("cost was {cost_ratio:.3} times the oracle's, at most {ratio}")
                }),
                Must::PageWithin { seconds } => {
                    let since = first_fault.unwrap_or_default();
                    match first_page.map(|it| it - since) {
                        Some(after) if after <= *seconds => None,
                        Some(after) => Some(format!("paged after {after} s, at most {seconds}")),
                        None => Some("nobody was paged".to_owned()),
                    }
                }
            };
            if let Some(what) = what {
                violations.push(unix, must_name(must), what);
            }
        }
    }
}

/// Whether only the agent can do it.
fn is_of_the_agent(must: &Must) -> bool {
    match must {
        Must::DetectedWithin { .. }
        | Must::HealedByPlaybook { .. }
        | Must::SloPageWithin { .. } => true,
        Must::RecoverWithin { .. }
        | Must::GoodRatio { .. }
        | Must::ReadyAtLeast { .. }
        | Must::CostRatioAtMost { .. }
        | Must::ContainedWithin { .. }
        | Must::TenantGoodRatio { .. }
        | Must::PageWithin { .. } => false,
    }
}

fn must_name(must: &Must) -> &'static str {
    match must {
        Must::RecoverWithin { .. } => Violation::NOT_RECOVERED,
        Must::GoodRatio { .. } => "must: good_ratio",
        Must::ReadyAtLeast { .. } => "must: ready_at_least",
        Must::CostRatioAtMost { .. } => "must: cost_ratio_at_most",
        Must::PageWithin { .. } => "must: page_within",
        Must::DetectedWithin { .. } => "must: detected_within",
        Must::HealedByPlaybook { .. } => "must: healed_by_playbook",
        Must::ContainedWithin { .. } => "must: contained_within",
        Must::TenantGoodRatio { .. } => "must: tenant_good_ratio",
        Must::SloPageWithin { .. } => "must: slo_page_within",
    }
}

/// What a change breaks of one demand.
fn broken(
    must_not: &MustNot,
    at: i64,
    service: usize,
    change: Change,
    times: &mut u32,
    is_against_a_person: bool,
    taken: &[VecDeque<(i64, u32)>],
) -> Option<(&'static str, String)> {
    let applies = |of: usize, span: Span| of == service && span.has(at);
    match (must_not, change) {
        (MustNot::Remove { service: of, span }, Change::Set { from, to })
            if applies(*of, *span) && to < from =>
        {
            Some(("must_not: remove", format!("{from} -> {to}")))
        }
        (MustNot::Change { service: of, span }, Change::Set { from, to })
            if applies(*of, *span) && to != from =>
        {
            Some(("must_not: change", format!("{from} -> {to}")))
        }
        (MustNot::Change { service: of, span }, Change::Took { units, of: all })
            if applies(*of, *span) =>
        {
            Some(("must_not: change", format!("took {units} of {all} out of service")))
        }
        (MustNot::Exceed { service: of, units, span }, Change::Set { to, .. })
            if applies(*of, *span) && *units < to =>
        {
            Some(("must_not: exceed", format!("asked for {to}, at most {units}")))
        }
        (
            MustNot::ChangeOftenerThan { service: of, times: most, span },
            Change::Set { from, to },
        ) if applies(*of, *span) && to != from => {
            *times += 1;
            (*most < *times).then(|| {
                ("must_not: change_oftener_than", format!("{times} changes, at most {most}"))
            })
        }
        (MustNot::TakeAwayMoreThan { service: of, ratio }, Change::Took { of: all, .. })
            if *of == service =>
        {
            let taken: u32 = taken.get(service).map_or(0, |it| it.iter().map(|(_, n)| n).sum());
            let before = all.max(1);
            // One unit may always go.
            (1 < taken && ratio * f64::from(before) < f64::from(taken)).then(|| {
                let what = format!("{taken} of {before} units taken away within 10 min");
                ("must_not: take_away_more_than", what)
            })
        }
        (MustNot::OverruleAPerson, Change::Set { from, to })
            if is_against_a_person && to != from =>
        {
            Some(("must_not: overrule_a_person", format!("{from} -> {to} against a person's word")))
        }
        (
            MustNot::Remove { .. }
            | MustNot::Change { .. }
            | MustNot::Exceed { .. }
            | MustNot::ChangeOftenerThan { .. }
            | MustNot::TakeAwayMoreThan { .. }
            | MustNot::LoseWrites { .. }
            | MustNot::OverruleAPerson
            | MustNot::Touch { .. }
            | MustNot::SloAlerts { .. }
            | MustNot::Incidents,
            Change::Set { .. } | Change::Took { .. },
        ) => None,
    }
}
