//! Monitoring as people have it: it pages them, and measures how long an incident lasts.
//!
//! **In:** good and offered requests of critical services, every second.
//! **Out:** pages; when incidents began, were noticed, and ended.
//! **Not here:** what people do then ([`super::hands`]).

use std::collections::VecDeque;

use crate::world::World;

/// Burn rate that pages, over both windows. Source: the SRE workbook's 14.4 of a 30-day budget.
const PAGE_BURN_RATE: f64 = 14.4;
/// The long window in buckets, and the short one.
const LONG_BUCKETS: usize = 240;
const SHORT_BUCKETS: usize = 20;
/// Seconds per bucket. Why 15: the period of an ordinary rule evaluation.
const BUCKET_SECONDS: i64 = 15;
/// After a page for a service no second one for so long. Why 1 h: the usual repeat interval.
const QUIET_SECONDS: i64 = 3_600;
/// So many good seconds end an incident. Why 5 min: what is good for a moment only is not over.
const GOOD_SECONDS: i64 = 300;
/// So many bad seconds in a bucket's time begin one. Why: a single bad second is noise.
const BAD_SECONDS: u64 = 10;

/// One critical service.
#[derive(Debug)]
struct Watched {
    service: usize,
    allowed: f64,
    buckets: VecDeque<(f64, f64)>,
    long: (f64, f64),
    short: (f64, f64),
    seen: (f64, f64),
    seen_bad: u64,
    paged_at: Option<i64>,
}

/// Incidents, one after the other, of all critical services together.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    began_at: Option<i64>,
    noticed_at: Option<i64>,
    good_since: i64,
    detect: (f64, u32),
    repair: (f64, u32),
}

/// The monitoring of one run.
#[derive(Debug)]
pub(super) struct Monitor {
    watched: Vec<Watched>,
    pub(super) incidents: Incidents,
    pub(super) pages: u32,
    pub(super) first_page: Option<i64>,
}

impl Monitor {
    /// Watches critical services that people or other services wait for.
    pub(super) fn new(world: &World) -> Monitor {
        let services = world.spec().services.iter().enumerate();
        let watched =
            services.filter(|(_, it)| it.is_critical && it.load.is_some()).map(|(service, it)| {
                Watched {
                    service,
                    allowed: (1.0 - it.objective_ratio).max(1e-6),
                    buckets: VecDeque::with_capacity(LONG_BUCKETS + 1),
                    long: (0.0, 0.0),
                    short: (0.0, 0.0),
                    seen: (0.0, 0.0),
                    seen_bad: 0,
                    paged_at: None,
                }
            });
        Monitor {
            watched: watched.collect(),
            incidents: Incidents::default(),
            pages: 0,
            first_page: None,
        }
    }

    /// Sums began anew.
    pub(super) fn restart(&mut self) {
        for it in &mut self.watched {
            (it.seen, it.seen_bad) = ((0.0, 0.0), 0);
        }
        self.incidents = Incidents::default();
        (self.pages, self.first_page) = (0, None);
    }

    /// Looks at the last bucket; the services that somebody is paged for now.
    pub(super) fn tick(&mut self, at: i64, world: &World, pager_works: bool) -> Vec<usize> {
        let mut paged = Vec::new();
        if at.rem_euclid(BUCKET_SECONDS) != 0 {
            return paged;
        }
        let mut is_bad = false;
        for it in &mut self.watched {
            let sums = world.sums(it.service);
            let bucket =
                (sums.offered - it.seen.0, (sums.offered - sums.good - it.seen.1).max(0.0));
            is_bad |= BAD_SECONDS <= sums.bad_seconds.saturating_sub(it.seen_bad);
            it.seen = (sums.offered, sums.offered - sums.good);
            it.seen_bad = sums.bad_seconds;
            it.push(bucket);
            let burns = |(offered, bad): (f64, f64)| {
                0.0 < offered && PAGE_BURN_RATE <= bad / offered / it.allowed
            };
            let is_quiet = it.paged_at.is_none_or(|paged_at| QUIET_SECONDS <= at - paged_at);
            if pager_works && is_quiet && burns(it.long) && burns(it.short) {
                it.paged_at = Some(at);
                paged.push(it.service);
            }
        }
        self.incidents.tick(at, is_bad);
        if !paged.is_empty() {
            self.pages += u32::try_from(paged.len()).unwrap_or(u32::MAX);
            self.first_page = self.first_page.or(Some(at));
            self.incidents.noticed(at);
        }
        paged
    }
}

impl Monitor {
    /// The agent paged somebody itself; whether that is the first page of the run.
    pub(super) fn paged_by_agent(&mut self, at: i64) -> bool {
        self.pages += 1;
        self.incidents.noticed(at);
        let is_first = self.first_page.is_none();
        self.first_page = self.first_page.or(Some(at));
        is_first
    }
}

impl Watched {
    fn push(&mut self, bucket: (f64, f64)) {
        let add = |sum: &mut (f64, f64), it: (f64, f64), sign: f64| {
            sum.0 += sign * it.0;
            sum.1 += sign * it.1;
        };
        self.buckets.push_back(bucket);
        add(&mut self.long, bucket, 1.0);
        add(&mut self.short, bucket, 1.0);
        if let Some(old) = self.buckets.len().checked_sub(SHORT_BUCKETS + 1) {
            let old = self.buckets.get(old).copied().unwrap_or_default();
            add(&mut self.short, old, -1.0);
        }
        if LONG_BUCKETS < self.buckets.len()
            && let Some(old) = self.buckets.pop_front()
        {
            add(&mut self.long, old, -1.0);
        }
    }
}

impl Incidents {
    fn tick(&mut self, at: i64, is_bad: bool) {
        if is_bad {
            self.good_since = at;
            self.began_at = self.began_at.or(Some(at));
        } else if let Some(began_at) = self.began_at
            && GOOD_SECONDS <= at - self.good_since
        {
            self.end(began_at, self.good_since);
        }
    }

    /// Somebody, or the agent, did something about it.
    pub(super) fn noticed(&mut self, at: i64) {
        if self.began_at.is_some() {
            self.noticed_at = self.noticed_at.or(Some(at));
        }
    }

    fn end(&mut self, began_at: i64, ended_at: i64) {
        let seconds = |until: i64| f64::from(i32::try_from(until - began_at).unwrap_or(i32::MAX));
        if let Some(noticed_at) = self.noticed_at.take() {
            self.detect = (self.detect.0 + seconds(noticed_at), self.detect.1 + 1);
        }
        self.repair = (self.repair.0 + seconds(ended_at), self.repair.1 + 1);
        self.began_at = None;
    }

    /// Mean time to notice and to end; `None` where there was nothing.
    pub(super) fn means(&mut self, at: i64) -> (Option<f64>, Option<f64>) {
        if let Some(began_at) = self.began_at {
            // Still going on: as long as it has lasted.
            self.end(began_at, at);
        }
        let mean = |(sum, n): (f64, u32)| (0 < n).then(|| sum / f64::from(n));
        (mean(self.detect), mean(self.repair))
    }
}
