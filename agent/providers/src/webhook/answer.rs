//! What a platform's answers mean.
//!
//! **In:** status and body.
//! **Out:** a capacity, or how an effect ended.
//! **Not here:** the contract for a platform's author (see [`crate::webhook`]).

use evenkeel_core::units::Capacity;
use serde::Deserialize;

use super::client::Answer;
use crate::failure::Failure;
use crate::provider::{EffectReport, one_line};

/// How much of an answer is shown. Why 200: a sentence, and room for the rest of
/// the detail.
const SHOWN_BYTES_MAX: usize = 200;

/// The body of an answer to GET.
#[derive(Debug, Deserialize)]
struct Capacities {
    current: Capacity,
    ready: Option<Capacity>,
}

/// The body of an answer to PUT.
#[derive(Debug, Default, Deserialize)]
struct Confirmation {
    /// What it was set to.
    desired: Option<Capacity>,
    /// With 409: what is there instead of what was expected.
    current: Option<Capacity>,
}

/// Current and ready capacity from the answer to a GET.
pub(super) fn to_capacity(answer: &Answer) -> Result<(Capacity, Option<Capacity>), Failure> {
    match answer.status {
        200 => {}
        400..=499 => return Err(Failure::Refused(shown(answer))),
        _ => return Err(Failure::Silent(shown(answer))),
    }
    let body = answer.body.as_deref().unwrap_or_default();
    let Capacities { current, ready } = serde_json::from_slice(body).map_err(|error| {
        let shown = shown(answer);
        Failure::Silent(format!("{shown} is not `{{\"current\": 7, \"ready\": 6}}`: {error}"))
    })?;
    Ok((current, ready))
}

/// How an effect ended, from the answer to its PUT.
///
/// 202 counts as done: the platform has taken the desired capacity on, which is
/// all that 200 says too; when it is ready is read from it later. A success that
/// has a body must repeat `desired`: a login page also comes with 200.
pub(super) fn to_report(
    answer: &Answer,
    desired: Capacity,
    expected: Capacity,
) -> Result<EffectReport, Failure> {
    let body = answer.body.as_deref().unwrap_or_default();
    let confirmation = serde_json::from_slice::<Confirmation>(body).ok();
    match answer.status {
        204 => Ok(EffectReport::done(&format!("capacity set to {desired} (HTTP 204)"))),
        200 | 202 if answer.body.is_some() && body.is_empty() => Ok(EffectReport::done(&format!(
            "capacity set to {desired} (HTTP {}, no body)",
            answer.status
        ))),
        200 | 202 => match confirmation.and_then(|it| it.desired) {
            Some(set) if set == desired => Ok(EffectReport::done(&format!(
                "capacity set to {desired} (HTTP {})",
                answer.status
            ))),
            Some(set) => Err(Failure::Silent(format!(
                "asked for {desired}, the platform confirms {set} (HTTP {})",
                answer.status
            ))),
            None => Err(Failure::Silent(format!(
                "{} does not confirm with `{{\"desired\": {desired}}}`",
                shown(answer)
            ))),
        },
        409 | 412 => {
            let current = confirmation.and_then(|it| it.current);
            Err(Failure::Refused(match current {
                Some(current) if current != expected => {
                    format!("current capacity is {current}, the decision was made on {expected}")
                }
                Some(_) | None => shown(answer),
            }))
        }
        // These say by definition that the server did nothing itself.
        301 | 307 | 308 => Err(Failure::Refused(format!(
            "{}; redirects are not followed, put the new URL into the target",
            shown(answer)
        ))),
        400..=499 => Err(Failure::Refused(shown(answer))),
        _ => Err(Failure::Silent(shown(answer))),
    }
}

