//! HAProxy starts, serves, is watched, and is gone after its drop.
//!
//! In: nothing.
//! Out: what its socket and its exporter say.
//! Not here: what the agent makes of it.

use std::time::Duration;

use evenkeel_testbed::haproxy::Options;
use evenkeel_testbed::process::is_running;
use evenkeel_testbed::{Exporter, free_port, http, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn haproxy_serves_checks_and_counts_and_is_gone_after_drop() {
    let up = Exporter::start();
    let haproxy = Options::new("web")
        .server("up", &up.address())
        .server("down", &format!("127.0.0.1:{}", free_port()))
        .check_path("/metrics")
        .start();
    wait_until(LIMIT, "the checks", || {
        haproxy.status("up") == "UP" && haproxy.status("down") == "DOWN"
    });
    let answer = http::get(&format!("{}/metrics", haproxy.url())).unwrap();
    assert_eq!(answer.status, 200);
    let metrics = haproxy.metrics();
    assert!(metrics.contains("haproxy_server_status{proxy=\"web\",server=\"up\",state=\"UP\"} 1"));
    let answer = haproxy.ask("set server web/up state drain");
    assert_eq!(answer.trim(), "");
    assert_eq!(haproxy.status("up"), "DRAIN");

    let pid = haproxy.pid();
    assert!(is_running(pid));
    drop(haproxy);
    assert!(!is_running(pid));
}
