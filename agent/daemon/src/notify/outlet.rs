//! The ways out: one variant per kind of channel.
//!
//! **In:** what to send, as the line in front of the channel hands it out.
//! **Out:** that the receiver took it, or why not.
//! **Not here:** the configuration's checks ([`crate::config`]), retries ([`super::line`]).

use evenkeel_core::ids::Region;
use evenkeel_core::notice::Notice;
use jiff::Timestamp;
#[cfg(any(test, feature = "webhook"))]
use serde_json::json;

use super::failure::Failure;
use super::http::Http;
use super::line::{Job, Parcel};
use super::message::Summary;
use super::secret::read_secret;
use super::{email, slack};
use crate::config::{ChannelKind, SlackChannel, SmtpChannel, WebhookChannel, checked_url};

/// One way out.
#[derive(Debug)]
pub(super) enum Outlet {
    Webhook(WebhookChannel, Http),
    Slack(SlackChannel, Http),
    Smtp(Box<SmtpChannel>),
    /// A script, for tests.
    #[cfg(test)]
    Scripted(super::tests::Script),
}

/// What a receiver is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    One(&'a Notice),
    Many(&'a Summary),
}

impl Outlet {
    pub(super) fn new(kind: ChannelKind, http: &Http) -> Outlet {
        match kind {
            ChannelKind::Webhook(channel) => Outlet::Webhook(channel, http.clone()),
            ChannelKind::Slack(channel) => Outlet::Slack(channel, http.clone()),
            ChannelKind::Smtp(channel) => Outlet::Smtp(Box::new(channel)),
        }
    }

    /// Tries once.
    pub(super) async fn send(
        &self,
        parcel: &Parcel,
        region: &Region,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let summary;
        let told = match parcel {
            Parcel::One(Job { notice, .. }) => Told::One(notice),
            Parcel::Summary(jobs) => {
                let Some(of_jobs) = Summary::of(jobs) else { return Ok(()) };
                summary = of_jobs;
                Told::Many(&summary)
            }
        };
        match self {
            Outlet::Webhook(channel, http) => post_signed(channel, http, told, region, now).await,
            Outlet::Slack(channel, http) => {
                let message = match told {
                    Told::One(notice) => slack::notice_json(notice, region),
                    Told::Many(summary) => slack::summary_json(summary, region),
                };
                let secret = read_secret(&channel.url_file).await?;
                let url = checked_url(secret.text()).map_err(|why| {
                    let file = channel.url_file.display();
                    Failure::channel(secret.hidden_in(&format!("the URL in `{file}`: {why}")))
                })?;
                let sent = http.post(url, &[], message.to_string()).await;
                sent.map_err(|failure| hidden(failure, |text| secret.hidden_in(text)))
            }
            Outlet::Smtp(channel) => {
                let mail = match told {
                    Told::One(notice) => email::notice_mail(channel, notice, region, now)?,
                    Told::Many(summary) => email::summary_mail(channel, summary, region, now)?,
                };
                email::send(channel, mail).await
            }
            #[cfg(test)]
            Outlet::Scripted(script) => script.send(told),
        }
    }
}

fn hidden(failure: Failure, hide: impl Fn(&str) -> String) -> Failure {
    match failure {
        Failure::Channel { reason, again_after } => {
            Failure::Channel { reason: hide(&reason), again_after }
        }
        Failure::Message { reason } => Failure::Message { reason: hide(&reason) },
    }
}

/// The body of a signed POST. `<`, `>` and `&` are escaped, which JSON allows: a receiver
/// that puts the text into a page unread does no harm.
#[cfg(any(test, feature = "webhook"))]
pub(super) fn webhook_body(told: Told<'_>, region: &Region) -> Result<String, Failure> {
    let value = match told {
        Told::One(notice) => serde_json::to_value(notice).map(|mut value| {
            if let Some(fields) = value.as_object_mut() {
                fields.insert("region".to_owned(), json!(region));
            }
            value
        }),
        Told::Many(summary) => Ok(json!({
            "title": summary.title(),
            "severity": summary.severity,
            "n_notices": summary.n_notices,
            "first": summary.ids.0,
            "last": summary.ids.1,
            "since": summary.since,
            "region": region,
        })),
    };
    let text = value.and_then(|it| serde_json::to_string(&it)).map_err(|error| {
        Failure::Message { reason: format!("the message cannot be written: {error}") }
    })?;
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

#[cfg(feature = "webhook")]
async fn post_signed(
    channel: &WebhookChannel,
    http: &Http,
    told: Told<'_>,
    region: &Region,
    now: Timestamp,
) -> Result<(), Failure> {
    let body = webhook_body(told, region)?;
    let url = checked_url(&channel.url).map_err(Failure::channel)?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let key_file = channel.secret_file.clone();
    let signed = body.clone();
    // The file may be on a disk that hangs.
    let headers = tokio::task::spawn_blocking(move || {
        evenkeel_providers::sign_request(&key_file, now, "POST", &path, signed.as_bytes())
    })
    .await
    .map_err(|error| Failure::channel(format!("signing failed: {error}")))?
    .map_err(|error| Failure::channel(error.to_string()))?;
    let key = match told {
        Told::One(notice) => notice.id.to_string(),
        Told::Many(summary) => summary.key(),
    };
    let headers = [
        ("Evenkeel-Timestamp", headers.timestamp),
        ("Evenkeel-Signature", headers.signature),
        ("Evenkeel-Notice", key.clone()),
        ("Idempotency-Key", key),
    ];
    http.post(url, &headers, body).await
}

#[cfg(not(feature = "webhook"))]
async fn post_signed(
    _: &WebhookChannel,
    _: &Http,
    _: Told<'_>,
    _: &Region,
    _: Timestamp,
) -> Result<(), Failure> {
    Err(Failure::channel("this evenkeeld was built without `webhook`; take one with it"))
}
