//! What must come of a scenario, and what must never happen in it.
//!
//! **In:** lines of a scenario. **Out:** [`Must`] and [`MustNot`], which the run checks.
//! **Not here:** the invariants that hold in every run ([`crate::run`]), checking.

/// What must come of it. Unmet: `simulate` ends with 11.
#[derive(Clone, Debug, PartialEq)]
pub enum Must {
    /// So many seconds after the last fault has ended at the latest, every service is good, no
    /// queue holds more than a few seconds of work, and it stays so until the end.
    RecoverWithin { seconds: i64 },
    /// Between two instants at least this share of first tries is good.
    GoodRatio { service: usize, min: f64, span: Span },
    /// Between two instants never fewer units are ready.
    ReadyAtLeast { service: usize, units: u32, span: Span },
    /// Cost is at most so many times the oracle's.
    CostRatioAtMost { ratio: f64 },
    /// Somebody is paged at most so many seconds after the first fault began.
    PageWithin { seconds: i64 },
    /// The agent opens an incident at most so many seconds after the first bad second of the first
    /// fault; or at all, where no second was bad.
    DetectedWithin { seconds: i64 },
    /// A run of that playbook ends well: verified.
    HealedByPlaybook { name: String },
    /// From so many seconds after the first fault began until the last has ended, nobody asks for
    /// more units of the service than were asked for before; and what units beyond those of the
    /// first fault's beginning cost until then is at most this share of a budget's amount.
    ContainedWithin { service: usize, seconds: i64, budget: String, spent_ratio_max: f64 },
    /// Between two instants at least this share of one tenant's first tries is good.
    TenantGoodRatio { service: usize, tenant: usize, min: f64, span: Span },
    /// An alert of that SLO pages somebody at most so many seconds after the first fault began.
    SloPageWithin { slo: String, seconds: i64 },
}

/// What must never happen. It happens: `simulate` ends with 10.
#[derive(Clone, Debug, PartialEq)]
pub enum MustNot {
    /// The controller asks for fewer units than there are.
    Remove { service: usize, span: Span },
    /// The controller changes anything about the service.
    Change { service: usize, span: Span },
    /// The controller asks for more units than this.
    Exceed { service: usize, units: u32, span: Span },
    /// The controller changes the service's units more often than this.
    ChangeOftenerThan { service: usize, times: u32, span: Span },
    /// The controller takes away (removes, restarts, kills, drains) more than this share of a
    /// service's units within ten minutes.
    TakeAwayMoreThan { service: usize, ratio: f64 },
    /// A promotion loses writes.
    LoseWrites { service: usize },
    /// The controller changes units that a person has set by hand or overridden, while that is
    /// in force.
    OverruleAPerson,
    /// The agent opens an incident.
    Incidents,
    /// A budget has any effect on the service: growth that is refused, a limit of a tenant.
    Touch { service: usize },
    /// An alert of that SLO begins to fire between two instants.
    SloAlerts { slo: String, span: Span },
}

/// Seconds since the scored part began: `from <= t < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First second.
    pub from: i64,
    /// First second after it.
    pub until: i64,
}

impl Span {
    /// Whether `second` is in it.
    pub fn has(self, second: i64) -> bool {
        self.from <= second && second < self.until
    }
}
