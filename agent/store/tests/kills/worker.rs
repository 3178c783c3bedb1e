//! One life of the agent, until it has told its story or is killed.
//!
//! **In:** a folder with a journal and a platform; a story; permission to go on, line by line.
//! **Out:** the points that it comes to, overrides that are in force, how it ended.
//! **Not here:** a real clock: time begins where the journal ends.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_core::action::Action;
use evenkeel_core::agent::{Agent, Committed, Input, Outcome};
use evenkeel_core::documents::{Documents, Identity};
use evenkeel_core::effect::{Effect, EffectOutcome};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::{EffectId, RunId, TargetId};
use evenkeel_core::notice::Delivery;
use evenkeel_core::quality::{CapacityReading, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::request::{Answer, OverrideAsked, Request, Verb};
use evenkeel_core::run::{Phase, Run};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use evenkeel_store::{Entry, Reader, SigningKey, Store};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::parent::intent_in;
use crate::platform::{Deed, Platform, start};
use crate::stories::{Plant, Point, Story, Turn};

/// Names the folder to the worker.
pub(crate) const FOLDER: &str = "EVENKEEL_KILLS_FOLDER";
/// Tells it the story.
pub(crate) const STORY: &str = "EVENKEEL_KILLS_STORY";
/// Begins what it says; before that a line may hold words of the test harness.
pub(crate) const SAYS: &str = "::";

const ORIGIN: &str = "example.com/evenkeel/kills";

/// Evaluation periods that a story may take. Why 100: 25 minutes, more than any wait in it.
const PERIODS_MAX: u32 = 100;

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

pub(crate) fn journal_in(folder: &Path) -> PathBuf {
    folder.join("journal.db")
}

/// Every record of the journal, oldest first.
pub(crate) fn records(reader: &Reader) -> Vec<Record> {
    let mut records = Vec::new();
    reader
        .scan(1, &mut |it| {
            records.push(serde_json::from_slice(&it.body).expect("a record"));
            ControlFlow::Continue(())
        })
        .expect("read");
    records
}

/// What there is to compare states by.
pub(crate) fn sha256_of(state: &State) -> String {
    let digest = Sha256::digest(serde_json::to_vec(state).expect("JSON"));
    digest.iter().map(|it| format!("{it:02x}")).collect()
}

/// The phase of a run in one word, with its ending.
pub(crate) fn phase(run: &Run) -> &'static str {
    if let Phase::Ended { ending, .. } = &run.phase { ending.name() } else { run.phase.name() }
}

pub(crate) fn live_if_asked() {
    let (Ok(folder), Ok(story)) = (std::env::var(FOLDER), std::env::var(STORY)) else { return };
    let story = Story::from_text(&story).expect("a story");
    Worker::begin(Path::new(&folder), story).live();
}

struct Worker {
    story: Story,
    agent: Agent,
    store: Store,
    platform: Platform,
    documents: Arc<Documents>,
    now: Timestamp,
    work: VecDeque<Effect>,
}

impl Worker {
    fn begin(folder: &Path, story: Story) -> Worker {
        let store = Store::open(&journal_in(folder), ORIGIN, key(), start()).expect("opened");
        let state = recovered(&store.reader().expect("a reader"));
        let now = state.latest_at().max(start()) + SignedDuration::from_secs(15);
        let platform = Platform::open(folder, story);
        let (agent, documents) = (Agent::new(state), story.documents());
        Worker { story, agent, store, platform, documents, now, work: VecDeque::new() }
    }

    fn live(&mut self) {
        self.handle(Input::Started { version: "test".to_owned() });
        self.handle(Input::DocumentsLoaded(Arc::clone(&self.documents)));
        let term = self.agent.state().term().0;
        if term.is_multiple_of(2) {
            self.handle(Input::SnapshotWanted);
        }
        self.set_an_override(term);
        if !self.story.is_triggered && self.agent.state().healing().runs().len() == 0 {
            self.look_at_all();
            let verb = Verb::StartRun {
                playbook: "repair".parse().expect("an id"),
                target: "web".parse().expect("an id"),
                parameters: BTreeMap::new(),
                is_dry: false,
                reason: "it is ill".to_owned(),
            };
            self.ask_as("ana", verb);
        }
        for _ in 0..PERIODS_MAX {
            self.look_at_all();
            self.settle();
            if let Some(run) = self.waits_for_people() {
                self.ask_as("ben", run);
                self.settle();
            }
            let healing = self.agent.state().healing();
            let is_over = |it: &Run| matches!(it.phase, Phase::Ended { .. } | Phase::Stuck { .. });
            let n_untold = healing.unreported().count() + healing.notices().len();
            if let Some(run) = healing.run(RunId(1)).filter(|it| is_over(it) && n_untold == 0) {
                return say(&format!("ended {} {}", phase(run), sha256_of(self.agent.state())));
            }
            self.now += SignedDuration::from_secs(15);
        }
        let why = self.agent.state().healing().run(RunId(1)).map(|it| it.phase.clone());
        say(&format!("gave up at {why:?}, {:?}", self.agent.views().waiting_for(RunId(1))));
    }

