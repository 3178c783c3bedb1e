//! Rows of cells, one at a time, bounded in every direction.
//!
//! **In:** a path, or `-` for stdin.
//! **Out:** [`Rows`], which knows where it is.
//! **Not here:** what the rows mean (see [`super`] and [`super::layout`]).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::ByteRecord;
use jiff::Timestamp;

use super::cells::{self, NoTime};
use super::{FileFault, Place};

/// How stdin is named.
pub(crate) const STDIN: &str = "<stdin>";

/// Most bytes of a file. Why 1 GiB: as many rows as are read, at 50 bytes each.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Longest row. Why 16 MiB: a wide row of a million values.
const ROW_BYTES_MAX: u64 = 16 << 20;

/// Longest cell. Why 256: numbers and times are below 40, names below 254.
const CELL_BYTES_MAX: usize = 256;

/// How much is read at once. Why 64 KiB: a pipe holds as much.
const CHUNK_BYTES: usize = 64 << 10;

/// Rows of a file. After [`Rows::advance`] one of them is the current one.
pub(crate) struct Rows {
    csv: csv::Reader<Bounded>,
    row: ByteRecord,
    file: String,
    stem: String,
    n_bytes: Option<u64>,
    is_repeated: bool,
}

impl Rows {
    /// Opens a file, or stdin.
    ///
    /// # Errors
    ///
    /// [`FileFault::Unreadable`].
    pub(crate) fn open(path: &Path) -> Result<Rows, FileFault> {
        if path.as_os_str() == "-" {
            return Ok(Rows::new(
                Box::new(io::stdin()),
                STDIN.to_owned(),
                "stdin".to_owned(),
                None,
            ));
        }
        let file = path.display().to_string();
        let unreadable = |source| FileFault::Unreadable { file: file.clone(), source };
        let opened = File::open(path).map_err(unreadable)?;
        let found = opened.metadata().map_err(unreadable)?;
        if FILE_BYTES_MAX < found.len() {
            return Err(FileFault::TooLarge { file, max: FILE_BYTES_MAX });
        }
        let stem = path.file_stem().map(|it| it.to_string_lossy().into_owned());
        let n_bytes = found.is_file().then_some(found.len());
        Ok(Rows::new(Box::new(opened), file.clone(), stem.unwrap_or(file), n_bytes))
    }

    /// Rows of anything.
    pub(crate) fn new(
        from: Box<dyn Read>,
        file: String,
        stem: String,
        n_bytes: Option<u64>,
    ) -> Rows {
        let bounded = Bounded { from, n_read: 0, row_starts: 0 };
        let csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(CHUNK_BYTES)
            .from_reader(bounded);
        Rows { csv, row: ByteRecord::new(), file, stem, n_bytes, is_repeated: false }
    }

    /// Goes to the next row that is not empty; `false` after the last.
    ///
    /// # Errors
    ///
    /// [`FileFault`] of bytes or bounds.
    pub(crate) fn advance(&mut self) -> Result<bool, FileFault> {
        if std::mem::take(&mut self.is_repeated) {
            return Ok(true);
        }
        let starts = self.csv.position().clone();
        self.csv.get_mut().row_starts = starts.byte();
        let found = self.csv.read_byte_record(&mut self.row);
        found.map_err(|error| self.fault(error, starts.line()))
    }

    /// Makes the next [`Rows::advance`] stay at the current row.
    pub(crate) fn repeat(&mut self) {
        self.is_repeated = true;
    }

    fn fault(&self, error: csv::Error, line: u64) -> FileFault {
        let at = Place { file: self.file.clone(), line, column: None };
        // The other kinds are of records that are read into types, which these are not.
        let source = if let csv::ErrorKind::Io(source) = error.into_kind() {
            source
        } else {
            io::Error::other("these bytes are no rows")
        };
        match source.get_ref().and_then(|it| it.downcast_ref::<Exceeded>()) {
            Some(Exceeded::File) => {
                FileFault::TooLarge { file: self.file.clone(), max: FILE_BYTES_MAX }
            }
            Some(Exceeded::Row) => FileFault::RowTooLong { at, max: ROW_BYTES_MAX },
            None => FileFault::Unreadable { file: self.file.clone(), source },
        }
    }

