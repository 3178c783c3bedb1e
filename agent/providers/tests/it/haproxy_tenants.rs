//! Limits of tenants at a real HAProxy with the configuration that `iac/` shows, and made-up
//! sockets that answer wrongly.
//!
//! In: looks and limits.
//! Out: what was seen, how actions end, and who is turned away.
//! Not here: servers and weights (`haproxy.rs`), the map as text (beside the code).

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::actuators::{actuators, order, show_seen, target_with};
use crate::common::show_report;
use evenkeel_core::action::{Action, LookAt};
use evenkeel_core::documents::{ActuatorRef, Actuators as Refs, Target};
use evenkeel_core::ids::TenantName;
use evenkeel_providers::Actuators;
use evenkeel_testbed::haproxy::{Haproxy, Options};
use evenkeel_testbed::{free_port, http, wait_until};
use expect_test::{Expect, expect};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);
/// Short where a test waits for it; otherwise far longer than a socket needs.
const CALL: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(20);

/// What the documentation tells people to configure.
const SHOWN: &str = include_str!("../../../../iac/haproxy-tenants.cfg");

/// A server that says 200 to everything, until the test process ends.
fn web() -> String {
    fn exchange(mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while lines.next().is_some_and(|it| it.is_ok_and(|it| !it.is_empty())) {}
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = exchange(stream.unwrap());
        }
    });
    address
}

struct World {
    haproxy: Haproxy,
    actuators: Actuators,
    target: Target,
    map: PathBuf,
    url: String,
    _folder: TempDir,
}

fn at(socket: &Path, map: &str) -> Target {
    let socket = socket.to_str().unwrap().to_owned();
    let tenants = Some(ActuatorRef::HaproxyMap { socket, map: map.to_owned() });
    target_with(Refs { tenants, ..Refs::default() })
}

/// HAProxy with the rules of the documentation, and this in the map's file.
async fn world(written: &str, level: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("tenants.map");
    std::fs::write(&map, written).unwrap();
    let port = free_port();
    let begin = SHOWN.find("frontend tenants-in").unwrap();
    let end = SHOWN.find("\nbackend checkout").unwrap() + 1;
    let rules = SHOWN[begin..end]
        .replace("/etc/haproxy/tenants.map", map.to_str().unwrap())
        .replace("bind :8080", &format!("bind 127.0.0.1:{port}"));
    let options = Options::new("checkout").server_line(&format!("web {}", web()));
    let haproxy = options.socket_level(level).more(&rules).start();
    let target = at(&haproxy.socket(), map.to_str().unwrap());
    let url = format!("http://127.0.0.1:{port}");
    let world =
        World { haproxy, actuators: actuators(LONG).await, target, map, url, _folder: folder };
    wait_until(LIMIT, "the frontend", || world.asks("nobody") == Some(200));
    world
}

fn limit(limits: &[(&str, Option<u32>)]) -> Action {
    let limits = limits.iter().map(|(name, it)| (TenantName::new(name).unwrap(), *it));
    Action::LimitTenants { limits: limits.collect() }
}

impl World {
    fn masked(&self, text: &str) -> String {
        let socket = self.haproxy.socket();
        text.replace(socket.to_str().unwrap(), "SOCKET").replace(self.map.to_str().unwrap(), "MAP")
    }

    fn asks(&self, tenant: &str) -> Option<u16> {
        let headers = [("x-tenant", tenant)];
        http::send("GET", &self.url, &headers, b"", None).ok().map(|it| it.status)
    }

    /// Of 40 requests, how many were served and how many turned away.
    fn spread(&self, tenant: &str) -> (usize, usize) {
        let statuses: Vec<u16> = (0..40).map(|_| self.asks(tenant).unwrap()).collect();
        let n = |status: u16| statuses.iter().filter(|it| **it == status).count();
        assert_eq!(n(200) + n(429), 40, "{statuses:?}");
        (n(200), n(429))
    }

