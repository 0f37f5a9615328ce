//! Encodes events for clients. Only this module gives an event its JSON form.
//!
//! A frame holds a whole WebSocket text frame, because a server's frames are the same for all clients. The event stream
//! takes the JSON out of it ([`json_of`]).

use super::cursor::Cursor;
use super::reference::Reference;
use crate::http::error::{ApiError, Body};
use wire::PublicUrl;
use wire::events::{self, EventName};

use bytes::Bytes;
use domain::events::{Event, EventDigest, Revision};
use domain::live::{Resync, Typing};
use domain::messages::{ChangeEntry, Message, Update};
use domain::{ConversationId, UserId};
use infra_live::{Frame, Framer, Signal};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// The longest header of an unmasked WebSocket frame, in bytes.
const MAX_HEADER_BYTES: usize = 10;
/// The first byte of a whole text frame: FIN and the opcode.
const TEXT: u8 = 0x81;

#[derive(Serialize)]
struct Envelope<'a, T> {
    event: &'a str,
    cursor: Cursor,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<wire::Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<wire::ShortDigest>,
    data: T,
}

/// Encodes a value as JSON in a WebSocket text frame.
fn text(value: &impl Serialize) -> Bytes {
    written(|json| {
        // Our own types always serialize; an empty frame would reveal an error.
        let _ = serde_json::to_writer(json, value);
    })
}

/// Builds a WebSocket text frame. `write` appends the JSON once; the function reserves space for the header and fills
/// it in afterwards.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = Vec::with_capacity(640);
    frame.resize(MAX_HEADER_BYTES, 0);
    write(&mut frame);
    let length = frame.len() - MAX_HEADER_BYTES;
    let begin = match length {
        0..126 => {
            frame[8..10].copy_from_slice(&[TEXT, u8::try_from(length).unwrap_or(0)]);
            8
        }
        126..=0xffff => {
            frame[6..8].copy_from_slice(&[TEXT, 126]);
            frame[8..10].copy_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
            6
        }
        _ => {
            frame[..2].copy_from_slice(&[TEXT, 127]);
            frame[2..10].copy_from_slice(&u64::try_from(length).unwrap_or(0).to_be_bytes());
            0
        }
    };
    Bytes::from(frame).slice(begin..)
}

