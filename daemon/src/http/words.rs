//! The API as a whole: every path, and the OpenAPI document that describes it. Both come from the same place, so neither can have what the other lacks.

use std::sync::Arc;

use hexad_api::Problem;
use hexad_api::node::Change;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Face, dht, downloads, events, friends, lab, library, networks, searches, settings, status};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hexad",
        description = "A node that speaks six peer-to-peer networks. Bytes and rates are whole numbers, times are seconds since 1970, what is not \
                       known is left out. What changes something wants `content-type: application/json`, also where it has no body."
    ),
    components(schemas(Problem, Change))
)]
struct Words;

/// Every path of the API, and its description for a node whose paths begin with `base`.
pub(super) fn described(base: &str) -> (axum::Router<Arc<Face>>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Words::openapi())
        .routes(routes!(status::index))
        .routes(routes!(status::openapi))
        .routes(routes!(status::status))
        .routes(routes!(networks::networks))
        .routes(routes!(networks::network))
        .routes(routes!(networks::join))
        .routes(routes!(networks::leave))
        .routes(routes!(dht::scrape))
        .routes(routes!(dht::sample))
        .routes(routes!(friends::invitations, friends::invite))
        .routes(routes!(friends::revoke))
        .routes(routes!(friends::friends, friends::accept))
        .routes(routes!(friends::unfriend))
        .routes(routes!(searches::searches, searches::begin))
        .routes(routes!(searches::search, searches::end))
        .routes(routes!(searches::more))
        .routes(routes!(downloads::downloads, downloads::begin))
        .routes(routes!(downloads::download, downloads::change, downloads::remove))
        .routes(routes!(downloads::files))
        .routes(routes!(downloads::pause))
        .routes(routes!(downloads::resume))
        .routes(routes!(library::library, library::share))
        .routes(routes!(library::shared, library::change, library::unshare))
        .routes(routes!(library::send))
        .routes(routes!(library::folders, library::add_folder, library::remove_folder))
        .routes(routes!(settings::settings, settings::set))
        .routes(routes!(lab::scenarios))
        .routes(routes!(lab::begin))
        .routes(routes!(lab::run))
        .routes(routes!(lab::report))
        .routes(routes!(events::events))
        .split_for_parts();
    description.info.version = env!("CARGO_PKG_VERSION").into();
    if !base.is_empty() {
        description.servers = Some(vec![ServerBuilder::new().url(base).build()]);
    }
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    description.components.get_or_insert_default().add_security_scheme("token", scheme);
    // On loopback nobody asks for the token.
    description.security = Some(vec![SecurityRequirement::default(), SecurityRequirement::new("token", Vec::<String>::new())]);
    (router, description)
}
