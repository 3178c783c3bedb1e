//! Every way in which a request can fail, and what the person is told.
//!
//! **In:** requests that cannot be carried out.
//! **Out:** the message, word by word; nothing has changed.
//! **Not here:** requests that are carried out ([`crate::overrides`]).

use std::sync::Arc;

use evenkeel_core::agent::Input;
use evenkeel_core::documents::{
    Access, Documents, Grant, Identity, Person, Role, Selector, Target,
};
use evenkeel_core::ids::OverrideId;
use evenkeel_core::overrides::{OVERRIDES_MAX, REASON_BYTES_MAX};
use evenkeel_core::record::Record;
use evenkeel_core::request::{Expirable, OverrideAsked, Request, RequestRefusal, Verb};
use evenkeel_core::units::Capacity;
use expect_test::{Expect, expect};

use crate::region::{bounds, guardrail, labelled, labels, name, named, owner, seconds, target};
use crate::rig::{Rig, pin, set_verb};

const ANA: Identity = Identity::Token { sha256: [1; 32] };
const VERA: Identity = Identity::Token { sha256: [2; 32] };
const STRANGER: Identity = Identity::Token { sha256: [3; 32] };

/// Ana operates team web (`a`, `b`), Vera only reads. `c` is of another team.
fn region() -> Arc<Documents> {
    let targets = [
        Target { bounds: bounds(1, 10), ..target("a") },
        target("b"),
        Target { labels: labels("team=data"), ..target("c") },
        Target { labels: labels("team=safe"), ..target("safe") },
    ];
    let person = |id: &str, token| Person {
        name: name(id),
        unix_user: None,
        token_sha256s: vec![[token; 32]],
    };
    let grant = |role, id: &str, selector| Grant { role, people: [name(id)].into(), selector };
    let access = Access {
        people: vec![person("ana", 1), person("vera", 2)],
        grants: vec![
            grant(Role::Operator, "ana", labelled("team=web")),
            grant(Role::Viewer, "vera", Selector::everything()),
        ],
    };
    let mut keep_off = guardrail("keep-off", named(&["safe"]));
    keep_off.protected = true;
    Arc::new(Documents::new("one".to_owned(), targets, [], [keep_off], [], access))
}

/// The only place that asks: what the person is told, after checking that the
/// refusal is recorded and nothing else has changed.
#[track_caller]
fn check_in(rig: &mut Rig, identity: Identity, verb: Verb, expected: &Expect) {
    let before = rig.agent.state().clone();
    let n_records = rig.journal.len();
    let committed = rig.handle(Input::Requested(Request { identity, verb: verb.clone() }));
    let refusal = committed.answer.expect("answered").expect_err("refused");
    assert!(matches!(
        &rig.journal[n_records..],
        [Record::RequestRefused { verb: word, why, .. }]
            if word == verb.word() && *why == refusal.to_string()
    ));
    assert_eq!(rig.agent.state(), &before);
    assert!(committed.withdrawn.is_empty());
    expected.assert_eq(&refusal.to_string());
}

#[track_caller]
fn check(identity: Identity, verb: Verb, expected: &Expect) {
    let mut rig = Rig::new(&region(), 4);
    check_in(&mut rig, identity, verb, expected);
}

fn freeze(scope: &str) -> Verb {
    set_verb(OverrideAsked::Freeze, scope, 60)
}

fn freeze_because(reason: &str) -> Verb {
    let scope = "a".parse().expect("a scope");
    let duration = Some(seconds(60));
    Verb::SetOverride { kind: OverrideAsked::Freeze, scope, duration, reason: reason.to_owned() }
}

fn expire(which: Expirable) -> Verb {
    Verb::Expire { which, reason: String::new() }
}

