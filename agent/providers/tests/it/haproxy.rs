//! A HAProxy backend with real servers behind it, and made-up sockets that answer wrongly,
//! late or never.
//!
//! In: looks and actions.
//! Out: what was seen, how actions end, and where requests go.
//! Not here: the list of servers as text (beside the code).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::actuators::{actuators, order, show_seen, target_with, traffic};
use crate::common::show_report;
use evenkeel_core::action::{Action, LookAt};
use evenkeel_core::documents::{ActuatorRef, Target};
use evenkeel_core::ids::InstanceName;
use evenkeel_providers::{ActuatorSettings, Actuators};
use evenkeel_testbed::haproxy::{Haproxy, Options};
use evenkeel_testbed::{free_port, http, wait_until};
use expect_test::{Expect, expect};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);
/// Short where a test waits for it; otherwise far longer than a socket needs.
const CALL: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(20);

/// A server that says 200 and counts requests other than checks. Serves until the test
/// process ends.
struct Web {
    address: String,
    served: Arc<AtomicUsize>,
}

impl Web {
    fn start() -> Web {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = Web::exchange(stream.unwrap(), &counted);
            }
        });
        Web { address, served }
    }

    fn exchange(mut stream: TcpStream, served: &AtomicUsize) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        while lines.next().is_some_and(|it| it.is_ok_and(|it| !it.is_empty())) {}
        if !first.is_empty() && !first.contains("/health") {
            served.fetch_add(1, Ordering::SeqCst);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

struct World {
    a: Web,
    b: Web,
    haproxy: Haproxy,
    actuators: Actuators,
    target: Target,
}

fn at(socket: &Path, backend: &str) -> Target {
    let socket = socket.to_str().unwrap().to_owned();
    target_with(traffic(ActuatorRef::Haproxy { socket, backend: backend.to_owned() }))
}

async fn world(change: impl FnOnce(Options) -> Options) -> World {
    let (a, b) = (Web::start(), Web::start());
    let options = Options::new("app")
        .server("a", &a.address)
        .server("b", &b.address)
        .server("dead", &format!("127.0.0.1:{}", free_port()))
        .check_path("/health");
    let haproxy = change(options).start();
    wait_until(LIMIT, "the checks", || {
        haproxy.status("dead") == "DOWN" && haproxy.status("a") == "UP"
    });
    let target = at(&haproxy.socket(), "app");
    World { a, b, haproxy, actuators: actuators(LONG).await, target }
}

fn names(names: &[&str]) -> BTreeSet<InstanceName> {
    names.iter().map(|it| InstanceName::new(it).unwrap()).collect()
}

fn drain(instances: &[&str], is_drained: bool) -> Action {
    Action::SetDrained { instances: names(instances), is_drained }
}

fn weights(weights: &[(&str, u32)]) -> Action {
    let weights: BTreeMap<InstanceName, u32> =
        weights.iter().map(|(name, it)| (InstanceName::new(name).unwrap(), *it)).collect();
    Action::SetWeights { weights }
}

impl World {
    async fn seen(&self) -> String {
        show_seen(&self.actuators.look(&self.target, &LookAt::Traffic).await)
    }

    /// Acts, then shows the report and what is there.
    async fn check(&self, action: Action, expected: &Expect) {
        let report = self.actuators.act(&self.target, &order(action)).await;
        let shown = format!("{}\n{}", show_report(&report), self.seen().await);
        let socket = self.haproxy.socket();
        expected.assert_eq(&shown.replace(socket.to_str().unwrap(), "SOCKET"));
    }

    /// How many of 12 requests each server gets, roughly: none, few, half, most or all.
    fn spread(&self) -> [&'static str; 2] {
        let before = (self.a.served(), self.b.served());
        for _ in 0..12 {
            assert_eq!(http::get(&self.haproxy.url()).unwrap().status, 200);
        }
        let roughly = |n: usize| match n {
            0 => "none",
            1..=3 => "few",
            4..=8 => "half",
            9..=11 => "most",
            _ => "all",
        };
        [self.a.served() - before.0, self.b.served() - before.1].map(roughly)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_gets_no_requests_until_it_is_put_back() {
    let world = world(|it| it).await;
    assert_eq!(world.spread(), ["half", "half"]);
    world
        .check(
            drain(&["a"], true),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: drain a
        a: ready, drained, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    assert_eq!(world.spread(), ["none", "all"]);
    assert_eq!(world.haproxy.status("a"), "DRAIN");
    world
        .check(
            drain(&["a"], true),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: drain a (1 already so)
        a: ready, drained, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    // The undo.
    world
        .check(
            drain(&["a"], false),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: put a back into traffic
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    assert_eq!(world.spread(), ["half", "half"]);
    world
        .check(
            drain(&["a"], false),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: put a back into traffic (1 already so)
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_shift_traffic_and_shift_it_back() {
    let world = world(|it| it).await;
    world
        .check(
            weights(&[("a", 50), ("b", 250)]),
            &expect![[r#"
        done: 2 servers of HAProxy backend `app` at `SOCKET`: set weights a=50, b=250
        a: ready, weight 50
        b: ready, weight 250
        dead: not ready, weight 100"#]],
        )
        .await;
    assert_eq!(world.spread(), ["few", "most"]);
    world
        .check(
            weights(&[("a", 0)]),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: set weights a=0
        a: ready, weight 0
        b: ready, weight 250
        dead: not ready, weight 100"#]],
        )
        .await;
    assert_eq!(world.spread(), ["none", "all"]);
    world
        .check(
            weights(&[("a", 100), ("b", 100)]),
            &expect![[r#"
        done: 2 servers of HAProxy backend `app` at `SOCKET`: set weights a=100, b=100
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    assert_eq!(world.spread(), ["half", "half"]);
    world
        .check(
            weights(&[("a", 257)]),
            &expect![[r#"
        rejected: weight 257 of a is above 256, the most that HAProxy takes
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_check_fails_can_be_drained_and_is_seen_as_drained() {
    let world = world(|it| it).await;
    world
        .check(
            drain(&["dead"], true),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: drain dead
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, drained, weight 100"#]],
        )
        .await;
    assert_eq!(world.haproxy.status("dead"), "DOWN", "the one word of `show stat` hides it");
    world
        .check(
            drain(&["dead"], false),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: put dead back into traffic
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maintenance_that_a_person_began_is_not_ended() {
    let world = world(|it| it).await;
    assert_eq!(world.haproxy.ask("set server app/a state maint").trim(), "");
    world
        .check(
            drain(&["a"], true),
            &expect![[r#"
        done: 1 server of HAProxy backend `app` at `SOCKET`: drain a (1 already so)
        a: not ready, drained, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    world.check(drain(&["a", "b"], false), &expect![[r#"
        rejected: `a` was not drained by the agent: it is in maintenance or follows another server; whoever did that has to put it back
        a: not ready, drained, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]]).await;
    assert_eq!(world.haproxy.status("a"), "MAINT");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_stops_the_whole_action() {
    let world = world(|it| it).await;
    world.check(drain(&["a", "nobody"], true), &expect![[r#"
        rejected: there is no server `nobody` in HAProxy backend `app` at `SOCKET`; it has a, b, dead
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]]).await;
    world.check(weights(&[("b", 1), ("nobody", 1)]), &expect![[r#"
        rejected: there is no server `nobody` in HAProxy backend `app` at `SOCKET`; it has a, b, dead
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]]).await;
    for action in [
        drain(&[], true),
        Action::RestartInstances { instances: names(&["a"]) },
        Action::ReplaceInstances { instances: names(&["a"]) },
    ] {
        let report = world.actuators.act(&world.target, &order(action)).await;
        assert!(show_report(&report).starts_with("rejected: "), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_not_there_or_whose_name_is_a_command_is_refused() {
    let world = world(|it| it.more("backend 77\n  server x 127.0.0.1:1\n")).await;
    let socket = world.haproxy.socket();
    let mut table = String::new();
    for backend in [
        "nope",
        "",
        "app; set server app/a state maint",
        "app\nshow info",
        "a b",
        "app/a",
        "-1",
        "3",
    ] {
        let target = at(&socket, backend);
        let seen = show_seen(&world.actuators.look(&target, &LookAt::Traffic).await);
        let report = world.actuators.act(&target, &order(drain(&["a"], true))).await;
        table.push_str(&format!("{seen}\n  {}\n", show_report(&report)));
    }
    expect![[r#"
        there is no HAProxy backend `nope` at `SOCKET`; compare the name with the `backend` sections of its configuration
          rejected: nothing was sent, because the servers could not be read: there is no HAProxy backend `nope` at `SOCKET`; compare the name with the `backend` sections of its configuration
        cannot ask for HAProxy backend `` at `SOCKET`: the backend's name is empty
          rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `` at `SOCKET`: the backend's name is empty
        cannot ask for HAProxy backend `app; set server app/a state maint` at `SOCKET`: the backend's name contains ';'; a name has only letters, digits and `-_.:`
          rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `app; set server app/a state maint` at `SOCKET`: the backend's name contains ';'; a name has only letters, digits and `-_.:`
        cannot ask for HAProxy backend `app show info` at `SOCKET`: the backend's name contains '\n'; a name has only letters, digits and `-_.:`
          rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `app show info` at `SOCKET`: the backend's name contains '\n'; a name has only letters, digits and `-_.:`
        cannot ask for HAProxy backend `a b` at `SOCKET`: the backend's name contains ' '; a name has only letters, digits and `-_.:`
          rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `a b` at `SOCKET`: the backend's name contains ' '; a name has only letters, digits and `-_.:`
        cannot ask for HAProxy backend `app/a` at `SOCKET`: the backend's name contains '/'; a name has only letters, digits and `-_.:`
          rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `app/a` at `SOCKET`: the backend's name contains '/'; a name has only letters, digits and `-_.:`
        there is no HAProxy backend `-1` at `SOCKET`; compare the name with the `backend` sections of its configuration
          rejected: nothing was sent, because the servers could not be read: there is no HAProxy backend `-1` at `SOCKET`; compare the name with the `backend` sections of its configuration
        there is no HAProxy backend `3` at `SOCKET`; compare the name with the `backend` sections of its configuration
          rejected: nothing was sent, because the servers could not be read: there is no HAProxy backend `3` at `SOCKET`; compare the name with the `backend` sections of its configuration
    "#]].assert_eq(&table.replace(socket.to_str().unwrap(), "SOCKET"));
    assert_eq!(world.haproxy.status("a"), "UP");
    let relative = at(Path::new("haproxy.sock"), "app");
    expect!["cannot ask for HAProxy backend `app` at `haproxy.sock`: the socket's path must begin with `/`"]
        .assert_eq(&show_seen(&world.actuators.look(&relative, &LookAt::Traffic).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_may_only_read_and_an_algorithm_without_weights_refuse() {
    let reading = world(|it| it.socket_level("operator")).await;
    reading
        .check(
            drain(&["a"], true),
            &expect![[r#"
        rejected: a: refused: `Permission denied`; its `stats socket` needs `level admin`
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]],
        )
        .await;
    let fixed = world(|it| it.balance("static-rr")).await;
    fixed.check(weights(&[("a", 50)]), &expect![[r#"
        rejected: a: refused: `Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.`
        a: ready, weight 100
        b: ready, weight 100
        dead: not ready, weight 100"#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_silent_haproxy_changes_nothing() {
    let mut world = world(|it| it).await;
    let socket = world.haproxy.socket();
    let masked = |text: &str| text.replace(socket.to_str().unwrap(), "SOCKET");
    world.actuators = actuators(CALL).await;
    world.haproxy.pause();
    let started = Instant::now();
    let seen = masked(&world.seen().await);
    let report = world.actuators.act(&world.target, &order(drain(&["a"], true))).await;
    assert!(started.elapsed() < 4 * CALL, "{:?}", started.elapsed());
    expect![[r#"
        no usable answer about HAProxy backend `app` at `SOCKET`: no whole answer within 0.7 s
        rejected: nothing was sent, because the servers could not be read: no usable answer about HAProxy backend `app` at `SOCKET`: no whole answer within 0.7 s"#]].assert_eq(&format!("{seen}\n{}", masked(&show_report(&report))));
    world.haproxy.resume();
    wait_until(LIMIT, "HAProxy answers again", || world.haproxy.status("a") == "UP");

    world.haproxy.kill();
    let seen = masked(&world.seen().await);
    let report = world.actuators.act(&world.target, &order(drain(&["a"], true))).await;
    expect![[r#"
        cannot ask for HAProxy backend `app` at `SOCKET`: its socket: Connection refused (os error 111)
        rejected: nothing was sent, because the servers could not be read: cannot ask for HAProxy backend `app` at `SOCKET`: its socket: Connection refused (os error 111)"#]].assert_eq(&format!("{seen}\n{}", masked(&show_report(&report))));
}

/// What a made-up socket does with one connection.
#[derive(Clone)]
enum Reply {
    Text(String),
    /// Says this and then nothing, but keeps the connection.
    Hang(&'static str),
    /// More than anybody should read.
    Flood,
    Bytes(&'static [u8]),
}

/// A socket that answers each connection with the next reply, and remembers commands.
struct Socket {
    path: PathBuf,
    commands: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

/// Two servers, as HAProxy lists them.
const LISTED: &str = "1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight\n\
     app a 2 0 100\napp b 2 0 100\n\n";

impl Socket {
    fn start(replies: Vec<Reply>) -> Socket {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fake.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&commands);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
                heard.lock().unwrap().push(line.trim_end().to_owned());
                let _ = Socket::answer(&mut stream, &reply);
                if matches!(reply, Reply::Hang(_)) {
                    kept.push(stream);
                }
            }
            // Held until the peer has given up, then no connection is taken any more.
            drop(listener);
            for mut stream in kept {
                let _ = stream.read(&mut [0]);
            }
        });
        Socket { path, commands, _folder: folder }
    }

    fn answer(stream: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
        match reply {
            Reply::Text(text) => stream.write_all(text.as_bytes()),
            Reply::Hang(text) => stream.write_all(text.as_bytes()),
            Reply::Bytes(bytes) => stream.write_all(bytes),
            Reply::Flood => {
                let line = [b'a'; 4_096];
                for _ in 0..1_024 {
                    stream.write_all(&line)?;
                }
                Ok(())
            }
        }
    }
}

fn text(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

/// Looks where every answer is `reply`.
async fn look_at(reply: Reply) -> String {
    let socket = Socket::start(vec![reply]);
    let actuators = actuators(CALL).await;
    let seen = actuators.look(&at(&socket.path, "app"), &LookAt::Traffic).await;
    show_seen(&seen).replace(socket.path.to_str().unwrap(), "SOCKET")
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_no_list_of_servers() {
    let mut table = String::new();
    for reply in [
        text(""),
        text("\n"),
        text("1\n"),
        text(LISTED.trim_end()),
        text(&LISTED[..LISTED.len() - 1]),
        text("<html>\n"),
        text(&LISTED.replace("app b", "app b;x")),
        text(&LISTED.replace("app b", "other b")),
        text("Permission denied\n\n"),
        Reply::Bytes(b"1\n\xff\xfe\n\n"),
        Reply::Hang("1\n# be_name"),
        Reply::Flood,
    ] {
        table.push_str(&look_at(reply).await);
        table.push('\n');
    }
    expect![[r#"
        no usable answer about HAProxy backend `app` at `SOCKET`: closed without an answer
        no usable answer about HAProxy backend `app` at `SOCKET`: the list of servers was cut off or is none: ``
        no usable answer about HAProxy backend `app` at `SOCKET`: the list of servers was cut off or is none: `1`
        no usable answer about HAProxy backend `app` at `SOCKET`: the answer was cut off
        no usable answer about HAProxy backend `app` at `SOCKET`: the list of servers was cut off or is none: `1 # be_name srv_name srv_op_state srv_admin_state srv_uweight app a 2 0 100 a…`
        no usable answer about HAProxy backend `app` at `SOCKET`: the list of servers was cut off or is none: `<html>`
        HAProxy backend `app` at `SOCKET` has an instance that the agent cannot name: `b;x` contains ';', the name of an instance has only letters, digits and `-_.@/+:[]%=,#`; remove the target or point it elsewhere
        no usable answer about HAProxy backend `app` at `SOCKET`: asked for backend `app`, HAProxy answers for `other`
        cannot read HAProxy backend `app` at `SOCKET`: `Permission denied`; its `stats socket` needs `level admin`
        no usable answer about HAProxy backend `app` at `SOCKET`: the answer is not text
        no usable answer about HAProxy backend `app` at `SOCKET`: no whole answer within 0.7 s
        no usable answer about HAProxy backend `app` at `SOCKET`: the answer is longer than 1048576 bytes
    "#]].assert_eq(&table);
    let all = look_at(text(LISTED)).await;
    assert_eq!(all.lines().count(), 2, "{all}");
}

/// Drains `a` and `b`; the list is good, and then `replies` come.
async fn drain_both(replies: &[Reply]) -> String {
    let all = [&[text(LISTED)], replies].concat();
    let socket = Socket::start(all);
    let actuators = actuators(CALL).await;
    let target = at(&socket.path, "app");
    let report = actuators.act(&target, &order(drain(&["a", "b"], true))).await;
    let n = socket.commands.lock().unwrap().len() - 1;
    let shown = show_report(&report).replace(socket.path.to_str().unwrap(), "SOCKET");
    format!("{n} sent, {shown}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_line_is_a_yes_and_what_is_not_known_is_unknown() {
    let ok = || text("\n");
    let no = || text("No such server.\n\n");
    let mut table = String::new();
    for replies in [
        vec![ok(), ok()],
        vec![no()],
        vec![ok(), no()],
        vec![text("whatever\n")],
        vec![text("")],
        vec![ok(), text("")],
        vec![Reply::Hang("")],
        vec![ok(), Reply::Hang("")],
        vec![Reply::Hang("\n")],
        vec![Reply::Bytes(b"\xff\n")],
        vec![Reply::Flood],
        // The socket is gone for the second.
        vec![ok()],
        vec![],
    ] {
        table.push_str(&drain_both(&replies).await);
    }
    expect![[r#"
        2 sent, done: 2 servers of HAProxy backend `app` at `SOCKET`: drain a, b
        1 sent, rejected: a: refused: `No such server.`
        2 sent, unknown: 1 was changed, then at b: refused: `No such server.`
        1 sent, unknown: a: it may have happened or not: HAProxy answers `whatever`
        1 sent, unknown: a: it may have happened or not: closed without an answer
        2 sent, unknown: 1 was changed, then at b: it may have happened or not: closed without an answer
        1 sent, unknown: a: it may have happened or not: no whole answer within 0.7 s
        2 sent, unknown: 1 was changed, then at b: it may have happened or not: no whole answer within 0.7 s
        1 sent, unknown: a: it may have happened or not: no whole answer within 0.7 s
        1 sent, unknown: a: it may have happened or not: the answer is not text
        1 sent, unknown: a: it may have happened or not: the answer is longer than 1048576 bytes
        1 sent, unknown: 1 was changed, then at b: nothing was sent: its socket: Connection refused (os error 111)
        0 sent, rejected: a: nothing was sent: its socket: Connection refused (os error 111)
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn no_limit_of_nothing() {
    let settings = ActuatorSettings { call_timeout: Duration::ZERO, ..ActuatorSettings::default() };
    let error = Actuators::new(&settings, crate::common::clock()).await.unwrap_err();
    expect!["`call_timeout` is 0; every request needs a positive limit, for example 5s"]
        .assert_eq(&error.to_string());
}
