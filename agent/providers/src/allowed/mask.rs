//! Hiding what looks like a secret.
//!
//! **In:** text that a program printed.
//! **Out:** its first line, with `***` in place of what may be a secret.
//! **Not here:** secrets that are known (they never get here: see
//! [`super::terraform`]).
//!
//! A guess: it hides too much rather than too little, and cannot hide all. Programs
//! on the allow-list must not print secrets in the first place.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// How much of a line is looked at and shown, in bytes. Why 300: leaves room for what is
/// said around it in a report.
const LINE_BYTES_MAX: usize = 300;

/// What is put in place of a secret.
const MASK: &str = "***";

/// Names that announce a secret.
const NAMES: &str = r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|authorization|signature|cookie)[\w.-]*";

/// Patterns and what replaces them, in the order in which they are applied.
const PATTERNS: [(&str, &str); 7] = [
    // The rest of the line: the key itself may follow.
    (r"-----BEGIN .*", MASK),
    (r"://[^\s/@]+@", "://***@"),
    (r"(?i)\b(bearer|basic|digest)\s+[^\s,;]+", "$1 ***"),
    // `password=x`, `"token": "x"`, `--api-key x`, `token x`.
    (r#"(?i)(NAMES)(["']?(?:\s*[:=]\s*|\s+)["']?)(?:(?:bearer|basic)\s+)?[^\s"',;&]+"#, "$1$2***"),
    (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}\b", MASK),
    (r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|hv[sb]\.|eyJ)[\w.-]{8,}", MASK),
    // AWS secret keys have 40 characters of base64.
    (r"[A-Za-z0-9+/_=-]{40,}", LONG),
];

/// Stands for a decision per match; see [`masked_long`].
const LONG: &str = "";

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    PATTERNS
        .iter()
        .filter_map(|(pattern, with)| {
            Some((Regex::new(&pattern.replace("NAMES", NAMES)).ok()?, *with))
        })
        .collect()
});

/// The first line of `text` that is not empty, masked.
pub(super) fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().map(str::trim).find(|it| !it.is_empty()).map(masked).unwrap_or_default()
}

/// `line` without what looks like a secret, cut to [`LINE_BYTES_MAX`].
pub(super) fn masked(line: &str) -> String {
    // A secret that is cut in the middle must still be recognised: cut afterwards, but
    // not after megabytes.
    let line = crate::provider::one_line(line, LINE_BYTES_MAX * 4);
    let hidden = COMPILED.iter().fold(line, |line, (pattern, with)| {
        if with.is_empty() {
            pattern.replace_all(&line, masked_long).into_owned()
        } else {
            pattern.replace_all(&line, *with).into_owned()
        }
    });
    crate::provider::one_line(&hidden, LINE_BYTES_MAX)
}

/// A long word is a secret, unless it is a revision of Git or a path.
fn masked_long(found: &Captures<'_>) -> String {
    let word = found.get(0).map_or("", |it| it.as_str());
    let has = |is: fn(&char) -> bool| word.chars().any(|it| is(&it));
    let is_revision =
        word.len() == 40 && word.chars().all(|it| matches!(it, '0'..='9' | 'a'..='f'));
    let is_mixed =
        has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let is_path = word.contains('/') && !is_mixed;
    if is_revision || is_path { word.to_owned() } else { MASK.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    #[test]
    fn every_pattern_is_in_use() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let lines = [
            "restarted web-1 in 3 s",
            "\n\n  second line is the first with text\nthird",
            "password=hunter2 and more",
            "PASSWORD: hunter2",
            r#"{"db_password":"hunter2","user":"ana"}"#,
            "--api-key hunter2 --region eu",
            "token hunter2 is invalid",
            "aws_secret_access_key = hunter2",
            "Authorization: Bearer hunter2.abc",
            "bearer hunter2",
            "GET https://ana:hunter2@example.org/x?a=b",
            "GET https://example.org/x?access_token=hunter2&b=c",
            "key AKIAIOSFODNN7EXAMPLE refused",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "deployed 3fe47de0123456789abcdef0123456789abcdef0",
            "cannot open /var/lib/some-long-folder/with/many-parts/in-it",
            "ghp_0123456789abcdef is not valid",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
            "-----BEGIN RSA PRIVATE KEY----- MIIE",
            "colour \u{1b}[31mred\u{1b}[0m",
        ];
        let mut table = String::new();
        for line in lines {
            writeln!(table, "{}", first_line(line.as_bytes())).unwrap();
        }
        expect![[r#"
            restarted web-1 in 3 s
            second line is the first with text
            password=*** and more
            PASSWORD: ***
            {"db_password":"***","user":"ana"}
            --api-key *** --region eu
            token *** is invalid
            aws_secret_access_key = ***
            Authorization: ***
            bearer ***
            GET https://***@example.org/x?a=b
            GET https://example.org/x?access_token=***&b=c
            key *** refused
            ***
            sha256 ***
            deployed 3fe47de0123456789abcdef0123456789abcdef0
            cannot open /var/lib/some-long-folder/with/many-parts/in-it
            *** is not valid
            ***
            ***
            colour  [31mred [0m
        "#]]
        .assert_eq(&table);
        assert!(!table.contains("hunter2"), "{table}");
    }
}
