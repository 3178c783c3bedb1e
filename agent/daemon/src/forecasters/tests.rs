//! **In:** made-up series and documents.
//! **Out:** what becomes of them over refits, failures and restarts.
//! **Not here:** how good forecasts are (`evenkeel-forecast`).

use std::path::Path;

use evenkeel_core::documents::{SourceText, load};
use evenkeel_core::ids::Region;
use evenkeel_core::plan_ahead::Ledger;
use evenkeel_core::quality::{Absence, Reading};
use evenkeel_testbed::wait_until;
use expect_test::{Expect, expect};

use super::book::Book;
use super::books::Turn;
use super::snapshot::{self, SnapshotError};
use super::*;

const DAY: i64 = 86_400;

fn documents(n_targets: usize, forecast: &str) -> Documents {
    let mut text = format!(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: {{ name: web }}\nspec:\n  \
         selector: {{ match_labels: {{ tier: web }} }}\n  autonomy: auto\n  target_label: service\n  \
         signals:\n    - {{ name: requests, query: load, value_per_unit: 50 }}\n    \
         - {{ name: backlog, query: depth, queue_depth: {{ drained_within: 5m, rate_per_unit: 9 }} }}\n{forecast}"
    );
    for n in 0..n_targets {
        text.push_str(&format!(
            "---\napiVersion: evenkeel/v1\nkind: Target\n\
             metadata: {{ name: t-{n}, labels: {{ tier: web }} }}\nspec:\n  region: demo\n  \
             provider: {{ simulated: {{ service: t-{n} }} }}\n  capacity: {{ min: 1, max: 40 }}\n",
        ));
    }
    let loaded = load(&[SourceText { file: "test.yaml", text: &text }]);
    loaded.documents.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

const FORECAST: &str = "  forecast: { shortfall: { time_ratio_max: 0.005 } }\n";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A daily curve with noise, without which yesterday would be as good as any forecast.
#[expect(clippy::cast_precision_loss, reason = "seconds of a month are exact")]
fn load_at(second: i64) -> f64 {
    let noise = (second as f64 * 12.9898).sin() * 43_758.545;
    let noise = noise - noise.floor() - 0.5;
    300.0f64.mul_add((second as f64 / DAY as f64 * std::f64::consts::TAU).sin(), 400.0)
        + 20.0 * noise
}

fn id(n: usize) -> TargetId {
    TargetId::new(&format!("t-{n}")).unwrap()
}

fn signal() -> SignalName {
    SignalName::new("requests").unwrap()
}

fn reading(second: i64, value: Option<f64>) -> SignalReading {
    let reading = value.map_or(Reading::Missing(Absence::NoSeries), |value| Reading::Value {
        value,
        sampled_at: at(second),
        doubt: None,
    });
    SignalReading { signal: signal(), reading, usual_low: None, outlook: None }
}

fn look(forecasters: &Forecasters, documents: &Documents, n: usize, second: i64) -> SignalReading {
    let mut readings = [reading(second, Some(load_at(second)))];
    forecasters.take_in(at(second), documents, &id(n), &mut readings);
    let [reading] = readings;
    reading
}

/// Forecasters that have read `days` of the past up to 0, and are open.
fn with_past(documents: &Documents, days: i64) -> Forecasters {
    let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
    forecasters.follow(documents);
    let policy = documents.policies().next().unwrap();
    forecasters.begin_past(documents, policy, &signal());
    let points: Vec<_> = (-days * 288..0).map(|it| (at(it * 300), load_at(it * 300))).collect();
    for target in documents.targets() {
        for part in points.chunks(1_000) {
            forecasters.backfill(documents, &target.id, &signal(), part, at(0));
        }
    }
    forecasters.end_past(documents, policy, &signal());
    forecasters.open();
    forecasters
}

fn standings(forecasters: &Forecasters) -> String {
    forecasters.publish();
    let text = forecasters.metrics.text().unwrap();
    let lines = text.lines().filter_map(|it| it.strip_prefix("evenkeel_forecasts{standing="));
    let mut shown: Vec<&str> = lines.filter(|it| !it.ends_with(" 0")).collect();
    shown.sort_unstable();
    shown.join(", ")
}

#[test]
fn only_loads_of_policies_with_a_forecast_are_forecast() {
    let check = |forecast: &str, n_expected: usize| {
        let documents = documents(3, forecast);
        let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
        forecasters.follow(&documents);
        assert_eq!(forecasters.n_series(), n_expected, "{forecast}");
    };
    check("", 0);
    check(FORECAST, 3);
}

#[test]
fn a_series_with_a_past_is_fitted_and_expects_what_comes_every_day() {
    let documents = documents(2, FORECAST);
    let forecasters = with_past(&documents, 14);
    // What was fitted is adopted with the next reading.
    for second in [0, 15, 30, 45] {
        look(&forecasters, &documents, 0, second);
        look(&forecasters, &documents, 1, second);
        forecasters.refit_all();
    }
    assert_eq!(standings(&forecasters), "\"predicting\"} 2");
    assert_eq!(forecasters.refit_all(), 0, "what was fitted is not fitted again at once");
    let outlook = look(&forecasters, &documents, 0, 60).outlook.unwrap();
    let hour = SignedDuration::from_hours(1);
    let (expected, truth) = (outlook.quantile(hour, 0.5), load_at(60 + 3_600));
    assert!((expected - truth).abs() < 0.1 * truth, "{expected} is not near {truth}");
}

#[test]
fn nothing_is_expected_before_what_was_kept_has_been_read() {
    let documents = documents(1, FORECAST);
    let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
    forecasters.follow(&documents);
    assert_eq!(look(&forecasters, &documents, 0, 0).outlook, None);
    forecasters.open();
    look(&forecasters, &documents, 0, 15);
    assert_eq!(forecasters.n_series(), 1);
}

#[test]
fn live_values_wait_until_the_past_was_read() {
    let documents = documents(1, FORECAST);
    let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
    forecasters.follow(&documents);
    forecasters.open();
    let policy = documents.policies().next().unwrap();
    look(&forecasters, &documents, 0, 15);
    forecasters.begin_past(&documents, policy, &signal());
    let points: Vec<_> = (-2_880..=0).map(|it| (at(it * 300), load_at(it * 300))).collect();
    forecasters.backfill(&documents, &id(0), &signal(), &points, at(0));
    forecasters.end_past(&documents, policy, &signal());
    let known = |it: &Book| (it.n_backfilled(), it.newest());
    let books = forecasters.lock();
    let book = books.book(&id(0), &signal()).unwrap();
    assert_eq!(known(book), (2_881, Some(at(15))), "ten days, then the value that waited");
}

#[test]
fn a_backend_that_was_down_at_the_start_is_read_later() {
    let documents = documents(1, FORECAST);
    let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
    forecasters.follow(&documents);
    forecasters.open();
    let policy = documents.policies().next().unwrap();
    let read = |points: &[(Timestamp, f64)]| {
        forecasters.begin_past(&documents, policy, &signal());
        forecasters.backfill(&documents, &id(0), &signal(), points, at(600));
        forecasters.end_past(&documents, policy, &signal());
    };
    read(&[]);
    look(&forecasters, &documents, 0, 15);
    let points: Vec<_> = (-2_880..=2).map(|it| (at(it * 300), load_at(it * 300))).collect();
    read(&points);
    // Once is enough: what was learned since is not thrown away again.
    read(&points);
    let books = forecasters.lock();
    let book = books.book(&id(0), &signal()).unwrap();
    assert_eq!((book.n_backfilled(), book.newest()), (2_883, Some(at(600))));
}

#[test]
fn what_the_core_doubts_is_not_learned() {
    let documents = Arc::new(documents(1, FORECAST));
    let forecasters = with_past(&documents, 3);
    let mut agent = evenkeel_core::agent::Agent::default();
    let loaded = evenkeel_core::agent::Input::DocumentsLoaded(Arc::clone(&documents));
    let _ = agent.handle(at(0), loaded).commit(|_| Ok::<(), std::convert::Infallible>(()));
    forecasters.feedback.say_all(&agent);
    assert_eq!(
        forecasters.feedback.of(&id(0)).lead_time,
        Some(evenkeel_core::lead_time::ASSUMED),
        "before any was measured"
    );
    let finding = evenkeel_core::decide::SignalFinding {
        signal: signal(),
        quality: evenkeel_core::quality::Quality::Suspect,
        value: Some(0.0),
        sampled_at: Some(at(0)),
        demand: None,
        doubt: Some(evenkeel_core::quality::Doubt::SuddenDrop { recent: 400.0 }),
        absence: None,
        forecast: None,
    };
    let newest = || forecasters.lock().book(&id(0), &signal()).unwrap().newest();
    look(&forecasters, &documents, 0, 15);
    forecasters.feedback.say_judged(&id(0), &[finding]);
    look(&forecasters, &documents, 0, 30);
    assert_eq!(newest(), Some(at(15)), "the doubted one is left out");
    forecasters.feedback.say_judged(&id(0), &[]);
    look(&forecasters, &documents, 0, 45);
    assert_eq!(newest(), Some(at(45)));
}

#[test]
fn documents_that_want_something_else_begin_a_new_series() {
    let before = documents(2, FORECAST);
    let forecasters = with_past(&before, 3);
    let n_known = |forecasters: &Forecasters| {
        let books = forecasters.lock();
        books.iter().map(|(_, it)| it.n_backfilled()).collect::<Vec<_>>()
    };
    assert_eq!(n_known(&forecasters), [864, 864]);
    // The target that left is forgotten, the one that stays is not.
    forecasters.follow(&documents(1, FORECAST));
    assert_eq!(n_known(&forecasters), [864]);
    let other = "  forecast: { shortfall: { time_ratio_max: 0.005 }, seasons: [24h] }\n";
    forecasters.follow(&documents(1, other));
    assert_eq!(n_known(&forecasters), [0]);
    forecasters.follow(&documents(1, ""));
    assert_eq!(forecasters.n_series(), 0);
}

#[test]
fn what_was_asked_under_older_documents_is_not_taken_for_the_new_series() {
    let before = documents(1, FORECAST);
    let forecasters = with_past(&before, 3);
    let after =
        documents(1, "  forecast: { shortfall: { time_ratio_max: 0.01 }, seasons: [24h] }\n");
    forecasters.follow(&after);
    let policy = before.policies().next().unwrap();
    forecasters.backfill(&before, &id(0), &signal(), &[(at(0), 1.0)], at(0));
    forecasters.end_past(&before, policy, &signal());
    assert_eq!(look(&forecasters, &before, 0, 15).outlook, None);
    assert!(forecasters.lock().book(&id(0), &signal()).unwrap().newest().is_none());
}

/// Writes and reads once, with `damage` in between.
fn restarted(
    documents: &Documents,
    forecasters: &Forecasters,
    damage: impl FnOnce(&Path),
) -> Result<Forecasters, SnapshotError> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("evenkeel.forecasts");
    let region = Region::new("demo").unwrap();
    let shortfalls = vec![(id(0), signal(), Ledger::default())];
    let n_series = forecasters.n_series();
    let written = snapshot::write(&place, &region, at(0), shortfalls, forecasters)?;
    assert_eq!(written, n_series);
    damage(&place);
    let again = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("test")));
    again.follow(documents);
    let recalled = snapshot::read(&place, &region)?.expect("it was just written");
    assert_eq!(recalled.shortfalls, [(id(0), signal(), Ledger::default())]);
    for (target, signal, book) in recalled.series {
        again.lock().recall(at(60), &target, &signal, book);
    }
    again.open();
    Ok(again)
}

