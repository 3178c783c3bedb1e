//! `evenkeel forecast`, from files to exit status.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::command::Scene;

/// A value that repeats every `season` steps, exactly.
fn saw(step: usize, season: usize) -> usize {
    100 + 10 * (step % season)
}

/// `timestamp,value` at these seconds.
fn timestamped(seconds: impl Iterator<Item = usize>) -> String {
    seconds.fold("timestamp,value\n".to_owned(), |mut text, at| {
        let _ = writeln!(text, "{at},{}", saw(at / 3_600, 24));
        text
    })
}

fn regular(n: usize) -> String {
    timestamped((0..n).map(|it| it * 3_600))
}

fn wide(n_series: usize, n: usize) -> String {
    (0..n_series).fold(String::new(), |mut text, series| {
        let _ = write!(text, "s{series}");
        for step in 0..n {
            let _ = write!(text, ",{}", saw(step + series, 24));
        }
        text + "\n"
    })
}

/// Everything that was said of a file, without the numbers of the forecast, which are the
/// library's, and without what it says of its members.
#[track_caller]
fn check(file: &str, line: &str, expected: &Expect) {
    let said = Scene::new().file("load.csv", file).said(line);
    let is_told = |it: &&str| {
        !it.starts_with("load,")
            && !it.starts_with("a,")
            && !it.contains("members: ")
            && !it.contains("dropped ")
            && !it.contains("rolling origins")
            && !it.contains("abstain")
            && !it.contains(" used, ")
    };
    let told: Vec<&str> = said.lines().filter(is_told).collect();
    expected.assert_eq(&told.join("\n"));
}

