//! JSON of live events: the name of each event and its payload.

pub use crate::views::DraftChanged;
use crate::{Group, Id, Member, Message, Settings, ShortDigest, Time};
use domain::live::Resync as Told;
use domain::messages::Tombstone;
use domain::{MessageId, Timestamp, UserId, groups};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Type};

/// The table of all events: the name of each and the type of its `data`.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal: $data:ty;)+) => {
        /// The events that clients receive.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventName {
            $($(#[$doc])* $event),+
        }

        impl EventName {
            /// All events.
            pub const ALL: &[Self] = &[$(Self::$event),+];

            /// The name in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$event => $name),+
                }
            }

            /// The name of the payload's schema in the OpenAPI document.
            pub fn data(self) -> String {
                match self {
                    $(Self::$event => <$data as ToSchema>::name().into_owned()),+
                }
            }
        }
    };
}

events! {
    /// The first frame of a connection.
    Hello = "hello": Hello;
    /// A message was sent.
    MessageCreated = "message.created": Message;
    /// A message was edited.
    MessageUpdated = "message.updated": Message;
    /// A message was deleted.
    MessageDeleted = "message.deleted": MessageDeleted;
    /// A message was seen.
    MessageSeen = "message.seen": MessageSeen;
    /// A user read a conversation up to a message.
    ConversationRead = "conversation.read": ConversationRead;
    /// The user changed the settings of a conversation.
    SettingsChanged = "conversation.settings": Settings;
    /// The user's draft in a conversation changed.
    DraftChanged = "conversation.draft": DraftChanged;
    /// The user marked messages of a conversation as unread.
    MarkedUnread = "conversation.unread": MarkedUnread;
    /// A group's name, description or visibility changed.
    GroupUpdated = "group.updated": GroupChanged;
    /// A group was deleted.
    GroupDeleted = "group.deleted": GroupChanged;
    /// A user joined a group.
    MemberAdded = "member.added": Member;
    /// A member's role changed.
    MemberUpdated = "member.updated": Member;
    /// A user left a group.
    MemberRemoved = "member.removed": Member;
    /// A user is typing.
    Typing = "typing": Typing;
    /// A user came online or went offline.
    Presence = "presence": Presence;
    /// The client has to reload its data.
    Resync = "resync": Resync;
}

/// A frame of a live connection, for the OpenAPI document: `event` decides the type of `data`. `GET /ws` sends the same
/// frames, which OpenAPI cannot describe.
#[derive(Debug)]
pub struct EventFrame;

impl utoipa::PartialSchema for EventFrame {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let names = text().enum_values(Some(EventName::ALL.iter().map(|name| name.as_str())));
        let lines = EventName::ALL.iter().map(|name| format!("`{}`: {}", name.as_str(), name.data()));
        let described = format!("The content of the event, by its name: {}.", lines.collect::<Vec<_>>().join("; "));
        let payloads: BTreeSet<String> = EventName::ALL.iter().map(|name| name.data()).collect();
        let data = payloads.into_iter().fold(OneOfBuilder::new().description(Some(described)), |one_of, payload| {
            one_of.item(Ref::from_schema_name(payload))
        });
        let frame: Object = ObjectBuilder::new()
            .property("event", names)
            .property("cursor", text().description(Some("Opaque; where to go on from.")))
            .property("conversation_id", Id::schema())
            .property("update", ObjectBuilder::new().schema_type(Type::Integer))
            .property("digest", ShortDigest::schema())
            .property("data", data)
            .required("event")
            .required("cursor")
            .required("data")
            .build();
        frame.into()
    }
}

impl ToSchema for EventFrame {}

/// The user of the connection, and the interval of its keep-alives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hello {
    user_id: Id,
    heartbeat_seconds: u64,
}

impl Hello {
    /// The first frame for this user, with this keep-alive interval.
    pub fn new(user: UserId, heartbeat: Duration) -> Self {
        Self { user_id: Id(user.0), heartbeat_seconds: heartbeat.as_secs() }
    }
}

/// The deleted message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageDeleted {
    id: Id,
}

impl From<&Tombstone> for MessageDeleted {
    fn from(tombstone: &Tombstone) -> Self {
        Self { id: Id(tombstone.id.0) }
    }
}

/// A receipt for one message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageSeen {
    message_id: Id,
    user_id: Id,
    seen_at: Time,
}

impl MessageSeen {
    /// The receipt of this reader at this time.
    pub fn new(message: MessageId, reader: UserId, seen_at: Timestamp) -> Self {
        Self { message_id: Id(message.0), user_id: Id(reader.0), seen_at: Time(seen_at) }
    }
}

/// The reader of a conversation, and the last message read.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationRead {
    user_id: Id,
    up_to: Id,
}

impl ConversationRead {
    /// The event for this reader.
    pub fn new(reader: UserId, up_to: MessageId) -> Self {
        Self { user_id: Id(reader.0), up_to: Id(up_to.0) }
    }
}

/// The user, and the first message that the user wants to be unread.
#[derive(Debug, Serialize, ToSchema)]
pub struct MarkedUnread {
    user_id: Id,
    from: Id,
}

impl MarkedUnread {
    /// The event for this user.
    pub fn new(user: UserId, from: MessageId) -> Self {
        Self { user_id: Id(user.0), from: Id(from.0) }
    }
}

/// A group as every member receives it, without the receiver's own role.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupChanged {
    id: Id,
    name: String,
    description: String,
    #[schema(schema_with = crate::visibility_word)]
    visibility: &'static str,
    member_count: u64,
    created_at: Time,
    updated_at: Time,
}

impl From<&groups::Group> for GroupChanged {
    fn from(group: &groups::Group) -> Self {
        let Group { id, name, description, visibility, member_count, role: _, created_at, updated_at } =
            groups::GroupView { group: group.clone(), role: None }.into();
        Self { id, name, description, visibility, member_count, created_at, updated_at }
    }
}

/// The user who is typing, and where.
#[derive(Debug, Serialize, ToSchema)]
pub struct Typing<'a> {
    user_id: Id,
    username: &'a str,
}

impl<'a> Typing<'a> {
    /// The event for this user.
    pub fn new(user: UserId, username: &'a str) -> Self {
        Self { user_id: Id(user.0), username }
    }
}

/// Whether a user is online.
#[derive(Debug, Serialize, ToSchema)]
pub struct Presence {
    user_id: Id,
    online: bool,
}

impl Presence {
    /// The presence of this user.
    pub fn new(user: UserId, online: bool) -> Self {
        Self { user_id: Id(user.0), online }
    }
}

/// Why the client has to reload its data.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resync {
    reason: &'static str,
}

impl From<&Told> for Resync {
    fn from(told: &Told) -> Self {
        Self { reason: told.reason.as_str() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_names_every_event() {
        let contract = include_str!("../../../docs/api.md");
        let rows: Vec<&str> = contract.lines().filter(|line| line.starts_with("| `")).collect();
        for name in EventName::ALL {
            let name = format!("`{}`", name.as_str());
            assert!(rows.iter().any(|row| row.contains(&name)), "{name}");
        }
    }

    #[test]
    fn the_document_says_what_each_event_tells() {
        let schema = serde_json::to_value(<EventFrame as utoipa::PartialSchema>::schema()).unwrap();
        let described = schema["properties"]["data"]["description"].as_str().unwrap();
        assert!(
            described.contains("`group.deleted`: GroupChanged;") && described.contains("`message.created`: Message;")
        );
        assert_eq!(schema["properties"]["event"]["enum"].as_array().unwrap().len(), EventName::ALL.len());
    }
}
