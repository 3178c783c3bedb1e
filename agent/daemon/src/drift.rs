//! The scheduled look at what differs from what Terraform's configuration says.
//!
//! **In:** the schedule of each workspace that has one.
//! **Out:** a line in the log, a gauge per check, and an input for what was found.
//! **Not here:** making plans (`evenkeel-providers`), steps that apply one (the executor).

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::agent::Input;
use evenkeel_core::documents::Schedule;
use evenkeel_core::ids::AllowedName;
use evenkeel_providers::Actuators;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::metrics::Metrics;

/// Most differences that one line of the log shows. Why 20: more are read in the plan.
const SHOWN_MAX: usize = 20;

/// Looks for drift when it is time to.
#[derive(Debug)]
pub(crate) struct DriftWatch {
    pub(crate) checks: BTreeMap<AllowedName, Schedule>,
    pub(crate) actuators: Arc<Actuators>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inputs: mpsc::Sender<Input>,
}

/// What one check of one workspace found: one line per difference, or why nobody knows.
type Found = Result<Vec<String>, String>;

impl DriftWatch {
    /// Runs until its task is dropped; at once when there is nothing to look at.
    pub(crate) async fn run(self) {
        let mut looked_at = self.clock.now();
        while let Some((at, due)) = next(&self.checks, looked_at) {
            self.clock.sleep_until(Some(at)).await;
            // The clock may have been stepped past further times: those are looked at once.
            looked_at = self.clock.now().max(at);
            for (workspace, found) in self.actuators.drift().await {
                if due.contains(&workspace) {
                    self.drift_found(&workspace, found).await;
                }
            }
        }
    }

    /// People are told of every check that finds something.
    async fn drift_found(&self, workspace: &AllowedName, found: Found) {
        match found {
            Ok(differences) => {
                self.metrics.set_terraform_drift(workspace, differences.len());
                tell(workspace, &differences);
                if !differences.is_empty() {
                    let workspace = workspace.clone();
                    // Nobody to tell while the daemon stops.
                    let _ = self.inputs.send(Input::DriftFound { workspace, differences }).await;
                }
            }
            // The gauge keeps what was last known.
            Err(error) => warn!(%workspace, error, "cannot look for drift"),
        }
    }
}

fn tell(workspace: &AllowedName, differences: &[String]) {
    let n_differences = differences.len();
    if differences.is_empty() {
        info!(%workspace, "no drift");
        return;
    }
    let shown = differences.get(..SHOWN_MAX).unwrap_or(differences).join("; ");
    warn!(%workspace, n_differences, differences = shown, "drift found");
}

/// The next time after `after` at which anything is due, and all that is.
fn next(
    checks: &BTreeMap<AllowedName, Schedule>,
    after: Timestamp,
) -> Option<(Timestamp, Vec<AllowedName>)> {
    let times: Vec<(Timestamp, &AllowedName)> =
        checks.iter().filter_map(|(name, it)| Some((it.next_after(after)?, name))).collect();
    let first = times.iter().map(|(at, _)| *at).min()?;
    let due = times.iter().filter(|(at, _)| *at == first).map(|(_, name)| (*name).clone());
    Some((first, due.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(checks: &[(&str, &str)], expected: &Expect) {
        let checks: BTreeMap<AllowedName, Schedule> = checks
            .iter()
            .map(|(name, cron)| {
                (AllowedName::new(name).unwrap(), Schedule::new(cron, "UTC").unwrap())
            })
            .collect();
        let mut shown = String::new();
        let mut after = "2026-03-02T05:30:00Z".parse().unwrap();
        for _ in 0..3 {
            let Some((at, due)) = next(&checks, after) else { break };
            shown += &format!("{at} {due:?}\n");
            after = at;
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn each_workspace_comes_at_its_own_times_and_together_with_others() {
        check(&[], &expect![""]);
        check(
            &[("a", "0 6 * * *"), ("b", "0 6,7 * * *")],
            &expect![[r#"
                2026-03-02T06:00:00Z [`a`, `b`]
                2026-03-02T07:00:00Z [`b`]
                2026-03-03T06:00:00Z [`a`, `b`]
            "#]],
        );
    }
}
