//! Operations over a WebSocket: the same use cases as over HTTP, answered by a `reply`.

use super::frames::{self, ReplyData};
use super::json_object::{RawJson, members};
use super::reference::{NoReference, Reference};
use crate::http::error::ApiError;
use crate::http::extract::{Acting, check_texts, check_texts_of, parse_object, required};
use crate::http::middleware::error_chain;
use crate::http::sending::{ParsedSend, SendBody, recipient};
use crate::limits::{Costs, FRAME, Key, Limits, Op, RateLimited};
use crate::telemetry::METRICS;
use crate::use_cases::UseCases;
use actix_web::http::header::HeaderMap;
use actix_web::web;
use domain::acting::ReferencedEntity;
use domain::messages::{Appended, ShortDigest, SyncPoint, Update, Verified};
use domain::{Caller, ConversationId, Error, MessageId, Need};
use infra_live::{Connection, End, Shard};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::rc::Rc;
use std::time::Instant;
use tracing::{error, warn};
use wire::PublicUrl;

/// The session behind one WebSocket: its caller, and the services that answer.
pub struct SocketSession {
    pub use_cases: web::Data<UseCases>,
    pub limits: web::Data<Limits>,
    pub shard: Rc<Shard>,
    pub connection: Rc<Connection>,
    pub caller: Caller,
    pub public: PublicUrl,
}

/// The result of an operation.
enum Done {
    /// It is done, possibly with data.
    Reply(Option<ReplyData>),
    /// No reply: the client waits for none.
    Unanswered,
    Pong,
}

#[derive(Deserialize)]
struct BroadcastBody {
    broadcast: Option<bool>,
}

#[derive(Deserialize)]
struct SeenBody {
    message_id: Option<String>,
}

#[derive(Deserialize)]
struct VerifyBody {
    conversation_id: Option<String>,
    update: Option<u64>,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct TypingBody {
    receiver_id: Option<String>,
    group_id: Option<String>,
}

impl SocketSession {
    /// Executes the operation in a text frame and replies.
    pub async fn text(&self, text: &[u8]) {
        // As for every request: checks the session, and records that it is in use.
        let admitted = match self.use_cases.sessions.check(&self.caller).await {
            Err(Error::Unauthenticated(_)) => return self.connection.outbox.end(End::SignedOut),
            admitted => admitted.map_err(ApiError::from),
        };
        let (reference, outcome) = match read(text) {
            Ok(OperationFrame { op, reference, data }) => match admitted.and_then(|()| self.pay(op.as_deref())) {
                Ok(()) => (reference, self.operate(op.as_deref(), &data).await),
                Err(refused) => (reference, Err(refused)),
            },
            Err((reference, fault)) => (reference, Err(admitted.and_then(|()| self.pay(None)).err().unwrap_or(fault))),
        };
        match outcome {
            Ok(Done::Pong) => self.answer(frames::PONG, frames::pong).await,
            // A client that gave a reference waits for a reply.
            Ok(Done::Unanswered) if reference.is_null() => {}
            Ok(Done::Unanswered) => self.reply(&reference, Ok(None)).await,
            Ok(Done::Reply(data)) => self.reply(&reference, Ok(data)).await,
            Err(fault) => {
                log(&fault);
                self.reply(&reference, Err(&fault)).await;
            }
        }
    }

    /// Refuses a frame that is no text.
    pub async fn binary(&self) {
        let fault = self.pay(None).err().unwrap_or_else(|| ApiError::malformed("frames are text"));
        self.reply(&Reference::default(), Err(&fault)).await;
    }

    /// Charges a frame of any kind before the server looks at it. Returns whether the limit allowed it.
    pub fn pays_for_a_frame(&self) -> bool {
        self.limits.take(FRAME, Key::User(self.caller.user)).is_ok()
    }

    /// Charges the operation to the same buckets as a request over HTTP.
    fn pay(&self, op: Option<&str>) -> Result<(), ApiError> {
        self.limits
            .take(Costs::of_operation(op.and_then(Op::parse)), Key::User(self.caller.user))
            .map_err(RateLimited::answer)
    }

