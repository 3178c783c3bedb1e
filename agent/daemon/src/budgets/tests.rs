//! Readings for budgets from a real Prometheus, with a past that is known to the second.
//!
//! **In:** series with gaps and resets, queries that are shared, heavy or refused.
//! **Out:** slots and spend as the core gets them.
//! **Not here:** what the core makes of them (`evenkeel-core`).

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::agent::Input;
use evenkeel_core::budget::wanted::SliWanted;
use evenkeel_core::documents::{
    Access, AlertPolicy, Budgeting, CapacityPrice, Comparison, Documents, Economy, Indicator,
    LabelledQuery, MetricQuery, Objective, PriceBook, Selector, Slo, Tenant, Tenants, UnitPrice,
    UsagePrice,
};
use evenkeel_core::ids::{ServiceName, SloId, UsageName};
use evenkeel_core::slo::increments::Grid;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{SLOT, SliReading};
use evenkeel_core::spend::SpendReading;
use evenkeel_core::spend::money::Currency;
use evenkeel_testbed::prometheus::{Options, history};
use evenkeel_testbed::{Exporter, Prometheus, Proxy, wait_until};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::slis::{Job, SliReader};
use super::troubles::Troubles;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::prometheus::{PrometheusSettings, PrometheusSource};
use crate::source::MetricsSource;

/// The first slot of all that is told here ends at this; a whole multiple of a slot.
const START: i64 = 1_700_000_010;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn promql(query: &str) -> MetricQuery {
    MetricQuery::PromQl(query.to_owned())
}

fn bad_of_total(bad: &str, total: &str) -> Indicator {
    Indicator::BadOfTotal { bad: promql(bad), total: promql(total), is_counter: true }
}

fn slo(name: &str, indicators: Vec<Indicator>) -> Slo {
    let objective = |indicator: Indicator| Objective {
        name: "answered".to_owned(),
        target: 0.99,
        indicator,
        slice: None,
        weight: 1.0,
    };
    Slo {
        id: SloId::new(name).unwrap(),
        display_name: name.to_owned(),
        service: ServiceName::new(name).unwrap(),
        window: Window::Rolling(SignedDuration::from_hours(24)),
        budgeting: Budgeting::Occurrences,
        objectives: indicators.into_iter().map(objective).collect(),
        is_composite: false,
        alert_policies: AlertPolicy::workbook(0.01),
        is_critical: false,
    }
}

fn documents(economy: Economy) -> Documents {
    Documents::new(String::new(), [], [], [], [], Access::default()).with_economy(economy)
}

fn with_slos(slos: impl IntoIterator<Item = Slo>) -> Documents {
    let slos = slos.into_iter().map(|it| (it.id.clone(), it)).collect();
    documents(Economy { slos, ..Economy::default() })
}

/// A reader in front of a Prometheus, and what the loop would get.
struct Rig {
    reader: SliReader,
    source: Arc<MetricsSource>,
    clock: Clock,
    metrics: Arc<Metrics>,
    troubles: Troubles,
    inputs: mpsc::Receiver<Input>,
}

impl Rig {
    fn new(url: &str, change: impl FnOnce(&mut PrometheusSettings)) -> Rig {
        let mut settings = PrometheusSettings::new(url);
        change(&mut settings);
        let source = PrometheusSource::new(settings).unwrap();
        let source = Arc::new(MetricsSource::Prometheus(Box::new(source)));
        let (sender, inputs) = mpsc::channel(1_024);
        let clock = Clock::starting_at(Timestamp::now());
        let (metrics, troubles) = (Arc::new(Metrics::new("1.2.3")), Troubles::default());
        let reader = SliReader::new(
            Arc::clone(&source),
            clock.clone(),
            Arc::clone(&metrics),
            sender,
            troubles.clone(),
        );
        Rig { reader, source, clock, metrics, troubles, inputs }
    }

