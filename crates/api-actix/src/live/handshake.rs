//! Checks that WebSockets and event streams share before they begin, in the order of the contract.

use super::cursor;
use crate::http::error::ApiError;
use crate::http::extract::{Query, authenticate_token, bearer};
use crate::http::middleware::error_chain;
use crate::http::origin::Origins;
use crate::telemetry::METRICS;
use crate::use_cases::UseCases;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use domain::live::Since;
use domain::{Caller, Error, Unauthenticated, Unavailable};
use infra_live::{AttachError, AttachGuard, Shard, Transport};
use serde::Deserialize;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tracing::{error, warn};
use utoipa::IntoParams;
use wire::PublicUrl;

/// The subprotocol of the server.
pub const SUBPROTOCOL: &str = "parlance.v1";
/// The prefix of the token in the list of subprotocols. A browser's WebSocket cannot send a token elsewhere.
const BEARER: &str = "bearer.";

/// How long a connection lasts whose token does not expire.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// The cursor to resume from.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SinceQuery {
    /// The last frame's cursor: the server first sends the events missed since.
    since: Option<String>,
}

/// An accepted handshake.
pub struct Handshake {
    pub caller: Caller,
    /// When the token expires.
    pub expires: Instant,
    pub since: Since,
    /// The base URL of files.
    pub public: PublicUrl,
}

/// Checks the origin, then the token, then the query.
pub async fn receive(request: &HttpRequest, origins: &Origins) -> Result<Handshake, ApiError> {
    origins.check(request)?;
    let token = bearer(request).or_else(|refused| match refused {
        Unauthenticated::MissingToken => {
            offered(request.headers()).find_map(|name| name.strip_prefix(BEARER)).ok_or(refused)
        }
        _ => Err(refused),
    });
    let (caller, expires_at) = authenticate_token(request, token).await?;
    let use_cases = request.app_data::<web::Data<UseCases>>();
    let now = use_cases.ok_or_else(|| Error::internal("the application was not composed"))?.clock.now();
    let left = expires_at.map_or(LONGEST, |expires_at| {
        Duration::from_micros(expires_at.as_micros().saturating_sub(now.as_micros()).max(0).unsigned_abs()).min(LONGEST)
    });
    let expires = Instant::now() + left;
    let Query(SinceQuery { since }) = Query::of(request)?;
    let last = request.headers().get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()));
    let public = request.app_data::<web::Data<PublicUrl>>();
    let public = public.ok_or_else(|| Error::internal("the application was not composed"))?.get_ref().clone();
    Ok(Handshake { caller, expires, since: cursor::since(last.as_deref().or(since.as_deref())), public })
}

/// The subprotocols that the client offers.
pub fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Attaches the connection to the worker's shard.
pub fn attach(request: &HttpRequest, visitor: &Handshake, by: Transport) -> Result<(Rc<Shard>, AttachGuard), ApiError> {
    let shard = request.app_data::<Rc<Shard>>().ok_or_else(|| Error::internal("the application was not composed"))?;
    match shard.attach(&visitor.caller, by, visitor.expires) {
        Ok(guard) => Ok((Rc::clone(shard), guard)),
        Err(AttachError::TooManyOfUser) => {
            METRICS.refused_sockets.increment(1);
            Err(ApiError::TooManyConnections)
        }
        Err(AttachError::Full) => Err(Unavailable::Overloaded.into()),
        Err(AttachError::Stopping) => Err(Unavailable::Stopping.into()),
    }
}

/// Logs why a connection could not begin. Conditions that many clients together can cause are no errors of the server.
pub fn log(fault: &Error) {
    match fault {
        Error::Unavailable(reason) => warn!(%reason, "a connection could not begin"),
        fault => error!(fault = error_chain(fault), "a connection could not begin"),
    }
}

/// The allowed origins that the application was composed with.
pub fn origins(request: &HttpRequest) -> Result<&Origins, ApiError> {
    let origins = request.app_data::<web::Data<Origins>>();
    Ok(origins.ok_or_else(|| Error::internal("the application was not composed"))?)
}

/// How long a client should wait before it reconnects after a shutdown, in milliseconds; spread, so that not all
/// reconnect at once.
pub fn retry_hint() -> u32 {
    rand::random_range(500..5_000)
}