/// The JSON of a frame that this module built.
pub fn json_of(frame: &Bytes) -> &[u8] {
    let header = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

/// What a frame says besides its event: the conversation that it belongs to, and where a client resumes.
struct FrameHeader {
    conversation: Option<ConversationId>,
    update: Option<Update>,
    /// The digest of the conversation at `update`.
    digest: EventDigest,
    cursor: Revision,
}

impl FrameHeader {
    /// The frame belongs to no conversation.
    fn none(cursor: Revision) -> Self {
        Self { conversation: None, update: None, digest: None, cursor }
    }

    fn frame(self, name: EventName, data: impl Serialize) -> Frame {
        let Self { conversation, update, digest, cursor } = self;
        let (name, conversation_id) = (name.as_str(), conversation.map(|id| wire::Id(id.0)));
        let bytes = text(&Envelope {
            event: name,
            cursor: Cursor(cursor),
            conversation_id,
            update: update.map(|update| update.0),
            digest: digest.map(wire::ShortDigest),
            data,
        });
        Frame { name, cursor, bytes, position: conversation.zip(update), transient: false }
    }
}

/// Encodes events as JSON frames.
#[derive(Debug, Clone, Default)]
pub struct JsonFramer {
    public: PublicUrl,
}

impl JsonFramer {
    /// Encodes files' URLs relative to this base URL.
    pub fn at(public: PublicUrl) -> Self {
        Self { public }
    }

    fn message(&self, message: &Message) -> wire::Message {
        wire::Message::at(&self.public, message.clone())
    }
}

impl Framer for JsonFramer {
    fn event(&self, event: &Event, cursor: Revision) -> Option<Frame> {
        let (conversation, update, digest) = (event.conversation(), event.update(), event.digest());
        let header = FrameHeader { conversation, update, digest, cursor };
        Some(match event {
            Event::MessageCreated(sent, _) => header.frame(EventName::MessageCreated, self.message(sent)),
            Event::MessageUpdated(edited, _) => header.frame(EventName::MessageUpdated, self.message(edited)),
            Event::MessageDeleted { tombstone, .. } => {
                header.frame(EventName::MessageDeleted, events::MessageDeleted::from(tombstone))
            }
            Event::MessageSeen { message, reader, seen_at, .. } => {
                header.frame(EventName::MessageSeen, events::MessageSeen::new(*message, *reader, *seen_at))
            }
            Event::ConversationRead { reader, up_to, .. } => {
                header.frame(EventName::ConversationRead, events::ConversationRead::new(*reader, *up_to))
            }
            Event::SettingsChanged { settings, .. } => {
                header.frame(EventName::SettingsChanged, wire::Settings::from(*settings))
            }
            Event::DraftChanged { draft, .. } => {
                header.frame(EventName::DraftChanged, events::DraftChanged::from(draft.clone()))
            }
            Event::MarkedUnread { user, from, .. } => {
                header.frame(EventName::MarkedUnread, events::MarkedUnread::new(*user, *from))
            }
            Event::GroupUpdated(changed) => header.frame(EventName::GroupUpdated, events::GroupChanged::from(changed)),
            Event::GroupDeleted(gone) => header.frame(EventName::GroupDeleted, events::GroupChanged::from(gone)),
            Event::MemberAdded(new) => header.frame(EventName::MemberAdded, wire::Member::from(new.clone())),
            Event::MemberUpdated(changed) => {
                header.frame(EventName::MemberUpdated, wire::Member::from(changed.clone()))
            }
            Event::MemberRemoved(gone) => header.frame(EventName::MemberRemoved, wire::Member::from(gone.clone())),
            Event::SessionEnded { .. } | Event::UserDeleted(_) | Event::Acquainted(_) => return None,
        })
    }

    fn signal(&self, signal: &Signal, cursor: Revision) -> Frame {
        let told = match signal {
            Signal::Typing(Typing { user, username, conversation, .. }) => {
                let header = FrameHeader { conversation: *conversation, ..FrameHeader::none(cursor) };
                header.frame(EventName::Typing, events::Typing::new(*user, username))
            }
            Signal::Presence { user, online } => presence(*user, *online, cursor),
        };
        Frame { transient: true, ..told }
    }

    fn resync(&self, told: &Resync, cursor: Revision) -> Frame {
        resync(told, cursor)
    }
}

/// Builds the first frame of a connection.
pub fn hello(user: UserId, heartbeat: Duration, cursor: Revision) -> Frame {
    FrameHeader::none(cursor).frame(EventName::Hello, events::Hello::new(user, heartbeat))
}

/// Builds the frame for a user who comes online, is online, or goes offline.
pub fn presence(user: UserId, online: bool, cursor: Revision) -> Frame {
    FrameHeader::none(cursor).frame(EventName::Presence, events::Presence::new(user, online))
}

/// Builds the frame that names what the client has to reload.
pub fn resync(resync: &Resync, cursor: Revision) -> Frame {
    let header = FrameHeader { conversation: resync.conversation, ..FrameHeader::none(cursor) };
    header.frame(EventName::Resync, events::Resync::from(resync))
}

/// A change that a client missed.
pub struct MissedChange {
    /// The conversation.
    pub conversation: ConversationId,
    /// The number up to which the client knows the conversation.
    pub known: Update,
    /// The change.
    pub entry: ChangeEntry,
    /// The digest of the conversation at the change's number, if that is the present one.
    pub digest: EventDigest,
}

/// Builds the frame of a missed change.
pub fn missed(public: &PublicUrl, missed: MissedChange, cursor: Revision) -> Frame {
    let MissedChange { conversation, known, entry, digest } = missed;
    let header = FrameHeader { conversation: Some(conversation), update: Some(entry.update()), digest, cursor };
    match entry {
        ChangeEntry::Message(message) => {
            let name = if message.seq.is_after(known) { EventName::MessageCreated } else { EventName::MessageUpdated };
            header.frame(name, wire::Message::at(public, *message))
        }
        ChangeEntry::Deleted(tombstone) => {
            header.frame(EventName::MessageDeleted, events::MessageDeleted::from(&tombstone))
        }
    }
}

/// The `data` of the reply to an operation.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ReplyData {
    /// The message that was sent.
    Message(Box<wire::Message>),
    /// Where the conversation stands.
    SyncPoint(wire::SyncPoint),
}

/// Builds the reply to an operation with its `reference`: its result, or its error and when to try again.
pub fn reply(reference: &Reference, outcome: Result<Option<ReplyData>, &ApiError>, cursor: Revision) -> Bytes {
    #[derive(Serialize)]
    struct ReplyError<'a> {
        #[serde(flatten)]
        body: Body<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    }
    #[derive(Serialize)]
    struct Reply<'a> {
        event: &'static str,
        cursor: Cursor,
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<ReplyData>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ReplyError<'a>>,
    }
    let ok = outcome.is_ok();
    let (data, error) = match outcome {
        Ok(data) => (data, None),
        Err(error) => (None, Some(ReplyError { body: error.view(), retry_after: error.retry_after() })),
    };
    written(|json| {
        json.extend_from_slice(br#"{"ref":"#);
        json.extend_from_slice(reference.as_json().as_bytes());
        let brace = json.len();
        // Our own types always serialize; a broken frame would reveal an error.
        let _ = serde_json::to_writer(&mut *json, &Reply { event: REPLY, cursor: Cursor(cursor), ok, data, error });
        // The rest of the same object.
        if let Some(begin) = json.get_mut(brace) {
            *begin = b',';
        }
    })
}

/// Builds the reply to a ping.
pub fn pong(cursor: Revision) -> Bytes {
    text(&json!({ "event": PONG, "cursor": Cursor(cursor) }))
}

/// The event name of replies.
pub const REPLY: &str = "reply";
/// The event name of replies to pings.
pub const PONG: &str = "pong";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_whole_websocket_frame_whatever_its_length() {
        for (length, header) in [(2, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (100_000, 10)] {
            let value = "x".repeat(length - 2);
            let frame = text(&value);
            assert_eq!((frame[0], frame.len()), (TEXT, header + length));
            assert_eq!(json_of(&frame), format!("\"{value}\"").as_bytes());
            let told = match frame[1] {
                127 => u64::from_be_bytes(frame[2..10].try_into().unwrap()),
                126 => u64::from(u16::from_be_bytes(frame[2..4].try_into().unwrap())),
                short => u64::from(short),
            };
            assert_eq!(told, length as u64);
        }
    }
}
