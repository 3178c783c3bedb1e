//! `status`, `explain`, `history`: tables for people, JSON for programs.

use expect_test::{Expect, expect};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

const STATUS: &str = r#"{"agent":{"region":"eu-1","version":"0.1.0","term":3,"now":"2026-11-20T00:10:00.25Z","break_glass":null,"documents_sha256":"ab","documents_faults":[],"n_overrides":1,"n_in_flight":1,"last_record":481},"targets":[
{"target":"checkout-api","region":"eu-1","mode":"freeze","owner":"ana","policy":"web","current":12,"ready":11,"desired":14,"bounds":{"min":3,"max":40},"forecast":845.25,"next_action":"not scaling 12 -> 14: frozen by ana","in_flight":{"id":"ef-12","target":"checkout-api","from":10,"to":12,"since":"2026-11-20T00:09:30Z","is_unknown":true},"overrides":[{"id":"ov-3","kind":"freeze","scope":"team=payments","actor":"ana","reason":"database failover","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-20T03:40:00Z"}],"evaluated_at":"2026-11-20T00:09:55Z"},
{"target":"cart","region":"eu-1","mode":"auto","owner":"evenkeel","policy":"web","current":null,"ready":null,"desired":null,"bounds":{"min":1,"max":4},"forecast":null,"next_action":"waiting for the first evaluation","in_flight":null,"overrides":[],"evaluated_at":null}]}"#;

const EXPLAINED: &str = r#"{"sentence":"not scaling 12 -> 14: frozen by ana until 2026-11-20T03:40:00Z (ov-3): database failover","explanation":{"target":"checkout-api","at":"2026-11-20T00:09:55Z","since":"2026-11-20T00:05:10Z","policy":"web","autonomy":"auto","current":12,"ready":11,"proposed":18,"reason":{"reason":"demand","signal":"rps"},"conclusion":{"conclusion":"refused","refusal":{"refusal":"overridden","id":"ov-3","override_kind":{"kind":"freeze"},"actor":"ana","reason":"database failover","ends_at":"2026-11-20T03:40:00Z"},"would":14},"limits":[{"limit":"step","proposed":18,"units_max":2},{"limit":"blast_radius","proposed":14,"units_left":1,"guardrail":null}],"bounds":{"min":3,"max":40},"signals":[{"signal":"rps","quality":"good","value":812.4,"sampled_at":"2026-11-20T00:09:43Z","demand":17.9,"forecast":{"standing":{"standing":"predicting"},"model":"ridge+seasonal-naive","made_at":"2026-11-20T00:09:55Z","lead_time":{"seconds":210,"source":"measured"},"median":845.25,"low":802.0,"high":893.5,"recent_error_ratio":0.0312,"baseline_error_ratio":0.0875,"coverage_ratio":0.9514,"covers":{"level":0.995,"peak":921.4,"grow_to":18.43,"keep":17.9,"short_ratio":0.0031}}},{"signal":"queue","quality":"missing","value":null,"sampled_at":null,"demand":null,"absence":{"absence":"several_series","n_series":2}},{"signal":"latency","quality":"suspect","value":0.2512,"sampled_at":"2026-11-20T00:06:43Z","demand":12.0,"doubt":{"doubt":"partial_answer"},"forecast":{"standing":{"standing":"abstaining","why":{"abstention":"error_drift","error_ratio":0.412,"expected_error_ratio":0.05}},"model":"ridge","made_at":"2026-11-20T00:09:55Z","lead_time":{"seconds":300,"source":"assumed"},"median":0.25,"low":0.2,"high":0.3,"recent_error_ratio":0.412,"baseline_error_ratio":null,"coverage_ratio":null,"covers":null}}],"arbitration":{"ruling":"cost_yields","stop":{"budget":"all-november","threshold":"eighty","why":"81.2% of it are spent","is_runaway":false},"need":{"need":"met"},"is_critical":true}},"earlier":[{"target":"checkout-api","at":"2026-11-20T00:05:09Z","since":"2026-11-19T23:40:00Z","policy":"web","autonomy":"auto","current":12,"ready":12,"proposed":12,"reason":{"reason":"nothing_asked"},"conclusion":{"conclusion":"no_change"},"limits":[],"bounds":{"min":3,"max":40},"signals":[]}]}"#;

const HISTORY: &str = r#"{"records":[
{"seq":481,"at":"2026-11-20T00:09:30Z","kind":"effect_planned","target":"checkout-api","record":{"record":"effect_planned","at":"2026-11-20T00:09:30Z","id":"ef-12","target":"checkout-api","policy":"web","desired":12,"expected":10,"term":3,"why":"scaling 10 -> 12: `rps` is 660.0 and needs 11.8"},"link":"cd"},
{"seq":480,"at":"2026-11-20T00:00:00Z","kind":"omen_seen","target":null,"record":{"record":"omen_seen","birds":7},"link":"ab"}]}"#;

