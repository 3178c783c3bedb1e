//! Tokens: made once, never repeated.

use std::os::unix::fs::PermissionsExt as _;

use evenkeel_store::to_hex;
use sha2::{Digest as _, Sha256};

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
             - {{ role: viewer, to: [ana], selector: {{ all: true }} }}\n"
        )
    };
    let scene = Scene::new()
        .file("good.yaml", access(made["hash"].as_str().unwrap()))
        .file("token.yaml", access(made["token"].as_str().unwrap()));
    let said = scene.said("check good.yaml -o json");
    assert!(!said.contains("token_hashes"), "{said}");
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

fn hash_of(token: &str) -> String {
    format!("sha256:{}", to_hex(&Sha256::digest(token.as_bytes())))
}
