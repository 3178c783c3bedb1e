//! Knobs over time, and what happens once.
//!
//! **In:** faults. **Out:** the knobs of every second. **Not here:** what a knob does.

use proptest::prelude::*;

use super::*;
use crate::exporter::{BackendKnobs, ExporterKnobs};
use crate::fault::DeathPoint;
use crate::fault::swarm::{Swarm, draw};
use crate::load::LoadCurve;
use crate::provider::ProviderKnobs;
use crate::world::{CallSpec, Knobs, RegionKnobs, RetrySpec, ServiceKind, ServiceSpec, UnitSpec};

/// Four services: `web` and `jobs` have a load, `memory` is a cache, `db` a database.
pub(crate) fn small_world() -> WorldSpec {
    let service = |name: &str, kind: ServiceKind, calls: &[usize], has_load: bool| ServiceSpec {
        name: name.to_owned(),
        kind,
        load: has_load.then_some(LoadCurve {
            trough_rps: 20.0,
            peak_rps: 100.0,
            peak_hour: 15.0,
            weekend_ratio: 0.8,
            noise_ratio: 0.05,
        }),
        calls: calls
            .iter()
            .map(|it| CallSpec { service: *it, per_request: 0.5, is_needed: true })
            .collect(),
        unit: UnitSpec { slots: 4, service_seconds: 0.08, cpu_ratio: 0.7 },
        units_start: 6,
        units_min: 2,
        units_max: 20,
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 1, budget_ratio: Some(0.1) },
        objective_seconds: 0.5,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.2,
        is_scaled: has_load,
        is_critical: true,
    };
    let (queue_per_unit_max, timeout_seconds) = (100.0, 2.0);
    let web = ServiceKind::Web { queue_per_unit_max, timeout_seconds };
    let cache = ServiceKind::Cache {
        items: 10_000.0,
        zipf_exponent: 0.9,
        items_per_unit: 2_000.0,
        timeout_seconds,
    };
    let database = ServiceKind::Database { queue_per_unit_max, timeout_seconds, writes_ratio: 0.2 };
    WorldSpec {
        zones: ["a", "b", "c"].map(str::to_owned).to_vec(),
        services: vec![
            service("web", web, &[2, 3], true),
            service("jobs", ServiceKind::Workers { queue_max: 1e6 }, &[3], true),
            service("memory", cache, &[3], false),
            service("db", database, &[], false),
        ],
        launches_per_minute_max: 60.0,
        zone_units_max: 100,
        fail_open_ratio: 0.5,
    }
}

fn fault(from: i64, until: i64, kind: FaultKind) -> Fault {
    Fault { from, until, kind }
}

/// A second in which something happened.
type Happened = (i64, Happenings, Vec<Once>);

/// All seconds in `0 .. until`, as `apply` would see them: where nothing changes, the board
/// before. With how often there was something to do.
fn run(faults: Vec<Fault>, until: i64) -> (Vec<Board>, Vec<Happened>, usize) {
    let spec = small_world();
    let mut schedule = Schedule::new(faults);
    let (mut boards, mut happened, mut n_changes) = (Vec::new(), Vec::new(), 0);
    for second in 0..until {
        if schedule.next_at <= second {
            let Change { boards: (_, now), once, happenings } = schedule.advance(second, &spec);
            n_changes += 1;
            boards.push(now);
            if happenings != Happenings::default() || !once.is_empty() {
                happened.push((second, happenings, once));
            }
        } else {
            boards.push(boards.last().cloned().unwrap());
        }
    }
    (boards, happened, n_changes)
}

