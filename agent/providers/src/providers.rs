//! All configured platforms behind one door.
//!
//! **In:** targets to read, requests to set.
//! **Out:** readings in the order asked, and one report per request.
//! **Not here:** what a platform's answers mean (see each platform's module).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_core::documents::ProviderRef;
use evenkeel_core::ids::TargetId;
use evenkeel_core::quality::CapacityReading;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::failure::ReadError;
use crate::provider::{Clock, EffectReport, Provider, SetCapacityRequest};
use crate::settings::{ProviderSettings, SettingsError};

/// Time beyond a platform's own limits after which it is not waited for any
/// longer. Why 1 s: the platforms keep their limits themselves, with room for a
/// busy scheduler; only a fault of theirs ever takes longer.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long requests may take; the platforms keep these limits themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For one request.
    pub(crate) call: Duration,
    /// For one [`Provider::read`].
    pub(crate) read: Duration,
}

impl Limits {
    /// For the connection alone, so that the rest of a request's time is left
    /// for its answer, and a connection that was never made is told from an
    /// answer that never came.
    #[cfg(any(feature = "aws", feature = "webhook"))]
    pub(crate) fn connect(self) -> Duration {
        self.call / 2
    }
}

/// The closed set of configured platforms.
pub struct Providers {
    platforms: BTreeMap<&'static str, Arc<dyn Provider>>,
    limits: Limits,
    /// The highest term seen in a request to set.
    term: AtomicU64,
}

