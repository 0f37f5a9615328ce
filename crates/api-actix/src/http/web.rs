//! `/` and `/assets/...`: the web client, embedded in the binary.

use super::error::ApiError;
use super::extract::Anonymous;
use super::openapi::ErrorResponse;
use super::ranges::RangeOutcome;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag};
use actix_web::{HttpRequest, HttpResponse};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// The content security policy of the web client: only this server's resources, no framing, no inline style. The only
/// inline script is the one with this hash, which tells the page its own base URL.
const POLICY: &str = "default-src 'none'; script-src 'self' 'sha256-FpevjYbgKOb4iISN2XHFyzmT4T6E3x6tfeWFiwRryZs='; \
                      style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the web client.
struct Asset {
    media_type: &'static str,
    bytes: &'static [u8],
    tag: EntityTag,
}

impl Asset {
    fn new(path: &str, bytes: &'static [u8]) -> Self {
        let mut hash = DefaultHasher::new();
        bytes.hash(&mut hash);
        let media_type = match path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        Self { media_type, bytes, tag: EntityTag::new_strong(format!("{:016x}", hash.finish())) }
    }

    /// Answers with an entity tag. A browser revalidates each time and downloads the file once.
    fn give(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        let wanted = RangeOutcome::of(request, &self.tag, self.bytes.len() as u64);
        let known = wanted == RangeOutcome::NotModified;
        if wanted == RangeOutcome::Another {
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

/// The folder of the web client in the repository, tests included.
static WEB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../web");
/// The files that the server serves besides the page.
const SERVED: [&str; 3] = ["css/", "js/", "favicon.svg"];

/// All served files by path.
static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    let mut assets = BTreeMap::new();
    let mut folders = vec![&WEB];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            let path = file.path().to_str().unwrap_or_default();
            if path == PAGE || SERVED.iter().any(|served| path.starts_with(served)) {
                assets.insert(path, Asset::new(path, file.contents()));
            }
        }
    }
    assets
});

/// The page itself, which has its own URL.
const PAGE: &str = "index.html";

fn give(path: &str, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    ASSETS.get(path).ok_or(ApiError::Framework(StatusCode::NOT_FOUND))?.give(request)
}

/// Returns the page of the web client.
#[utoipa::path(
    get, path = "/", tag = "operations",
    responses((status = 200, description = "The page", content_type = "text/html", body = String), ErrorResponse<412>),
    security(()),
)]
pub async fn page(request: HttpRequest, Anonymous(()): Anonymous) -> Result<HttpResponse, ApiError> {
    give(PAGE, &request)
}

/// Returns a file of the web client.
#[utoipa::path(
    get, path = "/assets/{path}", tag = "operations",
    params(("path" = String, Path, description = "May hold slashes", example = "css/base.css")),
    responses((status = 200, description = "The file", content_type = "*/*", body = Vec<u8>), ErrorResponse<404>, ErrorResponse<412>),
    security(()),
)]
pub async fn asset(request: HttpRequest, Anonymous(()): Anonymous) -> Result<HttpResponse, ApiError> {
    let path = request.match_info().query("path");
    // The page has only one URL, because its links are relative.
    if path == PAGE { Err(ApiError::Framework(StatusCode::NOT_FOUND)) } else { give(path, &request) }
}
