//! As much HTTP/1.1 as loopback needs: one request per connection, blocking.
//!
//! In: a URL, a method, headers, a body.
//! Out: the whole answer.
//! Not here: redirects, pools, compression. A blocking client of a full library
//! panics inside a tokio runtime, where most tests run; this one does not.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longest wait for one read or write: far beyond any loopback answer, far below a
/// test's own limit.
const PATIENCE: Duration = Duration::from_secs(20);

/// Largest head; servers in use stop at 64 KiB or below.
const MAX_HEAD: u64 = 64 * 1024;

/// Largest body: 14 days of 50 series are 46 MB.
const MAX_BODY: u64 = 256 * 1024 * 1024;

/// An answer, body complete.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code, for example 200.
    pub status: u16,
    /// Header names in lower case, values as sent.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("answer {} is not JSON ({error}): {}", self.status, self.text())
        })
    }
}

/// GETs `url`.
///
/// # Errors
///
/// As [`send`].
pub fn get(url: &str) -> io::Result<Response> {
    send("GET", url, &[], b"", None)
}

/// Sends one request to `http://` or `https://HOST:PORT/PATH` and reads the answer.
/// `root` is the only certificate trusted for `https`.
///
/// # Errors
///
/// When the URL has another shape, the connection fails, the certificate does not
/// convince, nothing arrives for 20 s, or the answer is not HTTP.
pub fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    root: Option<&CertificateDer<'static>>,
) -> io::Result<Response> {
    let invalid = |what: &str| io::Error::new(ErrorKind::InvalidInput, format!("{what}: `{url}`"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("url without scheme"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let path = if path.is_empty() { "/" } else { path };
    match (scheme, root) {
        ("http", _) => send_over(stream, method, authority, path, headers, body),
        ("https", Some(root)) => {
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            let stream = over_tls(stream, host, root)?;
            send_over(stream, method, authority, path, headers, body)
        }
        ("https", None) => Err(invalid("https needs the certificate to trust")),
        _ => Err(invalid("scheme is neither http nor https")),
    }
}

/// Sends one request over an open stream, for example a Unix socket.
///
/// # Errors
///
/// When the stream fails or the answer is not HTTP.
pub fn send_over(
    mut stream: impl Read + Write,
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    read_response(&mut BufReader::new(stream), method)
}

fn over_tls(
    stream: TcpStream,
    host: &str,
    root: &CertificateDer<'static>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// A request or an answer on the wire.
pub(crate) struct Message {
    pub(crate) first_line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Reads one request; `None` when the peer closed without sending one.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let Some((first_line, headers)) = read_head(reader)? else { return Ok(None) };
    let body = match framing(&headers)? {
        Framing::Length(length) => read_exactly(reader, length)?,
        Framing::Chunked => read_chunks(reader)?,
        Framing::UntilClose => Vec::new(),
    };
    Ok(Some(Message { first_line, headers, body }))
}

/// Reads the answer to a request with `method`.
pub(crate) fn read_response(reader: &mut impl BufRead, method: &str) -> io::Result<Response> {
    loop {
        let (first_line, headers) = read_head(reader)?
            .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "closed without an answer"))?;
        let status: u16 = first_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| invalid(&format!("not an HTTP answer: `{first_line}`")))?;
        if (100..200).contains(&status) {
            continue;
        }
        let body = if method == "HEAD" || status == 204 || status == 304 {
            Vec::new()
        } else {
            match framing(&headers)? {
                Framing::Length(length) => read_exactly(reader, length)?,
                Framing::Chunked => read_chunks(reader)?,
                Framing::UntilClose => {
                    let mut body = Vec::new();
                    reader.take(MAX_BODY).read_to_end(&mut body)?;
                    body
                }
            }
        };
        return Ok(Response { status, headers, body });
    }
}

/// Writes an answer with its own framing; `headers` must not name any.
pub(crate) fn write_response(
    stream: &mut impl Write,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", phrase(status));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

/// Closes so that the peer reads all that was written: what it still sends is read
/// first, because a close with unread bytes resets the connection.
pub(crate) fn close_gently(stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = io::copy(&mut stream.take(MAX_HEAD), &mut io::sink());
}

fn phrase(status: u16) -> &'static str {
    match status {
        200..300 => "OK",
        401 => "Unauthorized",
        400..500 => "Bad Request",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

fn framing(headers: &[(String, String)]) -> io::Result<Framing> {
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|it| &*it.1);
    if value("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        return Ok(Framing::Chunked);
    }
    let Some(length) = value("content-length") else { return Ok(Framing::UntilClose) };
    length
        .parse()
        .map(Framing::Length)
        .map_err(|_| invalid(&format!("content-length is no number: `{length}`")))
}

type Head = (String, Vec<(String, String)>);

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut limited = reader.take(MAX_HEAD);
    let Some(first_line) = read_line(&mut limited)? else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = read_line(&mut limited)?
            .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "closed inside the head"))?;
        if line.is_empty() {
            return Ok(Some((first_line, headers)));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid(&format!("header without colon: `{line}`")))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?
            .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "closed between chunks"))?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16)
            .map_err(|_| invalid(&format!("chunk length is no hex number: `{line}`")))?;
        if length == 0 {
            // Trailers, if any, end with an empty line.
            while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        body.extend(read_exactly(reader, length)?);
        read_line(reader)?;
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if MAX_BODY < length {
        return Err(invalid(&format!("body of {length} bytes, at most {MAX_BODY} are read")));
    }
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body)?;
    if u64::try_from(read) != Ok(length) {
        let message = format!("closed after {read} of {length} bytes");
        return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
    }
    Ok(body)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message.to_owned())
}
