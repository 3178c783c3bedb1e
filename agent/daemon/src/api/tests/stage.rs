//! A small daemon: the API on both transports, an agent, a journal.
//!
//! **In:** who asks.
//! **Out:** answers.
//! **Not here:** evaluations of their own accord; a test feeds what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::documents::{
    Access, Documents, Grant, LeadTime, Person, ProviderRef, Role, Selector, Target,
};
use evenkeel_core::ids::{Actor, Region, TargetId};
use evenkeel_core::quality::{CapacityReading, TargetObservation};
use evenkeel_core::request::Request;
use evenkeel_core::state::State;
use evenkeel_core::units::{Bounds, Capacity};
use evenkeel_store::{Entry, Reader, SigningKey, Store};
use evenkeel_testbed::http::{self, Response};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, watch};

use crate::api::identity::Accounts;
use crate::api::listen::bind_with;
use crate::api::{ApiSettings, ApiState, Readiness, ReloadWanted, TlsSettings};
use crate::forecasters::{Feedback, Forecasters};
use crate::journal::Journal;
use crate::mailbox::{Mailbox, Message, Reply};
use crate::metrics::Metrics;

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The daemon's own account on its socket.
    Owner,
    /// Another account of the host.
    Account(&'static str),
    /// Over TLS, with the token that this person has; any other text is not known.
    Token(&'static str),
    /// Over TLS, without a token.
    Nobody,
}

/// Everybody: name (also of the Unix account), role, and on which targets.
const PEOPLE: [(&str, Option<Role>, Option<&str>); 5] = [
    ("nora", None, None),
    ("vera", Some(Role::Viewer), None),
    ("paul", Some(Role::Operator), Some("cart")),
    ("olga", Some(Role::Operator), None),
    ("ada", Some(Role::Admin), None),
];

/// The token of a person. Long, so that a search for it in a log is telling.
pub(super) fn token_of(name: &str) -> String {
    format!("{name}-token-5cc1a2f8e07b")
}

pub(super) fn documents() -> Documents {
    let target = |name: &str, team: &str, min, max| Target {
        id: TargetId::new(name).unwrap(),
        labels: BTreeMap::from([("team".to_owned(), team.to_owned())]),
        region: Region::new("eu-1").unwrap(),
        provider: ProviderRef::Simulated { service: name.to_owned() },
        bounds: Bounds { min: Capacity(min), max: Capacity(max) },
        price_usd_per_hour: None,
        lead_time: LeadTime::Measure,
        actuators: Default::default(),
        depends_on: Default::default(),
    };
    let people = PEOPLE.map(|(name, _, _)| Person {
        name: Actor::new(name).unwrap(),
        unix_user: Some(name.to_owned()),
        token_sha256s: vec![Sha256::digest(token_of(name)).into()],
    });
    let grants = PEOPLE.iter().filter_map(|(name, role, target)| {
        let selector = match target {
            None => Selector::everything(),
            Some(target) => Selector {
                targets: BTreeSet::from([TargetId::new(target).unwrap()]),
                ..Selector::default()
            },
        };
        let people = BTreeSet::from([Actor::new(name).unwrap()]);
        Some(Grant { role: (*role)?, people, selector })
    });
    let access = Access { people: people.to_vec(), grants: grants.collect() };
    let targets = [target("cart", "shop", 1, 10), target("search", "find", 2, 20)];
    Documents::new("abc123".to_owned(), targets, [], [], [], access)
}

/// When the agent of a stage begins; its clock stands still.
pub(super) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// The state of an API and the ends that the rest of a daemon would hold.
pub(super) struct Ends {
    pub(super) state: ApiState,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) reloads: mpsc::Receiver<ReloadWanted>,
    pub(super) documents: watch::Sender<Arc<Documents>>,
    pub(super) faults: watch::Sender<Vec<String>>,
    pub(super) readiness: watch::Sender<Readiness>,
}

pub(super) fn ends(journal: PathBuf) -> Ends {
    let (mailbox, messages) = Mailbox::new();
    let (documents, documents_end) = watch::channel(Arc::new(documents()));
    let (faults, faults_end) = watch::channel(Vec::new());
    let (readiness, readiness_end) = watch::channel(Readiness::default());
    let (reload, reloads) = mpsc::channel(1);
    let metrics = Arc::new(Metrics::new("1.2.3"));
    let state = ApiState {
        mailbox,
        region: Region::new("eu-1").unwrap(),
        version: "1.2.3",
        journal,
        verifying_key: SigningKey::from_seed([7; 32]).verifying_key("evenkeel/eu-1"),
        documents: documents_end,
        documents_faults: faults_end,
        reload,
        look_now: Arc::new(Notify::new()),
        forecasters: Forecasters::new(Feedback::default(), Arc::clone(&metrics)),
        metrics,
        readiness: readiness_end,
    };
    Ends { state, messages, reloads, documents, faults, readiness }
}

