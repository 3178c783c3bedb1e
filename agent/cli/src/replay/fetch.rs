//! Everything that a replay needs of Prometheus, piece by piece.
//!
//! **In:** documents, grids of time, a [`Backend`].
//! **Out:** a [`Recording`]; warnings about what was left out.
//! **Not here:** one exchange ([`super::backend`]), the replay.
//!
//! One range query per question and piece, one after another: a replay must not be what a
//! Prometheus breaks under. Policies with the same query and label share their answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use evenkeel_core::documents::{Documents, Rule};
use evenkeel_sim::replay::{Grid, Part, Question, Recording};
use jiff::Timestamp;

use super::answer::{Answer, Key, SERIES_MAX};
use super::backend::{ANSWER_BYTES_MAX, Backend, Range, Wrong};
use super::trouble::Trouble;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Points per series in one answer. Why 10,000: Prometheus refuses more than 11,000.
const POINTS_PER_SERIES_MAX: usize = 10_000;

/// Bytes that one point takes in an answer, as for the daemon.
const POINT_BYTES: usize = 48;

/// How often one piece is asked for. Why 3: enough for a Prometheus that is restarting behind
/// its load balancer.
const ATTEMPTS_MAX: u32 = 3;

/// Wait before the second attempt; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(500);

/// How often a piece that is too heavy is halved. Why 6: a 64th of a week is less than three
/// hours; a query that is too heavy then is too heavy for every evaluation too.
const HALVINGS_MAX: u8 = 6;

/// Most samples of one replay. Why 50 million: 400 MB, or ten targets with two signals each for
/// 400 days at 15 s.
const SAMPLES_MAX: usize = 50_000_000;

/// Who asks a question, for messages, and the label values that belong to targets.
#[derive(Debug, Default)]
struct Wanted {
    /// `policy `web`, signal `requests``.
    asker: String,
    values: BTreeSet<String>,
    wants_past: bool,
}

type Questions = BTreeMap<Question, Wanted>;

/// Some instants of one grid, by place, the last one included.
#[derive(Clone, Copy, Debug)]
struct Piece {
    part: Part,
    first: usize,
    last: usize,
    halvings: u8,
}

/// Samples that came and are not used.
#[derive(Debug, Default)]
struct Unused {
    n_ignored: usize,
    n_without_label: usize,
    warning: Option<String>,
}

/// Reads all that `versions` ask for.
///
/// # Errors
///
/// More than is read, or a query that got no answer: a replay with a hole that nobody knows of
/// is worse than none.
pub(super) fn fetch(
    backend: &Backend,
    versions: &[&Documents],
    capacity_query: Option<&str>,
    past: Grid,
    span: Grid,
    terminal: &Terminal,
) -> Result<Recording, Trouble> {
    let questions = questions(versions, capacity_query);
    let n_samples: usize = questions
        .values()
        .map(|it| it.values.len() * (span.len + if it.wants_past { past.len } else { 0 }))
        .sum();
    if SAMPLES_MAX < n_samples {
        return Err(Trouble::refused(
            format!("that is {n_samples} samples, at most {SAMPLES_MAX} are read"),
            "replay less time, or fewer targets, or with a longer `--step`",
        ));
    }
    let mut recording = Recording::new(past, span);
    let progress = Progress::steps("reading");
    let n_all = questions.len() * (span.len + past.len);
    let mut n_done = 0;
    for (question, wanted) in &questions {
        let mut unused = Unused::default();
        let parts: &[(Part, Grid)] = match wanted.wants_past {
            true => &[(Part::Past, past), (Part::Span, span)],
            false => &[(Part::Span, span)],
        };
        for (part, grid) in parts {
            let key = Key::Label(&question.label);
            let asked = Asked { query: &question.query, key, asker: &wanted.asker };
            let all = pieces(*part, grid.len, points_max(wanted.values.len()));
            read_pieces(backend, asked, *grid, all, &progress, terminal, &mut |piece, answer| {
                keep(&mut recording, question, wanted, piece, answer, &mut unused);
                n_done += piece.last + 1 - piece.first;
                progress.of(n_done, n_all);
            })?;
        }
        progress.aside(|| unused.say(wanted, &question.label, terminal));
    }
    Ok(recording)
}

/// One query, and who asks it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) query: &'a str,
    pub(crate) key: Key<'a>,
    /// For messages.
    pub(crate) asker: &'a str,
}

/// Reads one query over a whole grid, in answers of bounded size, oldest first.
///
/// # Errors
///
/// A query that got no answer in however small pieces.
pub(crate) fn read(
    backend: &Backend,
    asked: Asked<'_>,
    grid: Grid,
    n_series: usize,
    progress: &Progress,
    terminal: &Terminal,
    take: &mut dyn FnMut(Answer),
) -> Result<(), Trouble> {
    let all = pieces(Part::Span, grid.len, points_max(n_series));
    read_pieces(backend, asked, grid, all, progress, terminal, &mut |_, answer| take(answer))
}

