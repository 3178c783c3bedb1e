//! One evaluation's readings of all playbooks' inputs: each query asked once, whoever
//! wants its answer.
//!
//! **In:** playbooks, their targets, and the caller's clock.
//! **Out:** one reading per playbook, input and target, whatever happens.
//! **Not here:** what a sample must be like to count (`crate::source::inputs`), what
//! follows from a reading (the core's).

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::documents::{Documents, Per, Playbook, PlaybookInput, Target};
use evenkeel_core::heal::view::{
    INSTANCES_SEEN_MAX, InputReading, InputValue, PlaybookObservation,
};
use evenkeel_core::ids::{InputName, PlaybookId};
use evenkeel_core::quality::Absence;
use futures_util::future::join_all;
use jiff::Timestamp;
use tracing::{debug, warn};

use super::answer::{self, Found, Instances, Lone, Point, Series};
use super::client::Answer;
use super::error::QueryError;
use super::exchange::Asked;
use super::{Expected, PrometheusSource};
use crate::source::inputs::{judge, label_value_of, one, playbooks_in_use};

/// What one pass over all playbooks saw.
#[derive(Debug, Default)]
pub struct ObservedInputs {
    by_query: BTreeMap<String, Answered>,
    /// One per query.
    pub queries: Vec<InputReport>,
}

/// How one query went, for logs and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct InputReport {
    /// The first playbook that asks it.
    pub playbook: PlaybookId,
    /// As which of its inputs.
    pub input: InputName,
    /// How many inputs of how many playbooks it serves.
    pub n_askers: usize,
    /// From the request to the complete answer, by the caller's clock; without
    /// the wait for a turn.
    pub duration: Duration,
    /// Series in the answer.
    pub n_series: usize,
    /// Of these, series whose label names no target. They were ignored.
    pub n_series_unknown: usize,
    /// Of these, series without a name that an instance can have. They count as bad.
    pub n_series_nameless: usize,
    /// The first warning of the server, cut to 300 characters.
    pub warning: Option<String>,
    /// Why there is no answer, if so.
    pub error: Option<QueryError>,
}

/// How the series of an answer are told apart. Playbooks that want the same query may
/// differ in this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Target { label: String },
    Everything,
    Instance { label: String, instance: String },
}

impl Cut {
    fn of(playbook: &Playbook, input: &PlaybookInput) -> Cut {
        let label = || playbook.target_label.clone();
        match &input.per {
            Per::Target => Cut::Target { label: label() },
            Per::Everything => Cut::Everything,
            Per::Instance { label: instance } => {
                Cut::Instance { label: label(), instance: instance.clone() }
            }
        }
    }

    fn read(&self, answer: &Answer<'_>, expected: &Expected) -> Result<Piece, QueryError> {
        Ok(match self {
            Cut::Target { label } => Piece::Targets(answer::instant(answer, label, expected)?),
            Cut::Everything => Piece::Everything(answer::lone(answer)?),
            Cut::Instance { label, instance } => {
                Piece::Instances(answer::instances(answer, label, instance, expected)?)
            }
        })
    }
}

/// An answer, cut.
#[derive(Debug)]
enum Piece {
    Targets(Found<Point>),
    Everything(Lone),
    Instances(Found<Instances>),
}

#[derive(Debug)]
struct Answered {
    asked: Asked,
    pieces: Result<BTreeMap<Cut, Piece>, QueryError>,
}

/// One query, before it is asked.
struct Question<'a> {
    query: &'a str,
    first: (&'a PlaybookId, &'a InputName),
    n_askers: usize,
    cuts: BTreeMap<Cut, Expected>,
}

impl PrometheusSource {
    /// Asks each query of each playbook that has targets once, all side by side, in the
    /// same turns and with the same limits as [`PrometheusSource::observe`].
    ///
    /// Never fails; what cannot be read is an [`Absence`] of every target.
    pub async fn observe_inputs(
        &self,
        now: impl Fn() -> Timestamp,
        documents: &Documents,
    ) -> ObservedInputs {
        let asked = questions(documents).into_iter().map(|it| self.ask_input(&now, it));
        let mut observed = ObservedInputs::default();
        for (query, report, answered) in join_all(asked).await {
            observed.by_query.insert(query, answered);
            observed.queries.push(report);
        }
        observed
    }

