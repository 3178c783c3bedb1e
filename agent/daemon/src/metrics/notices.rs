//! What became of notifications.
//!
//! **In:** how each notice ended on each channel; whether the notifier is dead.
//! **Out:** `evenkeel_notices_total` and `evenkeel_notifier_dead`.
//! **Not here:** sending ([`crate::notify`]).

use std::borrow::Cow;

use evenkeel_core::notice::Topic;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The channel's name comes from the configuration, so there are few.
type Labels = [(&'static str, Cow<'static, str>); 3];

/// How a notice ended on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeOutcome {
    /// The channel took it.
    Delivered,
    /// The channel took a summary that counts it.
    Summarised,
    /// It was tried for as long as a notice is tried.
    GivenUp,
    /// Too many waited, and it was the oldest that is not a page.
    Dropped,
}

impl NoticeOutcome {
    fn name(self) -> &'static str {
        match self {
            NoticeOutcome::Delivered => "delivered",
            NoticeOutcome::Summarised => "summarised",
            NoticeOutcome::GivenUp => "given_up",
            NoticeOutcome::Dropped => "dropped",
        }
    }
}

/// Both metrics.
#[derive(Debug, Default)]
pub(super) struct NoticeMetrics {
    notices: Family<Labels, Counter>,
    dead: Gauge,
}

impl NoticeMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "notices",
            "Notices that ended, by topic, channel and outcome",
            self.notices.clone(),
        );
        registry.register(
            "notifier_dead",
            "1 while no channel, or not every required one, can be reached",
            self.dead.clone(),
        );
    }

    pub(super) fn count(&self, topic: Topic, channel: &str, outcome: NoticeOutcome) {
        let labels = [
            ("topic", Cow::Borrowed(topic.name())),
            ("channel", Cow::Owned(channel.to_owned())),
            ("outcome", Cow::Borrowed(outcome.name())),
        ];
        self.notices.get_or_create(&labels).inc();
    }

    pub(super) fn set_dead(&self, dead: bool) {
        self.dead.set(i64::from(dead));
    }
}