    /// Another one in every life, on targets that no playbook touches.
    fn set_an_override(&mut self, term: u64) {
        let (kind, scope) = match term % 3 {
            0 => (OverrideAsked::NoScaleDown, "queue"),
            1 => (OverrideAsked::Freeze, "db"),
            _ => (OverrideAsked::Pin { capacity: Some(Capacity(10)) }, "cache"),
        };
        let verb = Verb::SetOverride {
            kind,
            scope: scope.parse().expect("a scope"),
            duration: Some(SignedDuration::from_hours(48)),
            reason: format!("life {term}"),
        };
        if self.story.plant == Some(Plant::ForgetsOverrides) {
            let request = Request { identity: identity("ana"), verb };
            let outcome = self.agent.handle(self.now, Input::Requested(request));
            let Ok(committed) = outcome.commit(|_| Ok::<(), std::convert::Infallible>(()));
            return tell(committed.answer);
        }
        self.ask_as("ana", verb);
    }

    fn waits_for_people(&self) -> Option<Verb> {
        let run = self.agent.state().healing().run(RunId(1))?;
        let Phase::AwaitingApproval { .. } = run.phase else { return None };
        let plan_hash = run.plan.as_ref()?.hash();
        Some(Verb::Approve { run: run.id, plan_hash, is_break_glass: false, reason: String::new() })
    }

    fn ask_as(&mut self, who: &str, verb: Verb) {
        let answer = self.handle(Input::Requested(Request { identity: identity(who), verb }));
        tell(answer);
    }

    /// Handles one input, makes it durable, lets effects wait; the answer to a person.
    fn handle(
        &mut self,
        input: Input,
    ) -> Option<Result<Answer, evenkeel_core::request::RequestRefusal>> {
        let ends = if let Input::EffectFinished { id, .. } = &input {
            self.turn_of(*id).map(|(_, turn)| turn)
        } else {
            None
        };
        let outcome = self.agent.handle(self.now, input);
        let begins = outcome.records().iter().find_map(intent_in).map(|(_, turn)| turn);
        let committed = if self.story.plant == Some(Plant::EffectsBeforeIntents) {
            self.commit_too_late(outcome, begins)
        } else {
            point_if(Point::BeforeIntent, begins);
            let store = &mut self.store;
            outcome.commit(|records| append(store, records)).expect("appended")
        };
        point_if(Point::AfterOutcome, ends);
        point_if(Point::AfterIntent, begins);
        assert!(committed.withdrawn.is_empty(), "nobody says anything against it");
        self.work.extend(committed.effects);
        committed.answer
    }

    /// The planted bug.
    fn commit_too_late(&mut self, outcome: Outcome, begins: Option<Turn>) -> Committed {
        let mut late = Vec::new();
        let Ok(committed) = outcome.commit(|records| {
            late.extend_from_slice(records);
            Ok::<(), std::convert::Infallible>(())
        });
        for effect in &committed.effects {
            self.perform(effect, false);
        }
        point_if(Point::BeforeIntent, begins);
        if !late.is_empty() {
            append(&mut self.store, &late).expect("appended");
        }
        committed
    }

