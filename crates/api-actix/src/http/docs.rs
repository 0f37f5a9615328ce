//! Serves Swagger UI for the OpenAPI document from the binary.

use super::error::ApiError;
use super::extract::Anonymous;
use super::openapi::ErrorResponse;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes};
use domain::Error;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa_swagger_ui::{Config, serve};
use wire::PublicUrl;

/// Allows scripts and styles from this server only, and no inline ones. (Swagger UI draws its icons from `data:` URLs.)
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The configuration of Swagger UI: the URL of the document, and no external validator.
pub struct Docs(Arc<Config<'static>>);

impl Docs {
    /// Uses `/openapi.json`, by its URL relative to the page.
    pub fn new() -> Self {
        Self(Arc::new(Config::from("../openapi.json").validator_url("none").persist_authorization(false)))
    }
}

impl Default for Docs {
    fn default() -> Self {
        Self::new()
    }
}

/// Redirects to Swagger UI.
#[utoipa::path(
    get, path = "/docs", tag = "operations", operation_id = "docs",
    responses((status = 308, description = "It is at `/docs/index.html`", headers(("Location" = String)))),
    security(()),
)]
pub async fn index(public: web::Data<PublicUrl>, Anonymous(()): Anonymous) -> HttpResponse {
    to_the_page(&public)
}

/// Redirects to Swagger UI, too.
#[utoipa::path(
    get, path = "/docs/", tag = "operations", operation_id = "docs_folder",
    responses((status = 308, description = "It is at `/docs/index.html`", headers(("Location" = String)))),
    security(()),
)]
pub async fn folder(public: web::Data<PublicUrl>, Anonymous(()): Anonymous) -> HttpResponse {
    to_the_page(&public)
}

fn to_the_page(public: &PublicUrl) -> HttpResponse {
    let page = public.address("/docs/index.html");
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, page)).finish()
}

/// Returns a file of Swagger UI.
#[utoipa::path(
    get, path = "/docs/{file}", tag = "operations", operation_id = "docs_file",
    params(("file" = String, Path, example = "index.html")),
    responses((status = 200, description = "The file", content_type = "*/*", body = Vec<u8>), ErrorResponse<404>),
    security(()),
)]
pub async fn file(
    docs: web::Data<Docs>,
    Anonymous(name): Anonymous<web::Path<String>>,
) -> Result<HttpResponse, ApiError> {
    let found = serve(&name, docs.0.clone()).map_err(|fault| Error::internal(fault.to_string()))?;
    let Some(file) = found else { return Err(ApiError::Framework(StatusCode::NOT_FOUND)) };
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        }))
}
