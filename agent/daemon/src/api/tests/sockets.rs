//! The socket's file and the TLS port.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use evenkeel_testbed::{http, wait_until};
use expect_test::expect;

use super::stage::{Stage, Who, certificate_in};
use crate::api::{ApiError, ApiSettings, TlsSettings, bind};

fn settings(socket: &Path) -> ApiSettings {
    ApiSettings { socket: socket.to_path_buf(), socket_group: None, tls: None }
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "a socket outlives its process");
    let bound = bind(settings(&socket)).await.unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["api.sock"], "nothing else is left behind");
    drop(bound);
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_live_socket_a_file_and_a_missing_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    let live = UnixListener::bind(&socket).unwrap();
    let made = fs::metadata(&socket).unwrap().ino();
    let error = bind(settings(&socket)).await.unwrap_err();
    assert!(matches!(error, ApiError::InUse { .. }), "{error}");
    assert_eq!(fs::metadata(&socket).unwrap().ino(), made, "the live one is left alone");
    drop(live);
    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    let error = bind(settings(&file)).await.unwrap_err();
    assert!(matches!(error, ApiError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let error = bind(settings(&directory.path().join("none/api.sock"))).await.unwrap_err();
    assert!(matches!(error, ApiError::NoDirectory { .. }), "{error}");
    let long = directory.path().join("x".repeat(120));
    let error = bind(settings(&long)).await.unwrap_err();
    assert!(error.hint().contains("100 bytes"), "{error}");
    let other = ApiSettings { socket_group: Some("no such group".to_owned()), ..settings(&socket) };
    let error = bind(other).await.unwrap_err();
    assert!(matches!(error, ApiError::NoGroup { .. }), "{error}");
}

#[tokio::test]
async fn the_end_of_a_daemon_leaves_the_socket_of_the_next_one_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    let first = bind(settings(&socket)).await.unwrap();
    fs::remove_file(&socket).unwrap();
    let _second = UnixListener::bind(&socket).unwrap();
    drop(first);
    assert!(socket.exists());
}

#[test]
fn plain_http_on_the_tls_port_is_not_answered() {
    let stage = Stage::new();
    let mut stream = TcpStream::connect(stage.tls).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Closed, perhaps with a TLS alert, perhaps with a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(stage.get(Who::Token("vera"), "/v1/overrides").status, 200);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_said_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (_, tls) = certificate_in(&directory);
    let (_, other) = certificate_in(&other);
    let empty = directory.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let shown = |tls: TlsSettings| {
        let directory = directory.path().display().to_string();
        let socket = Path::new(&directory).join("api.sock");
        async move {
            let settings = ApiSettings { tls: Some(tls), ..settings(&socket) };
            let error = bind(settings).await.unwrap_err();
            assert!(!socket.exists(), "nothing is left behind");
            format!("{error}").replace(&directory, "DIR")
        }
    };
    let mixed = TlsSettings { certificate_file: other.certificate_file, ..tls.clone() };
    assert!(shown(mixed).await.starts_with("cannot use the API's certificate"));
    let none = TlsSettings { certificate_file: empty.clone(), ..tls.clone() };
    expect!["cannot use the API's certificate `DIR/empty.pem` with key `DIR/key.pem`"]
        .assert_eq(&shown(none).await);
    let none = TlsSettings { key_file: empty, ..tls.clone() };
    expect!["cannot read the API's private key from `DIR/empty.pem`"].assert_eq(&shown(none).await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let busy = TlsSettings { listen: address, ..tls };
    assert_eq!(shown(busy).await, format!("cannot listen on `{address}`"));
}

#[test]
fn a_stop_ends_connections_and_removes_the_socket() {
    let stage = Stage::new();
    let mut idle = stage.connect("owner");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    stage.stop();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    let socket = stage.directory.path().join("owner");
    wait_until(Duration::from_secs(10), "removal of the socket", || !socket.exists());
    let url = format!("https://{}/healthz", stage.tls);
    assert!(http::send("GET", &url, &[], b"", Some(&stage.certificate)).is_err());
}
