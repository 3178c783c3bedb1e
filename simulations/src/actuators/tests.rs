//! Acts and looks under every knob of the provider, and every command.
//!
//! **In:** actions with effect numbers. **Out:** panics of failed tests.
//! **Not here:** what a lever does to the service (`tests/world`), when an act leaves.

use evenkeel_core::ids::AllowedName;

use super::*;
use crate::provider::ProviderKnobs;
use crate::scenario::{DEMO, Scenario, ScenarioKind};

struct Site {
    world: World,
    provider: Provider,
    actuators: Actuators,
}

impl Site {
    fn with(knobs: ProviderKnobs) -> Site {
        let scenario = Scenario::parse("demo.yaml", DEMO).expect("the demo is valid");
        let ScenarioKind::Region(region) = scenario.kind else { panic!("a region") };
        let n = region.world.services.len();
        let mut world = World::new(1, region.starts_at, region.world).expect("it can be");
        world.name_units();
        (0..30).for_each(|_| world.tick());
        let mut provider = Provider::new(1, &world);
        *provider.knobs_mut() = knobs;
        Site { world, provider, actuators: Actuators::new(n) }
    }

    fn act(&mut self, id: u64, action: &Action) -> Answer {
        let Site { world, provider, actuators } = self;
        actuators.act(world, provider, 0, EffectId(id), action).answer
    }

    fn look(&mut self, at: &LookAt) -> Result<Seen, String> {
        self.actuators.look(&self.world, &mut self.provider, 0, at)
    }

    fn names(&self, n: usize) -> BTreeSet<InstanceName> {
        let units = self.world.units(0, n);
        let names = units.iter().map(|it| self.world.unit_name(0, it.id));
        names.map(|it| InstanceName::new(&it).expect("a name")).collect()
    }

    fn n_drained(&self) -> usize {
        self.world.units(0, 1_000).iter().filter(|it| it.is_drained).count()
    }

    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.world.tick();
            self.actuators.tick(&mut self.world);
        }
    }
}

