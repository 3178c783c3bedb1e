//! The notices that wait for one channel: order, rate and retries.
//!
//! **In:** notices, how each attempt went, and the time.
//! **Out:** what to send next, or until when to wait.
//! **Not here:** sending ([`super::outlet`]), what a delivery on all channels means
//! ([`super::book`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::incident::Severity;
use evenkeel_core::notice::{NOTICE_TRIED_FOR, Notice};
use jiff::Timestamp;
use tokio::time::Instant;

use super::failure::Failure;

/// Most notices that wait for one channel. Why 1,000: twice what the core remembers, so
/// that only a channel that is dead for long ever gets there.
pub(super) const WAITING_MAX: usize = 1_000;

/// Messages a minute that one channel gets. Why 30: Slack takes one a second, and nobody
/// reads more than one every two.
const MESSAGES_PER_MINUTE: u32 = 30;

/// One message in this time, on average.
const TOKEN_EVERY: Duration = Duration::from_secs(2);

/// Messages of a minute that only pages may use. Why 10: in a storm that many pages are
/// told one by one, whatever else there is to tell.
const KEPT_FOR_PAGES: u32 = 10;

/// From the first notice over the limit until a message sums them up. Why 1 min: by then
/// the limit has room again.
const SUMMED_UP_AFTER: Duration = Duration::from_secs(60);

/// Pause after the first failed attempt; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// Longest pause. Why 5 min: after a repaired receiver, what waits comes while people
/// still remember why.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// One notice on its way to one channel.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) notice: Arc<Notice>,
    /// How often the channel refused this very message.
    n_refused: u32,
    /// Not before this, when it was refused.
    not_before: Option<Instant>,
}

impl Job {
    pub(super) fn new(notice: Arc<Notice>) -> Job {
        Job { notice, n_refused: 0, not_before: None }
    }

    fn is_page(&self) -> bool {
        self.notice.severity == Severity::Page
    }
}

/// What goes out as one message.
#[derive(Debug)]
pub(super) enum Parcel {
    /// One notice.
    One(Job),
    /// Those over the limit, told by their number; at least two.
    Summary(Vec<Job>),
}

impl Parcel {
    pub(super) fn into_jobs(self) -> Vec<Job> {
        match self {
            Parcel::One(job) => vec![job],
            Parcel::Summary(jobs) => jobs,
        }
    }
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    Send(Parcel),
    /// Nothing until then, or until something new waits.
    Wait(Option<Instant>),
}

/// The line in front of one channel. What is sent has left it until it comes back by
/// [`Line::failed`].
#[derive(Debug)]
pub(super) struct Line {
    waiting: VecDeque<Job>,
    /// Over the limit; summed up at `summary_at`.
    over: Vec<Job>,
    summary_at: Option<Instant>,
    tokens: u32,
    /// Up to when tokens have been added.
    filled_at: Instant,
    n_failed: u32,
    quiet_until: Option<Instant>,
}

impl Line {
    pub(super) fn new(now: Instant) -> Line {
        Line {
            waiting: VecDeque::new(),
            over: Vec::new(),
            summary_at: None,
            tokens: MESSAGES_PER_MINUTE,
            filled_at: now,
            n_failed: 0,
            quiet_until: None,
        }
    }

    /// Takes a notice in. Beyond [`WAITING_MAX`] the oldest that is not a page leaves, which
    /// may be the new one; pages always stay, and the core never has more than a few.
    pub(super) fn push(&mut self, job: Job) -> Option<Job> {
        let is_page = job.is_page();
        self.waiting.push_back(job);
        if self.waiting.len() + self.over.len() <= WAITING_MAX {
            return None;
        }
        if !self.over.is_empty() {
            return Some(self.over.remove(0));
        }
        match self.waiting.iter().position(|it| !it.is_page()) {
            Some(oldest) => self.waiting.remove(oldest),
            None if is_page => None,
            None => self.waiting.pop_back(),
        }
    }

