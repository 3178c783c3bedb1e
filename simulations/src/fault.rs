//! What breaks, and when.
//!
//! **In:** faults of a scenario, and those that a seed draws ([`swarm`]).
//! **Out:** knobs of the world, the exporters and the provider; and what happens to the agent
//! itself ([`AgentFault`]), which the run carries out.
//! When the knobs are turned: [`Schedule`].
//! **Not here:** what a knob does ([`crate::world`], [`crate::exporter`], [`crate::provider`]),
//! what people do about it ([`crate::people`]).

mod board;
mod schedule;
pub mod swarm;
mod words;

pub use schedule::Schedule;

/// Something that is broken for a while. Services and zones are places in the world's spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Seconds since the scored part began.
    pub from: i64,
    /// First second in which it is over; `> from`. What happens once happens at `from`.
    pub until: i64,
    /// What.
    pub kind: FaultKind,
}

/// Everything that can break. Where `service` is an `Option`, `None` means all.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    // The load.
    /// Load from outside is multiplied, within `ramp` seconds, and falls back within as many,
    /// so that it is over at the fault's end. One shorter than two ramps never gets there.
    Surge { service: usize, factor: f64, ramp: i64 },
    /// Requests that are worth nothing, per second; see `Knobs::junk_rps`. With `tenant`, a place
    /// among those who share the service, they are that tenant's.
    Junk { service: usize, rps: f64, tenant: Option<usize> },
    // Services.
    /// Slower by a factor, without more processor use.
    Slow { service: usize, factor: f64 },
    /// A share of answers are errors.
    Errors { service: usize, ratio: f64 },
    /// Nothing is served.
    Down { service: usize },
    /// A share of the units is slow behind a green health check.
    Gray { service: usize, ratio: f64, factor: f64 },
    /// Capacity leaks away per hour until units are restarted.
    Leak { service: usize, per_hour: f64 },
    /// Above so many units each one is slower.
    HiddenLimit { service: usize, units: u32 },
    /// Health checks of a share of the units fail although they serve.
    HealthChecks { service: usize, ratio: f64 },
    /// Replicas fall behind.
    ReplicaLag { service: usize, growth: f64 },
    /// A new revision is deployed: a share of its answers are errors, and it is slower. Somebody
    /// deploys the one before, or it is mended at the fault's end.
    BadDeployment { service: usize, error_ratio: f64, slow_factor: f64 },
    /// The disk fills, so large a share of it per hour. A full one stops the service until it is
    /// cleaned.
    DiskFills { service: usize, ratio_per_hour: f64 },
    /// The certificate ends after so many seconds, and with it every request fails, until
    /// somebody renews it or the fault is over.
    CertificateExpires { service: usize, seconds: i64 },
    /// Once: a share of the units dies.
    Crash { service: usize, ratio: f64 },
    /// Once: a share of the units restarts.
    Restart { service: usize, ratio: f64 },
    /// Once: a cache is emptied.
    Flush { service: usize },
    // The region.
    /// A zone is lost with all its units.
    ZoneLoss { zone: usize },
    /// Launches are slow: so many per minute for the whole region.
    LaunchLimit { per_minute: f64 },
    /// A share of the launches fails.
    LaunchFailures { ratio: f64 },
    /// Boots take longer by a factor.
    SlowBoot { factor: f64 },
    // Monitoring.
    /// The series is gone.
    SeriesGone { service: Option<usize> },
    /// It reads zero.
    ReadsZero { service: Option<usize> },
    /// It shows the same value again and again.
    Frozen { service: Option<usize> },
    /// Every value is multiplied.
    WrongBy { service: Option<usize>, factor: f64 },
    /// NaN and negative numbers.
    Garbled { service: Option<usize> },
    /// Scrapes fail.
    ScrapesFail { service: Option<usize> },
    /// The metrics backend does not answer.
    BackendDown,
    /// It answers without any series.
    BackendEmpty,
    /// Its clock is off by so many seconds.
    BackendSkew { seconds: i64 },
    /// Nobody is paged.
    PagerDead,
    // The provider.
    /// The API fails every call.
    ProviderDown,
    /// A share of the calls is refused.
    Throttled { ratio: f64 },
    /// A share of the changes gets no answer.
    NoAnswer { ratio: f64 },
    /// Changes take effect late.
    LateChanges { seconds: i64 },
    /// Reads are old.
    StaleReads { seconds: i64 },
    /// Changes are carried out in part.
    HalfDone { ratio: f64 },
    /// Reads show a part of the units.
    PartialInventory { ratio: f64 },
    // The agent itself.
    /// Once: its process dies, and is back at the fault's end.
    AgentDies { point: DeathPoint },
    /// Its clock is off by so many seconds.
    AgentClock { seconds: i64 },
    /// Its journal cannot be written: it stops rather than act, and is back at the fault's end.
    JournalFails,
    // Others who change things.
    /// Another automation sets the units again and again, every `every` seconds.
    OtherAutomation { service: usize, units: u32, every: i64 },
}