fn command(name: &str, arguments: &[&str]) -> Action {
    Action::RunCommand {
        command: AllowedName::new(name).expect("a name"),
        arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn knobs() -> ProviderKnobs {
    ProviderKnobs::default()
}

#[test]
fn what_the_provider_does_to_a_drain_of_two() {
    let check = |knobs: ProviderKnobs, expected: &str, drained: usize| {
        let mut site = Site::with(knobs);
        let action = Action::SetDrained { instances: site.names(2), is_drained: true };
        let answer = match site.act(1, &action) {
            Answer::Done => "done",
            Answer::Rejected(_) => "rejected",
            Answer::Unknown(_) => "unknown",
        };
        assert_eq!((answer, site.n_drained()), (expected, drained), "{knobs:?}");
    };
    check(knobs(), "done", 2);
    check(ProviderKnobs { is_down: true, ..knobs() }, "rejected", 0);
    check(ProviderKnobs { throttled_ratio: 1.0, ..knobs() }, "rejected", 0);
    check(ProviderKnobs { done_ratio: 0.5, ..knobs() }, "done", 1);
    check(ProviderKnobs { delay_seconds: 30, ..knobs() }, "done", 0);
}

#[test]
fn without_an_answer_it_may_have_happened_or_not() {
    let mut site = Site::with(ProviderKnobs { unknown_ratio: 1.0, ..knobs() });
    let (mut happened, mut not) = (0, 0);
    for id in 1..=40 {
        let before = site.n_drained();
        let action = Action::SetDrained { instances: site.names(1), is_drained: before == 0 };
        assert!(matches!(site.act(id, &action), Answer::Unknown(_)));
        if site.n_drained() == before { not += 1 } else { happened += 1 }
    }
    assert!(8 < happened && 8 < not, "{happened} {not}");
}

#[test]
fn what_is_late_is_done_in_its_time() {
    let mut site = Site::with(ProviderKnobs { delay_seconds: 30, ..knobs() });
    let action = Action::SetDrained { instances: site.names(1), is_drained: true };
    assert_eq!(site.act(1, &action), Answer::Done);
    site.pass(29);
    assert_eq!(site.n_drained(), 0);
    site.pass(1);
    assert_eq!(site.n_drained(), 1);
}

#[test]
fn every_action_shows_in_the_look_that_goes_with_it() {
    let mut site = Site::with(knobs());
    let since = site.world.now();
    let two = site.names(2);
    let weights: BTreeMap<InstanceName, u32> = two.iter().map(|it| (it.clone(), 5)).collect();
    let actions = [
        Action::SetWeights { weights },
        Action::SetDrained { instances: two.clone(), is_drained: true },
        Action::SetDrained { instances: two.clone(), is_drained: false },
        Action::RestartInstances { instances: two.clone() },
        Action::ReplaceInstances { instances: two },
        Action::SetRevision { revision: "r1".to_owned() },
        command("clean-disk", &[]),
        Action::CallWebhook {
            webhook: AllowedName::new("shed-load").expect("a name"),
            fields: BTreeMap::from([("ratio".to_owned(), "0.25".to_owned())]),
        },
    ];
    for (id, action) in (1..).zip(actions) {
        assert_eq!(site.act(id, &action), Answer::Done, "{action}");
        let seen = site.look(&action.looks_at()).expect("it works");
        let happened = action.has_happened(since, EffectId(id), &seen);
        assert_eq!(happened, evenkeel_core::condition::Truth::True, "{action}: {seen:?}");
    }
    assert!((site.world.knobs_mut(0).shed_ratio - 0.25).abs() < 1e-9);
}

#[test]
fn a_look_fails_as_the_provider_does() {
    let check = |knobs: ProviderKnobs, expected: Option<usize>| {
        let mut site = Site::with(knobs);
        let n = match site.look(&LookAt::Instances) {
            Ok(Seen::Instances { instances }) => Some(instances.len()),
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        };
        assert_eq!(n, expected, "{knobs:?}");
    };
    let all = Site::with(knobs()).world.units(0, 1_000).len();
    check(knobs(), Some(all));
    check(ProviderKnobs { is_down: true, ..knobs() }, None);
    check(ProviderKnobs { throttled_ratio: 1.0, ..knobs() }, None);
    check(ProviderKnobs { stale_seconds: 60, ..knobs() }, None);
    check(ProviderKnobs { shown_ratio: 0.5, ..knobs() }, Some(all / 2));
    let mut site = Site::with(knobs());
    let unknown = AllowedName::new("rm").expect("a name");
    assert!(site.look(&LookAt::Command { command: unknown }).is_err());
}

#[test]
fn a_command_runs_once_per_effect_and_leaves_a_receipt() {
    let mut site = Site::with(knobs());
    let shed = command("shed-load", &["0.4"]);
    let look = shed.looks_at();
    assert_eq!(site.look(&look), Ok(Seen::Receipts { receipts: BTreeMap::new() }));
    assert_eq!(site.act(7, &shed), Answer::Done);
    site.world.knobs_mut(0).shed_ratio = 0.0;
    assert_eq!(site.act(7, &shed), Answer::Done);
    assert!(site.world.knobs_mut(0).shed_ratio < 1e-9, "a second time is none");
    let Answer::Rejected(_) = site.act(8, &command("fail", &[])) else { panic!("it fails") };
    let receipts = BTreeMap::from([(EffectId(7), Receipt::Done)]);
    assert_eq!(site.look(&look), Ok(Seen::Receipts { receipts }));
    let receipts = BTreeMap::from([(EffectId(8), Receipt::Failed)]);
    assert_eq!(site.look(&command("fail", &[]).looks_at()), Ok(Seen::Receipts { receipts }));
}

#[test]
fn every_command_of_the_table_is_known_and_no_other() {
    let mut site = Site::with(knobs());
    for (id, (name, _)) in (1..).zip(commands::COMMANDS) {
        let zone = if name.ends_with("-zone") { &["zone=a"][..] } else { &[] };
        let answer = site.act(id, &command(name, zone));
        let is_refused = ["set-units", "fail"].contains(&name);
        assert_eq!(matches!(answer, Answer::Rejected(_)), is_refused, "{name}: {answer:?}");
    }
    for (id, wrong) in (100..).zip([
        command("reboot", &[]),
        command("shed-load", &["1.5"]),
        command("drain-zone", &[]),
        command("drain-zone", &["nowhere"]),
    ]) {
        assert!(matches!(site.act(id, &wrong), Answer::Rejected(_)), "{wrong}");
    }
}
