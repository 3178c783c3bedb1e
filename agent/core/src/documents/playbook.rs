//! `Playbook`: what to do when something is wrong, and who is asked.
//!
//! **In:** a checked document.
//! **Out:** trigger, inputs, conditions, steps with undo, gates, verification, limits.
//! **Not here:** runs of it ([`crate::run`]), the language of conditions
//! ([`crate::condition`]), when it is triggered ([`crate::heal`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::action::ActionClass;
use crate::condition::{Condition, Environment, Formula, Kind, Unit};
use crate::documents::{Autonomy, Role, Schedule, Selector};
use crate::ids::{
    Actor, AllowedName, BudgetId, InputName, ParameterName, PlaybookId, StepName, TenantName,
};
use crate::incident::Severity;

/// A playbook that passed every check.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// Its name, unique among all documents.
    pub id: PlaybookId,
    /// Hex SHA-256 of the document's text: what runs are pinned to.
    pub sha256: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// Path or URL of the page for people.
    pub runbook: String,
    /// How bad it is when it is triggered.
    pub severity: Severity,
    /// The targets it is for. Empty selects nothing.
    pub selector: Selector,
    /// How much the agent may do by itself, as whoever merged the document granted.
    pub autonomy: Autonomy,
    /// Up to where evidence may raise that, by a person's `promote`. At least `autonomy`.
    pub autonomy_max: Autonomy,
    /// The label of an input's result that names the target, as in a policy.
    pub target_label: String,
    /// Among playbooks that are triggered in one incident, the highest goes first.
    pub priority: u32,
    /// Numbers that a person may change for one run, within bounds.
    pub parameters: BTreeMap<ParameterName, Parameter>,
    /// What conditions are about.
    pub inputs: Vec<PlaybookInput>,
    /// When it is triggered.
    pub trigger: Trigger,
    /// All of these must be true before a run, and again before its first effect.
    pub conditions: Vec<NamedCondition>,
    /// What it does, in order. At least one.
    pub steps: Vec<Step>,
    /// What must hold afterwards.
    pub verification: Verification,
    /// How often and how many at once.
    pub limits: RunLimits,
}

/// A number that conditions and steps use as `params.NAME`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its unit.
    pub unit: Unit,
    /// Without anything else said.
    pub default: f64,
    /// The least that may be given.
    pub min: f64,
    /// The most that may be given.
    pub max: f64,
}

/// One named input.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaybookInput {
    /// As conditions call it.
    pub name: InputName,
    /// PromQL that answers for all targets at once; empty for a number of a budget.
    pub query: String,
    /// A number of a budget, which the agent fills in itself.
    pub budget: Option<BudgetInput>,
    /// Oldest sample that still counts.
    pub max_age: SignedDuration,
    /// What the numbers are.
    pub unit: Unit,
    /// One number per what.
    pub per: Per,
    /// Whether it reads how odd the newest values are, in `[0, 1]`, instead of the values:
    /// the largest anomaly score of the last five minutes. Not for instances.
    pub is_anomaly_score: bool,
}

/// A number of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetInput {
    /// Which budget.
    pub budget: BudgetId,
    /// Which of its numbers.
    pub value: BudgetValue,
}

/// Which number of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetValue {
    /// The share that is spent.
    SpentRatio,
    /// The burn rate over one hour.
    BurnRate,
    /// Money per hour; not for an error budget.
    SpendPerHour,
    /// Seconds until it is spent, as likely before as after.
    TimeLeft,
    /// 1 while a threshold of this kind is crossed, else 0; not for an error budget.
    Runaway,
}

impl BudgetValue {
    /// All of them.
    pub const ALL: [BudgetValue; 5] = [
        BudgetValue::SpentRatio,
        BudgetValue::BurnRate,
        BudgetValue::SpendPerHour,
        BudgetValue::TimeLeft,
        BudgetValue::Runaway,
    ];

    /// As it is written in a playbook.
    pub fn name(self) -> &'static str {
        match self {
            BudgetValue::SpentRatio => "spent_ratio",
            BudgetValue::BurnRate => "burn_rate",
            BudgetValue::SpendPerHour => "spend_per_hour",
            BudgetValue::TimeLeft => "time_left",
            BudgetValue::Runaway => "runaway",
        }
    }

    /// What it is in conditions.
    pub fn unit(self) -> Unit {
        match self {
            BudgetValue::SpentRatio | BudgetValue::BurnRate => Unit::Ratio,
            BudgetValue::SpendPerHour => Unit::UsdPerHour,
            BudgetValue::TimeLeft => Unit::Seconds,
            BudgetValue::Runaway => Unit::Count,
        }
    }

    /// Whether only budgets of money have it.
    pub fn is_of_money(self) -> bool {
        matches!(self, BudgetValue::SpendPerHour | BudgetValue::Runaway)
    }
}

