//! How healing is going.
//!
//! **In:** what the agent remembers of incidents and runs, at the end of each pass; each
//! run as it ends; what Terraform says differs.
//! **Out:** `evenkeel_incidents…`, `evenkeel_runs…`, `evenkeel_approvals_waiting`,
//! `evenkeel_storm`, `evenkeel_playbook_inputs`, `evenkeel_terraform_drift`.
//! **Not here:** the incidents and runs themselves (the core's, and the API).

use std::collections::BTreeMap;

use evenkeel_core::heal::memory::Healing;
use evenkeel_core::ids::AllowedName;
use evenkeel_core::incident::Severity;
use evenkeel_core::run::{Ending, Phase};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Metrics, OneLabel, as_gauge};

/// The metrics of this module.
#[derive(Debug, Default)]
pub(super) struct HealingMetrics {
    incidents_open: Family<OneLabel, Gauge>,
    incidents_unacknowledged: Gauge,
    runs: Family<OneLabel, Gauge>,
    approvals_waiting: Gauge,
    storm: Gauge,
    runs_ended: Family<OneLabel, Counter>,
    playbook_inputs: Family<OneLabel, Gauge>,
    /// By workspace: as many series as the configuration has workspaces.
    terraform_drift: Family<[(&'static str, String); 1], Gauge>,
}

/// Every severity.
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Ticket, Severity::Page];

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Ticket => "ticket",
        Severity::Page => "page",
    }
}

/// The phases of a run that is not over, as [`Phase::name`] says them.
const ACTIVE_PHASES: [&str; 6] =
    ["planning", "awaiting_approval", "running", "verifying", "undoing", "stuck"];

/// The ways a run ends, as [`Ending::name`] says them.
const ENDINGS: [&str; 8] = [
    "succeeded",
    "rolled_back",
    "refused",
    "denied",
    "expired",
    "aborted",
    "taken_over",
    "cleared",
];

impl HealingMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "incidents_open",
            "Incidents that are not resolved, by severity",
            self.incidents_open.clone(),
        );
        registry.register(
            "incidents_unacknowledged",
            "Open incidents that nobody has acknowledged",
            self.incidents_unacknowledged.clone(),
        );
        registry.register(
            "runs",
            "Runs of playbooks that are not over, by phase",
            self.runs.clone(),
        );
        registry.register(
            "approvals_waiting",
            "Runs that wait for people",
            self.approvals_waiting.clone(),
        );
        registry.register("storm", "1 while too much is wrong at once", self.storm.clone());
        registry.register(
            "runs_ended",
            "Runs of playbooks that ended, by how",
            self.runs_ended.clone(),
        );
        registry.register(
            "playbook_inputs",
            "Inputs of playbooks at the last pass, one per target, by quality",
            self.playbook_inputs.clone(),
        );
        registry.register(
            "terraform_drift",
            "What differed from Terraform's configuration at the last check, by workspace",
            self.terraform_drift.clone(),
        );
        for severity in SEVERITIES {
            self.incidents_open.get_or_create(&[("severity", severity_word(severity))]).set(0);
        }
        for phase in ACTIVE_PHASES {
            self.runs.get_or_create(&[("phase", phase)]).set(0);
        }
        for ending in ENDINGS {
            self.runs_ended.get_or_create(&[("ending", ending)]).inc_by(0);
        }
        for quality in ["good", "missing"] {
            self.playbook_inputs.get_or_create(&[("quality", quality)]).set(0);
        }
    }
}

impl Metrics {
    /// Incidents, runs and the storm as they are now.
    pub fn set_healing(&self, healing: &Healing) {
        let it = &self.healing;
        let mut by_severity = BTreeMap::<Severity, usize>::new();
        let mut n_unacknowledged = 0_usize;
        for incident in healing.incidents().filter(|it| it.is_open()) {
            *by_severity.entry(incident.severity).or_default() += 1;
            n_unacknowledged += usize::from(incident.acknowledged.is_none());
        }
        for severity in SEVERITIES {
            let count = by_severity.get(&severity).copied().unwrap_or(0);
            let labels = [("severity", severity_word(severity))];
            it.incidents_open.get_or_create(&labels).set(as_gauge(count));
        }
        it.incidents_unacknowledged.set(as_gauge(n_unacknowledged));
        let mut by_phase = BTreeMap::<&'static str, usize>::new();
        let mut n_waiting = 0_usize;
        for run in healing.active() {
            *by_phase.entry(run.phase.name()).or_default() += 1;
            n_waiting += usize::from(matches!(run.phase, Phase::AwaitingApproval { .. }));
        }
        for phase in ACTIVE_PHASES {
            let count = by_phase.get(phase).copied().unwrap_or(0);
            it.runs.get_or_create(&[("phase", phase)]).set(as_gauge(count));
        }
        it.approvals_waiting.set(as_gauge(n_waiting));
        it.storm.set(i64::from(healing.storm().is_some()));
    }

