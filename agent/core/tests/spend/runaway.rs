//! Runaways: what is told of them, how soon, and what is not one.

use evenkeel_core::spend::runaway::{NoVerdict, Past, Verdict, runaway};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

const PER_DAY: usize = 2_880;
const RING: usize = 3 * PER_DAY;

/// A fleet that follows its load: what it costs and what it gets, slot by slot.
struct Fleet {
    rng: TestRng,
    spend: Vec<Option<f64>>,
    good: Vec<Option<f64>>,
    units: f64,
    /// Requests per second at the peak of a usual day.
    peak_rps: f64,
    rps_per_unit: f64,
}

impl Fleet {
    fn of(seed: u8, peak_rps: f64, rps_per_unit: f64) -> Fleet {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Fleet { rng, spend: Vec::new(), good: Vec::new(), units: 0.0, peak_rps, rps_per_unit }
    }

    fn chance(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / f64::from(u32::MAX)
    }

    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.chance()).sum::<f64>() - 6.0
    }

    /// Load at a slot: a day with a low night and two peaks, half of it at weekends.
    fn load(&self, slot: f64) -> f64 {
        let day = (slot / 2_880.0).floor();
        let hour = (slot / 2_880.0 - day) * 24.0;
        let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
        let shape = 0.25 + 0.75 * bump(13.0, 4.0).max(0.8 * bump(20.0, 2.0));
        let week = day.rem_euclid(7.0);
        self.peak_rps * shape * if week < 5.0 { 1.0 } else { 0.5 }
    }

    /// One slot: units for the load that is forecast 10 minutes ahead (20 slots), with noise,
    /// at 1 an hour each.
    fn step(&mut self, spend_factor: f64) {
        let slot = f64::from(u32::try_from(self.spend.len()).unwrap());
        let forecast = self.load(slot).max(self.load(slot + 20.0)) * (1.0 + 0.05 * self.noise());
        let wanted = (forecast * 1.25 / self.rps_per_unit).ceil().max(1.0);
        // Tolerance of a tenth; down no faster than a tenth of what there is.
        if self.units < wanted || wanted < self.units * 0.9 {
            self.units = wanted.max((self.units * 0.9).floor());
        }
        // A count of requests in a slot has the noise of its root.
        let load = self.load(slot) * 30.0;
        let good = (load + load.sqrt() * self.noise()).max(0.0) / 30.0;
        self.spend.push(Some(self.units * spend_factor));
        self.good.push(Some(good));
    }

    fn verdict(&self, growth: f64) -> Verdict {
        let from = self.spend.len().saturating_sub(RING);
        let past = Past {
            spend_per_hour: &self.spend[from..],
            good_rps: &self.good[from..],
            expected_per_hour: None,
        };
        runaway(&past, growth)
    }
}

fn is_runaway(it: Verdict) -> bool {
    matches!(it, Verdict::Runaway { .. })
}

/// 40 days each of five sizes, with a deployment (twice the units for 5 minutes) and a restart
/// (no good request for 2 minutes) every day at any time.
#[test]
fn two_hundred_usual_days_have_no_runaway() {
    let mut n_days = 0;
    for (seed, peak_rps, rps_per_unit) in
        [(1, 5_000.0, 50.0), (2, 500.0, 50.0), (3, 100.0, 50.0), (4, 20.0, 2.0), (5, 0.05, 50.0)]
    {
        let mut fleet = Fleet::of(seed, peak_rps, rps_per_unit);
        for day in 0..40 {
            n_days += 1;
            let deployed = (fleet.chance() * 2_860.0).floor();
            let restarted = (fleet.chance() * 2_860.0).floor();
            for slot in 0..2_880_u32 {
                let since = f64::from(slot) - deployed;
                let is_deploying = (0.0..10.0).contains(&since);
                fleet.step(if is_deploying { 2.0 } else { 1.0 });
                let since = f64::from(slot) - restarted;
                if (0.0..4.0).contains(&since) {
                    *fleet.good.last_mut().unwrap() = Some(0.0);
                }
                // Every other slot; a runaway of two slots would be seen all the same.
                if slot % 4 == 0 || is_deploying {
                    let it = fleet.verdict(1.3);
                    assert!(!is_runaway(it), "seed {seed}, day {day}, slot {slot}: {it:?}");
                }
            }
        }
    }
    assert_eq!(n_days, 200);
}