/// What one number of an input is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    /// One number per target, found by the playbook's target label.
    Target,
    /// One number for everything: the query answers with one series.
    Everything,
    /// One number per instance of each target; this label names the instance.
    Instance { label: String },
}

impl PlaybookInput {
    /// What its name stands for in conditions.
    pub fn kind(&self) -> Kind {
        match self.per {
            Per::Target | Per::Everything => Kind::Number(self.unit),
            Per::Instance { .. } => Kind::Instances(self.unit),
        }
    }
}

/// When a playbook is triggered. Whatever wakes the agent, it looks for itself: with a
/// condition, that must be true.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// What must be observed. `None` only for a schedule or by hand.
    pub condition: Option<Condition>,
    /// How long without a gap; zero is at once.
    pub lasts: SignedDuration,
    /// The condition as a burn rate, where it was written as one; for the reader.
    pub burn_rate: Option<BurnRateTrigger>,
    /// Alerts of an Alertmanager that make the agent look at once.
    pub alerts: Vec<AlertMatcher>,
    /// Times at which it is run if its conditions hold.
    pub schedule: Option<Schedule>,
    /// Whether people may start it.
    pub by_hand: bool,
}

/// A burn rate over two windows: both must be above `factor`.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnRateTrigger {
    /// Input with the error ratio over the long window.
    pub long: InputName,
    /// Input with the error ratio over the short window.
    pub short: InputName,
    /// The objective, in `(0, 1)`.
    pub objective: f64,
    /// How many times the sustainable rate.
    pub factor: f64,
}

/// Which alerts wake the agent: all labels must be equal. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMatcher {
    /// Labels, `alertname` among them.
    pub labels: BTreeMap<String, String>,
}

impl AlertMatcher {
    /// Whether an alert with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.labels.is_empty()
            && self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// A condition with a name, for explanations.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCondition {
    /// What people call it.
    pub name: String,
    /// It.
    pub condition: Condition,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique within the playbook.
    pub name: StepName,
    /// What it does.
    pub kind: StepKind,
    /// What reverses it.
    pub undo: Undo,
    /// Who must agree before it; `None` leaves that to the autonomy.
    pub gate: Option<Gate>,
    /// Only if this is true when the plan is made; unknown ends the plan.
    pub only_if: Option<Condition>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// Set the capacity to what the formula says (in units), within bounds.
    SetCapacity { to: Formula },
    /// Restart the selected instances in place.
    RestartInstances { select: InstanceSelection },
    /// Replace the selected instances.
    ReplaceInstances { select: InstanceSelection },
    /// Give the selected instances this fraction of the weight they have, `[0, 1]`.
    ShiftTraffic { select: InstanceSelection, weight_ratio: f64 },
    /// Take the selected instances out of traffic.
    Drain { select: InstanceSelection },
    /// Put every drained instance back into traffic.
    Restore,
    /// Deploy the revision before the current one.
    RollBack,
    /// Serve one tenant at most what the formula says (in requests per second, at least 1,
    /// rounded down), but never less than what is guaranteed to it.
    ThrottleTenant { tenant: TenantSelection, rate: Formula },
    /// Run a command of the daemon's allow-list.
    RunCommand { command: AllowedName, arguments: Vec<Template> },
    /// Call a webhook of the daemon's allow-list.
    CallWebhook { webhook: AllowedName, fields: BTreeMap<String, Template> },
    /// Plan and apply a Terraform change in a workspace of the daemon's allow-list.
    ApplyTerraform { workspace: AllowedName, variables: BTreeMap<String, Template> },
    /// Wait until a condition is true.
    WaitFor { condition: Condition, within: SignedDuration },
    /// Tell people.
    Notify { message: Template, severity: Severity },
    /// Ask people a question; their yes is the step's end. Its gate says whom.
    Ask { question: Template },
}

impl StepKind {
    /// The class of its action; `None` for steps that touch nothing.
    pub fn class(&self) -> Option<ActionClass> {
        match self {
            StepKind::SetCapacity { .. } => Some(ActionClass::SetCapacity),
            StepKind::RestartInstances { .. } => Some(ActionClass::RestartInstances),
            StepKind::ReplaceInstances { .. } => Some(ActionClass::ReplaceInstances),
            StepKind::ShiftTraffic { .. } => Some(ActionClass::ShiftTraffic),
            StepKind::Drain { .. } | StepKind::Restore => Some(ActionClass::Drain),
            StepKind::RollBack => Some(ActionClass::RollBack),
            StepKind::ThrottleTenant { .. } => Some(ActionClass::ThrottleTenant),
            StepKind::RunCommand { .. } => Some(ActionClass::RunCommand),
            StepKind::CallWebhook { .. } => Some(ActionClass::CallWebhook),
            StepKind::ApplyTerraform { .. } => Some(ActionClass::ApplyTerraform),
            StepKind::WaitFor { .. } | StepKind::Notify { .. } | StepKind::Ask { .. } => None,
        }
    }
}

