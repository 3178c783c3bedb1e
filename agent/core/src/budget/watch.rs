//! From numbers to facts: thresholds that are crossed or cleared, alerts that begin or end.
//!
//! **In:** what is counted, documents, what was so before.
//! **Out:** records, and notices for people.
//! **Not here:** the numbers ([`super::figures`], [`crate::slo`]), what a crossed threshold
//! forbids ([`super::arbiter`], [`crate::guard`]).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::budget::figures::{Reckoning, Times};
use crate::budget::memory::{BudgetEvent, BudgetMemory, SloAlertEvent};
use crate::budget::notices::{self, AlertWords};
use crate::budget::sight::BudgetSight;
use crate::documents::{AlertPolicy, Consequence, Crossing, Documents, Slo};
use crate::ids::{BudgetId, SloId, ThresholdName};
use crate::incident::Severity;
use crate::notice::Notice;
use crate::record::Record;
use crate::slo::alert::Verdict;
use crate::slo::standing::AlertStanding;
use crate::units::show_duration;

/// How long an SLO may be without data after it was first looked at, before that is told.
/// Why 10 min: a start reads the past of many SLOs first.
const NO_DATA_GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What follows from the numbers of one instant.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) records: Vec<Record>,
    pub(crate) notices: Vec<Notice>,
}

/// Compares the numbers with what was so before.
pub(crate) fn watch(
    now: Timestamp,
    documents: &Documents,
    memory: &BudgetMemory,
    sight: &mut BudgetSight,
) -> Watched {
    let mut watched = Watched::default();
    watch_thresholds(now, documents, memory, sight, &mut watched);
    watch_alerts(now, documents, memory, sight, &mut watched);
    watched
}

fn watch_thresholds(
    now: Timestamp,
    documents: &Documents,
    memory: &BudgetMemory,
    sight: &mut BudgetSight,
    watched: &mut Watched,
) {
    for budget in documents.budgets() {
        for threshold in &budget.thresholds {
            let reckoning = Reckoning { now, documents, sight: &*sight, budget };
            let before = memory.crossed(&budget.id, &threshold.name);
            let usual = before.and_then(|it| it.runaway_from);
            let crossing = reckoning.crossing(&threshold.when, usual);
            let key = (budget.id.clone(), threshold.name.clone());
            let event = match (crossing, before) {
                // Doubt neither crosses nor clears, and begins the waiting anew.
                (None, _) => {
                    sight.clear_since.remove(&key);
                    None
                }
                (Some((true, why)), None) => {
                    let is_runaway = matches!(threshold.when, Crossing::Runaway { .. });
                    let runaway_from = reckoning.usual_before(&threshold.when);
                    if threshold.then.contains(&Consequence::Notify) {
                        let notice =
                            notices::threshold_crossed(budget, threshold, &why, is_runaway);
                        watched.notices.push(notice);
                    }
                    let then = threshold.then.clone();
                    Some(BudgetEvent::Crossed { why, then, runaway_from })
                }
                (Some((true, why)), Some(before)) => {
                    sight.clear_since.remove(&key);
                    // Another document asks for something else from now on.
                    (before.then != threshold.then).then(|| BudgetEvent::Crossed {
                        why,
                        then: threshold.then.clone(),
                        runaway_from: before.runaway_from,
                    })
                }
                (Some((false, why)), Some(_)) => {
                    let since = *sight.clear_since.entry(key.clone()).or_insert(now);
                    (budget.clears_after <= now.duration_since(since)).then(|| {
                        sight.clear_since.remove(&key);
                        BudgetEvent::Cleared { why }
                    })
                }
                (Some((false, _)), None) => None,
            };
            if let Some(change) = event {
                let (budget, threshold) = key;
                watched.records.push(Record::Budget { at: now, budget, threshold, change });
            }
        }
    }
    let has = |budget: &BudgetId, name: &ThresholdName| {
        let budget = documents.budget(budget);
        budget.is_some_and(|it| it.thresholds.iter().any(|it| it.name == *name))
    };
    for (budget, threshold, _) in memory.all_crossed().filter(|it| !has(it.0, it.1)) {
        let change = BudgetEvent::Cleared { why: "its document is gone".to_owned() };
        let (budget, threshold) = (budget.clone(), threshold.clone());
        watched.records.push(Record::Budget { at: now, budget, threshold, change });
    }
}

