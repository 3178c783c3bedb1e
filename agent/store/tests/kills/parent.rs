//! Starts the worker again and again, and kills it where a story says.
//!
//! **In:** a story, and a decision at each point that the worker comes to.
//! **Out:** what was said before each death; where it died, checked against its files.
//! **Not here:** whether the end is right ([`crate::judge`]).

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenkeel_core::ids::EffectId;
use evenkeel_core::overrides::Override;
use evenkeel_core::record::Record;
use evenkeel_core::run::RunEvent;
use evenkeel_store::Reader;

use crate::platform::deeds;
use crate::stories::{Point, Story, Turn};
use crate::worker::{FOLDER, SAYS, STORY, journal_in, records};

/// Lives of one story. Why 30: three times what the hardest draw needs.
const LIVES_MAX: u32 = 30;

/// What `kill -9` sends.
const SIGKILL: i32 = 9;

/// What happens to a worker at a point.
pub(crate) enum Decision {
    Go,
    /// It dies there.
    Kill,
    /// It goes on, and dies wherever it then is.
    KillAfter(Duration),
}

/// A whole story.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// Processes killed.
    pub(crate) n_kills: u64,
    /// Where, for those that died at a point.
    pub(crate) hits: Vec<(Point, Turn)>,
    /// Overrides that a person was told are in force.
    pub(crate) overrides: Vec<Override>,
    /// How the run ended.
    pub(crate) ending: String,
    /// Hash of the last worker's state.
    pub(crate) state_sha256: String,
}

/// Plays a story to its end.
pub(crate) fn play(
    folder: &Path,
    story: Story,
    decide: &mut dyn FnMut(Point, Turn) -> Decision,
) -> Result<Played, String> {
    let mut played = Played::default();
    for _ in 0..LIVES_MAX {
        if one_life(folder, story, decide, &mut played)? {
            return Ok(played);
        }
    }
    Err(format!("it does not end in {LIVES_MAX} lives"))
}

fn spawn(folder: &Path, story: Story) -> std::io::Result<Child> {
    let errors = OpenOptions::new().create(true).append(true).open(folder.join("stderr"))?;
    Command::new(std::env::current_exe()?)
        .args(["--exact", "worker_that_is_killed", "--nocapture", "--test-threads=1"])
        .env("RUST_BACKTRACE", "0")
        .env(FOLDER, folder)
        .env(STORY, story.to_text())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
}

/// One life; whether the story ended in it.
fn one_life(
    folder: &Path,
    story: Story,
    decide: &mut dyn FnMut(Point, Turn) -> Decision,
    played: &mut Played,
) -> Result<bool, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut child = spawn(folder, story).map_err(text)?;
    let out = child.stdout.take().ok_or("no pipe")?;
    let mut says = child.stdin.take().ok_or("no pipe")?;
    let (mut is_over, mut died_at, mut is_doomed) = (false, None, false);
    for line in BufReader::new(out).lines() {
        let line = line.map_err(text)?;
        let Some((_, line)) = line.split_once(SAYS) else { continue };
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            // What was said before it died counts; what it waits for, it does not get.
            "point" if is_doomed => (),
            "point" => {
                let (point, turn) = place(rest).ok_or_else(|| format!("no point: {rest}"))?;
                match decide(point, turn) {
                    Decision::Go => says.write_all(b"go\n").map_err(text)?,
                    Decision::Kill => {
                        is_doomed = true;
                        died_at = Some((point, turn));
                        child.kill().map_err(text)?;
                    }
                    Decision::KillAfter(delay) => {
                        is_doomed = true;
                        says.write_all(b"go\n").map_err(text)?;
                        // Not to wait for something: any moment will do.
                        std::thread::sleep(delay);
                        child.kill().map_err(text)?;
                    }
                }
            }
            "override" => {
                played.overrides.push(serde_json::from_str(rest).map_err(|it| it.to_string())?);
            }
            "ended" => {
                let (ending, sha256) = rest.split_once(' ').ok_or("no state")?;
                (played.ending, played.state_sha256) = (ending.to_owned(), sha256.to_owned());
                is_over = true;
            }
            _ => return Err(format!("the worker says: {line}")),
        }
    }
    let status = child.wait().map_err(text)?;
    let was_killed = status.signal() == Some(SIGKILL);
    if was_killed {
        played.n_kills += 1;
        if let Some((point, turn)) = died_at {
            really_died_at(folder, point, turn)?;
            played.hits.push((point, turn));
        }
    } else if died_at.is_some() || !is_over {
        let errors = std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
        return Err(format!("the worker ended by itself ({status}): {errors}"));
    }
    Ok(is_over)
}

