//! Any platform that speaks the signed protocol of `webhook` actuators.
//!
//! **In:** a URL and a key file; what to look at, or what to do.
//! **Out:** signed requests below that URL, each sent once, and what their answers mean.
//! **Not here:** capacities (see [`super`]), signature and key file (see
//! [`super::signature`], [`super::key`]).
//!
//! The contract for a platform's author is `iac/webhook-actuator.md`. In short:
//!
//! - `GET url/instances`, `GET url/traffic`, `GET url/revision` and `GET url/tenants` say
//!   what is there.
//! - `POST url/act` carries one action out, once per `effect_id`.
//! - `GET url/effects/ID` says how an effect ended; asked when the answer to its POST was lost.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::action::{Action, InstanceSeen, LookAt, Seen};
use evenkeel_core::documents::ActuatorRef;
use evenkeel_core::ids::{InstanceName, RunId, TargetId, TenantName, Term};
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::answer::shown;
use super::client::{ANSWER_BYTES_MAX, Answer, Effect, Endpoint};
use super::{PLATFORM, Webhooks, what};
use crate::actuator::{ActRequest, Actuator, LookRequest, role_of, to_limits, to_seen};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::EffectReport;

/// Largest answer about instances or tenants, in bytes. Why 512 KiB: 1,000 instances with 500 each.
const INSTANCES_BYTES_MAX: usize = 512 * 1_024;

/// Longest revision, in bytes. Why 256: it is shown in plans and kept in the journal; an
/// image with its digest has about 120.
const REVISION_BYTES_MAX: usize = 256;

/// The body of an answer about instances or traffic.
#[derive(Debug, Deserialize)]
struct Listed {
    instances: Vec<ListedInstance>,
}

/// One instance. Only what decides over traffic must be given.
#[derive(Debug, Deserialize)]
struct ListedInstance {
    name: InstanceName,
    zone: Option<String>,
    is_ready: bool,
    #[serde(default)]
    is_drained: bool,
    weight: Option<u32>,
    started_at: Option<Timestamp>,
}

/// The body of an answer about the revision.
#[derive(Debug, Deserialize)]
struct Revisions {
    current: String,
    previous: Option<String>,
}

/// The body of an answer about tenants: requests per second of those that have a limit.
#[derive(Debug, Deserialize)]
struct Limits {
    limits: BTreeMap<TenantName, u32>,
}

/// The body of a POST.
#[derive(Debug, Serialize)]
struct Order<'a> {
    effect_id: &'a str,
    term: Term,
    run: RunId,
    target: &'a TargetId,
    is_undo: bool,
    action: &'a Action,
}

/// The body of an answer to a POST.
#[derive(Debug, Deserialize)]
struct Confirmation {
    effect_id: String,
}

/// The body of an answer about an effect.
#[derive(Debug, Deserialize)]
struct EffectState {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It was carried out.
    Done,
    /// Nothing was changed, and nothing will be.
    Failed,
    /// It is being carried out.
    Begun,
    /// Never heard of it; it may still be on its way.
    None,
}

