//! What the forecasts of policies need from other documents.
//!
//! **In:** all documents that could be read.
//! **Out:** faults: calendars that nobody describes or nobody uses, targets
//! without the price that a policy weighs against.
//! **Not here:** the form of `forecast` ([`crate::documents::raw::forecast`]).

use std::collections::BTreeSet;

use super::people::{nearest_unless_full, shown};
use super::{Drafts, Placed, SourceText};
use crate::documents::fault::Faults;
use crate::documents::positions::Position;
use crate::documents::{ScalingPolicy, Shortfall, Target};
use crate::ids::CalendarId;

pub(super) fn check(
    drafts: &Drafts,
    sources: &[SourceText<'_>],
    all_read: bool,
    faults: &mut Faults,
) {
    for (policy, places) in drafts.policies.iter().zip(&drafts.forecasts) {
        let (Some(forecast), Some(places)) = (&policy.value.forecast, places) else { continue };
        faults.source = policy.source;
        // With a document missing, the calendar may be in just that one.
        if let Some(calendar) = forecast.calendar.as_ref().filter(|_| all_read) {
            known(calendar, places.calendar_at, policy, drafts, faults);
        }
        match forecast.shortfall {
            Shortfall::TimeRatio(_) => {}
            Shortfall::UsdPerUnitHour(cost) => {
                priced(cost, places.shortfall_at, policy, drafts, sources, faults);
            }
        }
    }
    // A file of calendars alone is checked before there are policies.
    if all_read && !drafts.policies.is_empty() {
        unused(drafts, faults);
    }
}

fn known(
    calendar: &CalendarId,
    at: Position,
    policy: &Placed<ScalingPolicy>,
    drafts: &Drafts,
    faults: &mut Faults,
) {
    let names: Vec<&str> = drafts.calendars.iter().map(|it| it.value.id.as_str()).collect();
    if names.contains(&calendar.as_str()) {
        return;
    }
    let hint = match nearest_unless_full(calendar.as_str(), &names, faults) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add a `Calendar` document for it, or remove it here".to_owned(),
    };
    let id = &policy.value.id;
    let message = format!("policy `{id}` names calendar `{calendar}`, which no document describes");
    faults.error(at, message, hint);
}

/// One fault per policy and kind of fault, however many targets it selects.
fn priced(
    cost: f64,
    at: Position,
    policy: &Placed<ScalingPolicy>,
    drafts: &Drafts,
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    let id = &policy.value.id;
    let selected = drafts.targets.iter().filter(|it| policy.value.selector.selects(&it.value));
    let (mut free, mut dear) = (Vec::new(), Vec::new());
    for target in selected {
        match target.value.price_usd_per_hour {
            Some(price) if cost < price => dear.push((target, price)),
            Some(price) if 0.0 < price => {}
            Some(_) | None => free.push(target),
        }
    }
    if let Some(first) = free.first() {
        let (target, more) = (named(first, faults, sources), more(free.len()));
        let message = format!(
            "policy `{id}` weighs `usd_per_unit_hour` ({cost}) against the price of a unit, but {target} has no `price_usd_per_hour` above 0{more}"
        );
        let hint = "give the target its price, or write `time_ratio_max` here instead";
        faults.error(at, message, hint);
    }
    if let Some((first, price)) = dear.first() {
        let (target, more) = (named(first, faults, sources), more(dear.len()));
        let message = format!(
            "policy `{id}`: one missing unit costs {cost} USD an hour and one unit too many of {target} {price}{more}, so demand is above capacity most of the time"
        );
        let hint = "raise `usd_per_unit_hour` if users matter more than that";
        faults.warning(at, message, hint);
    }
}

fn named(target: &Placed<Target>, faults: &Faults, sources: &[SourceText<'_>]) -> String {
    let place = shown((target.source, target.name_at), faults, sources);
    format!("target `{}` ({place})", target.value.id)
}

fn more(n_targets: usize) -> String {
    match n_targets {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    }
}

fn unused(drafts: &Drafts, faults: &mut Faults) {
    let forecasts = drafts.policies.iter().filter_map(|it| it.value.forecast.as_ref());
    let used: BTreeSet<&CalendarId> = forecasts.filter_map(|it| it.calendar.as_ref()).collect();
    for placed in drafts.calendars.iter().filter(|it| !used.contains(&it.value.id)) {
        faults.source = placed.source;
        faults.warning(
            placed.name_at,
            format!("calendar `{}` is used by no policy", placed.value.id),
            "name it under `forecast.calendar` of a policy, or remove it",
        );
    }
}
