//! Incidents: symptoms that belong together, and what was done about them.
//!
//! **In:** symptoms with their target and time; what depends on what.
//! **Out:** one [`Incident`] per underlying problem, with its times and its timeline.
//! **Not here:** what a symptom is ([`crate::heal`]), the runs themselves ([`crate::run`]).

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Actor, IncidentId, PlaybookId, RunId, TargetId};

/// How bad something is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// For the working day.
    Ticket,
    /// Wakes somebody up.
    Page,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Info => "info",
            Severity::Ticket => "ticket",
            Severity::Page => "page",
        })
    }
}

/// One underlying problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number, never used twice.
    pub id: IncidentId,
    /// The worst of its symptoms.
    pub severity: Severity,
    /// Its symptoms, ended ones included.
    pub symptoms: Vec<Symptom>,
    /// The first bad sample of any symptom.
    pub began_at: Timestamp,
    /// When the agent knew.
    pub detected_at: Timestamp,
    /// Who took note first, and when. Approving, denying, aborting and taking over count.
    pub acknowledged: Option<(Actor, Timestamp)>,
    /// When nobody had, it was escalated.
    pub escalated_at: Option<Timestamp>,
    /// When all of its symptoms were over.
    pub resolved_at: Option<Timestamp>,
    /// How often it came back after that.
    pub n_reopened: u32,
    /// Its runs, oldest first; at most one of them is not over.
    pub runs: Vec<RunId>,
    /// Why no run is under way, when none is.
    pub waiting_for: Option<String>,
    /// What happened, oldest first; at most [`TIMELINE_MAX`] entries.
    pub timeline: Vec<TimelineEntry>,
}

/// Something that is wrong with one target, as one playbook's trigger sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Symptom {
    /// Whose trigger.
    pub playbook: PlaybookId,
    /// On which target.
    pub target: TargetId,
    /// The first bad sample.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub began_at: Timestamp,
    /// When the trigger was met.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub seen_at: Timestamp,
    /// When it was over; `None` while it is not.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub ended_at: Option<Timestamp>,
    /// The condition with its values.
    pub what: String,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineEntry {
    /// When.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// Most lines of one timeline; beyond that the middle is left out. Why 300: a night of
/// trouble with a dozen runs has about a hundred.
pub const TIMELINE_MAX: usize = 300;

/// Resolved incidents that are kept in memory. All are in the journal for ever.
pub const RESOLVED_KEPT: usize = 200;

/// Symptoms on related targets belong to an open incident while one of its own lasts, and
/// within this time after. Why 10 min: a failure crosses a call graph within its time-outs and retries;
/// what follows an hour later has a cause of its own.
pub const GROUPED_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// An incident that comes back this soon is the same one. Why 15 min: longer than any
/// verification, so that a run that only looked as if it helped does not count as two.
pub const REOPENED_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// When it came back this often, no run starts any more without a person. Why 3: twice can
/// be chance; the third time the cure is part of the disease.
pub const FLAPS_MAX: u32 = 3;

/// Nobody took note of a page for this long: it is sent again, louder. Why 15 min: the
/// usual time for an acknowledgement on call.
pub const ESCALATED_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// What can happen to an incident. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum IncidentEvent {
    /// It began, with its first symptom.
    Opened { symptom: Symptom, severity: Severity },
    /// Another symptom, or one that came back.
    SymptomSeen { symptom: Symptom, severity: Severity },
    /// One is over.
    SymptomEnded { playbook: PlaybookId, target: TargetId },
    /// A person took note.
    Acknowledged { actor: Actor },
    /// Nobody did.
    Escalated,
    /// Why no run is under way.
    Waiting { why: String },
    /// All symptoms are over.
    Resolved,
    /// It came back.
    Reopened { symptom: Symptom },
}

impl IncidentEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            IncidentEvent::Opened { .. } => "incident_opened",
            IncidentEvent::SymptomSeen { .. } => "symptom_seen",
            IncidentEvent::SymptomEnded { .. } => "symptom_ended",
            IncidentEvent::Acknowledged { .. } => "incident_acknowledged",
            IncidentEvent::Escalated => "incident_escalated",
            IncidentEvent::Waiting { .. } => "incident_waiting",
            IncidentEvent::Resolved => "incident_resolved",
            IncidentEvent::Reopened { .. } => "incident_reopened",
        }
    }
}

impl Incident {
    /// From its first symptom.
    pub fn opened(
        id: IncidentId,
        now: Timestamp,
        symptom: Symptom,
        severity: Severity,
    ) -> Incident {
        let mut incident = Incident {
            id,
            severity,
            began_at: symptom.began_at,
            detected_at: now,
            acknowledged: None,
            escalated_at: None,
            resolved_at: None,
            n_reopened: 0,
            runs: Vec::new(),
            waiting_for: None,
            timeline: Vec::new(),
            symptoms: Vec::new(),
        };
        incident.note(symptom.began_at, format!("first bad sample on {}", symptom.target));
        incident.note(
            now,
            format!("detected by {} on {}: {}", symptom.playbook, symptom.target, symptom.what),
        );
        incident.symptoms.push(symptom);
        incident
    }