pub(super) struct Stage {
    pub(super) directory: TempDir,
    pub(super) tls: SocketAddr,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) state: ApiState,
    pub(super) faults: watch::Sender<Vec<String>>,
    pub(super) readiness: watch::Sender<Readiness>,
    inputs: std_mpsc::Sender<(Input, std_mpsc::Sender<()>)>,
    shutdown: watch::Sender<bool>,
    pub(super) documents: watch::Sender<Arc<Documents>>,
    /// Last, so that everything that runs on it ends before the directory goes.
    runtime: Option<Runtime>,
}

impl Stage {
    pub(super) fn new() -> Stage {
        Stage::with(tracing::Dispatch::none(), &[])
    }

    /// A stage whose API reads another journal: with `bodies` about `cart` under
    /// the kind `effect_planned`, a minute apart, the first an hour ago.
    pub(super) fn with_past(bodies: &[String]) -> Stage {
        Stage::with(tracing::Dispatch::none(), bodies)
    }

    /// A stage whose every thread logs to `log`.
    pub(super) fn with_log(log: tracing::Dispatch) -> Stage {
        Stage::with(log, &[])
    }

    fn with(log: tracing::Dispatch, past: &[String]) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let loop_log = log.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || {
                // For the whole life of the thread.
                std::mem::forget(tracing::dispatcher::set_default(&log));
            })
            .build()
            .unwrap();
        let (certificate, tls) = certificate_in(&directory);
        let key = SigningKey::load_or_create(&at("key")).unwrap();
        let store = Store::open(&at("journal"), "evenkeel/eu-1", key, now()).unwrap();
        let read = if past.is_empty() { at("journal") } else { write_past(&directory, past) };
        let verifying_key = Reader::open(&read).unwrap().verifying_key().clone();
        let Ends { mut state, messages, mut reloads, documents, faults, readiness } = ends(read);
        state.verifying_key = verifying_key;
        let (inputs, inputs_end) = std_mpsc::channel();
        let agent = LoopDouble {
            agent: Agent::new(State::default()),
            journal: Journal::new(store, now(), None),
            metrics: Arc::clone(&state.metrics),
        };
        std::thread::spawn(move || {
            let _log = tracing::dispatcher::set_default(&loop_log);
            agent.run(messages, &inputs_end);
        });
        runtime.spawn(async move {
            while let Some(ReloadWanted { reply }) = reloads.recv().await {
                let _ = reply.send(Ok(3));
            }
        });
        let (shutdown, shutdown_end) = watch::channel(false);
        let uid = rustix::process::geteuid().as_raw();
        let mut address = None;
        // Two sockets: on one the test is the daemon's owner, on the other whoever it likes.
        for (socket, owners) in [("owner", BTreeSet::from([uid])), ("others", BTreeSet::new())] {
            let accounts = Accounts { passwd: at("passwd"), owners };
            let tls = (socket == "others").then(|| tls.clone());
            let settings = ApiSettings { socket: at(socket), socket_group: None, tls };
            let bound = runtime.block_on(bind_with(settings, accounts)).unwrap();
            address = address.or(bound.tls_address());
            runtime.spawn(bound.serve(state.clone(), shutdown_end.clone()));
        }
        let stage = Stage {
            tls: address.unwrap(),
            certificate,
            state,
            faults,
            readiness,
            inputs,
            shutdown,
            documents,
            runtime: Some(runtime),
            directory,
        };
        stage.feed(Input::Started { version: "1.2.3".to_owned() });
        stage.feed(Input::DocumentsLoaded(Arc::new(self::documents())));
        stage.observe("cart", 4);
        stage
    }

    /// Has the agent handle `input`, and waits until it has.
    pub(super) fn feed(&self, input: Input) {
        let (done, done_end) = std_mpsc::channel();
        self.inputs.send((input, done)).unwrap();
        // The loop looks at inputs when a message comes.
        let poke = self.state.mailbox.clone();
        self.runtime().block_on(poke.ask(|_, _| ())).unwrap();
        done_end.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    /// Tells the agent what the provider says of a target.
    pub(super) fn observe(&self, target: &str, current: u32) {
        let reading = CapacityReading {
            current: Capacity(current),
            ready: Some(Capacity(current)),
            read_at: now(),
        };
        self.feed(Input::Observed(vec![TargetObservation {
            target: TargetId::new(target).unwrap(),
            capacity: Ok(reading),
            signals: Vec::new(),
        }]));
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// A connection to one of the two sockets.
    pub(super) fn connect(&self, socket: &str) -> UnixStream {
        let stream = UnixStream::connect(self.directory.path().join(socket)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Tells the API to stop.
    pub(super) fn stop(&self) {
        self.shutdown.send_replace(true);
    }

    #[track_caller]
    pub(super) fn get(&self, who: Who, path: &str) -> Response {
        self.send(who, "GET", path, b"")
    }

    #[track_caller]
    pub(super) fn post(&self, who: Who, path: &str, body: &str) -> Response {
        self.send(who, "POST", path, body.as_bytes())
    }

    #[track_caller]
    pub(super) fn send(&self, who: Who, method: &str, path: &str, body: &[u8]) -> Response {
        let over_tls = |headers: &[(&str, &str)]| {
            let url = format!("https://{}{path}", self.tls);
            http::send(method, &url, headers, body, Some(&self.certificate))
        };
        let is_account = |name: &str| {
            let uid = rustix::process::geteuid().as_raw();
            let passwd = format!("{name}:x:{uid}:{uid}::/:\n");
            fs::write(self.directory.path().join("passwd"), passwd).unwrap();
        };
        let answered = match who {
            Who::Owner => {
                is_account("owner");
                http::send_over(self.connect("owner"), method, "localhost", path, &[], body)
            }
            Who::Account(name) => {
                is_account(name);
                http::send_over(self.connect("others"), method, "localhost", path, &[], body)
            }
            Who::Token(name) => {
                over_tls(&[("authorization", &format!("Bearer {}", token_of(name)))])
            }
            Who::Nobody => over_tls(&[]),
        };
        answered.unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn write_past(directory: &TempDir, bodies: &[String]) -> PathBuf {
    let key = SigningKey::load_or_create(&directory.path().join("past-key")).unwrap();
    let path = directory.path().join("past");
    let mut store = Store::open(&path, "evenkeel/past", key, now()).unwrap();
    for (minutes, body) in (0_i64..).zip(bodies) {
        let entry = Entry {
            at: now() - jiff::SignedDuration::from_mins(60 - minutes),
            kind: "effect_planned",
            target_id: Some("cart"),
            body: body.as_bytes(),
        };
        store.append(&[entry]).unwrap();
    }
    path
}

/// Writes a new certificate and key into `directory`.
pub(super) fn certificate_in(directory: &TempDir) -> (CertificateDer<'static>, TlsSettings) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate_file = directory.path().join("certificate.pem");
    let key_file = directory.path().join("key.pem");
    fs::write(&certificate_file, made.cert.pem()).unwrap();
    fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    (made.cert.der().clone(), TlsSettings { listen, certificate_file, key_file })
}

/// The loop without effects and without a clock.
struct LoopDouble {
    agent: Agent,
    journal: Journal,
    metrics: Arc<Metrics>,
}

impl LoopDouble {
    fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        inputs: &std_mpsc::Receiver<(Input, std_mpsc::Sender<()>)>,
    ) {
        while let Some(message) = messages.blocking_recv() {
            while let Ok((input, done)) = inputs.try_recv() {
                self.commit(input);
                let _ = done.send(());
            }
            match message {
                Message::Question(question) => question(&self.agent, now()),
                Message::Request(request, reply) => {
                    let reply_with = self.request(request);
                    let _ = reply.send(reply_with);
                }
            }
        }
    }

    fn request(&mut self, request: Request) -> Reply {
        let answer = self.commit(Input::Requested(request)).unwrap();
        Reply { answer, still_running: Vec::new(), withdrawn: Vec::new() }
    }

    fn commit(
        &mut self,
        input: Input,
    ) -> Option<Result<evenkeel_core::request::Answer, evenkeel_core::request::RequestRefusal>>
    {
        let outcome = self.agent.handle(now(), input);
        let committed = outcome.commit(|records| self.journal.append(records)).unwrap();
        self.metrics.set_last_record(self.journal.last_seq());
        committed.answer
    }
}
