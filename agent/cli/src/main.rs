//! `evenkeel`: what people type.
//!
//! **In:** a command line, the daemon's API, documents and journals on disk.
//! **Out:** data on stdout, talk on stderr, and an exit status that scripts can
//! trust: 0 done or enforced, 1 refused, not found or invalid, 2 wrong usage,
//! 3 agent not reachable.
//! **Not here:** any decision. Whatever changes something is decided, recorded
//! and answered by `evenkeeld`.

mod args;
mod audit;
mod audit_export;
mod audit_text;
mod autonomy;
mod backtest;
mod budget;
mod budget_text;
mod check;
mod client;
mod connection;
mod detect;
mod explain;
mod failure;
mod forecast;
mod forecast_talk;
mod history;
mod incident_text;
mod incidents;
mod interrupt;
mod journal_line;
mod overrides;
mod playbook;
mod plot;
mod plot_svg;
mod progress;
mod record_line;
mod replay;
mod run_text;
mod runs;
mod series_file;
mod simulate;
mod slo;
mod sources;
mod status;
mod table;
mod terminal;
mod times;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, AuditVerb, PlaybookVerb, Verb};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::of_process();
    let exit = run(&arguments, &terminal).unwrap_or_else(|failure| {
        terminal.failure(&failure);
        failure.exit()
    });
    ExitCode::from(exit.status())
}

fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    let Arguments { verb, common } = arguments;
    match verb {
        Verb::Check(it) => check::run(it, common, terminal),
        Verb::Status(it) => status::run(it, common, terminal),
        Verb::Explain(it) => explain::run(it, common, terminal),
        Verb::Freeze(it) => overrides::set(&it.asked_freeze(), common, terminal),
        Verb::Hold(it) => overrides::set(&it.asked_hold(), common, terminal),
        Verb::NoScaleDown(it) => overrides::set(&it.asked_no_scale_down(), common, terminal),
        Verb::Pin(it) => overrides::set(&it.asked(), common, terminal),
        Verb::Expire(it) => overrides::expire(it, common, terminal),
        Verb::Incidents(it) => incidents::run(it, common, terminal),
        Verb::Approve(it) => runs::approve(it, common, terminal),
        Verb::Deny(it) => runs::deny(it, common, terminal),
        Verb::Abort(it) => runs::abort(it, common, terminal),
        Verb::Takeover(it) => overrides::take_over(&it.asked_takeover(), common, terminal),
        Verb::Handback(it) => overrides::hand_back(it, common, terminal),
        Verb::Review(it) => runs::review(it, common, terminal),
        Verb::Promote(it) => autonomy::promote(it, common, terminal),
        Verb::Playbook { verb: PlaybookVerb::Test(it) } => playbook::test(it, common, terminal),
        Verb::Playbook { verb: PlaybookVerb::Run(it) } => runs::start(it, common, terminal),
        Verb::History(it) => history::run(it, common, terminal),
        Verb::Audit { verb: AuditVerb::Verify(it) } => audit::verify(it, common, terminal),
        Verb::Audit { verb: AuditVerb::Export(it) } => audit_export::run(it, common, terminal),
        Verb::Slo(it) => slo::run(it, common, terminal),
        Verb::Budget(it) => budget::run(it, common, terminal),
        Verb::Token(it) => token::run(it, common, terminal),
        Verb::Forecast(it) => forecast::run(it, common, terminal),
        Verb::Detect(it) => detect::run(it, common, terminal),
        Verb::Simulate(it) => simulate::run(it, common, terminal),
        Verb::Replay(it) => replay::run(it, common, terminal),
    }
}
