//! Names of services and zones in a scenario, and the time it has.
//!
//! **In:** the region's names and length. **Out:** places and seconds, or what is wrong.
//! **Not here:** what happens there and then.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::value::{Length, RawFault, as_text, length};
use crate::expectation::Span;
use crate::world::{ServiceSpec, TenantSpec, WorldSpec};

/// Names in a hint. Why 20: more than that nobody reads.
const NAMES_SHOWN: usize = 20;

/// What names and times are checked against.
pub(super) struct Places<'a> {
    world: &'a WorldSpec,
    services: BTreeMap<&'a str, usize>,
    /// By service.
    tenants: &'a [Vec<TenantSpec>],
    /// Seconds of the scored part.
    pub(super) lasts: i64,
}

/// `from` and `until` of a line, if given.
pub(super) struct RawSpan<'a> {
    pub(super) from: &'a Option<Spanned<Length>>,
    pub(super) until: &'a Option<Spanned<Length>>,
}

impl<'a> Places<'a> {
    pub(super) fn new(
        world: &'a WorldSpec,
        tenants: &'a [Vec<TenantSpec>],
        lasts: i64,
    ) -> Places<'a> {
        let services = world.services.iter().zip(0..).map(|(it, at)| (it.name.as_str(), at));
        Places { world, services: services.collect(), tenants, lasts }
    }

    pub(super) fn service(&self, name: &Spanned<String>) -> Result<usize, RawFault> {
        self.services.get(name.value.as_str()).copied().ok_or_else(|| {
            let message = format!("no service is called `{}`", name.value);
            let names = self.world.services.iter().map(|it| it.name.as_str());
            RawFault::new(name.referenced, message, there_are(names))
        })
    }

    pub(super) fn tenant(&self, service: usize, name: &Spanned<String>) -> Result<usize, RawFault> {
        let tenants = self.tenants.get(service).map_or(&[][..], Vec::as_slice);
        tenants.iter().position(|it| it.name == name.value).ok_or_else(|| {
            let of = self.world.services.get(service).map_or("", |it| it.name.as_str());
            let message = format!("`{of}` has no tenant `{}`", name.value);
            let names = tenants.iter().map(|it| it.name.as_str());
            RawFault::new(name.referenced, message, there_are(names))
        })
    }

    pub(super) fn services(&self, names: &[Spanned<String>]) -> Result<Vec<usize>, RawFault> {
        names.iter().map(|it| self.service(it)).collect()
    }

    /// A service that fits; `what` says which do, such as `a cache`.
    pub(super) fn service_that_is(
        &self,
        name: &Spanned<String>,
        what: &str,
        fits: impl Fn(&ServiceSpec) -> bool,
    ) -> Result<usize, RawFault> {
        let service = self.service(name)?;
        if self.world.services.get(service).is_some_and(&fits) {
            return Ok(service);
        }
        let message = format!("`{}` is not {what}", name.value);
        let names = self.world.services.iter().filter(|it| fits(it)).map(|it| it.name.as_str());
        Err(RawFault::new(name.referenced, message, there_are(names)))
    }

    pub(super) fn zone(&self, name: &Spanned<String>) -> Result<usize, RawFault> {
        self.world.zones.iter().position(|it| *it == name.value).ok_or_else(|| {
            let message = format!("no zone is called `{}`", name.value);
            let names = self.world.zones.iter().map(String::as_str);
            RawFault::new(name.referenced, message, there_are(names))
        })
    }

    /// A second of the scored part.
    pub(super) fn at(&self, field: &str, it: &Spanned<Length>) -> Result<i64, RawFault> {
        if it.value.0 < self.lasts {
            return Ok(it.value.0);
        }
        let (is, lasts) = (as_text(it.value.0), as_text(self.lasts));
        let message = format!("`{field}` is {is}, the scenario lasts {lasts}");
        Err(RawFault::new(it.referenced, message, "let it last longer, or name an earlier time"))
    }

    /// The whole scored part where nothing is given.
    pub(super) fn span(&self, it: &RawSpan<'_>) -> Result<Span, RawFault> {
        let from = it.from.as_ref().map_or(Ok(0), |it| self.at("from", it))?;
        let Some(until) = it.until else { return Ok(Span { from, until: self.lasts }) };
        if until.value.0 <= from {
            let (is, from) = (as_text(until.value.0), as_text(from));
            let message = format!("`until` ({is}) is not after `from` ({from})");
            return Err(RawFault::new(until.referenced, message, "swap the two, or leave one out"));
        }
        let until = length("until", until, 1..=self.lasts)?;
        Ok(Span { from, until })
    }
}

fn there_are<'b>(names: impl Iterator<Item = &'b str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return "there is none in this scenario".to_owned();
    }
    let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => format!("there are {shown}"),
        more => format!("there are {shown}, and {more} more"),
    }
}
