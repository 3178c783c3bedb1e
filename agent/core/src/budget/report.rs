//! Answers about budgets and SLOs.
//!
//! **In:** an agent and a time; nothing is changed.
//! **Out:** [`crate::api::budgets`].
//! **Not here:** the numbers themselves ([`crate::slo`], [`crate::spend`],
//! [`super::figures`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::agent::Agent;
use crate::api::budgets::{
    AlertStatus, BudgetReport, BudgetStatus, DaySpend, FitsAnswer, FitsRequest, ObjectiveStatus,
    ServiceSpend, SloReport, SloStatus, TenantSpend, ThresholdStatus,
};
use crate::budget::arbiter::is_critical;
use crate::budget::figures::Reckoning;
use crate::budget::sight::ExhaustionKey;
use crate::budget::watch::words;
use crate::documents::{Budget, BudgetOf, BudgetScope, Consequence, Crossing, Slo};
use crate::ids::ServiceName;
use crate::slo::standing::{SHOWN, Standing};
use crate::spend::money::{Currency, Money};
use crate::spend::rate::{Gap, SpendRates};
use crate::spend::runaway::{NoVerdict, Verdict};
use crate::units::show_duration;

/// The lookback of unit costs. Why a day: it has every hour once.
const UNIT_COST_OVER: SignedDuration = SignedDuration::from_hours(24);

/// Most notes of one answer. Why 50: more is not read; their number is said.
const NOTES_MAX: usize = 50;

/// Every SLO at `now`.
pub fn slo_report(agent: &Agent, now: Timestamp) -> SloReport {
    let slos = agent.documents().slos().map(|slo| slo_status(agent, slo)).collect();
    SloReport { at: now, slos }
}

fn slo_status(agent: &Agent, slo: &Slo) -> SloStatus {
    let sight = agent.budgets();
    let standing = sight.standing(&slo.id);
    let of = |nth: usize, it: &Standing| {
        let document = slo.objectives.get(nth);
        let alerts = it.alerts.iter().map(|alert| AlertStatus {
            policy: alert.policy.clone(),
            severity: alert.severity,
            verdict: alert.verdict,
            since: agent
                .state()
                .budgets()
                .alert(&slo.id, &format!("{}/{}", it.objective, alert.policy))
                .map(|it| it.since),
            why: words(alert),
        });
        ObjectiveStatus {
            name: it.objective.clone(),
            target: it.target,
            unread: document
                .and_then(|it| it.indicator.unread())
                .map(|it| format!("metric sources of type `{it}` are not read")),
            bad: it.spent.bad,
            total: it.spent.total,
            budget_left: it.budget_left,
            coverage: it.coverage,
            burn_rates: it
                .burn_rates
                .iter()
                .map(|it| (show_duration(it.lookback), it.burn_rate))
                .collect(),
            observed_until: it.observed_until,
            exhaustion: sight.exhaustion(&ExhaustionKey::Objective(slo.id.clone(), nth)),
            alerts: alerts.collect(),
        }
    };
    let mut objectives = Vec::new();
    if let Some(standing) = standing {
        objectives.extend(standing.objectives.iter().enumerate().map(|(nth, it)| of(nth, it)));
        let whole = standing.composite.iter().map(|it| of(usize::MAX, it));
        objectives.extend(whole);
    }
    SloStatus {
        slo: slo.id.clone(),
        display_name: slo.display_name.clone(),
        service: slo.service.clone(),
        window: slo.window.to_string(),
        is_critical: slo.is_critical,
        objectives,
    }
}

/// Every budget at `now`.
pub fn budget_report(agent: &Agent, now: Timestamp) -> BudgetReport {
    let (documents, sight) = (agent.documents(), agent.budgets());
    let rates = sight.rates();
    BudgetReport {
        at: now,
        currency: documents.economy().price_book.as_ref().map_or(Currency::USD, |it| it.currency),
        per_hour: rates.map(|it| it.total_per_hour),
        budgets: documents.budgets().filter_map(|it| budget_status(agent, now, it)).collect(),
        services: rates.map(|it| services(agent, it)).unwrap_or_default(),
        unallocated: unallocated(agent),
        tenants: tenants(agent),
        bill_drift_ratio: sight.bill_drift_ratio,
        notes: rates.map(|it| notes(agent, it)).unwrap_or_default(),
    }
}