    async fn reply(&self, reference: &Reference, outcome: Result<Option<ReplyData>, &ApiError>) {
        self.answer(frames::REPLY, |cursor| frames::reply(reference, outcome, cursor)).await;
    }

    async fn answer(&self, name: &'static str, bytes: impl FnOnce(domain::events::Revision) -> bytes::Bytes) {
        let frame = self.shard.own_frame(&self.connection, name, bytes);
        self.connection.send(frame).await;
    }

    async fn operate(&self, op: Option<&str>, data: &[u8]) -> Result<Done, ApiError> {
        let Some(op) = Op::parse(required("op", op)?) else {
            return Err(ApiError::malformed_field("op", Op::expected()));
        };
        self.caller.access.require(Need::Scope(op.scope()))?;
        match op {
            Op::Send => self.send(data).await,
            Op::Seen => self.seen(data).await,
            Op::Verify => self.verify(data).await,
            Op::Typing => self.typing(data).await,
            Op::Ping => Ok(Done::Pong),
        }
    }

    async fn send(&self, data: &[u8]) -> Result<Done, ApiError> {
        let BroadcastBody { broadcast } = parse_object(data)?;
        let body: SendBody = parse_object(data)?;
        let headers = HeaderMap::new();
        let ParsedSend { acting, message } = match broadcast {
            Some(true) => body.parse_broadcast(Acting::nobody(), &headers)?,
            _ => body.parse_addressed(Acting::nobody(), &headers)?,
        };
        self.use_cases.acting.check(&self.caller, acting, ReferencedEntity::of_message(&message)).await?;
        let (Appended::Stored(message) | Appended::Duplicate(message)) =
            self.use_cases.messages.send(&self.caller, message).await?;
        let message = Box::new(wire::Message::at(&self.public, message));
        Ok(Done::Reply(Some(ReplyData::Message(message))))
    }

    async fn seen(&self, data: &[u8]) -> Result<Done, ApiError> {
        let SeenBody { message_id } = parse_object(data)?;
        let message = MessageId::parse("message_id", &required("message_id", message_id)?)?;
        self.use_cases.receipts.mark_seen(&self.caller, message).await?;
        Ok(Done::Reply(None))
    }

    async fn verify(&self, data: &[u8]) -> Result<Done, ApiError> {
        let VerifyBody { conversation_id, update, digest } = parse_object(data)?;
        let of = ConversationId::parse("conversation_id", &required("conversation_id", conversation_id)?)?;
        let update = i64::try_from(required("update", update)?)
            .map_err(|_| ApiError::malformed_field("update", "update is too large".to_owned()))?;
        let digest = ShortDigest::parse(&required("digest", digest)?)?;
        let claimed = SyncPoint { update: Update(update), digest };
        let verified = self.use_cases.digests.verify(&self.caller, of, claimed).await;
        let metrics = &METRICS;
        match verified {
            Ok(verified) => {
                metrics.sync_checks_ok.increment(1);
                Ok(Done::Reply(match verified {
                    Verified::Same => None,
                    Verified::Past(present) => Some(ReplyData::SyncPoint(present.into())),
                }))
            }
            Err(refused) => {
                if matches!(refused, Error::Conflict(_)) {
                    metrics.sync_checks_conflict.increment(1);
                }
                Err(refused.into())
            }
        }
    }

