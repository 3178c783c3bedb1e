//! A real HAProxy on loopback.
//!
//! In: a backend's servers and how they are checked.
//! Out: the frontend's URL, the exporter's address and the runtime socket, once it serves.
//! Not here: the servers behind it (any HTTP server; see [`http`](crate::http) for a client),
//! faults on the socket (a test makes a socket of its own).

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::http;
use crate::port::free_port;
use crate::process::{Process, Program};

const INSTALL: &str = "run `make test-parts` (apt-get install haproxy)";

/// Where Debian puts it; not in everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin/haproxy";

/// It is up in a tenth of a second; far more under busy cores.
const READY: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    backend: String,
    servers: String,
    check_path: Option<String>,
    check_interval: Duration,
    balance: String,
    socket_level: String,
    more: String,
}

impl Options {
    /// A backend without servers, checked by connecting to them, served in turn.
    #[must_use]
    pub fn new(backend: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            servers: String::new(),
            check_path: None,
            check_interval: Duration::from_millis(100),
            balance: "roundrobin".to_owned(),
            socket_level: "admin".to_owned(),
            more: String::new(),
        }
    }

    /// Adds a server at `HOST:PORT`, with a check and weight 100.
    #[must_use]
    pub fn server(self, name: &str, address: &str) -> Self {
        self.server_line(&format!("{name} {address} check weight 100"))
    }

    /// Adds a server as its configuration line says it, without the word `server`.
    #[must_use]
    pub fn server_line(mut self, line: &str) -> Self {
        self.servers.push_str(&format!("  server {line}\n"));
        self
    }

    /// Checks servers with `GET path` instead of a connection: 2xx and 3xx pass.
    #[must_use]
    pub fn check_path(mut self, path: &str) -> Self {
        self.check_path = Some(path.to_owned());
        self
    }

    /// Checks this often instead of every 100 ms; whole milliseconds.
    #[must_use]
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// Another algorithm, for example `source`.
    #[must_use]
    pub fn balance(mut self, algorithm: &str) -> Self {
        algorithm.clone_into(&mut self.balance);
        self
    }

    /// What the socket allows instead of `admin`: `operator` or `user`.
    #[must_use]
    pub fn socket_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.socket_level);
        self
    }

    /// Adds lines to the end of the configuration, for example another backend.
    #[must_use]
    pub fn more(mut self, lines: &str) -> Self {
        self.more.push_str(lines);
        self
    }

    /// Starts it; see [`Haproxy::start`].
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Haproxy {
        Haproxy::start(&self)
    }

    fn configuration(&self, port: u16, exporter: u16, socket: &Path) -> String {
        let Self { backend, servers, check_path, check_interval, balance, socket_level, more } =
            self;
        let check = check_path
            .as_ref()
            .map(|path| format!("  option httpchk\n  http-check send meth GET uri {path}\n"))
            .unwrap_or_default();
        format!(
            "global\n  stats socket {socket} mode 600 level {socket_level}\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 10s\n  \
             timeout server 10s\n  retries 0\n  \
             default-server inter {inter} fastinter {inter} downinter {inter} rise 1 fall 2\n\
             frontend incoming\n  bind 127.0.0.1:{port}\n  default_backend {backend}\n\
             frontend exporter\n  bind 127.0.0.1:{exporter}\n  \
             http-request use-service prometheus-exporter if {{ path /metrics }}\n  \
             http-request deny\n\
             backend {backend}\n  balance {balance}\n{check}{servers}{more}",
            socket = socket.display(),
            inter = format_args!("{}ms", check_interval.as_millis()),
        )
    }
}

/// A running HAProxy; killed when dropped, its folder removed.
#[derive(Debug)]
pub struct Haproxy {
    // Dropped before the folder its socket is in.
    process: Process,
    backend: String,
    port: u16,
    exporter: u16,
    folder: TempDir,
}

impl Haproxy {
    /// Starts one on free ports and returns once it listens on them.
    ///
    /// # Panics
    ///
    /// When it is not installed, refuses its configuration or is not ready within 60 s.
    #[must_use]
    #[track_caller]
    pub fn start(options: &Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("haproxy.cfg");
        let socket = socket_in(&folder);
        let mut exporter = 0;
        let on = |port: u16| {
            exporter = free_port();
            fs::write(&file, options.configuration(port, exporter, &socket))
                .expect("a file can be written into our own folder");
            program().arg("-f").arg(file.as_path()).arg("-db")
        };
        // Its listeners are all bound before the first one accepts.
        let (process, port) =
            Process::start_listening(READY, on, |_| UnixStream::connect(&socket).is_ok());
        Self { process, backend: options.backend.clone(), port, exporter, folder }
    }

    /// `http://HOST:PORT` of the frontend.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `HOST:PORT` whose `/metrics` a Prometheus can scrape.
    #[must_use]
    pub fn exporter_address(&self) -> String {
        format!("127.0.0.1:{}", self.exporter)
    }

    /// The runtime socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.folder)
    }

    /// The backend's name.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it answers to `command` on the socket, as a person would type it.
    ///
    /// # Panics
    ///
    /// When the socket does not answer.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        let exchange = || {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            stream.write_all(format!("{command}\n").as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        exchange().unwrap_or_else(|error| panic!("HAProxy does not answer `{command}`: {error}"))
    }

    /// Its state word of a server, for example `UP`, `DOWN`, `DRAIN`, `MAINT`.
    ///
    /// # Panics
    ///
    /// When there is no such server.
    #[must_use]
    #[track_caller]
    pub fn status(&self, server: &str) -> String {
        let answer = self.ask(&format!("show stat {} 4 -1", self.backend));
        let mut lines = answer.lines().map(|line| line.split(',').collect::<Vec<&str>>());
        let header = lines.next().unwrap_or_default();
        let column = header.iter().position(|it| *it == "status");
        let row = lines.find(|it| it.get(1) == Some(&server));
        match (column, row) {
            (Some(column), Some(row)) => row[column].to_owned(),
            _ => panic!("HAProxy knows no server `{server}`: {answer}"),
        }
    }

    /// Stops it in the middle of whatever it does: connections are taken, nothing is answered.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[track_caller]
    pub fn pause(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// Ends [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[track_caller]
    pub fn resume(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Kills it at once; its socket's file stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What its exporter shows now.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.exporter_address());
        http::get(&url).unwrap_or_else(|error| panic!("{url} does not answer: {error}")).text()
    }
}

#[track_caller]
fn program() -> Program {
    if Path::new(DEBIAN).is_file() {
        return Program::new(DEBIAN);
    }
    Program::installed("haproxy", INSTALL)
}

fn socket_in(folder: &TempDir) -> PathBuf {
    folder.path().join("haproxy.sock")
}
