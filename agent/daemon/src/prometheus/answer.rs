//! From the bytes of an answer to the samples that somebody waits for.
//!
//! **In:** one answer and the label values that belong to targets.
//! **Out:** samples by label value; everything else only counted.
//! **Not here:** whether a sample may be believed ([`super::instant`]).
//!
//! Series are read one after another and dropped at once when nobody waits for
//! them, so that an answer never takes more than a few times its own bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use evenkeel_core::heal::view::INSTANCES_SEEN_MAX;
use evenkeel_core::ids::InstanceName;
use jiff::{SignedDuration, Timestamp};
use prometheus_http_query::response::{InstantVector, RangeVector, Sample};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::client::Answer;
use super::error::{QueryError, clean};
use super::{Expected, SERIES_MAX};

/// What one answer says. `T` is one sample, or one series of them.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// By label value, only those expected.
    pub(super) by_value: BTreeMap<String, Series<T>>,
    /// Series in the answer.
    pub(super) n_series: usize,
    /// Of these, series that belong to no target.
    pub(super) n_unknown: usize,
    /// The first warning, cut; the data is partial then.
    pub(super) warning: Option<String>,
}

/// The series of one label value: the first, and how many there are.
#[derive(Debug)]
pub(super) struct Series<T> {
    pub(super) first: T,
    pub(super) n_series: usize,
}

/// One value and its time, as the server says.
pub(super) type Point = (Timestamp, f64);

/// Reads the answer to an instant query.
pub(super) fn instant(
    answer: &Answer<'_>,
    label: &str,
    expected: &Expected,
) -> Result<Found<Point>, QueryError> {
    let split = |series: InstantVector| {
        let (mut metric, sample) = series.into_inner();
        (metric.remove(label), sample)
    };
    read(answer, "vector", expected, split, |sample| point(&sample))
}

/// Reads the answer to a range query.
pub(super) fn range(
    answer: &Answer<'_>,
    label: &str,
    expected: &Expected,
) -> Result<Found<Vec<Point>>, QueryError> {
    let split = |series: RangeVector| {
        let (mut metric, samples) = series.into_inner();
        (metric.remove(label), samples)
    };
    read(answer, "matrix", expected, split, |samples| samples.iter().map(point).collect())
}

/// The answer to a query that is about everything.
#[derive(Debug)]
pub(super) struct Lone {
    /// The first series, if there is any.
    pub(super) first: Option<Point>,
    /// Series in the answer.
    pub(super) n_series: usize,
    /// The first warning, cut; the data is partial then.
    pub(super) warning: Option<String>,
}

/// Reads the answer to an instant query that should be one series.
pub(super) fn lone(answer: &Answer<'_>) -> Result<Lone, QueryError> {
    let mut first = None;
    let whole = each_series(answer, "vector", |series: InstantVector| {
        if first.is_none() {
            let (_, sample) = series.into_inner();
            first = Some(point(&sample).ok_or(OUT_OF_RANGE)?);
        }
        Ok(())
    })?;
    Ok(Lone { first, n_series: whole.n_series, warning: whole.warning })
}

/// The instances of one label value.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// By name; at most one more than [`INSTANCES_SEEN_MAX`].
    pub(super) by_name: BTreeMap<InstanceName, Point>,
    /// Series in the answer, all of them.
    pub(super) n_series: usize,
    /// Series without a name that an instance can have.
    pub(super) n_nameless: usize,
    /// Whether a name came twice.
    pub(super) is_ambiguous: bool,
}

