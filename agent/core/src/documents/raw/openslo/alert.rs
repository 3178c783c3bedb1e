//! `spec:` of `AlertPolicy`, `AlertCondition` and `AlertNotificationTarget`.
//!
//! **In:** the mapping as written.
//! **Out:** an [`AlertDraft`], conditions of other documents by name.
//! **Not here:** whether an alert can fire for an SLO ([`crate::documents::load`]), the
//! alerts of an SLO without policies ([`crate::documents::AlertPolicy::workbook`]).

use jiff::SignedDuration;
use serde_json::json;

use super::inline::{Inline, Inlined, RefOr};
use super::scalar::{ConditionKind, Description, Shorthand};
use super::{Kind, OrNothing, fields, flat};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::List;
use crate::documents::raw::scalar::{Finite, ShortText};
use crate::documents::{BurnCondition, Comparison};
use crate::incident::Severity;
use crate::slo::{LOOKBACK_MAX, SLOT};
use crate::units::show_duration;

/// Most conditions of one policy. The specification allows one and keeps a list for more;
/// a long and a short window need two. Why 8: nobody reads more.
const CONDITIONS_MAX: usize = 8;
/// Most notification targets of one policy. Why 16: they are for routing.
const TARGETS_MAX: usize = 16;
/// The shortest lookback. Why a minute: the shortest that the shorthand can write.
const LOOKBACK_MIN: SignedDuration = SignedDuration::from_mins(1);
/// The longest wait. Why a day: who waits longer wants a longer window.
const ALERT_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);

fields! {
    /// When who is told of an SLO.
    struct RawAlertPolicy {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
        /// Whether to tell when there is no data.
        defaulted(json!(false)) when_no_data = "alertWhenNoData": bool,
        /// Whether to tell when it is over.
        defaulted(json!(false)) when_resolved = "alertWhenResolved": bool,
        /// Whether to tell when it begins.
        defaulted(json!(false)) when_breaching = "alertWhenBreaching": bool,
        /// All must hold.
        required conditions: List<RefOr<RawAlertCondition>, 1, CONDITIONS_MAX>,
        /// Their names become labels of the alert.
        optional notification_targets = "notificationTargets":
            OrNothing<List<RefOr<RawNotificationTarget>, 0, TARGETS_MAX>>,
    }
}

fields! {
    /// Which burn rate is too much, and how urgent that is.
    struct RawAlertCondition {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
        /// `page`, `critical`, `sev0`, `sev1`, `p0` and `p1` wake somebody up, `info` is
        /// only worth knowing, all else is for the working day.
        required severity: ShortText,
        /// What is compared.
        required condition: RawBurn,
    }
}

fields! {
    /// A burn rate over a window, and with what it is compared.
    struct RawBurn {
        /// There is only one.
        defaulted(json!("burnrate")) kind: ConditionKind,
        /// How the burn rate is compared with `threshold`.
        required op: Comparison,
        /// 1 spends exactly the budget over the window of the SLO.
        required threshold: Finite,
        /// The window that ends now; at most three days.
        required lookback_window = "lookbackWindow": Shorthand,
        /// For how long it must hold; at most a day.
        defaulted(json!("0m")) alert_after = "alertAfter": Shorthand,
    }
}

fields! {
    /// Where alerts are sent to.
    struct RawNotificationTarget {
        /// For example `slack`. Only its name is used: the daemon's configuration says
        /// where notifications go.
        #[expect(dead_code, reason = "only its form matters to us")]
        required target: ShortText,
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
    }
}

impl Inlined for RawAlertPolicy {
    const KIND: Kind = Kind::AlertPolicy;
    const REF: &'static str = "alertPolicyRef";
}

impl Inlined for RawAlertCondition {
    const KIND: Kind = Kind::AlertCondition;
    const REF: &'static str = "conditionRef";
}

impl Inlined for RawNotificationTarget {
    const KIND: Kind = Kind::AlertNotificationTarget;
    const REF: &'static str = "targetRef";
}

/// An alert policy before other documents are looked at.
pub(in crate::documents) struct AlertDraft {
    pub(in crate::documents) at: Position,
    pub(in crate::documents) when_breaching: bool,
    pub(in crate::documents) when_resolved: bool,
    pub(in crate::documents) when_no_data: bool,
    pub(in crate::documents) conditions: Vec<ConditionRef>,
    /// Names; whether each must be described by another document.
    pub(in crate::documents) notification_targets: Vec<(At<String>, bool)>,
}