#[test]
fn who_may_not_is_told_what_is_missing() {
    check(STRANGER, freeze("a"), &expect!["the token is not known to any `Access` document"]);
    let identity = Identity::UnixUser { uid: 7, name: "eve".into(), is_daemon_owner: false };
    check(
        identity,
        freeze("a"),
        &expect!["Unix user `eve` (uid 7) is not known to any `Access` document"],
    );
    check(VERA, freeze("a"), &expect!["vera has no role `operator`"]);
    // Without the role, not even whether a target exists.
    check(VERA, freeze("nowhere"), &expect!["vera has no role `operator`"]);
    check(VERA, expire(Expirable::One(OverrideId(1))), &expect!["vera has no role `operator`"]);
    check(ANA, freeze("c"), &expect!["ana has no role `operator` on target `c`"]);
    check(ANA, freeze("all"), &expect!["ana has no role `operator` on target `c`"]);
    let mut rig = Rig::new(&region(), 4);
    rig.ask(freeze("c")).unwrap();
    check_in(
        &mut rig,
        ANA,
        expire(Expirable::One(OverrideId(1))),
        &expect!["ana has no role `operator` on target `c`"],
    );
}

#[test]
fn an_override_needs_an_end_a_reason_and_something_in_scope() {
    let scope = || "a".parse().expect("a scope");
    let kind = OverrideAsked::Freeze;
    let endless = Verb::SetOverride { kind, scope: scope(), duration: None, reason: "x".into() };
    check(ANA, endless, &expect!["an override needs an end: give a duration of at most 72h"]);
    check(ANA, set_verb(kind, "a", 0), &expect!["an override must last longer than 0s"]);
    check(ANA, set_verb(kind, "a", -60), &expect!["an override must last longer than 0s"]);
    check(
        ANA,
        set_verb(kind, "a", 72 * 3_600 + 1),
        &expect!["3d1s is longer than an override may last (72h)"],
    );
    check(
        ANA,
        freeze_because(""),
        &expect!["an override needs a reason: the next person on call will read it"],
    );
    check(
        ANA,
        freeze_because(" \n\t"),
        &expect!["an override needs a reason: the next person on call will read it"],
    );
    check(
        ANA,
        freeze_because(&"x".repeat(REASON_BYTES_MAX + 1)),
        &expect!["the reason has 501 bytes, at most 500"],
    );
    check(
        ANA,
        freeze("region:mars"),
        &expect!["scope `region:mars` covers no target; `evenkeel status` lists them"],
    );
}

#[test]
fn a_pin_needs_a_capacity_that_it_can_reach() {
    let here = OverrideAsked::Pin { capacity: None };
    check(ANA, set_verb(pin(11), "a", 60), &expect!["target `a`: 11 is outside its bounds 1..10"]);
    check(
        ANA,
        set_verb(pin(0), "team=web", 60),
        &expect!["target `a`: 0 is outside its bounds 1..10"],
    );
    check(
        ANA,
        set_verb(here, "team=web", 60),
        &expect!["scope `team=web` covers 2 targets; a pin without a capacity is for one"],
    );
    check(
        ANA,
        set_verb(here, "a", 60),
        &expect!["the current capacity of `a` is not known yet; give the capacity to pin it at"],
    );
    check(
        owner(),
        set_verb(pin(4), "safe", 60),
        &expect!["target `safe`: guardrail keep-off protects it; it cannot take effect under that"],
    );
    let mut rig = Rig::new(&region(), 4);
    rig.look("a", 0.0);
    rig.set(OverrideAsked::NoScaleDown, "a").unwrap();
    check_in(
        &mut rig,
        ANA,
        set_verb(pin(2), "a", 60),
        &expect![
            "target `a`: no scale-down by ana until 2026-01-01T01:00:00Z (ov-1): because; it cannot take effect under that"
        ],
    );
    // Up is possible under a no-scale-down, so it is not refused.
    assert!(rig.set(pin(6), "a").is_ok());
    // Of `b` nothing is known: it may be above the pin.
    rig.set(OverrideAsked::NoScaleDown, "b").unwrap();
    check_in(
        &mut rig,
        ANA,
        set_verb(pin(2), "b", 60),
        &expect![
            "target `b`: no scale-down by ana until 2026-01-01T01:00:00Z (ov-3): because; it cannot take effect under that"
        ],
    );
}

#[test]
fn what_is_not_in_force_cannot_be_expired() {
    check(
        ANA,
        expire(Expirable::One(OverrideId(9))),
        &expect!["ov-9 is not in force; an ended override cannot return"],
    );
    let scope = "team=web".parse().unwrap();
    check(
        ANA,
        expire(Expirable::WithScope(scope)),
        &expect!["no override with scope `team=web` is in force; `evenkeel status` lists them"],
    );
}

