//! The command line, as a type.
//!
//! **In:** what a person typed.
//! **Out:** [`Arguments`], with names, scopes, durations and times already read.
//! **Not here:** environment variables and defaults of where the agent is (see
//! [`crate::connection`]), what the verbs do.

pub(crate) mod budgets;
mod healing;
mod simulation;

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use evenkeel_core::api::{OverrideRequest, OverrideWord};
use evenkeel_core::ids::{Actor, OverrideId, TargetId};
use evenkeel_core::overrides::{OVERRIDE_DEFAULT, Scope};
use evenkeel_core::units::{Capacity, parse_duration, show_duration};
use evenkeel_forecast::batch::{HORIZON_MAX, Request};
use jiff::{SignedDuration, Timestamp};

pub(crate) use healing::{
    ApproveArgs, HandbackArgs, IncidentsArgs, PlaybookRunArgs, PlaybookTestArgs, PlaybookVerb,
    PromoteArgs, ReviewArgs, RunWordArgs,
};
use simulation::{Seeds, controller_word, scale, seeds};

/// Longest season, in steps. Why 100,000: ten weeks of minutes; a longer one repeats too rarely
/// to be learned.
const SEASON_MAX: usize = 100_000;

/// How far a backtest looks when nobody says. Why 48: two days of hours, four hours of 5 min.
const BACKTEST_HORIZON: usize = 48;

/// From how many instants a backtest forecasts when nobody says. Why 5: enough to tell luck from
/// skill, and it takes seconds.
const BACKTEST_ORIGINS: usize = 5;

const SIMULATE_EXIT_STATUS: &str = "\
Exit status: 0 all is well; 1 a file is not valid; 2 wrong usage; 10 safety violated;
11 what must be reached was not; 12 two equal runs differ; 130 interrupted, and the part
that ran was good. Beside others only `evenkeel` is judged so; they are there to be beaten.";

const REPLAY_EXIT_STATUS: &str = "\
A TIME is `2026-11-20T03:10:00Z`, or `30d` for 30 days ago. Exit status: 0 replayed; 1 a
document is not valid, Prometheus does not answer, or has nothing of it; 2 wrong usage;
10 the agent did something that must never happen; 130 interrupted, and it had not.";

const EXIT_STATUS: &str = "\
Exit status: 0 done or enforced; 1 refused, not found or invalid; 2 wrong usage;
3 agent not reachable (prints how to freeze everything without it).

Environment: EVENKEEL_SOCKET, EVENKEEL_URL, EVENKEEL_TOKEN or EVENKEEL_TOKEN_FILE
say where the agent is and who you are; options win over them. NO_COLOR is honoured.";

const EXAMPLES: &str = "\
A SCOPE is a target's name, `team=payments,tier=web` (all of these labels),
`region:NAME` or `all`.";

/// Ask the agent what it does and why, stop it, overrule it, and check its log.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, max_term_width = 100, after_help = EXIT_STATUS)]
#[command(disable_help_subcommand = true, infer_long_args = false)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Options that every verb has.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options that every verb has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Common {
    /// `text` for people or `json` for programs
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    #[arg(hide_possible_values = true)]
    pub(crate) output: Output,
    /// Unix socket of the agent [default: /run/evenkeel/evenkeel.sock]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "url")]
    pub(crate) socket: Option<PathBuf>,
    /// Agent on another host: `https://HOST[:PORT]`
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File with your token, for --url; a token itself is never an argument
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust only the certificates in this PEM file, for --url
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long to wait for each answer [default: 10s; `audit`: 10m]
    #[arg(long, global = true, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) timeout: Option<SignedDuration>,
}

