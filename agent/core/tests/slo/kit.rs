//! SLOs and chance for the tests.
//!
//! **In:** a few numbers.
//! **Out:** checked SLOs, and random numbers that a seed fixes.
//! **Not here:** assertions.

use evenkeel_core::documents::{
    AlertPolicy, Budgeting, Indicator, MetricQuery, Objective, Slice, Slo,
};
use evenkeel_core::ids::{ServiceName, SloId};
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{Counts, SLOT, SliReading, SlotReading};
use jiff::{SignedDuration, Timestamp};

/// A query.
pub(crate) fn promql(query: &str) -> MetricQuery {
    MetricQuery::PromQl(query.to_owned())
}

/// Counters of good and all events.
pub(crate) fn good_of_total() -> Indicator {
    let (good, total) = (promql("good_total"), promql("requests_total"));
    Indicator::GoodOfTotal { good, total, is_counter: true }
}

/// Counters of bad and all events.
pub(crate) fn bad_of_total() -> Indicator {
    let (bad, total) = (promql("bad_total"), promql("requests_total"));
    Indicator::BadOfTotal { bad, total, is_counter: true }
}

/// An objective of single events.
pub(crate) fn objective(name: &str, target: f64, indicator: Indicator) -> Objective {
    Objective { name: name.to_owned(), target, indicator, slice: None, weight: 1.0 }
}

/// An SLO over 30 days with the policies of the workbook.
pub(crate) fn slo(name: &str, objectives: Vec<Objective>) -> Slo {
    let strictest = objectives.iter().map(Objective::error_budget).fold(1.0, f64::min);
    Slo {
        id: SloId::new(name).unwrap(),
        display_name: name.to_owned(),
        service: ServiceName::new("checkout").unwrap(),
        window: Window::Rolling(SignedDuration::from_hours(30 * 24)),
        budgeting: Budgeting::Occurrences,
        is_composite: 1 < objectives.len(),
        objectives,
        alert_policies: AlertPolicy::workbook(strictest),
        is_critical: false,
    }
}

/// The same SLO counted in slices of time.
pub(crate) fn sliced(slo: Slo, budgeting: Budgeting, minutes: i64, good_ratio_min: f64) -> Slo {
    let good_ratio_min = (budgeting == Budgeting::Timeslices).then_some(good_ratio_min);
    let slice = Slice { width: SignedDuration::from_mins(minutes), good_ratio_min };
    let objectives =
        slo.objectives.into_iter().map(|it| Objective { slice: Some(slice), ..it }).collect();
    Slo { budgeting, objectives, ..slo }
}

/// When slot `k` of a test ends. The 0th ends at a midnight.
pub(crate) fn at(k: usize) -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap() + SLOT * i32::try_from(k).unwrap()
}

/// One slot of the first objective.
pub(crate) fn reading(slo: &Slo, k: usize, counts: Option<(f64, f64)>) -> SliReading {
    let counts = counts.map(|(bad, total)| Counts { bad, total });
    SliReading {
        slo: slo.id.clone(),
        objective: 0,
        step: SLOT,
        slots: vec![SlotReading { at: at(k), counts, carried: None }],
    }
}

/// Random numbers: splitmix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(crate) fn ratio(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        self.ratio() < chance
    }

    /// In `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    /// Poisson; by products for small means, by its normal limit for large ones.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        if 30.0 < mean {
            let normal: f64 = (0..12).map(|_| self.ratio()).sum::<f64>() - 6.0;
            return (mean + mean.sqrt() * normal).round().max(0.0) as u32;
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.ratio(), 0);
        while limit < product {
            product *= self.ratio();
            n += 1;
        }
        n
    }
}
