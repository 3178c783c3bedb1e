//! How everyone else reaches the loop that owns the agent.
//!
//! **In:** requests of people and questions about the agent.
//! **Out:** messages to the loop, which it takes before anything else.
//! **Not here:** what becomes of them ([`crate::event_loop`]), transport
//! ([`crate::api`]).

use std::time::Duration;

use evenkeel_core::agent::Agent;
use evenkeel_core::request::{Answer, Request, RequestRefusal};
use evenkeel_core::status::InFlightEffect;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

/// How many requests and questions may wait. Why 256: the API admits fewer at
/// once; more would only wait longer.
pub const WAITING_MAX: usize = 256;

/// How long a request or a question may take. Why 5 s: the loop looks at people
/// between any two batches of evaluations, well below 250 ms; ten times that
/// and more means that it hangs or the disk does.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a person's request led to, after its records were durable.
#[derive(Debug)]
pub struct Reply {
    /// Enforced, or why not.
    pub answer: Result<Answer, RequestRefusal>,
    /// Effects that contradict the request, had started and cannot be called back.
    pub still_running: Vec<InFlightEffect>,
    /// Effects that contradict it and now never start.
    pub withdrawn: Vec<InFlightEffect>,
}

type Question = Box<dyn FnOnce(&Agent, Timestamp) + Send>;

/// One message to the loop.
pub(crate) enum Message {
    /// A person asks for something.
    Request(Request, oneshot::Sender<Reply>),
    /// Somebody wants to look at the agent.
    Question(Question),
}

/// The loop did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too many wait already.
    #[error("too many requests wait for the agent ({WAITING_MAX})")]
    Busy,
    /// It stopped or is stopping.
    #[error("the agent is stopping")]
    Stopping,
    /// It took too long. Whether the request is in force is not known.
    #[error("the agent did not answer within {} s; whether the request took effect is not known", ANSWER_TIMEOUT.as_secs())]
    TimedOut,
}

/// A way to reach the loop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailbox {
    messages: mpsc::Sender<Message>,
}

impl Mailbox {
    /// A mailbox and the end that the loop reads.
    pub(crate) fn new() -> (Mailbox, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(WAITING_MAX);
        (Mailbox { messages }, receiver)
    }

    /// Carries out a person's request; see [`Reply`].
    ///
    /// # Errors
    ///
    /// [`Unavailable`]; after `TimedOut` the request may still take effect.
    pub async fn request(&self, request: Request) -> Result<Reply, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Request(request, sender))?;
        answered(receiver).await
    }

    /// Looks at the agent. `question` runs on the loop: keep it short.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Agent, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Question(Box::new(move |agent, now| {
            // Nobody listens any more after a time-out; that is fine.
            let _ = sender.send(question(agent, now));
        })))?;
        answered(receiver).await
    }

    fn send(&self, message: Message) -> Result<(), Unavailable> {
        self.messages.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Busy,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Stopping,
        })
    }
}

async fn answered<T>(receiver: oneshot::Receiver<T>) -> Result<T, Unavailable> {
    match tokio::time::timeout(ANSWER_TIMEOUT, receiver).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Unavailable::Stopping),
        Err(_) => Err(Unavailable::TimedOut),
    }
}
