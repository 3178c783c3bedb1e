//! From what playbooks see to incidents, and from too many of them to a storm.
//!
//! **In:** views whose trigger is true, false or unknown, and since when.
//! **Out:** incidents opened, extended, resolved; storms begun and ended.
//! **Not here:** what is done about them ([`super::opening`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::condition::Truth;
use crate::documents::Playbook;
use crate::heal::memory::StormEvent;
use crate::heal::notices;
use crate::heal::ward::{VIEW_AGE_MAX, Ward};
use crate::ids::{IncidentId, PlaybookId, TargetId};
use crate::incident::{
    GROUPED_WITHIN, Incident, IncidentEvent, REOPENED_WITHIN, STORM_COOLDOWN, STORM_TARGETS_MIN,
    STORM_TARGETS_RATIO, STORM_UNKNOWN_RATIO, Symptom,
};

/// A symptom is over when its trigger has been false for this long at least.
///
/// Why 1 min: four samples at the usual scrape interval; a symptom that comes and goes with
/// each of them is one symptom.
const OVER_AFTER_MIN: SignedDuration = SignedDuration::from_mins(1);

/// How often a storm that goes on is recorded. Why 1 min: its end is counted from the last
/// record, so that a restart does not end it early.
const STORM_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// How many calls away something still counts as related. Why 2: a failure shows at its
/// callers and at theirs; further away everything depends on everything.
const HOPS_MAX: usize = 2;