    async fn typing(&self, data: &[u8]) -> Result<Done, ApiError> {
        let TypingBody { receiver_id, group_id } = parse_object(data)?;
        let to = recipient(receiver_id.as_deref(), group_id.as_deref())?;
        let hub = self.shard.hub();
        if hub.admits_typing(self.caller.user, to, Instant::now()) {
            let typing = self.use_cases.live.signal_typing(&self.caller, to).await;
            match typing {
                Ok(Some(typing)) => hub.signal_typing(typing),
                // Users without a shared conversation receive no typing event, but the sender gets the same reply, so
                // that it learns nothing. Once they share one, the next event reaches them.
                Ok(None) => hub.withdraw_typing(self.caller.user, to),
                Err(refused) => {
                    hub.withdraw_typing(self.caller.user, to);
                    return Err(refused.into());
                }
            }
        }
        Ok(Done::Unanswered)
    }
}

/// A frame that asks for an operation, taken apart.
#[derive(Debug)]
struct OperationFrame {
    op: Option<String>,
    /// The reference that the reply carries.
    reference: Reference,
    /// The operation's data: a JSON object.
    data: Vec<u8>,
}

/// Parses a frame. An error carries the reference if the parser could read it.
fn read(text: &[u8]) -> Result<OperationFrame, (Reference, ApiError)> {
    let Some(frame) = std::str::from_utf8(text).ok().and_then(members) else {
        // This parser looks closer and names the fault.
        let fault = parse_object::<Map<String, Value>>(text).err();
        return Err((Reference::default(), fault.unwrap_or_else(|| ApiError::malformed("the frame is not JSON"))));
    };
    // If a member occurs twice, the last one counts.
    let member = |name: &str| frame.iter().rfind(|(known, _)| known == name).map(|(_, value)| *value);
    let wrong = |field: &'static str| ApiError::malformed_field(field, format!("{field} has the wrong type"));
    let reference = member("ref").map(Reference::parse).transpose().map_err(|reason| {
        let fault = match reason {
            NoReference::HasNul => ApiError::malformed_field("ref", "ref contains a NUL"),
            NoReference::WrongType => wrong("ref"),
        };
        (Reference::default(), fault)
    })?;
    let reference = reference.unwrap_or_default();
    if let Err(fault) = frame.iter().try_for_each(|(name, value)| check_member(name, *value)) {
        return Err((reference, fault));
    }
    let op = match member("op").map(RawJson::read).transpose() {
        Ok(op) => op.flatten(),
        Err(_) => return Err((reference, wrong("op"))),
    };
    let data = match member("data") {
        None | Some(RawJson("null")) => Vec::new(),
        Some(RawJson(data)) if data.starts_with('{') => data.as_bytes().to_vec(),
        Some(_) => return Err((reference, wrong("data"))),
    };
    Ok(OperationFrame { op, reference, data })
}

/// Checks all strings, also those that no operation reads. It names a fault in `data` as in the same body over HTTP.
fn check_member(name: &str, RawJson(value): RawJson<'_>) -> Result<(), ApiError> {
    if name == "data" && value.starts_with('{') {
        check_texts(value.as_bytes())
    } else {
        check_texts_of(name, value.as_bytes())
    }
}

/// Logs an internal error once, here. The client sees no details.
fn log(fault: &ApiError) {
    match fault {
        ApiError::Domain(Error::Unavailable(reason)) => warn!(%reason, "operation refused"),
        ApiError::Domain(Error::StorageFull) => warn!("operation refused: the storage is full"),
        ApiError::Domain(fault @ Error::Internal(_)) => error!(fault = error_chain(fault), "operation failed"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rates;
    use crate::live::testing::World;
    use async_trait::async_trait;
    use domain::sessions::{LiveSession, RefreshClaims, Renewed, Session, SessionRepository};
    use domain::users::PasswordHash;
    use domain::{SessionId, Timestamp, Unavailable, UserId};
    use infra_live::OutboxItem;
    use serde_json::json;
    use std::future::poll_fn;
    use std::sync::Arc;

    /// A store of sessions that is out of reach.
    struct Away;

    fn away<T>() -> domain::Result<T> {
        Err(Unavailable::StorageOutOfReach.into())
    }

    #[async_trait]
    impl SessionRepository for Away {
        async fn create(&self, _: Session, _: Option<PasswordHash>) -> domain::Result<()> {
            away()
        }

        async fn live(&self, _: SessionId) -> domain::Result<Option<LiveSession>> {
            away()
        }

        async fn list(
            &self,
            _: UserId,
            _: Timestamp,
            _: Option<SessionId>,
            _: domain::Limit,
        ) -> domain::Result<domain::Page<Session>> {
            away()
        }

        async fn renew(&self, _: UserId, _: RefreshClaims, _: Timestamp) -> domain::Result<Renewed> {
            unreachable!()
        }

        async fn end(&self, _: UserId, _: SessionId, _: Timestamp) -> domain::Result<bool> {
            away()
        }

        async fn touch(&self, _: UserId, _: SessionId, _: Timestamp) -> domain::Result<()> {
            away()
        }

        async fn forget(&self, _: Timestamp, _: Timestamp) -> domain::Result<usize> {
            away()
        }
    }

    #[actix_web::test]
    async fn what_cannot_be_authenticated_is_not_done_and_answered() {
        let world = World::new().await;
        let (shard, guard) = world.attach();
        let connection = Rc::clone(guard.connection());
        let mut use_cases = world.use_cases;
        use_cases.sessions.sessions = Arc::new(Away);
        let (use_cases, limits) = (web::Data::new(use_cases), web::Data::new(Limits::new(&Rates::off())));
        let public = PublicUrl::default();
        let session = SocketSession { use_cases, limits, shard, connection, caller: world.caller, public };
        for (text, reference) in [(r#"{"op":"ping","ref":"r1"}"#, json!("r1")), ("{", Value::Null)] {
            session.text(text.as_bytes()).await;
            let next = poll_fn(|cx| guard.connection().outbox.poll_next(cx)).await;
            let Some(OutboxItem::Frame(frame)) = next else { panic!("{next:?}") };
            let answer: Value = serde_json::from_slice(frames::json_of(&frame.bytes)).unwrap();
            assert_eq!((&answer["event"], &answer["ref"]), (&json!("reply"), &reference));
            assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
        }
        assert_eq!(guard.connection().outbox.ended(), None);
    }

    fn shown(reference: &Reference) -> Value {
        serde_json::from_str(reference.as_json()).unwrap()
    }

    #[test]
    fn a_frame_is_an_object_with_op_ref_and_data() {
        let read = |text: &str| read(text.as_bytes());
        let whole = read(r#"{"op":"send","ref":"r1","data":{"content":"a"},"other":1}"#).unwrap();
        assert_eq!((whole.op.as_deref(), shown(&whole.reference)), (Some("send"), json!("r1")));
        assert_eq!(whole.data, br#"{"content":"a"}"#);
        let bare = read(r#"{"ref":7}"#).unwrap();
        assert_eq!((bare.op, shown(&bare.reference), bare.data), (None, json!(7), Vec::new()));
    }

    #[test]
    fn a_fault_comes_with_the_reference_where_it_can_be_read() {
        for (text, reference, field) in [
            ("{", Value::Null, None),
            ("", Value::Null, None),
            ("5", Value::Null, None),
            ("[1]", Value::Null, None),
            (r#"{"op":"send","ref":{}}"#, Value::Null, Some("ref")),
            (r#"{"op":"send","ref":"a\u0000"}"#, Value::Null, Some("ref")),
            (r#"{"op":5,"ref":"r"}"#, json!("r"), Some("op")),
            (r#"{"op":"send","ref":"r","data":[]}"#, json!("r"), Some("data")),
            (r#"{"op":"\ud800","ref":"r"}"#, json!("r"), Some("op")),
            (r#"{"op":"ping","ref":"\ud800"}"#, Value::Null, Some("ref")),
            (r#"{"op":"ping","ref":1.0}"#, Value::Null, Some("ref")),
            (r#"{"op":"ping","ref":1,"x":["\u0000"]}"#, json!(1), Some("x[0]")),
            (r#"{"op":"ping","ref":2,"data":{"content":"\u0000"}}"#, json!(2), Some("content")),
            (r#"{"op":"ping","ref":3,"data":{"x":"\ud800"},"data":{}}"#, json!(3), Some("x")),
            (r#"{"op":"ping","ref":4,"\u0000":1}"#, json!(4), None),
        ] {
            let (found, fault) = read(text.as_bytes()).unwrap_err();
            assert_eq!(shown(&found), reference, "{text}");
            match fault {
                ApiError::Malformed { field: at, .. } => assert_eq!(at.as_deref(), field, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
