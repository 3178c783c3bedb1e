//! Demands about money and SLOs: a runaway is contained, tenants do not starve each other,
//! somebody is paged in time.
//!
//! **In:** the truth of every second, and alerts. **Out:** what is not met, in words.
//! **Not here:** all other demands ([`super`]).

use evenkeel_core::documents::BudgetOf;
use evenkeel_core::ids::BudgetId;

use super::{Verdict, Violations};
use crate::expectation::{Must, MustNot, Span};
use crate::scenario::region::RegionScenario;
use crate::world::{TenantSums, World};

/// The score of one demand.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Of a [`Must::ContainedWithin`].
    Contained(Contained),
    /// Of a [`Must::TenantGoodRatio`].
    Tenant { service: usize, tenant: usize, span: Span, begin: TenantSums, end: TenantSums },
    /// When an alert of the SLO paged first.
    Paged { slo: String, since: i64, at: Option<i64> },
    /// Some other demand's.
    Elsewhere,
}

/// How a runaway was contained.
#[derive(Clone, Debug)]
pub(super) struct Contained {
    service: usize,
    /// When the first fault began and the last was over.
    from: i64,
    until: i64,
    /// How long it may grow.
    within: i64,
    /// When the first unit was asked for beyond what there was: before that, nothing runs away.
    began: Option<i64>,
    /// The amount of the budget; `None` where no such budget is known.
    amount: Option<f64>,
    /// Units at the beginning, and the most until it may grow no more.
    before: u32,
    most: u32,
    /// When more were asked for after that, and how many.
    grew: Option<(i64, u32)>,
    /// What units beyond `before` cost while it may grow.
    excess: f64,
}

impl Kept {
    pub(super) fn of(must: &Must, scenario: &RegionScenario) -> Kept {
        let from = scenario.faults.iter().map(|it| it.from).min().unwrap_or_default();
        match must {
            Must::ContainedWithin { service, seconds, budget, .. } => Kept::Contained(Contained {
                service: *service,
                from,
                within: *seconds,
                began: None,
                until: scenario.faults.iter().map(|it| it.until).max().unwrap_or_default(),
                amount: amount_of(scenario, budget),
                before: 0,
                most: 0,
                grew: None,
                excess: 0.0,
            }),
            Must::TenantGoodRatio { service, tenant, span, .. } => Kept::Tenant {
                service: *service,
                tenant: *tenant,
                span: *span,
                begin: TenantSums::default(),
                end: TenantSums::default(),
            },
            Must::SloPageWithin { slo, .. } => {
                Kept::Paged { slo: slo.clone(), since: from, at: None }
            }
            Must::RecoverWithin { .. }
            | Must::GoodRatio { .. }
            | Must::ReadyAtLeast { .. }
            | Must::CostRatioAtMost { .. }
            | Must::PageWithin { .. }
            | Must::DetectedWithin { .. }
            | Must::HealedByPlaybook { .. } => Kept::Elsewhere,
        }
    }

    /// A second passed.
    pub(super) fn tick(&mut self, at: i64, world: &World) {
        match self {
            Kept::Contained(it) => it.tick(at, world),
            Kept::Tenant { service, tenant, span, begin, end } => {
                let sums = world.tenant_sums(*service, *tenant);
                // The second that just passed belongs to the span that it is the first of.
                if at + 1 == span.from {
                    *begin = sums;
                }
                if span.has(at) {
                    *end = sums;
                }
            }
            Kept::Paged { .. } | Kept::Elsewhere => (),
        }
    }

    /// An alert of an SLO pages somebody.
    pub(super) fn paged(&mut self, now: i64, paging: &str) {
        if let Kept::Paged { slo, since, at } = self
            && slo == paging
            && *since <= now
        {
            *at = at.or(Some(now));
        }
    }

