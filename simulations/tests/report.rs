//! Timelines stay small and keep their sums; pages show everything and obey nothing.
//!
//! **In:** made-up moments, events and scorecards.
//! **Out:** bins, and text of a page.
//! **Not here:** what a browser makes of a page (`agent/testbed/tests/report_page.rs`).
#![expect(clippy::unwrap_used, reason = "functions that are not tests themselves unwrap")]

use std::fmt::Write as _;

use evenkeel_sim::report::{Run, page};
use evenkeel_sim::scorecard::{Scorecard, Violation};
use evenkeel_sim::timeline::{
    BINS_MAX, EVENTS_MAX, Event, EventKind, Moment, Recorder, ServiceTimeline, Timeline,
};
use expect_test::{Expect, expect};
use proptest::prelude::*;

const HOSTILE: &str =
    "\"'><script>alert(1)</script></title></style><img src=//x onerror=a()>&\u{202e}\0";

/// As it was typed; the scenario in it has another name.
const FILE: &str = "simulations/scenarios/it's.yaml";

fn service(name: &str) -> ServiceTimeline {
    ServiceTimeline {
        name: name.to_owned(),
        unit_load: 10.0,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.5,
        bins: Vec::new(),
    }
}

fn recorder(bin_seconds: i64) -> Recorder {
    Recorder::new(1_000_000, bin_seconds, "requests/s", vec![service("api")])
}

fn moment(load: f64, units: u32) -> Moment {
    Moment {
        load,
        forecast: Some([load - 1.0, load, load + 1.0]),
        ready: units,
        desired: units + 1,
        needed: units + 2,
        offered: load,
        good: load / 2.0,
        latency_p95_seconds: Some(load),
        cost_usd: 0.25,
    }
}

fn event(at: i64, kind: EventKind, text: &str) -> Event {
    Event { at, kind, service: "api".to_owned(), text: text.to_owned() }
}

fn scorecard(violations: Vec<Violation>, partial: bool) -> Scorecard {
    Scorecard {
        scenario: "its".to_owned(),
        seed: 7,
        controller: "evenkeel".to_owned(),
        simulated_seconds: 3_600,
        wall_seconds: 0.1,
        cost_usd: 12.0,
        oracle_cost_usd: 10.0,
        cost_ratio: 1.2,
        theta_u: 0.5,
        theta_o: 20.0,
        tau_u: 1.0,
        tau_o: 80.0,
        unserved_ratio: 0.01,
        slo_good_ratio: 0.9997,
        capacity_changes: 3,
        pages: 0,
        mttd_seconds: None,
        mttr_seconds: Some(90.0),
        slo_bad_seconds: 1,
        lost_requests: 4.0,
        partial,
        violations,
        trace_sha256: "ab".repeat(32),
    }
}

fn timeline(services: &[ServiceTimeline], seconds: i64) -> Timeline {
    let mut recorder = Recorder::new(1_772_409_600, 1, "requests/s", services.to_vec());
    for index in 0..services.len() {
        for (second, load) in (0..seconds).zip([4.0, 90.0, 31.0, 55.0].iter().cycle()) {
            recorder.second(
                index,
                1,
                &moment(*load + f64::from(u8::try_from(second % 40).unwrap()), 3),
            );
        }
    }
    recorder.finish()
}

