//! Accuracy of the ensemble, as Markdown tables on stdout.
//!
//! **In:** the M4 Hourly series and the traces of `EVENKEEL_DATA`.
//! **Out:** tables of accuracy, members, intervals, traces and refit times.
//! **Not here:** detection and capacity.
//!
//! `--back N` forecasts from N horizons before the end of the training part and scores against
//! that part: what development looked at, so that the test part stayed unseen.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its tables; counts are small"
)]

#[path = "m4/hourly.rs"]
mod hourly;
#[path = "m4/traces.rs"]
mod traces;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| -> Option<usize> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let folder = std::env::var("EVENKEEL_DATA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned()
    });
    let only = |name: &str| arguments.iter().any(|argument| argument == name);
    if !only("--traces") {
        hourly::run(&folder, value("--back").unwrap_or(0), value("--take"));
    }
    if !only("--hourly") {
        traces::run(&folder);
    }
}
