//! An agent whose answers are written down: HTTP/1.1 over a Unix socket, or TLS.
//!
//! **In:** answers by method and path.
//! **Out:** those, and a list of what was asked.
//! **Not here:** any behaviour of the daemon.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;

/// Longest wait for a request that was begun.
const PATIENCE: Duration = Duration::from_secs(20);

/// What comes back.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status and a body.
    Answer(u16, String),
    /// Nothing, until the client gives up.
    Silence,
    /// The connection is closed instead.
    HangUp,
    /// A status, and a body shorter than announced.
    CutOff(String),
}

/// One rule: the start of `METHOD PATH`, and the reply.
type Rule = (&'static str, Reply);

/// Runs until dropped.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Listens at `socket`; the first rule that fits a request answers it.
    pub(crate) fn start(socket: PathBuf, rules: &[Rule]) -> Agent {
        let listener = UnixListener::bind(&socket).expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (rules, list, stopped) = (rules.to_vec(), asked.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    stream.set_read_timeout(Some(PATIENCE)).expect("set");
                    serve(stream, &rules, &list);
                }
            }
        });
        Agent { socket, asked, stop, thread: Some(thread) }
    }

    /// What was asked so far: method, path and body.
    pub(crate) fn asked(&self) -> String {
        self.asked.lock().expect("not poisoned").join("\n")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: impl Read + Write, rules: &[Rule], asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let Some(first) = head.first() else { return };
    let mut request = first.trim_end_matches(" HTTP/1.1").to_owned();
    let header = |name: &str| {
        let lines = head.iter().filter_map(|it| it.split_once(':'));
        lines
            .into_iter()
            .find_map(|(it, value)| it.eq_ignore_ascii_case(name).then(|| value.trim()))
    };
    let length = header("content-length").and_then(|it| it.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("the whole body");
    let fitting = rules.iter().find(|(start, _)| request.starts_with(start));
    for part in [String::from_utf8(body).expect("UTF-8").as_str()]
        .into_iter()
        .chain(header("authorization"))
    {
        if !part.is_empty() {
            request.push_str(&format!(" {part}"));
        }
    }
    asked.lock().expect("not poisoned").push(request);

    let missing = Reply::Answer(404, r#"{"error":"no rule for this","hint":""}"#.to_owned());
    let reply = fitting.map_or(missing, |(_, reply)| reply.clone());
    let (status, body, announced) = match reply {
        Reply::Answer(status, body) => (status, body.clone(), body.len()),
        Reply::CutOff(body) => (200, body.clone(), body.len() + 10),
        Reply::Silence => {
            let _ = reader.read(&mut [0]);
            return;
        }
        Reply::HangUp => return,
    };
    let head = format!(
        "HTTP/1.1 {status} \r\nlocation: https://elsewhere.example.com/\r\ncontent-type: application/json\r\n\
         content-length: {announced}\r\nconnection: close\r\n\r\n"
    );
    let stream = reader.get_mut();
    // The client need not read all of it.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .and_then(|()| stream.flush());
}

/// The same over TLS on loopback.
pub(crate) struct TlsAgent {
    pub(crate) url: String,
    /// The certificate as PEM text.
    pub(crate) certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TlsAgent {
    /// Listens on a free port, under a certificate made for it.
    pub(crate) fn start(rules: &[Rule]) -> TlsAgent {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a key that fits");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (rules, list, config) = (rules.to_vec(), asked.clone(), Arc::new(config));
        // Ends with the test's process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                let connection = rustls::ServerConnection::new(config.clone()).expect("made");
                serve(rustls::StreamOwned::new(connection, stream), &rules, &list);
            }
        });
        TlsAgent { url, certificate: made.cert.pem(), asked }
    }

    /// What was asked so far: method, path, body and authorization.
    pub(crate) fn asked(&self) -> String {
        self.asked.lock().expect("not poisoned").join("\n")
    }
}
