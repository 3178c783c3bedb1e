//! `evenkeel token`: a secret for one person, and what may be known of it.
//!
//! **In:** chance from the operating system; no agent.
//! **Out:** the token once, on stdout; its hash, for an `Access` document, on stderr.
//! **Not here:** checking tokens (the daemon's).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenkeel_store::to_hex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::{Common, Output, TokenArgs};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Bytes of chance in a token. Why 32: 256 bits, so that its plain SHA-256 in a
/// document cannot be searched for.
const TOKEN_BYTES: usize = 32;

/// What `--output json` prints.
#[derive(Serialize)]
struct Made<'a> {
    token: &'a str,
    hash: &'a str,
}

/// Makes one.
///
/// # Errors
///
/// [`Failure::Entropy`], [`Failure::Stdout`].
pub(crate) fn run(args: &TokenArgs, common: &Common, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Failure::Entropy)?;
    // The prefix lets scanners of repositories find tokens that went astray.
    let token = format!("evk_{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = format!("sha256:{}", to_hex(&Sha256::digest(token.as_bytes())));
    match common.output {
        Output::Json => terminal.json(&Made { token: &token, hash: &hash })?,
        Output::Text => {
            terminal.data(&token)?;
            let name = args.name.as_ref().map_or("NAME", |it| it.as_str());
            terminal.talk(&format!(
                "{hash}\n\nput the hash into an `Access` document, under `people`:\n  \
                 - name: {name}\n    token_hashes: [\"{hash}\"]"
            ));
            terminal.hint(
                "the token is shown only now; keep it in a file with mode 0600 and use it with \
                 `--url … --token-file FILE`",
            );
        }
    }
    Ok(Exit::Done)
}