fn budget_status(agent: &Agent, now: Timestamp, budget: &Budget) -> Option<BudgetStatus> {
    let (documents, sight) = (agent.documents(), agent.budgets());
    let reckoning = Reckoning { now, documents, sight, budget };
    let figures = reckoning.figures()?;
    let memory = agent.state().budgets();
    let thresholds = budget.thresholds.iter().map(|it| {
        let crossed = memory.crossed(&budget.id, &it.name);
        ThresholdStatus {
            name: it.name.clone(),
            kind: it.when.kind().to_owned(),
            when: it.when.to_string(),
            then: it.then.iter().copied().collect(),
            crossed_since: crossed.map(|it| it.since),
            why: crossed.map(|it| it.why.clone()),
        }
    });
    let growth = budget.thresholds.iter().find_map(|it| match it.when {
        Crossing::Runaway { growth } => Some(growth),
        Crossing::SpentRatio(_) | Crossing::BurnRate { .. } | Crossing::ExhaustsWithin { .. } => {
            None
        }
    });
    let (scope, slo, window) = match &budget.of {
        BudgetOf::Spend { scope, window, .. } => (Some(scope.clone()), None, window.to_string()),
        BudgetOf::Errors { slo, .. } => {
            let window = documents.slo(slo).map(|it| it.window.to_string());
            (None, Some(slo.clone()), window.unwrap_or_default())
        }
    };
    // An endless burn has no number that JSON could carry; it is in the words of thresholds.
    let burn = |it: &SignedDuration| reckoning.burn_rate(*it).filter(|it| it.is_finite());
    Some(BudgetStatus {
        budget: budget.id.clone(),
        scope,
        slo,
        window,
        from: figures.period.from,
        until: figures.period.until,
        allowance: figures.allowance,
        spent: figures.spent,
        spent_ratio: figures.spent_ratio,
        per_hour: figures.per_hour,
        burn_rates: SHOWN.iter().map(|it| (show_duration(*it), burn(it))).collect(),
        exhaustion: figures.exhaustion,
        is_estimated: figures.is_estimated,
        runaway: growth.and_then(|it| reckoning.runaway(it)).map(runaway_words),
        thresholds: thresholds.collect(),
    })
}

fn runaway_words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Runaway { spend_growth, good_growth } => format!(
            "spend is {spend_growth:.1} times the usual, good requests {good_growth:.1} times"
        ),
        Verdict::Normal => "no".to_owned(),
        Verdict::Unknown(why) => format!("not known: {}", no_verdict(why)),
    }
}

fn no_verdict(why: NoVerdict) -> &'static str {
    match why {
        NoVerdict::TooLittleHistory => "less than an hour was metered",
        NoVerdict::SpendNotObserved => "spend was not observed of late",
        NoVerdict::GoodNotObserved => "spend has grown, good requests were not observed",
        NoVerdict::TooFewGoodRequests => "spend has grown, good requests are too few to tell",
    }
}

fn gap(gap: &Gap) -> String {
    let taken = |is_carried: bool| {
        if is_carried { "the last value counts for now" } else { "it counts as 0" }
    };
    match gap {
        Gap::Capacity { target, is_carried } => {
            format!("the capacity of {target} was not read, {}", taken(*is_carried))
        }
        Gap::Gauge { target, is_carried } => {
            format!("the price of {target} was not read, {}", taken(*is_carried))
        }
        Gap::Usage { name, service: Some(service), is_carried } => {
            format!("the use of {name} by {service} was not read, {}", taken(*is_carried))
        }
        Gap::Usage { name, service: None, is_carried } => {
            format!("the use of {name} was not read, {}", taken(*is_carried))
        }
        Gap::TooManyServices { n_services } => {
            format!("{n_services} services beyond the bound are counted without a name")
        }
        Gap::NotYetEffective { from } => {
            format!("the price book holds from {from:.0} and is used already")
        }
    }
}

fn services(agent: &Agent, rates: &SpendRates) -> Vec<ServiceSpend> {
    let spend = &agent.budgets().spend;
    let mut days: BTreeMap<&ServiceName, Vec<DaySpend>> = BTreeMap::new();
    for (day, sum) in spend.days().iter() {
        let Ok(from) = Timestamp::from_second(day.saturating_mul(86_400)) else { continue };
        for (service, amount) in &sum.by_service {
            days.entry(service).or_default().push(DaySpend {
                from,
                amount: Money::of(*amount),
                hours: sum.metered_seconds / 3_600.0,
            });
        }
    }
    rates
        .by_service
        .iter()
        .map(|(service, per_hour)| {
            let scope = BudgetScope::Service(service.clone());
            ServiceSpend {
                service: service.clone(),
                is_critical: is_critical(agent.documents(), Some(service)),
                per_hour: *per_hour,
                per_thousand_good: spend.unit_cost(&scope, UNIT_COST_OVER).ok(),
                per_thousand_more: spend.marginal_cost(&scope).ok(),
                days: days.remove(service).unwrap_or_default(),
            }
        })
        .collect()
}

fn unallocated(agent: &Agent) -> Vec<DaySpend> {
    let days = agent.budgets().spend.days().iter();
    days.filter_map(|(day, sum)| {
        Some(DaySpend {
            from: Timestamp::from_second(day.saturating_mul(86_400)).ok()?,
            amount: Money::of(sum.unallocated),
            hours: sum.metered_seconds / 3_600.0,
        })
    })
    .collect()
}

