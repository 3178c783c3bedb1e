//! Bills in the FOCUS format, version 1.2 (FinOps Open Cost and Usage Specification).
//!
//! **In:** CSV as text.
//! **Out:** its rows, or the first fault with its line and column.
//! **Not here:** reading files and their size (64 MB at most is the caller's check),
//! comparison ([`super::reconcile`]).
//!
//! Columns are found by their name in the first line, in any order; others are skipped. By
//! hand, for the core names no crate for it: RFC 4180 is quotes, doubled quotes, commas and
//! line ends.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::money::Currency;

/// Most rows of a bill. Why 5 million: a large bill of a month by hour and resource.
pub const ROWS_MAX: usize = 5_000_000;

/// One row: what one charge costs. The columns of FOCUS with the same names.
#[derive(Clone, Debug, PartialEq)]
pub struct FocusRow {
    /// What it costs after all discounts, with its share of what was paid before. Negative
    /// for credits.
    pub effective_cost: f64,
    /// How much was used, in the provider's unit.
    pub consumed_quantity: Option<f64>,
    /// The first instant that is paid for.
    pub charge_period_start: Timestamp,
    /// The first that is not.
    pub charge_period_end: Timestamp,
    /// What kind of charge; usage when the bill does not say.
    pub charge_category: ChargeCategory,
    /// What the provider calls its service; not ours, which is a tag.
    pub service_name: String,
    /// Tags of the resource.
    pub tags: BTreeMap<String, String>,
    /// In which currency.
    pub billing_currency: Currency,
}

/// `ChargeCategory` of FOCUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeCategory {
    /// What is used.
    Usage,
    /// Commitments and the like. Their effective cost is with the usage that they cover.
    Purchase,
    /// Taxes.
    Tax,
    /// Credits and refunds.
    Credit,
    /// Corrections.
    Adjustment,
}

/// A bill could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct FocusError {
    /// From 1. A field between quotes may have several lines: where the field begins.
    pub line: usize,
    /// The field, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// Reads a bill. Empty lines are skipped; a mark of UTF-8 at the start too.
///
/// # Errors
///
/// [`FocusError`] at the first fault: a column that is missing or twice, a row with too few or
/// too many fields, what is no number, instant (RFC 3339), currency or object of tags, a
/// quote without its end, more than [`ROWS_MAX`] rows.
pub fn parse(text: &str) -> Result<Vec<FocusRow>, FocusError> {
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let Some(header) = records.next().transpose()? else {
        return Err(fault(1, 1, "the bill is empty: its first line names the columns of FOCUS"));
    };
    let columns = Columns::of(&header)?;
    let mut rows = Vec::new();
    for record in records {
        let record = record?;
        if ROWS_MAX <= rows.len() {
            let message = format!("the bill has more than {ROWS_MAX} rows: split it by day");
            return Err(fault(record.line, 1, &message));
        }
        if record.fields.len() != header.fields.len() {
            let (has, needs) = (record.fields.len(), header.fields.len());
            let message = format!("the row has {has} fields, the first line has {needs}");
            return Err(fault(record.line, has.min(needs) + 1, &message));
        }
        rows.push(columns.row(&record)?);
    }
    Ok(rows)
}

fn fault(line: usize, column: usize, message: &str) -> FocusError {
    FocusError { line, column, message: message.to_owned() }
}

struct Record {
    line: usize,
    fields: Vec<String>,
}

struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, FocusError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) =
            self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'))
        {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return None;
        }
        let mut record = Record { line: self.line, fields: Vec::new() };
        loop {
            match self.field(record.fields.len() + 1) {
                Err(fault) => {
                    self.rest = "";
                    return Some(Err(fault));
                }
                Ok((field, is_last)) => {
                    record.fields.push(field);
                    if is_last {
                        return Some(Ok(record));
                    }
                }
            }
        }
    }
}

impl Records<'_> {
    /// The next field, and whether its line ends with it.
    fn field(&mut self, column: usize) -> Result<(String, bool), FocusError> {
        let began = self.line;
        let mut field = String::new();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            self.rest = quoted;
            loop {
                let Some((part, rest)) = self.rest.split_once('"') else {
                    let message = "a quote is opened and never closed";
                    return Err(fault(began, column, message));
                };
                self.line += part.matches('\n').count();
                field.push_str(part);
                self.rest = rest;
                let Some(rest) = rest.strip_prefix('"') else { break };
                field.push('"');
                self.rest = rest;
            }
        } else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (part, rest) = self.rest.split_at(end);
            let is_line_end = !rest.starts_with(',');
            field.push_str(if is_line_end {
                part.strip_suffix('\r').unwrap_or(part)
            } else {
                part
            });
            self.rest = rest;
            if field.contains('"') {
                let message =
                    "a quote inside a field: write the field between quotes, and it twice";
                return Err(fault(began, column, message));
            }
        }
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return Ok((field, false));
        }
        let end = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
        match end {
            Some(rest) => (self.rest, self.line) = (rest, self.line + 1),
            None if self.rest.is_empty() || self.rest == "\r" => self.rest = "",
            None => {
                let message = "text after a closing quote: a comma or the end of the line is due";
                return Err(fault(self.line, column, message));
            }
        }
        Ok((field, true))
    }
}

