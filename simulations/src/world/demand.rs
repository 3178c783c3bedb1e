//! What comes from outside.
//!
//! **In:** curves, or a recording. **Out:** first tries per second of every service.
//! **Not here:** faults that multiply it, retries ([`super::service`]).

use std::sync::Arc;

use crate::load::Load;
use crate::workload::{Sample, Workload};

use super::spec::WorldSpec;

/// A percentile that a curve's peak stands for. Why 99.5: one spike in two hundred samples of a
/// recording shall not make all others small.
const PEAK_PERCENT: f64 = 99.5;

/// Load from outside, by service.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    curves: Vec<Option<Load>>,
    peaks: Vec<f64>,
    recording: Option<Recording>,
}

/// A recording and how far it has been read.
#[derive(Clone, Debug)]
struct Recording {
    samples: Arc<[Sample]>,
    /// Value that makes a service's peak.
    unit: f64,
    /// Sample that holds now.
    at: usize,
    value: f64,
}

impl Demand {
    pub(super) fn new(seed: u64, spec: &WorldSpec) -> Demand {
        let curves =
            spec.services.iter().map(|it| it.load.map(|curve| Load::new(seed, &it.name, curve)));
        let peaks = spec.services.iter().map(|it| it.load.map_or(0.0, |curve| curve.peak_rps));
        Demand { curves: curves.collect(), peaks: peaks.collect(), recording: None }
    }

    /// Follows a recording from its start on.
    pub(super) fn follow(&mut self, workload: &Workload, scale: f64) {
        let percentile = workload.percentile(PEAK_PERCENT);
        // A recording of zeros but for a spike: its largest value is the peak.
        let peak = if 0.0 < percentile { percentile } else { workload.percentile(100.0) };
        let scale = if scale.is_finite() { scale.max(0.0) } else { 1.0 };
        let samples: Arc<[Sample]> = workload.samples().into();
        let first = samples.first().map_or(0.0, |it| it.value);
        let unit = scale / peak;
        self.recording = Some(Recording { samples, unit, at: 0, value: first * unit });
    }

    /// Moves to a second since the start. Seconds never go back.
    pub(super) fn advance(&mut self, second: i64) {
        let Some(Recording { samples, unit, at, value }) = &mut self.recording else {
            return;
        };
        let Some(start) = samples.first().map(|it| it.at) else {
            return;
        };
        while let Some(next) = samples.get(*at + 1)
            && next.at.saturating_sub(start) <= second
        {
            *at += 1;
            *value = next.value * *unit;
        }
    }

    /// First tries per second of a service at any instant.
    pub(super) fn at(&self, service: usize, unix_second: i64, since_start: i64) -> f64 {
        let Some(Some(load)) = self.curves.get(service) else {
            return 0.0;
        };
        match &self.recording {
            None => load.at(unix_second),
            Some(Recording { samples, unit, .. }) => {
                let start = samples.first().map_or(0, |it| it.at);
                let n = samples.partition_point(|it| it.at.saturating_sub(start) <= since_start);
                let holds = samples.get(n.saturating_sub(1)).map_or(0.0, |it| it.value);
                holds * unit * self.peaks.get(service).copied().unwrap_or(0.0)
            }
        }
    }

    /// First tries per second of a service at `unix_second`, after [`Demand::advance`].
    #[inline]
    pub(super) fn of(&self, service: usize, unix_second: i64) -> f64 {
        let Some(Some(load)) = self.curves.get(service) else {
            return 0.0;
        };
        match &self.recording {
            Some(recording) => recording.value * self.peaks.get(service).copied().unwrap_or(0.0),
            None => load.at(unix_second),
        }
    }

    /// As [`Demand::of`], but before the start: a recording's first value.
    pub(super) fn before(&self, service: usize, unix_second: i64) -> f64 {
        let Some(Some(load)) = self.curves.get(service) else {
            return 0.0;
        };
        match &self.recording {
            Some(recording) => {
                let first = recording.samples.first().map_or(0.0, |it| it.value);
                first * recording.unit * self.peaks.get(service).copied().unwrap_or(0.0)
            }
            None => load.at(unix_second),
        }
    }
}