    async fn ask_input(
        &self,
        now: &impl Fn() -> Timestamp,
        question: Question<'_>,
    ) -> (String, InputReport, Answered) {
        let Question { query, first: (playbook, input), n_askers, cuts } = question;
        let read = move |answer: &Answer<'_>| {
            let piece = |(cut, expected): (Cut, Expected)| {
                let piece = cut.read(answer, &expected)?;
                Ok((cut, piece))
            };
            cuts.into_iter().map(piece).collect::<Result<BTreeMap<_, _>, QueryError>>()
        };
        let (asked, pieces) = self.exchange(now, query, read).await;
        let mut report = InputReport {
            playbook: playbook.clone(),
            input: input.clone(),
            n_askers,
            duration: asked.took(),
            n_series: 0,
            n_series_unknown: 0,
            n_series_nameless: 0,
            warning: None,
            error: None,
        };
        match &pieces {
            Ok(pieces) => {
                for piece in pieces.values() {
                    report.take(piece);
                }
                debug!(
                    %playbook, %input, n_series = report.n_series,
                    n_series_unknown = report.n_series_unknown,
                    n_series_nameless = report.n_series_nameless, "observed"
                );
            }
            Err(error) => {
                warn!(%playbook, %input, n_askers, %error, "cannot observe");
                report.error = Some(error.clone());
            }
        }
        (query.to_owned(), report, Answered { asked, pieces })
    }
}

/// Every query, with everything that is wanted of its answer.
fn questions(documents: &Documents) -> Vec<Question<'_>> {
    let mut by_query: BTreeMap<&str, Question<'_>> = BTreeMap::new();
    // By label: the same for all playbooks that find their targets by it.
    let mut expected: BTreeMap<&str, Expected> = BTreeMap::new();
    for playbook in documents.playbooks() {
        if documents.targets_of_playbook(playbook).next().is_none() {
            continue;
        }
        let label = playbook.target_label.as_str();
        let expected = expected.entry(label).or_insert_with(|| {
            Expected::by_value(documents.targets().map(|it| (label_value_of(playbook, it), it)))
        });
        // What budgets say, the agent knows itself.
        for input in playbook.inputs.iter().filter(|it| it.budget.is_none()) {
            let question = by_query.entry(&input.query).or_insert_with(|| Question {
                query: &input.query,
                first: (&playbook.id, &input.name),
                n_askers: 0,
                cuts: BTreeMap::new(),
            });
            question.n_askers += 1;
            question.cuts.entry(Cut::of(playbook, input)).or_insert_with(|| expected.clone());
        }
    }
    by_query.into_values().collect()
}

impl InputReport {
    fn take(&mut self, piece: &Piece) {
        let (n_series, warning) = match piece {
            Piece::Targets(found) => {
                self.n_series_unknown = self.n_series_unknown.max(found.n_unknown);
                (found.n_series, &found.warning)
            }
            Piece::Everything(lone) => (lone.n_series, &lone.warning),
            Piece::Instances(found) => {
                self.n_series_unknown = self.n_series_unknown.max(found.n_unknown);
                let nameless = found.by_value.values().map(|it| it.first.n_nameless).sum();
                self.n_series_nameless = self.n_series_nameless.max(nameless);
                (found.n_series, &found.warning)
            }
        };
        self.n_series = n_series;
        self.warning.clone_from(warning);
    }
}

impl ObservedInputs {
    /// One observation per playbook and target of it, by name; each with one reading per
    /// input, in the playbook's order. Made one at a time, as they are taken.
    pub fn observations<'a>(
        &'a self,
        documents: &'a Documents,
    ) -> impl Iterator<Item = PlaybookObservation> + Send + 'a {
        playbooks_in_use(documents).flat_map(move |(playbook, targets)| {
            let asked: Vec<_> = playbook
                .inputs
                .iter()
                .filter(|it| it.budget.is_none())
                .map(|it| (it, Cut::of(playbook, it), self.by_query.get(&it.query)))
                .collect();
            targets.into_iter().map(move |target| {
                let read = |(input, cut, answered): &(&PlaybookInput, Cut, Option<&Answered>)| {
                    let reading = match answered {
                        Some(answered) => answered.read(playbook, input, cut, target),
                        // Documents that are newer than the question.
                        None => Err(Absence::NotObserved),
                    };
                    InputReading { input: input.name.clone(), reading }
                };
                PlaybookObservation {
                    playbook: playbook.id.clone(),
                    target: target.id.clone(),
                    inputs: asked.iter().map(read).collect(),
                }
            })
        })
    }
}

