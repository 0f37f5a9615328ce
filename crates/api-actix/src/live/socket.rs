//! `GET /ws`: live events and operations over a WebSocket.

use super::catch_up::catch_up;
use super::handshake::{self, Handshake, SUBPROTOCOL, SinceQuery};
use super::incoming::{FrameReader, Incoming};
use super::ops::SocketSession;
use super::outgoing::{self, FAULT, PROTOCOL, TOO_BIG, TOO_MANY};
use crate::connection::{SharedGate, UpgradedStream};
use crate::http::error::ApiError;
use crate::http::openapi::ErrorResponse;
use crate::limits::Limits;
use crate::use_cases::UseCases;
use actix_http::ws::{HandshakeError, handshake_response, verify_handshake};
use actix_web::http::{Version, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use domain::Error;
use futures_util::future::join;
use infra_live::{AttachGuard, Connection, End, Transport};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

/// Exchanges events and operations with the client over a WebSocket.
///
/// The token comes in the header or, from a browser, in the list of subprotocols: `parlance.v1, bearer.<JWT>`.
///
/// # Errors
/// In this order: 426 without an upgrade, 403 for a foreign page, 401, 429, 400, and 429 or 503 if there are too many
/// connections.
#[utoipa::path(
    get, path = "/ws", tag = "live",
    params(SinceQuery),
    responses((status = 101, description = "Frames follow: one JSON object each"), ErrorResponse<403>, ErrorResponse<426>),
)]
pub async fn upgrade(
    use_cases: web::Data<UseCases>,
    limits: web::Data<Limits>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    match verify_handshake(request.head()) {
        // HTTP/1.0 has no upgrades.
        Ok(()) | Err(HandshakeError::BadWebsocketKey) if request.version() >= Version::HTTP_11 => {}
        _ => return Err(ApiError::UpgradeRequired),
    }
    let visitor = handshake::receive(&request, handshake::origins(&request)?).await?;
    if verify_handshake(request.head()).is_err() {
        return Err(ApiError::malformed_field("Sec-WebSocket-Key", "Sec-WebSocket-Key is malformed"));
    }
    let gate = request.conn_data::<SharedGate>().ok_or_else(|| Error::internal("the connection has no gate"))?;
    let (shard, guard) = handshake::attach(&request, &visitor, Transport::WebSocket)?;
    let connection = guard.connection().clone();
    let (caller, public) = (visitor.caller, visitor.public.clone());
    let session = SocketSession { use_cases, limits, shard, connection, caller, public };
    gate.borrow_mut().accept_socket(Box::new(|stream| Box::pin(serve(stream, guard, session, visitor))));
    let mut response = handshake_response(request.head());
    if handshake::offered(request.headers()).any(|name| name == SUBPROTOCOL) {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL));
    }
    Ok(HttpResponse::from(response.finish()).map_into_boxed_body())
}

/// Runs from the handshake on until the server has nothing more to send.
async fn serve(
    stream: UpgradedStream,
    guard: AttachGuard,
    session: SocketSession,
    visitor: Handshake,
) -> UpgradedStream {
    // An operation that has begun is not dropped when the connection ends: the reader ends after it.
    join(converse(session, FrameReader::new(&stream), visitor), outgoing::write(&stream, guard)).await;
    stream
}

/// Runs for the lifetime of the connection: replays what the client missed, then executes the client's operations.
async fn converse(session: SocketSession, mut reader: FrameReader<&UpgradedStream>, visitor: Handshake) {
    let connection = &session.connection;
    // Boxed, so that an idle connection does not keep the memory that only the replay needs.
    let begun = Box::pin(async {
        let visitor = visitor;
        let limited = (&**session.use_cases, &**session.limits);
        catch_up(limited, &session.shard, connection, &visitor).await
    });
    if let Err(fault) = begun.await {
        handshake::log(&fault);
        return connection.outbox.end(End::Transport(FAULT));
    }
    while let Some(incoming) = next(&mut reader, connection).await {
        connection.heard(Instant::now());
        if incoming.is_a_frame() && !session.pays_for_a_frame() {
            connection.outbox.end(End::Transport(TOO_MANY));
            continue;
        }
        match incoming {
            Incoming::Text(text) => Box::pin(session.text(&text)).await,
            Incoming::Binary => Box::pin(session.binary()).await,
            Incoming::Ping(payload) => connection.outbox.pong(Bytes::copy_from_slice(&payload)),
            Incoming::Part | Incoming::Pong => {}
            Incoming::Close(code) => connection.outbox.end(End::Transport(code.unwrap_or(1000))),
            Incoming::TooBig => connection.outbox.end(End::Transport(TOO_BIG)),
            Incoming::Broken => connection.outbox.end(End::Transport(PROTOCOL)),
            Incoming::Gone => connection.outbox.close(),
        }
    }
}

/// The client's next frame; `None` when the connection ends.
async fn next(reader: &mut FrameReader<&UpgradedStream>, connection: &Connection) -> Option<Incoming> {
    poll_fn(|cx| match connection.outbox.poll_ended(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => reader.poll_next(cx).map(Some),
    })
    .await
}
