//! `spec:` of an `SLI`, and `indicator:` of an `SLO`.
//!
//! **In:** the mapping as written.
//! **Out:** an [`Sli`], its sources not yet looked up.
//! **Not here:** data sources of other documents ([`crate::documents::load`]), with what a
//! threshold is compared ([`super::slo`]).

use serde_json::{Value as Json, json};

use super::inline::Inlined;
use super::scalar::{Description, RawType};
use super::{Fields, Kind, fields};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Position};
use crate::documents::raw::scalar::{Name, ShortText};
use crate::documents::raw::{Place, Read};
use crate::ids::SloId;

fields! {
    /// What is measured: exactly one of `ratioMetric` and `thresholdMetric`.
    struct RawSli {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
        /// A number that each objective compares with its `value`.
        optional threshold_metric = "thresholdMetric": RawMetric,
        /// Good or bad events among all.
        optional ratio_metric = "ratioMetric": RawRatio,
    }
}

impl Inlined for RawSli {
    const KIND: Kind = Kind::Sli;
    const REF: &'static str = "indicatorRef";
}

fields! {
    /// A query.
    struct RawMetric {
        /// Where it is asked, and what.
        required metric_source = "metricSource": RawMetricSource,
    }
}

fields! {
    /// Where something is asked, and what.
    struct RawMetricSource {
        /// Name of a `DataSource`, which then says the type.
        optional metric_source_ref = "metricSourceRef": Name<SloId>,
        /// `Prometheus` is read; others are only noted.
        optional source_type = "type": ShortText,
        /// For Prometheus: `query`, in PromQL. Others are free in what they have here.
        required spec: SourceSpec,
    }
}

fields! {
    /// `good` and `total`, `bad` and `total`, or `raw` and `rawType`.
    struct RawRatio {
        /// Whether the queries give counters that only ever grow.
        defaulted(json!(false)) counter: bool,
        /// How many were good.
        optional good: RawMetric,
        /// How many were bad.
        optional bad: RawMetric,
        /// How many there were.
        optional total: RawMetric,
        /// Whether `raw` is a share of good or of bad ones.
        optional raw_type = "rawType": RawType,
        /// A share that was computed before.
        optional raw: RawMetric,
    }
}

/// Whatever a source needs. Only `query` is kept: the rest may hold secrets.
pub(in crate::documents) struct SourceSpec {
    pub(in crate::documents) query: Option<Node>,
    /// The names of all its fields, to find a slip.
    pub(in crate::documents) fields: Vec<String>,
}