    /// Takes in what happened after it was opened.
    pub fn apply(&mut self, now: Timestamp, event: &IncidentEvent) {
        match event {
            IncidentEvent::Opened { .. } => (),
            IncidentEvent::SymptomSeen { symptom, severity } => {
                self.severity = self.severity.max(*severity);
                self.note(
                    now,
                    format!("{} on {}: {}", symptom.playbook, symptom.target, symptom.what),
                );
                self.push(symptom);
            }
            IncidentEvent::SymptomEnded { playbook, target } => {
                for it in self.symptoms.iter_mut() {
                    if it.playbook == *playbook && it.target == *target && it.ended_at.is_none() {
                        it.ended_at = Some(now);
                    }
                }
                self.note(now, format!("{playbook} on {target} is over"));
            }
            IncidentEvent::Acknowledged { actor } => {
                if self.acknowledged.is_none() {
                    self.acknowledged = Some((actor.clone(), now));
                    self.note(now, format!("{actor} took note"));
                }
            }
            IncidentEvent::Escalated => {
                self.escalated_at = Some(now);
                self.note(now, "nobody took note; escalated".to_owned());
            }
            IncidentEvent::Waiting { why } => {
                self.note(now, why.clone());
                self.waiting_for = Some(why.clone());
            }
            IncidentEvent::Resolved => {
                self.resolved_at = Some(now);
                self.waiting_for = None;
                self.note(now, "resolved".to_owned());
            }
            IncidentEvent::Reopened { symptom } => {
                self.resolved_at = None;
                self.n_reopened = self.n_reopened.saturating_add(1);
                self.note(
                    now,
                    format!(
                        "it came back: {} on {}: {}",
                        symptom.playbook, symptom.target, symptom.what
                    ),
                );
                self.push(symptom);
            }
        }
    }

    /// A line for the timeline.
    pub fn note(&mut self, at: Timestamp, what: String) {
        if TIMELINE_MAX <= self.timeline.len() {
            // The beginning says what it was, the end how it went.
            self.timeline.remove(TIMELINE_MAX / 2);
        }
        self.timeline.push(TimelineEntry { at, what });
    }

    /// Whether any symptom lasts.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// Symptoms that last.
    pub fn lasting(&self) -> impl Iterator<Item = &Symptom> {
        self.symptoms.iter().filter(|it| it.ended_at.is_none())
    }

    /// From the first bad sample until the agent knew.
    pub fn time_to_detect(&self) -> SignedDuration {
        self.detected_at.duration_since(self.began_at)
    }

    /// From when the agent knew until a person took note.
    pub fn time_to_acknowledge(&self) -> Option<SignedDuration> {
        self.acknowledged.as_ref().map(|(_, at)| at.duration_since(self.detected_at))
    }

    /// From the first bad sample until all was over.
    pub fn time_to_resolve(&self) -> Option<SignedDuration> {
        self.resolved_at.map(|it| it.duration_since(self.began_at))
    }

    fn push(&mut self, symptom: &Symptom) {
        /// Why 100: a storm shows in far fewer; their number is in the timeline.
        const SYMPTOMS_MAX: usize = 100;
        if SYMPTOMS_MAX <= self.symptoms.len() {
            let ended = self.symptoms.iter().position(|it| it.ended_at.is_some());
            self.symptoms.remove(ended.unwrap_or_default());
        }
        self.symptoms.push(symptom.clone());
    }
}

/// Too much at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Storm {
    /// Since when.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// When it last was too much; it is over [`STORM_COOLDOWN`] after that.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub last_at: Timestamp,
    /// What was too much.
    pub why: String,
}

/// More than this share of the targets that playbooks look after are unhealthy: suspect
/// whoever says so. Why 0.3: losing one of four zones shows on a quarter of them.
pub const STORM_TARGETS_RATIO: f64 = 0.3;

/// Below so many unhealthy targets there is no storm, whatever their share. Why 4: in a
/// region of five targets, one failure with its two callers is not a storm.
pub const STORM_TARGETS_MIN: usize = 4;

/// More than this share of what playbooks ask for is missing: partial telemetry. Why 0.5:
/// what is left no longer says how the fleet is.
pub const STORM_UNKNOWN_RATIO: f64 = 0.5;

/// How long a storm is over before destructive actions are allowed again. Why 10 min: one
/// verification, and time for a person to look.
pub const STORM_COOLDOWN: SignedDuration = SignedDuration::from_mins(10);

/// Edges of the call graph: what each target depends on.
pub type Dependencies = BTreeMap<TargetId, Vec<TargetId>>;
