//! What a real Prometheus answers to the queries of a policy.

use evenkeel_core::ids::TargetId;
use evenkeel_daemon::prometheus::Observed;
use evenkeel_testbed::prometheus::Options;
use evenkeel_testbed::{Exporter, Proxy, wait_until};
use expect_test::{Expect, expect};
use jiff::Timestamp;

use crate::{LIMIT, documents, observe, policy, shown, source, target};

/// Exports `samples`, waits until they are there, and asks `query` for the
/// targets `alpha` (by its label `a`), `b` (by its name) and `ghost`.
async fn check(samples: &[(&str, &str, f64)], query: &str, expected: &Expect) {
    let exporter = Exporter::start();
    for (service, pod, value) in samples {
        exporter.set("load", &[("service", service), ("pod", pod)], *value);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    exporter.wait_scraped(LIMIT);
    wait_until(LIMIT, "all samples", || {
        prometheus.query("load").as_array().map(Vec::len) == Some(samples.len())
    });
    let targets = [target("alpha", Some("a")), target("b", None), target("ghost", None)];
    let documents = documents(targets, &[("rps", query)]);
    let observed = observe(&source(prometheus.url()), &documents).await;
    let report = &observed.queries[0];
    let counts = format!("{} series, {} unknown", report.n_series, report.n_series_unknown);
    expected.assert_eq(&format!("{}{counts}\n", shown(&observed)));
}

#[tokio::test]
async fn series_belong_to_targets_by_label_or_by_name() {
    check(
        &[("a", "1", 7.0), ("a", "2", 1.5), ("b", "1", 0.0), ("zzz", "1", 3.0)],
        "sum by (service) (load)",
        &expect![[r#"
            alpha rps: good 8.5
            b rps: good 0
            ghost rps: missing: the query returned no series for this target
            3 series, 1 unknown
        "#]],
    )
    .await;
}

#[tokio::test]
async fn two_series_for_one_target_are_no_value_for_that_target_only() {
    check(
        &[("a", "1", 7.0), ("a", "2", 1.5), ("b", "1", 4.0)],
        "load",
        &expect![[r#"
            alpha rps: missing: the query returned 2 series for this target, it must return one
            b rps: good 4
            ghost rps: missing: the query returned no series for this target
            3 series, 0 unknown
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_number_that_means_nothing_is_missing() {
    check(
        &[("a", "1", f64::NAN), ("b", "1", -3.0), ("ghost", "1", f64::INFINITY)],
        "load",
        &expect![[r#"
            alpha rps: missing: the sample is not a finite number
            b rps: missing: the sample is negative (-3)
            ghost rps: missing: the sample is not a finite number
            3 series, 0 unknown
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_query_that_prometheus_refuses_is_missing_with_its_own_words() {
    let exporter = Exporter::start();
    for pod in ["1", "2"] {
        exporter.set("load", &[("service", "a"), ("pod", pod)], 7.0);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    wait_until(LIMIT, "both", || prometheus.query_number("count(load)") == Some(2.0));
    let signals = [("syntax", "sum by (service (load)"), ("duplicate", "load * on () load")];
    let documents = documents([target("a", None), target("b", None)], &signals);
    let lines = shown(&observe(&source(prometheus.url()), &documents).await);
    // The rest of each text is Prometheus's own and differs between versions.
    for start in [
        "a syntax: missing: policy `web`, signal `syntax`: prometheus refused the query: \
         bad_data: invalid parameter \"query\": 1:17: parse error: ",
        "b duplicate: missing: policy `web`, signal `duplicate`: prometheus refused the query: \
         execution: found duplicate series for the match group ",
    ] {
        assert!(lines.lines().any(|it| it.starts_with(start)), "{start}\n{lines}");
    }
}

#[tokio::test]
async fn a_policy_without_targets_asks_nothing() {
    let proxy = Proxy::without_upstream();
    let documents = documents([], &[("rps", "load")]);
    let source = source(&proxy.url());
    // In a task of its own, as the daemon does it.
    let asked = tokio::spawn(async move {
        let policy = policy(&documents);
        let observed = source.observe(Timestamp::now, &documents, policy).await;
        let mut sink = |_: &TargetId, _: Timestamp, _: f64| panic!("no target, no point");
        let signal = &policy.signals[0];
        let report = source.backfill(Timestamp::now, &documents, policy, signal, &mut sink).await;
        (observed, report)
    });
    let (observed, report) = asked.await.unwrap();
    assert_eq!(observed, Observed::default());
    assert_eq!((report.n_pieces, report.gaps), (0, vec![]));
    assert_eq!(proxy.count_matching(""), 0);
}

#[tokio::test]
async fn only_a_vector_is_an_answer() {
    let exporter = Exporter::start();
    exporter.set("load", &[("service", "a")], 7.0);
    let prometheus = Options::new().scrape(&exporter).start();
    wait_until(LIMIT, "the sample", || prometheus.query_number("load").is_some());
    let signals = [("matrix", "load[5m]"), ("scalar", "7"), ("string", "\"seven\""), ("v", "load")];
    let documents = documents([target("a", None)], &signals);
    let observed = observe(&source(prometheus.url()), &documents).await;
    expect![[r#"
        a matrix: missing: policy `web`, signal `matrix`: the query returns a matrix, it must return a vector
        a scalar: missing: policy `web`, signal `scalar`: the query returns a scalar, it must return a vector
        a string: missing: policy `web`, signal `string`: the query returns a string, it must return a vector
        a v: good 7
    "#]]
    .assert_eq(&shown(&observed));
}

#[tokio::test]
async fn one_query_per_signal_serves_all_targets_and_two_may_share_a_series() {
    let exporter = Exporter::start();
    let services: Vec<String> = (0..200).map(|it| format!("s{it}")).collect();
    for service in &services {
        exporter.set("load", &[("service", service)], 5.0);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    wait_until(LIMIT, "all", || prometheus.query_number("count(load)") == Some(200.0));
    let proxy = Proxy::start(prometheus.url());
    let twin = target("twin", Some("s0"));
    let targets = services.iter().map(|it| target(it, None)).chain([twin]);
    let documents = documents(targets, &[("rps", "load"), ("double", "load * 2")]);

    let observed = observe(&source(&proxy.url()), &documents).await;

    assert_eq!(proxy.count_matching(""), 2);
    let lines = shown(&observed);
    assert_eq!(lines.matches("rps: good 5\n").count(), 201, "{lines}");
    assert_eq!(lines.matches("double: good 10\n").count(), 201, "{lines}");
}

#[tokio::test]
async fn the_server_is_told_how_long_we_wait_and_not_what_time_it_is() {
    let proxy = Proxy::without_upstream();
    let documents = documents([target("a", None)], &[("rps", "load")]);
    observe(&source(&proxy.url()), &documents).await;
    let request = proxy.requests_matching("").remove(0);
    assert_eq!(request.path, "/api/v1/query");
    assert_eq!(request.body, "query=load&timeout=10000ms");
}
