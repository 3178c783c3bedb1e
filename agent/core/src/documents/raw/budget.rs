//! `spec:` of a `Budget`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Budget`] whose thresholds can be crossed, and where its parts are.
//! **Not here:** whether its SLO, its service and its tenant are there
//! ([`crate::documents::load`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Position};
use crate::documents::raw::amounts::{Amount, Growth, RawWindow, SpentRatio, True};
use crate::documents::raw::scalar::{BurnFactor, Duration, Name, ShortText, word};
use crate::documents::raw::{List, Place, Read, fields, one_of};
use crate::documents::{Budget, BudgetOf, BudgetScope, Consequence, Crossing, Quantile, Threshold};
use crate::ids::{BudgetId, Region, ServiceName, SloId, TenantName, ThresholdName};
use crate::incident::Severity;
use crate::slo::SLOT;
use crate::slo::window::{PeriodLength, Window};
use crate::spend::money::{Currency, Money};
use crate::units::show_duration;

/// Most thresholds of one budget. Why 32: each is evaluated in every period, and nobody
/// remembers what more of them mean.
const THRESHOLDS_MAX: usize = 32;

fields! {
    /// What may be spent, of money or of errors, and what follows on the way there.
    struct RawBudget {
        /// A budget of money.
        optional spend: RawSpend,
        /// The error budget of an SLO, in the window of that SLO.
        optional errors: RawErrors,
        /// What follows on the way there, up to 32. Without any, the budget is only shown.
        defaulted(json!([])) thresholds: List<RawThreshold, 0, THRESHOLDS_MAX>,
        /// How long a threshold must not be crossed any more before what it did ends,
        /// from 30 seconds to 24 hours.
        defaulted(json!("15m")) clears_after: Duration<30, 86_400>,
    }
    also(json!({"oneOf": [{"required": ["spend"]}, {"required": ["errors"]}]}))
}

fields! {
    /// Money that may be spent.
    struct RawSpend {
        /// Whose money.
        required scope: RawScope,
        /// How much, above 0, in the currency of the price book.
        required amount: Amount,
        /// Must be the currency of the price book, which is what is used when left out.
        optional currency: Currency,
        /// In which time.
        required window: RawWindow,
    }
}

one_of! {
    /// Whose money: exactly one of these.
    enum RawScope {
        /// The targets of one service.
        Service = "service" (Name<ServiceName>),
        /// What the usage of one tenant costs.
        Tenant = "tenant" (Name<TenantName>),
        /// The targets of one region.
        Region = "region" (Name<Region>),
        /// `true`: everything that the daemon sees. It is never implied.
        Everything = "everything" (True),
    }
}

fields! {
    /// The error budget of an SLO.
    struct RawErrors {
        /// The name of the SLO.
        required slo: Name<SloId>,
        /// The name of one of its objectives; left out, the first one.
        optional objective: ShortText,
    }
}

fields! {
    /// When something follows, and what.
    struct RawThreshold {
        /// Unique within the budget.
        required name: Name<ThresholdName>,
        /// When it is crossed.
        required when: RawCrossing,
        /// What follows. Nothing here acts: it tells people or narrows what is allowed.
        required then: List<Consequence, 1, { Consequence::ALL.len() }>,
        /// How urgently people are told.
        defaulted(json!("ticket")) severity: Severity,
    }
}

one_of! {
    /// When it is crossed: exactly one of these.
    enum RawCrossing {
        /// This share of the budget is spent, above 0 and at most 10: 0.8 is four fifths.
        SpentRatio = "spent_ratio" (SpentRatio),
        /// It burns faster than this, over two windows that both end now.
        BurnRate = "burn_rate" (RawBurnRate),
        /// It will be spent within some time, if things go on.
        ExhaustsWithin = "exhausts_within" (RawExhaustion),
        /// Spend grew and good requests did not. Only for money.
        Runaway = "runaway" (RawRunaway),
    }
}

fields! {
    /// A burn rate over two windows.
    struct RawBurnRate {
        /// Times the rate that spends exactly the budget; above 0, at most 1000.
        required above: BurnFactor,
        /// The window that says that it matters: whole multiples of 30s, at most 3d.
        required long: Duration<60, 259_200>,
        /// The window that says that it still goes on: whole multiples of 30s, shorter
        /// than `long`.
        required short: Duration<30, 259_200>,
    }
}

