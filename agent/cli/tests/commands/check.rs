//! `evenkeel check`, from files to exit status.

use std::os::unix::fs::symlink;

use expect_test::expect;

use crate::command::Scene;

const TARGET: &str = "\
apiVersion: evenkeel/v1
kind: Target
metadata: { name: checkout-api, labels: { team: payments } }
spec:
  region: eu-1
  provider: { webhook: { url: 'https://capacity.example.com/checkout', secret_file: /etc/evenkeel/hook } }
  capacity: { min: 3, max: 40 }
  lead_time: 3m
";

const BAD: &str = "\
apiVersion: evenkeel/v1
kind: Target
metadata: { name: checkout-api }
spec:
  region: eu-1
  provider: { webhook: { url: 'https://capacity.example.com/checkout', secret_file: /etc/evenkeel/hook } }
  capacity: { min: 60, max: 40 }
  cool_down: 5m
";

/// Selects nothing, which is no error but hardly what was meant.
const IDLE: &str = "\
apiVersion: evenkeel/v1
kind: Guardrail
metadata: { name: nothing }
spec: { selector: {}, protected: true }
";

#[test]
fn good_documents() {
    let scene = Scene::new().file("checkout.yaml", TARGET);
    scene.check(
        "check checkout.yaml",
        &expect![[r#"
        exit 0
        stdout:
        ok: 1 document in 1 file, 0 errors, 0 warnings
    "#]],
    );
    scene.check(
        "check checkout.yaml -o json",
        &expect![[r#"
        exit 0
        stdout:
        {
          "ok": true,
          "documents": 1,
          "diagnostics": []
        }
    "#]],
    );
}

#[test]
fn a_warning_does_not_fail() {
    let scene = Scene::new().file("a.yaml", TARGET).file("b.yml", IDLE);
    scene.check(
        "check a.yaml b.yml",
        &expect![[r#"
        exit 0
        stdout:
        ok: 2 documents in 2 files, 0 errors, 1 warning
        stderr:
        warning: guardrail `nothing` has an empty selector, which selects nothing
          --> b.yml:4:19
          |
        4 | spec: { selector: {}, protected: true }
          |                   ^
        hint: write `everything: true` if that is meant, or add a condition

    "#]],
    );
}

#[test]
fn bad_documents_are_shown_with_line_column_and_hint() {
    let scene = Scene::new().file("checkout.yaml", BAD);
    scene.check("check checkout.yaml", &expect![[r#"
        exit 1
        stdout:
        invalid: 1 document in 1 file, 2 errors, 0 warnings
        stderr:
        error: target `checkout-api`: capacity.min (60) is above capacity.max (40)
          --> checkout.yaml:7:20
          |
        7 |   capacity: { min: 60, max: 40 }
          |                    ^
        hint: swap the two, or set both to the same value to pin the target

        error: target `checkout-api`: unknown field `cool_down` in `spec`
          --> checkout.yaml:8:3
          |
        8 |   cool_down: 5m
          |   ^
        hint: known fields here: `region`, `provider`, `capacity`, `price_usd_per_hour`, `lead_time`, `actuators` and `depends_on`

    "#]]);
    scene.check("check checkout.yaml --output json", &expect![[r#"
        exit 1
        stdout:
        {
          "ok": false,
          "documents": 1,
          "diagnostics": [
            {
              "severity": "error",
              "file": "checkout.yaml",
              "line": 7,
              "column": 20,
              "message": "target `checkout-api`: capacity.min (60) is above capacity.max (40)",
              "hint": "swap the two, or set both to the same value to pin the target"
            },
            {
              "severity": "error",
              "file": "checkout.yaml",
              "line": 8,
              "column": 3,
              "message": "target `checkout-api`: unknown field `cool_down` in `spec`",
              "hint": "known fields here: `region`, `provider`, `capacity`, `price_usd_per_hour`, `lead_time`, `actuators` and `depends_on`"
            }
          ]
        }
    "#]]);
}

#[test]
fn a_directory_is_read_at_any_depth_in_order_and_each_file_once() {
    let scene = Scene::new()
        .file("policies/b/two.yml", "kind: 2")
        .file("policies/a/one.yaml", "kind: 1")
        .file("policies/a/notes.txt", "kind: text")
        .file("policies/.git/three.yaml", "kind: 3")
        .file("policies/z.yaml", "kind: z");
    // A link to itself, and one to a file that is read anyway.
    symlink(".", scene.dir.path().join("policies/loop")).unwrap();
    symlink("z.yaml", scene.dir.path().join("policies/y.yaml")).unwrap();
    let said = scene.said("check policies policies/z.yaml -o json");
    let said: serde_json::Value =
        serde_json::from_str(said.split_once("stdout:\n").expect("JSON").1).unwrap();
    let mut files: Vec<&str> = said["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["file"].as_str().unwrap())
        .collect();
    files.dedup();
    assert_eq!(files, ["policies/a/one.yaml", "policies/b/two.yml", "policies/y.yaml"]);
    assert_eq!(said["documents"], 3);
}

#[test]
fn stdin_is_a_file_too() {
    let scene = Scene::new().stdin("kind: Nothing\n");
    scene.check(
        "check -",
        &expect![[r#"
        exit 1
        stdout:
        invalid: 1 document in 1 file, 1 error, 0 warnings
        stderr:
        error: missing field `apiVersion`
          --> <stdin>:1:1
          |
        1 | kind: Nothing
          | ^
        hint: add `apiVersion: evenkeel/v1`

    "#]],
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let scene = Scene::new()
        .file("latin1.yaml", b"kind: Target\nname: caf\xe9\n")
        .file("large.yaml", vec![b'#'; (4 << 20) + 1])
        .file("empty/readme.txt", "");
    symlink("nowhere.yaml", scene.dir.path().join("dangling.yaml")).unwrap();
    scene.check(
        "check latin1.yaml missing.yaml large.yaml empty dangling.yaml",
        &expect![[r#"
        exit 1
        stdout:
        invalid: 0 documents in 0 files, 5 errors, 0 warnings
        stderr:
        error: byte 0xe9 is not UTF-8
          --> latin1.yaml:2:10
        hint: save the file as UTF-8

        error: cannot be read: No such file or directory (os error 2)
          --> missing.yaml:1:1
        hint: check the path; a pattern such as *.yaml is the shell's to expand

        error: the file has 4194305 bytes, at most 4194304 are read
          --> large.yaml:1:1
        hint: split it into several files

        error: there is no *.yaml or *.yml file in this directory
          --> empty:1:1
        hint: name the directory that has the documents, or the files themselves

        error: cannot be read: No such file or directory (os error 2)
          --> dangling.yaml:1:1
        hint: check the path; a pattern such as *.yaml is the shell's to expand

    "#]],
    );
    scene.check(
        "check missing.yaml -o json",
        &expect![[r#"
        exit 1
        stdout:
        {
          "ok": false,
          "documents": 0,
          "diagnostics": [
            {
              "severity": "error",
              "file": "missing.yaml",
              "line": 1,
              "column": 1,
              "message": "cannot be read: No such file or directory (os error 2)",
              "hint": "check the path; a pattern such as *.yaml is the shell's to expand"
            }
          ]
        }
    "#]],
    );
}

#[test]
fn more_files_than_one_daemon_has_are_refused() {
    let scene = Scene::new();
    let many = scene.dir.path().join("many");
    std::fs::create_dir(&many).unwrap();
    for n in 0..=10_000 {
        std::fs::write(many.join(format!("{n}.yaml")), "").unwrap();
    }
    scene.check(
        "check many",
        &expect![[r#"
        exit 1
        stdout:
        invalid: 0 documents in 0 files, 1 error, 0 warnings
        stderr:
        error: there are more than 10000 files, 10000 directories or 67108864 bytes
          --> many:1:1
        hint: check fewer at once, for example one region's

    "#]],
    );
}

#[test]
fn the_schema_is_json() {
    let output = Scene::new().output("check --schema");
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["oneOf"].as_array().map(Vec::len), Some(16));
}
