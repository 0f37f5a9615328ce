//! Presents every error to clients: `{"error", "code", "field"?}`. Only this module chooses a status.

use crate::limits::RateLimited;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use domain::{Conflict, Error, Unavailable};
use serde::Serialize;
use utoipa::ToSchema;

/// Every error that a request can be answered with.
#[derive(Debug)]
pub enum ApiError {
    /// The domain refused or failed.
    Domain(Error),
    /// A conflict over a field whose name in the request differs from the domain's.
    Conflict {
        /// The conflict.
        conflict: Conflict,
        /// The field at fault, as the client wrote it.
        field: &'static str,
    },
    /// A malformed body or query, with the field at fault if there is one.
    Malformed {
        /// The field at fault, as the client wrote it.
        field: Option<String>,
        /// What is wrong, for people.
        reason: String,
    },
    /// A body with more bytes than the route accepts.
    BodyTooLarge {
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// A part of a form with more bytes than the route accepts.
    FieldTooLarge {
        /// The name of the part.
        field: String,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// A content type that the route does not accept.
    UnsupportedMediaType {
        /// What the route accepts, for people.
        reason: &'static str,
    },
    /// A body with a `Content-Encoding`; no route decodes one.
    UnsupportedEncoding,
    /// A failed `If-Match`.
    PreconditionFailed,
    /// A range that the file does not have.
    RangeNotSatisfiable {
        /// The file's size in bytes.
        size: u64,
    },
    /// A WebSocket request without an upgrade, or with an unsupported version.
    UpgradeRequired,
    /// A live connection from a web page of a foreign origin.
    ForeignOrigin,
    /// The user has too many live connections.
    TooManyConnections,
    /// The network has too many connections.
    TooManyOfNetwork,
    /// The client has exceeded a rate limit.
    RateLimited(RateLimited),
    /// An error of the framework itself.
    Framework(StatusCode),
}

impl ApiError {
    /// An error that concerns the whole body or query.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { field: None, reason: reason.into() }
    }

    /// An error in one field.
    pub fn malformed_field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { field: Some(field.into()), reason: reason.into() }
    }

    /// The table of statuses and codes (`docs/api.md`, Conventions).
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        let status = match self {
            Self::Domain(Error::Invalid(_)) | Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::Domain(Error::Unauthenticated(_)) => StatusCode::UNAUTHORIZED,
            Self::Domain(Error::Forbidden(_)) => StatusCode::FORBIDDEN,
            Self::Domain(Error::NotFound(_)) => StatusCode::NOT_FOUND,
            Self::Domain(Error::Conflict(_)) | Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Domain(Error::FileTooLarge { .. }) | Self::BodyTooLarge { .. } | Self::FieldTooLarge { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Domain(Error::Unavailable(_)) | Self::TooManyOfNetwork => StatusCode::SERVICE_UNAVAILABLE,
            Self::Domain(Error::StorageFull | Error::QuotaUsedUp { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Domain(Error::Internal(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnsupportedMediaType { .. } | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Domain(Error::TooManyUploads { .. }) | Self::TooManyConnections | Self::RateLimited(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Framework(status) => *status,
        };
        (status, code(status))
    }

    /// Seconds until the client may try again, if known.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Domain(Error::Unavailable(reason)) => Some(retry_after(*reason)),
            Self::TooManyConnections | Self::TooManyOfNetwork => Some(CONNECTIONS_RETRY_AFTER),
            Self::Domain(Error::TooManyUploads { .. }) => Some(UPLOADS_RETRY_AFTER),
            Self::RateLimited(refusal) => Some(refusal.seconds),
            _ => None,
        }
    }

    /// The body of the answer. It contains nothing that clients may not see.
    pub fn body(&self) -> String {
        // Strings and a static code always serialize; even an empty body would carry the status.
        serde_json::to_string(&self.view()).unwrap_or_default()
    }

    /// The content of [`ApiError::body`], for answers that embed it.
    pub fn view(&self) -> Body<'_> {
        let (error, field) = match self {
            Self::Domain(error) => (error.to_string(), error.field()),
            Self::Conflict { conflict, field } => (conflict.to_string(), Some(*field)),
            Self::Malformed { field, reason } => (reason.clone(), field.as_deref()),
            Self::BodyTooLarge { limit } => (format!("the body is larger than {limit} bytes"), None),
            Self::FieldTooLarge { field, limit } => {
                (format!("{field} is larger than {limit} bytes"), Some(field.as_str()))
            }
            Self::UnsupportedMediaType { reason } => ((*reason).to_owned(), None),
            Self::RangeNotSatisfiable { size } => (format!("the file has {size} bytes"), None),
            Self::UnsupportedEncoding
            | Self::PreconditionFailed
            | Self::UpgradeRequired
            | Self::ForeignOrigin
            | Self::TooManyConnections
            | Self::TooManyOfNetwork
            | Self::RateLimited(_) => (self.to_string(), None),
            Self::Framework(status) => (sentence(*status).to_owned(), None),
        };
        Body { error, code: self.status_and_code().1, field }
    }
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct Body<'a> {
    /// A message for people.
    error: String,
    /// A code for programs.
    code: &'static str,
    /// The field, parameter or header at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
}

/// The code of a status.
pub(super) fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        412 => "precondition_failed",
        413 => "payload_too_large",
        415 => "unsupported_media_type",
        416 => "range_not_satisfiable",
        426 => "upgrade_required",
        429 => "rate_limited",
        503 => "unavailable",
        507 => "storage_full",
        500.. => "internal",
        _ => "invalid_request",
    }
}

