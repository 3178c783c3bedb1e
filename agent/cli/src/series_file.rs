//! Reading series from CSV: `timestamp,value`, or wide rows `id,v1,v2,…`.
//!
//! **In:** a file or stdin, of any content; a header or none.
//! **Out:** rows one by one for `detect`, whole [`Series`] for `forecast`; or the first
//! [`FileFault`] with line and column. Bytes, rows, cells and series are bounded.
//! **Not here:** the grid and what is done about odd samples
//! ([`evenkeel_forecast::series`]).

mod cells;
mod fault;
mod layout;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_forecast::Series;
use evenkeel_forecast::series::{Samples, SeriesError, Treatment};

use crate::progress::Progress;

pub(crate) use fault::{FileFault, Place};
pub(crate) use layout::{Layout, of as layout_of};
pub(crate) use rows::Rows;

/// Most series of one file. Why 100,000: ten times the targets of a full daemon.
pub(crate) const SERIES_MAX: usize = 100_000;

/// Most values of one file. Why 20 million: as many as one series may have.
pub(crate) const VALUES_MAX: usize = evenkeel_forecast::series::SAMPLES_MAX;

/// One series of a file.
#[derive(Debug)]
pub(crate) struct Read {
    /// The first cell of a wide row; otherwise the file's name without its ending.
    pub(crate) id: String,
    /// Its values, or why there are none.
    pub(crate) series: Result<(Series, Treatment), SeriesError>,
    /// Where its samples stand.
    pub(crate) lines: Lines,
}

/// Where the samples of a series stand.
#[derive(Debug)]
pub(crate) enum Lines {
    /// One below the other from this line on, where no line is empty or in several pieces.
    Below(u64),
    /// One beside the other in this line.
    Beside(u64),
}

impl Lines {
    /// The place of the sample at this position, such as `line 7`.
    pub(crate) fn place(&self, index: usize) -> String {
        match self {
            Lines::Below(first) => {
                format!("line {}", first.saturating_add(u64::try_from(index).unwrap_or(u64::MAX)))
            }
            Lines::Beside(line) => format!("line {line}, column {}", index.saturating_add(2)),
        }
    }
}

/// All series of a file, in its order.
///
/// # Errors
///
/// [`FileFault`]; a series that is too short is not one, but says so in its place.
pub(crate) fn read(path: &Path) -> Result<Vec<Read>, FileFault> {
    read_rows(&mut Rows::open(path)?)
}

fn read_rows(rows: &mut Rows) -> Result<Vec<Read>, FileFault> {
    let mut progress = Progress::bytes("reading", rows.n_bytes());
    match layout::of(rows)? {
        Layout::Timestamped => timestamped(rows, &mut progress).map(|it| vec![it]),
        Layout::Wide => wide(rows, &mut progress),
    }
}

fn timestamped(rows: &mut Rows, progress: &mut Progress) -> Result<Read, FileFault> {
    let mut samples = Samples::new();
    let mut first_line = None;
    while rows.advance()? {
        let (at, value) = rows.sample()?;
        let line = rows.line();
        first_line.get_or_insert(line);
        samples.push(at, value).map_err(|source| FileFault::Series { at: rows.place(), source })?;
        progress.often(|| rows.n_bytes_read());
    }
    Ok(Read {
        id: rows.stem().to_owned(),
        series: samples.into_series(),
        lines: Lines::Below(first_line.unwrap_or(1)),
    })
}

fn wide(rows: &mut Rows, progress: &mut Progress) -> Result<Vec<Read>, FileFault> {
    let mut read: Vec<Read> = Vec::new();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut n_values = 0;
    while rows.advance()? {
        let line = rows.line();
        let id = rows.cell(0)?.to_owned();
        if let Some(first_line) = seen.insert(id.clone(), line) {
            return Err(FileFault::TwoIds { at: rows.place_of(0), id, first_line });
        }
        if read.len() == SERIES_MAX {
            return Err(FileFault::TooManySeries { at: rows.place(), max: SERIES_MAX });
        }
        // Shorter rows of a rectangular file end in empty cells; those are no gaps.
        let mut end = rows.len();
        while 1 < end && rows.cell(end - 1)?.is_empty() {
            end -= 1;
        }
        n_values += end - 1;
        if VALUES_MAX < n_values {
            return Err(FileFault::TooManyValues { at: rows.place(), max: VALUES_MAX });
        }
        let mut values = Vec::with_capacity(end - 1);
        for column in 1..end {
            values.push(rows.number(column)?);
        }
        read.push(Read { id, series: Series::from_values(values), lines: Lines::Beside(line) });
        progress.often(|| rows.n_bytes_read());
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