#[test]
fn a_restart_expects_the_same() {
    let documents = documents(2, FORECAST);
    let forecasters = with_past(&documents, 14);
    for second in [0, 15] {
        look(&forecasters, &documents, 0, second);
        look(&forecasters, &documents, 1, second);
        forecasters.refit_all();
    }
    look(&forecasters, &documents, 0, 30);
    let again = restarted(&documents, &forecasters, |_| ()).unwrap();
    let (before, after) = (look(&forecasters, &documents, 0, 60), look(&again, &documents, 0, 60));
    assert!(before.outlook.is_some());
    assert_eq!(before.outlook, after.outlook);
    assert_eq!(again.refit_all(), forecasters.refit_all(), "what was fitted need not be again");
}

#[test]
fn a_damaged_or_foreign_file_is_refused_as_a_whole() {
    let documents = documents(1, FORECAST);
    let forecasters = with_past(&documents, 3);
    let check = |damage: &dyn Fn(&mut Vec<u8>), expected: &Expect| {
        let result = restarted(&documents, &forecasters, |place| {
            let mut bytes = std::fs::read(place).unwrap();
            damage(&mut bytes);
            std::fs::write(place, bytes).unwrap();
        });
        expected.assert_eq(&result.map_or_else(|it| it.to_string(), |_| "taken up".to_owned()));
    };
    check(&|_| (), &expect!["taken up"]);
    check(&|it| it.truncate(it.len() - 1), &expect!["it is cut off or damaged"]);
    check(&|it| it.truncate(30), &expect!["it is cut off or damaged"]);
    check(&|it| it.clear(), &expect!["it is cut off or damaged"]);
    check(&|it| it[0] = b'X', &expect!["it does not begin as kept forecasts do"]);
    check(&|it| it[16] = 9, &expect!["it has version 9, this is evenkeeld for version 1"]);
    check(&|it| it[23] = 0xff, &expect!["it is cut off or damaged"]);
    let last = |it: &mut Vec<u8>| {
        let place = it.len() - 1;
        it[place] ^= 1;
    };
    check(&last, &expect!["its checksum does not fit what it has"]);
}

