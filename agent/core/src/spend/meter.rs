//! Sums of money over time: by scope, by budget, by day.
//!
//! **In:** rates, one after the other.
//! **Out:** what was spent in any lookback, in a budget's window, on a day.
//! **Not here:** rates ([`super::rate`]), how fast a budget burns ([`super::burn`]), the bill
//! ([`super::reconcile`]).
//!
//! A rate holds until the next one is observed, however long that takes; what was metered is
//! never priced anew.

pub(super) mod days;
mod scope;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use days::{DAYS_KEPT, DaySum, Days};

use super::cost::{CostPoint, NoCost, marginal_cost, unit_cost};
use super::money::Money;
use super::rate::SpendRates;
use super::runaway::{Past, Verdict, runaway};
use super::tenants::TenantRates;
use super::{CARRIED_FOR, RateAt, is_amount};
use crate::documents::{Budget, BudgetOf, BudgetScope};
use crate::ids::{BudgetId, ServiceName};
use crate::slo::ledger::{DatedBucket, Ledger};
use crate::slo::ring::{SlotNumber, slots_in};
use crate::slo::window::Window;
use crate::slo::{Counts, LOOKBACK_MAX, SLOT};
use scope::{Grain, ScopeMeter};

/// The longest time between two observations in which good requests are taken to have gone on
/// as they were. Why 90 s: one reading may fail; after that they are unknown.
const GOOD_HOLDS: SignedDuration = SignedDuration::from_secs(90);

/// A longer time between two observations is a gap: what was spent in it is estimated. Why
/// 2 min: three readings in a row are missing then.
const GAP: SignedDuration = SignedDuration::from_mins(2);

/// Most scopes with meters; beyond, those that were not used for longest are forgotten. Why
/// 4,096: every tenant and service that documents may track, and twice that over three days.
pub const SCOPES_MAX: usize = 4_096;

/// Most estimated stretches that are remembered; beyond, the two oldest become one.
const STRETCHES_MAX: usize = 512;

/// Most pieces that a gap is cut into for ledgers and days. Why 10,000: a gap of a day is
/// exact to the slot; a longer one, which is estimated anyway, to the ten-thousandth part.
const PIECES_MAX: i64 = 10_000;

/// What the last observation said, which holds until the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    rates: Vec<(BudgetScope, f64)>,
    unallocated_per_hour: f64,
    is_estimated: bool,
    /// Whether tenants beyond those named here cost something.
    has_other_tenants: bool,
}

/// What survives a restart: ledgers, days, and the last rates. Windows and runaways begin
/// anew; what was spent does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpendMemory {
    at: Option<Timestamp>,
    held: Held,
    ledgers: Vec<RememberedLedger>,
    days: Days,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RememberedLedger {
    budget: BudgetId,
    scope: BudgetScope,
    window: String,
    ledger: Ledger,
    estimated_seconds: f64,
}

/// What was spent in some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpendWindow {
    /// How much.
    pub amount: f64,
    /// In how many hours; fewer than asked for where the meter is younger.
    pub hours: f64,
    /// The mean rate.
    pub per_hour: f64,
    /// Whether a part of it is estimated: a value was carried, or nothing was observed.
    pub is_estimated: bool,
}

/// Meters of all scopes and budgets.
#[derive(Clone, Debug, Default)]
pub struct SpendMeters {
    /// Until when everything is metered.
    at: Option<Timestamp>,
    held: Held,
    scopes: BTreeMap<BudgetScope, ScopeMeter>,
    ledgers: BTreeMap<BudgetId, BudgetLedger>,
    recalled: Vec<RememberedLedger>,
    days: Days,
    estimated: VecDeque<(SlotNumber, SlotNumber)>,
    good_seen: BTreeMap<ServiceName, RateAt>,
}

#[derive(Clone, Debug)]
struct BudgetLedger {
    scope: BudgetScope,
    window: Window,
    ledger: Ledger,
    estimated_seconds: f64,
}

