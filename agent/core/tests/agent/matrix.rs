//! Every situation of a target with everything that can be tried in it.
//!
//! **In:** situations, one row each, and attempts, one column each.
//! **Out:** one snapshot. No cell is undefined, no verb is accepted and ignored:
//! after an enforced verb, the next evaluation wants what the verb forbids.
//! **Not here:** requests that fail for other reasons ([`crate::refusals`]).

use std::sync::Arc;

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::documents::{
    Autonomy, Behaviour, BlastRadius, Documents, FreezeWindow, Guardrail, ScalingPolicy, Selector,
};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::OverrideId;
use evenkeel_core::quality::{Doubt, Reading};
use evenkeel_core::request::{Answer, Expirable, OverrideAsked, Request, RequestRefusal, Verb};
use expect_test::expect_file;

use crate::region::{FREELY, documents, guardrail, named, owner, policy, seconds, target};
use crate::rig::{Rig, brief, pin, set_verb};

/// Brings a rig of one target, with 4 units and load for 4, into a situation.
type Situation = fn() -> Scene;

/// A rig in a situation, and how its target is looked at there.
struct Scene {
    rig: Rig,
    sight: Sight,
}

#[derive(Clone, Copy)]
enum Sight {
    Good,
    Suspect,
    Missing,
    CapacityUnknown,
}

const SITUATIONS: [(&str, Situation); 23] = [
    ("idle", || scene(plain())),
    ("effect in flight", || {
        let mut scene = scene(plain());
        scene.rig.look("a", 50.0);
        scene
    }),
    ("outcome unknown, not read since", || {
        let mut scene = scene(plain());
        scene.rig.look("a", 50.0);
        scene.rig.end_all(EffectOutcome::Unknown);
        // The same instant: the reading may predate whatever happened.
        scene.rig.wait(-15);
        scene
    }),
    ("outcome unknown, read since", || {
        let mut scene = scene(plain());
        scene.rig.look("a", 50.0);
        scene.rig.end_all(EffectOutcome::Unknown);
        scene
    }),
    ("break-glass", || {
        let mut scene = scene(plain());
        let reading = BreakGlassReading::Present { text: "ana: stop".to_owned() };
        scene.rig.handle(Input::BreakGlassRead(reading));
        scene
    }),
    ("protected", || {
        scene(guarded(Guardrail { protected: true, ..guardrail("keep-off", everything()) }))
    }),
    ("frozen", || under(OverrideAsked::Freeze)),
    ("taken over", || under(OverrideAsked::Takeover)),
    ("freeze window", || {
        let window = FreezeWindow::new("new-year", "0 0 1 1 *", "UTC", seconds(86_400));
        let freeze_windows = vec![window.expect("the schedule is valid")];
        scene(guarded(Guardrail { freeze_windows, ..guardrail("calendar", everything()) }))
    }),
    ("held", || under(OverrideAsked::Hold)),
    ("held after a change from outside", || {
        let mut scene = scene(plain());
        scene.rig.change_outside("a", 3);
        scene.rig.look("a", 30.0);
        scene
    }),
    ("no scale-down", || under(OverrideAsked::NoScaleDown)),
    ("pinned at 4", || under(pin(4))),
    ("pinned at 6, not there yet", || under(pin(6))),
    ("suspect signals", || Scene { sight: Sight::Suspect, ..scene(plain()) }),
    ("missing signals", || Scene { sight: Sight::Missing, ..scene(plain()) }),
    ("capacity unknown", || Scene { sight: Sight::CapacityUnknown, ..scene(plain()) }),
    ("cooling down", || {
        let slow = Behaviour { cooldown: seconds(600), ..FREELY };
        let mut scene = scene(with(ScalingPolicy { scale_up: slow, scale_down: slow, ..web() }));
        scene.rig.look("a", 50.0);
        scene.rig.end_all(EffectOutcome::Done);
        scene
    }),
    ("stabilizing", || {
        let slow = Behaviour { stabilization: seconds(600), ..FREELY };
        scene(with(ScalingPolicy { scale_up: slow, scale_down: slow, ..web() }))
    }),
    ("blast radius used up", || {
        let mut scene = scene(guarded(limited(0.25)));
        scene.rig.look("a", 30.0);
        scene.rig.end_all(EffectOutcome::Done);
        scene
    }),
    ("autonomy observe", || scene(with(ScalingPolicy { autonomy: Autonomy::Observe, ..web() }))),
    ("autonomy approve", || scene(with(ScalingPolicy { autonomy: Autonomy::Approve, ..web() }))),
    ("unmanaged", || scene(documents("none", [target("a")], [], [limited(1.0)]))),
];