#[test]
fn what_overlaps_adds_up_and_leaves_nothing_behind() {
    use FaultKind::*;
    let long = |kind| fault(10, 40, kind);
    let short = |kind| fault(20, 30, kind);
    let (boards, ..) = run(
        vec![
            long(Slow { service: 0, factor: 2.0 }),
            short(Slow { service: 0, factor: 3.0 }),
            long(Errors { service: 0, ratio: 0.5 }),
            short(Errors { service: 0, ratio: 0.5 }),
            long(Junk { service: 0, rps: 5.0, tenant: None }),
            short(Junk { service: 0, rps: 7.0, tenant: None }),
            long(Gray { service: 0, ratio: 0.5, factor: 4.0 }),
            short(Gray { service: 0, ratio: 0.5, factor: 3.0 }),
            long(HiddenLimit { service: 0, units: 9 }),
            short(HiddenLimit { service: 0, units: 7 }),
            long(Down { service: 0 }),
            short(Down { service: 0 }),
            long(ZoneLoss { zone: 2 }),
            short(ZoneLoss { zone: 1 }),
            short(ZoneLoss { zone: 2 }),
            long(LaunchLimit { per_minute: 3.0 }),
            short(LaunchLimit { per_minute: 1.0 }),
            long(SlowBoot { factor: 2.0 }),
            short(SlowBoot { factor: 2.0 }),
            long(WrongBy { service: None, factor: 10.0 }),
            short(WrongBy { service: Some(0), factor: 10.0 }),
            short(SeriesGone { service: Some(0) }),
            long(BackendSkew { seconds: 60 }),
            short(BackendSkew { seconds: -90 }),
            long(HalfDone { ratio: 0.5 }),
            short(HalfDone { ratio: 0.5 }),
            long(LateChanges { seconds: 30 }),
            short(LateChanges { seconds: 20 }),
        ],
        60,
    );
    let alone = &boards[15];
    let both = &boards[25];
    let knobs = |board: &Board| board.services[0].1;
    let expected = Knobs {
        slow_factor: 2.0,
        error_ratio: 0.5,
        junk_rps: 5.0,
        gray_ratio: 0.5,
        gray_factor: 4.0,
        hidden_limit_units: 9,
        is_down: true,
        ..Knobs::default()
    };
    assert_eq!(knobs(alone), expected);
    let expected = Knobs {
        slow_factor: 6.0,
        error_ratio: 0.75,
        junk_rps: 12.0,
        gray_ratio: 0.75,
        gray_factor: 4.0,
        hidden_limit_units: 7,
        is_down: true,
        ..Knobs::default()
    };
    assert_eq!(knobs(both), expected);
    let region = |zones: &[usize], launches, boot_factor| RegionKnobs {
        lost_zones: zones.to_vec(),
        launches_per_minute_max: Some(launches),
        boot_factor,
        ..RegionKnobs::default()
    };
    assert_eq!(alone.region, region(&[2], 3.0, 2.0));
    assert_eq!(both.region, region(&[1, 2], 1.0, 4.0));
    let exporter = |is_gone, factor| ExporterKnobs { is_gone, factor, ..ExporterKnobs::default() };
    assert_eq!(alone.exporters, [0, 1, 2, 3].map(|it| (it, exporter(false, 10.0))));
    assert_eq!(both.exporters[0], (0, exporter(true, 100.0)));
    assert_eq!(both.exporters[1], (1, exporter(false, 10.0)));
    let skew = |skew_seconds| BackendKnobs { skew_seconds, ..BackendKnobs::default() };
    assert_eq!((alone.backend, both.backend), (skew(60), skew(-30)));
    let provider =
        |done_ratio| ProviderKnobs { done_ratio, delay_seconds: 30, ..ProviderKnobs::default() };
    assert_eq!((alone.provider, both.provider), (provider(0.5), provider(0.25)));
    assert_eq!(&boards[35], alone);
    assert_eq!((&boards[9], &boards[40]), (&boards[0], &boards[0]));
}

#[test]
fn a_surge_rises_and_falls_within_its_ramps() {
    let surge = |ramp| fault(10, 20, FaultKind::Surge { service: 0, factor: 3.0, ramp });
    let factors = |fault: Fault| {
        let (boards, _, n_changes) = run(vec![fault], 30);
        let of = |it: &Board| format!("{:.2}", it.services[0].1.load_factor);
        (boards[8..22].iter().map(of).collect::<Vec<_>>().join(" "), n_changes)
    };
    let expected = [
        (0, "1.00 1.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 1.00 1.00", 3),
        (1, "1.00 1.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 3.00 1.00 1.00", 3),
        (4, "1.00 1.00 1.50 2.00 2.50 3.00 3.00 3.00 3.00 2.50 2.00 1.50 1.00 1.00", 9),
        // Too short to get there.
        (10, "1.00 1.00 1.20 1.40 1.60 1.80 2.00 2.00 1.80 1.60 1.40 1.20 1.00 1.00", 12),
    ];
    for (ramp, shape, n_changes) in expected {
        assert_eq!(factors(surge(ramp)), (shape.to_owned(), n_changes), "ramp {ramp}");
    }
}

