//! `SLO` (OpenSLO v1): how good a service must be, and who hears of it when it is not.
//!
//! **In:** checked documents of kinds `SLO`, `SLI`, `AlertPolicy`, `AlertCondition`,
//! `DataSource`, `Service`, with every reference resolved.
//! **Out:** windows, objectives, indicators, and alert policies of one SLO.
//! **Not here:** counting ([`crate::slo`]), what a spent budget leads to
//! ([`crate::documents::Budget`]).

use jiff::SignedDuration;

use crate::ids::{ServiceName, SloId};
use crate::incident::Severity;
use crate::slo::window::Window;

/// An SLO that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// Its name, unique among all SLOs.
    pub id: SloId,
    /// What people call it; its name where it has no display name.
    pub display_name: String,
    /// The service it is about. Its targets are those of that service.
    pub service: ServiceName,
    /// Over which time its budget is given.
    pub window: Window,
    /// What is counted.
    pub budgeting: Budgeting,
    /// At least one.
    pub objectives: Vec<Objective>,
    /// Whether each objective has an indicator of its own, and together they are one
    /// journey whose budget burns when any of theirs does.
    pub is_composite: bool,
    /// Who hears of it. [`AlertPolicy::workbook`] where the document has none.
    pub alert_policies: Vec<AlertPolicy>,
    /// Whether its service is never stopped or starved to save money (annotation
    /// `evenkeel.io/critical: "true"`).
    pub is_critical: bool,
}

/// What an error budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budgeting {
    /// Events: good ones among all.
    Occurrences,
    /// Slices of time: one is good when enough of its events were.
    Timeslices,
    /// Slices of time: the mean of their shares of good events.
    RatioTimeslices,
}

/// One level that must be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What people call it; unique within its SLO.
    pub name: String,
    /// The share that must be good, in `(0, 1)`.
    pub target: f64,
    /// What is measured.
    pub indicator: Indicator,
    /// The slices of `Timeslices` and `RatioTimeslices`; `None` for `Occurrences`.
    pub slice: Option<Slice>,
    /// How much it weighs in a composite; above 0.
    pub weight: f64,
}

impl Objective {
    /// `1 - target`: the share that may be bad, in `(0, 1)`.
    pub fn error_budget(&self) -> f64 {
        1.0 - self.target
    }
}

/// How time is sliced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// How long one is: whole multiples of [`crate::slo::SLOT`], from midnight UTC.
    pub width: SignedDuration,
    /// For `Timeslices`: the least share of good events of a good one, in `(0, 1]`.
    pub good_ratio_min: Option<f64>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Indicator {
    /// Good events among all.
    GoodOfTotal { good: MetricQuery, total: MetricQuery, is_counter: bool },
    /// Bad events among all.
    BadOfTotal { bad: MetricQuery, total: MetricQuery, is_counter: bool },
    /// A share that was computed elsewhere: one sample is one event that is good (or, where
    /// it is a share of failures, bad) by that much.
    Raw { ratio: MetricQuery, is_success: bool },
    /// A number that is compared: one sample is one event.
    Threshold { metric: MetricQuery, op: Comparison, value: f64 },
}

impl Indicator {
    /// Its queries: the one for good, bad, ratio or metric first, then that for all.
    pub fn queries(&self) -> Vec<&MetricQuery> {
        match self {
            Indicator::GoodOfTotal { good: part, total, .. }
            | Indicator::BadOfTotal { bad: part, total, .. } => vec![part, total],
            Indicator::Raw { ratio: one, .. } | Indicator::Threshold { metric: one, .. } => {
                vec![one]
            }
        }
    }

    /// Why it cannot be measured here; `None` when it can.
    pub fn unread(&self) -> Option<&str> {
        self.queries().into_iter().find_map(|it| match it {
            MetricQuery::PromQl(_) => None,
            MetricQuery::Unread { source_type } => Some(source_type.as_str()),
        })
    }
}

/// A query of an indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricQuery {
    /// For Prometheus. Of a counter it gives the counters themselves, one per series, and
    /// what each counted is added up; of anything else, one number.
    PromQl(String),
    /// For a source that Evenkeel does not read: such an SLO has no data, and says so.
    Unread { source_type: String },
}

/// How two numbers are compared. The first is the measured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// At most.
    Lte,
    /// At least.
    Gte,
    /// Below.
    Lt,
    /// Above.
    Gt,
}