/// Where in its work the agent dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathPoint {
    /// Between two inputs.
    Idle,
    /// When its next records are about to be written: none of them is.
    BeforeAppend,
    /// When they are written, before any effect of them has left.
    AfterAppend,
    /// When the effects have left, before it hears how they ended.
    AfterEffect,
}

/// What happens to the agent in this second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentFault {
    /// It dies at that point, and is started again at that second.
    Dies { point: DeathPoint, back_at: i64 },
    /// Its clock is off by so many seconds from now on; 0 is right again.
    ClockIsOff { seconds: i64 },
    /// Its journal fails from now on, until that second.
    JournalFails { until: i64 },
}

/// What a second brings that is no knob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happenings {
    /// To the agent.
    pub agent: Vec<AgentFault>,
    /// Another automation sets units: service, units.
    pub set_units: Vec<(usize, u32)>,
    /// Faults that began in this second, for the timeline, in words.
    pub began: Vec<String>,
    /// Faults that ended, in words.
    pub ended: Vec<String>,
}

impl FaultKind {
    /// As it is written in a scenario, such as `series_gone`. Streams of chance are named after
    /// it, so it never changes.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Surge { .. } => "surge",
            FaultKind::Junk { .. } => "junk",
            FaultKind::Slow { .. } => "slow",
            FaultKind::Errors { .. } => "errors",
            FaultKind::Down { .. } => "down",
            FaultKind::Gray { .. } => "gray",
            FaultKind::Leak { .. } => "leak",
            FaultKind::HiddenLimit { .. } => "hidden_limit",
            FaultKind::HealthChecks { .. } => "health_checks",
            FaultKind::ReplicaLag { .. } => "replica_lag",
            FaultKind::BadDeployment { .. } => "bad_deployment",
            FaultKind::DiskFills { .. } => "disk_fills",
            FaultKind::CertificateExpires { .. } => "certificate_expires",
            FaultKind::Crash { .. } => "crash",
            FaultKind::Restart { .. } => "restart",
            FaultKind::Flush { .. } => "flush",
            FaultKind::ZoneLoss { .. } => "zone_loss",
            FaultKind::LaunchLimit { .. } => "launch_limit",
            FaultKind::LaunchFailures { .. } => "launch_failures",
            FaultKind::SlowBoot { .. } => "slow_boot",
            FaultKind::SeriesGone { .. } => "series_gone",
            FaultKind::ReadsZero { .. } => "reads_zero",
            FaultKind::Frozen { .. } => "frozen",
            FaultKind::WrongBy { .. } => "wrong_by",
            FaultKind::Garbled { .. } => "garbled",
            FaultKind::ScrapesFail { .. } => "scrapes_fail",
            FaultKind::BackendDown => "backend_down",
            FaultKind::BackendEmpty => "backend_empty",
            FaultKind::BackendSkew { .. } => "backend_skew",
            FaultKind::PagerDead => "pager_dead",
            FaultKind::ProviderDown => "provider_down",
            FaultKind::Throttled { .. } => "throttled",
            FaultKind::NoAnswer { .. } => "no_answer",
            FaultKind::LateChanges { .. } => "late_changes",
            FaultKind::StaleReads { .. } => "stale_reads",
            FaultKind::HalfDone { .. } => "half_done",
            FaultKind::PartialInventory { .. } => "partial_inventory",
            FaultKind::AgentDies { .. } => "agent_dies",
            FaultKind::AgentClock { .. } => "agent_clock",
            FaultKind::JournalFails => "journal_fails",
            FaultKind::OtherAutomation { .. } => "other_automation",
        }
    }

    /// Whether it happens once, at the fault's beginning, and has no length.
    pub fn is_once(&self) -> bool {
        ["crash", "restart", "flush"].contains(&self.name())
    }
}
