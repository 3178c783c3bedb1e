//! Plans and applies with the real Terraform; an Auto Scaling group on moto where the AWS
//! provider is at hand.
//!
//! In: small configurations; looks and actions.
//! Out: what is planned, refused, applied; what the state says then.
//! Not here: reading plans (tables beside the code), commands (`allowed.rs`).
//!
//! Where Terraform or the provider is missing, a line on stderr says that nothing was
//! tested.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::allowed::{act_request, actuators, any_target, name};
use crate::common::show_report;
use evenkeel_core::action::{Action, LookAt, Receipt, Seen};
use evenkeel_core::ids::EffectId;
use evenkeel_providers::{
    Actuators, AllowedSettings, AllowedWorkspace, EffectReport, EnvironmentValue,
};
use evenkeel_testbed::Moto;
use evenkeel_testbed::moto::{ACCESS_KEY, REGION, SECRET_KEY};
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use tempfile::TempDir;

/// `terraform` of `PATH`, or `None` after saying so.
fn terraform() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&folders).map(|it| it.join("terraform")).find(|it| it.is_file());
    if found.is_none() {
        not_run("there is no `terraform` in PATH");
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn not_run(why: &str) {
    eprintln!("NOT RUN: {why}");
}

/// The folder of an unpacked provider mirror, or `None` after saying so.
fn mirror() -> Option<PathBuf> {
    let usual = ["/opt", "/usr/local/share", "/usr/share", "/usr/local/lib", "/var/lib", "/srv"];
    let usual = usual.iter().map(|it| Path::new(it).join("tf-plugins"));
    let given = std::env::var_os("EVENKEEL_TF_PLUGINS").map(PathBuf::from);
    let has_aws = |it: &PathBuf| it.join("registry.terraform.io/hashicorp/aws").is_dir();
    let found = given.into_iter().chain(usual).find(has_aws);
    if found.is_none() {
        not_run(
            "no Terraform mirror with the AWS provider; name its folder in EVENKEEL_TF_PLUGINS",
        );
    }
    found
}

struct World {
    folder: TempDir,
    settings: AllowedSettings,
    actuators: Actuators,
}

/// What a look saw: the hash, the changes, the receipts.
struct Planned {
    sha256: String,
    changes: Vec<String>,
    receipts: Vec<(EffectId, Receipt)>,
}

const MAIN: &str = r#"
variable "size" {
  type    = number
  default = 1
}
variable "note" {
  type    = string
  default = "none"
}
variable "password" {
  type      = string
  default   = "s3cret-first"
  sensitive = true
}
variable "trigger" {
  type    = string
  default = "a"
}
resource "terraform_data" "web" {
  input = { size = var.size, note = var.note, password = var.password }
}
resource "terraform_data" "other" {
  triggers_replace = var.trigger
}
output "size" {
  value = var.size
}
"#;

impl World {
    async fn with(main: &str, change: impl FnOnce(&mut AllowedWorkspace)) -> Option<World> {
        let terraform = terraform()?;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("main.tf"), main).unwrap();
        let mut workspace = AllowedWorkspace {
            terraform,
            folder: root,
            addresses: vec!["terraform_data.web".to_owned(), "terraform_data.other".to_owned()],
            variables: ["size", "note", "password", "trigger"].map(str::to_owned).into(),
            environment: BTreeMap::new(),
            timeout: SignedDuration::from_secs(120),
            cli_config_file: None,
        };
        change(&mut workspace);
        let receipts = Some(folder.path().join("receipts"));
        let terraform = BTreeMap::from([(name("web"), workspace)]);
        let settings = AllowedSettings { receipts, terraform, ..AllowedSettings::default() };
        let actuators = actuators(settings.clone()).await;
        Some(World { folder, settings, actuators })
    }

    async fn look(&self, variables: &[(&str, &str)]) -> Result<Planned, String> {
        let at = LookAt::Terraform { workspace: name("web"), variables: map(variables) };
        match self.actuators.look(&any_target(), &at).await {
            Ok(Seen::TerraformPlan { plan_sha256, changes, receipts }) => Ok(Planned {
                sha256: plan_sha256,
                changes,
                receipts: receipts.into_iter().collect(),
            }),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn apply(&self, effect: u64, variables: &[(&str, &str)], hash: &str) -> EffectReport {
        let (workspace, variables) = (name("web"), map(variables));
        let plan_sha256 = hash.to_owned();
        let action = Action::ApplyTerraform { workspace, variables, plan_sha256 };
        self.actuators.act(&any_target(), &act_request(effect, action)).await
    }

    async fn check_look(&self, variables: &[(&str, &str)], expected: &Expect) {
        let shown = match self.look(variables).await {
            Ok(planned) => planned.changes.join("\n"),
            Err(error) => error,
        };
        expected.assert_eq(&shown.replace(self.folder.path().to_str().unwrap(), "DIR"));
    }

    /// What the state has of `terraform_data.web`.
    fn state(&self) -> String {
        let file = self.folder.path().join("root/terraform.tfstate");
        let Ok(text) = std::fs::read_to_string(file) else { return "nothing".to_owned() };
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        let resources = state["resources"].as_array().unwrap();
        let web = resources.iter().find(|it| it["name"] == "web").unwrap();
        let input = &web["instances"][0]["attributes"]["input"]["value"];
        format!("size {}, note {}", input["size"], input["note"])
    }

    async fn drift(&self) -> String {
        let drift = self.actuators.drift().await;
        let drift = drift.into_iter().map(|(name, lines)| {
            let lines = lines.map_or_else(|it| it, |lines| lines.join("\n"));
            format!("{name}: {lines}")
        });
        drift.collect::<Vec<_>>().join("\n")
    }
}

fn map(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test]
async fn exactly_the_approved_plan_is_applied_once() {
    let Some(world) = World::with(MAIN, |_| {}).await else { return };
    let first = world.look(&[]).await.unwrap();
    expect![[r#"
        create terraform_data.other: triggers_replace = "a"
        create terraform_data.web: input.note = "none", input.password = (sensitive), input.size = 1"#]].assert_eq(&first.changes.join("\n"));
    let report = world.apply(1, &[], &first.sha256).await;
    expect!["done: Apply complete! Resources: 2 added, 0 changed, 0 destroyed."]
        .assert_eq(&show_report(&report));
    assert_eq!(world.state(), r#"size 1, note "none""#);

    let variables = [("size", "3"), ("note", "${file(\"/etc/passwd\")}"), ("password", "s3cret-2")];
    let planned = world.look(&variables).await.unwrap();
    expect![[r#"update terraform_data.web: input.note "none" -> "${file(\"/etc/passwd\")}", input.password (sensitive) -> (sensitive), input.size 1 -> 3, output {"note":"none","password":"***","size":1} -> (known after apply)"#]].assert_eq(&planned.changes.join("\n"));
    let again = world.look(&variables).await.unwrap();
    assert_eq!(again.sha256, planned.sha256, "the same changes have the same hash");
    assert_eq!(world.state(), r#"size 1, note "none""#, "a look changes nothing");

    // After a restart of the daemon the kept plan is still there.
    let world = World { actuators: actuators(world.settings.clone()).await, ..world };
    let report = world.apply(2, &variables, &planned.sha256).await;
    expect!["done: Apply complete! Resources: 0 added, 1 changed, 0 destroyed."]
        .assert_eq(&show_report(&report));
    assert_eq!(world.state(), r#"size 3, note "${file(\"/etc/passwd\")}""#);
    let report = world.apply(2, &variables, &planned.sha256).await;
    expect!["done: already done"].assert_eq(&show_report(&report));
    let report = world.apply(3, &variables, &planned.sha256).await;
    expect!["rejected: Terraform workspace `web`: refused: no plan with this hash is kept; a new look makes one, to be approved again"].assert_eq(&show_report(&report));

    let after = world.look(&variables).await.unwrap();
    assert!(after.changes.is_empty(), "{:?}", after.changes);
    assert_eq!(after.receipts, [(EffectId(1), Receipt::Done), (EffectId(2), Receipt::Done)]);
    // Nothing of ours is in the workspace's folder, and nothing of ours is open to others.
    let mut names: Vec<_> = std::fs::read_dir(world.folder.path().join("root"))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["main.tf", "terraform.tfstate", "terraform.tfstate.backup"]);
}

#[tokio::test]
async fn a_plan_that_destroys_or_reaches_elsewhere_is_refused() {
    let narrow = |it: &mut AllowedWorkspace| it.addresses = vec!["terraform_data.web".to_owned()];
    let Some(world) = World::with(MAIN, |_| {}).await else { return };
    let first = world.look(&[]).await.unwrap();
    world.apply(1, &[], &first.sha256).await;
    world.check_look(&[("trigger", "b")], &expect!["cannot read Terraform workspace `web`: the plan is refused: it would do `delete and create` to `terraform_data.other`; playbooks create and update only"]).await;
    std::fs::write(world.folder.path().join("root/main.tf"), "").unwrap();
    world.check_look(&[], &expect!["cannot read Terraform workspace `web`: the plan is refused: it would do `delete` to `terraform_data.other`; playbooks create and update only; it would do `delete` to `terraform_data.web`; playbooks create and update only"]).await;
    let Some(world) = World::with(MAIN, narrow).await else { return };
    world.check_look(&[], &expect!["cannot read Terraform workspace `web`: the plan is refused: it would change `terraform_data.other`; allowed is terraform_data.web"]).await;
    world.check_look(&[("region", "x")], &expect!["cannot ask for Terraform workspace `web`: variable `region` is not allowed; allowed are size, note, password, trigger"]).await;
    assert_eq!(world.state(), "nothing");
}

#[tokio::test]
async fn what_has_changed_since_the_plan_was_made_is_not_applied() {
    let Some(world) = World::with(MAIN, |_| {}).await else { return };
    let planned = world.look(&[("size", "2")]).await.unwrap();
    let check = async |effect: u64, variables: &[(&str, &str)], hash: &str, expected: Expect| {
        let report = world.apply(effect, variables, hash).await;
        expected.assert_eq(&show_report(&report));
        assert_eq!(world.state(), "nothing");
    };
    check(1, &[("size", "3")], &planned.sha256, expect!["rejected: Terraform workspace `web`: refused: the kept plan with these variables is not the one that was approved; a new look makes one, to be approved again"]).await;
    check(2, &[("size", "2")], &"0".repeat(64), expect!["rejected: Terraform workspace `web`: refused: no plan with this hash is kept; a new look makes one, to be approved again"]).await;
    check(3, &[("size", "2")], "../../../etc/passwd", expect!["rejected: Terraform workspace `web`: refused: no plan with this hash is kept; a new look makes one, to be approved again"]).await;
    let main = world.folder.path().join("root/main.tf");
    let changed = MAIN.replace("default = \"none\"", "default = \"changed\"");
    std::fs::write(&main, changed).unwrap();
    check(4, &[("size", "2")], &planned.sha256, expect!["rejected: Terraform workspace `web`: refused: the configuration has changed since the plan was made; a new look makes one, to be approved again"]).await;
    // Put back as it was, the plan is good again.
    std::fs::write(&main, MAIN).unwrap();
    let report = world.apply(5, &[("size", "2")], &planned.sha256).await;
    assert!(report.detail.starts_with("Apply complete!"), "{}", report.detail);
    assert_eq!(world.state(), r#"size 2, note "none""#);
}

#[tokio::test]
async fn a_state_that_moved_on_makes_the_plan_stale() {
    let Some(world) = World::with(MAIN, |_| {}).await else { return };
    let planned = world.look(&[("size", "2")]).await.unwrap();
    let other = world.look(&[("size", "7")]).await.unwrap();
    world.apply(1, &[("size", "7")], &other.sha256).await;
    let report = world.apply(2, &[("size", "2")], &planned.sha256).await;
    expect!["rejected: apply ended with exit status 1, nothing was changed: Error: Saved plan is stale: The given plan file can no longer be applied because the state was changed by another operation after the plan was created."].assert_eq(&show_report(&report));
    assert_eq!(world.state(), r#"size 7, note "none""#);
    let receipts = world.look(&[]).await.unwrap().receipts;
    assert_eq!(receipts, [(EffectId(1), Receipt::Done), (EffectId(2), Receipt::Failed)]);
}

#[tokio::test]
async fn drift_is_what_differs_from_what_was_applied() {
    let Some(world) = World::with(MAIN, |_| {}).await else { return };
    let planned = world.look(&[("size", "4")]).await.unwrap();
    world.apply(1, &[("size", "4")], &planned.sha256).await;
    expect!["web: "].assert_eq(&world.drift().await);
    let main = world.folder.path().join("root/main.tf");
    std::fs::write(&main, MAIN.replace("\"none\"", "\"by hand\"")).unwrap();
    expect![[r#"web: an apply would update terraform_data.web: input.note "none" -> "by hand", output {"note":"none","password":"***","size":4} -> (known after apply)"#]].assert_eq(&world.drift().await);
    std::fs::write(&main, "nonsense").unwrap();
    expect!["web: cannot read Terraform workspace `web`: `terraform init` ended with exit status 1: Error: Terraform encountered problems during initialisation, including problems: with the configuration, described below. The Terraform configuration must be valid before initialization so that"].assert_eq(&world.drift().await);
    assert_eq!(world.state(), r#"size 4, note "none""#);
}

#[tokio::test]
async fn an_apply_without_end_is_stopped_and_unknown() {
    let main = r#"
resource "terraform_data" "web" {
  provisioner "local-exec" {
    command = "exec sleep 30"
  }
}
"#;
    let short = |it: &mut AllowedWorkspace| it.timeout = SignedDuration::from_secs(4);
    let Some(world) = World::with(main, short).await else { return };
    let planned = world.look(&[]).await.unwrap();
    let report = world.apply(1, &[], &planned.sha256).await;
    expect!["unknown: apply was stopped after 4 s; how far it got is not known"]
        .assert_eq(&show_report(&report));
    let again = world.apply(1, &[], &planned.sha256).await;
    assert!(again.detail.contains("it is not begun again"), "{}", again.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_scaling_group_grows_by_a_variable() {
    let (Some(terraform), Some(mirror)) = (terraform(), mirror()) else { return };
    let moto = Moto::shared();
    moto.create_auto_scaling_group("terraformed", 1, 10, 2);
    let main = format!(
        r#"
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
provider "aws" {{
  region                      = "{REGION}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {{
    autoscaling = "{url}"
    ec2         = "{url}"
  }}
}}
variable "size" {{
  type    = number
  default = 2
}}
import {{
  to = aws_autoscaling_group.web
  id = "terraformed"
}}
resource "aws_autoscaling_group" "web" {{
  name                 = "terraformed"
  min_size             = 1
  max_size             = 10
  desired_capacity     = var.size
  availability_zones   = ["{REGION}a"]
  launch_configuration = "testbed"
}}
"#,
        url = moto.url()
    );
    let outer = tempfile::tempdir().unwrap();
    let secret = outer.path().join("secret");
    std::fs::write(&secret, format!("{SECRET_KEY}\n")).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, private).unwrap();
    let cli_config = outer.path().join("terraform.rc");
    let text = format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
        mirror.display()
    );
    std::fs::write(&cli_config, text).unwrap();
    let Some(world) = World::with(&main, |it| {
        it.addresses = vec!["aws_autoscaling_group.web".to_owned()];
        it.cli_config_file = Some(cli_config.clone());
        it.environment = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), EnvironmentValue::Literal(ACCESS_KEY.to_owned())),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), EnvironmentValue::FromFile(secret)),
        ]);
    })
    .await
    else {
        return;
    };
    let refused = world.look(&[("size", "3")]).await.map(|it| it.changes).unwrap_err();
    assert!(refused.contains("commit `.terraform.lock.hcl`"), "{refused}");
    // A person does this once, and commits the lock file.
    let mut init = std::process::Command::new(terraform);
    let status = init
        .args(["init", "-input=false"])
        .current_dir(world.folder.path().join("root"))
        .env("TF_CLI_CONFIG_FILE", &cli_config)
        .env("TF_DATA_DIR", outer.path().join("data"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let planned = world.look(&[("size", "3")]).await.unwrap();
    expect![[r#"import and update aws_autoscaling_group.web: capacity_reservation_specification[0].capacity_reservation_preference = "", desired_capacity 2 -> 3, force_delete = false, force_delete_warm_pool = false, ignore_failed_scaling_activities = false, wait_for_capacity_timeout = "10m""#]].assert_eq(&planned.changes.join("\n"));
    let report = world.apply(1, &[("size", "3")], &planned.sha256).await;
    expect!["done: Apply complete! Resources: 1 imported, 0 added, 1 changed, 0 destroyed."]
        .assert_eq(&show_report(&report));
    assert_eq!(moto.desired_capacity("terraformed"), 3);
}
