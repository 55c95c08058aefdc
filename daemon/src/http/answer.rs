//! What goes over the wire both ways: questions that cannot be read, answers that are problems.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hexad_api::node::Daemon;
use hexad_api::{Problem, ProblemKind};
use serde::de::DeserializeOwned;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::Face;

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, Refused>;

/// A problem on its way to the caller.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    problem: Problem,
    retry_after_s: Option<u64>,
}

impl Refused {
    /// A problem with a status that its kind does not tell.
    pub(super) fn with(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem, retry_after_s: None }
    }

    /// The same, and when the caller may try again.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The status that goes with it.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// There is nothing under that name.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Problem::new(what).hint("GET api lists what there is").kind(ProblemKind::NotFound).into()
    }

    /// A mistake of ours.
    pub(super) fn internal() -> Self {
        let problem = Problem::new("the node has made a mistake over this request").hint("run it with -v and tell us what it says");
        problem.kind(ProblemKind::Internal).into()
    }

    /// What the caller is told.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let status = match problem.kind {
            ProblemKind::BadRequest => StatusCode::BAD_REQUEST,
            ProblemKind::NotFound => StatusCode::NOT_FOUND,
            ProblemKind::Conflict => StatusCode::CONFLICT,
            ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::with(status, problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"hexad\""));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl utoipa::IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description("Why it cannot be").content("application/json", content).build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}

/// Puts a question to the node, on a thread that may wait for it.
pub(super) async fn ask<T: Send + 'static>(face: &Face, question: impl FnOnce(&dyn Daemon) -> T + Send + 'static) -> Answer<T> {
    let daemon = Arc::clone(&face.daemon);
    tokio::task::spawn_blocking(move || question(&*daemon)).await.map_err(|wrong| {
        tracing::error!(%wrong, "a question to the node has not been answered");
        Refused::internal()
    })
}

/// A word in the body of a request.
pub(super) struct Given<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        match Json::from_request(request, state).await {
            Ok(Json(word)) => Ok(Self(word)),
            Err(wrong) => {
                // A word that is JSON and cannot be meant is no worse than one that is no JSON.
                let status = match &wrong {
                    JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => StatusCode::BAD_REQUEST,
                    other => other.status(),
                };
                let problem = Problem::new(format!("the body cannot be read: {}", innermost(&wrong)));
                Err(Refused::with(status, problem.hint("GET api/openapi.json says what is expected")))
            }
        }
    }
}

/// What follows the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(word)| Self(word)).map_err(|wrong| {
            let problem = Problem::new(format!("what follows the '?' cannot be read: {}", innermost(&wrong)));
            problem.hint("GET api/openapi.json says what is expected").into()
        })
    }
}

/// A name in the path.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(name)| Self(name)).map_err(|wrong| Problem::new(format!("the path cannot be read: {}", innermost(&wrong))).into())
    }
}

/// A number in the path.
pub(super) struct Numbered(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Numbered {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Named(text) = Named::from_request_parts(parts, state).await?;
        text.parse().map(Self).map_err(|_| Problem::new(format!("expected a number in the path, came '{text}'")).into())
    }
}

/// The innermost cause, which is the one that says what was expected.
fn innermost(wrong: &dyn std::error::Error) -> String {
    let mut cause = wrong;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
