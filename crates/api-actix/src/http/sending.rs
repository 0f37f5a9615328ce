//! Parts that all sending routes share: the recipient, the idempotency key and the answer.

use super::extract::Acting;
use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use domain::messages::{Appended, IdempotencyKey, MessageType, NewBody, Recipient, SaidMentions, SendCommand};
use domain::{FileId, GroupId, Invalid, MessageId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wire::PublicUrl;

/// The header with the idempotency key.
const KEY_HEADER: &str = "Idempotency-Key";

/// The body of `POST /messages`, and the data of the operation `send`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Send, examples(json!({ "receiver_id": "01890a5d-ac96-774b-bcce-b302099a8057", "content": "Hello!" })))]
pub struct SendBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    sender_id: Option<String>,
    /// Give exactly one of `receiver_id` and `group_id`.
    #[schema(value_type = Option<wire::Id>)]
    receiver_id: Option<String>,
    #[schema(value_type = Option<wire::Id>)]
    group_id: Option<String>,
    /// `text` if absent.
    #[serde(rename = "type")]
    #[schema(pattern = "^(text|image|file)$")]
    message_type: Option<String>,
    /// The server stores and returns it exactly as sent. A `text` message needs one that is not blank.
    #[schema(max_length = 4096)]
    content: Option<String>,
    /// Required for an `image` and a `file`.
    #[schema(value_type = Option<wire::Id>)]
    file_id: Option<String>,
    /// A message of the same conversation.
    #[schema(value_type = Option<wire::Id>)]
    reply_to: Option<String>,
    /// The first message of the thread that it is to be a reply in: one of the same conversation that is in no thread
    /// itself.
    #[schema(value_type = Option<wire::Id>)]
    thread_id: Option<String>,
    /// A message that the caller may read, to be sent on. Instead of `type`, `content` and `file_id`.
    #[schema(value_type = Option<wire::Id>)]
    forward: Option<String>,
    /// Whom the message mentions; those that the content names if absent. Not with `forward`.
    mentions: Option<MentionsBody>,
    /// Whether the caller's draft in the conversation ends with it.
    clears_draft: Option<bool>,
    /// The same as the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 64)]
    client_id: Option<String>,
}

/// Mentions that a client gives outright.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(as = SaidMentions, examples(json!({ "user_ids": ["01890a5d-ac96-774b-bcce-b302099a8057"] })))]
pub struct MentionsBody {
    /// Members of the conversation; the server ignores others.
    #[schema(value_type = Option<Vec<wire::Id>>, max_items = 50)]
    user_ids: Option<Vec<String>>,
    /// All who are members at that moment; for who runs the place.
    all: Option<bool>,
}

/// The fields of [`MentionsBody`]. As such the derived parser would take an array for the object.
#[derive(Deserialize)]
struct MentionsFields {
    user_ids: Option<Vec<String>>,
    all: Option<bool>,
}

impl TryFrom<Map<String, Value>> for MentionsBody {
    type Error = serde_json::Error;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        let MentionsFields { user_ids, all } = serde_json::from_value(Value::Object(object))?;
        Ok(Self { user_ids, all })
    }
}

impl MentionsBody {
    /// # Errors
    /// [`Invalid`] naming `mentions`.
    pub fn parse(&self) -> Result<SaidMentions, Invalid> {
        let ids = self.user_ids.as_deref().unwrap_or_default();
        let users = ids.iter().map(|id| UserId::parse("mentions", id)).collect::<Result<_, _>>()?;
        SaidMentions::new(users, self.all.unwrap_or(false))
    }
}

/// A parsed request to send: the message, and every acting user that the request names.
pub struct ParsedSend {
    pub acting: Acting,
    pub message: SendCommand,
}

impl SendBody {
    /// Parses a message to the recipient that the body names, under the idempotency key of the header or the body. The
    /// body may also name the acting user.
    ///
    /// # Errors
    /// [`Invalid`] naming the field that is missing or malformed.
    pub fn parse_addressed(&self, acting: Acting, headers: &HeaderMap) -> Result<ParsedSend, Invalid> {
        self.parse_to(|| recipient(self.receiver_id.as_deref(), self.group_id.as_deref()), acting, headers)
    }

    /// Parses a broadcast: the body names no recipient.
    ///
    /// # Errors
    /// [`Invalid`] naming the field that is missing, malformed or not allowed.
    pub fn parse_broadcast(&self, acting: Acting, headers: &HeaderMap) -> Result<ParsedSend, Invalid> {
        let nobody_named = || match (&self.receiver_id, &self.group_id) {
            (None, None) => Ok(Recipient::Everybody),
            _ => Err(Invalid::new("broadcast", "a broadcast goes to everybody")),
        };
        self.parse_to(nobody_named, acting, headers)
    }

    fn parse_to(
        &self,
        recipient: impl FnOnce() -> Result<Recipient, Invalid>,
        acting: Acting,
        headers: &HeaderMap,
    ) -> Result<ParsedSend, Invalid> {
        let acting = acting.and("sender_id", self.sender_id.as_deref())?;
        let key = idempotency_key(headers, self.client_id.as_deref())?;
        let message = SendCommand {
            recipient: recipient()?,
            body: self.body()?,
            reply_to: self.reply_to.as_deref().map(|id| MessageId::parse("reply_to", id)).transpose()?,
            thread_id: self.thread_id.as_deref().map(|id| MessageId::parse("thread_id", id)).transpose()?,
            mentions: self.mentions.as_ref().map(MentionsBody::parse).transpose()?,
            key,
            clears_draft: self.clears_draft.unwrap_or(false),
        };
        Ok(ParsedSend { acting, message })
    }

