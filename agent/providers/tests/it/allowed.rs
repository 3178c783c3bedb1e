//! Commands and webhooks of the allow-list, with real programs.
//!
//! In: an allow-list, actions that name its entries.
//! Out: how each ends, and what has really happened.
//! Not here: Terraform (`allowed_terraform.rs`), tables of arguments and statuses (beside
//! the code).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::{clock, show_report, target};
use evenkeel_core::action::{Action, LookAt, Receipt, Seen};
use evenkeel_core::documents::{Actuators as ActuatorRefs, LeadTime, ProviderRef, Target};
use evenkeel_core::ids::{AllowedName, EffectId, Labels, Region, RunId, Term};
use evenkeel_core::units::{Bounds, Capacity};
use evenkeel_providers::{
    ActRequest, ActuatorSettings, Actuators, AllowedCommand, AllowedSettings, AllowedWebhook,
    ArgumentRule, EffectReport,
};
use evenkeel_testbed::{Proxy, free_port};
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use tempfile::TempDir;

pub(crate) fn name(text: &str) -> AllowedName {
    AllowedName::new(text).unwrap()
}

/// Any target will do: what is allowed by name is not a target's.
pub(crate) fn any_target() -> Target {
    Target {
        id: target("checkout-api"),
        labels: Labels::new(),
        region: Region::new("eu").unwrap(),
        provider: ProviderRef::Simulated { service: "checkout".to_owned() },
        bounds: Bounds { min: Capacity(1), max: Capacity(9) },
        price_usd_per_hour: None,
        lead_time: LeadTime::Measure,
        actuators: ActuatorRefs::default(),
        depends_on: Vec::new(),
    }
}

pub(crate) fn act_request(effect: u64, action: Action) -> ActRequest {
    ActRequest {
        effect_id: EffectId(effect),
        term: Term(3),
        run: RunId(5),
        target: target("checkout-api"),
        is_undo: false,
        action,
    }
}

/// The only place that makes actuators here.
pub(crate) async fn actuators(allowed: AllowedSettings) -> Actuators {
    let settings = ActuatorSettings { allowed, ..ActuatorSettings::default() };
    Actuators::new(&settings, clock()).await.unwrap()
}

struct World {
    folder: TempDir,
    settings: AllowedSettings,
    actuators: Actuators,
}

impl World {
    /// One command `job`, a script with this body.
    async fn with_script(body: &str, arguments: Vec<ArgumentRule>, timeout: Duration) -> World {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), body);
        let command = AllowedCommand {
            program,
            arguments,
            timeout: SignedDuration::try_from(timeout).unwrap(),
            environment: BTreeMap::from([("ALLOWED".to_owned(), "yes".to_owned())]),
            folder: Some(folder.path().to_owned()),
        };
        World::with(folder, |settings| {
            settings.commands.insert(name("job"), command);
        })
        .await
    }

    async fn with(folder: TempDir, fill: impl FnOnce(&mut AllowedSettings)) -> World {
        let receipts = Some(folder.path().join("receipts"));
        let mut settings = AllowedSettings { receipts, ..AllowedSettings::default() };
        fill(&mut settings);
        let actuators = actuators(settings.clone()).await;
        World { folder, settings, actuators }
    }

    async fn run(&self, effect: u64, arguments: &[&str]) -> EffectReport {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        let action = Action::RunCommand { command: name("job"), arguments };
        self.actuators.act(&any_target(), &act_request(effect, action)).await
    }

    async fn call(&self, effect: u64, fields: &[(&str, &str)]) -> EffectReport {
        let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let action = Action::CallWebhook { webhook: name("hook"), fields };
        self.actuators.act(&any_target(), &act_request(effect, action)).await
    }

    async fn receipts(&self, at: LookAt) -> Vec<(EffectId, Receipt)> {
        let seen = self.actuators.look(&any_target(), &at).await.unwrap();
        let Seen::Receipts { receipts } = seen else { panic!("{seen:?}") };
        receipts.into_iter().collect()
    }

    async fn check(&self, effect: u64, arguments: &[&str], expected: &Expect) {
        let report = self.run(effect, arguments).await;
        let shown = show_report(&report).replace(self.folder.path().to_str().unwrap(), "DIR");
        expected.assert_eq(&shown);
    }

    /// The lines that scripts append to `log`.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// An executable script. Copied by another process: while this one holds it open for
/// writing, a child of another test could inherit that, and it could not be run.
fn script(folder: &Path, body: &str) -> PathBuf {
    let (source, program) = (folder.join("job.source"), folder.join("job"));
    std::fs::write(&source, format!("#!/bin/sh\n{body}\n")).unwrap();
    let mut install = std::process::Command::new("install");
    let status = install.args(["-m", "755"]).arg(&source).arg(&program).status().unwrap();
    assert!(status.success());
    program
}

