//! Which of the two formats a file has, and whether its first row is a header.
//!
//! **In:** the first one or two rows.
//! **Out:** [`Layout`]; the header, if there is one, is behind the reader.
//! **Not here:** the rows themselves (see [`super`]).

use super::cells::{NoTime, is_day_as_number, number, time};
use super::{FileFault, Rows};

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `timestamp,value`, one sample per row.
    Timestamped,
    /// `id,v1,v2,…`, one series per row.
    Wide,
}

/// First names of headers over times.
const TIMES: [&str; 9] =
    ["timestamp", "timestamps", "time", "date", "datetime", "ds", "at", "unix", "epoch"];

/// First names of headers over ids.
const IDS: [&str; 7] = ["id", "series", "series_id", "unique_id", "item_id", "name", "target"];

/// Looks at the first rows; the next [`Rows::advance`] gives the first row with values.
pub(crate) fn of(rows: &mut Rows) -> Result<Layout, FileFault> {
    let no_rows = |rows: &Rows| FileFault::NoRows { file: rows.file().to_owned() };
    if !rows.advance()? {
        return Err(no_rows(rows));
    }
    needs_two_columns(rows)?;
    let first = rows.cell(0)?.to_ascii_lowercase();
    if TIMES.contains(&first.as_str()) {
        return match rows.len() {
            2 => {
                if !rows.advance()? {
                    return Err(no_rows(rows));
                }
                looks_like_time(rows)?;
                rows.repeat();
                Ok(Layout::Timestamped)
            }
            found => Err(FileFault::ManyValues { at: rows.place(), found: found - 1 }),
        };
    }
    let mut is_header = IDS.contains(&first.as_str());
    let is_named_wide = is_header;
    if !is_header {
        is_header = true;
        for column in 1..rows.len() {
            if number(rows.cell(column)?).is_some() {
                is_header = false;
                break;
            }
        }
        // A time is no title: what stands beside it is a fault, not a header.
        is_header &= time(rows.cell(0)?).is_err();
    }
    if is_header {
        if !rows.advance()? {
            return Err(no_rows(rows));
        }
        needs_two_columns(rows)?;
    }
    rows.repeat();
    if is_named_wide {
        return Ok(Layout::Wide);
    }
    let text = rows.cell(0)?;
    let found = time(text);
    if found == Err(NoTime::OutOfRange) && rows.len() == 2 {
        return Err(FileFault::TimeOutOfRange { at: rows.place_of(0), text: text.to_owned() });
    }
    let is_time = found.is_ok();
    let is_plain_number = number(text).is_some();
    match rows.len() {
        2 if is_time => {
            looks_like_time(rows)?;
            Ok(Layout::Timestamped)
        }
        found if is_time && !is_plain_number => {
            Err(FileFault::ManyValues { at: rows.place(), found: found - 1 })
        }
        _ => Ok(Layout::Wide),
    }
}

fn needs_two_columns(rows: &Rows) -> Result<(), FileFault> {
    if rows.len() < 2 {
        let text = rows.cell(0)?;
        let other_separator = text.contains([';', '\t']);
        return Err(FileFault::OneColumn {
            at: rows.place(),
            text: text.to_owned(),
            other_separator,
        });
    }
    Ok(())
}

fn looks_like_time(rows: &Rows) -> Result<(), FileFault> {
    let text = rows.cell(0)?;
    if is_day_as_number(text) {
        return Err(FileFault::DayAsNumber { at: rows.place_of(0), text: text.to_owned() });
    }
    Ok(())
}
