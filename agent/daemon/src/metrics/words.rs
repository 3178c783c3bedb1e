//! The words of labels: closed sets, each shown from the start.
//!
//! **In:** values of the core's enums.
//! **Out:** the words under which metrics count them.
//! **Not here:** the metrics ([`super::Metrics`]).

use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::overrides::OverrideKind;
use evenkeel_core::quality::Quality;
use evenkeel_core::status::Mode;

use super::TwoLabels;

pub(super) const ALL_QUALITIES: [Quality; 3] = [Quality::Good, Quality::Suspect, Quality::Missing];

pub(super) fn quality_word(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Suspect => "suspect",
        Quality::Missing => "missing",
    }
}

pub(super) const ALL_CONCLUSIONS: [&str; 6] =
    ["planned", "no_change", "refused", "capacity_unknown", "read_back", "changed_outside"];

pub(super) const ALL_MODES: [Mode; 13] = [
    Mode::BreakGlass,
    Mode::Protected,
    Mode::Freeze,
    Mode::FreezeWindow,
    Mode::Takeover,
    Mode::Hold,
    Mode::NoScaleDown,
    Mode::Pin,
    Mode::Unmanaged,
    Mode::Observe,
    Mode::Suggest,
    Mode::Approve,
    Mode::Auto,
];

pub(super) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::BreakGlass => "break_glass",
        Mode::Protected => "protected",
        Mode::Freeze => "freeze",
        Mode::FreezeWindow => "freeze_window",
        Mode::Takeover => "takeover",
        Mode::Hold => "hold",
        Mode::NoScaleDown => "no_scale_down",
        Mode::Pin => "pin",
        Mode::Unmanaged => "unmanaged",
        Mode::Observe => "observe",
        Mode::Suggest => "suggest",
        Mode::Approve => "approve",
        Mode::Auto => "auto",
    }
}

pub(super) const ALL_OVERRIDES: [&str; 5] = ["freeze", "takeover", "hold", "no_scale_down", "pin"];

pub(super) fn override_word(kind: OverrideKind) -> &'static str {
    match kind {
        OverrideKind::Freeze => "freeze",
        OverrideKind::Takeover => "takeover",
        OverrideKind::Hold => "hold",
        OverrideKind::NoScaleDown => "no_scale_down",
        OverrideKind::Pin { .. } => "pin",
    }
}

pub(super) const ALL_OUTCOMES: [EffectOutcome; 3] =
    [EffectOutcome::Done, EffectOutcome::Rejected, EffectOutcome::Unknown];

/// What an effect was for, in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// A change of capacity by a policy or a pin.
    SetCapacity,
    /// A step of a run, or its undo; also where that sets a capacity.
    Step,
}

pub(super) fn effect_labels(kind: EffectKind, outcome: EffectOutcome) -> TwoLabels {
    let kind = match kind {
        EffectKind::SetCapacity => "set_capacity",
        EffectKind::Step => "step",
    };
    let outcome = match outcome {
        EffectOutcome::Done => "done",
        EffectOutcome::Rejected => "rejected",
        EffectOutcome::Unknown => "unknown",
    };
    [("kind", kind), ("outcome", outcome)]
}
