//! Graduated autonomy: earned by evidence, granted by a person, lost at once.
//!
//! **In:** decisions, what people said to them, and how they turned out.
//! **Out:** how much the agent may do by itself, per action class and target; when more is
//! worth proposing.
//! **Not here:** what a document grants ([`crate::documents::Autonomy`]), the guard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Autonomy;
use crate::ids::Actor;
use jiff::Timestamp;

/// What is known of one class of actions on one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// What a person granted beyond the documents.
    pub promoted_to: Option<Autonomy>,
    /// What was left of it, until a person says otherwise, and why.
    pub demotion: Option<Demotion>,
    /// What speaks for more.
    pub evidence: Evidence,
    /// Whether more was already proposed on this evidence.
    pub is_proposed: bool,
}

/// Autonomy was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Demotion {
    /// To what.
    pub to: Autonomy,
    /// When.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// Since the last demotion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// Times that a person was asked and answered.
    pub n_decisions: u32,
    /// Times that they agreed.
    pub n_agreed: u32,
    /// Runs that were verified.
    pub n_verified: u32,
    /// Runs that were not.
    pub n_failed: u32,
}

/// Decisions that a proposal needs at least. Source: anchors, OWASP APTS.
pub const DECISIONS_MIN: u32 = 50;

/// Lower bound of agreement that a proposal needs.
pub const AGREEMENT_MIN: f64 = 0.9;

/// Quantile of the normal distribution that leaves 2.5 % at each end: Wilson's interval at 95 %.
const Z: f64 = 1.96;

impl Evidence {
    /// Lower end of Wilson's 95 % interval of the share of agreement, `[0, 1]`; 0 without
    /// any decision.
    ///
    /// Source: Wilson, *Probable inference, the law of succession, and statistical
    /// inference* (1927). 50 of 50 give 0.929, 49 of 50 give 0.895.
    pub fn agreement_lower(self) -> f64 {
        let (n, agreed) = (f64::from(self.n_decisions), f64::from(self.n_agreed));
        if self.n_decisions == 0 {
            return 0.0;
        }
        let p = (agreed / n).min(1.0);
        let z2 = Z * Z;
        let centre = p + z2 / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        ((centre - spread) / (1.0 + z2 / n)).max(0.0)
    }

    /// Whether more autonomy is worth proposing.
    pub fn is_enough(self) -> bool {
        DECISIONS_MIN <= self.n_decisions
            && AGREEMENT_MIN <= self.agreement_lower()
            && self.n_failed == 0
    }
}

impl Standing {
    /// What is allowed where a document grants `granted` and at most `autonomy_max`.
    pub fn effective(&self, granted: Autonomy, autonomy_max: Autonomy) -> Autonomy {
        let promoted = self.promoted_to.unwrap_or(granted).min(autonomy_max).max(granted);
        self.demotion.as_ref().map_or(promoted, |it| it.to.min(promoted))
    }
}

/// What can happen to autonomy. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AutonomyEvent {
    /// A person answered: agreed or not.
    Decided { agreed: bool },
    /// A run was verified, or was not.
    Ended { verified: bool },
    /// More is proposed.
    Proposed { to: Autonomy, why: String },
    /// A person granted it.
    Promoted { to: Autonomy, actor: Actor, reason: String },
    /// It was taken back.
    Demoted { to: Autonomy, why: String },
    /// A person ended a demotion.
    Resumed { actor: Actor },
}

impl AutonomyEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            AutonomyEvent::Decided { .. } => "autonomy_decided",
            AutonomyEvent::Ended { .. } => "autonomy_ended",
            AutonomyEvent::Proposed { .. } => "autonomy_proposed",
            AutonomyEvent::Promoted { .. } => "autonomy_promoted",
            AutonomyEvent::Demoted { .. } => "autonomy_demoted",
            AutonomyEvent::Resumed { .. } => "autonomy_resumed",
        }
    }
}

impl Standing {
    /// Takes in what happened.
    pub fn apply(&mut self, now: Timestamp, event: &AutonomyEvent) {
        let it = &mut self.evidence;
        match event {
            AutonomyEvent::Decided { agreed } => {
                it.n_decisions = it.n_decisions.saturating_add(1);
                it.n_agreed = it.n_agreed.saturating_add(u32::from(*agreed));
            }
            AutonomyEvent::Ended { verified: true } => {
                it.n_verified = it.n_verified.saturating_add(1);
            }
            AutonomyEvent::Ended { verified: false } => it.n_failed = it.n_failed.saturating_add(1),
            AutonomyEvent::Proposed { .. } => self.is_proposed = true,
            AutonomyEvent::Promoted { to, .. } => {
                self.promoted_to = Some(*to);
                self.demotion = None;
                self.is_proposed = false;
                self.evidence = Evidence::default();
            }
            AutonomyEvent::Demoted { to, why } => {
                self.demotion = Some(Demotion { to: *to, at: now, why: why.clone() });
                self.promoted_to = None;
                self.is_proposed = false;
                self.evidence = Evidence::default();
            }
            AutonomyEvent::Resumed { .. } => self.demotion = None,
        }
    }
}
