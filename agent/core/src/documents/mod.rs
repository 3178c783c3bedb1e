//! Documents as people write them, and as the agent uses them.
//!
//! **In:** the texts of YAML files ([`load`]); nothing is read here.
//! **Out:** [`Documents`], a set that passed every check, and [`Diagnostic`]s.
//! **Not here:** reading files and watching them (the shell's), what follows
//! from a document ([`crate::decide`], [`crate::guard`]).

mod access;
mod calendar;
mod diagnostic;
mod fault;
mod guardrail;
mod load;
mod playbook;
mod policy;
mod positions;
mod promql;
mod raw;
mod schedule;
mod schema;
mod selector;
mod set;
mod show;
mod target;

pub(crate) use raw::nearest;

pub use access::{Access, Denial, Grant, Identity, Person, Principal, Role};
pub use calendar::{Calendar, ENTRIES_MAX, Event, Incident, RepeatingEvent};
pub use diagnostic::{Diagnostic, Severity};
pub use guardrail::{BlastRadius, FreezeWindow, Guardrail};
pub use load::{Loaded, SourceText, load};
pub use playbook::{
    AlertMatcher, BurnRateTrigger, Gate, InstanceSelection, NamedCondition, Parameter, Per,
    Playbook, PlaybookInput, RunLimits, SelectBy, Step as PlaybookStep, StepKind, TARGET_NAMES,
    Template, TemplatePart, Trigger, Undo, Verification,
};
pub use policy::{
    Autonomy, Behaviour, Foresight, OutsideChange, Rule, ScalingPolicy, Shortfall, Signal, Step,
};
pub use schedule::{Schedule, ScheduleError};
pub use schema::{json_schema, json_schemas};
pub use selector::Selector;
pub use set::Documents;
pub use show::show;
pub use target::{ActuatorRef, Actuators, LeadTime, ProviderRef, Target};
