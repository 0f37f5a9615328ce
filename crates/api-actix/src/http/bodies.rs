//! Handles the unread rest of a request's body after the handler has answered.

use crate::connection::SharedGate;
use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::middleware::Next;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use pin_project_lite::pin_project;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How much of an unread body the middleware reads before the answer, in bytes, so that the connection can be kept.
const MAX_DRAINED_BYTES: usize = 64 * 1024;
/// How long the middleware waits for that rest. A client sends a small body together with its head.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Wraps the whole application. If a handler did not read its body to the end, and the rest does not come soon, the
/// answer is the last one on this connection, and the gate discards the rest, within bounds. The middleware also tells
/// the gate whether a handler accepted a WebSocket.
///
/// # Errors
/// The errors of the wrapped service.
pub async fn settle(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Some(gate) = request.conn_data::<SharedGate>().cloned() else {
        return Ok(next.call(request).await?.map_body(|_, body| Answer { body, _answering: None }));
    };
    let number = gate.borrow_mut().begin();
    let mut answering = AnswerGuard { gate: Rc::clone(&gate), is_last: is_last(request.head().connection_type()) };
    if gate.borrow().asks_for_socket(number) {
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        let outcome = next.call(request).await;
        let taken = outcome.as_ref().is_ok_and(|response| response.status() == StatusCode::SWITCHING_PROTOCOLS);
        if taken {
            gate.borrow_mut().take_socket()
        } else {
            gate.borrow_mut().refuse_socket()
        }
        look_again().await;
        return answering.with(outcome);
    }
    let Some(body) = Body::of(&mut request) else {
        let outcome = next.call(request).await;
        return answering.with(outcome);
    };
    let mut outcome = next.call(request).await;
    if !body.ends_soon().await && gate.borrow_mut().abandon(number) {
        if let Ok(response) = &mut outcome {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        answering.is_last = true;
        look_again().await;
    }
    answering.with(outcome)
}

fn is_last(connection: ConnectionType) -> bool {
    connection == ConnectionType::Close
}

/// Tells the gate on drop that a request was answered, if another may follow. actix-http writes an answer without a
/// body at once; it drops a body after writing it.
struct AnswerGuard {
    gate: SharedGate,
    is_last: bool,
}

impl AnswerGuard {
    /// Keeps the guard until the body is written.
    fn with<B>(
        mut self,
        outcome: Result<ServiceResponse<B>, actix_web::Error>,
    ) -> Result<ServiceResponse<Answer<B>>, actix_web::Error> {
        let mut response = outcome?;
        let head = response.response_mut().head_mut();
        // actix-http reuses heads from a pool. A reused head has the version of an earlier answer, from which
        // `connection_type` would derive "close". actix-http sets the right version when it writes the head.
        head.version = Version::HTTP_11;
        self.is_last |= is_last(head.connection_type());
        Ok(response.map_body(|_, body| Answer { body, _answering: Some(self) }))
    }
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        // It is borrowed here only if a panic unwinds through the borrower; then the connection ends.
        if !self.is_last
            && let Ok(mut gate) = self.gate.try_borrow_mut()
        {
            gate.answered();
        }
    }
}

pin_project! {
    /// The body of an answer.
    struct Answer<B> {
        #[pin]
        body: B,
        _answering: Option<AnswerGuard>,
    }
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}

/// Wakes the connection's task, so that the connection sees the decision.
async fn look_again() {
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
}

/// A body that the handler reads as far as it needs; this module reads the rest.
#[derive(Clone)]
struct Body(Rc<RefCell<Read>>);

/// A body, and how reading ended: `Some(true)` at its end, `Some(false)` with an error.
struct Read {
    payload: Payload,
    ended: Option<bool>,
}

impl Body {
    /// Takes the body of the request, if it has one.
    fn of(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let body = Self(Rc::new(RefCell::new(Read { payload, ended: None })));
        request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
        Some(body)
    }

    /// Reads the rest if it is short and comes soon. Returns whether the body ended.
    async fn ends_soon(mut self) -> bool {
        let ended = self.0.borrow().ended;
        if let Some(whole) = ended {
            return whole;
        }
        let rest = async {
            let mut left = MAX_DRAINED_BYTES;
            while let Some(bytes) = self.next().await {
                match bytes.map(|bytes| left.checked_sub(bytes.len())) {
                    Ok(Some(less)) => left = less,
                    _ => return false,
                }
            }
            true
        };
        tokio::time::timeout(DRAIN_TIMEOUT, rest).await.unwrap_or(false)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let read = &mut *self.0.borrow_mut();
        let next = ready!(Pin::new(&mut read.payload).poll_next(cx));
        match &next {
            None => read.ended = Some(true),
            Some(Err(_)) => read.ended = Some(false),
            Some(Ok(_)) => {}
        }
        Poll::Ready(next)
    }
}
