//! Everything that is counted for SLOs and money.
//!
//! **In:** readings, and what the shell kept from before a restart.
//! **Out:** how SLOs stand, what is spent, what is to be read next.
//! **Not here:** what a budget's numbers are ([`super::figures`]), what follows from them
//! ([`super::watch`]), what must survive a restart under any circumstances
//! ([`super::memory`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::budget::exhaustion::{Allowance, BurnOutlook, Exhaustion, exhaustion};
use crate::budget::kept::{BudgetsKept, KeptLedger};
use crate::budget::wanted::{SliWanted, first_grids, next_grid};
use crate::documents::{BudgetOf, Documents, Objective, Slo};
use crate::ids::{BudgetId, ServiceName, SloId, TargetId, ThresholdName};
use crate::slo::standing::{SloMeters, SloStanding};
use crate::slo::{LOOKBACK_MAX, SLOT, SliReading};
use crate::spend::meter::SpendMeters;
use crate::spend::rate::{Carried, SpendRates, spend_rates};
use crate::spend::tenants::{TenantMeter, TenantRates, TenantStanding, standings};
use crate::spend::{SpendReading, SpendingTarget};
use crate::units::Capacity;

/// What is counted.
#[derive(Debug, Default)]
pub struct BudgetSight {
    slos: BTreeMap<SloId, Metered>,
    standings: BTreeMap<SloId, SloStanding>,
    pub(crate) spend: SpendMeters,
    carried: Carried,
    tenant_meter: TenantMeter,
    rates: Option<SpendRates>,
    tenant_rates: Option<TenantRates>,
    exhaustions: BTreeMap<ExhaustionKey, (Timestamp, Option<Exhaustion>)>,
    /// Ledgers from before a restart whose SLO has not come yet.
    recalled: Vec<KeptLedger>,
    /// Of the last bill.
    pub(crate) bill_drift_ratio: Option<f64>,
    /// Since when a crossed threshold is not crossed any more.
    pub(crate) clear_since: BTreeMap<(BudgetId, ThresholdName), Timestamp>,
}

/// The meters of one SLO and how far they have read.
#[derive(Debug)]
struct Metered {
    meters: SloMeters,
    /// Since when it is metered.
    since: Timestamp,
    /// The newest slot that was ever observed of each objective.
    observed_until: Vec<Option<Timestamp>>,
    /// Whether the past was read slot by slot, by objective.
    has_past: Vec<bool>,
    /// Whether what is before that was: it has no slots that a second reading could replace,
    /// so it counts once.
    has_coarse_past: Vec<bool>,
    /// What was recalled of each objective is until here.
    recalled_until: Vec<Option<Timestamp>>,
}

/// Whose exhaustion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExhaustionKey {
    /// An objective of an SLO.
    Objective(SloId, usize),
    /// A budget of money.
    Spend(BudgetId),
}

/// How long an estimate of exhaustion holds. Why 5 min: its inputs are buckets of that size.
const EXHAUSTION_HOLDS: SignedDuration = SignedDuration::from_mins(5);

/// Most estimates per reading. Why 25: about a millisecond each, so that a reading of a
/// thousand SLOs stays within its time and all are done within some minutes.
const EXHAUSTIONS_AT_ONCE: usize = 25;

/// The finer history that estimates look at: three days by five minutes.
const RECENT_WIDTH: SignedDuration = SignedDuration::from_mins(5);
const RECENT_BUCKETS: usize = 864;

/// The time over which good requests are averaged where SLOs count them. Why 1 min: two
/// slots, one of which may be late.
const GOOD_OVER: SignedDuration = SignedDuration::from_mins(1);