impl SpendMeters {
    /// Meters that go on where `memory` ends. Call [`SpendMeters::set_budgets`] next.
    pub fn recall(memory: SpendMemory) -> SpendMeters {
        SpendMeters {
            at: memory.at,
            held: memory.held,
            recalled: memory.ledgers,
            days: memory.days,
            ..SpendMeters::default()
        }
    }

    /// What must be kept for [`SpendMeters::recall`].
    pub fn memory(&self) -> SpendMemory {
        let ledgers = self.ledgers.iter().map(|(budget, it)| RememberedLedger {
            budget: budget.clone(),
            scope: it.scope.clone(),
            window: identity(&it.window),
            ledger: it.ledger.clone(),
            estimated_seconds: it.estimated_seconds,
        });
        SpendMemory {
            at: self.at,
            held: self.held.clone(),
            ledgers: ledgers.chain(self.recalled.iter().cloned()).collect(),
            days: self.days.clone(),
        }
    }

    /// The budgets there are from now on; those of errors are skipped. One with the same name,
    /// scope and window goes on, whatever its amount is now. A new one begins with what the
    /// meter of its scope remembers: up to 3 days, and no more.
    pub fn set_budgets<'a>(&mut self, budgets: impl IntoIterator<Item = &'a Budget>) {
        let mut before = std::mem::take(&mut self.ledgers);
        let recalled = std::mem::take(&mut self.recalled);
        for budget in budgets {
            let BudgetOf::Spend { scope, window, .. } = &budget.of else { continue };
            let same = |it: &BudgetLedger| it.scope == *scope && it.window == *window;
            let recalled = recalled.iter().find(|it| {
                it.budget == budget.id && it.scope == *scope && it.window == identity(window)
            });
            let ledger = match (before.remove(&budget.id).filter(same), recalled) {
                (Some(ledger), _) => ledger,
                (None, Some(it)) => BudgetLedger {
                    scope: scope.clone(),
                    window: window.clone(),
                    ledger: it.ledger.clone(),
                    estimated_seconds: it.estimated_seconds,
                },
                (None, None) => self.ledger_from_meter(scope, window),
            };
            self.ledgers.insert(budget.id.clone(), ledger);
            if let BudgetScope::Tenant(_) = scope {
                // A tenant with a budget is metered as finely as everything else.
                let coarse = |it: &ScopeMeter| it.grain() == Grain::FiveMinutes;
                if self.scopes.get(scope).is_none_or(coarse) {
                    self.scopes.insert(scope.clone(), ScopeMeter::of(Grain::Slot));
                }
            }
        }
    }

    fn ledger_from_meter(&self, scope: &BudgetScope, window: &Window) -> BudgetLedger {
        let mut ledger = Ledger::default();
        for it in self.recent(scope, LOOKBACK_MAX) {
            let seconds = it.bucket.observed_seconds;
            ledger.add(window, it.period.until, it.bucket.counts, seconds);
        }
        let window = window.clone();
        BudgetLedger { scope: scope.clone(), window, ledger, estimated_seconds: 0.0 }
    }

    /// Takes in what is being spent at `now`: from the last observation until now, what was
    /// said then is spent. `good` are good requests per second, where they are known.
    ///
    /// A clock that went back adds nothing until it is where it was; the new rates hold from
    /// then on.
    pub fn observe(
        &mut self,
        now: Timestamp,
        rates: &SpendRates,
        tenants: Option<&TenantRates>,
        good: &BTreeMap<ServiceName, f64>,
    ) {
        let held = hold(rates, tenants);
        if let Some(from) = self.at.filter(|it| *it < now) {
            self.spend(from, now);
        }
        self.at = self.at.max(Some(now));
        for (scope, _) in &held.rates {
            if !self.scopes.contains_key(scope) {
                let grain = match scope {
                    BudgetScope::Tenant(_) => Grain::FiveMinutes,
                    BudgetScope::Everything | BudgetScope::Region(_) | BudgetScope::Service(_) => {
                        Grain::Slot
                    }
                };
                self.scopes.insert(scope.clone(), ScopeMeter::of(grain));
            }
        }
        self.held = held;
        self.note_good(now, rates, good);
        self.forget(now);
    }

    /// Meters what is held over a stretch of time.
    fn spend(&mut self, from: Timestamp, now: Timestamp) {
        let elapsed = now.duration_since(from);
        let is_estimated = self.held.is_estimated || GAP < elapsed;
        if is_estimated {
            self.note_estimated(from, now);
        }
        let held: BTreeMap<&BudgetScope, f64> =
            self.held.rates.iter().map(|(scope, rate)| (scope, *rate)).collect();
        let rate_of = |scope: &BudgetScope| match (held.get(scope), scope) {
            (Some(rate), _) => Some(*rate),
            // It may be one of the others: what it spends is not known.
            (None, BudgetScope::Tenant(_)) if self.held.has_other_tenants => None,
            (None, _) => Some(0.0),
        };
        for (scope, meter) in &mut self.scopes {
            if let Some(rate) = rate_of(scope) {
                meter.spend(from, now, rate, held.contains_key(scope));
            }
            meter.hold_good(from, now, elapsed <= GOOD_HOLDS);
        }
        for it in self.ledgers.values_mut() {
            let Some(rate) = rate_of(&it.scope) else { continue };
            if is_estimated {
                it.estimated_seconds += elapsed.as_secs_f64();
            }
            for (until, seconds) in pieces(from, now) {
                let hours = seconds / 3600.0;
                let counts = Counts { bad: rate * hours, total: hours };
                it.ledger.add(&it.window, until, counts, seconds);
            }
            it.ledger.roll(&it.window, now);
        }
        let services = self.held.rates.iter().filter_map(|(scope, rate)| match scope {
            BudgetScope::Service(service) => Some((service, *rate)),
            BudgetScope::Everything | BudgetScope::Region(_) | BudgetScope::Tenant(_) => None,
        });
        self.days.spend(from, now, services, self.held.unallocated_per_hour);
    }

    fn note_good(&mut self, now: Timestamp, rates: &SpendRates, good: &BTreeMap<ServiceName, f64>) {
        for (service, rps) in good.iter().filter(|(_, it)| is_amount(**it)) {
            if rates.by_service.contains_key(service) {
                self.good_seen.insert(service.clone(), RateAt { at: now, per_hour: *rps });
            }
        }
        self.good_seen.retain(|_, it| {
            it.at = it.at.min(now);
            now.duration_since(it.at) <= CARRIED_FOR
        });
        let seen = &self.good_seen;
        // Without one of the services that were there of late, a sum would seem to fall.
        let sum = |services: &mut dyn Iterator<Item = &ServiceName>| {
            let mut sum = None;
            for it in services.filter_map(|it| seen.get(it)) {
                if it.at != now {
                    return None;
                }
                sum = Some(sum.unwrap_or(0.0) + it.per_hour);
            }
            sum
        };
        for (scope, meter) in &mut self.scopes {
            let rps = match scope {
                BudgetScope::Everything => sum(&mut seen.keys()),
                BudgetScope::Region(it) => {
                    sum(&mut rates.services_in.get(it).into_iter().flatten())
                }
                BudgetScope::Service(it) => sum(&mut std::iter::once(it)),
                BudgetScope::Tenant(_) => None,
            };
            meter.set_good(rps);
        }
    }

    fn note_estimated(&mut self, from: Timestamp, now: Timestamp) {
        let (first, last) = (SlotNumber(SlotNumber::over_at(from).0 + 1), SlotNumber::over_at(now));
        match self.estimated.back_mut() {
            Some(it) if first.0 <= it.1.0 + 1 => it.1 = it.1.max(last),
            _ => self.estimated.push_back((first, last)),
        }
        if STRETCHES_MAX < self.estimated.len()
            && let Some(oldest) = self.estimated.pop_front()
            && let Some(next) = self.estimated.front_mut()
        {
            next.0 = oldest.0;
        }
        let oldest = last.back(slots_in(LOOKBACK_MAX));
        self.estimated.retain(|it| oldest <= it.1);
    }

    fn forget(&mut self, now: Timestamp) {
        let kept: Vec<&BudgetScope> = self.ledgers.values().map(|it| &it.scope).collect();
        let held: std::collections::BTreeSet<&BudgetScope> =
            self.held.rates.iter().map(|it| &it.0).collect();
        let is_kept = |it: &BudgetScope| held.contains(it) || kept.contains(&it);
        self.scopes.retain(|scope, meter| is_kept(scope) || meter.is_used(now));
        if self.scopes.len() <= SCOPES_MAX {
            return;
        }
        let mut unused: Vec<(Option<Timestamp>, BudgetScope)> = self
            .scopes
            .iter()
            .filter(|(it, _)| !is_kept(it))
            .map(|(scope, meter)| (meter.used_at(), scope.clone()))
            .collect();
        unused.sort();
        for (_, scope) in unused.iter().take(self.scopes.len() - SCOPES_MAX) {
            self.scopes.remove(scope);
        }
    }

    /// Until when everything is metered: the last observation.
    pub fn metered_until(&self) -> Option<Timestamp> {
        self.at
    }

    /// The scopes that have meters.
    pub fn scopes(&self) -> impl Iterator<Item = &BudgetScope> {
        self.scopes.keys()
    }

    /// What a scope spent in the last whole slots of `lookback`, which is at most 3 days.
    /// `None` when nothing was metered in it.
    pub fn window(&self, scope: &BudgetScope, lookback: SignedDuration) -> Option<SpendWindow> {
        let last = SlotNumber::over_at(self.at?);
        let n_slots = slots_in(lookback);
        let counts = self.scopes.get(scope)?.window(last, n_slots);
        let first = last.back(n_slots);
        let is_estimated = self.estimated.iter().any(|it| it.0 <= last && first < it.1);
        (0.0 < counts.total).then(|| SpendWindow {
            amount: counts.bad,
            hours: counts.total,
            per_hour: counts.bad / counts.total,
            is_estimated,
        })
    }

    /// What was spent of a budget in its window; `None` for a budget that is not metered.
    pub fn spent(&self, budget: &BudgetId) -> Option<Money> {
        self.ledgers.get(budget).map(|it| Money::of(it.ledger.sums().counts.bad))
    }

    /// How many hours of the spent sum were estimated, since the budget is metered.
    pub fn estimated_hours(&self, budget: &BudgetId) -> Option<f64> {
        self.ledgers.get(budget).map(|it| it.estimated_seconds / 3600.0)
    }

    /// What was spent of a budget, oldest first: `bad` is the amount, `total` the hours.
    pub fn ledger(&self, budget: &BudgetId) -> Vec<DatedBucket> {
        self.ledgers.get(budget).map(|it| it.ledger.buckets().collect()).unwrap_or_default()
    }

    /// The same numbers of a scope by 5 minutes, oldest first, for at most 3 days.
    pub fn recent(&self, scope: &BudgetScope, lookback: SignedDuration) -> Vec<DatedBucket> {
        match (self.scopes.get(scope), self.at) {
            (Some(meter), Some(at)) => meter.recent(SlotNumber::over_at(at), slots_in(lookback)),
            _ => Vec::new(),
        }
    }

    /// Sums by service and day, for [`super::reconcile`].
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// Money per 1,000 good requests over `lookback`, of the slots in which both are known.
    ///
    /// # Errors
    ///
    /// [`NoCost::NoGoodRequests`]; always for a tenant, whose good requests are not known.
    pub fn unit_cost(&self, scope: &BudgetScope, lookback: SignedDuration) -> Result<f64, NoCost> {
        let (mut amount, mut good) = (0.0, 0.0);
        for it in self.slots(scope, slots_in(lookback)) {
            if let (Some(spend), Some(rps)) = it {
                amount += spend * SLOT.as_secs_f64() / 3600.0;
                good += rps * SLOT.as_secs_f64();
            }
        }
        unit_cost(amount, good)
    }

    /// Money per 1,000 good requests more, from the last 6 hours by 5 minutes.
    ///
    /// # Errors
    ///
    /// As [`marginal_cost`].
    pub fn marginal_cost(&self, scope: &BudgetScope) -> Result<f64, NoCost> {
        let slots = self.slots(scope, slots_in(SignedDuration::from_hours(6)));
        let points = slots.chunks(Grain::FiveMinutes.slots()).filter_map(|it| {
            let both: Vec<(f64, f64)> = it.iter().filter_map(|it| it.0.zip(it.1)).collect();
            let n = f64::from(u16::try_from(both.len()).ok()?);
            (both.len() == Grain::FiveMinutes.slots()).then(|| CostPoint {
                per_hour: both.iter().map(|it| it.0).sum::<f64>() / n,
                good_rps: both.iter().map(|it| it.1).sum::<f64>() / n,
            })
        });
        marginal_cost(&points.collect::<Vec<_>>())
    }

    /// Money per hour and good requests per second now: the means of the last two slots.
    pub fn latest(&self, scope: &BudgetScope) -> Option<(f64, Option<f64>)> {
        let slots = self.slots(scope, 2);
        let mean = |values: Vec<f64>| {
            let n = u32::try_from(values.len()).ok().filter(|it| 0 < *it)?;
            Some(values.iter().sum::<f64>() / f64::from(n))
        };
        let spend = mean(slots.iter().filter_map(|it| it.0).collect())?;
        Some((spend, mean(slots.iter().filter_map(|it| it.1).collect())))
    }

    /// Whether spend has grown by `growth` and good requests have not; `expected_per_hour` is
    /// what the forecast's load would cost, where there is one. See [`runaway`].
    pub fn runaway(
        &self,
        scope: &BudgetScope,
        growth: f64,
        expected_per_hour: Option<f64>,
    ) -> Verdict {
        let slots = self.slots(scope, slots_in(LOOKBACK_MAX));
        let (spend, good): (Vec<_>, Vec<_>) = slots.into_iter().unzip();
        runaway(&Past { spend_per_hour: &spend, good_rps: &good, expected_per_hour }, growth)
    }

    /// Money per hour and good requests per second of the last whole slots, oldest first.
    fn slots(&self, scope: &BudgetScope, n: usize) -> Vec<(Option<f64>, Option<f64>)> {
        match (self.scopes.get(scope), self.at) {
            (Some(meter), Some(at)) => meter.slots(SlotNumber::over_at(at), n),
            _ => Vec::new(),
        }
    }
}

