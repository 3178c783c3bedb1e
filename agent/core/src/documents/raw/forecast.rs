//! `spec.forecast` of a `ScalingPolicy`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Foresight`] whose seasons are in order.
//! **Not here:** whether the calendar exists and the targets have prices
//! ([`crate::documents::load`]), what is forecast (`evenkeel-forecast`).

use serde_json::json;

use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::scalar::{Duration, Name, ShortfallCost, ShortfallRatio};
use crate::documents::raw::time::Zone;
use crate::documents::raw::{List, fields, one_of};
use crate::documents::{Foresight, Rule, Shortfall, Signal};
use crate::ids::CalendarId;
use crate::units::show_duration;

/// Most season lengths. Why 4: a shift, a day, a week, and one more.
const SEASONS_MAX: usize = 4;

/// A season: at least two steps (5 min) of the past that forecasts keep, at most what
/// is kept of it whole, which is the week and a day to spare.
type Season = Duration<600, 691_200>;

fields! {
    /// Capacity before the load comes.
    struct RawForecast {
        /// What one unit too few is worth against one too many.
        required shortfall: RawShortfall,
        /// Lengths of the seasons of the load, ascending, such as
        /// `[24h, 168h]`, 10m to 8d each: a little more than a week is
        /// remembered. Left out, they are found in the load.
        optional seasons: List<Season, 1, SEASONS_MAX>,
        /// The IANA time zone whose clock the load follows, such as
        /// `Europe/Berlin`: where most of your users are.
        defaulted(json!("UTC")) time_zone: Zone,
        /// The `Calendar` of events and incidents that the load alone cannot tell.
        optional calendar: Name<CalendarId>,
    }
}

one_of! {
    /// Exactly one objective.
    enum RawShortfall {
        /// The largest share of the time in which demand may be above ready
        /// capacity, above 0 and below 0.5: 0.005 is 7 minutes a day.
        TimeRatioMax = "time_ratio_max" (ShortfallRatio),
        /// What one missing unit costs per hour, in US dollars. Weighed against
        /// `price_usd_per_hour` of the target, which it must have.
        UsdPerUnitHour = "usd_per_unit_hour" (ShortfallCost),
    }
}

/// Where the parts of a `forecast` were written that other documents matter to.
#[derive(Clone, Copy, Debug)]
pub(in crate::documents) struct ForecastPlaces {
    pub(in crate::documents) shortfall_at: Position,
    pub(in crate::documents) calendar_at: Position,
}

impl RawForecast {
    pub(in crate::documents) fn places(&self) -> ForecastPlaces {
        let shortfall_at = self.shortfall.at;
        let calendar_at = self.calendar.as_ref().map_or(shortfall_at, |it| it.at);
        ForecastPlaces { shortfall_at, calendar_at }
    }
}

/// What holds between the fields of `forecast`, and between it and the policy's
/// `signals`; `None` for those when they are faulty themselves.
pub(super) fn checked(
    raw: At<RawForecast>,
    signals: Option<&[Signal]>,
    faults: &mut Faults,
) -> Option<Foresight> {
    let At { value: RawForecast { shortfall, seasons, time_zone, calendar }, at } = raw;
    let is_load = |it: &Signal| match it.rule {
        Rule::ValuePerUnit { .. } => true,
        Rule::QueueDepth { .. } | Rule::LatencyObjective { .. } => false,
    };
    let mut is_good = true;
    if signals.is_some_and(|it| !it.iter().any(is_load)) {
        faults.error(
            at,
            "`forecast` has nothing to forecast: no signal has `value_per_unit`",
            "add one for the load itself, such as requests or arrivals per second, or remove `forecast`",
        );
        is_good = false;
    }
    let seasons = seasons.map(|it| it.value.0).unwrap_or_default();
    for (one, two) in seasons.iter().zip(seasons.iter().skip(1)) {
        let (Duration(shorter), Duration(longer)) = (&one.value, &two.value);
        if longer <= shorter {
            let (one, next) = (show_duration(*shorter), show_duration(*longer));
            let message = format!("`seasons` must ascend, found {next} after {one}");
            faults.error(two.at, message, "write the shortest first, and each once");
            is_good = false;
        }
    }
    let seasons: Vec<_> = seasons.into_iter().map(|it| it.value.0).collect();
    is_good.then(|| Foresight {
        shortfall: match shortfall.value {
            RawShortfall::TimeRatioMax(ShortfallRatio(it)) => Shortfall::TimeRatio(it),
            RawShortfall::UsdPerUnitHour(ShortfallCost(it)) => Shortfall::UsdPerUnitHour(it),
        },
        seasons: (!seasons.is_empty()).then_some(seasons),
        time_zone: time_zone.value.name,
        calendar: calendar.map(|it| it.value.0),
    })
}
