//! Which tenant a step limits, and to what.
//!
//! **In:** `tenant` and `rate` as written.
//! **Out:** a [`StepKind::ThrottleTenant`] whose rate is one.
//! **Not here:** which tenant that is now ([`crate::heal`]), who the tenants are
//! ([`crate::documents::Tenants`]).

use serde_json::{Value as Json, json};

use super::Scope;
use super::expression::{Expression, formula};
use crate::condition::{Lookup, Unit};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node};
use crate::documents::raw::scalar::Name;
use crate::documents::raw::{Place, Read, fields};
use crate::documents::{StepKind, TenantSelection};
use crate::ids::{InstanceName, TenantName};

fields! {
    /// One tenant and its limit.
    struct RawThrottle {
        /// `lowest_value`, `largest`, or the name of one.
        required tenant: RawTenant,
        /// In requests per second, such as `rps(10)`; at least 1, rounded down. What is
        /// guaranteed to the tenant stays its own also when that is more.
        required rate: Expression,
    }
}

/// A tenant by its name, or how one is found. The two words are no names of tenants here.
pub(in crate::documents) struct RawTenant(TenantSelection);

/// How a tenant is found that is not named.
const WORDS: [&str; 2] = ["lowest_value", "largest"];

impl Read for RawTenant {
    fn schema() -> Json {
        json!({"anyOf": [{"enum": WORDS}, Name::<TenantName>::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawTenant> {
        let Name(name) = Name::<TenantName>::read(node, place, faults)?;
        let word = name.as_str().to_lowercase().replace('-', "_");
        if WORDS.contains(&word.as_str()) && name.as_str() != word {
            let message = format!("`{place}`: a tenant `{name}` cannot be told from `{word}`");
            faults.error(node.at, message, format!("write `{word}`"));
            return None;
        }
        Some(RawTenant(match name.as_str() {
            "lowest_value" => TenantSelection::LowestValue,
            "largest" => TenantSelection::Largest,
            _ => TenantSelection::Named(name),
        }))
    }
}

/// Nothing is known: only a formula without names has a value.
struct Unread;

impl Lookup for Unread {
    fn number(&self, _name: &str) -> Option<f64> {
        None
    }

    fn instances(&self, _name: &str) -> Option<&[(InstanceName, f64)]> {
        None
    }
}

impl RawThrottle {
    pub(super) fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<StepKind> {
        let RawThrottle { tenant, rate: raw } = self;
        let At { value: RawTenant(tenant), .. } = tenant;
        let rate = formula(&raw, &scope.environment, Unit::Rps, faults)?;
        if rate.value(&Unread).is_some_and(|it| it < 1.0) {
            let message = format!("`throttle_tenant`: `{}` is below 1 request/s", rate.text());
            let hint = "write at least `rps(1)`: nobody is turned away altogether";
            faults.error(raw.at, message, hint);
            return None;
        }
        Some(StepKind::ThrottleTenant { tenant, rate })
    }
}
