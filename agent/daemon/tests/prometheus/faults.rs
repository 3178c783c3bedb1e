//! A Prometheus that is down, slow, wrong about the time, or lies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use evenkeel_testbed::prometheus::Options;
use evenkeel_testbed::{Exporter, Proxy, wait_until};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{LIMIT, documents, observe, shown, source, source_with, target, vector};

/// Asks for target `a` and shows what is made of one forged answer.
async fn check(status: u16, body: &str, expected: &Expect) {
    let proxy = Proxy::without_upstream();
    proxy.answer("/api/v1/query", 1, status, body);
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let observed = observe(&source(&proxy.url()), &documents).await;
    expected.assert_eq(&shown(&observed));
}

#[tokio::test]
async fn a_clock_that_is_off_shows() {
    check(200, &vector(&[("a", "7")], 0), &expect![["a rps: good 7\n"]]).await;
    check(200, &vector(&[("a", "7")], -50), &expect![["a rps: good 7\n"]]).await;
    let shown = observe_at(30).await;
    assert!(shown.starts_with("a rps: suspect 7: the metrics backend's clock is +"), "{shown}");
    let shown = observe_at(600).await;
    assert!(shown.ends_with(" s in the future\n"), "{shown}");
    let shown = observe_at(-600).await;
    assert!(shown.ends_with(" s old, at most 60 s\n"), "{shown}");
}

async fn observe_at(seconds_ahead: i64) -> String {
    let proxy = Proxy::without_upstream();
    proxy.answer("/api/v1/query", 1, 200, vector(&[("a", "7")], seconds_ahead));
    let documents = documents([target("a", None)], &[("rps", "load")]);
    shown(&observe(&source(&proxy.url()), &documents).await)
}

