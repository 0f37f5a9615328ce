//! What web pages of the origins in `PARLANCE_ALLOWED_ORIGINS` are allowed by their browsers (CORS).

use super::origin::Origins;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

/// What may be sent. No credentials: tokens are sent by the page, not by the browser.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, idempotency-key, last-event-id, range, x-request-id",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
/// What may be read of an answer beside its body.
const EXPOSED: &str = "link, retry-after, etag, content-range, content-disposition, x-request-id";

/// Answers browsers that ask before they send, and tells them on every answer that the page may read it.
///
/// # Errors
/// Those of what it wraps.
pub async fn allow<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let origins = request.app_data::<web::Data<Origins>>();
    let Some(origin) = origins.and_then(|origins| origins.allowed(request.headers())).cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks {
        let mut answer = HttpResponse::NoContent();
        for header in PREFLIGHT {
            answer.insert_header(header);
        }
        request.into_response(answer.finish()).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    Ok(response)
}
