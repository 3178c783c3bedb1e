//! Knobs of the provider's API against what callers hear and what becomes of the units.
//!
//! **In:** knobs and requests. **Out:** answers and units. **Not here:** a whole region.

mod properties;

use expect_test::{Expect, expect};

use super::*;

/// Services that take a second to become ready. A `lazy` world shows what it was told with its
/// next second, the other at once; the provider must do with both.
#[derive(Clone, Debug)]
struct Small {
    second: i64,
    is_lazy: bool,
    told: Vec<u32>,
    shown: Vec<u32>,
    ready: Vec<u32>,
}

impl Units for Small {
    fn second(&self) -> i64 {
        self.second
    }

    fn n_services(&self) -> usize {
        self.told.len()
    }

    fn name(&self, service: usize) -> &str {
        ["checkout", "search", "mail"].get(service).copied().unwrap_or_default()
    }

    fn desired(&self, service: usize) -> u32 {
        if self.is_lazy { self.shown[service] } else { self.told[service] }
    }

    fn ready(&self, service: usize) -> u32 {
        self.ready[service]
    }

    fn set(&mut self, service: usize, units: u32) {
        self.told[service] = units;
    }
}

/// A provider over three services with ten units each.
#[derive(Clone, Debug)]
struct Stage {
    provider: Provider,
    world: Small,
}

impl Stage {
    fn new(seed: u64, is_lazy: bool) -> Stage {
        let units = vec![10; 3];
        let world =
            Small { second: 0, is_lazy, told: units.clone(), shown: units.clone(), ready: units };
        Stage { provider: Provider::over(seed, 3), world }
    }

    fn with(knobs: ProviderKnobs) -> Stage {
        let mut stage = Stage::new(1, false);
        stage.provider.knobs = knobs;
        stage
    }

    fn tick(&mut self) {
        self.world.second += 1;
        self.world.ready = self.world.told.clone();
        self.world.shown = self.world.told.clone();
        self.provider.pass(&mut self.world);
    }

    fn set(&mut self, service: usize, units: u32, expected: Option<u32>) -> Reply {
        self.provider.set_in(&mut self.world, service, units, expected)
    }

    fn read(&mut self, service: usize) -> Result<Inventory, String> {
        self.provider.read_from(&self.world, service)
    }
}

fn knobs() -> ProviderKnobs {
    ProviderKnobs::default()
}

/// The only story of the tables below: under `knobs`, 20 units are asked for at second 3 and
/// 4 at second 6, of a service that has 10. What was heard, and what a read shows in every
/// second up to 12, as desired and ready units.
fn check(knobs: ProviderKnobs, expected: &Expect) {
    let mut stage = Stage::with(knobs);
    let mut told = String::new();
    let mut reads = "read:".to_owned();
    let mut refusal = None;
    for second in 1..=12i64 {
        stage.tick();
        let ask = match second {
            3 => Some(20),
            6 => Some(4),
            _ => None,
        };
        if let Some(units) = ask {
            let Reply { answered_at, answer } = stage.set(0, units, None);
            told.push_str(&format!("{units} at {second}: {answer:?} at {answered_at}\n"));
        }
        match stage.read(0) {
            Ok(Inventory { desired, ready }) => reads.push_str(&format!(" {desired}/{ready}")),
            Err(why) => refusal = Some(why),
        }
    }
    if let Some(why) = refusal {
        reads.push_str(&format!(" {why}"));
    }
    expected.assert_eq(&format!("{told}{reads}\nset to: {}\n", stage.world.told[0]));
}

#[test]
fn without_faults_a_change_is_done_and_seen() {
    check(
        knobs(),
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 10/10 10/10 20/10 20/20 20/20 4/20 4/4 4/4 4/4 4/4 4/4 4/4
            set to: 4
        "#]],
    );
}

