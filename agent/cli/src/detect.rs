//! `evenkeel detect`: how odd is each row of a series?
//!
//! **In:** a CSV of `timestamp,value`, from a file or, as it comes, from stdin.
//! **Out:** `timestamp,value,score` per row, in the order of the rows, each from its row and
//! those before it; what was noticed as talk.
//! **Not here:** the score itself ([`evenkeel_forecast::detect`]), reading (see
//! [`crate::series_file`]).

use std::fmt::Write as _;
use std::ops::ControlFlow;

use evenkeel_forecast::detect::{Detector, Scored, Settings, THRESHOLD};
use serde::Serialize;

use crate::args::{Common, DetectArgs, Output};
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::series_file::{Layout, Rows};
use crate::table::count;
use crate::terminal::Terminal;

/// How much is written at once. Why 64 KiB: a pipe holds as much.
const CHUNK_BYTES: usize = 64 << 10;

/// Most alarms that are talked about one by one. Why 20: a screen; the scores have all of them.
const ALARMS_SHOWN_MAX: usize = 20;

/// One row with `--output json`. The fields are a contract.
#[derive(Debug, Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    /// `null` where there is no number.
    value: Option<f64>,
    score: f64,
    findings: Vec<String>,
}

/// What to say at the end.
#[derive(Debug, Default)]
struct Tally {
    rows: usize,
    alarms: usize,
}

/// Scores, row by row; what was scored before a fault is written.
///
/// # Errors
///
/// [`Failure::Series`] for a file that is no such CSV; [`Failure::Stdout`].
pub(crate) fn run(
    args: &DetectArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut rows = Rows::open(&args.file)?;
    let layout = crate::series_file::layout_of(&mut rows)?;
    if layout == Layout::Wide {
        return Err(crate::series_file::FileFault::Wide { at: rows.place() }.into());
    }
    let mut writer = Writer { terminal, output: common.output, text: String::new(), n_rows: 0 };
    let mut tally = Tally::default();
    let scored = score(&mut rows, &mut writer, &mut tally, terminal);
    if let Err(failure) = scored {
        let _ = writer.flush()?;
        return Err(failure);
    }
    writer.end()?;
    tally.tell(terminal);
    Ok(Exit::Done)
}

fn score(
    rows: &mut Rows,
    writer: &mut Writer<'_>,
    tally: &mut Tally,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut progress = Progress::bytes("scoring", rows.n_bytes());
    let mut detector = Detector::new(Settings::default());
    while rows.advance()? {
        let (at, value) = rows.sample()?;
        let scored = detector.score(at, value);
        tally.rows += 1;
        if THRESHOLD <= scored.score {
            progress.aside(|| tally.alarm(rows, &scored, terminal))?;
        }
        writer.row(rows, value, &scored)?;
        let is_full = CHUNK_BYTES <= writer.text.len();
        // Whoever pipes in live measurements wants to see each score at once.
        if (is_full || rows.is_drained()) && writer.flush()?.is_break() {
            break;
        }
        progress.often(|| rows.n_bytes_read());
    }
    Ok(())
}

impl Tally {
    fn alarm(&mut self, rows: &Rows, scored: &Scored, terminal: &Terminal) -> Result<(), Failure> {
        self.alarms += 1;
        if self.alarms <= ALARMS_SHOWN_MAX {
            let at = rows.cell(0)?;
            let why: Vec<String> = scored.findings.iter().map(ToString::to_string).collect();
            let why = why.join("; ");
            terminal.note(&format!("line {}: {at}: {:.3}: {why}", rows.line(), scored.score));
        }
        Ok(())
    }

    fn tell(&self, terminal: &Terminal) {
        let Tally { rows, alarms } = self;
        if ALARMS_SHOWN_MAX < *alarms {
            terminal.note(&format!("… and {} more", alarms - ALARMS_SHOWN_MAX));
        }
        terminal.note(&format!(
            "{}, {alarms} with a score of {THRESHOLD} or more",
            count(*rows, "row")
        ));
    }
}

/// Scored rows on their way to stdout.
struct Writer<'a> {
    terminal: &'a Terminal,
    output: Output,
    text: String,
    n_rows: usize,
}

impl Writer<'_> {
    fn row(&mut self, rows: &Rows, value: f64, scored: &Scored) -> Result<(), Failure> {
        // The contract promises [0, 1] whatever the library does.
        let score = if scored.score.is_nan() { 0.0 } else { scored.score.clamp(0.0, 1.0) };
        match self.output {
            Output::Text => {
                if self.n_rows == 0 {
                    self.text.push_str("timestamp,value,score\n");
                }
                // As given, so that rows can be joined with their file. Neither cell can have a
                // comma or a quote: it would be neither a time nor a number.
                let (at, value) = (rows.cell(0)?, rows.cell(1)?);
                let _ = writeln!(self.text, "{at},{value},{score:.6}");
            }
            Output::Json => {
                self.text.push_str(if self.n_rows == 0 { "[\n" } else { ",\n" });
                let line = Line {
                    timestamp: rows.cell(0)?,
                    value: Some(value).filter(|it| it.is_finite()),
                    score: (score * 1e6).round() / 1e6,
                    findings: scored.findings.iter().map(ToString::to_string).collect(),
                };
                self.text.push_str(&serde_json::to_string(&line).map_err(Failure::Json)?);
            }
        }
        self.n_rows += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<ControlFlow<()>, Failure> {
        let flow = self.terminal.bytes(&[self.text.as_bytes()])?;
        self.text.clear();
        Ok(flow)
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.output == Output::Json {
            self.text.push_str(if self.n_rows == 0 { "[]\n" } else { "\n]\n" });
        }
        self.flush().map(|_| ())
    }
}
