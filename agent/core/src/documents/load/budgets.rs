//! What budgets, the price book and tenants need from each other, from targets and SLOs.
//!
//! **In:** all documents that could be read.
//! **Out:** faults: two books in force, two currencies, prices that never apply, scopes
//! that are nobody's, burn rates that cannot be reached; then the [`Economy`].
//! **Not here:** the form of fields ([`crate::documents::raw`]).

use std::collections::{BTreeMap, BTreeSet};

use super::across::{selector_warning, unique};
use super::people::{nearest_unless_full, shown};
use super::{Drafts, Placed, SourceText};
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Position};
use crate::documents::raw::budget::{BudgetPlaces, beyond_the_window};
use crate::documents::raw::listed;
use crate::documents::raw::price_book::PriceBookPlaces;
use crate::documents::{
    Budget, BudgetOf, BudgetScope, Consequence, Crossing, Economy, Objective, PriceBook, Selector,
    Slo, Target, Threshold,
};
use crate::ids::{Region, ServiceName, SloId};
use crate::spend::money::Currency;
use crate::spend::service_of;

/// How near to 1 an error ratio is taken for 1. Why: `1 - target` is rounded.
const ROUNDING: f64 = 1e-9;

/// Checks what spans documents. `slos` are all that could be read.
pub(super) fn check<'a>(
    drafts: &Drafts,
    slos: impl Iterator<Item = &'a Slo>,
    sources: &[SourceText<'_>],
    all_read: bool,
    faults: &mut Faults,
) {
    unique(&drafts.budgets, "budget", |it| it.0.id.as_str(), sources, faults);
    one_in_force(&drafts.price_books, "price book", sources, faults);
    one_in_force(&drafts.tenants, "list of tenants", sources, faults);
    // With a document missing, what is not there may be in just that one.
    if !all_read {
        return;
    }
    let targets: Vec<&Target> = drafts.targets.iter().map(|it| &it.value).collect();
    if let Some(placed) = drafts.price_books.first() {
        let (book, places) = &placed.value;
        faults.source = placed.source;
        selectors(book, places, &targets, faults);
        never_applies(book, places, &targets, faults);
        other_currency(book, places, drafts, sources, faults);
    }
    let slos: BTreeMap<&SloId, &Slo> = slos.map(|it| (&it.id, it)).collect();
    let known = Known::of(&targets);
    read_by_playbooks(drafts, faults);
    for placed in &drafts.budgets {
        faults.source = placed.source;
        let (budget, places) = &placed.value;
        match &budget.of {
            BudgetOf::Spend { scope, .. } => {
                same_currency(budget, places, drafts, sources, faults);
                somebodys(budget, scope, places.of_at, &known, drafts, faults);
                binds_the_tenant(budget, scope, places, faults);
            }
            BudgetOf::Errors { slo, objective } => {
                let about = (budget, places);
                errors(about, slo, objective.as_deref(), &slos, faults);
            }
        }
    }
}

/// Playbooks that read a budget: it must be there and have that number.
fn read_by_playbooks(drafts: &Drafts, faults: &mut Faults) {
    for placed in &drafts.playbooks {
        faults.source = placed.source;
        let playbook = &placed.value;
        for input in &playbook.inputs {
            let Some(asked) = &input.budget else { continue };
            let what = format!("playbook `{}`: input `{}`", playbook.id, input.name);
            let budget = drafts.budgets.iter().find(|it| it.value.0.id == asked.budget);
            let Some(budget) = budget else {
                let names: Vec<&str> =
                    drafts.budgets.iter().map(|it| it.value.0.id.as_str()).collect();
                let hint = match nearest_unless_full(asked.budget.as_str(), &names, faults) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add a `Budget` document for it".to_owned(),
                };
                let message =
                    format!("{what} reads budget `{}`, which no document describes", asked.budget);
                faults.error(placed.name_at, message, hint);
                continue;
            };
            let is_of_money = matches!(budget.value.0.of, BudgetOf::Spend { .. });
            if asked.value.is_of_money() && !is_of_money {
                let message = format!(
                    "{what} reads `{}` of `{}`, which is a budget of errors",
                    asked.value.name(),
                    asked.budget
                );
                let hint = "only budgets of money have it; name one, or read `burn_rate`";
                faults.error(placed.name_at, message, hint);
            }
        }
    }
}

/// A tenant shares its targets with others: what narrows those would starve them.
fn binds_the_tenant(
    budget: &Budget,
    scope: &BudgetScope,
    places: &BudgetPlaces,
    faults: &mut Faults,
) {
    if !matches!(scope, BudgetScope::Tenant(_)) {
        return;
    }
    for (threshold, at) in budget.thresholds.iter().zip(&places.crossings) {
        let wider = threshold.then.iter().find(|it| **it != Consequence::Notify);
        if let Some(wider) = wider {
            let message = format!(
                "budget `{}`: threshold `{}` wants `{}`, which would bind other tenants too",
                budget.id,
                threshold.name,
                wider.name()
            );
            let hint = "of a tenant's budget only `notify` can follow; a playbook with \
                        `throttle_tenant` can read the budget and act";
            faults.error(*at, message, hint);
        }
    }
}

