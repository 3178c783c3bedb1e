//! How much capacity may still leave, counted across all policies and targets.
//!
//! **In:** what is known and seen of capacity, and every removal of the window.
//! **Out:** units that may leave one target now, and when more may.
//! **Not here:** what the limit is ([`crate::documents::BlastRadius`]), the
//! verdict ([`crate::guard`]).
//!
//! A removal counts from the moment it is planned: capacity in flight may be
//! gone already. Only a rejected effect gives its units back. What it counts
//! against is the capacity that is surely there (the smaller of what the agent
//! remembers and what the provider last said) and what is known to have left
//! within the window; capacity that may or may not have left is not in there
//! twice. Removals of targets that no document names any more do not count.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::documents::{BlastRadius, Documents};
use crate::ids::{GuardrailId, TargetId};
use crate::sight::Sight;
use crate::state::{Removal, State};

/// How long one ledger serves. Why 1 s: longer than a pass over 10,000 targets
/// takes, and at most as long as the shortest evaluation period.
const LEDGER_AGE_MAX: SignedDuration = SignedDuration::from_secs(1);

/// The blast radii at one instant, as one batch of evaluations uses them up.
#[derive(Debug)]
pub struct Ledger {
    opened_at: Timestamp,
    /// `None` is [`BlastRadius::BUILT_IN`], for targets without any other.
    accounts: BTreeMap<Option<GuardrailId>, Account>,
}

#[derive(Debug)]
struct Account {
    limit: BlastRadius,
    removed_units: u64,
    units_max: u64,
    oldest_at: Option<Timestamp>,
}

/// What one target may lose now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Units that may leave.
    pub units: u32,
    /// The guardrail that allows the least; `None` is the built-in one.
    pub guardrail: Option<GuardrailId>,
    /// Units that left its scope within the window.
    pub removed_units: u64,
    /// Units that may leave its scope within the window.
    pub units_max: u64,
    /// Length of the window.
    pub window: SignedDuration,
    /// When the oldest removal leaves the window; `None` without any.
    pub more_at: Option<Timestamp>,
}

impl Ledger {
    /// The books at `now`.
    pub fn open(now: Timestamp, documents: &Documents, state: &State, sight: &Sight) -> Ledger {
        let mut accounts = BTreeMap::new();
        accounts.insert(None, Account::new(BlastRadius::BUILT_IN));
        for guardrail in documents.guardrails() {
            if let Some(limit) = guardrail.blast_radius {
                accounts.insert(Some(guardrail.id.clone()), Account::new(limit));
            }
        }
        let mut ledger = Ledger { opened_at: now, accounts };
        let mut base_units: BTreeMap<Option<GuardrailId>, u64> = BTreeMap::new();
        for target in documents.targets() {
            let known = state.target(&target.id).and_then(|it| it.known).unwrap_or_default();
            let seen = sight.target(&target.id).and_then(|it| it.capacity()?.as_ref().ok());
            let surely = seen.map_or(known, |it| it.current.min(known));
            for account in accounts_of(documents, &target.id) {
                *base_units.entry(account).or_default() += u64::from(surely.0);
            }
        }
        let counted = |it: &&Removal| documents.target(&it.target).is_some();
        for removal in state.removals().filter(counted) {
            for id in accounts_of(documents, &removal.target) {
                let Some(account) = ledger.accounts.get_mut(&id) else { continue };
                if account.limit.window <= now.duration_since(removal.at) {
                    continue;
                }
                account.removed_units += u64::from(removal.units);
                let oldest = account.oldest_at.map_or(removal.at, |it| it.min(removal.at));
                account.oldest_at = Some(oldest);
                *base_units.entry(id).or_default() += u64::from(removal.units_gone);
            }
        }
        for (id, account) in &mut ledger.accounts {
            account.units_max =
                units_max(account.limit, base_units.get(id).copied().unwrap_or_default());
        }
        ledger
    }

    /// Whether it may still be used at `now`. Opening one looks at every target of the
    /// region, so the batches of one pass share one.
    pub(crate) fn is_young(&self, now: Timestamp) -> bool {
        now.duration_since(self.opened_at) < LEDGER_AGE_MAX
    }

    /// When it was opened.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// What `target` may lose now: the least of all guardrails that select it.
    pub fn allowance(&self, documents: &Documents, target: &TargetId) -> Option<Allowance> {
        accounts_of(documents, target)
            .into_iter()
            .filter_map(|id| {
                let account = self.accounts.get(&id)?;
                let units = account.units_max.saturating_sub(account.removed_units);
                Some(Allowance {
                    units: u32::try_from(units).unwrap_or(u32::MAX),
                    guardrail: id,
                    removed_units: account.removed_units,
                    units_max: account.units_max,
                    window: account.limit.window,
                    more_at: account
                        .oldest_at
                        .and_then(|it| it.checked_add(account.limit.window).ok()),
                })
            })
            .min_by_key(|it| it.units)
    }

    /// Enters a removal that was just permitted.
    pub fn take(&mut self, now: Timestamp, documents: &Documents, target: &TargetId, units: u32) {
        for id in accounts_of(documents, target) {
            if let Some(account) = self.accounts.get_mut(&id) {
                account.removed_units += u64::from(units);
                account.oldest_at.get_or_insert(now);
            }
        }
    }
}

impl Account {
    fn new(limit: BlastRadius) -> Account {
        Account { limit, removed_units: 0, units_max: 0, oldest_at: None }
    }
}

/// `max(1, floor(ratio * base))`: a scope of one unit must be able to shrink.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "10,000 targets of 2^32 units stay far below 2^53, and `as` saturates"
)]
fn units_max(limit: BlastRadius, base_units: u64) -> u64 {
    // 0.1 * 30 is 3.0000000000000004 and 0.3 * 10 is 3.0: floor is safe for both,
    // but 0.7 * 10 is 7.000000000000001 and 0.29 * 100 is 28.999999999999996.
    const ROUNDING_ERROR: f64 = 1e-9;
    ((limit.removed_ratio_max * base_units as f64 + ROUNDING_ERROR).floor() as u64).max(1)
}

fn accounts_of(documents: &Documents, target: &TargetId) -> Vec<Option<GuardrailId>> {
    let of_guardrails: Vec<Option<GuardrailId>> = documents
        .guardrails_of(target)
        .filter(|it| it.blast_radius.is_some())
        .map(|it| Some(it.id.clone()))
        .collect();
    if of_guardrails.is_empty() { vec![None] } else { of_guardrails }
}
