//! One run of a region: a controller, what breaks, who acts, and what came of it.
//!
//! **In:** a [`RegionScenario`] and [`Settings`]. **Out:** a [`RegionRun`].
//! **Not here:** the region ([`crate::world`]), what breaks ([`crate::fault`]), the controllers'
//! arithmetic (`evenkeel-core`, [`crate::pilot`]), files and clocks (the caller's).
//!
//! Order within one second: faults turn knobs; the region moves; exporters scrape and late
//! changes of the provider take effect; effects leave or end; people act; controllers look;
//! monitoring looks. Safety is checked after every event, liveness at the end.

mod acts;
pub mod documents;
mod effects;
mod hands;
pub mod harm;
mod healing;
mod journal;
mod keeping;
mod monitor;
mod process;
mod senses;
mod standing;
mod steering;
mod verdict;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use evenkeel_core::documents::Documents;
use evenkeel_core::ids::TargetId;
use jiff::{SignedDuration, Timestamp};

use crate::actuators::Actuators;
use crate::capacity::{PlanRow, Trace};
use crate::exporter::Exporter;
use crate::fault::swarm;
use crate::fault::{AgentFault, Schedule};
use crate::pilot::{Pilot, PilotKind, ServiceLook};
use crate::provider::Provider;
use crate::scenario::region::RegionScenario;
use crate::scorecard::Scorecard;
use crate::timeline::{EventKind, Recorder, Timeline};
use crate::workload::Workload;
use crate::world::{SpecError, World};

use hands::Hands;
use harm::Totals;
use keeping::empty_timelines;
use monitor::Monitor;
use process::Process;
use standing::Standing;
use steering::{Size, sizes};
use verdict::Verdict;
use watch::{Violations, Watch};

/// Who sets the units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Controller {
    /// The agent, as it is shipped.
    Evenkeel,
    /// Somebody else.
    Pilot(PilotKind),
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Controller::Evenkeel => f.pad("evenkeel"),
            Controller::Pilot(kind) => kind.fmt(f),
        }
    }
}

/// How to run it.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// What fixes all chance.
    pub seed: u64,
    /// Who sets the units.
    pub controller: Controller,
    /// A recorded load in place of the curves, and how large its peak is relative to theirs.
    /// The run then lasts as long as the recording.
    pub workload: Option<(&'a Workload, f64)>,
    /// Whether to keep [`RegionRun::plan`].
    pub keeps_plan: bool,
    /// Whether to keep [`RegionRun::timeline`].
    pub keeps_timeline: bool,
    /// Asked once per simulated minute with the seconds that have passed and all there are;
    /// `false` ends the run, which is then partial.
    pub keep_going: &'a dyn Fn(i64, i64) -> bool,
}

impl<'a> Settings<'a> {
    /// A run of `seed` by `controller`, nothing kept, to the end.
    pub fn new(seed: u64, controller: Controller) -> Settings<'a> {
        Settings {
            seed,
            controller,
            workload: None,
            keeps_plan: false,
            keeps_timeline: false,
            keep_going: &|_, _| true,
        }
    }
}

/// What came of one run.
#[derive(Clone, Debug)]
pub struct RegionRun {
    /// Its scores.
    pub scorecard: Scorecard,
    /// Sums over all scaled services, a row at every change; empty unless kept.
    pub plan: Vec<PlanRow>,
    /// What it looked like; `None` unless kept.
    pub timeline: Option<Timeline>,
    /// For the comparison with another run.
    pub totals: Totals,
    /// Records that the agent wrote.
    pub n_records: u64,
}

/// Why there can be no run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The region cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The agent's documents cannot be made up.
    #[error("the agent's documents cannot be made up: {0}")]
    Documents(String),
    /// The run would be longer than one may be.
    #[error("the run would last {seconds} s, at most {LASTS_MAX} s ({} days)", LASTS_MAX / 86_400)]
    TooLong { seconds: i64 },
}

/// Longest run in seconds. Why 400 days: more than a year, as everywhere in the agent.
pub const LASTS_MAX: i64 = 400 * 86_400;

/// Most rows of a plan. Why two million: a year in which something changes every 15 s.
const PLAN_ROWS_MAX: usize = 2_000_000;

/// The first bin of a timeline in seconds. Why 15: the period of an ordinary evaluation.
const BIN_SECONDS: i64 = 15;