    /// One run ended.
    pub fn count_run_ended(&self, ending: &Ending) {
        self.healing.runs_ended.get_or_create(&[("ending", ending.name())]).inc();
    }

    /// How many inputs of playbooks had a value at the last pass, and how many had none.
    pub fn set_playbook_inputs(&self, n_good: usize, n_missing: usize) {
        for (quality, count) in [("good", n_good), ("missing", n_missing)] {
            let labels = [("quality", quality)];
            self.healing.playbook_inputs.get_or_create(&labels).set(as_gauge(count));
        }
    }

    /// How much of a workspace differs from what Terraform says.
    pub fn set_terraform_drift(&self, workspace: &AllowedName, n_differences: usize) {
        let labels = [("workspace", workspace.to_string())];
        self.healing.terraform_drift.get_or_create(&labels).set(as_gauge(n_differences));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use jiff::Timestamp;

    #[track_caller]
    fn check(metrics: &Metrics, with: &str, expected: &Expect) {
        let text = metrics.text().unwrap();
        let mut lines: Vec<&str> =
            text.lines().filter(|it| !it.starts_with('#') && it.contains(with)).collect();
        lines.sort_unstable();
        expected.assert_eq(&format!("{}\n", lines.join("\n")));
    }

    #[test]
    fn everything_is_there_at_zero_from_the_start_also_when_nothing_ever_happened() {
        let metrics = Metrics::new("1.2.3");
        metrics.set_healing(&Healing::default());
        check(
            &metrics,
            "evenkeel_incidents",
            &expect![[r#"
            evenkeel_incidents_open{severity="info"} 0
            evenkeel_incidents_open{severity="page"} 0
            evenkeel_incidents_open{severity="ticket"} 0
            evenkeel_incidents_unacknowledged 0
        "#]],
        );
        check(
            &metrics,
            "evenkeel_runs",
            &expect![[r#"
            evenkeel_runs_ended_total{ending="aborted"} 0
            evenkeel_runs_ended_total{ending="cleared"} 0
            evenkeel_runs_ended_total{ending="denied"} 0
            evenkeel_runs_ended_total{ending="expired"} 0
            evenkeel_runs_ended_total{ending="refused"} 0
            evenkeel_runs_ended_total{ending="rolled_back"} 0
            evenkeel_runs_ended_total{ending="succeeded"} 0
            evenkeel_runs_ended_total{ending="taken_over"} 0
            evenkeel_runs{phase="awaiting_approval"} 0
            evenkeel_runs{phase="planning"} 0
            evenkeel_runs{phase="running"} 0
            evenkeel_runs{phase="stuck"} 0
            evenkeel_runs{phase="undoing"} 0
            evenkeel_runs{phase="verifying"} 0
        "#]],
        );
        check(
            &metrics,
            "evenkeel_playbook_inputs",
            &expect![[r#"
            evenkeel_playbook_inputs{quality="good"} 0
            evenkeel_playbook_inputs{quality="missing"} 0
        "#]],
        );
        check(&metrics, "evenkeel_storm", &expect![["evenkeel_storm 0\n"]]);
        check(
            &metrics,
            "waiting",
            &expect![[r#"
            evenkeel_approvals_waiting 0
            evenkeel_forecast_refits_waiting 0
            evenkeel_runs{phase="awaiting_approval"} 0
        "#]],
        );
    }

    #[test]
    fn a_phase_or_an_ending_that_is_not_in_the_tables_would_have_a_series_of_its_own() {
        let at = Timestamp::UNIX_EPOCH;
        let why = String::new;
        let phases = [
            Phase::Planning { since: at },
            Phase::Verifying { since: at, until: at },
            Phase::Stuck { step: 0, since: at, why: why() },
        ];
        for phase in phases {
            assert!(ACTIVE_PHASES.contains(&phase.name()), "{phase}");
        }
        let endings = [
            Ending::Succeeded,
            Ending::RolledBack { why: why() },
            Ending::Refused { why: why() },
            Ending::Expired,
        ];
        let metrics = Metrics::new("1.2.3");
        for ending in &endings {
            assert!(ENDINGS.contains(&ending.name()), "{ending:?}");
            metrics.count_run_ended(ending);
        }
        check(
            &metrics,
            "_total{ending=\"e",
            &expect![[r#"
            evenkeel_runs_ended_total{ending="expired"} 1
        "#]],
        );
    }

    #[test]
    fn drift_has_a_series_per_workspace_that_was_looked_at() {
        let metrics = Metrics::new("1.2.3");
        let web = AllowedName::new("web").unwrap();
        metrics.set_terraform_drift(&web, 3);
        metrics.set_terraform_drift(&web, 2);
        check(
            &metrics,
            "drift",
            &expect![[r#"
            evenkeel_forecasts{standing="coverage_drift"} 0
            evenkeel_forecasts{standing="error_drift"} 0
            evenkeel_terraform_drift{workspace="web"} 2
        "#]],
        );
    }
}
