//! Planning in a Terraform workspace of the allow-list, and applying a plan that was kept.
//!
//! **In:** what is allowed, and the variables that a playbook sets.
//! **Out:** a judged plan with its hash; later, exactly that plan applied.
//! **Not here:** reading and judging plans ([`plan`]), keeping them ([`kept`]), that one
//! is applied once ([`super::receipts`]).
//!
//! Terraform runs in the workspace's folder, but keeps everything of its own in a folder
//! of the daemon's. `init` runs before each plan, with the providers' lock file read only: it
//! must be there. What is applied is the file of the plan that was approved, after its
//! hash, the addresses and the configuration's files have been compared once more.

mod changes;
mod configuration;
mod kept;
mod plan;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::action::Receipt;
use evenkeel_core::ids::AllowedName;
use tokio::sync::{Mutex, MutexGuard};

use self::configuration::fingerprint;
use self::kept::{About, Kept, write_private};
use self::plan::{PLAN_BYTES_MAX, Plan};
use super::environment::{base, resolve};
use super::mask::masked;
use super::process::{Ended, Job, Output, Stop, checked_program, run};
use super::receipts::{Kind, Receipts};
use super::settings::AllowedWorkspace;
use crate::actuator::ActRequest;
use crate::failure::Failure;
use crate::provider::{EffectReport, one_line};

/// How much of Terraform's talk is kept, in bytes. Why 1 MiB: some lines per resource.
const OUTPUT_BYTES_MAX: usize = 1_024 * 1_024;

/// How long Terraform may take to stop once interrupted. Why 20 s: it waits for the request
/// under way and then writes its state; killed before that, it would forget what it did.
const GRACE: Duration = Duration::from_secs(20);

/// How long Terraform waits for the state's lock. Why 10 s: a person's `apply` takes longer,
/// another plan does not.
const LOCK_TIMEOUT: &str = "-lock-timeout=10s";

/// Longest value of a variable, in bytes. Why 4 KiB: names and numbers have a dozen.
const VALUE_BYTES_MAX: usize = 4 * 1_024;

/// What Terraform says before it begins to change a resource.
const BEGINNINGS: [&str; 4] =
    [": Creating...", ": Modifying...", ": Destroying...", ": Importing..."];

/// One workspace, in which one Terraform runs at a time.
pub(super) struct Workspace {
    name: AllowedName,
    allowed: AllowedWorkspace,
    kept: Kept,
    /// Held while Terraform runs: two would share the data folder and the state.
    running: Mutex<()>,
}

impl Workspace {
    /// Makes the workspace's own folder below `folder`.
    pub(super) fn open(
        name: &AllowedName,
        allowed: &AllowedWorkspace,
        folder: &Path,
    ) -> io::Result<Workspace> {
        // A name may have slashes and dots, and its hash has neither.
        let own = super::digest::sha256(name.as_str().as_bytes());
        let own = folder.join("terraform").join(own.get(..16).unwrap_or(&own));
        Ok(Workspace {
            name: name.clone(),
            allowed: allowed.clone(),
            kept: Kept::open(own)?,
            running: Mutex::new(()),
        })
    }

    /// Makes a plan with these variables, judges it, and keeps it: its hash, and one line
    /// per change.
    pub(super) async fn look(
        &self,
        variables: &BTreeMap<String, String>,
    ) -> Result<(String, Vec<String>), Failure> {
        self.check_variables(variables).map_err(Failure::NotSent)?;
        let text = serde_json::to_vec(variables).map_err(|it| Failure::NotSent(it.to_string()))?;
        let session = self.open_session().await?;
        let (path, planning) = (self.kept.variables(), self.kept.planning());
        blocking({
            let path = path.clone();
            move || write_private(&path, &text)
        })
        .await?;
        let planned = session.plan(Some(&path)).await;
        let removed = path.clone();
        blocking(move || kept::remove(&removed)).await?;
        let about = planned?;
        let plan = session.show(&planning).await?;
        plan.check(&self.allowed.addresses).map_err(Failure::Refused)?;
        let plan_sha256 = plan.sha256(&self.name, variables);
        let (kept, hash) = (self.kept.clone(), plan_sha256.clone());
        blocking(move || kept.keep(&hash, &about)).await?;
        Ok((plan_sha256, plan.lines()))
    }

