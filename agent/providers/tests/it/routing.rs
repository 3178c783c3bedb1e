//! Which platform gets what, fencing, limits, and the demo's region.
//!
//! In: made-up platforms and requests.
//! Out: what reaches them and what comes back.
//! Not here: real platforms (`aws.rs`, `webhook.rs`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{now, request, show_reading, show_report, target};
use async_trait::async_trait;
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::Term;
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
use evenkeel_providers::{
    EffectReport, Provider, ProviderSettings, Providers, ReadError, SetCapacityRequest,
};
use expect_test::expect;

/// Remembers what it was asked; hangs when told to; forgets one reading when told to.
#[derive(Default)]
struct Fake {
    platform: &'static str,
    hangs: bool,
    forgets: bool,
    sets: Mutex<Vec<u32>>,
}

#[async_trait]
impl Provider for Fake {
    fn platform(&self) -> &'static str {
        self.platform
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let n = references.len() - usize::from(self.forgets);
        (0..n)
            .map(|n| {
                let current = Capacity(u32::try_from(n).unwrap());
                Ok(CapacityReading { current, ready: None, read_at: now() })
            })
            .collect()
    }

    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.sets.lock().unwrap().push(request.desired.0);
        EffectReport::new(EffectOutcome::Done, self.platform)
    }
}

fn simulated(service: &str) -> ProviderRef {
    ProviderRef::Simulated { service: service.to_owned() }
}

fn group() -> ProviderRef {
    ProviderRef::AwsAutoScalingGroup { group: "web".to_owned() }
}

fn webhook() -> ProviderRef {
    let url = "https://platform.example/".to_owned();
    ProviderRef::Webhook { url, secret_file: "key".to_owned() }
}

fn of(fakes: &[&Arc<Fake>]) -> Providers {
    let platforms = fakes.iter().map(|it| Arc::clone(it) as Arc<dyn Provider>).collect();
    Providers::of(platforms, &ProviderSettings::default()).unwrap()
}

async fn read_all(providers: &Providers, references: &[ProviderRef]) -> String {
    let targets: Vec<_> = references
        .iter()
        .enumerate()
        .map(|(n, reference)| (target(&format!("t{n}")), reference.clone()))
        .collect();
    let readings = providers.read(&targets).await;
    let shown: Vec<String> = readings
        .iter()
        .map(|(target, reading)| format!("{target}: {}", show_reading(reading)))
        .collect();
    shown.join("\n")
}

