//! What cannot be read, said once and not every half minute.
//!
//! **In:** how each reading went.
//! **Out:** a line in the log when that changes; how long a first reading that failed rests.
//! **Not here:** counting outcomes ([`crate::metrics`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::ids::SloId;
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

/// Rest after the first failure of a first reading; doubled by each further one.
const REST_MIN: SignedDuration = SignedDuration::from_secs(30);

/// Longest rest. Why 10 min: as long as any other past that cannot be read waits; three
/// days of a heavy query asked more often would be most of what the backend does.
const REST_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// One objective of an SLO, regularly.
    Objective(SloId, usize),
    /// The past of one objective.
    Past(SloId, usize),
    /// One query of the price book or of tenants, in words.
    Query(String),
}

/// One of them that went wrong.
#[derive(Clone, Debug)]
struct Trouble {
    error: String,
    n_failures: u32,
    rests_until: Timestamp,
}

/// All that go wrong. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<BTreeMap<Subject, Trouble>>>);

impl Troubles {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Subject, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how one went at `now`; `None` is well. Logs what is new.
    pub(super) fn note(&self, now: Timestamp, subject: &Subject, error: Option<String>) {
        let mut troubles = self.lock();
        let Some(error) = error else {
            if troubles.remove(subject).is_some() {
                tell_mended(subject);
            }
            return;
        };
        let before = troubles.get(subject);
        if before.is_none_or(|it| it.error != error) {
            tell(subject, &error);
        }
        let n_failures = before.map_or(0, |it| it.n_failures).saturating_add(1);
        let doubled = 2_i32.saturating_pow(n_failures.saturating_sub(1).min(16));
        let rest = REST_MIN.saturating_mul(doubled).min(REST_MAX);
        let rests_until = now.checked_add(rest).unwrap_or(Timestamp::MAX);
        troubles.insert(subject.clone(), Trouble { error, n_failures, rests_until });
    }

    /// Whether it failed so recently that it is not tried at `now`.
    pub(super) fn rests(&self, now: Timestamp, subject: &Subject) -> bool {
        self.lock().get(subject).is_some_and(|it| now < it.rests_until)
    }

    /// Forgets objectives that nobody wants to have read any more.
    pub(super) fn forget_objectives(&self, is_wanted: impl Fn(&SloId, usize) -> bool) {
        self.lock().retain(|subject, _| match subject {
            Subject::Objective(slo, nth) | Subject::Past(slo, nth) => is_wanted(slo, *nth),
            Subject::Query(_) => true,
        });
    }
}

fn tell(subject: &Subject, error: &str) {
    match subject {
        Subject::Objective(slo, objective) => {
            warn!(%slo, objective, error, "an SLO cannot be read; its slots are missing");
        }
        Subject::Past(slo, objective) => {
            warn!(%slo, objective, error, "the past of an SLO cannot be read; it is tried again");
        }
        Subject::Query(what) => {
            warn!(what, error, "a query about money cannot be read; what it says is missing");
        }
    }
}

fn tell_mended(subject: &Subject) {
    match subject {
        Subject::Objective(slo, objective) => info!(%slo, objective, "the SLO is read again"),
        Subject::Past(slo, objective) => info!(%slo, objective, "the past of the SLO is read"),
        Subject::Query(what) => info!(what, "the query about money is read again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_rests_longer_each_time_and_what_works_never() {
        let troubles = Troubles::default();
        let subject = Subject::Past(SloId::new("a").unwrap(), 0);
        let mut now = Timestamp::UNIX_EPOCH;
        let mut rests = Vec::new();
        for _ in 0..7 {
            troubles.note(now, &subject, Some("down".to_owned()));
            let began = now;
            while troubles.rests(now, &subject) {
                now += SignedDuration::from_secs(30);
            }
            rests.push(now.duration_since(began).as_secs());
        }
        assert_eq!(rests, [30, 60, 120, 240, 480, 600, 600]);
        troubles.note(now, &subject, Some("down".to_owned()));
        troubles.note(now, &subject, None);
        assert!(!troubles.rests(now, &subject));
    }

    #[test]
    fn objectives_that_are_gone_are_forgotten_and_queries_are_not() {
        let troubles = Troubles::default();
        let slo = |name: &str| SloId::new(name).unwrap();
        let subjects = [
            Subject::Objective(slo("a"), 0),
            Subject::Past(slo("a"), 1),
            Subject::Query("usage `x`".to_owned()),
        ];
        for subject in &subjects {
            troubles.note(Timestamp::UNIX_EPOCH, subject, Some("down".to_owned()));
        }
        troubles.forget_objectives(|_, nth| nth == 1);
        let left = subjects.map(|it| troubles.rests(Timestamp::UNIX_EPOCH, &it));
        assert_eq!(left, [false, true, true]);
    }
}
