//! The provider's API in front of a region: throttled, late, half done, and not always honest.
//!
//! **In:** requests of controllers and people, and what faults do to the API.
//! **Out:** answers, now or later; units of the [`World`].
//! **Not here:** booting and the launch queue ([`crate::world`]).

mod others;
mod past;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::chance::{fraction, mix, stream_key};
use crate::world::World;
use crate::world::spec::UNITS_MAX;

pub use others::Admission;
use past::Past;
pub use past::STALE_SECONDS_MAX;

/// What faults do to the API. The default does nothing but take a second or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProviderKnobs {
    /// Every call fails, and nothing happens.
    pub is_down: bool,
    /// Share of calls that are refused for being too many.
    pub throttled_ratio: f64,
    /// Share of changes without an answer: half of them happened.
    pub unknown_ratio: f64,
    /// Changes take effect this many seconds after they are asked for; the answer is "done"
    /// long before.
    pub delay_seconds: i64,
    /// Reads show what was true this many seconds ago, at most [`STALE_SECONDS_MAX`].
    pub stale_seconds: i64,
    /// Share of a change that is carried out although the answer is "done", `0 < .. <= 1`.
    pub done_ratio: f64,
    /// Share of the units that reads show: an inventory that is being migrated, `0 ..= 1`.
    pub shown_ratio: f64,
}

impl Default for ProviderKnobs {
    fn default() -> ProviderKnobs {
        ProviderKnobs {
            is_down: false,
            throttled_ratio: 0.0,
            unknown_ratio: 0.0,
            delay_seconds: 0,
            stale_seconds: 0,
            done_ratio: 1.0,
            shown_ratio: 1.0,
        }
    }
}

/// What the provider says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Units that it is set to.
    pub desired: u32,
    /// Units that serve.
    pub ready: u32,
}

/// How a change ends, and when its caller hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Seconds since the world's start.
    pub answered_at: i64,
    /// What the caller hears then.
    pub answer: Answer,
}

/// What the caller of a change hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done (or, under a fault, a part of it).
    Done,
    /// It was not done.
    Rejected(String),
    /// No answer: it may or may not have been done, now or later.
    Unknown(String),
}

/// Most changes that wait for their time under `delay_seconds`; more are rejected.
///
/// Why 10,000: twenty services, each changed every minute, under a delay of eight hours. What
/// asks for more than that is stuck in a loop, and must not eat the memory.
pub const PENDING_MAX: usize = 10_000;

/// Seconds after which a caller gives up on a change without an answer.
///
/// Why 30: far above the two seconds that an answer takes, and below the minute or so between two
/// decisions about the same service.
pub const UNKNOWN_SECONDS: i64 = 30;

/// What the API governs; [`World`], and small worlds in tests.
trait Units {
    /// Seconds since the start.
    fn second(&self) -> i64;
    fn n_services(&self) -> usize;
    fn name(&self, service: usize) -> &str;
    /// Units that the service is set to: as of now, or as of the last second.
    fn desired(&self, service: usize) -> u32;
    /// Units that served in the last second.
    fn ready(&self, service: usize) -> u32;
    /// Sets it: `0 ..= UNITS_MAX`.
    fn set(&mut self, service: usize, units: u32);
}

impl Units for World {
    fn second(&self) -> i64 {
        World::second(self)
    }

    fn n_services(&self) -> usize {
        self.spec().services.len()
    }

    fn name(&self, service: usize) -> &str {
        self.spec().services.get(service).map_or("", |it| &it.name)
    }

    fn desired(&self, service: usize) -> u32 {
        self.truth(service).desired
    }

    fn ready(&self, service: usize) -> u32 {
        self.truth(service).ready
    }

    fn set(&mut self, service: usize, units: u32) {
        World::set_units(self, service, units);
    }
}

/// A change as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    service: usize,
    units: u32,
    expected: Option<u32>,
    /// [`ProviderKnobs::done_ratio`] when it was asked for.
    done_ratio: f64,
}

/// The service is not set to what the caller expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mismatch {
    expected: u32,
    desired: u32,
}

/// The last change of a service that took effect.
#[derive(Clone, Copy, Debug)]
struct LastSet {
    second: i64,
    before: u32,
    after: u32,
}

/// What the API keeps about one service.
#[derive(Clone, Debug, Default)]
struct Account {
    past: Past,
    last_set: Option<LastSet>,
    n_reads: u64,
    n_changes: u64,
    /// Looks at single units, and changes that set no number of them.
    n_others: u64,
}