#[tokio::test]
async fn every_target_is_read_by_its_platform_in_the_order_asked() {
    let demo = Arc::new(Fake { platform: "simulated", ..Fake::default() });
    let aws = Arc::new(Fake { platform: "aws_auto_scaling_group", ..Fake::default() });
    let references = [simulated("a"), group(), simulated("b"), webhook(), group(), simulated("c")];
    expect![[r#"
        t0: 0, ? ready
        t1: 0, ? ready
        t2: 1, ? ready
        t3: platform `webhook` is not configured; build with feature `webhook`
        t4: 1, ? ready
        t5: 2, ? ready"#]]
    .assert_eq(&read_all(&of(&[&demo, &aws]), &references).await);
    assert_eq!(of(&[]).read(&[]).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_hangs_is_given_up_and_the_others_are_read() {
    let demo = Arc::new(Fake { platform: "simulated", ..Fake::default() });
    let aws = Arc::new(Fake { platform: "aws_auto_scaling_group", hangs: true, ..Fake::default() });
    let providers = of(&[&demo, &aws]);
    expect![[r#"
        t0: 0, ? ready
        t1: aws_auto_scaling_group was not read within 10 s; the platform is slow or there are too many at once"#]].assert_eq(&read_all(&providers, &[simulated("a"), group()]).await);
    let report = providers.set_capacity(&request(&group(), 5, 6)).await;
    expect!["unknown: `aws_auto_scaling_group` has not answered within 11 s"]
        .assert_eq(&show_report(&report));
}

#[tokio::test]
async fn a_platform_that_forgets_a_reading_does_not_shift_the_others() {
    let demo = Arc::new(Fake { platform: "simulated", forgets: true, ..Fake::default() });
    expect![[r#"
        t0: 0, ? ready
        t1: no usable answer about simulated: it gave fewer readings than asked for"#]]
    .assert_eq(&read_all(&of(&[&demo]), &[simulated("a"), simulated("b")]).await);
}

#[tokio::test]
async fn an_older_term_is_rejected_on_every_platform() {
    let demo = Arc::new(Fake { platform: "simulated", ..Fake::default() });
    let aws = Arc::new(Fake { platform: "aws_auto_scaling_group", ..Fake::default() });
    let providers = of(&[&demo, &aws]);
    let mut shown = String::new();
    for (term, reference) in [
        (3, simulated("a")),
        (3, group()),
        (5, simulated("a")),
        (4, group()),
        (5, group()),
        (0, group()),
    ] {
        let request = SetCapacityRequest {
            term: Term(term),
            ..request(&reference, 1, 10 + u32::try_from(term).unwrap())
        };
        let report = providers.set_capacity(&request).await;
        shown.push_str(&format!("term {term}: {}\n", show_report(&report)));
    }
    expect![[r#"
        term 3: done: simulated
        term 3: done: aws_auto_scaling_group
        term 5: done: simulated
        term 4: rejected: term 4 is older than term 5; a newer daemon has taken over
        term 5: done: aws_auto_scaling_group
        term 0: rejected: term 0 is older than term 5; a newer daemon has taken over
    "#]]
    .assert_eq(&shown);
    assert_eq!(*demo.sets.lock().unwrap(), [13, 15]);
    assert_eq!(*aws.sets.lock().unwrap(), [13, 15]);
}

#[tokio::test]
async fn a_platform_that_is_not_configured_changes_nothing() {
    let mut shown = String::new();
    let service = ProviderRef::AwsEcsService { cluster: "c".to_owned(), service: "s".to_owned() };
    for reference in [group(), service, webhook(), simulated("a")] {
        let report = of(&[]).set_capacity(&request(&reference, 1, 2)).await;
        shown.push_str(&show_report(&report));
        shown.push('\n');
    }
    expect![[r#"
        rejected: platform `aws_auto_scaling_group` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
        rejected: platform `aws_ecs_service` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
        rejected: platform `webhook` is not configured; build with feature `webhook`
        rejected: platform `simulated` is not configured; it exists in `evenkeeld --demo` only
    "#]].assert_eq(&shown);
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused() {
    let zero = Duration::ZERO;
    let settings = ProviderSettings { call_timeout: zero, ..ProviderSettings::default() };
    let error = Providers::new(&settings, crate::common::clock()).await.unwrap_err();
    expect!["`call_timeout` is 0; every request needs a positive limit, for example 5s"]
        .assert_eq(&error.to_string());
    let settings = ProviderSettings { read_deadline: zero, ..ProviderSettings::default() };
    let error = Providers::of(Vec::new(), &settings).unwrap_err();
    expect!["`read_deadline` is 0; every request needs a positive limit, for example 5s"]
        .assert_eq(&error.to_string());
}

#[cfg(feature = "simulated")]
mod region {
    use super::*;
    use evenkeel_sim::region::Region;
    use evenkeel_sim::scenario::{DEMO, Scenario, ScenarioKind};
    use jiff::{SignedDuration, Timestamp};

    #[tokio::test]
    async fn the_demos_region_moves_with_the_clock() {
        let start = Timestamp::from_second(crate::common::NOW_SECONDS).unwrap();
        let scenario = Scenario::parse("demo.yaml", DEMO).unwrap();
        let ScenarioKind::Region(scenario) = scenario.kind else { unreachable!("it is a region") };
        let region = Region::from_scenario(&scenario, 7, start).unwrap();
        let region = Arc::new(Mutex::new(region));
        let name = region.lock().unwrap().services().next().unwrap().name.clone();
        let time = Arc::new(Mutex::new(start));
        let shown_time = Arc::clone(&time);
        let settings = ProviderSettings {
            simulated: Some(Arc::clone(&region)),
            ..ProviderSettings::default()
        };
        let clock: evenkeel_providers::Clock = Arc::new(move || *shown_time.lock().unwrap());
        let providers = Providers::new(&settings, clock).await.unwrap();
        let reference = simulated(&name);
        let reading = crate::common::read(&providers, &reference).await.unwrap();
        let (current, ready) = (reading.current.0, reading.ready.unwrap().0);
        assert_eq!((current, reading.read_at), (ready, start));

        let report = providers.set_capacity(&request(&reference, current, current + 4)).await;
        assert_eq!(report.outcome, EffectOutcome::Done, "{report:?}");
        let reading = crate::common::read(&providers, &reference).await.unwrap();
        assert_eq!(reading.current.0, current + 4);
        assert_eq!(reading.ready, Some(Capacity(ready)), "new units boot first");

        *time.lock().unwrap() = start + SignedDuration::from_mins(10);
        let reading = crate::common::read(&providers, &reference).await.unwrap();
        assert_eq!(reading.ready, Some(Capacity(current + 4)), "they have booted");
        assert_eq!(region.lock().unwrap().now(), start + SignedDuration::from_mins(10));

        let stale = providers.set_capacity(&request(&reference, current, 1)).await;
        assert_eq!(stale.outcome, EffectOutcome::Rejected, "{stale:?}");
        let absent =
            crate::common::read(&providers, &simulated("no-such-service")).await.unwrap_err();
        assert!(absent.to_string().contains(&name), "{absent}");
    }
}