/// The sentence for an error that only the framework can explain.
fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "no such route",
        405 => "this route does not take this method",
        412 => "its version is not the one that the request names",
        413 => "the body is too large",
        415 => "the content type is not supported",
        500.. => "internal error",
        _ => "the request is malformed",
    }
}

/// When to reconnect, in seconds: about when the server notices that an abandoned connection is gone.
pub const CONNECTIONS_RETRY_AFTER: u32 = 30;

/// When to retry an upload, in seconds, if too many are under way: most uploads take no longer.
const UPLOADS_RETRY_AFTER: u32 = 5;

/// When to try again, in seconds.
fn retry_after(unavailable: Unavailable) -> u32 {
    match unavailable {
        Unavailable::Overloaded => 1,
        Unavailable::StorageOutOfReach => 2,
        Unavailable::Stopping | Unavailable::Indexing { .. } => 5,
    }
}

/// Converts the domain's errors, `Invalid` and `NotFound` included, so that handlers can use `?`.
impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Domain(error.into())
    }
}

/// Rate limits belong to the edge: the domain has no error for them.
impl RateLimited {
    /// The refusal as an API error.
    pub fn answer(self) -> ApiError {
        ApiError::RateLimited(self)
    }
}

/// The sentence for the client. The log gets the source chain (see [`super::middleware`]).
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(error) => error.fmt(f),
            Self::Conflict { conflict, .. } => conflict.fmt(f),
            Self::Malformed { reason, .. } => f.write_str(reason),
            Self::UnsupportedEncoding => f.write_str("this server takes no request body with a Content-Encoding"),
            Self::UpgradeRequired => f.write_str("this route takes a WebSocket of version 13"),
            Self::ForeignOrigin => f.write_str("this server takes no connection from pages of this origin"),
            Self::TooManyConnections => f.write_str("this user has too many connections"),
            Self::TooManyOfNetwork => f.write_str("this address has too many connections"),
            Self::RateLimited(refusal) => refusal.fmt(f),
            other => f.write_str(sentence(other.status_and_code().0)),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponseBuilder::new(self.status_code());
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        match self {
            Self::Domain(Error::Unauthenticated(_)) => {
                response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            Self::UpgradeRequired => {
                response.insert_header((header::UPGRADE, HeaderValue::from_static("websocket")));
                response.insert_header((header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
            }
            Self::UnsupportedEncoding => {
                response.insert_header((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
            }
            Self::RangeNotSatisfiable { size } => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{size}")));
            }
            _ => {}
        }
        response.content_type(mime_json()).body(self.body())
    }
}

/// The content type of every JSON answer.
pub fn mime_json() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Conflict, Forbidden, Invalid, NotFound, Unauthenticated};

    #[test]
    fn each_kind_has_its_status_code_and_field() {
        for (error, status, body) in [
            (
                ApiError::from(Invalid::missing("name")),
                400,
                r#"{"error":"missing name","code":"invalid_request","field":"name"}"#,
            ),
            (ApiError::malformed("x"), 400, r#"{"error":"x","code":"invalid_request"}"#),
            (Unauthenticated::MissingToken.into(), 401, r#"{"error":"missing token","code":"unauthenticated"}"#),
            (
                Forbidden::WrongCurrentPassword.into(),
                403,
                r#"{"error":"current_password is wrong","code":"forbidden","field":"current_password"}"#,
            ),
            (NotFound::Group.into(), 404, r#"{"error":"group does not exist","code":"not_found"}"#),
            (Conflict::EmailTaken.into(), 409, r#"{"error":"email already exists","code":"conflict","field":"email"}"#),
            (
                Error::FileTooLarge { limit: 5 }.into(),
                413,
                r#"{"error":"the file is larger than 5 bytes","code":"payload_too_large"}"#,
            ),
            (
                ApiError::Framework(StatusCode::METHOD_NOT_ALLOWED),
                405,
                r#"{"error":"this route does not take this method","code":"method_not_allowed"}"#,
            ),
            (
                Error::QuotaUsedUp { limit: 5 }.into(),
                507,
                r#"{"error":"your files may take up 5 bytes in all: delete some first","code":"storage_full"}"#,
            ),
            (
                Error::TooManyUploads { limit: 5 }.into(),
                429,
                r#"{"error":"you may have 5 uploads under way: wait for one to end","code":"rate_limited"}"#,
            ),
            (Error::StorageFull.into(), 507, r#"{"error":"the server's storage is full","code":"storage_full"}"#),
        ] {
            assert_eq!(error.status_code().as_u16(), status);
            assert_eq!(error.body(), body);
        }
    }

    #[test]
    fn an_internal_error_keeps_its_source_to_itself() {
        let error = ApiError::from(Error::internal("SELECT * FROM users at /var/lib"));
        assert_eq!(error.body(), r#"{"error":"internal error","code":"internal"}"#);
        assert_eq!(error.to_string(), "internal error");
    }

    #[test]
    fn unavailable_says_when_to_come_back() {
        let response = ApiError::from(Unavailable::Overloaded).error_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
    }
}