/// The documents that passed every check, taken out of `drafts`; SLOs are none of them.
pub(super) fn economy(drafts: &mut Drafts) -> Economy {
    let budgets = std::mem::take(&mut drafts.budgets);
    let price_books = std::mem::take(&mut drafts.price_books);
    let tenants = std::mem::take(&mut drafts.tenants);
    Economy {
        n_documents: budgets.len() + price_books.len() + tenants.len(),
        budgets: budgets.into_iter().map(|it| (it.value.0.id.clone(), it.value.0)).collect(),
        price_book: price_books.into_iter().next().map(|it| it.value.0),
        tenants: tenants.into_iter().next().map(|it| it.value),
        ..Economy::default()
    }
}

fn one_in_force<T>(all: &[Placed<T>], noun: &str, sources: &[SourceText<'_>], faults: &mut Faults) {
    let Some((first, others)) = all.split_first() else { return };
    for other in others {
        faults.source = other.source;
        let place = shown((first.source, first.name_at), faults, sources);
        let message = format!("there is a second {noun}, the first is in {place}");
        faults.error(other.name_at, message, "one is in force: make one document of the two");
    }
}

fn selectors(book: &PriceBook, places: &PriceBookPlaces, targets: &[&Target], faults: &mut Faults) {
    let names: Vec<&str> = targets.iter().map(|it| it.id.as_str()).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    let mut warn = |at: Position, about: &str, selector: &Selector| {
        selector_warning(at, about, selector, targets, &names, &known, faults);
    };
    for (price, at) in book.capacity.iter().zip(&places.capacity) {
        warn(*at, "a price of capacity", &price.selector);
    }
    for (commitment, at) in book.commitments.iter().zip(&places.commitments) {
        let about = format!("commitment {}", quoted(&commitment.name));
        warn(*at, &about, &commitment.selector);
    }
}

/// Warns of prices whose targets all have an earlier one.
fn never_applies(
    book: &PriceBook,
    places: &PriceBookPlaces,
    targets: &[&Target],
    faults: &mut Faults,
) {
    let mut priced: Vec<Option<Position>> = vec![None; targets.len()];
    for (price, at) in book.capacity.iter().zip(&places.capacity) {
        let (mut n_selected, mut applies, mut earlier) = (0_usize, false, None);
        for (target, first) in targets.iter().zip(&mut priced) {
            if !price.selector.selects(target) {
                continue;
            }
            n_selected += 1;
            match first {
                Some(first) => earlier = earlier.or(Some((*first, &target.id))),
                None => {
                    *first = Some(*at);
                    applies = true;
                }
            }
        }
        if let (false, Some((first, target))) = (applies, earlier) {
            let more = more(n_selected);
            let message = format!(
                "a price of capacity never applies: target `{target}`{more} has an earlier one, in line {}",
                first.line
            );
            let hint = "the first that selects a target is its price: put the narrower one first";
            faults.warning(*at, message, hint);
        }
    }
}

fn more(n: usize) -> String {
    match n {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    }
}

/// Targets have prices in US dollars; only a price of the book stands in for them.
fn other_currency(
    book: &PriceBook,
    places: &PriceBookPlaces,
    drafts: &Drafts,
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    if book.currency == Currency::USD {
        return;
    }
    let mut own = drafts.targets.iter().filter(|it| {
        let has_one = it.value.price_usd_per_hour.is_some_and(|it| 0.0 < it);
        has_one && !book.capacity.iter().any(|price| price.selector.selects(&it.value))
    });
    let Some(first) = own.next() else { return };
    let place = shown((first.source, first.name_at), faults, sources);
    let message = format!(
        "the price book is in {}, and target `{}` ({place}){} has its price in USD (`price_usd_per_hour`)",
        book.currency,
        first.value.id,
        more(1 + own.count())
    );
    let hint = "add a price of capacity that selects it: nothing is exchanged";
    faults.error(places.currency_at, message, hint);
}

fn same_currency(
    budget: &Budget,
    places: &BudgetPlaces,
    drafts: &Drafts,
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    let Some(At { value: written, at }) = places.currency else { return };
    let id = &budget.id;
    match drafts.price_books.first() {
        Some(placed) if placed.value.0.currency != written => {
            let place = shown((placed.source, placed.value.1.currency_at), faults, sources);
            let priced = placed.value.0.currency;
            let message =
                format!("budget `{id}` is in {written}, and the price book ({place}) in {priced}");
            let hint = format!("give the amount in {priced}: nothing is exchanged");
            faults.error(at, message, hint);
        }
        None if written != Currency::USD => {
            let message = format!(
                "budget `{id}` is in {written}, and without a `PriceBook` prices are in USD"
            );
            let hint = format!("add a `PriceBook` with `currency: {written}`");
            faults.error(at, message, hint);
        }
        Some(_) | None => {}
    }
}

/// The services and regions that targets have.
struct Known {
    services: BTreeSet<ServiceName>,
    regions: BTreeSet<Region>,
    n_targets: usize,
}

impl Known {
    fn of(targets: &[&Target]) -> Known {
        Known {
            services: targets.iter().filter_map(|it| service_of(it)).collect(),
            regions: targets.iter().map(|it| it.region.clone()).collect(),
            n_targets: targets.len(),
        }
    }
}

/// Warns of a scope in which nothing is spent.
fn somebodys(
    budget: &Budget,
    scope: &BudgetScope,
    at: Position,
    known: &Known,
    drafts: &Drafts,
    faults: &mut Faults,
) {
    let id = &budget.id;
    let n_targets = known.n_targets;
    let (message, names, hint): (String, Vec<&str>, &str) = match scope {
        // A file of budgets alone is checked before there are targets.
        BudgetScope::Service(_) | BudgetScope::Region(_) if n_targets == 0 => return,
        BudgetScope::Service(name) if !known.services.contains(name) => (
            format!(
                "budget `{id}` is for service `{name}`, which none of the {n_targets} targets has"
            ),
            known.services.iter().map(ServiceName::as_str).collect(),
            "the service of a target is its label `service`, else its name",
        ),
        BudgetScope::Region(name) if !known.regions.contains(name) => (
            format!(
                "budget `{id}` is for region `{name}`, where none of the {n_targets} targets is"
            ),
            known.regions.iter().map(Region::as_str).collect(),
            "compare it with the regions of the targets",
        ),
        BudgetScope::Tenant(name) => match drafts.tenants.first() {
            None => (
                format!("budget `{id}` is for tenant `{name}`, and no usage of tenants is metered"),
                Vec::new(),
                "add a `Tenants` document",
            ),
            Some(tenants) if !tenants.value.tenants.contains_key(name) => (
                format!(
                    "budget `{id}` is for tenant `{name}`, who is none of the {} that are named",
                    tenants.value.tenants.len()
                ),
                tenants.value.tenants.keys().map(crate::ids::TenantName::as_str).collect(),
                "name it under `tenants`: only named ones are always metered by themselves",
            ),
            Some(_) => return,
        },
        BudgetScope::Everything | BudgetScope::Service(_) | BudgetScope::Region(_) => return,
    };
    let hint = match nearest_unless_full(scope_name(scope), &names, faults) {
        Some(near) => format!("did you mean `{near}`?"),
        None => hint.to_owned(),
    };
    faults.warning(at, message, hint);
}

fn scope_name(scope: &BudgetScope) -> &str {
    match scope {
        BudgetScope::Everything => "everything",
        BudgetScope::Region(name) => name.as_str(),
        BudgetScope::Service(name) => name.as_str(),
        BudgetScope::Tenant(name) => name.as_str(),
    }
}

fn errors(
    (budget, places): (&Budget, &BudgetPlaces),
    name: &SloId,
    objective: Option<&str>,
    slos: &BTreeMap<&SloId, &Slo>,
    faults: &mut Faults,
) {
    let id = &budget.id;
    let Some(slo) = slos.get(name) else {
        let names: Vec<&str> = slos.keys().map(|it| it.as_str()).collect();
        let hint = match nearest_unless_full(name.as_str(), &names, faults) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add an `SLO` document for it".to_owned(),
        };
        let message = format!("budget `{id}` is that of SLO `{name}`, which no document describes");
        faults.error(places.of_at, message, hint);
        return;
    };
    let found = match objective {
        Some(wanted) => slo.objectives.iter().find(|it| it.name == wanted),
        None => slo.objectives.first(),
    };
    faults.about = format!("budget `{id}`");
    for (threshold, at) in budget.thresholds.iter().zip(&places.crossings) {
        if let Some(objective) = found {
            reachable(threshold, *at, name, objective, faults);
        }
        beyond_the_window(threshold, *at, &slo.window, faults);
    }
    faults.about.clear();
    if let (None, Some(wanted)) = (found, objective) {
        let names: Vec<&str> = slo.objectives.iter().map(|it| it.name.as_str()).collect();
        let hint = match nearest_unless_full(wanted, &names, faults) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its objectives are {}", listed(&names)),
        };
        let wanted = quoted(wanted);
        let message = format!("budget `{id}`: SLO `{name}` has no objective {wanted}");
        faults.error(places.objective_at, message, hint);
    }
}

/// Not more than everything can fail.
fn reachable(
    threshold: &Threshold,
    at: Position,
    slo: &SloId,
    objective: &Objective,
    faults: &mut Faults,
) {
    let above = match threshold.when {
        Crossing::BurnRate { above, .. } => above,
        Crossing::SpentRatio(_) | Crossing::ExhaustsWithin { .. } | Crossing::Runaway { .. } => {
            return;
        }
    };
    let largest = 1.0 / objective.error_budget();
    if 1.0 - ROUNDING <= above * objective.error_budget() {
        let message = format!(
            "threshold `{}` is never crossed: SLO `{slo}` has the objective {}, so its burn rate is at most {largest:.1}, and {above} is asked for",
            threshold.name, objective.target
        );
        faults.error(at, message, format!("write `above` below {largest:.1}"));
    }
}

#[cfg(test)]
mod tests;
