//! What is done, and where the agent may die meanwhile.
//!
//! **In:** a kind of step, and whether it is undone.
//! **Out:** the documents of that story; the names of points for the pipe.
//! **Not here:** telling it ([`crate::worker`]), killing ([`crate::parent`]).

use std::sync::Arc;

use evenkeel_core::documents::{Documents, SourceText, load, show};

/// A kind of step that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    SetCapacity,
    RestartInstances,
    ReplaceInstances,
    ShiftTraffic,
    Drain,
    Restore,
    RollBack,
    RunCommand,
    CallWebhook,
    ApplyTerraform,
}

/// All of them.
pub(crate) const KINDS: [Kind; 10] = [
    Kind::SetCapacity,
    Kind::RestartInstances,
    Kind::ReplaceInstances,
    Kind::ShiftTraffic,
    Kind::Drain,
    Kind::Restore,
    Kind::RollBack,
    Kind::RunCommand,
    Kind::CallWebhook,
    Kind::ApplyTerraform,
];

/// Where the agent may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The intent was decided on, and is lost.
    BeforeIntent,
    /// It is durable; the effect has not left.
    AfterIntent,
    /// The effect has happened; its end was not written down.
    AfterEffect,
    /// Its end is durable; what follows has not left.
    AfterOutcome,
    /// The executor has written down that it begins, and nothing else.
    Begun,
}

impl Point {
    /// Those that every step passes.
    pub(crate) const OF_EVERY_STEP: [Point; 4] =
        [Point::BeforeIntent, Point::AfterIntent, Point::AfterEffect, Point::AfterOutcome];

    /// Its name on the pipe.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Point::BeforeIntent => "before_intent",
            Point::AfterIntent => "after_intent",
            Point::AfterEffect => "after_effect",
            Point::AfterOutcome => "after_outcome",
            Point::Begun => "begun",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Point> {
        let all = Point::OF_EVERY_STEP.into_iter().chain([Point::Begun]);
        all.into_iter().find(|it| it.name() == name)
    }
}

/// Whose turn it is: a step, or what undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    pub(crate) step: u16,
    pub(crate) is_undo: bool,
}

/// A bug on purpose, to see that it is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Effects leave, and their records are appended afterwards.
    EffectsBeforeIntents,
    /// What is looked at is how it was in the beginning, so nothing ever seems to have happened.
    LooksAtTheBeginning,
    /// A person is told that an override is in force that no journal has.
    ForgetsOverrides,
}

const PLANTS: [(Plant, &str); 3] = [
    (Plant::EffectsBeforeIntents, "effects_before_intents"),
    (Plant::LooksAtTheBeginning, "looks_at_the_beginning"),
    (Plant::ForgetsOverrides, "forgets_overrides"),
];

/// One story: a playbook is begun, a person approves, and its last step is of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) kind: Kind,
    /// Whether its trigger begins it, and with it an incident; else a person does.
    pub(crate) is_triggered: bool,
    /// Whether it does not help, so that it is undone.
    pub(crate) is_undone: bool,
    /// Whether the executor writes down that an effect begins before it does.
    pub(crate) begins_first: bool,
    pub(crate) plant: Option<Plant>,
}

impl Story {
    /// For the environment of the worker.
    pub(crate) fn to_text(self) -> String {
        let kind = KINDS.iter().position(|it| *it == self.kind).unwrap_or_default();
        let plant = PLANTS.iter().find(|it| Some(it.0) == self.plant).map_or("", |it| it.1);
        let Story { is_triggered, is_undone, begins_first, .. } = self;
        format!("{kind} {is_triggered} {is_undone} {begins_first} {plant}")
    }

    pub(crate) fn from_text(text: &str) -> Option<Story> {
        let mut words = text.split(' ');
        Some(Story {
            kind: *KINDS.get(words.next()?.parse::<usize>().ok()?)?,
            is_triggered: words.next()?.parse().ok()?,
            is_undone: words.next()?.parse().ok()?,
            begins_first: words.next()?.parse().ok()?,
            plant: words
                .next()
                .and_then(|it| PLANTS.iter().find(|(_, name)| *name == it))
                .map(|it| it.0),
        })
    }

