//! What budgets need from outside: SLOs' events, prices, usage, bills.
//!
//! **In:** documents, a metrics source, what the agent wants to have read.
//! **Out:** inputs to the loop, every half minute; a file beside the journal, so that a
//! restart loses no count.
//! **Not here:** counting, alerts and money themselves (`evenkeel_core::slo`,
//! `evenkeel_core::spend`), what is shown of them ([`crate::metrics`], [`crate::api`]).

pub(crate) mod bills;
pub(crate) mod keeper;
mod questions;
mod slis;
mod spend;
#[cfg(test)]
mod tests;
mod troubles;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::agent::Input;
use evenkeel_core::documents::Documents;
use evenkeel_core::slo::{SLOT, SliReading};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::mailbox::{Mailbox, Unavailable};
use crate::metrics::Metrics;
use crate::source::MetricsSource;

use slis::{Job, SliReader};
use troubles::Troubles;

/// How long after the end of a slot it is read.
///
/// Why 5 s: a scrape that ended with the slot has been taken in by then, also by a
/// Prometheus that is fed by another. What is later still is read again for five minutes.
const READ_DELAY: SignedDuration = SignedDuration::from_secs(5);

/// Slots of all readings of one input to the loop.
///
/// Why 20,000: a few milliseconds of adding up, so that people need not wait; two first
/// readings of three days, or the regular ones of 1,800 objectives.
const SLOTS_PER_INPUT: usize = 20_000;

/// Longest time for the regular readings of one pass.
///
/// Why 20 s: two time-outs of a query, and what is left of half a minute is for the rest.
/// What was not read by then is read first in the next pass.
const PASS_MAX: Duration = Duration::from_secs(20);

/// Reads again and again.
pub(crate) struct BudgetReader {
    pub(crate) clock: Clock,
    pub(crate) documents: watch::Receiver<Arc<Documents>>,
    pub(crate) source: Arc<MetricsSource>,
    pub(crate) mailbox: Mailbox,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Nobody takes inputs any more: the daemon stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopping;

impl BudgetReader {
    /// Runs until the loop takes no more inputs.
    pub(crate) async fn run(mut self) {
        let troubles = Troubles::default();
        let mut slis = SliReader::new(
            Arc::clone(&self.source),
            self.clock.clone(),
            Arc::clone(&self.metrics),
            self.inputs.clone(),
            troubles.clone(),
        );
        loop {
            if self.pass(&mut slis, &troubles).await == Err(Stopping) {
                return;
            }
            let next = next_reading(self.clock.now());
            tokio::select! {
                () = self.clock.sleep_until(Some(next)) => (),
                () = self.inputs.closed() => return,
            }
        }
    }

    /// Everything once: what alerts wait for, then money, so that the loop has both when
    /// it is told of money; first readings go on beside it.
    async fn pass(&mut self, slis: &mut SliReader, troubles: &Troubles) -> Result<(), Stopping> {
        let documents = Arc::clone(&self.documents.borrow_and_update());
        let jobs = match self.wanted().await {
            Ok(jobs) => jobs,
            Err(Unavailable::Stopping) => return Err(Stopping),
            Err(error) => {
                warn!(%error, "SLOs are not read this time");
                Vec::new()
            }
        };
        let (regular, first): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(|it| it.is_regular());
        let n_regular = regular.len();
        slis.forget_but(&regular, &first);
        let (sent, spend) = tokio::join!(
            slis.read_regular(regular),
            spend::read(&self.source, &self.clock, &documents, &self.metrics, troubles),
        );
        sent?;
        send(&self.inputs, Input::SpendRead(Box::new(spend))).await?;
        let n_first = first.len();
        slis.begin_first(first);
        debug!(n_regular, n_first, "budgets read");
        Ok(())
    }

    /// What the agent wants to have read, with the indicators that it means.
    async fn wanted(&self) -> Result<Vec<Job>, Unavailable> {
        let asked = self
            .mailbox
            .ask(|agent, now| (Arc::clone(agent.documents()), agent.slis_wanted(now)))
            .await?;
        let (documents, wanted) = asked;
        Ok(wanted.into_iter().filter_map(|it| Job::of(&documents, it)).collect())
    }
}

/// When to read next: a little after the slot that is under way has ended.
fn next_reading(now: Timestamp) -> Timestamp {
    let second = (now - READ_DELAY).as_second();
    let ends = (second.div_euclid(SLOT.as_secs()) + 1).saturating_mul(SLOT.as_secs());
    Timestamp::from_second(ends).unwrap_or(now).checked_add(READ_DELAY).unwrap_or(Timestamp::MAX)
}

async fn send(inputs: &mpsc::Sender<Input>, input: Input) -> Result<(), Stopping> {
    inputs.send(input).await.map_err(|_| Stopping)
}

/// Readings on their way to the loop, in inputs of bounded size.
struct Batch<'a> {
    inputs: &'a mpsc::Sender<Input>,
    readings: Vec<SliReading>,
    n_slots: usize,
}

impl<'a> Batch<'a> {
    fn new(inputs: &'a mpsc::Sender<Input>) -> Batch<'a> {
        Batch { inputs, readings: Vec::new(), n_slots: 0 }
    }

    async fn add(&mut self, readings: Vec<SliReading>) -> Result<(), Stopping> {
        for reading in readings {
            self.n_slots += reading.slots.len();
            self.readings.push(reading);
            if SLOTS_PER_INPUT <= self.n_slots {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Stopping> {
        self.n_slots = 0;
        let readings = std::mem::take(&mut self.readings);
        if readings.is_empty() {
            Ok(())
        } else {
            send(self.inputs, Input::SlisRead(readings)).await
        }
    }
}

#[cfg(test)]
mod times {
    use super::*;

    #[track_caller]
    fn check(now: &str, next: &str) {
        let at = |time: &str| format!("2026-03-01T12:{time}Z").parse::<Timestamp>().unwrap();
        assert_eq!(next_reading(at(now)), at(next));
    }

    #[test]
    fn a_slot_is_read_five_seconds_after_its_end_and_never_twice_in_a_row() {
        check("00:00", "00:05");
        check("00:04.9", "00:05");
        check("00:05", "00:35");
        check("00:05.1", "00:35");
        check("00:34", "00:35");
        check("00:36", "01:05");
    }
}