/// What is tried in each situation. The number is the load that the evaluation
/// after it sees: 60 asks for 6 units, 20 for 2.
const ATTEMPTS: [(&str, Option<OverrideAsked>, f64); 9] = [
    ("evaluate up", None, 60.0),
    ("evaluate down", None, 20.0),
    ("freeze", Some(OverrideAsked::Freeze), 60.0),
    ("takeover", Some(OverrideAsked::Takeover), 60.0),
    ("hold", Some(OverrideAsked::Hold), 60.0),
    ("no-scale-down", Some(OverrideAsked::NoScaleDown), 20.0),
    ("pin up", Some(OverrideAsked::Pin { capacity: Some(EIGHT) }), 20.0),
    ("pin down", Some(OverrideAsked::Pin { capacity: Some(TWO) }), 60.0),
    ("expire all", None, 60.0),
];
const EIGHT: evenkeel_core::units::Capacity = evenkeel_core::units::Capacity(8);
const TWO: evenkeel_core::units::Capacity = evenkeel_core::units::Capacity(2);

fn everything() -> Selector {
    Selector::everything()
}

fn web() -> ScalingPolicy {
    policy("web", named(&["a"]))
}

fn limited(ratio: f64) -> Guardrail {
    let limit = BlastRadius { window: seconds(600), removed_ratio_max: ratio };
    Guardrail { blast_radius: Some(limit), ..guardrail("limit", everything()) }
}

fn plain() -> Arc<Documents> {
    with(web())
}

fn with(policy: ScalingPolicy) -> Arc<Documents> {
    documents("plain", [target("a")], [policy], [limited(1.0)])
}

fn guarded(guardrail: Guardrail) -> Arc<Documents> {
    documents("guarded", [target("a")], [web()], [guardrail])
}

fn scene(documents: Arc<Documents>) -> Scene {
    let mut rig = Rig::new(&documents, 4);
    rig.look("a", 40.0);
    rig.wait(15);
    Scene { rig, sight: Sight::Good }
}

fn under(kind: OverrideAsked) -> Scene {
    let mut scene = scene(plain());
    scene.rig.set(kind, "a").expect("nothing outranks it");
    scene
}

impl Scene {
    fn evaluate(&mut self, value: f64) -> String {
        let mut it = self.rig.wait(15).observation("a", &[("load", value)]);
        match self.sight {
            Sight::Good => (),
            Sight::Suspect => {
                for signal in &mut it.signals {
                    if let Reading::Value { doubt, .. } = &mut signal.reading {
                        *doubt = Some(Doubt::PartialAnswer);
                    }
                }
            }
            Sight::Missing => it.signals.clear(),
            Sight::CapacityUnknown => it.capacity = Err("timed out".to_owned()),
        }
        brief(&self.rig.observe(it))
    }

    fn ask(&mut self, verb: Verb) -> String {
        let committed = self.rig.handle(Input::Requested(Request { identity: owner(), verb }));
        let mut said = match committed.answer.expect("every verb is answered") {
            Ok(Answer::OverrideSet { .. }) => "enforced".to_owned(),
            Ok(Answer::Expired { ended }) => format!("enforced ({} ended)", ended.len()),
            Ok(other) => panic!("that is no answer to an override: {other:?}"),
            Err(refusal) => return format!("failed: {}", word(&refusal)),
        };
        for id in committed.withdrawn {
            said.push_str(&format!(", withdrew {id}"));
        }
        said
    }

    fn attempt(&mut self, name: &str, kind: Option<OverrideAsked>, value: f64) -> String {
        let said = match (kind, name) {
            (Some(kind), _) => self.ask(set_verb(kind, "a", 3_600)),
            (None, "expire all") => {
                let scope = "a".parse().expect("`a` is a scope");
                let which = Expirable::WithScope(scope);
                self.ask(Verb::Expire { which, reason: String::new() })
            }
            (None, _) => return self.evaluate(value),
        };
        format!("{said}; then {}", self.evaluate(value))
    }
}

/// The part of a refusal that says which it is.
fn word(refusal: &RequestRefusal) -> String {
    if let RequestRefusal::Outranked { by, .. } = refusal {
        return format!("outranked ({})", by.split(" since ").next().unwrap_or(by));
    }
    let said = refusal.to_string();
    said.split("; ").next().unwrap_or(&said).to_owned()
}

#[test]
fn every_situation_has_an_answer_to_every_attempt() {
    let mut table = String::new();
    for (situation, build) in SITUATIONS {
        table.push_str(&format!("{situation}\n"));
        for (attempt, kind, value) in ATTEMPTS {
            let cell = build().attempt(attempt, kind, value);
            assert!(!cell.is_empty(), "{situation} + {attempt} is not defined");
            table.push_str(&format!("    {attempt:<14} {cell}\n"));
        }
    }
    expect_file!["matrix.txt"].assert_eq(&table);
}

#[test]
fn the_matrix_uses_no_override_twice() {
    let mut scene = under(OverrideAsked::Freeze);
    scene.rig.set(OverrideAsked::Hold, "a").unwrap();
    let ids: Vec<OverrideId> = scene.rig.agent.state().overrides().map(|it| it.id).collect();
    assert_eq!(ids, [OverrideId(1), OverrideId(2)]);
}
