//! Notices, from the core's hand to the receivers'.
//!
//! **In:** notices, receivers that follow a script or listen on loopback.
//! **Out:** what the receivers got, and what the core was told.
//! **Not here:** what is worth telling (`evenkeel-core`).

mod channels;
mod delivery;
mod heartbeat;
mod limits;
mod messages;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_core::agent::Input;
use evenkeel_core::ids::{IncidentId, NoticeId, Region, RunId, TargetId};
use evenkeel_core::incident::Severity;
use evenkeel_core::notice::{Notice, Topic};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::failure::Failure;
use super::outlet::{Outlet, Told};
use super::{Notifier, lock};
use crate::clock::Clock;
use crate::metrics::Metrics;

fn start() -> Timestamp {
    "2026-03-01T03:00:00Z".parse().unwrap()
}

fn region() -> Region {
    Region::new("eu-central-1").unwrap()
}

fn notice(id: u64, severity: Severity) -> Notice {
    Notice {
        id: NoticeId(id),
        at: start(),
        severity,
        topic: Topic::ApprovalWanted,
        title: format!("notice {id}"),
        body: String::new(),
        plan: Vec::new(),
        answers: Vec::new(),
        runbook: None,
        target: None,
        incident: None,
        run: None,
    }
}

/// One with everything in it.
fn full() -> Notice {
    Notice {
        title: "gray-node wants to replace i-07 of checkout-api".to_owned(),
        body: "error ratio 0.12 of i-07, 0.001 of its peers\nfor 90 s".to_owned(),
        plan: vec![
            "1. replace instance i-07 (undo: none)".to_owned(),
            "2. verify: error ratio < 0.01 within 5m".to_owned(),
        ],
        answers: vec![
            "evenkeel approve run-4 --plan 9f2c11d0".to_owned(),
            "evenkeel deny run-4 --reason TEXT".to_owned(),
        ],
        runbook: Some("runbooks/playbooks/gray-node.md".to_owned()),
        target: Some(TargetId::new("checkout-api").unwrap()),
        incident: Some(IncidentId(3)),
        run: Some(RunId(4)),
        ..notice(12, Severity::Page)
    }
}

/// What a stranger could put into a label that ends up in a title.
fn hostile() -> Notice {
    Notice {
        title: format!(
            "up\r\nBcc: all@example.com\r\n\r\n<!channel> <script>alert(1)</script> & \u{202e}evil\u{0007} {}",
            "x".repeat(5_000)
        ),
        body: format!("<https://evil.example|click> <@U1> & co\u{200b}\n{}", "y".repeat(9_000)),
        plan: vec!["``` *bold*\nsecond".to_owned(); 100],
        answers: vec!["evenkeel deny run-4\nrm -rf /".to_owned()],
        ..notice(13, Severity::Ticket)
    }
}

/// A receiver that does as it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Mutex<Played>>);

#[derive(Debug, Default)]
struct Played {
    /// The next answers; `Ok` when there are none left, unless `broken`.
    answers: VecDeque<Result<(), Failure>>,
    broken: bool,
    /// Every attempt, with the seconds since the first.
    told: Vec<String>,
    first_at: Option<tokio::time::Instant>,
}

impl Script {
    pub(super) fn send(&self, told: Told<'_>) -> Result<(), Failure> {
        let mut played = lock(&self.0);
        let now = tokio::time::Instant::now();
        let first_at = *played.first_at.get_or_insert(now);
        let answer = match played.answers.pop_front() {
            Some(answer) => answer,
            None if played.broken => Err(broken()),
            None => Ok(()),
        };
        let what = match told {
            Told::One(notice) => notice.title.clone(),
            Told::Many(summary) => summary.title(),
        };
        let seconds = now.duration_since(first_at).as_secs();
        let shown = if answer.is_ok() { "took" } else { "refused" };
        played.told.push(format!("{seconds} s: {shown} {what}"));
        answer
    }

    fn told(&self) -> String {
        lock(&self.0).told.join("\n")
    }

    fn answer(&self, answers: impl IntoIterator<Item = Result<(), Failure>>) {
        lock(&self.0).answers.extend(answers);
    }

    fn set_broken(&self, broken: bool) {
        lock(&self.0).broken = broken;
    }
}

fn broken() -> Failure {
    Failure::channel("answered HTTP 500; look at the receiver")
}

/// A notifier with scripted channels.
struct Stage {
    notifier: Notifier,
    inputs: mpsc::Receiver<Input>,
    metrics: Arc<Metrics>,
}

impl Stage {
    /// Channels by name, least severity, whether required, and script.
    fn with(channels: &[(&str, Severity, bool, &Script)]) -> Stage {
        let (sender, inputs) = mpsc::channel(1_024);
        let metrics = Arc::new(Metrics::new("1.2.3"));
        let outlets = channels.iter().map(|(name, severity, required, script)| {
            ((*name).to_owned(), *severity, *required, Outlet::Scripted((*script).clone()))
        });
        let notifier = Notifier::over(
            region(),
            outlets.collect(),
            SignedDuration::from_mins(5),
            Clock::starting_at(start()),
            sender,
            Arc::clone(&metrics),
        );
        Stage { notifier, inputs, metrics }
    }

    fn start(&self, notice: Notice) {
        self.notifier.start(&tokio::runtime::Handle::current(), notice);
    }

    /// The next thing that the core is told within `limit`.
    async fn heard(&mut self, limit: Duration) -> String {
        match tokio::time::timeout(limit, self.inputs.recv()).await {
            Ok(Some(Input::NoticeFinished { id, delivery })) => format!("{id} {delivery:?}"),
            Ok(Some(Input::NotifierChecked { trouble: None })) => "alive".to_owned(),
            Ok(Some(Input::NotifierChecked { trouble: Some(why) })) => format!("dead: {why}"),
            Ok(Some(other)) => format!("{other:?}"),
            Ok(None) => "ended".to_owned(),
            Err(_) => "nothing".to_owned(),
        }
    }

    /// Everything until there is silence for `limit`, sorted by arrival.
    async fn all_heard(&mut self, limit: Duration) -> String {
        let mut lines = Vec::new();
        loop {
            let line = self.heard(limit).await;
            if line == "nothing" {
                return lines.join("\n");
            }
            lines.push(line);
        }
    }

    fn counted(&self) -> String {
        let text = self.metrics.text().unwrap();
        let lines = text.lines().filter(|it| it.starts_with("evenkeel_noti"));
        let mut lines: Vec<&str> = lines.collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}