/// A condition, or the name of one.
pub(in crate::documents) enum ConditionRef {
    Ref(At<String>),
    Inline(ConditionDraft),
}

/// A condition, and where it says so.
#[derive(Clone, Copy)]
pub(in crate::documents) struct ConditionDraft {
    pub(in crate::documents) severity: Severity,
    pub(in crate::documents) burn: BurnCondition,
    pub(in crate::documents) threshold_at: Position,
    pub(in crate::documents) lookback_at: Position,
}

impl RawAlertPolicy {
    /// `at` is where the whole is.
    pub(in crate::documents) fn checked(
        self,
        at: Position,
        faults: &mut Faults,
    ) -> Option<AlertDraft> {
        let (when_breaching, when_resolved, when_no_data) =
            (self.when_breaching.value, self.when_resolved.value, self.when_no_data.value);
        if !(when_breaching || when_resolved || when_no_data) {
            let message = "the alert policy never tells anybody";
            let hint = "add `alertWhenBreaching: true`; without it, the specification says no";
            faults.warning(at, message, hint);
        }
        let conditions: Vec<Option<ConditionRef>> = self
            .conditions
            .value
            .0
            .into_iter()
            .map(|it| match it.value {
                RefOr::Ref(name) => Some(ConditionRef::Ref(name)),
                RefOr::Inline(inline) => {
                    inline.spec.value.checked(faults).map(ConditionRef::Inline)
                }
            })
            .collect();
        let notification_targets = flat(self.notification_targets).map(|it| it.0);
        let notification_targets = notification_targets.unwrap_or_default().into_iter();
        let notification_targets = notification_targets.map(|it| match it.value {
            RefOr::Ref(name) => (name, true),
            RefOr::Inline(inline) => {
                let Inline { metadata, .. } = *inline;
                (At { value: metadata.name().to_owned(), at: metadata.name_at() }, false)
            }
        });
        Some(AlertDraft {
            at,
            when_breaching,
            when_resolved,
            when_no_data,
            conditions: conditions.into_iter().collect::<Option<Vec<_>>>()?,
            notification_targets: notification_targets.collect(),
        })
    }
}

impl RawAlertCondition {
    pub(in crate::documents) fn checked(self, faults: &mut Faults) -> Option<ConditionDraft> {
        let RawAlertCondition { severity, condition, .. } = self;
        let RawBurn { kind, op, threshold, lookback_window, alert_after } = condition.value;
        let ConditionKind::BurnRate = kind.value;
        let (lookback, wait) = (lookback_window.value.rolling(), alert_after.value.rolling());
        let is_whole = lookback.as_secs() % SLOT.as_secs() == 0;
        let mut is_good = true;
        if !(is_whole && LOOKBACK_MIN <= lookback && lookback <= LOOKBACK_MAX) {
            let message = format!(
                "`lookbackWindow` is `{}`, it must be from {} to {}",
                lookback_window.value,
                show_duration(LOOKBACK_MIN),
                show_duration(LOOKBACK_MAX)
            );
            let hint = "write for example `5m` or `1h`; what is slower than three days is for the \
                        budget itself";
            faults.error(lookback_window.at, message, hint);
            is_good = false;
        }
        if ALERT_AFTER_MAX < wait {
            let message = format!(
                "`alertAfter` is `{}`, it must be at most {}",
                alert_after.value,
                show_duration(ALERT_AFTER_MAX)
            );
            faults.error(alert_after.at, message, "write a longer `lookbackWindow` instead");
            is_good = false;
        }
        let burn = BurnCondition {
            lookback,
            op: op.value,
            threshold: threshold.value.0,
            alert_after: wait,
        };
        let severity = severity_of(&severity.value.0);
        let (threshold_at, lookback_at) = (threshold.at, lookback_window.at);
        is_good.then_some(ConditionDraft { severity, burn, threshold_at, lookback_at })
    }
}

/// The specification leaves the word free; these are what people use.
fn severity_of(word: &str) -> Severity {
    match word.trim().to_ascii_lowercase().as_str() {
        "page" | "critical" | "sev0" | "sev1" | "p0" | "p1" => Severity::Page,
        "info" => Severity::Info,
        _ => Severity::Ticket,
    }
}
