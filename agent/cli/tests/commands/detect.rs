//! `evenkeel detect`, from files to exit status.

use std::fmt::Write as _;

use expect_test::expect;

use crate::command::Scene;

/// A quiet wave with one spike, every five minutes.
fn wave(n: u32, spike: u32) -> String {
    (0..n).fold("timestamp,value\n".to_owned(), |mut text, nth| {
        let wobble = f64::from(nth * 7_919 % 13) / 13.0;
        let value = if nth == spike { 500.0 } else { 100.0 + wobble };
        let _ = writeln!(text, "{},{value:.3}", 1_600_000_000 + nth * 300);
        text
    })
}

fn rows(scene: &Scene, line: &str) -> Vec<(String, f64)> {
    let output = scene.output(line);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let split = |it: &str| {
        let (row, score) = it.rsplit_once(',').expect("three cells");
        (row.to_owned(), score.parse().expect("a score"))
    };
    text.lines().skip(1).map(split).collect()
}

#[test]
fn every_row_has_a_score_and_is_as_it_was_given() {
    let text = "timestamp,value\n2014-04-01 00:00:00,1.50\n2014-04-01 00:05:00,\n\
                2014-04-01T00:10:00Z,2\n\"1396311300\",NaN\n";
    Scene::new().file("load.csv", text).check(
        "detect load.csv",
        &expect![[r#"
        exit 0
        stdout:
        timestamp,value,score
        2014-04-01 00:00:00,1.50,0.000000
        2014-04-01 00:05:00,,0.000000
        2014-04-01T00:10:00Z,2,0.000000
        1396311300,NaN,0.000000
        stderr:
        4 rows, 0 with a score of 0.5 or more
    "#]],
    );
    Scene::new().file("load.csv", text).check("detect load.csv -o json", &expect![[r#"
        exit 0
        stdout:
        [
        {"timestamp":"2014-04-01 00:00:00","value":1.5,"score":0.0,"findings":[]},
        {"timestamp":"2014-04-01 00:05:00","value":null,"score":0.0,"findings":["not a finite number; ignored"]},
        {"timestamp":"2014-04-01T00:10:00Z","value":2.0,"score":0.0,"findings":[]},
        {"timestamp":"1396311300","value":null,"score":0.0,"findings":["not a finite number; ignored"]}
        ]
        stderr:
        4 rows, 0 with a score of 0.5 or more
    "#]]);
}

#[test]
fn a_spike_has_the_highest_score() {
    let scene = Scene::new().file("load.csv", wave(3_000, 2_500));
    let rows = rows(&scene, "detect load.csv");
    assert_eq!(rows.len(), 3_000);
    assert!(rows.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
    let highest = (0..rows.len()).max_by(|a, b| rows[*a].1.total_cmp(&rows[*b].1)).unwrap();
    assert!((2_500..2_510).contains(&highest), "row {highest}: {:?}", rows[highest]);
}

#[test]
fn a_score_uses_earlier_rows_only() {
    let all = wave(1_200, 700);
    let part: Vec<&str> = all.lines().take(901).collect();
    let scene = Scene::new().file("all.csv", &all).stdin(part.join("\n"));
    let (all, part) = (rows(&scene, "detect all.csv"), rows(&scene, "detect -"));
    assert_eq!(part.len(), 900);
    assert_eq!(all[..900], part[..]);
}

#[test]
fn what_is_no_such_file_is_refused_with_line_and_hint() {
    let table: String = [
        "",
        "timestamp,value\n",
        "id,v1,v2\na,1,2\n",
        "a,1,2,3\n",
        "60,1\n120,x\n180,3\n",
        "60,1\nlater,2\n",
        "60,1\n120,2,3\n",
        "time,cpu,memory\n60,1,2\n",
        "60;1\n120;2\n",
        "20140401,1\n20140402,1\n",
        "1628640000000,1\n",
    ]
    .iter()
    .map(|text| format!("{text:?}: {}\n", Scene::new().stdin(text).said("detect -")))
    .collect();
    expect![[r#"
        "": exit 1
        stderr:
        error: <stdin>: there are no rows

        hint: rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed

        "timestamp,value\n": exit 1
        stderr:
        error: <stdin>: there are no rows

        hint: rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed

        "id,v1,v2\na,1,2\n": exit 1
        stderr:
        error: <stdin>: line 2: these are wide rows `id,v1,v2,…`, anomaly scores need `timestamp,value`

        hint: write one file per series, with a time before each value

        "a,1,2,3\n": exit 1
        stderr:
        error: <stdin>: line 1: these are wide rows `id,v1,v2,…`, anomaly scores need `timestamp,value`

        hint: write one file per series, with a time before each value

        "60,1\n120,x\n180,3\n": exit 1
        stdout:
        timestamp,value,score
        60,1,0.000000
        stderr:
        error: <stdin>: line 2, column 2: `x` is not a number

        hint: write numbers as `12.5` or `1e3`; a missing one is empty, `NA` or `NaN`

        "60,1\nlater,2\n": exit 1
        stdout:
        timestamp,value,score
        60,1,0.000000
        stderr:
        error: <stdin>: line 2, column 1: `later` is not a time

        hint: write Unix seconds, or `2026-11-20T03:10:00Z`; without an offset a time is UTC

        "60,1\n120,2,3\n": exit 1
        stdout:
        timestamp,value,score
        60,1,0.000000
        stderr:
        error: <stdin>: line 2: `timestamp,value` has 2 cells, this row has 3

        hint: is it cut off, or is a decimal comma in it? decimals are separated by points

        "time,cpu,memory\n60,1,2\n": exit 1
        stderr:
        error: <stdin>: line 1: 2 columns after a time, `timestamp,value` has one value

        hint: keep one of them, for example with `cut -d, -f1,2`

        "60;1\n120;2\n": exit 1
        stderr:
        error: <stdin>: line 1: there is one column, `timestamp,value` has two: `60;1`

        hint: columns are separated by commas, and decimals by points

        "20140401,1\n20140402,1\n": exit 1
        stderr:
        error: <stdin>: line 1, column 1: `20140401` is a day written as a number, not Unix seconds

        hint: write days as `2026-11-20`

        "1628640000000,1\n": exit 1
        stderr:
        error: <stdin>: line 1, column 1: `1628640000000` seconds are beyond the year 9999

        hint: are these milliseconds? divide them by 1000

    "#]].assert_eq(&table);
}

#[test]
fn odd_rows_are_scored_too() {
    let text = "60,1\n120,inf\n180,-5\n180,7\n60,7\n240,1e308\n9999999999,3\n-5,3\n300,\n";
    Scene::new().file("load.csv", text).check(
        "detect load.csv",
        &expect![[r#"
        exit 0
        stdout:
        timestamp,value,score
        60,1,0.000000
        120,inf,0.000000
        180,-5,0.000000
        180,7,0.000000
        60,7,0.000000
        240,1e308,0.000000
        9999999999,3,0.000000
        -5,3,0.000000
        300,,0.000000
        stderr:
        9 rows, 0 with a score of 0.5 or more
    "#]],
    );
    // One row is enough.
    Scene::new().file("load.csv", "60,1\n").check(
        "detect load.csv",
        &expect![[r#"
        exit 0
        stdout:
        timestamp,value,score
        60,1,0.000000
        stderr:
        1 row, 0 with a score of 0.5 or more
    "#]],
    );
}
