//! What an error of the AWS SDK means for an effect.
//!
//! **In:** the SDK's errors.
//! **Out:** not sent, refused, or silent, in words with code and request id.
//! **Not here:** what is done about it (nothing is retried; see
//! [`crate::provider::Provider`]).

use std::error::Error;
use std::fmt::Write as _;

use aws_sdk_autoscaling::config::http::HttpResponse;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::operation::RequestId;

use crate::failure::{Failure, chain};

/// Codes that say "not now", whatever status they come with: the request was
/// turned away before anything was done. `ResourceContention` (another update
/// is pending) comes with 500 from Auto Scaling.
const NOT_NOW: &[&str] = &[
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ResourceContention",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequests",
    "TooManyRequestsException",
];

/// Codes after which nobody can say whether it happened, whatever status they
/// come with.
const SILENT: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Whether an error answer means that surely nothing was done.
///
/// Every other code with a status of 4xx is a refusal: validation, permissions,
/// `ScalingActivityInProgress`, `ResourceContention`, `ServiceNotFoundException`.
fn is_refusal(code: Option<&str>, status: u16) -> bool {
    match code {
        Some(code) if NOT_NOW.contains(&code) => true,
        Some(code) if SILENT.contains(&code) => false,
        Some(_) | None => (400..500).contains(&status),
    }
}

/// What `error` means.
pub(crate) fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Failure::NotSent(chain(error)),
        SdkError::DispatchFailure(dispatch) => {
            let connector = dispatch.as_connector_error();
            let text = connector.and_then(Error::source).map_or_else(|| chain(error), chain);
            if dispatch.is_user() || connector.is_some_and(|it| never_connected(it)) {
                Failure::NotSent(text)
            } else {
                Failure::Silent(text)
            }
        }
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let metadata = answer.err().meta();
            let mut text = match metadata.code() {
                Some(code) => code.to_owned(),
                None => format!("an answer that is none of AWS's: {}", chain(answer.err())),
            };
            if let Some(message) = metadata.message() {
                let _ = write!(text, ": {message}");
            }
            let _ = write!(text, " (HTTP {status}");
            if let Some(id) = error.request_id() {
                let _ = write!(text, ", request id {id}");
            }
            text.push(')');
            if is_refusal(metadata.code(), status) {
                Failure::Refused(text)
            } else {
                Failure::Silent(text)
            }
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let text = format!("unreadable answer with HTTP {status}: {}", chain(error));
            // A status is readable even where the body is not.
            if is_refusal(None, status) { Failure::Refused(text) } else { Failure::Silent(text) }
        }
        SdkError::TimeoutError(_) => Failure::Silent("no answer in time".to_owned()),
        _ => Failure::Silent(chain(error)),
    }
}

/// Whether the connection was never made: refused, not found, or too slow.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        next = error.source();
    }
    false
}

/// The request id of a success. Every answer of AWS has one; a success without
/// it came from something in between, such as a login page.
pub(crate) fn request_id(answer: &impl RequestId) -> Result<&str, Failure> {
    answer.request_id().filter(|id| !id.is_empty()).ok_or_else(|| {
        Failure::Silent("a success without AWS's request id; is that really AWS?".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Limits;
    use crate::settings::AwsSettings;
    use aws_config::retry::RetryConfig;
    use aws_sdk_autoscaling::Client;
    use aws_sdk_autoscaling::config::Builder;
    use expect_test::expect;
    use std::time::Duration;

    /// What a request to set means that is sent to `endpoint`.
    async fn check(endpoint: &str) -> Failure {
        let credentials = tempfile::NamedTempFile::new().unwrap();
        let text = "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n";
        std::fs::write(credentials.path(), text).unwrap();
        let settings = AwsSettings {
            region: Some("eu-central-1".to_owned()),
            endpoint_url: Some(endpoint.to_owned()),
            profile: None,
            credentials_file: Some(credentials.path().to_owned()),
        };
        let limits = Limits { call: Duration::from_secs(10), read: Duration::from_secs(10) };
        let config = crate::aws::load(&settings, limits).await.unwrap();
        let config = Builder::from(&config).retry_config(RetryConfig::disabled()).build();
        let request = Client::from_conf(config).set_desired_capacity();
        let sent = request.auto_scaling_group_name("web").desired_capacity(3).send().await;
        failure(&sent.unwrap_err())
    }

    #[tokio::test]
    async fn a_request_is_not_sent_only_when_no_connection_was_made() {
        let refused = format!("http://127.0.0.1:{}", evenkeel_testbed::free_port());
        for endpoint in [refused.as_str(), "https://no-such-host.invalid"] {
            let failure = check(endpoint).await;
            assert!(matches!(failure, Failure::NotSent(_)), "{endpoint}: {failure}");
        }
        let closing = evenkeel_testbed::Proxy::without_upstream();
        closing.refuse();
        let failure = check(&closing.url()).await;
        assert!(matches!(failure, Failure::Silent(_)), "closed after connecting: {failure}");
    }

    #[test]
    fn error_codes_and_statuses_have_one_meaning_each() {
        let answers = [
            ("Throttling", 400),
            ("ThrottlingException", 400),
            ("RequestLimitExceeded", 503),
            ("TooManyRequestsException", 429),
            ("ScalingActivityInProgress", 400),
            ("ResourceContention", 500),
            ("ResourceContention", 400),
            ("ValidationError", 400),
            ("AccessDenied", 403),
            ("AccessDeniedException", 400),
            ("ExpiredToken", 403),
            ("ServiceNotFoundException", 400),
            ("ServiceNotActiveException", 400),
            ("ClusterNotFoundException", 400),
            ("InvalidParameterException", 400),
            ("RequestTimeout", 408),
            ("InternalFailure", 500),
            ("ServiceUnavailable", 503),
            ("ServerException", 500),
            ("", 400),
            ("", 403),
            ("", 429),
            ("", 302),
            ("", 200),
            ("", 500),
            ("", 502),
            ("", 504),
        ];
        let mut table = String::new();
        for (code, status) in answers {
            let outcome = if is_refusal((!code.is_empty()).then_some(code), status) {
                "rejected"
            } else {
                "unknown"
            };
            writeln!(table, "{status} {code} -> {outcome}").unwrap();
        }
        expect![[r#"
            400 Throttling -> rejected
            400 ThrottlingException -> rejected
            503 RequestLimitExceeded -> rejected
            429 TooManyRequestsException -> rejected
            400 ScalingActivityInProgress -> rejected
            500 ResourceContention -> rejected
            400 ResourceContention -> rejected
            400 ValidationError -> rejected
            403 AccessDenied -> rejected
            400 AccessDeniedException -> rejected
            403 ExpiredToken -> rejected
            400 ServiceNotFoundException -> rejected
            400 ServiceNotActiveException -> rejected
            400 ClusterNotFoundException -> rejected
            400 InvalidParameterException -> rejected
            408 RequestTimeout -> unknown
            500 InternalFailure -> unknown
            503 ServiceUnavailable -> unknown
            500 ServerException -> unknown
            400  -> rejected
            403  -> rejected
            429  -> rejected
            302  -> unknown
            200  -> unknown
            500  -> unknown
            502  -> unknown
            504  -> unknown
        "#]]
        .assert_eq(&table);
    }
}
