//! What playbooks see of a real Prometheus, and of one that lies.

use std::time::Duration;

use evenkeel_core::condition::{Condition, Environment, Unit};
use evenkeel_core::documents::{
    Autonomy, Documents, Per, Playbook, PlaybookInput, RunLimits, Selector, Target, Trigger,
    Verification,
};
use evenkeel_core::heal::view::{InputValue, PlaybookObservation};
use evenkeel_core::ids::{InputName, PlaybookId};
use evenkeel_core::incident::Severity;
use evenkeel_daemon::prometheus::{ObservedInputs, PrometheusSource};
use evenkeel_testbed::prometheus::Options;
use evenkeel_testbed::{Exporter, Proxy, wait_until};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};

use crate::{LIMIT, documents, source, source_with, target, vector};

fn input(name: &str, query: &str, unit: Unit, per: Per) -> PlaybookInput {
    let max_age = SignedDuration::from_mins(1);
    let name = InputName::new(name).unwrap();
    PlaybookInput {
        name,
        query: query.to_owned(),
        budget: None,
        max_age,
        unit,
        per,
        is_anomaly_score: false,
    }
}

fn per_instance() -> Per {
    Per::Instance { label: "pod".to_owned() }
}

/// A playbook for everything that does nothing.
fn playbook(id: &str, inputs: Vec<PlaybookInput>) -> Playbook {
    let parameters = std::collections::BTreeMap::new();
    let environment: Environment = Playbook::environment(&inputs, &parameters);
    let condition = Condition::parse("target.min <= target.max", &environment).unwrap();
    Playbook {
        id: PlaybookId::new(id).unwrap(),
        sha256: String::new(),
        about: String::new(),
        runbook: String::new(),
        severity: Severity::Page,
        selector: Selector::everything(),
        autonomy: Autonomy::Observe,
        autonomy_max: Autonomy::Observe,
        target_label: "service".to_owned(),
        priority: 0,
        parameters,
        inputs,
        trigger: Trigger {
            condition: None,
            lasts: SignedDuration::ZERO,
            burn_rate: None,
            alerts: Vec::new(),
            schedule: None,
            by_hand: true,
        },
        conditions: Vec::new(),
        steps: Vec::new(),
        verification: Verification {
            condition,
            holds_for: SignedDuration::ZERO,
            within: SignedDuration::from_mins(1),
        },
        limits: RunLimits {
            attempts_max: 1,
            window: SignedDuration::from_hours(1),
            concurrency_max: 1,
            cooldown: SignedDuration::ZERO,
        },
    }
}

fn with_playbooks(targets: impl IntoIterator<Item = Target>, all: Vec<Playbook>) -> Documents {
    documents(targets, &[]).with_playbooks(all)
}

/// Asks, and checks what must hold whatever is answered.
async fn observe(source: &PrometheusSource, documents: &Documents) -> ObservedInputs {
    let observed = source.observe_inputs(Timestamp::now, documents).await;
    let mut seen = observed.observations(documents);
    for playbook in documents.playbooks() {
        for target in documents.targets_of_playbook(playbook) {
            let PlaybookObservation { playbook: id, target: of, inputs } = seen.next().unwrap();
            assert_eq!((&id, &of), (&playbook.id, &target.id));
            let read: Vec<&InputName> = inputs.iter().map(|it| &it.input).collect();
            assert_eq!(read, playbook.inputs.iter().map(|it| &it.name).collect::<Vec<_>>());
        }
    }
    assert!(seen.next().is_none());
    drop(seen);
    observed
}

/// One line per playbook, target and input.
fn shown(observed: &ObservedInputs, documents: &Documents) -> String {
    let mut lines = String::new();
    for PlaybookObservation { playbook, target, inputs } in observed.observations(documents) {
        for reading in inputs {
            let verdict = match &reading.reading {
                Ok(InputValue::One { value, .. }) => format!("{value}"),
                Ok(InputValue::Instances { values, .. }) => values
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(absence) => format!("missing: {absence}"),
            };
            lines += &format!("{playbook} {target} {}: {verdict}\n", reading.input);
        }
    }
    lines
}

