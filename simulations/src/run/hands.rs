//! People at work in a region: what a scenario says that they do.
//!
//! **In:** acts with their time, and the first page. **Out:** requests of the agent, or changes
//! by hand.
//! **Not here:** what there is to do ([`crate::people`]), whether anybody obeys (the watch).

use evenkeel_core::ids::TargetId;
use evenkeel_core::overrides::Scope;
use evenkeel_core::request::{Expirable, OverrideAsked, Verb};
use evenkeel_core::units::Capacity;
use jiff::SignedDuration;

use crate::people::{Act, Deed, When};

/// How long a change by hand is a person's word. Why 30 min: whoever sets units by hand looks
/// whether it helped; a controller that takes them back before is in the way.
pub(super) const BY_HAND_SECONDS: i64 = 1_800;

/// Who is on call: whoever does what the scenario does not give a name to.
pub(super) const ON_CALL: &str = "oncall";

/// Reason that people give in the simulator.
pub(super) const REASON: &str = "simulated";

/// Acts in order of time, and those that wait for a page.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// Latest first, so that the next one is at the end.
    timed: Vec<(i64, Deed)>,
    on_page: Vec<(i64, Deed)>,
}

impl Hands {
    pub(super) fn new(acts: &[Act]) -> Hands {
        let mut hands = Hands::default();
        for act in acts {
            match act.when {
                When::At(at) => hands.timed.push((at, act.deed.clone())),
                When::AfterPage(after) => hands.on_page.push((after, act.deed.clone())),
            }
        }
        hands.sort();
        hands
    }

    /// Somebody was paged for the first time.
    pub(super) fn paged(&mut self, at: i64) {
        let on_page = std::mem::take(&mut self.on_page);
        self.timed.extend(on_page.into_iter().map(|(after, deed)| (at + after, deed)));
        self.sort();
    }

    /// Something to be done later, such as the next step of a restart.
    pub(super) fn later(&mut self, at: i64, deed: Deed) {
        self.timed.push((at, deed));
        self.sort();
    }

    /// What is due, one after the other.
    pub(super) fn next(&mut self, at: i64) -> Option<Deed> {
        if self.timed.last().is_some_and(|(due, _)| *due <= at) {
            return self.timed.pop().map(|(_, deed)| deed);
        }
        None
    }

    fn sort(&mut self) {
        // Stable: of two at one instant the first written is done first.
        self.timed.reverse();
        self.timed.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }
}

/// The requests that a deed is for an agent; empty where it is none. One per service, or one
/// for everything.
pub(super) fn verbs(deed: &Deed, targets: &[(usize, TargetId)]) -> Vec<(Option<usize>, Verb)> {
    let set = |kind: OverrideAsked, services: &[usize], seconds: i64| {
        let verb = |scope: Scope| Verb::SetOverride {
            kind,
            scope,
            duration: Some(SignedDuration::from_secs(seconds)),
            reason: REASON.to_owned(),
        };
        if services.is_empty() {
            return vec![(None, verb(Scope::Everything))];
        }
        let of = targets.iter().filter(|(service, _)| services.contains(service));
        of.map(|(service, id)| (Some(*service), verb(Scope::Target(id.clone())))).collect()
    };
    match deed {
        Deed::Freeze { services, seconds } => set(OverrideAsked::Freeze, services, *seconds),
        Deed::Hold { services, seconds } => set(OverrideAsked::Hold, services, *seconds),
        Deed::NoScaleDown { services, seconds } => {
            set(OverrideAsked::NoScaleDown, services, *seconds)
        }
        Deed::Pin { service, units, seconds } => {
            let kind = OverrideAsked::Pin { capacity: Some(Capacity(*units)) };
            set(kind, &[*service], *seconds)
        }
        Deed::Takeover { services, seconds } => set(OverrideAsked::Takeover, services, *seconds),
        Deed::HandBack { services } => {
            let verb = |scope: Scope| Verb::HandBack { scope, reason: REASON.to_owned() };
            if services.is_empty() {
                return vec![(None, verb(Scope::Everything))];
            }
            let of = targets.iter().filter(|(service, _)| services.contains(service));
            of.map(|(service, id)| (Some(*service), verb(Scope::Target(id.clone())))).collect()
        }
        Deed::ExpireAll
        | Deed::StandBy { .. }
        | Deed::SetByHand { .. }
        | Deed::Shed { .. }
        | Deed::Restart { .. }
        | Deed::ReplaceGray { .. }
        | Deed::Promote { .. }
        | Deed::Drain { .. } => Vec::new(),
    }
}

/// The request that ends one override.
pub(super) fn expire(id: evenkeel_core::ids::OverrideId) -> Verb {
    Verb::Expire { which: Expirable::One(id), reason: REASON.to_owned() }
}