/// In which form an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// One word each, as in the glossary.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Validate documents: every fault with file, line, column and a hint
    Check(CheckArgs),
    /// Show what rules each target, its capacity, and what comes next
    Status(StatusArgs),
    /// Say why something did or did not happen to a target
    Explain(ExplainArgs),
    /// Let the agent change nothing in a scope
    #[command(after_help = EXAMPLES)]
    Freeze(OverrideArgs),
    /// Keep the current capacity of a scope
    #[command(after_help = EXAMPLES)]
    Hold(OverrideArgs),
    /// Let a scope grow, but never shrink
    #[command(after_help = EXAMPLES)]
    NoScaleDown(OverrideArgs),
    /// Set exactly one capacity and keep it
    #[command(after_help = EXAMPLES)]
    Pin(PinArgs),
    /// End an override, or every override with exactly this scope
    #[command(after_help = EXAMPLES)]
    Expire(ExpireArgs),
    /// Show what is wrong, what is done about it, and what waits for you
    Incidents(IncidentsArgs),
    /// Say yes to the gate that a run waits at, for exactly the plan that you saw
    Approve(ApproveArgs),
    /// Say no to the gate that a run waits at
    Deny(RunWordArgs),
    /// End a run: what it has touched is undone
    Abort(RunWordArgs),
    /// Take a scope over: nothing is changed there, and runs end as they are
    #[command(after_help = EXAMPLES)]
    Takeover(OverrideArgs),
    /// Give back what was taken over, or what the agent left to people
    #[command(after_help = EXAMPLES)]
    Handback(HandbackArgs),
    /// Record what the review of a break-glass approval found
    Review(ReviewArgs),
    /// Grant the agent more autonomy for a class of actions on a target, or less
    Promote(PromoteArgs),
    /// Test a playbook on recorded metrics, or start one by hand
    Playbook {
        /// Which of the two.
        #[command(subcommand)]
        verb: PlaybookVerb,
    },
    /// Show what is left of error budgets, how fast they burn, and who is told
    Slo(budgets::SloArgs),
    /// Show what is spent, how fast, until when it lasts, and by whom
    Budget(budgets::BudgetArgs),
    /// Show what happened, newest first
    History(HistoryArgs),
    /// Prove that the log was not changed, or copy it out
    Audit {
        /// Which of the two.
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Make a token for somebody, and its hash for the `Access` document
    Token(TokenArgs),
    /// Forecast any CSV: `timestamp,value`, or rows `id,v1,v2,…`
    Forecast(ForecastArgs),
    /// Score how odd each row of a CSV `timestamp,value` is
    Detect(DetectArgs),
    /// Run the agent, and others beside it, against a scenario under virtual time
    #[command(after_help = SIMULATE_EXIT_STATUS)]
    Simulate(SimulateArgs),
    /// Say what policies would have done on recorded metrics, and at what cost
    #[command(after_help = REPLAY_EXIT_STATUS)]
    Replay(ReplayArgs),
}

/// `audit …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Verify every record, link and signature of the journal
    Verify(VerifyArgs),
    /// Print every record as one line of JSON, oldest first
    Export(ExportArgs),
}

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files, or directories with *.yaml and *.yml at any depth; `-` is stdin
    #[arg(required_unless_present = "schema", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Print the JSON Schema of documents instead
    #[arg(long, conflicts_with = "paths")]
    pub(crate) schema: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this target
    pub(crate) target: Option<TargetId>,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Which target
    pub(crate) target: TargetId,
    /// As of then: `2026-11-20T03:10:00Z`, or `15m` for 15 minutes ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) at: Option<When>,
}

/// `freeze`, `takeover`, `hold`, `no-scale-down`.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// On what
    pub(crate) scope: Scope,
    #[command(flatten)]
    why: WhyArgs,
}

/// `pin`.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// On what
    scope: Scope,
    /// At which capacity; without one, the current capacity (of one target)
    #[arg(value_name = "CAPACITY", conflicts_with = "capacity")]
    at: Option<u32>,
    /// The same, as an option
    #[arg(long, value_name = "N")]
    capacity: Option<u32>,
    #[command(flatten)]
    why: WhyArgs,
}

#[derive(Debug, Args)]
struct WhyArgs {
    /// For how long, with a unit; at most 72h
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    #[arg(default_value_t = Length(OVERRIDE_DEFAULT))]
    length: Length,
    /// Why; the next person on call will read it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `expire`.
#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// `ov-31`, or a scope
    #[arg(value_name = "OVERRIDE_OR_SCOPE", value_parser = expirable)]
    pub(crate) which: Expirable,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only records about this target
    pub(crate) target: Option<TargetId>,
    /// At most this many records
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Only records of this kind, for example `effect_planned`
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only at or after this time: `2026-11-20T03:10:00Z`, or `15m` for 15 minutes ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) from: Option<When>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) to: Option<When>,
    /// Read this journal (or a copy of one) instead of asking the agent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "url"])]
    pub(crate) store: Option<PathBuf>,
}

/// `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Verify this journal (or a copy of one) instead of asking the agent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "url"])]
    pub(crate) store: Option<PathBuf>,
    /// The key that must have signed it, as text or as a file with the text
    #[arg(long, value_name = "FILE|TEXT")]
    pub(crate) public_key: Option<String>,
}

