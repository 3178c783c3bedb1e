//! Calling a webhook of the allow-list.
//!
//! **In:** what is allowed, and the fields that a playbook gives.
//! **Out:** one signed POST; done, rejected or unknown.
//! **Not here:** signing and sending ([`crate::webhook`]), that it is sent once
//! ([`super::receipts`]).
//!
//! The body is `{"webhook": "page-team", "fields": {…}, "effect": "ef-12", "run": "run-3",
//! "target": "checkout-api", "is_undo": false, "term": 3}`; `Idempotency-Key` is the
//! effect. 2xx is done; 4xx, and a connection that was never made, rejected. Anything else
//! is unknown and is not sent again: whether the receiver heeds the key, nobody knows.

use std::collections::BTreeMap;

use evenkeel_core::action::Receipt;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::AllowedName;
use reqwest::Method;
use serde::Serialize;

use super::mask::first_line;
use super::receipts::{Kind, Receipts};
use super::settings::AllowedWebhook;
use crate::actuator::ActRequest;
use crate::failure::Failure;
use crate::provider::{Clock, EffectReport, one_line};
use crate::webhook::client::{Answer, Client, Effect, Endpoint};

/// Longest value of a field, in bytes. Why 4 KiB: a message of two screens.
const VALUE_BYTES_MAX: usize = 4 * 1_024;

/// The body of a POST.
#[derive(Debug, Serialize)]
struct Call<'a> {
    webhook: &'a str,
    fields: &'a BTreeMap<String, String>,
    effect: String,
    run: String,
    target: &'a str,
    is_undo: bool,
    term: u64,
}

/// Calls `webhook` for `request`, once.
pub(super) async fn act(
    name: &AllowedName,
    webhook: &AllowedWebhook,
    fields: &BTreeMap<String, String>,
    request: &ActRequest,
    receipts: &Receipts,
    client: &Client,
    clock: &Clock,
) -> EffectReport {
    let refused = |reason: &str| {
        EffectReport::rejected(&format!("webhook `{name}` was not called: {reason}"))
    };
    if let Err(reason) = check_fields(&webhook.fields, fields) {
        return refused(&reason);
    }
    let effect = request.effect_id.to_string();
    let call = Call {
        webhook: name.as_str(),
        fields,
        effect: effect.clone(),
        run: request.run.to_string(),
        target: request.target.as_str(),
        is_undo: request.is_undo,
        term: request.term.0,
    };
    let body = match serde_json::to_string(&call) {
        Ok(body) => body,
        Err(error) => return refused(&error.to_string()),
    };
    let Some(secret_file) = webhook.secret_file.to_str() else {
        return refused("the path of its key file is not UTF-8");
    };
    // Before the receipt: what is wrong here can be mended, and the step tried anew.
    let endpoint = match Endpoint::open(&webhook.url, secret_file).await {
        Ok(endpoint) => endpoint,
        Err(failure) => return refused(&failure.to_string()),
    };
    let begun = match receipts.begin(Kind::Webhook, name, request).await {
        Ok(begun) => begun,
        Err(report) => return report,
    };
    let stamp = Effect { id: &effect, term: request.term.0 };
    let sent = client.send(&endpoint, Method::POST, clock(), Some(&stamp), &body).await;
    let report = sent
        .and_then(|answer| to_report(name, &answer))
        .unwrap_or_else(|failure| EffectReport::of_failure(&failure));
    match report.outcome {
        EffectOutcome::Done => {
            receipts.end(begun, Receipt::Done).await;
        }
        EffectOutcome::Rejected => {
            receipts.end(begun, Receipt::Failed).await;
        }
        // The receipt goes on saying `begun`.
        EffectOutcome::Unknown => {}
    }
    report
}

fn check_fields(allowed: &[String], fields: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in fields {
        if !allowed.contains(name) {
            return Err(format!(
                "field `{}` is not allowed; allowed are {}",
                one_line(name, 80),
                allowed.join(", ")
            ));
        }
        if VALUE_BYTES_MAX < value.len() {
            return Err(format!(
                "field `{name}` has {} bytes, at most {VALUE_BYTES_MAX}",
                value.len()
            ));
        }
    }
    Ok(())
}

fn to_report(name: &AllowedName, answer: &Answer) -> Result<EffectReport, Failure> {
    let status = answer.status;
    let body = answer.body.as_deref().map(first_line).unwrap_or_default();
    let shown =
        if body.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status} `{body}`") };
    match status {
        200..=299 => Ok(EffectReport::done(&format!("webhook `{name}` took it on ({shown})"))),
        // These say by definition that the server did nothing itself.
        301 | 307 | 308 => Err(Failure::Refused(format!(
            "{shown}; redirects are not followed, put the new URL into the allow-list"
        ))),
        400..=499 => Err(Failure::Refused(shown)),
        _ => Err(Failure::Silent(shown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    #[test]
    fn every_status_is_done_rejected_or_unknown() {
        let name = AllowedName::new("page-team").unwrap();
        let mut table = String::new();
        for status in [200, 202, 204, 301, 302, 303, 307, 308, 400, 404, 409, 429, 500, 503, 999] {
            let answer = Answer { status, body: Some(b"token=abc\nmore".to_vec()) };
            let EffectReport { outcome, detail } = to_report(&name, &answer)
                .unwrap_or_else(|failure| EffectReport::of_failure(&failure));
            writeln!(table, "{status} {outcome}: {detail}").unwrap();
        }
        expect![[r#"
            200 done: webhook `page-team` took it on (HTTP 200 `token=***`)
            202 done: webhook `page-team` took it on (HTTP 202 `token=***`)
            204 done: webhook `page-team` took it on (HTTP 204 `token=***`)
            301 rejected: refused: HTTP 301 `token=***`; redirects are not followed, put the new URL into the allow-list
            302 unknown: it may have happened or not: HTTP 302 `token=***`
            303 unknown: it may have happened or not: HTTP 303 `token=***`
            307 rejected: refused: HTTP 307 `token=***`; redirects are not followed, put the new URL into the allow-list
            308 rejected: refused: HTTP 308 `token=***`; redirects are not followed, put the new URL into the allow-list
            400 rejected: refused: HTTP 400 `token=***`
            404 rejected: refused: HTTP 404 `token=***`
            409 rejected: refused: HTTP 409 `token=***`
            429 rejected: refused: HTTP 429 `token=***`
            500 unknown: it may have happened or not: HTTP 500 `token=***`
            503 unknown: it may have happened or not: HTTP 503 `token=***`
            999 unknown: it may have happened or not: HTTP 999 `token=***`
        "#]].assert_eq(&table);
    }

    #[test]
    fn only_allowed_fields_of_sensible_length_are_sent() {
        let allowed = ["reason".to_owned(), "severity".to_owned()];
        let mut table = String::new();
        for (name, bytes) in [("reason", 4_096), ("reason", 4_097), ("URL", 1), ("rea\nson", 1)] {
            let fields = BTreeMap::from([(name.to_owned(), "x".repeat(bytes))]);
            let verdict = check_fields(&allowed, &fields);
            writeln!(table, "{}", verdict.map_or_else(|it| it, |()| "fine".to_owned())).unwrap();
        }
        expect![[r#"
            fine
            field `reason` has 4097 bytes, at most 4096
            field `URL` is not allowed; allowed are reason, severity
            field `rea son` is not allowed; allowed are reason, severity
        "#]]
        .assert_eq(&table);
    }
}
