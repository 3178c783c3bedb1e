//! A proxy that counts, holds, loses and forges HTTP exchanges.
//!
//! In: requests from the code under test; rules from the test.
//! Out: the upstream's answers, unless a rule says otherwise.
//! Not here: TLS, and bytes below HTTP; each request is one exchange.
//!
//! A rule names requests by a text that their request line, `x-amz-target` header or
//! body contains, for example `Action=SetDesiredCapacity` or `/api/v1/query`. Of
//! several rules that match, the oldest decides.

use std::io::{BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::{self, Message};
use crate::wait::wait_until;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// For example `POST`.
    pub method: String,
    /// Path and query, percent-encoded as sent.
    pub path: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: String,
    /// The status that the upstream gave; `None` when it has not been asked (yet).
    pub upstream_status: Option<u16>,
}

impl Request {
    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Whether request line, `x-amz-target` or body contain `text`.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        format!("{} {}", self.method, self.path).contains(text)
            || self.header("x-amz-target").is_some_and(|it| it.contains(text))
            || self.body.contains(text)
    }
}

/// What happens to a request that a rule names.
#[derive(Clone, Debug)]
enum Act {
    HoldRequest,
    HoldResponse,
    SeverBeforeForwarding,
    SeverAfterForwarding,
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
}

#[derive(Debug)]
struct Rule {
    text: String,
    act: Act,
    /// How often it still applies; `None` is for ever.
    left: Option<usize>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<Request>,
    required: Option<(String, String)>,
    held: usize,
    /// Counts releases: a held exchange goes on when it moves.
    releases: usize,
    refusing: bool,
    stopped: bool,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No thread panics between two writes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy on a loopback port; gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts in front of `upstream` (`http://HOST:PORT`), with no rules.
    ///
    /// # Panics
    ///
    /// When loopback has no free port.
    #[must_use]
    #[track_caller]
    pub fn start(upstream: &str) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = serving.lock();
                if state.stopped {
                    return;
                }
                let refusing = state.refusing;
                drop(state);
                let Ok(stream) = stream else { continue };
                if !refusing {
                    let shared = Arc::clone(&serving);
                    std::thread::spawn(move || exchange(&shared, &stream));
                }
            }
        });
        Self { shared, address, listening: Some(listening) }
    }

    /// Starts with nothing behind it: requests that no rule answers get status 503.
    ///
    /// # Panics
    ///
    /// When loopback has no free port.
    #[must_use]
    #[track_caller]
    pub fn without_upstream() -> Self {
        Self::start("")
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forwards requests with `text` at once, but holds their answers until
    /// [`release`](Self::release).
    pub fn hold_responses_matching(&self, text: &str) {
        self.add(text, Act::HoldResponse, None);
    }

    /// Holds requests with `text` before the upstream sees them, until
    /// [`release`](Self::release).
    pub fn hold_requests_matching(&self, text: &str) {
        self.add(text, Act::HoldRequest, None);
    }

    /// Lets all that is held go on, and holds no more.
    pub fn release(&self) {
        let mut state = self.shared.lock();
        state.rules.retain(|rule| !matches!(rule.act, Act::HoldRequest | Act::HoldResponse));
        state.releases += 1;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The upstream acts on the next `times` requests with `text`; the client's
    /// connection ends without an answer.
    pub fn sever_after_forwarding(&self, text: &str, times: usize) {
        self.add(text, Act::SeverAfterForwarding, Some(times));
    }

    /// The next `times` requests with `text` never reach the upstream, and their
    /// connection ends without an answer.
    pub fn sever_before_forwarding(&self, text: &str, times: usize) {
        self.add(text, Act::SeverBeforeForwarding, Some(times));
    }

    /// The next `times` requests with `text` get this answer; the upstream never sees them.
    pub fn answer(&self, text: &str, times: usize, status: u16, body: impl Into<Vec<u8>>) {
        self.answer_with_headers(text, times, status, &[], body);
    }

    /// As [`answer`](Self::answer), with headers (no framing among them).
    pub fn answer_with_headers(
        &self,
        text: &str,
        times: usize,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) {
        let headers = headers.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        self.add(text, Act::Answer { status, headers, body: body.into() }, Some(times));
    }

    /// Answers the next `times` requests with `text` as AWS's query protocol reports
    /// `code`, for example `Throttling` with 400.
    pub fn answer_aws_error(&self, text: &str, times: usize, status: u16, code: &str) {
        let body = format!(
            "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>told to</Message></Error>\
             <RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        );
        self.answer_with_headers(text, times, status, &[("content-type", "text/xml")], body);
    }

    /// Answers 401 unless header `name` (lower case) has exactly `value`.
    pub fn require_header(&self, name: &str, value: &str) {
        self.shared.lock().required = Some((name.to_owned(), value.to_owned()));
    }

    /// From now on connections are closed before anything is read. For a port that
    /// refuses to connect at all, take [`free_port`](crate::free_port).
    pub fn refuse(&self) {
        self.shared.lock().refusing = true;
    }

    /// Takes connections again.
    pub fn accept_again(&self) {
        self.shared.lock().refusing = false;
    }

    /// Forgets all rules, requirements and refusals; what is held stays held.
    pub fn clear_rules(&self) {
        let mut state = self.shared.lock();
        state.rules.clear();
        state.required = None;
        state.refusing = false;
    }

    /// All requests with `text`, in order of arrival; an empty text names all.
    #[must_use]
    pub fn requests_matching(&self, text: &str) -> Vec<Request> {
        self.shared.lock().requests.iter().filter(|it| it.contains(text)).cloned().collect()
    }

    /// How many requests with `text` have arrived.
    #[must_use]
    pub fn count_matching(&self, text: &str) -> usize {
        self.shared.lock().requests.iter().filter(|it| it.contains(text)).count()
    }

    /// How many requests with `text` the upstream has answered, whatever the client saw.
    #[must_use]
    pub fn forwarded_matching(&self, text: &str) -> usize {
        let asked = |it: &&Request| it.contains(text) && it.upstream_status.is_some();
        self.shared.lock().requests.iter().filter(asked).count()
    }

    /// Exchanges held right now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.lock().held
    }

    /// Waits until exactly `count` exchanges are held.
    ///
    /// # Panics
    ///
    /// When that takes longer than `limit`.
    #[track_caller]
    pub fn wait_until_held(&self, count: usize, limit: Duration) {
        wait_until(limit, &format!("{count} exchanges held"), || self.held() == count);
    }

    fn add(&self, text: &str, act: Act, left: Option<usize>) {
        self.shared.lock().rules.push(Rule { text: text.to_owned(), act, left });
    }
}

impl Drop for Proxy {
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

/// One request and what comes of it. Returning closes the connection.
fn exchange(shared: &Shared, mut client: &TcpStream) {
    let Ok(Some(message)) = http::read_request(&mut BufReader::new(client)) else { return };
    let Some(request) = to_request(&message) else { return };
    let (index, act) = record(shared, request);
    let mut reply = |status: u16, headers: &[(String, String)], body: &[u8]| {
        // The client may have given up; that is its affair.
        let _ = http::write_response(&mut client, status, headers, body);
        http::close_gently(client);
    };
    match &act {
        Some(Act::Answer { status, headers, body }) => return reply(*status, headers, body),
        Some(Act::SeverBeforeForwarding) => return,
        Some(Act::HoldRequest) => {
            if !hold(shared) {
                return;
            }
        }
        Some(Act::HoldResponse | Act::SeverAfterForwarding) | None => {}
    }
    let answer = match forward(&shared.upstream, &message) {
        Ok(answer) => answer,
        Err(error) => return reply(503, &[], format!("no upstream: {error}\n").as_bytes()),
    };
    shared.lock().requests[index].upstream_status = Some(answer.status);
    match act {
        Some(Act::SeverAfterForwarding) => return,
        Some(Act::HoldResponse) => {
            if !hold(shared) {
                return;
            }
        }
        Some(Act::HoldRequest | Act::SeverBeforeForwarding | Act::Answer { .. }) | None => {}
    }
    reply(answer.status, &without_framing(&answer.headers), &answer.body);
}

/// Writes the request down and finds what to do with it.
fn record(shared: &Shared, request: Request) -> (usize, Option<Act>) {
    let mut state = shared.lock();
    let index = state.requests.len();
    let unauthorized =
        state.required.as_ref().is_some_and(|(name, value)| request.header(name) != Some(value));
    let act = if unauthorized {
        Some(Act::Answer { status: 401, headers: Vec::new(), body: b"unauthorized\n".to_vec() })
    } else {
        let rule =
            state.rules.iter_mut().find(|it| it.left != Some(0) && request.contains(&it.text));
        rule.map(|rule| {
            rule.left = rule.left.map(|left| left - 1);
            rule.act.clone()
        })
    };
    state.requests.push(request);
    (index, act)
}

/// Waits for the next release; false when the proxy is being dropped instead.
fn hold(shared: &Shared) -> bool {
    let mut state = shared.lock();
    let releases = state.releases;
    state.held += 1;
    while state.releases == releases && !state.stopped {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.held -= 1;
    !state.stopped
}

fn forward(upstream: &str, message: &Message) -> std::io::Result<http::Response> {
    if upstream.is_empty() {
        return Err(std::io::Error::new(ErrorKind::NotFound, "started without one"));
    }
    let mut words = message.first_line.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let headers = without_framing(&message.headers);
    // `host` is written by the client for the upstream; a second one is not HTTP.
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name != "host")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    http::send(method, &format!("{upstream}{path}"), &headers, &message.body, None)
}

fn without_framing(headers: &[(String, String)]) -> Vec<(String, String)> {
    const FRAMING: &[&str] =
        &["connection", "content-length", "expect", "keep-alive", "transfer-encoding"];
    headers.iter().filter(|(name, _)| !FRAMING.contains(&name.as_str())).cloned().collect()
}

fn to_request(message: &Message) -> Option<Request> {
    let mut words = message.first_line.split(' ');
    Some(Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        headers: message.headers.clone(),
        body: String::from_utf8_lossy(&message.body).into_owned(),
        upstream_status: None,
    })
}
