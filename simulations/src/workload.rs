//! A load over time, as recorded somewhere.
//!
//! **In:** the text of a CSV file `timestamp,value`.
//! **Out:** [`Workload`], whose samples ascend in time and are finite and `>= 0`, or a
//! [`WorkloadError`] with file, line, column and hint.
//! **Not here:** opening files (the caller's), loads that are made up ([`crate::load`]).

use jiff::Timestamp;

/// Largest file. Why 64 MiB: a year of minutes is 10 MB.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Most samples. Why: 400 days of one every 15 s, and some.
pub const SAMPLES_MAX: usize = 2_400_000;

/// Longest horizon in days. Why 400: more than a year, as everywhere in the agent.
pub const DAYS_MAX: i64 = 400;

const DAY_SECONDS: i64 = 86_400;

/// One value, valid from its instant on until the next sample's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Unix seconds.
    pub at: i64,
    /// Load in any unit of work; finite and `>= 0`.
    pub value: f64,
}

/// A load that passed every check: at least two samples, strictly ascending in time, over at
/// most [`DAYS_MAX`] days, and with at least one value above 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    name: String,
    samples: Vec<Sample>,
    period: i64,
}

/// Why a text is not a workload, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {fault}")]
pub struct WorkloadError {
    /// As the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub fault: WorkloadFault,
}

impl WorkloadError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.fault.hint()
    }
}

/// What is wrong with a workload.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkloadFault {
    /// Not a byte in it.
    #[error("the file is empty")]
    Empty,
    /// More than [`FILE_BYTES_MAX`].
    #[error("the file has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge { bytes: usize },
    /// The header lacks a column.
    #[error("the header `{header}` has no column `{column}`")]
    NoColumn { header: String, column: &'static str },
    /// Fewer fields than the header.
    #[error("this line has {found} of {expected} columns")]
    FewColumns { found: usize, expected: usize },
    /// More fields than the header.
    #[error("this line has {found} columns, the first line has {expected}")]
    ManyColumns { found: usize, expected: usize },
    /// Neither Unix seconds nor RFC 3339.
    #[error("`{text}` is not a time")]
    Time { text: String },
    /// A time with a fraction of a second.
    #[error("`{text}` is not a whole second")]
    Fraction { text: String },
    /// Not after the line before.
    #[error("the time {at} is not after the one before, {before}")]
    Unsorted { at: i64, before: i64 },
    /// Not a number at all.
    #[error("`{text}` is not a number")]
    Number { text: String },
    /// NaN or an infinity.
    #[error("`{text}` is not a finite number")]
    NotFinite { text: String },
    /// Below 0.
    #[error("the load `{text}` is negative")]
    Negative { text: String },
    /// Fewer than two samples.
    #[error("at least 2 samples are needed, found {found}")]
    TooFew { found: usize },
    /// More than [`SAMPLES_MAX`].
    #[error("there are more than {SAMPLES_MAX} samples")]
    TooMany,
    /// Longer than [`DAYS_MAX`].
    #[error("the samples span {days} days, at most {DAYS_MAX} are simulated")]
    TooLong { days: i64 },
    /// Nothing but zeros.
    #[error("every value is 0")]
    NoLoad,
}

impl WorkloadFault {
    fn hint(&self) -> &'static str {
        match self {
            WorkloadFault::Empty | WorkloadFault::TooFew { .. } => {
                "write a header `timestamp,value` and one line per sample"
            }
            WorkloadFault::TooLarge { .. } | WorkloadFault::TooMany => {
                "thin it out (one sample per minute is enough) or cut it into parts"
            }
            WorkloadFault::NoColumn { .. } => {
                "the first line must name the columns `timestamp` and `value`"
            }
            WorkloadFault::FewColumns { .. } | WorkloadFault::ManyColumns { .. } => {
                "write `timestamp,value`, with a point as the decimal mark; leave the line out where there is no value"
            }
            WorkloadFault::Time { .. } => {
                "write Unix seconds such as `893971800`, or `2026-11-20T03:10:00Z`"
            }
            WorkloadFault::Fraction { .. } => "round the times to seconds",
            WorkloadFault::Unsorted { .. } => "sort the lines by time and remove repeated ones",
            WorkloadFault::Number { .. } | WorkloadFault::NotFinite { .. } => {
                "leave the line out where there is no value: that is a gap"
            }
            WorkloadFault::Negative { .. } => "a load is 0 or more; check what was exported",
            WorkloadFault::TooLong { .. } => "cut the file into parts",
            WorkloadFault::NoLoad => {
                "without load there is nothing to scale; check what was exported"
            }
        }
    }
}

