//! Telling people: every notice to every channel that wants it.
//!
//! **In:** [`Notice`]s from the core, as effects.
//! **Out:** messages; to the core, how each notice ended and whether people can be reached
//! at all ([`Input::NoticeFinished`], [`Input::NotifierChecked`]).
//! **Not here:** what is worth telling (`evenkeel-core`), Prometheus' alerts about the
//! daemon itself (`iac/alerts/`).
//!
//! Each channel has a line and a task of its own: one that hangs holds up no other.
//! Nothing here is durable: after a restart the core hands out again what has not ended,
//! so a receiver may see a notice twice, and knows it by its number.

mod book;
mod email;
mod failure;
mod health;
mod heartbeat;
mod http;
mod line;
mod message;
mod outlet;
mod secret;
mod slack;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::agent::Input;
use evenkeel_core::ids::Region;
use evenkeel_core::incident::Severity;
use evenkeel_core::notice::{Delivery, Notice};
use jiff::SignedDuration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::config::{ChannelConfig, NotificationsConfig};
use crate::metrics::{Metrics, NoticeOutcome};
use book::{Begun, Book};
use failure::Failure;
use health::Health;
use http::Http;
use line::{Job, Line, Next, Parcel};
use outlet::Outlet;

pub(crate) use heartbeat::Heartbeat;
pub use http::HttpError;

/// What the notifier needs to know.
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// Named in every message: several daemons may write to one channel.
    pub region: Region,
    /// Where notices go.
    pub channels: Vec<ChannelConfig>,
    /// After this long without success the notifier counts as dead.
    pub dead_after: SignedDuration,
    /// Further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
}

impl NotifySettings {
    /// Nobody is told.
    pub fn nobody(region: Region) -> NotifySettings {
        let dead_after = NotificationsConfig::default().dead_after;
        NotifySettings { region, channels: Vec::new(), dead_after, ca_file: None }
    }
}

/// Delivers notices. Cheap to clone; the channels' tasks end with the last clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct Shared {
    region: Region,
    channels: Vec<Channel>,
    book: Mutex<Book>,
    health: Mutex<Health>,
    /// Wakes the task that watches the health.
    attempted: Notify,
    clock: Clock,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Channel {
    name: String,
    severity_min: Severity,
    outlet: Outlet,
    line: Mutex<Line>,
    /// Wakes its task.
    pushed: Notify,
}

impl Notifier {
    /// A notifier whose tasks run; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when HTTPS cannot be set up.
    pub fn new(
        settings: NotifySettings,
        clock: Clock,
        inputs: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) -> Result<Notifier, HttpError> {
        let NotifySettings { region, channels, dead_after, ca_file } = settings;
        if channels.is_empty() {
            return Ok(Notifier::over(region, Vec::new(), dead_after, clock, inputs, metrics));
        }
        let http = Http::new(ca_file.as_deref())?;
        let outlets = channels.into_iter().map(|it| {
            let ChannelConfig { name, severity_min, required, kind } = it;
            (name, severity_min, required, Outlet::new(kind, &http))
        });
        Ok(Notifier::over(region, outlets.collect(), dead_after, clock, inputs, metrics))
    }

    fn over(
        region: Region,
        outlets: Vec<(String, Severity, bool, Outlet)>,
        dead_after: SignedDuration,
        clock: Clock,
        inputs: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) -> Notifier {
        // Its own pauses are real time, also where the clock is scaled.
        let dead_after = Duration::try_from(dead_after).unwrap_or(Duration::ZERO);
        let names = outlets.iter().map(|(name, _, required, _)| (name.as_str(), *required));
        let health = Mutex::new(Health::new(names, dead_after));
        let channels = outlets.into_iter().map(|(name, severity_min, _, outlet)| Channel {
            name,
            severity_min,
            outlet,
            line: Mutex::new(Line::new(Instant::now())),
            pushed: Notify::new(),
        });
        let shared = Arc::new(Shared {
            region,
            channels: channels.collect(),
            book: Mutex::default(),
            health,
            attempted: Notify::new(),
            clock,
            inputs,
            metrics,
        });
        let mut tasks = vec![tokio::spawn(watch_health(Arc::clone(&shared))).abort_handle()];
        for place in 0..shared.channels.len() {
            tasks.push(tokio::spawn(serve(Arc::clone(&shared), place)).abort_handle());
        }
        Notifier { shared, _tasks: Arc::new(Tasks(tasks)) }
    }

