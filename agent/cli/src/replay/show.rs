//! The replays side by side, for people.
//!
//! **In:** one replay per version, and what was recorded.
//! **Out:** three tables: scores, the longest times that were missed, what held the agent back.
//! **Not here:** the numbers ([`evenkeel_sim::replay`]), JSON ([`super`]).

use evenkeel_core::ids::TargetId;
use evenkeel_core::units::show_duration;
use evenkeel_sim::replay::{Card, Missed, Replay};
use jiff::{SignedDuration, Timestamp};

use crate::table::Table;

/// Missed times that are shown. Why 10: the longest are where the rest is explained.
const MISSED_SHOWN: usize = 10;

/// What the total is called.
const ALL: &str = "(all)";

/// All tables; `only` one target, where that is asked for.
pub(super) fn tables(replays: &[Replay], only: Option<&TargetId>) -> String {
    let mut text = scores(replays, only);
    if let Some(missed) = missed(replays, only) {
        text.push_str(&format!("\n\nmissed, longest first:\n{missed}"));
    }
    if let Some(held) = held(replays, only) {
        text.push_str(&format!("\n\nwhat held it back:\n{held}"));
    }
    text
}

/// The cards to show: target by target, all versions of one together, then the totals.
pub(super) fn cards<'a>(replays: &'a [Replay], only: Option<&TargetId>) -> Vec<&'a Card> {
    let mut names: Vec<&TargetId> = Vec::new();
    for target in replays.iter().flat_map(|it| &it.targets).filter_map(|it| it.target.as_ref()) {
        if only.is_none_or(|it| it == target) && !names.contains(&target) {
            names.push(target);
        }
    }
    names.sort();
    let mut cards: Vec<&Card> = Vec::new();
    for name in names {
        let of = |it: &'a Replay| it.targets.iter().find(|it| it.target.as_ref() == Some(name));
        cards.extend(replays.iter().filter_map(of));
    }
    if only.is_none() {
        cards.extend(replays.iter().map(|it| &it.total));
    }
    cards
}

fn scores(replays: &[Replay], only: Option<&TargetId>) -> String {
    let mut table = Table::new([
        "target",
        "version",
        "missed %",
        "missed",
        "times",
        "cost usd",
        "cost/oracle",
        "changes",
        "unserved %",
        "no data",
    ]);
    for card in cards(replays, only) {
        let score = &card.scorecard;
        table.row([
            name_of(card),
            score.controller.clone(),
            format!("{:.3}", score.tau_u),
            seconds(card.missed_seconds),
            card.missed_times.to_string(),
            format!("{:.2}", score.cost_usd),
            format!("{:.3}", score.cost_ratio),
            score.capacity_changes.to_string(),
            format!("{:.3}", 100.0 * score.unserved_ratio),
            seconds(card.unjudged_seconds),
        ]);
    }
    table.text()
}

fn missed(replays: &[Replay], only: Option<&TargetId>) -> Option<String> {
    let mut all: Vec<(&Card, &Missed)> = cards(replays, only)
        .into_iter()
        .flat_map(|card| card.missed.iter().map(move |it| (card, it)))
        .collect();
    if all.is_empty() {
        return None;
    }
    // Stable: of equally long ones, the order of the table above.
    all.sort_by_key(|(_, it)| std::cmp::Reverse(it.until - it.from));
    let mut table = Table::new(["target", "version", "from", "until", "for", "short by"]);
    for (card, Missed { from, until, units_max }) in all.iter().take(MISSED_SHOWN) {
        table.row([
            name_of(card),
            card.scorecard.controller.clone(),
            instant(*from),
            instant(*until),
            seconds(until - from),
            units_max.to_string(),
        ]);
    }
    let mut text = table.text();
    if MISSED_SHOWN < all.len() {
        text.push_str(&format!("\nand {} more", all.len() - MISSED_SHOWN));
    }
    Some(text)
}

fn held(replays: &[Replay], only: Option<&TargetId>) -> Option<String> {
    let mut table = Table::new(["version", "cause", "times", "for", "first", "example"]);
    let mut is_empty = true;
    for replay in replays {
        let of =
            |name: &TargetId| replay.targets.iter().find(|it| it.target.as_ref() == Some(name));
        let Some(card) = only.map_or(Some(&replay.total), of) else { continue };
        for (cause, held) in &card.held {
            is_empty = false;
            table.row([
                card.scorecard.controller.clone(),
                (*cause).to_owned(),
                held.times.to_string(),
                seconds(held.seconds),
                instant(held.first_at),
                held.example.clone(),
            ]);
        }
    }
    (!is_empty).then(|| table.text())
}

fn name_of(card: &Card) -> String {
    card.target.as_ref().map_or_else(|| ALL.to_owned(), ToString::to_string)
}

fn seconds(seconds: i64) -> String {
    show_duration(SignedDuration::from_secs(seconds))
}

fn instant(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |it| it.to_string())
}