#[test]
fn a_full_table_refuses_one_more() {
    let mut rig = Rig::new(&region(), 4);
    for _ in 0..OVERRIDES_MAX {
        rig.ask(freeze("a")).unwrap();
    }
    check_in(
        &mut rig,
        ANA,
        freeze("a"),
        &expect!["1000 overrides are in force, no more can be; expire some first"],
    );
}

#[test]
fn a_reason_cannot_forge_lines_in_a_terminal() {
    let mut rig = Rig::new(&region(), 4);
    rig.ask(freeze_because("  deploy\u{1b}[2J\nov-2 ended ")).unwrap();
    let reasons: Vec<_> = rig.agent.state().overrides().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["deploy [2J ov-2 ended"]);
}

#[test]
fn an_account_named_like_the_agent_does_not_pass_for_it() {
    let mut rig = Rig::new(&region(), 4);
    let identity =
        Identity::UnixUser { uid: 999, name: "evenkeel".to_owned(), is_daemon_owner: true };
    let verb = set_verb(OverrideAsked::Hold, "a", 60);
    rig.handle(Input::Requested(Request { identity, verb }));
    let actors: Vec<_> = rig.agent.state().overrides().map(|it| it.actor.to_string()).collect();
    assert_eq!(actors, ["uid-999"]);
}

/// A new variant must be added to a test above; the compiler asks for it here.
#[test]
fn every_refusal_has_a_case_above() {
    let scope: evenkeel_core::overrides::Scope = "a".parse().unwrap();
    let target = || "a".to_owned();
    let bounds = bounds(1, 10);
    let refusals = [
        RequestRefusal::NoEnd,
        RequestRefusal::NoLength,
        RequestRefusal::TooLong { asked: seconds(1) },
        RequestRefusal::NoReason,
        RequestRefusal::ReasonTooLong { bytes: 1 },
        RequestRefusal::NothingInScope { scope: scope.clone() },
        RequestRefusal::OutsideBounds { target: target(), capacity: Capacity(1), bounds },
        RequestRefusal::PinNeedsCapacity { scope: scope.clone(), n_targets: 2 },
        RequestRefusal::CurrentUnknown { target: target() },
        RequestRefusal::Outranked { target: target(), by: "x".to_owned() },
        RequestRefusal::TooMany,
        RequestRefusal::NotInForce { id: OverrideId(1) },
        RequestRefusal::NoneInForce { scope },
    ];
    for it in refusals {
        let tested_above = match it {
            RequestRefusal::Denied(_) => "who_may_not_is_told_what_is_missing",
            RequestRefusal::NoEnd
            | RequestRefusal::NoLength
            | RequestRefusal::TooLong { .. }
            | RequestRefusal::NoReason
            | RequestRefusal::ReasonTooLong { .. }
            | RequestRefusal::NothingInScope { .. } => {
                "an_override_needs_an_end_a_reason_and_something_in_scope"
            }
            RequestRefusal::OutsideBounds { .. }
            | RequestRefusal::PinNeedsCapacity { .. }
            | RequestRefusal::CurrentUnknown { .. }
            | RequestRefusal::Outranked { .. } => "a_pin_needs_a_capacity_that_it_can_reach",
            RequestRefusal::TooMany => "a_full_table_refuses_one_more",
            RequestRefusal::NotInForce { .. } | RequestRefusal::NoneInForce { .. } => {
                "what_is_not_in_force_cannot_be_expired"
            }
            // Those of healing are tested with it.
            RequestRefusal::NoPlaybook { .. }
            | RequestRefusal::NoTarget { .. }
            | RequestRefusal::CannotRun { .. }
            | RequestRefusal::Parameter { .. }
            | RequestRefusal::NoRun { .. }
            | RequestRefusal::WrongPhase { .. }
            | RequestRefusal::PlanChanged { .. }
            | RequestRefusal::OwnRequest { .. }
            | RequestRefusal::ApprovedAlready { .. }
            | RequestRefusal::NotAnApprover { .. }
            | RequestRefusal::NoIncident { .. }
            | RequestRefusal::NothingToHandBack { .. }
            | RequestRefusal::TooMuchAutonomy { .. }
            | RequestRefusal::NoSuchActions { .. }
            | RequestRefusal::NothingToReview { .. } => continue,
        };
        assert!(include_str!("refusals.rs").contains(&format!("fn {tested_above}()")));
    }
}