/// Status and the start of the body, for people.
pub(super) fn shown(answer: &Answer) -> String {
    let status = answer.status;
    match &answer.body {
        None => format!("HTTP {status} with a body that repeats the key"),
        Some(body) if body.is_empty() => format!("HTTP {status}"),
        Some(body) => {
            let start = body.get(..SHOWN_BYTES_MAX * 2).unwrap_or(body);
            let text = String::from_utf8_lossy(start);
            format!("HTTP {status} `{}`", one_line(text.trim(), SHOWN_BYTES_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Some(body.as_bytes().to_vec()) }
    }

    #[test]
    fn every_answer_to_a_put_is_done_rejected_or_unknown() {
        let answers = [
            (200, r#"{"desired":9}"#),
            (200, r#"{"desired":9,"ready":7,"note":"fine"}"#),
            (200, r#"{"desired":7}"#),
            (200, ""),
            (200, r#"{"ok":true}"#),
            (200, "<html>please log in</html>"),
            (201, r#"{"desired":9}"#),
            (202, r#"{"desired":9}"#),
            (202, ""),
            (204, ""),
            (206, ""),
            (301, ""),
            (302, ""),
            (303, ""),
            (307, ""),
            (308, ""),
            (400, r#"{"error":"desired is above 8"}"#),
            (401, "who are you?"),
            (403, ""),
            (404, ""),
            (408, ""),
            (409, r#"{"current":8}"#),
            (409, r#"{"current":7}"#),
            (409, "term 3 is older than 4"),
            (412, ""),
            (429, ""),
            (500, "it\nbroke"),
            (502, ""),
            (503, ""),
            (504, ""),
            (599, ""),
            (999, ""),
        ];
        let mut table = String::new();
        for (status, body) in answers {
            let report = to_report(&answer(status, body), Capacity(9), Capacity(7))
                .unwrap_or_else(|failure| EffectReport::of_failure(&failure));
            let EffectReport { outcome, detail } = report;
            writeln!(table, "{status} {} -> {outcome}: {detail}", body.escape_debug()).unwrap();
        }
        expect![[r#"
            200 {\"desired\":9} -> done: capacity set to 9 (HTTP 200)
            200 {\"desired\":9,\"ready\":7,\"note\":\"fine\"} -> done: capacity set to 9 (HTTP 200)
            200 {\"desired\":7} -> unknown: it may have happened or not: asked for 9, the platform confirms 7 (HTTP 200)
            200  -> done: capacity set to 9 (HTTP 200, no body)
            200 {\"ok\":true} -> unknown: it may have happened or not: HTTP 200 `{"ok":true}` does not confirm with `{"desired": 9}`
            200 <html>please log in</html> -> unknown: it may have happened or not: HTTP 200 `<html>please log in</html>` does not confirm with `{"desired": 9}`
            201 {\"desired\":9} -> unknown: it may have happened or not: HTTP 201 `{"desired":9}`
            202 {\"desired\":9} -> done: capacity set to 9 (HTTP 202)
            202  -> done: capacity set to 9 (HTTP 202, no body)
            204  -> done: capacity set to 9 (HTTP 204)
            206  -> unknown: it may have happened or not: HTTP 206
            301  -> rejected: refused: HTTP 301; redirects are not followed, put the new URL into the target
            302  -> unknown: it may have happened or not: HTTP 302
            303  -> unknown: it may have happened or not: HTTP 303
            307  -> rejected: refused: HTTP 307; redirects are not followed, put the new URL into the target
            308  -> rejected: refused: HTTP 308; redirects are not followed, put the new URL into the target
            400 {\"error\":\"desired is above 8\"} -> rejected: refused: HTTP 400 `{"error":"desired is above 8"}`
            401 who are you? -> rejected: refused: HTTP 401 `who are you?`
            403  -> rejected: refused: HTTP 403
            404  -> rejected: refused: HTTP 404
            408  -> rejected: refused: HTTP 408
            409 {\"current\":8} -> rejected: refused: current capacity is 8, the decision was made on 7
            409 {\"current\":7} -> rejected: refused: HTTP 409 `{"current":7}`
            409 term 3 is older than 4 -> rejected: refused: HTTP 409 `term 3 is older than 4`
            412  -> rejected: refused: HTTP 412
            429  -> rejected: refused: HTTP 429
            500 it\nbroke -> unknown: it may have happened or not: HTTP 500 `it broke`
            502  -> unknown: it may have happened or not: HTTP 502
            503  -> unknown: it may have happened or not: HTTP 503
            504  -> unknown: it may have happened or not: HTTP 504
            599  -> unknown: it may have happened or not: HTTP 599
            999  -> unknown: it may have happened or not: HTTP 999
        "#]].assert_eq(&table);
    }

    #[test]
    fn only_whole_numbers_from_200_are_a_capacity() {
        let answers = [
            (200, r#"{"current":7,"ready":6}"#),
            (200, r#"{"current":7}"#),
            (200, r#"{"current":7,"ready":null,"more":[1]}"#),
            (200, r#"{"current":0,"ready":0}"#),
            (200, r#"{"current":7.5}"#),
            (200, r#"{"current":-1}"#),
            (200, r#"{"current":"7"}"#),
            (200, r#"{"current":4294967296}"#),
            (200, r#"{"current":7,"ready":-1}"#),
            (200, r#"{"ready":7}"#),
            (200, r#"{"current":7,"current":8}"#),
            (200, r#"{"current":7"#),
            (200, "7"),
            (200, ""),
            (202, r#"{"current":7}"#),
            (302, ""),
            (404, "no such service"),
            (500, r#"{"current":7}"#),
        ];
        let mut table = String::new();
        for (status, body) in answers {
            let shown = match to_capacity(&answer(status, body)) {
                Ok((current, Some(ready))) => format!("{current}, {ready} ready"),
                Ok((current, None)) => format!("{current}"),
                Err(failure) => failure.to_read_error("it").to_string(),
            };
            writeln!(table, "{status} {body} -> {shown}").unwrap();
        }
        expect![[r#"
            200 {"current":7,"ready":6} -> 7, 6 ready
            200 {"current":7} -> 7
            200 {"current":7,"ready":null,"more":[1]} -> 7
            200 {"current":0,"ready":0} -> 0, 0 ready
            200 {"current":7.5} -> no usable answer about it: HTTP 200 `{"current":7.5}` is not `{"current": 7, "ready": 6}`: invalid type: floating point `7.5`, expected u32 at line 1 column 14
            200 {"current":-1} -> no usable answer about it: HTTP 200 `{"current":-1}` is not `{"current": 7, "ready": 6}`: invalid value: integer `-1`, expected u32 at line 1 column 13
            200 {"current":"7"} -> no usable answer about it: HTTP 200 `{"current":"7"}` is not `{"current": 7, "ready": 6}`: invalid type: string "7", expected u32 at line 1 column 14
            200 {"current":4294967296} -> no usable answer about it: HTTP 200 `{"current":4294967296}` is not `{"current": 7, "ready": 6}`: invalid value: integer `4294967296`, expected u32 at line 1 column 21
            200 {"current":7,"ready":-1} -> no usable answer about it: HTTP 200 `{"current":7,"ready":-1}` is not `{"current": 7, "ready": 6}`: invalid value: integer `-1`, expected u32 at line 1 column 23
            200 {"ready":7} -> no usable answer about it: HTTP 200 `{"ready":7}` is not `{"current": 7, "ready": 6}`: missing field `current` at line 1 column 11
            200 {"current":7,"current":8} -> no usable answer about it: HTTP 200 `{"current":7,"current":8}` is not `{"current": 7, "ready": 6}`: duplicate field `current` at line 1 column 22
            200 {"current":7 -> no usable answer about it: HTTP 200 `{"current":7` is not `{"current": 7, "ready": 6}`: EOF while parsing an object at line 1 column 12
            200 7 -> no usable answer about it: HTTP 200 `7` is not `{"current": 7, "ready": 6}`: invalid type: integer `7`, expected struct Capacities at line 1 column 1
            200  -> no usable answer about it: HTTP 200 is not `{"current": 7, "ready": 6}`: EOF while parsing a value at line 1 column 0
            202 {"current":7} -> no usable answer about it: HTTP 202 `{"current":7}`
            302  -> no usable answer about it: HTTP 302
            404 no such service -> cannot read it: HTTP 404 `no such service`
            500 {"current":7} -> no usable answer about it: HTTP 500 `{"current":7}`
        "#]].assert_eq(&table);
    }
}
