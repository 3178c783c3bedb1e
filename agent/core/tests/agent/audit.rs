//! What must hold for every history, calculated anew from the journal alone.
//!
//! **In:** a history: documents, observations and records in order.
//! **Out:** the first broken promise, in words.
//! **Not here:** any arithmetic of the core; this is the plain second opinion
//! on it, so it is slow and simple on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::documents::{BlastRadius, Documents, Guardrail, Rule, ScalingPolicy, Target};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{EffectId, OverrideId, SignalName, TargetId, Term};
use evenkeel_core::overrides::{Override, OverrideKind};
use evenkeel_core::quality::{Reading, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::units::Capacity;
use jiff::Timestamp;

use crate::region::seconds;
use crate::stream::Entry;

/// One promise at a time, so that a test says which one it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Capacity is removed only on signals that were good all along.
    NoDoubt,
    /// Nothing is set outside the bounds, or further outside than it was.
    Bounds,
    /// One change is at most one step.
    Step,
    /// No change soon after another.
    Cooldown,
    /// Nothing happens against a person's word, the break-glass file, a freeze
    /// window or a protecting guardrail.
    People,
    /// Removals stay within every blast radius.
    BlastRadius,
    /// Numbers are used once, terms grow, one effect per target at a time.
    Numbers,
}

/// Checks one promise over a whole history.
#[track_caller]
pub(crate) fn keeps(promise: Promise, history: &[Entry]) {
    let mut audit = Audit::default();
    for entry in history {
        if let Err(broken) = audit.follow(promise, entry) {
            panic!("{promise:?} is broken: {broken}");
        }
    }
}

#[derive(Default)]
struct Audit {
    documents: Arc<Documents>,
    looks: BTreeMap<TargetId, Vec<Look>>,
    loads: BTreeMap<(TargetId, SignalName), Load>,
    known: BTreeMap<TargetId, Capacity>,
    changed_at: BTreeMap<TargetId, Timestamp>,
    in_flight: BTreeMap<TargetId, (EffectId, Capacity, Capacity)>,
    removals: Vec<Removal>,
    overrides: BTreeMap<OverrideId, Override>,
    has_break_glass: bool,
    term: Term,
    last_effect: Option<EffectId>,
    last_override: Option<OverrideId>,
}

struct Look {
    at: Timestamp,
    is_good: bool,
}

/// What one load was like: the believed values, what they were like before an
/// outage, and the unbroken run of values that were too low.
#[derive(Default)]
struct Load {
    believed: Vec<(Timestamp, f64)>,
    before: Option<f64>,
    lows: Vec<Timestamp>,
    taken_at: Option<Timestamp>,
}

struct Removal {
    at: Timestamp,
    effect: EffectId,
    target: TargetId,
    units: u32,
    units_gone: u32,
}

struct Planned<'a> {
    at: Timestamp,
    target: &'a Target,
    policy: Option<&'a ScalingPolicy>,
    from: Capacity,
    to: Capacity,
    pinned_at: Option<Capacity>,
}

