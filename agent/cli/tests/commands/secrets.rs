//! Tokens: made once, never repeated.

use std::os::unix::fs::PermissionsExt as _;

use evenkeel_store::to_hex;
use sha2::{Digest as _, Sha256};

use expect_test::expect;

use crate::agent::{Reply, TlsAgent};
use crate::command::Scene;

#[test]
fn a_new_token_is_on_stdout_and_its_hash_on_stderr() {
    let output = Scene::new().output("token --name ana@example.com");
    assert_eq!(output.status.code(), Some(0));
    let token = String::from_utf8(output.stdout).unwrap();
    let token = token.trim_end();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(token.starts_with("evk_") && token.len() == 47, "{token}");
    assert!(stderr.starts_with(&hash_of(token)), "{stderr}");
    assert!(stderr.contains("name: ana@example.com"), "{stderr}");
    assert!(!stderr.contains(token), "{stderr}");
}

#[test]
fn two_tokens_differ_and_json_has_both_fields() {
    let made = || -> serde_json::Value {
        serde_json::from_slice(&Scene::new().output("token -o json").stdout).unwrap()
    };
    let (one, other) = (made(), made());
    assert_ne!(one["token"], other["token"]);
    assert_eq!(one["hash"], hash_of(one["token"].as_str().unwrap()));
}

#[test]
fn the_hash_of_a_new_token_is_one_that_check_accepts() {
    let made: serde_json::Value =
        serde_json::from_slice(&Scene::new().output("token -o json").stdout).unwrap();
    let access = |hash: &str| {
        format!(
            "apiVersion: evenkeel/v1\nkind: Access\nmetadata: {{ name: people }}\nspec:\n  people:\n  \
             - name: ana\n    token_hashes: [\"{hash}\"]\n  grants:\n  \
             - {{ role: viewer, to: [ana], selector: {{ everything: true }} }}\n"
        )
    };
    let scene = Scene::new()
        .file("good.yaml", access(made["hash"].as_str().unwrap()))
        .file("token.yaml", access(made["token"].as_str().unwrap()));
    let said = scene.said("check good.yaml");
    assert!(said.starts_with("exit 0\n"), "{said}");
    // The token itself, put there by mistake, is refused without being shown.
    for form in ["text", "json"] {
        let said = scene.said(&format!("check token.yaml -o {form}"));
        assert!(said.starts_with("exit 1\n"), "{said}");
        assert!(!said.contains("evk_"), "{said}");
    }
}

#[test]
fn no_failure_shows_a_token() {
    let scene = Scene::new().file("token", "evk_secret\n").file("bad", "evk_secret two\n");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(scene.dir.path().join("token"), open).unwrap();
    let mut all = String::new();
    for line in [
        "status --url https://127.0.0.1:1 --token-file token",
        "status --url https://127.0.0.1:1 --token-file bad",
        "status --url http://127.0.0.1:1 --token-file token",
        "status --url https://ana:evk_secret@127.0.0.1:1",
        "audit verify --public-key token",
    ] {
        all.push_str(&scene.said(line));
    }
    assert!(!all.contains("secret"), "{all}");
    assert!(
        all.contains("everybody on this host may use the token in `token` (mode 0644)"),
        "{all}"
    );
}

#[test]
fn a_token_goes_only_to_whom_the_certificate_vouches_for() {
    let busy = r#"{"error":"the agent is busy","hint":"try again"}"#.to_owned();
    let agent = TlsAgent::start(&[
        ("GET /v1/status", Reply::Answer(503, busy)),
        ("GET ", Reply::Answer(307, String::new())),
    ]);
    let scene = Scene::new().file("ca.pem", &agent.certificate).file("token", "evk_secret\n");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(scene.dir.path().join("token"), closed).unwrap();
    let said = |line: &str| {
        let said = scene.said(&format!("{line} --url {} --token-file token", agent.url));
        said.replace(&agent.url, "https://HOST")
    };
    let mut all = said("status");
    assert_eq!(agent.asked(), "", "nothing is sent to whom nobody vouches for");
    all.push_str(&said("status --ca-file ca.pem"));
    assert_eq!(agent.asked(), "GET /v1/status Bearer evk_secret");
    // A redirect is not followed: it could take the token elsewhere.
    all.push_str(&said("history --ca-file ca.pem"));
    expect![[r#"
        exit 3
        stderr:
        error: the agent cannot be reached at `https://HOST`
          cause: invalid peer certificate: UnknownIssuer

        hint: check the address and, for a private certificate authority, `--ca-file FILE`; on the agent's host `evenkeel` works without any of it

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
        exit 1
        stderr:
        failed: the agent is busy

        hint: try again
        exit 1
        stderr:
        error: the answer from `https://HOST` is not one of evenkeeld: it answered 307 Temporary Redirect

        hint: check that the address is that of evenkeeld, and that `evenkeel --version` matches its version
    "#]].assert_eq(&all);
    let by_variable = Scene::new()
        .file("ca.pem", &agent.certificate)
        .variable("EVENKEEL_TOKEN", "evk_other")
        .variable("EVENKEEL_URL", &agent.url);
    by_variable.said("explain cart --ca-file ca.pem");
    assert!(agent.asked().ends_with("GET /v1/explain/cart Bearer evk_other"));
}

fn hash_of(token: &str) -> String {
    format!("sha256:{}", to_hex(&Sha256::digest(token.as_bytes())))
}
