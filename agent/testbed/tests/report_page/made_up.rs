//! Two runs of three services that never ran.
//!
//! In: nothing. Out: scorecards and timelines like those of an outage at noon.
//! Not here: what a browser makes of them.

use evenkeel_sim::scorecard::{Scorecard, Violation};
use evenkeel_sim::timeline::{Event, EventKind, Moment, Recorder, ServiceTimeline, Timeline};

/// 2 March 2026, 00:00 UTC.
const BEGINS_AT: i64 = 1_772_409_600;
const MINUTES: i32 = 1_440;
const OUTAGE: std::ops::Range<i32> = 720..765;

/// What a page says that is hostile.
pub(crate) const HOSTILE: &str =
    "</title><script>document.title='owned'</script><img src=http://x.invalid/a onerror=alert(1)>";

pub(crate) struct MadeUp {
    pub(crate) scorecard: Scorecard,
    pub(crate) timeline: Timeline,
}

pub(crate) fn run(controller: &str, lag: i32, n_services: u16) -> MadeUp {
    let name = |index: u16| match index {
        0 => "checkout-api".to_owned(),
        1 => "catalogue-search-with-a-name-that-is-longer-than-most".to_owned(),
        2 => HOSTILE.to_owned(),
        _ => format!("service-{index}"),
    };
    let service = |index: u16| ServiceTimeline {
        name: name(index),
        unit_load: 55.0,
        objective_ratio: 0.999,
        unit_usd_per_hour: 0.192,
        bins: Vec::new(),
    };
    let services = (0..n_services).map(service).collect();
    let mut recorder = Recorder::new(BEGINS_AT, 60, "requests/s", services);
    for index in 0..n_services {
        let size = 1.0 + f64::from(index) * 0.6;
        for minute in 0..MINUTES {
            // Nobody knows what the second service did in this hour.
            if index == 1 && (300..360).contains(&minute) {
                recorder.gap(1, 60);
            } else {
                recorder.second(usize::from(index), 60, &moment(minute, lag, size));
            }
        }
    }
    events(&mut recorder, controller);
    MadeUp { scorecard: scorecard(controller, lag), timeline: recorder.finish() }
}

fn load(minute: i32, size: f64) -> f64 {
    let minute = f64::from(minute);
    let day = 1.0 - (minute / f64::from(MINUTES) * std::f64::consts::TAU).cos();
    let ripple = (minute * 0.7).sin() * 18.0 + (minute * 0.13).sin() * 25.0;
    let launch = 480.0 * (-((minute - 1_080.0) / 40.0).powi(2)).exp();
    size * (140.0 + 330.0 * day + ripple + launch)
}

fn moment(minute: i32, lag: i32, size: f64) -> Moment {
    let here = load(minute, size);
    // Loads are a few thousand, units a few dozen.
    let units = |load: f64| (1_u32..10_000).find(|it| load <= f64::from(*it) * 55.0).unwrap_or(1);
    let needed = units(here);
    let desired = units(load(minute + 12 - lag, size) * 1.15);
    let mut ready = units(load(minute + 6 - lag, size) * 1.15);
    if OUTAGE.contains(&minute) {
        ready = ready * 3 / 5;
    }
    let short = 1.0 - (f64::from(ready) / f64::from(needed)).min(1.0);
    let seen = load(minute - 8, size);
    Moment {
        load: here,
        forecast: (90 <= minute).then_some([seen * 0.88, seen * 1.01, seen * 1.14]),
        ready,
        desired,
        needed,
        offered: here,
        good: here * (1.0 - short * 0.6 - 0.0002),
        latency_p95_seconds: Some(0.12 + short),
        cost_usd: f64::from(desired) * 0.192 / 3_600.0,
    }
}

fn events(recorder: &mut Recorder, controller: &str) {
    let mut event = |minute: i64, kind: EventKind, service: &str, text: &str| {
        let (service, text) = (service.to_owned(), text.to_owned());
        recorder.event(Event { at: BEGINS_AT + minute * 60, kind, service, text });
    };
    for minute in (5..1_440).step_by(45) {
        let text = format!(
            "{minute}: 12 -> 14: the forecast peak of 640 requests/s needs 14 units with headroom"
        );
        event(minute, EventKind::Decision, "checkout-api", &text);
    }
    event(
        700,
        EventKind::Refusal,
        "checkout-api",
        "scale 40 -> 22 refused: the objective burns 6x",
    );
    event(720, EventKind::FaultBegan, "", "zone b is lost: every instance in it is gone");
    event(724, EventKind::Page, "", "zone-loss: 40 % of ready capacity gone within a minute");
    event(731, EventKind::Person, "", "ana@example.com approves `shift-zone` (gate 1 of 1)");
    event(738, EventKind::Violation, "checkout-api", "capacity was lowered while frozen");
    event(765, EventKind::FaultEnded, "", "zone b is back");
    event(766, EventKind::Decision, "", HOSTILE);
    let _ = controller;
}

fn scorecard(controller: &str, lag: i32) -> Scorecard {
    let worse = f64::from(lag) / 10.0;
    let violation = Violation {
        at: BEGINS_AT + 738 * 60,
        invariant: "freeze_holds",
        what: format!("checkout-api went 40 -> 38 while frozen by ana@example.com {HOSTILE}"),
    };
    Scorecard {
        scenario: "zone-loss".to_owned(),
        seed: 42,
        controller: controller.to_owned(),
        simulated_seconds: 86_400,
        wall_seconds: 0.41,
        cost_usd: 148.2 - worse * 8.0,
        oracle_cost_usd: 121.4,
        cost_ratio: 1.22 - worse * 0.06,
        theta_u: 0.31 + worse * 2.1,
        theta_o: 21.7,
        tau_u: 2.4 + worse * 9.0,
        tau_o: 91.3,
        unserved_ratio: 0.0031 + worse * 0.02,
        slo_good_ratio: 0.9757 - worse * 0.04,
        capacity_changes: 61,
        pages: 1,
        mttd_seconds: Some(94.0),
        mttr_seconds: Some(1_260.0),
        slo_bad_seconds: 2_100,
        lost_requests: 18_412.0,
        partial: 0 < lag,
        violations: if 0 < lag { vec![violation] } else { Vec::new() },
        trace_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
    }
}