    /// How its run should end.
    pub(crate) fn ending(self) -> &'static str {
        match (self.begins_first, self.is_undone) {
            (true, _) => "stuck",
            (false, true) => "rolled_back",
            (false, false) => "succeeded",
        }
    }

    /// The step that the story is about.
    pub(crate) fn step(self) -> u16 {
        u16::from(self.kind == Kind::Restore)
    }

    /// Of which kind a step is.
    pub(crate) fn kind_of(self, step: u16) -> Kind {
        if step == self.step() { self.kind } else { Kind::Drain }
    }

    fn what_it_does(self) -> &'static str {
        match self.kind {
            Kind::SetCapacity => "set_capacity: { to: target.current * 0.8 }, undo: before",
            Kind::RestartInstances => {
                "restart_instances: { select: { not_ready: true } }, \
                 undo: { restart_instances: { select: { not_ready: true } } }"
            }
            Kind::ReplaceInstances => {
                "replace_instances: { select: { not_ready: true } }, \
                 undo: { replace_instances: { select: { not_ready: true } } }"
            }
            Kind::ShiftTraffic => {
                "shift_traffic: { select: { not_ready: true }, weight_ratio: 0 }, undo: before"
            }
            Kind::Drain => "drain: { select: { not_ready: true } }, undo: before",
            // It is only for what a step before it has drained.
            Kind::Restore => {
                "drain: { select: { not_ready: true } }, undo: before }\n    \
                 - { name: back, restore: {}, undo: before"
            }
            Kind::RollBack => "roll_back: {}, undo: before",
            Kind::RunCommand => {
                "run_command: { command: rotate }, undo: { run_command: { command: unrotate } }"
            }
            Kind::CallWebhook => {
                "call_webhook: { webhook: vendor }, undo: { call_webhook: { webhook: sorry } }"
            }
            Kind::ApplyTerraform => {
                "apply_terraform: { workspace: web }, undo: { apply_terraform: { workspace: web } }"
            }
        }
    }

    /// Four targets, three people, one playbook on one of the targets.
    pub(crate) fn documents(self) -> Arc<Documents> {
        let target = |name: &str| {
            format!(
                "
apiVersion: evenkeel/v1
kind: Target
metadata: {{ name: {name}, labels: {{ tier: {name} }} }}
spec:
  region: r
  provider: {{ simulated: {{ service: {name} }} }}
  capacity: {{ min: 2, max: 40 }}
  actuators:
    instances: {{ simulated: {{ service: {name} }} }}
    traffic: {{ simulated: {{ service: {name} }} }}
    deployment: {{ simulated: {{ service: {name} }} }}
---"
            )
        };
        let targets: String = ["web", "db", "cache", "queue"].map(target).concat();
        let least = if self.is_triggered { 1 } else { 1_000 };
        let within = if self.is_undone { "1m" } else { "20m" };
        let yaml = format!(
            "{targets}
apiVersion: evenkeel/v1
kind: Access
metadata: {{ name: people }}
spec:
  people:
    - {{ name: ana, unix_user: ana }}
    - {{ name: ben, unix_user: ben }}
  grants:
    - {{ role: operator, to: [ana, ben], selector: {{ everything: true }} }}
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: {{ name: repair }}
spec:
  about: Something is wrong.
  runbook: runbooks/playbooks/repair.md
  severity: page
  selector: {{ match_labels: {{ tier: web }} }}
  autonomy: approve
  target_label: service
  inputs:
    - {{ name: errors, query: errors, unit: count }}
  trigger: {{ condition: errors >= {least}, by_hand: true }}
  steps:
    - {{ name: act, {step} }}
  verification: {{ that: errors < 1, holds_for: 15s, within: {within} }}
",
            step = self.what_it_does(),
        );
        let loaded = load(&[SourceText { file: "story.yaml", text: &yaml }]);
        let shown: Vec<String> = loaded.diagnostics.iter().map(show).collect();
        Arc::new(loaded.documents.unwrap_or_else(|| panic!("{}", shown.join("\n"))))
    }
}