/// Exports `samples` of `m` to a real Prometheus, and shows what a playbook with `inputs`
/// sees of the targets `alpha` (by its label `a`), `b` (by its name) and `ghost`.
async fn check(samples: &[(&str, &str, f64)], inputs: Vec<PlaybookInput>, expected: &Expect) {
    let exporter = Exporter::start();
    for (service, pod, value) in samples {
        exporter.set("m", &[("service", service), ("pod", pod)], *value);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    exporter.wait_scraped(LIMIT);
    wait_until(LIMIT, "all samples", || {
        prometheus.query("m").as_array().map(Vec::len) == Some(samples.len())
    });
    let targets = [target("alpha", Some("a")), target("b", None), target("ghost", None)];
    let documents = with_playbooks(targets, vec![playbook("p", inputs)]);
    let observed = observe(&source(prometheus.url()), &documents).await;
    let counts: String = observed
        .queries
        .iter()
        .map(|it| {
            format!(
                "{}: {} series, {} unknown, {} nameless\n",
                it.input, it.n_series, it.n_series_unknown, it.n_series_nameless
            )
        })
        .collect();
    expected.assert_eq(&(shown(&observed, &documents) + &counts));
}

#[tokio::test]
async fn one_number_per_target_one_for_everything_and_one_per_instance() {
    let samples =
        [("a", "1", 7.0), ("a", "2", 1.5), ("b", "1", 0.0), ("b", "x y", 5.0), ("zzz", "1", 3.0)];
    let inputs = vec![
        input("rate", "sum by (service) (m)", Unit::Rps, Per::Target),
        input("all", "sum(m)", Unit::Rps, Per::Everything),
        input("each", "m", Unit::Rps, per_instance()),
    ];
    check(
        &samples,
        inputs,
        &expect![[r#"
        p alpha rate: 8.5
        p alpha all: 16.5
        p alpha each: 1=7 2=1.5
        p b rate: 5
        p b all: 16.5
        p b each: 1=0
        p ghost rate: missing: the query returned no series for this target
        p ghost all: 16.5
        p ghost each: missing: the query returned no series for this target
        each: 5 series, 1 unknown, 1 nameless
        rate: 3 series, 1 unknown, 0 nameless
        all: 1 series, 0 unknown, 0 nameless
    "#]],
    )
    .await;
}

#[tokio::test]
async fn several_series_where_one_is_needed_are_no_value() {
    let samples = [("a", "1", 7.0), ("a", "2", 1.5), ("b", "1", 4.0)];
    let inputs = vec![
        input("rate", "m", Unit::Rps, Per::Target),
        input("all", "m + 0", Unit::Rps, Per::Everything),
        input("none", "m < 0", Unit::Rps, Per::Everything),
        // Two series of one name: the label is not that of an instance.
        input("each", "m * 1", Unit::Rps, Per::Instance { label: "service".to_owned() }),
    ];
    check(
        &samples,
        inputs,
        &expect![[r#"
        p alpha rate: missing: the query returned 2 series for this target, it must return one
        p alpha all: missing: the query returned 3 series for this target, it must return one
        p alpha none: missing: the query returned no series for this target
        p alpha each: missing: the query returned 2 series for this target, it must return one
        p b rate: 4
        p b all: missing: the query returned 3 series for this target, it must return one
        p b none: missing: the query returned no series for this target
        p b each: b=4
        p ghost rate: missing: the query returned no series for this target
        p ghost all: missing: the query returned 3 series for this target, it must return one
        p ghost none: missing: the query returned no series for this target
        p ghost each: missing: the query returned no series for this target
        rate: 3 series, 0 unknown, 0 nameless
        each: 3 series, 0 unknown, 0 nameless
        all: 3 series, 0 unknown, 0 nameless
        none: 0 series, 0 unknown, 0 nameless
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_number_that_means_nothing_is_missing_and_a_negative_one_where_it_cannot_be() {
    let samples = [("a", "1", f64::NAN), ("b", "1", -3.0), ("ghost", "1", f64::INFINITY)];
    let inputs = vec![
        input("rate", "m", Unit::Rps, Per::Target),
        input("left", "m * 1", Unit::Ratio, Per::Target),
    ];
    check(
        &samples,
        inputs,
        &expect![[r#"
        p alpha rate: missing: the sample is not a finite number
        p alpha left: missing: the sample is not a finite number
        p b rate: missing: the sample is negative (-3)
        p b left: -3
        p ghost rate: missing: the sample is not a finite number
        p ghost left: missing: the sample is not a finite number
        rate: 3 series, 0 unknown, 0 nameless
        left: 3 series, 0 unknown, 0 nameless
    "#]],
    )
    .await;
}

#[tokio::test]
async fn bad_instances_are_left_out_as_long_as_they_are_at_most_half() {
    let samples = [
        ("a", "1", 7.0),
        ("a", "2", f64::NAN),
        ("b", "1", 7.0),
        ("b", "2", f64::NAN),
        ("b", "3", f64::NAN),
        ("ghost", "x y", 1.0),
    ];
    check(&samples, vec![input("each", "m", Unit::Seconds, per_instance())], &expect![[r#"
        p alpha each: 1=7
        p b each: missing: playbook `p`, input `each`: 2 of 3 instances cannot be read; first `2`: the sample is not a finite number
        p ghost each: missing: playbook `p`, input `each`: 1 of 1 instances cannot be read; first a series without the label of an instance
        each: 6 series, 0 unknown, 1 nameless
    "#]]).await;
}

#[tokio::test]
async fn a_query_is_asked_once_whoever_wants_it_and_however_it_is_cut() {
    let exporter = Exporter::start();
    for service in ["a", "b"] {
        exporter.set("m", &[("service", service), ("pod", "1")], 2.0);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    wait_until(LIMIT, "both", || prometheus.query_number("count(m)") == Some(2.0));
    let proxy = Proxy::start(prometheus.url());
    let both = || {
        vec![
            input("rate", "m", Unit::Rps, Per::Target),
            input("each", "m", Unit::Rps, per_instance()),
        ]
    };
    let mut by_pod = playbook("r", vec![input("rate", "m", Unit::Rps, Per::Target)]);
    by_pod.target_label = "pod".to_owned();
    // For nobody: not asked.
    let mut idle = playbook("s", vec![input("idle", "idle", Unit::Rps, Per::Target)]);
    idle.selector = Selector::default();
    let all = vec![playbook("p", both()), playbook("q", both()), by_pod, idle];
    let documents = with_playbooks([target("a", None), target("1", None)], all);
    let observed = observe(&source(&proxy.url()), &documents).await;
    assert_eq!(proxy.count_matching(""), 1);
    assert_eq!(observed.queries.iter().map(|it| it.n_askers).collect::<Vec<_>>(), [5]);
    expect![[r#"
        p 1 rate: missing: the query returned no series for this target
        p 1 each: missing: the query returned no series for this target
        p a rate: 2
        p a each: 1=2
        q 1 rate: missing: the query returned no series for this target
        q 1 each: missing: the query returned no series for this target
        q a rate: 2
        q a each: 1=2
        r 1 rate: missing: the query returned 2 series for this target, it must return one
        r a rate: missing: the query returned no series for this target
    "#]]
    .assert_eq(&shown(&observed, &documents));
}

/// What a playbook sees of target `a` in one forged answer, which all its inputs get.
async fn forged(body: String) -> String {
    let proxy = Proxy::without_upstream();
    proxy.answer("/api/v1/query", 1, 200, body);
    let inputs = vec![
        input("rate", "m", Unit::Rps, Per::Target),
        input("all", "m", Unit::Rps, Per::Everything),
        input("each", "m", Unit::Rps, Per::Instance { label: "service".to_owned() }),
    ];
    let documents = with_playbooks([target("a", None)], vec![playbook("p", inputs)]);
    shown(&observe(&source(&proxy.url()), &documents).await, &documents)
}

#[tokio::test]
async fn a_partial_answer_is_none() {
    let body = vector(&[("a", "7")], 0);
    let body = body.replacen('{', r#"{"warnings":["a store did not answer"],"#, 1);
    expect![[r#"
        p a rate: missing: playbook `p`, input `rate`: the answer is partial: a store did not answer
        p a all: missing: playbook `p`, input `all`: the answer is partial: a store did not answer
        p a each: missing: playbook `p`, input `each`: the answer is partial: a store did not answer
    "#]]
    .assert_eq(&forged(body).await);
}

#[tokio::test]
async fn a_sample_that_is_too_old_or_too_new_is_none() {
    assert_eq!(
        forged(vector(&[("a", "7")], -50)).await,
        "p a rate: 7\np a all: 7\np a each: a=7\n"
    );
    // Seconds pass meanwhile: only what is the same in each run.
    for (seconds_ahead, says) in [
        (-600, " s old, at most 60 s\n"),
        (600, " s in the future\n"),
        // What a signal doubts, a playbook does not know.
        (30, " s in the future\n"),
    ] {
        let shown = forged(vector(&[("a", "7")], seconds_ahead)).await;
        assert_eq!(shown.matches(says).count(), 3, "{shown}");
        assert_eq!(shown.matches("1 of 1 instances cannot be read; first `a`: ").count(), 1);
    }
}

#[tokio::test]
async fn a_prometheus_that_is_down_is_missing_for_everybody() {
    let proxy = Proxy::without_upstream();
    proxy.refuse();
    let inputs = vec![
        input("rate", "m", Unit::Rps, Per::Target),
        input("all", "n", Unit::Rps, Per::Everything),
    ];
    let documents =
        with_playbooks([target("a", None), target("b", None)], vec![playbook("p", inputs)]);
    let observed = observe(&source(&proxy.url()), &documents).await;
    assert!(observed.queries.iter().all(|it| it.error.is_some()));
    let shown = shown(&observed, &documents);
    let start = "missing: playbook `p`, input `";
    assert_eq!(shown.matches(start).count(), 4, "{shown}");
}

#[tokio::test]
async fn a_slow_query_delays_no_other_beyond_its_own_limit() {
    let proxy = Proxy::without_upstream();
    proxy.hold_requests_matching("slow");
    proxy.answer("quick", 10, 200, vector(&[("a", "7")], 0));
    let inputs = vec![
        input("slow", "slow", Unit::Rps, Per::Target),
        input("quick", "quick", Unit::Rps, Per::Target),
    ];
    let documents = with_playbooks([target("a", None)], vec![playbook("p", inputs)]);
    let source = source_with(&proxy.url(), |it| it.query_timeout = Duration::from_secs(1));
    let observed = observe(&source, &documents).await;
    expect![[r#"
        p a slow: missing: playbook `p`, input `slow`: no complete answer within 1 s
        p a quick: 7
    "#]]
    .assert_eq(&shown(&observed, &documents));
}

#[tokio::test]
async fn more_instances_than_anybody_looks_at_are_refused() {
    let at = Timestamp::now().as_second();
    let body = |n: usize| {
        let series: Vec<String> = (0..n)
            .map(|it| {
                format!(r#"{{"metric":{{"service":"a","pod":"i-{it}"}},"value":[{at},"1"]}}"#)
            })
            .collect();
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
            series.join(",")
        )
    };
    for (n, expected) in [(1_000, "i-0=1 i-1=1 "), (1_001, "missing: playbook `p`, input `each`: ")]
    {
        let proxy = Proxy::without_upstream();
        proxy.answer("/api/v1/query", 1, 200, body(n));
        let inputs = vec![input("each", "m", Unit::Rps, per_instance())];
        let documents = with_playbooks([target("a", None)], vec![playbook("p", inputs)]);
        let observed = observe(&source(&proxy.url()), &documents).await;
        let shown = shown(&observed, &documents);
        assert!(shown.starts_with(&format!("p a each: {expected}")), "{}", &shown[..80]);
    }
}
