//! Who is asking.
//!
//! **In:** the peer of a Unix socket, as the kernel tells it; the token of a
//! request over TLS.
//! **Out:** an [`Identity`], which proves nothing but who it is.
//! **Not here:** what that identity may do ([`evenkeel_core::documents::Access`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use evenkeel_core::documents::Identity;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::limits::{FAILING_ADDRESSES_MAX, FAILURES_MAX, FAILURES_WINDOW};

/// Largest file of accounts that is read. Why 4 MiB: some 50,000 accounts.
const ACCOUNTS_BYTES_MAX: usize = 4 << 20;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A process on this host.
    Local(Identity),
    /// Somebody over TLS, who has to show a token with each request.
    Remote(SocketAddr),
}

/// The accounts of this host.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    /// Where names are looked up: `/etc/passwd`. Accounts that only a directory
    /// service knows appear as `uid-NUMBER`.
    pub(crate) passwd: PathBuf,
    /// Accounts that may do everything: the daemon's own, and root.
    pub(crate) owners: BTreeSet<u32>,
}

impl Accounts {
    /// The accounts of this host, for a daemon that runs as it does.
    pub(crate) fn of_this_host() -> Accounts {
        let own = rustix::process::geteuid().as_raw();
        Accounts { passwd: PathBuf::from("/etc/passwd"), owners: BTreeSet::from([own, 0]) }
    }

    /// Who the account with `uid` is.
    pub(crate) async fn identity(&self, uid: u32) -> Identity {
        let text = tokio::fs::read_to_string(&self.passwd).await.unwrap_or_else(|error| {
            // In a container there may be none: not worth a warning per connection.
            tracing::debug!(error = %error, "cannot look up accounts");
            String::new()
        });
        let name = (text.len() <= ACCOUNTS_BYTES_MAX).then(|| name_of(&text, uid)).flatten();
        let name = name.unwrap_or_else(|| format!("uid-{uid}"));
        Identity::UnixUser { uid, name, is_daemon_owner: self.owners.contains(&uid) }
    }
}

/// The first account with `uid` in the text of a `passwd` file.
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|it| !it.is_empty() && !it.starts_with(['+', '-']))?;
        let found = fields.nth(1)?.parse::<u32>().ok()?;
        (found == uid).then(|| name.to_owned())
    })
}

/// The number of `group`, given as a name in the text of a `group` file or as a number.
pub(crate) fn group_number(groups: &str, group: &str) -> Option<u32> {
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse::<u32>().ok()).flatten()
    });
    named.or_else(|| group.parse().ok())
}

/// The identity of whoever shows the token of `headers`; `None` without one.
///
/// Only the hash leaves this function, so the token can reach no log and no answer.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Identity> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || token.is_empty() {
        return None;
    }
    Some(Identity::Token { sha256: Sha256::digest(token).into() })
}

/// Counts failed authentications, so that nobody can try tokens by the thousand.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    failing: BTreeMap<IpAddr, Failing>,
    /// Tokens that were right since the start. A stranger behind the same
    /// address must not be able to lock out somebody who is at work already.
    welcome: BTreeSet<[u8; 32]>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    count: u32,
}

/// Tokens remembered as right. Why 1,024: more people than one daemon has.
const WELCOME_MAX: usize = 1_024;

impl Failures {
    /// Whether `address` failed too often to be heard now: for how many seconds still.
    pub(crate) fn shut_out(&self, address: IpAddr, identity: Option<&Identity>) -> Option<u64> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Identity::Token { sha256 }) = identity
            && remembered.welcome.contains(sha256)
        {
            return None;
        }
        let address = neighbourhood(address);
        let failing = remembered.failing.get(&address)?;
        let left = FAILURES_WINDOW.saturating_sub(failing.since.elapsed());
        if left.is_zero() {
            remembered.failing.remove(&address);
            return None;
        }
        (FAILURES_MAX <= failing.count).then(|| left.as_secs().saturating_add(1))
    }

    /// An authentication from `address` failed.
    pub(crate) fn failed(&self, address: IpAddr) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = &mut remembered.failing;
        let address = neighbourhood(address);
        if FAILING_ADDRESSES_MAX <= failing.len() && !failing.contains_key(&address) {
            failing.retain(|_, it| it.since.elapsed() < FAILURES_WINDOW);
            if FAILING_ADDRESSES_MAX <= failing.len() {
                failing.pop_first();
            }
        }
        let now = Instant::now();
        let it = failing.entry(address).or_insert(Failing { since: now, count: 0 });
        if FAILURES_WINDOW <= it.since.elapsed() {
            *it = Failing { since: now, count: 0 };
        }
        it.count = it.count.saturating_add(1);
    }

    /// An authentication succeeded.
    pub(crate) fn succeeded(&self, identity: &Identity) {
        let Identity::Token { sha256 } = identity else { return };
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.welcome.len() < WELCOME_MAX {
            remembered.welcome.insert(*sha256);
        }
    }
}

/// What one attacker has at hand: an IPv4 address, or the 2^64 IPv6 addresses of a network.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use expect_test::{Expect, expect};

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\n+nis\nana:x:1000:1000::/:\nana2:x:1000:1:::\nbad:x:x:1\n";

    #[test]
    fn accounts_are_looked_up_by_number() {
        assert_eq!(name_of(PASSWD, 0).as_deref(), Some("root"));
        assert_eq!(name_of(PASSWD, 1000).as_deref(), Some("ana"));
        assert_eq!(name_of(PASSWD, 1001), None);
        assert_eq!(name_of("", 0), None);
    }

    #[test]
    fn groups_are_looked_up_by_name_or_number() {
        let groups = "root:x:0:\noncall:x:77:ana\n";
        assert_eq!(group_number(groups, "oncall"), Some(77));
        assert_eq!(group_number(groups, "1234"), Some(1234));
        assert_eq!(group_number(groups, "nobody-here"), None);
    }

    #[track_caller]
    fn check(authorization: &str, expected: &Expect) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        expected.assert_eq(&format!("{:?}", bearer(&headers)));
    }

    #[test]
    fn only_a_bearer_token_is_an_identity() {
        check("Bearer abc", &expect!["Some(Token(…))"]);
        check("bearer  abc ", &expect!["Some(Token(…))"]);
        check("Bearer ", &expect!["None"]);
        check("Bearer", &expect!["None"]);
        check("Basic YTpi", &expect!["None"]);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    fn token(text: &str) -> Identity {
        Identity::Token { sha256: Sha256::digest(text).into() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_is_not_heard_for_a_minute() {
        let failures = Failures::default();
        let attacker: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        failures.succeeded(&token("at work"));
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.shut_out(attacker, Some(&token("guess"))), None);
            failures.failed(attacker);
        }
        assert_eq!(failures.shut_out(attacker, Some(&token("guess"))), Some(61));
        assert_eq!(failures.shut_out(mapped, None), Some(61));
        assert_eq!(failures.shut_out(attacker, Some(&token("at work"))), None);
        assert_eq!(failures.shut_out(other, Some(&token("guess"))), None);
        tokio::time::advance(FAILURES_WINDOW).await;
        assert_eq!(failures.shut_out(attacker, Some(&token("guess"))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attacker_with_many_addresses_does_not_grow_memory() {
        let failures = Failures::default();
        for n in 0..10_000_u32 {
            failures.failed(IpAddr::V4(n.into()));
            failures.failed(IpAddr::V6(Ipv6Addr::from_bits(u128::from(n))));
        }
        let remembered = failures.0.lock().unwrap();
        assert_eq!(remembered.failing.len(), FAILING_ADDRESSES_MAX);
    }
}