/// A window as text that is equal for equal windows.
fn identity(window: &Window) -> String {
    match window {
        Window::Rolling(_) => window.to_string(),
        Window::Calendar(it) => format!("{window} since {}", it.start),
    }
}

fn hold(rates: &SpendRates, tenants: Option<&TenantRates>) -> Held {
    let mut held = vec![(BudgetScope::Everything, rates.total_per_hour)];
    held.extend(rates.by_region.iter().map(|(it, rate)| (BudgetScope::Region(it.clone()), *rate)));
    let services = rates.by_service.iter();
    held.extend(services.map(|(it, rate)| (BudgetScope::Service(it.clone()), *rate)));
    let of_tenants = tenants.into_iter().flat_map(|it| &it.by_tenant);
    held.extend(of_tenants.map(|(it, rate)| (BudgetScope::Tenant(it.clone()), rate.per_hour)));
    Held {
        rates: held,
        unallocated_per_hour: rates.unallocated_per_hour,
        is_estimated: rates.is_estimated() || rates.is_lower_bound(),
        has_other_tenants: tenants.is_none_or(|it| 0 < it.n_others),
    }
}

/// A stretch of time in pieces that end with a slot: the end of the (last) slot, and how many
/// seconds of the stretch are in it.
fn pieces(from: Timestamp, now: Timestamp) -> impl Iterator<Item = (Timestamp, f64)> {
    let n_slots = now.duration_since(from).as_secs() / SLOT.as_secs();
    let step = 1 + n_slots / PIECES_MAX;
    let mut at = from;
    std::iter::from_fn(move || {
        if now <= at {
            return None;
        }
        let slot = SlotNumber::over_at(at).0 / step * step + step;
        let end = SlotNumber(slot).ends_at();
        let until = end.min(now);
        let seconds = until.duration_since(at).as_secs_f64();
        at = until;
        Some((end, seconds))
    })
}
