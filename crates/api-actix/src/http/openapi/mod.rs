//! Parts of the OpenAPI document that handlers share, the rules for all operations, and the route that serves the
//! document.

mod params;
mod refusals;
pub mod rules;

pub use params::IdempotencyKeyHeader;
pub use refusals::{ErrorResponse, Page};

use super::extract::Anonymous;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};

/// The document, built once and shared by the workers.
#[derive(Clone)]
pub struct Served(Bytes);

impl Served {
    /// Wraps the document's text.
    pub fn new(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

/// Returns this document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "document",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)),
    security(()),
)]
pub async fn show(document: web::Data<Served>, Anonymous(()): Anonymous) -> HttpResponse {
    HttpResponse::Ok().content_type(header::ContentType::json()).body(document.0.clone())
}
