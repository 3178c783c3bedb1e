//! What is left out selects nothing.
//!
//! **In:** selectors and scopes, empty and not.
//! **Out:** which targets they are about.
//! **Not here:** how people write them (`tests/documents.rs`, the tests of
//! [`evenkeel_core::overrides::Scope`]).

use evenkeel_core::documents::{
    Access, BlastRadius, Documents, Grant, Guardrail, Identity, Person, Role, Selector, Target,
};
use evenkeel_core::ids::Labels;
use evenkeel_core::overrides::Scope;
use evenkeel_core::request::{OverrideAsked, RequestRefusal};
use expect_test::{Expect, expect};

use crate::region::{documents, guardrail, labelled, labels, name, named, policy, seconds, target};
use crate::rig::{Rig, brief};

fn targets() -> [Target; 3] {
    [
        target("a"),
        Target { labels: labels("team=web,tier=front"), ..target("b") },
        Target { labels: labels("team=data"), region: name("eu-2"), ..target("c") },
    ]
}

#[track_caller]
fn check(selector: &Selector, expected: &Expect) {
    let all = targets();
    let selected = all.iter().filter(|it| selector.selects(it)).map(|it| it.id.as_str());
    expected.assert_eq(&selected.collect::<Vec<_>>().join(" "));
}

#[test]
fn an_empty_selector_selects_nothing_and_conditions_add_up() {
    check(&Selector::default(), &expect![""]);
    check(&Selector { everything: false, labels: Labels::new(), ..named(&[]) }, &expect![""]);
    check(&Selector::everything(), &expect!["a b c"]);
    check(&labelled("team=web"), &expect!["a b"]);
    check(&labelled("team=web,tier=front"), &expect!["b"]);
    check(&named(&["a", "c"]), &expect!["a c"]);
    check(&Selector { region: Some(name("eu-2")), ..Selector::default() }, &expect!["c"]);
    check(&Selector { region: Some(name("eu-2")), ..labelled("team=web") }, &expect![""]);
    check(&Selector { everything: true, ..named(&["c"]) }, &expect!["c"]);
}

#[test]
fn a_policy_or_guardrail_with_an_empty_selector_is_about_nothing() {
    let protecting = Guardrail { protected: true, ..guardrail("keep-off", Selector::default()) };
    let free = BlastRadius { window: seconds(60), removed_ratio_max: 1.0 };
    let limiting =
        Guardrail { blast_radius: Some(free), ..guardrail("limit", Selector::default()) };
    let follow = policy("web", named(&["a"]));
    let nobody = policy("nobody", Selector::default());
    let all = documents("empty", targets(), [follow, nobody], [protecting, limiting]);
    let mut rig = Rig::new(&all, 4);
    assert_eq!(brief(&rig.look("a", 60.0)), "effect 4->6");
    assert_eq!(brief(&rig.look("b", 60.0)), "kept at 4 (no_policy)");
    assert!(all.has_built_in_blast_radius(&name("a")));
}

#[test]
fn a_grant_with_an_empty_selector_allows_nothing() {
    let ana = name("ana");
    let person =
        Person { name: name("ana"), unix_user: Some("ana".to_owned()), token_sha256s: vec![] };
    let grant = Grant { role: Role::Operator, people: [ana].into(), selector: Selector::default() };
    let access = Access { people: vec![person], grants: vec![grant] };
    let all = Documents::new("one".to_owned(), targets(), [], [], [], access);
    let identity = Identity::UnixUser { uid: 1, name: "ana".to_owned(), is_daemon_owner: false };
    let principal = all.access().principal(&identity).unwrap();
    for it in all.targets() {
        assert!(principal.require_on(Role::Operator, [it]).is_err(), "{}", it.id);
    }
}

#[test]
fn a_scope_that_covers_nothing_is_refused() {
    let mut rig = Rig::new(&documents("one", targets(), [], []), 4);
    for scope in ["x", "team=none", "team=web,tier=back", "region:mars"] {
        let refused = rig.set(OverrideAsked::Freeze, scope);
        assert!(matches!(refused, Err(RequestRefusal::NothingInScope { .. })), "{scope}");
    }
    let none = Scope::Labels(Labels::new());
    assert!(targets().iter().all(|it| !none.covers(it)));
    let mut empty = Rig::new(&documents("none", [], [], []), 4);
    assert!(empty.set(OverrideAsked::Freeze, "all").is_err());
}
