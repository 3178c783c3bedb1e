//! Columns for people.
//!
//! **In:** headings and rows of text.
//! **Out:** lines whose columns start at the same place; the last is not padded.
//! **Not here:** what the cells say, colours.

use crate::terminal::visible;

/// A table that is shown as it grows wide; nothing is cut off.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Only headings yet.
    pub(crate) fn new(headings: [&str; N]) -> Table<N> {
        Table { rows: vec![headings.map(str::to_uppercase)] }
    }

    /// Adds a row. An empty cell is shown as `-`.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|it| if it.is_empty() { "-".to_owned() } else { visible(&it) }));
    }

    /// All lines, without a line break at the end.
    pub(crate) fn text(&self) -> String {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max()
        };
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
        let line = |row: &[String; N]| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// `1 target`, `2 targets`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `value` as text, or nothing, which a table shows as `-`.
pub(crate) fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |it| it.to_string())
}

/// A measured number with few digits and no exponent.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 0.0005 {
        "0".to_owned()
    } else if magnitude < 1.0 {
        format!("{value:.3}")
    } else if magnitude < 1_000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn columns_start_at_the_same_place() {
        let mut table = Table::new(["target", "note"]);
        table.row(["checkout-api".to_owned(), String::new()]);
        table.row(["é".to_owned(), "two words\x1b[31m".to_owned()]);
        expect![[r#"
            TARGET        NOTE
            checkout-api  -
            é             two words�[31m"#]]
        .assert_eq(&table.text());
    }

    #[test]
    fn numbers_are_short() {
        for (value, shown) in
            [(0.0, "0"), (0.25, "0.250"), (12.34, "12.3"), (81_234.5, "81234"), (-2.0, "-2.0")]
        {
            assert_eq!(number(value), shown);
        }
    }
}
