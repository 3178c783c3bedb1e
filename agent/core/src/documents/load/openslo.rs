//! OpenSLO documents together.
//!
//! **In:** documents of OpenSLO, one by one.
//! **Out:** [`Slo`]s with every reference resolved, and faults.
//! **Not here:** the form of each ([`crate::documents::raw::openslo`]), burn rates that no
//! alert can see ([`alerts`]), budgets that name SLOs ([`super::across`]).

mod alerts;
mod indicators;

use std::collections::BTreeMap;

use super::people::nearest_unless_full;
use super::{Drafts, Placed, SourceText, across};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node};
use crate::documents::raw::openslo::alert::{
    AlertDraft, ConditionDraft, RawAlertCondition, RawAlertPolicy, RawNotificationTarget,
};
use crate::documents::raw::openslo::metadata::RawMetadata;
use crate::documents::raw::openslo::rest::{RawDataSource, RawService};
use crate::documents::raw::openslo::sli::{MetricDraft, RawSli, Sli};
use crate::documents::raw::openslo::slo::{RawSlo, SloDraft};
use crate::documents::raw::openslo::{self, Envelope, Kind, OrNothing};
use crate::documents::raw::{Place, Read};
use crate::documents::{AlertPolicy, Objective, Slo};
use crate::ids::SloId;

/// Most documents of one kind. Why 2,000: an SLO or two for each service of a large region;
/// the memory of one is bounded by [`crate::slo::LOOKBACK_MAX`].
const KIND_MAX: usize = 2_000;

/// Something with a name that is not of a type of its own.
pub(super) struct Named<T> {
    name: String,
    value: T,
}

/// OpenSLO documents before they are looked at together.
#[derive(Default)]
pub(super) struct OpenSlo {
    slos: Vec<Placed<Named<SloDraft>>>,
    slis: Vec<Placed<Named<Sli<MetricDraft>>>>,
    policies: Vec<Placed<Named<AlertDraft>>>,
    conditions: Vec<Placed<Named<ConditionDraft>>>,
    targets: Vec<Placed<Named<()>>>,
    /// The type of each.
    data_sources: Vec<Placed<Named<String>>>,
    services: Vec<Placed<Named<()>>>,
    counts: [usize; Kind::ALL.len()],
}

impl OpenSlo {
    /// How many documents of all kinds there are, good or bad.
    pub(super) fn n_documents(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Reads one document.
    pub(super) fn read(&mut self, root: &Node, faults: &mut Faults) {
        let Some(Envelope { kind, metadata, spec }) = openslo::read(root, faults) else { return };
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
            if KIND_MAX < *count {
                if *count == KIND_MAX + 1 {
                    let name = kind.name();
                    let message =
                        format!("there are more than {KIND_MAX} documents of kind `{name}`");
                    faults.error(root.at, message, "give this daemon fewer");
                }
                return;
            }
        }
        let Some(spec) = spec else { return };
        let place = Place::ROOT.field("spec");
        let metadata = metadata.as_ref();
        match kind {
            Kind::Slo => {
                let slo = RawSlo::read(spec, &place, faults)
                    .and_then(|it| it.checked(metadata, spec.at, faults));
                self.slos.extend(named(metadata, slo, faults));
            }
            Kind::Sli => {
                let sli =
                    RawSli::read(spec, &place, faults).and_then(|it| it.checked(spec.at, faults));
                self.slis.extend(named(metadata, sli, faults));
            }
            Kind::AlertPolicy => {
                let policy = RawAlertPolicy::read(spec, &place, faults)
                    .and_then(|it| it.checked(spec.at, faults));
                self.policies.extend(named(metadata, policy, faults));
            }
            Kind::AlertCondition => {
                let condition =
                    RawAlertCondition::read(spec, &place, faults).and_then(|it| it.checked(faults));
                self.conditions.extend(named(metadata, condition, faults));
            }
            Kind::AlertNotificationTarget => {
                let target = RawNotificationTarget::read(spec, &place, faults).map(|_| ());
                self.targets.extend(named(metadata, target, faults));
            }
            Kind::DataSource => {
                let source =
                    RawDataSource::read(spec, &place, faults).map(|it| it.source_type.value.0);
                self.data_sources.extend(named(metadata, source, faults));
            }
            Kind::Service => {
                let service = OrNothing::<RawService>::read(spec, &place, faults).map(|_| ());
                self.services.extend(named(metadata, service, faults));
            }
        }
    }
}

fn named<T>(
    metadata: Option<&RawMetadata>,
    value: Option<T>,
    faults: &Faults,
) -> Option<Placed<Named<T>>> {
    let (metadata, value) = (metadata?, value?);
    let (source, name_at) = (faults.source, metadata.name_at());
    let value = Named { name: metadata.name().to_owned(), value };
    Some(Placed { source, name_at, selector_at: name_at, value })
}

