//! Text and numbers for a page.
//!
//! **In:** strings from anywhere, numbers, instants. **Out:** text that is safe in HTML.
//! **Not here:** where it goes ([`super`]).

use std::fmt::{self, Display, Formatter, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Most characters of one text on a page. Why: an error message can be a whole document, and
/// a page has a thousand events.
const TEXT_MAX: usize = 600;

/// A text from outside, safe in HTML text and in quoted attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Safe<'a>(pub(super) &'a str);

impl Display for Safe<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (position, letter) in self.0.chars().enumerate() {
            if position == TEXT_MAX {
                return out.write_char('…');
            }
            match letter {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                '\n' | '\t' => out.write_char(' ')?,
                // Direction marks make a line read as what it is not.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.write_char('\u{fffd}')?,
                other if other.is_control() => out.write_char('\u{fffd}')?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Three figures and grouped thousands: `0.0123`, `4.56`, `78.9`, `12,345`. What is no number
/// is `–`.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    let text = if 99.95 <= size {
        return grouped(&format!("{value:.0}"));
    } else if 9.995 <= size {
        format!("{value:.1}")
    } else if 0.9995 <= size {
        format!("{value:.2}")
    } else if 0.0001 <= size {
        format!("{value:.4}")
    } else if size == 0.0 {
        return "0".to_owned();
    } else {
        return format!("{value:.1e}");
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("−", rest),
        None => ("", digits),
    };
    if 15 < digits.len() {
        return format!("{sign}{}e{}", &digits[..1], digits.len() - 1);
    }
    let mut text = sign.to_owned();
    for (position, digit) in digits.chars().enumerate() {
        if 0 < position && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// For an axis: `0.5`, `20`, `1.5k`, `3M`.
pub(super) fn short(value: f64) -> String {
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if unit <= value.abs() {
            return number(value / unit) + name;
        }
    }
    number(value)
}

/// A span: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn span(seconds: i64) -> String {
    let two = |big: i64, unit: &str, small: i64, name: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {name}"),
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// An instant in UTC, as `format` (strftime) says; the bare number where no calendar reaches.
pub(super) fn instant(at: i64, format: &str) -> String {
    match Timestamp::from_second(at) {
        Ok(instant) => instant.to_zoned(TimeZone::UTC).strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

/// One word of a command line, quoted for a shell where it must be.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Base64 of RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |position: usize| u32::from(three.get(position).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            if three.len() < position {
                text.push('=');
            } else {
                let index = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
                text.push(char::from(LETTERS[index]));
            }
        }
    }
    text
}