/// `audit export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Read this journal (or a copy of one) instead of asking the agent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "url"])]
    pub(crate) store: Option<PathBuf>,
    /// Start at this record
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) from_seq: u64,
}

/// `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// For whom, as named in the `Access` document
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Actor>,
}

/// `forecast`.
#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    /// CSV of `timestamp,value` (Unix seconds, RFC 3339, or UTC without a zone), or of rows
    /// `id,v1,v2,…`; `-` is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How many steps to look ahead [default with --backtest: 48]
    #[arg(long, value_name = "N", required_unless_present = "backtest")]
    #[arg(value_parser = horizon)]
    horizon: Option<usize>,
    /// Seasons, in steps, such as `24,168` [default: found in the series]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = season)]
    season: Vec<usize>,
    /// Intervals, in percent
    #[arg(long, value_name = "P,…", value_delimiter = ',', value_parser = level)]
    #[arg(default_value = "80,95")]
    levels: Vec<Level>,
    /// Instead: how good would past forecasts have been?
    #[arg(long)]
    pub(crate) backtest: bool,
    /// From how many past instants [default: 5]
    #[arg(long, value_name = "K", requires = "backtest")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=100))]
    origins: Option<u16>,
    /// Draw the newest of them into this file instead of the terminal
    #[arg(long, value_name = "FILE.svg", requires = "backtest")]
    pub(crate) svg: Option<PathBuf>,
}

/// `detect`.
#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// CSV of `timestamp,value` (Unix seconds, RFC 3339, or UTC without a zone); `-` is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Coverage of an interval.
#[derive(Clone, Copy, Debug)]
struct Level(f64);

impl ForecastArgs {
    /// What is asked of the forecast: seasons ascending, each season and level once.
    pub(crate) fn request(&self) -> Request {
        let mut seasons = self.season.clone();
        seasons.sort_unstable();
        seasons.dedup();
        let mut levels: Vec<f64> = Vec::new();
        for Level(level) in &self.levels {
            if !levels.iter().any(|it| it.total_cmp(level).is_eq()) {
                levels.push(*level);
            }
        }
        Request {
            horizon: self.horizon.unwrap_or(BACKTEST_HORIZON),
            seasons: Some(seasons).filter(|it| !it.is_empty()),
            levels,
        }
    }

    /// How many past instants to forecast from.
    pub(crate) fn origins(&self) -> usize {
        self.origins.map_or(BACKTEST_ORIGINS, usize::from)
    }
}

/// `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// A scenario such as simulations/scenarios/capacity.yaml; `-` is stdin
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,
    /// Who decides: `evenkeel`, `hpa`, `hpa:85` (its target in percent), `tracking` (target
    /// tracking with a schedule), `static` (the peak), `none` (no agent), `oracle`, the naive
    /// `reflex` and `healer` (regions only), or `all` of them side by side
    #[arg(long, value_name = "C", default_value = "evenkeel", value_parser = controller_word)]
    controller: String,
    /// CSV of `timestamp,value` instead of the scenario's own load; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,
    /// In a region: how high the workload's peak is, as a multiple of the scenario's own
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "workload", value_parser = scale)]
    scale: f64,
    /// What fixes all chance
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// Every seed from A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// Write `timestamp,demand,desired,ready` (in units) at every change to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) plan_out: Option<PathBuf>,
    /// Write one page that shows the runs to this file; it needs no network
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Run everything twice, and compare the traces
    #[arg(long)]
    pub(crate) twice: bool,
}

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Policies with their targets, guardrails and calendars: files or directories, as for
    /// `check`; `-` is stdin
    #[arg(required = true, value_name = "POLICY")]
    pub(crate) policies: Vec<PathBuf>,
    /// Where the metrics are: `https://HOST[:PORT][/PATH]`
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: String,
    /// From when
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) from: When,
    /// Until when; at most 400 days
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) to: When,
    /// Another version of the same documents, beside the first; repeat it for several files
    #[arg(long, value_name = "POLICY")]
    pub(crate) against: Vec<PathBuf>,
    /// From one evaluation to the next, from 15s to 1m
    #[arg(long, value_name = "DURATION", value_parser = positive_duration, default_value = "1m")]
    pub(crate) step: SignedDuration,
    /// How long new capacity takes, for targets with `lead_time: measure` [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) lead_time: Option<SignedDuration>,
    /// PromQL for the capacity that there really was, by the same label as the signals; scored
    /// beside the policies
    #[arg(long, value_name = "PROMQL")]
    pub(crate) capacity_query: Option<String>,
    /// Show only this target; all are replayed
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<TargetId>,
    /// Write `timestamp,demand,desired,ready` (in units) of one target at every change to this
    /// file
    #[arg(long, value_name = "FILE")]
    pub(crate) plan_out: Option<PathBuf>,
    /// File with a bearer token for Prometheus
    #[arg(long, value_name = "FILE")]
    pub(crate) bearer_token_file: Option<PathBuf>,
}