#[track_caller]
fn check_bins(stretches: &[(i64, Option<(f64, u32)>)], bin_seconds: i64, expected: &Expect) {
    let mut recorder = recorder(bin_seconds);
    for (seconds, values) in stretches {
        match values {
            Some((load, units)) => recorder.second(0, *seconds, &moment(*load, *units)),
            None => recorder.gap(0, *seconds),
        }
    }
    let timeline = recorder.finish();
    let mut shown = format!("bins of {} s\n", timeline.bin_seconds);
    for bin in &timeline.services[0].bins {
        writeln!(
            shown,
            "{} s load {} max {} forecast {:?} ready {} desired {} needed {} good {:?} p95 {:?} ${}",
            bin.seconds,
            bin.load,
            bin.load_max,
            bin.forecast,
            bin.ready_min,
            bin.desired,
            bin.needed_max,
            bin.good_ratio,
            bin.latency_p95_seconds,
            bin.cost_usd
        )
        .unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_bin_has_means_extremes_and_the_last() {
    check_bins(
        &[(4, Some((10.0, 5))), (6, Some((20.0, 3)))],
        10,
        &expect![[r#"
        bins of 10 s
        10 s load 16 max 20 forecast Some([15.0, 16.0, 17.0]) ready 3 desired 4 needed 7 good Some(0.5) p95 Some(20.0) $2.5
    "#]],
    );
}

#[test]
fn a_long_stretch_is_split_where_a_bin_ends() {
    check_bins(
        &[(5, Some((8.0, 1))), (0, Some((99.0, 9))), (-3, Some((99.0, 9)))],
        2,
        &expect![[r#"
            bins of 2 s
            2 s load 8 max 8 forecast Some([7.0, 8.0, 9.0]) ready 1 desired 2 needed 3 good Some(0.5) p95 Some(8.0) $0.5
            2 s load 8 max 8 forecast Some([7.0, 8.0, 9.0]) ready 1 desired 2 needed 3 good Some(0.5) p95 Some(8.0) $0.5
            1 s load 8 max 8 forecast Some([7.0, 8.0, 9.0]) ready 1 desired 2 needed 3 good Some(0.5) p95 Some(8.0) $0.25
        "#]],
    );
}

#[test]
fn what_nobody_knows_is_a_gap_and_not_zero() {
    check_bins(
        &[(2, Some((8.0, 1))), (3, None), (1, Some((4.0, 2)))],
        2,
        &expect![[r#"
        bins of 2 s
        2 s load 8 max 8 forecast Some([7.0, 8.0, 9.0]) ready 1 desired 2 needed 3 good Some(0.5) p95 Some(8.0) $0.5
        0 s load 0 max 0 forecast None ready 0 desired 0 needed 0 good None p95 None $0
        1 s load 4 max 4 forecast Some([3.0, 4.0, 5.0]) ready 2 desired 3 needed 4 good Some(0.5) p95 Some(4.0) $0.25
    "#]],
    );
}

#[test]
fn without_traffic_nothing_is_good_or_bad() {
    check_bins(
        &[(2, Some((0.0, 1)))],
        2,
        &expect![[r#"
        bins of 2 s
        2 s load 0 max 0 forecast Some([-1.0, 0.0, 1.0]) ready 1 desired 2 needed 3 good None p95 Some(0.0) $0.5
    "#]],
    );
}

#[test]
fn a_service_that_is_not_there_is_ignored() {
    let mut recorder = recorder(1);
    recorder.second(1, 5, &moment(1.0, 1));
    assert_eq!(recorder.finish().services[0].bins, []);
}

#[test]
fn the_longest_stretch_there_is_fits() {
    let mut recorder = recorder(i64::MAX);
    recorder.second(0, i64::MAX, &moment(1.0, 1));
    recorder.second(0, i64::MAX, &moment(1.0, 1));
    assert!(recorder.finish().services[0].bins.len() <= BINS_MAX);
    let mut recorder = self::recorder(1);
    recorder.second(0, i64::MAX, &moment(1.0, 1));
    assert!(recorder.finish().services[0].bins.len() <= BINS_MAX);
}

#[test]
fn the_first_and_the_newest_events_are_kept() {
    let mut recorder = recorder(1);
    let all = i64::try_from(EVENTS_MAX).unwrap() + 300;
    for at in 0..all {
        recorder.event(event(at, EventKind::Decision, ""));
    }
    let timeline = recorder.finish();
    let half = all / 2 - 150;
    let kept: Vec<i64> = (0..half).chain(half + 300..all).collect();
    assert_eq!(timeline.events.iter().map(|it| it.at).collect::<Vec<_>>(), kept);
    assert_eq!(timeline.events_left_out, 300);
}

proptest! {
    // However long it is and however often bins were joined, nothing is lost or made up.
    #[test]
    fn joining_keeps_sums_and_extremes(
        stretches in prop::collection::vec((1_i64..2_000, 0.0_f64..1e6, 0_u32..500, any::<bool>()), 1..300),
        bin_seconds in 1_i64..20,
    ) {
        let mut recorder = recorder(bin_seconds);
        let (mut known, mut load, mut cost, mut most, mut fewest) = (0, 0.0, 0.0, 0.0_f64, u32::MAX);
        let mut elapsed = 0;
        for (seconds, value, units, is_known) in &stretches {
            elapsed += seconds;
            if !is_known {
                recorder.gap(0, *seconds);
                continue;
            }
            recorder.second(0, *seconds, &moment(*value, *units));
            let times = f64::from(u16::try_from(*seconds).unwrap());
            known += seconds;
            load += value * times;
            cost += 0.25 * times;
            most = most.max(*value);
            fewest = fewest.min(*units);
        }
        let timeline = recorder.finish();
        let bins = &timeline.services[0].bins;
        let kept = || bins.iter().filter(|bin| 0 < bin.seconds);
        prop_assert!(bins.len() <= BINS_MAX);
        let reach = timeline.bin_seconds * i64::try_from(bins.len()).unwrap();
        prop_assert!(elapsed <= reach && reach < elapsed + timeline.bin_seconds);
        prop_assert_eq!(known, bins.iter().map(|bin| bin.seconds).sum::<i64>());
        let times = |seconds: i64| f64::from(u32::try_from(seconds).unwrap());
        let drawn: f64 = kept().map(|bin| bin.load * times(bin.seconds)).sum();
        prop_assert!((drawn - load).abs() <= 1e-9 * load.abs() + 1e-6, "{drawn} {load}");
        let spent: f64 = bins.iter().map(|bin| bin.cost_usd).sum();
        prop_assert!((spent - cost).abs() <= 1e-9 * cost + 1e-9);
        if 0 < known {
            prop_assert!((kept().map(|bin| bin.load_max).fold(0.0, f64::max) - most).abs() <= 0.0);
            prop_assert_eq!(kept().map(|bin| bin.ready_min).min(), Some(fewest));
        }
    }

    // No number and no text breaks the page.
    #[test]
    fn any_timeline_makes_a_page(
        loads in prop::collection::vec(prop_oneof![any::<f64>(), 0.0_f64..1e3], 0..40),
        begins_at in any::<i64>(), bin_seconds in any::<i64>(), unit_load in any::<f64>(),
        objective_ratio in any::<f64>(), name in any::<String>(),
    ) {
        let named = ServiceTimeline { unit_load, objective_ratio, ..service(&name) };
        let mut recorder = Recorder::new(begins_at, bin_seconds, &name, vec![named]);
        for load in loads {
            recorder.second(0, 1_000, &moment(load, 3));
        }
        recorder.event(event(begins_at.wrapping_neg(), EventKind::Page, &name));
        let (card, timeline) = (scorecard(Vec::new(), false), recorder.finish());
        let page = page(&name, &name, &name, &[Run { scorecard: &card, timeline: &timeline }]);
        for path in page.split("<path class=\"s-").skip(1) {
            let path = path.split(" d=\"").nth(1).and_then(|it| it.split('"').next()).unwrap();
            prop_assert!(path.chars().all(|it| "MhvZ -0123456789".contains(it)), "{path}");
        }
        // Quotes of names are escaped, so these would be ours.
        for word in ["=\"NaN", "=\"inf", "=\"-inf"] {
            prop_assert!(!page.contains(word), "{word}");
        }
    }
}

#[test]
fn hostile_text_is_shown_and_not_obeyed() {
    let violation = Violation { at: 0, invariant: "freeze_holds", what: HOSTILE.to_owned() };
    let mut card = scorecard(vec![violation], false);
    card.controller = HOSTILE.to_owned();
    card.scenario = HOSTILE.to_owned();
    let mut timeline = timeline(&[service(HOSTILE)], 30);
    timeline.load_unit = HOSTILE.to_owned();
    timeline.events =
        vec![Event { service: HOSTILE.to_owned(), ..event(0, EventKind::Page, HOSTILE) }];
    let page = page(HOSTILE, HOSTILE, HOSTILE, &[Run { scorecard: &card, timeline: &timeline }]);
    for (opened, times) in
        [("<script", 1), ("</title><meta", 0), ("</title><style", 1), ("<img", 0), ("</style>", 1)]
    {
        assert_eq!(page.matches(opened).count(), times, "{opened}");
    }
    assert!(!page.contains(['\u{202e}', '\0']));
    assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)"));
}

#[test]
fn nothing_on_the_page_is_somewhere_else() {
    let (card, timeline) = (scorecard(Vec::new(), false), timeline(&[service("api")], 30));
    let page = page("t", "a", FILE, &[Run { scorecard: &card, timeline: &timeline }]);
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    for word in ["http:", "https:", "src=", "url(", "@import", "style=", "onload=", "<link"] {
        assert!(!elsewhere.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}

/// What a page says, without its drawings.
#[track_caller]
fn check_text(card: &Scorecard, timeline: &Timeline, expected: &Expect) {
    let page = page("A small run", "About it.", FILE, &[Run { scorecard: card, timeline }]);
    let body = page.split_once("<header>").unwrap().1.split_once("<script>").unwrap().0;
    let mut text = String::new();
    for part in body.split('<') {
        let (tag, words) = part.split_once('>').unwrap_or(("", part));
        let is_block =
            ["p", "/p", "h1", "h2", "h3", "h4", "tr", "li", "figure", "section", "summary", "code"];
        if is_block.contains(&tag.split(' ').next().unwrap()) && !text.ends_with('\n') {
            text.push('\n');
        }
        if !words.trim().is_empty() && !tag.starts_with("text") {
            text.push_str(words.trim());
            text.push(if words.ends_with('\n') { '\n' } else { ' ' });
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|it| !it.is_empty()).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn a_good_run_reads_like_this() {
    let mut timeline = timeline(&[service("api")], 40);
    timeline.events = vec![
        event(1_772_409_605, EventKind::FaultBegan, "zone b is lost"),
        event(1_772_409_609, EventKind::Decision, "3 -> 5"),
    ];
    timeline.events_left_out = 2;
    check_text(
        &scorecard(Vec::new(), false),
        &timeline,
        &expect![[r#"
            Evenkeel simulation
            A small run
            About it.
            2026-03-02 00:00:00 to 2026-03-02 00:00:40 UTC · 40 s
            ✓ No violation in this run.
            Scorecard
            Score evenkeel seed 7
            Violations of what must hold ✓ 0
            Good time with the objective met 99.97 %
            Bad time objective missed, all services added 1 s
            Unserved load above ready capacity 1 %
            Lost requests given up for good 4
            Under-provisioned τᵤ, share of time 1 %
            Shortfall θᵤ, of demand 0.5 %
            Over-provisioned τₒ, share of time 80 %
            Surplus θₒ, of demand 20 %
            Cost USD $12
            Against the oracle who knows the future 1.2×
            Changes of desired capacity 3
            Pages people called 0
            To detect mean, per incident –
            To repair mean, per incident 1 min 30 s
            Simulated virtual time 1 h
            Trace SHA-256, begins with abababababab
            Reproduce it
            evenkeel simulate &#39;simulations/scenarios/it&#39;\&#39;&#39;s.yaml&#39; --seed 7 --controller evenkeel
            evenkeel
            api
            Load and forecast requests/s forecast 10–90 % load, highest forecast median load
            mean 64.5, highest 127 requests/s
            Load and forecast Load of api: mean 64.5, highest 127 requests/s.
            Capacity requests/s ready short of need needed desired
            1 unit carries 10 requests/s; short of need for up to 40 s
            Capacity Ready, desired and needed capacity of api: short of need for up to 40 s.
            SLO burn rate × burn rate
            objective 99 %; mean over time 50×, highest 50×
            SLO burn rate Burn rate of the error budget of api on a logarithmic axis: mean 50, highest 50.
            Cost USD/h USD/h sum, USD (right)
            $10 in all; a unit is $0.5 per hour
            Cost Cost of api: 10 dollars in all.
            Events and decisions fault began fault ended decision refusal person page violation Events and decisions faults: 1, decisions: 1, people: 0, violations: 0. Each is in the list below.
            Events and decisions
            03-02 00:00:05 fault began api
            zone b is lost
            03-02 00:00:09 decision api
            3 -&gt; 5
            2 events in the middle of the run are left out.
        "#]],
    );
}

#[test]
fn violations_and_interruption_come_first() {
    let violation =
        |at| Violation { at, invariant: "freeze_holds", what: "3 -> 2 while frozen".to_owned() };
    let card = scorecard((0..7).map(|at| violation(1_772_409_600 + at)).collect(), true);
    let timeline = timeline(&[], 0);
    check_text(
        &card,
        &timeline,
        &expect![[r#"
            Evenkeel simulation
            A small run
            About it.
            2026-03-02 00:00:00 to 2026-03-02 00:00:01 UTC · 1 s
            Partial. At least one run was interrupted; its numbers are about the part that ran.
            ✕ 7 violations
            What must hold, and did not.
            evenkeel: 7
            2026-03-02 00:00:00 freeze_holds 3 -&gt; 2 while frozen
            2026-03-02 00:00:01 freeze_holds 3 -&gt; 2 while frozen
            2026-03-02 00:00:02 freeze_holds 3 -&gt; 2 while frozen
            2026-03-02 00:00:03 freeze_holds 3 -&gt; 2 while frozen
            2026-03-02 00:00:04 freeze_holds 3 -&gt; 2 while frozen
            2 more
            2026-03-02 00:00:05 freeze_holds 3 -&gt; 2 while frozen
            2026-03-02 00:00:06 freeze_holds 3 -&gt; 2 while frozen
            Scorecard
            Score evenkeel partial seed 7
            Violations of what must hold ✕ 7
            Good time with the objective met 99.97 %
            Bad time objective missed, all services added 1 s
            Unserved load above ready capacity 1 %
            Lost requests given up for good 4
            Under-provisioned τᵤ, share of time 1 %
            Shortfall θᵤ, of demand 0.5 %
            Over-provisioned τₒ, share of time 80 %
            Surplus θₒ, of demand 20 %
            Cost USD $12
            Against the oracle who knows the future 1.2×
            Changes of desired capacity 3
            Pages people called 0
            To detect mean, per incident –
            To repair mean, per incident 1 min 30 s
            Simulated virtual time 1 h
            Trace SHA-256, begins with abababababab
            Reproduce it
            evenkeel simulate &#39;simulations/scenarios/it&#39;\&#39;&#39;s.yaml&#39; --seed 7 --controller evenkeel
            evenkeel partial
            This run has no services.
            Events and decisions
            Nothing happened.
        "#]],
    );
}

#[test]
fn without_runs_the_page_says_so() {
    assert!(page("t", "", FILE, &[]).contains("There is no run to show."));
}

#[test]
fn the_largest_page_is_below_three_megabytes() {
    let services: Vec<ServiceTimeline> =
        (0..20).map(|index| service(&format!("service-{index}"))).collect();
    let mut timeline = timeline(&services, 1_024);
    timeline.events = (0..1_000_i64)
        .map(|at| event(1_772_409_600 + at, EventKind::Decision, &"twelve to fourteen ".repeat(8)))
        .collect();
    let card = scorecard(Vec::new(), false);
    let one = Run { scorecard: &card, timeline: &timeline };
    let size = page("t", "", FILE, &[one]).len();
    assert!(size < 3_000_000, "{size} bytes");
    let size = page("t", "", FILE, &[one; 7]).len();
    assert!(size < 6_000_000, "{size} bytes with seven runs");
}
