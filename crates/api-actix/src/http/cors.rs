//! CORS: what browsers allow web pages of the origins in `PARLANCE_ALLOWED_ORIGINS`.

use super::origin::Origins;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

/// Every header of a request that some route looks at and that a page has to be allowed to send.
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

/// Every header of an answer that tells something beside its body, and that a page may not read unless it is told so.
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

/// What may be done. No credentials: tokens are sent by the page, not by the browser.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// How long a browser need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// What the answer to a request says of who may read it: nothing, where no pages of others may.
pub struct Marks {
    origin: Option<HeaderValue>,
    depends: bool,
}

impl Marks {
    /// Of the answer to this request.
    pub fn of(request: &ServiceRequest) -> Self {
        let origins = request.app_data::<web::Data<Origins>>();
        Self {
            origin: origins.and_then(|origins| origins.allowed(request.headers())).cloned(),
            depends: origins.is_some_and(|origins| origins.are_any_allowed()),
        }
    }

    /// Puts them on an answer, whatever became of the request.
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

/// Answers browsers that ask before they send. [`Marks`] say that the page may read the answer, of this as of every
/// other.
///
/// # Errors
/// Those of what it wraps.
pub async fn preflight<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || Marks::of(&request).origin.is_none() {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let answer = HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, READ.join(", ")))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .finish();
    Ok(request.into_response(answer).map_into_right_body())
}
