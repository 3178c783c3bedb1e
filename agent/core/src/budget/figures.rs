//! The numbers of one budget: how much is spent, how fast it burns, when it is gone.
//!
//! **In:** what is counted, a budget's document.
//! **Out:** [`Figures`], and whether a threshold is crossed, with the reason in numbers.
//! **Not here:** counting ([`super::sight`]), what follows ([`super::watch`]).

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::budget::exhaustion::Exhaustion;
use crate::budget::memory::Usual;
use crate::budget::sight::{BudgetSight, ExhaustionKey};
use crate::documents::{Budget, BudgetOf, BudgetScope, Crossing, Documents, Quantile};
use crate::slo::standing::Standing;
use crate::slo::window::Period;
use crate::spend::burn::cost_burn_rate;
use crate::spend::runaway::{ELASTICITY_MIN, Verdict};
use crate::units::show_duration;

/// The numbers of one budget at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Its period.
    pub period: Period,
    /// How much may be spent: money, or bad events at the traffic so far.
    pub allowance: f64,
    /// How much was.
    pub spent: f64,
    /// The share; `None` when nothing may be spent yet.
    pub spent_ratio: Option<f64>,
    /// Money per hour now; `None` for errors.
    pub per_hour: Option<f64>,
    /// When it is spent.
    pub exhaustion: Option<Exhaustion>,
    /// Whether some of it is estimated.
    pub is_estimated: bool,
}

/// A budget with what is counted for it.
#[derive(Clone, Copy)]
pub(crate) struct Reckoning<'a> {
    pub(crate) now: Timestamp,
    pub(crate) documents: &'a Documents,
    pub(crate) sight: &'a BudgetSight,
    pub(crate) budget: &'a Budget,
}

impl<'a> Reckoning<'a> {
    /// The standing of the objective that an error budget is of, and its place.
    fn objective(&self) -> Option<(usize, &'a Standing)> {
        let BudgetOf::Errors { slo, objective } = &self.budget.of else { return None };
        let standing = self.sight.standing(slo)?;
        match (objective, &standing.composite) {
            (None, Some(composite)) => Some((0, composite)),
            (None, None) => standing.objectives.first().map(|it| (0, it)),
            (Some(name), _) => {
                standing.objectives.iter().enumerate().find(|(_, it)| it.objective == *name)
            }
        }
    }

    /// The numbers; `None` before anything was counted.
    pub(crate) fn figures(&self) -> Option<Figures> {
        match &self.budget.of {
            BudgetOf::Spend { scope, amount, window } => {
                let spent = self.sight.spend.spent(&self.budget.id)?;
                let (allowance, spent) = (amount.amount(), spent.amount());
                let hours = self.sight.spend.estimated_hours(&self.budget.id);
                Some(Figures {
                    period: window.period(self.now),
                    allowance,
                    spent,
                    spent_ratio: Some(spent / allowance),
                    per_hour: self.per_hour(scope),
                    exhaustion: self.exhaustion(),
                    is_estimated: hours.is_some_and(|it| 0.0 < it),
                })
            }
            BudgetOf::Errors { slo, .. } => {
                let (_, standing) = self.objective()?;
                let document = self.documents.slo(slo)?;
                Some(Figures {
                    period: document.window.period(self.now),
                    allowance: standing.spent.total * (1.0 - standing.target),
                    spent: standing.spent.bad,
                    spent_ratio: standing.budget_left.map(|it| 1.0 - it),
                    per_hour: None,
                    exhaustion: self.exhaustion(),
                    is_estimated: false,
                })
            }
        }
    }

    fn per_hour(&self, scope: &BudgetScope) -> Option<f64> {
        let rates = self.sight.rates()?;
        match scope {
            BudgetScope::Everything => Some(rates.total_per_hour),
            BudgetScope::Region(it) => rates.by_region.get(it).copied(),
            BudgetScope::Service(it) => rates.by_service.get(it).copied(),
            BudgetScope::Tenant(it) => {
                self.sight.tenant_rates()?.by_tenant.get(it).map(|it| it.per_hour)
            }
        }
    }

    /// The burn rate over a window; `None` when it is not known. May be infinite.
    pub(crate) fn burn_rate(&self, lookback: SignedDuration) -> Option<f64> {
        match &self.budget.of {
            BudgetOf::Spend { scope, amount, window } => {
                let spent = self.sight.spend.spent(&self.budget.id)?;
                let mean = self.sight.spend.window(scope, lookback)?;
                Some(cost_burn_rate(window, self.now, *amount, spent, mean.per_hour))
            }
            BudgetOf::Errors { slo, .. } => {
                let (nth, standing) = self.objective()?;
                let shown = standing.burn_rates.iter().find(|it| it.lookback == lookback);
                if let Some(shown) = shown {
                    return shown.burn_rate;
                }
                let meter = self.sight.meters(slo)?.meter(nth)?;
                let window = meter.window(self.now, lookback);
                crate::slo::alert::window_burn_rate(window, 1.0 - standing.target)
            }
        }
    }

    fn exhaustion(&self) -> Option<Exhaustion> {
        match &self.budget.of {
            BudgetOf::Spend { .. } => {
                self.sight.exhaustion(&ExhaustionKey::Spend(self.budget.id.clone()))
            }
            BudgetOf::Errors { slo, .. } => {
                let (nth, _) = self.objective()?;
                self.sight.exhaustion(&ExhaustionKey::Objective(slo.clone(), nth))
            }
        }
    }