    /// Begins to deliver `notice` and returns at once; its end is reported as
    /// [`Input::NoticeFinished`]. One that is under way is left alone; of one that has
    /// ended, the end is reported again. `runtime` waits where the loop must not.
    pub fn start(&self, runtime: &Handle, notice: Notice) {
        let shared = &self.shared;
        let wanting = || shared.channels.iter().filter(|it| it.severity_min <= notice.severity);
        let id = notice.id;
        let begun = lock(&shared.book).begin(id, wanting().count());
        match begun {
            Begun::UnderWay => return,
            Begun::Ended(delivery) => {
                if shared.channels.is_empty() {
                    warn!(
                        notice = %id, severity = %notice.severity, title = %message::one_line(&notice.title, 200),
                        "nobody listens: `notifications` has no channels",
                    );
                }
                shared.report_later(runtime, Input::NoticeFinished { id, delivery });
                return;
            }
            Begun::New => (),
        }
        let severity = notice.severity;
        let notice = Arc::new(message::defused(notice));
        for channel in shared.channels.iter().filter(|it| it.severity_min <= severity) {
            let dropped = lock(&channel.line).push(Job::new(Arc::clone(&notice)));
            if let Some(job) = dropped {
                warn!(channel = channel.name, notice = %job.notice.id, "too many notices wait; one is dropped");
                if let Some(input) = shared.ended(channel, &job, NoticeOutcome::Dropped) {
                    shared.report_later(runtime, input);
                }
            }
            channel.pushed.notify_one();
        }
    }
}

impl Shared {
    /// `channel` has ended with a notice; the report, when it was the last to.
    fn ended(&self, channel: &Channel, job: &Job, outcome: NoticeOutcome) -> Option<Input> {
        let id = job.notice.id;
        self.metrics.count_notice(job.notice.topic, &channel.name, outcome);
        let taken = match outcome {
            NoticeOutcome::Delivered | NoticeOutcome::Summarised => true,
            NoticeOutcome::GivenUp | NoticeOutcome::Dropped => false,
        };
        let delivery = lock(&self.book).ended_on_a_channel(id, taken)?;
        if delivery == Delivery::GivenUp {
            warn!(notice = %id, "a notice was given up: no channel took it");
        }
        Some(Input::NoticeFinished { id, delivery })
    }

    async fn report(&self, input: Input) {
        if self.inputs.send(input).await.is_err() {
            // The loop has ended. The next start hands out the notice again.
            debug!("nobody is left to hear of a notice");
        }
    }

    /// For the loop itself, which must not wait for its own inlet.
    fn report_later(&self, runtime: &Handle, input: Input) {
        let inputs = self.inputs.clone();
        runtime.spawn(async move {
            // As in `report`.
            let _ = inputs.send(input).await;
        });
    }
}

/// One channel's task.
async fn serve(shared: Arc<Shared>, place: usize) {
    let Some(channel) = shared.channels.get(place) else { return };
    loop {
        let expired = lock(&channel.line).expire(shared.clock.now());
        for job in expired {
            if let Some(input) = shared.ended(channel, &job, NoticeOutcome::GivenUp) {
                shared.report(input).await;
            }
        }
        let next = lock(&channel.line).next(Instant::now());
        match next {
            Next::Send(parcel) => attempt(&shared, place, channel, parcel).await,
            Next::Wait(until) => tokio::select! {
                () = channel.pushed.notified() => (),
                () = sleep_until(until) => (),
            },
        }
    }
}

/// One attempt at one message, and what follows from it.
async fn attempt(shared: &Shared, place: usize, channel: &Channel, parcel: Parcel) {
    let sending = channel.outlet.send(&parcel, &shared.region, shared.clock.now());
    let limit = 2 * http::ATTEMPT_LIMIT;
    let sent = tokio::time::timeout(limit, sending).await.unwrap_or_else(|_| {
        Err(Failure::channel(format!("not done within {} s", limit.as_secs())))
    });
    match sent {
        Ok(()) => {
            if lock(&shared.health).worked(place) {
                info!(channel = channel.name, "notices are taken again");
            }
            lock(&channel.line).sent();
            let outcome = match &parcel {
                Parcel::One(_) => NoticeOutcome::Delivered,
                Parcel::Summary(_) => NoticeOutcome::Summarised,
            };
            for job in parcel.into_jobs() {
                if let Some(input) = shared.ended(channel, &job, outcome) {
                    shared.report(input).await;
                }
            }
        }
        Err(failure) => {
            let now = Instant::now();
            if lock(&shared.health).failed(now, place, failure.to_string()) {
                warn!(channel = channel.name, %failure, "a notice was not taken; it is tried again");
            } else {
                debug!(channel = channel.name, %failure, "a notice was not taken");
            }
            lock(&channel.line).failed(now, parcel, &failure);
        }
    }
    shared.attempted.notify_one();
}

/// Tells the core when the notifier dies, and when it is back.
async fn watch_health(shared: Arc<Shared>) {
    loop {
        let now = Instant::now();
        let (news, dies_at) = {
            let mut health = lock(&shared.health);
            (health.check(now), health.dies_at())
        };
        if let Some(trouble) = news {
            shared.metrics.set_notifier_dead(trouble.is_some());
            match &trouble {
                Some(trouble) => error!(%trouble, "notices cannot be delivered"),
                None => info!("notices can be delivered"),
            }
            shared.report(Input::NotifierChecked { trouble }).await;
        }
        tokio::select! {
            () = shared.attempted.notified() => (),
            // A death that was told is past; only an attempt changes that.
            () = sleep_until(dies_at.filter(|it| now < *it)) => (),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    // No thread panics between two writes that belong together.
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