    /// Everything that has been handed over so far.
    fn readings(&mut self) -> Vec<SliReading> {
        let mut readings = Vec::new();
        while let Ok(input) = self.inputs.try_recv() {
            let Input::SlisRead(some) = input else { panic!("{input:?}") };
            readings.extend(some);
        }
        readings.sort_by(|a, b| (&a.slo, a.objective).cmp(&(&b.slo, b.objective)));
        readings
    }

    fn n_reads(&self, outcome: &str) -> String {
        let start = format!("evenkeel_slo_reads_total{{outcome=\"{outcome}\"}} ");
        let text = self.metrics.text().unwrap();
        text.lines().find_map(|it| it.strip_prefix(&start)).unwrap().to_owned()
    }
}

/// Every objective of `documents` on `grid`.
fn jobs(documents: &Documents, grid: Grid) -> Vec<Job> {
    let objectives =
        documents.slos().flat_map(|slo| (0..slo.objectives.len()).map(move |it| (slo, it)));
    let wanted = objectives.map(|(slo, objective)| SliWanted {
        slo: slo.id.clone(),
        objective,
        grids: vec![grid],
    });
    wanted.filter_map(|it| Job::of(documents, it)).collect()
}

fn grid(n: usize) -> Grid {
    Grid { first: at(0), step: SLOT, n }
}

/// One line per reading: `bad/total` per slot, `-` for one that was not observed, `+` for
/// what is carried; repetitions are counted.
fn shown(readings: &[SliReading]) -> String {
    let mut lines = String::new();
    for reading in readings {
        let slots: Vec<String> = reading
            .slots
            .iter()
            .map(|it| {
                let counts =
                    it.counts.map_or("-".to_owned(), |it| format!("{}/{}", it.bad, it.total));
                it.carried.map_or(counts.clone(), |it| format!("{counts}+{}/{}", it.bad, it.total))
            })
            .collect();
        let pieces = slots.chunk_by(|a, b| a == b).map(|it| match it {
            [one] => one.clone(),
            several => format!("{} x{}", several[0], several.len()),
        });
        let all = pieces.collect::<Vec<_>>().join(" ");
        lines += &format!("{} {}: {all}\n", reading.slo, reading.objective);
    }
    lines
}

/// Requests to `a`: two instances, the second of which begins anew after two minutes; both
/// are away from the fifth minute to the fifteenth. A tenth of those of the first fails.
fn past() -> String {
    let is_there = |second: &i64| !(300..900).contains(second);
    let seconds = || (0..1_200).step_by(15).filter(is_there);
    let count = |second: i64| f64::from(i32::try_from(second).unwrap());
    let steady = seconds().map(|it| (START + it, 10.0 * count(it)));
    let failing = seconds().map(|it| (START + it, count(it)));
    let reset =
        seconds().map(|it| (START + it, if it < 120 { 50.0 + count(it) } else { count(it - 120) }));
    [
        history("requests", &[("pod", "1")], steady),
        history("requests", &[("pod", "2")], reset),
        history("errors", &[("pod", "1")], failing),
    ]
    .concat()
}

async fn read_regularly(rig: &mut Rig, documents: &Documents, n: usize) -> String {
    rig.reader.read_regular(jobs(documents, grid(n))).await.unwrap();
    shown(&rig.readings())
}

