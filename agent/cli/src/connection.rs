//! Where the agent is, and who is asking.
//!
//! **In:** options, environment variables, a token file.
//! **Out:** a [`Connection`]; a token only where it cannot be overheard.
//! **Not here:** talking to it (see [`crate::client`]).

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::args::Common;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Where the packaged daemon listens.
const SOCKET: &str = "/run/evenkeel/evenkeel.sock";

/// Longest token file. Why 4 KiB: a token has 47 characters.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

/// Longest file of certificates. Why 4 MiB: all authorities of an operating
/// system together are below 1 MiB.
const CA_BYTES_MAX: u64 = 4 << 20;

/// Where the agent is.
#[derive(Debug)]
pub(crate) enum Connection {
    /// On this host; the kernel says who is asking.
    Socket(PathBuf),
    /// Elsewhere; the token says it.
    Url {
        /// Without path.
        url: Url,
        /// `None` only to loopback.
        token: Option<Token>,
        /// The file of the only certificates to trust, and its PEM text.
        ca: Option<(PathBuf, Vec<u8>)>,
    },
}

/// A bearer token. Never shown.
pub(crate) struct Token(HeaderValue);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    fn new(text: &str, place: String) -> Result<Token, Failure> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(Failure::Token { place });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| Failure::Token { place })?;
        header.set_sensitive(true);
        Ok(Token(header))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The environment variables that matter, as read once.
#[derive(Debug, Default)]
struct Environment {
    socket: Option<OsString>,
    url: Option<OsString>,
    token: Option<OsString>,
    token_file: Option<OsString>,
    runtime_dir: Option<OsString>,
}

impl Environment {
    fn of_process() -> Environment {
        // Set but empty counts as not set, as usual in shells.
        let read = |name| std::env::var_os(name).filter(|it| !it.is_empty());
        Environment {
            socket: read("EVENKEEL_SOCKET"),
            url: read("EVENKEEL_URL"),
            token: read("EVENKEEL_TOKEN"),
            token_file: read("EVENKEEL_TOKEN_FILE"),
            runtime_dir: read("XDG_RUNTIME_DIR"),
        }
    }
}

impl Connection {
    /// What options and environment say together; options win.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`], [`Failure::Url`] and [`Failure::Token`] before any
    /// file is opened or connection made; [`Failure::File`].
    pub(crate) fn find(common: &Common, terminal: &Terminal) -> Result<Connection, Failure> {
        find(common, &Environment::of_process(), terminal)
    }
}

fn find(
    common: &Common,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Connection, Failure> {
    let from_environment = || {
        let url = environment.url.as_ref()?;
        Some(url.to_string_lossy().into_owned())
    };
    let is_decided = common.socket.is_some() || common.url.is_some();
    if !is_decided && environment.socket.is_some() && environment.url.is_some() {
        return Err(Failure::Usage(
            "EVENKEEL_SOCKET and EVENKEEL_URL are both set; unset one, or give `--socket` or `--url`",
        ));
    }
    let url = match &common.url {
        Some(url) => Some(url.clone()),
        None if common.socket.is_some() => None,
        None => from_environment(),
    };
    let Some(url) = url else {
        if common.token_file.is_some() || common.ca_file.is_some() {
            return Err(Failure::Usage(
                "`--token-file` and `--ca-file` are for `--url`; on the socket the kernel says who you are",
            ));
        }
        let given = common.socket.clone().or_else(|| environment.socket.clone().map(Into::into));
        return Ok(Connection::Socket(given.unwrap_or_else(|| usual_socket(environment))));
    };
    let url = checked_url(&url)?;
    let token = find_token(common, environment, terminal)?;
    if url.scheme() == "http" && token.is_some() {
        return Err(Failure::Url {
            url: url.to_string(),
            why: "over http:// everybody on the way could read the token",
        });
    }
    let ca = match &common.ca_file {
        Some(path) => Some((path.clone(), read(path, "certificates", CA_BYTES_MAX)?)),
        None => None,
    };
    Ok(Connection::Url { url, token, ca })
}

/// The packaged daemon's socket; that of a daemon of one's own where only that exists.
fn usual_socket(environment: &Environment) -> PathBuf {
    let packaged = Path::new(SOCKET);
    let own =
        environment.runtime_dir.as_ref().map(|it| Path::new(it).join("evenkeel/evenkeel.sock"));
    match own {
        Some(own) if !packaged.exists() && own.exists() => own,
        Some(_) | None => packaged.to_owned(),
    }
}

fn checked_url(text: &str) -> Result<Url, Failure> {
    let refuse = |why| {
        // What stands before an `@` may be a password.
        let url =
            text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, it)| format!("…@{it}"));
        Err(Failure::Url { url, why })
    };
    let Ok(url) = Url::parse(text) else { return refuse("it does not parse") };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it must not contain a user or a password");
    }
    let is_bare =
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) if is_bare => Ok(url),
        ("http", Some("127.0.0.1" | "[::1]" | "localhost")) if is_bare => Ok(url),
        ("http" | "https", Some(_)) if !is_bare => refuse("it must end after the host or port"),
        ("http", Some(_)) => refuse("it must begin with https://"),
        _ => refuse("it must be of the form https://HOST or https://HOST:PORT"),
    }
}

