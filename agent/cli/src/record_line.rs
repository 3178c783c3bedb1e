//! One record of the journal in one line.
//!
//! **In:** a record as stored.
//! **Out:** what happened, as a sentence. A record of a newer version is shown as
//! the JSON it is.
//! **Not here:** when, and on which target: those have their own columns.

mod budgets;
mod healing;

use evenkeel_core::record::{EndCause, Record};
use evenkeel_core::units::show_duration;
use serde::Deserialize as _;
use serde_json::Value;

use crate::times;

/// Longest line for a record that this version does not know, in characters.
const UNKNOWN_CHARS_MAX: usize = 160;

/// What a record of `kind` says.
pub(crate) fn record_line(kind: &str, record: &Value) -> String {
    // A snapshot can have megabytes, and says nothing that the records before do not.
    if kind == Record::SNAPSHOT {
        return "the whole state, so that older records can be removed".to_owned();
    }
    match Record::deserialize(record) {
        Ok(known) => known_line(&known),
        Err(_) => record.to_string().chars().take(UNKNOWN_CHARS_MAX).collect(),
    }
}

fn known_line(record: &Record) -> String {
    match record {
        Record::TermStarted { at: _, term, version } => {
            format!("evenkeeld {version} took over as term {term}")
        }
        Record::DocumentsAdopted { at: _, sha256, n_documents } => {
            let start: String = sha256.chars().take(12).collect();
            format!("{n_documents} documents in force (sha256 {start}…)")
        }
        Record::TargetAdopted { at: _, target: _, current } => {
            format!("seen for the first time, at {current}")
        }
        Record::OverrideAccepted { at, accepted: it } => format!(
            "{} {} on {} {} by {}: {}",
            it.id,
            it.kind,
            it.scope,
            times::until(it.ends_at, *at),
            it.actor,
            it.reason
        ),
        Record::OverrideEnded { at: _, id, cause: EndCause::Expired } => {
            format!("{id} ended: its time was up")
        }
        Record::OverrideEnded { at: _, id, cause: EndCause::Cancelled { actor, reason } }
            if reason.is_empty() =>
        {
            format!("{id} ended by {actor}")
        }
        Record::OverrideEnded { at: _, id, cause: EndCause::Cancelled { actor, reason } } => {
            format!("{id} ended by {actor}: {reason}")
        }
        Record::BreakGlassEngaged { at: _, cause } => format!("everything frozen: {cause}"),
        Record::BreakGlassReleased { at: _ } => "no longer frozen by the local file".to_owned(),
        Record::EffectPlanned { at: _, id, desired, expected, why, .. } if why.is_empty() => {
            format!("{id}: {expected} -> {desired}")
        }
        Record::EffectPlanned { at: _, id, why, .. } => format!("{id}: {why}"),
        Record::EffectFinished { at: _, id, target: _, outcome, detail } if detail.is_empty() => {
            format!("{id} {outcome}")
        }
        Record::EffectFinished { at: _, id, target: _, outcome, detail } => {
            format!("{id} {outcome}: {detail}")
        }
        Record::EffectReadBack { at: _, id, target: _, current } => {
            format!("{id} read back: the capacity is {current}")
        }
        Record::ChangedOutside { at: _, target: _, expected, current } => {
            format!("changed outside of Evenkeel: {expected} -> {current}")
        }
        Record::LeadTimeMeasured { at: _, target: _, lead_time } => {
            format!("what was asked for is ready after {}", show_duration(*lead_time))
        }
        Record::LeadTimeMissed { at: _, target: _, why } => {
            format!("the lead time could not be measured: {why}")
        }
        Record::ForecastPromoted { at: _, target: _, signal } => {
            format!("the forecast of `{signal}` drives capacity from now on")
        }
        Record::ForecastDemoted { at: _, target: _, signal, why } => {
            format!("the forecast of `{signal}` no longer drives capacity: {why}")
        }
        Record::RunOpened { .. }
        | Record::Run { .. }
        | Record::Incident { .. }
        | Record::Storm { .. }
        | Record::Autonomy { .. }
        | Record::NoticeRaised { .. }
        | Record::NoticeEnded { .. }
        | Record::OverrideEndAnnounced { .. }
        | Record::HandedBack { .. }
        | Record::LeftToPeople { .. }
        | Record::Reviewed { .. }
        | Record::ReviewOverdue { .. } => healing::line(record),
        Record::Budget { at: _, budget, threshold, change } => {
            budgets::budget(budget, threshold, change)
        }
        Record::SloAlert { at: _, slo, policy, change } => budgets::slo_alert(slo, policy, change),
        Record::Reconciled { at: _, source, drift_ratio, differences } => {
            budgets::reconciled(source, *drift_ratio, differences)
        }
        Record::RequestRefused { at: _, actor, verb, why } => {
            let actor = actor.as_ref().map_or("somebody unknown", |it| it.as_str());
            format!("refused {verb} by {actor}: {why}")
        }
        Record::Snapshot { at: _, state: _ } => "the whole state".to_owned(),
    }
}