/// Documents of one kind, by name.
struct Index<'a, T> {
    kind: Kind,
    by_name: BTreeMap<&'a str, &'a Placed<Named<T>>>,
    /// Unless so, a name that is missing may just be in a document with a fault.
    all_read: bool,
}

impl<'a, T> Index<'a, T> {
    fn new(kind: Kind, all: &'a [Placed<Named<T>>], all_read: bool) -> Index<'a, T> {
        let by_name = all.iter().map(|it| (it.value.name.as_str(), it)).collect();
        Index { kind, by_name, all_read }
    }

    fn find(&self, wanted: &At<String>, faults: &mut Faults) -> Option<&'a Placed<Named<T>>> {
        let name = wanted.value.as_str();
        let found = self.by_name.get(name).copied();
        if found.is_none() && self.all_read {
            let kind = self.kind.name();
            let names: Vec<&str> = self.by_name.keys().copied().collect();
            let hint = match nearest_unless_full(name, &names, faults) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a document of kind `{kind}` with that name"),
            };
            let message = format!("no document describes {kind} `{name}`");
            faults.error(wanted.at, message, hint);
        }
        found
    }
}

/// Resolves references and puts SLOs together. Unless `all_read`, a name that is missing
/// may just be in a document with a fault, so it is no fault.
pub(super) fn resolve(
    drafts: &mut Drafts,
    sources: &[SourceText<'_>],
    all_read: bool,
    faults: &mut Faults,
) {
    let all = &drafts.openslo;
    unique(Kind::Slo, &all.slos, sources, faults);
    unique(Kind::Sli, &all.slis, sources, faults);
    unique(Kind::AlertPolicy, &all.policies, sources, faults);
    unique(Kind::AlertCondition, &all.conditions, sources, faults);
    unique(Kind::AlertNotificationTarget, &all.targets, sources, faults);
    unique(Kind::DataSource, &all.data_sources, sources, faults);
    unique(Kind::Service, &all.services, sources, faults);
    let indicators = indicators::Indicators::new(all, all_read, faults);
    let alerts = alerts::Alerts::new(all, all_read, faults);
    let services: Vec<&str> = all.services.iter().map(|it| it.value.name.as_str()).collect();
    let mut slos = Vec::with_capacity(all.slos.len());
    for Placed { source, name_at, selector_at, value: Named { name, value: draft } } in &all.slos {
        faults.source = *source;
        faults.about = format!("{} `{name}`", Kind::Slo.name());
        service(draft, &services, faults);
        let slo = slo(name, draft, &indicators, &alerts, faults);
        let (source, name_at, selector_at) = (*source, *name_at, *selector_at);
        slos.extend(slo.map(|value| Placed { source, name_at, selector_at, value }));
    }
    faults.about.clear();
    drafts.slos = slos;
}

fn unique<T>(
    kind: Kind,
    all: &[Placed<Named<T>>],
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    across::unique(all, kind.name(), |it| it.name.as_str(), sources, faults);
}

/// A service need not be described; one that is nearly called so is probably meant.
fn service(draft: &SloDraft, services: &[&str], faults: &mut Faults) {
    let name = draft.service.value.as_str();
    if services.contains(&name) {
        return;
    }
    if let Some(near) = nearest_unless_full(name, services, faults) {
        let message = format!("no document describes Service `{name}`, and one is nearly so");
        faults.warning(draft.service.at, message, format!("did you mean `{near}`?"));
    }
}

fn slo(
    name: &str,
    draft: &SloDraft,
    indicators: &indicators::Indicators<'_>,
    alerts: &alerts::Alerts<'_>,
    faults: &mut Faults,
) -> Option<Slo> {
    let objectives = indicators.objectives(draft, faults);
    let is_composite = draft.indicator.is_none();
    // Both before the first `?`, so that every fault is found.
    let policies = alerts.of(draft, is_composite, faults);
    let (objectives, policies) = (objectives?, policies?);
    let smallest = objectives.iter().map(Objective::error_budget).fold(1.0, f64::min);
    let alert_policies = if draft.settings.is_silent {
        Vec::new()
    } else if policies.is_empty() {
        alerts::at_least_a_slice(AlertPolicy::workbook(smallest), &objectives)
    } else {
        policies
    };
    Some(Slo {
        id: SloId::new(name).ok()?,
        display_name: draft.display_name.clone(),
        service: draft.service.value.clone(),
        window: draft.window.clone(),
        budgeting: draft.budgeting,
        objectives,
        is_composite,
        alert_policies,
        is_critical: draft.settings.is_critical,
    })
}
