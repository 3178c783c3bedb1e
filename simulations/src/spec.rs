//! What a service of a made-up region is like.
//!
//! **In:** numbers written in code. **Out:** the demo's services, and checks of anybody's own.
//! **Not here:** how a service behaves over time (see [`crate::region`]), and scenario files
//! (not written yet).

use crate::load::LoadCurve;
use crate::queueing::Station;

/// How a service takes its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServiceKind {
    /// Somebody waits for every answer: a request that would wait longer than `timeout_seconds`
    /// is not served.
    Web {
        /// Longest wait; also the most that latency shows. Above 0.
        timeout_seconds: f64,
    },
    /// Work waits in a queue until a unit takes it; nothing is lost below `queue_max`.
    Worker {
        /// Messages the queue holds; more are refused. Above 0.
        queue_max: f64,
    },
}

/// One service: its load, its units of capacity, its objective and its price.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name; unique in the region. Every stream of chance of the service is named after it.
    pub name: String,
    /// How it takes its work.
    pub kind: ServiceKind,
    /// How much arrives when.
    pub load: LoadCurve,
    /// Requests (or messages) per second at which one unit is saturated; above 0. A policy should
    /// plan for 60 to 75 % of it, since latency climbs steeply beyond.
    pub unit_rps: f64,
    /// Requests one unit serves at the same time, `1 ..= 64`.
    pub unit_parallel: u32,
    /// Time in seconds that 95 % of requests take when none of them waits; above 0.
    pub service_p95_seconds: f64,
    /// A request is good when it is answered within this many seconds; above
    /// `service_p95_seconds`.
    pub objective_seconds: f64,
    /// Price of one unit, ready or not, for an hour; `>= 0`.
    pub unit_usd_per_hour: f64,
    /// Load per ready unit when the region starts, as a fraction of `unit_rps`: above 0, to 1.
    pub initial_utilisation: f64,
}

/// Why there can be no region of these services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Two services of one name.
    #[error("service `{service}` is there twice; give each a name of its own")]
    Duplicate {
        /// The name.
        service: String,
    },
    /// A number outside its range.
    #[error("service `{service}`: {field} is `{value}`; it must be {allowed}")]
    OutOfRange {
        /// The service.
        service: String,
        /// The field, as in [`ServiceSpec`].
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// A script names a service that is not there.
    #[error("the script names service `{service}`, which is not in the region; add it or rename")]
    UnknownService {
        /// The name.
        service: String,
    },
}

