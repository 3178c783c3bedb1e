//! How fast records become durable, and how fast a large journal opens.
//!
//! **In:** a temporary directory on the disk under test (`TMPDIR`); the number of
//! records of the large journal as the only argument (default 1,000,000).
//! **Out:** records per second for batches of 1, 10 and 100, beside SQLite inserting the
//! same rows into a bare table with the same pragmas; times of open, verify and prune.
//! **Not here:** whether any of it is right (see `tests/`).

#![expect(clippy::print_stdout, reason = "a benchmark prints its numbers")]
#![expect(clippy::cast_precision_loss, reason = "rates need no more than 53 bits")]

use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_store::{Entry, Filter, SNAPSHOT_KIND, SigningKey, Store, verify};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

type Failure = Box<dyn std::error::Error>;

const ORIGIN: &str = "example.com/bench";

/// How long each side of a comparison appends per round.
const SLICE: Duration = Duration::from_millis(100);

/// Rounds per comparison; the sides take turns, so that a busy disk slows both.
const ROUNDS: usize = 30;

/// Kinds of everyday records, by turns.
const KINDS: [&str; 4] = ["effect", "outcome", "freeze", "expired"];

fn main() -> Result<(), Failure> {
    // `cargo bench` passes its own flags.
    let records =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir()?;
    println!("batch  evenkeel rec/s  bare SQLite rec/s  ratio");
    for batch in [1, 10, 100] {
        compare(dir.path(), batch)?;
    }
    large(dir.path(), records)?;
    Ok(())
}

/// Bodies of 100 to 300 bytes that look like the daemon's.
fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{{\"number\":{number},\"reason\":\"").into_bytes();
    body.resize(100 + number * 37 % 200, b'x');
    body.extend_from_slice(b"\"}");
    body
}

fn compare(dir: &Path, batch: usize) -> Result<(), Failure> {
    let mut store = open(&dir.join(format!("journal-{batch}.db")))?;
    let bare = open_bare(&dir.join(format!("bare-{batch}.db")))?;
    let bodies: Vec<_> = (0..batch).map(body).collect();
    let targets: Vec<_> = (0..batch).map(|number| format!("service-{number}")).collect();
    let entries: Vec<_> = (0..batch)
        .map(|number| Entry {
            at: Timestamp::UNIX_EPOCH,
            kind: KINDS[number % KINDS.len()],
            target_id: Some(&targets[number]),
            body: &bodies[number],
        })
        .collect();

    let (mut ours, mut theirs) = (Rate::default(), Rate::default());
    for _ in 0..ROUNDS {
        ours.measure(batch, || Ok(store.append(&entries).map(drop)?))?;
        theirs.measure(batch, || insert_bare(&bare, &entries))?;
    }
    let (ours, theirs) = (ours.per_second(), theirs.per_second());
    println!("{batch:>5}  {ours:>14.0}  {theirs:>17.0}  {:>5.2}", ours / theirs);
    Ok(())
}

#[derive(Default)]
struct Rate {
    records: usize,
    seconds: f64,
}

impl Rate {
    fn measure(
        &mut self,
        batch: usize,
        mut append: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        while started.elapsed() < SLICE {
            append()?;
            self.records += batch;
        }
        self.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

fn open(path: &Path) -> Result<Store, Failure> {
    Ok(Store::open(path, ORIGIN, SigningKey::from_seed([7; 32]), Timestamp::UNIX_EPOCH)?)
}

/// The same pragmas and columns, without link, index or trigger.
fn open_bare(path: &Path) -> Result<Connection, Failure> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.execute_batch(
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, target_id TEXT, body BLOB NOT NULL) STRICT",
    )?;
    Ok(conn)
}

