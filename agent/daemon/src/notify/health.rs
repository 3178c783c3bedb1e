//! Whether people can be told anything at all.
//!
//! **In:** how each attempt on each channel went, and the time.
//! **Out:** a word when the notifier dies, and one when it is back.
//! **Not here:** telling the core ([`super`]).

use std::time::Duration;

use tokio::time::Instant;

/// What is known of all channels.
#[derive(Debug)]
pub(super) struct Health {
    channels: Vec<ChannelHealth>,
    dead_after: Duration,
    said: Said,
}

#[derive(Debug)]
struct ChannelHealth {
    name: String,
    required: bool,
    /// The first failure since the last success, and the reason of the latest.
    failing: Option<(Instant, String)>,
    has_worked: bool,
}

/// What the core was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Nothing since the start: it may remember a death from before.
    Nothing,
    Dead,
    Alive,
}

/// Something to tell: `Some` is why notices cannot be delivered.
pub(super) type News = Option<String>;

impl Health {
    /// Channels by name and whether each alone is required.
    pub(super) fn new<'a>(
        channels: impl IntoIterator<Item = (&'a str, bool)>,
        dead_after: Duration,
    ) -> Health {
        let channels = channels.into_iter().map(|(name, required)| ChannelHealth {
            name: name.to_owned(),
            required,
            failing: None,
            has_worked: false,
        });
        Health { channels: channels.collect(), dead_after, said: Said::Nothing }
    }

    /// The channel took a message.
    pub(super) fn worked(&mut self, channel: usize) -> bool {
        let Some(it) = self.channels.get_mut(channel) else { return false };
        it.has_worked = true;
        it.failing.take().is_some()
    }

    /// It did not. Answers whether that is the first failure after a success.
    pub(super) fn failed(&mut self, now: Instant, channel: usize, reason: String) -> bool {
        let Some(it) = self.channels.get_mut(channel) else { return false };
        let is_first = it.failing.is_none();
        let since = it.failing.take().map_or(now, |(since, _)| since);
        it.failing = Some((since, reason));
        is_first
    }

    /// What to tell the core, if anything has changed.
    pub(super) fn check(&mut self, now: Instant) -> Option<News> {
        let is_dead = self.dies_at().is_some_and(|at| at <= now);
        let has_worked = self.channels.iter().any(|it| it.has_worked);
        match (self.said, is_dead) {
            (Said::Nothing | Said::Alive, true) => {
                self.said = Said::Dead;
                Some(Some(self.trouble(now)))
            }
            (Said::Dead, false) => {
                self.said = Said::Alive;
                Some(None)
            }
            // Whatever was before the start is over.
            (Said::Nothing, false) if has_worked => {
                self.said = Said::Alive;
                Some(None)
            }
            (Said::Nothing | Said::Alive, false) | (Said::Dead, true) => None,
        }
    }

    /// When the notifier counts as dead, if nothing works until then.
    pub(super) fn dies_at(&self) -> Option<Instant> {
        let since = |it: &ChannelHealth| it.failing.as_ref().map(|(since, _)| *since);
        let required = self.channels.iter().filter(|it| it.required).filter_map(since).min();
        // All of them: none that has not failed.
        let all: Option<Vec<Instant>> = self.channels.iter().map(since).collect();
        let all = all.and_then(|it| it.into_iter().max());
        let since = [required, all].into_iter().flatten().min()?;
        Some(since + self.dead_after)
    }

    fn trouble(&self, now: Instant) -> String {
        let told = self.channels.iter().filter_map(|it| {
            let (since, reason) = it.failing.as_ref()?;
            let minutes = now.duration_since(*since).as_secs() / 60;
            let required = if it.required { ", required," } else { "" };
            Some(format!("channel `{}`{required} has failed for {minutes} min: {reason}", it.name))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