#[test]
fn an_api_that_is_down_refuses_at_once() {
    check(
        ProviderKnobs { is_down: true, ..knobs() },
        &expect![[r#"
            20 at 3: Rejected("the provider's API refused the connection") at 3
            4 at 6: Rejected("the provider's API refused the connection") at 6
            read: the provider's API refused the connection
            set to: 10
        "#]],
    );
}

#[test]
fn a_throttled_api_refuses_reads_and_changes() {
    check(
        ProviderKnobs { throttled_ratio: 1.0, ..knobs() },
        &expect![[r#"
            20 at 3: Rejected("the provider's API was called too often (throttled); ask again later") at 4
            4 at 6: Rejected("the provider's API was called too often (throttled); ask again later") at 8
            read: the provider's API was called too often (throttled); ask again later
            set to: 10
        "#]],
    );
}

#[test]
fn without_an_answer_some_changes_happen_and_some_do_not() {
    check(
        ProviderKnobs { unknown_ratio: 1.0, ..knobs() },
        &expect![[r#"
            20 at 3: Unknown("the provider's API did not answer within 30 s") at 33
            4 at 6: Unknown("the provider's API did not answer within 30 s") at 36
            read: 10/10 10/10 20/10 20/20 20/20 20/20 20/20 20/20 20/20 20/20 20/20 20/20
            set to: 20
        "#]],
    );
}

#[test]
fn late_changes_are_done_before_they_are_true() {
    check(
        ProviderKnobs { delay_seconds: 4, ..knobs() },
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 10/10 10/10 10/10 10/10 10/10 10/10 20/10 20/20 20/20 4/20 4/4 4/4
            set to: 4
        "#]],
    );
}

#[test]
fn stale_reads_show_what_was_true() {
    check(
        ProviderKnobs { stale_seconds: 4, ..knobs() },
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 10/10 10/10 10/10 10/10 10/10 10/10 20/10 20/20 20/20 4/20 4/4 4/4
            set to: 4
        "#]],
    );
}

#[test]
fn a_part_of_a_change_is_carried_out() {
    check(
        ProviderKnobs { done_ratio: 0.5, ..knobs() },
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 10/10 10/10 15/10 15/15 15/15 10/15 10/10 10/10 10/10 10/10 10/10 10/10
            set to: 10
        "#]],
    );
}

#[test]
fn a_part_of_the_inventory_is_shown() {
    check(
        ProviderKnobs { shown_ratio: 0.25, ..knobs() },
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 2/2 2/2 5/2 5/5 5/5 1/5 1/1 1/1 1/1 1/1 1/1 1/1
            set to: 4
        "#]],
    );
}

#[test]
fn late_stale_and_partial_at_once() {
    let all = ProviderKnobs {
        delay_seconds: 2,
        stale_seconds: 2,
        done_ratio: 0.5,
        shown_ratio: 0.5,
        ..knobs()
    };
    check(
        all,
        &expect![[r#"
            20 at 3: Done at 4
            4 at 6: Done at 8
            read: 5/5 5/5 5/5 5/5 5/5 5/5 7/5 7/7 7/7 5/7 5/5 5/5
            set to: 10
        "#]],
    );
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let mut stage = Stage::new(1, false);
    let mut table = String::new();
    for (service, units, expected) in
        [(0, 12, Some(9)), (0, UNITS_MAX + 1, None), (3, 12, None), (0, 10, Some(10))]
    {
        let Reply { answer, .. } = stage.set(service, units, expected);
        table.push_str(&format!("{answer:?}\n"));
    }
    table.push_str(&format!("{:?}\n{:?}\n", stage.read(3), stage.world.told));
    expect![[r#"
        Rejected("service `checkout` is set to 10 units, not the expected 9; read it again and decide anew")
        Rejected("service `checkout`: 5001 units are above the quota of 5000; ask for less")
        Rejected("there is no service number 3; the region has 3")
        Done
        Err("there is no service number 3; the region has 3")
        [10, 10, 10]
    "#]].assert_eq(&table);
}

#[test]
fn an_expectation_is_checked_when_the_late_change_takes_effect() {
    let mut stage = Stage::with(ProviderKnobs { delay_seconds: 5, ..knobs() });
    // All are done, as far as their callers know.
    assert_eq!(stage.set(0, 11, Some(10)).answer, Answer::Done);
    assert_eq!(stage.set(0, 12, Some(10)).answer, Answer::Done);
    stage.tick();
    assert_eq!(stage.set(0, 13, Some(12)).answer, Answer::Done);
    stage.tick();
    assert_eq!(stage.set(0, 14, Some(11)).answer, Answer::Done);
    let mut seen = Vec::new();
    for _ in 0..6 {
        stage.tick();
        seen.push(stage.world.told[0]);
    }
    // The second and the third find what the first has left, and do nothing.
    assert_eq!(seen, [10, 10, 11, 11, 14, 14]);
}

#[test]
fn an_old_late_change_overwrites_a_newer_one() {
    let mut stage = Stage::with(ProviderKnobs { delay_seconds: 60, ..knobs() });
    stage.set(0, 2, None);
    stage.tick();
    stage.provider.knobs = knobs();
    stage.set(0, 30, None);
    assert_eq!(stage.world.told[0], 30);
    (0..60).for_each(|_| stage.tick());
    assert_eq!(stage.world.told[0], 2);
}

#[test]
fn late_changes_take_effect_by_their_time_whatever_the_order_they_came_in() {
    let mut stage = Stage::with(knobs());
    for (delay_seconds, units) in [(9, 19), (3, 13), (6, 16), (3, 14)] {
        stage.provider.knobs.delay_seconds = delay_seconds;
        stage.set(0, units, None);
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        stage.tick();
        seen.push(stage.world.told[0]);
    }
    assert_eq!(seen, [10, 10, 14, 14, 14, 16, 16, 16, 19, 19]);
}

#[test]
fn only_so_many_changes_wait() {
    let mut stage = Stage::with(ProviderKnobs { delay_seconds: 10, ..knobs() });
    for _ in 0..PENDING_MAX {
        assert_eq!(stage.set(0, 11, None).answer, Answer::Done);
    }
    let Answer::Rejected(why) = stage.set(0, 11, None).answer else { panic!("one too many") };
    expect!["10000 changes wait already, and the provider holds at most 10000; ask again later"]
        .assert_eq(&why);
    // A change that need not wait is not kept back by those that do.
    stage.provider.knobs.delay_seconds = 0;
    assert_eq!(stage.set(0, 12, None).answer, Answer::Done);
    (0..10).for_each(|_| stage.tick());
    assert_eq!((stage.provider.pending.len(), stage.world.told[0]), (0, 11));
}

#[test]
fn parts_of_changes_and_inventories_round_toward_the_old_and_the_fewer() {
    let cases = [
        (10, 20, 0.29),
        (10, 110, 0.29),
        (20, 10, 0.29),
        (10, 12, 0.1),
        (12, 10, 0.1),
        (10, 10, 0.1),
        (10, 20, 1.0),
        (10, 20, 7.0),
        (10, 20, 0.0),
        (10, 20, -1.0),
        (10, 20, f64::NAN),
        (10, 20, f64::INFINITY),
    ];
    let mut table = "from -> to, ratio: reached; shown of `to`\n".to_owned();
    for (from, to, ratio) in cases {
        let (reached, shown) = (part_way(from, to, ratio), share_of(to, ratio));
        table.push_str(&format!("{from} -> {to}, {ratio}: {reached}; {shown}\n"));
    }
    expect![[r#"
        from -> to, ratio: reached; shown of `to`
        10 -> 20, 0.29: 12; 5
        10 -> 110, 0.29: 39; 31
        20 -> 10, 0.29: 18; 2
        10 -> 12, 0.1: 11; 1
        12 -> 10, 0.1: 11; 1
        10 -> 10, 0.1: 10; 1
        10 -> 20, 1: 20; 20
        10 -> 20, 7: 20; 20
        10 -> 20, 0: 10; 0
        10 -> 20, -1: 10; 0
        10 -> 20, NaN: 10; 0
        10 -> 20, inf: 20; 20
    "#]]
    .assert_eq(&table);
}

#[test]
fn chances_come_true_as_often_as_the_knobs_say() {
    let n = 10_000usize;
    // Four standard errors of a share of a half; smaller shares vary less.
    let near = |count: usize, of: f64, share: f64| {
        let count = f64::from(u32::try_from(count).unwrap());
        assert!((count - of * share).abs() < 4.0 * of.sqrt() / 2.0, "{count} of {of}, not {share}");
    };
    let mut stage = Stage::with(ProviderKnobs { throttled_ratio: 0.3, ..knobs() });
    near((0..n).filter(|_| stage.read(0).is_err()).count(), 1e4, 0.3);
    let replies: Vec<Reply> = (0..n).map(|_| stage.set(0, 10, None)).collect();
    near(replies.iter().filter(|it| it.answer != Answer::Done).count(), 1e4, 0.3);
    near(replies.iter().filter(|it| it.answered_at == 1).count(), 1e4, 0.5);
    assert!(replies.iter().all(|it| [1, 2].contains(&it.answered_at)));

    let mut stage = Stage::with(ProviderKnobs { unknown_ratio: 0.3, ..knobs() });
    let (mut n_unknown, mut n_happened) = (0, 0);
    for asked in (11..1_011).cycle().take(n) {
        stage.world.told[0] = 10;
        stage.tick();
        let Reply { answered_at, answer } = stage.set(0, asked, None);
        if let Answer::Unknown(_) = answer {
            assert_eq!(answered_at, stage.world.second + UNKNOWN_SECONDS);
            n_unknown += 1;
            n_happened += usize::from(stage.world.told[0] == asked);
        }
    }
    near(n_unknown, 1e4, 0.3);
    near(n_happened, 3e3, 0.5);
}

#[test]
fn what_is_kept_for_stale_reads_does_not_grow() {
    let mut stage = Stage::with(knobs());
    for second in 0..5_000u32 {
        stage.tick();
        stage.set(0, second, None);
    }
    let n_kept = stage.provider.accounts[0].past.n_kept();
    assert!(n_kept <= usize::try_from(STALE_SECONDS_MAX).unwrap() + 1, "{n_kept}");
    stage.provider.knobs.stale_seconds = i64::MAX;
    assert_eq!(stage.read(0).unwrap().desired, 4_999 - 600);
}
