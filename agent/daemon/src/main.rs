//! `evenkeeld`: arguments, log, signals; then the daemon.
//!
//! **In:** `--config FILE` or `--demo`.
//! **Out:** exit status 0 after an orderly stop, 1 on a failure, 2 on wrong usage.
//! **Not here:** everything else.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use evenkeel_daemon::config::{Config, LogFormat};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// The Evenkeel agent: one daemon per region.
#[derive(Debug, Parser)]
#[command(name = "evenkeeld", version, about)]
#[command(group = clap::ArgGroup::new("mode").required(true))]
struct Args {
    /// Runs with this configuration.
    #[arg(long, group = "mode", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Runs against a made-up region on a clock 60 times as fast.
    #[cfg(feature = "demo")]
    #[arg(long, group = "mode")]
    demo: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let Some(file) = args.config else { return demo(&runtime) };
    let config = Config::read(&file)?;
    start_log(config.log.format, "info");
    runtime.block_on(async {
        let stop = stop_on_signal()?;
        Ok(evenkeel_daemon::run(config, stop).await?)
    })
}

#[cfg(feature = "demo")]
fn demo(runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    // The narration is on standard output; the log tells of trouble only.
    start_log(LogFormat::Text, "off");
    runtime.block_on(async {
        let stop = stop_on_signal()?;
        Ok(evenkeel_daemon::demo::run(stop).await?)
    })
}

#[cfg(not(feature = "demo"))]
fn demo(_runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    anyhow::bail!("this build has no demo; give --config FILE")
}

/// SIGTERM and Ctrl-C ask for an orderly stop; a second one ends at once.
fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            if asked {
                // What is in flight is read back at the next start.
                std::process::exit(1);
            }
            asked = true;
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}

fn start_log(format: LogFormat, default_level: &str) {
    let filter =
        EnvFilter::try_from_env("EVENKEEL_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

#[expect(clippy::print_stderr, reason = "the log may not have started; this is for a person")]
fn tell(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  cause: {cause}");
    }
    if let Some(hint) = evenkeel_daemon::hint(error) {
        eprintln!("\nhint: {hint}");
    }
}