/// The region with its monitoring and its provider.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) exporter: Exporter,
    pub(crate) provider: Provider,
    pub(crate) actuators: Actuators,
    /// Whether a page of this second would reach somebody.
    pub(crate) pager_works: bool,
}

/// Runs `scenario`.
///
/// # Errors
///
/// [`RunError`]; a checked scenario with documents of its own has none.
pub fn run(scenario: &RegionScenario, settings: &Settings<'_>) -> Result<RegionRun, RunError> {
    Ok(Engine::new(scenario, settings)?.run())
}

enum Driver {
    Agent(Box<Process>, Watch),
    Pilot { pilot: Box<dyn Pilot>, looks: Vec<ServiceLook>, sizes: Vec<Size> },
}

struct Engine<'a> {
    scenario: &'a RegionScenario,
    settings: &'a Settings<'a>,
    stage: Stage,
    schedule: Schedule,
    driver: Driver,
    /// Targets of the agent, by service.
    targets: Vec<(usize, TargetId)>,
    hands: Hands,
    monitor: Monitor,
    verdict: Verdict,
    violations: Violations,
    trace: Trace,
    plan: Vec<PlanRow>,
    recorder: Option<Recorder>,
    lasts: i64,
    changes: u32,
    /// Until when a person's word stands, by service; and whether growing is all right.
    words: Vec<(i64, bool)>,
    /// Forecasts for later, by service: when, and what.
    expected: Vec<VecDeque<(i64, [f64; 3])>>,
    refused: Vec<&'static str>,
    standing: Standing,
}

