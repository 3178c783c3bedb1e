//! What a capacity scenario says, apart from the load.
//!
//! **In:** numbers of a scenario.
//! **Out:** [`Setup`], checked against a workload.
//! **Not here:** reading YAML ([`crate::scenario`]).

use crate::workload::Workload;

/// Numbers of a capacity scenario. [`Setup::default`] is the capacity benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The scenario's name, for the scorecard.
    pub scenario: String,
    /// The run's seed, for the scorecard: nothing here is left to chance.
    pub seed: u64,
    /// Percentile of the values that [`Setup::units_at_percentile`] carry, in `(0, 100]`.
    pub percentile: f64,
    /// Units that carry the load at [`Setup::percentile`], `> 0`.
    pub units_at_percentile: f64,
    /// Seconds between two looks of the controller, `>= 1`.
    pub evaluation_period: i64,
    /// Seconds from asking for a unit to it being ready, `>= 0`.
    pub boot: i64,
    /// Seconds at the start that are simulated but not scored, `>= 0`.
    pub history: i64,
    /// Fewest units, `>= 1`.
    pub units_min: u32,
    /// Most units.
    pub units_max: u32,
    /// Price of one unit, in US dollars per hour, `>= 0`.
    pub price_usd_per_hour: f64,
    /// Share of the time in which demand may be above ready capacity, in `(0, 0.5)`.
    pub under_time_ratio_max: f64,
    /// Longest time under demand without a break, in seconds; `None` for any.
    pub under_demand_max: Option<i64>,
    /// Whether [`super::Run::plan`] is wanted.
    pub keeps_plan: bool,
    /// Whether to keep [`crate::capacity::Run::timeline`].
    pub keeps_timeline: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            scenario: "capacity".to_owned(),
            seed: 1,
            percentile: 99.5,
            units_at_percentile: 40.0,
            evaluation_period: 15,
            boot: 300,
            history: 2 * 86_400,
            units_min: 1,
            units_max: 10_000,
            price_usd_per_hour: 0.1,
            under_time_ratio_max: 0.005,
            under_demand_max: None,
            keeps_plan: false,
            keeps_timeline: false,
        }
    }
}

/// A setup that cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SetupError {
    /// A number out of its limits.
    #[error("`{field}` is {value}, it must be {limits}")]
    Limits { field: &'static str, value: f64, limits: &'static str },
    /// The bounds are the wrong way round.
    #[error("`units.min` ({min}) is above `units.max` ({max})")]
    Bounds { min: u32, max: u32 },
    /// The percentile is 0, so no unit would ever be needed.
    #[error("{workload}: the {percentile}th percentile of the values is 0")]
    NoUnit { workload: String, percentile: f64 },
    /// Nothing is left to score.
    #[error("{workload}: the trace lasts {seconds} s, the history alone {history} s")]
    TooShort { workload: String, seconds: i64, history: i64 },
    /// A name of ours that the agent does not take, which does not happen.
    #[error("the agent refuses a name of the scenario")]
    Name(#[from] evenkeel_core::ids::NameError),
}

impl SetupError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            SetupError::Limits { .. } => "change it in the scenario",
            SetupError::Bounds { .. } => "swap the two",
            SetupError::NoUnit { .. } => {
                "raise `unit.percentile` in the scenario, or use a busier trace"
            }
            SetupError::TooShort { .. } => {
                "use a longer trace, or shorten `history` in the scenario"
            }
            SetupError::Name(_) => "this is a fault of the simulator: please report it",
        }
    }
}

/// Most units at all. Why 100,000: ten times the largest target anyone has shown us.
const UNITS_MAX: u32 = 100_000;

impl Setup {
    /// Checks every number, and says how much load one unit carries (`> 0`).
    ///
    /// # Errors
    ///
    /// The first number that is out of its limits, or a workload that does not fit.
    pub fn check(&self, workload: &Workload) -> Result<f64, SetupError> {
        self.check_numbers()?;
        let seconds = workload.ends_at() - workload.starts_at();
        if seconds <= self.history {
            let workload = workload.name().to_owned();
            return Err(SetupError::TooShort { workload, seconds, history: self.history });
        }
        let unit = workload.percentile(self.percentile) / self.units_at_percentile;
        if unit.is_finite() && 0.0 < unit {
            return Ok(unit);
        }
        let workload = workload.name().to_owned();
        Err(SetupError::NoUnit { workload, percentile: self.percentile })
    }

    /// Checks every number that does not depend on a workload.
    ///
    /// # Errors
    ///
    /// The first that is out of its limits.
    pub fn check_numbers(&self) -> Result<(), SetupError> {
        #[expect(clippy::cast_precision_loss, reason = "only shown, and small when right")]
        let float = |whole: i64| whole as f64;
        let checks = [
            ("unit.percentile", self.percentile, 0.000_001, 100.0, "above 0, at most 100"),
            ("unit.count", self.units_at_percentile, 0.001, 10_000.0, "0.001 to 10000"),
            ("evaluation_period", float(self.evaluation_period), 1.0, 3_600.0, "1s to 1h"),
            ("boot", float(self.boot), 0.0, 86_400.0, "0s to 1d"),
            ("history", float(self.history), 0.0, 400.0 * 86_400.0, "0s to 400d"),
            ("units.min", f64::from(self.units_min), 1.0, f64::from(UNITS_MAX), "1 to 100000"),
            ("units.max", f64::from(self.units_max), 1.0, f64::from(UNITS_MAX), "1 to 100000"),
            ("price_usd_per_hour", self.price_usd_per_hour, 0.0, 1e6, "0 to 1000000"),
            (
                "objective.time_ratio_max",
                self.under_time_ratio_max,
                1e-6,
                0.499_999,
                "above 0 and below 0.5",
            ),
        ];
        for (field, value, least, most, limits) in checks {
            if !(least <= value && value <= most) {
                return Err(SetupError::Limits { field, value, limits });
            }
        }
        if self.units_max < self.units_min {
            return Err(SetupError::Bounds { min: self.units_min, max: self.units_max });
        }
        Ok(())
    }

    /// The nearest number of units inside the bounds.
    pub(super) fn bounds_clamp(&self, units: u32) -> u32 {
        units.min(self.units_max).max(self.units_min)
    }

    /// Age in seconds from which a sample is no longer shown: one and a half of the trace's
    /// periods, so that a row that is a little late is no gap.
    pub(super) fn stale_after(&self, workload: &Workload) -> i64 {
        workload.period().saturating_mul(3).saturating_add(1) / 2
    }
}
