//! The break-glass file: freezes everything, also with the API down.
//!
//! **In:** one path.
//! **Out:** whether the file is there, as the core wants to hear it.
//! **Not here:** what follows (the core freezes everything; the executor looks
//! again before each effect).

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::agent::{BreakGlassReading, Input};
use tokio::sync::mpsc;
use tracing::warn;

/// How often the file is looked for.
///
/// Why 100 ms: a person's freeze is to be in force within 250 ms; looking costs
/// one system call.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Longest that one look may take. A file system that hangs is unreadable.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of the file that are shown to people.
const TEXT_BYTES_MAX: u64 = 200;

/// What the file is like now. Only a clear "there is no such file" is absent.
pub async fn read(file: &Path) -> BreakGlassReading {
    let file = file.to_owned();
    let looked = tokio::task::spawn_blocking(move || read_blocking(&file));
    match tokio::time::timeout(LOOK_TIMEOUT, looked).await {
        Ok(Ok(reading)) => reading,
        Ok(Err(error)) => BreakGlassReading::Unreadable { error: error.to_string() },
        Err(_) => {
            let error = format!("no answer within {} s", LOOK_TIMEOUT.as_secs());
            BreakGlassReading::Unreadable { error }
        }
    }
}

fn read_blocking(file: &Path) -> BreakGlassReading {
    // The link itself counts: a dangling one was put there by somebody.
    match std::fs::symlink_metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return BreakGlassReading::Absent,
        Err(error) => return BreakGlassReading::Unreadable { error: error.to_string() },
        // Opening a pipe would wait for a writer.
        Ok(metadata) if !metadata.is_file() => {
            return BreakGlassReading::Present { text: String::new() };
        }
        Ok(_) => (),
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file);
    match opened.and_then(|it| it.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {
            let text = String::from_utf8_lossy(&bytes);
            let line = text.lines().next().unwrap_or_default();
            let visible = line.chars().filter(|it| !it.is_control());
            BreakGlassReading::Present { text: visible.collect::<String>().trim().to_owned() }
        }
        // Removed between the two looks: the next look will say so.
        Err(error) => BreakGlassReading::Unreadable { error: error.to_string() },
    }
}

/// Looks again and again, and tells the loop when it is not like `told` any more.
/// Ends when the loop does.
pub async fn watch(file: PathBuf, mut told: BreakGlassReading, inputs: mpsc::Sender<Input>) {
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let reading = read(&file).await;
        if reading != told {
            warn!(file = %file.display(), ?reading, "break-glass file changed");
            told = reading.clone();
            if inputs.send(Input::BreakGlassRead(reading)).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_missing_file_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("freeze");
        assert_eq!(read(&path).await, BreakGlassReading::Absent);
        std::fs::write(&path, "ana: failover\u{7}\nmore").unwrap();
        assert_eq!(read(&path).await, BreakGlassReading::Present { text: "ana: failover".into() });
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&path).await, BreakGlassReading::Present { .. }));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
        assert_eq!(read(&path).await, BreakGlassReading::Present { text: String::new() });
        // A path below a file cannot be looked at: that is not "absent".
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        let below = read(&path.join("freeze")).await;
        assert!(matches!(below, BreakGlassReading::Unreadable { .. }), "{below:?}");
    }
}
