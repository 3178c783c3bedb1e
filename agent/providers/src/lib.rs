//! Platforms whose capacity the agent can set, and that playbooks reach.
//!
//! **In:** provider references to read, absolute capacities to set; actuators to look at,
//! absolute actions to carry out.
//! **Out:** readings, and how each effect ended: done, rejected or unknown.
//! **Not here:** deciding (`evenkeel-core`), writing down (`evenkeel-store`),
//! trying again (nobody: an unknown outcome is read back).
//!
//! One module per platform, each behind its feature. The daemon sees only
//! [`Providers`] and [`Actuators`]; the types of the platforms' SDKs end in their module.

mod actuator;
mod actuators;
#[cfg(feature = "allowed")]
mod allowed;
#[cfg(feature = "aws")]
mod aws;
mod failure;
#[cfg(feature = "haproxy")]
mod haproxy;
#[cfg(not(feature = "allowed"))]
mod nothing_allowed;
mod provider;
mod providers;
mod settings;
#[cfg(feature = "simulated")]
mod simulated;
#[cfg(feature = "webhook")]
mod webhook;

pub use actuator::{ActRequest, Actuator, LookRequest};
pub use actuators::{ActuatorSettings, Actuators};
#[cfg(feature = "allowed")]
pub use allowed::{
    AllowedCommand, AllowedSettings, AllowedWebhook, AllowedWorkspace, ArgumentRule,
    EnvironmentValue,
};
pub use failure::ReadError;
#[cfg(not(feature = "allowed"))]
pub use nothing_allowed::AllowedSettings;
pub use provider::{Clock, DETAIL_BYTES_MAX, EffectReport, Provider, SetCapacityRequest};
pub use providers::Providers;
pub use settings::{AwsSettings, ProviderSettings, SettingsError, WebhookSettings};
#[cfg(feature = "simulated")]
pub use simulated::SharedRegion;
#[cfg(feature = "webhook")]
pub use webhook::{SignatureError, SignedHeaders, SigningError, sign_request, verify_signature};