fn insert_bare(conn: &Connection, entries: &[Entry<'_>]) -> Result<(), Failure> {
    let tx = conn.unchecked_transaction()?;
    {
        let mut statement = tx.prepare_cached(
            "INSERT INTO records (at_us, kind, target_id, body) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for entry in entries {
            statement.execute(params![
                entry.at.as_microsecond(),
                entry.kind,
                entry.target_id,
                entry.body
            ])?;
        }
    }
    Ok(tx.commit()?)
}

/// A journal of `records` records at one per second, with hourly checkpoints and
/// snapshots of 20 kB.
fn large(dir: &Path, records: usize) -> Result<(), Failure> {
    let path = dir.join("large.db");
    let mut store = open(&path)?;
    let snapshot = vec![b's'; 20_000];
    let started = Instant::now();
    for hour in 0..records.div_ceil(3_600) {
        let numbers = hour * 3_600..records.min((hour + 1) * 3_600);
        let bodies: Vec<_> = numbers.clone().map(body).collect();
        let targets: Vec<_> =
            numbers.clone().map(|number| format!("service-{}", number % 10_000)).collect();
        let mut entries = Vec::with_capacity(3_600);
        for (index, number) in numbers.enumerate() {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(number)?);
            let kind = KINDS[number % KINDS.len()];
            entries.push(Entry {
                at,
                kind,
                target_id: Some(&targets[index]),
                body: &bodies[index],
            });
        }
        if let Some(first) = entries.first_mut() {
            *first = Entry { kind: SNAPSHOT_KIND, target_id: None, body: &snapshot, ..*first };
        }
        store.append(&entries)?;
        store.checkpoint(Timestamp::UNIX_EPOCH)?;
    }
    // Half an hour that is not signed yet.
    let tail = body(0);
    for _ in 0..18 {
        let entry = Entry {
            at: Timestamp::UNIX_EPOCH,
            kind: "effect",
            target_id: Some("service-1"),
            body: &tail,
        };
        store.append(&[entry; 100])?;
    }
    drop(store);
    let mib = std::fs::metadata(&path)?.len() / 1024 / 1024;
    println!("large journal: {records} records, {mib} MiB, written in {:.1?}", started.elapsed());

    let started = Instant::now();
    let mut store = open(&path)?;
    println!("open, {} records: {:.1?}", store.last_seq(), started.elapsed());
    let started = Instant::now();
    let reader = store.reader()?;
    let snapshot = reader.latest_of_kind(SNAPSHOT_KIND)?.ok_or("no snapshot")?;
    let mut replayed = 0;
    reader.scan(snapshot.seq, &mut |_| {
        replayed += 1;
        std::ops::ControlFlow::Continue(())
    })?;
    println!("newest snapshot and {replayed} records after it: {:.1?}", started.elapsed());

    for (what, filter) in [
        ("a target's newest 50", Filter { target_id: Some("service-77".into()), ..newest_50() }),
        ("an unknown target", Filter { target_id: Some("nobody".into()), ..newest_50() }),
        ("a kind's newest 50", Filter { kind: Some("freeze".into()), ..newest_50() }),
        ("an unknown kind", Filter { kind: Some("nothing".into()), ..newest_50() }),
    ] {
        let started = Instant::now();
        let found = reader.query(&filter)?.len();
        println!("query {what}: {found} in {:.1?}", started.elapsed());
    }
    drop(reader);

    let started = Instant::now();
    let found = verify(&path, None)?;
    println!(
        "verify the whole file ({} checkpoints): {:.1?}, intact: {}",
        found.checkpoints,
        started.elapsed(),
        found.intact
    );
    let started = Instant::now();
    let pruned = store.prune(snapshot.seq, Timestamp::UNIX_EPOCH)?;
    println!(
        "prune {} records: {:.1?}, {} -> {} MiB",
        pruned.removed,
        started.elapsed(),
        pruned.file_bytes.0 / 1024 / 1024,
        pruned.file_bytes.1 / 1024 / 1024
    );
    println!("peak memory: {}", peak_memory().unwrap_or_else(|| "unknown".into()));
    Ok(())
}

fn newest_50() -> Filter {
    Filter { newest_first: true, limit: 50, ..Filter::default() }
}

/// `VmHWM` of this process, as the kernel prints it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|value| value.trim().to_owned())
}