impl Answered {
    fn read(
        &self,
        playbook: &Playbook,
        input: &PlaybookInput,
        cut: &Cut,
        target: &Target,
    ) -> Result<InputValue, Absence> {
        let no_answer = |error: &QueryError| Absence::Backend {
            message: format!("playbook `{}`, input `{}`: {error}", playbook.id, input.name),
        };
        let partial = |warning: &Option<String>| match warning {
            Some(warning) => Err(no_answer(&QueryError::Partial { warning: warning.clone() })),
            None => Ok(()),
        };
        let pieces = self.pieces.as_ref().map_err(no_answer)?;
        let value = label_value_of(playbook, target);
        match pieces.get(cut) {
            Some(Piece::Targets(found)) => {
                partial(&found.warning)?;
                match found.by_value.get(value) {
                    None => Err(Absence::NoSeries),
                    Some(Series { first, n_series: 1 }) => one(self.judge(input, *first)),
                    Some(Series { n_series, .. }) => {
                        Err(Absence::SeveralSeries { n_series: *n_series })
                    }
                }
            }
            Some(Piece::Everything(lone)) => {
                partial(&lone.warning)?;
                match lone.first {
                    None => Err(Absence::NoSeries),
                    Some(first) if lone.n_series == 1 => one(self.judge(input, first)),
                    Some(_) => Err(Absence::SeveralSeries { n_series: lone.n_series }),
                }
            }
            Some(Piece::Instances(found)) => {
                partial(&found.warning)?;
                let series = found.by_value.get(value).ok_or(Absence::NoSeries)?;
                self.read_instances(playbook, input, &series.first)
            }
            None => Err(Absence::NotObserved),
        }
    }

    fn judge(
        &self,
        input: &PlaybookInput,
        (sampled_at, number): Point,
    ) -> Result<(f64, Timestamp), Absence> {
        judge(self.asked.judged_at(sampled_at), number, sampled_at, input)
    }

    /// The good ones, as long as they are at least half: of a fleet that is mostly not
    /// seen, nobody knows who is unlike the others.
    fn read_instances(
        &self,
        playbook: &Playbook,
        input: &PlaybookInput,
        instances: &Instances,
    ) -> Result<InputValue, Absence> {
        let backend = |why: String| Absence::Backend {
            message: format!("playbook `{}`, input `{}`: {why}", playbook.id, input.name),
        };
        if INSTANCES_SEEN_MAX < instances.by_name.len() {
            return Err(backend(format!(
                "more than {INSTANCES_SEEN_MAX} instances; aggregate the query, for example by zone"
            )));
        }
        if instances.is_ambiguous {
            return Err(Absence::SeveralSeries { n_series: instances.n_series });
        }
        let mut values = Vec::with_capacity(instances.by_name.len());
        let mut oldest: Option<Timestamp> = None;
        let mut first_bad: Option<String> = None;
        for (name, point) in &instances.by_name {
            match self.judge(input, *point) {
                Ok((value, sampled_at)) => {
                    oldest = Some(oldest.map_or(sampled_at, |it| it.min(sampled_at)));
                    values.push((name.clone(), value));
                }
                Err(absence) => {
                    first_bad.get_or_insert_with(|| format!("`{name}`: {absence}"));
                }
            }
        }
        let n_bad = instances.n_series - values.len();
        match oldest {
            Some(sampled_at) if n_bad <= values.len() => {
                Ok(InputValue::Instances { values, sampled_at })
            }
            _ => {
                let nameless = || "a series without the label of an instance".to_owned();
                let (n, first) = (instances.n_series, first_bad.unwrap_or_else(nameless));
                Err(backend(format!("{n_bad} of {n} instances cannot be read; first {first}")))
            }
        }
    }
}
