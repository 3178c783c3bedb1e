//! What signed notes say: a checkpoint, or that a prefix was removed.
//!
//! **In:** sizes, links and times.
//! **Out:** note text in one spelling each, and back.
//! **Not here:** signatures and keys (see [`crate::note`], [`crate::key`]), and
//! where notes are kept (see [`crate::store`], [`crate::export`]).
//!
//! Source: <https://c2sp.org/tlog-checkpoint>. The third line is the last link of
//! the chain, not the root of a Merkle tree; extension lines follow it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::chain::Link;
use crate::key::{SigningKey, VerifyingKey};
use crate::note::{self, NoteError};

/// Signed statement: the first `size` records of the journal end in `link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Records ever appended when it was signed; the sequence number of the last.
    pub size: u64,
    /// Link of record `size`; the genesis link for 0.
    pub link: Link,
    /// When it was signed, by the caller's clock.
    pub at: Timestamp,
}

/// Signed statement: records below `first_seq` were removed by retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// First record that remains.
    pub first_seq: u64,
    /// Link of record `first_seq - 1`, from which the rest of the chain is verified.
    pub link: Link,
    /// Records that this prune removed.
    pub removed: u64,
    /// When it was signed, by the caller's clock.
    pub at: Timestamp,
}

impl Checkpoint {
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\nat {}\n", self.size, STANDARD.encode(self.link), self.at)
    }

    pub(crate) fn sign(&self, origin: &str, key: &SigningKey) -> String {
        note::sign(&self.text(origin), origin, key)
    }

    /// Reads a checkpoint signed by `key` for the origin that is the key's name.
    ///
    /// # Errors
    ///
    /// [`NoteError`] for any byte that is not as this journal would have written it.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Checkpoint, NoteError> {
        let text = note::open(note, key)?;
        let wrong = NoteError::Text { expected: "checkpoint" };
        let mut lines = Lines::new(text, key.name())?;
        let (size, link) = lines.size_and_link().ok_or(wrong)?;
        let at = lines.field("at ").ok_or(wrong)?;
        let checkpoint = Checkpoint { size, link, at };
        // One spelling: a text that reads the same but looks otherwise is refused.
        if checkpoint.text(key.name()) == text { Ok(checkpoint) } else { Err(wrong) }
    }
}

impl Prune {
    // The extra lines keep a prune note from passing as a checkpoint, and back.
    fn text(&self, origin: &str) -> String {
        format!(
            "{origin}\n{}\n{}\npruned-before {}\nremoved {}\nat {}\n",
            self.first_seq.saturating_sub(1),
            STANDARD.encode(self.link),
            self.first_seq,
            self.removed,
            self.at,
        )
    }

    pub(crate) fn sign(&self, origin: &str, key: &SigningKey) -> String {
        note::sign(&self.text(origin), origin, key)
    }

    /// Reads a prune note signed by `key` for the origin that is the key's name.
    ///
    /// # Errors
    ///
    /// [`NoteError`] for any byte that is not as this journal would have written it.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Prune, NoteError> {
        let text = note::open(note, key)?;
        let wrong = NoteError::Text { expected: "prune note" };
        let mut lines = Lines::new(text, key.name())?;
        let (_, link) = lines.size_and_link().ok_or(wrong)?;
        let first_seq = lines.field("pruned-before ").ok_or(wrong)?;
        let removed = lines.field("removed ").ok_or(wrong)?;
        let at = lines.field("at ").ok_or(wrong)?;
        let prune = Prune { first_seq, link, removed, at };
        // Record 1 has none before it, so nothing was removed before 0 or 1.
        if 1 < first_seq && prune.text(key.name()) == text { Ok(prune) } else { Err(wrong) }
    }
}

/// The lines of a note's text after its origin.
struct Lines<'a>(std::str::Lines<'a>);

impl<'a> Lines<'a> {
    fn new(text: &'a str, origin: &str) -> Result<Lines<'a>, NoteError> {
        let mut lines = text.lines();
        if lines.next() == Some(origin) { Ok(Lines(lines)) } else { Err(NoteError::OtherOrigin) }
    }

    fn size_and_link(&mut self) -> Option<(u64, Link)> {
        let size = self.0.next()?.parse().ok()?;
        let link = STANDARD.decode(self.0.next()?).ok()?.try_into().ok()?;
        Some((size, link))
    }

    fn field<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.0.next()?.strip_prefix(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    fn at() -> Timestamp {
        "2026-07-01T12:00:00.25Z".parse().unwrap()
    }

    #[test]
    fn a_checkpoint_looks_like_this() {
        let checkpoint = Checkpoint { size: 12, link: [0xab; 32], at: at() };
        let note = checkpoint.sign("example.com/eu-1", &key());
        expect![[r#"
            example.com/eu-1
            12
            q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=
            at 2026-07-01T12:00:00.25Z

            — example.com/eu-1 4lZAnxL0eIyUy7ZhQFRqjn1iiaPkfk7wm9kfzi87P04BtqHIR4JjaQ6AEoCZRk3FuuigYpSg3aLpYpisxUSdoLASvgc=
        "#]].assert_eq(&note);
        assert_eq!(
            Checkpoint::open(&note, &key().verifying_key("example.com/eu-1")),
            Ok(checkpoint)
        );
    }

    #[test]
    fn a_prune_note_looks_like_this_and_is_no_checkpoint() {
        let prune = Prune { first_seq: 401, link: [0xab; 32], removed: 400, at: at() };
        let note = prune.sign("example.com/eu-1", &key());
        expect![[r#"
            example.com/eu-1
            400
            q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=
            pruned-before 401
            removed 400
            at 2026-07-01T12:00:00.25Z

            — example.com/eu-1 4lZAn4S/+oqdlnPPirr+S39aSFQ3YwBxpL80mlEOhJuIW1vAaolgecHo4t0pD50AukIzYrxV38Lvg1hIIlSA1HYm9Qw=
        "#]].assert_eq(&note);
        let verifying = key().verifying_key("example.com/eu-1");
        assert_eq!(Prune::open(&note, &verifying), Ok(prune));
        assert_eq!(
            Checkpoint::open(&note, &verifying),
            Err(NoteError::Text { expected: "checkpoint" })
        );
    }

    #[test]
    fn a_signed_text_in_another_spelling_is_refused() {
        let link = STANDARD.encode([0xab; 32]);
        for text in [
            format!("o\n+12\n{link}\nat {}\n", at()),
            format!("o\n012\n{link}\nat {}\n", at()),
            format!("o\n12\n{link}\nat 2026-07-01T14:00:00.25+02:00\n"),
            format!("o\n12\n{link}\nat {}\nmore\n", at()),
            format!("o\n12\n{link}\n"),
        ] {
            let note = note::sign(&text, "o", &key());
            assert_eq!(
                Checkpoint::open(&note, &key().verifying_key("o")),
                Err(NoteError::Text { expected: "checkpoint" }),
                "{text}"
            );
        }
    }
}