/// The API of one region.
///
/// Chance is drawn by service and by the number of the call to it: what one caller does to one
/// service leaves the luck of all other services as it was.
#[derive(Clone, Debug)]
pub struct Provider {
    knobs: ProviderKnobs,
    accounts: Vec<Account>,
    /// Changes that wait, with the second they take effect in; earliest first, and in the order
    /// they were asked for within a second.
    pending: VecDeque<(i64, Change)>,
    reads_key: u64,
    changes_key: u64,
    others_key: u64,
}

impl Provider {
    /// An API that works.
    pub fn new(seed: u64, world: &World) -> Provider {
        Provider::over(seed, world.spec().services.len())
    }

    fn over(seed: u64, n_services: usize) -> Provider {
        Provider {
            knobs: ProviderKnobs::default(),
            accounts: vec![Account::default(); n_services],
            pending: VecDeque::new(),
            reads_key: stream_key(seed, "provider/reads"),
            changes_key: stream_key(seed, "provider/changes"),
            others_key: stream_key(seed, "provider/others"),
        }
    }

    /// What faults do to it, to be changed.
    pub fn knobs_mut(&mut self) -> &mut ProviderKnobs {
        &mut self.knobs
    }

    /// Lets late changes take effect, and remembers what stale reads will show. To be called
    /// once after every [`World::tick`].
    pub fn tick(&mut self, world: &mut World) {
        self.pass(world);
    }

    /// Reads a service.
    ///
    /// # Errors
    ///
    /// Why it cannot be read now.
    pub fn read(&mut self, world: &World, service: usize) -> Result<Inventory, String> {
        self.read_from(world, service)
    }

    /// Asks for `units`, absolute and idempotent. With `expected`, only when the service is set
    /// to that at the moment the change takes effect; a change that is late and no longer fits
    /// does nothing. A later change does not cancel one that waits: it is overwritten when that
    /// one's time comes.
    ///
    /// Most answers take one or two seconds; no answer takes [`UNKNOWN_SECONDS`]. A connection
    /// that is refused is answered in the second that it was tried in.
    pub fn set_units(
        &mut self,
        world: &mut World,
        service: usize,
        units: u32,
        expected: Option<u32>,
    ) -> Reply {
        self.set_in(world, service, units, expected)
    }

    /// [`Provider::tick`].
    fn pass(&mut self, world: &mut impl Units) {
        let second = world.second();
        while let Some((due_at, change)) = self.pending.front().copied()
            && due_at <= second
        {
            self.pending.pop_front();
            // Who asked for it was answered long ago: nobody hears that it no longer fits.
            let _ = self.carry_out(world, &change);
        }
        for service in 0..self.accounts.len() {
            self.note(world, service);
        }
    }

    /// [`Provider::read`].
    fn read_from(&mut self, world: &impl Units, service: usize) -> Result<Inventory, String> {
        let Some(account) = self.accounts.get_mut(service) else {
            return Err(no_such_service(service, world.n_services()));
        };
        account.n_reads += 1;
        if self.knobs.is_down {
            return Err(DOWN.to_owned());
        }
        let luck = Luck::of(self.reads_key, service, account.n_reads);
        if luck.fraction(0) < self.knobs.throttled_ratio {
            return Err(THROTTLED.to_owned());
        }
        let behind = self.knobs.stale_seconds.clamp(0, STALE_SECONDS_MAX);
        let past = if 0 < behind { account.past.at(world.second() - behind) } else { None };
        let Inventory { desired, ready } = past.unwrap_or_else(|| account.now(world, service));
        let shown = |units| share_of(units, self.knobs.shown_ratio);
        Ok(Inventory { desired: shown(desired), ready: shown(ready) })
    }

