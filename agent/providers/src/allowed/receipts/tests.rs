//! Receipts through crashes, crowds and time.
//!
//! **In:** effects that begin and end, files as a crash leaves them, a clock that jumps.
//! **Out:** who may begin, what is read back, what is kept.
//! **Not here:** real commands (`agent/providers/tests/it/allowed.rs`).

use super::*;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{TargetId, Term};
use expect_test::expect;
use std::fmt::Write as _;
use std::sync::atomic::AtomicI64;
use tempfile::TempDir;

struct World {
    folder: TempDir,
    receipts: Receipts,
    now_seconds: Arc<AtomicI64>,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let now_seconds = Arc::new(AtomicI64::new(1_767_225_600));
    let shared = Arc::clone(&now_seconds);
    let clock: Clock =
        Arc::new(move || Timestamp::from_second(shared.load(Ordering::SeqCst)).unwrap());
    let receipts = Receipts::open(&folder.path().join("receipts"), clock).unwrap();
    World { folder, receipts, now_seconds }
}

fn name(text: &str) -> AllowedName {
    AllowedName::new(text).unwrap()
}

fn request(effect: u64, argument: &str) -> ActRequest {
    let arguments = vec![argument.to_owned()];
    ActRequest {
        effect_id: EffectId(effect),
        term: Term(1),
        run: RunId(3),
        target: TargetId::new("checkout-api").unwrap(),
        is_undo: false,
        action: Action::RunCommand { command: name("restart"), arguments },
    }
}

impl World {
    async fn begin(&self, effect: u64) -> Result<Begun, EffectReport> {
        self.receipts.begin(Kind::Command, &name("restart"), &request(effect, "a")).await
    }

    async fn found(&self) -> BTreeMap<EffectId, Receipt> {
        self.receipts.of(Kind::Command, &name("restart")).await.unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("receipts").join(file)
    }
}

