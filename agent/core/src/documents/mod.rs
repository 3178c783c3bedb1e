//! Documents as people write them, and as the agent uses them.
//!
//! **In:** the texts of YAML files ([`load`]); nothing is read here.
//! **Out:** [`Documents`], a set that passed every check, and [`Diagnostic`]s.
//! **Not here:** reading files and watching them (the shell's), what follows
//! from a document ([`crate::decide`], [`crate::guard`]).

mod access;
mod budget;
mod calendar;
mod diagnostic;
mod fault;
mod guardrail;
mod load;
mod playbook;
mod policy;
mod positions;
mod price_book;
mod promql;
mod raw;
mod schedule;
mod schema;
mod selector;
mod set;
mod show;
mod slo;
mod target;
mod tenants;

pub(crate) use raw::nearest;

pub use access::{Access, Denial, Grant, Identity, Person, Principal, Role};
pub use budget::{Budget, BudgetOf, BudgetScope, Consequence, Crossing, Quantile, Threshold};
pub use calendar::{Calendar, ENTRIES_MAX, Event, Incident, RepeatingEvent};
pub use diagnostic::{Diagnostic, Severity};
pub use guardrail::{BlastRadius, FreezeWindow, Guardrail};
pub use load::{Loaded, SourceText, load};
pub use playbook::{
    AlertMatcher, BudgetInput, BudgetValue, BurnRateTrigger, Gate, InstanceSelection,
    NamedCondition, Parameter, Per, Playbook, PlaybookInput, RunLimits, SelectBy,
    Step as PlaybookStep, StepKind, TARGET_NAMES, Template, TemplatePart, TenantSelection, Trigger,
    Undo, Verification,
};
pub use policy::{
    Autonomy, Behaviour, Foresight, OutsideChange, Rule, ScalingPolicy, Shortfall, Signal, Step,
};
pub use price_book::{CapacityPrice, Commitment, LabelledQuery, PriceBook, UnitPrice, UsagePrice};
pub use schedule::{Schedule, ScheduleError};
pub use schema::{json_schema, json_schemas};
pub use selector::Selector;
pub use set::{Documents, Economy};
pub use show::show;
pub use slo::{
    AlertPolicy, Budgeting, BurnCondition, Comparison, Indicator, MetricQuery, Objective, Slice,
    Slo,
};
pub use target::{ActuatorRef, Actuators, LeadTime, ProviderRef, Target};
pub use tenants::{Tenant, Tenants};
