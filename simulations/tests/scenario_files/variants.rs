//! Everything that can be written in a scenario's lists, and what it is read as.
//!
//! **In:** one line per variant. **Out:** what is read. A variant that is new fails to compile
//! here, or fails the test.
//! **Not here:** what cannot be written ([`super::refused`]).

use std::collections::BTreeSet;

use evenkeel_sim::expectation::{Must, MustNot, Span};
use evenkeel_sim::fault::{Fault, FaultKind};
use evenkeel_sim::people::{Act, Deed, When};
use evenkeel_sim::scenario::region::RegionScenario;
use expect_test::{Expect, expect};

use super::{parse, with};

/// Every kind of fault, as a scenario writes it; the number is its place in this list.
fn fault_place(kind: &FaultKind) -> usize {
    match kind {
        FaultKind::Surge { .. } => 0,
        FaultKind::Junk { .. } => 1,
        FaultKind::Slow { .. } => 2,
        FaultKind::Errors { .. } => 3,
        FaultKind::Down { .. } => 4,
        FaultKind::Gray { .. } => 5,
        FaultKind::Leak { .. } => 6,
        FaultKind::HiddenLimit { .. } => 7,
        FaultKind::HealthChecks { .. } => 8,
        FaultKind::ReplicaLag { .. } => 9,
        FaultKind::Crash { .. } => 10,
        FaultKind::Restart { .. } => 11,
        FaultKind::Flush { .. } => 12,
        FaultKind::ZoneLoss { .. } => 13,
        FaultKind::LaunchLimit { .. } => 14,
        FaultKind::LaunchFailures { .. } => 15,
        FaultKind::SlowBoot { .. } => 16,
        FaultKind::SeriesGone { .. } => 17,
        FaultKind::ReadsZero { .. } => 18,
        FaultKind::Frozen { .. } => 19,
        FaultKind::WrongBy { .. } => 20,
        FaultKind::Garbled { .. } => 21,
        FaultKind::ScrapesFail { .. } => 22,
        FaultKind::BackendDown => 23,
        FaultKind::BackendEmpty => 24,
        FaultKind::BackendSkew { .. } => 25,
        FaultKind::PagerDead => 26,
        FaultKind::ProviderDown => 27,
        FaultKind::Throttled { .. } => 28,
        FaultKind::NoAnswer { .. } => 29,
        FaultKind::LateChanges { .. } => 30,
        FaultKind::StaleReads { .. } => 31,
        FaultKind::HalfDone { .. } => 32,
        FaultKind::PartialInventory { .. } => 33,
        FaultKind::AgentDies { .. } => 34,
        FaultKind::AgentClock { .. } => 35,
        FaultKind::JournalFails => 36,
        FaultKind::OtherAutomation { .. } => 37,
        FaultKind::BadDeployment { .. } => 38,
        FaultKind::DiskFills { .. } => 39,
        FaultKind::CertificateExpires { .. } => 40,
    }
}

/// Reads each line in the list, and expects one of every place in `0 .. n`.
#[track_caller]
fn check_all<T: std::fmt::Debug>(
    list: &str,
    lines: &[&str],
    n: usize,
    read: fn(&RegionScenario) -> Vec<T>,
    place: fn(&T) -> usize,
    expected: &Expect,
) {
    let mut shown = String::new();
    let mut places = BTreeSet::new();
    for line in lines {
        // The shop's own line comes last.
        let first = read(&parse(&with(list, line))).swap_remove(0);
        places.insert(place(&first));
        shown += &format!("{line}\n  {first:?}\n");
    }
    assert_eq!(places, (0..n).collect(), "every variant once");
    expected.assert_eq(&shown);
}

