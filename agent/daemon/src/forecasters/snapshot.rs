//! Forecasts that survive a restart: one file beside the journal.
//!
//! **In:** all series, one after the other, and the shortfalls that the core
//! remembers.
//! **Out:** the same at the next start, or why the file cannot be used.
//! **Not here:** when to write and to read it ([`super::keeper`]).
//!
//! ```text
//!  magic, version │ frames: u32 length (little endian), MessagePack │ u32 0 │ SHA-256
//!  the first frame is a Heading, the others are KeptSeries
//! ```
//!
//! Losing it costs calibration, not safety: everything is learned again from the
//! metrics backend. So it is not journaled, and damage is no reason to stop.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use evenkeel_core::ids::{Region, SignalName, TargetId};
use evenkeel_core::plan_ahead::Ledger;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Forecasters;
use super::book::{KeptBook, RecalledBook};

/// Begins every such file.
const MAGIC: &[u8; 16] = b"evenkeel outlook";

/// The layout and the meaning of what is kept. Raise it when a forecaster kept by
/// an older version would be read wrongly rather than refused.
const VERSION: u32 = 1;

/// Largest file that is read.
///
/// Why 2 GiB: 10,000 series of two weeks take 0.3 GiB.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Largest frame.
///
/// Why 64 MiB: the shortfalls of 10,000 targets are in one, some 200 B each; a
/// series has 30 KiB.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Series that are written without letting go of the lock.
///
/// Why 16: about a millisecond, less than a pass takes over one batch.
const SERIES_PER_LOCK: usize = 16;

/// What the core remembers of shortfalls.
pub(super) type Shortfalls = Vec<(TargetId, SignalName, Ledger)>;

/// The first frame.
#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    region: Region,
    written_at: Timestamp,
    shortfalls: Shortfalls,
}

/// One series as written.
#[derive(Debug, Serialize)]
struct KeptSeries<'a> {
    target: &'a TargetId,
    signal: &'a SignalName,
    book: KeptBook<'a>,
}

/// One series as read.
#[derive(Debug, Deserialize)]
struct RecalledSeries {
    target: TargetId,
    signal: SignalName,
    book: RecalledBook,
}

/// What a file had.
#[derive(Debug)]
pub(super) struct Recalled {
    pub(super) written_at: Timestamp,
    pub(super) shortfalls: Shortfalls,
    pub(super) series: Vec<(TargetId, SignalName, RecalledBook)>,
}

