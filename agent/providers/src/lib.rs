//! Platforms whose capacity the agent can set.
//!
//! **In:** provider references to read, absolute capacities to set.
//! **Out:** readings, and how each effect ended: done, rejected or unknown.
//! **Not here:** deciding (`evenkeel-core`), writing down (`evenkeel-store`),
//! trying again (nobody: an unknown outcome is read back).
//!
//! One module per platform, each behind its feature. The daemon sees only
//! [`Providers`]; the types of the platforms' SDKs end in their module.

#[cfg(feature = "aws")]
mod aws;
mod failure;
mod provider;
mod providers;
mod settings;
#[cfg(feature = "simulated")]
mod simulated;
#[cfg(feature = "webhook")]
mod webhook;

pub use failure::ReadError;
pub use provider::{Clock, DETAIL_BYTES_MAX, EffectReport, Provider, SetCapacityRequest};
pub use providers::Providers;
pub use settings::{AwsSettings, ProviderSettings, SettingsError, WebhookSettings};
#[cfg(feature = "simulated")]
pub use simulated::SharedRegion;
#[cfg(feature = "webhook")]
pub use webhook::{SignatureError, verify_signature};
