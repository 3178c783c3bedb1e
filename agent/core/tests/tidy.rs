//! Checks what a type cannot express: who may depend on whom, what every
//! module says of itself, and that every invariant names a test that exists.
//!
//! **In:** the workspace's sources and `cargo tree`.
//! **Out:** the first file and line that is not in order.
//! **Not here:** lints that clippy knows (the root `Cargo.toml`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the core may name in its `Cargo.toml`. Adding one is a decision: say in
/// the commit why the core needs it.
const DIRECT: &[&str] = &[
    "cronexpr",
    "jiff",
    "schemars",
    "serde",
    "serde-saphyr",
    "serde_json",
    "sha2",
    "thiserror",
    "utoipa",
];

/// What must not appear even indirectly: runtimes, sockets, clocks, entropy,
/// TLS, cloud SDKs, databases.
const NEVER: &[&str] = &[
    "async-io",
    "aws-config",
    "aws-smithy-runtime",
    "getrandom",
    "hyper",
    "mio",
    "native-tls",
    "openssl",
    "rand",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
];

/// The crates that a person may trust without reading about I/O.
const PURE: &[&str] = &["evenkeel-core", "evenkeel-forecast", "evenkeel-sim"];

/// Longest source file, in lines. Why 600: what one can keep in mind; the aim is 500.
const LINES_MAX: usize = 600;

#[test]
fn the_core_names_only_dependencies_that_do_no_io() {
    let direct = dependencies("evenkeel-core", "1");
    let unexpected: Vec<&String> =
        direct.iter().filter(|it| !DIRECT.contains(&it.as_str())).collect();
    assert!(
        unexpected.is_empty(),
        "evenkeel-core gained {unexpected:?}; see A1 in agent/ARCHITECTURE.md",
    );
}

#[test]
fn the_pure_crates_pull_in_no_runtime_no_socket_and_no_sdk() {
    for package in PURE {
        let all = dependencies(package, "99");
        let banned: Vec<&&str> = NEVER.iter().filter(|it| all.contains(**it)).collect();
        assert!(banned.is_empty(), "{package} now pulls in {banned:?}; see A1");
    }
}

#[test]
fn every_module_says_what_goes_in_what_comes_out_and_what_is_elsewhere() {
    let missing: Vec<String> = sources(&root())
        .iter()
        .filter(|file| !has_header(file))
        .map(|file| file.display().to_string())
        .collect();
    assert!(
        missing.is_empty(),
        "the `//!` header needs **In:**, **Out:** and **Not here:**; tests need a header:\n{}",
        missing.join("\n"),
    );
}

fn has_header(file: &Path) -> bool {
    let text = read(file);
    let header = text.lines().filter(|it| it.starts_with("//!"));
    let header: String = header.map(|it| it.replace("**", "")).collect();
    let is_in = |folder: &str| file.components().any(|it| it.as_os_str() == folder);
    if !is_in("src") || is_in("tests") {
        return !header.is_empty();
    }
    let has = |part: &str| header.contains(&format!(" {part}:"));
    ((has("In") && has("Out")) || has("In and out")) && has("Not here")
}

#[test]
fn no_source_file_is_too_long_to_keep_in_mind() {
    for file in sources(&root()) {
        let n_lines = read(&file).lines().count();
        assert!(n_lines <= LINES_MAX, "{}: {n_lines} lines, split it", file.display());
    }
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let path = root().join("agent/ARCHITECTURE.md");
    let text = read(&path);
    let mut numbers = BTreeSet::new();
    for invariant in invariants(&text) {
        let number = invariant.split('.').next().unwrap_or_default().to_owned();
        assert!(numbers.insert(number.clone()), "{number} is there twice");
        let named: Vec<&str> = invariant.split('`').filter(|it| it.contains("::")).collect();
        let claims = invariant.contains("Checked by");
        assert!(claims && !named.is_empty(), "{number} names no test: write `Checked by`");
        for test in named.iter().filter(|it| it.contains(".rs::")) {
            check_exists(&number, test);
        }
    }
    assert!(20 <= numbers.len(), "only {} invariants in {}", numbers.len(), path.display());
    for (nth, number) in (1..).zip(sorted(&numbers)) {
        assert_eq!(number, nth, "the invariants are not numbered without gaps");
    }
}

/// `path/to/file.rs::test_name` must be a file with a function of that name.
#[track_caller]
fn check_exists(number: &str, test: &str) {
    let (file, name) = test.split_once("::").expect("only names with `::` are here");
    let file = root().join(file);
    assert!(file.is_file(), "{number}: {} does not exist", file.display());
    let text = read(&file);
    assert!(
        text.contains(&format!("fn {name}(")),
        "{number}: {} has no test `{name}`",
        file.display(),
    );
}

/// Paragraphs that begin with `A<number>.`, as one line each.
fn invariants(text: &str) -> Vec<String> {
    let is_numbered = |it: &str| {
        let digits = it.strip_prefix('A').and_then(|it| it.split_once('.'));
        digits.is_some_and(|(digits, _)| digits.parse::<u32>().is_ok())
    };
    text.split("\n\n")
        .map(|it| it.trim_start().trim_start_matches(['-', '*', ' ']).replace('\n', " "))
        .filter(|it| is_numbered(it))
        .collect()
}

fn sorted(numbers: &BTreeSet<String>) -> Vec<usize> {
    let mut sorted: Vec<usize> =
        numbers.iter().filter_map(|it| it.trim_start_matches('A').parse().ok()).collect();
    sorted.sort_unstable();
    sorted
}

/// Every Rust source of the workspace that is compiled into something, tests too.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["agent", "simulations"] {
        walk(&root.join(top), &mut found);
    }
    found.sort();
    assert!(50 < found.len(), "found only {} sources", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the workspace is readable") {
        let path = entry.expect("the workspace is readable").path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test about files reads files")]
fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.ancestors().nth(2).expect("the core is two folders below the root").to_owned()
}

fn dependencies(package: &str, depth: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--offline"])
        .args(["--prefix", "none", "--format", "{p}", "--depth", depth])
        .output()
        .expect("cargo is running this test");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect()
}