    fn body(&self) -> Result<NewBody, Invalid> {
        let (message_type, content, file_id) =
            (self.message_type.as_deref(), self.content.as_deref(), self.file_id.as_deref());
        if let Some(forward) = &self.forward {
            let beside = [("type", message_type), ("content", content), ("file_id", file_id)];
            let mentions = self.mentions.is_some().then_some("mentions");
            let beside = beside.into_iter().find_map(|(field, value)| value.and(Some(field)));
            if let Some(field) = beside.or(mentions) {
                return Err(Invalid::new(field, format!("{field} can't be combined with forward")));
            }
            return MessageId::parse("forward", forward).map(NewBody::Forward);
        }
        let message_type = message_type.map_or(Ok(MessageType::Text), MessageType::parse)?;
        let file = file_id.map(|id| FileId::parse("file_id", id)).transpose()?;
        NewBody::parse(message_type, content, file)
    }
}

/// Parses the user or the group that a request names.
///
/// # Errors
/// [`Invalid`] unless the request names exactly one of the two, by an id.
pub fn recipient(receiver_id: Option<&str>, group_id: Option<&str>) -> Result<Recipient, Invalid> {
    match (receiver_id, group_id) {
        (Some(user), None) => UserId::parse("receiver_id", user).map(Recipient::User),
        (None, Some(group)) => GroupId::parse("group_id", group).map(Recipient::Group),
        _ => Err(Invalid::new("receiver_id", "give exactly one of receiver_id and group_id")),
    }
}

/// Returns the key of the header, or the `client_id` of the body if the route has one.
///
/// # Errors
/// [`Invalid`] naming the malformed one, or `client_id` if the two differ.
pub fn idempotency_key(headers: &HeaderMap, client_id: Option<&str>) -> Result<Option<IdempotencyKey>, Invalid> {
    let in_body = client_id.map(|key| IdempotencyKey::parse("client_id", key)).transpose()?;
    let mut in_header = None;
    for value in headers.get_all(KEY_HEADER) {
        let text = std::str::from_utf8(value.as_bytes());
        let text = text.map_err(|_| Invalid::new(KEY_HEADER, format!("{KEY_HEADER} is not UTF-8")))?;
        let key = IdempotencyKey::parse(KEY_HEADER, text)?;
        if in_header.as_ref().is_some_and(|other| *other != key) {
            return Err(Invalid::new(KEY_HEADER, format!("{KEY_HEADER} is given twice")));
        }
        in_header = Some(key);
    }
    match (in_header, in_body) {
        (Some(header), Some(body)) if header != body => {
            Err(Invalid::new("client_id", format!("client_id and {KEY_HEADER} differ")))
        }
        (header, body) => Ok(header.or(body)),
    }
}

/// Answers 201 with the new message, or 200 with the one sent before under the same key.
pub fn sent(public: &PublicUrl, outcome: Appended) -> HttpResponse {
    match outcome {
        Appended::Stored(message) => HttpResponse::Created().json(wire::Message::at(public, message)),
        Appended::Duplicate(message) => HttpResponse::Ok().json(wire::Message::at(public, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let name = HeaderName::from_static("idempotency-key");
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn the_key_is_one_wherever_it_is_given() {
        for (header, body, key) in [
            (&[][..], None, None),
            (&[&b"k"[..]][..], None, Some("k")),
            (&[], Some("k"), Some("k")),
            (&[b"k"], Some("k"), Some("k")),
            (&[b"k", b"k"], None, Some("k")),
            (&["schlüssel".as_bytes()], Some("schlüssel"), Some("schlüssel")),
        ] {
            let parsed = idempotency_key(&headers(header), body).unwrap();
            assert_eq!(parsed.as_ref().map(IdempotencyKey::as_str), key);
        }
    }

    #[test]
    fn a_malformed_or_ambiguous_key_is_refused() {
        let long = "k".repeat(65);
        for (header, body, field) in [
            (&[&b""[..]][..], None, KEY_HEADER),
            (&[long.as_bytes()], None, KEY_HEADER),
            (&[b"\xff"], None, KEY_HEADER),
            (&[b"k", b"l"], None, KEY_HEADER),
            (&[], Some(""), "client_id"),
            (&[b"k"], Some(long.as_str()), "client_id"),
            (&[b"k"], Some("l"), "client_id"),
        ] {
            assert_eq!(idempotency_key(&headers(header), body).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_message_goes_to_exactly_one() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(matches!(recipient(Some(id), None), Ok(Recipient::User(_))));
        assert!(matches!(recipient(None, Some(id)), Ok(Recipient::Group(_))));
        for (user, group, field) in [
            (None, None, "receiver_id"),
            (Some(id), Some(id), "receiver_id"),
            (Some("bob"), None, "receiver_id"),
            (None, Some(""), "group_id"),
        ] {
            assert_eq!(recipient(user, group).unwrap_err().field, field);
        }
    }
}