    /// Takes out what has been tried for long enough.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Job> {
        let is_over =
            |it: &Job| it.notice.at.saturating_add(NOTICE_TRIED_FOR).is_ok_and(|end| end <= now);
        let mut expired: Vec<Job> = self.over.extract_if(.., |it| is_over(it)).collect();
        let (over, waiting) = self.waiting.drain(..).partition::<Vec<_>, _>(is_over);
        self.waiting = waiting.into();
        expired.extend(over);
        expired
    }

    /// What to do at `now`. Within a severity the order is kept, except for messages that
    /// the channel refused: they let others pass.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        self.fill(now);
        if let Some(until) = self.quiet_until.filter(|it| now < *it) {
            return Next::Wait(Some(until));
        }
        let mut wake: Option<Instant> = None;
        let mut wake_at = |at: Instant| wake = Some(wake.map_or(at, |it| it.min(at)));
        let mut place = 0;
        while let Some(job) = self.waiting.get(place) {
            if let Some(at) = job.not_before.filter(|it| now < *it) {
                wake_at(at);
                place += 1;
                continue;
            }
            let is_page = job.is_page();
            let kept = if is_page { 0 } else { KEPT_FOR_PAGES };
            let has_turn = kept < self.tokens && (is_page || self.over.is_empty());
            if is_page && !has_turn {
                wake_at(self.filled_at + TOKEN_EVERY);
                place += 1;
            } else if let Some(job) = self.waiting.remove(place) {
                if has_turn {
                    self.tokens -= 1;
                    return Next::Send(Parcel::One(job));
                }
                self.over.push(job);
                self.summary_at.get_or_insert(now + SUMMED_UP_AFTER);
            }
        }
        if let Some(at) = self.summary_at.filter(|_| !self.over.is_empty()) {
            if at <= now && KEPT_FOR_PAGES < self.tokens {
                self.tokens -= 1;
                self.summary_at = None;
                let mut jobs = std::mem::take(&mut self.over);
                return Next::Send(match jobs.len() {
                    1 => jobs.pop().map_or(Parcel::Summary(jobs), Parcel::One),
                    _ => Parcel::Summary(jobs),
                });
            }
            wake_at(at.max(self.filled_at + TOKEN_EVERY));
        }
        Next::Wait(wake)
    }

    /// The channel took what was sent.
    pub(super) fn sent(&mut self) {
        self.n_failed = 0;
        self.quiet_until = None;
    }

    /// The channel did not take it: back it goes, to where it came from.
    pub(super) fn failed(&mut self, now: Instant, parcel: Parcel, failure: &Failure) {
        match (parcel, failure) {
            (Parcel::One(mut job), Failure::Message { .. }) => {
                job.n_refused = job.n_refused.saturating_add(1);
                job.not_before = Some(now + backoff(job.n_refused));
                self.waiting.push_front(job);
            }
            (parcel, failure) => {
                self.n_failed = self.n_failed.saturating_add(1);
                let pause = backoff(self.n_failed).max(failure.again_after());
                self.quiet_until = Some(now + pause.min(BACKOFF_MAX));
                match parcel {
                    Parcel::One(job) => self.waiting.push_front(job),
                    Parcel::Summary(mut jobs) => {
                        jobs.append(&mut self.over);
                        self.over = jobs;
                        self.summary_at = Some(now);
                    }
                }
            }
        }
    }

    fn fill(&mut self, now: Instant) {
        while self.tokens < MESSAGES_PER_MINUTE && self.filled_at + TOKEN_EVERY <= now {
            self.filled_at += TOKEN_EVERY;
            self.tokens += 1;
        }
        if MESSAGES_PER_MINUTE <= self.tokens {
            self.filled_at = now;
        }
    }
}

/// The pause after `n` failures in a row, `n` from 1: 1 s, 2 s, 4 s, … 5 min.
fn backoff(n: u32) -> Duration {
    let factor = 1_u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX);
    BACKOFF_MIN.saturating_mul(factor).min(BACKOFF_MAX)
}
