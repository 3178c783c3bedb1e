//! The dead man's switch.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use evenkeel_core::agent::Agent;
use evenkeel_testbed::Proxy;
use tempfile::TempDir;

use super::super::heartbeat::Heartbeat;
use super::*;
use crate::config::HeartbeatConfig;
use crate::mailbox::{Mailbox, Message};

/// Longest wait for something on loopback.
const LIMIT: Duration = Duration::from_secs(20);

/// Far above the period of these tests, and long enough for the loop to be given up
/// several times (5 s each). It passes at once: time is paused then.
const SILENCE: Duration = Duration::from_secs(17);

#[tokio::test]
async fn it_beats_while_the_loop_answers_and_stops_when_it_does_not() {
    let folder = TempDir::new().unwrap();
    let receiver = Proxy::without_upstream();
    receiver.answer("POST /ping/abc", 10_000, 200, "OK");
    let url_file = folder.path().join("url");
    fs::write(&url_file, format!("{}/ping/abc\n", receiver.url())).unwrap();
    fs::set_permissions(&url_file, fs::Permissions::from_mode(0o600)).unwrap();
    let (mailbox, mut messages) = Mailbox::new();
    let config = HeartbeatConfig { url_file, period: SignedDuration::from_millis(20) };
    let heartbeat = Heartbeat::new(config, None, mailbox).unwrap();
    let beating = tokio::spawn(heartbeat.run());

    // The loop answers five questions, then hangs with one in hand.
    let agent = Agent::default();
    for _ in 0..5 {
        let Some(Message::Question(question)) =
            tokio::time::timeout(LIMIT, messages.recv()).await.unwrap()
        else {
            panic!("a question was expected")
        };
        question(&agent, start());
    }
    let in_hand = tokio::time::timeout(LIMIT, messages.recv()).await.unwrap();
    let n_beats = receiver.count_matching("POST /ping/abc");
    assert_eq!(n_beats, 5);
    tokio::time::pause();
    tokio::time::sleep(SILENCE).await;
    tokio::time::resume();
    assert_eq!(receiver.count_matching("POST"), n_beats);
    // It ends with the loop.
    drop(in_hand);
    drop(messages);
    tokio::time::timeout(LIMIT, beating).await.unwrap().unwrap();
}
