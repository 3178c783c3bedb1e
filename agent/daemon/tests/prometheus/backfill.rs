//! Two weeks of history from a real Prometheus, and from one that stumbles.

use std::collections::BTreeMap;

use evenkeel_core::ids::TargetId;
use evenkeel_daemon::prometheus::{BackfillReport, PrometheusSettings, PrometheusSource};
use evenkeel_forecast::History;
use evenkeel_testbed::Proxy;
use evenkeel_testbed::prometheus::{Options, history};
use expect_test::expect;
use jiff::{SignedDuration, Timestamp};

use crate::{documents, policy, source_with, target};

/// What a backfill handed over, by target.
type Points = BTreeMap<TargetId, Vec<(i64, f64)>>;

async fn backfill(
    source: &PrometheusSource,
    now: Timestamp,
    targets: &[&str],
    query: &str,
) -> (BackfillReport, Points) {
    let documents = documents(targets.iter().map(|it| target(it, None)), &[("rps", query)]);
    let policy = policy(&documents);
    let mut points = Points::new();
    let mut sink = |target: &TargetId, at: Timestamp, value: f64| {
        points.entry(target.clone()).or_default().push((at.as_second(), value));
    };
    let report = source.backfill(|| now, &documents, policy, &policy.signals[0], &mut sink).await;
    (report, points)
}

fn on_grid(now: Timestamp, step_seconds: i64) -> i64 {
    now.as_second().div_euclid(step_seconds) * step_seconds
}

