//! What the reading verbs show.

use expect_test::expect;

use super::stage::{Stage, Who};
use crate::api::Readiness;

#[test]
fn status_shows_the_agent_and_the_targets_asked_for() {
    let stage = Stage::new();
    stage.faults.send_replace(vec!["a.yaml:3:1: unknown field `x`".to_owned()]);
    let all = stage.get(Who::Owner, "/v1/status").json();
    expect![[r#"
        {
          "break_glass": null,
          "documents_faults": [
            "a.yaml:3:1: unknown field `x`"
          ],
          "documents_sha256": "abc123",
          "last_record": 3,
          "n_in_flight": 0,
          "n_overrides": 0,
          "now": "2026-03-01T12:00:00Z",
          "region": "eu-1",
          "term": 1,
          "version": "1.2.3"
        }
    "#]]
    .assert_eq(&format!("{:#}\n", all["agent"]));
    let names = |status: &serde_json::Value| -> Vec<String> {
        let targets = status["targets"].as_array().unwrap().iter();
        targets.map(|it| it["target"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&all), ["cart", "search"]);
    let one = stage.get(Who::Owner, "/v1/status?target=search").json();
    assert_eq!(names(&one), ["search"]);
    assert_eq!(stage.get(Who::Owner, "/v1/status?target=nowhere").status, 404);
    assert_eq!(stage.get(Who::Owner, "/v1/status?target=").status, 400);
    assert_eq!(stage.get(Who::Owner, "/v1/status?tagret=cart").status, 400);
}

#[test]
fn faults_of_documents_are_listed_up_to_a_limit() {
    let stage = Stage::new();
    stage.faults.send_replace((0..1_000).map(|it| format!("fault {it}")).collect());
    let faults = stage.get(Who::Owner, "/v1/status").json()["agent"]["documents_faults"].clone();
    let faults = faults.as_array().unwrap();
    assert_eq!((faults.len(), faults[0].as_str()), (51, Some("fault 0")));
    let last = "and 950 more; `evenkeel check PATH` shows all of them";
    assert_eq!(faults[50].as_str(), Some(last));
}

#[test]
fn an_explanation_is_the_one_in_force_at_the_time_asked_for() {
    let stage = Stage::new();
    let newest = stage.get(Who::Owner, "/v1/explain/cart");
    assert_eq!(newest.status, 200, "{}", newest.text());
    assert_eq!(newest.json()["explanation"]["target"], "cart");
    for (path, status) in [
        ("/v1/explain/cart?at=2026-03-01T12:00:00Z", 200),
        ("/v1/explain/cart?at=2026-03-01T11:59:59Z", 404),
        ("/v1/explain/cart?at=yesterday", 400),
        ("/v1/explain/search", 404),
        ("/v1/explain/nowhere", 404),
        ("/v1/explain/nowhere?at=2026-03-01T12:00:00Z", 404),
        ("/v1/explain/a%20b", 400),
        ("/v1/explain/a%2Fb", 404),
    ] {
        let answer = stage.get(Who::Owner, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

fn planned(minute: u32) -> String {
    format!(
        r#"{{"record":"effect_planned","at":"2026-03-01T11:{minute:02}:00Z","id":"ef-{minute}","target":"cart","policy":null,"desired":5,"expected":4,"term":1,"why":"scaling 4 -> 5: reason {minute}"}}"#
    )
}

#[test]
fn before_what_is_kept_the_journal_explains() {
    let stage = Stage::with_past(&[planned(0), planned(1), planned(2)]);
    let sentence = |at: &str| {
        let answer = stage.get(Who::Owner, &format!("/v1/explain/cart?at={at}"));
        (answer.status, answer.json()["sentence"].as_str().map(str::to_owned))
    };
    let of = |minute: u32| Some(format!("scaling 4 -> 5: reason {minute}"));
    assert_eq!(sentence("2026-03-01T10:59:59Z"), (404, None));
    assert_eq!(sentence("2026-03-01T11:00:00Z"), (200, of(0)));
    assert_eq!(sentence("2026-03-01T11:01:59.999Z"), (200, of(1)));
    assert_eq!(sentence("2026-03-01T11:30:00Z"), (200, of(2)));
}

#[test]
fn history_is_newest_first_in_pages() {
    let stage = Stage::with_past(&(0..60).map(planned).collect::<Vec<_>>());
    let seqs = |query: &str| -> Vec<u64> {
        let answer = stage.get(Who::Owner, &format!("/v1/history{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let records = answer.json()["records"].clone();
        records.as_array().unwrap().iter().map(|it| it["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(""), (11..=60).rev().collect::<Vec<_>>());
    assert_eq!(seqs("?limit=3"), [60, 59, 58]);
    assert_eq!(seqs("?limit=3&before_seq=58"), [57, 56, 55]);
    assert_eq!(seqs("?limit=1000").len(), 60);
    assert_eq!(seqs("?limit=0"), [0_u64; 0]);
    assert_eq!(seqs("?target=search"), [0_u64; 0]);
    assert_eq!(seqs("?kind=effect_finished"), [0_u64; 0]);
    assert_eq!(seqs("?from=2026-03-01T11:01:00Z&to=2026-03-01T11:03:00Z"), [3, 2]);
    for bad in [
        "?limit=1001",
        "?limit=-1",
        "?limit=x",
        "?from=now",
        "?since=2026-03-01T11:01:00Z",
        "?limit=1&limit=2",
        "?from=2026-03-01T11:03:00Z&to=2026-03-01T11:01:00Z",
    ] {
        let answer = stage.get(Who::Owner, &format!("/v1/history{bad}"));
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
        assert!(answer.json()["hint"].is_string(), "{bad}");
    }
}

#[test]
fn an_export_has_every_record_as_it_is_stored() {
    // More than one piece, one record that is not JSON, and one with its own spacing.
    let mut bodies: Vec<String> = (0..60).map(planned).collect();
    bodies.extend((0..80).map(|it| format!("{{ \"odd\": {it}.00 }}")));
    bodies.push("not json".to_owned());
    let stage = Stage::with_past(&bodies);
    let lines = |query: &str| -> Vec<String> {
        let answer = stage.get(Who::Owner, &format!("/v1/audit/export{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().lines().map(str::to_owned).collect()
    };
    let all = lines("");
    assert_eq!(all.len(), bodies.len());
    for (n, (line, body)) in all.iter().zip(&bodies).enumerate() {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(parsed["seq"], n + 1);
        assert!(line.contains(body.as_str()), "{line}");
    }
    assert_eq!(lines("?from_seq=140"), all[139..]);
    assert_eq!(lines("?from_seq=999"), Vec::<String>::new());
    assert_eq!(stage.get(Who::Owner, "/v1/audit/export?from=1").status, 400);
}

#[test]
fn verification_says_whether_the_journal_is_intact() {
    let stage = Stage::new();
    let found = stage.get(Who::Owner, "/v1/audit/verify").json();
    assert_eq!((&found["intact"], &found["faults"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(
        found["records"],
        stage.get(Who::Owner, "/v1/status").json()["agent"]["last_record"]
    );
    std::fs::write(&stage.state.journal, b"overwritten").unwrap();
    let answer = stage.get(Who::Owner, "/v1/audit/verify");
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(answer.json()["hint"].is_string());
}

#[test]
fn ready_says_what_is_missing() {
    let stage = Stage::new();
    expect![[r#"503 {"error":"the journal is not open yet; no documents are in force yet; the first evaluation is not done yet","hint":"wait; if it stays so, look at the daemon's log"}"#]]
    .assert_eq(&shown(&stage, "/readyz"));
    stage.readiness.send_replace(Readiness {
        store_open: true,
        documents_loaded: true,
        first_evaluation_done: true,
    });
    assert_eq!(shown(&stage, "/readyz"), "200 ok\n");
    assert_eq!(shown(&stage, "/healthz"), "200 ok\n");
}

fn shown(stage: &Stage, path: &str) -> String {
    let answer = stage.get(Who::Owner, path);
    format!("{} {}", answer.status, answer.text())
}

#[test]
fn what_is_not_there_is_said_as_json() {
    let stage = Stage::new();
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/v1/statuses", 404), ("DELETE", "/v1/overrides", 405)]
    {
        let answer = stage.send(Who::Owner, method, path, b"");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["hint"].is_string(), "{path}");
    }
}

#[test]
fn requests_are_counted_by_verb_and_answer() {
    let stage = Stage::new();
    stage.get(Who::Owner, "/v1/status");
    stage.get(Who::Account("mallory"), "/v1/status");
    stage.post(Who::Owner, "/v1/overrides", "{}");
    let set = r#"{"kind":"no_scale_down","scope":"cart","for":"1","reason":"r"}"#;
    stage.post(Who::Owner, "/v1/overrides", set);
    let metrics = stage.get(Who::Owner, "/metrics");
    let kind = metrics.headers.iter().find(|(name, _)| name == "content-type").unwrap();
    assert_eq!(kind.1, crate::metrics::CONTENT_TYPE);
    let text = metrics.text();
    let mut counted: Vec<&str> =
        text.lines().filter(|it| it.starts_with("evenkeel_requests_total")).collect();
    counted.sort_unstable();
    expect![[r#"
        evenkeel_requests_total{verb="no-scale-down",answer="invalid"} 1
        evenkeel_requests_total{verb="override",answer="invalid"} 1
        evenkeel_requests_total{verb="status",answer="ok"} 1
        evenkeel_requests_total{verb="status",answer="unauthenticated"} 1
    "#]]
    .assert_eq(&(counted.join("\n") + "\n"));
}

#[test]
fn what_is_not_forecast_is_said() {
    let stage = Stage::new();
    let check = |path: &str, status: u16, said: &str| {
        let answer = stage.get(Who::Owner, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(said), "{path}: {}", answer.text());
    };
    check("/v1/forecast/cart", 404, "nothing of target `cart` is forecast");
    check("/v1/forecast/nowhere", 404, "there is no target `nowhere`");
    check("/v1/forecast/cart?horizon=49h", 400, "at most 48h");
    check("/v1/forecast/cart?horizon=0s", 400, "above 0s");
    check("/v1/forecast/cart?horizon=6", 400, "has no unit");
}
