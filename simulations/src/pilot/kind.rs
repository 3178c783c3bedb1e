//! Pilots by name.
//!
//! **In:** `hpa`, `hpa:85`, `tracking`, `static`, `none`, `oracle`, `reflex`, `healer`.
//! **Out:** a pilot.
//! **Not here:** what they do, the agent.

use std::fmt;
use std::str::FromStr;

use super::tracking::business_hours;
use super::{Healer, Hpa, Nobody, Oracle, Peak, Pilot, Reflex, Tracking};
use crate::capacity::percentage;
use crate::world::WorldSpec;

/// Target of HPA and of target tracking when none is named, in percent. Why 70: what most people
/// set, and the same for both, so that they differ in how they follow and in nothing else.
const TARGET_PERCENT: f64 = 70.0;

/// Who sets the units where the agent does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PilotKind {
    /// Kubernetes' HPA at a target of CPU in percent, in `1.0 ..= 100.0`.
    Hpa { target_percent: f64 },
    /// AWS' target tracking at a target of CPU in percent, in `1.0 ..= 100.0`, with business
    /// hours.
    Tracking { target_percent: f64 },
    /// What the peak needs.
    Static,
    /// No agent: the twin.
    None,
    /// One who knows what comes.
    Oracle,
    /// Naive: a scaling script without any doubt.
    Reflex,
    /// Naive: a restart-and-replace script.
    Healer,
}

/// Not the name of a pilot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PilotKindError {
    /// No such name.
    #[error(
        "`{name}` is not a controller; there are `hpa`, `hpa:85`, `tracking`, `static`, `none`, `oracle`, `reflex` and `healer`"
    )]
    Unknown { name: String },
    /// A target that makes no sense.
    #[error(
        "`{target}` is not a target of {of}; write a percentage from 1 to 100, such as `{of}:85`"
    )]
    Target { of: &'static str, target: String },
}

impl PilotKind {
    /// All of them, at their default targets.
    pub const ALL: [PilotKind; 7] = [
        PilotKind::Hpa { target_percent: TARGET_PERCENT },
        PilotKind::Tracking { target_percent: TARGET_PERCENT },
        PilotKind::Static,
        PilotKind::None,
        PilotKind::Oracle,
        PilotKind::Reflex,
        PilotKind::Healer,
    ];

    /// Those that must fail the scenarios which their incident was about.
    pub const NAIVE: [PilotKind; 3] =
        [PilotKind::Hpa { target_percent: TARGET_PERCENT }, PilotKind::Reflex, PilotKind::Healer];

    /// A pilot that has seen nothing yet, for a region of that spec.
    pub fn build(self, spec: &WorldSpec) -> Box<dyn Pilot> {
        match self {
            PilotKind::Hpa { target_percent } => Box::new(Hpa::new(target_percent)),
            PilotKind::Tracking { target_percent } => {
                Box::new(Tracking::new(target_percent, business_hours(spec)))
            }
            PilotKind::Static => Box::new(Peak::default()),
            PilotKind::None => Box::new(Nobody),
            PilotKind::Oracle => Box::new(Oracle::default()),
            PilotKind::Reflex => Box::new(Reflex),
            PilotKind::Healer => Box::new(Healer::default()),
        }
    }
}

impl fmt::Display for PilotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PilotKind::Hpa { target_percent } => f.pad(&format!("hpa:{target_percent}")),
            PilotKind::Tracking { target_percent } => f.pad(&format!("tracking:{target_percent}")),
            PilotKind::Static => f.pad("static"),
            PilotKind::None => f.pad("none"),
            PilotKind::Oracle => f.pad("oracle"),
            PilotKind::Reflex => f.pad("reflex"),
            PilotKind::Healer => f.pad("healer"),
        }
    }
}

impl FromStr for PilotKind {
    type Err = PilotKindError;

    fn from_str(text: &str) -> Result<PilotKind, PilotKindError> {
        let target = |of: &'static str, target: &str| {
            percentage(target)
                .ok_or_else(|| PilotKindError::Target { of, target: target.to_owned() })
        };
        match text.split_once(':').unwrap_or((text, "70")) {
            ("hpa", percent) => Ok(PilotKind::Hpa { target_percent: target("hpa", percent)? }),
            ("tracking", percent) => {
                Ok(PilotKind::Tracking { target_percent: target("tracking", percent)? })
            }
            _ => match text {
                "static" => Ok(PilotKind::Static),
                "none" => Ok(PilotKind::None),
                "oracle" => Ok(PilotKind::Oracle),
                "reflex" => Ok(PilotKind::Reflex),
                "healer" => Ok(PilotKind::Healer),
                _ => Err(PilotKindError::Unknown { name: text.to_owned() }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::fixture::region;
    use super::*;

    #[test]
    fn every_pilot_is_called_what_it_calls_itself() {
        for kind in PilotKind::ALL {
            let name = kind.to_string();
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.build(&region()).label(), name);
        }
        assert_eq!("hpa".parse(), Ok(PilotKind::ALL[0]));
        assert_eq!("tracking".parse(), Ok(PilotKind::ALL[1]));
        assert_eq!("hpa:85%".parse(), Ok(PilotKind::Hpa { target_percent: 85.0 }));
        assert_eq!("hpa:62.5".parse::<PilotKind>().unwrap().to_string(), "hpa:62.5");
    }

    #[track_caller]
    fn check(text: &str, expected: &Expect) {
        expected.assert_eq(&text.parse::<PilotKind>().unwrap_err().to_string());
    }

    #[test]
    fn what_is_no_pilot_is_refused() {
        check(
            "keda",
            &expect![
                "`keda` is not a controller; there are `hpa`, `hpa:85`, `tracking`, `static`, `none`, `oracle`, `reflex` and `healer`"
            ],
        );
        check(
            "static:70",
            &expect![
                "`static:70` is not a controller; there are `hpa`, `hpa:85`, `tracking`, `static`, `none`, `oracle`, `reflex` and `healer`"
            ],
        );
        check(
            "hpa:0",
            &expect![
                "`0` is not a target of hpa; write a percentage from 1 to 100, such as `hpa:85`"
            ],
        );
        check(
            "tracking:x",
            &expect![
                "`x` is not a target of tracking; write a percentage from 1 to 100, such as `tracking:85`"
            ],
        );
        check(
            "",
            &expect![
                "`` is not a controller; there are `hpa`, `hpa:85`, `tracking`, `static`, `none`, `oracle`, `reflex` and `healer`"
            ],
        );
    }
}