fn id(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

#[tokio::test]
async fn two_weeks_come_in_pieces_and_gaps_stay_gaps() {
    const STEP: i64 = 300;
    let now = Timestamp::now();
    let last = on_grid(now, STEP);
    let all: Vec<i64> = (0..=14 * 288).map(|it| last - 14 * 86_400 + it * STEP).collect();
    let hour = 3600;
    let in_gap = |at: i64| (last - 50 * hour..last - 40 * hour).contains(&at);
    let value = |at: i64| f64::from(u32::try_from((at / STEP) % 288).unwrap());
    // A minute before each point: Prometheus holds a sample for 5 min, so one on
    // the grid would cover the first point of the gap.
    let samples = |service: &str| {
        let points = all.iter().filter(|at| !in_gap(**at)).map(|at| (*at - 60, value(*at)));
        history("load", &[("service", service)], points)
    };
    let two = history("load", &[("service", "b"), ("pod", "2")], all.iter().map(|at| (*at, 1.0)));
    let text = [samples("a"), samples("b"), two, samples("zzz")].concat();
    let prometheus = Options::new().backfill_openmetrics(&text).start();
    let proxy = Proxy::start(prometheus.url());
    // So small that a piece holds about 1,700 points of each of the two targets.
    let source = source_with(&proxy.url(), |it| it.answer_bytes_max = 160 * 1024);

    let (report, points) = backfill(&source, now, &["a", "b", "ghost"], "load").await;

    assert_eq!(report.gaps, []);
    assert_eq!(report.n_points_ignored, 0);
    assert!(3 <= report.n_pieces, "{report:?}");
    assert_eq!(proxy.count_matching("/api/v1/query_range"), report.n_pieces);
    assert_eq!(report.n_series_unknown, report.n_pieces);
    assert_eq!(report.n_series_ambiguous, report.n_pieces * 2);
    assert_eq!(points.keys().collect::<Vec<_>>(), [&id("a")]);
    let expected = all.iter().filter(|at| !in_gap(**at)).map(|at| (*at, value(*at)));
    let wrong = expected.clone().zip(&points[&id("a")]).find(|(expected, it)| expected != *it);
    assert_eq!(wrong, None);
    assert_eq!(points[&id("a")].len(), expected.count());

    let mut kept = History::fortnight();
    let points = points[&id("a")].iter();
    kept.backfill(now, points.map(|(at, it)| (Timestamp::from_second(*at).unwrap(), *it)));
    assert_eq!(kept.len(), 14 * 288);
    assert_eq!(kept.len() - kept.n_present(), 10 * 12);
}

#[tokio::test]
async fn a_query_that_is_refused_is_asked_once_and_the_whole_past_is_a_gap() {
    let prometheus = Options::new().start();
    let proxy = Proxy::start(prometheus.url());
    let source = source_with(&proxy.url(), |it| it.history_step = SignedDuration::from_secs(30));
    let (report, points) = backfill(&source, Timestamp::now(), &["a"], "sum(").await;
    assert_eq!(points, Points::new());
    assert_eq!(proxy.count_matching(""), 1);
    let [gap] = report.gaps.as_slice() else { panic!("{report:?}") };
    assert_eq!(gap.to.duration_since(gap.from), SignedDuration::from_hours(14 * 24));
    expect!["prometheus refused the query: bad_data: 1:5: parse error: unclosed left parenthesis"]
        .assert_eq(&gap.error.to_string());
}

/// The answer to a range query: a point every 5 min for target `a`.
fn matrix(from: i64, n_points: i64) -> String {
    let points: Vec<String> =
        (0..n_points).map(|it| format!(r#"[{},"{it}"]"#, from + it * 300)).collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"service":"a"}},"values":[{}]}}]}}}}"#,
        points.join(",")
    )
}

/// A now whose history of one hour begins at `FROM`: 13 points.
const FROM: i64 = 1_800_000_000;

fn one_hour(settings: &mut PrometheusSettings) {
    settings.history = SignedDuration::from_hours(1);
}

fn an_hour_later() -> Timestamp {
    Timestamp::from_second(FROM + 3600 + 17).unwrap()
}

#[tokio::test]
async fn a_piece_that_fails_for_a_moment_is_asked_for_again() {
    let proxy = Proxy::without_upstream();
    proxy.answer("query_range", 2, 503, "");
    proxy.answer("query_range", 1, 200, matrix(FROM, 13));
    let source = source_with(&proxy.url(), one_hour);
    let (report, points) = backfill(&source, an_hour_later(), &["a"], "load").await;
    assert_eq!((report.n_pieces, report.n_points, report.gaps), (1, 13, vec![]));
    assert_eq!(points[&id("a")].first(), Some(&(FROM, 0.0)));
    assert_eq!(points[&id("a")].last(), Some(&(FROM + 3600, 12.0)));
}

#[tokio::test]
async fn a_piece_that_fails_for_good_is_a_gap_between_others() {
    let proxy = Proxy::without_upstream();
    let at = |minute: i64| format!("start={}", FROM + minute * 60);
    // Four points a piece: at 0, 20, 40 and 60 minutes.
    proxy.answer(&at(0), 1, 200, matrix(FROM, 4));
    proxy.answer(&at(20), 9, 500, "");
    proxy.answer(&at(40), 1, 200, matrix(FROM + 2400, 4));
    proxy.answer(&at(60), 1, 200, matrix(FROM + 3600, 1));
    let targets: Vec<String> = (0..5).map(|it| format!("other{it}")).collect();
    let targets: Vec<&str> = ["a"].into_iter().chain(targets.iter().map(String::as_str)).collect();
    let source = source_with(&proxy.url(), |it| {
        one_hour(it);
        it.answer_bytes_max = 4 * 6 * 48;
    });
    let (report, points) = backfill(&source, an_hour_later(), &targets, "load").await;
    assert_eq!((report.n_pieces, report.n_points), (3, 9));
    assert_eq!(points[&id("a")].len(), 9);
    assert_eq!(proxy.count_matching(&at(20)), 3);
    let [gap] = report.gaps.as_slice() else { panic!("{report:?}") };
    assert_eq!((gap.from.as_second(), gap.to.as_second()), (FROM + 1200, FROM + 2100));
}

#[tokio::test]
async fn a_piece_that_is_too_heavy_is_halved() {
    let proxy = Proxy::without_upstream();
    let heavy = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
    proxy.answer("query_range", 1, 422, heavy);
    proxy.answer(&format!("start={FROM}"), 1, 200, matrix(FROM, 7));
    proxy.answer(&format!("start={}", FROM + 2100), 1, 200, matrix(FROM + 2100, 6));
    let source = source_with(&proxy.url(), one_hour);
    let (report, points) = backfill(&source, an_hour_later(), &["a"], "load").await;
    assert_eq!((report.n_pieces, report.n_points, report.gaps), (2, 13, vec![]));
    let times: Vec<i64> = points[&id("a")].iter().map(|it| it.0).collect();
    assert_eq!(times, (0..13).map(|it| FROM + it * 300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_prometheus_that_stays_down_is_given_up_on() {
    let proxy = Proxy::without_upstream();
    proxy.answer("", 1000, 503, "");
    let source = source_with(&proxy.url(), |it| it.answer_bytes_max = 48 * 24);
    let (report, _) = backfill(&source, an_hour_later(), &["a"], "load").await;
    assert_eq!(proxy.count_matching(""), 9);
    let [gap] = report.gaps.as_slice() else { panic!("{report:?}") };
    assert_eq!(gap.to.duration_since(gap.from), SignedDuration::from_hours(14 * 24));
}

#[tokio::test]
async fn points_that_mean_nothing_or_were_not_asked_for_are_left_out() {
    let proxy = Proxy::without_upstream();
    let body = matrix(FROM - 300, 13)
        .replace(r#""3""#, r#""NaN""#)
        .replace(r#""4""#, r#""-1""#)
        .replace(r#""5""#, r#""+Inf""#);
    proxy.answer("query_range", 1, 200, body);
    let source = source_with(&proxy.url(), one_hour);
    let (report, points) = backfill(&source, an_hour_later(), &["a"], "load").await;
    assert_eq!((report.n_points, report.n_points_ignored), (9, 4));
    assert!(points[&id("a")].iter().all(|(at, _)| FROM <= *at));
}

#[tokio::test]
async fn a_partial_answer_is_no_history() {
    let proxy = Proxy::without_upstream();
    let body = matrix(FROM, 13).replacen('{', r#"{"warnings":["a store is down"],"#, 1);
    proxy.answer("query_range", 9, 200, body);
    let source = source_with(&proxy.url(), one_hour);
    let (report, points) = backfill(&source, an_hour_later(), &["a"], "load").await;
    assert_eq!(points, Points::new());
    assert_eq!(proxy.count_matching(""), 3);
    assert_eq!(report.gaps[0].error.to_string(), "the answer is partial: a store is down");
}