    /// What is not met.
    pub(super) fn end(&self, must: &Must, name: &str) -> Option<String> {
        match (self, must) {
            (Kept::Contained(it), Must::ContainedWithin { budget, spent_ratio_max, .. }) => {
                it.end(name, budget, *spent_ratio_max)
            }
            (Kept::Tenant { begin, end, .. }, Must::TenantGoodRatio { min, .. }) => {
                let offered = end.offered - begin.offered;
                let ratio = (end.good - begin.good) / offered;
                (0.0 < offered && ratio < *min).then(|| {
                    format!("`{name}`: {ratio:.5} of a tenant's requests were good, at least {min}")
                })
            }
            (Kept::Paged { since, at, .. }, Must::SloPageWithin { slo, seconds }) => {
                match at.map(|it| it - since) {
                    Some(after) if after <= *seconds => None,
                    Some(after) => {
                        Some(format!("SLO `{slo}` paged after {after} s, at most {seconds}"))
                    }
                    None => Some(format!("SLO `{slo}` paged nobody")),
                }
            }
            (_, _) => None,
        }
    }
}

impl Verdict {
    /// An alert of an SLO begins to fire, and pages somebody or not.
    pub(in crate::run) fn slo_alert(
        &mut self,
        at: i64,
        unix: i64,
        (slo, is_page): (&str, bool),
        what: &str,
        violations: &mut Violations,
    ) {
        if is_page {
            for kept in &mut self.kept {
                kept.paged(at, slo);
            }
        }
        for (must_not, told) in self.must_not.iter().zip(&mut self.told) {
            let is_about = matches!(must_not, MustNot::SloAlerts { slo: it, span }
                if it == slo && span.has(at));
            if is_about && !std::mem::replace(told, true) {
                violations.push(unix, "must_not: slo_alerts", what.to_owned());
            }
        }
    }

    /// A budget had an effect on a service.
    pub(in crate::run) fn touched(
        &mut self,
        at: i64,
        unix: i64,
        service: usize,
        what: &str,
        violations: &mut Violations,
    ) {
        for (must_not, told) in self.must_not.iter().zip(&mut self.told) {
            let is_about = matches!(must_not, MustNot::Touch { service: it } if *it == service);
            if is_about && 0 <= at && !std::mem::replace(told, true) {
                let service = self.names.get(service).map_or("", String::as_str);
                violations.push(unix, "must_not: touch", format!("`{service}`: {what}"));
            }
        }
    }
}

/// How much a budget of money may spend.
fn amount_of(scenario: &RegionScenario, budget: &str) -> Option<f64> {
    let documents = scenario.documents.as_ref()?;
    match &documents.budget(&BudgetId::new(budget).ok()?)?.of {
        BudgetOf::Spend { amount, .. } => Some(amount.amount()),
        BudgetOf::Errors { .. } => None,
    }
}

impl Contained {
    fn tick(&mut self, at: i64, world: &World) {
        if at < self.from || self.until <= at {
            return;
        }
        let truth = world.truth(self.service);
        if at == self.from {
            self.before = truth.desired;
        }
        if self.before < truth.desired {
            self.began.get_or_insert(at);
        }
        if self.began.is_none_or(|began| at < began + self.within) {
            self.most = self.most.max(truth.desired);
            let spec = world.spec().services.get(self.service);
            let price = spec.map_or(0.0, |it| it.unit_usd_per_hour) / 3_600.0;
            self.excess += f64::from(truth.current.saturating_sub(self.before)) * price;
        } else if self.most < truth.desired {
            let after = self.began.map_or(0, |began| at - began);
            self.grew = self.grew.or(Some((after, truth.desired)));
        }
    }

    fn end(&self, name: &str, budget: &str, spent_ratio_max: f64) -> Option<String> {
        let most = self.most;
        if let Some((after, units)) = self.grew {
            return Some(format!(
                "`{name}`: {units} units were asked for after {after} s, {most} until {} s",
                self.within
            ));
        }
        let Some(amount) = self.amount else {
            return Some(format!("there is no budget of money `{budget}`"));
        };
        let (excess, ratio) = (self.excess, self.excess / amount);
        (spent_ratio_max < ratio).then(|| {
            format!("`{name}`: {excess:.2} in excess are {ratio:.5} of `{budget}`, at most {spent_ratio_max}")
        })
    }
}
