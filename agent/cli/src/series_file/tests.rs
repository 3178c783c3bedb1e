//! What becomes of files of all kinds.
//!
//! **In:** texts and bytes.
//! **Out:** their series, or the fault with its hint.
//! **Not here:** the binary (see `tests/commands`).

use std::io::Cursor;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::failure::Failure;

fn rows(text: &[u8]) -> Rows {
    let from = Box::new(Cursor::new(text.to_owned()));
    Rows::new(from, "file.csv".to_owned(), "file".to_owned(), None)
}

/// Every series of a file, or its fault.
fn shown(text: &[u8]) -> String {
    match read_rows(&mut rows(text)) {
        Err(fault) => {
            let failure = Failure::from(fault);
            format!("{failure}; {}", failure.hint().unwrap_or_default())
        }
        Ok(read) => read
            .iter()
            .map(|it| match &it.series {
                Ok((series, _)) => format!("{}: {:?}\n", it.id, series.values),
                Err(error) => format!("{}: {error}\n", it.id),
            })
            .collect(),
    }
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&shown(text.as_bytes()));
}

#[test]
fn both_layouts_with_a_header_and_without() {
    check(
        "60,1\n120,2\n",
        &expect![[r#"
        file: [1.0, 2.0]
    "#]],
    );
    check(
        "timestamp,value\n60,1\n120,2\n",
        &expect![[r#"
        file: [1.0, 2.0]
    "#]],
    );
    check(
        "when,how much\n60,1\n120,2\n",
        &expect![[r#"
        file: [1.0, 2.0]
    "#]],
    );
    check(
        "id,v1,v2,v3\na,1,2,3\nb,4,5\n",
        &expect![[r#"
        a: [1.0, 2.0, 3.0]
        b: [4.0, 5.0]
    "#]],
    );
    check(
        "\"V1\",\"V2\",\"V3\"\n\"H1\",605,586\n\"H, 2\",1,2\n",
        &expect![[r#"
        H1: [605.0, 586.0]
        H, 2: [1.0, 2.0]
    "#]],
    );
    check(
        "a,1,2,3\nb,4,5\n",
        &expect![[r#"
        a: [1.0, 2.0, 3.0]
        b: [4.0, 5.0]
    "#]],
    );
    check(
        "1,4,5,6\n2,7,8,9\n",
        &expect![[r#"
        1: [4.0, 5.0, 6.0]
        2: [7.0, 8.0, 9.0]
    "#]],
    );
    check(
        "id,1,2\na,3,4\n",
        &expect![[r#"
        a: [3.0, 4.0]
    "#]],
    );
}

#[test]
fn odd_but_clear() {
    // A byte order mark, spaces, other line ends, empty lines, no line end.
    check(
        "\u{feff}timestamp,value\r\n60 , 1\r\n\r\n120, 2",
        &expect![[r#"
        file: [1.0, 2.0]
    "#]],
    );
    // Empty cells at the end are a shorter row, other ones are gaps.
    check(
        "id,v1,v2,v3,v4\na,1,,3,\nb,NA,2,nan,\n",
        &expect![[r#"
        a: [1.0, NaN, 3.0]
        b: [NaN, 2.0, NaN]
    "#]],
    );
    check(
        "60,\n120,2\n180,null\n240,1e999\n",
        &expect![[r#"
        file: [NaN, 2.0, NaN, NaN]
    "#]],
    );
}

#[test]
fn files_that_are_none() {
    check(
        "",
        &expect![
            "file.csv: there are no rows; rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed"
        ],
    );
    check(
        "\n\n",
        &expect![
            "file.csv: there are no rows; rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed"
        ],
    );
    check(
        "timestamp,value\n",
        &expect![
            "file.csv: there are no rows; rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed"
        ],
    );
    check(
        "12\n13\n",
        &expect![
            "file.csv: line 1: there is one column, `timestamp,value` has two: `12`; write a time before each value, or all values of a series in one row: `id,v1,v2,…`"
        ],
    );
    check(
        "time;value\n1;2\n",
        &expect![
            "file.csv: line 1: there is one column, `timestamp,value` has two: `time;value`; columns are separated by commas, and decimals by points"
        ],
    );
    check(
        "time,a,b\n1,2,3\n",
        &expect![
            "file.csv: line 1: 2 columns after a time, `timestamp,value` has one value; keep one of them, for example with `cut -d, -f1,2`"
        ],
    );
    check(
        "2014-04-01,2,3\n",
        &expect![
            "file.csv: line 1: 2 columns after a time, `timestamp,value` has one value; keep one of them, for example with `cut -d, -f1,2`"
        ],
    );
    check(
        "20140401,2\n20140402,3\n",
        &expect![
            "file.csv: line 1, column 1: `20140401` is a day written as a number, not Unix seconds; write days as `2026-11-20`"
        ],
    );
    check(
        "1628640000000,2\n",
        &expect![
            "file.csv: line 1, column 1: `1628640000000` seconds are beyond the year 9999; are these milliseconds? divide them by 1000"
        ],
    );
    check(
        "60,1\n120\n",
        &expect![
            "file.csv: line 2: `timestamp,value` has 2 cells, this row has 1; is it cut off, or is a decimal comma in it? decimals are separated by points"
        ],
    );
    check(
        "60,1\n120,1,5\n",
        &expect![
            "file.csv: line 2: `timestamp,value` has 2 cells, this row has 3; is it cut off, or is a decimal comma in it? decimals are separated by points"
        ],
    );
    check(
        "60,1\nyesterday,2\n",
        &expect![
            "file.csv: line 2, column 1: `yesterday` is not a time; write Unix seconds, or `2026-11-20T03:10:00Z`; without an offset a time is UTC"
        ],
    );
    check(
        "60,1\n120,twelve monkeys and a very long tail behind them\n",
        &expect![
            "file.csv: line 2, column 2: `twelve monkeys and a very long tail behi…` is not a number; write numbers as `12.5` or `1e3`; a missing one is empty, `NA` or `NaN`"
        ],
    );
    check(
        "a,1,2\nb,3,x\n",
        &expect![
            "file.csv: line 2, column 3: `x` is not a number; write numbers as `12.5` or `1e3`; a missing one is empty, `NA` or `NaN`"
        ],
    );
    check(
        "a,1,2\nb,3,4\na,5,6\n",
        &expect![
            "file.csv: line 3, column 1: series `a` is already in line 1; give each series its own id, and all of its values in one row"
        ],
    );
    check(
        &format!("60,1\n120,{}\n", "9".repeat(300)),
        &expect![
            "file.csv: line 2, column 2: the cell has 300 bytes, at most 256 are read: `9999999999999999999999999999999999999999…`; is a quote open before it, or is this no CSV?"
        ],
    );
    expect!["file.csv: line 2, column 2: the cell is not UTF-8: `caf�`; save the file as UTF-8 text; unpack it if it is compressed"].assert_eq(&shown(b"60,1\n120,caf\xe9\n"));
    expect!["file.csv: line 1: the row is longer than 16777216 bytes; is a quote open in this row, or is this no CSV?"].assert_eq(&shown(&vec![b'"'; 17 << 20]));
}

proptest! {
    #[test]
    fn any_bytes_are_series_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = shown(&bytes);
    }

    /// Nearer to CSV than any bytes are.
    #[test]
    fn any_cells_are_series_or_a_fault(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
    ) {
        let _ = shown(pieces.concat().as_bytes());
    }
}

/// What files of series are made of, and what is found in them by mistake.
const PIECES: &[&str] = &[
    ",",
    ",",
    ",",
    "\n",
    "\n",
    "\r\n",
    "id",
    "time",
    "a",
    "b",
    "60",
    "120",
    "180",
    "-1",
    "1e3",
    "1e999",
    "2014-04-01",
    "9999999999999",
    "NaN",
    "\"",
    "\"x\"",
    ";",
    " ",
    "\u{feff}",
    "",
];