impl BudgetSight {
    /// Keeps only what the documents have; what changed is counted on where that is possible.
    pub(crate) fn retain(&mut self, now: Timestamp, documents: &Documents) {
        let mut before = std::mem::take(&mut self.slos);
        for slo in documents.slos() {
            let metered = match before.remove(&slo.id) {
                Some(it) if it.meters.slo() == slo => it,
                Some(it) => {
                    let has_past = same_indicators(it.meters.slo(), slo, &it.has_past);
                    let observed_until = has_past
                        .iter()
                        .enumerate()
                        .map(|(nth, same)| {
                            it.observed_until.get(nth).copied().flatten().filter(|_| *same)
                        })
                        .collect();
                    let n = slo.objectives.len();
                    Metered {
                        has_coarse_past: has_past.clone(),
                        meters: it.meters.changed_to(slo),
                        since: it.since,
                        observed_until,
                        has_past,
                        recalled_until: vec![None; n],
                    }
                }
                None => self.metered(now, slo),
            };
            self.slos.insert(slo.id.clone(), metered);
        }
        self.standings.retain(|id, _| documents.slo(id).is_some());
        self.spend.set_budgets(documents.budgets());
        self.exhaustions.retain(|key, _| match key {
            ExhaustionKey::Objective(slo, _) => documents.slo(slo).is_some(),
            ExhaustionKey::Spend(budget) => documents.budget(budget).is_some(),
        });
        self.clear_since.retain(|(budget, _), _| documents.budget(budget).is_some());
    }

    fn metered(&mut self, now: Timestamp, slo: &Slo) -> Metered {
        let n = slo.objectives.len();
        let fingerprint = fingerprint(slo);
        let mut mine: Vec<KeptLedger> = Vec::new();
        self.recalled.retain(|it| {
            let is_mine = it.slo == slo.id && it.fingerprint == fingerprint;
            if is_mine {
                mine.push(it.clone());
            }
            it.slo != slo.id
        });
        mine.sort_by_key(|it| it.objective);
        let ledgers: Vec<_> = mine.into_iter().map(|it| it.ledger).collect();
        let recalled_until =
            (0..n).map(|nth| ledgers.get(nth).and_then(|it| it.counted_until())).collect();
        Metered {
            meters: SloMeters::of(slo).recalling(ledgers),
            since: now,
            observed_until: vec![None; n],
            has_past: vec![false; n],
            has_coarse_past: vec![false; n],
            recalled_until,
        }
    }

    /// Takes up what was kept from before a restart; nothing that was read since is lost.
    pub(crate) fn recall(&mut self, now: Timestamp, documents: &Documents, kept: &BudgetsKept) {
        self.recalled.clone_from(&kept.slos);
        for slo in documents.slos() {
            let is_untouched =
                self.slos.get(&slo.id).is_none_or(|it| it.has_past.iter().all(|it| !it));
            if is_untouched {
                let metered = self.metered(now, slo);
                self.slos.insert(slo.id.clone(), metered);
            }
        }
        if self.spend.metered_until().is_none()
            && let Some(memory) = &kept.spend
        {
            self.spend = SpendMeters::recall(memory.clone());
            self.spend.set_budgets(documents.budgets());
        }
    }

    /// What the shell shall keep.
    pub(crate) fn kept(&self, now: Timestamp) -> BudgetsKept {
        let of_slo = |(id, it): (&SloId, &Metered)| {
            let fingerprint = fingerprint(it.meters.slo());
            let kept = it.meters.ledgers().enumerate().map(|(objective, ledger)| KeptLedger {
                slo: id.clone(),
                objective,
                fingerprint: fingerprint.clone(),
                ledger: ledger.clone(),
            });
            kept.collect::<Vec<_>>()
        };
        // Those whose document is missing for a while are kept, too.
        let slos = self.slos.iter().flat_map(of_slo).chain(self.recalled.iter().cloned()).collect();
        BudgetsKept { at: now, slos, spend: Some(self.spend.memory()) }
    }

    /// What is to be read at `now`.
    pub(crate) fn wanted(&self, now: Timestamp) -> Vec<SliWanted> {
        let of_slo = |(id, it): (&SloId, &Metered)| {
            let slo = it.meters.slo();
            let window_from = slo.window.period(now).from;
            let conditions = slo.alert_policies.iter().flat_map(|it| &it.conditions);
            let ring = conditions.map(|it| it.lookback).max().unwrap_or(LOOKBACK_MAX);
            let wanted = slo.objectives.iter().enumerate().filter_map(|(nth, objective)| {
                if objective.indicator.unread().is_some() {
                    return None;
                }
                let at = |of: &[Option<Timestamp>]| of.get(nth).copied().flatten();
                let grids = if it.has_past.get(nth) == Some(&true) {
                    vec![next_grid(now, at(&it.observed_until))]
                } else {
                    first_grids(now, window_from, ring.max(LOOKBACK_MAX), at(&it.recalled_until))
                };
                Some(SliWanted { slo: id.clone(), objective: nth, grids })
            });
            wanted.collect::<Vec<_>>()
        };
        self.slos.iter().flat_map(of_slo).collect()
    }

