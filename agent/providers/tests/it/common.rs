//! What several tests here need.
//!
//! In: settings and the numbers of a request.
//! Out: providers with a fixed clock, requests, reports and readings in one line.
//! Not here: servers (`evenkeel-testbed`, and `platform.rs`).

use std::sync::Arc;

use evenkeel_core::documents::ProviderRef;
use evenkeel_core::ids::{EffectId, TargetId, Term};
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
#[cfg(any(feature = "aws", feature = "webhook"))]
use evenkeel_providers::ProviderSettings;
#[cfg(any(feature = "aws", feature = "webhook", feature = "simulated"))]
use evenkeel_providers::Providers;
use evenkeel_providers::{Clock, EffectReport, ReadError, SetCapacityRequest};
use jiff::Timestamp;

/// What the clock of every test says.
pub(crate) const NOW_SECONDS: i64 = 1_767_225_600;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(NOW_SECONDS).unwrap()
}

pub(crate) fn clock() -> Clock {
    Arc::new(now)
}

#[cfg(any(feature = "aws", feature = "webhook"))]
pub(crate) async fn providers(settings: &ProviderSettings) -> Providers {
    Providers::new(settings, clock()).await.unwrap()
}

pub(crate) fn target(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

/// A request of effect 12 in term 3.
pub(crate) fn request(provider: &ProviderRef, expected: u32, desired: u32) -> SetCapacityRequest {
    SetCapacityRequest {
        effect_id: EffectId(12),
        term: Term(3),
        desired: Capacity(desired),
        expected: Capacity(expected),
        provider: provider.clone(),
        target: target("checkout-api"),
    }
}

/// Reads one reference.
#[cfg(any(feature = "aws", feature = "webhook", feature = "simulated"))]
pub(crate) async fn read(
    providers: &Providers,
    provider: &ProviderRef,
) -> Result<CapacityReading, ReadError> {
    let mut readings = providers.read(&[(target("checkout-api"), provider.clone())]).await;
    assert_eq!(readings.len(), 1);
    readings.remove(0).1
}

pub(crate) fn show_reading(reading: &Result<CapacityReading, ReadError>) -> String {
    match reading {
        Ok(CapacityReading { current, ready, read_at }) => {
            assert_eq!(*read_at, now(), "the reading's time is the clock's");
            let ready = ready.map_or_else(|| "?".to_owned(), |it| it.to_string());
            format!("{current}, {ready} ready")
        }
        Err(error) => error.to_string(),
    }
}

pub(crate) fn show_report(report: &EffectReport) -> String {
    let EffectReport { outcome, detail } = report;
    format!("{outcome}: {detail}")
}