impl SimulateArgs {
    /// The one controller that is asked for; `None` for all.
    pub(crate) fn controller(&self) -> Option<&str> {
        Some(self.controller.as_str()).filter(|it| *it != "all")
    }

    /// How high the workload's peak is, as a multiple of the scenario's own.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// At least one.
    pub(crate) fn seeds(&self) -> Range<u64> {
        let one = Seeds { from: self.seed, to: self.seed.saturating_add(1) };
        let Seeds { from, to } = self.seeds.unwrap_or(one);
        from..to
    }
}

/// An instant, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This instant.
    At(Timestamp),
    /// This long before the agent's now.
    Ago(SignedDuration),
}

/// What `expire` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expirable {
    /// One override.
    One(OverrideId),
    /// All with exactly this scope.
    WithScope(Scope),
}

/// A duration that shows in help as it is typed.
#[derive(Clone, Copy, Debug)]
struct Length(SignedDuration);

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&show_duration(self.0))
    }
}

impl OverrideArgs {
    /// The request of `freeze`.
    pub(crate) fn asked_freeze(&self) -> OverrideRequest {
        self.why.request(OverrideWord::Freeze, &self.scope, None)
    }

    /// The request of `takeover`.
    pub(crate) fn asked_takeover(&self) -> OverrideRequest {
        self.why.request(OverrideWord::Takeover, &self.scope, None)
    }

    /// The request of `hold`.
    pub(crate) fn asked_hold(&self) -> OverrideRequest {
        self.why.request(OverrideWord::Hold, &self.scope, None)
    }

    /// The request of `no-scale-down`.
    pub(crate) fn asked_no_scale_down(&self) -> OverrideRequest {
        self.why.request(OverrideWord::NoScaleDown, &self.scope, None)
    }
}

impl PinArgs {
    /// The request of `pin`.
    pub(crate) fn asked(&self) -> OverrideRequest {
        let capacity = self.at.or(self.capacity).map(Capacity);
        self.why.request(OverrideWord::Pin, &self.scope, capacity)
    }
}

impl WhyArgs {
    fn request(
        &self,
        kind: OverrideWord,
        scope: &Scope,
        capacity: Option<Capacity>,
    ) -> OverrideRequest {
        OverrideRequest {
            kind,
            scope: scope.clone(),
            duration: Some(self.length.to_string()),
            reason: Some(self.reason.clone()),
            capacity,
        }
    }
}

fn duration(text: &str) -> Result<Length, String> {
    parse_duration(text).map(Length)
}

fn horizon(text: &str) -> Result<usize, String> {
    within(text, 1, HORIZON_MAX, "steps to look ahead")
}

fn season(text: &str) -> Result<usize, String> {
    within(text, 2, SEASON_MAX, "steps of a season")
}

fn within(text: &str, min: usize, max: usize, what: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|it| (min..=max).contains(it));
    number.ok_or_else(|| format!("{what} are a whole number from {min} to {max}"))
}

fn level(text: &str) -> Result<Level, String> {
    let percent = text.trim().parse::<f64>().ok().filter(|it| (1.0..=99.9).contains(it));
    let level = percent.map(|it| Level(it / 100.0));
    level.ok_or_else(|| "the level of an interval is a number of percent from 1 to 99.9".to_owned())
}

fn positive_duration(text: &str) -> Result<SignedDuration, String> {
    match parse_duration(text)? {
        SignedDuration::ZERO => Err("must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Ok(at) = text.parse() {
        return Ok(When::At(at));
    }
    parse_duration(text).map(When::Ago).map_err(|_| {
        "write a time such as `2026-11-20T03:10:00Z`, or `15m` for 15 minutes ago".to_owned()
    })
}

fn expirable(text: &str) -> Result<Expirable, String> {
    if let Ok(id) = text.parse() {
        return Ok(Expirable::One(id));
    }
    text.parse()
        .map(Expirable::WithScope)
        .map_err(|error: evenkeel_core::overrides::ScopeError| error.to_string())
}