const LONG: Duration = Duration::from_secs(60);

fn any_name() -> Vec<ArgumentRule> {
    vec![ArgumentRule::Name]
}

#[tokio::test]
async fn a_command_runs_once_per_effect_with_nothing_but_what_is_given() {
    let body = r#"echo "$1" >> log; env | sort | grep -v '^\(PWD\|SHLVL\|_\|OLDPWD\)=' >> log; [ -t 0 ] || cat >> log; echo "restarted $1""#;
    let world = World::with_script(body, any_name(), LONG).await;
    let done = expect!["done: command `job` ended well: restarted web-1"];
    world.check(12, &["web-1"], &done).await;
    world.check(12, &["web-1"], &expect!["done: already done"]).await;
    // As after a restart: nothing is in memory.
    let restarted = actuators(world.settings.clone()).await;
    let world = World { actuators: restarted, ..world };
    world.check(12, &["web-1"], &expect!["done: already done"]).await;
    assert_eq!(world.log(), ["web-1", "ALLOWED=yes", "LANG=C", "PATH=/usr/bin:/bin"]);
    world.check(13, &["web-1"], &done).await;
    let at = LookAt::Command { command: name("job") };
    let expected = [(EffectId(12), Receipt::Done), (EffectId(13), Receipt::Done)];
    assert_eq!(world.receipts(at).await, expected);
}

#[tokio::test]
async fn hostile_arguments_are_refused_and_nothing_runs() {
    let rules = vec![
        ArgumentRule::Literal("restart".to_owned()),
        ArgumentRule::Name,
        ArgumentRule::Number { min: 1, max: 9 },
    ];
    let world = World::with_script("echo ran >> log", rules, LONG).await;
    let hostile: [&[&str]; 14] = [
        &["restart", "; rm -rf /", "1"],
        &["restart", "$(touch x)", "1"],
        &["restart", "`touch x`", "1"],
        &["restart", "--help", "1"],
        &["restart", "-", "1"],
        &["restart", "a\nb", "1"],
        &["restart", "a\0b", "1"],
        &["restart", "../../etc/passwd", "1"],
        &["restart", "/etc/passwd", "1"],
        &["restart", "web-1", "1; id"],
        &["restart", "web-1", "10"],
        &["restart", "web-1"],
        &["restart", "web-1", "1", "more"],
        &["stop", "web-1", "1"],
    ];
    for (effect, arguments) in (1..).zip(hostile) {
        let report = show_report(&world.run(effect, arguments).await);
        assert!(report.starts_with("rejected: command `job` was not run: "), "{report}");
    }
    assert!(world.log().is_empty(), "something ran: {:?}", world.log());
    assert!(world.receipts(LookAt::Command { command: name("job") }).await.is_empty());
    // The same entry does run when it is asked properly.
    world.run(99, &["restart", "web-1", "1"]).await;
    assert_eq!(world.log(), ["ran"]);
}

#[tokio::test]
async fn an_exit_status_is_rejected_and_not_tried_again() {
    let body = "echo ran >> log; echo fine; echo 'cannot: password=hunter2 is wrong' >&2; exit 3";
    let world = World::with_script(body, vec![], LONG).await;
    world.check(1, &[], &expect!["rejected: exit status 3: cannot: password=*** is wrong"]).await;
    world
        .check(
            1,
            &[],
            &expect!["rejected: it was tried before and ended badly; it is not tried again"],
        )
        .await;
    assert_eq!(world.log(), ["ran"]);
    let found = world.receipts(LookAt::Command { command: name("job") }).await;
    assert_eq!(found, [(EffectId(1), Receipt::Failed)]);
}

#[tokio::test]
async fn a_time_out_ends_the_whole_group_and_is_unknown() {
    // A child of a child; were it left alone, it would write after its sleep.
    let body = "( ( echo $$ >> log; sleep 3; echo late >> log ) & wait ) & wait";
    let world = World::with_script(body, vec![], Duration::from_millis(800)).await;
    let started = Instant::now();
    world
        .check(
            1,
            &[],
            &expect!["unknown: command `job` was killed after 0.8 s; how far it got is not known"],
        )
        .await;
    assert!(started.elapsed() < Duration::from_millis(2_800), "{:?}", started.elapsed());
    let leader: i32 = world.log()[0].parse().unwrap();
    let group = format!("-{leader}");
    let alive = || {
        let mut kill = std::process::Command::new("kill");
        let kill = kill.args(["-0", "--", &group]).stderr(std::process::Stdio::null());
        kill.status().unwrap().success()
    };
    // The kernel takes a moment to collect the orphans.
    while alive() && started.elapsed() < Duration::from_millis(2_800) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!alive(), "something of the group {leader} still runs");
    let found = world.receipts(LookAt::Command { command: name("job") }).await;
    assert_eq!(found, [(EffectId(1), Receipt::Begun)]);
    let again = world.run(1, &[]).await;
    assert!(again.detail.contains("it is not begun again"), "{}", again.detail);
    assert_eq!(world.log().len(), 1);
}