fn started(scene: &Scene) -> Agent {
    let answer = |body: &str| Reply::Answer(200, body.to_owned());
    Agent::start(
        scene.dir.path().join("a.sock"),
        &[
            ("GET /v1/status", answer(STATUS)),
            ("GET /v1/explain/", answer(EXPLAINED)),
            ("GET /v1/history", answer(HISTORY)),
        ],
    )
}

/// Runs `line`; `expected` begins with what was asked of the agent.
#[track_caller]
fn check(line: &str, expected: &Expect) {
    let scene = Scene::new();
    let agent = started(&scene);
    let said = scene.said(&format!("{line} --socket a.sock"));
    expected.assert_eq(&format!("{}\n{said}", agent.asked()));
}

#[test]
fn status_is_a_table() {
    check(
        "status",
        &expect![[r#"
            GET /v1/status
            exit 0
            stdout:
            evenkeel 0.1.0 in eu-1, term 3, 2026-11-20 00:10:00 UTC: 1 override, 1 effect in flight, last record 481

            TARGET        MODE    OWNER     CURRENT  READY  DESIRED  BOUNDS  FORECAST  NEXT ACTION
            checkout-api  freeze  ana       12       11     14       3..40   845.2     not scaling 12 -> 14: frozen by ana
            cart          auto    evenkeel  -        -      -        1..4    -         waiting for the first evaluation

            EFFECT  TARGET        FROM  TO  SINCE                    OUTCOME
            ef-12   checkout-api  10    12  2026-11-20 00:09:30 UTC  unknown, being read back

            OVERRIDE  DOES    ON             BY   ENDS                        REASON
            ov-3      freeze  team=payments  ana  until 03:40 UTC (in 3h30m)  database failover
        "#]],
    );
}

#[test]
fn status_says_first_that_the_glass_is_broken_or_the_documents_are_old() {
    let scene = Scene::new();
    let body = STATUS
        .replace("\"break_glass\":null", "\"break_glass\":\"file /etc/evenkeel/freeze exists\"")
        .replace(
            "\"documents_faults\":[]",
            "\"documents_faults\":[\"a.yaml:3:1: error: x; hint: y\"]",
        )
        .replace("\"n_overrides\":1", "\"n_overrides\":2");
    let (head, _) = body.split_once("\"targets\"").unwrap();
    let body = format!("{head}\"targets\":[]}}");
    let agent =
        Agent::start(scene.dir.path().join("a.sock"), &[("GET ", Reply::Answer(200, body))]);
    scene.check("status checkout-api --socket a.sock", &expect![[r#"
        exit 0
        stdout:
        evenkeel 0.1.0 in eu-1, term 3, 2026-11-20 00:10:00 UTC: 2 overrides, 1 effect in flight, last record 481
        BREAK-GLASS: everything is frozen: file /etc/evenkeel/freeze exists
        DOCUMENTS: the newest could not be taken into force, older ones still are; 1 fault:
          a.yaml:3:1: error: x; hint: y

        no targets; `evenkeel check` tells what the documents say
    "#]]);
    assert_eq!(agent.asked(), "GET /v1/status?target=checkout-api");
}

#[test]
fn status_as_json_is_the_answer_as_it_came() {
    let scene = Scene::new();
    let _agent = started(&scene);
    let output = scene.output("status --output json --socket a.sock");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{STATUS}\n"));
    assert!(output.stderr.is_empty());
}

#[test]
fn explain_begins_with_the_sentence() {
    check(
        "explain checkout-api",
        &expect![[r#"
            GET /v1/explain/checkout-api
            GET /v1/status?target=checkout-api
            exit 0
            stdout:
            checkout-api: not scaling 12 -> 14: frozen by ana until 2026-11-20T03:40:00Z (ov-3): database failover
              evaluated 2026-11-20 00:09:55 UTC, the same since 2026-11-20 00:05:10 UTC
              policy web, autonomy auto
              current 12, ready 11, proposed 18, bounds 3..40
              cost against SLO: cost yields, the service is critical to its SLO; budget all-november (eighty): 81.2% of it are spent
              limit: 18 is more than one step of 2 away
              limit: 14 is beyond the built-in blast radius, 1 may leave now

            SIGNAL   QUALITY  VALUE  DEMAND  AGE  WHY
            rps      good     812.4  17.9    12s  -
            queue    missing  -      -       -    the query returned 2 series for this target, it must return one
            latency  suspect  0.251  12.0    3m   the metrics backend warned of a partial answer

            forecast of `rps`: predicting, by ridge+seasonal-naive
              in 3m30s (measured): 845.2 expected, 95% from 802.0 to 893.5
              covers up to 921.4 (99.5%): grow to 18.4, keep 17.9; short of it 0.31% of the time
              error of the last day 3.12% (naive 8.75%), 95% interval covered 95.14%

            forecast of `latency`: abstains, for its error has grown to 41.2%, 5.0% was expected; what is measured decides alone
              in 5m (assumed): 0.250 expected, 95% from 0.200 to 0.300
              error of the last day 41.2% (naive not known), 95% interval covered not known
              model ridge

            OVERRIDE  DOES    ON             BY   ENDS                        REASON
            ov-3      freeze  team=payments  ana  until 03:40 UTC (in 3h30m)  database failover

            BEFORE THAT              UNTIL                    IT WAS
            2026-11-19 23:40:00 UTC  2026-11-20 00:05:09 UTC  keeping 12: no signal asks for any capacity
        "#]],
    );
}

#[test]
fn explain_of_the_past_goes_by_the_clock_of_the_agent() {
    let scene = Scene::new();
    let agent = started(&scene);
    for line in ["explain a/b+c --at 2026-11-20T03:00:00+02:00", "explain checkout-api --at 15m"] {
        assert_eq!(scene.output(&format!("{line} -o json --socket a.sock")).status.code(), Some(0));
    }
    expect![[r#"
        GET /v1/explain/a%2Fb+c?at=2026-11-20T01%3A00%3A00Z
        GET /v1/status?target=checkout-api
        GET /v1/explain/checkout-api?at=2026-11-19T23%3A55%3A00.25Z"#]]
    .assert_eq(&agent.asked());
}

#[test]
fn history_has_a_line_per_record_also_of_kinds_it_does_not_know() {
    check(
        "history checkout-api --kind effect_planned --from 1h --to 2026-11-20T00:10:00Z --limit 7",
        &expect![[r#"
            GET /v1/status?target=checkout-api
            GET /v1/history?limit=7&target=checkout-api&kind=effect_planned&from=2026-11-19T23%3A10%3A00.25Z&to=2026-11-20T00%3A10%3A00Z
            GET /v1/history?limit=5&target=checkout-api&kind=effect_planned&from=2026-11-19T23%3A10%3A00.25Z&to=2026-11-20T00%3A10%3A00Z&before_seq=480
            exit 0
            stdout:
            RECORD  AT                       KIND            TARGET        WHAT
            481     2026-11-20 00:09:30 UTC  effect_planned  checkout-api  ef-12: scaling 10 -> 12: `rps` is 660.0 and needs 11.8
            480     2026-11-20 00:00:00 UTC  omen_seen       -             {"birds":7,"record":"omen_seen"}
        "#]],
    );
}

#[test]
fn history_as_json_has_every_record_as_it_came() {
    check(
        "history -o json --limit 2",
        &expect![[r#"
        GET /v1/history?limit=2
        exit 0
        stdout:
        {"records":[{"seq":481,"at":"2026-11-20T00:09:30Z","kind":"effect_planned","target":"checkout-api","record":{"record":"effect_planned","at":"2026-11-20T00:09:30Z","id":"ef-12","target":"checkout-api","policy":"web","desired":12,"expected":10,"term":3,"why":"scaling 10 -> 12: `rps` is 660.0 and needs 11.8"},"link":"cd"},{"seq":480,"at":"2026-11-20T00:00:00Z","kind":"omen_seen","target":null,"record":{"record":"omen_seen","birds":7},"link":"ab"}]}
    "#]],
    );
}

#[test]
fn history_goes_on_where_a_page_was_short() {
    let page = |seqs: [u64; 2]| {
        let records = seqs.map(|it| {
            serde_json::json!({"seq": it, "at": "2026-11-20T00:00:00Z", "kind": "break_glass_released",
                "target": null, "record": {"record": "break_glass_released", "at": "2026-11-20T00:00:00Z"}, "link": "ab"})
        });
        Reply::Answer(200, serde_json::json!({ "records": records }).to_string())
    };
    let scene = Scene::new();
    let agent = Agent::start(
        scene.dir.path().join("a.sock"),
        &[
            ("GET /v1/history?limit=998&before_seq=5", page([4, 3])),
            ("GET /v1/history?limit=996&before_seq=3", page([2, 1])),
            ("GET /v1/history?limit=1000", page([6, 5])),
            // Does not go back in time.
            ("GET /v1/history?limit=3", page([6, 5])),
            ("GET /v1/history?limit=1&before_seq=5", page([6, 5])),
        ],
    );
    scene.check("history --limit 1000 --socket a.sock", &expect![[r#"
        exit 0
        stdout:
        RECORD  AT                       KIND                  TARGET  WHAT
        6       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
        5       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
        4       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
        3       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
        2       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
        1       2026-11-20 00:00:00 UTC  break_glass_released  -       no longer frozen by the local file
    "#]]);
    let said = scene.said("history --limit 3 --socket a.sock");
    assert_eq!(said.lines().count(), 5, "{said}");
    assert_eq!(agent.asked().lines().count(), 5);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let scene = Scene::new();
    let _agent = started(&scene);
    // The read end is closed before anything is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["status", "--socket", "a.sock"])
        .current_dir(scene.dir.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
