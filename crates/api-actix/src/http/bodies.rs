//! What becomes of a request's body when its answer is there, read or not.

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

/// How much of a body that its handler did not read is read before the answer, so that the connection can be kept:
const MOST: usize = 64 * 1024;
/// what a client sends together with its request is there in no time.
const PATIENCE: Duration = Duration::from_millis(500);

/// Wraps the whole application. Where a body was not read to its end by who answers, and does not end soon, the answer
/// is the connection's last; the gate throws the rest away, within bounds. Says to the gate, too, whether a WebSocket
/// was taken.
///
/// # Errors
/// Those of what it wraps.
pub async fn settle(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Some(gate) = request.conn_data::<SharedGate>().cloned() else {
        return Ok(next.call(request).await?.map_body(|_, body| Answer { body, _answering: None }));
    };
    let number = gate.borrow_mut().begin();
    let mut answering = Answering { gate: Rc::clone(&gate), is_last: is_last(request.head().connection_type()) };
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

/// Says to the gate, when it is dropped, that a request was answered, if another may follow. An answer without its body
/// is written as soon as it is there; the body is dropped when it was written.
struct Answering {
    gate: SharedGate,
    is_last: bool,
}

impl Answering {
    /// Until the body is written.
    fn with<B>(
        mut self,
        outcome: Result<ServiceResponse<B>, actix_web::Error>,
    ) -> Result<ServiceResponse<Answer<B>>, actix_web::Error> {
        let mut response = outcome?;
        let head = response.response_mut().head_mut();
        // actix-http takes heads from a pool, with the version of whom they last answered, by which it would say
        // "close" here. It sets the right one when it writes them.
        head.version = Version::HTTP_11;
        self.is_last |= is_last(head.connection_type());
        Ok(response.map_body(|_, body| Answer { body, _answering: Some(self) }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // It is borrowed only where a panic passes through who borrowed it, and then the connection ends.
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
        _answering: Option<Answering>,
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

/// Lets the connection, which runs this, see what was decided.
async fn look_again() {
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
}

/// A body that whoever answers reads as far as needed, and this module as far as is left.
#[derive(Clone)]
struct Body(Rc<RefCell<Read>>);

/// A body, and how its reading ended, if it did: with its end or with a fault.
struct Read {
    payload: Payload,
    ended: Option<bool>,
}

impl Body {
    /// Of the request, if it has one.
    fn of(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let body = Self(Rc::new(RefCell::new(Read { payload, ended: None })));
        request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
        Some(body)
    }

    /// Reads what is left, if it is not much and comes soon; whether it was all.
    async fn ends_soon(mut self) -> bool {
        let ended = self.0.borrow().ended;
        if let Some(whole) = ended {
            return whole;
        }
        let rest = async {
            let mut left = MOST;
            while let Some(bytes) = self.next().await {
                match bytes.map(|bytes| left.checked_sub(bytes.len())) {
                    Ok(Some(less)) => left = less,
                    _ => return false,
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, rest).await.unwrap_or(false)
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