    /// Takes in slots, and says how every SLO stands.
    pub(crate) fn observe_slis(&mut self, now: Timestamp, readings: &[SliReading]) {
        for reading in readings {
            let Some(it) = self.slos.get_mut(&reading.slo) else { continue };
            if reading.step != SLOT
                && let Some(has) = it.has_coarse_past.get_mut(reading.objective)
                && std::mem::replace(has, true)
            {
                continue;
            }
            it.meters.observe(now, reading);
            let observed = reading.slots.iter().filter(|it| it.counts.is_some()).map(|it| it.at);
            let newest = observed.filter(|it| *it <= now).max();
            if let Some(until) = it.observed_until.get_mut(reading.objective) {
                *until = (*until).max(newest);
            }
            // The last of the grids of a first reading is the one slot by slot.
            if let Some(has_past) = it.has_past.get_mut(reading.objective)
                && reading.step == SLOT
            {
                *has_past = true;
            }
        }
        self.judge(now);
    }

    /// Says how every SLO stands at `now`.
    pub(crate) fn judge(&mut self, now: Timestamp) {
        for (id, it) in &mut self.slos {
            self.standings.insert(id.clone(), it.meters.evaluate(now));
        }
    }

    /// Meters what is being spent.
    pub(crate) fn observe_spend(
        &mut self,
        now: Timestamp,
        documents: &Documents,
        capacity_of: impl Fn(&TargetId) -> Option<Capacity>,
        reading: &SpendReading,
    ) {
        let targets: Vec<SpendingTarget<'_>> = documents
            .targets()
            .map(|target| SpendingTarget { target, current: capacity_of(&target.id) })
            .collect();
        let economy = documents.economy();
        let book = economy.price_book.as_ref();
        let rates = spend_rates(now, book, &targets, reading, &mut self.carried);
        let tenant_rates = economy.tenants.as_ref().map(|tenants| {
            self.tenant_meter.observe(now, tenants, reading.tenants.as_ref(), &rates)
        });
        let good = if book.is_some_and(|it| it.good_requests.is_some()) {
            reading.good.iter().cloned().collect()
        } else {
            self.good_by_slos(now)
        };
        self.spend.observe(now, &rates, tenant_rates.as_ref(), &good);
        self.rates = Some(rates);
        self.tenant_rates = tenant_rates;
    }

    /// Good requests per second by service, of SLOs that count events: the one that counts
    /// most, for several may count the same requests.
    fn good_by_slos(&self, now: Timestamp) -> BTreeMap<ServiceName, f64> {
        let mut good: BTreeMap<ServiceName, f64> = BTreeMap::new();
        for it in self.slos.values() {
            let slo = it.meters.slo();
            for (nth, objective) in slo.objectives.iter().enumerate() {
                if !crate::slo::standing::counts_events(slo, &objective.indicator) {
                    continue;
                }
                let Some(meter) = it.meters.meter(nth) else { continue };
                let window = meter.window(now, GOOD_OVER);
                let seconds =
                    u32::try_from(window.n_observed).map_or(0.0, f64::from) * SLOT.as_secs_f64();
                if 0.0 < seconds {
                    let rps = (window.counts.total - window.counts.bad) / seconds;
                    let most = good.entry(slo.service.clone()).or_insert(rps);
                    *most = most.max(rps);
                }
            }
        }
        good
    }

    /// How one SLO stands; `None` before its first reading.
    pub fn standing(&self, slo: &SloId) -> Option<&SloStanding> {
        self.standings.get(slo)
    }

    /// Since when an SLO is metered.
    pub(crate) fn metered_since(&self, slo: &SloId) -> Option<Timestamp> {
        self.slos.get(slo).map(|it| it.since)
    }

    /// The meters of an SLO.
    pub fn meters(&self, slo: &SloId) -> Option<&SloMeters> {
        self.slos.get(slo).map(|it| &it.meters)
    }

    /// What is being spent; `None` before it was read.
    pub fn rates(&self) -> Option<&SpendRates> {
        self.rates.as_ref()
    }

    /// What tenants use and cost; `None` without the document or before it was read.
    pub fn tenant_rates(&self) -> Option<&TenantRates> {
        self.tenant_rates.as_ref()
    }

