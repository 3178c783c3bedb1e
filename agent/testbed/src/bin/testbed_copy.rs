//! One copy of a small web service, as a process of its own that can hang.
//!
//! In: a port, the service's name, the copy's name; `GET /hang` from the test.
//! Out: answers with its name, `/health`, `/metrics` with its latency and requests.
//! Not here: what is in front of it (HAProxy), what watches it (Prometheus).
//!
//! When it hangs it takes requests and answers none; its health check and its metrics
//! stay as they are. That is the failure that a health check does not see.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a request takes when all is well.
const WORK: Duration = Duration::from_millis(20);

/// The least that is shown as latency. Why 100 ms: on a busy machine a request takes tens
/// of milliseconds without anything being wrong, and factors are taken of this number.
const LATENCY_MIN: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    is_hanging: bool,
    n_requests: u64,
    newest: Duration,
    under_way: BTreeMap<u64, Instant>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, service, copy] = arguments.as_slice() else {
        panic!("usage: testbed_copy PORT SERVICE COPY");
    };
    let port: u16 = port.parse().expect("a port is a number");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .unwrap_or_else(|error| panic!("cannot listen on port {port}: {error}"));
    let state = Arc::new(Mutex::new(State::default()));
    let names = Arc::new((service.clone(), copy.clone()));
    for stream in listener.incoming().flatten() {
        let (state, names) = (Arc::clone(&state), Arc::clone(&names));
        std::thread::spawn(move || serve(stream, &state, &names.0, &names.1));
    }
}

/// One request per connection.
fn serve(stream: TcpStream, state: &Mutex<State>, service: &str, copy: &str) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    // The rest of the head; nobody sends a body.
    let _ = lines.take_while(|it| !it.is_empty()).count();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let text = match path {
        // A check that only connects.
        "" => return,
        "/health" => "well\n".to_owned(),
        "/metrics" => metrics(&lock(state), service, copy),
        "/hang" => {
            lock(state).is_hanging = true;
            "hanging\n".to_owned()
        }
        _ => {
            work(state);
            format!("{copy}\n")
        }
    };
    let mut stream = &stream;
    // Who does not wait for the answer does not need it.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{text}",
        text.len()
    );
}

/// Returns when the request is done; never when the copy hangs.
fn work(state: &Mutex<State>) {
    let began_at = Instant::now();
    let id = {
        let mut state = lock(state);
        state.n_requests += 1;
        let id = state.n_requests;
        state.under_way.insert(id, began_at);
        id
    };
    std::thread::sleep(WORK);
    while lock(state).is_hanging {
        std::thread::park();
    }
    let mut state = lock(state);
    state.under_way.remove(&id);
    state.newest = began_at.elapsed();
}

fn metrics(state: &State, service: &str, copy: &str) -> String {
    let oldest = state.under_way.values().map(Instant::elapsed).max().unwrap_or_default();
    let latency = oldest.max(state.newest).max(LATENCY_MIN).as_secs_f64();
    let labels = format!("{{service=\"{service}\",copy=\"{copy}\"}}");
    format!(
        "copy_latency_seconds{labels} {latency}\ncopy_requests_total{labels} {}\n",
        state.n_requests
    )
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