#[tokio::test]
async fn a_reset_is_no_loss_and_a_gap_is_not_observed_but_carried() {
    let prometheus = Options::new().backfill_openmetrics(&past()).start();
    let mut rig = Rig::new(prometheus.url(), |_| ());
    let documents = with_slos([slo("a", vec![bad_of_total("errors", "requests")])]);
    // Prometheus holds the last value for five minutes; then nothing is known.
    let read = read_regularly(&mut rig, &documents, 40).await;
    expect![[r#"
        a 0: 30/330 x3 30/300 30/330 x5 15/165 0/0 x9 - x10 -+615/6765 30/330 x9
    "#]]
    .assert_eq(&read);
    assert_eq!((rig.n_reads("answered"), rig.n_reads("failed")), ("1".to_owned(), "0".to_owned()));
}

#[tokio::test]
async fn a_query_of_several_is_asked_once_and_one_that_fails_leaves_only_its_own_out() {
    let prometheus = Options::new().backfill_openmetrics(&past()).start();
    let proxy = Proxy::start(prometheus.url());
    let mut rig = Rig::new(&proxy.url(), |_| ());
    let unread = Indicator::Raw {
        ratio: MetricQuery::Unread { source_type: "datadog".to_owned() },
        is_success: true,
    };
    let threshold =
        Indicator::Threshold { metric: promql("sum(errors)"), op: Comparison::Lte, value: 60.0 };
    let documents = with_slos([
        slo("a", vec![bad_of_total("errors", "requests"), threshold]),
        slo("b", vec![bad_of_total("errors", "requests"), unread]),
        slo("c", vec![bad_of_total("nothing", "requests"), bad_of_total("sum(", "requests")]),
    ]);
    let read = read_regularly(&mut rig, &documents, 4).await;
    expect![[r#"
        a 0: 30/330 x3
        a 1: 0/1 x2 1/1
        b 0: 30/330 x3
        c 0: 0/330 x3
    "#]]
    .assert_eq(&read);
    // errors, requests, sum(errors), nothing, sum(
    assert_eq!(proxy.count_matching("/api/v1/query_range"), 5);
    assert_eq!((rig.n_reads("answered"), rig.n_reads("failed")), ("4".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn what_answers_too_much_is_missing_and_never_zero() {
    let many: String = (0..40)
        .map(|it| history("m", &[("pod", &it.to_string())], [(START, 1.0), (START + 30, 2.0)]))
        .collect();
    let prometheus = Options::new().backfill_openmetrics(&many).start();
    let mut rig = Rig::new(prometheus.url(), |it| it.answer_bytes_max = 2 * 1024);
    let documents = with_slos([slo("a", vec![bad_of_total("m", "m")])]);
    assert_eq!(read_regularly(&mut rig, &documents, 4).await, "");
    assert_eq!(rig.n_reads("failed"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_reading_that_is_too_heavy_comes_in_pieces_without_a_seam() {
    let prometheus = Options::new().backfill_openmetrics(&past()).start();
    let proxy = Proxy::start(prometheus.url());
    let documents = with_slos([slo("a", vec![bad_of_total("errors", "requests")])]);
    let mut read = Vec::new();
    for (bytes_max, is_whole) in [(16 * 1024 * 1024, true), (1024, false)] {
        let mut rig = Rig::new(&proxy.url(), |it| it.answer_bytes_max = bytes_max);
        let n_before = proxy.count_matching("/api/v1/query_range");
        rig.reader.begin_first(jobs(&documents, grid(200)));
        let Some(Input::SlisRead(readings)) = rig.inputs.recv().await else { panic!("no reading") };
        let n_asked = proxy.count_matching("/api/v1/query_range") - n_before;
        assert_eq!(n_asked == 2, is_whole, "{n_asked}");
        assert_eq!(readings.iter().map(|it| it.slots.len()).collect::<Vec<_>>(), [199]);
        // What was carried over a gap may be lost at a seam; what was observed not.
        read.push(readings[0].slots.iter().map(|it| (it.at, it.counts)).collect::<Vec<_>>());
    }
    assert_eq!(read[0], read[1]);
}

fn labelled(query: &str) -> LabelledQuery {
    let max_age = SignedDuration::from_mins(1);
    LabelledQuery { query: query.to_owned(), label: "service".to_owned(), max_age }
}

fn economy() -> Economy {
    let price = |price| CapacityPrice { selector: Selector::everything(), price };
    let price_book = PriceBook {
        currency: Currency::USD,
        effective_from: None,
        capacity: vec![price(UnitPrice::PerHour(1.0)), price(UnitPrice::Gauge(labelled("price")))],
        usage: vec![
            UsagePrice {
                name: UsageName::new("egress").unwrap(),
                usage: labelled("egress"),
                price_per_unit: 0.1,
            },
            UsagePrice {
                name: UsageName::new("broken").unwrap(),
                usage: labelled("sum("),
                price_per_unit: 0.1,
            },
        ],
        commitments: Vec::new(),
        discount_ratio: 0.0,
        good_requests: Some(labelled("good")),
    };
    let tenants = Tenants {
        usage_query: "tenant_requests".to_owned(),
        tenant_label: "tenant".to_owned(),
        service_label: "service".to_owned(),
        max_age: SignedDuration::from_mins(1),
        tenants: BTreeMap::new(),
        unnamed: Tenant { value: 1.0, share_ratio: 0.0, quota_rps: None },
        tracked_max: 10,
    };
    Economy { price_book: Some(price_book), tenants: Some(tenants), ..Economy::default() }
}

async fn read_spend(rig: &Rig, documents: &Documents) -> SpendReading {
    super::spend::read(&rig.source, &rig.clock, documents, &rig.metrics, &rig.troubles).await
}

#[track_caller]
fn check_spend(reading: &SpendReading, expected: &Expect) {
    let SpendReading { gauges, usage, good, tenants } = reading;
    let gauges = gauges.iter().map(|it| format!("{} {} {}", it.nth, it.service, it.price_per_hour));
    let usage = usage.iter().map(|it| format!("{} {} {}", it.name, it.service, it.per_second));
    expected.assert_eq(&format!(
        "gauges {:?}\nusage {:?}\ngood {good:?}\ntenants {tenants:?}\n",
        gauges.collect::<Vec<_>>(),
        usage.collect::<Vec<_>>(),
    ));
}

fn scraped(prometheus: &Prometheus) {
    wait_until(std::time::Duration::from_secs(30), "a scrape", || {
        prometheus.query_number("sum(good)").is_some()
    });
}

#[tokio::test]
async fn prices_usage_and_tenants_are_read_and_what_fails_is_not_there() {
    let exporter = Exporter::start();
    for (metric, labels, value) in [
        ("price", &[("service", "cart")][..], 0.25),
        ("price", &[("service", "search"), ("node", "1")], 0.5),
        ("price", &[("service", "search"), ("node", "2")], 0.75),
        ("egress", &[("service", "cart"), ("zone", "a")], 2.0),
        ("egress", &[("service", "cart"), ("zone", "b")], 3.0),
        ("egress", &[("service", "search")], f64::NAN),
        ("good", &[("service", "cart")], 90.0),
        ("tenant_requests", &[("service", "cart"), ("tenant", "acme")], 7.0),
        ("tenant_requests", &[("service", "cart"), ("tenant", "not a name")], 1.0),
    ] {
        exporter.set(metric, labels, value);
    }
    let prometheus = Options::new().scrape(&exporter).start();
    scraped(&prometheus);
    let rig = Rig::new(prometheus.url(), |_| ());
    let reading = read_spend(&rig, &documents(economy())).await;
    check_spend(
        &reading,
        &expect![[r#"
            gauges ["1 cart 0.25"]
            usage ["egress cart 5"]
            good [(`cart`, 90.0)]
            tenants Some(TenantUsage { by_tenant: [(`acme`, `cart`, 7.0)], others_rps: 1.0, n_others: 1 })
        "#]],
    );
    let text = rig.metrics.text().unwrap();
    assert!(text.contains("evenkeel_spend_reads_total{outcome=\"failed\"} 1\n"), "{text}");
    assert!(text.contains("evenkeel_spend_reads_total{outcome=\"answered\"} 4\n"), "{text}");
}

#[tokio::test]
async fn without_anything_to_ask_or_anybody_who_answers_there_is_an_empty_reading() {
    let nobody = Rig::new("http://127.0.0.1:9", |_| ());
    assert_eq!(read_spend(&nobody, &documents(Economy::default())).await, SpendReading::default());
    assert_eq!(read_spend(&nobody, &documents(economy())).await, SpendReading::default());
}
