//! What people say about incidents, runs and autonomy, as types.
//!
//! **In:** what a person typed.
//! **Out:** arguments of `approve`, `deny`, `abort`, `review`, `incidents`, `handback`,
//! `promote` and `playbook`.
//! **Not here:** `takeover`, whose arguments are those of every override ([`super`]).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evenkeel_core::action::ActionClass;
use evenkeel_core::documents::Autonomy;
use evenkeel_core::ids::{IncidentId, ParameterName, PlaybookId, RunId, TargetId};
use evenkeel_core::overrides::Scope;
use jiff::SignedDuration;

use super::{When, positive_duration, when};

/// `approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Which run: `run-7`
    pub(crate) run: RunId,
    /// The hash of the plan that you saw
    #[arg(long, value_name = "HASH")]
    pub(crate) plan: String,
    /// Pass the gate alone, against its quorum; it pages, and is reviewed
    #[arg(long, requires = "reason")]
    pub(crate) break_glass: bool,
    /// Why; required with --break-glass
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// `deny`, `abort`.
#[derive(Debug, Args)]
pub(crate) struct RunWordArgs {
    /// Which run: `run-7`
    pub(crate) run: RunId,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// `review`.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// Which run: `run-7`
    pub(crate) run: RunId,
    /// What you found: whether it had to be, and what shall change
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: String,
}

/// `incidents`.
#[derive(Debug, Args)]
pub(crate) struct IncidentsArgs {
    /// Only this one, in full: `inc-3`
    pub(crate) incident: Option<IncidentId>,
    /// Also those that are over
    #[arg(long, conflicts_with = "incident")]
    pub(crate) all: bool,
    /// Take note of it, so that it is not escalated
    #[arg(long, requires = "incident")]
    pub(crate) acknowledge: bool,
    /// Write it as a page in Markdown, for the review afterwards; `-` is stdout
    #[arg(long, value_name = "FILE.md|-", requires = "incident", conflicts_with = "acknowledge")]
    pub(crate) export: Option<PathBuf>,
}

/// `handback`.
#[derive(Debug, Args)]
pub(crate) struct HandbackArgs {
    /// On what, as it was taken over, or anything that covers it
    pub(crate) scope: Scope,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// `promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// On which target
    pub(crate) target: TargetId,
    /// Which actions, for example `restart_instances`
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(crate) class: ActionClass,
    /// To what: `observe`, `suggest`, `approve` or `auto`
    #[arg(long, value_name = "LEVEL", value_parser = autonomy)]
    pub(crate) to: Autonomy,
    /// Why; the next person on call will read it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// `playbook …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PlaybookVerb {
    /// Say when playbooks would have been triggered on recorded metrics; needs no agent
    #[command(after_help = TEST_EXIT_STATUS)]
    Test(PlaybookTestArgs),
    /// Start a playbook by hand, or see its plan
    Run(PlaybookRunArgs),
}

const TEST_EXIT_STATUS: &str = "\
A TIME is `2026-11-20T03:10:00Z`, or `30d` for 30 days ago. Exit status: 0 tested, whatever
was found; 1 a document is not valid, or the metrics cannot be read; 2 wrong usage.";

/// `playbook test`.
#[derive(Debug, Args)]
pub(crate) struct PlaybookTestArgs {
    /// Playbooks with their targets: files or directories, as for `check`; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the metrics are: `https://HOST[:PORT][/PATH]`
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: String,
    /// From when
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) from: When,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) to: When,
    /// From one look to the next; the daemon looks every 15s
    #[arg(long, value_name = "DURATION", value_parser = positive_duration, default_value = "15s")]
    pub(crate) step: SignedDuration,
    /// PromQL for the capacity that there was, by the same label as the inputs; conditions
    /// about `target.current` and `target.ready` are unknown without it
    #[arg(long, value_name = "PROMQL")]
    pub(crate) capacity_query: Option<String>,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<TargetId>,
    /// File with a bearer token for Prometheus
    #[arg(long, value_name = "FILE")]
    pub(crate) bearer_token_file: Option<PathBuf>,
}

/// `playbook run`.
#[derive(Debug, Args)]
pub(crate) struct PlaybookRunArgs {
    /// Which playbook
    pub(crate) playbook: PlaybookId,
    /// On which target
    pub(crate) target: TargetId,
    /// A parameter that differs from its default; repeat it for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(ParameterName, f64)>,
    /// Why; the next person on call will read it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Only make the plan and show it; nothing is touched
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait until the run has ended; exit 1 when it did not succeed
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
}

fn class(text: &str) -> Result<ActionClass, String> {
    let found = ActionClass::ALL.into_iter().find(|it| it.name() == text);
    let names = ActionClass::ALL.map(|it| format!("`{}`", it.name())).join(", ");
    found.ok_or_else(|| format!("the classes of actions are {names}"))
}

fn autonomy(text: &str) -> Result<Autonomy, String> {
    let all = [Autonomy::Observe, Autonomy::Suggest, Autonomy::Approve, Autonomy::Auto];
    let found = all.into_iter().find(|it| it.to_string() == text);
    found.ok_or_else(|| "the levels are `observe`, `suggest`, `approve` and `auto`".to_owned())
}

fn setting(text: &str) -> Result<(ParameterName, f64), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("write `NAME=VALUE`, for example `units=3`".to_owned());
    };
    let name = ParameterName::new(name).map_err(|error| error.to_string())?;
    let value = value.trim().parse::<f64>().ok().filter(|it| it.is_finite());
    let value = value.ok_or_else(|| {
        format!("the value of `{name}` must be a number in the unit of the playbook, such as `3`")
    })?;
    Ok((name, value))
}
