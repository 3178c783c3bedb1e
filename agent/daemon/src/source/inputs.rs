//! What playbooks see: readings of their inputs, one observation per playbook and target.
//!
//! **In:** samples of a metrics source, and documents.
//! **Out:** values that are fresh and finite, or why there is none.
//! **Not here:** how the source is asked ([`crate::prometheus`], `crate::demo`), what a
//! playbook makes of it (the core's).

use evenkeel_core::condition::Unit;
use evenkeel_core::documents::{Documents, Playbook, PlaybookInput, Target};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::quality::{Absence, Reading, judge_sample};
use jiff::Timestamp;

use crate::prometheus::ObservedInputs;

/// What one pass saw of the inputs of all playbooks.
#[derive(Debug)]
pub(crate) enum InputsSeen {
    /// Prometheus' answers. Readings are made from them one batch at a time: those of
    /// many playbooks over many targets are much larger than the answers.
    Answers(ObservedInputs),
    /// Made already, where a source is small.
    #[cfg(feature = "demo")]
    Made(Vec<PlaybookObservation>),
}

impl InputsSeen {
    /// One observation per playbook and target of it, by name.
    pub(crate) fn observations<'a>(
        &'a self,
        documents: &'a Documents,
    ) -> Box<dyn Iterator<Item = PlaybookObservation> + Send + 'a> {
        match self {
            InputsSeen::Answers(answers) => Box::new(answers.observations(documents)),
            #[cfg(feature = "demo")]
            InputsSeen::Made(observations) => Box::new(observations.iter().cloned()),
        }
    }
}

/// The value of the playbook's target label that belongs to `target`.
pub(crate) fn label_value_of<'a>(playbook: &Playbook, target: &'a Target) -> &'a str {
    target.labels.get(&playbook.target_label).map_or(target.id.as_str(), String::as_str)
}

/// Judges one sample by the rules for signals. What a signal may doubt is nothing here:
/// a playbook acts on a value or does not know.
pub(crate) fn judge(
    judged_at: Timestamp,
    number: f64,
    sampled_at: Timestamp,
    input: &PlaybookInput,
) -> Result<(f64, Timestamp), Absence> {
    // Of a series that is scored, the unit is the score's, and its values may be anything.
    let magnitude = if may_be_negative(input.unit) { number.abs() } else { number };
    match judge_sample(judged_at, magnitude, sampled_at, input.max_age, false) {
        Reading::Value { doubt: None, .. } => Ok((number, sampled_at)),
        Reading::Value { doubt: Some(_), .. } => {
            let ahead_seconds = sampled_at.duration_since(judged_at).as_secs_f64();
            Err(Absence::Future { ahead_seconds })
        }
        Reading::Missing(absence) => Err(absence),
    }
}

/// The reading for a target or for everything, from one judged sample.
pub(crate) fn one(judged: Result<(f64, Timestamp), Absence>) -> Result<InputValue, Absence> {
    judged.map(|(value, sampled_at)| InputValue::One { value, sampled_at })
}

/// What is a difference or a margin may be below zero; what is counted or measured, not.
fn may_be_negative(unit: Unit) -> bool {
    match unit {
        Unit::Ratio | Unit::Usd | Unit::UsdPerHour => true,
        Unit::Rps | Unit::Seconds | Unit::Bytes | Unit::Units | Unit::Count => false,
    }
}

/// How many readings had a value and how many had none, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputCounts {
    pub(crate) n_good: usize,
    pub(crate) n_missing: usize,
}

impl InputCounts {
    pub(crate) fn add(&mut self, readings: &[InputReading]) {
        let n_good = readings.iter().filter(|it| it.reading.is_ok()).count();
        self.n_good += n_good;
        self.n_missing += readings.len() - n_good;
    }
}

/// The playbooks that are there for somebody, with the targets of each.
pub(crate) fn playbooks_in_use(
    documents: &Documents,
) -> impl Iterator<Item = (&Playbook, Vec<&Target>)> {
    documents.playbooks().filter_map(|playbook| {
        let targets: Vec<&Target> = documents.targets_of_playbook(playbook).collect();
        (!targets.is_empty()).then_some((playbook, targets))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::documents::Per;
    use evenkeel_core::ids::InputName;
    use expect_test::{Expect, expect};
    use jiff::SignedDuration;

    #[track_caller]
    fn check(unit: Unit, number: f64, age_seconds: i64, expected: &Expect) {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let input = PlaybookInput {
            name: InputName::new("x").unwrap(),
            query: String::new(),
            max_age: SignedDuration::from_mins(1),
            unit,
            per: Per::Target,
            budget: None,
            is_anomaly_score: false,
        };
        let sampled_at = now - SignedDuration::from_secs(age_seconds);
        expected.assert_eq(&match judge(now, number, sampled_at, &input) {
            Ok((value, _)) => format!("{value}"),
            Err(absence) => absence.to_string(),
        });
    }

    #[test]
    fn a_sample_counts_or_it_does_not() {
        check(Unit::Rps, 7.0, 0, &expect!["7"]);
        check(Unit::Rps, 0.0, 60, &expect!["0"]);
        check(Unit::Rps, 7.0, -5, &expect!["7"]);
        check(Unit::Rps, 7.0, 61, &expect!["the sample is 61 s old, at most 60 s"]);
        check(Unit::Rps, 7.0, -6, &expect!["the sample is 6 s in the future"]);
        check(Unit::Rps, 7.0, -600, &expect!["the sample is 600 s in the future"]);
        check(Unit::Rps, f64::NAN, 0, &expect!["the sample is not a finite number"]);
        check(Unit::Usd, f64::NAN, 0, &expect!["the sample is not a finite number"]);
        check(Unit::Ratio, f64::NEG_INFINITY, 0, &expect!["the sample is not a finite number"]);
    }

    #[test]
    fn only_what_can_be_negative_is() {
        for unit in [Unit::Ratio, Unit::Usd, Unit::UsdPerHour] {
            check(unit, -2.5, 0, &expect!["-2.5"]);
            check(unit, -2.5, 61, &expect!["the sample is 61 s old, at most 60 s"]);
        }
        for unit in [Unit::Rps, Unit::Seconds, Unit::Bytes, Unit::Units, Unit::Count] {
            check(unit, -2.5, 0, &expect!["the sample is negative (-2.5)"]);
        }
    }
}