#[test]
fn the_file_is_for_the_daemon_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let documents = documents(1, FORECAST);
    let forecasters = with_past(&documents, 1);
    restarted(&documents, &forecasters, |place| {
        let mode = std::fs::metadata(place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names: Vec<_> = std::fs::read_dir(place.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    })
    .unwrap();
}

fn turn(n: usize, fitted_at: Option<i64>) -> Turn {
    Turn { fitted_at: fitted_at.map(at), target: id(n), signal: signal() }
}

fn n_refits(forecasters: &Forecasters, outcome: &str) -> usize {
    let text = forecasters.metrics.text().unwrap();
    let wanted = format!("evenkeel_forecast_refits_total{{outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|it| it.strip_prefix(wanted.as_str()));
    line.unwrap().parse().unwrap()
}

#[test]
fn threads_fit_what_is_due_and_end_when_told() {
    let documents = documents(8, FORECAST);
    let forecasters = with_past(&documents, 3);
    let threads = RefitThreads::start(&forecasters, 1).unwrap();
    for n in 0..8 {
        forecasters.lock().queue(turn(n, None));
    }
    forecasters.shared.changed.notify_all();
    let soon = std::time::Duration::from_secs(60);
    wait_until(soon, "all are fitted", || n_refits(&forecasters, "done") == 8);
    drop(threads);
    // Each thread holds one reference; the last goes when it ends.
    wait_until(soon, "the thread ends", || Arc::strong_count(&forecasters.shared) == 1);
}

#[test]
fn what_was_never_fitted_comes_first_and_then_what_waited_longest() {
    let forecasters = with_past(&documents(4, FORECAST), 1);
    let mut books = forecasters.lock();
    for turn in [turn(0, Some(500)), turn(1, Some(100)), turn(2, None), turn(3, Some(300))] {
        books.queue(turn.clone());
        books.queue(turn);
    }
    let order = std::iter::from_fn(|| books.next_refit().map(|(turn, _)| turn.target));
    assert_eq!(order.collect::<Vec<_>>(), [id(2), id(1), id(3), id(0)], "each once");
}

#[test]
fn a_fit_that_panics_is_counted_and_others_go_on() {
    let forecasters = with_past(&documents(2, FORECAST), 1);
    forecasters.refit(&turn(0, None), || panic!("a bug in a model"));
    forecasters.lock().queue(turn(1, None));
    assert_eq!(forecasters.refit_all(), 1);
    assert_eq!((n_refits(&forecasters, "failed"), n_refits(&forecasters, "done")), (1, 1));
}
