//! The answer to `show servers state BACKEND`.
//!
//! **In:** its text, format version 1 of HAProxy's management guide.
//! **Out:** servers with weight, health and administrative state.
//! **Not here:** asking (see [`super::socket`]), what follows (see [`super`]).
//!
//! Not `show stat`: it tells health and administrative state in one word, so that a drained
//! server whose check fails is `DOWN` there, and one of weight 0 is `DRAIN`.

use std::collections::BTreeSet;

use crate::provider::one_line;

/// In maintenance, forced on the socket or by the configuration (`SRV_ADMF_FMAINT`).
const MAINTENANCE_FORCED: u32 = 0x01;
/// In maintenance, because the server that it tracks is (`SRV_ADMF_IMAINT`).
const MAINTENANCE_INHERITED: u32 = 0x02;
/// Drained, forced on the socket (`SRV_ADMF_FDRAIN`): what `state drain` sets.
const DRAIN_FORCED: u32 = 0x08;
/// Drained, because the server that it tracks is (`SRV_ADMF_IDRAIN`).
const DRAIN_INHERITED: u32 = 0x10;

/// All ways of being out of traffic on purpose. An address that cannot be resolved
/// (`SRV_ADMF_RMAINT`) is none.
const OUT: u32 = MAINTENANCE_FORCED | MAINTENANCE_INHERITED | DRAIN_FORCED | DRAIN_INHERITED;

/// One server of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    /// Whether its check passes, or it has none. Not during maintenance: HAProxy does not
    /// check then.
    pub(super) is_up: bool,
    admin_state: u32,
    /// As configured or set, `0..=256`; during a slow start it may have less.
    pub(super) weight: u32,
}

impl Server {
    /// Whether it is out of traffic on purpose, whoever wanted it.
    pub(super) fn is_out(&self) -> bool {
        self.admin_state & OUT != 0
    }

    /// Whether `state drain` is the only reason.
    pub(super) fn is_only_drained(&self) -> bool {
        self.admin_state & OUT == DRAIN_FORCED
    }
}

/// Places of the columns used.
struct Columns {
    backend: usize,
    name: usize,
    operation: usize,
    admin: usize,
    weight: usize,
}

/// The servers of `backend`, in HAProxy's order.
///
/// # Errors
///
/// A message without the answer's rest, when it is not whole or not of version 1.
pub(super) fn parse(answer: &str, backend: &str) -> Result<Vec<Server>, String> {
    if !answer.ends_with('\n') {
        return Err(format!("the list of servers was cut off or is none: {}", start_of(answer)));
    }
    let mut lines = answer.lines();
    let version = lines.next().unwrap_or_default();
    if version != "1" {
        let version = start_of(version);
        return Err(format!("the list of servers has format {version}, only `1` is known"));
    }
    let header = lines.next().and_then(|it| it.strip_prefix('#')).unwrap_or_default();
    let columns = columns(header)?;
    let mut servers = Vec::new();
    let mut names = BTreeSet::new();
    for line in lines.filter(|it| !it.is_empty() && !it.starts_with('#')) {
        let server = to_server(line, &columns, backend)?;
        if !names.insert(server.name.clone()) {
            return Err(format!("server `{}` is listed twice", one_line(&server.name, 80)));
        }
        servers.push(server);
    }
    Ok(servers)
}

fn columns(header: &str) -> Result<Columns, String> {
    let names: Vec<&str> = header.split_whitespace().collect();
    let place = |name: &str| {
        names
            .iter()
            .position(|it| *it == name)
            .ok_or_else(|| format!("the list of servers has no column `{name}`"))
    };
    Ok(Columns {
        backend: place("be_name")?,
        name: place("srv_name")?,
        operation: place("srv_op_state")?,
        admin: place("srv_admin_state")?,
        weight: place("srv_uweight")?,
    })
}