/// Where the columns are, from 0.
struct Columns {
    effective_cost: usize,
    consumed_quantity: Option<usize>,
    charge_period_start: usize,
    charge_period_end: usize,
    charge_category: Option<usize>,
    service_name: usize,
    tags: Option<usize>,
    billing_currency: usize,
}

impl Columns {
    fn of(header: &Record) -> Result<Columns, FocusError> {
        let find = |name: &str| {
            let mut found = header.fields.iter().enumerate().filter(|(_, it)| it.trim() == name);
            match (found.next(), found.next()) {
                (first, None) => Ok(first.map(|it| it.0)),
                (_, Some((nth, _))) => {
                    Err(fault(header.line, nth + 1, &format!("the column `{name}` is there twice")))
                }
            }
        };
        let need = |name: &str| {
            find(name)?.ok_or_else(|| {
                let message =
                    format!("the column `{name}` is missing: export the bill as FOCUS 1.2");
                fault(header.line, header.fields.len(), &message)
            })
        };
        Ok(Columns {
            effective_cost: need("EffectiveCost")?,
            consumed_quantity: find("ConsumedQuantity")?,
            charge_period_start: need("ChargePeriodStart")?,
            charge_period_end: need("ChargePeriodEnd")?,
            charge_category: find("ChargeCategory")?,
            service_name: need("ServiceName")?,
            tags: find("Tags")?,
            billing_currency: need("BillingCurrency")?,
        })
    }

    fn row(&self, record: &Record) -> Result<FocusRow, FocusError> {
        let text = |nth: usize| record.fields.get(nth).map_or("", |it| it.trim());
        let wrong = |nth: usize, what: &str| {
            let start: String = text(nth).chars().take(24).collect();
            fault(record.line, nth + 1, &format!("`{}` is {what}", start.escape_debug()))
        };
        let number = |nth: usize| {
            let number = text(nth).parse::<f64>().ok().filter(|it| it.is_finite());
            number.ok_or_else(|| wrong(nth, "no number"))
        };
        let instant = |nth: usize| {
            let what = "no instant: write it like `2026-01-31T00:00:00Z`";
            text(nth).parse::<Timestamp>().map_err(|_| wrong(nth, what))
        };
        let is_there = |nth: &usize| !matches!(text(*nth), "" | "null" | "NULL");
        let start = instant(self.charge_period_start)?;
        let end = instant(self.charge_period_end)?;
        if end <= start {
            return Err(wrong(self.charge_period_end, "not after the start of its period"));
        }
        let currency = self.billing_currency;
        Ok(FocusRow {
            effective_cost: number(self.effective_cost)?,
            consumed_quantity: self.consumed_quantity.filter(is_there).map(number).transpose()?,
            charge_period_start: start,
            charge_period_end: end,
            charge_category: match self.charge_category.filter(is_there).map(|it| (it, text(it))) {
                None | Some((_, "Usage")) => ChargeCategory::Usage,
                Some((_, "Purchase")) => ChargeCategory::Purchase,
                Some((_, "Tax")) => ChargeCategory::Tax,
                Some((_, "Credit" | "Refund")) => ChargeCategory::Credit,
                Some((_, "Adjustment")) => ChargeCategory::Adjustment,
                Some((nth, _)) => return Err(wrong(nth, "no charge category of FOCUS 1.2")),
            },
            service_name: text(self.service_name).to_owned(),
            tags: match self.tags.filter(is_there) {
                None => BTreeMap::new(),
                Some(nth) => tags(text(nth)).ok_or_else(|| wrong(nth, "no JSON object of tags"))?,
            },
            billing_currency: Currency::new(text(currency)).map_err(|_| {
                wrong(currency, "no currency: three capital letters, such as `USD`")
            })?,
        })
    }
}

/// Tags as FOCUS has them: an object; what is not text (a tag without a value is `true` or
/// `null`) is written as JSON.
fn tags(text: &str) -> Option<BTreeMap<String, String>> {
    let tags: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let show = |it: serde_json::Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    Some(tags.into_iter().map(|(key, it)| (key, show(it))).collect())
}
