//! Signed notes: text with an Ed25519 signature line below it.
//!
//! **In:** text that ends in a newline, and a key.
//! **Out:** the note in the C2SP signed-note format, or its text once the signature
//! holds.
//! **Not here:** what the text says (see [`crate::checkpoint`]).
//!
//! Source: <https://c2sp.org/signed-note>. One deliberate restriction: a note
//! of this store carries exactly one signature line, so that no byte of it can
//! change unnoticed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::key::{SigningKey, VerifyingKey};

/// Signature type of Ed25519 in C2SP notes.
pub(crate) const ED25519: u8 = 1;

/// Longest note this store reads.
///
/// Why 4 KiB: ours are below 700 bytes with the longest origin.
pub(crate) const NOTE_BYTES_MAX: usize = 4096;

/// What is wrong with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, a blank line and exactly one signature line.
    #[error("not a signed note with one signature line")]
    Shape,
    /// Longer than any note this store writes.
    #[error("note has {bytes} bytes, at most {max} are read")]
    TooLong { bytes: usize, max: usize },
    /// Signed by another name or key.
    #[error("signed by another key (name and key id do not match)")]
    OtherKey,
    /// The signature does not fit the text.
    #[error("signature does not fit the text")]
    Signature,
    /// The text is not a checkpoint, or not in its one spelling.
    #[error("text is not in the form of a {expected}")]
    Text { expected: &'static str },
    /// The first line names another journal.
    #[error("note is about another origin")]
    OtherOrigin,
}

/// First four bytes of `SHA-256(name || 0x0A || 0x01 || public key)`.
pub(crate) fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', ED25519]);
    hash.update(public);
    let hash: [u8; 32] = hash.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// `text` signed under `name`. `text` ends in a newline and has no blank line.
pub(crate) fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let mut blob = key_id(name, &key.public()).to_vec();
    blob.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(blob))
}

/// The text of `note` when its one signature is by `key`.
pub(crate) fn open<'a>(note: &'a str, key: &VerifyingKey) -> Result<&'a str, NoteError> {
    if NOTE_BYTES_MAX < note.len() {
        return Err(NoteError::TooLong { bytes: note.len(), max: NOTE_BYTES_MAX });
    }
    let split = note.find("\n\n").ok_or(NoteError::Shape)?;
    let (text, rest) = note.split_at(split + 1);
    let line = rest
        .strip_prefix("\n\u{2014} ")
        .and_then(|line| line.strip_suffix('\n'))
        .filter(|line| !line.contains('\n'))
        .ok_or(NoteError::Shape)?;
    let (name, signature) = line.split_once(' ').ok_or(NoteError::Shape)?;
    let blob = STANDARD.decode(signature).map_err(|_| NoteError::Shape)?;
    let (id, signature) = blob.split_first_chunk::<4>().ok_or(NoteError::Shape)?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| NoteError::Shape)?;
    if name != key.name() || *id != key.key_id() {
        return Err(NoteError::OtherKey);
    }
    if !key.verify(text.as_bytes(), signature) {
        return Err(NoteError::Signature);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Signed by another implementation of the format.
    const FOREIGN_KEY: &str =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const FOREIGN_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn a_note_signed_elsewhere_opens_here() {
        let key = VerifyingKey::from_text(FOREIGN_KEY).unwrap();
        assert_eq!(open(FOREIGN_NOTE, &key), Ok("This is an example message.\n"));
        assert_eq!(key.to_text(), FOREIGN_KEY);
    }

    #[test]
    fn a_note_by_another_key_is_refused() {
        let key = SigningKey::from_seed([7; 32]);
        let note = sign("hello\n", "example.com/a", &key);
        for other in [
            key.verifying_key("example.com/b"),
            SigningKey::from_seed([8; 32]).verifying_key("example.com/a"),
        ] {
            assert_eq!(open(&note, &other), Err(NoteError::OtherKey));
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_a_note_changes_unnoticed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let key = SigningKey::from_seed([7; 32]);
            let note = sign("example.com/a\n12\nAAAA\n", "example.com/a", &key);
            let mut bytes = note.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(open(&changed, &key.verifying_key("example.com/a")).is_err());
            }
        }
    }
}
