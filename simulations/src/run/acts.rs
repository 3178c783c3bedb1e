//! People at work, and other automations: what they do to the region and tell the agent.
//!
//! **In:** a deed whose time has come. **Out:** requests of the agent, changes past it.
//! **Not here:** when it is time ([`super::hands`]), whether the agent obeys ([`super::watch`]).

use evenkeel_core::request::{Answer, Verb};

use super::hands::{self, BY_HAND_SECONDS, ON_CALL};
use super::{Driver, Engine, Stage};
use crate::people::Deed as PersonsDeed;
use crate::provider::Answer as ProviderAnswer;
use crate::timeline::EventKind;

impl Engine<'_> {
    /// Somebody other than the controller sets units.
    pub(super) fn set_outside(&mut self, at: i64, service: usize, units: u32, is_person: bool) {
        let Stage { world, provider, .. } = &mut self.stage;
        let reply = provider.set_units(world, service, units, None);
        let done = matches!(reply.answer, ProviderAnswer::Done);
        self.trace.line(format_args!("{at} outside: service {service} -> {units}: {done}"));
        if is_person {
            if let Some(word) = self.words.get_mut(service) {
                *word = (at + BY_HAND_SECONDS, false);
            }
            self.event(EventKind::Person, Some(service), format!("sets {units} units by hand"));
        }
    }

    /// A person does something.
    pub(super) fn act(&mut self, at: i64, deed: &PersonsDeed) {
        self.trace.line(format_args!("{at} a person: {deed:?}"));
        let verbs = hands::verbs(deed, &self.targets);
        if !verbs.is_empty() {
            self.say(at, deed, verbs);
            return;
        }
        match deed {
            PersonsDeed::ExpireAll => self.expire_all(at),
            PersonsDeed::SetByHand { service, units } => {
                self.set_outside(at, *service, *units, true);
            }
            PersonsDeed::Shed { service, ratio, seconds } => {
                self.stage.world.knobs_mut(*service).shed_ratio = *ratio;
                if 0 < *seconds && 0.0 < *ratio {
                    let over = PersonsDeed::Shed { service: *service, ratio: 0.0, seconds: 0 };
                    self.hands.later(at + seconds, over);
                }
                let text = format!("turns away {:.0} % of the requests", 100.0 * ratio);
                self.event(EventKind::Person, Some(*service), text);
            }
            PersonsDeed::Restart { service, ratio, apart } => {
                self.stage.world.restart(*service, *ratio);
                self.event(EventKind::Person, Some(*service), "restarts units".to_owned());
                if 0 < *apart && 0.0 < *ratio {
                    self.restart_later(at, *service, *ratio, *apart);
                }
            }
            PersonsDeed::ReplaceGray { service, units_max } => {
                let n = self.stage.world.replace_gray(*service, *units_max);
                self.event(EventKind::Person, Some(*service), format!("replaces {n} slow units"));
            }
            PersonsDeed::Promote { service } => {
                let before = self.stage.world.sums(*service).lost_writes;
                self.stage.world.promote(*service);
                let lost = self.stage.world.sums(*service).lost_writes - before;
                let text = format!("promotes a replica; {lost:.0} writes are lost");
                self.event(EventKind::Person, Some(*service), text);
            }
            PersonsDeed::Drain { zone, seconds } => {
                if 0 < *seconds {
                    self.stage.world.drain(*zone);
                    self.hands.later(at + seconds, PersonsDeed::Drain { zone: *zone, seconds: 0 });
                } else {
                    self.stage.world.undrain(*zone);
                }
                self.event(EventKind::Person, None, format!("drains zone {zone} for {seconds} s"));
            }
            PersonsDeed::Freeze { .. }
            | PersonsDeed::Hold { .. }
            | PersonsDeed::NoScaleDown { .. }
            | PersonsDeed::Takeover { .. }
            | PersonsDeed::HandBack { .. }
            | PersonsDeed::Pin { .. } => (),
            PersonsDeed::StandBy { who, word, after } => self.standing.add(*who, *word, *after),
        }
    }

    /// The steps of a restart after the first one, until every unit had its turn.
    pub(super) fn restart_later(&mut self, at: i64, service: usize, ratio: f64, apart: i64) {
        let mut done = ratio;
        let mut due = at;
        while done < 1.0 - 1e-9 && due < self.lasts {
            due += apart;
            done += ratio;
            // One step only: nothing follows it.
            self.hands.later(due, PersonsDeed::Restart { service, ratio, apart: 0 });
        }
    }

    /// A person tells the agent something; without one, units are set by hand where that is
    /// what the word comes to.
    pub(super) fn say(&mut self, at: i64, deed: &PersonsDeed, verbs: Vec<(Option<usize>, Verb)>) {
        let (seconds, may_grow) = match deed {
            PersonsDeed::NoScaleDown { seconds, .. } => (*seconds, true),
            PersonsDeed::Freeze { seconds, .. }
            | PersonsDeed::Hold { seconds, .. }
            | PersonsDeed::Takeover { seconds, .. }
            | PersonsDeed::Pin { seconds, .. } => (*seconds, false),
            PersonsDeed::ExpireAll
            | PersonsDeed::HandBack { .. }
            | PersonsDeed::StandBy { .. }
            | PersonsDeed::SetByHand { .. }
            | PersonsDeed::Shed { .. }
            | PersonsDeed::Restart { .. }
            | PersonsDeed::ReplaceGray { .. }
            | PersonsDeed::Promote { .. }
            | PersonsDeed::Drain { .. } => (0, false),
        };
        for (service, verb) in verbs {
            let word = verb.word();
            match &mut self.driver {
                Driver::Agent(process, watch) => {
                    match process.ask(at, ON_CALL, verb, &self.stage, &mut self.trace) {
                        Some(Ok(Answer::OverrideSet { accepted, .. })) => watch.promised(&accepted),
                        Some(Ok(Answer::Expired { ended } | Answer::HandedBack { ended, .. })) => {
                            watch.ended(&ended)
                        }
                        Some(Ok(
                            Answer::RunChanged { .. }
                            | Answer::IncidentChanged { .. }
                            | Answer::Promoted { .. }
                            | Answer::Reviewed { .. },
                        )) => (),
                        Some(Err(refusal)) => self.trace.line(format_args!("refused: {refusal}")),
                        None => self.trace.line(format_args!("nobody answers")),
                    }
                }
                Driver::Pilot { .. } => {
                    let words = self.words.iter_mut().enumerate();
                    for (_, it) in words.filter(|(place, _)| service.is_none_or(|it| it == *place))
                    {
                        *it = (at + seconds, may_grow);
                    }
                    if let PersonsDeed::Pin { service, units, .. } = deed {
                        let Stage { world, provider, .. } = &mut self.stage;
                        provider.set_units(world, *service, *units, None);
                    }
                }
            }
            self.event(EventKind::Person, service, format!("{word} for {seconds} s"));
        }
        self.settle(at);
    }

    pub(super) fn expire_all(&mut self, at: i64) {
        for it in &mut self.words {
            it.0 = i64::MIN;
        }
        if let Driver::Agent(process, watch) = &mut self.driver {
            let ids: Vec<_> = process
                .agent()
                .map(|it| it.state().overrides().map(|it| it.id).collect())
                .unwrap_or_default();
            for id in ids {
                let answer =
                    process.ask(at, ON_CALL, hands::expire(id), &self.stage, &mut self.trace);
                if let Some(Ok(Answer::Expired { ended })) = answer {
                    watch.ended(&ended);
                }
            }
        }
        self.event(EventKind::Person, None, "expires all overrides".to_owned());
        self.settle(at);
    }
}