    /// Acts, then shows the report and what is there.
    async fn check(&self, action: Action, expected: &Expect) {
        let report = self.actuators.act(&self.target, &order(action)).await;
        let seen = show_seen(&self.actuators.look(&self.target, &LookAt::TenantLimits).await);
        expected.assert_eq(&self.masked(&format!("{}\n{seen}", show_report(&report))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_tenant_is_turned_away_and_no_other_is_until_it_is_lifted() {
    let world = world("", "operator").await;
    assert_eq!(world.spread("acme"), (40, 0));
    world
        .check(
            limit(&[("acme", Some(3))]),
            &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 3 requests/s
        acme: 3/s"#]],
        )
        .await;
    let (served, turned_away) = world.spread("acme");
    assert!(0 < turned_away, "{served}");
    assert_eq!(world.spread("beta"), (40, 0), "of others nothing is taken");
    // Who goes on asking still gets what the limit leaves: what is turned away does not count.
    wait_until(LIMIT, "acme is served again", || world.asks("acme") == Some(200));
    wait_until(LIMIT, "acme is turned away again", || world.asks("acme") == Some(429));
    wait_until(LIMIT, "acme is served again", || world.asks("acme") == Some(200));
    // Twice is once.
    world.check(limit(&[("acme", Some(3))]), &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 3 requests/s (1 already so)
        acme: 3/s"#]]).await;
    world
        .check(
            limit(&[("acme", Some(1_000_000))]),
            &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 1000000 requests/s
        acme: 1000000/s"#]],
        )
        .await;
    assert_eq!(world.spread("acme"), (40, 0));
    // The undo.
    world
        .check(
            limit(&[("acme", None)]),
            &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: lift the limit of tenant acme
        no limits"#]],
        )
        .await;
    assert_eq!(world.spread("acme"), (40, 0));
    world.check(limit(&[("acme", None)]), &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: lift the limit of tenant acme (1 already so)
        no limits"#]]).await;
    assert_eq!(std::fs::read_to_string(&world.map).unwrap(), "", "the file is not written");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_file_are_seen_kept_and_brought_back() {
    let world = world("acme 100\n# Ours.\nbeta/eu 200\n", "admin").await;
    world.check(limit(&[("acme", Some(2)), ("core", Some(9))]), &expect![[r#"
        done: 2 tenants of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 2 requests/s, limit tenant core to 9 requests/s
        acme: 2/s
        beta/eu: 200/s
        core: 9/s"#]]).await;
    world.check(limit(&[("acme", Some(100)), ("core", None)]), &expect![[r#"
        done: 2 tenants of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 100 requests/s, lift the limit of tenant core
        acme: 100/s
        beta/eu: 200/s"#]]).await;
    world
        .check(
            limit(&[]),
            &expect![[r#"
        rejected: the action names no tenant
        acme: 100/s
        beta/eu: 200/s"#]],
        )
        .await;
    // Somebody else's entries that the agent cannot read stop it.
    let map = world.map.to_str().unwrap().to_owned();
    assert_eq!(world.haproxy.ask(&format!("add map {map} acme 7")).trim(), "");
    world.check(limit(&[("acme", Some(1))]), &expect![[r#"
        rejected: nothing was sent, because the limits could not be read: no usable answer about HAProxy map `MAP` at `SOCKET`: acme has two limits; end both with `del map`
        no usable answer about HAProxy map `MAP` at `SOCKET`: acme has two limits; end both with `del map`"#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_is_not_there_or_whose_name_is_a_command_is_refused() {
    let world = world("", "admin").await;
    let socket = world.haproxy.socket();
    let mut table = String::new();
    for map in ["/etc/nope.map", "", "#0", "a b", "a;show info", "a\nshow info", "<<", "a\\b"] {
        let target = at(&socket, map);
        let seen = show_seen(&world.actuators.look(&target, &LookAt::TenantLimits).await);
        let report = world.actuators.act(&target, &order(limit(&[("acme", Some(1))]))).await;
        table.push_str(&format!("{seen}\n  {}\n", show_report(&report)));
    }
    expect![[r#"
        there is no HAProxy map `/etc/nope.map` at `SOCKET`; write its file as HAProxy's configuration does (`show map` on the socket lists them); `iac/haproxy-tenants.cfg` shows one
          rejected: nothing was sent, because the limits could not be read: there is no HAProxy map `/etc/nope.map` at `SOCKET`; write its file as HAProxy's configuration does (`show map` on the socket lists them); `iac/haproxy-tenants.cfg` shows one
        cannot ask for HAProxy map `` at `SOCKET`: the map's name is empty
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `` at `SOCKET`: the map's name is empty
        cannot ask for HAProxy map `#0` at `SOCKET`: the map's name contains '#'; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `#0` at `SOCKET`: the map's name contains '#'; it has only letters, digits and `-_.:/`
        cannot ask for HAProxy map `a b` at `SOCKET`: the map's name contains ' '; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `a b` at `SOCKET`: the map's name contains ' '; it has only letters, digits and `-_.:/`
        cannot ask for HAProxy map `a;show info` at `SOCKET`: the map's name contains ';'; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `a;show info` at `SOCKET`: the map's name contains ';'; it has only letters, digits and `-_.:/`
        cannot ask for HAProxy map `a show info` at `SOCKET`: the map's name contains '\n'; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `a show info` at `SOCKET`: the map's name contains '\n'; it has only letters, digits and `-_.:/`
        cannot ask for HAProxy map `<<` at `SOCKET`: the map's name contains '<'; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `<<` at `SOCKET`: the map's name contains '<'; it has only letters, digits and `-_.:/`
        cannot ask for HAProxy map `a\b` at `SOCKET`: the map's name contains '\\'; it has only letters, digits and `-_.:/`
          rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `a\b` at `SOCKET`: the map's name contains '\\'; it has only letters, digits and `-_.:/`
    "#]].assert_eq(&world.masked(&table));
    let relative = at(Path::new("haproxy.sock"), "/etc/tenants.map");
    let seen = world.actuators.look(&relative, &LookAt::TenantLimits).await;
    expect!["cannot ask for HAProxy map `/etc/tenants.map` at `haproxy.sock`: the socket's path must begin with `/`"].assert_eq(&show_seen(&seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_the_least_level_is_enough_and_a_dead_one_changes_nothing() {
    let mut world = world("", "user").await;
    world
        .check(
            limit(&[("acme", Some(3))]),
            &expect![[r#"
        done: 1 tenant of HAProxy map `MAP` at `SOCKET`: limit tenant acme to 3 requests/s
        acme: 3/s"#]],
        )
        .await;
    world.actuators = actuators(CALL).await;
    world.haproxy.pause();
    world.check(limit(&[("acme", Some(3))]), &expect![[r#"
        rejected: nothing was sent, because the limits could not be read: no usable answer about HAProxy map `MAP` at `SOCKET`: no whole answer within 0.7 s
        no usable answer about HAProxy map `MAP` at `SOCKET`: no whole answer within 0.7 s"#]]).await;
    world.haproxy.resume();
    world.haproxy.kill();
    world.check(limit(&[("acme", Some(3))]), &expect![[r#"
        rejected: nothing was sent, because the limits could not be read: cannot ask for HAProxy map `MAP` at `SOCKET`: its socket: Connection refused (os error 111)
        cannot ask for HAProxy map `MAP` at `SOCKET`: its socket: Connection refused (os error 111)"#]]).await;
}

/// A socket that gives each connection the next answer; after the last nobody listens. Then
/// limits acme to 3, and shows how many commands came and how it ended.
async fn limited_with(replies: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fake.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (commands, replies) = (Arc::clone(&heard), replies.join("\u{1}"));
    std::thread::spawn(move || {
        let mut left = replies.split('\u{1}').count();
        let mut listener = Some(listener);
        for reply in replies.split('\u{1}') {
            let (mut stream, _) = listener.as_ref().unwrap().accept().unwrap();
            left -= 1;
            if left == 0 {
                // Gone before the answer, so that nobody connects in between.
                listener = None;
            }
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            commands.lock().unwrap().push(line.trim_end().to_owned());
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    let actuators = actuators(CALL).await;
    let report = actuators.act(&at(&path, "m"), &order(limit(&[("acme", Some(3))]))).await;
    let report = show_report(&report).replace(path.to_str().unwrap(), "SOCKET");
    let commands = heard.lock().unwrap().join(" | ");
    format!("{commands}\n  {report}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_read_back_is_done() {
    const NONE: &str = "\n";
    const SET: &str = "0x55 acme 3\n\n";
    const OTHER: &str = "0x55 acme 9\n\n";
    let mut table = String::new();
    for replies in [
        vec![NONE, "\n", SET],
        vec![OTHER, "\n", SET],
        vec![SET],
        vec![NONE, "\n", NONE],
        vec![NONE, "\n", OTHER],
        vec![NONE, "\n", "<html>\n\n"],
        vec![NONE, "\n"],
        vec![OTHER, "entry not found.\n\n"],
        vec![NONE, "whatever\n\n"],
        vec![NONE, ""],
        vec!["0x55 acme 3"],
    ] {
        table.push_str(&limited_with(&replies).await);
    }
    expect![[r#"
        show map m | add map m acme 3 | show map m
          done: 1 tenant of HAProxy map `m` at `SOCKET`: limit tenant acme to 3 requests/s
        show map m | set map m acme 3 | show map m
          done: 1 tenant of HAProxy map `m` at `SOCKET`: limit tenant acme to 3 requests/s
        show map m
          done: 1 tenant of HAProxy map `m` at `SOCKET`: limit tenant acme to 3 requests/s (1 already so)
        show map m | add map m acme 3 | show map m
          unknown: it may have happened or not: set, but read back acme has no limit
        show map m | add map m acme 3 | show map m
          unknown: it may have happened or not: set, but read back acme has 9
        show map m | add map m acme 3 | show map m
          unknown: it may have happened or not: set, but not read back: no usable answer about HAProxy map `m` at `SOCKET`: `<html>` is no entry of a map
        show map m | add map m acme 3
          unknown: it may have happened or not: set, but not read back: cannot ask for HAProxy map `m` at `SOCKET`: its socket: Connection refused (os error 111)
        show map m | set map m acme 3
          rejected: acme: refused: `entry not found.`
        show map m | add map m acme 3
          unknown: acme: it may have happened or not: HAProxy answers `whatever`
        show map m | add map m acme 3
          unknown: acme: it may have happened or not: closed without an answer
        show map m
          rejected: nothing was sent, because the limits could not be read: no usable answer about HAProxy map `m` at `SOCKET`: the answer was cut off
    "#]].assert_eq(&table);
}