/// The file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk, or its permissions.
    #[error("cannot access the kept forecasts")]
    Io(#[from] io::Error),
    /// A bug in what is kept.
    #[error("cannot put a forecaster into MessagePack")]
    Encode(#[source] rmp_serde::encode::Error),
    /// Larger than a frame may be. A bug, or far too many series.
    #[error("a part of the kept forecasts has {bytes} bytes, at most {FRAME_BYTES_MAX} are read")]
    Oversized { bytes: usize },
    /// What the file has is not to be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why a file that could be read is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not one of ours.
    #[error("it does not begin as kept forecasts do")]
    Magic,
    /// Of another version of evenkeeld.
    #[error("it has version {found}, this is evenkeeld for version {VERSION}")]
    Version { found: u32 },
    /// Of another region.
    #[error("it is of region `{found}`, this is `{expected}`")]
    Region { found: Region, expected: Region },
    /// Larger than anything that was written.
    #[error("it has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge { bytes: u64 },
    /// It ends early, or has a length that nothing has.
    #[error("it is cut off or damaged")]
    Damaged,
    /// The checksum does not fit.
    #[error("its checksum does not fit what it has")]
    Checksum,
    /// A part is not what was kept.
    #[error("a part of it cannot be understood")]
    Decode(#[source] rmp_serde::decode::Error),
}

/// Writes all series and `shortfalls` to `place`: all or nothing, readable by the
/// daemon's account only. Returns the number of series.
///
/// # Errors
///
/// [`SnapshotError`]; an earlier file is then still there.
pub(super) fn write(
    place: &Path,
    region: &Region,
    now: Timestamp,
    shortfalls: Shortfalls,
    forecasters: &Forecasters,
) -> Result<usize, SnapshotError> {
    let next = place.with_extension("forecasts.next");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    let mut to = Hashed { inner: BufWriter::new(file), hash: Sha256::new() };
    to.write_all(MAGIC)?;
    to.write_all(&VERSION.to_le_bytes())?;
    let heading = Heading { region: region.clone(), written_at: now, shortfalls };
    write_frame(&mut to, &encoded(&heading)?)?;
    let n_series = write_series(&mut to, forecasters)?;
    to.write_all(&0u32.to_le_bytes())?;
    let Hashed { mut inner, hash } = to;
    inner.write_all(&hash.finalize())?;
    let file = inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&next, place)?;
    if let Some(folder) = place.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(n_series)
}

fn write_series(to: &mut impl Write, forecasters: &Forecasters) -> Result<usize, SnapshotError> {
    let names: Vec<(TargetId, SignalName)> = {
        let books = forecasters.lock();
        books.iter().map(|(target, book)| (target.clone(), book.signal.clone())).collect()
    };
    let mut n_series = 0;
    for names in names.chunks(SERIES_PER_LOCK) {
        let mut frames = Vec::with_capacity(SERIES_PER_LOCK);
        {
            let books = forecasters.lock();
            for (target, signal) in names {
                // It may have gone meanwhile.
                if let Some(book) = books.book(target, signal) {
                    frames.push(encoded(&KeptSeries { target, signal, book: book.kept() })?);
                }
            }
        }
        for frame in &frames {
            write_frame(to, frame)?;
        }
        n_series += frames.len();
    }
    Ok(n_series)
}

/// With names of fields: one that was added or removed is noticed.
fn encoded(value: &impl Serialize) -> Result<Vec<u8>, SnapshotError> {
    rmp_serde::to_vec_named(value).map_err(SnapshotError::Encode)
}

fn write_frame(to: &mut impl Write, frame: &[u8]) -> Result<(), SnapshotError> {
    let bytes = frame.len();
    match u32::try_from(bytes) {
        Ok(length) if bytes <= FRAME_BYTES_MAX => {
            to.write_all(&length.to_le_bytes())?;
            to.write_all(frame)?;
            Ok(())
        }
        Ok(_) | Err(_) => Err(SnapshotError::Oversized { bytes }),
    }
}

/// Reads what `place` has; `None` when there is no such file.
///
/// # Errors
///
/// [`SnapshotError`]; nothing of the file may then be used.
pub(super) fn read(place: &Path, region: &Region) -> Result<Option<Recalled>, SnapshotError> {
    let file = match std::fs::File::open(place) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = file.metadata()?.len();
    if FILE_BYTES_MAX < bytes {
        return Err(Unusable::TooLarge { bytes }.into());
    }
    let mut from = Hashed { inner: BufReader::new(file), hash: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    from.read_all(&mut magic)?;
    if magic != *MAGIC {
        return Err(Unusable::Magic.into());
    }
    let found = from.read_u32()?;
    if found != VERSION {
        return Err(Unusable::Version { found }.into());
    }
    let mut frame = Vec::new();
    let heading: Heading = match from.read_frame(&mut frame)? {
        true => decoded(&frame)?,
        false => return Err(Unusable::Damaged.into()),
    };
    if heading.region != *region {
        let expected = region.clone();
        return Err(Unusable::Region { found: heading.region, expected }.into());
    }
    let mut series = Vec::new();
    while from.read_frame(&mut frame)? {
        let RecalledSeries { target, signal, book } = decoded(&frame)?;
        series.push((target, signal, book));
    }
    let Hashed { mut inner, hash } = from;
    let mut expected = [0; 32];
    inner.read_exact(&mut expected).map_err(|_| Unusable::Damaged)?;
    if hash.finalize().as_slice() != expected {
        return Err(Unusable::Checksum.into());
    }
    let Heading { region: _, written_at, shortfalls } = heading;
    Ok(Some(Recalled { written_at, shortfalls, series }))
}

fn decoded<T: for<'a> Deserialize<'a>>(frame: &[u8]) -> Result<T, Unusable> {
    rmp_serde::from_slice(frame).map_err(Unusable::Decode)
}

/// Hashes what passes through.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..n_written).unwrap_or(bytes));
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Hashed<T> {
    fn read_all(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        match self.inner.read_exact(bytes) {
            Ok(()) => (),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Unusable::Damaged.into());
            }
            Err(error) => return Err(error.into()),
        }
        self.hash.update(bytes);
        Ok(())
    }

    fn read_u32(&mut self) -> Result<u32, SnapshotError> {
        let mut bytes = [0; 4];
        self.read_all(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads one frame; false at the end.
    fn read_frame(&mut self, frame: &mut Vec<u8>) -> Result<bool, SnapshotError> {
        let length = usize::try_from(self.read_u32()?).map_err(|_| Unusable::Damaged)?;
        if length == 0 {
            return Ok(false);
        }
        if FRAME_BYTES_MAX < length {
            return Err(Unusable::Damaged.into());
        }
        frame.resize(length, 0);
        self.read_all(frame)?;
        Ok(true)
    }
}
