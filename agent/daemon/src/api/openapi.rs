//! The description of the API: `GET /v1/openapi.json`, and the same in
//! `openapi.json` beside this crate.
//!
//! **In:** what stands at each endpoint's function.
//! **Out:** OpenAPI as JSON.
//! **Not here:** the endpoints ([`super::endpoint`]); a test compares the two.

use std::sync::LazyLock;

use axum::http::Method;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{
    Endpoint, Needs, alerts, budgets, forecast, healing, journal, overrides, runs, service, status,
};

#[derive(OpenApi)]
#[openapi(
    modifiers(&Admission),
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
        forecast::forecast,
        overrides::overrides,
        overrides::set_override,
        overrides::expire,
        healing::incidents,
        healing::incident,
        healing::acknowledge,
        healing::hand_back,
        healing::promote,
        runs::start_run,
        runs::run,
        runs::approve,
        runs::deny,
        runs::abort,
        runs::review,
        alerts::alerts,
        budgets::slos,
        budgets::budgets,
        budgets::fits,
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

/// What [`super::admission`] adds to every endpoint.
struct Admission;

/// Name of the token's scheme within the description.
const TOKEN: &str = "token";

impl Modify for Admission {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A person's token, over TLS; the Unix socket needs none"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
        for endpoint in Endpoint::ALL {
            let path = openapi.paths.paths.get_mut(endpoint.path());
            let operation = path.and_then(|it| match endpoint.method() {
                Method::POST => it.post.as_mut(),
                _ => it.get.as_mut(),
            });
            let Some(operation) = operation else { continue };
            let mut refusals = vec![("504", "No answer in time")];
            if !endpoint.is_probe() {
                refusals.push(("503", "Too much at once, or the daemon stops; try again"));
            }
            if endpoint.needs() != Needs::Nothing {
                refusals.extend([
                    ("401", "Not known"),
                    ("403", "Not allowed"),
                    ("429", "Too many failed authentications from this address"),
                ]);
                let required = SecurityRequirement::new(TOKEN, <[String; 0]>::default());
                operation.security = Some(vec![required]);
            }
            for (status, what) in refusals {
                let body = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("ErrorAnswer")))
                    .build();
                let response =
                    ResponseBuilder::new().description(what).content("application/json", body);
                let all = &mut operation.responses.responses;
                all.entry(status.to_owned()).or_insert_with(|| response.build().into());
            }
        }
    }
}

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