#[tokio::test]
async fn an_effect_begins_once_whatever_became_of_it() {
    let world = world();
    let mut table = String::new();
    for (effect, end) in [(1, None), (2, Some(Receipt::Done)), (3, Some(Receipt::Failed))] {
        let begun = world.begin(effect).await.unwrap();
        if let Some(end) = end {
            assert!(world.receipts.end(begun, end).await);
        }
        let EffectReport { outcome, detail } = world.begin(effect).await.unwrap_err();
        writeln!(table, "{end:?} -> {outcome}: {detail}").unwrap();
    }
    // The same number for something else: a journal from a backup.
    let other = world.receipts.begin(Kind::Command, &name("restart"), &request(2, "b")).await;
    writeln!(table, "other -> {}", other.unwrap_err().detail).unwrap();
    expect![[r#"
        None -> unknown: it began at 2026-01-01T00:00:00Z and nobody wrote down how it ended; it is not begun again
        Some(Done) -> done: already done
        Some(Failed) -> rejected: it was tried before and ended badly; it is not tried again
        other -> ef-2 was used before for another action (restart); was the journal restored from a backup? nothing was done
    "#]].assert_eq(&table);
    let found: Vec<_> = world.found().await.into_values().collect();
    assert_eq!(found, [Receipt::Begun, Receipt::Done, Receipt::Failed]);
    let others = world.receipts.of(Kind::Webhook, &name("restart")).await.unwrap();
    assert!(others.is_empty(), "a webhook of the same name is another entry");
}

#[tokio::test]
async fn a_receipt_says_what_and_when_and_nothing_that_may_be_secret() {
    let world = world();
    let request = request(12, "hunter2");
    let begun = world.receipts.begin(Kind::Command, &name("restart"), &request).await.unwrap();
    world.now_seconds.fetch_add(5, Ordering::SeqCst);
    world.receipts.end(begun, Receipt::Done).await;
    let text = fs::read_to_string(world.path("ef-12.json")).unwrap();
    expect![[r#"{"effect":"ef-12","run":"run-3","kind":"command","name":"restart","action_sha256":"8fe8f55431a2d6e81e9cdd48f4c76a8bfb82432e78348ad2a7364db32c310fc4","state":"done","begun_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:05Z"}"#]].assert_eq(&text);
    let files = fs::read_dir(world.path("")).unwrap().count();
    assert_eq!(files, 1, "nothing is left over");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(world.path("")), mode(world.path("ef-12.json"))), (0o700, 0o600));
}

#[tokio::test]
async fn a_receipt_that_cannot_be_understood_is_unknown_to_everybody() {
    let world = world();
    for (effect, text) in [(1, ""), (2, "{"), (3, r#"{"effect":"ef-3"}"#)] {
        fs::write(world.path(&format!("ef-{effect}.json")), text).unwrap();
        let report = world.begin(effect).await.unwrap_err();
        assert_eq!(report.outcome, EffectOutcome::Unknown, "{}", report.detail);
    }
    assert_eq!(world.found().await.into_values().collect::<Vec<_>>(), [Receipt::Begun; 3]);
}

#[tokio::test]
async fn what_was_being_written_at_a_crash_is_no_receipt() {
    let world = world();
    fs::write(world.path(".writing-1-0"), "{\"eff").unwrap();
    let clock = Clock::clone(&world.receipts.inner.clock);
    let again = Receipts::open(&world.path(""), clock).unwrap();
    assert!(!world.path(".writing-1-0").exists());
    assert!(again.of(Kind::Command, &name("restart")).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_begins_when_its_receipt_cannot_be_written() {
    let world = world();
    fs::remove_dir_all(world.path("")).unwrap();
    let report = world.begin(1).await.unwrap_err();
    assert_eq!(report.outcome, EffectOutcome::Rejected);
    assert!(report.detail.contains("nothing was begun"), "{}", report.detail);
}

#[tokio::test]
async fn of_many_that_begin_at_once_one_does() {
    let world = world();
    // A second daemon on the same folder.
    let clock = Clock::clone(&world.receipts.inner.clock);
    let other = Receipts::open(&world.path(""), clock).unwrap();
    for effect in 0..50 {
        let (name, request) = (name("restart"), request(effect, "a"));
        let (a, b, c) = tokio::join!(
            world.receipts.begin(Kind::Command, &name, &request),
            other.begin(Kind::Command, &name, &request),
            world.receipts.begin(Kind::Command, &name, &request),
        );
        assert_eq!([a.is_ok(), b.is_ok(), c.is_ok()].iter().filter(|it| **it).count(), 1);
    }
}

#[tokio::test]
async fn old_ends_go_and_beginnings_stay_longer() {
    let world = world();
    for effect in 1..=4 {
        let begun = world.begin(effect).await.unwrap();
        if effect != 2 {
            world.receipts.end(begun, Receipt::Done).await;
        }
    }
    let day = 24 * 3_600;
    for (days, expected) in [(6, vec![1, 2, 3, 4, 10]), (2, vec![2, 10, 11]), (90, vec![12])] {
        world.now_seconds.fetch_add(days * day, Ordering::SeqCst);
        let next = world.found().await.keys().last().unwrap().0.next_after_nine();
        let begun = world.begin(next).await.unwrap();
        world.receipts.end(begun, Receipt::Done).await;
        let found: Vec<u64> = world.found().await.keys().map(|it| it.0).collect();
        assert_eq!(found, expected, "after {days} more days");
    }
}

trait NextAfterNine {
    fn next_after_nine(self) -> u64;
}

impl NextAfterNine for u64 {
    fn next_after_nine(self) -> u64 {
        self.max(9) + 1
    }
}

#[tokio::test]
async fn there_are_never_many_more_than_ten_thousand() {
    let world = world();
    let begun = world.begin(1).await.unwrap();
    world.receipts.end(begun, Receipt::Done).await;
    let text = fs::read_to_string(world.path("ef-1.json")).unwrap();
    for effect in 2..=KEPT_MAX + 100 {
        let text = text.replace("ef-1\"", &format!("ef-{effect}\""));
        fs::write(world.path(&format!("ef-{effect}.json")), text).unwrap();
    }
    for effect in 20_001..=20_003 {
        let begun = world.begin(effect).await.unwrap();
        world.receipts.end(begun, Receipt::Done).await;
    }
    let kept = world.receipts.inner.effects().unwrap();
    assert_eq!(kept.len(), KEPT_MAX);
    assert_eq!(world.found().await.len(), SHOWN_MAX);
}