    /// Applies the kept plan with this hash, once.
    pub(super) async fn apply(
        &self,
        variables: &BTreeMap<String, String>,
        plan_sha256: &str,
        request: &ActRequest,
        receipts: &Receipts,
    ) -> EffectReport {
        let checked = async {
            self.check_variables(variables).map_err(Failure::NotSent)?;
            let session = self.session().await?;
            let file = self.find_unchanged(&session, variables, plan_sha256).await?;
            Ok::<_, Failure>((session, file))
        };
        let (session, file) = match checked.await {
            Ok(found) => found,
            Err(failure) => {
                // Whether it is done already is told first: its plan is then gone.
                if let Err(report) = receipts.earlier(request).await {
                    return report;
                }
                // Nothing was applied, however the comparison failed.
                return EffectReport::rejected(&format!("{}: {failure}", self.what()));
            }
        };
        let begun = match receipts.begin(Kind::Terraform, &self.name, request).await {
            Ok(begun) => begun,
            Err(report) => return report,
        };
        let arguments = ["apply", "-input=false", "-no-color", LOCK_TIMEOUT].map(OsString::from);
        let arguments = arguments.into_iter().chain([file.into_os_string()]).collect();
        let output = match session.run(arguments, OUTPUT_BYTES_MAX).await {
            Ok(output) => output,
            Err(reason) => {
                receipts.end(begun, Receipt::Failed).await;
                return EffectReport::rejected(&format!(
                    "{} was not changed: {reason}",
                    self.what()
                ));
            }
        };
        let said = String::from_utf8_lossy(&output.stdout.bytes);
        match output.ended {
            Ended::Exited { code: 0 } => {
                self.remember(variables, plan_sha256).await;
                receipts.end(begun, Receipt::Done).await;
                let line = said.lines().find(|it| it.starts_with("Apply complete!"));
                EffectReport::done(line.unwrap_or("Apply complete!"))
            }
            Ended::Exited { code } => {
                receipts.end(begun, Receipt::Failed).await;
                let has_begun = BEGINNINGS.into_iter().any(|it| said.contains(it));
                let extent = if has_begun || output.stdout.is_cut {
                    "it has happened in part; look at the workspace"
                } else {
                    "nothing was changed"
                };
                EffectReport::rejected(&format!(
                    "apply ended with exit status {code}, {extent}: {}",
                    fault_of(&output)
                ))
            }
            Ended::Killed => EffectReport::unknown(
                "terraform was killed while applying; how far it got is not known",
            ),
            Ended::TimedOut => EffectReport::unknown(&format!(
                "apply was stopped after {} s; how far it got is not known",
                self.timeout().as_secs_f64()
            )),
        }
    }

    /// What differs from what was applied last, one line each; empty when nothing does.
    /// With the variables that were applied last from here, else with the workspace's own.
    pub(super) async fn drift(&self) -> Result<Vec<String>, Failure> {
        let session = self.open_session().await?;
        let applied = self.kept.applied_variables();
        let variables = applied.is_file().then_some(applied.as_path());
        session.plan(variables).await?;
        let planning = self.kept.planning();
        let plan = session.show(&planning).await;
        blocking(move || kept::remove(&planning)).await?;
        Ok(plan?.drift_lines())
    }

    /// As messages name it.
    pub(super) fn what(&self) -> String {
        format!("Terraform workspace `{}`", self.name)
    }

    fn timeout(&self) -> Duration {
        Duration::try_from(self.allowed.timeout).unwrap_or_default()
    }

    fn check_variables(&self, variables: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in variables {
            if !self.allowed.variables.contains(name) {
                return Err(format!(
                    "variable `{}` is not allowed; allowed are {}",
                    one_line(name, 80),
                    self.allowed.variables.join(", ")
                ));
            }
            if VALUE_BYTES_MAX < value.len() {
                let bytes = value.len();
                return Err(format!(
                    "variable `{name}` has {bytes} bytes, at most {VALUE_BYTES_MAX}"
                ));
            }
        }
        Ok(())
    }