impl<'a> Engine<'a> {
    fn new(
        scenario: &'a RegionScenario,
        settings: &'a Settings<'a>,
    ) -> Result<Engine<'a>, RunError> {
        let seed = settings.seed;
        let lasts = settings
            .workload
            .map_or(scenario.lasts, |(it, _)| it.ends_at().saturating_sub(it.starts_at()));
        if LASTS_MAX < lasts {
            return Err(RunError::TooLong { seconds: lasts });
        }
        let warm_up = SignedDuration::from_secs(scenario.warm_up);
        let starts_at = settings.workload.map_or(scenario.starts_at, |(it, _)| {
            Timestamp::from_second(it.starts_at()).unwrap_or(scenario.starts_at)
        });
        let begins_at = starts_at.saturating_sub(warm_up).unwrap_or(starts_at);
        let mut world = World::new(seed, begins_at, scenario.world.clone())?;
        if let Some((workload, scale)) = settings.workload {
            world.follow(workload, scale);
        }
        let provider = Provider::new(seed, &world);
        let (mut faults, mut acts) = (scenario.faults.clone(), scenario.people.clone());
        if let Some(swarm) = &scenario.swarm {
            // The last part is for recovery: whatever breaks has healed by then.
            let until = lasts - (verdict::RECOVER_SECONDS + 600).min(lasts / 2);
            let (drawn, people) = swarm::draw(seed, swarm, &scenario.world, until);
            faults.extend(drawn);
            acts.extend(people);
        }
        let schedule = Schedule::new(faults);
        let documents = match &scenario.documents {
            Some(documents) => Arc::clone(documents),
            None => documents::made_up(&scenario.world).map_err(RunError::Documents)?,
        };
        // Only playbooks need to know which unit is which.
        let heals = 0 < documents.playbooks().len() && settings.controller == Controller::Evenkeel;
        if heals {
            world.name_units();
        }
        for (service, tenants) in scenario.tenants.iter().enumerate() {
            world.share_out(service, tenants);
        }
        let mut exporter = Exporter::new(seed, scenario.exporter, scenario.world.services.len());
        if settings.controller == Controller::Evenkeel && senses::budgets::has_budgets(&documents) {
            exporter.keep_past();
        }
        let actuators = Actuators::new(scenario.world.services.len());
        let stage = Stage { world, exporter, provider, actuators, pager_works: true };
        let targets = targets_of(&documents, &stage.world);
        let driver = match settings.controller {
            Controller::Evenkeel => {
                Driver::Agent(Box::new(Process::new(documents, &stage)), Watch::default())
            }
            Controller::Pilot(kind) => Driver::Pilot {
                pilot: kind.build(&scenario.world),
                looks: vec![ServiceLook::default(); scenario.world.services.len()],
                sizes: sizes(&scenario.world),
            },
        };
        let recorder = settings.keeps_timeline.then(|| {
            Recorder::new(
                starts_at.as_second(),
                BIN_SECONDS,
                "requests/s",
                empty_timelines(scenario),
            )
        });
        let n_services = scenario.world.services.len();
        Ok(Engine {
            hands: Hands::new(&acts),
            monitor: Monitor::new(&stage.world),
            verdict: Verdict::new(scenario, settings.controller, schedule.healed_at(), lasts),
            scenario,
            settings,
            stage,
            schedule,
            driver,
            targets,
            violations: Violations::default(),
            trace: Trace::default(),
            plan: Vec::new(),
            recorder,
            lasts,
            changes: 0,
            words: vec![(i64::MIN, false); n_services],
            expected: vec![VecDeque::new(); n_services],
            refused: vec![""; n_services],
            standing: Standing::default(),
        })
    }

    fn run(mut self) -> RegionRun {
        let warm_up = self.scenario.warm_up;
        let mut at = -warm_up;
        let mut is_partial = false;
        while at < self.lasts {
            if at.rem_euclid(60) == 0
                && !(self.settings.keep_going)(at + warm_up, self.lasts + warm_up)
            {
                is_partial = true;
                break;
            }
            if at == 0 {
                self.stage.world.restart_sums();
                self.monitor.restart();
            }
            self.second(at);
            at += 1;
        }
        self.finish(at, is_partial)
    }

    fn unix(&self) -> i64 {
        self.stage.world.now().as_second()
    }

    fn second(&mut self, at: i64) {
        let Stage { world, exporter, provider, actuators, pager_works } = &mut self.stage;
        let happenings = self.schedule.apply(at, world, exporter, provider);
        world.tick();
        exporter.tick(world);
        provider.tick(world);
        actuators.tick(world);
        *pager_works = self.schedule.pager_works(at);
        if !happenings.agent.is_empty()
            || !happenings.set_units.is_empty()
            || !happenings.began.is_empty()
            || !happenings.ended.is_empty()
        {
            self.happen(at, happenings);
        }
        if let Driver::Agent(process, _) = &mut self.driver {
            process.tick(at, &mut self.stage, &mut self.trace);
        }
        self.settle(at);
        while let Some(deed) = self.hands.next(at) {
            self.act(at, &deed);
        }
        self.look(at);
        let paged = self.monitor.tick(at, &self.stage.world, self.schedule.pager_works(at));
        for service in paged {
            let is_first = self.monitor.first_page == Some(at) && 0 <= at;
            if is_first {
                self.hands.paged(at);
            }
            self.event(
                EventKind::Page,
                Some(service),
                "the error budget burns 14 times too fast".to_owned(),
            );
        }
        if 0 <= at {
            self.verdict.tick(at, &self.stage.world);
            self.record(at);
        }
    }

    /// What the second brought that is no knob.
    fn happen(&mut self, at: i64, happenings: crate::fault::Happenings) {
        for (kind, texts) in
            [(EventKind::FaultBegan, happenings.began), (EventKind::FaultEnded, happenings.ended)]
        {
            for text in texts {
                self.trace.line(format_args!("{at} {text}"));
                self.event(kind, None, text);
            }
        }
        for (service, units) in happenings.set_units {
            if self.stage.actuators.is_stopped(service) {
                continue;
            }
            self.set_outside(at, service, units, false);
        }
        for fault in happenings.agent {
            let Driver::Agent(process, _) = &mut self.driver else { continue };
            match fault {
                AgentFault::Dies { point, back_at } => {
                    process.kill(point, back_at, &mut self.trace);
                }
                AgentFault::ClockIsOff { seconds } => process.set_wall_error(seconds),
                AgentFault::JournalFails { until } => process.fail_journal(until),
            }
        }
    }
}

fn targets_of(documents: &Documents, world: &World) -> Vec<(usize, TargetId)> {
    use evenkeel_core::documents::ProviderRef;
    documents
        .targets()
        .filter_map(|it| match &it.provider {
            ProviderRef::Simulated { service } => {
                Some((world.spec().find(service)?, it.id.clone()))
            }
            ProviderRef::AwsAutoScalingGroup { .. }
            | ProviderRef::AwsEcsService { .. }
            | ProviderRef::Webhook { .. } => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