/// What the worker says of where it is.
fn place(text: &str) -> Option<(Point, Turn)> {
    let mut words = text.split(' ');
    let point = Point::named(words.next()?)?;
    let (step, is_undo) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((point, Turn { step, is_undo }))
}

/// The effect that a record is the intent of, and whose turn that was.
pub(crate) fn intent_in(record: &Record) -> Option<(EffectId, Turn)> {
    let Record::Run { change: RunEvent::Sent { effect, step, is_undo, .. }, .. } = record else {
        return None;
    };
    Some((*effect, Turn { step: *step, is_undo: *is_undo }))
}

/// That the files look as they do at this point: what the journal and the platform say of
/// the last intent of this turn.
fn really_died_at(folder: &Path, point: Point, turn: Turn) -> Result<(), String> {
    let reader = Reader::open(&journal_in(folder)).map_err(|error| error.to_string())?;
    let records = records(&reader);
    let intent = records.iter().rev().find_map(|it| {
        let (effect, of) = intent_in(it)?;
        (of == turn).then_some(effect)
    });
    let finished = intent.is_some_and(|id| {
        records.iter().any(|it| matches!(it, Record::EffectFinished { id: of, .. } if *of == id))
    });
    let begun = deeds(folder).iter().any(|it| Some(it.effect) == intent);
    let done = deeds(folder).iter().any(|it| Some(it.effect) == intent && !it.has_only_begun);
    let looks = (intent.is_some(), begun, done, finished);
    let fits = match point {
        // An earlier intent of this turn is one that was lost: over, and without a deed.
        Point::BeforeIntent => matches!(looks, (false, ..) | (true, false, false, true)),
        Point::AfterIntent => looks == (true, false, false, false),
        Point::Begun => looks == (true, true, false, false),
        Point::AfterEffect => looks == (true, true, true, false),
        Point::AfterOutcome => looks == (true, true, true, true),
    };
    if fits {
        return Ok(());
    }
    Err(format!("(intent, begun, done, finished) is {looks:?}, not as at {}", point.name()))
}

/// Chance from a seed (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// In `[0, n)`; `n` is small and not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(1).max(1);
        usize::try_from(self.next() % n).unwrap_or_default()
    }

    /// Kills at points and in between. An effect is sent three times at most, so no more
    /// than two may be lost on their way; after that it only dies where none can be.
    pub(crate) fn decisions(mut self) -> impl FnMut(Point, Turn) -> Decision {
        let (mut kills_left, mut losses_left) = (5_u32, 2_u32);
        move |point, _| {
            let drawn = self.below(10);
            if kills_left == 0 {
                return Decision::Go;
            }
            let may_lose = point == Point::AfterIntent;
            if drawn < 4 && (!may_lose || 0 < losses_left) {
                kills_left -= 1;
                losses_left -= u32::from(may_lose);
                return Decision::Kill;
            }
            if drawn < 7 && 0 < losses_left {
                kills_left -= 1;
                losses_left -= 1;
                let micros = u64::try_from(self.below(12_000)).unwrap_or_default();
                return Decision::KillAfter(Duration::from_micros(micros));
            }
            Decision::Go
        }
    }
}
