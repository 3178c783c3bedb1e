//! What goes wrong in a region, by script.
//!
//! **In:** a script: what happens to which service, when, and for how long.
//! **Out:** its effect on load and exporter at an instant, and the text a narrator prints.
//! **Not here:** faults drawn by chance (none yet), and any judgement whether the agent coped.

use jiff::{SignedDuration, Timestamp};

use crate::chance::seconds_f64;

/// How long a flash crowd takes to arrive, and to leave.
///
/// Why 120 s: shorter than most boots, so it cannot be met by reacting alone, and longer than a
/// few scrapes, so it is not a single outlier either.
const CROWD_RAMP_SECONDS: i64 = 120;

/// Something that happens to one service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    /// The exporter shows zero for everything the service measures about itself; the load stays.
    /// Capacity is still right: the provider says it, not the service.
    ExporterReadsZero,
    /// The load is multiplied by `ratio`, with a ramp of two minutes on either side.
    FlashCrowd {
        /// Factor on the load; finite and `>= 0`. 2.2 is 120 % more.
        ratio: f64,
    },
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Scripted {
    /// When it begins, from the region's start; `>= 0`.
    pub after: SignedDuration,
    /// How long it lasts; `> 0`.
    pub lasts: SignedDuration,
    /// The service it happens to.
    pub service: String,
    /// What happens.
    pub happening: Happening,
}

/// Something that has happened, in words for the person who watches the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When it happened.
    pub at: Timestamp,
    /// The service it happened to.
    pub service: String,
    /// What happened: one phrase without a full stop.
    pub what: String,
}

/// What the demo goes through: both within two simulated hours, two minutes at 60 times.
pub fn demo_script() -> Vec<Scripted> {
    vec![
        Scripted {
            after: SignedDuration::from_mins(35),
            lasts: SignedDuration::from_mins(10),
            service: "checkout-api".to_owned(),
            happening: Happening::ExporterReadsZero,
        },
        Scripted {
            after: SignedDuration::from_mins(70),
            lasts: SignedDuration::from_mins(40),
            service: "search-api".to_owned(),
            happening: Happening::FlashCrowd { ratio: 2.2 },
        },
    ]
}

impl Scripted {
    /// Does it go on `second` seconds after the region's start? Half-open: not at its end.
    pub fn is_on(&self, second: i64) -> bool {
        let (begins, ends) = self.span();
        begins <= second && second < ends
    }

    /// Factor on the load at that second; 1 when it does not concern the load.
    pub fn load_factor(&self, second: i64) -> f64 {
        match self.happening {
            Happening::ExporterReadsZero => 1.0,
            Happening::FlashCrowd { ratio } => 1.0 + (ratio - 1.0) * self.strength(second),
        }
    }

    /// Does the exporter lie at that second?
    pub fn is_lying(&self, second: i64) -> bool {
        match self.happening {
            Happening::ExporterReadsZero => self.is_on(second),
            Happening::FlashCrowd { .. } => false,
        }
    }

    /// Its beginning and its end as a narrator tells them; `start` is the region's.
    pub fn incidents(&self, start: Timestamp) -> [Incident; 2] {
        let (begins, ends) = self.span();
        let (first, last) = match self.happening {
            Happening::ExporterReadsZero => (
                "its metrics exporter begins to report zero; the real load is unchanged".to_owned(),
                "its metrics exporter reports true values again".to_owned(),
            ),
            Happening::FlashCrowd { ratio } => (
                format!("a flash crowd arrives: load grows to {ratio:.1} times the usual"),
                "the flash crowd has gone; load is back to the usual".to_owned(),
            ),
        };
        let incident = |second, what| Incident {
            at: start.saturating_add(SignedDuration::from_secs(second)).unwrap_or(Timestamp::MAX),
            service: self.service.clone(),
            what,
        };
        [incident(begins, first), incident(ends, last)]
    }

    fn span(&self) -> (i64, i64) {
        let begins = self.after.as_secs();
        (begins, begins.saturating_add(self.lasts.as_secs()))
    }

    /// 0 outside, 1 inside, and between them on the ramps.
    fn strength(&self, second: i64) -> f64 {
        if !self.is_on(second) {
            return 0.0;
        }
        let (begins, ends) = self.span();
        let to_edge = (second - begins).min(ends - second).min(CROWD_RAMP_SECONDS);
        seconds_f64(to_edge) / seconds_f64(CROWD_RAMP_SECONDS)
    }
}