#[test]
fn every_fault_can_be_written() {
    check_all::<Fault>(
        "faults",
        &[
            "{ at: 1h, for: 10m, surge: { service: web, factor: 2.5, ramp: 2m } }",
            "{ at: 1h, for: 10m, surge: { service: web, factor: 2 } }",
            "{ at: 1h, for: 10m, junk: { service: web, rps: 500 } }",
            "{ at: 1h, for: 10m, slow: { service: db, factor: 4 } }",
            "{ at: 1h, for: 10m, errors: { service: db, ratio: 0.2 } }",
            "{ at: 1h, for: 10m, down: { service: db } }",
            "{ at: 1h, for: 10m, gray: { service: web, ratio: 0.1, factor: 10 } }",
            "{ at: 1h, for: 10m, leak: { service: web, per_hour: 0.3 } }",
            "{ at: 1h, for: 10m, hidden_limit: { service: web, units: 25 } }",
            "{ at: 1h, for: 10m, health_checks: { service: web, ratio: 0.7 } }",
            "{ at: 1h, for: 10m, replica_lag: { service: db, growth: 0.5 } }",
            "{ at: 1h, crash: { service: web, ratio: 0.3 } }",
            "{ at: 1h, restart: { service: web, ratio: 1 } }",
            "{ at: 1h, flush: { service: items } }",
            "{ at: 1h, for: 10m, zone_loss: { zone: b } }",
            "{ at: 1h, for: 10m, launch_limit: { per_minute: 2 } }",
            "{ at: 1h, for: 10m, launch_failures: { ratio: 0.5 } }",
            "{ at: 1h, for: 10m, slow_boot: { factor: 3 } }",
            "{ at: 1h, for: 10m, series_gone: { service: web } }",
            "{ at: 1h, for: 10m, reads_zero: {} }",
            "{ at: 1h, for: 10m, frozen: {} }",
            "{ at: 1h, for: 10m, wrong_by: { service: web, factor: 1000 } }",
            "{ at: 1h, for: 10m, garbled: {} }",
            "{ at: 1h, for: 10m, scrapes_fail: {} }",
            "{ at: 1h, for: 10m, backend_down: {} }",
            "{ at: 1h, for: 10m, backend_empty: {} }",
            "{ at: 1h, for: 10m, backend_skew: { seconds: -90s } }",
            "{ at: 1h, for: 10m, pager_dead: {} }",
            "{ at: 1h, for: 10m, provider_down: {} }",
            "{ at: 1h, for: 10m, throttled: { ratio: 0.8 } }",
            "{ at: 1h, for: 10m, no_answer: { ratio: 0.5 } }",
            "{ at: 1h, for: 10m, late_changes: { seconds: 2m } }",
            "{ at: 1h, for: 10m, stale_reads: { seconds: 5m } }",
            "{ at: 1h, for: 10m, half_done: { ratio: 0.5 } }",
            "{ at: 1h, for: 10m, partial_inventory: { ratio: 0.1 } }",
            "{ at: 1h, for: 10m, agent_dies: { point: idle } }",
            "{ at: 1h, for: 10m, agent_dies: { point: before_append } }",
            "{ at: 1h, for: 10m, agent_dies: { point: after_append } }",
            "{ at: 1h, for: 10m, agent_dies: { point: after_effect } }",
            "{ at: 1h, for: 10m, agent_clock: { seconds: 5m } }",
            "{ at: 1h, for: 10m, journal_fails: {} }",
            "{ at: 1h, for: 10m, other_automation: { service: web, units: 5, every: 1m } }",
            "{ at: 1h, for: 10m, bad_deployment: { service: web, errors: 0.3, slow: 2 } }",
            "{ at: 1h, for: 10m, bad_deployment: { service: web, errors: 0.3 } }",
            "{ at: 1h, for: 10m, disk_fills: { service: web, ratio_per_hour: 0.5 } }",
            "{ at: 1h, for: 10m, certificate_expires: { service: web, in: 5m } }",
        ],
        41,
        |it| it.faults.clone(),
        |it| fault_place(&it.kind),
        &expect![[r#"
            { at: 1h, for: 10m, surge: { service: web, factor: 2.5, ramp: 2m } }
              Fault { from: 3600, until: 4200, kind: Surge { service: 0, factor: 2.5, ramp: 120 } }
            { at: 1h, for: 10m, surge: { service: web, factor: 2 } }
              Fault { from: 3600, until: 4200, kind: Surge { service: 0, factor: 2.0, ramp: 0 } }
            { at: 1h, for: 10m, junk: { service: web, rps: 500 } }
              Fault { from: 3600, until: 4200, kind: Junk { service: 0, rps: 500.0, tenant: None } }
            { at: 1h, for: 10m, slow: { service: db, factor: 4 } }
              Fault { from: 3600, until: 4200, kind: Slow { service: 3, factor: 4.0 } }
            { at: 1h, for: 10m, errors: { service: db, ratio: 0.2 } }
              Fault { from: 3600, until: 4200, kind: Errors { service: 3, ratio: 0.2 } }
            { at: 1h, for: 10m, down: { service: db } }
              Fault { from: 3600, until: 4200, kind: Down { service: 3 } }
            { at: 1h, for: 10m, gray: { service: web, ratio: 0.1, factor: 10 } }
              Fault { from: 3600, until: 4200, kind: Gray { service: 0, ratio: 0.1, factor: 10.0 } }
            { at: 1h, for: 10m, leak: { service: web, per_hour: 0.3 } }
              Fault { from: 3600, until: 4200, kind: Leak { service: 0, per_hour: 0.3 } }
            { at: 1h, for: 10m, hidden_limit: { service: web, units: 25 } }
              Fault { from: 3600, until: 4200, kind: HiddenLimit { service: 0, units: 25 } }
            { at: 1h, for: 10m, health_checks: { service: web, ratio: 0.7 } }
              Fault { from: 3600, until: 4200, kind: HealthChecks { service: 0, ratio: 0.7 } }
            { at: 1h, for: 10m, replica_lag: { service: db, growth: 0.5 } }
              Fault { from: 3600, until: 4200, kind: ReplicaLag { service: 3, growth: 0.5 } }
            { at: 1h, crash: { service: web, ratio: 0.3 } }
              Fault { from: 3600, until: 3601, kind: Crash { service: 0, ratio: 0.3 } }
            { at: 1h, restart: { service: web, ratio: 1 } }
              Fault { from: 3600, until: 3601, kind: Restart { service: 0, ratio: 1.0 } }
            { at: 1h, flush: { service: items } }
              Fault { from: 3600, until: 3601, kind: Flush { service: 2 } }
            { at: 1h, for: 10m, zone_loss: { zone: b } }
              Fault { from: 3600, until: 4200, kind: ZoneLoss { zone: 1 } }
            { at: 1h, for: 10m, launch_limit: { per_minute: 2 } }
              Fault { from: 3600, until: 4200, kind: LaunchLimit { per_minute: 2.0 } }
            { at: 1h, for: 10m, launch_failures: { ratio: 0.5 } }
              Fault { from: 3600, until: 4200, kind: LaunchFailures { ratio: 0.5 } }
            { at: 1h, for: 10m, slow_boot: { factor: 3 } }
              Fault { from: 3600, until: 4200, kind: SlowBoot { factor: 3.0 } }
            { at: 1h, for: 10m, series_gone: { service: web } }
              Fault { from: 3600, until: 4200, kind: SeriesGone { service: Some(0) } }
            { at: 1h, for: 10m, reads_zero: {} }
              Fault { from: 3600, until: 4200, kind: ReadsZero { service: None } }
            { at: 1h, for: 10m, frozen: {} }
              Fault { from: 3600, until: 4200, kind: Frozen { service: None } }
            { at: 1h, for: 10m, wrong_by: { service: web, factor: 1000 } }
              Fault { from: 3600, until: 4200, kind: WrongBy { service: Some(0), factor: 1000.0 } }
            { at: 1h, for: 10m, garbled: {} }
              Fault { from: 3600, until: 4200, kind: Garbled { service: None } }
            { at: 1h, for: 10m, scrapes_fail: {} }
              Fault { from: 3600, until: 4200, kind: ScrapesFail { service: None } }
            { at: 1h, for: 10m, backend_down: {} }
              Fault { from: 3600, until: 4200, kind: BackendDown }
            { at: 1h, for: 10m, backend_empty: {} }
              Fault { from: 3600, until: 4200, kind: BackendEmpty }
            { at: 1h, for: 10m, backend_skew: { seconds: -90s } }
              Fault { from: 3600, until: 4200, kind: BackendSkew { seconds: -90 } }
            { at: 1h, for: 10m, pager_dead: {} }
              Fault { from: 3600, until: 4200, kind: PagerDead }
            { at: 1h, for: 10m, provider_down: {} }
              Fault { from: 3600, until: 4200, kind: ProviderDown }
            { at: 1h, for: 10m, throttled: { ratio: 0.8 } }
              Fault { from: 3600, until: 4200, kind: Throttled { ratio: 0.8 } }
            { at: 1h, for: 10m, no_answer: { ratio: 0.5 } }
              Fault { from: 3600, until: 4200, kind: NoAnswer { ratio: 0.5 } }
            { at: 1h, for: 10m, late_changes: { seconds: 2m } }
              Fault { from: 3600, until: 4200, kind: LateChanges { seconds: 120 } }
            { at: 1h, for: 10m, stale_reads: { seconds: 5m } }
              Fault { from: 3600, until: 4200, kind: StaleReads { seconds: 300 } }
            { at: 1h, for: 10m, half_done: { ratio: 0.5 } }
              Fault { from: 3600, until: 4200, kind: HalfDone { ratio: 0.5 } }
            { at: 1h, for: 10m, partial_inventory: { ratio: 0.1 } }
              Fault { from: 3600, until: 4200, kind: PartialInventory { ratio: 0.1 } }
            { at: 1h, for: 10m, agent_dies: { point: idle } }
              Fault { from: 3600, until: 4200, kind: AgentDies { point: Idle } }
            { at: 1h, for: 10m, agent_dies: { point: before_append } }
              Fault { from: 3600, until: 4200, kind: AgentDies { point: BeforeAppend } }
            { at: 1h, for: 10m, agent_dies: { point: after_append } }
              Fault { from: 3600, until: 4200, kind: AgentDies { point: AfterAppend } }
            { at: 1h, for: 10m, agent_dies: { point: after_effect } }
              Fault { from: 3600, until: 4200, kind: AgentDies { point: AfterEffect } }
            { at: 1h, for: 10m, agent_clock: { seconds: 5m } }
              Fault { from: 3600, until: 4200, kind: AgentClock { seconds: 300 } }
            { at: 1h, for: 10m, journal_fails: {} }
              Fault { from: 3600, until: 4200, kind: JournalFails }
            { at: 1h, for: 10m, other_automation: { service: web, units: 5, every: 1m } }
              Fault { from: 3600, until: 4200, kind: OtherAutomation { service: 0, units: 5, every: 60 } }
            { at: 1h, for: 10m, bad_deployment: { service: web, errors: 0.3, slow: 2 } }
              Fault { from: 3600, until: 4200, kind: BadDeployment { service: 0, error_ratio: 0.3, slow_factor: 2.0 } }
            { at: 1h, for: 10m, bad_deployment: { service: web, errors: 0.3 } }
              Fault { from: 3600, until: 4200, kind: BadDeployment { service: 0, error_ratio: 0.3, slow_factor: 1.0 } }
            { at: 1h, for: 10m, disk_fills: { service: web, ratio_per_hour: 0.5 } }
              Fault { from: 3600, until: 4200, kind: DiskFills { service: 0, ratio_per_hour: 0.5 } }
            { at: 1h, for: 10m, certificate_expires: { service: web, in: 5m } }
              Fault { from: 3600, until: 4200, kind: CertificateExpires { service: 0, seconds: 300 } }
        "#]],
    );
}

#[test]
fn a_fault_is_written_as_it_is_named() {
    for line in ["surge: { service: web, factor: 2 }", "backend_down: {}", "journal_fails: {}"] {
        let it = parse(&with("faults", &format!("{{ at: 1h, for: 1m, {line} }}")));
        assert_eq!(Some(it.faults[0].kind.name()), line.split(':').next());
    }
}

#[test]
fn every_deed_can_be_written() {
    check_all::<Act>(
        "people",
        &[
            "{ at: 1h, freeze: { for: 30m } }",
            "{ at: 1h, hold: { services: [web, mail], for: 30m } }",
            "{ after_page: 5m, no_scale_down: { for: 1d } }",
            "{ after_page: 0s, pin: { service: web, units: 20, for: 2h } }",
            "{ at: 1h, expire_all: {} }",
            "{ at: 1h, set_by_hand: { service: web, units: 0 } }",
            "{ at: 1h, shed: { service: web, ratio: 0.3, for: 10m } }",
            "{ at: 1h, restart: { service: web, ratio: 0.2, apart: 1m } }",
            "{ at: 1h, replace_gray: { service: web, units_max: 2 } }",
            "{ at: 1h, promote: { service: db } }",
            "{ at: 1h, drain: { zone: a, for: 1h } }",
            "{ at: 1h, takeover: { services: [web], for: 1h } }",
            "{ at: 1h, handback: { services: [web] } }",
            "{ approve: { after: 2m } }",
            "{ at: 1h, approve: { after: 2m, by: ben } }",
            "{ deny: { after: 2m } }",
            "{ at: 1h, abort: { after: 30s, by: ana } }",
        ],
        14,
        |it| it.people.clone(),
        |it| match it.deed {
            Deed::Freeze { .. } => 0,
            Deed::Hold { .. } => 1,
            Deed::NoScaleDown { .. } => 2,
            Deed::Pin { .. } => 3,
            Deed::ExpireAll => 4,
            Deed::SetByHand { .. } => 5,
            Deed::Shed { .. } => 6,
            Deed::Restart { .. } => 7,
            Deed::ReplaceGray { .. } => 8,
            Deed::Promote { .. } => 9,
            Deed::Drain { .. } => 10,
            Deed::Takeover { .. } => 11,
            Deed::HandBack { .. } => 12,
            Deed::StandBy { .. } => 13,
        },
        &expect![[r#"
            { at: 1h, freeze: { for: 30m } }
              Act { when: At(3600), deed: Freeze { services: [], seconds: 1800 } }
            { at: 1h, hold: { services: [web, mail], for: 30m } }
              Act { when: At(3600), deed: Hold { services: [0, 1], seconds: 1800 } }
            { after_page: 5m, no_scale_down: { for: 1d } }
              Act { when: AfterPage(300), deed: NoScaleDown { services: [], seconds: 86400 } }
            { after_page: 0s, pin: { service: web, units: 20, for: 2h } }
              Act { when: AfterPage(0), deed: Pin { service: 0, units: 20, seconds: 7200 } }
            { at: 1h, expire_all: {} }
              Act { when: At(3600), deed: ExpireAll }
            { at: 1h, set_by_hand: { service: web, units: 0 } }
              Act { when: At(3600), deed: SetByHand { service: 0, units: 0 } }
            { at: 1h, shed: { service: web, ratio: 0.3, for: 10m } }
              Act { when: At(3600), deed: Shed { service: 0, ratio: 0.3, seconds: 600 } }
            { at: 1h, restart: { service: web, ratio: 0.2, apart: 1m } }
              Act { when: At(3600), deed: Restart { service: 0, ratio: 0.2, apart: 60 } }
            { at: 1h, replace_gray: { service: web, units_max: 2 } }
              Act { when: At(3600), deed: ReplaceGray { service: 0, units_max: 2 } }
            { at: 1h, promote: { service: db } }
              Act { when: At(3600), deed: Promote { service: 3 } }
            { at: 1h, drain: { zone: a, for: 1h } }
              Act { when: At(3600), deed: Drain { zone: 0, seconds: 3600 } }
            { at: 1h, takeover: { services: [web], for: 1h } }
              Act { when: At(3600), deed: Takeover { services: [0], seconds: 3600 } }
            { at: 1h, handback: { services: [web] } }
              Act { when: At(3600), deed: HandBack { services: [0] } }
            { approve: { after: 2m } }
              Act { when: At(0), deed: StandBy { who: Ana, word: Approve, after: 120 } }
            { at: 1h, approve: { after: 2m, by: ben } }
              Act { when: At(3600), deed: StandBy { who: Ben, word: Approve, after: 120 } }
            { deny: { after: 2m } }
              Act { when: At(0), deed: StandBy { who: Ana, word: Deny, after: 120 } }
            { at: 1h, abort: { after: 30s, by: ana } }
              Act { when: At(3600), deed: StandBy { who: Ana, word: Abort, after: 30 } }
        "#]],
    );
    let it = parse(&with("people", "{ after_page: 5m, expire_all: {} }"));
    assert_eq!(it.people[0].when, When::AfterPage(300));
}

#[test]
fn every_must_can_be_written() {
    check_all::<Must>(
        "must",
        &[
            "{ recover_within: 2h }",
            "{ good_ratio: { service: web, min: 0.99, from: 0s, until: 40m } }",
            "{ ready_at_least: { service: web, units: 10 } }",
            "{ cost_ratio_at_most: 1.5 }",
            "{ page_within: 10m }",
            "{ detected_within: 2m }",
            "{ healed_by_playbook: gray-node }",
        ],
        7,
        |it| it.must.clone(),
        |it| match it {
            Must::RecoverWithin { .. } => 0,
            Must::GoodRatio { .. } => 1,
            Must::ReadyAtLeast { .. } => 2,
            Must::CostRatioAtMost { .. } => 3,
            Must::PageWithin { .. } => 4,
            Must::DetectedWithin { .. } => 5,
            Must::HealedByPlaybook { .. } => 6,
            // These name tenants and documents: see `scenario_files::money`.
            Must::TenantGoodRatio { .. } => 7,
            Must::ContainedWithin { .. } => 8,
            Must::SloPageWithin { .. } => 9,
        },
        &expect![[r#"
            { recover_within: 2h }
              RecoverWithin { seconds: 7200 }
            { good_ratio: { service: web, min: 0.99, from: 0s, until: 40m } }
              GoodRatio { service: 0, min: 0.99, span: Span { from: 0, until: 2400 } }
            { ready_at_least: { service: web, units: 10 } }
              ReadyAtLeast { service: 0, units: 10, span: Span { from: 0, until: 10800 } }
            { cost_ratio_at_most: 1.5 }
              CostRatioAtMost { ratio: 1.5 }
            { page_within: 10m }
              PageWithin { seconds: 600 }
            { detected_within: 2m }
              DetectedWithin { seconds: 120 }
            { healed_by_playbook: gray-node }
              HealedByPlaybook { name: "gray-node" }
        "#]],
    );
}

#[test]
fn every_must_not_can_be_written() {
    check_all::<MustNot>(
        "must_not",
        &[
            "{ remove: { service: web, from: 40m, until: 60m } }",
            "{ change: { service: web } }",
            "{ exceed: { service: web, units: 30, until: 3h } }",
            "{ change_oftener_than: { service: web, times: 10, from: 1h } }",
            "{ take_away_more_than: { service: web, ratio: 0.25 } }",
            "{ lose_writes: { service: db } }",
            "overrule_a_person",
            "incidents",
            "{ touch: { service: web } }",
        ],
        9,
        |it| it.must_not.clone(),
        |it| match it {
            MustNot::Remove { .. } => 0,
            MustNot::Change { .. } => 1,
            MustNot::Exceed { .. } => 2,
            MustNot::ChangeOftenerThan { .. } => 3,
            MustNot::TakeAwayMoreThan { .. } => 4,
            MustNot::LoseWrites { .. } => 5,
            MustNot::OverruleAPerson => 6,
            MustNot::Incidents => 7,
            MustNot::Touch { .. } => 8,
            // It names a document.
            MustNot::SloAlerts { .. } => 9,
        },
        &expect![[r#"
            { remove: { service: web, from: 40m, until: 60m } }
              Remove { service: 0, span: Span { from: 2400, until: 3600 } }
            { change: { service: web } }
              Change { service: 0, span: Span { from: 0, until: 10800 } }
            { exceed: { service: web, units: 30, until: 3h } }
              Exceed { service: 0, units: 30, span: Span { from: 0, until: 10800 } }
            { change_oftener_than: { service: web, times: 10, from: 1h } }
              ChangeOftenerThan { service: 0, times: 10, span: Span { from: 3600, until: 10800 } }
            { take_away_more_than: { service: web, ratio: 0.25 } }
              TakeAwayMoreThan { service: 0, ratio: 0.25 }
            { lose_writes: { service: db } }
              LoseWrites { service: 3 }
            overrule_a_person
              OverruleAPerson
            incidents
              Incidents
            { touch: { service: web } }
              Touch { service: 0 }
        "#]],
    );
    let all = Span { from: 0, until: 3 * 3_600 };
    let it = parse(&with("must_not", "{ change: { service: web } }"));
    assert_eq!(it.must_not[0], MustNot::Change { service: 0, span: all });
}
