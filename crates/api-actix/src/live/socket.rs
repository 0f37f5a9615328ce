//! `GET /ws`: live events and operations over a WebSocket.

use super::catch_up::catch_up;
use super::handshake::{self, Handshake, SUBPROTOCOL, SinceQuery};
use super::incoming::{FrameReader, Incoming};
use super::ops::SocketSession;
use crate::connection::SharedGate;
use crate::http::error::ApiError;
use crate::http::openapi::ErrorResponse;
use crate::limits::Limits;
use crate::use_cases::UseCases;
use actix_http::ws::{CloseCode, CloseReason, HandshakeError, Parser, handshake_response, verify_handshake};
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Version, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use infra_live::{AttachGuard, Connection, End, OutboxItem, Transport};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// The close code for the end of a connection (`docs/api.md`, Live; RFC 6455, section 7.4).
const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const TOO_MANY: u16 = 1008;
const TOO_BIG: u16 = 1009;
const FAULT: u16 = 1011;
const SIGNED_OUT: u16 = 4401;
const LAGGING: u16 = 4408;

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
    payload: web::Payload,
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
    let (shard, guard) = handshake::attach(&request, &visitor, Transport::WebSocket)?;
    let connection = guard.connection().clone();
    let (caller, public) = (visitor.caller, visitor.public.clone());
    let session = SocketSession { use_cases, limits, shard, connection, caller, public };
    actix_web::rt::spawn(converse(session, FrameReader::new(payload.into_inner()), visitor));
    let mut response = handshake_response(request.head());
    if handshake::offered(request.headers()).any(|name| name == SUBPROTOCOL) {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL));
    }
    let response = response.message_body(SocketBody { guard, gate: request.conn_data().cloned() });
    let response = response.map_err(|fault| domain::Error::internal(fault.to_string()))?;
    let mut response = HttpResponse::from(response).map_into_boxed_body();
    // The body consists of ready WebSocket frames.
    response.head_mut().no_chunking(true);
    Ok(response)
}

/// Runs for the lifetime of the connection: replays what the client missed, then executes the client's operations.
async fn converse(session: SocketSession, mut reader: FrameReader, visitor: Handshake) {
    let connection = &session.connection;
    // Boxed, so that an idle connection does not keep the memory that only the replay needs.
    let limited = (&**session.use_cases, &**session.limits);
    let begun = Box::pin(catch_up(limited, &session.shard, connection, &visitor)).await;
    drop(visitor);
    if let Err(fault) = begun {
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
async fn next(reader: &mut FrameReader, connection: &Connection) -> Option<Incoming> {
    poll_fn(|cx| match connection.outbox.poll_ended(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => reader.poll_next(cx).map(Some),
    })
    .await
}

/// The response body: the frames in the outbox.
struct SocketBody {
    guard: AttachGuard,
    gate: Option<SharedGate>,
}

impl MessageBody for SocketBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let outbox = &self.guard.connection().outbox;
        if let Some(outgoing) = ready!(outbox.poll_next(cx)) {
            return Poll::Ready(Some(Ok(encode(outgoing))));
        }
        if let Some(gate) = &self.gate {
            gate.borrow_mut().end_socket();
            // The connection polls this body, so that it then checks the gate again.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(None)
    }
}

fn encode(outgoing: OutboxItem) -> Bytes {
    match outgoing {
        OutboxItem::Frame(frame) => frame.bytes.clone(),
        OutboxItem::Ping => Bytes::from_static(&[0x89, 0]),
        OutboxItem::Pong(payload) => {
            // The reader refuses pings with more than 125 bytes.
            let mut frame = BytesMut::with_capacity(payload.len() + 2);
            Parser::write_message(&mut frame, payload, actix_http::ws::OpCode::Pong, true, false);
            frame.freeze()
        }
        OutboxItem::End(end) => {
            let (code, reason) = close_of(end);
            let mut frame = BytesMut::with_capacity(64);
            Parser::write_close(
                &mut frame,
                Some(CloseReason { code: CloseCode::from(code), description: reason }),
                false,
            );
            frame.freeze()
        }
    }
}

fn close_of(end: End) -> (u16, Option<String>) {
    match end {
        End::SignedOut => (SIGNED_OUT, Some("signed out".to_owned())),
        End::Lagging => (LAGGING, Some("events may be missing: connect again with ?since=".to_owned())),
        End::TimedOut => (LAGGING, Some("no sign of life: connect again with ?since=".to_owned())),
        End::Stopping => (GOING_AWAY, Some(format!("retry={}", handshake::retry_hint()))),
        End::Transport(TOO_MANY) => (TOO_MANY, Some("too many frames: connect again later".to_owned())),
        End::Transport(code) => (code, None),
    }
}