fn read_pieces(
    backend: &Backend,
    asked: Asked<'_>,
    grid: Grid,
    mut pieces: VecDeque<Piece>,
    progress: &Progress,
    terminal: &Terminal,
    take: &mut dyn FnMut(Piece, Answer),
) -> Result<(), Trouble> {
    let mut is_halved = false;
    while let Some(piece) = pieces.pop_front() {
        match ask(backend, asked.query, asked.key, grid, piece) {
            Ok(answer) => take(piece, answer),
            Err(wrong) => match piece.halves().filter(|_| wrong.is_heavy()) {
                Some([early, late]) => {
                    if !is_halved {
                        let what = wrong.briefly();
                        let said = format!("{}: {what}; asking for less at once", asked.asker);
                        progress.aside(|| terminal.warning(&said));
                        is_halved = true;
                    }
                    pieces.push_front(late);
                    pieces.push_front(early);
                }
                None => return Err(trouble(&wrong, backend, asked.asker, grid, piece)),
            },
        }
    }
    Ok(())
}

fn questions(versions: &[&Documents], capacity_query: Option<&str>) -> Questions {
    let mut questions = Questions::new();
    for documents in versions {
        for target in documents.targets() {
            let Some(policy) = documents.policy_of(&target.id) else { continue };
            let value = policy.label_value_of(target);
            let label = &policy.target_label;
            let mut has_load = false;
            for signal in &policy.signals {
                if !matches!(signal.rule, Rule::ValuePerUnit { .. }) {
                    continue;
                }
                has_load = true;
                let question = Question { query: signal.query.clone(), label: label.clone() };
                let wanted = questions.entry(question).or_insert_with(|| Wanted {
                    asker: format!("policy `{}`, signal `{}`", policy.id, signal.name),
                    ..Wanted::default()
                });
                wanted.values.insert(value.to_owned());
                wanted.wants_past = true;
            }
            if let Some(query) = capacity_query.filter(|_| has_load) {
                let question = Question { query: query.to_owned(), label: label.clone() };
                let wanted = questions.entry(question).or_insert_with(|| Wanted {
                    asker: "`--capacity-query`".to_owned(),
                    ..Wanted::default()
                });
                wanted.values.insert(value.to_owned());
            }
        }
    }
    questions
}

/// Points per series that keep an answer within its bytes.
fn points_max(n_series: usize) -> usize {
    (ANSWER_BYTES_MAX / POINT_BYTES / n_series.max(1)).clamp(1, POINTS_PER_SERIES_MAX)
}

/// All of a grid, oldest first.
fn pieces(part: Part, len: usize, points_max: usize) -> VecDeque<Piece> {
    let firsts = (0..len).step_by(points_max.max(1));
    firsts
        .map(|first| {
            let last = first.saturating_add(points_max).min(len) - 1;
            Piece { part, first, last, halvings: 0 }
        })
        .collect()
}

impl Piece {
    fn halves(self) -> Option<[Piece; 2]> {
        if self.last <= self.first || HALVINGS_MAX <= self.halvings {
            return None;
        }
        let halvings = self.halvings + 1;
        let middle = self.first.midpoint(self.last);
        Some([
            Piece { last: middle, halvings, ..self },
            Piece { first: middle + 1, halvings, ..self },
        ])
    }
}

impl Wrong {
    /// Whether less of it might be answered.
    fn is_heavy(&self) -> bool {
        match self {
            Wrong::TimedOut { .. } | Wrong::TooLarge | Wrong::TooManySeries => true,
            // `execution` is, among others, "would load too many samples into memory".
            Wrong::Refused { kind, .. } => {
                ["execution", "timeout", "canceled"].contains(&kind.as_str())
            }
            Wrong::Status { status } => [408, 413, 422, 504].contains(status),
            Wrong::Unreachable { .. } | Wrong::Unreadable { .. } => false,
        }
    }

    /// What it was, for who waits.
    fn briefly(&self) -> String {
        match self {
            Wrong::TimedOut { seconds } => format!("no complete answer within {seconds} s"),
            Wrong::TooLarge => format!("an answer of more than {ANSWER_BYTES_MAX} bytes"),
            Wrong::TooManySeries => format!("an answer of more than {SERIES_MAX} series"),
            Wrong::Refused { kind, message } => format!("Prometheus refused it: {kind}: {message}"),
            Wrong::Status { status } => format!("HTTP {status}"),
            Wrong::Unreachable { reason } | Wrong::Unreadable { reason } => reason.clone(),
        }
    }

    /// Whether the same might be answered a little later.
    fn is_passing(&self) -> bool {
        match self {
            Wrong::Unreachable { .. } => true,
            Wrong::Refused { kind, .. } => kind == "unavailable",
            Wrong::Status { status } => *status == 429 || (500 <= *status && !self.is_heavy()),
            Wrong::TimedOut { .. }
            | Wrong::TooLarge
            | Wrong::TooManySeries
            | Wrong::Unreadable { .. } => false,
        }
    }
}