fields! {
    /// An end that can be foreseen.
    struct RawExhaustion {
        /// How long before, from 1 minute to 366 days.
        required within: Duration<60, 31_622_400>,
        /// How certain: `p10` tells early (one chance in ten that it is so soon), `p90`
        /// late.
        defaulted(json!("p50")) quantile: Quantile,
    }
}

fields! {
    /// Spend that grows without a reason.
    struct RawRunaway {
        /// Spend now / spend as usual, from 1.1 to 100.
        required growth: Growth,
    }
}

impl Read for Quantile {
    fn schema() -> Json {
        json!({"enum": ["p10", "p50", "p90"]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Quantile> {
        let words = [("p10", Quantile::P10), ("p50", Quantile::P50), ("p90", Quantile::P90)];
        word(node, place, &words, faults)
    }
}

impl Read for Consequence {
    fn schema() -> Json {
        json!({"enum": Consequence::ALL.map(Consequence::name)})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Consequence> {
        word(node, place, &Consequence::ALL.map(|it| (it.name(), it)), faults)
    }
}

/// Where the parts of a budget are that other documents matter to.
#[derive(Clone, Debug)]
pub(in crate::documents) struct BudgetPlaces {
    /// The scope, or the name of the SLO.
    pub(in crate::documents) of_at: Position,
    /// The name of the objective, if there is one.
    pub(in crate::documents) objective_at: Position,
    /// The currency that the author wrote.
    pub(in crate::documents) currency: Option<At<Currency>>,
    /// For each threshold, what it is crossed by.
    pub(in crate::documents) crossings: Vec<Position>,
}

impl RawBudget {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        id: BudgetId,
        spec_at: Position,
        faults: &mut Faults,
    ) -> Option<(Budget, BudgetPlaces)> {
        let RawBudget { spend, errors, thresholds, clears_after } = self;
        let crossings: Vec<Position> =
            thresholds.value.0.iter().map(|it| it.value.when.at).collect();
        let is_of_errors = spend.is_none() && errors.is_some();
        let thresholds = checked_thresholds(thresholds.value.0, is_of_errors, faults);
        let (of, of_at, objective_at, currency) = match (spend, errors) {
            (Some(spend), None) => {
                let RawSpend { scope, amount, currency, window } = spend.value;
                let window = window.value.checked(faults)?;
                let amount = Money::of(amount.value.0);
                let of = BudgetOf::Spend { scope: scope.value.checked(), amount, window };
                (of, scope.at, scope.at, currency)
            }
            (None, Some(errors)) => {
                let RawErrors { slo, objective } = errors.value;
                let objective_at = objective.as_ref().map_or(slo.at, |it| it.at);
                let Name(name) = slo.value;
                let objective = objective.map(|it| it.value.0);
                (BudgetOf::Errors { slo: name, objective }, slo.at, objective_at, None)
            }
            (Some(spend), Some(errors)) => {
                let message = "the budget has both `spend` and `errors`";
                let hint = "write one budget for money and another one for errors";
                faults.error(spend.at.max(errors.at), message, hint);
                return None;
            }
            (None, None) => {
                let message = "the budget is for nothing: it has neither `spend` nor `errors`";
                let hint = "add `spend:` with an amount, or `errors:` with the name of an SLO";
                faults.error(spec_at, message, hint);
                return None;
            }
        };
        let thresholds = thresholds?;
        if let BudgetOf::Spend { window, .. } = &of {
            for (threshold, at) in thresholds.iter().zip(&crossings) {
                beyond_the_window(threshold, *at, window, faults);
            }
        }
        let clears_after = clears_after.value.0;
        let places = BudgetPlaces { of_at, objective_at, currency, crossings };
        Some((Budget { id, of, thresholds, clears_after }, places))
    }
}

impl RawScope {
    fn checked(self) -> BudgetScope {
        match self {
            RawScope::Service(Name(name)) => BudgetScope::Service(name),
            RawScope::Tenant(Name(name)) => BudgetScope::Tenant(name),
            RawScope::Region(Name(name)) => BudgetScope::Region(name),
            RawScope::Everything(True) => BudgetScope::Everything,
        }
    }
}

fn checked_thresholds(
    raw: Vec<At<RawThreshold>>,
    is_of_errors: bool,
    faults: &mut Faults,
) -> Option<Vec<Threshold>> {
    let mut seen: BTreeMap<ThresholdName, usize> = BTreeMap::new();
    let mut thresholds = Some(Vec::new());
    for At { value: RawThreshold { name, when, then, severity }, .. } in raw {
        let At { value: Name(name), at: name_at } = name;
        let mut is_good = true;
        if let Some(line) = seen.insert(name.clone(), name_at.line) {
            let message = format!("threshold `{name}` is named twice, first in line {line}");
            faults.error(name_at, message, "give each its own name");
            is_good = false;
        }
        let mut consequences = BTreeSet::new();
        for At { value, at } in then.value.0 {
            if !consequences.insert(value) {
                let message = format!("threshold `{name}` is followed by `{}` twice", value.name());
                faults.error(at, message, "remove one of the two");
                is_good = false;
            }
        }
        let crossing = checked_crossing(&name, when, is_of_errors, faults);
        match (crossing, is_good, &mut thresholds) {
            (Some(when), true, Some(thresholds)) => thresholds.push(Threshold {
                name,
                when,
                then: consequences,
                severity: severity.value,
            }),
            (_, _, _) => thresholds = None,
        }
    }
    thresholds
}

fn checked_crossing(
    name: &ThresholdName,
    raw: At<RawCrossing>,
    is_of_errors: bool,
    faults: &mut Faults,
) -> Option<Crossing> {
    let At { value, at } = raw;
    match value {
        RawCrossing::SpentRatio(SpentRatio(ratio)) => Some(Crossing::SpentRatio(ratio)),
        RawCrossing::BurnRate(raw) => checked_burn_rate(name, raw, faults),
        RawCrossing::ExhaustsWithin(RawExhaustion { within, quantile }) => {
            Some(Crossing::ExhaustsWithin { within: within.value.0, quantile: quantile.value })
        }
        RawCrossing::Runaway(_) if is_of_errors => {
            let message = format!(
                "threshold `{name}`: only money can run away, and this budget is of errors"
            );
            faults.error(at, message, "write `burn_rate`, or a second budget with `spend`");
            None
        }
        RawCrossing::Runaway(RawRunaway { growth }) => {
            Some(Crossing::Runaway { growth: growth.value.0 })
        }
    }
}

fn checked_burn_rate(
    name: &ThresholdName,
    raw: RawBurnRate,
    faults: &mut Faults,
) -> Option<Crossing> {
    let RawBurnRate { above, long, short } = raw;
    let (BurnFactor(above), At { value: Duration(long), at: long_at }) = (above.value, long);
    let At { value: Duration(short), at: short_at } = short;
    let mut is_good = true;
    for (field, window, at) in [("long", long, long_at), ("short", short, short_at)] {
        let slot = SLOT.as_secs();
        if window.as_secs() % slot != 0 {
            let message = format!(
                "threshold `{name}`: `{field}` is {}, events are counted in slots of {}",
                show_duration(window),
                show_duration(SLOT)
            );
            let up = SignedDuration::from_secs((window.as_secs() / slot + 1) * slot);
            faults.error(at, message, format!("write `{}`", show_duration(up)));
            is_good = false;
        }
    }
    if long <= short {
        let (short, long) = (show_duration(short), show_duration(long));
        let message = format!("threshold `{name}`: `short` ({short}) is not below `long` ({long})");
        let hint =
            "the short window says that it still goes on: a twelfth of the long one is usual";
        faults.error(short_at, message, hint);
        is_good = false;
    }
    is_good.then_some(Crossing::BurnRate { above, long, short })
}

/// Warns of a threshold that looks further ahead than the budget lasts.
pub(in crate::documents) fn beyond_the_window(
    threshold: &Threshold,
    at: Position,
    window: &Window,
    faults: &mut Faults,
) {
    let within = match threshold.when {
        Crossing::ExhaustsWithin { within, .. } => within,
        Crossing::SpentRatio(_) | Crossing::BurnRate { .. } | Crossing::Runaway { .. } => return,
    };
    let longest = longest(window);
    if longest < within {
        let message = format!(
            "threshold `{}` looks {} ahead, and the budget is for {}",
            threshold.name,
            show_duration(within),
            show_duration(longest)
        );
        let hint = "write a shorter `within`; what is spent later is spent from the next budget";
        faults.warning(at, message, hint);
    }
}

/// How long the longest period of `window` is, but for the hours that clocks change.
fn longest(window: &Window) -> SignedDuration {
    let days = |n: i64| SignedDuration::from_hours(n.saturating_mul(24));
    match window {
        Window::Rolling(length) => *length,
        Window::Calendar(it) => match it.length {
            PeriodLength::Minutes(n) => SignedDuration::from_mins(n),
            PeriodLength::Days(n) => days(n),
            PeriodLength::Months(n) => days(n.saturating_mul(31).min(366)),
        },
    }
}