#[tokio::test]
async fn a_command_that_somebody_kills_is_unknown() {
    let world = World::with_script("echo ran >> log; kill -9 $$", vec![], LONG).await;
    world
        .check(
            1,
            &[],
            &expect!["unknown: command `job` was killed by a signal; how far it got is not known"],
        )
        .await;
    assert_eq!(world.log(), ["ran"]);
}

#[tokio::test]
async fn what_a_command_prints_without_end_is_not_kept() {
    let body = "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo >&2 problem";
    let world = World::with_script(body, vec![], LONG).await;
    world.check(1, &[], &expect!["done: command `job` ended well: first"]).await;
}

#[tokio::test]
async fn a_command_left_behind_does_not_hold_up_the_report() {
    let world = World::with_script("sleep 20 & echo started", vec![], LONG).await;
    let started = Instant::now();
    world.check(1, &[], &expect!["done: command `job` ended well: started"]).await;
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_crash_after_the_beginning_is_never_begun_again() {
    let world = World::with_script("echo ran >> log", vec![], LONG).await;
    world.run(1, &[]).await;
    // What a kill -9 between the beginning and the end leaves.
    let path = world.folder.path().join("receipts/ef-1.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"done\"", "\"begun\"")).unwrap();
    let world = World { actuators: actuators(world.settings.clone()).await, ..world };
    world.check(1, &[], &expect!["unknown: it began at 2026-01-01T00:00:00Z and nobody wrote down how it ended; it is not begun again"]).await;
    assert_eq!(world.log(), ["ran"]);
    let found = world.receipts(LookAt::Command { command: name("job") }).await;
    assert_eq!(found, [(EffectId(1), Receipt::Begun)]);
}

#[tokio::test]
async fn a_program_that_others_could_change_is_not_run() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let world = World::with_script("echo ran >> log", vec![], LONG).await;
    let program = world.folder.path().join("job");
    let set = |mode: u32| {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o775);
    world.check(1, &[], &expect!["rejected: command `job` was not run: program `DIR/job` has mode 775, which lets others change it; `chmod 755 DIR/job`"]).await;
    set(0o757);
    world.check(1, &[], &expect!["rejected: command `job` was not run: program `DIR/job` has mode 757, which lets others change it; `chmod 755 DIR/job`"]).await;
    set(0o644);
    world.check(1, &[], &expect!["rejected: command `job` was not run: program `DIR/job` has mode 644; `chmod 755` lets it be run"]).await;
    let real = world.folder.path().join("real");
    std::fs::rename(&program, &real).unwrap();
    world.check(1, &[], &expect!["rejected: command `job` was not run: program `DIR/job`: No such file or directory (os error 2)"]).await;
    std::fs::create_dir(&program).unwrap();
    world
        .check(
            1,
            &[],
            &expect![
                "rejected: command `job` was not run: program `DIR/job` is not a regular file"
            ],
        )
        .await;
    std::fs::remove_dir(&program).unwrap();
    // What counts is the file that a link leads to.
    symlink(&real, &program).unwrap();
    world.check(1, &[], &expect!["rejected: command `job` was not run: program `DIR/job` has mode 644; `chmod 755` lets it be run"]).await;
    assert!(world.log().is_empty());
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.check(1, &[], &expect!["done: command `job` ended well"]).await;
}

#[tokio::test]
async fn a_program_that_cannot_start_surely_did_nothing() {
    let world = World::with_script("", vec![], LONG).await;
    let program = world.folder.path().join("job");
    let source = world.folder.path().join("odd");
    std::fs::write(&source, "#!/no/such/interpreter\n").unwrap();
    let mut install = std::process::Command::new("install");
    install.args(["-m", "755"]).arg(&source).arg(&program).status().unwrap();
    world
        .check(
            1,
            &[],
            &expect![
                "rejected: command `job` did not start: No such file or directory (os error 2)"
            ],
        )
        .await;
    let found = world.receipts(LookAt::Command { command: name("job") }).await;
    assert_eq!(found, [(EffectId(1), Receipt::Failed)]);
}