/// Which instances a step is about. Chosen once, when the plan is made.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceSelection {
    /// How they are found.
    pub by: SelectBy,
    /// At most this share of the target's instances may be out of service, those that are
    /// already included; one may always be. In `(0, 0.5]`: the ejection limit.
    pub share_max: f64,
    /// All of one failure domain: when those found are in several, only the domain with the
    /// most is touched. Where the platform does not say domains, each instance is its own.
    pub one_domain: bool,
}

/// How instances are found.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectBy {
    /// Those whose value of an instance input is more than `factor` times the median of
    /// their peers.
    OutliersOf { input: InputName, factor: Formula },
    /// Those whose value of an instance input is above a limit.
    Above { input: InputName, limit: Formula },
    /// Those that are not ready.
    NotReady,
    /// Those of the failure domain with the most instances that are not ready.
    WorstDomain,
    /// Every one, one failure domain at a time (for restarts in waves).
    All,
}

/// Which tenant a step is about. Chosen once, when the plan is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSelection {
    /// This one.
    Named(TenantName),
    /// Of those that use the target's service now, the one of the lowest value.
    LowestValue,
    /// Of those that use the target's service now, the one with the most requests, whatever
    /// its value.
    Largest,
}

/// What reverses a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// Bring back what was before, as it was read.
    Before,
    /// Do this instead.
    Step(Box<StepKind>),
    /// Nothing, for this reason.
    Nothing { why: String },
}

/// Who must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// How many different people, `>= 1`.
    pub n_approvals: u32,
    /// The role they need on the target.
    pub role: Role,
    /// People, groups already resolved; empty is everybody with the role. Only a set of
    /// documents without any `Access` may still have names of groups, which nobody has.
    pub approvers: BTreeSet<Actor>,
    /// No answer within this time means no.
    pub expires_after: SignedDuration,
}

/// What must hold after the last step for the run to have helped.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// What.
    pub condition: Condition,
    /// Without a gap for this long.
    pub holds_for: SignedDuration,
    /// By then; else everything is undone.
    pub within: SignedDuration,
}

/// How often and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Runs per target within `window`; after that a person.
    pub attempts_max: u32,
    /// The window.
    pub window: SignedDuration,
    /// Runs of this playbook at once, over all targets.
    pub concurrency_max: u32,
    /// After a run on a target has ended, none starts there for this long.
    pub cooldown: SignedDuration,
}

/// Text with places for values: `scale {target} to {params.units}`. Values never contain
/// what could be read as a place, and are not read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its parts, in order.
    pub parts: Vec<TemplatePart>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplatePart {
    /// As it stands.
    Text(String),
    /// The target's name.
    Target,
    /// The target's region.
    Region,
    /// The value of a parameter.
    Parameter(ParameterName),
    /// A label of the target.
    Label(String),
    /// The run's number.
    Run,
    /// The incident's number.
    Incident,
}

impl Playbook {
    /// What names stand for in its conditions: inputs by their name, `params.NAME`,
    /// `target.current`, `target.ready`, `target.min`, `target.max` (units).
    pub fn environment<'a>(
        inputs: impl IntoIterator<Item = &'a PlaybookInput>,
        parameters: &BTreeMap<ParameterName, Parameter>,
    ) -> Environment {
        let mut environment = Environment::new();
        for input in inputs {
            environment.insert(input.name.as_str(), input.kind());
        }
        for (name, parameter) in parameters {
            environment.insert(&format!("params.{name}"), Kind::Number(parameter.unit));
        }
        for name in TARGET_NAMES {
            environment.insert(name, Kind::Number(Unit::Units));
        }
        environment
    }

    /// Every class of action that its steps and their undo take.
    pub fn classes(&self) -> BTreeSet<ActionClass> {
        let of_undo = |it: &Step| match &it.undo {
            Undo::Step(kind) => kind.class(),
            Undo::Before | Undo::Nothing { .. } => None,
        };
        self.steps.iter().flat_map(|it| [it.kind.class(), of_undo(it)]).flatten().collect()
    }

    /// Whether nothing of what it does can be taken back: then it is never automatic.
    pub fn has_irreversible_step(&self) -> bool {
        self.steps
            .iter()
            .any(|it| it.kind.class().is_some() && matches!(it.undo, Undo::Nothing { .. }))
    }
}

/// What conditions can ask about the target itself.
pub const TARGET_NAMES: [&str; 4] = ["target.current", "target.ready", "target.min", "target.max"];
