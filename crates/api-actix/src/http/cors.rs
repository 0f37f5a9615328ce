//! CORS: what browsers allow web pages of the origins in `PARLANCE_ALLOWED_ORIGINS`.

use super::origin::Origins;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

/// Every request header that some route reads and that pages need permission to send.
pub const READ: &[&str] = &[
    "authorization",
    "content-encoding",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "if-range",
    "last-event-id",
    "range",
    "user-agent",
    "x-request-id",
];

/// Every response header that carries information besides the body, and that pages need permission to read.
pub const EXPOSED: &[&str] = &[
    "accept-encoding",
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-range",
    "etag",
    "link",
    "location",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// The allowed methods. Credentials are not allowed: the page sends the token, not the browser.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// How long browsers may cache the permission, in seconds.
const MAX_AGE: &str = "600";

/// The CORS headers of an answer; none if no foreign page may use the server.
pub struct CorsHeaders {
    origin: Option<HeaderValue>,
    depends: bool,
}

impl CorsHeaders {
    /// The headers for the answer to this request.
    pub fn of(request: &ServiceRequest) -> Self {
        let origins = request.app_data::<web::Data<Origins>>();
        Self {
            origin: origins.and_then(|origins| origins.allowed(request.headers())).cloned(),
            depends: origins.is_some_and(|origins| origins.are_any_allowed()),
        }
    }

    /// Adds the headers to an answer, also to an error.
    pub fn put_on(&self, headers: &mut HeaderMap) {
        if self.depends {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = &self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if let Ok(exposed) = HeaderValue::try_from(EXPOSED.join(", ")) {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            }
        }
    }
}

/// Answers preflight requests. [`CorsHeaders`] allow the page to read the answer, as for every other request.
///
/// # Errors
/// The errors of the wrapped service.
pub async fn preflight<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || CorsHeaders::of(&request).origin.is_none() {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let answer = HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, READ.join(", ")))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .finish();
    Ok(request.into_response(answer).map_into_right_body())
}