impl Webhooks {
    async fn try_look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        let (url, secret_file) = place_of(&request.reference)?;
        let what = what(url);
        let (part, bytes_max) = match &request.at {
            LookAt::Instances => ("instances", INSTANCES_BYTES_MAX),
            LookAt::Traffic => ("traffic", INSTANCES_BYTES_MAX),
            LookAt::Revision => ("revision", ANSWER_BYTES_MAX),
            LookAt::TenantLimits => ("tenants", INSTANCES_BYTES_MAX),
            LookAt::Capacity
            | LookAt::Command { .. }
            | LookAt::Webhook { .. }
            | LookAt::Terraform { .. } => {
                let reason =
                    "an actuator says instances, traffic, revisions and tenants only".to_owned();
                return Err(ReadError::NotSent { what, reason });
            }
        };
        let now = (self.clock)();
        let asked = async {
            let endpoint = Endpoint::open(url, secret_file).await?.below(&[part], bytes_max)?;
            self.client.send(&endpoint, Method::GET, now, None, "").await
        };
        let answer = asked.await.map_err(|failure| failure.to_read_error(&what))?;
        if request.at == LookAt::Revision {
            return to_revision(&answer).map_err(|failure| failure.to_read_error(&what));
        }
        if request.at == LookAt::TenantLimits {
            let example = r#"{"limits": {"acme": 10}}"#;
            let limits: Result<Limits, Failure> = to_body(&answer, example);
            let Limits { limits } = limits.map_err(|failure| failure.to_read_error(&what))?;
            return to_limits(&what, limits);
        }
        let instances = to_instances(&answer).map_err(|failure| failure.to_read_error(&what))?;
        to_seen(&what, instances)
    }

    async fn try_act(
        &self,
        reference: &ActuatorRef,
        request: &ActRequest,
    ) -> Result<EffectReport, Failure> {
        let not_sent = |error: &dyn std::fmt::Display| Failure::NotSent(error.to_string());
        let (url, secret_file) = place_of(reference).map_err(|error| not_sent(&error))?;
        let ActRequest { effect_id, term, run, target, is_undo, action } = request;
        if role_of(&action.looks_at()).is_none() {
            return Err(not_sent(&format!("an actuator cannot {}", action.class())));
        }
        let id = effect_id.to_string();
        let order =
            Order { effect_id: &id, term: *term, run: *run, target, is_undo: *is_undo, action };
        let body = serde_json::to_string(&order)
            .map_err(|error| not_sent(&format!("the request cannot be written: {error}")))?;
        let base = Endpoint::open(url, secret_file).await?;
        let place = base.below(&["act"], ANSWER_BYTES_MAX)?;
        let effect = Effect { id: &id, term: term.0 };
        let now = (self.clock)();
        let sent = self.client.send(&place, Method::POST, now, Some(&effect), &body).await;
        match sent.and_then(|answer| to_report(&answer, &id)) {
            Err(Failure::Silent(reason)) => Ok(self.read_back(&base, &id, reason).await),
            known => known,
        }
    }

    /// How an effect ended whose answer was lost: as the platform remembers it, if it does.
    async fn read_back(&self, base: &Endpoint, id: &str, reason: String) -> EffectReport {
        let now = (self.clock)();
        let asked = async {
            let place = base.below(&["effects", id], ANSWER_BYTES_MAX)?;
            self.client.send(&place, Method::GET, now, None, "").await
        };
        let state = asked.await.ok().and_then(|answer| to_state(&answer));
        match state {
            Some(State::Done) => EffectReport::done(&format!(
                "carried out, as the platform says when asked for {id}; its first answer: {reason}"
            )),
            Some(State::Failed) => EffectReport::rejected(&format!(
                "the platform says that {id} changed nothing; its first answer: {reason}"
            )),
            // `none` too: a request that was lost on its way back may also be late on its way.
            Some(State::Begun | State::None) | None => {
                EffectReport::of_failure(&Failure::Silent(reason))
            }
        }
    }
}

#[async_trait]
impl Actuator for Webhooks {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        self.try_look(request).await
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        self.try_act(reference, request)
            .await
            .unwrap_or_else(|failure| EffectReport::of_failure(&failure))
    }
}