/// Cells of the CSV that a command printed.
fn cells(scene: &Scene, line: &str) -> Vec<Vec<String>> {
    let output = scene.output(line);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|it| it.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_season_goes_on_with_an_interval_around_it() {
    let scene = Scene::new().file("load.csv", regular(24 * 20));
    let cells = cells(&scene, "forecast load.csv --horizon 30 --season 24");
    assert_eq!(cells[0].join(","), "id,step,mean,lo80,hi80,lo95,hi95");
    assert_eq!(cells.len(), 31);
    for (step, row) in cells[1..].iter().enumerate() {
        assert_eq!(row[0], "load");
        assert_eq!(row[1], (step + 1).to_string());
        let numbers: Vec<f64> = row[2..].iter().map(|it| it.parse().unwrap()).collect();
        let [mean, lo80, hi80, lo95, hi95] = numbers[..] else { panic!("{row:?}") };
        let truth = f64::from(u32::try_from(saw(step, 24)).unwrap());
        assert!((mean - truth).abs() < truth * 0.05, "{row:?}, {truth} came");
        assert!(lo95 <= lo80 && lo80 <= mean && mean <= hi80 && hi80 <= hi95, "{row:?}");
    }
}

#[test]
fn columns_follow_the_levels_and_rows_the_series() {
    let scene = Scene::new().file("many.csv", wide(3, 24 * 10));
    let cells = cells(&scene, "forecast many.csv --horizon 2 --season 24 --levels 99.5,50");
    assert_eq!(cells[0].join(","), "id,step,mean,lo99.5,hi99.5,lo50,hi50");
    let rows: Vec<String> = cells[1..].iter().map(|it| format!("{}/{}", it[0], it[1])).collect();
    assert_eq!(rows, ["s0/1", "s0/2", "s1/1", "s1/2", "s2/1", "s2/2"]);
}

#[test]
fn json_says_how_it_came_about() {
    let scene = Scene::new().file("load.csv", regular(24 * 20));
    let output = scene.output("forecast load.csv --horizon 2 --season 24 -o json");
    assert_eq!(output.status.code(), Some(0));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &said[0];
    assert_eq!(one["id"], "load");
    assert_eq!(one["step_seconds"], 3600.0);
    assert_eq!(one["forecast"][1]["step"], 2);
    assert_eq!(one["forecast"][1]["timestamp"], "1970-01-21T01:00:00Z");
    assert_eq!(one["forecast"][1]["intervals"][1]["level"], 0.95);
    for field in ["seasons", "used", "error", "members", "abstains", "treatment"] {
        assert!(one.get(field).is_some(), "no {field}");
    }
}

#[test]
fn equal_files_get_equal_answers() {
    let scene = Scene::new().file("many.csv", wide(4, 24 * 12)).file("load.csv", regular(500));
    for line in ["forecast many.csv --horizon 24", "forecast load.csv --horizon 24 -o json"] {
        assert_eq!(scene.said(line), scene.said(line));
    }
}

#[test]
fn stdin_is_a_file_too() {
    let scene = Scene::new().stdin(regular(100));
    let cells = cells(&scene, "forecast - --horizon 1");
    assert_eq!(cells[1][0], "stdin");
}

#[test]
fn odd_samples_are_treated_and_told() {
    let hours = |hours: &[usize]| timestamped(hours.iter().map(|it| it * 3_600));
    let run = "forecast load.csv --horizon 1";
    check(
        &hours(&[0, 1, 2, 3, 3, 3, 4, 5]),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 2 duplicate timestamps, the first at line 6: averaged"#]],
    );
    check(
        &hours(&[5, 4, 3, 2, 1, 0]),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 5 timestamps out of order, the first at line 3: sorted"#]],
    );
    check(
        &hours(&[0, 1, 2, 6, 7, 8, 12]),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 2 gaps, 6 steps in all, the longest 3 steps from 1970-01-01T03:00:00Z"#]],
    );
    check(
        "0,1\n60,\n120,inf\n180,-4\n240,5\n300,NaN\n",
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 2 values are missing or NaN, the first at line 2: taken as gaps
        warning: load: 1 value is infinite or beyond 1e38 at line 3: taken as gaps
        warning: load: 1 value is negative at line 4: kept
        warning: load: 2 gaps, 3 steps in all, the longest 2 steps from 1970-01-01T00:01:00Z; one is at the end"#]],
    );
    let mixed = (0..60).map(|it| it * 60).chain((12..40).map(|it| it * 300));
    check(
        &timestamped(mixed),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: the step changes from 1m to 5m at line 63: used 5m"#]],
    );
    let autumn = (0..9).chain(6..12).map(|it| it * 1_200);
    check(
        &timestamped(autumn),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 1 jump back by an hour, as of clocks in autumn, at line 11: the hour that is there twice was averaged
        warning: load: 3 duplicate timestamps, the first at line 11: averaged"#]],
    );
    let jitter = (0..40).map(|it| it * 60 + it * 7 % 5);
    check(
        &timestamped(jitter),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 32 irregular timestamps, the first at line 3: moved to the nearest step of 1m, by at most 4s"#]],
    );
    let stray = [0].into_iter().chain((0..40).map(|it| 1_790_000_000 + it * 60));
    check(
        &timestamped(stray),
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        warning: load: 1 older and 0 newer samples, the first at line 2, are up to 20717 days away from the rest: left out"#]],
    );
    check(
        "-7200,1\n-3600,2\n0,3\n",
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:"#]],
    );
    check(
        "2014-03-30 00:00,7\n2014-03-30 01:00,7\n2014-03-30 02:00,7\n",
        run,
        &expect![[r#"
        exit 0
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:"#]],
    );
}

#[test]
fn what_is_no_series_is_refused_with_line_and_hint() {
    let run = "forecast load.csv --horizon 1";
    check(
        "",
        run,
        &expect![[r#"
        exit 1
        stderr:
        error: load.csv: there are no rows

        hint: rows are `timestamp,value`, or `id,v1,v2,…`; a header is not needed"#]],
    );
    check(
        "timestamp,value\n60,1\n",
        run,
        &expect![[r#"
        exit 1
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        error: series `load`: a series needs at least 2 samples, found 1; wait for more of it"#]],
    );
    check(
        "60,1\n60,2\n",
        run,
        &expect![[r#"
        exit 1
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        error: series `load`: a series needs at least 2 different times, all 2 samples are at 1970-01-01T00:01:00Z; are times cut off, for example to a day?"#]],
    );
    check(
        "60,nan\n120,nan\n",
        run,
        &expect![[r#"
        exit 1
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        error: series `load`: none of 2 values is a finite number; is this the right column?"#]],
    );
    check(
        "60,1\n120,x\n",
        run,
        &expect![[r#"
        exit 1
        stderr:
        error: load.csv: line 2, column 2: `x` is not a number

        hint: write numbers as `12.5` or `1e3`; a missing one is empty, `NA` or `NaN`"#]],
    );
    check(
        "60,1\n99999999999999,2\n",
        run,
        &expect![[r#"
        exit 1
        stderr:
        error: load.csv: line 2, column 1: `99999999999999` seconds are beyond the year 9999

        hint: are these milliseconds? divide them by 1000"#]],
    );
    check(
        "a,1,2\nb,3\n",
        run,
        &expect![[r#"
        exit 1
        stdout:
        id,step,mean,lo80,hi80,lo95,hi95
        stderr:
        error: series `b` (line 2): a series needs at least 2 samples, found 1; wait for more of it"#]],
    );
    check(
        "60,1\n",
        "forecast missing.csv --horizon 1",
        &expect![[r#"
        exit 1
        stderr:
        error: cannot read series from `missing.csv`
          cause: No such file or directory (os error 2)

        hint: check the path, and that you may read the file; `-` is stdin"#]],
    );
    check(
        "60,1\n",
        "forecast . --horizon 1",
        &expect![[r#"
        exit 1
        stderr:
        error: cannot read series from `.`
          cause: Is a directory (os error 21)

        hint: check the path, and that you may read the file; `-` is stdin"#]],
    );
}

#[test]
fn a_backtest_is_a_table_and_a_picture() {
    let scene = Scene::new().file("load.csv", regular(24 * 20));
    let said = scene.said("forecast load.csv --backtest --horizon 24 --season 24 --origins 3");
    assert!(said.starts_with("exit 0\n"), "{said}");
    for part in [
        "STEPS  ACCURACY  SEASONAL NAIVE  PERSISTENCE  MASE",
        "\n1      ",
        "\n9-16   ",
        "\n17-24  ",
        "\nall    ",
        "\nload\n",
        " ┤",
        "• forecast   ░ 95% interval",
        "1970-01-18 00:00",
        "3 forecasts from 3 origins, 24 steps apart",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
}

#[test]
fn a_backtest_can_be_json_and_draw_a_file() {
    let scene = Scene::new().file("<&>.csv", regular(24 * 20));
    let line = "forecast <&>.csv --backtest --horizon 24 --season 24 -o json --svg out.svg";
    let output = scene.output(line);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["origins"], 5);
    assert_eq!(said["overall"]["to_step"], 24);
    assert_eq!(said["overall"]["accuracy_seasonal_naive"], 1.0);
    assert!(said["overall"]["accuracy"].as_f64().unwrap() > 0.9, "{said}");
    let svg = std::fs::read_to_string(scene.dir.path().join("out.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns="), "{svg}");
    assert!(svg.contains(">&lt;&amp;&gt;</text>") && svg.contains("prefers-color-scheme: dark"));
    assert_eq!(svg.matches("<path").count(), 4, "{svg}");
}

#[test]
fn a_backtest_that_cannot_be_says_why() {
    check(
        &regular(40),
        "forecast load.csv --backtest",
        &expect![[r#"
        exit 1
        stderr:
        error: the longest series has 40 values, a backtest over 48 steps needs at least 96; look fewer steps ahead"#]],
    );
    let line = "forecast load.csv --backtest --horizon 4 --svg nowhere/out.svg -o json";
    let said = Scene::new().file("load.csv", regular(200)).said(line);
    assert!(said.contains("error: cannot write `nowhere/out.svg`"), "{said}");
}

#[test]
fn wrong_usage_is_exit_2() {
    let table: String = [
        "forecast",
        "forecast load.csv",
        "forecast load.csv --horizon 0",
        "forecast load.csv --horizon 2881",
        "forecast load.csv --horizon 1 --season 24,1",
        "forecast load.csv --horizon 1 --season day",
        "forecast load.csv --horizon 1 --levels 80,100",
        "forecast load.csv --horizon 1 --origins 3",
        "forecast load.csv --backtest --origins 0",
        "forecast load.csv --horizon 1 --svg out.svg",
        "detect",
        "detect a.csv b.csv",
    ]
    .iter()
    .map(|line| {
        let said = Scene::new().said(line);
        let of_fault = |it: &&str| it.starts_with("error") || it.starts_with("  -");
        let fault: Vec<&str> = said.lines().filter(of_fault).take(2).collect();
        format!("{}: {line}\n  {}\n", said.lines().next().unwrap(), fault.join("\n  "))
    })
    .collect();
    expect![[r#"
        exit 2: forecast
          error: the following required arguments were not provided:
            --horizon <N>
        exit 2: forecast load.csv
          error: the following required arguments were not provided:
            --horizon <N>
        exit 2: forecast load.csv --horizon 0
          error: invalid value '0' for '--horizon <N>': steps to look ahead are a whole number from 1 to 2880
        exit 2: forecast load.csv --horizon 2881
          error: invalid value '2881' for '--horizon <N>': steps to look ahead are a whole number from 1 to 2880
        exit 2: forecast load.csv --horizon 1 --season 24,1
          error: invalid value '1' for '--season <N,…>': steps of a season are a whole number from 2 to 100000
        exit 2: forecast load.csv --horizon 1 --season day
          error: invalid value 'day' for '--season <N,…>': steps of a season are a whole number from 2 to 100000
        exit 2: forecast load.csv --horizon 1 --levels 80,100
          error: invalid value '100' for '--levels <P,…>': the level of an interval is a number of percent from 1 to 99.9
        exit 2: forecast load.csv --horizon 1 --origins 3
          error: the following required arguments were not provided:
            --backtest
        exit 2: forecast load.csv --backtest --origins 0
          error: invalid value '0' for '--origins <K>': 0 is not in 1..=100
        exit 2: forecast load.csv --horizon 1 --svg out.svg
          error: the following required arguments were not provided:
            --backtest
        exit 2: detect
          error: the following required arguments were not provided:
        exit 2: detect a.csv b.csv
          error: unexpected argument 'b.csv' found
    "#]].assert_eq(&table);
}
