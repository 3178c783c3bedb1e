//! `playbook test`, against a Prometheus whose answers are written down.

use expect_test::expect;

use crate::command::Scene;

#[test]
fn what_cannot_be_tested_is_said_before_prometheus_is_asked() {
    let target = "apiVersion: evenkeel/v1\nkind: Target\nmetadata: { name: cart }\nspec:\n  region: eu-1\n  provider: { simulated: { service: cart } }\n  capacity: { min: 1, max: 4 }\n";
    let scene = Scene::new().file("cart.yaml", target);
    let test = "playbook test cart.yaml --prometheus http://127.0.0.1:9";
    scene.check(
        &format!("{test} --from 1d --to 0s"),
        &expect![[r#"
        exit 1
        stderr:
        error: there is no playbook in the documents

        hint: name all files: playbooks, and the targets they select
    "#]],
    );
    let backwards = "--from 2026-01-02T00:00:00Z --to 2026-01-01T00:00:00Z";
    scene.check(
        &format!("{test} {backwards}"),
        &expect![[r#"
        exit 2
        stderr:
        error: `--from` (2026-01-02T00:00:00Z) is not before `--to` (2026-01-01T00:00:00Z)

        hint: give an earlier `--from` or a later `--to`
    "#]],
    );
    scene.check(
        &format!("{test} --from 2026-01-01T00:00:00Z --to 2026-06-01T00:00:00Z --step 1s"),
        &expect![[r#"
            exit 2
            stderr:
            error: that is 13046400 looks per target, at most 1000000 are made

            hint: give a longer `--step`, or a shorter time
        "#]],
    );
    scene.check(
        &format!("{test} --from 1d --to 0s --step 10m"),
        &expect![[r#"
        exit 2
        stderr:
        error: a step of 10m is not whole seconds from 1s to 5m

        hint: the daemon looks every 15s
    "#]],
    );
}