    /// Waits until no other Terraform runs here, and prepares to run one.
    async fn session(&self) -> Result<Session<'_>, Failure> {
        let running = self.running.lock().await;
        let (path, configured) = (self.allowed.terraform.clone(), self.allowed.environment.clone());
        let prepared = move || {
            let program = checked_program(&path)?;
            let mut environment = base();
            environment.extend(resolve(&configured)?);
            Ok::<_, String>((program, environment))
        };
        let (program, mut environment) = tokio::task::spawn_blocking(prepared)
            .await
            .map_err(|error| Failure::NotSent(error.to_string()))?
            .map_err(Failure::NotSent)?;
        let own = [
            ("TF_DATA_DIR", self.kept.data().into_os_string()),
            ("TF_IN_AUTOMATION", OsString::from("1")),
            ("TF_INPUT", OsString::from("0")),
            ("CHECKPOINT_DISABLE", OsString::from("1")),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let home = self.kept.home().as_os_str();
        environment.entry("HOME".to_owned()).or_insert_with(|| home.to_owned());
        if let Some(file) = &self.allowed.cli_config_file {
            environment.insert("TF_CLI_CONFIG_FILE".to_owned(), file.clone().into_os_string());
        }
        Ok(Session { workspace: self, program, environment, _running: running })
    }

    /// A session in which providers and modules are installed.
    async fn open_session(&self) -> Result<Session<'_>, Failure> {
        let session = self.session().await?;
        let arguments = ["init", "-input=false", "-no-color", "-lockfile=readonly"];
        let arguments = arguments.map(OsString::from).into();
        match session.run_well(arguments, OUTPUT_BYTES_MAX).await {
            Err(Failure::Refused(reason)) if reason.contains("dependency changes") => {
                Err(Failure::Refused(format!(
                    "{reason}; run `terraform init` in its folder by hand once, and commit `.terraform.lock.hcl`"
                )))
            }
            other => other.map(|_| session),
        }
    }

    /// The kept plan's file, if nothing has changed since it was made.
    async fn find_unchanged(
        &self,
        session: &Session<'_>,
        variables: &BTreeMap<String, String>,
        plan_sha256: &str,
    ) -> Result<PathBuf, Failure> {
        let refused = |text: &str| Failure::Refused(text.to_owned());
        let (kept, hash) = (self.kept.clone(), plan_sha256.to_owned());
        let (file, about) = blocking(move || kept.find(&hash)).await?.ok_or_else(|| {
            refused("no plan with this hash is kept; a new look makes one, to be approved again")
        })?;
        let plan = session.show(&file).await?;
        plan.check(&self.allowed.addresses).map_err(Failure::Refused)?;
        if plan.sha256(&self.name, variables) != plan_sha256 {
            return Err(refused(
                "the kept plan with these variables is not the one that was approved; a new look makes one, to be approved again",
            ));
        }
        if session.configuration().await? != about.configuration_sha256 {
            return Err(refused(
                "the configuration has changed since the plan was made; a new look makes one, to be approved again",
            ));
        }
        Ok(file)
    }

    /// After an apply. What fails here is only missing later.
    async fn remember(&self, variables: &BTreeMap<String, String>, plan_sha256: &str) {
        let text = serde_json::to_vec(variables).unwrap_or_default();
        let (kept, hash) = (self.kept.clone(), plan_sha256.to_owned());
        let written = move || {
            write_private(&kept.applied_variables(), &text)?;
            kept.remove(&hash)
        };
        if let Err(failure) = blocking(written).await {
            tracing::warn!(%failure, workspace = %self.name, "what was applied is not remembered");
        }
    }
}

/// The right to run Terraform in one workspace.
struct Session<'a> {
    workspace: &'a Workspace,
    program: PathBuf,
    environment: BTreeMap<String, OsString>,
    _running: MutexGuard<'a, ()>,
}

