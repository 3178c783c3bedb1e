//! A platform as its author would write it from the published contract.
//!
//! In: signed requests.
//! Out: current and ready capacity; compare and set; one change per effect; below `/fleet`,
//! two instances and a revision that playbooks reach.
//! Not here: lost and odd answers (put `evenkeel_testbed::Proxy` in front).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use evenkeel_providers::verify_signature;
use jiff::SignedDuration;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// What the platform and the agent share.
pub(crate) const KEY: &str = "correct-horse-battery-staple-0123456789";

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) current: u64,
    /// Changes carried out, oldest first: effect and capacity.
    pub(crate) changes: Vec<(String, u64)>,
    /// Instances out of traffic, and the revision other than `v42`.
    pub(crate) drained: Vec<String>,
    pub(crate) revision: Option<String>,
    /// Requests per second of tenants that have a limit.
    pub(crate) limits: BTreeMap<String, u64>,
    /// Actions carried out, oldest first: effect and body.
    pub(crate) actions: Vec<(String, String)>,
    /// Why requests were turned away.
    pub(crate) complaints: Vec<String>,
}

/// A running platform; gone when dropped.
pub(crate) struct Platform {
    pub(crate) state: Arc<Mutex<State>>,
    url: String,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Platform {
    /// One that speaks plain HTTP.
    pub(crate) fn start(current: u64) -> Platform {
        Platform::serve(current, None)
    }

    /// One that speaks HTTPS, and its certificate in PEM.
    pub(crate) fn start_tls(current: u64) -> (Platform, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Platform::serve(current, Some(Arc::new(config))), made.cert.pem())
    }

    fn serve(current: u64, tls: Option<Arc<ServerConfig>>) -> Platform {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { current, ..State::default() }));
        let stopped = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&stopped));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                match &tls {
                    None => exchange(stream, &shared),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).unwrap();
                        exchange(StreamOwned::new(session, stream), &shared);
                    }
                }
            }
        });
        let url = format!("{scheme}://{address}");
        Platform { state, url, address, stopped, serving: Some(serving) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

fn exchange(stream: impl Read + Write, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, answer) = obey(&method, &path, &headers, &body, &mut state.lock().unwrap());
    let answer = answer.to_string();
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

fn obey(
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    state: &mut State,
) -> (u16, Value) {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let verified = verify_signature(
        KEY.as_bytes(),
        header("evenkeel-timestamp"),
        method,
        path,
        body,
        header("evenkeel-signature"),
        crate::common::now(),
        SignedDuration::from_mins(5),
    );
    if let Err(error) = verified {
        state.complaints.push(error.to_string());
        return (401, json!({ "error": error.to_string() }));
    }
    if let Some(part) = path.split('?').next().and_then(|it| it.strip_prefix("/fleet/")) {
        return obey_fleet(method, part, headers, body, state);
    }
    if method == "GET" {
        return (200, json!({ "current": state.current, "ready": state.current - 1 }));
    }
    let change: Value = serde_json::from_slice(body).unwrap();
    let effect = change["effect"].as_str().unwrap().to_owned();
    let desired = change["desired"].as_u64().unwrap();
    // The headers repeat what is signed in the body.
    assert_eq!(header("evenkeel-effect"), effect);
    assert_eq!(header("idempotency-key"), effect);
    assert_eq!(header("evenkeel-term"), change["term"].to_string());
    if state.changes.iter().any(|it| it.0 == effect) {
        return (200, json!({ "desired": desired }));
    }
    if change["expected"] != state.current {
        return (409, json!({ "current": state.current }));
    }
    state.current = desired;
    state.changes.push((effect, desired));
    (200, json!({ "desired": desired }))
}

/// As its author would write it from `iac/webhook-actuator.md`.
fn obey_fleet(
    method: &str,
    part: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    state: &mut State,
) -> (u16, Value) {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let is_done = |id: &str| state.actions.iter().any(|it| it.0 == id);
    match (method, part) {
        ("GET", "instances" | "traffic") => {
            let instances: Vec<Value> = ["web-1", "web-2"]
                .iter()
                .map(|name| {
                    let is_drained = state.drained.iter().any(|it| it == name);
                    json!({ "name": name, "zone": "eu-1a", "is_ready": true,
                        "is_drained": is_drained, "weight": 100,
                        "started_at": "2026-01-01T00:00:00Z" })
                })
                .collect();
            (200, json!({ "instances": instances }))
        }
        ("GET", "tenants") => (200, json!({ "limits": state.limits })),
        ("GET", "revision") => {
            let current = state.revision.as_deref().unwrap_or("v42");
            (200, json!({ "current": current, "previous": "v41" }))
        }
        ("GET", _) => {
            let id = part.strip_prefix("effects/").unwrap();
            (200, json!({ "state": if is_done(id) { "done" } else { "none" } }))
        }
        ("POST", "act") => {
            let order: Value = serde_json::from_slice(body).unwrap();
            let effect = order["effect_id"].as_str().unwrap().to_owned();
            // The headers repeat what is signed in the body.
            assert_eq!(header("evenkeel-effect"), effect);
            assert_eq!(header("idempotency-key"), effect);
            assert_eq!(header("evenkeel-term"), order["term"].to_string());
            if is_done(&effect) {
                return (200, json!({ "effect_id": effect }));
            }
            let action = &order["action"];
            match action["action"].as_str().unwrap() {
                "set_drained" => {
                    let names: Vec<String> =
                        serde_json::from_value(action["instances"].clone()).unwrap();
                    state.drained.retain(|it| !names.contains(it));
                    if action["is_drained"] == true {
                        state.drained.extend(names);
                    }
                }
                "limit_tenants" => {
                    for (tenant, limit) in action["limits"].as_object().unwrap() {
                        match limit.as_u64() {
                            Some(limit) => state.limits.insert(tenant.clone(), limit),
                            None => state.limits.remove(tenant),
                        };
                    }
                }
                "set_revision" => {
                    state.revision = action["revision"].as_str().map(str::to_owned);
                }
                other => return (422, json!({ "error": format!("cannot {other}") })),
            }
            state.actions.push((effect.clone(), String::from_utf8_lossy(body).into_owned()));
            (200, json!({ "effect_id": effect }))
        }
        _ => (404, json!({})),
    }
}