/// Reads the answer to an instant query with a series per instance.
pub(super) fn instances(
    answer: &Answer<'_>,
    label: &str,
    instance_label: &str,
    expected: &Expected,
) -> Result<Found<Instances>, QueryError> {
    let mut by_value = BTreeMap::<String, Series<Instances>>::new();
    let mut n_unknown = 0;
    let whole = each_series(answer, "vector", |series: InstantVector| {
        let (mut metric, sample) = series.into_inner();
        let name = metric.get(instance_label).and_then(|it| InstanceName::new(it).ok());
        let Some(value) = metric.remove(label).filter(|it| expected.contains(it)) else {
            n_unknown += 1;
            return Ok(());
        };
        let none = || Series { first: Instances::default(), n_series: 0 };
        let series = by_value.entry(value).or_insert_with(none);
        series.n_series += 1;
        series.first.push(name, point(&sample).ok_or(OUT_OF_RANGE)?);
        Ok(())
    })?;
    let Whole { n_series, warning } = whole;
    Ok(Found { by_value, n_series, n_unknown, warning })
}

impl Instances {
    fn push(&mut self, name: Option<InstanceName>, point: Point) {
        self.n_series += 1;
        let Some(name) = name else {
            self.n_nameless += 1;
            return;
        };
        // One more than allowed tells that there are too many.
        if self.by_name.len() <= INSTANCES_SEEN_MAX {
            self.is_ambiguous |= self.by_name.insert(name, point).is_some();
        }
    }
}

pub(super) fn point(sample: &Sample) -> Option<Point> {
    let since_epoch = SignedDuration::try_from_secs_f64(sample.timestamp()).ok()?;
    Some((Timestamp::UNIX_EPOCH.checked_add(since_epoch).ok()?, sample.value()))
}

/// The frame around every answer. Errors of types this daemon does not know are
/// errors all the same, hence text.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "errorType")]
    error_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    warnings: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "resultType")]
    result_type: Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

fn read<S: DeserializeOwned, R, T>(
    answer: &Answer<'_>,
    result_type: &'static str,
    expected: &Expected,
    split: impl Fn(S) -> (Option<String>, R),
    convert: impl Fn(R) -> Option<T>,
) -> Result<Found<T>, QueryError> {
    let mut by_value = BTreeMap::<String, Series<T>>::new();
    let mut n_unknown = 0;
    let whole = each_series(answer, result_type, |series: S| {
        let (value, rest) = split(series);
        match value.filter(|it| expected.contains(it)) {
            None => n_unknown += 1,
            Some(value) => match by_value.get_mut(&value) {
                Some(known) => known.n_series += 1,
                None => {
                    let first = convert(rest).ok_or(OUT_OF_RANGE)?;
                    by_value.insert(value, Series { first, n_series: 1 });
                }
            },
        }
        Ok(())
    })?;
    let Whole { n_series, warning } = whole;
    Ok(Found { by_value, n_series, n_unknown, warning })
}

/// What is said of an answer's sample whose time no clock can have.
pub(super) const OUT_OF_RANGE: &str = "a sample's time is out of range";

/// What concerns an answer as a whole.
pub(super) struct Whole {
    pub(super) n_series: usize,
    pub(super) warning: Option<String>,
}

/// Hands the series of an answer to `each`, one at a time.
fn each_series<S: DeserializeOwned>(
    answer: &Answer<'_>,
    result_type: &'static str,
    each: impl FnMut(S) -> Result<(), &'static str>,
) -> Result<Whole, QueryError> {
    each_of(answer, result_type, SERIES_MAX, each)
}

