//! `spec:` of an `SLO`.
//!
//! **In:** the mapping as written.
//! **Out:** an [`SloDraft`]: all but what other documents say.
//! **Not here:** indicators and alert policies of other documents, whether an alert can
//! fire ([`crate::documents::load`]).

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::alert::{AlertDraft, RawAlertPolicy};
use super::inline::{Inline, RefOr};
use super::metadata::{RawMetadata, Settings};
use super::scalar::{Description, SliceTarget, SliceWidth, TargetPercent, TargetRatio, Weight};
use super::sli::{MetricDraft, RawSli, Sli};
use super::window::{RawWindow, default_window};
use super::{OrNothing, fields, flat, quoted};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::List;
use crate::documents::raw::scalar::{Finite, Name, ShortText};
use crate::documents::{Budgeting, Comparison, Slice};
use crate::ids::{ServiceName, SloId};
use crate::slo::window::{PeriodLength, Window};
use crate::units::show_duration;

/// Most objectives of one SLO. Why 16: each is counted on its own, and a journey of more
/// steps is several.
const OBJECTIVES_MAX: usize = 16;
/// Most alert policies of one SLO. Why 16: three times what we use where there are none.
const POLICIES_MAX: usize = 16;

fields! {
    /// How good a service must be. Give `indicator` or `indicatorRef`; of a composite each
    /// objective has its own.
    struct RawSlo {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
        /// The service it is about. Need not be described by a document.
        required service: Name<ServiceName>,
        /// What is measured.
        optional indicator: Inline<RawSli>,
        /// Name of an `SLI`.
        optional indicator_ref = "indicatorRef": Name<SloId>,
        /// Over which time; exactly one.
        optional time_window = "timeWindow": List<RawWindow, 1, 1>,
        /// What is counted: events, slices of time, or the mean of slices.
        required budgeting_method = "budgetingMethod": Budgeting,
        /// The levels that must be kept.
        required objectives: List<RawObjective, 1, OBJECTIVES_MAX>,
        /// Who hears of it. Without any, the pairs of windows of the SRE workbook are used.
        optional alert_policies = "alertPolicies":
            OrNothing<List<RefOr<RawAlertPolicy>, 0, POLICIES_MAX>>,
    }
}

fields! {
    /// One level that must be kept: exactly one of `target` and `targetPercent`.
    struct RawObjective {
        /// Unique within the SLO.
        optional display_name = "displayName": ShortText,
        /// How a `thresholdMetric` is compared with `value`.
        optional op: Comparison,
        /// With what a `thresholdMetric` is compared.
        optional value: Finite,
        /// The share that must be good.
        optional target: TargetRatio,
        /// The same, in percent.
        optional target_percent = "targetPercent": TargetPercent,
        /// For `Timeslices`: the least share of good events of a good slice.
        optional time_slice_target = "timeSliceTarget": SliceTarget,
        /// For `Timeslices` and `RatioTimeslices`: how long a slice is; a number is minutes.
        optional time_slice_window = "timeSliceWindow": SliceWidth,
        /// What is measured, in a composite.
        optional indicator: Inline<RawSli>,
        /// Name of an `SLI`, in a composite.
        optional indicator_ref = "indicatorRef": Name<SloId>,
        /// How much it weighs among several; 1 by default.
        optional composite_weight = "compositeWeight": Weight,
    }
}

/// An SLO before other documents are looked at.
pub(in crate::documents) struct SloDraft {
    pub(in crate::documents) display_name: String,
    pub(in crate::documents) service: At<ServiceName>,
    pub(in crate::documents) window: Window,
    pub(in crate::documents) budgeting: Budgeting,
    /// `None` in a composite.
    pub(in crate::documents) indicator: Option<SliRef>,
    pub(in crate::documents) objectives: Vec<ObjectiveDraft>,
    pub(in crate::documents) alert_policies: Vec<At<PolicyRef>>,
    pub(in crate::documents) settings: Settings,
}

/// An indicator, or the name of one.
pub(in crate::documents) enum SliRef {
    Ref(At<String>),
    Inline(Box<Sli<MetricDraft>>),
}

/// An alert policy with its name, or the name of one.
pub(in crate::documents) enum PolicyRef {
    Ref(At<String>),
    Inline(String, AlertDraft),
}

/// An objective before other documents are looked at.
pub(in crate::documents) struct ObjectiveDraft {
    pub(in crate::documents) at: Position,
    pub(in crate::documents) name: String,
    pub(in crate::documents) target: f64,
    pub(in crate::documents) op: Option<At<Comparison>>,
    pub(in crate::documents) value: Option<At<f64>>,
    pub(in crate::documents) slice: Option<Slice>,
    pub(in crate::documents) weight: f64,
    /// In a composite only.
    pub(in crate::documents) indicator: Option<SliRef>,
}

