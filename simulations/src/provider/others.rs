//! Calls to the provider that change no number of units: looks at single units, drains,
//! restarts, deployments, commands.
//!
//! **In:** a call to one service. **Out:** what becomes of it under the API's knobs.
//! **Not here:** what the call does ([`crate::actuators`]).

use super::{Answer, DOWN, Luck, Provider, Reply, THROTTLED, UNKNOWN_SECONDS};

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// It is refused: nothing happens.
    Refused(Reply),
    /// It is taken.
    Taken {
        /// Whether it is done; a call without an answer may not be.
        happens: bool,
        /// Seconds until it is done.
        delay_seconds: i64,
        /// How much of it.
        done_ratio: f64,
        /// What its caller hears where nothing else goes wrong.
        reply: Reply,
    },
}

impl Provider {
    /// Takes a call that changes something at `second` of the world, or refuses it. Chance is
    /// drawn as for changes of units, from a stream of its own.
    pub fn admit(&mut self, second: i64, service: usize) -> Admission {
        let knobs = self.knobs;
        let key = self.others_key;
        let Some(account) = self.accounts.get_mut(service) else {
            let answer = Answer::Rejected(format!("there is no service number {service}"));
            return Admission::Refused(Reply { answered_at: second.saturating_add(1), answer });
        };
        account.n_others += 1;
        if knobs.is_down {
            let answer = Answer::Rejected(DOWN.to_owned());
            return Admission::Refused(Reply { answered_at: second, answer });
        }
        let luck = Luck::of(key, service, account.n_others);
        let seconds = if luck.fraction(0) < 0.5 { 1 } else { 2 };
        let answered_at = second.saturating_add(seconds);
        if luck.fraction(1) < knobs.throttled_ratio {
            let answer = Answer::Rejected(THROTTLED.to_owned());
            return Admission::Refused(Reply { answered_at, answer });
        }
        let is_unknown = luck.fraction(2) < knobs.unknown_ratio;
        let reply = if is_unknown {
            let why = format!("the provider's API did not answer within {UNKNOWN_SECONDS} s");
            let answered_at = second.saturating_add(UNKNOWN_SECONDS);
            Reply { answered_at, answer: Answer::Unknown(why) }
        } else {
            Reply { answered_at, answer: Answer::Done }
        };
        Admission::Taken {
            happens: !is_unknown || luck.fraction(3) < 0.5,
            delay_seconds: knobs.delay_seconds.max(0),
            done_ratio: knobs.done_ratio,
            reply,
        }
    }

    /// Lets somebody look at more than the number of units: the share of them that is shown.
    ///
    /// # Errors
    ///
    /// Why nobody can look now. An API that shows what was true a while ago says so: it keeps no
    /// old lists.
    pub fn inspect(&mut self, service: usize) -> Result<f64, String> {
        let (knobs, key) = (self.knobs, self.others_key);
        let Some(account) = self.accounts.get_mut(service) else {
            return Err(format!("there is no service number {service}"));
        };
        account.n_others += 1;
        if knobs.is_down {
            return Err(DOWN.to_owned());
        }
        if Luck::of(key, service, account.n_others).fraction(1) < knobs.throttled_ratio {
            return Err(THROTTLED.to_owned());
        }
        if 0 < knobs.stale_seconds {
            let behind = knobs.stale_seconds;
            return Err(format!("the provider's list of instances is {behind} s old"));
        }
        Ok(knobs.shown_ratio)
    }
}
