//! The middleware around every request: its id, the headers of its answer, its line in the log.

use super::cors::CorsHeaders;
use super::error::{ApiError, mime_json};
use crate::readiness::Readiness;
use crate::telemetry;
use crate::use_cases::UseCases;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use domain::Error;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tracing::{error, info, warn};

/// The header with the id of a request, in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Default headers of every answer.
const SECURITY: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Wraps the whole application.
///
/// # Errors
/// Returns an error only together with a complete response.
pub async fn request_context(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let readiness = request.app_data::<web::Data<Readiness>>().cloned();
    let _under_way = readiness.as_ref().map(|readiness| readiness.begins());
    let (id, marks) = (request_id(&request), CorsHeaders::of(&request));
    let (method, version) = (request.method().clone(), request.version());
    // A panic is a bug of the server. It must fail this request only, and not the worker's other connections.
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(ApiError::from(Error::internal("a handler panicked")).into()));
    let mut response = match outcome {
        Ok(response) => response.map_into_boxed_body(),
        // The request is gone, so the framework sends this response itself.
        Err(fault) => {
            let mut response = fault.error_response();
            finish(&mut response, &id, &marks);
            log_fault(Some(&fault), &id);
            telemetry::answered(&method, None, response.status(), begun.elapsed());
            return Err(InternalError::from_response(fault, response).into());
        }
    };
    finish(response.response_mut(), &id, &marks);
    if version < Version::HTTP_11 && response.response().body().size() == BodySize::Stream {
        // HTTP/1.0 has no chunks (RFC 9112, 6.1): a body of unknown length ends with the connection.
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    let status = response.status();
    if status.is_server_error() {
        log_fault(response.response().error(), &id);
    }
    let (route, elapsed) = (response.request().match_pattern(), begun.elapsed());
    telemetry::answered(&method, route.as_deref(), status, elapsed);
    if tracing::enabled!(tracing::Level::INFO) {
        info!(
            %method,
            route = route.as_deref().unwrap_or("none"),
            status = status.as_u16(),
            micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            id = id.to_str().unwrap_or_default(),
            "request"
        );
    }
    Ok(response)
}

/// The client's request id if it is fit for a log, else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let fit = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=64).contains(&bytes.len()) && bytes.iter().all(plain)
    };
    let new = || {
        let use_cases = request.app_data::<web::Data<UseCases>>()?;
        // A UUID is always a header value.
        HeaderValue::try_from(use_cases.ids.next().to_string()).ok()
    };
    let given = request.headers().get(&REQUEST_ID).filter(fit).cloned();
    given.or_else(new).unwrap_or(HeaderValue::from_static("none"))
}

/// Adds the default headers, and gives the framework's own errors the common shape.
fn finish(response: &mut HttpResponse, id: &HeaderValue, marks: &CorsHeaders) {
    let status = response.status();
    let json = response.headers().get(header::CONTENT_TYPE) == Some(&mime_json());
    if (status.is_client_error() || status.is_server_error()) && !json {
        let bare = std::mem::replace(response, HttpResponse::new(status));
        *response = bare.set_body(BoxBody::new(ApiError::Framework(status).body()));
        response.headers_mut().insert(header::CONTENT_TYPE, mime_json());
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    marks.put_on(headers);
    for (name, value) in SECURITY {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Logs an internal error once, with its causes. The client sees none of it.
fn log_fault(fault: Option<&actix_web::Error>, id: &HeaderValue) {
    let id = id.to_str().unwrap_or_default();
    match fault.and_then(actix_web::Error::as_error::<ApiError>) {
        Some(ApiError::Domain(Error::Unavailable(reason))) => warn!(id, %reason, "request refused"),
        Some(ApiError::Domain(Error::StorageFull)) => warn!(id, "request refused: the storage is full"),
        Some(ApiError::Domain(fault)) => error!(id, fault = error_chain(fault), "request failed"),
        _ => error!(id, fault = fault.map(ToString::to_string), "request failed"),
    }
}

/// Formats an error with all of its sources.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::origin::Origins;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, read_body, try_call_service};
    use actix_web::{App, web};

    /// Status, headers and body of the application's answer, whether the service returns it as an error or not.
    async fn ask(path: &str) -> (u16, header::HeaderMap, String) {
        let panics = async || -> HttpResponse { panic!("a bug") };
        let fails = async || -> Result<HttpResponse, ApiError> { Err(Error::internal("SELECT 1").into()) };
        let foreign = async || HttpResponse::PayloadTooLarge().body("too much");
        let own = async || HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "private")).finish();
        let app = App::new()
            .app_data(web::Data::new(Origins::parse("https://app.example.org").unwrap()))
            .wrap(from_fn(request_context))
            .route("/panics", web::to(panics))
            .route("/fails", web::to(fails))
            .route("/foreign", web::to(foreign))
            .route("/own", web::to(own));
        let app = init_service(app).await;
        let request = TestRequest::with_uri(path).insert_header(("x-request-id", "r-1"));
        let request = request.insert_header((header::ORIGIN, "https://app.example.org")).to_request();
        let response = match try_call_service(&app, request).await {
            Ok(response) => response,
            Err(fault) => {
                let request = TestRequest::with_uri(path).to_http_request();
                ServiceResponse::new(request, fault.error_response())
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn whatever_goes_wrong_is_answered_in_one_shape() {
        let internal = r#"{"error":"internal error","code":"internal"}"#;
        for (path, status, body) in [
            ("/panics", 500, internal),
            ("/fails", 500, internal),
            ("/foreign", 413, r#"{"error":"the body is too large","code":"payload_too_large"}"#),
            ("/nowhere", 404, r#"{"error":"no such route","code":"not_found"}"#),
        ] {
            let answer = ask(path).await;
            assert_eq!((answer.0, answer.2.as_str()), (status, body), "{path}");
            for name in ["content-type", "x-request-id", "x-content-type-options", "content-security-policy"] {
                assert!(answer.1.contains_key(name), "{path} {name}");
            }
            assert_eq!(answer.1.get("x-request-id").unwrap(), "r-1");
            assert_eq!(answer.1.get("access-control-allow-origin").unwrap(), "https://app.example.org", "{path}");
        }
    }

    #[actix_web::test]
    async fn a_handler_may_say_otherwise_of_the_cache() {
        let (status, headers, _) = ask("/own").await;
        assert_eq!((status, headers.get("cache-control").unwrap().to_str().unwrap()), (200, "private"));
    }

    #[test]
    fn a_fault_is_told_with_all_its_causes() {
        let io = std::io::Error::other("disk on fire");
        assert_eq!(error_chain(&Error::internal(io)), "internal error: disk on fire");
    }
}