impl Providers {
    /// Prepares every configured platform. Sends nothing, except that AWS may
    /// look its region up on the instance when nothing else names one.
    ///
    /// `clock` gives [`CapacityReading::read_at`] and the timestamps of webhooks.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when the settings cannot be used. A platform that does
    /// not answer is no error here: its readings are.
    pub async fn new(
        settings: &ProviderSettings,
        clock: Clock,
    ) -> Result<Providers, SettingsError> {
        let limits = check_limits(settings.call_timeout, settings.read_deadline)?;
        #[cfg_attr(
            not(any(feature = "aws", feature = "webhook", feature = "simulated")),
            expect(unused_mut, reason = "no platform is built in")
        )]
        let mut platforms: Vec<Arc<dyn Provider>> = Vec::new();
        #[cfg(feature = "aws")]
        if let Some(aws) = &settings.aws {
            let (groups, services) = crate::aws::connect(aws, limits, &clock).await?;
            platforms.push(Arc::new(groups));
            platforms.push(Arc::new(services));
        }
        #[cfg(not(feature = "aws"))]
        if settings.aws.is_some() {
            return Err(SettingsError::AwsNotBuiltIn);
        }
        #[cfg(feature = "webhook")]
        platforms.push(Arc::new(crate::webhook::Webhooks::new(
            &settings.webhook,
            limits,
            Arc::clone(&clock),
        )?));
        #[cfg(feature = "simulated")]
        if let Some(region) = &settings.simulated {
            let region = Arc::clone(region);
            platforms.push(Arc::new(crate::simulated::Simulated::new(region, Arc::clone(&clock))));
        }
        drop(clock);
        Ok(Providers::assemble(platforms, limits))
    }

    /// Platforms made elsewhere, for tests; `settings` gives the limits.
    ///
    /// # Errors
    ///
    /// [`SettingsError::ZeroLimit`].
    pub fn of(
        platforms: Vec<Arc<dyn Provider>>,
        settings: &ProviderSettings,
    ) -> Result<Providers, SettingsError> {
        let limits = check_limits(settings.call_timeout, settings.read_deadline)?;
        Ok(Providers::assemble(platforms, limits))
    }

    fn assemble(platforms: Vec<Arc<dyn Provider>>, limits: Limits) -> Providers {
        let platforms = platforms.into_iter().map(|it| (it.platform(), it)).collect();
        Providers { platforms, limits, term: AtomicU64::new(0) }
    }

    /// The platforms that are configured, in alphabetical order.
    pub fn platforms(&self) -> impl Iterator<Item = &'static str> {
        self.platforms.keys().copied()
    }

    /// Reads many targets, all platforms at once, many targets per request where
    /// the platform can. One entry per target, in the order given.
    ///
    /// Takes at most [`ProviderSettings::read_deadline`] and one second more.
    pub async fn read(
        &self,
        targets: &[(TargetId, ProviderRef)],
    ) -> Vec<(TargetId, Result<CapacityReading, ReadError>)> {
        let mut by_platform: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (place, (_, reference)) in targets.iter().enumerate() {
            by_platform.entry(reference.platform()).or_default().push(place);
        }
        let readings = by_platform.into_iter().map(|(platform, places)| async move {
            let references: Vec<&ProviderRef> =
                places.iter().filter_map(|it| targets.get(*it)).map(|it| &it.1).collect();
            let results = self.read_platform(platform, &references).await;
            places.into_iter().zip(results).collect::<Vec<_>>()
        });
        let mut by_place: BTreeMap<usize, Result<CapacityReading, ReadError>> =
            join_all(readings).await.into_iter().flatten().collect();
        let with_result = |(place, (target, reference)): (usize, &(TargetId, ProviderRef))| {
            let result = by_place.remove(&place).unwrap_or_else(|| {
                Err(ReadError::Silent {
                    what: reference.platform().to_owned(),
                    reason: "it gave fewer readings than asked for".to_owned(),
                })
            });
            (target.clone(), result)
        };
        targets.iter().enumerate().map(with_result).collect()
    }

    /// Sets one capacity, once. Takes at most twice
    /// [`ProviderSettings::call_timeout`] and one second more.
    ///
    /// A term older than one seen before is rejected: another daemon has taken
    /// over since that effect was decided.
    pub async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        let seen = self.term.fetch_max(request.term.0, Ordering::SeqCst);
        if request.term.0 < seen {
            return EffectReport::rejected(&format!(
                "term {} is older than term {seen}; a newer daemon has taken over",
                request.term
            ));
        }
        let platform = request.provider.platform();
        let Some(provider) = self.platforms.get(platform) else {
            return EffectReport::rejected(&not_configured(&request.provider).to_string());
        };
        let limit = self.limits.call * 2 + GRACE;
        match timeout(limit, provider.set_capacity(request)).await {
            Ok(report) => {
                tracing::debug!(
                    target_id = %request.target,
                    effect_id = %request.effect_id,
                    term = request.term.0,
                    outcome = %report.outcome,
                    detail = report.detail,
                    "capacity set at the platform"
                );
                report
            }
            Err(_) => EffectReport::unknown(&format!(
                "`{platform}` has not answered within {} s",
                limit.as_secs_f64()
            )),
        }
    }

    async fn read_platform(
        &self,
        platform: &'static str,
        references: &[&ProviderRef],
    ) -> Vec<Result<CapacityReading, ReadError>> {
        let Some(provider) = self.platforms.get(platform) else {
            return references.iter().map(|it| Err(not_configured(it))).collect();
        };
        let limit = self.limits.read;
        match timeout(limit.saturating_add(GRACE), provider.read(references)).await {
            Ok(results) => results,
            Err(_) => references
                .iter()
                .map(|it| Err(ReadError::Late { what: it.platform().to_owned(), limit }))
                .collect(),
        }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platforms: Vec<&str> = self.platforms().collect();
        f.debug_struct("Providers")
            .field("platforms", &platforms)
            .field("limits", &self.limits)
            .field("term", &self.term)
            .finish()
    }
}

/// The limits, unless one is 0.
pub(crate) fn check_limits(call: Duration, read: Duration) -> Result<Limits, SettingsError> {
    if call.is_zero() {
        return Err(SettingsError::ZeroLimit { field: "call_timeout" });
    }
    if read.is_zero() {
        return Err(SettingsError::ZeroLimit { field: "read_deadline" });
    }
    Ok(Limits { call, read })
}

fn not_configured(reference: &ProviderRef) -> ReadError {
    let hint = match reference {
        ProviderRef::AwsAutoScalingGroup { .. } | ProviderRef::AwsEcsService { .. } => {
            "add an `aws` section to the daemon's configuration (and build with feature `aws`)"
        }
        ProviderRef::Webhook { .. } => "build with feature `webhook`",
        ProviderRef::Simulated { .. } => "it exists in `evenkeeld --demo` only",
    };
    ReadError::NotConfigured { platform: reference.platform(), hint }
}
