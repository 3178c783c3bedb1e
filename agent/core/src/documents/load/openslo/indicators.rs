//! What the objectives of an SLO measure.
//!
//! **In:** indicators of SLOs, documents of kinds `SLI` and `DataSource`.
//! **Out:** [`Objective`]s, and a warning where nothing can be measured.
//! **Not here:** asking anything ([`crate::slo`] counts what others read).

use std::collections::BTreeMap;

use super::{Index, OpenSlo, Placed};
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Position, Value};
use crate::documents::raw::nearest;
use crate::documents::raw::openslo::Kind;
use crate::documents::raw::openslo::sli::{MetricDraft, Sli};
use crate::documents::raw::openslo::slo::{ObjectiveDraft, SliRef, SloDraft};
use crate::documents::{Indicator, MetricQuery, Objective, promql};

/// The only type of source that is read, in any case.
const PROMETHEUS: &str = "prometheus";

/// An indicator whose sources are known.
#[derive(Clone)]
struct Measured {
    sli: Sli<MetricQuery>,
    /// Its file, and the first query that is not read with its type.
    unread: Option<(usize, At<String>)>,
}

/// Everything that SLOs can measure.
pub(super) struct Indicators<'a> {
    slis: Index<'a, Sli<MetricDraft>>,
    /// The good ones of `slis`.
    measured: BTreeMap<&'a str, Measured>,
    data_sources: Index<'a, String>,
}

