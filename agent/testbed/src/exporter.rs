//! A `/metrics` endpoint whose numbers the test sets.
//!
//! In: samples, or an order to hang or fail.
//! Out: the Prometheus text format, to whoever scrapes.
//! Not here: what the numbers mean.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http;
use crate::wait::wait_until;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answering,
    Hanging,
    Failing,
}

#[derive(Debug)]
struct State {
    samples: BTreeMap<String, String>,
    mood: Mood,
    stopped: bool,
    scrapes: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A scrape thread holds no lock while it can panic, so the state is whole.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An exporter on a loopback port; gone when dropped.
#[derive(Debug)]
pub struct Exporter {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts with no samples.
    ///
    /// # Panics
    ///
    /// When loopback has no free port.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state =
            State { samples: BTreeMap::new(), mood: Mood::Answering, stopped: false, scrapes: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.lock().stopped {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || answer(&shared, &stream));
            }
        });
        Self { shared, address, listening: Some(listening) }
    }

    /// `127.0.0.1:PORT`, as a scrape configuration wants it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT/metrics`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Sets one sample, stamped by whoever scrapes it.
    pub fn set(&self, metric: &str, labels: &[(&str, &str)], value: f64) {
        self.shared.lock().samples.insert(series(metric, labels), number(value));
    }

    /// Sets one sample with a time stamp of its own, in milliseconds of Unix time.
    pub fn set_at(&self, metric: &str, labels: &[(&str, &str)], value: f64, milliseconds: i64) {
        let sample = format!("{} {milliseconds}", number(value));
        self.shared.lock().samples.insert(series(metric, labels), sample);
    }

    /// Takes one sample away; Prometheus then marks the series stale.
    pub fn remove(&self, metric: &str, labels: &[(&str, &str)]) {
        self.shared.lock().samples.remove(&series(metric, labels));
    }

    /// From now on scrapes hang, those under way included.
    pub fn pause(&self) {
        self.turn(Mood::Hanging);
    }

    /// From now on scrapes are answered with status 500.
    pub fn fail(&self) {
        self.turn(Mood::Failing);
    }

    /// Answers again, hanging scrapes included.
    pub fn resume(&self) {
        self.turn(Mood::Answering);
    }

    /// Scrapes answered with samples so far.
    #[must_use]
    pub fn scrapes(&self) -> usize {
        self.shared.lock().scrapes
    }

    /// Waits until all that is set now is scraped and stored: the next scrape may have
    /// begun earlier, the second carries it, the third begins after the second is stored.
    ///
    /// # Panics
    ///
    /// When that takes longer than `limit`.
    #[track_caller]
    pub fn wait_scraped(&self, limit: Duration) {
        let before = self.scrapes();
        wait_until(limit, "three more scrapes", || before + 3 <= self.scrapes());
    }

    fn turn(&self, mood: Mood) {
        self.shared.lock().mood = mood;
        self.shared.changed.notify_all();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the accept loop, which then sees that it should end.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn answer(shared: &Shared, mut stream: &TcpStream) {
    if !matches!(http::read_request(&mut BufReader::new(stream)), Ok(Some(_))) {
        return;
    }
    let mut state = shared.lock();
    while state.mood == Mood::Hanging && !state.stopped {
        state = shared.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    if state.stopped {
        return;
    }
    let (status, text) = if state.mood == Mood::Failing {
        (500, "told to fail\n".to_owned())
    } else {
        state.scrapes += 1;
        (200, state.samples.iter().map(|(series, sample)| format!("{series} {sample}\n")).collect())
    };
    drop(state);
    let kind = ("content-type".to_owned(), "text/plain; version=0.0.4".to_owned());
    let _ = http::write_response(&mut stream, status, &[kind], text.as_bytes());
    http::close_gently(stream);
}

/// `metric{a="1",b="2"}`, labels escaped as the text format asks.
pub(crate) fn series(metric: &str, labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return metric.to_owned();
    }
    let escaped =
        |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{metric}{{{}}}", labels.join(","))
}

/// A number as the text format spells it; Rust's `inf` would be refused.
pub(crate) fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