impl Read for SourceSpec {
    fn schema() -> Json {
        json!({"type": "object"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<SourceSpec> {
        // Nothing in it is unknown.
        Fields::open(node, place, &[], &mut Faults::default())
            .map(|fields| SourceSpec {
                query: fields.entry("query").map(|it| it.node.clone()),
                fields: fields.entries.iter().map(|it| it.key.value.clone()).collect(),
            })
            .or_else(|| {
                super::wrong_type(node, place, "a mapping (`field: value` lines)", faults);
                None
            })
    }
}

/// A query whose source may be described elsewhere.
pub(in crate::documents) struct MetricDraft {
    pub(in crate::documents) at: Position,
    pub(in crate::documents) source: Option<At<String>>,
    pub(in crate::documents) source_type: Option<At<String>>,
    pub(in crate::documents) spec: At<SourceSpec>,
}

/// What is measured, by queries of type `Q`. With what a threshold is compared is up to
/// the objective.
#[derive(Clone)]
pub(in crate::documents) enum Sli<Q> {
    GoodOfTotal { good: Q, total: Q, is_counter: bool },
    BadOfTotal { bad: Q, total: Q, is_counter: bool },
    Raw { ratio: Q, is_success: bool },
    Threshold { metric: Q },
}

impl<Q> Sli<Q> {
    /// The same with other queries; `None` when any is.
    pub(in crate::documents) fn try_map<R>(
        &self,
        mut map: impl FnMut(&Q) -> Option<R>,
    ) -> Option<Sli<R>> {
        // Both are looked at before the first `?`, so that every fault is found.
        Some(match self {
            Sli::GoodOfTotal { good, total, is_counter } => {
                let (good, total) = (map(good), map(total));
                Sli::GoodOfTotal { good: good?, total: total?, is_counter: *is_counter }
            }
            Sli::BadOfTotal { bad, total, is_counter } => {
                let (bad, total) = (map(bad), map(total));
                Sli::BadOfTotal { bad: bad?, total: total?, is_counter: *is_counter }
            }
            Sli::Raw { ratio, is_success } => {
                Sli::Raw { ratio: map(ratio)?, is_success: *is_success }
            }
            Sli::Threshold { metric } => Sli::Threshold { metric: map(metric)? },
        })
    }
}

impl RawSli {
    /// `at` is where the whole is.
    pub(in crate::documents) fn checked(
        self,
        at: Position,
        faults: &mut Faults,
    ) -> Option<Sli<MetricDraft>> {
        match (self.threshold_metric, self.ratio_metric) {
            (Some(metric), None) => Some(Sli::Threshold { metric: metric.value.draft(metric.at) }),
            (None, Some(ratio)) => ratio.value.checked(ratio.at, faults),
            (Some(_), Some(ratio)) => {
                let message = "an indicator has both `thresholdMetric` and `ratioMetric`";
                faults.error(ratio.at, message, "keep one of the two");
                None
            }
            (None, None) if faults.has_slip(at) => None,
            (None, None) => {
                let message = "an indicator has neither `ratioMetric` nor `thresholdMetric`";
                faults.error(at, message, "add one of the two");
                None
            }
        }
    }
}

impl RawMetric {
    fn draft(self, at: Position) -> MetricDraft {
        let RawMetricSource { metric_source_ref, source_type, spec } = self.metric_source.value;
        MetricDraft {
            at,
            source: metric_source_ref
                .map(|it| At { value: it.value.0.as_str().to_owned(), at: it.at }),
            source_type: source_type.map(|it| At { value: it.value.0, at: it.at }),
            spec,
        }
    }
}

impl RawRatio {
    fn checked(self, at: Position, faults: &mut Faults) -> Option<Sli<MetricDraft>> {
        let RawRatio { counter, good, bad, total, raw_type, raw } = self;
        let hint = "write `good` and `total`, or `bad` and `total`, or `raw` and `rawType`";
        let has_slip = faults.has_slip(at);
        let mut refuse = |at, message: &str, hint: &str| {
            faults.error(at, message, hint);
            None
        };
        let draft = |it: At<RawMetric>| it.value.draft(it.at);
        let is_counter = counter.value;
        if let Some(raw) = raw {
            let other = [("good", &good), ("bad", &bad), ("total", &total)];
            let other = other.into_iter().find_map(|(name, it)| Some((name, it.as_ref()?.at)));
            return match (other, raw_type) {
                (Some((name, at)), _) => {
                    refuse(at, &format!("`ratioMetric` has both `raw` and `{name}`"), hint)
                }
                (None, None) => refuse(
                    raw.at,
                    "`raw` does not say what it is a share of",
                    "add `rawType: success` (good / total) or `rawType: failure` (bad / total)",
                ),
                (None, Some(raw_type)) => {
                    let is_success = matches!(raw_type.value, RawType::Success);
                    Some(Sli::Raw { ratio: draft(raw), is_success })
                }
            };
        }
        if let Some(raw_type) = raw_type {
            let hint = "remove it; `good` or `bad` says it already";
            return refuse(raw_type.at, "`rawType` belongs to `raw`, which is not there", hint);
        }
        match (good, bad, total) {
            (None, _, None) | (_, None, None) | (None, None, _) if has_slip => None,
            (Some(_), Some(bad), _) => {
                let hint = "keep one of the two; the other follows from `total`";
                refuse(bad.at, "`ratioMetric` has both `good` and `bad`", hint)
            }
            (Some(good), None, Some(total)) => {
                Some(Sli::GoodOfTotal { good: draft(good), total: draft(total), is_counter })
            }
            (None, Some(bad), Some(total)) => {
                Some(Sli::BadOfTotal { bad: draft(bad), total: draft(total), is_counter })
            }
            (Some(_), None, None) | (None, Some(_), None) => {
                refuse(at, "`ratioMetric` has no `total`", "add `total:` beside it")
            }
            (None, None, Some(_)) => {
                refuse(at, "`ratioMetric` has neither `good` nor `bad`", "add one of the two")
            }
            (None, None, None) => refuse(at, "`ratioMetric` has no query", hint),
        }
    }
}
