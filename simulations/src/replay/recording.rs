//! Recorded metrics on a grid of time.
//!
//! **In:** samples, by the query that gave them and the label value that names the target.
//! **Out:** per series a column with one cell per step; a gap is a gap, never 0.
//! **Not here:** asking a metrics backend (the command line's), what follows from a value
//! ([`super::replay`]).

use std::collections::BTreeMap;

/// Evenly spaced instants: `from`, `from + step`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first one, in Unix seconds.
    pub from: i64,
    /// Seconds between two of them, `1 <= step`.
    pub step: i64,
    /// How many there are.
    pub len: usize,
}

impl Grid {
    /// Whole steps within `[from, to)`; none where `step` is below 1.
    pub fn between(from: i64, to: i64, step: i64) -> Grid {
        let seconds = to.saturating_sub(from).max(0);
        let len = if 1 <= step { seconds / step } else { 0 };
        Grid { from, step, len: usize::try_from(len).unwrap_or(0) }
    }

    /// The instant at `place`.
    pub fn at(&self, place: usize) -> i64 {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        self.from.saturating_add(self.step.saturating_mul(place))
    }

    /// Where the last step ends: the first instant that is not part of the time.
    pub fn ends_at(&self) -> i64 {
        self.at(self.len)
    }

    fn place_of(&self, at: i64) -> Option<usize> {
        let since = at.checked_sub(self.from)?;
        if self.step < 1 || since % self.step != 0 {
            return None;
        }
        usize::try_from(since / self.step).ok().filter(|it| *it < self.len)
    }
}

/// What was recorded at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Nothing that means anything.
    Nothing,
    /// Several series had a value for the same target.
    Several,
    /// A finite value, `>= 0`.
    Value(f64),
}

/// One series. A cell takes 8 bytes: NaN is nothing, infinity is several.
#[derive(Clone, Debug, PartialEq)]
pub struct Column(Vec<f64>);

impl Column {
    /// The cell at `place`; nothing beyond the end.
    pub fn cell(&self, place: usize) -> Cell {
        match self.0.get(place) {
            Some(value) if value.is_finite() => Cell::Value(*value),
            Some(value) if value.is_infinite() => Cell::Several,
            Some(_) | None => Cell::Nothing,
        }
    }

    /// Whether any cell has a value.
    pub fn has_values(&self) -> bool {
        self.0.iter().any(|it| it.is_finite())
    }

    fn values(&self) -> impl Iterator<Item = (usize, f64)> {
        self.0.iter().copied().enumerate().filter(|(_, it)| it.is_finite())
    }
}

/// What was asked: equal queries with equal labels are one question, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// In the language of the backend.
    pub query: String,
    /// The label of the answer that names the target.
    pub label: String,
}

/// Which time a sample is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the replay: shown to the forecasts, not replayed.
    Past,
    /// The time that is replayed.
    Span,
}

type Columns = BTreeMap<Question, BTreeMap<String, Column>>;

/// Everything that was recorded.
#[derive(Clone, Debug)]
pub struct Recording {
    past: Grid,
    span: Grid,
    pasts: Columns,
    spans: Columns,
}

impl Recording {
    /// Nothing yet, on these grids.
    pub fn new(past: Grid, span: Grid) -> Recording {
        Recording { past, span, pasts: Columns::new(), spans: Columns::new() }
    }

    /// The instants of one part.
    pub fn grid(&self, part: Part) -> Grid {
        match part {
            Part::Past => self.past,
            Part::Span => self.span,
        }
    }

    /// Keeps one sample of the series whose label says `value`; false when it was not kept:
    /// not on the grid, negative, or not finite. A second one for the same instant makes the
    /// cell [`Cell::Several`].
    pub fn put(
        &mut self,
        part: Part,
        question: &Question,
        value: &str,
        at: i64,
        number: f64,
    ) -> bool {
        let grid = self.grid(part);
        let Some(place) = grid.place_of(at).filter(|_| number.is_finite() && 0.0 <= number) else {
            return false;
        };
        let columns = match part {
            Part::Past => &mut self.pasts,
            Part::Span => &mut self.spans,
        };
        // Looked up by reference first: this runs once per sample.
        if !columns.get(question).is_some_and(|it| it.contains_key(value)) {
            let empty = Column(vec![f64::NAN; grid.len]);
            columns.entry(question.clone()).or_default().insert(value.to_owned(), empty);
        }
        let column = columns.get_mut(question).and_then(|it| it.get_mut(value));
        let Some(cell) = column.and_then(|it| it.0.get_mut(place)) else { return false };
        *cell = if cell.is_nan() { number } else { f64::INFINITY };
        true
    }

    /// The series whose label says `value`.
    pub fn column(&self, part: Part, question: &Question, value: &str) -> Option<&Column> {
        match part {
            Part::Past => self.pasts.get(question)?.get(value),
            Part::Span => self.spans.get(question)?.get(value),
        }
    }

    /// The samples of the past of one series, oldest first.
    pub(super) fn past_of<'a>(
        &'a self,
        question: &Question,
        value: &str,
    ) -> impl Iterator<Item = (i64, f64)> + 'a {
        let grid = self.past;
        let column = self.column(Part::Past, question, value);
        column.into_iter().flat_map(Column::values).map(move |(place, it)| (grid.at(place), it))
    }
}
