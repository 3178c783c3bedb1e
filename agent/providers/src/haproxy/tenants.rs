//! A map of HAProxy from tenants to requests per second.
//!
//! **In:** the map's file as HAProxy knows it, limits of tenants.
//! **Out:** the limits there are; new ones, changed ones and lifted ones.
//! **Not here:** the socket (see [`super::socket`]), turning requests away, which HAProxy does
//! by its configuration (`iac/haproxy-tenants.cfg`).
//!
//! The file itself is not written: what was set at run time is forgotten when HAProxy restarts
//! or reloads, and then nobody is turned away by mistake.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_core::action::Action;
use evenkeel_core::ids::TenantName;

use super::{Haproxy, confirmation, is_refusal, shown, shown_wanted, socket};
use crate::actuator::{failed_at, not_offered};
use crate::failure::{Failure, ReadError};
use crate::provider::{EffectReport, one_line};

/// Where a map is.
#[derive(Clone, Copy)]
pub(super) struct MapPlace<'a> {
    socket: &'a Path,
    map: &'a str,
}

impl<'a> MapPlace<'a> {
    pub(super) fn new(socket: &'a str, map: &'a str) -> MapPlace<'a> {
        MapPlace { socket: Path::new(socket), map }
    }

    pub(super) fn what(&self) -> String {
        let socket = one_line(&self.socket.display().to_string(), 120);
        format!("HAProxy map `{}` at `{socket}`", one_line(self.map, 80))
    }

    /// Whether the map's name can stand in a command, and the socket be opened.
    fn check(&self) -> Result<(), String> {
        /// A space, `;` or newline would end the word or begin another command; `<<` begins
        /// a payload, `#` the number of a map.
        fn is_allowed(it: char) -> bool {
            it.is_ascii_alphanumeric() || "-_.:/".contains(it)
        }
        /// The longest name of a file.
        const MAP_BYTES_MAX: usize = 255;
        if self.map.is_empty() {
            return Err("the map's name is empty".to_owned());
        }
        if MAP_BYTES_MAX < self.map.len() {
            let n = self.map.len();
            return Err(format!("the map's name has {n} bytes, at most {MAP_BYTES_MAX}"));
        }
        if let Some(found) = self.map.chars().find(|it| !is_allowed(*it)) {
            return Err(format!(
                "the map's name contains {found:?}; it has only letters, digits and `-_.:/`"
            ));
        }
        if !self.socket.is_absolute() {
            return Err("the socket's path must begin with `/`".to_owned());
        }
        Ok(())
    }
}

impl Haproxy {
    /// The limits of a map that is there.
    pub(super) async fn limits_of(
        &self,
        place: MapPlace<'_>,
    ) -> Result<BTreeMap<TenantName, u32>, ReadError> {
        let what = place.what();
        place.check().map_err(|reason| ReadError::NotSent { what: what.clone(), reason })?;
        let command = format!("show map {}", place.map);
        let answer = socket::ask(place.socket, &command, self.limits.call)
            .await
            .map_err(|failure| failure.to_read_error(&what))?;
        if answer.starts_with("Unknown map identifier") {
            let hint = "write its file as HAProxy's configuration does (`show map` on the socket \
                        lists them); `iac/haproxy-tenants.cfg` shows one";
            return Err(ReadError::Absent { what, hint: hint.to_owned() });
        }
        if is_refusal(&answer) {
            return Err(ReadError::Refused { what, reason: shown(answer.trim()) });
        }
        parse(&answer).map_err(|reason| ReadError::Silent { what, reason })
    }

    /// Sets and lifts limits, one after the other, and reads back what came of it.
    pub(super) async fn try_limit(
        &self,
        place: MapPlace<'_>,
        action: &Action,
    ) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let what = place.what();
        let Action::LimitTenants { limits } = action else {
            return Err(not_offered(&what, action, "throttle_tenant"));
        };
        if limits.is_empty() {
            return Err(rejected("the action names no tenant"));
        }
        if let Some(tenant) = limits.keys().find(|it| !is_word(it.as_str())) {
            return Err(rejected(&format!("{tenant:?} is no name that HAProxy could find")));
        }
        let there = self.limits_of(place).await.map_err(|error| {
            rejected(&format!("nothing was sent, because the limits could not be read: {error}"))
        })?;
        let mut commands = Vec::new();
        for (tenant, limit) in limits {
            let map = place.map;
            let command = match (limit, there.get(tenant)) {
                (Some(limit), Some(there)) if limit == there => continue,
                (None, None) => continue,
                (Some(limit), Some(_)) => format!("set map {map} {tenant} {limit}"),
                (Some(limit), None) => format!("add map {map} {tenant} {limit}"),
                (None, Some(_)) => format!("del map {map} {tenant}"),
            };
            commands.push((tenant, command));
        }
        for (n_done, (tenant, command)) in commands.iter().enumerate() {
            let answer = socket::ask(place.socket, command, self.limits.call).await;
            let confirmed = answer.and_then(|it| confirmation(&it));
            confirmed.map_err(|failure| failed_at(tenant, n_done, &failure))?;
        }
        if !commands.is_empty() {
            self.read_back(place, limits).await?;
        }
        let n = limits.len();
        let tenants = if n == 1 { "1 tenant".to_owned() } else { format!("{n} tenants") };
        let mut detail = format!("{tenants} of {what}: {}", shown_wanted(action));
        let was_so = n - commands.len();
        if 0 < was_so {
            detail.push_str(&format!(" ({was_so} already so)"));
        }
        Ok(EffectReport::done(&detail))
    }

    /// Whether what was set is there. Every command was confirmed, so what is otherwise was
    /// changed by somebody else, or HAProxy was started anew between.
    async fn read_back(
        &self,
        place: MapPlace<'_>,
        limits: &BTreeMap<TenantName, Option<u32>>,
    ) -> Result<(), EffectReport> {
        let unknown = |reason: String| EffectReport::of_failure(&Failure::Silent(reason));
        let there = self
            .limits_of(place)
            .await
            .map_err(|error| unknown(format!("set, but not read back: {error}")))?;
        match limits.iter().find(|(tenant, limit)| there.get(*tenant) != limit.as_ref()) {
            None => Ok(()),
            Some((tenant, _)) => {
                let now = there.get(tenant).map_or("no limit".to_owned(), u32::to_string);
                Err(unknown(format!("set, but read back {tenant} has {now}")))
            }
        }
    }
}

