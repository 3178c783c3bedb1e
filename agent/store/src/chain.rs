//! The hash chain: one link per record, covering every column.
//!
//! **In:** the link before, and the stored columns of one record as bytes.
//! **Out:** the record's own link.
//! **Not here:** signatures (see [`crate::checkpoint`]) and reading rows.

use sha2::{Digest, Sha256};

/// SHA-256 that commits to one record and to all records before it.
pub type Link = [u8; 32];

/// The link before record 1 of the journal named `origin`.
///
/// `SHA-256("evenkeel journal v1\n" || origin)`: two journals never share a link.
pub fn chain_genesis(origin: &str) -> Link {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel journal v1\n");
    hash.update(origin.as_bytes());
    hash.finalize().into()
}

/// The columns of one row, as they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) seq: u64,
    pub(crate) at_us: i64,
    pub(crate) kind: &'a [u8],
    pub(crate) target_id: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

/// The link of the record with `columns`, given the link before it.
///
/// `SHA-256(before || le64 seq || le64 at_us || text kind || target || SHA-256(body))`
/// where `text x` is `le64 length || x` and `target` is the byte 0 for no target,
/// or the byte 1 and `text target_id`. Every part has a known length or carries
/// its own, so no two rows hash the same bytes.
///
/// The body goes in as a hash so that a proof about a record need not show it.
pub(crate) fn next_link(before: &Link, columns: &Columns<'_>) -> Link {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(columns.seq.to_le_bytes());
    hash.update(columns.at_us.to_le_bytes());
    update_text(&mut hash, columns.kind);
    match columns.target_id {
        None => hash.update([0]),
        Some(target_id) => {
            hash.update([1]);
            update_text(&mut hash, target_id);
        }
    }
    hash.update(Sha256::digest(columns.body));
    hash.finalize().into()
}

fn update_text(hash: &mut Sha256, text: &[u8]) {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    hash.update(length.to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_hex;
    use expect_test::{Expect, expect};

    fn columns() -> Columns<'static> {
        Columns {
            seq: 1,
            at_us: 1_700_000_000_000_000,
            kind: b"freeze",
            target_id: Some(b"checkout-api"),
            body: b"{}",
        }
    }

    #[track_caller]
    fn check(columns: Columns<'_>, expected: &Expect) {
        expected.assert_eq(&to_hex(&next_link(&chain_genesis("example.com/eu-1"), &columns)));
    }

    // These bytes are the format: a change here makes every existing journal unreadable.
    #[test]
    fn links_never_change_between_versions() {
        expect!["047c18095c57c6d3b6241f0fc838049e036ff019bf025675dde47554200edf95"]
            .assert_eq(&to_hex(&chain_genesis("example.com/eu-1")));
        check(
            columns(),
            &expect!["cf0be32da4c3315d9fc925498feb41d76c9811269b1a886c3ddca545223b0b2e"],
        );
        check(
            Columns { target_id: None, ..columns() },
            &expect!["b15e800fb11fe3576e55acc6fc87855156dfa61456f1d09fb04172915003ac50"],
        );
        check(
            Columns { target_id: Some(b""), ..columns() },
            &expect!["626555ab59e39b9ef8c7943a975267211321c05c654249cdaf141a4b4de60cbc"],
        );
    }

    #[test]
    fn moving_a_byte_between_columns_changes_the_link() {
        let a = Columns { kind: b"ab", target_id: Some(b"c"), ..columns() };
        let b = Columns { kind: b"a", target_id: Some(b"bc"), ..columns() };
        let genesis = chain_genesis("example.com/eu-1");
        assert_ne!(next_link(&genesis, &a), next_link(&genesis, &b));
    }
}