#[test]
fn what_happens_is_said_once_and_in_words() {
    use FaultKind::*;
    let (_, happened, _) = run(
        vec![
            fault(5, 6, Crash { service: 0, ratio: 0.5 }),
            fault(5, 6, Restart { service: 3, ratio: 1.0 }),
            fault(7, 8, Flush { service: 2 }),
            fault(7, 8, Flush { service: 99 }),
            fault(10, 20, ZoneLoss { zone: 1 }),
            fault(12, 20, ReadsZero { service: Some(0) }),
            fault(13, 20, Frozen { service: None }),
            fault(14, 30, AgentDies { point: DeathPoint::AfterAppend }),
            fault(15, 30, JournalFails),
            fault(16, 30, AgentClock { seconds: 60 }),
            fault(17, 25, AgentClock { seconds: -90 }),
            fault(18, 24, OtherAutomation { service: 1, units: 4, every: 3 }),
        ],
        60,
    );
    let shown: String = happened
        .iter()
        .map(|(second, it, once)| {
            let mut line = format!("{second}:");
            for text in it.began.iter().chain(&it.ended) {
                line += &format!(" {text};");
            }
            let Happenings { agent, set_units, .. } = it;
            let mut rest = Vec::new();
            rest.extend(agent.iter().map(|it| format!("{it:?}")));
            rest.extend(set_units.iter().map(|it| format!("set {it:?}")));
            rest.extend(once.iter().map(|it| format!("{it:?}")));
            format!("{line} {}\n", rest.join(", "))
        })
        .collect();
    expect_test::expect![[r#"
        5: 50 % of the units of web die; 100 % of the units of db restart; Kill { service: 0, ratio: 0.5 }, Restart { service: 3, ratio: 1.0 }
        7: memory is emptied; ? is emptied; Flush { service: 2 }
        10: zone b is lost; 
        12: the metrics of web read zero; 
        13: all metrics stand still; 
        14: the agent dies between its records and their effects; Dies { point: AfterAppend, back_at: 30 }
        15: the agent's journal cannot be written; JournalFails { until: 30 }
        16: the agent's clock is 60 s ahead; ClockIsOff { seconds: 60 }
        17: the agent's clock is 90 s behind; ClockIsOff { seconds: -30 }
        18: another automation keeps setting jobs to 4 units; set (1, 4)
        20: over: zone b is lost; over: the metrics of web read zero; over: all metrics stand still; 
        21: set (1, 4)
        24: over: another automation keeps setting jobs to 4 units; 
        25: over: the agent's clock is 90 s behind; ClockIsOff { seconds: 60 }
        30: over: the agent dies between its records and their effects; over: the agent's journal cannot be written; over: the agent's clock is 60 s ahead; ClockIsOff { seconds: 0 }
    "#]].assert_eq(&shown);
}

#[test]
fn the_pager_is_dead_while_it_is_dead() {
    let schedule = Schedule::new(vec![fault(10, 20, FaultKind::PagerDead)]);
    assert_eq!([9, 10, 19, 20].map(|it| schedule.pager_works(it)), [true, false, false, true]);
    assert_eq!((schedule.healed_at(), Schedule::new(Vec::new()).healed_at()), (20, 0));
}

#[test]
fn an_ordinary_second_costs_nothing() {
    let faults = vec![
        fault(1_000, 2_000, FaultKind::BackendDown),
        fault(5_000, 6_000, FaultKind::Surge { service: 0, factor: 2.0, ramp: 10 }),
    ];
    let (_, _, n_changes) = run(faults, 10_000);
    // The first second, four edges, and two ramps of nine more seconds each.
    assert_eq!(n_changes, 1 + 4 + 18);
}

#[test]
fn knobs_are_turned_where_they_are_and_what_people_turn_is_left_alone() {
    use FaultKind::*;
    let start = jiff::Timestamp::from_second(1_772_442_000).unwrap();
    let mut world = World::new(1, start, small_world()).unwrap();
    let mut exporter = Exporter::new(1, crate::exporter::ExporterSpec::default(), 4);
    let mut provider = Provider::new(1, &world);
    let mut schedule = Schedule::new(vec![
        fault(10, 40, Slow { service: 0, factor: 2.0 }),
        fault(10, 40, ReadsZero { service: None }),
        fault(10, 40, BackendDown),
        fault(10, 40, ProviderDown),
        fault(20, 21, Crash { service: 3, ratio: 1.0 }),
    ]);
    // The warm-up has negative seconds.
    for second in -30..400 {
        if second == 5 {
            world.knobs_mut(0).shed_ratio = 0.25;
        }
        if second == 30 {
            world.knobs_mut(0).shed_ratio = 0.5;
        }
        schedule.apply(second, &mut world, &mut exporter, &mut provider);
        world.tick();
        provider.tick(&mut world);
        exporter.tick(&world);
        let is_broken = (10..40).contains(&second);
        let shed_ratio = if second < 5 {
            0.0
        } else if second < 30 {
            0.25
        } else {
            0.5
        };
        let slow_factor = if is_broken { 2.0 } else { 1.0 };
        let knobs = Knobs { shed_ratio, slow_factor, ..Knobs::default() };
        assert_eq!(*world.knobs_mut(0), knobs, "at {second}");
        assert_eq!(*world.knobs_mut(1), Knobs::default());
        assert_eq!(exporter.knobs_mut(2).reads_zero, is_broken, "at {second}");
        assert_eq!(exporter.backend_mut().is_down, is_broken, "at {second}");
        assert_eq!(provider.knobs_mut().is_down, is_broken, "at {second}");
        if (20..40).contains(&second) {
            assert_eq!(world.truth(3).ready, 0, "at {second}");
        }
    }
    // Once: new units are launched and boot, nobody kills them again.
    assert_eq!(world.truth(3).ready, 6);
}

/// Faults of a swarm that is dense enough to overlap, and when they are over.
fn dense(seed: u64) -> Vec<Fault> {
    let swarm = Swarm { faults_per_hour: 60.0, longest: 600, has_people: true };
    draw(seed, &swarm, &small_world(), 3_000).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // A schedule is a function of the second: how it came there does not matter.
    #[test]
    fn every_second_is_what_a_fresh_schedule_says(seed: u64) {
        let faults = dense(seed);
        let spec = small_world();
        let (boards, ..) = run(faults.clone(), 3_200);
        for second in (0..3_200).step_by(61) {
            let fresh = Schedule::new(faults.clone()).advance(second, &spec).boards.1;
            prop_assert_eq!(Some(&fresh), boards.get(usize::try_from(second).unwrap()));
        }
    }

    #[test]
    fn when_all_is_over_every_knob_is_as_it_was(seed: u64) {
        let faults = dense(seed);
        let healthy = Board::healthy(&Reach::of(&faults, small_world().services.len()));
        let healed_at = Schedule::new(faults.clone()).healed_at();
        prop_assert!(healed_at <= 3_000);
        let (boards, happened, _) = run(faults.clone(), healed_at + 1);
        prop_assert_eq!(boards.last(), Some(&healthy));
        let began: usize = happened.iter().map(|it| it.1.began.len()).sum();
        let ended: usize = happened.iter().map(|it| it.1.ended.len()).sum();
        let once: usize = happened.iter().map(|it| it.2.len()).sum();
        prop_assert_eq!(began, faults.len());
        prop_assert_eq!(ended + once, faults.len());
        // The clock is right again.
        let mut clocks = happened.iter().flat_map(|it| &it.1.agent).filter_map(|it| match it {
            AgentFault::ClockIsOff { seconds } => Some(*seconds),
            AgentFault::Dies { .. } | AgentFault::JournalFails { .. } => None,
        });
        prop_assert!(clocks.next_back().is_none_or(|it| it == 0));
    }
}