fn find_token(
    common: &Common,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Option<Token>, Failure> {
    let file = common.token_file.clone();
    if file.is_none()
        && let Some(text) = &environment.token
    {
        if environment.token_file.is_some() {
            return Err(Failure::Usage(
                "EVENKEEL_TOKEN and EVENKEEL_TOKEN_FILE are both set; unset one, or give `--token-file`",
            ));
        }
        let text = text.to_string_lossy();
        return Token::new(&text, "EVENKEEL_TOKEN".to_owned()).map(Some);
    }
    let Some(path) = file.or_else(|| environment.token_file.clone().map(Into::into)) else {
        return Ok(None);
    };
    let bytes = read(&path, "token", TOKEN_BYTES_MAX)?;
    if let Ok(metadata) = std::fs::metadata(&path)
        && metadata.is_file()
        && metadata.mode() & 0o007 != 0
    {
        let mode = metadata.mode() & 0o7777;
        let path = path.display();
        terminal.warning(&format!("everybody on this host may use the token in `{path}` (mode {mode:04o}): `chmod 600 {path}`"));
    }
    let place = format!("`{}`", path.display());
    Token::new(&String::from_utf8_lossy(&bytes), place).map(Some)
}

/// The whole of a small file.
///
/// # Errors
///
/// [`Failure::File`], also when it is longer than `bytes_max`.
pub(crate) fn read(path: &Path, what: &'static str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File { what, path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(failed)?.take(bytes_max + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if file.limit() == 0 {
        let message = format!("it has more than {bytes_max} bytes");
        return Err(failed(std::io::Error::other(message)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use expect_test::expect;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    /// What comes of these options under these variables.
    fn found(options: &[&str], variables: Variables<'_>) -> String {
        let line = ["evenkeel", "status"].iter().chain(options);
        let common = crate::args::Arguments::try_parse_from(line).unwrap().common;
        let read = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| OsString::from(value))
        };
        let environment = Environment {
            socket: read("EVENKEEL_SOCKET"),
            url: read("EVENKEEL_URL"),
            token: read("EVENKEEL_TOKEN"),
            token_file: read("EVENKEEL_TOKEN_FILE"),
            runtime_dir: read("XDG_RUNTIME_DIR"),
        };
        match find(&common, &environment, &Terminal::of_process()) {
            Ok(Connection::Socket(path)) => format!("socket {}", path.display()),
            Ok(Connection::Url { url, token, ca: _ }) => format!("{url} {token:?}"),
            Err(failure) => format!("exit {}: {failure}", failure.exit().status()),
        }
    }

    #[test]
    fn where_the_agent_is() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("evenkeel");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("evenkeel.sock"), "").unwrap();
        let runtime = directory.path().to_str().unwrap();
        let cases: &[(&[&str], Variables<'_>)] = &[
            (&[], &[]),
            (&[], &[("XDG_RUNTIME_DIR", runtime)]),
            (&[], &[("EVENKEEL_SOCKET", "/a")]),
            (&["--socket", "/b"], &[("EVENKEEL_SOCKET", "/a"), ("EVENKEEL_URL", "https://a")]),
            (&[], &[("EVENKEEL_SOCKET", "/a"), ("EVENKEEL_URL", "https://a")]),
            (&[], &[("EVENKEEL_URL", "https://a"), ("EVENKEEL_TOKEN", "evk_secret")]),
            (&["--url", "https://b:8443"], &[("EVENKEEL_URL", "https://a")]),
            (&["--url", "http://b"], &[]),
            (&["--url", "http://127.0.0.1:80"], &[]),
            (&["--url", "http://[::1]:81"], &[]),
            (&["--url", "http://localhost"], &[("EVENKEEL_TOKEN", "evk_secret")]),
            (&["--url", "http://127.0.0.1.example.com"], &[]),
            (&["--url", "https://ana:secret@b"], &[]),
            (&["--url", "https://b/v1"], &[]),
            (&["--url", "ftp://b"], &[]),
            (&["--url", "b"], &[]),
            (&["--url", "https://b"], &[("EVENKEEL_TOKEN", "two secrets")]),
            (&["--url", "https://b"], &[("EVENKEEL_TOKEN", "a"), ("EVENKEEL_TOKEN_FILE", "/a")]),
            (&["--url", "https://b", "--token-file", "/nonexistent"], &[("EVENKEEL_TOKEN", "a")]),
            (&["--token-file", "/nonexistent"], &[]),
        ];
        let table: String = cases
            .iter()
            .map(|(options, variables)| format!("{}\n", found(options, variables)))
            .collect();
        expect![[r#"
            socket /run/evenkeel/evenkeel.sock
            socket RUNTIME/evenkeel/evenkeel.sock
            socket /a
            socket /b
            exit 2: EVENKEEL_SOCKET and EVENKEEL_URL are both set; unset one, or give `--socket` or `--url`
            https://a/ Some(Token(…))
            https://b:8443/ None
            exit 2: `http://b` is not a URL of an agent: it must begin with https://
            http://127.0.0.1/ None
            http://[::1]:81/ None
            exit 2: `http://localhost/` is not a URL of an agent: over http:// everybody on the way could read the token
            exit 2: `http://127.0.0.1.example.com` is not a URL of an agent: it must begin with https://
            exit 2: `…@b` is not a URL of an agent: it must not contain a user or a password
            exit 2: `https://b/v1` is not a URL of an agent: it must end after the host or port
            exit 2: `ftp://b` is not a URL of an agent: it must be of the form https://HOST or https://HOST:PORT
            exit 2: `b` is not a URL of an agent: it does not parse
            exit 1: the token in EVENKEEL_TOKEN has characters that a token cannot have
            exit 2: EVENKEEL_TOKEN and EVENKEEL_TOKEN_FILE are both set; unset one, or give `--token-file`
            exit 1: cannot read token `/nonexistent`
            exit 2: `--token-file` and `--ca-file` are for `--url`; on the socket the kernel says who you are
        "#]]
        .assert_eq(&table.replace(runtime, "RUNTIME"));
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new("evk_secret\n", "a test".to_owned()).unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(format!("{:?}", token.header()), "Sensitive");
    }
}