    /// As it was named.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Its name without folder and ending; `stdin` of that.
    pub(crate) fn stem(&self) -> &str {
        &self.stem
    }

    /// How many bytes it has, where that is known.
    pub(crate) fn n_bytes(&self) -> Option<u64> {
        self.n_bytes
    }

    /// How many bytes of it are behind.
    pub(crate) fn n_bytes_read(&self) -> u64 {
        self.csv.position().byte()
    }

    /// Whether the next row has to be waited for, as far as one can know.
    pub(crate) fn is_drained(&self) -> bool {
        self.csv.get_ref().n_read <= self.csv.position().byte()
    }

    /// The line at which the current row begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.row.position().map_or(1, csv::Position::line)
    }

    /// Where the current row is.
    pub(crate) fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line(), column: None }
    }

    /// Where a cell of the current row is.
    pub(crate) fn place_of(&self, column: usize) -> Place {
        Place { column: Some(column.saturating_add(1)), ..self.place() }
    }

    /// How many cells the current row has.
    pub(crate) fn len(&self) -> usize {
        self.row.len()
    }

    /// The text of a cell without the space around it; empty beyond the last.
    ///
    /// # Errors
    ///
    /// [`FileFault::CellTooLong`], [`FileFault::NotUtf8`].
    pub(crate) fn cell(&self, column: usize) -> Result<&str, FileFault> {
        let bytes = self.row.get(column).unwrap_or_default();
        let text = || String::from_utf8_lossy(bytes.get(..CELL_BYTES_MAX).unwrap_or(bytes));
        if CELL_BYTES_MAX < bytes.len() {
            return Err(FileFault::CellTooLong {
                at: self.place_of(column),
                found: bytes.len(),
                max: CELL_BYTES_MAX,
                text: text().into_owned(),
            });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.trim()),
            Err(_) => {
                Err(FileFault::NotUtf8 { at: self.place_of(column), text: text().into_owned() })
            }
        }
    }

    /// The number in a cell; NaN for a missing one.
    ///
    /// # Errors
    ///
    /// As [`Rows::cell`]; [`FileFault::NotANumber`].
    pub(crate) fn number(&self, column: usize) -> Result<f64, FileFault> {
        let text = self.cell(column)?;
        cells::number(text).ok_or_else(|| FileFault::NotANumber {
            at: self.place_of(column),
            text: text.to_owned(),
        })
    }

    /// The current row as `timestamp,value`.
    ///
    /// # Errors
    ///
    /// As [`Rows::number`]; [`FileFault::CellCount`], [`FileFault::NotATime`],
    /// [`FileFault::TimeOutOfRange`].
    pub(crate) fn sample(&self) -> Result<(Timestamp, f64), FileFault> {
        if self.len() != 2 {
            return Err(FileFault::CellCount { at: self.place(), found: self.len() });
        }
        let text = self.cell(0)?;
        let at = cells::time(text).map_err(|why| {
            let (at, text) = (self.place_of(0), text.to_owned());
            match why {
                NoTime::Foreign => FileFault::NotATime { at, text },
                NoTime::OutOfRange => FileFault::TimeOutOfRange { at, text },
            }
        })?;
        Ok((at, self.number(1)?))
    }
}

/// Bytes up to the bounds of a file and of a row.
struct Bounded {
    from: Box<dyn Read>,
    n_read: u64,
    row_starts: u64,
}

/// Which bound was reached.
#[derive(Debug, thiserror::Error)]
enum Exceeded {
    #[error("the file is too large")]
    File,
    #[error("the row is too long")]
    Row,
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if FILE_BYTES_MAX < self.n_read {
            return Err(io::Error::other(Exceeded::File));
        }
        if ROW_BYTES_MAX < self.n_read.saturating_sub(self.row_starts) {
            return Err(io::Error::other(Exceeded::Row));
        }
        let n = self.from.read(into)?;
        self.n_read = self.n_read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        Ok(n)
    }
}