type Verdict = Result<(), String>;

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Audit {
    fn follow(&mut self, promise: Promise, entry: &Entry) -> Verdict {
        match entry {
            Entry::Documents(documents) => {
                self.documents = Arc::clone(documents);
                self.forget_what_was_seen();
            }
            Entry::Restarted => self.forget_what_was_seen(),
            Entry::Observed(at, observation) => self.look(*at, observation),
            Entry::Recorded(records) => {
                // What one input led to was decided on what was there before it.
                for record in records {
                    self.judge(promise, record)?;
                    self.take_in(record);
                }
            }
        }
        Ok(())
    }

    fn forget_what_was_seen(&mut self) {
        self.looks.clear();
        self.loads.clear();
    }

    fn look(&mut self, at: Timestamp, observation: &TargetObservation) {
        let Some(policy) = self.documents.policy_of(&observation.target) else { return };
        let target = &observation.target;
        let mut is_good = observation.capacity.is_ok();
        for signal in &policy.signals {
            let read = observation.signals.iter().find(|it| it.signal == signal.name);
            let load = self.loads.entry((target.clone(), signal.name.clone())).or_default();
            let plain = read.and_then(|it| match &it.reading {
                Reading::Value { value, doubt: None, .. } => Some((*value, it.usual_low)),
                Reading::Value { .. } | Reading::Missing(_) => None,
            });
            let Some((value, low)) = plain.filter(|(it, _)| it.is_finite() && 0.0 <= *it) else {
                is_good = false;
                load.lows.clear();
                continue;
            };
            if let Rule::ValuePerUnit { .. } = signal.rule {
                is_good &= load.believes(at, value, low);
            }
        }
        self.looks.entry(target.clone()).or_default().push(Look { at, is_good });
    }

    fn judge(&self, promise: Promise, record: &Record) -> Verdict {
        if promise == Promise::Numbers {
            self.numbers(record)?;
        }
        let Record::EffectPlanned { at, id, target, desired, expected, .. } = record else {
            return Ok(());
        };
        let found = self.documents.target(target);
        let target = found.ok_or_else(|| format!("{id} is on unknown target {target}"))?;
        let pins = self.active(target, *at).filter_map(|it| match it.kind {
            OverrideKind::Pin { capacity } => Some(capacity),
            OverrideKind::Freeze
            | OverrideKind::Takeover
            | OverrideKind::Hold
            | OverrideKind::NoScaleDown => None,
        });
        let pinned_at = pins.last();
        let policy = self.documents.policy_of(&target.id);
        let (at, from, to) = (*at, *expected, *desired);
        let planned = Planned { at, target, policy, from, to, pinned_at };
        match promise {
            Promise::NoDoubt => self.no_doubt(&planned),
            Promise::Bounds => bounds(&planned),
            Promise::Step => step(&planned),
            Promise::Cooldown => self.cooldown(&planned),
            Promise::People => self.people(&planned),
            Promise::BlastRadius => self.blast_radius(&planned),
            Promise::Numbers => Ok(()),
        }
        .map_err(|broken| format!("{id} {} {from}->{to} at {at}: {broken}", target.id))
    }

    fn no_doubt(&self, it: &Planned<'_>) -> Verdict {
        let (true, None) = (it.to < it.from, it.pinned_at) else { return Ok(()) };
        let policy = it.policy.ok_or("nobody asked for it")?;
        let window = policy.scale_down.stabilization;
        let mut later_at = it.at;
        let looks = self.looks.get(&it.target.id).map_or(&[][..], Vec::as_slice);
        for look in looks.iter().rev() {
            require(look.is_good, || format!("its signals were not good at {}", look.at))?;
            require(later_at.duration_since(look.at) <= seconds(60), || {
                format!("nobody looked between {} and {later_at}", look.at)
            })?;
            later_at = look.at;
            if window <= it.at.duration_since(look.at) {
                return Ok(());
            }
        }
        Err(format!("its signals are known only since {later_at}"))
    }

    fn cooldown(&self, it: &Planned<'_>) -> Verdict {
        let (None, Some(policy)) = (it.pinned_at, it.policy) else { return Ok(()) };
        let Some(changed_at) = self.changed_at.get(&it.target.id) else { return Ok(()) };
        let behaviour = if it.to < it.from { policy.scale_down } else { policy.scale_up };
        require(behaviour.cooldown <= it.at.duration_since(*changed_at), || {
            format!("the last change was at {changed_at}")
        })
    }

    fn people(&self, it: &Planned<'_>) -> Verdict {
        require(!self.has_break_glass, || "the glass is broken".to_owned())?;
        for guardrail in self.documents.guardrails() {
            if !guardrail.selector.selects(it.target) {
                continue;
            }
            require(!guardrail.protected, || format!("{} protects it", guardrail.id))?;
            let in_window = guardrail.freeze_windows.iter().any(|w| w.ends_at(it.at).is_some());
            require(!in_window, || format!("{} has a freeze window", guardrail.id))?;
        }
        let Some(ruling) = self.ruling(it.target, it.at) else {
            let autonomous =
                it.policy.is_some_and(|it| it.autonomy == evenkeel_core::documents::Autonomy::Auto);
            return require(autonomous, || "nobody lets the agent act".to_owned());
        };
        let says = || format!("{} {} of {}", ruling.id, ruling.kind, ruling.scope);
        match ruling.kind {
            OverrideKind::Freeze | OverrideKind::Takeover | OverrideKind::Hold => Err(says()),
            OverrideKind::NoScaleDown => require(it.from < it.to, says),
            OverrideKind::Pin { .. } => Ok(()),
        }?;
        let Some(pinned_at) = it.pinned_at else { return Ok(()) };
        // The blast radius may allow only a part of the way at a time.
        let goal = it.target.bounds.clamp(pinned_at);
        let is_nearer = (it.from < it.to && it.to <= goal) || (goal <= it.to && it.to < it.from);
        require(is_nearer, || format!("it is pinned at {pinned_at}"))
    }

    fn blast_radius(&self, it: &Planned<'_>) -> Verdict {
        let units = it.from.above(it.to);
        if units == 0 {
            return Ok(());
        }
        let limits = |guardrail: &&Guardrail| guardrail.blast_radius.is_some();
        let selecting = |target: &Target| -> Vec<&Guardrail> {
            let all = self.documents.guardrails().filter(limits);
            all.filter(|guardrail| guardrail.selector.selects(target)).collect()
        };
        let own = selecting(it.target);
        for guardrail in &own {
            let limit = guardrail.blast_radius.expect("only those with one are here");
            self.within(it, units, limit, |target| guardrail.selector.selects(target))?;
        }
        if own.is_empty() {
            self.within(it, units, BlastRadius::BUILT_IN, |target| selecting(target).is_empty())?;
        }
        Ok(())
    }

    fn within(
        &self,
        it: &Planned<'_>,
        units: u32,
        limit: BlastRadius,
        selects: impl Fn(&Target) -> bool,
    ) -> Verdict {
        let in_scope = |id: &TargetId| self.documents.target(id).is_some_and(&selects);
        let there: u64 = self
            .known
            .iter()
            .filter(|(target, _)| in_scope(target))
            .map(|(_, known)| u64::from(known.0))
            .sum();
        let in_window = |removal: &&Removal| {
            in_scope(&removal.target) && it.at.duration_since(removal.at) < limit.window
        };
        let (mut removed, mut gone) = (u64::from(units), 0u64);
        for removal in self.removals.iter().filter(in_window) {
            removed += u64::from(removal.units);
            gone += u64::from(removal.units_gone);
        }
        let units_max = product(limit.removed_ratio_max, there + gone).max(1);
        require(removed <= units_max, || {
            let ratio = limit.removed_ratio_max;
            format!("{removed} units in {:?}; {ratio} of {there} + {gone}", limit.window)
        })
    }

    fn numbers(&self, record: &Record) -> Verdict {
        match record {
            Record::TermStarted { term, .. } => {
                require(self.term < *term, || format!("{term} follows {}", self.term))
            }
            Record::OverrideAccepted { accepted, .. } => {
                require(self.last_override < Some(accepted.id), || format!("{} again", accepted.id))
            }
            Record::EffectPlanned { id, target, term, .. } => {
                require(self.last_effect < Some(*id), || format!("{id} again"))?;
                require(*term == self.term, || format!("{id} has term {term}, not {}", self.term))?;
                let earlier = self.in_flight.get(target);
                require(earlier.is_none(), || format!("{id} while {earlier:?} has not ended"))
            }
            Record::DocumentsAdopted { .. }
            | Record::TargetAdopted { .. }
            | Record::OverrideEnded { .. }
            | Record::BreakGlassEngaged { .. }
            | Record::BreakGlassReleased { .. }
            | Record::EffectFinished { .. }
            | Record::EffectReadBack { .. }
            | Record::ChangedOutside { .. }
            | Record::LeadTimeMeasured { .. }
            | Record::LeadTimeMissed { .. }
            | Record::ForecastPromoted { .. }
            | Record::ForecastDemoted { .. }
            | Record::RunOpened { .. }
            | Record::Run { .. }
            | Record::Incident { .. }
            | Record::Storm { .. }
            | Record::Autonomy { .. }
            | Record::NoticeRaised { .. }
            | Record::NoticeEnded { .. }
            | Record::OverrideEndAnnounced { .. }
            | Record::HandedBack { .. }
            | Record::LeftToPeople { .. }
            | Record::Reviewed { .. }
            | Record::ReviewOverdue { .. }
            | Record::Budget { .. }
            | Record::SloAlert { .. }
            | Record::Reconciled { .. }
            | Record::RequestRefused { .. }
            | Record::Snapshot { .. } => Ok(()),
        }
    }

    /// The override that rules: freeze over hold over no-scale-down over pin,
    /// the newer of two equals.
    fn ruling(&self, target: &Target, at: Timestamp) -> Option<&Override> {
        let rank = |it: &&Override| match it.kind {
            OverrideKind::Freeze => 5,
            OverrideKind::Takeover => 4,
            OverrideKind::Hold => 3,
            OverrideKind::NoScaleDown => 2,
            OverrideKind::Pin { .. } => 1,
        };
        self.active(target, at).max_by_key(|it| (rank(it), it.id))
    }

    /// Those in force, oldest first.
    fn active(&self, target: &Target, at: Timestamp) -> impl Iterator<Item = &Override> {
        let is_active =
            move |it: &&Override| it.starts_at <= at && at < it.ends_at && it.scope.covers(target);
        self.overrides.values().filter(is_active)
    }

    fn take_in(&mut self, record: &Record) {
        match record {
            Record::TermStarted { term, .. } => self.term = *term,
            Record::TargetAdopted { target, current, .. } => {
                self.known.insert(target.clone(), *current);
            }
            Record::OverrideAccepted { accepted, .. } => {
                self.last_override = Some(accepted.id);
                self.overrides.insert(accepted.id, accepted.clone());
            }
            Record::OverrideEnded { id, .. } => {
                self.overrides.remove(id);
            }
            Record::BreakGlassEngaged { .. } => self.has_break_glass = true,
            Record::BreakGlassReleased { .. } => self.has_break_glass = false,
            Record::EffectPlanned { at, id, target, desired, expected, .. } => {
                self.last_effect = Some(*id);
                self.in_flight.insert(target.clone(), (*id, *expected, *desired));
                let (at, effect, target) = (*at, *id, target.clone());
                let units = expected.above(*desired);
                self.removals.push(Removal { at, effect, target, units, units_gone: 0 });
            }
            Record::EffectFinished { at, target, outcome, .. } => match outcome {
                EffectOutcome::Done => {
                    let ended = self.in_flight.get(target).map(|it| it.2);
                    self.end(*at, target, ended.expect("only what runs can end"));
                }
                EffectOutcome::Rejected => {
                    let (id, ..) = self.in_flight.remove(target).expect("only what runs can end");
                    self.removals.retain(|it| it.effect != id);
                }
                EffectOutcome::Unknown => (),
            },
            Record::EffectReadBack { at, target, current, .. } => self.end(*at, target, *current),
            Record::ChangedOutside { at, target, current, .. } => {
                self.known.insert(target.clone(), *current);
                self.changed_at.insert(target.clone(), *at);
            }
            Record::DocumentsAdopted { .. }
            | Record::LeadTimeMeasured { .. }
            | Record::LeadTimeMissed { .. }
            | Record::ForecastPromoted { .. }
            | Record::ForecastDemoted { .. }
            | Record::RunOpened { .. }
            | Record::Run { .. }
            | Record::Incident { .. }
            | Record::Storm { .. }
            | Record::Autonomy { .. }
            | Record::NoticeRaised { .. }
            | Record::NoticeEnded { .. }
            | Record::OverrideEndAnnounced { .. }
            | Record::HandedBack { .. }
            | Record::LeftToPeople { .. }
            | Record::Reviewed { .. }
            | Record::ReviewOverdue { .. }
            | Record::Budget { .. }
            | Record::SloAlert { .. }
            | Record::Reconciled { .. }
            | Record::RequestRefused { .. }
            | Record::Snapshot { .. } => (),
        }
    }

    fn end(&mut self, at: Timestamp, target: &TargetId, now_there: Capacity) {
        let (id, from, _) = self.in_flight.remove(target).expect("only what runs can end");
        for it in self.removals.iter_mut().filter(|it| it.effect == id) {
            it.units_gone = it.units.min(from.above(now_there));
        }
        self.known.insert(target.clone(), now_there);
        self.changed_at.insert(target.clone(), at);
    }
}

