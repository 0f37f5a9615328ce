//! `/server`: what a client may know before a login.

use super::extract::Anonymous;
use crate::features::Features;
use actix_web::{HttpResponse, web};
use domain::messages::MAX_CHARACTERS;

/// The description of a server with these features, which takes files of up to `max_file_bytes`.
pub fn describe(features: Features, max_file_bytes: u64) -> wire::Server {
    wire::Server {
        name: "parlance",
        version: env!("CARGO_PKG_VERSION"),
        limits: wire::Limits { content: MAX_CHARACTERS, file_bytes: max_file_bytes },
        features: features.names(),
        login: wire::LoginWays { password: true, sign_up: true },
    }
}

/// Describes the server: its limits, its optional features, and how users log in.
#[utoipa::path(
    get, path = "/server", tag = "operations", operation_id = "server",
    responses((status = 200, description = "The server", body = wire::Server)),
    security(()),
)]
pub async fn show(server: web::Data<wire::Server>, Anonymous(()): Anonymous) -> HttpResponse {
    HttpResponse::Ok().json(&**server)
}