fn tenants(agent: &Agent) -> Vec<TenantSpend> {
    let economy = agent.documents().economy();
    let (Some(document), Some(rates)) = (&economy.tenants, agent.budgets().tenant_rates()) else {
        return Vec::new();
    };
    let all = rates.by_tenant.values().map(|it| it.rps).sum::<f64>() + rates.others_rps;
    let mut tenants: Vec<TenantSpend> = rates
        .by_tenant
        .iter()
        .map(|(tenant, it)| {
            let terms = document.of(tenant);
            TenantSpend {
                tenant: tenant.clone(),
                value: terms.value,
                rps: it.rps,
                share_ratio: if 0.0 < all { it.rps / all } else { 0.0 },
                quota_rps: terms.quota_rps,
                is_over_quota: rates.over_quota.iter().any(|over| over.tenant == *tenant),
                per_hour: it.per_hour,
            }
        })
        .collect();
    tenants.sort_by(|a, b| b.per_hour.total_cmp(&a.per_hour).then_with(|| a.tenant.cmp(&b.tenant)));
    tenants
}

fn notes(agent: &Agent, rates: &SpendRates) -> Vec<String> {
    let mut notes: Vec<String> = rates.gaps.iter().map(gap).collect();
    if !rates.unpriced.is_empty() {
        let names: Vec<String> = rates.unpriced.iter().take(5).map(ToString::to_string).collect();
        let more = if 5 < rates.unpriced.len() { " and more" } else { "" };
        notes.push(format!(
            "{} targets have no price and count as 0: {}{more}",
            rates.unpriced.len(),
            names.join(", ")
        ));
    }
    if let Some(tenants) = agent.budgets().tenant_rates().filter(|it| 0 < it.n_others) {
        notes.push(format!(
            "{} series of tenants are metered as one sum of {:.1} requests/s; raise \
             `tracked_max` to tell more of them apart",
            tenants.n_others, tenants.others_rps
        ));
    }
    if NOTES_MAX < notes.len() {
        let n_more = notes.len() - NOTES_MAX;
        notes.truncate(NOTES_MAX);
        notes.push(format!("and {n_more} more"));
    }
    notes
}

/// Whether a drill that spends so much of an error budget would be admitted now: what
/// is left must hold it, and no threshold may block drills. What is not known holds nothing.
pub fn fits(agent: &Agent, request: &FitsRequest) -> FitsAnswer {
    let documents = agent.documents();
    let FitsRequest { slo: id, spends_ratio } = request;
    let refused = |budget_left, why| FitsAnswer { fits: false, budget_left, why };
    let Some(slo) = documents.slo(id) else {
        return refused(None, format!("there is no SLO `{id}`"));
    };
    if !(spends_ratio.is_finite() && 0.0 < *spends_ratio && *spends_ratio <= 1.0) {
        return refused(None, format!("`spends_ratio` is {spends_ratio}, from above 0 to 1"));
    }
    let standing = agent.budgets().standing(id);
    let judged = standing.into_iter().flat_map(|it| it.judged());
    // The tightest objective decides.
    let lefts: Vec<Option<f64>> = judged.map(|it| it.budget_left).collect();
    let Some(left) =
        lefts.iter().copied().try_fold(f64::INFINITY, |least, it| Some(least.min(it?)))
    else {
        return refused(None, "what is left of the budget is not known".to_owned());
    };
    if !left.is_finite() {
        return refused(None, "the SLO was not measured yet".to_owned());
    }
    if let Some((_, alert)) = agent.state().budgets().alerts_of(id).next() {
        let what = if alert.is_firing { "burns" } else { "has no data" };
        return refused(Some(left), format!("the SLO {what}: {}", alert.why));
    }
    let spends = |budget: &Budget| match &budget.of {
        BudgetOf::Errors { slo, .. } => slo == id,
        BudgetOf::Spend { scope, .. } => match scope {
            BudgetScope::Everything | BudgetScope::Region(_) => true,
            BudgetScope::Service(service) => *service == slo.service,
            BudgetScope::Tenant(_) => false,
        },
    };
    let blocked = agent.state().budgets().all_crossed().find(|(budget, _, it)| {
        it.then.contains(&Consequence::BlockDrills) && documents.budget(budget).is_some_and(spends)
    });
    if let Some((budget, threshold, it)) = blocked {
        return refused(
            Some(left),
            format!("budget {budget} ({threshold}) blocks drills: {}", it.why),
        );
    }
    let (needs, has) = (spends_ratio * 100.0, left * 100.0);
    if left < *spends_ratio {
        let why = format!("it would spend {needs:.1} % of the budget, {has:.1} % is left");
        return refused(Some(left), why);
    }
    let why = format!("it spends {needs:.1} % of the budget, {has:.1} % is left");
    FitsAnswer { fits: true, budget_left: Some(left), why }
}