impl Workload {
    /// A workload from samples in code; `name` stands for the file in errors, and line
    /// numbers are those that a CSV file of them with a header would have.
    ///
    /// # Errors
    ///
    /// As [`Workload::parse`], for what can be wrong with numbers.
    pub fn new(name: &str, samples: Vec<Sample>) -> Result<Workload, WorkloadError> {
        let lined = samples.into_iter().zip(2..).map(|(it, line)| {
            let place = Place { file: name, line, column: 1 };
            let checked = checked_value(it.value, &place, || it.value.to_string());
            checked.map(|value| (Sample { at: it.at, value }, line))
        });
        collected(name, lined)
    }

    /// Reads a CSV file: a header with the columns `timestamp` and `value` (others are
    /// ignored), or no header and exactly these two. Times are Unix seconds or RFC 3339.
    ///
    /// # Errors
    ///
    /// The first fault, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Workload, WorkloadError> {
        let start = Place { file, line: 1, column: 1 };
        if FILE_BYTES_MAX < text.len() {
            return Err(start.error(WorkloadFault::TooLarge { bytes: text.len() }));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(start.error(WorkloadFault::Empty));
        }
        let mut lines = text.lines().zip(1..).peekable();
        let first = lines.peek().map_or("", |(line, _)| *line);
        let columns = Columns::of(first, &start)?;
        if columns.is_header {
            lines.next();
        }
        let read = lines.filter(|(line, _)| !line.trim().is_empty()).map(|(text, line)| {
            let sample = columns.sample(text, &Place { file, line, column: 1 })?;
            Ok((sample, line))
        });
        collected(file, read)
    }

    /// The part with sample times in `from .. to` (Unix seconds, half-open); `None` when that
    /// is fewer than two samples or nothing but zeros.
    pub fn between(&self, from: i64, to: i64) -> Option<Workload> {
        let part = self.samples.iter().filter(|it| from <= it.at && it.at < to).copied();
        Workload::new(&self.name, part.collect()).ok()
    }

    /// As it is called in messages and scorecards.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Strictly ascending in time, at least two.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Seconds between two samples, most of the time (the lower median); `>= 1`.
    pub fn period(&self) -> i64 {
        self.period
    }

    /// When the first sample begins, in Unix seconds.
    pub fn starts_at(&self) -> i64 {
        self.samples.first().map_or(0, |it| it.at)
    }

    /// When the last sample ends: one period after it began.
    pub fn ends_at(&self) -> i64 {
        self.samples.last().map_or(0, |it| it.at).saturating_add(self.period)
    }

    /// The `percent`-th percentile of the values, each counting once however long it lasts.
    /// Linear between the two nearest ranks (`(n - 1) * percent / 100`): definition 7 of
    /// Hyndman and Fan (1996), which is also numpy's. `percent` is clamped to `0 ..= 100`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are below SAMPLES_MAX and not negative"
    )]
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(|it| it.value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let rank = (values.len().saturating_sub(1)) as f64 * percent.clamp(0.0, 100.0) / 100.0;
        let below = rank.floor() as usize;
        let low = values.get(below).copied().unwrap_or(0.0);
        let high = values.get(below + 1).copied().unwrap_or(low);
        low + (high - low) * (rank - rank.floor())
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

impl Place<'_> {
    fn error(&self, fault: WorkloadFault) -> WorkloadError {
        let Place { file, line, column } = *self;
        WorkloadError { file: file.to_owned(), line, column, fault }
    }
}

/// Where in a line the two columns are.
struct Columns {
    timestamp: usize,
    value: usize,
    n_columns: usize,
    is_header: bool,
}

impl Columns {
    fn of(first: &str, place: &Place<'_>) -> Result<Columns, WorkloadError> {
        let names: Vec<&str> = first.split(',').map(unquoted).collect();
        let find = |name| names.iter().position(|it| it.eq_ignore_ascii_case(name));
        let n_columns = names.len();
        match (find("timestamp"), find("value")) {
            (Some(timestamp), Some(value)) => {
                Ok(Columns { timestamp, value, n_columns, is_header: true })
            }
            // Numbers at once: the two columns in their usual order.
            (None, None) if n_columns == 2 && time_of(names.first().unwrap_or(&"")).is_ok() => {
                Ok(Columns { timestamp: 0, value: 1, n_columns, is_header: false })
            }
            (None, _) => Err(place.error(no_column(first, "timestamp"))),
            (Some(_), None) => Err(place.error(no_column(first, "value"))),
        }
    }

