//! Mail over SMTP.
//!
//! **In:** a defused notice; server, addresses and login from the configuration.
//! **Out:** one mail in plain text, or a [`Failure`].
//! **Not here:** the text ([`super::message`]).
//!
//! Where TLS is required, nothing is said before STARTTLS but EHLO: a server that does not
//! offer it gets neither login nor mail. No text becomes a header as it is: the subject is
//! one line, and the library encodes what is not plain ASCII.

use std::time::SystemTime;

use evenkeel_core::ids::Region;
use evenkeel_core::notice::Notice;
use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Message, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::failure::Failure;
use super::http::ATTEMPT_LIMIT;
use super::message::{Summary, headline, plain_summary, plain_text};
use super::secret::{Secret, read_secret};
use crate::config::{SmtpChannel, SmtpTls};

/// A mail about one notice. The message's number is the notice's, so that a mail that
/// comes twice is known by it.
pub(super) fn notice_mail(
    channel: &SmtpChannel,
    notice: &Notice,
    region: &Region,
    now: Timestamp,
) -> Result<Message, Failure> {
    let subject = headline(notice.severity, &notice.title, region);
    let text = plain_text(notice, region);
    mail(channel, &notice.id.to_string(), subject, text, region, now)
}

/// A mail that sums up.
pub(super) fn summary_mail(
    channel: &SmtpChannel,
    summary: &Summary,
    region: &Region,
    now: Timestamp,
) -> Result<Message, Failure> {
    let subject = headline(summary.severity, &summary.title(), region);
    let text = plain_summary(summary, region);
    mail(channel, &summary.key(), subject, text, region, now)
}

fn mail(
    channel: &SmtpChannel,
    key: &str,
    subject: String,
    text: String,
    region: &Region,
    now: Timestamp,
) -> Result<Message, Failure> {
    let header = |name, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    // The library knows no mail from before 1970.
    let sent_at = SystemTime::from(now.max(Timestamp::UNIX_EPOCH));
    let mut builder: MessageBuilder = Message::builder()
        .from(channel.from.mailbox().clone())
        .subject(subject)
        .date(sent_at)
        .message_id(Some(format!("<{key}.{region}@evenkeel>")))
        .header(ContentType::TEXT_PLAIN)
        .raw_header(header("Evenkeel-Notice", key))
        // So that no holiday answers.
        .raw_header(header("Auto-Submitted", "auto-generated"));
    for address in &channel.to {
        builder = builder.to(address.mailbox().clone());
    }
    builder.body(text).map_err(|error| Failure::Message {
        reason: format!("the mail cannot be written: {error}"),
    })
}

/// Sends one mail over a connection of its own.
pub(super) async fn send(channel: &SmtpChannel, mail: Message) -> Result<(), Failure> {
    let mut secrets: Vec<Secret> = Vec::new();
    let mut builder =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(channel.host.as_str())
            .port(channel.port)
            .timeout(Some(ATTEMPT_LIMIT))
            .tls(tls(channel)?)
            .hello_name(ClientId::Domain(channel.from.mailbox().email.domain().to_owned()));
    if let Some(login) = &channel.login {
        let user = read_secret(&login.user_file).await?;
        let password = read_secret(&login.password_file).await?;
        builder = builder
            .credentials(Credentials::new(user.text().to_owned(), password.text().to_owned()))
            .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        secrets.extend([password, user]);
    }
    let Err(error) = builder.build().send(mail).await else { return Ok(()) };
    let mut reason = crate::notify::message::one_line(&error.to_string(), 300);
    for secret in &secrets {
        reason = secret.hidden_in(&reason);
    }
    // 552 and 554 are about the mail: too large, or not to a filter's taste.
    let code = error.status().map(u16::from);
    Err(match code {
        Some(552 | 554) => Failure::Message { reason },
        Some(_) | None => Failure::channel(reason),
    })
}

fn tls(channel: &SmtpChannel) -> Result<Tls, Failure> {
    let parameters = || {
        TlsParameters::new(channel.host.clone())
            .map_err(|error| Failure::channel(format!("TLS cannot be set up: {error}")))
    };
    Ok(match channel.tls {
        SmtpTls::Required => Tls::Required(parameters()?),
        SmtpTls::Implicit => Tls::Wrapper(parameters()?),
        SmtpTls::Plain => Tls::None,
    })
}