impl ServiceSpec {
    /// The metric that shows its load, in requests or messages per second.
    pub fn load_metric(&self) -> &'static str {
        match self.kind {
            ServiceKind::Web { .. } => "http_requests_per_second",
            ServiceKind::Worker { .. } => "queue_arrivals_per_second",
        }
    }

    /// The servers that `ready` units make.
    pub(crate) fn station(&self, ready: u32) -> Station {
        Station {
            servers: ready.saturating_mul(self.unit_parallel),
            server_rps: self.unit_rps / f64::from(self.unit_parallel),
        }
    }

    /// The most that latency shows, in seconds.
    pub(crate) fn latency_max_seconds(&self) -> f64 {
        /// Why an hour: beyond it a dashboard says "stuck", not a number.
        const WORKER_LATENCY_MAX_SECONDS: f64 = 3_600.0;
        match self.kind {
            ServiceKind::Web { timeout_seconds } => timeout_seconds,
            ServiceKind::Worker { .. } => WORKER_LATENCY_MAX_SECONDS,
        }
    }

    /// Checks every number against the range its field names.
    ///
    /// # Errors
    ///
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        let above_0 = |value: f64| value.is_finite() && 0.0 < value;
        let not_negative = |value: f64| value.is_finite() && 0.0 <= value;
        let LoadCurve { trough_rps, peak_rps, peak_hour, weekend_ratio, noise_ratio } = self.load;
        let (wait, waiting) = match self.kind {
            ServiceKind::Web { timeout_seconds } => ("timeout_seconds", timeout_seconds),
            ServiceKind::Worker { queue_max } => ("queue_max", queue_max),
        };
        let parallel = f64::from(self.unit_parallel);
        let fields = [
            ("load.trough_rps", trough_rps, not_negative(trough_rps), "finite and >= 0"),
            (
                "load.peak_rps",
                peak_rps,
                peak_rps.is_finite() && trough_rps <= peak_rps,
                "finite and >= load.trough_rps",
            ),
            ("load.peak_hour", peak_hour, (0.0..24.0).contains(&peak_hour), "in 0..24"),
            ("load.weekend_ratio", weekend_ratio, not_negative(weekend_ratio), "finite and >= 0"),
            ("load.noise_ratio", noise_ratio, (0.0..=1.0).contains(&noise_ratio), "in 0..=1"),
            (wait, waiting, above_0(waiting), "finite and above 0"),
            ("unit_rps", self.unit_rps, above_0(self.unit_rps), "finite and above 0"),
            ("unit_parallel", parallel, (1.0..=64.0).contains(&parallel), "in 1..=64"),
            (
                "service_p95_seconds",
                self.service_p95_seconds,
                above_0(self.service_p95_seconds),
                "finite and above 0",
            ),
            (
                "objective_seconds",
                self.objective_seconds,
                self.objective_seconds.is_finite()
                    && self.service_p95_seconds < self.objective_seconds,
                "finite and above service_p95_seconds",
            ),
            (
                "unit_usd_per_hour",
                self.unit_usd_per_hour,
                not_negative(self.unit_usd_per_hour),
                "finite and >= 0",
            ),
            (
                "initial_utilisation",
                self.initial_utilisation,
                above_0(self.initial_utilisation) && self.initial_utilisation <= 1.0,
                "above 0, at most 1",
            ),
        ];
        match fields.into_iter().find(|(.., is_right, _)| !is_right) {
            None => Ok(()),
            Some((field, value, _, allowed)) => Err(SpecError::OutOfRange {
                service: self.name.clone(),
                field,
                value: value.to_string(),
                allowed,
            }),
        }
    }
}

/// The demo's services: four that answer people and one that works off a queue.
///
/// The numbers are made up to be of the size of a middling shop: units are four-core machines
/// or containers at on-demand prices, peaks differ by hour so that not everything scales at
/// once, and the weekend is busy for some and quiet for others.
pub fn demo_services() -> Vec<ServiceSpec> {
    let web = |name: &str, load, (unit_rps, unit_parallel), (p95, objective), price| ServiceSpec {
        name: name.to_owned(),
        kind: ServiceKind::Web { timeout_seconds: 10.0 },
        load,
        unit_rps,
        unit_parallel,
        service_p95_seconds: p95,
        objective_seconds: objective,
        unit_usd_per_hour: price,
        initial_utilisation: 0.65,
    };
    let load = |trough_rps, peak_rps, peak_hour, weekend_ratio, noise_ratio| LoadCurve {
        trough_rps,
        peak_rps,
        peak_hour,
        weekend_ratio,
        noise_ratio,
    };
    vec![
        web(
            "checkout-api",
            load(250.0, 1_400.0, 18.0, 0.85, 0.12),
            (50.0, 4),
            (0.080, 0.300),
            0.17,
        ),
        web("search-api", load(400.0, 2_400.0, 15.0, 0.9, 0.10), (80.0, 8), (0.120, 0.400), 0.34),
        web(
            "catalog-web",
            load(600.0, 3_600.0, 20.0, 1.15, 0.10),
            (120.0, 6),
            (0.050, 0.250),
            0.10,
        ),
        ServiceSpec {
            kind: ServiceKind::Worker { queue_max: 1_000_000.0 },
            ..web(
                "image-resizer",
                load(20.0, 180.0, 13.0, 1.2, 0.25),
                (12.0, 2),
                (0.400, 60.0),
                0.085,
            )
        },
        web("payments-api", load(40.0, 260.0, 17.0, 0.7, 0.12), (30.0, 4), (0.250, 0.800), 0.21),
    ]
}
