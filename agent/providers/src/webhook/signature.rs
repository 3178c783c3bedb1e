//! Signing requests, and checking signatures on the other side.
//!
//! **In:** the key and what is signed: time, method, path and body.
//! **Out:** `v1=` and 64 hexadecimal digits; or whether such a text is right.
//! **Not here:** where the key comes from (see [`super::key`]).
//!
//! Signed is `TIMESTAMP.METHOD.PATH.BODY` with HMAC-SHA256: the value of
//! `Evenkeel-Timestamp` (Unix seconds), the method in capitals, path and query
//! as in the request line, and the body's bytes (none for GET). The host is not
//! signed: give every platform a key of its own.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// Of a signature made by this version.
const VERSION: &str = "v1=";

/// Why a request must not be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The timestamp is not a number of seconds.
    #[error("`Evenkeel-Timestamp` is not a number of Unix seconds")]
    Timestamp,
    /// The request is too old or from the future: perhaps a replay.
    #[error("the request was signed {skew_seconds} s away from now, at most {skew_seconds_max} s")]
    Skew {
        /// How far away, without direction.
        skew_seconds: i64,
        /// How far is allowed.
        skew_seconds_max: i64,
    },
    /// Not `v1=` and 64 hexadecimal digits.
    #[error("`Evenkeel-Signature` is not `v1=` and 64 hexadecimal digits")]
    Malformed,
    /// The key or anything that is signed differs.
    #[error("the signature is wrong: another key, or the request was changed on its way")]
    Wrong,
}

fn mac(key: &[u8], timestamp: &str, method: &str, path: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length; `None` never happens.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [timestamp, method, path] {
        mac.update(part.as_bytes());
        mac.update(b".");
    }
    mac.update(body);
    Some(mac)
}

/// The value of `Evenkeel-Signature`.
pub(super) fn sign(
    key: &[u8],
    timestamp: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<String> {
    let digest = mac(key, timestamp, method, path, body)?.finalize().into_bytes();
    let mut text = VERSION.to_owned();
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// Checks a request of the agent, for the author of a platform.
///
/// `timestamp` and `signature` are the values of `Evenkeel-Timestamp` and
/// `Evenkeel-Signature`; `method` in capitals; `path` with its query, as in the
/// request line; `body` as received. `max_skew` is how far the timestamp may be
/// from `now` on either side; five minutes are customary. Compares in constant
/// time. A request within `max_skew` can be replayed: obey each
/// `Evenkeel-Effect` once.
///
/// # Errors
///
/// [`SignatureError`] when the request must not be obeyed.
#[expect(clippy::too_many_arguments, reason = "all of them are signed or decide on the signature")]
pub fn verify_signature(
    key: &[u8],
    timestamp: &str,
    method: &str,
    path: &str,
    body: &[u8],
    signature: &str,
    now: Timestamp,
    max_skew: SignedDuration,
) -> Result<(), SignatureError> {
    let digits = signature.strip_prefix(VERSION).ok_or(SignatureError::Malformed)?;
    let digest = from_hex(digits).ok_or(SignatureError::Malformed)?;
    // The signature first: who does not have the key learns nothing of the clock.
    let mac = mac(key, timestamp, method, path, body).ok_or(SignatureError::Wrong)?;
    mac.verify_slice(&digest).map_err(|_| SignatureError::Wrong)?;
    let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    let signed_at = Timestamp::from_second(seconds).map_err(|_| SignatureError::Timestamp)?;
    let skew = now.duration_since(signed_at).abs();
    if max_skew < skew {
        return Err(SignatureError::Skew {
            skew_seconds: skew.as_secs(),
            skew_seconds_max: max_skew.as_secs(),
        });
    }
    Ok(())
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = hex_value(high)? << 4 | hex_value(low)?;
    }
    Some(bytes)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const TIME: &str = "1767225600";

    fn signed() -> String {
        sign(KEY, TIME, "PUT", "/capacity?of=checkout", br#"{"desired":9}"#).unwrap()
    }

    #[test]
    fn a_signature_can_be_recomputed_with_openssl() {
        // printf '%s' '1767225600.PUT./capacity?of=checkout.{"desired":9}' |
        //   openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        expect!["v1=8a50cc980c756271de496624989656586eb0bcd0d4590978d645beb59b6146e2"]
            .assert_eq(&signed());
    }

    /// Changes one thing at a time.
    #[track_caller]
    fn check(change: &str, expected: &Expect) {
        let mut key = KEY;
        let mut request = [TIME, "PUT", "/capacity?of=checkout", r#"{"desired":9}"#];
        let mut signature = signed();
        let mut now = Timestamp::from_second(1_767_225_600).unwrap();
        match change {
            "nothing" => {}
            "key" => key = b"another-key-another-key-another-k",
            "timestamp" => request[0] = "1767225601",
            "timestamp is text" => {
                request[0] = "soon";
                signature =
                    sign(key, "soon", request[1], request[2], request[3].as_bytes()).unwrap();
            }
            "method" => request[1] = "GET",
            "query" => request[2] = "/capacity?of=search",
            "body" => request[3] = r#"{"desired":0}"#,
            "5 min later" => now += SignedDuration::from_mins(5),
            "301 s later" => now += SignedDuration::from_secs(301),
            "301 s earlier" => now -= SignedDuration::from_secs(301),
            "last digit" => {
                let last = if signature.ends_with('0') { '1' } else { '0' };
                signature.pop();
                signature.push(last);
            }
            "too short" => drop(signature.pop()),
            "capitals" => signature = signature.to_uppercase(),
            "version" => signature = signature.replace("v1=", "v2="),
            "empty" => signature.clear(),
            other => panic!("no such change: {other}"),
        }
        let [time, method, path, body] = request;
        let max_skew = SignedDuration::from_mins(5);
        let verified =
            verify_signature(key, time, method, path, body.as_bytes(), &signature, now, max_skew);
        expected.assert_eq(&verified.map_or_else(|it| it.to_string(), |()| "right".to_owned()));
    }

    #[test]
    fn every_change_to_a_request_is_noticed() {
        check("nothing", &expect!["right"]);
        check("5 min later", &expect!["right"]);
        check(
            "key",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check(
            "timestamp",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check(
            "timestamp is text",
            &expect!["`Evenkeel-Timestamp` is not a number of Unix seconds"],
        );
        check(
            "method",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check(
            "query",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check(
            "body",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check("301 s later", &expect!["the request was signed 301 s away from now, at most 300 s"]);
        check(
            "301 s earlier",
            &expect!["the request was signed 301 s away from now, at most 300 s"],
        );
        check(
            "last digit",
            &expect!["the signature is wrong: another key, or the request was changed on its way"],
        );
        check("too short", &expect!["`Evenkeel-Signature` is not `v1=` and 64 hexadecimal digits"]);
        check("capitals", &expect!["`Evenkeel-Signature` is not `v1=` and 64 hexadecimal digits"]);
        check("version", &expect!["`Evenkeel-Signature` is not `v1=` and 64 hexadecimal digits"]);
        check("empty", &expect!["`Evenkeel-Signature` is not `v1=` and 64 hexadecimal digits"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_verification_panic(time in ".{0,20}", path in ".{0,20}", signature in "(v1=)?.{0,70}") {
            let now = Timestamp::UNIX_EPOCH;
            let max_skew = SignedDuration::from_mins(5);
            prop_assert!(
                verify_signature(KEY, &time, "GET", &path, b"", &signature, now, max_skew).is_err()
            );
        }
    }
}
