//! What the daemon knows of one series beside its newest value.
//!
//! **In:** readings, the past, and what the core said of the reading before.
//! **Out:** what is usual, and what is expected.
//! **Not here:** models and rings (`evenkeel-forecast`), and the daemon's refits: they make the
//! two days ahead that people are shown, and no decision looks at those.

use std::sync::Arc;

use evenkeel_core::documents::{Calendar, Foresight};
use evenkeel_core::outlook::Outlook;
use evenkeel_core::quality::Reading;
use evenkeel_forecast::History;
use evenkeel_forecast::live::{Forecaster, Settings};
use jiff::{SignedDuration, Timestamp};

/// Slots of the history of a series that is forecast, as the daemon has them.
const COARSE_STEP: SignedDuration = SignedDuration::from_mins(15);
const COARSE_SLOTS: usize = 14 * 24 * 4;

/// One series.
pub(super) struct Series {
    history: History,
    /// `None` where the policy has no `forecast`, or one that no forecaster takes.
    forecaster: Option<Forecaster>,
    lead_time: SignedDuration,
}

impl Series {
    /// A series with its past, oldest first, which ends at `until`.
    pub(super) fn new(
        foresight: Option<&(Foresight, Option<Arc<Calendar>>)>,
        lead_time: SignedDuration,
        past: &[(Timestamp, f64)],
        until: Timestamp,
    ) -> Series {
        let mut history = match foresight {
            Some(_) => {
                History::new(COARSE_STEP, COARSE_SLOTS).unwrap_or_else(|_| History::fortnight())
            }
            None => History::fortnight(),
        };
        history.backfill(until, past.iter().copied());
        let forecaster = foresight.and_then(|(foresight, calendar)| {
            let settings = Settings {
                seasons: foresight.seasons.clone(),
                time_zone: foresight.time_zone.clone(),
                lead_time,
                ..Settings::default()
            };
            let mut forecaster = Forecaster::new(settings).ok()?;
            forecaster.set_calendar(calendar.clone());
            forecaster.backfill(past.iter().copied(), until);
            Some(forecaster)
        });
        Series { history, forecaster, lead_time }
    }

    /// What the daemon does with a reading before the agent sees it: say what is usual, remember
    /// it, learn from it unless the agent doubted the one before, look ahead.
    pub(super) fn take_in(
        &mut self,
        now: Timestamp,
        reading: &Reading,
        is_doubted: bool,
        lead_time: SignedDuration,
        scratch: &mut Vec<f32>,
    ) -> (Option<f64>, Option<Arc<Outlook>>) {
        // Before recording: a lie must not make itself usual.
        let usual_low = self.history.usual_low(scratch);
        if let Reading::Value { value, sampled_at, doubt: None } = reading {
            self.history.record(now, *sampled_at, *value);
        }
        let Some(forecaster) = &mut self.forecaster else { return (usual_low, None) };
        if self.lead_time != lead_time {
            self.lead_time = lead_time;
            forecaster.set_lead_time(lead_time);
        }
        match reading {
            Reading::Value { value, sampled_at, doubt: None } if !is_doubted => {
                forecaster.update(*sampled_at, *value);
            }
            Reading::Value { .. } | Reading::Missing(_) => forecaster.miss(now),
        }
        (usual_low, forecaster.outlook(now).map(Arc::new))
    }
}