/// URL and key file of a reference that was routed here.
fn place_of(reference: &ActuatorRef) -> Result<(&str, &str), ReadError> {
    match reference {
        ActuatorRef::Webhook { url, secret_file } => Ok((url, secret_file)),
        ActuatorRef::Haproxy { .. }
        | ActuatorRef::HaproxyMap { .. }
        | ActuatorRef::AwsAutoScalingGroup { .. }
        | ActuatorRef::AwsEcsService { .. }
        | ActuatorRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

/// The body of an answer to a GET, or what came instead.
fn to_body<'a, T: Deserialize<'a>>(answer: &'a Answer, example: &str) -> Result<T, Failure> {
    match answer.status {
        200 => {}
        400..=499 => return Err(Failure::Refused(shown(answer))),
        _ => return Err(Failure::Silent(shown(answer))),
    }
    let body = answer.body.as_deref().unwrap_or_default();
    serde_json::from_slice(body)
        .map_err(|error| Failure::Silent(format!("{} is not `{example}`: {error}", shown(answer))))
}

fn to_instances(answer: &Answer) -> Result<Vec<InstanceSeen>, Failure> {
    let example = r#"{"instances": [{"name": "web-1", "is_ready": true}]}"#;
    let Listed { instances } = to_body(answer, example)?;
    let seen = |it: ListedInstance| {
        let ListedInstance { name, zone, is_ready, is_drained, weight, started_at } = it;
        InstanceSeen { name, zone, is_ready, is_drained, weight, started_at }
    };
    Ok(instances.into_iter().map(seen).collect())
}

fn to_revision(answer: &Answer) -> Result<Seen, Failure> {
    let Revisions { current, previous } =
        to_body(answer, r#"{"current": "v42", "previous": "v41"}"#)?;
    for revision in [Some(&current), previous.as_ref()].into_iter().flatten() {
        check_revision(revision).map_err(Failure::Silent)?;
    }
    Ok(Seen::Revision { current, previous })
}

/// Whether a revision can be shown and kept.
fn check_revision(revision: &str) -> Result<(), String> {
    if revision.is_empty() {
        return Err("a revision is empty".to_owned());
    }
    if REVISION_BYTES_MAX < revision.len() {
        let n = revision.len();
        return Err(format!("a revision has {n} bytes, at most {REVISION_BYTES_MAX}"));
    }
    if revision.chars().any(char::is_control) {
        return Err("a revision has a control character".to_owned());
    }
    Ok(())
}

/// How an effect ended, from the answer to its POST. A success that has a body must name the
/// effect: a login page also comes with 200.
fn to_report(answer: &Answer, id: &str) -> Result<EffectReport, Failure> {
    let body = answer.body.as_deref().unwrap_or_default();
    let status = answer.status;
    match status {
        204 => Ok(EffectReport::done("carried out (HTTP 204)")),
        200 | 202 if answer.body.is_some() && body.is_empty() => {
            Ok(EffectReport::done(&format!("carried out (HTTP {status}, no body)")))
        }
        200 | 202 => match serde_json::from_slice::<Confirmation>(body) {
            Ok(Confirmation { effect_id }) if effect_id == id => {
                Ok(EffectReport::done(&format!("carried out (HTTP {status})")))
            }
            Ok(_) | Err(_) => Err(Failure::Silent(format!(
                "{} does not confirm with `{{\"effect_id\": \"{id}\"}}`",
                shown(answer)
            ))),
        },
        // These say by definition that the server did nothing itself.
        301 | 307 | 308 => Err(Failure::Refused(format!(
            "{}; redirects are not followed, put the new URL into the target",
            shown(answer)
        ))),
        400..=499 => Err(Failure::Refused(shown(answer))),
        _ => Err(Failure::Silent(shown(answer))),
    }
}

fn to_state(answer: &Answer) -> Option<State> {
    let state: EffectState = to_body(answer, "").ok()?;
    Some(state.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    #[test]
    fn the_contract_shows_a_request_as_it_is_sent_and_signed() {
        use evenkeel_core::ids::EffectId;
        let contract = include_str!("../../../../iac/webhook-actuator.md");
        let name = InstanceName::new("web-3").unwrap();
        let body = serde_json::to_string(&Order {
            effect_id: &EffectId(12).to_string(),
            term: Term(3),
            run: RunId(7),
            target: &TargetId::new("checkout-api").unwrap(),
            is_undo: false,
            action: &Action::SetDrained { instances: [name].into(), is_drained: true },
        })
        .unwrap();
        let key = b"0123456789abcdef0123456789abcdef";
        let path = "/checkout/act";
        let signature =
            crate::webhook::signature::sign(key, "1767225600", "POST", path, body.as_bytes());
        for needed in [&body, &signature.unwrap()] {
            assert!(contract.contains(needed.as_str()), "{needed}");
        }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Some(body.as_bytes().to_vec()) }
    }

    #[test]
    fn every_answer_to_an_act_is_done_rejected_or_unknown() {
        let answers = [
            (200, r#"{"effect_id":"ef-12"}"#),
            (200, r#"{"effect_id":"ef-12","note":"two drained"}"#),
            (200, r#"{"effect_id":"ef-11"}"#),
            (200, ""),
            (200, "<html>please log in</html>"),
            (201, r#"{"effect_id":"ef-12"}"#),
            (202, r#"{"effect_id":"ef-12"}"#),
            (202, ""),
            (204, ""),
            (302, ""),
            (307, ""),
            (400, r#"{"error":"no such instance"}"#),
            (401, "who are you?"),
            (404, ""),
            (409, "term 3 is older than 4"),
            (422, ""),
            (429, ""),
            (500, "it\nbroke"),
            (503, ""),
        ];
        let mut table = String::new();
        for (status, body) in answers {
            let report = to_report(&answer(status, body), "ef-12")
                .unwrap_or_else(|failure| EffectReport::of_failure(&failure));
            let EffectReport { outcome, detail } = report;
            writeln!(table, "{status} {} -> {outcome}: {detail}", body.escape_debug()).unwrap();
        }
        let repeats = Answer { status: 200, body: None };
        let failure = to_report(&repeats, "ef-12").unwrap_err();
        writeln!(table, "{failure}").unwrap();
        expect![[r#"
            200 {\"effect_id\":\"ef-12\"} -> done: carried out (HTTP 200)
            200 {\"effect_id\":\"ef-12\",\"note\":\"two drained\"} -> done: carried out (HTTP 200)
            200 {\"effect_id\":\"ef-11\"} -> unknown: it may have happened or not: HTTP 200 `{"effect_id":"ef-11"}` does not confirm with `{"effect_id": "ef-12"}`
            200  -> done: carried out (HTTP 200, no body)
            200 <html>please log in</html> -> unknown: it may have happened or not: HTTP 200 `<html>please log in</html>` does not confirm with `{"effect_id": "ef-12"}`
            201 {\"effect_id\":\"ef-12\"} -> unknown: it may have happened or not: HTTP 201 `{"effect_id":"ef-12"}`
            202 {\"effect_id\":\"ef-12\"} -> done: carried out (HTTP 202)
            202  -> done: carried out (HTTP 202, no body)
            204  -> done: carried out (HTTP 204)
            302  -> unknown: it may have happened or not: HTTP 302
            307  -> rejected: refused: HTTP 307; redirects are not followed, put the new URL into the target
            400 {\"error\":\"no such instance\"} -> rejected: refused: HTTP 400 `{"error":"no such instance"}`
            401 who are you? -> rejected: refused: HTTP 401 `who are you?`
            404  -> rejected: refused: HTTP 404
            409 term 3 is older than 4 -> rejected: refused: HTTP 409 `term 3 is older than 4`
            422  -> rejected: refused: HTTP 422
            429  -> rejected: refused: HTTP 429
            500 it\nbroke -> unknown: it may have happened or not: HTTP 500 `it broke`
            503  -> unknown: it may have happened or not: HTTP 503
            it may have happened or not: HTTP 200 with a body that repeats the key does not confirm with `{"effect_id": "ef-12"}`
        "#]].assert_eq(&table);
    }

    #[test]
    fn only_whole_lists_from_200_are_instances() {
        let answers = [
            (200, r#"{"instances":[]}"#),
            (200, r#"{"instances":[{"name":"b","is_ready":false}]}"#),
            (
                200,
                r#"{"instances":[{"name":"b","is_ready":true,"is_drained":true,"weight":3,"zone":"z","started_at":"2026-01-01T00:00:00Z","more":1}]}"#,
            ),
            (200, r#"{"instances":[{"name":"b"}]}"#),
            (200, r#"{"instances":[{"name":"b; x","is_ready":true}]}"#),
            (200, r#"{"instances":[{"name":"b","is_ready":"yes"}]}"#),
            (200, r#"{"instances":[{"name":"b","is_ready":true,"weight":-1}]}"#),
            (200, r#"{"instances":[{"name":"b","is_ready":true"#),
            (200, r#"[]"#),
            (200, ""),
            (204, ""),
            (404, "no such path"),
            (500, r#"{"instances":[]}"#),
        ];
        let mut table = String::new();
        for (status, body) in answers {
            let shown = match to_instances(&answer(status, body)) {
                Ok(instances) => format!("{instances:?}"),
                Err(failure) => failure.to_string(),
            };
            writeln!(table, "{shown}").unwrap();
        }
        expect![[r#"
            []
            [InstanceSeen { name: `b`, zone: None, is_ready: false, is_drained: false, weight: None, started_at: None }]
            [InstanceSeen { name: `b`, zone: Some("z"), is_ready: true, is_drained: true, weight: Some(3), started_at: Some(2026-01-01T00:00:00Z) }]
            it may have happened or not: HTTP 200 `{"instances":[{"name":"b"}]}` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: missing field `is_ready` at line 1 column 26
            it may have happened or not: HTTP 200 `{"instances":[{"name":"b; x","is_ready":true}]}` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: `b; x` contains ';', the name of an instance has only letters, digits and `-_.@/+:[]%=,#` at line 1 column 28
            it may have happened or not: HTTP 200 `{"instances":[{"name":"b","is_ready":"yes"}]}` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: invalid type: string "yes", expected a boolean at line 1 column 42
            it may have happened or not: HTTP 200 `{"instances":[{"name":"b","is_ready":true,"weight":-1}]}` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: invalid value: integer `-1`, expected u32 at line 1 column 53
            it may have happened or not: HTTP 200 `{"instances":[{"name":"b","is_ready":true` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: EOF while parsing an object at line 1 column 41
            it may have happened or not: HTTP 200 `[]` is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: invalid length 0, expected struct Listed with 1 element at line 1 column 2
            it may have happened or not: HTTP 200 is not `{"instances": [{"name": "web-1", "is_ready": true}]}`: EOF while parsing a value at line 1 column 0
            it may have happened or not: HTTP 204
            refused: HTTP 404 `no such path`
            it may have happened or not: HTTP 500 `{"instances":[]}`
        "#]].assert_eq(&table);
    }

    #[test]
    fn a_revision_is_a_line_of_text() {
        let mut table = String::new();
        let long = format!(r#"{{"current":"{}"}}"#, "v".repeat(257));
        for body in [
            r#"{"current":"v42","previous":"v41"}"#,
            r#"{"current":"v42"}"#,
            r#"{"current":""}"#,
            r#"{"current":"a","previous":"b\nc"}"#,
            r#"{"current":42}"#,
            &long,
        ] {
            let shown = match to_revision(&answer(200, body)) {
                Ok(seen) => format!("{seen:?}"),
                Err(failure) => failure.to_string(),
            };
            writeln!(table, "{shown}").unwrap();
        }
        expect![[r#"
            Revision { current: "v42", previous: Some("v41") }
            Revision { current: "v42", previous: None }
            it may have happened or not: a revision is empty
            it may have happened or not: a revision has a control character
            it may have happened or not: HTTP 200 `{"current":42}` is not `{"current": "v42", "previous": "v41"}`: invalid type: integer `42`, expected a string at line 1 column 13
            it may have happened or not: a revision has 257 bytes, at most 256
        "#]].assert_eq(&table);
    }

    #[test]
    fn the_state_of_an_effect_is_one_of_four_words() {
        let mut table = String::new();
        for (status, word) in [
            (200, "done"),
            (200, "failed"),
            (200, "begun"),
            (200, "none"),
            (200, "fine"),
            (404, "done"),
        ] {
            let state = to_state(&answer(status, &format!(r#"{{"state":"{word}"}}"#)));
            writeln!(table, "{status} {word}: {state:?}").unwrap();
        }
        expect![[r#"
            200 done: Some(Done)
            200 failed: Some(Failed)
            200 begun: Some(Begun)
            200 none: Some(None)
            200 fine: None
            404 done: None
        "#]]
        .assert_eq(&table);
    }
}