#[tokio::test]
async fn a_warning_makes_every_value_suspect() {
    let body = vector(&[("a", "7")], 0);
    let body = body.replacen('{', r#"{"warnings":["a store did not answer"],"#, 1);
    check(
        200,
        &body,
        &expect![["a rps: suspect 7: the metrics backend warned of a partial answer\n"]],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_none_says_what_to_look_at() {
    check(502, "<html>bad gateway", &expect![[r#"
        a rps: missing: policy `web`, signal `rps`: answered HTTP 502 without an error of prometheus; something before prometheus may have answered
    "#]]).await;
    check(200, "<html>a login page", &expect![[r#"
        a rps: missing: policy `web`, signal `rps`: cannot read the answer: expected value at line 1 column 1; is the url that of a prometheus?
    "#]]).await;
    check(302, "", &expect![[r#"
        a rps: missing: policy `web`, signal `rps`: answered HTTP 302 without an error of prometheus; set the url it redirects to
    "#]]).await;
    check(
        503,
        r#"{"status":"error","errorType":"unavailable","error":"starting"}"#,
        &expect![[r#"
            a rps: missing: policy `web`, signal `rps`: prometheus refused the query: unavailable: starting
        "#]],
    )
    .await;
    let long = "x".repeat(5000);
    let body = format!(r#"{{"status":"error","errorType":"internal","error":"{long}"}}"#);
    let proxy = Proxy::without_upstream();
    proxy.answer("/api/v1/query", 1, 500, body);
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let shown = shown(&observe(&source(&proxy.url()), &documents).await);
    assert!(shown.contains("internal: xxx") && shown.chars().count() < 450, "{shown}");
}

#[tokio::test]
async fn a_prometheus_that_is_down_is_missing_and_comes_back() {
    let exporter = Exporter::start();
    exporter.set("load", &[("service", "a")], 7.0);
    let mut prometheus = Options::new().scrape(&exporter).start();
    wait_until(LIMIT, "the sample", || prometheus.query_number("load").is_some());
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let source = source(prometheus.url());
    assert_eq!(shown(&observe(&source, &documents).await), "a rps: good 7\n");
    source.ready().await.unwrap();

    prometheus.stop();
    expect![[r#"
        a rps: missing: policy `web`, signal `rps`: cannot reach prometheus: client error (Connect): tcp connect error: Connection refused (os error 111)
    "#]].assert_eq(&shown(&observe(&source, &documents).await));
    source.ready().await.unwrap_err();

    prometheus.start_again();
    wait_until(LIMIT, "the sample", || prometheus.query_number("load").is_some());
    assert_eq!(shown(&observe(&source, &documents).await), "a rps: good 7\n");
}

#[tokio::test]
async fn a_slow_query_delays_no_other_beyond_its_own_limit() {
    let proxy = Proxy::without_upstream();
    proxy.hold_requests_matching("slow");
    proxy.answer("load", 10, 200, vector(&[("a", "7")], 0));
    let signals = [("stuck", "slow"), ("rps", "load"), ("hangs", "slow + 1"), ("rps2", "load")];
    let documents = documents([target("a", None)], &signals);
    let limit = Duration::from_secs(2);
    let source = source_with(&proxy.url(), |it| it.query_timeout = limit);
    let started = Instant::now();
    let observed = observe(&source, &documents).await;
    let took = started.elapsed();
    expect![[r#"
        a stuck: missing: policy `web`, signal `stuck`: no complete answer within 2 s
        a rps: good 7
        a hangs: missing: policy `web`, signal `hangs`: no complete answer within 2 s
        a rps2: good 7
    "#]]
    .assert_eq(&shown(&observed));
    assert!((limit..limit * 2).contains(&took), "{took:?}");
    assert!(observed.queries[1].duration < limit, "{:?}", observed.queries[1]);
}

#[tokio::test]
async fn a_query_waits_only_so_long_for_its_turn() {
    let proxy = Proxy::without_upstream();
    proxy.hold_requests_matching("slow");
    let signals = ["s1", "s2", "s3", "s4"].map(|name| (name, "slow"));
    let documents = documents([target("a", None)], &signals);
    let limit = Duration::from_secs(1);
    let source = source_with(&proxy.url(), |it| {
        it.query_timeout = limit;
        it.concurrency = 1;
    });
    let started = Instant::now();
    let observed = observe(&source, &documents).await;
    assert!(started.elapsed() < limit * 4, "{:?}", started.elapsed());
    let lines = shown(&observed);
    let no_turn = "no turn within 1 s: other queries were still under way; \
                   make them faster or raise the concurrency";
    assert!(2 <= lines.matches(no_turn).count(), "{lines}");
    assert!(1 <= lines.matches("no complete answer within 1 s").count(), "{lines}");
}

/// Serves bodies without end: what it managed to send is counted.
fn endless(head: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head.as_bytes());
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while stream.write_all(chunk.as_bytes()).is_ok() {
                counting.fetch_add(0x10000, Ordering::SeqCst);
            }
        }
    });
    (url, sent)
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_at_the_limit() {
    let (url, sent) = endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let source = source_with(&url, |it| it.answer_bytes_max = 2 * 1024 * 1024);
    let observed = observe(&source, &documents).await;
    expect![[r#"
        a rps: missing: policy `web`, signal `rps`: the answer is larger than 2097152 bytes; aggregate the query, for example `sum by (service) (…)`
    "#]].assert_eq(&shown(&observed));
    // What is beyond the limit was in the buffers of the two sockets.
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes");
}

#[tokio::test]
async fn an_answer_announced_as_too_large_is_not_read_at_all() {
    let (url, _sent) = endless("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n");
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let observed = observe(&source(&url), &documents).await;
    expect![[r#"
        a rps: missing: policy `web`, signal `rps`: the answer is larger than 16777216 bytes; aggregate the query, for example `sum by (service) (…)`
    "#]].assert_eq(&shown(&observed));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_once_more() {
    let proxy = Proxy::without_upstream();
    proxy.sever_before_forwarding("load", 1);
    proxy.answer("load", 1, 200, vector(&[("a", "7")], 0));
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let source = source(&proxy.url());
    assert_eq!(shown(&observe(&source, &documents).await), "a rps: good 7\n");
    assert_eq!(proxy.count_matching("load"), 2);

    proxy.clear_rules();
    proxy.refuse();
    let lines = shown(&observe(&source, &documents).await);
    assert!(lines.contains("cannot reach prometheus: "), "{lines}");
}

fn piece_of_an_answer() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(vector(&[("a", "1"), ("b", "2")], 0)),
        Just(vector(&[("a", "1"), ("a", "2"), ("c", "NaN")], 0)),
        Just(vector(&[("b", "x")], 0)),
        Just(r#"{"status":"error","errorType":"execution","error":"no"}"#.to_owned()),
        Just(r#"{"status":"success","data":null}"#.to_owned()),
        "[ -~]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // `observe` (of the parent module) checks it: one reading per target and signal.
    #[test]
    fn whatever_is_answered_each_target_gets_one_reading_per_signal(
        whole in piece_of_an_answer(), cut in 0usize..400, keep in any::<bool>(),
        status in prop_oneof![Just(200u16), Just(400), Just(503)],
    ) {
        let end = if keep { whole.len() } else { cut.min(whole.len()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let proxy = Proxy::without_upstream();
            proxy.answer("rps", 1, status, &whole[..end]);
            let targets = ["a", "b", "c"].map(|it| target(it, None));
            let documents = documents(targets, &[("one", "rps"), ("two", "nothing")]);
            observe(&source(&proxy.url()), &documents).await;
        });
    }
}
