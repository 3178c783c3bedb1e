//! What holds for every text; also the entry of the fuzz target (`agent/core/fuzz`).

use evenkeel_core::condition::{Condition, ConditionFault, Environment, Formula, Kind, Lookup};
use evenkeel_core::condition::{NODES_MAX, Truth, Unit};
use evenkeel_core::ids::InstanceName;

/// Every number is the same; instances are never known.
struct Everything(f64);

impl Lookup for Everything {
    fn number(&self, _name: &str) -> Option<f64> {
        Some(self.0)
    }

    fn instances(&self, _name: &str) -> Option<&[(InstanceName, f64)]> {
        None
    }
}

const LOOKUPS: [Everything; 4] =
    [Everything(0.0), Everything(-3.5), Everything(1e300), Everything(f64::NAN)];

pub(crate) fn environment() -> Environment {
    Environment::new()
        .with("error_ratio", Kind::Number(Unit::Ratio))
        .with("params.limit", Kind::Number(Unit::Ratio))
        .with("latency", Kind::Number(Unit::Seconds))
        .with("load", Kind::Number(Unit::Rps))
        .with("target.ready", Kind::Number(Unit::Units))
        .with("slow", Kind::Instances(Unit::Seconds))
}

/// Panics when `text` breaks a promise; true when it is a condition.
pub(crate) fn check(text: &str, environment: &Environment) -> bool {
    let parsed = Condition::parse(text, environment);
    if let Ok(condition) = &parsed {
        assert!(condition.n_nodes() <= NODES_MAX, "{} parts: {text:?}", condition.n_nodes());
        assert!(condition.names().all(|it| environment.get(it).is_some()), "{text:?}");
        let again = Condition::parse(condition.text(), environment);
        assert_eq!(parsed, again, "{text:?} does not read back");
        for lookup in &LOOKUPS {
            let truth: Truth = condition.truth(lookup);
            assert_eq!(Ok(truth), again.as_ref().map(|it| it.truth(lookup)));
            check_line(&condition.show(lookup));
        }
    }
    if let Err(fault) = &parsed {
        check_fault(text, fault);
    }
    match Formula::parse(text, environment, Unit::Ratio) {
        Ok(formula) => {
            assert!(parsed.is_err(), "{text:?} is both a condition and a number");
            for lookup in &LOOKUPS {
                assert!(formula.value(lookup).is_none_or(f64::is_finite), "{text:?}");
                check_line(&formula.show(lookup));
            }
        }
        Err(fault) => check_fault(text, &fault),
    }
    parsed.is_ok()
}

fn check_line(line: &str) {
    assert!(line.len() <= 3_000, "{} bytes", line.len());
    assert!(!line.chars().any(char::is_control), "{line:?}");
}

fn check_fault(text: &str, fault: &ConditionFault) {
    assert!(text.get(fault.offset.clone()).is_some(), "{:?} in {text:?}", fault.offset);
    for it in [&fault.message, &fault.hint] {
        assert!(!it.is_empty() && it.len() < 600, "{fault:?}");
        assert!(!it.chars().any(char::is_control), "{fault:?}");
    }
    let caret = fault.caret(text);
    let lines: Vec<&str> = caret.split('\n').collect();
    assert!(lines.len() == 2 && lines[1].contains('^'), "{caret:?}");
    assert!(lines.iter().all(|it| it.chars().count() <= 103), "{caret:?}");
    assert!(lines.iter().all(|it| !it.chars().any(char::is_control)), "{caret:?}");
}
