//! What runs the copies of the service, and who is told.
//!
//! **In:** signed requests of the daemon: look, restart, and notices.
//! **Out:** real processes that come and go; all that was asked, in order.
//! **Not here:** the copies themselves (`testbed_copy`), traffic (HAProxy).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use evenkeel_providers::verify_signature;
use evenkeel_testbed::process::Program;
use evenkeel_testbed::{Process, http, wait_until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{SERVICE, SOON};

/// Shared with the daemon; 32 bytes are the least.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// One copy of the service.
struct Instance {
    process: Process,
    port: u16,
    started_at: Timestamp,
}

#[derive(Default)]
struct State {
    instances: BTreeMap<String, Instance>,
    /// Effects that were carried out.
    effects: BTreeSet<String>,
    /// Copies that were replaced, in order, one entry per new process.
    replaced: Vec<String>,
    /// Bodies of notices.
    notices: Vec<Value>,
    /// Requests that no platform should obey.
    faults: Vec<String>,
    /// Whether answers to actions are kept back.
    is_holding: bool,
    n_held: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Serves until the test's process ends; the copies end when it is dropped.
pub(crate) struct Platform {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Platform {
    /// Starts it with so many copies.
    pub(crate) fn start(n_copies: usize) -> Platform {
        let shared = Arc::new(Shared::default());
        for n in 1..=n_copies {
            let name = format!("copy-{n}");
            let program = |port: u16| program(port, &name);
            let (process, port) = Process::start_listening(SOON, program, is_well);
            let instance = Instance { process, port, started_at: Timestamp::now() };
            shared.lock().instances.insert(name, instance);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        // It ends with the process; what it holds is taken from it by `drop`.
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Platform { shared, address }
    }

    /// `http://HOST:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Names and addresses of the copies.
    pub(crate) fn copies(&self) -> Vec<(String, String)> {
        let state = self.shared.lock();
        state.instances.iter().map(|(name, it)| (name.clone(), address(it.port))).collect()
    }

    /// The process of a copy.
    pub(crate) fn pid(&self, copy: &str) -> u32 {
        self.shared.lock().instances[copy].process.pid()
    }

    /// From now on the copy takes requests and answers none; its health check is green.
    pub(crate) fn hang(&self, copy: &str) {
        let url = format!("http://{}", address(self.shared.lock().instances[copy].port));
        assert_eq!(http::get(&format!("{url}/hang")).expect("an answer").status, 200);
        assert_eq!(http::get(&format!("{url}/health")).expect("still green").status, 200);
    }

    /// From now on actions are carried out, and their answers kept back.
    pub(crate) fn hold_answers(&self) {
        self.shared.lock().is_holding = true;
    }

    /// How many answers are kept back.
    pub(crate) fn n_held(&self) -> usize {
        self.shared.lock().n_held
    }

    /// Ends [`Platform::hold_answers`].
    pub(crate) fn release(&self) {
        self.shared.lock().is_holding = false;
        self.shared.changed.notify_all();
    }

    /// The copies that were replaced so far.
    pub(crate) fn replaced(&self) -> Vec<String> {
        self.shared.lock().replaced.clone()
    }

    /// The topics of the notices so far.
    pub(crate) fn topics(&self) -> Vec<String> {
        let state = self.shared.lock();
        state.notices.iter().map(|it| topic(it).to_owned()).collect()
    }

    /// The first notice with that topic.
    pub(crate) fn notice(&self, wanted: &str) -> Option<Value> {
        self.shared.lock().notices.iter().find(|it| topic(it) == wanted).cloned()
    }

    /// Requests that were not as the contract says.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.clone()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.release();
        let instances = std::mem::take(&mut self.shared.lock().instances);
        drop(instances);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("GET", [service]) if *service == SERVICE => {
                let n = self.lock().instances.len();
                (200, json!({ "current": n, "ready": n }))
            }
            ("GET", [_, "instances"]) => {
                let state = self.lock();
                let shown = state.instances.iter().map(|(name, it)| {
                    json!({ "name": name, "is_ready": true, "started_at": it.started_at })
                });
                (200, json!({ "instances": shown.collect::<Vec<_>>() }))
            }
            ("GET", [_, "effects", id]) => {
                let is_done = self.lock().effects.contains(*id);
                (200, json!({ "state": if is_done { "done" } else { "none" } }))
            }
            ("POST", [_, "act"]) => self.act(&serde_json::from_str(body).unwrap_or_default()),
            ("POST", ["notices"]) => {
                let notice = serde_json::from_str(body).unwrap_or_default();
                self.lock().notices.push(notice);
                (200, json!({}))
            }
            _ => (404, json!({})),
        }
    }

    fn act(&self, order: &Value) -> (u16, Value) {
        let id = order["effect_id"].as_str().unwrap_or_default().to_owned();
        let mut state = self.lock();
        if order["action"]["action"] != "restart_instances" {
            state.faults.push(format!("no such action here: {order}"));
            return (400, json!({}));
        }
        if state.effects.insert(id.clone()) {
            let names = order["action"]["instances"].as_array().cloned().unwrap_or_default();
            for name in names.iter().filter_map(Value::as_str) {
                let Some(instance) = state.instances.get_mut(name) else {
                    return (400, json!({}));
                };
                instance.process.kill();
                instance.process = Process::start(&program(instance.port, name));
                let port = instance.port;
                wait_until(SOON, "the new copy is well", || is_well(port));
                instance.started_at = Timestamp::now();
                state.replaced.push(name.to_owned());
            }
        }
        state.n_held += usize::from(state.is_holding);
        while state.is_holding {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (200, json!({ "effect_id": id }))
    }
}

/// One request per connection.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    let _ = reader.read_line(&mut first);
    let mut headers = BTreeMap::new();
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|it| !it.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (timestamp, signature) = (header("evenkeel-timestamp"), header("evenkeel-signature"));
    let (now, skew) = (Timestamp::now(), SignedDuration::from_mins(5));
    let key = KEY.as_bytes();
    let verified = verify_signature(key, timestamp, method, path, &body, signature, now, skew);
    let (status, answer) = match verified {
        Ok(()) => shared.answer(method, path, &String::from_utf8_lossy(&body)),
        Err(error) => {
            shared.lock().faults.push(format!("{method} {path}: {error}"));
            (401, json!({}))
        }
    };
    let answer = answer.to_string();
    let mut stream = stream;
    // A daemon that was killed meanwhile hears nothing.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} said\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{answer}",
        answer.len()
    );
}

fn topic(notice: &Value) -> &str {
    notice["topic"].as_str().or(notice["notice"]["topic"].as_str()).unwrap_or_default()
}

fn program(port: u16, name: &str) -> Program {
    Program::of_workspace("testbed_copy").args([&port.to_string(), SERVICE, name])
}

fn is_well(port: u16) -> bool {
    http::get(&format!("http://{}/health", address(port))).is_ok_and(|it| it.status == 200)
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
