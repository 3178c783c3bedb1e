//! What a service needs besides units: a deployment, room on its disks, a certificate.
//!
//! **In:** knobs that faults turn, and what an operator's command does.
//! **Out:** whether anything is served at all, and [`Upkeep`] as monitoring sees it.
//! **Not here:** who gives a command ([`crate::actuators`]), units.

use super::truth::Knobs;

/// Share of the disk that is used when nothing is wrong. Why 0.5: room to see it fill.
const DISK_USUAL: f64 = 0.5;
/// Share that is used after a cleaning. Why 0.3: old logs are gone, the data is not.
const DISK_CLEANED: f64 = 0.3;
/// How long a certificate is good for, in seconds: 90 days, as of Let's Encrypt.
const CERTIFICATE_SECONDS: i64 = 90 * 86_400;
/// When one is renewed by itself, unless that is broken: 30 days before its end.
const RENEWED_BEFORE: i64 = 30 * 86_400;
/// Seconds since the last deployment when a run begins. Why 30 days: whatever it broke is known.
const DEPLOYED_BEFORE: i64 = 30 * 86_400;

/// A deployment that is bad for as long as it is deployed and the fault lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadDeployment {
    /// Share of answers that are errors, `0.0 ..= 1.0`.
    pub error_ratio: f64,
    /// Times the service's own time per request.
    pub slow_factor: f64,
}

/// What monitoring can measure of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Upkeep {
    /// Share of the disk that is used, `0.0 ..= 1.0`.
    pub disk_used_ratio: f64,
    /// Seconds until the certificate ends; 0 afterwards.
    pub certificate_expires_seconds: i64,
    /// Units that exist times their price.
    pub spend_usd_per_hour: f64,
    /// Seconds since the newest change of the revision.
    pub revision_age_seconds: i64,
}

/// The state behind it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    revision: u32,
    previous: Option<u32>,
    newest: u32,
    deployed_at: i64,
    /// The revision that the fault brought, while the fault lasts.
    bad: Option<u32>,
    disk_used: f64,
    /// When the certificate ends; `i64::MAX` where it is renewed by itself.
    certificate_until: i64,
    /// The fault's word, so that a renewal outlasts it.
    certificate_knob: Option<i64>,
    is_junk_blocked: bool,
}

impl Kept {
    pub(super) fn new() -> Kept {
        Kept {
            revision: 1,
            previous: None,
            newest: 1,
            deployed_at: -DEPLOYED_BEFORE,
            bad: None,
            disk_used: DISK_USUAL,
            certificate_until: i64::MAX,
            certificate_knob: None,
            is_junk_blocked: false,
        }
    }

    /// Takes over what knobs have become at `now`, and adds what follows to `turned`.
    pub(super) fn follow(&mut self, now: i64, turned: &mut Knobs) {
        match (turned.bad_deployment, self.bad) {
            (Some(_), None) => {
                self.newest += 1;
                self.deploy(now, self.newest);
                self.bad = Some(self.newest);
            }
            (None, Some(_)) => self.bad = None,
            (Some(_), Some(_)) | (None, None) => (),
        }
        if let Some(bad) = turned.bad_deployment
            && self.bad == Some(self.revision)
        {
            turned.error_ratio = 1.0 - (1.0 - turned.error_ratio) * (1.0 - bad.error_ratio);
            turned.slow_factor *= bad.slow_factor;
        }
        if turned.certificate_seconds != self.certificate_knob {
            self.certificate_knob = turned.certificate_seconds;
            self.certificate_until =
                turned.certificate_seconds.map_or(i64::MAX, |it| now.saturating_add(it));
        }
        if self.is_junk_blocked {
            turned.junk_rps = 0.0;
            turned.tenants_junk_rps = Default::default();
        }
    }

    /// A second passes; whether nothing can be served in it.
    #[inline]
    pub(super) fn stops(&mut self, now: i64, turned: &Knobs) -> bool {
        if 0.0 < turned.disk_fill_per_hour {
            self.disk_used = (self.disk_used + turned.disk_fill_per_hour / 3_600.0).min(1.0);
        }
        1.0 <= self.disk_used || self.certificate_until <= now
    }

    fn deploy(&mut self, now: i64, revision: u32) {
        if revision != self.revision {
            self.previous = Some(self.revision);
            self.revision = revision;
            self.deployed_at = now;
        }
    }

    /// Deploys a revision that there was, such as `r1`.
    pub(super) fn set_revision(&mut self, now: i64, name: &str) -> Result<(), String> {
        let number = name.strip_prefix('r').and_then(|it| it.parse::<u32>().ok());
        match number.filter(|it| (1..=self.newest).contains(it)) {
            Some(revision) => {
                self.deploy(now, revision);
                Ok(())
            }
            None => {
                let newest = self.newest;
                Err(format!("there is no revision `{name}`, the newest is `r{newest}`"))
            }
        }
    }

    /// The revision that is deployed, and the one before.
    pub(super) fn revisions(&self) -> (String, Option<String>) {
        (format!("r{}", self.revision), self.previous.map(|it| format!("r{it}")))
    }

    pub(super) fn clean_disk(&mut self) {
        self.disk_used = self.disk_used.min(DISK_CLEANED);
    }

    pub(super) fn renew_certificate(&mut self, now: i64) {
        self.certificate_until = now.saturating_add(CERTIFICATE_SECONDS);
    }

    pub(super) fn block_junk(&mut self, is_blocked: bool) {
        self.is_junk_blocked = is_blocked;
    }

    /// As monitoring sees it at `now`.
    pub(super) fn seen(&self, now: i64, spend_usd_per_hour: f64) -> Upkeep {
        let certificate_expires_seconds = if self.certificate_until == i64::MAX {
            let between = CERTIFICATE_SECONDS - RENEWED_BEFORE;
            CERTIFICATE_SECONDS - now.rem_euclid(between)
        } else {
            (self.certificate_until - now).max(0)
        };
        Upkeep {
            disk_used_ratio: self.disk_used,
            certificate_expires_seconds,
            spend_usd_per_hour,
            revision_age_seconds: now - self.deployed_at,
        }
    }
}