fn watch_alerts(
    now: Timestamp,
    documents: &Documents,
    memory: &BudgetMemory,
    sight: &BudgetSight,
    watched: &mut Watched,
) {
    let (mut fired, mut unknown) = (Vec::new(), Vec::new());
    let mut judged: BTreeSet<(&SloId, String)> = BTreeSet::new();
    for slo in documents.slos() {
        let Some(standing) = sight.standing(&slo.id) else { continue };
        let since = sight.metered_since(&slo.id).unwrap_or(now);
        let is_young = now.duration_since(since) < NO_DATA_GRACE;
        let unread = slo.objectives.iter().all(|it| it.indicator.unread().is_some());
        // Where no policy is to tell of missing data, the first notes it all the same: the
        // arbiter must know.
        let nobody_tells = slo.alert_policies.iter().all(|it| !it.when_no_data);
        for of in standing.judged() {
            for (nth, (alert, policy)) in of.alerts.iter().zip(&slo.alert_policies).enumerate() {
                let notes_no_data = policy.when_no_data || (nobody_tells && nth == 0);
                let name = format!("{}/{}", of.objective, alert.policy);
                let judgement = Judgement { slo, policy, alert, name: &name };
                let change = judgement.change(memory, is_young || unread || !notes_no_data);
                judged.insert((&slo.id, name.clone()));
                let Some(change) = change else { continue };
                judgement.tell(&change, memory, watched, &mut fired, &mut unknown);
                let (at, slo) = (now, slo.id.clone());
                watched.records.push(Record::SloAlert { at, slo, policy: name, change });
            }
        }
    }
    watched.notices.extend(notices::slos_burn(&fired));
    watched.notices.extend(notices::slos_without_data(&unknown));
    for (slo, policy, _) in memory.alerts() {
        let is_judged = judged.contains(&(slo, policy.to_owned()));
        // An SLO that was not looked at yet is as it was.
        let is_gone = documents.slo(slo).is_none() || sight.standing(slo).is_some();
        if !is_judged && is_gone {
            let change = SloAlertEvent::Resolved { why: "its document is gone".to_owned() };
            let (slo, policy) = (slo.clone(), policy.to_owned());
            watched.records.push(Record::SloAlert { at: now, slo, policy, change });
        }
    }
}

/// One alert policy at one instant.
struct Judgement<'a> {
    slo: &'a Slo,
    policy: &'a AlertPolicy,
    alert: &'a AlertStanding,
    name: &'a str,
}

impl Judgement<'_> {
    /// What is different from before.
    fn change(&self, memory: &BudgetMemory, may_lack_data: bool) -> Option<SloAlertEvent> {
        let before = memory.alert(&self.slo.id, self.name);
        let severity = self.policy.severity;
        let why = words(self.alert);
        match (self.alert.verdict, before) {
            (Verdict::Firing, Some(before)) if before.is_firing => None,
            (Verdict::Firing, _) => Some(SloAlertEvent::Fired { severity, why }),
            (Verdict::NoData, None) if may_lack_data => None,
            // What fired is not over because nobody can see it any more.
            (Verdict::NoData, Some(_)) => None,
            (Verdict::NoData, None) => Some(SloAlertEvent::NoData { severity, why }),
            // Without traffic it is not known whether what failed still does.
            (Verdict::NoTraffic, Some(before)) if before.is_firing => None,
            (Verdict::Pending | Verdict::Quiet | Verdict::NoTraffic, Some(_)) => {
                Some(SloAlertEvent::Resolved { why })
            }
            (Verdict::Pending | Verdict::Quiet | Verdict::NoTraffic, None) => None,
        }
    }

    fn tell(
        &self,
        change: &SloAlertEvent,
        memory: &BudgetMemory,
        watched: &mut Watched,
        fired: &mut Vec<AlertWords>,
        unknown: &mut Vec<AlertWords>,
    ) {
        let of = |severity: Severity, why: &str| AlertWords {
            slo: self.slo.id.clone(),
            policy: self.name.to_owned(),
            severity,
            why: why.to_owned(),
        };
        match change {
            SloAlertEvent::Fired { severity, why } => {
                // One is enough to wake somebody up; the others are in `evenkeel slo`.
                let is_told = memory
                    .alerts_of(&self.slo.id)
                    .any(|(_, it)| it.is_firing && *severity <= it.severity)
                    || fired.iter().any(|it| it.slo == self.slo.id && *severity <= it.severity);
                if self.policy.when_breaching && !is_told {
                    fired.retain(|it| it.slo != self.slo.id);
                    fired.push(of(*severity, why));
                }
            }
            SloAlertEvent::NoData { severity, why } => {
                let is_told = memory.alerts_of(&self.slo.id).next().is_some()
                    || unknown.iter().any(|it| it.slo == self.slo.id);
                if self.policy.when_no_data && !is_told {
                    unknown.push(of(*severity, why));
                }
            }
            SloAlertEvent::Resolved { why } => {
                if self.policy.when_resolved {
                    watched.notices.push(notices::slo_recovered(&of(Severity::Info, why)));
                }
            }
        }
    }
}

/// The windows of a policy in words: `1h 20.1x (limit 14.4x), 5m 33.0x (limit 14.4x)`.
pub(crate) fn words(alert: &AlertStanding) -> String {
    let windows: Vec<String> = alert
        .findings
        .iter()
        .map(|it| {
            let window = show_duration(it.condition.lookback);
            let limit = it.condition.threshold;
            match it.burn_rate {
                _ if it.window.n_observed == 0 => format!("{window} without data"),
                None => format!("{window} without events"),
                Some(rate) if it.is_significant => {
                    format!("{window} {} (limit {limit}x)", Times(rate))
                }
                Some(rate) => format!(
                    "{window} {} (limit {limit}x), but {} of {} events may be chance",
                    Times(rate),
                    it.window.counts.bad.round(),
                    it.window.counts.total.round()
                ),
            }
        })
        .collect();
    windows.join(", ")
}