fn ask(
    backend: &Backend,
    query: &str,
    key: Key<'_>,
    grid: Grid,
    piece: Piece,
) -> Result<Answer, Wrong> {
    let range = Range { from: grid.at(piece.first), to: grid.at(piece.last), step: grid.step };
    let mut attempt = 1;
    loop {
        match backend.ask(query, range, key) {
            Err(wrong) if wrong.is_passing() && attempt < ATTEMPTS_MAX => {
                std::thread::sleep(BACKOFF * attempt);
                attempt += 1;
            }
            settled => return settled,
        }
    }
}

fn keep(
    recording: &mut Recording,
    question: &Question,
    wanted: &Wanted,
    piece: Piece,
    answer: Answer,
    unused: &mut Unused,
) {
    unused.n_without_label = unused.n_without_label.max(answer.n_without_label);
    unused.warning = unused.warning.take().or(answer.warning);
    for series in answer.series.iter().filter(|it| wanted.values.contains(&it.value)) {
        for (at, number) in &series.samples {
            let at = second(*at);
            let is_kept = at
                .is_some_and(|at| recording.put(piece.part, question, &series.value, at, *number));
            unused.n_ignored += usize::from(!is_kept);
        }
    }
}

/// A whole second; the instants that were asked for are.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
pub(crate) fn second(at: f64) -> Option<i64> {
    (at.fract().abs() < f64::EPSILON && at.abs() < 1e12).then_some(at as i64)
}

impl Unused {
    fn say(&self, wanted: &Wanted, label: &str, terminal: &Terminal) {
        let asker = &wanted.asker;
        if 0 < self.n_ignored {
            terminal.warning(&format!(
                "{asker}: {} values are negative or not finite, and count as gaps",
                self.n_ignored
            ));
        }
        if 0 < self.n_without_label {
            terminal.warning(&format!(
                "{asker}: {} series have no label `{label}`, and are left out",
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

fn trouble(wrong: &Wrong, backend: &Backend, asker: &str, grid: Grid, piece: Piece) -> Trouble {
    let at = backend.at();
    let instant = |it: usize| {
        Timestamp::from_second(grid.at(it))
            .map_or_else(|_| grid.at(it).to_string(), |it| it.to_string())
    };
    let time = format!("{} to {}", instant(piece.first), instant(piece.last));
    let smaller = "it stays too heavy in small pieces; aggregate the query, for example \
                   `sum by (service) (…)`, or give it more time with `--timeout`";
    match wrong {
        Wrong::Unreachable { reason } => Trouble::refused(
            format!("Prometheus cannot be reached at `{at}`: {reason}"),
            "check the address, and that you may connect from here; for a private certificate \
             authority, `--ca-file FILE`",
        ),
        Wrong::TimedOut { seconds } => Trouble::refused(
            format!("{asker}: no complete answer within {seconds} s, for {time}"),
            smaller,
        ),
        Wrong::TooLarge => Trouble::refused(
            format!("{asker}: the answer has more than {ANSWER_BYTES_MAX} bytes, for {time}"),
            smaller,
        ),
        Wrong::TooManySeries => Trouble::refused(
            format!("{asker}: the answer has more than {SERIES_MAX} series, for {time}"),
            smaller,
        ),
        Wrong::Refused { kind, message } => Trouble::refused(
            format!("{asker}: Prometheus refused the query: {kind}: {message}"),
            "try the query in Prometheus itself, then correct it in the document",
        ),
        Wrong::Status { status } => Trouble::refused(
            format!("{asker}: `{at}` answered HTTP {status} without a word of Prometheus"),
            match status {
                300..=399 => "give the URL that it redirects to",
                401 | 403 => "give a token that may read, with `--bearer-token-file`",
                404 | 405 => "check the path of the URL",
                _ => {
                    "something before Prometheus may have answered; ask it again, or ask whoever runs it"
                }
            },
        ),
        Wrong::Unreadable { reason } => Trouble::refused(
            format!("{asker}: the answer of `{at}` cannot be read: {reason}"),
            "check that the address is that of a Prometheus",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Every instant is asked for exactly once, however pieces are halved.
        #[test]
        fn pieces_cover_the_grid_without_overlap(
            len in 0usize..5_000, points_max in 1usize..11_000,
            halve in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let mut queue = pieces(Part::Span, len, points_max);
            let mut halve = halve.into_iter();
            let mut next = 0;
            while let Some(piece) = queue.pop_front() {
                if halve.next() == Some(true) && let Some([early, late]) = piece.halves() {
                    queue.push_front(late);
                    queue.push_front(early);
                    continue;
                }
                prop_assert_eq!(piece.first, next);
                prop_assert!(piece.first <= piece.last);
                prop_assert!(piece.last - piece.first < points_max);
                next = piece.last + 1;
            }
            prop_assert_eq!(next, len);
        }
    }

    #[test]
    fn no_answer_has_more_points_than_prometheus_gives() {
        assert_eq!(points_max(1), POINTS_PER_SERIES_MAX);
        assert!(points_max(1_000) * 1_000 * POINT_BYTES <= ANSWER_BYTES_MAX);
        assert_eq!(points_max(usize::MAX), 1);
    }
}
