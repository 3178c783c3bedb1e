//! Quantities inside strings, and numbers as people read them.
//!
//! **In:** the text of `duration("5m")` and `bytes("10Gi")`; values to show.
//! **Out:** seconds and bytes; `0.35 s`; and for a bare number the call that gives it
//! the unit that is wanted.
//! **Not here:** durations elsewhere in documents ([`crate::units::parse_duration`]).

use super::unit::Unit;
use crate::units::parse_duration;

/// `5m`, `1h30m`, `500ms`, `1s500ms`, in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let Some(before) = text.strip_suffix("ms") else {
        return parse_duration(text).map(|it| it.as_secs_f64());
    };
    let rest = before.trim_end_matches(|it: char| it.is_ascii_digit());
    let milliseconds: Option<u32> = before.get(rest.len()..).and_then(|it| it.parse().ok());
    let Some(milliseconds) = milliseconds else {
        return Err(format!("`{text}` is not a duration; write for example `500ms` or `5m`"));
    };
    let whole = if rest.is_empty() { 0.0 } else { parse_duration(rest)?.as_secs_f64() };
    Ok(whole + f64::from(milliseconds) / 1e3)
}

/// Suffixes of sizes; powers of 1,024 and of 1,000.
const SIZES: [(&str, f64); 12] = [
    ("Ki", 1_024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("k", 1e3),
    ("K", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("", 1.0),
];

/// `10Gi`, `500M`, `1.5GiB`, `1024`, in bytes.
pub(super) fn bytes(text: &str) -> Result<f64, String> {
    let fault =
        || format!("`{text}` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`");
    let digits = text.bytes().take_while(|it| it.is_ascii_digit() || *it == b'.').count();
    let number: f64 = text.get(..digits).and_then(|it| it.parse().ok()).ok_or_else(fault)?;
    let suffix = text.get(digits..).unwrap_or_default();
    let suffix = suffix.strip_suffix('B').unwrap_or(suffix);
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == suffix).ok_or_else(fault)?;
    let total = number * factor;
    // Above 2^63 nothing is a size any more, and sums would lose their meaning.
    if total <= 9.2e18 { Ok(total) } else { Err(fault()) }
}

/// How to write `value` (as it stands in the text: `written`) in a unit that a bare
/// number does not take.
pub(super) fn constructor(unit: Unit, written: &str, value: Option<f64>) -> String {
    match unit {
        Unit::Rps => format!("rps({written})"),
        Unit::UsdPerHour => format!("usd_per_hour({written})"),
        Unit::Usd => format!("usd({written})"),
        Unit::Ratio | Unit::Count | Unit::Units => written.to_owned(),
        Unit::Seconds => match value.filter(|it| 0.0 <= *it && *it < 1e7) {
            Some(value) if value % 1.0 == 0.0 => format!("duration(\"{value}s\")"),
            Some(value) => {
                let seconds = value.floor();
                let milliseconds = ((value - seconds) * 1e3).round();
                let whole = if seconds == 0.0 { String::new() } else { format!("{seconds}s") };
                format!("duration(\"{whole}{milliseconds}ms\")")
            }
            None => "duration(\"30s\")".to_owned(),
        },
        Unit::Bytes => match value.filter(|it| 0.0 <= *it && *it < 1e18) {
            Some(value) => match SIZES
                .iter()
                .take(5)
                .rev()
                .find(|(_, factor)| *factor <= value && value % factor == 0.0)
            {
                Some((suffix, factor)) => format!("bytes(\"{}{suffix}\")", value / factor),
                None => format!("bytes(\"{value}\")"),
            },
            None => "bytes(\"10Gi\")".to_owned(),
        },
    }
}

/// A value with its unit, short: `0.35 s`, `12.5 $/h`, `10 Gi`.
pub(super) fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio | Unit::Count | Unit::Units => plain(value),
        Unit::Rps => format!("{} rps", plain(value)),
        Unit::Seconds => format!("{} s", plain(value)),
        Unit::UsdPerHour => format!("{} $/h", plain(value)),
        Unit::Usd => format!("{} $", plain(value)),
        Unit::Bytes => match SIZES.iter().take(5).rev().find(|(_, it)| *it <= value.abs()) {
            Some((suffix, factor)) => format!("{} {suffix}", plain(value / factor)),
            None => format!("{} B", plain(value)),
        },
    }
}

/// Four significant digits, without trailing zeros.
fn plain(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    let decimals = match size {
        _ if !(1e-3..1e15).contains(&size) => return format!("{value:.3e}"),
        _ if size < 0.01 => 6,
        _ if size < 0.1 => 5,
        _ if size < 1.0 => 4,
        _ if size < 10.0 => 3,
        _ if size < 100.0 => 2,
        _ if size < 1_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn quantities_are_read_in_their_usual_forms() {
        let texts = ["5m", "1h30m", "500ms", "1s500ms", "2d", "ms", "5", "1.5h", "5 m", "-1s", ""];
        let mut table = String::new();
        for text in texts {
            table.push_str(&format!("{text} = {:?}\n", seconds(text)));
        }
        for text in ["10Gi", "500M", "1.5GiB", "1024", "4k", "0", "Gi", "-1", "1e3", "10gi", "9E"] {
            table.push_str(&format!("{text} = {:?}\n", bytes(text)));
        }
        expect![[r#"
            5m = Ok(300.0)
            1h30m = Ok(5400.0)
            500ms = Ok(0.5)
            1s500ms = Ok(1.5)
            2d = Ok(172800.0)
            ms = Err("`ms` is not a duration; write for example `500ms` or `5m`")
            5 = Err("`5` has no unit; write for example `5s` or `5m`")
            1.5h = Err("`1.5h` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`")
            5 m = Err("`5 m` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`")
            -1s = Err("`-1s` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`")
             = Err("a duration must not be empty; write for example `5m`")
            10Gi = Ok(10737418240.0)
            500M = Ok(500000000.0)
            1.5GiB = Ok(1610612736.0)
            1024 = Ok(1024.0)
            4k = Ok(4000.0)
            0 = Ok(0.0)
            Gi = Err("`Gi` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`")
            -1 = Err("`-1` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`")
            1e3 = Err("`1e3` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`")
            10gi = Err("`10gi` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`")
            9E = Err("`9E` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`")
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn values_are_shown_in_a_few_digits() {
        let values = [0.0, 0.123_456, 12.0, 1_234.56, -0.5, 1e-9, 3e20, 99.999];
        let numbers: Vec<String> = values.iter().map(|it| shown(*it, Unit::Ratio)).collect();
        let units: Vec<String> = Unit::ALL.iter().map(|it| shown(1536.0, *it)).collect();
        expect![[r#"
            ["0", "0.1235", "12", "1235", "-0.5", "1.000e-9", "3.000e20", "100"]
            ["1536", "1536", "1536 rps", "1536 s", "1536 $/h", "1536 $", "1.5 Ki", "1536"]"#]]
        .assert_eq(&format!("{numbers:?}\n{units:?}"));
    }
}