impl RawSlo {
    /// `at` is where the whole is.
    pub(in crate::documents) fn checked(
        self,
        metadata: Option<&RawMetadata>,
        at: Position,
        faults: &mut Faults,
    ) -> Option<SloDraft> {
        let RawSlo { service, indicator, indicator_ref, time_window, .. } = self;
        let settings = match metadata {
            Some(it) => it.settings(faults),
            None => Some(Settings::default()),
        };
        let window = match time_window.and_then(|it| it.value.0.into_iter().next()) {
            Some(window) => window.value.checked(window.at, faults),
            None => Some(default_window(at, faults)),
        };
        let budgeting = self.budgeting_method.value;
        let raw = self.objectives;
        let places: Vec<Option<Position>> =
            raw.value.0.iter().map(|it| it.value.indicator_at()).collect();
        let top_at = indicator_ref.as_ref().map(|it| it.at).or(indicator.as_ref().map(|it| it.at));
        let is_whole = has_indicators(at, top_at, &places, &raw.value.0, faults);
        let indicator = one_indicator(indicator, indicator_ref, faults);
        let n = raw.value.0.len();
        let objectives: Vec<Option<ObjectiveDraft>> = raw
            .value
            .0
            .into_iter()
            .enumerate()
            .map(|(index, it)| {
                it.value.checked(it.at, (index, n), budgeting, window.as_ref(), faults)
            })
            .collect();
        let objectives: Vec<ObjectiveDraft> = objectives.into_iter().collect::<Option<Vec<_>>>()?;
        let is_unique = names_are_unique(&objectives, faults);
        let alert_policies = flat(self.alert_policies).map(|it| it.0).unwrap_or_default();
        let alert_policies: Vec<Option<At<PolicyRef>>> =
            alert_policies.into_iter().map(|it| policy_ref(it, faults)).collect();
        let draft = SloDraft {
            display_name: metadata.map(RawMetadata::shown).unwrap_or_default(),
            service: At { value: service.value.0, at: service.at },
            window: window?,
            budgeting,
            indicator: indicator?,
            objectives,
            alert_policies: alert_policies.into_iter().collect::<Option<Vec<_>>>()?,
            settings: settings?,
        };
        (is_whole && is_unique).then_some(draft)
    }
}

fn policy_ref(it: At<RefOr<RawAlertPolicy>>, faults: &mut Faults) -> Option<At<PolicyRef>> {
    let At { value, at } = it;
    let value = match value {
        RefOr::Ref(name) => PolicyRef::Ref(name),
        RefOr::Inline(inline) => {
            let Inline { metadata, spec } = *inline;
            let draft = spec.value.checked(spec.at, faults)?;
            PolicyRef::Inline(metadata.name().to_owned(), draft)
        }
    };
    Some(At { value, at })
}

/// Whether there is one indicator at the top, or one in each objective.
fn has_indicators(
    at: Position,
    top: Option<Position>,
    places: &[Option<Position>],
    objectives: &[At<RawObjective>],
    faults: &mut Faults,
) -> bool {
    let first = places.iter().copied().flatten().next();
    match (top, first) {
        (Some(_), None) => true,
        (None, None) if faults.has_slip(at) => false,
        (None, None) => {
            let message = "the SLO says nowhere what is measured";
            let hint = "add `indicator:` or `indicatorRef:`; in a composite, to each objective";
            faults.error(at, message, hint);
            false
        }
        (Some(top), Some(_)) => {
            let message = "an indicator stands beside the objectives and inside of one";
            let hint = "in a composite each objective has its own: move it there; else keep \
                        only the one beside them";
            faults.error(top, message, hint);
            false
        }
        (None, Some(_)) => {
            let mut is_whole = true;
            for (objective, _) in objectives.iter().zip(places).filter(|(_, it)| it.is_none()) {
                let message = "an objective of a composite has no indicator";
                let hint = "add `indicator:` or `indicatorRef:`, as the others have";
                faults.error(objective.at, message, hint);
                is_whole = false;
            }
            is_whole
        }
    }
}

/// The outer `None` after a fault.
#[expect(clippy::option_option, reason = "a fault and no indicator are different things")]
fn one_indicator(
    indicator: Option<At<Inline<RawSli>>>,
    reference: Option<At<Name<SloId>>>,
    faults: &mut Faults,
) -> Option<Option<SliRef>> {
    match (indicator, reference) {
        (None, None) => Some(None),
        (None, Some(it)) => {
            let name = it.value.0.as_str().to_owned();
            Some(Some(SliRef::Ref(At { value: name, at: it.at })))
        }
        (Some(it), None) => {
            let spec = it.value.spec;
            spec.value.checked(spec.at, faults).map(|it| Some(SliRef::Inline(Box::new(it))))
        }
        (Some(_), Some(it)) => {
            let message = "there are both `indicator` and `indicatorRef`";
            faults.error(it.at, message, "keep one of the two");
            None
        }
    }
}