    /// Whether spend runs away by more than `growth`; `None` for errors.
    pub(crate) fn runaway(&self, growth: f64) -> Option<Verdict> {
        match &self.budget.of {
            // A forecast that follows an attacker would excuse him, so none is asked.
            BudgetOf::Spend { scope, .. } => Some(self.sight.spend.runaway(scope, growth, None)),
            BudgetOf::Errors { .. } => None,
        }
    }

    fn latest(&self) -> Option<(f64, Option<f64>)> {
        match &self.budget.of {
            BudgetOf::Spend { scope, .. } => self.sight.spend.latest(scope),
            BudgetOf::Errors { .. } => None,
        }
    }

    /// What was usual before the runaway that there is now; `None` without one.
    pub(crate) fn usual_before(&self, crossing: &Crossing) -> Option<Usual> {
        let Crossing::Runaway { growth } = crossing else { return None };
        let Verdict::Runaway { spend_growth, good_growth } = self.runaway(*growth)? else {
            return None;
        };
        let (spend, good) = self.latest()?;
        let good_rps = good.map(|it| it / good_growth).filter(|it| 0.0 < *it && it.is_finite());
        Some(Usual { spend_per_hour: spend / spend_growth, good_rps })
    }

    /// Whether a threshold is crossed, with the numbers. `None`: it cannot be told, so it is
    /// neither crossed nor cleared.
    ///
    /// `usual` is what was usual before a runaway that is crossed already: after some hours it
    /// would itself be the usual, and is still no less of one.
    pub(crate) fn crossing(
        &self,
        crossing: &Crossing,
        usual: Option<Usual>,
    ) -> Option<(bool, String)> {
        match crossing {
            Crossing::SpentRatio(limit) => {
                let ratio = self.figures()?.spent_ratio?;
                let (spent, of) = (ratio * 100.0, limit * 100.0);
                Some((*limit <= ratio, format!("{spent:.1} % is spent, the limit is {of:.0} %")))
            }
            Crossing::BurnRate { above, long, short } => {
                let (over_long, over_short) = (self.burn_rate(*long)?, self.burn_rate(*short)?);
                let why = format!(
                    "burns {} over {} and {} over {}, the limit is {above}x",
                    Times(over_long),
                    show_duration(*long),
                    Times(over_short),
                    show_duration(*short)
                );
                Some((*above < over_long && *above < over_short, why))
            }
            Crossing::ExhaustsWithin { within, quantile } => {
                let exhaustion = self.exhaustion()?;
                let at = match quantile {
                    Quantile::P10 => exhaustion.p10,
                    Quantile::P50 => exhaustion.p50,
                    Quantile::P90 => exhaustion.p90,
                };
                let limit = show_duration(*within);
                Some(match at {
                    Some(at) => {
                        let left = at.duration_since(self.now);
                        let minutes = SignedDuration::from_mins(left.as_mins());
                        let why = format!(
                            "spent in {} ({}), the limit is {limit}",
                            show_duration(minutes.max(SignedDuration::ZERO)),
                            name(*quantile)
                        );
                        (left <= *within, why)
                    }
                    None => (false, format!("not spent before {:.0}", exhaustion.until)),
                })
            }
            Crossing::Runaway { growth } if usual.is_some() => {
                let usual = usual?;
                let (spend, good) = self.latest()?;
                let spend_growth = spend / usual.spend_per_hour;
                let good_growth = good.zip(usual.good_rps).map_or(1.0, |(now, then)| now / then);
                let buys = ELASTICITY_MIN * spend_growth.ln() <= good_growth.ln();
                let why = format!(
                    "spend is {spend_growth:.1} times what was usual before, good requests \
                     {good_growth:.1} times; the limit is {growth} times"
                );
                Some((*growth < spend_growth && !buys, why))
            }
            Crossing::Runaway { growth } => match self.runaway(*growth)? {
                Verdict::Runaway { spend_growth, good_growth } => Some((
                    true,
                    format!(
                        "spend is {spend_growth:.1} times the usual, good requests \
                         {good_growth:.1} times; the limit is {growth} times"
                    ),
                )),
                Verdict::Normal => Some((false, "spend is as usual, or buys something".to_owned())),
                Verdict::Unknown(_) => None,
            },
        }
    }
}

fn name(quantile: Quantile) -> &'static str {
    match quantile {
        Quantile::P10 => "p10",
        Quantile::P50 => "p50",
        Quantile::P90 => "p90",
    }
}

/// A burn rate as people write it: `14.4x`.
pub(crate) struct Times(pub(crate) f64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:.1}x", self.0) } else { f.write_str("endlessly") }
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crossing::SpentRatio(limit) => write!(f, "{:.0} % is spent", limit * 100.0),
            Crossing::BurnRate { above, long, short } => write!(
                f,
                "burns above {above}x over {} and {}",
                show_duration(*long),
                show_duration(*short)
            ),
            Crossing::ExhaustsWithin { within, quantile } => {
                write!(f, "spent within {} ({})", show_duration(*within), name(*quantile))
            }
            Crossing::Runaway { growth } => {
                write!(f, "spend grows {growth} times and good requests do not")
            }
        }
    }
}
