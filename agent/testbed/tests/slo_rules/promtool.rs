//! Rules and series in, what differs out.
//!
//! In: a rule file, samples 30 seconds apart from the epoch on, the expected states.
//! Out: what `promtool` says of it.
//! Not here: SLOs.

use std::fs;

use evenkeel_testbed::process::Program;
use serde_json::{Value, json};

const INSTALL: &str = "run `make test-parts` (apt-get install prometheus)";

/// Slots of one comparison. Why 60: promtool refuses queries of more than 10,000 samples.
const CHUNK: usize = 60;

/// In which slots an alert must be in a state.
pub(crate) struct Expected {
    pub(crate) objective: String,
    pub(crate) policy: String,
    /// `pending`, `firing`, or `no_data`.
    pub(crate) state: &'static str,
    pub(crate) slots: Vec<bool>,
}

/// `promtool check rules`.
pub(crate) fn check(rules: &str) -> String {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rules).expect("the rules can be written");
    run(&["check".into(), "rules".into(), file.into()]).unwrap_or_else(|it| it)
}

/// `promtool test rules`: `None` when Prometheus' alerts are as expected in every slot.
pub(crate) fn compare(
    rules: &str,
    series: &[(String, Vec<Option<f64>>)],
    expected: &[Expected],
    n_slots: usize,
) -> Option<String> {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let inputs: Vec<Value> = series
        .iter()
        .map(|(name, values)| json!({ "series": name, "values": written(values) }))
        .chain(expected.iter().map(|it| {
            let values: Vec<Option<f64>> =
                it.slots.iter().map(|it| Some(f64::from(u8::from(*it)))).collect();
            let Expected { objective, policy, state, .. } = it;
            let name =
                format!("expected{{objective={objective:?},policy={policy:?},state={state:?}}}");
            json!({ "series": name, "values": written(&values) })
        }))
        .collect();
    let mut tests = Vec::new();
    for chunk in 0..n_slots.div_ceil(CHUNK) {
        let last = ((chunk + 1) * CHUNK).min(n_slots) - 1;
        for (state, alert) in [
            ("firing", r#"ALERTS{alertname="EvenkeelSloBurn",alertstate="firing"}"#),
            ("pending", r#"ALERTS{alertname="EvenkeelSloBurn",alertstate="pending"}"#),
        ] {
            let wanted = format!("expected{{state={state:?}}} == 1");
            for (found, of) in [(wanted.as_str(), alert), (alert, wanted.as_str())] {
                tests.push(differ(found, of, last));
            }
        }
        // No data is no alert of its own while a composite burns by its other objectives.
        let alert = r#"ALERTS{alertname="EvenkeelSloNoData",alertstate="firing"}"#;
        let wanted = r#"expected{state="no_data"} == 1"#;
        let burning = r#"expected{state=~"firing|pending"} == 1"#;
        tests.push(differ(wanted, alert, last));
        tests.push(differ(alert, &format!("({wanted} or {burning})"), last));
    }
    fs::write(folder.path().join("rules.yaml"), rules).expect("the rules can be written");
    let file = folder.path().join("test.yaml");
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "30s",
        "tests": [{ "interval": "30s", "input_series": inputs, "promql_expr_test": tests }],
    });
    fs::write(&file, test.to_string()).expect("the test can be written");
    run(&["test".into(), "rules".into(), file.into()])
        .err()
        .map(|it| it.chars().take(4_000).collect())
}

/// In no slot of a chunk is there `found` without `of`.
fn differ(found: &str, of: &str, last: usize) -> Value {
    json!({
        "expr": format!(
            "count_over_time(({found} unless on (objective, policy) {of})[{}s:30s])",
            CHUNK * 30 - 15
        ),
        "eval_time": format!("{}s", last * 30),
        "exp_samples": [],
    })
}

/// As promtool reads it. A series that is not there is marked, as by a failed scrape.
fn written(values: &[Option<f64>]) -> String {
    let mut words = Vec::with_capacity(values.len());
    let mut was_there = false;
    for it in values {
        words.push(match it {
            Some(value) => value.to_string(),
            None if was_there => "stale".to_owned(),
            None => "_".to_owned(),
        });
        was_there = it.is_some();
    }
    words.join(" ")
}

fn run(arguments: &[std::ffi::OsString]) -> Result<String, String> {
    let done = Program::installed("promtool", INSTALL)
        .args(arguments)
        .command()
        .output()
        .expect("promtool can be run");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    if done.status.success() { Ok(said) } else { Err(said) }
}
