//! What is wrong with a file of series, where, and what to do about it.
//!
//! **In:** what the readers of this folder found.
//! **Out:** [`FileFault`] with its message and hint.
//! **Not here:** printing (see [`crate::terminal`]).

use std::fmt;
use std::io;

use evenkeel_forecast::series::SeriesError;

/// Most characters shown of an offending text. Why 40: enough to find it, and it fits a line.
const SHOWN_CHARS_MAX: usize = 40;

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As it was named.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u64,
    /// Which cell, from 1, if it is about one.
    pub(crate) column: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = self;
        write!(f, "{file}: line {line}")?;
        column.map_or(Ok(()), |column| write!(f, ", column {column}"))
    }
}

/// What is wrong with a file of series.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    /// The operating system does not give it.
    #[error("cannot read series from `{file}`")]
    Unreadable {
        file: String,
        #[source]
        source: io::Error,
    },
    /// More bytes than are read.
    #[error("{file}: more than {max} bytes")]
    TooLarge { file: String, max: u64 },
    /// No row with values.
    #[error("{file}: there are no rows")]
    NoRows { file: String },
    /// A line without end, or an open quote.
    #[error("{at}: the row is longer than {max} bytes")]
    RowTooLong { at: Place, max: u64 },
    /// A cell that nobody meant.
    #[error("{at}: the cell has {found} bytes, at most {max} are read: `{}`", short(text))]
    CellTooLong { at: Place, found: usize, max: usize, text: String },
    /// Bytes that are no text.
    #[error("{at}: the cell is not UTF-8: `{}`", short(text))]
    NotUtf8 { at: Place, text: String },
    /// One column only.
    #[error("{at}: there is one column, `timestamp,value` has two: `{}`", short(text))]
    OneColumn { at: Place, text: String, other_separator: bool },
    /// A row of another length, among timestamped ones.
    #[error("{at}: `timestamp,value` has 2 cells, this row has {found}")]
    CellCount { at: Place, found: usize },
    /// Several values per time.
    #[error("{at}: {found} columns after a time, `timestamp,value` has one value")]
    ManyValues { at: Place, found: usize },
    /// Not a time.
    #[error("{at}: `{}` is not a time", short(text))]
    NotATime { at: Place, text: String },
    /// Digits that say a day, not seconds.
    #[error("{at}: `{text}` is a day written as a number, not Unix seconds")]
    DayAsNumber { at: Place, text: String },
    /// A number that is no time in seconds.
    #[error("{at}: `{}` seconds are beyond the year 9999", short(text))]
    TimeOutOfRange { at: Place, text: String },
    /// Not a number.
    #[error("{at}: `{}` is not a number", short(text))]
    NotANumber { at: Place, text: String },
    /// Two rows for one series.
    #[error("{at}: series `{}` is already in line {first_line}", short(id))]
    TwoIds { at: Place, id: String, first_line: u64 },
    /// More series than are read.
    #[error("{at}: more than {max} series")]
    TooManySeries { at: Place, max: usize },
    /// More values than are read.
    #[error("{at}: more than {max} values")]
    TooManyValues { at: Place, max: usize },
    /// Rows of series where one timestamped series is needed.
    #[error("{at}: these are wide rows `id,v1,v2,…`, anomaly scores need `timestamp,value`")]
    Wide { at: Place },
    /// No series can be made of the samples.
    #[error("{at}: no series")]
    Series {
        at: Place,
        #[source]
        source: SeriesError,
    },
}

impl FileFault {
    /// What to do next.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            FileFault::Unreadable { .. } => {
                "check the path, and that you may read the file; `-` is stdin"
            }
            FileFault::TooLarge { .. } => {
                "give only the newest rows, for example with `tail -n 1000000`"
            }
            FileFault::NoRows { .. } => {
                "rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed"
            }
            FileFault::RowTooLong { .. } => "is a quote open in this row, or is this no CSV?",
            FileFault::CellTooLong { .. } => "is a quote open before it, or is this no CSV?",
            FileFault::NotUtf8 { .. } => {
                "save the file as UTF-8 text; unpack it if it is compressed"
            }
            FileFault::OneColumn { other_separator: true, .. } => {
                "columns are separated by commas, and decimals by points"
            }
            FileFault::OneColumn { other_separator: false, .. } => {
                "write a time before each value, or all values of a series in one row: `id,v1,v2,…`"
            }
            FileFault::CellCount { .. } => {
                "is it cut off, or is a decimal comma in it? decimals are separated by points"
            }
            FileFault::ManyValues { .. } => "keep one of them, for example with `cut -d, -f1,2`",
            FileFault::NotATime { .. } => {
                "write Unix seconds, or `2026-11-20T03:10:00Z`; without an offset a time is UTC"
            }
            FileFault::DayAsNumber { .. } => "write days as `2026-11-20`",
            FileFault::TimeOutOfRange { .. } => "are these milliseconds? divide them by 1000",
            FileFault::NotANumber { .. } => {
                "write numbers as `12.5` or `1e3`; a missing one is empty, `NA` or `NaN`"
            }
            FileFault::TwoIds { .. } => {
                "give each series its own id, and all of its values in one row"
            }
            FileFault::TooManySeries { .. } | FileFault::TooManyValues { .. } => "split the file",
            FileFault::Wide { .. } => "write one file per series, with a time before each value",
            FileFault::Series { .. } => "see `runbooks/verbs/forecast.md` for what is read",
        }
    }
}

/// The beginning of a text.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
