//! Presents every error to clients: `{"error", "code", "field"?}`. Only this module chooses a status.

use crate::limits::RateLimited;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use domain::{Conflict, Error, Unavailable};
use serde::Serialize;
use utoipa::ToSchema;

/// What a request can be answered with instead of what it asked for.
#[derive(Debug)]
pub enum ApiError {
    /// The domain refused or failed.
    Domain(Error),
    /// A conflict over a field that the client knows by another name than the domain.
    Conflict {
        /// Which.
        conflict: Conflict,
        /// The field at fault, as the client wrote it.
        field: &'static str,
    },
    /// A body or query that cannot be read; with the field where one is at fault.
    Malformed {
        /// The field at fault, as the client wrote it.
        field: Option<String>,
        /// A sentence that says what is wrong.
        reason: String,
    },
    /// A body of more bytes than the route takes.
    BodyTooLarge {
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// A part of a form of more bytes than is taken.
    FieldTooLarge {
        /// The part's name.
        field: String,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// A content type that the route does not take.
    UnsupportedMediaType {
        /// A sentence that says what is taken.
        reason: &'static str,
    },
    /// A body that is packed in a way that no route unpacks.
    UnsupportedEncoding,
    /// Something that is not as the client's condition has it.
    PreconditionFailed,
    /// A part of a file that the file does not have.
    RangeNotSatisfiable {
        /// The file's size in bytes.
        size: u64,
    },
    /// A request for a WebSocket that asks for no upgrade, or not for one that we speak.
    UpgradeRequired,
    /// A live connection for a web page of another origin.
    ForeignOrigin,
    /// A user who has as many live connections as are allowed.
    TooManyConnections,
    /// A network that has as many connections as are allowed.
    TooManyOfNetwork,
    /// A client that asks too often.
    RateLimited(RateLimited),
    /// What the framework refused by itself.
    Framework(StatusCode),
}

impl ApiError {
    /// A fault of the whole body or query.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { field: None, reason: reason.into() }
    }

    /// A fault of one field.
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

    /// When the same may be tried again, in seconds, where that is known.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Domain(Error::Unavailable(reason)) => Some(retry_after(*reason)),
            Self::TooManyConnections | Self::TooManyOfNetwork => Some(CONNECTIONS_RETRY_AFTER),
            Self::Domain(Error::TooManyUploads { .. }) => Some(UPLOADS_RETRY_AFTER),
            Self::RateLimited(refusal) => Some(refusal.seconds),
            _ => None,
        }
    }

    /// The answer's body: fit for the client, whatever went wrong.
    pub fn body(&self) -> String {
        // Strings and a static code always serialize; an empty body would still carry the status.
        serde_json::to_string(&self.view()).unwrap_or_default()
    }

    /// What [`ApiError::body`] is made of, for answers that carry it inside of something else.
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

/// What every error looks like.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct Body<'a> {
    /// A sentence for people.
    error: String,
    /// A word for machines.
    code: &'static str,
    /// The field, parameter or header at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
}

/// The machine's word for a status.
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

/// What to say where only the framework knows the reason.
fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "no such route",
        405 => "this route does not take the method",
        412 => "it is not what the condition names",
        413 => "the body is too large",
        415 => "the content type is not supported",
        500.. => "internal error",
        _ => "the request is malformed",
    }
}

/// When to try again to connect, in seconds: about when a connection that was left without a word is noticed.
pub const CONNECTIONS_RETRY_AFTER: u32 = 30;

/// When to try again to upload, in seconds, where too many uploads are under way: most of them take no longer.
const UPLOADS_RETRY_AFTER: u32 = 5;

/// When to try again, in seconds.
fn retry_after(unavailable: Unavailable) -> u32 {
    match unavailable {
        Unavailable::Overloaded => 1,
        Unavailable::StorageOutOfReach => 2,
        Unavailable::Stopping => 5,
    }
}

/// Whatever the domain says no with, `Invalid` and `NotFound` alone included, passes a `?` in a handler.
impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Domain(error.into())
    }
}

/// Not by way of the domain, which knows of no limits.
impl RateLimited {
    /// As it is answered.
    pub fn answer(self) -> ApiError {
        ApiError::RateLimited(self)
    }
}

/// The client's sentence; the log gets the source chain (see [`super::middleware`]).
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(error) => error.fmt(f),
            Self::Conflict { conflict, .. } => conflict.fmt(f),
            Self::Malformed { reason, .. } => f.write_str(reason),
            Self::UnsupportedEncoding => f.write_str("bodies are taken as they are: without Content-Encoding"),
            Self::UpgradeRequired => f.write_str("this route takes a WebSocket of version 13"),
            Self::ForeignOrigin => f.write_str("pages of another origin may not connect"),
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
                r#"{"error":"this route does not take the method","code":"method_not_allowed"}"#,
            ),
            (
                Error::QuotaUsedUp { limit: 5 }.into(),
                507,
                r#"{"error":"your files may have 5 bytes together: delete some first","code":"storage_full"}"#,
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
