//! What happens when there is too much of something.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use evenkeel_core::documents::Identity;
use evenkeel_testbed::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::stage::{Stage, Who, ends};
use crate::api::identity::Peer;
use crate::api::limits::{CONNECTIONS_MAX, HEAD_TIMEOUT, READS_MAX};
use crate::api::listen::serve_connection;
use crate::api::routes::router;
use crate::mailbox::ANSWER_TIMEOUT;

const FREEZE: &str = r#"{"kind":"freeze","scope":"all","for":"1h","reason":"r"}"#;

#[test]
fn too_many_reads_are_told_to_come_back_and_a_freeze_still_gets_through() {
    let stage = Stage::new();
    // The loop is busy until told otherwise.
    let (release, held) = mpsc::channel::<()>();
    let mailbox = stage.state.mailbox.clone();
    let holding = stage.runtime().spawn(async move {
        let hold = move |_: &_, _| held.recv_timeout(Duration::from_secs(4)).is_ok();
        mailbox.ask(hold).await
    });
    let (ok, shed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..READS_MAX + 10 {
            scope.spawn(|| {
                let answer = stage.get(Who::Owner, "/v1/overrides");
                match answer.status {
                    200 => ok.fetch_add(1, Ordering::Relaxed),
                    503 => shed.fetch_add(1, Ordering::Relaxed),
                    other => panic!("{other}: {}", answer.text()),
                };
            });
        }
        wait_until(Duration::from_secs(10), "ten reads shed", || {
            shed.load(Ordering::Relaxed) == 10
        });
        // The place is free although no read is: it waits for the loop alone.
        let freeze = scope.spawn(|| stage.post(Who::Owner, "/v1/overrides", FREEZE));
        release.send(()).unwrap();
        assert_eq!(freeze.join().unwrap().status, 200);
    });
    assert_eq!(ok.load(Ordering::Relaxed), READS_MAX);
    assert_eq!(stage.runtime().block_on(holding).unwrap(), Ok(true));
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let stage = Stage::new();
    let ask = b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let mut idle: Vec<_> = (0..CONNECTIONS_MAX).map(|_| stage.connect("owner")).collect();
    let mut waiting = stage.connect("owner");
    waiting.write_all(ask).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let error = waiting.read(&mut [0; 16]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    idle.pop();
    waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn owner() -> Peer {
    let name = "root".to_owned();
    Peer::Local(Identity::UnixUser { uid: 0, name, is_daemon_owner: true })
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let ends = ends(directory.path().join("journal"));
    let (_stop, shutdown) = watch::channel(false);
    for sent in ["", "GET /readyz HTT", "GET /readyz HTTP/1.1\r\nhost: h\r\n\r\n"] {
        let (mut near, far) = tokio::io::duplex(4096);
        let router = router(ends.state.clone());
        let serving = tokio::spawn(serve_connection(far, owner(), router, shutdown.clone()));
        let started = Instant::now();
        near.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        serving.await.unwrap();
        assert_eq!(
            !answer.is_empty(),
            sent.ends_with("\n\n") || sent.ends_with("\r\n"),
            "{sent:?}"
        );
        assert!(started.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(1), "{sent:?}");
    }
}

async fn answer(request: Request<Body>) -> (u16, String, Duration) {
    let directory = tempfile::tempdir().unwrap();
    // Nobody reads the mailbox: the loop hangs.
    let ends = ends(directory.path().join("journal"));
    let mut request = request;
    request.extensions_mut().insert(owner());
    let started = Instant::now();
    let response = router(ends.state.clone()).oneshot(request).await.unwrap();
    let took = started.elapsed();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned(), took)
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_hangs_is_said_and_a_change_may_be_in_force() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, _, took) = answer(get("/healthz")).await;
    assert_eq!((status, took), (503, ANSWER_TIMEOUT));
    let (status, body, _) = answer(get("/v1/status")).await;
    assert_eq!(status, 503, "{body}");
    let (status, body, took) =
        answer(Request::post("/v1/overrides").body(FREEZE.into()).unwrap()).await;
    assert_eq!((status, took), (504, ANSWER_TIMEOUT));
    assert!(body.contains("not known") && body.contains("evenkeel status"), "{body}");
    // Nobody answers a reload either.
    let (status, body, took) =
        answer(Request::post("/v1/reload").body(Body::empty()).unwrap()).await;
    assert_eq!((status, took), (504, Duration::from_secs(10)), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = Request::post("/v1/overrides").body(Body::from_stream(never)).unwrap();
    let (status, body, took) = answer(request).await;
    assert_eq!((status, took), (408, Duration::from_secs(4)), "{body}");
}

#[tokio::test]
async fn a_daemon_that_stops_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut ends = ends(directory.path().join("journal"));
    ends.messages.close();
    ends.reloads.close();
    let requests = [
        Request::get("/healthz").body(Body::empty()),
        Request::get("/v1/overrides").body(Body::empty()),
        Request::post("/v1/overrides").body(FREEZE.into()),
        Request::post("/v1/reload").body(Body::empty()),
    ];
    for request in requests {
        let mut request = request.unwrap();
        request.extensions_mut().insert(owner());
        let path = request.uri().path().to_owned();
        let response = router(ends.state.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 503, "{path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
    }
}

#[test]
fn tokens_reach_neither_the_log_nor_an_answer() {
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Shared(Arc::clone(&writer)))
        .finish();
    let stage = Stage::with_log(tracing::Dispatch::new(subscriber));
    let mut answers = String::new();
    for who in ["vera", "mallory"] {
        for (method, path) in
            [("GET", "/v1/status"), ("GET", "/v1/status?x=1"), ("POST", "/v1/overrides")]
        {
            let answer = stage.send(Who::Token(who), method, path, FREEZE.as_bytes());
            answers.push_str(&format!("{answer:?}{}", answer.text()));
        }
    }
    let log = String::from_utf8_lossy(&log.lock().unwrap()).into_owned();
    assert!(log.contains("request without a known token refused"), "{log}");
    assert!(!format!("{log}{answers}").contains("5cc1a2f8e07b"), "{log}{answers}");
}

struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
