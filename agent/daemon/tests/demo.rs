//! `evenkeeld --demo`, as a person would try it: look, freeze, Ctrl-C.
#![cfg(feature = "demo")]

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_testbed::process::{Program, Signal};
use evenkeel_testbed::{Process, wait_until};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn the_demo_decides_obeys_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let program =
        Program::new(env!("CARGO_BIN_EXE_evenkeeld")).arg("--demo").env("TMPDIR", folder.path());
    let mut demo = Process::start(&program);
    demo.wait_output(SOON, "evenkeel.sock");
    let said = demo.stdout();
    let line = said.lines().find(|it| it.contains("EVENKEEL_SOCKET=")).expect("how to reach it");
    let socket = PathBuf::from(line.split_once('=').expect("a path").1);
    let evenkeel = |arguments: &[&str]| {
        let program =
            Program::of_workspace("evenkeel").args(arguments).env("EVENKEEL_SOCKET", &socket);
        let output = program.command().output().expect("evenkeel runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    demo.wait_output(SOON, "scaling ");
    wait_until(SOON, "every service is evaluated", || {
        let (_, status) = evenkeel(&["status"]);
        ["checkout-api", "search-api", "catalog-web", "image-resizer", "payments-api"]
            .iter()
            .all(|it| status.contains(it))
            && !status.contains("waiting for the first evaluation")
    });
    // The incident: an exporter that lies, within two minutes, and is not believed.
    demo.wait_output(Duration::from_secs(120), "sudden drop");
    let (done, frozen) = evenkeel(&["freeze", "all", "--for", "30m", "--reason", "trying it out"]);
    assert!(done && frozen.contains("enforced"), "{frozen}");
    wait_until(SOON, "it is frozen", || evenkeel(&["status"]).1.contains("freeze"));
    demo.signal(Signal::INT);
    assert_eq!(demo.wait_exit(SOON).code(), Some(0), "{}", demo.stderr());
    assert!(demo.stdout().contains("Until "), "it says what it came to");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
