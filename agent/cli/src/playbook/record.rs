//! The inputs of playbooks, as they were recorded.
//!
//! **In:** playbooks with their targets, a grid of time, a Prometheus.
//! **Out:** per input and target one column of values, or one per instance.
//! **Not here:** one exchange ([`crate::replay::backend`]), what a value means
//! ([`super::walk`]).

use std::collections::BTreeMap;

use evenkeel_core::documents::{Per, Playbook, PlaybookInput, Target};
use evenkeel_core::ids::{InputName, InstanceName};
use evenkeel_sim::replay::Grid;

use super::walk::{Column, Track, Tracks};
use crate::progress::Progress;
use crate::replay::answer::{Answer, Key};
use crate::replay::backend::Backend;
use crate::replay::fetch::{self, Asked, second};
use crate::replay::trouble::Trouble;
use crate::terminal::Terminal;

/// Most values that are kept. Why 50 million: 400 MB.
const VALUES_MAX: usize = 50_000_000;

/// How the series of one answer are told apart; owned, to be a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Target { label: String },
    Everything,
    Instance { label: String, instance: String },
}

/// Query, how it is cut.
type Question = (String, Cut);

/// Label value of the target, then of the instance; both empty where there is none.
type Columns = BTreeMap<String, BTreeMap<String, Column>>;

/// All that was read.
pub(super) struct Recorded {
    answers: BTreeMap<Question, Columns>,
    capacity_query: Option<String>,
}

impl Cut {
    fn of(playbook: &Playbook, input: &PlaybookInput) -> Cut {
        let label = playbook.target_label.clone();
        match &input.per {
            Per::Target => Cut::Target { label },
            Per::Everything => Cut::Everything,
            Per::Instance { label: instance } => {
                Cut::Instance { label, instance: instance.clone() }
            }
        }
    }

    fn key(&self) -> Key<'_> {
        match self {
            Cut::Target { label } => Key::Label(label),
            Cut::Everything => Key::Nothing,
            Cut::Instance { label, instance } => Key::Labels(label, instance),
        }
    }
}

/// Reads everything that `pairs` ask for, each query once.
///
/// # Errors
///
/// A query that got no answer, or more than is kept.
pub(super) fn read(
    backend: &Backend,
    pairs: &[(&Playbook, Vec<&Target>)],
    capacity_query: Option<&str>,
    span: Grid,
    terminal: &Terminal,
) -> Result<Recorded, Trouble> {
    let mut questions: BTreeMap<Question, String> = BTreeMap::new();
    for (playbook, _) in pairs {
        // A recording of metrics does not say what budgets were.
        for input in playbook.inputs.iter().filter(|it| it.budget.is_none()) {
            let question = (input.query.clone(), Cut::of(playbook, input));
            let asker = || format!("playbook `{}`, input `{}`", playbook.id, input.name);
            questions.entry(question).or_insert_with(asker);
        }
        if let Some(query) = capacity_query {
            let question = (query.to_owned(), Cut::Target { label: playbook.target_label.clone() });
            questions.entry(question).or_insert_with(|| "`--capacity-query`".to_owned());
        }
    }
    let n_targets = pairs.iter().map(|(_, targets)| targets.len()).max().unwrap_or(1);
    let progress = Progress::steps("reading");
    let n_questions = questions.len();
    let mut answers = BTreeMap::new();
    let mut n_columns = 0;
    for (done, (question, asker)) in questions.into_iter().enumerate() {
        progress.of(done, n_questions);
        let mut columns = Columns::new();
        let mut unused = Unused::default();
        let asked = Asked { query: &question.0, key: question.1.key(), asker: &asker };
        fetch::read(backend, asked, span, n_targets, &progress, terminal, &mut |answer| {
            keep(&mut columns, span, answer, &mut unused);
        })?;
        progress.aside(|| unused.say(&asker, terminal));
        n_columns += columns.values().map(BTreeMap::len).sum::<usize>();
        let n_values = n_columns.saturating_mul(span.len);
        if VALUES_MAX < n_values {
            return Err(Trouble::refused(
                format!("{asker}: that is {n_values} values by now, at most {VALUES_MAX} are kept"),
                "test less time, or with a longer `--step`, or fewer playbooks at once",
            ));
        }
        answers.insert(question, columns);
    }
    Ok(Recorded { answers, capacity_query: capacity_query.map(str::to_owned) })
}

#[derive(Default)]
struct Unused {
    n_without_label: usize,
    warning: Option<String>,
}

impl Unused {
    fn say(&self, asker: &str, terminal: &Terminal) {
        if 0 < self.n_without_label {
            terminal.warning(&format!(
                "{asker}: {} series lack a label that tells them apart, and are left out",
                self.n_without_label
            ));
        }
        if let Some(warning) = &self.warning {
            terminal.warning(&format!(
                "{asker}: Prometheus warns that its answer may be partial: {warning}"
            ));
        }
    }
}

fn keep(columns: &mut Columns, span: Grid, answer: Answer, unused: &mut Unused) {
    unused.n_without_label = unused.n_without_label.max(answer.n_without_label);
    unused.warning = unused.warning.take().or(answer.warning);
    for series in answer.series {
        let of_value = columns.entry(series.value).or_default();
        let column = of_value.entry(series.part).or_insert_with(|| Column::new(span.len));
        for (at, number) in series.samples {
            let since = second(at).and_then(|it| it.checked_sub(span.from));
            let place =
                since.filter(|it| it % span.step.max(1) == 0).map(|it| it / span.step.max(1));
            if let Some(place) = place.and_then(|it| usize::try_from(it).ok()) {
                column.put(place, number);
            }
        }
    }
}

impl Recorded {
    /// What was recorded of one playbook's inputs for one target.
    pub(super) fn tracks<'a>(&'a self, playbook: &Playbook, target: &Target) -> Tracks<'a> {
        let label = target.labels.get(&playbook.target_label);
        let value = label.map_or(target.id.as_str(), String::as_str);
        let inputs = playbook.inputs.iter().map(|input| {
            let columns = self.answers.get(&(input.query.clone(), Cut::of(playbook, input)));
            (input.name.clone(), columns.map_or(Track::Nothing, |it| track(input, value, it)))
        });
        let inputs: BTreeMap<InputName, Track<'a>> = inputs.collect();
        let capacity = self.capacity_query.as_ref().and_then(|query| {
            let cut = Cut::Target { label: playbook.target_label.clone() };
            self.answers.get(&(query.clone(), cut))?.get(value)?.get("")
        });
        Tracks { inputs, capacity }
    }
}

fn track<'a>(input: &PlaybookInput, value: &str, columns: &'a Columns) -> Track<'a> {
    let one = |value: &str| {
        let column = columns.get(value).and_then(|it| it.get(""));
        column.map_or(Track::Nothing, Track::One)
    };
    match &input.per {
        Per::Target => one(value),
        Per::Everything => one(""),
        Per::Instance { .. } => {
            let of_target = columns.get(value).into_iter().flatten();
            let named = of_target
                .filter_map(|(name, it)| Some((InstanceName::new(name.as_str()).ok()?, it)));
            Track::Instances(named.collect())
        }
    }
}