fn to_server(line: &str, columns: &Columns, backend: &str) -> Result<Server, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let field = |place: usize| {
        fields.get(place).copied().ok_or_else(|| format!("a line is too short: {}", start_of(line)))
    };
    let number = |place: usize| {
        let text = field(place)?;
        let not_one = |_| format!("{} is not a number in: {}", start_of(text), start_of(line));
        text.parse::<u32>().map_err(not_one)
    };
    // HAProxy also takes identifiers, so a name of digits may have found another backend.
    let found = field(columns.backend)?;
    if found != backend {
        return Err(format!(
            "asked for backend `{backend}`, HAProxy answers for {}",
            start_of(found)
        ));
    }
    Ok(Server {
        name: field(columns.name)?.to_owned(),
        is_up: match number(columns.operation)? {
            // Stopped; and stopping: it asks for no new requests (a 404 to its check).
            0 | 3 => false,
            // Starting (slowly, so as to warm up); and running.
            1 | 2 => true,
            other => return Err(format!("a server is in state {other}, only 0 to 3 are known")),
        },
        admin_state: number(columns.admin)?,
        weight: number(columns.weight)?,
    })
}

fn start_of(text: &str) -> String {
    format!("`{}`", one_line(text, 80))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use proptest::sample::select;

    const HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
         srv_uweight srv_iweight srv_time_since_last_change srv_check_status";

    /// Of version 2.6, shortened.
    fn listed(lines: &[&str]) -> String {
        format!("1\n{HEADER}\n{}\n", lines.join("\n"))
    }

    #[track_caller]
    fn check(answer: &str, expected: &Expect) {
        let shown = match parse(answer, "app") {
            Err(reason) => reason,
            Ok(servers) => servers
                .iter()
                .map(|it| {
                    let up = if it.is_up { "up" } else { "down" };
                    let out = if it.is_out() { ", out" } else { "" };
                    let only = if it.is_only_drained() { ", by us" } else { "" };
                    format!("{}: {up}{out}{only}, weight {}", it.name, it.weight)
                })
                .collect::<Vec<_>>()
                .join("\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn health_and_administrative_state_are_told_apart() {
        check(
            &listed(&[
                "3 app 1 running 127.0.0.1 2 0 100 100 0 1",
                "3 app 2 no-health 127.0.0.1 0 0 1 1 8 2",
                "3 app 3 drained 127.0.0.1 2 8 1 1 8 2",
                "3 app 4 drained-and-down 127.0.0.1 0 8 1 1 8 2",
                "3 app 5 maintenance 127.0.0.1 0 1 1 1 8 2",
                "3 app 6 disabled 127.0.0.1 0 5 1 1 8 2",
                "3 app 7 both 127.0.0.1 0 9 1 1 8 2",
                "3 app 8 follows 127.0.0.1 2 16 1 1 8 2",
                "3 app 9 unresolved - 0 32 1 1 8 2",
                "3 app 10 slow-start 127.0.0.1 1 0 50 100 8 2",
                "3 app 11 stopping 127.0.0.1 3 0 50 100 8 2",
                "3 app 12 weightless 127.0.0.1 2 0 0 100 8 2",
            ]),
            &expect![[r#"
                running: up, weight 100
                no-health: down, weight 1
                drained: up, out, by us, weight 1
                drained-and-down: down, out, by us, weight 1
                maintenance: down, out, weight 1
                disabled: down, out, weight 1
                both: down, out, weight 1
                follows: up, out, weight 1
                unresolved: down, weight 1
                slow-start: up, weight 50
                stopping: down, weight 50
                weightless: up, weight 0"#]],
        );
        check(&listed(&[]), &expect![[r#""#]]);
    }

    #[test]
    fn what_is_no_list_of_servers_is_no_empty_backend() {
        for (answer, expected) in [
            ("", expect!["the list of servers was cut off or is none: ``"]),
            ("1", expect!["the list of servers was cut off or is none: `1`"]),
            ("2\n# be_name\n", expect!["the list of servers has format `2`, only `1` is known"]),
            ("1\n", expect!["the list of servers has no column `be_name`"]),
            (
                "1\n# be_id be_name srv_id srv_name\n",
                expect!["the list of servers has no column `srv_op_state`"],
            ),
            (
                "<html>log in</html>\n",
                expect!["the list of servers has format `<html>log in</html>`, only `1` is known"],
            ),
        ] {
            check(answer, &expected);
        }
        for (line, expected) in [
            ("3 app 1", expect!["a line is too short: `3 app 1`"]),
            (
                "3 app 1 a 127.0.0.1 x 0 100",
                expect!["`x` is not a number in: `3 app 1 a 127.0.0.1 x 0 100`"],
            ),
            (
                "3 app 1 a 127.0.0.1 4 0 100",
                expect!["a server is in state 4, only 0 to 3 are known"],
            ),
            (
                "3 app 1 a 127.0.0.1 2 -1 100",
                expect!["`-1` is not a number in: `3 app 1 a 127.0.0.1 2 -1 100`"],
            ),
            (
                "3 other 1 a 127.0.0.1 2 0 100",
                expect!["asked for backend `app`, HAProxy answers for `other`"],
            ),
            ("3 app 1 a - 2 0 1\n3 app 2 a - 2 0 1", expect!["server `a` is listed twice"]),
        ] {
            check(&listed(&[line]), &expected);
        }
    }

    /// Names of columns beside those that are used.
    const OTHERS: &[&str] = &["be_id", "srv_id", "srv_addr", "srv_iweight", "srv_fqdn"];

    fn server() -> impl Strategy<Value = Server> {
        ("[a-zA-Z0-9_.:-]{1,20}", any::<bool>(), 0u32..128, 0u32..=256).prop_map(
            |(name, is_up, admin_state, weight)| Server { name, is_up, admin_state, weight },
        )
    }

    /// Servers of different names, and an answer with their columns in some order.
    fn answer() -> impl Strategy<Value = (Vec<Server>, String)> {
        let columns = ["be_name", "srv_name", "srv_op_state", "srv_admin_state", "srv_uweight"];
        let columns =
            proptest::collection::vec(select(OTHERS), 0..4).prop_flat_map(move |others| {
                let all: Vec<&str> = columns.iter().copied().chain(others).collect();
                Just(all).prop_shuffle()
            });
        (proptest::collection::vec(server(), 0..12), columns).prop_map(|(servers, columns)| {
            let mut names = BTreeSet::new();
            let servers: Vec<Server> =
                servers.into_iter().filter(|it| names.insert(it.name.clone())).collect();
            let mut text = format!("1\n# {}\n", columns.join(" "));
            for it in &servers {
                let field = |column: &&str| match *column {
                    "be_name" => "app".to_owned(),
                    "srv_name" => it.name.clone(),
                    "srv_op_state" => u32::from(it.is_up).to_string(),
                    "srv_admin_state" => it.admin_state.to_string(),
                    "srv_uweight" => it.weight.to_string(),
                    _ => "-".to_owned(),
                };
                let fields: Vec<String> = columns.iter().map(field).collect();
                text.push_str(&format!("{}\n", fields.join(" ")));
            }
            (servers, text)
        })
    }

    proptest! {
        #[test]
        fn servers_are_read_whatever_the_order_of_columns((servers, answer) in answer()) {
            prop_assert_eq!(parse(&answer, "app"), Ok(servers));
        }

        // A server that is missing makes every share of the fleet larger.
        #[test]
        fn an_answer_that_was_cut_is_refused((_, answer) in answer(), at in any::<prop::sample::Index>()) {
            // As on the wire: HAProxy ends every answer with one more newline.
            let whole = format!("{answer}\n");
            let cut = &whole[..at.index(whole.len())];
            if let Some(cut) = cut.strip_suffix('\n') {
                prop_assert!(parse(cut, "app").is_err(), "{cut:?}");
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s)(1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight\n)?.{0,200}\n?") {
            let _ = parse(&text, "app");
        }
    }
}
