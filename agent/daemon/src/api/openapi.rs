//! The description of the API: `GET /v1/openapi.json`, and the same in
//! `openapi.json` beside this crate.
//!
//! **In:** what stands at each endpoint's function.
//! **Out:** OpenAPI as JSON.
//! **Not here:** the endpoints ([`super::endpoint`]); a test compares the two.

use std::sync::LazyLock;

use utoipa::OpenApi;

use super::{journal, overrides, service, status};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evenkeel",
        description = "One daemon per region. Over the Unix socket the kernel says who asks; over \
            TLS send `Authorization: Bearer TOKEN`. Whatever changes something answers when it is \
            enforced, or says why nothing has changed.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        status::status,
        status::explain,
        overrides::overrides,
        overrides::set_override,
        overrides::expire,
        journal::history,
        journal::audit_verify,
        journal::audit_export,
        service::reload,
        service::describe,
        service::metrics,
        service::health,
        service::ready,
    )
)]
struct Description;

/// The description as JSON text.
pub fn document() -> String {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // Made of constants; were it not JSON, the test below would fail.
        Description::openapi().to_pretty_json().unwrap_or_default() + "\n"
    });
    TEXT.clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Endpoint;

    // `UPDATE_EXPECT=1` writes it anew.
    #[test]
    fn the_description_in_the_repository_is_the_one_that_is_served() {
        expect_test::expect_file!["../../openapi.json"].assert_eq(&document());
    }

    #[test]
    fn every_endpoint_is_described_and_nothing_else() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |it| format!("{} {path}", it.to_uppercase()))
            })
            .collect();
        let served = Endpoint::ALL.map(|it| format!("{} {}", it.method(), it.path()));
        assert_eq!(described, BTreeSet::from(served));
    }
}