#[tokio::test]
async fn what_is_not_on_the_allow_list_is_neither_done_nor_seen() {
    let world = World::with_script("echo ran >> log", vec![], LONG).await;
    let nothing = actuators(AllowedSettings::default()).await;
    let actions = [
        Action::RunCommand { command: name("other"), arguments: vec![] },
        Action::CallWebhook { webhook: name("job"), fields: BTreeMap::new() },
        Action::ApplyTerraform {
            workspace: name("job"),
            variables: BTreeMap::new(),
            plan_sha256: "0".repeat(64),
        },
    ];
    let mut table = String::new();
    for action in actions {
        let at = action.looks_at();
        let request = act_request(1, action);
        for actuators in [&world.actuators, &nothing] {
            let report = actuators.act(&any_target(), &request).await;
            table.push_str(&format!("{}\n", show_report(&report)));
            let error = actuators.look(&any_target(), &at).await.unwrap_err();
            table.push_str(&format!("{error}\n"));
        }
    }
    expect![[r#"
        rejected: there is no command `other` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no command `other` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        rejected: there is no entry on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no command `other` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        rejected: there is no webhook `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no webhook `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        rejected: there is no entry on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no webhook `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        rejected: there is no Terraform workspace `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no Terraform workspace `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        rejected: there is no entry on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
        there is no Terraform workspace `job` on the allow-list; add it to `allowed` in the daemon's configuration, or correct the name in the playbook
    "#]].assert_eq(&table);
    assert!(world.log().is_empty());
}

const KEY: &str = "correct-horse-battery-staple-0123456789";

async fn hook(url: &str) -> World {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("key");
    std::fs::write(&secret_file, KEY).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let fields = vec!["reason".to_owned()];
    let webhook = AllowedWebhook { url: url.to_owned(), secret_file, fields };
    World::with(folder, |settings| {
        settings.webhooks.insert(name("hook"), webhook);
    })
    .await
}

#[tokio::test]
async fn a_webhook_is_called_once_signed_and_with_the_effect_as_its_key() {
    let proxy = Proxy::start("http://127.0.0.1:9");
    proxy.answer("POST", 9, 202, "queued");
    let world = hook(&format!("{}/a?team=web", proxy.url())).await;
    let fields = [("reason", "web-1 hangs")];
    let report = world.call(12, &fields).await;
    expect!["done: webhook `hook` took it on (HTTP 202 `queued`)"].assert_eq(&show_report(&report));
    expect!["done: already done"].assert_eq(&show_report(&world.call(12, &fields).await));
    let sent = proxy.requests_matching("POST");
    assert_eq!(sent.len(), 1);
    expect![[r#"{"webhook":"hook","fields":{"reason":"web-1 hangs"},"effect":"ef-12","run":"run-5","target":"checkout-api","is_undo":false,"term":3}"#]].assert_eq(&sent[0].body);
    assert_eq!(sent[0].header("idempotency-key"), Some("ef-12"));
    let verified = evenkeel_providers::verify_signature(
        KEY.as_bytes(),
        sent[0].header("evenkeel-timestamp").unwrap(),
        "POST",
        "/a?team=web",
        sent[0].body.as_bytes(),
        sent[0].header("evenkeel-signature").unwrap(),
        crate::common::now(),
        SignedDuration::from_mins(5),
    );
    assert_eq!(verified, Ok(()));
    let refused = world.call(13, &[("url", "http://evil.example")]).await;
    expect![
        "rejected: webhook `hook` was not called: field `url` is not allowed; allowed are reason"
    ]
    .assert_eq(&show_report(&refused));
    assert_eq!(proxy.count_matching("POST"), 1);
}

#[tokio::test]
async fn a_lost_or_bad_answer_is_unknown_and_the_call_is_not_repeated() {
    let proxy = Proxy::start("http://127.0.0.1:9");
    proxy.answer("POST", 1, 503, "overloaded");
    let world = hook(&proxy.url()).await;
    let report = world.call(1, &[]).await;
    expect!["unknown: it may have happened or not: HTTP 503 `overloaded`"]
        .assert_eq(&show_report(&report));
    let again = world.call(1, &[]).await;
    assert!(again.detail.contains("it is not begun again"), "{}", again.detail);
    proxy.answer("POST", 1, 404, "no such hook");
    let report = world.call(2, &[]).await;
    expect!["rejected: refused: HTTP 404 `no such hook`"].assert_eq(&show_report(&report));
    assert_eq!(proxy.count_matching("POST"), 2);
    let absent = hook(&format!("http://127.0.0.1:{}", free_port())).await;
    let report = show_report(&absent.call(1, &[]).await);
    assert!(report.starts_with("rejected: nothing was sent: "), "{report}");
    let found = world.receipts(LookAt::Webhook { webhook: name("hook") }).await;
    assert_eq!(found, [(EffectId(1), Receipt::Begun), (EffectId(2), Receipt::Failed)]);
}