/// Slots until a runaway that begins at every half hour of a Thursday is told of.
fn delays(factor: f64, growth: f64) -> Vec<Option<usize>> {
    let mut fleet = Fleet::of(9, 2_000.0, 50.0);
    for _ in 0..3 * PER_DAY {
        fleet.step(1.0);
    }
    let mut delays = Vec::new();
    for _ in 0..48 {
        for _ in 0..60 {
            fleet.step(1.0);
        }
        let (n, units) = (fleet.spend.len(), fleet.units);
        delays.push((1..=120).find(|_| {
            fleet.step(factor);
            is_runaway(fleet.verdict(growth))
        }));
        fleet.spend.truncate(n);
        fleet.good.truncate(n);
        fleet.units = units;
    }
    delays
}

/// Below the peak that was ever paid, and for what a deployment may do, patience is on purpose.
#[test]
fn a_runaway_is_told_of_soon() {
    for (factor, n_fast_min, n_told_min, worst) in
        [(2.0, 0, 46, 60), (3.0, 20, 46, 60), (5.0, 38, 48, 40), (10.0, 48, 48, 3)]
    {
        let delays = delays(factor, 1.3);
        let told: Vec<usize> = delays.iter().flatten().copied().collect();
        let n_fast = told.iter().filter(|it| **it <= 3).count();
        assert!(
            n_fast_min <= n_fast && n_told_min <= told.len() && told.iter().all(|it| *it <= worst),
            "x{factor}: {delays:?}"
        );
    }
}

/// A flat past of `n` slots, then `late` more.
fn flat(n: usize, late: &[(f64, Option<f64>)]) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let spend = std::iter::repeat_n(Some(10.0), n).chain(late.iter().map(|it| Some(it.0)));
    let good = std::iter::repeat_n(Some(100.0), n).chain(late.iter().map(|it| it.1));
    (spend.collect(), good.collect())
}

#[track_caller]
fn check(n: usize, late: &[(f64, Option<f64>)], expected: Option<f64>, verdict: &str) {
    let (spend, good) = flat(n, late);
    let past = Past { spend_per_hour: &spend, good_rps: &good, expected_per_hour: expected };
    let it = match runaway(&past, 1.5) {
        Verdict::Runaway { spend_growth, good_growth } => {
            format!("runaway {spend_growth:.1} {good_growth:.1}")
        }
        Verdict::Normal => "normal".to_owned(),
        Verdict::Unknown(why) => format!("{why:?}"),
    };
    assert_eq!(it, verdict);
}

#[test]
fn what_is_told_of_a_flat_past() {
    let (day, hour) = (PER_DAY + 20, 140);
    let grown = |n: usize, spend: f64, good: f64| vec![(spend, Some(good)); n];
    check(hour - 2, &[], None, "TooLittleHistory");
    check(day, &[], None, "normal");
    check(day, &grown(1, 30.0, 100.0), None, "normal");
    check(day, &grown(2, 30.0, 100.0), None, "runaway 3.0 1.0");
    check(hour, &grown(2, 30.0, 100.0), None, "runaway 3.0 1.0");
    // It is not the usual soon.
    check(day, &grown(300, 30.0, 100.0), None, "runaway 3.0 1.0");
    // Load that grows with it, and an outage that makes it grow.
    check(day, &grown(2, 30.0, 200.0), None, "normal");
    check(day, &grown(2, 30.0, 0.0), None, "runaway 3.0 0.0");
    // A deployment is waited for, and what the forecast's load would cost too.
    check(day, &grown(10, 20.0, 100.0), None, "normal");
    check(day, &grown(16, 20.0, 100.0), None, "runaway 2.0 1.0");
    check(hour, &grown(16, 20.0, 100.0), None, "normal");
    check(day, &grown(10, 30.0, 100.0), Some(30.0), "normal");
    check(day, &grown(40, 30.0, 100.0), Some(30.0), "runaway 3.0 1.0");
    // Without sight there is no verdict; without growth none is needed.
    check(day, &[(30.0, None); 2], None, "GoodNotObserved");
    check(day, &[(10.0, None); 20], None, "normal");
    let (mut spend, good) = flat(day, &grown(2, 30.0, 100.0));
    spend[day + 1] = None;
    let past = Past { spend_per_hour: &spend, good_rps: &good, expected_per_hour: None };
    assert_eq!(runaway(&past, 1.5), Verdict::Unknown(NoVerdict::SpendNotObserved));
    let few: Vec<Option<f64>> = vec![Some(0.01); day + 2];
    let (spend, _) = flat(day, &grown(2, 30.0, 0.0));
    let past = Past { spend_per_hour: &spend, good_rps: &few, expected_per_hour: None };
    assert_eq!(runaway(&past, 1.5), Verdict::Unknown(NoVerdict::TooFewGoodRequests));
}
