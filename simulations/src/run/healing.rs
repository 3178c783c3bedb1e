//! What comes of the agent's healing: for the verdict, the pager and the timeline.
//!
//! **In:** what its process did. **Out:** events, pages, demands that are met or broken.
//! **Not here:** doing it ([`super::process`]), what must hold in every run ([`super::watch`]).

use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::explain::Conclusion;
use evenkeel_core::guard::Refusal;
use evenkeel_core::ids::TargetId;
use evenkeel_core::incident::Severity;
use evenkeel_core::units::Capacity;

use super::Engine;
use super::process::Happened;
use super::verdict::Change;
use crate::timeline::EventKind;

impl Engine<'_> {
    /// Everything of this look that is about incidents, runs and notices.
    pub(super) fn note_healing(&mut self, at: i64, happened: &[Happened]) {
        for it in happened {
            match it {
                Happened::Acted(left) => {
                    let service = self.place_of(Some(&left.sent.target));
                    let text = format!("{}: {}", left.sent.run, left.sent.action);
                    if left.outcome == EffectOutcome::Rejected {
                        self.event(EventKind::Refusal, service, format!("{text}: rejected"));
                        continue;
                    }
                    self.monitor.incidents.noticed(at);
                    self.event(EventKind::Decision, service, text);
                    let Some(service) = service else { continue };
                    if left.sent.action.class().name() == "throttle_tenant" {
                        let (unix, text) = (self.unix(), left.sent.action.to_string());
                        self.verdict.touched(at, unix, service, &text, &mut self.violations);
                    }
                    let current = Capacity(self.stage.world.truth(service).desired);
                    let units = left.sent.action.takes_units(current);
                    if 0 < units {
                        let change = Change::Took { units, of: left.n_units.max(1) };
                        let (unix, violations) = (self.unix(), &mut self.violations);
                        self.verdict.changed(at, unix, service, change, false, violations);
                    }
                }
                Happened::Incident { is_open, target, text } => {
                    let service = self.place_of(target.as_ref());
                    if *is_open {
                        self.monitor.incidents.noticed(at);
                        let unix = self.unix();
                        self.verdict.incident(at, unix, text, &mut self.violations);
                    }
                    self.trace.line(format_args!("{at} {text}"));
                    self.event(EventKind::Decision, service, text.clone());
                }
                Happened::Run { target, text, healed } => {
                    let service = self.place_of(Some(target));
                    self.event(EventKind::Decision, service, text.clone());
                    if let Some(playbook) = healed {
                        self.verdict.healed(playbook.as_str());
                    }
                }
                Happened::Told(told) if told.is_page => {
                    let service = self.place_of(told.target.as_ref());
                    if self.monitor.paged_by_agent(at) && 0 <= at {
                        self.hands.paged(at);
                    }
                    self.event(EventKind::Page, service, told.title.clone());
                }
                Happened::Budget { text } => {
                    self.trace.line(format_args!("{at} {text}"));
                    self.event(EventKind::Decision, None, text.clone());
                }
                Happened::SloAlert { slo, fires, text } => {
                    self.trace.line(format_args!("{at} {text}"));
                    self.event(EventKind::Decision, None, text.clone());
                    let Some(severity) = fires else { continue };
                    // Who is told is told in the same second; whom nobody can reach is not.
                    let is_page = *severity == Severity::Page && self.stage.pager_works;
                    let unix = self.unix();
                    let (verdict, violations) = (&mut self.verdict, &mut self.violations);
                    verdict.slo_alert(at, unix, (slo, is_page), text, violations);
                }
                Happened::Explained(explanation) => {
                    let Conclusion::Refused { refusal, .. } = &explanation.conclusion else {
                        continue;
                    };
                    if !matches!(refusal, Refusal::OverBudget { .. } | Refusal::Tightened { .. }) {
                        continue;
                    }
                    let Some(service) = self.place_of(Some(&explanation.target)) else { continue };
                    let (unix, text) = (self.unix(), refusal.to_string());
                    self.verdict.touched(at, unix, service, &text, &mut self.violations);
                }
                Happened::Told(_)
                | Happened::Started(..)
                | Happened::Ended { .. }
                | Happened::Died { .. }
                | Happened::Revived
                | Happened::Unexplained { .. } => (),
            }
        }
    }

    fn place_of(&self, target: Option<&TargetId>) -> Option<usize> {
        let target = target?;
        self.targets.iter().find(|(_, it)| it == target).map(|(service, _)| *service)
    }
}
