//! The files that people copy say what the daemon understands.
//!
//! **In:** `iac/` of this repository.
//! **Out:** the example configuration, with and without its comments, is valid; alerts
//! use only metrics that exist.
//! **Not here:** whether the alerts fire when they should (`make lint-alerts`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::guard::Refusal;
use evenkeel_core::ids::TargetId;
use evenkeel_core::notice::Topic;
use evenkeel_core::quality::Quality;
use evenkeel_core::units::Capacity;
use evenkeel_daemon::config::Config;
use evenkeel_daemon::metrics::{Metrics, NoticeOutcome};

fn read(path: &str) -> (PathBuf, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = std::fs::read_to_string(&file).expect("a file of this repository");
    (file, text)
}

#[test]
fn the_example_configuration_is_valid_and_shows_the_defaults() {
    let (file, text) = read("iac/evenkeeld.example.yaml");
    let config = Config::parse(&file, &text).unwrap();
    assert_eq!(config.signing_key_file(), Path::new("/var/lib/evenkeel/evenkeel.key"));
    let uncommented = Config::parse(&file, &uncommented(&text)).unwrap();
    assert_eq!(config.evaluation_period, uncommented.evaluation_period);
    assert_eq!(config.signing_key_file(), uncommented.signing_key_file());
    assert_eq!(config.prometheus.query_timeout, uncommented.prometheus.query_timeout);
    assert_eq!(config.prometheus.history, uncommented.prometheus.history);
    assert_eq!(config.notifications.dead_after, uncommented.notifications.dead_after);
    assert_eq!(uncommented.notifications.channels.len(), 3);
    // A field that the example does not show would be `None`.
    let shown = format!("{uncommented:?}");
    assert!(!shown.contains("None"), "{shown}");
}

/// The text with every commented field in force. A field is `# name: …` or, within one,
/// `#   name: …`; prose never begins with one word and a colon.
fn uncommented(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let field = line.trim_start().strip_prefix("# ").filter(|it| is_field(it));
        match field {
            Some(field) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                lines.push(format!("{indent}{field}"));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

fn is_field(text: &str) -> bool {
    let (name, rest) = text.split_once(':').unwrap_or_default();
    // `- name: …` begins an item of a list.
    let name = name.trim_start().trim_start_matches("- ");
    let is_name = !name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    is_name && (rest.is_empty() || rest.starts_with(' '))
}

#[test]
fn the_alerts_use_only_metrics_that_exist() {
    let metrics = Metrics::new("1.2.3");
    // Families whose labels are not all known at the start appear with their first one.
    metrics.observe_query("failed", std::time::Duration::from_secs(1));
    metrics.count_explanation(&refused());
    metrics.count_notice(Topic::Storm, "chat", NoticeOutcome::Delivered);
    let text = metrics.text().unwrap();
    let mut exposed = BTreeSet::new();
    for line in text.lines().filter_map(|it| it.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        exposed.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    let (_, rules) = read("iac/alerts/evenkeel.rules.yaml");
    let used: BTreeSet<String> =
        rules.match_indices("evenkeel_").map(|(at, _)| first_word(&rules[at..])).collect();
    let missing: Vec<_> = used.difference(&exposed).collect();
    assert!(8 < used.len() && missing.is_empty(), "{missing:?} are none of {exposed:?}");
}

fn refused() -> Explanation {
    let refusal = Refusal::Doubt { quality: Quality::Suspect };
    let at = jiff::Timestamp::UNIX_EPOCH;
    Explanation {
        target: TargetId::new("cart").expect("a name"),
        at,
        since: at,
        policy: None,
        autonomy: None,
        current: None,
        ready: None,
        proposed: None,
        reason: None,
        conclusion: Conclusion::Refused { refusal, would: Capacity(3) },
        limits: Vec::new(),
        bounds: None,
        signals: Vec::new(),
        arbitration: None,
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect()
}
