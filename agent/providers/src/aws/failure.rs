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
/// turned away before anything was done.
const THROTTLING: &[&str] = &[
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
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
        Some(code) if THROTTLING.contains(&code) => true,
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
            if dispatch.is_user() || connector.is_some_and(|it| never_connected(it)) {
                Failure::NotSent(chain(error))
            } else {
                Failure::Silent(chain(error))
            }
        }
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let metadata = answer.err().meta();
            let mut text = match metadata.code() {
                Some(code) => code.to_owned(),
                None => "error without a code".to_owned(),
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
        SdkError::TimeoutError(_) => Failure::Silent(chain(error)),
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

/// ` (request id …)`, for the detail of what was done.
pub(crate) fn request_id_suffix(answer: &impl RequestId) -> String {
    answer.request_id().map(|id| format!(" (request id {id})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

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
        expect![[r#""#]].assert_eq(&table);
    }
}
