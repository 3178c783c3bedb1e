//! What one range query returned.
//!
//! **In:** the bytes of an answer of Prometheus.
//! **Out:** its series, by the value of one label; or what it said instead.
//! **Not here:** asking ([`super::backend`]), what a sample is worth ([`super::fetch`]).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::backend::Wrong;
use super::trouble::clean;

/// Most series of one answer, as for the daemon.
pub(crate) const SERIES_MAX: usize = 20_000;

/// By which labels series are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// By one.
    Label(&'a str),
    /// By one, and within that by another.
    Labels(&'a str, &'a str),
    /// Not at all: the answer should be one series.
    Nothing,
}

/// One series: the labels' values, and samples as (Unix seconds, number).
pub(crate) struct Series {
    /// The first label's value; empty without one.
    pub(crate) value: String,
    /// The second's; empty without one.
    pub(crate) part: String,
    pub(crate) samples: Vec<(f64, f64)>,
}

/// Everything that one answer says.
pub(crate) struct Answer {
    /// Those with the labels.
    pub(crate) series: Vec<Series>,
    /// How many there were without it.
    pub(crate) n_without_label: usize,
    /// The first warning, cut; the data may be partial then.
    pub(crate) warning: Option<String>,
}

#[derive(Deserialize)]
struct Frame {
    status: String,
    #[serde(default)]
    data: Option<Payload>,
    #[serde(default, rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<RawSeries>,
}

#[derive(Deserialize)]
struct RawSeries {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// Reads an answer. The first label names the target; `secret` is never repeated.
///
/// # Errors
///
/// What the server said instead of an answer, or that this is none.
pub(crate) fn read(
    status: u16,
    body: &[u8],
    key: Key<'_>,
    secret: Option<&str>,
) -> Result<Answer, Wrong> {
    let is_success = (200..300).contains(&status);
    let frame: Frame = match serde_json::from_slice(body) {
        Ok(frame) => frame,
        Err(error) if is_success => {
            return Err(Wrong::Unreadable { reason: clean(&error.to_string(), secret) });
        }
        Err(_) => return Err(Wrong::Status { status }),
    };
    if !is_success || frame.status != "success" {
        return Err(match (frame.error_type, frame.error) {
            (Some(kind), Some(message)) => {
                Wrong::Refused { kind: clean(&kind, secret), message: clean(&message, secret) }
            }
            (_, _) => Wrong::Status { status },
        });
    }
    let Some(payload) = frame.data else {
        return Err(Wrong::Unreadable { reason: "it has no `data`".to_owned() });
    };
    if payload.result_type != "matrix" {
        return Err(Wrong::Unreadable {
            reason: format!("it is a {}, not a matrix", clean(&payload.result_type, secret)),
        });
    }
    if SERIES_MAX < payload.result.len() {
        return Err(Wrong::TooManySeries);
    }
    let mut answer = Answer { series: Vec::new(), n_without_label: 0, warning: None };
    answer.warning = frame.warnings.unwrap_or_default().first().map(|it| clean(it, secret));
    for RawSeries { mut metric, values } in payload.result {
        let named = match key {
            Key::Nothing => Some((String::new(), String::new())),
            Key::Label(label) => metric.remove(label).map(|it| (it, String::new())),
            // Both labels may be the same one.
            Key::Labels(label, part) => metric.get(label).cloned().zip(metric.get(part).cloned()),
        };
        let Some((value, part)) = named else {
            answer.n_without_label += 1;
            continue;
        };
        let mut samples = Vec::with_capacity(values.len());
        for (at, text) in values {
            // `NaN` and `+Inf` are what Prometheus writes, and what Rust reads.
            let number: f64 = text.parse().map_err(|_| Wrong::Unreadable {
                reason: format!("`{}` is not a number", clean(&text, secret)),
            })?;
            samples.push((at, number));
        }
        answer.series.push(Series { value, part, samples });
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(status: u16, body: &str, expected: &Expect) {
        let shown = match read(status, body.as_bytes(), Key::Label("service"), Some("s3cret")) {
            Ok(answer) => {
                let mut shown = format!("{} without label", answer.n_without_label);
                for Series { value, part: _, samples } in &answer.series {
                    shown += &format!("; {value} {samples:?}");
                }
                answer.warning.map_or(shown.clone(), |it| format!("{shown}; warning {it:?}"))
            }
            Err(wrong) => format!("{wrong:?}"),
        };
        expected.assert_eq(&shown);
    }

    fn matrix(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#)
    }

    #[test]
    fn series_are_kept_by_label() {
        check(
            200,
            &matrix(
                r#"[{"metric":{"service":"a"},"values":[[60,"1.5"],[120,"NaN"]]},{"metric":{}}]"#,
            ),
            &expect!["1 without label; a [(60.0, 1.5), (120.0, NaN)]"],
        );
        check(
            200,
            r#"{"status":"success","warnings":["s3cret is down"],"data":{"resultType":"matrix","result":[]}}"#,
            &expect![[r#"0 without label; warning "[hidden] is down""#]],
        );
    }

    #[test]
    fn what_is_no_answer_is_said_without_secrets() {
        check(
            400,
            r#"{"status":"error","errorType":"bad_data","error":"parse error: s3cret"}"#,
            &expect![[r#"Refused { kind: "bad_data", message: "parse error: [hidden]" }"#]],
        );
        check(401, "Unauthorized", &expect!["Status { status: 401 }"]);
        check(
            200,
            "<html>",
            &expect![[r#"Unreadable { reason: "expected value at line 1 column 1" }"#]],
        );
        check(
            200,
            r#"{"status":"success"}"#,
            &expect![[r#"Unreadable { reason: "it has no `data`" }"#]],
        );
        check(
            200,
            &matrix(r#"[{"metric":{"service":"a"},"values":[[60,"s3cret"]]}]"#),
            &expect![[r#"Unreadable { reason: "`[hidden]` is not a number" }"#]],
        );
    }
}