fn bounds(it: &Planned<'_>) -> Verdict {
    let bounds = it.target.bounds;
    let is_nearer =
        (it.from < it.to && it.to <= bounds.min) || (bounds.max <= it.to && it.to < it.from);
    require(bounds.contain(it.to) || is_nearer, || format!("bounds are {bounds:?}"))
}

fn step(it: &Planned<'_>) -> Verdict {
    let (None, Some(policy)) = (it.pinned_at, it.policy) else { return Ok(()) };
    let step = if it.to < it.from { policy.scale_down } else { policy.scale_up }.step;
    let by_ratio = (step.ratio * f64::from(it.from)).ceil();
    let units = it.from.0.abs_diff(it.to.0);
    let is_small = units <= step.units.max(1) || f64::from(units) <= by_ratio;
    require(is_small, || format!("a step is {step:?}"))
}

impl Load {
    /// A fall below 0.3 of the ten minutes before is believed after five minutes
    /// of it, or when values as low are usual.
    fn believes(&mut self, at: Timestamp, value: f64, usual_low: Option<f64>) -> bool {
        let lately = |it: &&(Timestamp, f64)| at.duration_since(it.0) <= seconds(600);
        let recent: Vec<(Timestamp, f64)> = self.believed.iter().filter(lately).copied().collect();
        if recent.is_empty() {
            self.before = lower_median(&self.believed).or(self.before);
        } else {
            self.before = lower_median(&recent);
        }
        self.believed = recent;
        if self.taken_at.replace(at).is_some_and(|it| seconds(60) < at.duration_since(it)) {
            self.lows.clear();
        }
        let is_usual = usual_low.is_some_and(|it| it <= value);
        let before = self.before.or(usual_low).unwrap_or(0.0);
        if value < 0.3 * before && !is_usual {
            self.lows.push(at);
            if at.duration_since(self.lows[0]) < seconds(300) {
                return false;
            }
            self.believed.clear();
        }
        self.lows.clear();
        self.believed.push((at, value));
        true
    }
}

fn lower_median(values: &[(Timestamp, f64)]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().map(|it| it.1).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// `floor(ratio * units)` without a floating-point product: ratios here have two digits.
fn product(ratio: f64, units: u64) -> u64 {
    let percent = (1..=100u32).find(|it| (f64::from(*it) / 100.0 - ratio).abs() < 1e-9);
    u64::from(percent.expect("ratios in tests are whole per cent")) * units / 100
}

/// What a history has in it, so that a property is not true for lack of trying.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) removals: usize,
    pub(crate) additions: usize,
    pub(crate) kinds: BTreeSet<&'static str>,
}

impl Tally {
    pub(crate) fn count(&mut self, history: &[Entry]) {
        for entry in history {
            let Entry::Recorded(records) = entry else { continue };
            for record in records {
                self.kinds.insert(record.kind());
                if let Record::EffectPlanned { desired, expected, .. } = record {
                    let removes = desired < expected;
                    self.removals += usize::from(removes);
                    self.additions += usize::from(!removes);
                }
            }
        }
    }
}
