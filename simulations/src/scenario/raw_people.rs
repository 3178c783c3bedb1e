//! `people:` of a region's scenario.
//!
//! **In:** lines as written. **Out:** [`Act`]s inside their limits.
//! **Not here:** carrying them out (the run).

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::places::Places;
use super::raw_fault::one;
use super::timed::Timed;
use super::value::{Length, RawFault, above_zero, length, within};
use crate::people::{Act, Deed, Person, When, Word};
use crate::world::ServiceKind;
use crate::world::spec::UNITS_MAX;

type Name = Spanned<String>;

/// As [`Deed`]. `for` is how long it holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum RawDeed {
    Freeze {
        #[serde(default)]
        services: Vec<Name>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    Hold {
        #[serde(default)]
        services: Vec<Name>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    NoScaleDown {
        #[serde(default)]
        services: Vec<Name>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    Pin {
        service: Name,
        units: Spanned<u32>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    ExpireAll,
    SetByHand {
        service: Name,
        units: Spanned<u32>,
    },
    Shed {
        service: Name,
        ratio: Spanned<f64>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    Restart {
        service: Name,
        ratio: Spanned<f64>,
        apart: Spanned<Length>,
    },
    ReplaceGray {
        service: Name,
        units_max: Spanned<u32>,
    },
    Promote {
        service: Name,
    },
    Drain {
        zone: Name,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    Takeover {
        #[serde(default)]
        services: Vec<Name>,
        #[serde(rename = "for")]
        lasts: Spanned<Length>,
    },
    Handback {
        #[serde(default)]
        services: Vec<Name>,
    },
    Approve(RawStandBy),
    Deny(RawStandBy),
    Abort(RawStandBy),
}

/// A person who stands by from `at` on, and takes `after` for an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStandBy {
    after: Spanned<Length>,
    by: Option<RawPerson>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPerson {
    Ana,
    Ben,
}

impl RawStandBy {
    fn checked(&self, word: Word) -> Result<Deed, RawFault> {
        let who = match self.by {
            None | Some(RawPerson::Ana) => Person::Ana,
            Some(RawPerson::Ben) => Person::Ben,
        };
        Ok(Deed::StandBy { who, word, after: length("after", &self.after, 0..=LENGTH_MAX)? })
    }
}

const DAY: i64 = 86_400;
/// Longest override and longest wait. Why 3 days: longer than that the agent grants none
/// (`OVERRIDE_MAX`).
const LENGTH_MAX: i64 = 3 * DAY;

pub(super) fn checked(
    line: &Spanned<Timed<RawDeed>>,
    places: &Places<'_>,
) -> Result<Act, RawFault> {
    let Timed { at, lasts, after_page, kind, names } = &line.value;
    let deed = one("act", kind, names, line.referenced)?;
    if let Some(lasts) = lasts {
        let hint = "such as `{ at: 50m, freeze: { services: [web], for: 30m } }`";
        return Err(RawFault::new(lasts.referenced, "`for` belongs into the deed", hint));
    }
    let when = match (at, after_page) {
        (Some(at), None) => When::At(places.at("at", at)?),
        (None, Some(after)) => When::AfterPage(length("after_page", after, 0..=LENGTH_MAX)?),
        (None, None)
            if matches!(deed, RawDeed::Approve(_) | RawDeed::Deny(_) | RawDeed::Abort(_)) =>
        {
            When::At(0)
        }
        (None, None) => {
            let hint = "write `at: 50m`, or `after_page: 10m` for one who is woken";
            return Err(RawFault::new(line.referenced, "this act has no time", hint));
        }
        (Some(_), Some(after)) => {
            let message = "this act has both `at` and `after_page`";
            return Err(RawFault::new(after.referenced, message, "leave one out"));
        }
    };
    Ok(Act { when, deed: deed.checked(places)? })
}

impl RawDeed {
    fn checked(&self, places: &Places<'_>) -> Result<Deed, RawFault> {
        let seconds = |it: &Spanned<Length>| length("for", it, 1..=LENGTH_MAX);
        let units = |it: &Spanned<u32>| within("units", it, 0..=UNITS_MAX);
        Ok(match self {
            RawDeed::Freeze { services, lasts } => {
                Deed::Freeze { services: places.services(services)?, seconds: seconds(lasts)? }
            }
            RawDeed::Hold { services, lasts } => {
                Deed::Hold { services: places.services(services)?, seconds: seconds(lasts)? }
            }
            RawDeed::NoScaleDown { services, lasts } => {
                Deed::NoScaleDown { services: places.services(services)?, seconds: seconds(lasts)? }
            }
            RawDeed::Pin { service, units: n, lasts } => Deed::Pin {
                service: places.service(service)?,
                units: units(n)?,
                seconds: seconds(lasts)?,
            },
            RawDeed::ExpireAll => Deed::ExpireAll,
            RawDeed::SetByHand { service, units: n } => {
                Deed::SetByHand { service: places.service(service)?, units: units(n)? }
            }
            RawDeed::Shed { service, ratio, lasts } => Deed::Shed {
                service: places.service(service)?,
                ratio: within("ratio", ratio, 0.0..=1.0)?,
                seconds: seconds(lasts)?,
            },
            RawDeed::Restart { service, ratio, apart } => Deed::Restart {
                service: places.service(service)?,
                ratio: above_zero("ratio", ratio, 1.0)?,
                apart: length("apart", apart, 1..=DAY)?,
            },
            RawDeed::ReplaceGray { service, units_max } => Deed::ReplaceGray {
                service: places.service(service)?,
                units_max: within("units_max", units_max, 1..=UNITS_MAX)?,
            },
            RawDeed::Promote { service } => {
                let is_database = |it: &crate::world::ServiceSpec| {
                    matches!(it.kind, ServiceKind::Database { .. })
                };
                let service = places.service_that_is(service, "a database", is_database)?;
                Deed::Promote { service }
            }
            RawDeed::Takeover { services, lasts } => {
                Deed::Takeover { services: places.services(services)?, seconds: seconds(lasts)? }
            }
            RawDeed::Handback { services } => {
                Deed::HandBack { services: places.services(services)? }
            }
            RawDeed::Approve(it) => it.checked(Word::Approve)?,
            RawDeed::Deny(it) => it.checked(Word::Deny)?,
            RawDeed::Abort(it) => it.checked(Word::Abort)?,
            RawDeed::Drain { zone, lasts } => {
                Deed::Drain { zone: places.zone(zone)?, seconds: seconds(lasts)? }
            }
        })
    }
}