/// As [`each_series`], of at most `series_max`.
pub(super) fn each_of<S: DeserializeOwned>(
    answer: &Answer<'_>,
    result_type: &'static str,
    series_max: usize,
    mut each: impl FnMut(S) -> Result<(), &'static str>,
) -> Result<Whole, QueryError> {
    let (status, secrets) = (answer.status, answer.secrets);
    let unreadable = |error: serde_json::Error| QueryError::Unreadable {
        reason: clean(&error.to_string(), secrets),
    };
    let is_success = (200..300).contains(&status);
    let frame: Frame<'_> = match serde_json::from_slice(answer.body) {
        Ok(frame) => frame,
        Err(error) if is_success => return Err(unreadable(error)),
        Err(_) => return Err(QueryError::Status { status }),
    };
    if !is_success || frame.status != "success" {
        return Err(match (frame.error_type, frame.error) {
            (Some(kind), Some(message)) => QueryError::Refused {
                kind: clean(&kind, secrets),
                message: clean(&message, secrets),
            },
            _ => QueryError::Status { status },
        });
    }
    let missing = || QueryError::Unreadable { reason: "it has no `data`".to_owned() };
    let payload = frame.data.ok_or_else(missing)?;
    let payload: Payload<'_> = serde_json::from_str(payload.get()).map_err(unreadable)?;
    if payload.result_type != result_type {
        let found = clean(&payload.result_type, secrets);
        return Err(QueryError::WrongType { found, expected: result_type });
    }
    let warning = frame.warnings.and_then(|it| first_warning(it, secrets));
    let mut n_series = 0;
    let counted = |series: S| {
        n_series += 1;
        each(series)
    };
    let mut result = serde_json::Deserializer::from_str(payload.result.get());
    let too_many = std::cell::Cell::new(false);
    let visitor =
        Each { each: counted, series_max, too_many: &too_many, series: std::marker::PhantomData };
    match result.deserialize_seq(visitor) {
        Ok(()) => Ok(Whole { n_series, warning }),
        Err(_) if too_many.get() => Err(QueryError::TooManySeries { series_max }),
        Err(error) => Err(unreadable(error)),
    }
}

/// Any warning counts, also one of an unexpected shape.
fn first_warning(warnings: &RawValue, secrets: &[String]) -> Option<String> {
    match serde_json::from_str::<Option<Vec<Cow<'_, str>>>>(warnings.get()) {
        Ok(texts) => texts?.first().map(|it| clean(it, secrets)),
        Err(_) => Some(clean(warnings.get(), secrets)),
    }
}

/// Hands over the elements of an array, one at a time and not too many.
struct Each<'a, S, F> {
    each: F,
    series_max: usize,
    too_many: &'a std::cell::Cell<bool>,
    series: std::marker::PhantomData<S>,
}