    /// To which run an effect belongs, and to which of its turns.
    fn turn_of(&self, effect: EffectId) -> Option<(RunId, Turn)> {
        let run = self.agent.state().healing().run_of_effect(effect)?;
        match &run.phase {
            Phase::Running { step, .. } => Some((run.id, Turn { step: *step, is_undo: false })),
            Phase::Undoing { .. } => {
                Some((run.id, Turn { step: run.undoing_step()?, is_undo: true }))
            }
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Verifying { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => None,
        }
    }

    fn settle(&mut self) {
        while let Some(effect) = self.work.pop_front() {
            match &effect {
                Effect::Notify(notice) => {
                    let (id, delivery) = (notice.id, Delivery::Delivered);
                    self.handle(Input::NoticeFinished { id, delivery });
                }
                Effect::Look(look) => {
                    let result = Ok(self.platform.look(look));
                    self.handle(Input::Looked { run: look.run, step: look.step, result });
                }
                Effect::Act(_) | Effect::SetCapacity(_) => {
                    let deed = if self.story.plant == Some(Plant::EffectsBeforeIntents) {
                        self.deed(&effect)
                    } else {
                        self.perform(&effect, self.story.begins_first)
                    };
                    let Some(deed) = deed else { continue };
                    point_if(Point::AfterEffect, Some(deed.turn()));
                    let (outcome, detail) = (EffectOutcome::Done, "test".to_owned());
                    self.handle(Input::EffectFinished { id: deed.effect, outcome, detail });
                }
            }
        }
    }

    fn deed(&self, effect: &Effect) -> Option<Deed> {
        let (effect, target, action) = match effect {
            Effect::Act(it) => (it.id(), it.target().clone(), it.action().clone()),
            Effect::SetCapacity(it) => {
                let action = Action::SetCapacity { desired: it.desired() };
                (it.id(), it.target().clone(), action)
            }
            Effect::Look(_) | Effect::Notify(_) => return None,
        };
        let (run, Turn { step, is_undo }) = self.turn_of(effect).expect("an effect of a run");
        let (at, has_only_begun) = (self.now, false);
        Some(Deed { effect, run, step, is_undo, target, action, at, has_only_begun })
    }

    fn perform(&mut self, effect: &Effect, begins_first: bool) -> Option<Deed> {
        let deed = self.deed(effect)?;
        if begins_first {
            self.platform.perform(&Deed { has_only_begun: true, ..deed.clone() });
            point_if(Point::Begun, Some(deed.turn()));
        }
        self.platform.perform(&deed);
        Some(deed)
    }

    fn look_at_all(&mut self) {
        let read = |target: &TargetId| {
            let current = self.platform.capacity(target);
            CapacityReading { current, ready: Some(current), read_at: self.now }
        };
        let targets = self.documents.targets().map(|it| TargetObservation {
            target: it.id.clone(),
            capacity: Ok(read(&it.id)),
            signals: Vec::new(),
        });
        let targets = targets.collect();
        self.handle(Input::Observed(targets));
        // Whether it helps is decided by the story. A person may begin when nothing is wrong.
        let is_well = !self.story.is_triggered || self.platform.has_done(self.story.step());
        let errors = if self.story.is_undone || !is_well { 1.0 } else { 0.0 };
        let reading = InputReading {
            input: "errors".parse().expect("a name"),
            reading: Ok(InputValue::One { value: errors, sampled_at: self.now }),
        };
        self.handle(Input::PlaybooksObserved(vec![PlaybookObservation {
            playbook: "repair".parse().expect("an id"),
            target: "web".parse().expect("an id"),
            inputs: vec![reading],
        }]));
    }
}

fn identity(name: &str) -> Identity {
    Identity::UnixUser { uid: 1_000, name: name.to_owned(), is_daemon_owner: false }
}

/// Tells the person; from then on they rely on it.
fn tell(answer: Option<Result<Answer, evenkeel_core::request::RequestRefusal>>) {
    let answer = answer.expect("a request gets an answer");
    if let Answer::OverrideSet { accepted, .. } = answer.expect("it is allowed") {
        say(&format!("override {}", serde_json::to_string(&accepted).expect("JSON")));
    }
}

/// The newest snapshot and what came after it, as the daemon does.
fn recovered(reader: &Reader) -> State {
    let mut state = State::default();
    let snapshot = reader.latest_of_kind(Record::SNAPSHOT).expect("read");
    let from_seq = snapshot.as_ref().map_or(1, |it| it.seq);
    reader
        .scan(from_seq, &mut |it| {
            let record: Record = serde_json::from_slice(&it.body).expect("a record");
            state.apply(&record);
            ControlFlow::Continue(())
        })
        .expect("read");
    state
}

fn append(store: &mut Store, records: &[Record]) -> Result<(), evenkeel_store::StoreError> {
    let bodies: Vec<Vec<u8>> =
        records.iter().map(|it| serde_json::to_vec(it).expect("JSON")).collect();
    let entries: Vec<Entry<'_>> = records
        .iter()
        .zip(&bodies)
        .map(|(record, body)| Entry {
            at: record.at(),
            kind: record.kind(),
            target_id: record.target().map(|it| it.as_str()),
            body,
        })
        .collect();
    store.append(&entries).map(|_| ())
}

/// Through the handle, because the test harness captures the macro.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{line}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// Says where it is, and waits for permission to go on, or for death.
fn point_if(point: Point, turn: Option<Turn>) {
    let Some(Turn { step, is_undo }) = turn else { return };
    say(&format!("point {} {step} {is_undo}", point.name()));
    let mut line = String::new();
    let n_bytes = std::io::stdin().lock().read_line(&mut line).expect("the parent speaks");
    assert!(0 < n_bytes, "the parent is gone");
}