impl Ward<'_> {
    /// Looks at what was just observed of some targets, and at what lasts.
    pub(crate) fn note_symptoms(&mut self, observed: &BTreeSet<(PlaybookId, TargetId)>) {
        let documents = self.documents;
        let mut lasting = BTreeMap::new();
        for incident in self.healing().incidents().filter(|it| it.is_open()) {
            for symptom in incident.lasting() {
                lasting.insert((&symptom.playbook, &symptom.target), incident.id);
            }
        }
        for (playbook_id, target) in observed {
            let Some(playbook) = documents.playbook(playbook_id) else { continue };
            let incident = lasting.get(&(playbook_id, target)).copied();
            self.note_symptom(playbook, target, incident);
        }
        self.end_symptoms_without_a_playbook();
    }

    /// `lasting` is the open incident in which the symptom lasts.
    fn note_symptom(
        &mut self,
        playbook: &Playbook,
        target: &TargetId,
        lasting: Option<IncidentId>,
    ) {
        let Some(view) = self.views.of(&playbook.id, target) else { return };
        match (view.truth, lasting) {
            (Truth::True, None) => {
                let Some(since) = view.true_since else { return };
                if self.now.duration_since(since) < playbook.trigger.lasts {
                    return;
                }
                let symptom = Symptom {
                    playbook: playbook.id.clone(),
                    target: target.clone(),
                    began_at: view.began_at.unwrap_or(since),
                    seen_at: self.now,
                    ended_at: None,
                    what: view.shown.clone(),
                };
                self.see(playbook, symptom);
            }
            (Truth::False, Some(id)) => {
                let over_after = playbook.trigger.lasts.max(OVER_AFTER_MIN);
                let is_over =
                    view.false_since.is_some_and(|it| over_after <= self.now.duration_since(it));
                if is_over {
                    let (playbook, target) = (playbook.id.clone(), target.clone());
                    self.incident_event(id, IncidentEvent::SymptomEnded { playbook, target });
                }
            }
            // Not known is neither: what was wrong is still taken to be.
            (Truth::True | Truth::Unknown, Some(_)) | (Truth::False | Truth::Unknown, None) => (),
        }
    }

    /// Files a new symptom: with an open incident that it is related to, with one that is
    /// just over and comes back, or as one of its own.
    fn see(&mut self, playbook: &Playbook, symptom: Symptom) {
        let severity = playbook.severity;
        let related = self.healing().incidents().filter(|it| it.is_open()).find(|it| {
            it.symptoms.iter().any(|other| {
                let newest = other.ended_at.unwrap_or(self.now);
                self.now.duration_since(newest) <= GROUPED_WITHIN
                    && self.are_related(&other.target, &symptom.target)
            })
        });
        // One of this very round is in no state yet.
        let of_this_round = self.records.iter().find_map(|it| {
            let crate::record::Record::Incident { id, change, .. } = it else { return None };
            let (IncidentEvent::Opened { symptom: other, .. }
            | IncidentEvent::Reopened { symptom: other }) = change
            else {
                return None;
            };
            self.are_related(&other.target, &symptom.target).then_some(*id)
        });
        if let Some(id) = related.map(|it| it.id).or(of_this_round) {
            self.incident_event(id, IncidentEvent::SymptomSeen { symptom, severity });
            return;
        }
        let is_back = |it: &&Incident| {
            it.resolved_at.is_some_and(|at| self.now.duration_since(at) <= REOPENED_WITHIN)
                && it.symptoms.iter().any(|other| {
                    other.playbook == symptom.playbook && other.target == symptom.target
                })
        };
        if let Some(id) = self.healing().incidents().filter(is_back).last().map(|it| it.id) {
            self.incident_event(id, IncidentEvent::Reopened { symptom });
            return;
        }
        let id = self.take_incident_id();
        let notice = notices::incident_opened(id, playbook, &symptom);
        self.incident_event(id, IncidentEvent::Opened { symptom, severity });
        self.raise(notice);
    }

    /// Whether a failure of one may show at the other: the same, a caller of it, or another
    /// caller of what it calls.
    pub(crate) fn are_related(&self, one: &TargetId, other: &TargetId) -> bool {
        if one == other {
            return true;
        }
        let (below_one, below_other) = (self.below(one), self.below(other));
        below_one.contains(other)
            || below_other.contains(one)
            || self.calls(one).iter().any(|it| self.calls(other).contains(it))
    }

    fn calls(&self, target: &TargetId) -> &[TargetId] {
        self.documents.target(target).map_or(&[], |it| it.depends_on.as_slice())
    }

    /// What a target depends on, up to [`HOPS_MAX`] calls away.
    pub(crate) fn below(&self, target: &TargetId) -> BTreeSet<TargetId> {
        let mut all = BTreeSet::new();
        let mut edge = vec![target.clone()];
        for _ in 0..HOPS_MAX {
            let next: Vec<TargetId> = edge.iter().flat_map(|it| self.calls(it)).cloned().collect();
            edge = next.into_iter().filter(|it| all.insert(it.clone())).collect();
        }
        all
    }

    /// A playbook that is no longer in force, or no longer for a target, sees nothing that
    /// could end its symptoms.
    fn end_symptoms_without_a_playbook(&mut self) {
        let documents = self.documents;
        let mut orphans = Vec::new();
        for incident in self.healing().incidents().filter(|it| it.is_open()) {
            for symptom in incident.lasting() {
                let is_watched = symptom.playbook.as_str() == notices::NOTIFIER
                    || documents.playbook(&symptom.playbook).is_some_and(|playbook| {
                        let target = documents.target(&symptom.target);
                        target.is_some_and(|it| playbook.selector.selects(it))
                    });
                if !is_watched {
                    orphans.push((incident.id, symptom.playbook.clone(), symptom.target.clone()));
                }
            }
        }
        for (id, playbook, target) in orphans {
            self.incident_event(id, IncidentEvent::SymptomEnded { playbook, target });
        }
    }

    /// Ends incidents whose symptoms are all over and that no run is working on.
    pub(crate) fn resolve_incidents(&mut self) {
        let over: Vec<&Incident> = self
            .healing()
            .incidents()
            .filter(|it| it.is_open() && it.lasting().next().is_none())
            .filter(|it| {
                let is_active = |id: &crate::ids::RunId| {
                    self.healing().run(*id).is_some_and(|it| !it.phase.is_terminal())
                };
                !it.runs.iter().any(is_active)
            })
            .collect();
        for incident in over {
            let notice = notices::incident_resolved(self.now, incident);
            self.incident_event(incident.id, IncidentEvent::Resolved);
            self.raise(notice);
        }
    }

    /// Whether it is too much at once: then the fault may be in what says so.
    pub(crate) fn note_storm(&mut self) {
        let watched: BTreeSet<&TargetId> =
            self.views.all().filter(|(_, _, view)| view.was_known).map(|(_, it, _)| it).collect();
        let unhealthy = self.unhealthy();
        let n_unhealthy = unhealthy.len();
        let n_watched = watched.union(&unhealthy.iter().collect()).count();
        let n_views = self.views.all().filter(|(_, _, it)| it.was_known).count();
        let is_unknown = |view: &crate::heal::view::View| {
            let is_old = VIEW_AGE_MAX < self.now.duration_since(view.seen_at);
            view.was_known && (is_old || view.truth == Truth::Unknown)
        };
        let n_unknown = self.views.all().filter(|(_, _, it)| is_unknown(it)).count();
        let why = if STORM_TARGETS_MIN <= n_unhealthy
            && STORM_TARGETS_RATIO < share(n_unhealthy, n_watched)
        {
            Some(format!(
                "{n_unhealthy} of {n_watched} targets are unhealthy or being worked on at once; \
                 suspect what checks them"
            ))
        } else if STORM_TARGETS_MIN <= n_unknown && STORM_UNKNOWN_RATIO < share(n_unknown, n_views)
        {
            Some(format!("telemetry is partial: {n_unknown} of {n_views} triggers are unknown"))
        } else {
            None
        };
        match (why, self.healing().storm()) {
            (Some(why), None) => {
                let notice = notices::storm(&why);
                let change = StormEvent::Began { why };
                self.records.push(crate::record::Record::Storm { at: self.now, change });
                self.raise(notice);
            }
            (Some(why), Some(storm)) => {
                if STORM_NOTED_EVERY <= self.now.duration_since(storm.last_at) {
                    let change = StormEvent::GoesOn { why };
                    self.records.push(crate::record::Record::Storm { at: self.now, change });
                }
            }
            (None, Some(storm)) => {
                if STORM_COOLDOWN <= self.now.duration_since(storm.last_at) {
                    let change = StormEvent::Ended;
                    self.records.push(crate::record::Record::Storm { at: self.now, change });
                }
            }
            (None, None) => (),
        }
    }

    /// Targets with a symptom that lasts, those that a run is working on, and those whose
    /// capacity may be on its way out: what is in flight counts as unhealthy.
    fn unhealthy(&self) -> BTreeSet<TargetId> {
        let open = self.healing().incidents().filter(|it| it.is_open());
        let symptomatic = open.flat_map(Incident::lasting).map(|it| it.target.clone());
        let worked_on = self.healing().active().map(|it| it.target.clone());
        let leaving = self
            .state
            .in_flight()
            .filter(|(_, it)| it.desired < it.expected)
            .map(|(target, _)| target.clone());
        let notifier = |it: &TargetId| it.as_str() != notices::NOTIFIER;
        symptomatic.chain(worked_on).chain(leaving).filter(notifier).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of targets are far below 2^53")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
