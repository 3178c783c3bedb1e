//! Which instances a step is about.
//!
//! **In:** `select`, `share_max`, `one_domain` as written.
//! **Out:** an [`InstanceSelection`] whose inputs and units fit.
//! **Not here:** which instances that are now ([`crate::heal`]).

use serde_json::{Value as Json, json};

use super::Scope;
use super::expression::{Expression, formula};
use super::inputs::Identifier;
use super::steps::input;
use crate::condition::Unit;
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Position, Value};
use crate::documents::raw::scalar::{ShareMax, WeightRatio};
use crate::documents::raw::{Place, Read, fields, listed, wrong_type};
use crate::documents::{InstanceSelection, Per, PlaybookInput, SelectBy, StepKind};

fields! {
    /// Exactly one way to find instances.
    struct RawSelect {
        /// Those whose value of this input is more than `factor` times the median of the others.
        optional outliers_of: Identifier,
        /// How many times; with `outliers_of`.
        optional factor: Expression,
        /// Those whose value of this input is above `limit`.
        optional above: Identifier,
        /// In the unit of the input; with `above`.
        optional limit: Expression,
        /// Those that are not ready.
        optional not_ready: OnlyTrue,
        /// Those of the failure domain with the most instances that are not ready.
        optional worst_domain: OnlyTrue,
        /// Every one, one failure domain at a time.
        optional all: OnlyTrue,
    }
    also(json!({"oneOf": [
        {"required": ["outliers_of", "factor"]},
        {"required": ["above", "limit"]},
        {"required": ["not_ready"]},
        {"required": ["worst_domain"]},
        {"required": ["all"]},
    ]}))
}

const WAYS: [&str; 5] = ["outliers_of", "above", "not_ready", "worst_domain", "all"];

/// `true`; to say no, leave the field out.
pub(in crate::documents) struct OnlyTrue;

impl Read for OnlyTrue {
    fn schema() -> Json {
        json!({"const": true})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<OnlyTrue> {
        if node.value == Value::Bool(true) {
            return Some(OnlyTrue);
        }
        if node.value == Value::Bool(false) {
            let hint = "write `true`, or another way to find instances";
            faults.error(node.at, format!("`{place}` is `false`, which finds nothing"), hint);
        } else {
            wrong_type(node, place, "`true`", faults);
        }
        None
    }
}

fields! {
    /// Instances to act on.
    struct RawSelecting {
        /// How they are found.
        required select: RawSelect,
        /// At most this share of the target's instances out of service, those that already
        /// are included; one may always be.
        defaulted(json!(0.1)) share_max: ShareMax,
        /// Whether only the failure domain with the most of them is touched.
        defaulted(json!(true)) one_domain: bool,
    }
}

fields! {
    /// Instances whose weight is changed.
    struct RawShift {
        /// How they are found.
        required select: RawSelect,
        /// The fraction of the weight they have that they keep.
        required weight_ratio: WeightRatio,
        /// As for the other steps.
        defaulted(json!(0.1)) share_max: ShareMax,
        /// As for the other steps.
        defaulted(json!(true)) one_domain: bool,
    }
}

impl RawSelecting {
    pub(super) fn checked(
        self,
        scope: &Scope<'_>,
        faults: &mut Faults,
    ) -> Option<InstanceSelection> {
        let RawSelecting { select, share_max, one_domain } = self;
        let by = checked(select, scope, faults)?;
        let (share_max, one_domain) = (share_max.value.0, one_domain.value);
        Some(InstanceSelection { by, share_max, one_domain })
    }
}

impl RawShift {
    pub(super) fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<StepKind> {
        let RawShift { select, weight_ratio, share_max, one_domain } = self;
        let select = RawSelecting { select, share_max, one_domain }.checked(scope, faults)?;
        Some(StepKind::ShiftTraffic { select, weight_ratio: weight_ratio.value.0 })
    }
}

fn checked(raw: At<RawSelect>, scope: &Scope<'_>, faults: &mut Faults) -> Option<SelectBy> {
    let At { value, at } = raw;
    let RawSelect { outliers_of, factor, above, limit, not_ready, worst_domain, all } = value;
    let given = [
        outliers_of.as_ref().map(|it| it.at),
        above.as_ref().map(|it| it.at),
        not_ready.as_ref().map(|it| it.at),
        worst_domain.as_ref().map(|it| it.at),
        all.as_ref().map(|it| it.at),
    ];
    let mut given: Vec<(Position, &str)> =
        given.into_iter().zip(WAYS).filter_map(|(at, name)| Some((at?, name))).collect();
    given.sort_unstable();
    match given.as_slice() {
        [_] => {}
        [] => {
            let hint = format!("write exactly one of {}", listed(&WAYS));
            faults.error(at, "`select` says no way to find instances", hint);
            return None;
        }
        [(_, first), (second_at, second), ..] => {
            let message = format!("`select` has both `{first}` and `{second}`");
            faults.error(*second_at, message, format!("write exactly one of {}", listed(&WAYS)));
            return None;
        }
    }
    for (extra, field, way) in [(&factor, "factor", &outliers_of), (&limit, "limit", &above)] {
        match (extra, way) {
            (Some(extra), None) => {
                let owner = if field == "factor" { "outliers_of" } else { "above" };
                let message = format!("`{field}` is only for `{owner}`");
                faults.error(extra.at, message, "remove it");
                return None;
            }
            (None, Some(way)) => {
                let message = format!("missing field `{field}` in `select`");
                faults.error(way.at, message, format!("add `{field}:` beside it"));
                return None;
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    let environment = &scope.environment;
    match (outliers_of, factor, above, limit, not_ready, worst_domain) {
        (Some(name), Some(factor), ..) => {
            let input = instances_of(&name, "outliers_of", scope, faults);
            let factor = formula(&factor, environment, Unit::Ratio, faults);
            Some(SelectBy::OutliersOf { input: input?.name.clone(), factor: factor? })
        }
        (_, _, Some(name), Some(limit), ..) => {
            let input = instances_of(&name, "above", scope, faults)?;
            let limit = formula(&limit, environment, input.unit, faults)?;
            Some(SelectBy::Above { input: input.name.clone(), limit })
        }
        (.., Some(_), _) => Some(SelectBy::NotReady),
        (.., Some(_)) => Some(SelectBy::WorstDomain),
        _ => Some(SelectBy::All),
    }
}

/// An input with one number per instance.
fn instances_of<'a>(
    name: &At<Identifier>,
    field: &str,
    scope: &Scope<'a>,
    faults: &mut Faults,
) -> Option<&'a PlaybookInput> {
    let input = input(name, field, scope, faults)?;
    let has = match input.per {
        Per::Instance { .. } => return Some(input),
        Per::Target => "per target",
        Per::Everything => "for everything",
    };
    let message = format!(
        "`{field}`: input `{}` has one number {has}, one per instance is needed",
        input.name
    );
    faults.error(name.at, message, "write `per: { instance: LABEL }` at the input");
    None
}
