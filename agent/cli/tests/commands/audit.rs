//! `audit verify`, `audit export` and `history` on a journal that the store made.

use std::path::Path;

use evenkeel_store::{Entry, SigningKey, Store};
use expect_test::expect;
use jiff::{SignedDuration, Timestamp};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

const ORIGIN: &str = "example.com/evenkeel/eu-1";

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T00:00:00.123456Z".parse().expect("valid");
    start + SignedDuration::from_mins(minutes)
}

/// A journal of three records with a checkpoint over two of them.
fn journal(path: &Path) {
    let key = SigningKey::from_seed([7; 32]);
    let mut store = Store::open(path, ORIGIN, key, at(0)).expect("opened");
    let record = |minutes, kind, target_id, body: &'static str| Entry {
        at: at(minutes),
        kind,
        target_id,
        body: body.as_bytes(),
    };
    store
        .append(&[
            record(0, "term_started", None, r#"{"record":"term_started","at":"2026-11-20T00:00:00Z","term":1,"version":"0.1.0"}"#),
            record(1, "effect_planned", Some("cart"), r#"{"record":"effect_planned","at":"2026-11-20T00:01:00Z","id":"ef-1","target":"cart","policy":null,"desired":4,"expected":3,"term":1,"why":""}"#),
        ])
        .expect("appended");
    store.checkpoint(at(2)).expect("signed");
    store
        .append(&[record(3, "effect_finished", Some("cart"), r#"{"record":"effect_finished","at":"2026-11-20T00:03:00Z","id":"ef-1","target":"cart","outcome":"done","detail":"set to 4"}"#)])
        .expect("appended");
}

fn scene() -> Scene {
    let scene = Scene::new();
    journal(&scene.dir.path().join("journal.db"));
    scene
}

/// Changes the first place where `from` stands in the file to `to`, of equal length.
fn tamper(path: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(path).expect("read");
    let place = bytes.windows(from.len()).position(|it| it == from.as_bytes()).expect("found");
    bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn an_intact_journal_verifies() {
    let scene = scene();
    scene.check("audit verify --store journal.db", &expect![[r#"
        exit 0
        stdout:
        intact: 3 records (1 to 3)
          journal     example.com/evenkeel/eu-1
          last link   596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159
          signed      2 checkpoints, 2 notes beside the file; the newest, of 2026-11-20 00:02:00 UTC, covers 2; 1 after it are chained but not signed yet
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (named by the journal)
        stderr:

        hint: without `--public-key` this proves that the journal fits itself, not who wrote it: compare the key above with one kept elsewhere
    "#]]);
    scene.check("audit verify --store journal.db -o json", &expect![[r#"
        exit 0
        stdout:
        {
          "intact": true,
          "records": 3,
          "first_seq": 1,
          "last_seq": 3,
          "last_link": "596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159",
          "checkpoints": 2,
          "faults": [],
          "faults_unlisted": 0,
          "origin": "example.com/evenkeel/eu-1",
          "exported_notes": 2,
          "last_checkpoint_at": "2026-11-20T00:02:00.123456Z",
          "last_checkpoint_size": 2,
          "records_after_last_checkpoint": 1,
          "pruned_before": null,
          "verifier_key": "example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs",
          "key_fingerprint": "fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889",
          "key_source": "embedded"
        }
    "#]]);
}

#[test]
fn a_copy_verifies_under_the_key_kept_elsewhere() {
    let key = SigningKey::from_seed([7; 32]).verifying_key(ORIGIN).to_text();
    let other = SigningKey::from_seed([8; 32]).verifying_key(ORIGIN).to_text();
    let scene = scene().file("key", &key).file("other", &other);
    std::fs::create_dir(scene.dir.path().join("copy")).unwrap();
    let (from, to) = (scene.dir.path().join("journal.db"), scene.dir.path().join("copy/j.db"));
    std::fs::copy(from, to).unwrap();
    let by_file = scene.said("audit verify --store copy/j.db --public-key key");
    assert_eq!(by_file, scene.said(&format!("audit verify --store copy/j.db --public-key {key}")));
    expect![[r#"
        exit 0
        stdout:
        intact: 3 records (1 to 3)
          journal     example.com/evenkeel/eu-1
          last link   596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159
          signed      2 checkpoints; the newest, of 2026-11-20 00:02:00 UTC, covers 2; 1 after it are chained but not signed yet
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (given)
    "#]].assert_eq(&by_file);
    scene.check("audit verify --store copy/j.db --public-key other", &expect![[r#"
        exit 1
        stdout:
        not intact: 3 faults in 3 records (1 to 3)
          the journal names the key `example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs`, not the given `example.com/evenkeel/eu-1+4fa5ebe1+AROY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK`
          checkpoint over 0 records: signed by another key (name and key id do not match)
          checkpoint over 2 records: signed by another key (name and key id do not match)
          journal     example.com/evenkeel/eu-1
          last link   596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159
          signed      0 checkpoints
          key         example.com/evenkeel/eu-1+4fa5ebe1+AROY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK (given)
        stderr:

        hint: keep the file as evidence; restore a copy that verifies, and compare the two with `evenkeel audit export --store FILE`
    "#]]);
    scene.check(
        "audit verify --store copy/j.db --public-key nonsense",
        &expect![[r#"
        exit 1
        stderr:
        error: `nonsense` is not an Ed25519 verifier key of the form name+keyid+base64

        hint: `evenkeel audit verify` prints the key that a journal names
    "#]],
    );
}

#[test]
fn a_changed_journal_is_exit_1_with_the_record() {
    let scene = scene();
    tamper(&scene.dir.path().join("journal.db"), "\"desired\":4", "\"desired\":9");
    scene.check("audit verify --store journal.db", &expect![[r#"
        exit 1
        stdout:
        not intact: 1 fault in 3 records (1 to 3)
          record 2: the record or its link was changed
          journal     example.com/evenkeel/eu-1
          last link   596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159
          signed      2 checkpoints, 2 notes beside the file; the newest, of 2026-11-20 00:02:00 UTC, covers 2; 1 after it are chained but not signed yet
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (named by the journal)
        stderr:

        hint: keep the file as evidence; restore a copy that verifies, and compare the two with `evenkeel audit export --store FILE`
    "#]]);
    let json = scene.said("audit verify --store journal.db --output json");
    assert!(json.starts_with("exit 1\n") && json.contains("\"intact\": false"), "{json}");
}

#[test]
fn what_is_no_journal_is_exit_1() {
    let scene = Scene::new().file("journal.db", "something else").file("empty.db", "");
    let mut all = String::new();
    for verb in ["audit verify", "audit export", "history"] {
        for file in ["journal.db", "empty.db", "missing.db"] {
            let said = scene.said(&format!("{verb} --store {file}"));
            assert!(said.starts_with("exit 1\nstderr:\nerror: "), "{said}");
            all.push_str(&said);
        }
    }
    let lines: std::collections::BTreeSet<&str> = all.lines().collect();
    expect![[r#"

          cause: No such file or directory (os error 2)
        error: `DIR/journal.db` is not an Evenkeel journal
        error: cannot open journal `DIR/missing.db`
        error: journal `DIR/empty.db` is empty (0 bytes)
        exit 1
        hint: check the path in the configuration; if it is the right file, its header is damaged: restore the newest copy that `evenkeel audit verify` accepts
        hint: check the path; the journal's file is named in the agent's configuration
        hint: keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies
        stderr:"#]].assert_eq(&lines.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_export_is_a_line_per_record_with_the_very_bytes() {
    let scene = scene();
    scene.check("audit export --store journal.db", &expect![[r#"
        exit 0
        stdout:
        {"seq":1,"at":"2026-11-20T00:00:00.123456Z","kind":"term_started","target":null,"record":{"record":"term_started","at":"2026-11-20T00:00:00Z","term":1,"version":"0.1.0"},"link":"310c7fa2e000f01cc409e9ca17335a2d29670353527ab92d54649bf111a49b09"}
        {"seq":2,"at":"2026-11-20T00:01:00.123456Z","kind":"effect_planned","target":"cart","record":{"record":"effect_planned","at":"2026-11-20T00:01:00Z","id":"ef-1","target":"cart","policy":null,"desired":4,"expected":3,"term":1,"why":""},"link":"cc5d94e326277b2e3c2a929e5c1b2ddb35115251d224e6f5eaadbd462e44ef42"}
        {"seq":3,"at":"2026-11-20T00:03:00.123456Z","kind":"effect_finished","target":"cart","record":{"record":"effect_finished","at":"2026-11-20T00:03:00Z","id":"ef-1","target":"cart","outcome":"done","detail":"set to 4"},"link":"596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159"}
    "#]]);
    let said = scene.said("audit export --store journal.db --from-seq 3 -o json");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn history_is_read_from_a_journal_too() {
    let scene = scene();
    scene.check("history --store journal.db", &expect![[r#"
        exit 0
        stdout:
        RECORD  AT                       KIND             TARGET  WHAT
        3       2026-11-20 00:03:00 UTC  effect_finished  cart    ef-1 done: set to 4
        2       2026-11-20 00:01:00 UTC  effect_planned   cart    ef-1: 3 -> 4
        1       2026-11-20 00:00:00 UTC  term_started     -       evenkeeld 0.1.0 took over as term 1
    "#]]);
    scene.check(
        "history cart --kind effect_finished --limit 1 --store journal.db -o json",
        &expect![[r#"
            exit 0
            stdout:
            {"records":[{"seq":3,"at":"2026-11-20T00:03:00.123456Z","kind":"effect_finished","target":"cart","record":{"record":"effect_finished","at":"2026-11-20T00:03:00Z","id":"ef-1","target":"cart","outcome":"done","detail":"set to 4"},"link":"596989e37abd473ba7b1a92922fdf2137351984a4a438852ea8c64270f8e7159"}]}
        "#]],
    );
    scene.check(
        "history nobody --store journal.db",
        &expect![[r#"
        exit 0
        stderr:
        no such records
    "#]],
    );
    scene.check(
        "history --store journal.db --from 2026-11-20T00:02:00Z --to 2026-11-20T00:01:00Z",
        &expect![[r#"
            exit 1
            stderr:
            error: `from` (2026-11-20T00:02:00Z) is not before `to` (2026-11-20T00:01:00Z)

            hint: swap the two
        "#]],
    );
}

#[test]
fn an_export_has_what_history_has() {
    let scene = scene();
    let lines = |line: &str| String::from_utf8(scene.output(line).stdout).unwrap();
    let mut exported: Vec<serde_json::Value> = lines("audit export --store journal.db")
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    exported.reverse();
    let history: serde_json::Value =
        serde_json::from_str(&lines("history --store journal.db -o json")).unwrap();
    assert_eq!(history["records"], serde_json::Value::Array(exported));
}

#[test]
fn the_agent_is_asked_without_a_file() {
    let scene = Scene::new();
    let key = SigningKey::from_seed([7; 32]).verifying_key(ORIGIN).to_text();
    let verified = serde_json::json!({
        "intact": true, "records": 2, "first_seq": 1, "last_seq": 2, "last_link": "ab",
        "checkpoints": 1, "faults": [], "verifier_key": key,
    });
    let records = "{\"seq\":1}\n{\"seq\":2}\n";
    let agent = Agent::start(
        scene.dir.path().join("a.sock"),
        &[
            ("GET /v1/audit/verify", Reply::Answer(200, verified.to_string())),
            ("GET /v1/audit/export", Reply::Answer(200, records.to_owned())),
        ],
    );
    scene.check("audit verify --socket a.sock", &expect![[r#"
        exit 0
        stdout:
        intact: 2 records (1 to 2)
          last link   ab
          signed      1 checkpoint
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (named by the journal)
        stderr:

        hint: without `--public-key` this proves that the journal fits itself, not who wrote it: compare the key above with one kept elsewhere
    "#]]);
    scene.check(&format!("audit verify --socket a.sock --public-key {key}"), &expect![[r#"
        exit 0
        stdout:
        intact: 2 records (1 to 2)
          last link   ab
          signed      1 checkpoint
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (given)
    "#]]);
    let other = SigningKey::from_seed([8; 32]).verifying_key(ORIGIN).to_text();
    scene.check(&format!("audit verify --socket a.sock --public-key {other}"), &expect![[r#"
        exit 1
        stdout:
        not intact: 1 fault in 2 records (1 to 2)
          the agent's key is `example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs`, not the given `example.com/evenkeel/eu-1+4fa5ebe1+AROY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK`
          last link   ab
          signed      1 checkpoint
          key         example.com/evenkeel/eu-1+b6a1d6b0+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs (named by the journal)
        stderr:

        hint: keep the journal as evidence: stop the agent, copy the file with its -wal, and verify the copy with `--store FILE --public-key TEXT`
    "#]]);
    scene.check(
        "audit export --socket a.sock --from-seq 1",
        &expect![[r#"
        exit 0
        stdout:
        {"seq":1}
        {"seq":2}
    "#]],
    );
    assert_eq!(agent.asked().lines().next_back(), Some("GET /v1/audit/export?from_seq=1"));
}
