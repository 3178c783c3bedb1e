//! What people ask about SLOs and budgets, as types.
//!
//! **In:** what a person typed.
//! **Out:** arguments of `slo` and `budget`.
//! **Not here:** what is shown ([`crate::slo`], [`crate::budget`]).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evenkeel_core::ids::{BudgetId, SloId};
use jiff::civil::Date;

/// `slo`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SloArgs {
    /// Only this one, in full
    pub(crate) slo: Option<SloId>,
    /// What else.
    #[command(subcommand)]
    pub(crate) verb: Option<SloVerb>,
}

/// `slo …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SloVerb {
    /// Print the SLOs of documents as recording rules and alerts of Prometheus; needs no agent
    Rules(SloRulesArgs),
}

/// `slo rules`.
#[derive(Debug, Args)]
pub(crate) struct SloRulesArgs {
    /// Files or directories, as for `check`; `-` is stdin
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `budget`.
#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    /// What about them; without one, `status`.
    #[command(subcommand)]
    pub(crate) verb: Option<BudgetVerb>,
}

/// `budget …`.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetVerb {
    /// Show how much is spent, how fast, and which thresholds are crossed
    Status(OneBudgetArgs),
    /// Show when budgets will be spent, and how sure that is
    Forecast(OneBudgetArgs),
    /// Show what each tenant uses and costs
    Tenants,
    /// Show what each service costs, and what 1,000 good requests do
    Services,
    /// Ask whether a drill that spends so much would be admitted
    Fits(FitsArgs),
    /// Compare what was metered with a bill in the FOCUS format
    Reconcile(ReconcileArgs),
}

/// `budget status`, `budget forecast`.
#[derive(Debug, Default, Args)]
pub(crate) struct OneBudgetArgs {
    /// Only this one
    pub(crate) budget: Option<BudgetId>,
}

/// `budget fits`.
#[derive(Debug, Args)]
pub(crate) struct FitsArgs {
    /// Whose error budget it would spend
    pub(crate) slo: SloId,
    /// How much of the whole error budget it is expected to spend: `5%` or `0.05`
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) spends: f64,
}

/// `budget reconcile`.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// The bill: CSV with the columns of FOCUS 1.2
    #[arg(value_name = "FOCUS.csv")]
    pub(crate) file: PathBuf,
    /// Only from this day on, UTC: `2026-11-01`
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) from: Option<Date>,
    /// Only before this day, UTC
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) until: Option<Date>,
}

/// In `(0, 1]`.
fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |it| (it, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|it| it / whole);
    share
        .filter(|it| 0.0 < *it && *it <= 1.0)
        .ok_or_else(|| "write a share above 0% and up to 100%, such as `5%` or `0.05`".to_owned())
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "write a date such as `2026-11-01`".to_owned())
}
