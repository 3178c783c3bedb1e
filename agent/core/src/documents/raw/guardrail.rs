//! `spec:` of a `Guardrail`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Guardrail`] whose schedules mean something.
//! **Not here:** what the guard makes of it ([`crate::guard`]).

use std::collections::BTreeMap;

use serde_json::json;

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::At;
use crate::documents::raw::scalar::{Duration, RemovedRatio, ShortText};
use crate::documents::raw::selector::RawSelector;
use crate::documents::raw::{List, fields};
use crate::documents::{BlastRadius, FreezeWindow, Guardrail, ScheduleError};
use crate::ids::GuardrailId;

/// Most freeze windows of one guardrail. Why 64: each is evaluated for each of
/// its targets in every period.
const FREEZE_WINDOWS_MAX: usize = 64;

fields! {
    /// What must never happen, whatever a policy wants.
    struct RawGuardrail {
        /// The targets it is for.
        required selector: RawSelector,
        /// `true`: the agent never changes these targets, and nobody can ask it to.
        defaulted(json!(false)) protected: bool,
        /// Recurring times in which nothing changes.
        defaulted(json!([])) freeze_windows: List<RawFreezeWindow, 0, FREEZE_WINDOWS_MAX>,
        /// How much capacity may leave the selected targets together.
        optional blast_radius: RawBlastRadius,
    }
}

fields! {
    /// A recurring time in which nothing changes.
    struct RawFreezeWindow {
        /// What people call it.
        required name: ShortText,
        /// When it begins, in five fields: minute, hour, day of month, month,
        /// day of week. Wall-clock time of `time_zone`.
        required cron: ShortText,
        /// An IANA time zone, such as `Europe/Berlin` or `UTC`.
        required time_zone: ShortText,
        /// How long it lasts, at most 31 days.
        required duration: Duration<60, 2_678_400>,
    }
}

fields! {
    /// The largest removal of capacity in a sliding window.
    struct RawBlastRadius {
        /// Removals are counted over this long, from 1 minute to 24 hours.
        required window: Duration<60, 86_400>,
        /// Fraction of the capacity at the window's start. One unit may always leave.
        required removed_ratio_max: RemovedRatio,
    }
}

impl RawGuardrail {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        id: GuardrailId,
        faults: &mut Faults,
    ) -> Option<Guardrail> {
        let RawGuardrail { selector, protected, freeze_windows, blast_radius } = self;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut windows = Vec::new();
        let mut is_good = true;
        for At { value, at } in freeze_windows.value.0 {
            let RawFreezeWindow { name, cron, time_zone, duration } = value;
            let (ShortText(cron_text), ShortText(zone)) = (&cron.value, &time_zone.value);
            let ShortText(name_text) = &name.value;
            if let Some(line) = seen.insert(name_text.clone(), name.at.line) {
                let message =
                    format!("freeze window `{name_text}` is named twice, first in line {line}");
                faults.error(name.at, message, "give each its own name");
                is_good = false;
            }
            // Each with a partner known to be good, so that both faults are found.
            if let Err(error) = FreezeWindow::new(name_text, "0 0 * * *", zone, duration.value.0) {
                let message = format!("`time_zone`: {error}");
                faults.error(time_zone.at, message, "write a name of the IANA database, or `UTC`");
                is_good = false;
            }
            if let Err(error) = FreezeWindow::new(name_text, cron_text, "UTC", duration.value.0) {
                let hint = "write for example `0 18 * * FRI` for Fridays at 18:00";
                faults.error(cron.at, format!("`cron`: {}", cron_reason(&error)), hint);
                is_good = false;
            }
            match FreezeWindow::new(name_text, cron_text, zone, duration.value.0) {
                Ok(window) if window.schedule.comes_ever() => windows.push(window),
                Ok(_) => {
                    let message = format!("`cron`: {} never comes", quoted(cron_text));
                    faults.error(cron.at, message, "check the day of the month and the month");
                    is_good = false;
                }
                Err(error) if is_good => {
                    faults.error(at, error.to_string(), "check `cron` and `time_zone`");
                    is_good = false;
                }
                Err(_) => {}
            }
        }
        is_good.then(|| Guardrail {
            id,
            selector: selector.value.checked(),
            protected: protected.value,
            freeze_windows: windows,
            blast_radius: blast_radius.map(|it| BlastRadius {
                window: it.value.window.value.0,
                removed_ratio_max: it.value.removed_ratio_max.value.0,
            }),
        })
    }
}

/// Why a cron expression was not understood. The parser draws the expression and
/// a caret; the reason is on the last line.
pub(super) fn cron_reason(error: &ScheduleError) -> &str {
    let reason = error.message.lines().next_back().unwrap_or_default();
    reason.trim_start_matches([' ', '^']).trim_end()
}
