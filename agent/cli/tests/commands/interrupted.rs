//! Ctrl-C, and two simulations at the same time.
//!
//! **In:** long runs, SIGINT, and a core that is busy with something else.
//! **Out:** the part that ran, marked as partial; equal traces.
//! **Not here:** whole runs ([`super::simulate`], [`super::region`], [`super::replay`]).

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_testbed::Process;
use evenkeel_testbed::process::{Program, Signal};
use evenkeel_testbed::wait_until;
use serde_json::Value;

use crate::command::Scene;
use crate::region::{KIOSK, json, scene};

/// Far beyond what anything here takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Ticks of the processor, a hundredth of a second each, after which a run has passed its
/// beginning: a minute of a small region takes less than a thousandth of a second.
const TICKS: u64 = 30;

const CAPACITY: &str = include_str!("../../../../simulations/scenarios/capacity.yaml");

/// Whether a process catches SIGINT, as the kernel says.
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|it| it.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    // SIGINT is the second signal.
    mask.is_some_and(|it| it & 0b10 != 0)
}

/// What a process has computed so far, in ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, it)| it);
    fields.split(' ').nth(11).and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// Starts `evenkeel`, interrupts it once it has computed for a while, and waits for its end.
#[track_caller]
pub(crate) fn interrupt(scene: &Scene, words: &[&str]) -> Process {
    let program = Program::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(words.iter().copied())
        .in_folder(scene.dir.path());
    let mut process = Process::start(&program);
    let pid = process.pid();
    wait_until(LIMIT, "it listens for Ctrl-C", || listens(pid) || process.exited().is_some());
    let begun = ticks(pid);
    wait_until(LIMIT, "it computes", || begun + TICKS <= ticks(pid) || process.exited().is_some());
    process.signal(Signal::INT);
    let status = process.wait_exit(LIMIT);
    assert_eq!(status.code(), Some(130), "{status}{}", process.log_tail());
    process
}

fn printed(process: &Process) -> Value {
    serde_json::from_str(&process.stdout()).expect("JSON")
}

/// A part of `all` seconds that is marked as one.
#[track_caller]
fn check_part(card: &Value, all: i64) {
    assert_eq!(card["partial"], true, "{card:#}");
    let seconds = card["simulated_seconds"].as_i64().expect("seconds");
    assert!((1..all).contains(&seconds), "{card:#}");
    assert_eq!(card["violations"], Value::Array(Vec::new()), "{card:#}");
    for field in ["cost_ratio", "cost_usd", "slo_good_ratio", "unserved_ratio", "theta_u"] {
        assert!(card[field].is_number(), "{field}: {card:#}");
    }
}

fn long_kiosk() -> String {
    KIOSK.replace("lasts: 30m", "lasts: 400d")
}

#[test]
fn an_interrupted_region_reports_the_part_that_ran() {
    let scene = scene().file("long.yaml", long_kiosk());
    let process =
        interrupt(&scene, &["simulate", "long.yaml", "-o", "json", "--report", "page.html"]);
    check_part(&printed(&process), 400 * 86_400);
    let note = "interrupted: the last run is partial, and not judged for what it must reach; 0 \
                more were not begun\n";
    assert_eq!(process.stderr(), note);
    let page = fs::read_to_string(scene.dir.path().join("page.html")).expect("a page");
    assert!(page.contains("artial"), "the page does not say that it is a part");
}

#[test]
fn an_interrupted_capacity_scenario_reports_the_part_that_ran() {
    let long = CAPACITY.replace("days: 9", "days: 400");
    let scene = Scene::new().file("long.yaml", long);
    let process = interrupt(&scene, &["simulate", "long.yaml", "-o", "json", "--seeds", "1..4"]);
    let cards = printed(&process);
    assert_eq!(cards.as_array().map(Vec::len), Some(1), "{cards:#}");
    check_part(&cards[0], 400 * 86_400);
    assert!(process.stderr().ends_with("; 2 more were not begun\n"), "{}", process.stderr());
}

#[test]
fn equal_seeds_are_equal_across_processes_on_a_busy_machine() {
    let short = CAPACITY
        .replace("days: 9", "days: 3")
        .replace("evaluation_period: 15s", "evaluation_period: 60s");
    let scene = scene().file("capacity.yaml", short);
    let is_over = AtomicBool::new(false);
    let lines = [
        "simulate kiosk.yaml -o json --seed 5",
        "simulate kiosk.yaml -o json --seed 5",
        "simulate capacity.yaml -o json --seed 5",
        "simulate capacity.yaml -o json --seed 5",
    ];
    let said = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let scene = &scene;
        let runs = lines.map(|line| scope.spawn(move || scene.said(line)));
        let said = runs.map(std::thread::ScopedJoinHandle::join);
        // Before anything can fail: the scope waits for the busy thread.
        is_over.store(true, Ordering::Relaxed);
        said.map(|it| it.expect("it runs"))
    });
    let traces = said.each_ref().map(|it| json(it)["trace_sha256"].clone());
    assert_eq!(traces[0].as_str().map(str::len), Some(64));
    assert_eq!(traces[0], traces[1]);
    assert_eq!(traces[2], traces[3]);
    assert_ne!(traces[0], traces[2]);
}
