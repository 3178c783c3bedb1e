//! One command over HAProxy's runtime socket.
//!
//! **In:** a path and one command.
//! **Out:** the whole answer without its last newline, or how it failed.
//! **Not here:** what an answer means (see [`super`], [`super::servers`]).
//!
//! One connection per command: HAProxy closes after the answer, so its end is certain, and
//! no answer can be taken for that of another command.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;

/// Largest answer, in bytes. Why 1 MiB: 1,000 servers take 150 KB.
const ANSWER_BYTES_MAX: u64 = 1_024 * 1_024;

/// Sends `command` and reads its answer, all within `limit`.
pub(super) async fn ask(path: &Path, command: &str, limit: Duration) -> Result<String, Failure> {
    // Names were checked already; this holds for whatever will be added.
    if let Some(found) = command.chars().find(|it| it.is_control() || ";\\<".contains(*it)) {
        return Err(Failure::NotSent(format!("a command must not contain {found:?}")));
    }
    let deadline = Instant::now() + limit;
    let late = || format!("no whole answer within {} s", limit.as_secs_f64());
    let stream = timeout_at(deadline, UnixStream::connect(path))
        .await
        .map_err(|_| Failure::NotSent(late()))?
        .map_err(|error| Failure::NotSent(format!("its socket: {error}")))?;
    // From the first byte on the command may be carried out.
    timeout_at(deadline, exchange(stream, command))
        .await
        .unwrap_or_else(|_| Err(Failure::Silent(late())))
}

async fn exchange(mut stream: UnixStream, command: &str) -> Result<String, Failure> {
    let broken = |error: std::io::Error| Failure::Silent(format!("the connection broke: {error}"));
    stream.write_all(format!("{command}\n").as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await.map_err(broken)?;
    let n = u64::try_from(answer.len()).unwrap_or(u64::MAX);
    if ANSWER_BYTES_MAX < n {
        return Err(Failure::Silent(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(answer)
        .map_err(|_| Failure::Silent("the answer is not text".to_owned()))?;
    match text.strip_suffix('\n') {
        Some(text) => Ok(text.to_owned()),
        None if text.is_empty() => Err(Failure::Silent("closed without an answer".to_owned())),
        None => Err(Failure::Silent("the answer was cut off".to_owned())),
    }
}
