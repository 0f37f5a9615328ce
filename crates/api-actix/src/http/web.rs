//! `/` and `/assets/...`: the web client, embedded in the binary.

use super::error::ApiError;
use super::extract::Open;
use super::openapi::Refused;
use super::ranges::Wanted;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag};
use actix_web::{HttpRequest, HttpResponse};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// What the client's page may do: use what this server gives, and nothing else. No framing, no inline style, and of inline
/// scripts only the one with this hash, which is in the page: nothing else could tell it where it is.
const POLICY: &str = "default-src 'none'; script-src 'self' 'sha256-FpevjYbgKOb4iISN2XHFyzmT4T6E3x6tfeWFiwRryZs='; \
                      style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the client.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    tag: EntityTag,
}

impl Asset {
    fn new(path: &'static str, bytes: &'static [u8]) -> Self {
        let mut hash = DefaultHasher::new();
        bytes.hash(&mut hash);
        let media_type = match path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        Self { path, media_type, bytes, tag: EntityTag::new_strong(format!("{:016x}", hash.finish())) }
    }

    /// With its tag, so that a browser asks each time and is given it once.
    fn give(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        let wanted = Wanted::of(request, &self.tag, self.bytes.len() as u64);
        let known = wanted == Wanted::NotModified;
        if wanted == Wanted::Another {
            return Err(ApiError::PreconditionFailed);
        }
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header(header::ETag(self.tag.clone()));
        if known {
            return Ok(response.finish());
        }
        Ok(response.insert_header((header::CONTENT_TYPE, self.media_type)).body(self.bytes))
    }
}

macro_rules! asset {
    ($path:literal) => {
        Asset::new($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/", $path)))
    };
}

/// The page itself.
static PAGE: LazyLock<Asset> = LazyLock::new(|| asset!("index.html"));

/// What the page is made of. A test holds this against the directory `web/`.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    macro_rules! assets {
        ($($path:literal),* $(,)?) => { vec![$(asset!($path)),*] };
    }
    assets![
        "favicon.svg",
        "css/base.css",
        "css/chat.css",
        "js/api.js",
        "js/format.js",
        "js/live.js",
        "js/login.js",
        "js/main.js",
        "js/media.js",
        "js/outbox.js",
        "js/reader.js",
        "js/store.js",
        "js/sync.js",
        "js/views/auth.js",
        "js/views/chat.js",
        "js/views/composer.js",
        "js/views/dialogs.js",
        "js/views/dom.js",
        "js/views/group.js",
        "js/views/icons.js",
        "js/views/message.js",
        "js/views/people.js",
        "js/views/profile.js",
        "js/views/sidebar.js",
        "js/views/timeline.js",
    ]
});

/// Gives the web client's page.
#[utoipa::path(
    get, path = "/", tag = "operations",
    responses((status = 200, description = "The page", content_type = "text/html", body = String), Refused<412>),
    security(()),
)]
pub async fn page(request: HttpRequest, Open(()): Open) -> Result<HttpResponse, ApiError> {
    PAGE.give(&request)
}

/// Gives a file of the web client.
#[utoipa::path(
    get, path = "/assets/{path}", tag = "operations",
    params(("path" = String, Path, description = "May hold slashes", example = "css/base.css")),
    responses((status = 200, description = "The file", content_type = "*/*", body = Vec<u8>), Refused<404>, Refused<412>),
    security(()),
)]
pub async fn asset(request: HttpRequest, Open(()): Open) -> Result<HttpResponse, ApiError> {
    let path = request.match_info().query("path");
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    asset.ok_or(ApiError::Framework(StatusCode::NOT_FOUND))?.give(&request)
}
