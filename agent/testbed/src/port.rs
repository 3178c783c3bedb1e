//! Loopback ports.
//!
//! In: nothing, or a process and the port it should own.
//! Out: a port nobody listens on, or whether that process is the one listening.
//! Not here: reserving; a port is only ours once a server has bound it, so servers
//! are started through [`Process::start_listening`](crate::Process::start_listening),
//! which takes another port when somebody was faster.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

/// A loopback port that was free a moment ago.
///
/// # Panics
///
/// When loopback has no free port.
#[must_use]
#[track_caller]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Whether `pid` itself listens on `port`: an answer alone may come from a stranger
/// who took the port first.
#[must_use]
pub fn listens(pid: u32, port: u16) -> bool {
    let sockets = listening_inodes(pid, port);
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|link| {
        sockets.iter().any(|inode| link.as_os_str() == format!("socket:[{inode}]").as_str())
    })
}

/// Inodes of all sockets in state LISTEN on `port`, as proc(5) tells them: column 2
/// is `address:port` in hex, column 4 the state, column 10 the inode.
fn listening_inodes(pid: u32, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| {
            table
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .filter(|columns| {
                    columns.len() > 9 && columns[1].ends_with(&suffix) && columns[3] == LISTEN
                })
                .map(|columns| columns[9].to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}
