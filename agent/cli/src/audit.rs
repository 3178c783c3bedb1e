//! `evenkeel audit verify`: can the log have been changed?
//!
//! **In:** a journal on disk, or the agent's own verification of its journal.
//! **Out:** a [`VerifyReport`]; exit 0 when intact, 1 otherwise.
//! **Not here:** the proof itself ([`evenkeel_store::verify`]), its text for people
//! (see [`crate::audit_text`]).

use std::path::Path;

use evenkeel_store::{KeySource, Verification, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::args::{Common, Output, VerifyArgs};
use crate::audit_text;
use crate::client::Client;
use crate::connection;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// How long the agent may take to verify or to send its journal.
///
/// Why 10 min: a million records take seconds, and there may be many millions.
pub(crate) const AUDIT_PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// Longest file with a public key. Why 4 KiB: the text is below 400 bytes.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// What `--output json` prints, and what the agent answers. Only the fields up to
/// `faults` are needed of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerifyReport {
    /// No fault of any kind.
    pub(crate) intact: bool,
    /// How many records there are.
    pub(crate) records: u64,
    /// The first of them.
    pub(crate) first_seq: Option<u64>,
    /// The last of them.
    pub(crate) last_seq: Option<u64>,
    /// Its link, in hex.
    pub(crate) last_link: String,
    /// Checkpoints that hold.
    pub(crate) checkpoints: u64,
    /// What is wrong.
    pub(crate) faults: Vec<FaultReport>,
    /// How many more are wrong.
    #[serde(default)]
    pub(crate) faults_unlisted: u64,
    /// Name of the journal.
    #[serde(default)]
    pub(crate) origin: String,
    /// Note files beside the journal that hold.
    #[serde(default)]
    pub(crate) exported_notes: u64,
    /// When the newest checkpoint that holds was signed.
    #[serde(default)]
    pub(crate) last_checkpoint_at: Option<Timestamp>,
    /// How many records it covers.
    #[serde(default)]
    pub(crate) last_checkpoint_size: Option<u64>,
    /// Records after it: chained, not signed yet.
    #[serde(default)]
    pub(crate) records_after_last_checkpoint: u64,
    /// Records before this one were removed by retention, with a signed note.
    #[serde(default)]
    pub(crate) pruned_before: Option<u64>,
    /// The key that was used, as text.
    #[serde(default)]
    pub(crate) verifier_key: String,
    /// SHA-256 of the key's bytes, in hex.
    #[serde(default)]
    pub(crate) key_fingerprint: String,
    /// `given` or `embedded`: whether the key came from outside of the journal.
    #[serde(default)]
    pub(crate) key_source: String,
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaultReport {
    /// The record it is about.
    pub(crate) seq: Option<u64>,
    /// What is wrong.
    pub(crate) what: String,
}

impl From<Verification> for VerifyReport {
    fn from(it: Verification) -> VerifyReport {
        let Verification {
            intact,
            origin,
            records,
            first_seq,
            last_seq,
            last_link,
            checkpoints,
            exported_notes,
            last_checkpoint,
            records_after_last_checkpoint,
            pruned_before,
            key_fingerprint,
            verifier_key,
            key_source,
            faults,
            faults_unlisted,
        } = it;
        let fault = |it: evenkeel_store::Fault| FaultReport { seq: it.seq, what: it.what };
        VerifyReport {
            intact,
            records,
            first_seq,
            last_seq,
            last_link,
            checkpoints,
            faults: faults.into_iter().map(fault).collect(),
            faults_unlisted,
            origin,
            exported_notes,
            last_checkpoint_at: last_checkpoint.map(|it| it.at),
            last_checkpoint_size: last_checkpoint.map(|it| it.size),
            records_after_last_checkpoint,
            pruned_before,
            verifier_key,
            key_fingerprint,
            key_source: match key_source {
                KeySource::Given => "given",
                KeySource::Embedded => "embedded",
            }
            .to_owned(),
        }
    }
}

/// Verifies, or lets the agent verify, and shows.
///
/// # Errors
///
/// [`Failure::Store`] when there is no journal to verify; [`Failure::Key`]; as
/// [`Client::get`].
pub(crate) fn verify(
    args: &VerifyArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let key = args.public_key.as_deref().map(public_key).transpose()?;
    let report = match &args.store {
        Some(path) => VerifyReport::from(evenkeel_store::verify(path, key.as_ref())?),
        None => {
            let client = Client::patient(common, terminal, AUDIT_PATIENCE)?;
            let mut report = client.get::<VerifyReport>(&["audit", "verify"], &[])?.value;
            if let Some(key) = &key {
                compare(key, &mut report);
            }
            report
        }
    };
    match common.output {
        Output::Json => terminal.json(&report)?,
        Output::Text => audit_text::show(&report, args.store.is_some(), terminal)?,
    }
    Ok(if report.intact { Exit::Done } else { Exit::Refused })
}

/// Whether the agent verified under the key that was given here.
fn compare(key: &VerifyingKey, report: &mut VerifyReport) {
    if report.verifier_key == key.to_text() {
        report.key_source = "given".to_owned();
        return;
    }
    report.intact = false;
    report.faults.push(FaultReport {
        seq: None,
        what: format!(
            "the agent's key is `{}`, not the given `{}`",
            report.verifier_key,
            key.to_text()
        ),
    });
}

/// The key in the file of this name, or that this text is.
fn public_key(file_or_text: &str) -> Result<VerifyingKey, Failure> {
    let path = Path::new(file_or_text);
    if !path.exists() {
        return Ok(VerifyingKey::from_text(file_or_text)?);
    }
    let bytes = connection::read(path, "public key", KEY_BYTES_MAX)?;
    // Not shown: the file may be that of the private key.
    VerifyingKey::from_text(&String::from_utf8_lossy(&bytes)).map_err(|_| Failure::Content {
        path: path.to_owned(),
        expected: "a public key of the form name+keyid+base64",
        hint: "`evenkeel audit verify` prints the public key that a journal names",
    })
}