    /// [`Provider::set_units`].
    fn set_in(
        &mut self,
        world: &mut impl Units,
        service: usize,
        units: u32,
        expected: Option<u32>,
    ) -> Reply {
        let second = world.second();
        let ProviderKnobs { is_down, throttled_ratio, unknown_ratio, delay_seconds, .. } =
            self.knobs;
        let Some(account) = self.accounts.get_mut(service) else {
            return Reply {
                answered_at: second.saturating_add(1),
                answer: Answer::Rejected(no_such_service(service, world.n_services())),
            };
        };
        account.n_changes += 1;
        if is_down {
            return Reply { answered_at: second, answer: Answer::Rejected(DOWN.to_owned()) };
        }
        let luck = Luck::of(self.changes_key, service, account.n_changes);
        let seconds = if luck.fraction(0) < 0.5 { 1 } else { 2 };
        let answered_at = second.saturating_add(seconds);
        let rejected = |why| Reply { answered_at, answer: Answer::Rejected(why) };
        if luck.fraction(1) < throttled_ratio {
            return rejected(THROTTLED.to_owned());
        }
        if UNITS_MAX < units {
            return rejected(format!(
                "service `{}`: {units} units are above the quota of {UNITS_MAX}; ask for less",
                world.name(service)
            ));
        }
        let is_late = 0 < delay_seconds;
        if is_late && PENDING_MAX <= self.pending.len() {
            return rejected(format!(
                "{} changes wait already, and the provider holds at most {PENDING_MAX}; ask again \
                 later",
                self.pending.len()
            ));
        }
        let is_unknown = luck.fraction(2) < unknown_ratio;
        let happens = !is_unknown || luck.fraction(3) < 0.5;
        let change = Change { service, units, expected, done_ratio: self.knobs.done_ratio };
        let mut mismatch = None;
        if happens && is_late {
            let due_at = second.saturating_add(delay_seconds);
            let place = self.pending.partition_point(|(at, _)| *at <= due_at);
            self.pending.insert(place, (due_at, change));
        } else if happens {
            mismatch = self.carry_out(world, &change).err();
        }
        if is_unknown {
            return Reply {
                answered_at: second.saturating_add(UNKNOWN_SECONDS),
                answer: Answer::Unknown(format!(
                    "the provider's API did not answer within {UNKNOWN_SECONDS} s"
                )),
            };
        }
        match mismatch {
            None => Reply { answered_at, answer: Answer::Done },
            Some(Mismatch { expected, desired }) => rejected(format!(
                "service `{}` is set to {desired} units, not the expected {expected}; read it \
                 again and decide anew",
                world.name(service)
            )),
        }
    }

    /// Lets a change take effect now, as much of it as is done.
    fn carry_out(&mut self, world: &mut impl Units, change: &Change) -> Result<(), Mismatch> {
        let Change { service, units, expected, done_ratio } = *change;
        let Some(account) = self.accounts.get_mut(service) else {
            return Ok(());
        };
        let desired = account.now(world, service).desired;
        if let Some(expected) = expected
            && expected != desired
        {
            return Err(Mismatch { expected, desired });
        }
        let after = part_way(desired, units, done_ratio);
        let before = world.desired(service);
        world.set(service, after);
        account.last_set = Some(LastSet { second: world.second(), before, after });
        self.note(world, service);
        Ok(())
    }

    fn note(&mut self, world: &impl Units, service: usize) {
        if let Some(account) = self.accounts.get_mut(service) {
            let inventory = account.now(world, service);
            account.past.note(world.second(), inventory);
        }
    }
}

impl Account {
    /// What is true now. The world may show what it was told only with its next second; until
    /// then this is what keeps two changes within one second from losing one of them.
    fn now(&self, world: &impl Units, service: usize) -> Inventory {
        let desired = world.desired(service);
        let desired = match self.last_set {
            Some(LastSet { second, before, after })
                if second == world.second() && before == desired =>
            {
                after
            }
            Some(_) | None => desired,
        };
        Inventory { desired, ready: world.ready(service) }
    }
}

const DOWN: &str = "the provider's API refused the connection";
const THROTTLED: &str = "the provider's API was called too often (throttled); ask again later";

fn no_such_service(service: usize, n_services: usize) -> String {
    format!("there is no service number {service}; the region has {n_services}")
}

/// The chances of one call.
#[derive(Clone, Copy, Debug)]
struct Luck(u64);

impl Luck {
    fn of(key: u64, service: usize, call: u64) -> Luck {
        let service = u64::try_from(service).unwrap_or(u64::MAX);
        Luck(mix(mix(key ^ mix(service)) ^ mix(call)))
    }

    /// The `n`-th of them, in `0.0 .. 1.0`.
    fn fraction(self, n: u64) -> f64 {
        fraction(mix(self.0.wrapping_add(n)))
    }
}

/// `ratio` of `units`, rounded down; nothing for what is no ratio, all from 1 on.
fn share_of(units: u32, ratio: f64) -> u32 {
    // So that 0.29 of 100 is 29, which the product of the nearest floats is a hair below.
    let share = (f64::from(units) * ratio + 1e-9).floor().clamp(0.0, f64::from(units));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in `0 ..= units`; NaN is 0"
    )]
    let share = share as u32;
    share
}

/// Where a change ends of which `ratio` is carried out: rounded toward `from`, but moved by at
/// least one unit, unless `ratio` is 0 or less.
fn part_way(from: u32, to: u32, ratio: f64) -> u32 {
    let change = from.abs_diff(to);
    let moved = match share_of(change, ratio) {
        0 if 0.0 < ratio => change.min(1),
        moved => moved,
    };
    if from < to { from + moved } else { from - moved }
}