impl<'de, S, F> Visitor<'de> for Each<'_, S, F>
where
    S: Deserialize<'de>,
    F: FnMut(S) -> Result<(), &'static str>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let mut n_series = 0;
        while let Some(series) = elements.next_element::<S>()? {
            n_series += 1;
            if self.series_max < n_series {
                self.too_many.set(true);
                return Err(A::Error::custom("too many series"));
            }
            (self.each)(series).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::ids::TargetId;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    fn expected() -> Expected {
        let target = |name: &str| vec![TargetId::new(name).unwrap()];
        let known = [("a", "a"), ("b", "b")].map(|(value, id)| (value.to_owned(), target(id)));
        Expected(Arc::new(BTreeMap::from(known)))
    }

    #[track_caller]
    fn check(status: u16, body: &str, expect: &Expect) {
        let secrets = ["s3cret".to_owned()];
        let answer = Answer { status, body: body.as_bytes(), secrets: &secrets };
        let shown = match instant(&answer, "service", &expected()) {
            Ok(found) => {
                let mut shown = format!("{} series, {} unknown", found.n_series, found.n_unknown);
                for (value, series) in &found.by_value {
                    let (at, number) = series.first;
                    shown += &format!("; {value} x{} {number} at {at}", series.n_series);
                }
                found.warning.map_or(shown.clone(), |it| format!("{shown}; warning {it:?}"))
            }
            Err(error) => error.to_string(),
        };
        expect.assert_eq(&shown);
    }

    fn vector(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#)
    }

    #[test]
    fn series_are_kept_by_label_value_and_the_rest_is_counted() {
        check(200, &vector("[]"), &expect!["0 series, 0 unknown"]);
        let series = |labels: &str, value: &str| {
            format!(r#"{{"metric":{{{labels}}},"value":[1700000000.25,"{value}"]}}"#)
        };
        let all = [
            series(r#""service":"a""#, "1.5"),
            series(r#""service":"b","pod":"1""#, "NaN"),
            series(r#""service":"b","pod":"2""#, "+Inf"),
            series(r#""service":"zzz""#, "7"),
            series("", "-Inf"),
        ];
        check(
            200,
            &vector(&format!("[{}]", all.join(","))),
            &expect![
                "5 series, 2 unknown; a x1 1.5 at 2023-11-14T22:13:20.25Z; b x2 NaN at 2023-11-14T22:13:20.25Z"
            ],
        );
    }

    #[test]
    fn an_error_keeps_what_the_server_said_and_hides_what_we_sent() {
        check(
            400,
            r#"{"status":"error","errorType":"bad_data","error":"parse error: s3cret"}"#,
            &expect!["prometheus refused the query: bad_data: parse error: [hidden]"],
        );
        check(
            200,
            r#"{"status":"error","errorType":"not_yet_invented","error":"x"}"#,
            &expect!["prometheus refused the query: not_yet_invented: x"],
        );
        check(
            401,
            "Unauthorized",
            &expect![
                "answered HTTP 401 without an error of prometheus; check the token or password and its rights"
            ],
        );
        check(
            302,
            "",
            &expect![
                "answered HTTP 302 without an error of prometheus; set the url it redirects to"
            ],
        );
        check(
            503,
            &vector("[]"),
            &expect![
                "answered HTTP 503 without an error of prometheus; something before prometheus may have answered"
            ],
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_no_answer() {
        check(
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#,
            &expect!["the query returns a scalar, it must return a vector"],
        );
        check(
            200,
            r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
            &expect!["the query returns a string, it must return a vector"],
        );
        check(
            200,
            r#"{"status":"success"}"#,
            &expect!["cannot read the answer: it has no `data`; is the url that of a prometheus?"],
        );
        check(
            200,
            "<html>",
            &expect![
                "cannot read the answer: expected value at line 1 column 1; is the url that of a prometheus?"
            ],
        );
        check(
            200,
            &vector(r#"[{"metric":{"service":"a"},"value":[1e300,"1"]}]"#),
            &expect![
                "cannot read the answer: a sample's time is out of range at line 1 column 48; is the url that of a prometheus?"
            ],
        );
        check(
            200,
            &vector(r#"[{"metric":{"service":"a"},"value":[1,"s3cret"]}]"#),
            &expect![[
                r#"cannot read the answer: invalid value: string "[hidden]", expected a float value inside a quoted JSON string at line 1 column 47; is the url that of a prometheus?"#
            ]],
        );
    }

    #[test]
    fn warnings_mark_an_answer_as_partial_and_notes_do_not() {
        let with = |extra: &str| vector("[]").replacen('{', &format!("{{{extra},"), 1);
        check(
            200,
            &with(r#""warnings":["a store is down"]"#),
            &expect![[r#"0 series, 0 unknown; warning "a store is down""#]],
        );
        check(
            200,
            &with(r#""warnings":{"odd":1}"#),
            &expect![[r#"0 series, 0 unknown; warning "{\"odd\":1}""#]],
        );
        check(200, &with(r#""warnings":[]"#), &expect!["0 series, 0 unknown"]);
        check(200, &with(r#""warnings":null"#), &expect!["0 series, 0 unknown"]);
        check(200, &with(r#""infos":["not a counter?"]"#), &expect!["0 series, 0 unknown"]);
    }

    #[test]
    fn an_answer_with_too_many_series_is_refused() {
        let one = r#"{"metric":{},"value":[1,"1"]}"#;
        let all = vec![one; SERIES_MAX + 1].join(",");
        check(
            200,
            &vector(&format!("[{}]", &all[one.len() + 1..])),
            &expect!["20000 series, 20000 unknown"],
        );
        check(
            200,
            &vector(&format!("[{all}]")),
            &expect![
                "the answer has more than 20000 series; aggregate the query, for example `sum by (service) (…)`"
            ],
        );
    }
}