impl Session<'_> {
    /// Makes a plan at [`Kept::planning`].
    async fn plan(&self, variables: Option<&Path>) -> Result<About, Failure> {
        // Before the plan: a change in the meantime is then noticed at the apply.
        let configuration_sha256 = self.configuration().await?;
        let mut arguments: Vec<OsString> =
            ["plan", "-input=false", "-no-color", "-lock=true", LOCK_TIMEOUT]
                .map(OsString::from)
                .into();
        arguments.push(joined("-out=", &self.workspace.kept.planning()));
        if let Some(variables) = variables {
            arguments.push(joined("-var-file=", variables));
        }
        self.run_well(arguments, OUTPUT_BYTES_MAX).await?;
        Ok(About { configuration_sha256 })
    }

    /// Reads a plan file.
    async fn show(&self, file: &Path) -> Result<Plan, Failure> {
        let arguments = [OsString::from("show"), OsString::from("-json"), file.into()];
        let output = self.run_well(arguments.into(), PLAN_BYTES_MAX).await?;
        if output.stdout.is_cut {
            return Err(Failure::Refused(format!(
                "the plan as JSON is longer than {PLAN_BYTES_MAX} bytes; apply it by hand"
            )));
        }
        // Parsing megabytes must not hold up the daemon's other work.
        tokio::task::spawn_blocking(move || Plan::read(&output.stdout.bytes))
            .await
            .map_err(|error| Failure::Refused(error.to_string()))?
            .map_err(Failure::Refused)
    }

    async fn configuration(&self) -> Result<String, Failure> {
        let (root, data) = (self.workspace.allowed.folder.clone(), self.workspace.kept.data());
        let shown = root.display().to_string();
        blocking(move || fingerprint(&root, &data))
            .await
            .map_err(|failure| Failure::NotSent(format!("configuration in `{shown}`: {failure}")))
    }

    /// Runs Terraform for something that changes nothing.
    async fn run_well(
        &self,
        arguments: Vec<OsString>,
        output_bytes_max: usize,
    ) -> Result<Output, Failure> {
        let verb = arguments.first().map(|it| it.display().to_string()).unwrap_or_default();
        let output = self.run(arguments, output_bytes_max).await.map_err(Failure::NotSent)?;
        match output.ended {
            Ended::Exited { code: 0 } => Ok(output),
            Ended::Exited { code } => Err(Failure::Refused(format!(
                "`terraform {verb}` ended with exit status {code}: {}",
                fault_of(&output)
            ))),
            Ended::Killed => Err(Failure::Silent(format!("`terraform {verb}` was killed"))),
            Ended::TimedOut => Err(Failure::Silent(format!(
                "`terraform {verb}` was stopped after {} s",
                self.workspace.timeout().as_secs_f64()
            ))),
        }
    }

    /// Runs Terraform. Fails when it did not start.
    async fn run(
        &self,
        arguments: Vec<OsString>,
        output_bytes_max: usize,
    ) -> Result<Output, String> {
        let job = Job {
            program: &self.program,
            arguments,
            environment: self.environment.clone(),
            folder: &self.workspace.allowed.folder,
            timeout: self.workspace.timeout(),
            output_bytes_max,
            stop: Stop::Interrupt { grace: GRACE },
        };
        run(job).await.map_err(|error| format!("terraform did not start: {error}"))
    }
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

/// What Terraform says is wrong, masked: the line that begins with `Error:` and the next
/// two with text.
fn fault_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr.bytes);
    let clean =
        |it: &str| it.trim_matches(|it: char| it.is_whitespace() || "│╷╵".contains(it)).to_owned();
    let mut lines = text.lines().map(clean).filter(|it| !it.is_empty());
    let error = lines.by_ref().find(|it| it.starts_with("Error:"));
    match error {
        Some(error) => {
            let rest: Vec<String> = lines.take(2).collect();
            if rest.is_empty() {
                masked(&error)
            } else {
                masked(&format!("{error}: {}", rest.join(" ")))
            }
        }
        None => super::mask::first_line(&output.stderr.bytes),
    }
}

/// Work on files, away from the daemon's other work. Failing, it has changed nothing
/// outside.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::NotSent(error.to_string()))?
        .map_err(|error| Failure::NotSent(error.to_string()))
}