    /// Who uses each service, for whoever throttles.
    pub(crate) fn tenant_standings(
        &self,
        documents: &Documents,
    ) -> BTreeMap<ServiceName, Vec<TenantStanding>> {
        let (Some(tenants), Some(rates)) = (&documents.economy().tenants, &self.tenant_rates)
        else {
            return BTreeMap::new();
        };
        let mut totals: BTreeMap<&ServiceName, f64> = BTreeMap::new();
        for (service, rps) in rates.by_tenant.values().flat_map(|it| &it.rps_by_service) {
            *totals.entry(service).or_default() += rps;
        }
        totals
            .into_iter()
            .map(|(service, total)| (service.clone(), standings(rates, tenants, service, total)))
            .collect()
    }

    /// When a budget is spent, as last estimated.
    pub(crate) fn exhaustion(&self, key: &ExhaustionKey) -> Option<Exhaustion> {
        self.exhaustions.get(key).and_then(|it| it.1)
    }

    /// Estimates anew what is oldest, a few at a time.
    pub(crate) fn refresh_exhaustions(&mut self, now: Timestamp, documents: &Documents) {
        let is_due = |key: &ExhaustionKey| {
            self.exhaustions.get(key).is_none_or(|it| EXHAUSTION_HOLDS <= now.duration_since(it.0))
        };
        let objectives = self.slos.iter().flat_map(|(id, it)| {
            let n = it.meters.slo().objectives.len();
            (0..n).map(|nth| ExhaustionKey::Objective(id.clone(), nth))
        });
        let spends = documents.budgets().filter_map(|it| match it.of {
            BudgetOf::Spend { .. } => Some(ExhaustionKey::Spend(it.id.clone())),
            BudgetOf::Errors { .. } => None,
        });
        let mut due: Vec<(Option<Timestamp>, ExhaustionKey)> = spends
            .chain(objectives)
            .filter(is_due)
            .map(|key| (self.exhaustions.get(&key).map(|it| it.0), key))
            .collect();
        due.sort();
        for (_, key) in due.into_iter().take(EXHAUSTIONS_AT_ONCE) {
            let estimate = self.estimate(now, documents, &key);
            self.exhaustions.insert(key, (now, estimate));
        }
    }

    fn estimate(
        &self,
        now: Timestamp,
        documents: &Documents,
        key: &ExhaustionKey,
    ) -> Option<Exhaustion> {
        let (window, allowance, ledger, recent) = match key {
            ExhaustionKey::Objective(slo, nth) => {
                let meters = &self.slos.get(slo)?.meters;
                let (slo, meter) = (meters.slo(), meters.meter(*nth)?);
                let budget = slo.objectives.get(*nth).map(Objective::error_budget)?;
                let ledger = meter.ledger().buckets().collect();
                let recent = meter.recent(RECENT_WIDTH, RECENT_BUCKETS);
                (&slo.window, Allowance::BadRatio(budget), ledger, recent)
            }
            ExhaustionKey::Spend(id) => {
                let BudgetOf::Spend { scope, amount, window } = &documents.budget(id)?.of else {
                    return None;
                };
                let recent = self.spend.recent(scope, LOOKBACK_MAX);
                (window, Allowance::Amount(amount.amount()), self.spend.ledger(id), recent)
            }
        };
        let outlook =
            BurnOutlook { now, window, allowance, ledger: &ledger, recent: &recent, traffic: &[] };
        exhaustion(&outlook)
    }
}

/// Which objectives of `after` count what the objective of that place counted before.
fn same_indicators(before: &Slo, after: &Slo, has_past: &[bool]) -> Vec<bool> {
    let same = |(nth, it): (usize, &Objective)| {
        before.objectives.get(nth).is_some_and(|old| {
            old.name == it.name && old.indicator == it.indicator && old.slice == it.slice
        }) && before.budgeting == after.budgeting
            && has_past.get(nth) == Some(&true)
    };
    after.objectives.iter().enumerate().map(same).collect()
}

/// What an SLO counts and how, as text: ledgers of something else are not taken up.
fn fingerprint(slo: &Slo) -> String {
    use sha2::{Digest as _, Sha256};
    let objectives: Vec<_> =
        slo.objectives.iter().map(|it| (&it.name, &it.indicator, &it.slice)).collect();
    let text = format!("{:?} {} {:?}", slo.budgeting, slo.window, objectives);
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).map(|it| format!("{it:02x}")).collect()
}
