//! `GET /events`: live events as Server-Sent Events.

use super::catch_up::catch_up;
use super::frames::json_of;
use super::handshake::{self, SinceQuery};
use crate::http::error::ApiError;
use crate::http::openapi::ErrorResponse;
use crate::limits::Limits;
use crate::live::cursor::Cursor;
use crate::use_cases::UseCases;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{BufMut as _, Bytes, BytesMut};
use infra_live::{AttachGuard, End, Frame, OutboxItem, Transport};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Streams events to the client as Server-Sent Events.
///
/// # Errors
/// In this order: 403 for a foreign page, 401, 429, 400, and 429 or 503 if there are too many connections.
#[utoipa::path(
    get, path = "/events", tag = "live",
    params(
        SinceQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Like `since`, and takes precedence: browsers send it"),
    ),
    responses(
        (status = 200, description = "One frame an event: `id` is its cursor", content_type = "text/event-stream", body = wire::events::EventFrame),
        ErrorResponse<403>,
    ),
)]
pub async fn events(
    use_cases: web::Data<UseCases>,
    limits: web::Data<Limits>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visitor = handshake::receive(&request, handshake::origins(&request)?).await?;
    let mut response = HttpResponse::build(StatusCode::OK);
    response.content_type("text/event-stream");
    // Tells proxies not to buffer the stream.
    response.insert_header(("x-accel-buffering", "no"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let (shard, guard) = handshake::attach(&request, &visitor, Transport::EventStream)?;
    let connection = guard.connection().clone();
    actix_web::rt::spawn(async move {
        if let Err(fault) = catch_up((&use_cases, &limits), &shard, &connection, &visitor).await {
            handshake::log(&fault);
            connection.outbox.close();
        }
    });
    Ok(response.body(StreamBody { guard, begun: false }))
}

/// The response body: the frames in the outbox.
struct StreamBody {
    guard: AttachGuard,
    begun: bool,
}

impl MessageBody for StreamBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.begun, true) {
            return Poll::Ready(Some(Ok(retry())));
        }
        loop {
            let next = match std::task::ready!(this.guard.connection().outbox.poll_next(cx)) {
                Some(OutboxItem::Frame(frame)) => event(&frame),
                // A comment line keeps the stream alive and lets both sides notice a broken connection.
                Some(OutboxItem::Ping) => Bytes::from_static(b":\n\n"),
                Some(OutboxItem::Pong(_)) => continue,
                Some(OutboxItem::End(End::Stopping)) => retry(),
                Some(OutboxItem::End(_)) | None => return Poll::Ready(None),
            };
            return Poll::Ready(Some(Ok(next)));
        }
    }
}

/// How long a client waits before it reconnects.
fn retry() -> Bytes {
    Bytes::from(format!("retry: {}\n\n", handshake::retry_hint()))
}

fn event(frame: &Frame) -> Bytes {
    let json = json_of(&frame.bytes);
    let mut event = BytesMut::with_capacity(json.len() + 64);
    event.put_slice(b"event: ");
    event.put_slice(frame.name.as_bytes());
    event.put_slice(b"\nid: ");
    event.put_slice(Cursor(frame.cursor).to_string().as_bytes());
    event.put_slice(b"\ndata: ");
    event.put_slice(json);
    event.put_slice(b"\n\n");
    event.freeze()
}