    fn sample(&self, text: &str, line: &Place<'_>) -> Result<Sample, WorkloadError> {
        let mut fields = [None; 2];
        let mut column = 1;
        let mut found = 0;
        for (index, field) in text.split(',').enumerate() {
            let place = Place { column, ..*line };
            if index == self.timestamp {
                fields[0] = Some((unquoted(field), place));
            }
            if index == self.value {
                fields[1] = Some((unquoted(field), place));
            }
            column += field.len() + 1;
            found += 1;
        }
        let expected = self.n_columns;
        if expected < found {
            return Err(line.error(WorkloadFault::ManyColumns { found, expected }));
        }
        let [Some((time, time_place)), Some((value, value_place))] = fields else {
            let place = Place { column: text.len() + 1, ..*line };
            return Err(place.error(WorkloadFault::FewColumns { found, expected }));
        };
        let at = time_of(time).map_err(|fault| time_place.error(fault))?;
        let parsed = value
            .parse()
            .map_err(|_| value_place.error(WorkloadFault::Number { text: shortened(value) }))?;
        let value = checked_value(parsed, &value_place, || shortened(value))?;
        Ok(Sample { at, value })
    }
}

fn no_column(header: &str, column: &'static str) -> WorkloadFault {
    WorkloadFault::NoColumn { header: shortened(header), column }
}

/// What a person typed, short enough for a message.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut shown: String = text.chars().take(CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(field)
}

fn time_of(text: &str) -> Result<i64, WorkloadFault> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|it| it == b'0') => whole,
        Some((whole, fraction))
            if whole.parse::<i64>().is_ok() && fraction.bytes().all(|it| it.is_ascii_digit()) =>
        {
            return Err(WorkloadFault::Fraction { text: shortened(text) });
        }
        Some(_) | None => text,
    };
    let seconds = match whole.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    seconds.map(Timestamp::as_second).ok_or_else(|| WorkloadFault::Time { text: shortened(text) })
}

fn checked_value(
    value: f64,
    place: &Place<'_>,
    text: impl Fn() -> String,
) -> Result<f64, WorkloadError> {
    if !value.is_finite() {
        return Err(place.error(WorkloadFault::NotFinite { text: text() }));
    }
    if value < 0.0 {
        return Err(place.error(WorkloadFault::Negative { text: text() }));
    }
    // Not -0.0, so that equal loads are equal bits.
    Ok(value.abs())
}

fn collected(
    file: &str,
    read: impl Iterator<Item = Result<(Sample, usize), WorkloadError>>,
) -> Result<Workload, WorkloadError> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut last_line = 1;
    for it in read {
        let (sample, line) = it?;
        let place = Place { file, line, column: 1 };
        if let Some(before) = samples.last()
            && sample.at <= before.at
        {
            let fault = WorkloadFault::Unsorted { at: sample.at, before: before.at };
            return Err(place.error(fault));
        }
        if let Some(first) = samples.first()
            && DAYS_MAX * DAY_SECONDS < sample.at.saturating_sub(first.at)
        {
            let days = sample.at.saturating_sub(first.at) / DAY_SECONDS;
            return Err(place.error(WorkloadFault::TooLong { days }));
        }
        if SAMPLES_MAX <= samples.len() {
            return Err(place.error(WorkloadFault::TooMany));
        }
        samples.push(sample);
        last_line = line;
    }
    let end = Place { file, line: last_line, column: 1 };
    if samples.len() < 2 {
        return Err(end.error(WorkloadFault::TooFew { found: samples.len() }));
    }
    if samples.iter().all(|it| it.value <= 0.0) {
        return Err(end.error(WorkloadFault::NoLoad));
    }
    let mut gaps: Vec<i64> =
        samples.iter().zip(samples.iter().skip(1)).map(|(a, b)| b.at - a.at).collect();
    let middle = (gaps.len() - 1) / 2;
    let (_, median, _) = gaps.select_nth_unstable(middle);
    let period = (*median).max(1);
    Ok(Workload { name: file.to_owned(), samples, period })
}