impl Comparison {
    /// Whether `measured` is so compared to `limit`.
    pub fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Comparison::Lte => measured <= limit,
            Comparison::Gte => limit <= measured,
            Comparison::Lt => measured < limit,
            Comparison::Gt => limit < measured,
        }
    }

    /// As PromQL writes it.
    pub fn promql(self) -> &'static str {
        match self {
            Comparison::Lte => "<=",
            Comparison::Gte => ">=",
            Comparison::Lt => "<",
            Comparison::Gt => ">",
        }
    }
}

/// When somebody is told of a burn rate. Its conditions must all hold: a long window says
/// that it matters, a short one that it still goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPolicy {
    /// Its name; unique within its SLO.
    pub name: String,
    /// How urgent: `page` for `page`, `critical`, `sev1` and the like, else `ticket`.
    pub severity: Severity,
    /// At least one; all must hold.
    pub conditions: Vec<BurnCondition>,
    /// Whether to tell when it begins.
    pub when_breaching: bool,
    /// Whether to tell when it is over.
    pub when_resolved: bool,
    /// Whether to tell when there is no data.
    pub when_no_data: bool,
    /// Names of notification targets, for labels of exported alerts.
    pub notification_targets: Vec<String>,
}

/// One window and what its burn rate must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnCondition {
    /// The window that ends now: whole multiples of [`crate::slo::SLOT`].
    pub lookback: SignedDuration,
    /// How the burn rate is compared with `threshold`.
    pub op: Comparison,
    /// Dimensionless; 1.0 spends exactly the budget over the window of the SLO.
    pub threshold: f64,
    /// For how long it must hold without a gap.
    pub alert_after: SignedDuration,
}

impl AlertPolicy {
    /// The four pairs of the SRE workbook, and one for an outage.
    ///
    /// Source: Beyer et al., *The Site Reliability Workbook* (2018), ch. 5, for 30 days:
    /// 2 % of the budget in an hour, 5 % in six, 10 % in a day and in three. The factors
    /// are the same for other windows: they are about how long one has left.
    ///
    /// `outage` is our own: with an objective of 99 % the first pair waits nine minutes of a
    /// full outage. A fifth of all requests failing for five minutes and still failing is
    /// told at once.
    pub fn workbook(error_budget: f64) -> Vec<AlertPolicy> {
        let pair = |name: &str, severity, factor: f64, long: i64, short: i64| AlertPolicy {
            name: name.to_owned(),
            severity,
            conditions: [long, short]
                .map(|minutes| BurnCondition {
                    lookback: SignedDuration::from_mins(minutes),
                    op: Comparison::Gt,
                    threshold: factor,
                    alert_after: SignedDuration::ZERO,
                })
                .to_vec(),
            when_breaching: true,
            when_resolved: false,
            when_no_data: false,
            notification_targets: Vec::new(),
        };
        // An objective so low that the factor cannot be reached is told of by `outage` alone.
        let factors = [
            ("fast-burn", Severity::Page, 14.4, 60, 5),
            ("slow-burn", Severity::Page, 6.0, 360, 30),
            ("day-burn", Severity::Ticket, 3.0, 1_440, 120),
            ("three-day-burn", Severity::Ticket, 1.0, 4_320, 360),
        ];
        let reachable =
            factors.into_iter().filter(|(_, _, factor, ..)| factor * error_budget < 1.0);
        // Whole hundredths, which people can read; `1 - target` has more digits than it means.
        let outage = ((OUTAGE_RATIO / error_budget * 100.0).round() / 100.0).max(1.0);
        let mut policies: Vec<AlertPolicy> = reachable
            .map(|(name, severity, factor, long, short)| pair(name, severity, factor, long, short))
            .chain([pair("outage", Severity::Page, outage, 5, 1)].into_iter().filter(|_| {
                // What burns faster than the first pair asks for is told of by that anyway.
                outage * error_budget < 1.0
            }))
            .collect();
        // One of them tells of missing data: five minutes without any, or what is shortest.
        if let Some(first) = policies.first_mut() {
            first.when_no_data = true;
        }
        policies
    }
}

/// The share of failing requests that is an outage. Why a fifth: 60 seconds of five minutes
/// of full outage, so that it is told within two minutes of slots, scrapes and all.
const OUTAGE_RATIO: f64 = 0.2;