/// Whether a name is one word of a command and means itself. [`TenantName`] already makes
/// sure of that; this holds for whatever it will allow.
fn is_word(name: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_graphic() && !";\\<\"'".contains(it);
    // `#` would be the address of an entry.
    !name.is_empty() && !name.starts_with('#') && name.chars().all(is_plain)
}

/// The answer to `show map`: a line per entry with its address, the key and the value.
fn parse(answer: &str) -> Result<BTreeMap<TenantName, u32>, String> {
    let shown = |text: &str| format!("`{}`", one_line(text, 80));
    if !answer.is_empty() && !answer.ends_with('\n') {
        return Err(format!("the map was cut off or is none: {}", shown(answer)));
    }
    let mut limits = BTreeMap::new();
    for line in answer.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let &[address, tenant, limit] = words.as_slice() else {
            return Err(format!("{} is no entry of a map", shown(line)));
        };
        if !address.starts_with("0x") {
            return Err(format!("{} is no entry of a map", shown(line)));
        }
        let tenant = TenantName::new(tenant)
            .map_err(|error| format!("an entry is for nobody whom the agent can name: {error}"))?;
        let limit: u32 = limit.parse().map_err(|_| {
            format!("the limit of {tenant} is no number of requests: {}", shown(limit))
        })?;
        if limits.insert(tenant.clone(), limit).is_some_and(|it| it != limit) {
            return Err(format!("{tenant} has two limits; end both with `del map`"));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    #[test]
    fn a_map_is_read_whole_and_exactly_or_not_at_all() {
        let answers = [
            "",
            "0x5579 acme 10\n0x557a beta/eu 4294967295\n",
            "0x5579 acme 10\n0x557a acme 10\n",
            "0x5579 acme 10\n0x557a acme 11\n",
            "0x5579 acme 10",
            "0x5579 acme 10\n0x55",
            "0x5579 acme\n",
            "0x5579 acme 10 11\n",
            "0x5579 acme  10\n",
            "0x5579 acme -1\n",
            "0x5579 acme 1.5\n",
            "0x5579 acme 4294967296\n",
            "0x5579 a;b 10\n",
            "5579 acme 10\n",
            "<html>\n",
            "\n",
        ];
        let mut table = String::new();
        for answer in answers {
            match parse(answer) {
                Ok(limits) => writeln!(table, "{limits:?}").unwrap(),
                Err(reason) => writeln!(table, "error: {reason}").unwrap(),
            }
        }
        expect![[r#"
            {}
            {`acme`: 10, `beta/eu`: 4294967295}
            {`acme`: 10}
            error: acme has two limits; end both with `del map`
            error: the map was cut off or is none: `0x5579 acme 10`
            error: the map was cut off or is none: `0x5579 acme 10 0x55`
            error: `0x5579 acme` is no entry of a map
            error: `0x5579 acme 10 11` is no entry of a map
            error: `0x5579 acme  10` is no entry of a map
            error: the limit of acme is no number of requests: `-1`
            error: the limit of acme is no number of requests: `1.5`
            error: the limit of acme is no number of requests: `4294967296`
            error: an entry is for nobody whom the agent can name: `a;b` contains ';', a name has only letters, digits and `-_.@/+`
            error: `5579 acme 10` is no entry of a map
            error: `<html>` is no entry of a map
            error: `` is no entry of a map
        "#]].assert_eq(&table);
    }

    #[test]
    fn only_a_word_that_means_itself_becomes_a_part_of_a_command() {
        for good in ["acme", "a-b_c.d@e/f+g", "-", "42"] {
            assert!(is_word(good), "{good}");
        }
        for bad in ["", "a b", "a;b", "a\nb", "a\tb", "<<", "a\\b", "#0x55", "\"a", "ä", "a\u{7f}"]
        {
            assert!(!is_word(bad), "{bad:?}");
        }
    }
}