fn names_are_unique(objectives: &[ObjectiveDraft], faults: &mut Faults) -> bool {
    let mut seen = BTreeSet::new();
    let mut is_unique = true;
    for it in objectives.iter().filter(|it| !seen.insert(it.name.as_str())) {
        let message = format!("two objectives are called {}", quoted(&it.name));
        faults.error(it.at, message, "give each a `displayName` of its own");
        is_unique = false;
    }
    is_unique
}

impl RawObjective {
    fn indicator_at(&self) -> Option<Position> {
        self.indicator.as_ref().map(|it| it.at).or(self.indicator_ref.as_ref().map(|it| it.at))
    }

    /// `which` is its number, from 0, and how many there are.
    fn checked(
        self,
        at: Position,
        which: (usize, usize),
        budgeting: Budgeting,
        window: Option<&Window>,
        faults: &mut Faults,
    ) -> Option<ObjectiveDraft> {
        let (index, n_objectives) = which;
        let target = match (&self.target, &self.target_percent) {
            (Some(ratio), None) => Some(ratio.value.0),
            (None, Some(percent)) => Some(percent.value.0),
            (None, None) if faults.has_slip(at) => None,
            (None, None) => {
                let message = "an objective has neither `target` nor `targetPercent`";
                let hint = "add for example `target: 0.999` or `targetPercent: 99.9`";
                faults.error(at, message, hint);
                None
            }
            (Some(_), Some(percent)) => {
                let message = "an objective has both `target` and `targetPercent`";
                faults.error(percent.at, message, "keep one of the two");
                None
            }
        };
        let slice = slice(
            at,
            self.time_slice_target.as_ref(),
            self.time_slice_window.as_ref(),
            budgeting,
            window,
            faults,
        );
        let weight = match &self.composite_weight {
            Some(weight) if n_objectives < 2 => {
                let message = "`compositeWeight` of the only objective";
                faults.error(
                    weight.at,
                    message,
                    "remove it; it weighs one objective against others",
                );
                None
            }
            Some(weight) => Some(weight.value.0),
            None => Some(1.0),
        };
        let name = self.display_name.map(|it| it.value.0);
        let indicator = one_indicator(self.indicator, self.indicator_ref, faults);
        Some(ObjectiveDraft {
            at,
            name: name.unwrap_or_else(|| format!("objective-{}", index + 1)),
            target: target?,
            op: self.op,
            value: self.value.map(|it| At { value: it.value.0, at: it.at }),
            slice: slice?,
            weight: weight?,
            indicator: indicator?,
        })
    }
}

/// The outer `None` after a fault.
#[expect(clippy::option_option, reason = "a fault and no slices are different things")]
fn slice(
    at: Position,
    good_ratio_min: Option<&At<SliceTarget>>,
    width: Option<&At<SliceWidth>>,
    budgeting: Budgeting,
    window: Option<&Window>,
    faults: &mut Faults,
) -> Option<Option<Slice>> {
    let (method, needs_width, needs_target) = match budgeting {
        Budgeting::Occurrences => ("Occurrences", false, false),
        Budgeting::Timeslices => ("Timeslices", true, true),
        Budgeting::RatioTimeslices => ("RatioTimeslices", true, false),
    };
    let mut is_good = true;
    for (field, needed, found, example) in [
        ("timeSliceTarget", needs_target, good_ratio_min.map(|it| it.at), "0.99"),
        ("timeSliceWindow", needs_width, width.map(|it| it.at), "1m"),
    ] {
        match found {
            None if needed && faults.has_slip(at) => is_good = false,
            None if needed => {
                let message = format!("an objective of `{method}` has no `{field}`");
                faults.error(at, message, format!("add for example `{field}: {example}`"));
                is_good = false;
            }
            Some(at) if !needed => {
                let message = format!("`{field}` does nothing with `{method}`");
                faults.warning(at, message, "remove it, or check `budgetingMethod`");
            }
            Some(_) | None => {}
        }
    }
    if !is_good {
        return None;
    }
    let Some(width) = width.filter(|_| needs_width) else { return Some(None) };
    let At { value: SliceWidth(width), at } = width;
    let period = window.map(shortest_period);
    if let Some(period) = period.filter(|it| it < width) {
        let message = format!(
            "`timeSliceWindow` is {}, longer than the `timeWindow` of {}",
            show_duration(*width),
            show_duration(period)
        );
        faults.error(*at, message, "write a shorter slice");
        return None;
    }
    let good_ratio_min = good_ratio_min.filter(|_| needs_target).map(|it| it.value.0);
    Some(Some(Slice { width: *width, good_ratio_min }))
}

/// How short a period of the window can be, where no clock changes.
fn shortest_period(window: &Window) -> SignedDuration {
    match window {
        Window::Rolling(length) => *length,
        Window::Calendar(it) => match it.length {
            PeriodLength::Minutes(n) => SignedDuration::from_mins(n),
            PeriodLength::Days(n) => SignedDuration::from_hours(n.saturating_mul(24)),
            PeriodLength::Months(n) => SignedDuration::from_hours(n.saturating_mul(28 * 24)),
        },
    }
}