impl<'a> Indicators<'a> {
    /// Checks all documents of kind `SLI`, whether an SLO names them or not.
    pub(super) fn new(all: &'a OpenSlo, all_read: bool, faults: &mut Faults) -> Indicators<'a> {
        let slis = Index::new(Kind::Sli, &all.slis, all_read);
        let data_sources = Index::new(Kind::DataSource, &all.data_sources, all_read);
        let mut it = Indicators { slis, measured: BTreeMap::new(), data_sources };
        for Placed { source, value, .. } in &all.slis {
            faults.source = *source;
            faults.about = format!("{} `{}`", Kind::Sli.name(), value.name);
            if let Some(measured) = it.measured(&value.value, faults) {
                it.measured.insert(&value.name, measured);
            }
        }
        faults.about.clear();
        it
    }

    /// All objectives of an SLO; `None` after a fault, here or in what it names.
    pub(super) fn objectives(
        &self,
        draft: &SloDraft,
        faults: &mut Faults,
    ) -> Option<Vec<Objective>> {
        let top = match &draft.indicator {
            Some(it) => Some(self.resolved(it, faults)?),
            None => None,
        };
        let objectives: Vec<Option<Objective>> = draft
            .objectives
            .iter()
            .map(|it| {
                let own = it.indicator.as_ref().map(|own| self.resolved(own, faults));
                let measured = match own {
                    Some(own) => own?,
                    None => top.clone()?,
                };
                objective(it, measured.sli, faults)
            })
            .collect();
        if let (Some(Measured { sli: Sli::Threshold { .. }, .. }), [_, second, ..]) =
            (&top, draft.objectives.as_slice())
        {
            let n = draft.objectives.len();
            let message = format!("a `thresholdMetric` has {n} objectives, it must have 1");
            let hint = "make an SLO of each, or a composite in which each has its own indicator";
            faults.error(second.at, message, hint);
            return None;
        }
        objectives.into_iter().collect()
    }

    fn resolved(&self, indicator: &SliRef, faults: &mut Faults) -> Option<Measured> {
        let measured = match indicator {
            SliRef::Ref(name) => {
                self.slis.find(name, faults)?;
                self.measured.get(name.value.as_str())?.clone()
            }
            SliRef::Inline(sli) => self.measured(sli, faults)?,
        };
        if let Some((source, At { value: source_type, at })) = &measured.unread {
            let source = std::mem::replace(&mut faults.source, *source);
            let message = format!(
                "is not measured: metric sources of type {} are not read; this SLO will have no \
                 data",
                quoted(source_type)
            );
            faults.warning(*at, message, "use a source of type `Prometheus`");
            faults.source = source;
        }
        Some(measured)
    }

    fn measured(&self, sli: &Sli<MetricDraft>, faults: &mut Faults) -> Option<Measured> {
        let mut unread = None;
        let source = faults.source;
        let sli = sli.try_map(|it| {
            let (query, type_at) = self.query(it, faults)?;
            if let MetricQuery::Unread { source_type } = &query {
                let first = At { value: source_type.clone(), at: type_at };
                unread.get_or_insert((source, first));
            }
            Some(query)
        })?;
        Some(Measured { sli, unread })
    }

    /// The query, and where it says of which type it is.
    fn query(&self, draft: &MetricDraft, faults: &mut Faults) -> Option<(MetricQuery, Position)> {
        let described = match &draft.source {
            Some(name) => Some((self.data_sources.find(name, faults)?, name.at)),
            None => None,
        };
        let source_type = match (described, &draft.source_type) {
            (Some((source, at)), None) => At { value: source.value.value.clone(), at },
            (None, Some(written)) => written.clone(),
            (Some((source, _)), Some(written)) => {
                let (name, described) = (&source.value.name, &source.value.value);
                if !written.value.eq_ignore_ascii_case(described) {
                    let message = format!(
                        "the metric source has type {}, its DataSource `{name}` has {}",
                        quoted(&written.value),
                        quoted(described)
                    );
                    faults.error(written.at, message, "remove `type` here, or correct it");
                    return None;
                }
                written.clone()
            }
            (None, None) => {
                let message = "the metric source has neither `type` nor `metricSourceRef`";
                faults.error(draft.at, message, "add `type: Prometheus`");
                return None;
            }
        };
        let At { value, at } = source_type;
        if !value.trim().eq_ignore_ascii_case(PROMETHEUS) {
            return Some((MetricQuery::Unread { source_type: value }, at));
        }
        promql_of(draft, faults).map(|it| (MetricQuery::PromQl(it), at))
    }
}

fn promql_of(draft: &MetricDraft, faults: &mut Faults) -> Option<String> {
    let Some(node) = &draft.spec.value.query else {
        let fields: Vec<&str> = draft.spec.value.fields.iter().map(String::as_str).collect();
        let hint = match nearest("query", &fields) {
            Some(near) => format!("{} is probably meant to be `query`", quoted(near)),
            None => "add `query:` with PromQL".to_owned(),
        };
        let message = "a metric source of type `Prometheus` has no `query` in its `spec`";
        faults.error(draft.spec.at, message, hint);
        return None;
    };
    let Value::Text(query) = &node.value else {
        let message = format!("`query` must be text, found {}", node.value.kind());
        faults.error(node.at, message, "write PromQL, in quotes if need be");
        return None;
    };
    match promql::check(query) {
        Ok(()) => Some(query.clone()),
        Err(error) => {
            faults.error(node.at, error.to_string(), "check brackets and quotes");
            None
        }
    }
}

fn objective(
    draft: &ObjectiveDraft,
    sli: Sli<MetricQuery>,
    faults: &mut Faults,
) -> Option<Objective> {
    let is_threshold = matches!(sli, Sli::Threshold { .. });
    if let Some(value) = draft.value.as_ref().filter(|_| !is_threshold) {
        let message = "`value` does nothing with a `ratioMetric`";
        faults.warning(value.at, message, "remove it, or use a `thresholdMetric`");
    }
    let indicator = match sli {
        Sli::GoodOfTotal { good, total, is_counter } => {
            Indicator::GoodOfTotal { good, total, is_counter }
        }
        Sli::BadOfTotal { bad, total, is_counter } => {
            Indicator::BadOfTotal { bad, total, is_counter }
        }
        Sli::Raw { ratio, is_success } => Indicator::Raw { ratio, is_success },
        Sli::Threshold { metric } => {
            let missing = match (&draft.op, &draft.value) {
                (Some(op), Some(value)) => {
                    let (op, value) = (op.value, value.value);
                    Ok(Indicator::Threshold { metric, op, value })
                }
                (None, Some(_)) => Err("no `op`"),
                (Some(_), None) => Err("no `value`"),
                (None, None) => Err("neither `op` nor `value`"),
            };
            match missing {
                Ok(it) => it,
                Err(missing) => {
                    let message = format!("an objective of a `thresholdMetric` has {missing}");
                    let hint = "say which samples are good, for example `op: lt` and `value: 0.5`";
                    faults.error(draft.at, message, hint);
                    return None;
                }
            }
        }
    };
    let ObjectiveDraft { name, target, slice, weight, .. } = draft;
    let (name, target, slice, weight) = (name.clone(), *target, *slice, *weight);
    Some(Objective { name, target, indicator, slice, weight })
}
