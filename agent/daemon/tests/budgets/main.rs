//! Error budgets, whole and on real parts: an exporter that counts requests, a real
//! Prometheus, the daemon's binary. An outage of what the exporter counts is told at
//! `/v1/slos` and in the metrics, and counted once across a restart.
//!
//! Needs `prometheus` and moto's server; `make test-parts` installs both.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_testbed::{Exporter, wait_until};
use serde_json::Value;
use support::Rig;

/// The group and the service of all tests here.
const SERVICE: &str = "budgeted";

/// Longest time from the beginning of an outage to its alert, and for the tests' own delays.
/// Why 180 s: two minutes are promised, and several builds may share the machine.
const TOLD: Duration = Duration::from_secs(180);

/// Longest time until Prometheus says the same. Why 300 s: its rules are evaluated every 30 s, and
/// its windows begin when they are loaded.
const TOLD_BY_RULES: Duration = Duration::from_secs(300);

/// The alert of the exported rules, while it fires.
const ALERT: &str =
    "count(ALERTS{alertname=\"EvenkeelSloBurn\",slo=\"answered\",alertstate=\"firing\"})";

/// An SLO about the counters that the exporter has, and a price book.
const DOCUMENTS: &str = "---
apiVersion: openslo/v1
kind: SLO
metadata: { name: answered, displayName: Answered requests }
spec:
  service: budgeted
  budgetingMethod: Occurrences
  timeWindow: [ { duration: 28d, isRolling: true } ]
  indicator:
    metadata: { name: answered }
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: prometheus, spec: { query: 'requests_failed' } } }
        total: { metricSource: { type: prometheus, spec: { query: 'requests' } } }
  objectives: [ { displayName: answered, target: 0.99 } ]
";

/// Requests that go on being counted, ten per second, until dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
    counting: Option<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn start(exporter: Arc<Exporter>) -> Traffic {
        let (stop, fails) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopped, failing) = (Arc::clone(&stop), Arc::clone(&fails));
        let counting = std::thread::spawn(move || {
            let (mut total, mut failed) = (0.0, 0.0);
            while !stopped.load(Ordering::Relaxed) {
                total += 10.0;
                failed += if failing.load(Ordering::Relaxed) { 10.0 } else { 0.0 };
                exporter.set("requests", &[("service", SERVICE)], total);
                exporter.set("requests_failed", &[("service", SERVICE)], failed);
                // The traffic itself; nothing waits for it.
                std::thread::park_timeout(Duration::from_secs(1));
            }
        });
        Traffic { stop, fails, counting: Some(counting) }
    }

    fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(counting) = self.counting.take() {
            counting.thread().unpark();
            let _ = counting.join();
        }
    }
}

/// The body of an answer, without its head; null while there is none.
fn objective(rig: &Rig) -> Value {
    let text = rig.get("/v1/slos");
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    report["slos"][0]["objectives"][0].clone()
}

fn fires(objective: &Value) -> bool {
    let alerts = objective["alerts"].as_array().map_or(&[][..], Vec::as_slice);
    alerts.iter().any(|it| it["verdict"] == "firing")
}

#[test]
fn an_outage_is_told_within_two_minutes_and_counted_once_across_a_restart() {
    let mut rig = Rig::start(SERVICE, 2, 20.0);
    let traffic = Traffic::start(Arc::clone(&rig.exporter));
    rig.write_documents(DOCUMENTS);
    // The same SLO for Prometheus' own evaluation.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slo.yaml");
    std::fs::write(&file, DOCUMENTS).unwrap();
    let rules = rig.enforced(&["slo", "rules", file.to_str().unwrap()]).stdout;
    rig.prometheus.load_rules(&rules);
    wait_until(TOLD_BY_RULES, "Prometheus counts too", || {
        rig.prometheus.query_number("count(slo:sli_total:delta30s)").is_some()
    });
    wait_until(TOLD, "some slots have been observed", || {
        0.0 < objective(&rig)["total"].as_f64().unwrap_or_default()
    });
    let before = objective(&rig);
    assert!(!fires(&before), "{before}");
    assert_eq!(rig.prometheus.query_number(ALERT), None);
    assert_eq!(before["bad"], 0.0, "{before}");

    traffic.fail();
    wait_until(TOLD, "an alert fires", || fires(&objective(&rig)));
    wait_until(TOLD_BY_RULES, "Prometheus says the same", || {
        rig.prometheus.query_number(ALERT).is_some_and(|it| 1.0 <= it)
    });
    let metrics = rig.get("/metrics");
    let firing = metrics.lines().filter(|it| it.starts_with("evenkeel_slo_alert_firing{"));
    assert!(firing.clone().any(|it| it.ends_with(" 1.0")), "{metrics}");
    assert!(metrics.contains("evenkeel_slo_reads_total{outcome=\"failed\"} 0"), "{metrics}");

    let told = objective(&rig);
    assert_eq!(rig.stop_daemon(), 0);
    let kept = std::fs::read_to_string(rig.store().with_extension("budgets.json"));
    assert!(kept.expect("what is kept").contains("answered"));
    rig.start_daemon();
    wait_until(TOLD, "it is counted on", || {
        told["total"].as_f64() <= objective(&rig)["total"].as_f64()
    });
    let again = objective(&rig);
    // No more than what Prometheus has of it: nothing is counted twice.
    let counted = rig.prometheus.query_number("sum(requests)").unwrap_or_default();
    assert!(again["total"].as_f64().unwrap_or_default() <= counted, "{again} of {counted}");
    rig.enforced(&["audit", "verify"]);
}
