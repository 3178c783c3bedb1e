//! The allow-list of a build without it: nothing is allowed.
//!
//! **In:** looks and acts that name a command, a webhook or a workspace.
//! **Out:** a refusal that says why.
//! **Not here:** the allow-list itself (feature `allowed`).

use evenkeel_core::action::{LookAt, Seen};
use evenkeel_core::ids::AllowedName;

use crate::actuator::ActRequest;
use crate::failure::ReadError;
use crate::provider::{Clock, EffectReport};
use crate::providers::Limits;
use crate::settings::{SettingsError, WebhookSettings};

const WHY: &str = "this daemon was built without commands, webhooks and Terraform";

/// Nothing to set.
#[derive(Clone, Debug, Default)]
pub struct AllowedSettings {}

/// Nothing is allowed.
pub(crate) struct Allowed;

impl Allowed {
    #[expect(clippy::unnecessary_wraps, reason = "as in the build that has an allow-list")]
    pub(crate) fn new(
        _settings: &AllowedSettings,
        _webhook: &WebhookSettings,
        _limits: Limits,
        _clock: Clock,
    ) -> Result<Allowed, SettingsError> {
        Ok(Allowed)
    }

    pub(crate) async fn look(&self, _at: &LookAt) -> Result<Seen, ReadError> {
        let (what, reason) = ("the allow-list".to_owned(), WHY.to_owned());
        Err(ReadError::NotSent { what, reason })
    }

    pub(crate) async fn act(&self, _request: &ActRequest) -> EffectReport {
        EffectReport::rejected(WHY)
    }

    pub(crate) async fn drift(&self) -> Vec<(AllowedName, Result<Vec<String>, String>)> {
        Vec::new()
    }
}
