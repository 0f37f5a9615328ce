//! JSON of messages and the feed of changes.

use crate::PublicUrl;
use crate::files::File;
use crate::message_parts::{Forwarded, Pinned, Reaction, Thread};
use crate::people::Sender;
use crate::{Id, ShortDigest, Time};
use domain::messages;
use domain::messages::{ChangeEntry, Destination};
use serde::Serialize;
use utoipa::ToSchema;

/// The kind of a message's conversation, in both APIs.
pub const fn kind(destination: Destination) -> &'static str {
    match destination {
        Destination::Direct { .. } => "direct",
        Destination::Group(_) => "group",
        Destination::Broadcast => "broadcast",
    }
}

/// Whether to leave a flag out.
fn is_not(flag: &bool) -> bool {
    !*flag
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    id: Id,
    conversation_id: Id,
    #[schema(schema_with = super::kind_word)]
    kind: &'static str,
    sender_id: Id,
    sender: Sender,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receiver_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_id: Option<Id>,
    #[serde(rename = "type")]
    #[schema(schema_with = super::type_word)]
    message_type: &'static str,
    #[schema(examples("Hello!"))]
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    file_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    file: Option<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reply_to: Option<Id>,
    /// The members whom it mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    mentions: Vec<Id>,
    /// Whether it mentions all who were members at that moment; absent if not.
    #[serde(skip_serializing_if = "is_not")]
    #[schema(required = false)]
    mentions_all: bool,
    /// By the oldest reaction of each emoji.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reactions: Vec<Reaction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pinned: Option<Pinned>,
    /// The first message of the thread that it is a reply in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    thread_id: Option<Id>,
    /// On the first message of a thread that has replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    thread: Option<Thread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    forwarded: Option<Forwarded>,
    /// The conversation's counter when the message was sent; it orders the conversation.
    seq: i64,
    /// The conversation's counter at the last change of the message.
    update: i64,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    edited_at: Option<Time>,
}

impl Message {
    /// The message with its file's URL relative to this base URL.
    pub fn at(public: &PublicUrl, message: messages::Message) -> Self {
        let (receiver_id, group_id) = match message.destination {
            Destination::Direct { receiver } => (Some(Id(receiver.0)), None),
            Destination::Group(group) => (None, Some(Id(group.0))),
            Destination::Broadcast => (None, None),
        };
        let message_type = message.body.message_type().as_str();
        let (content, file) = match message.body {
            messages::Body::Text(text) => (text.into_string(), None),
            messages::Body::Attachment { file, caption, .. } => (caption.into_string(), Some(file)),
        };
        Self {
            id: Id(message.id.0),
            conversation_id: Id(message.conversation.0),
            kind: kind(message.destination),
            sender_id: Id(message.sender.id.0),
            sender: message.sender.into(),
            receiver_id,
            group_id,
            message_type,
            content,
            file_id: file.as_ref().map(|file| Id(file.id.0)),
            file: file.map(|file| File::at(public, file)),
            reply_to: message.reply_to.map(|id| Id(id.0)),
            mentions: message.mentions.users.into_iter().map(|user| Id(user.0)).collect(),
            mentions_all: message.mentions.all,
            reactions: message.reactions.into_iter().map(Reaction::from).collect(),
            pinned: message.pinned.map(Pinned::from),
            thread_id: message.thread_id.map(|id| Id(id.0)),
            thread: message.thread.map(Thread::from),
            forwarded: message.forwarded.map(Forwarded::from),
            seq: message.seq.0,
            update: message.update.0,
            created_at: Time(message.created_at),
            updated_at: Time(message.updated_at),
            edited_at: message.edited_at.map(Time),
        }
    }
}

/// The remains of a deleted message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tombstone {
    id: Id,
    conversation_id: Id,
    seq: i64,
    update: i64,
    deleted_at: Time,
}

impl From<messages::Tombstone> for Tombstone {
    fn from(tombstone: messages::Tombstone) -> Self {
        Self {
            id: Id(tombstone.id.0),
            conversation_id: Id(tombstone.conversation.0),
            seq: tombstone.seq.0,
            update: tombstone.update.0,
            deleted_at: Time(tombstone.deleted_at),
        }
    }
}

/// An entry of a change feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Change {
    /// Sent or edited.
    Message(Box<Message>),
    /// Deleted.
    Tombstone(Tombstone),
}

/// A page of a conversation's change feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changes {
    /// The next page's `after`.
    update: i64,
    messages: Vec<Change>,
    more: bool,
    /// The digest of the conversation at `update`, on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    digest: Option<ShortDigest>,
}

impl Changes {
    /// The page with files' URLs relative to this base URL.
    pub fn at(public: &PublicUrl, changes: messages::Changes) -> Self {
        let entry = |entry| match entry {
            ChangeEntry::Message(message) => Change::Message(Box::new(Message::at(public, *message))),
            ChangeEntry::Deleted(tombstone) => Change::Tombstone(tombstone.into()),
        };
        Self {
            update: changes.update.0,
            messages: changes.entries.into_iter().map(entry).collect(),
            more: changes.more,
            digest: changes.digest.map(ShortDigest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::files;
    use domain::messages::{AttachmentKind, Body, Caption, Text};
    use domain::messages::{Seq, Update};
    use domain::users::Profile;
    use domain::{ConversationId, FileId, GroupId, MessageId, Timestamp, UserId};
    use serde_json::json;
    use uuid::Uuid;

    const AT: &str = "1970-01-01T00:00:00.000001Z";

    fn id(n: u128) -> String {
        Uuid::from_u128(n).to_string()
    }

    fn message(destination: Destination, body: Body) -> messages::Message {
        let at = Timestamp::from_micros(1).unwrap();
        let sender =
            Profile { id: UserId(Uuid::from_u128(3)), username: "ada".to_owned(), display_name: "Ada L.".to_owned() };
        messages::Message {
            conversation: ConversationId(Uuid::from_u128(2)),
            destination,
            sender,
            body,
            seq: Seq(7),
            update: Update(7),
            created_at: at,
            updated_at: at,
            ..messages::Message::sample()
        }
    }

    fn shown(message: messages::Message) -> serde_json::Value {
        serde_json::to_value(Message::at(&PublicUrl::default(), message)).unwrap()
    }

    fn text(content: &str) -> Body {
        Body::Text(Text::parse(content).unwrap())
    }

    fn file() -> files::File {
        files::File {
            id: FileId(Uuid::from_u128(5)),
            uploader: UserId(Uuid::from_u128(3)),
            name: files::FileName::clean("ä b/..%?#.png"),
            size: 9,
            media_type: files::MediaType::from_stored("image/png".to_owned()),
            sha256: files::Sha256([0xab; 32]),
            sent_sha256: files::Sha256([0xcd; 32]),
            image: None,
            created_at: Timestamp::from_micros(1).unwrap(),
        }
    }

    #[test]
    fn a_message_shows_its_place_and_leaves_out_what_is_unset() {
        let direct = message(Destination::Direct { receiver: UserId(Uuid::from_u128(4)) }, text(" a|\"b\" 🙂 "));
        assert_eq!(
            shown(direct),
            json!({
                "id": id(1), "conversation_id": id(2), "kind": "direct", "sender_id": id(3),
                "sender": {"id": id(3), "username": "ada", "display_name": "Ada L."}, "receiver_id": id(4),
                "type": "text", "content": " a|\"b\" 🙂 ", "seq": 7, "update": 7, "created_at": AT, "updated_at": AT,
            })
        );
        let group = shown(message(Destination::Group(GroupId(Uuid::from_u128(6))), text("x")));
        assert_eq!((&group["kind"], &group["group_id"]), (&json!("group"), &json!(id(6))));
        assert!(group.get("receiver_id").is_none());
        let broadcast = shown(message(Destination::Broadcast, text("x")));
        assert_eq!(broadcast["kind"], "broadcast");
        assert!(broadcast.get("receiver_id").is_none() && broadcast.get("group_id").is_none());
    }

    #[test]
    fn a_deleted_sender_is_marked() {
        let mut sent = message(Destination::Broadcast, text("x"));
        sent.sender.username = domain::users::DELETED_USER.to_owned();
        sent.sender.display_name = domain::users::DELETED_USER.to_owned();
        let expected =
            json!({"id": id(3), "username": "deleted user", "display_name": "deleted user", "deleted": true});
        assert_eq!(shown(sent)["sender"], expected);
    }

    #[test]
    fn a_message_carries_its_file() {
        let body = Body::Attachment { kind: AttachmentKind::Image, file: file(), caption: Caption::none() };
        let mut sent = message(Destination::Broadcast, body);
        sent.reply_to = Some(MessageId(Uuid::from_u128(8)));
        sent.edited_at = Some(sent.updated_at);
        let public = PublicUrl::parse("https://example.org/chat").unwrap();
        let behind = serde_json::to_value(Message::at(&public, sent.clone())).unwrap();
        assert_eq!(behind["file"]["url"], format!("/chat/uploads/{}/..%25%3F%23.png", id(5)));
        let shown = shown(sent);
        assert_eq!(
            shown["file"],
            json!({
                "id": id(5), "url": format!("/uploads/{}/..%25%3F%23.png", id(5)), "name": "..%?#.png", "size": 9,
                "type": "image/png", "sha256": "ab".repeat(32), "created_at": AT,
            })
        );
        assert_eq!(
            (&shown["type"], &shown["content"], &shown["file_id"]),
            (&json!("image"), &json!(""), &json!(id(5)))
        );
        assert_eq!((&shown["reply_to"], &shown["edited_at"]), (&json!(id(8)), &json!(AT)));
    }

    #[test]
    fn a_change_feed_mixes_messages_and_tombstones() {
        let deleted = messages::Tombstone {
            id: MessageId(Uuid::from_u128(9)),
            conversation: ConversationId(Uuid::from_u128(2)),
            seq: Seq(3),
            update: Update(8),
            deleted_at: Timestamp::from_micros(1).unwrap(),
        };
        let live = ChangeEntry::Message(Box::new(message(Destination::Broadcast, text("x"))));
        let changes = messages::Changes {
            update: Update(8),
            entries: vec![live, ChangeEntry::Deleted(deleted)],
            more: true,
            digest: None,
        };
        let shown = serde_json::to_value(Changes::at(&PublicUrl::default(), changes)).unwrap();
        assert_eq!(
            (&shown["update"], &shown["more"], &shown["messages"][0]["id"]),
            (&json!(8), &json!(true), &json!(id(1)))
        );
        let tombstone = json!({"id": id(9), "conversation_id": id(2), "seq": 3, "update": 8, "deleted_at": AT});
        assert_eq!(shown["messages"][1], tombstone);
        assert!(shown.get("digest").is_none());
        let digest = Some(messages::ShortDigest::parse("0123456789abcdef").unwrap());
        let last = messages::Changes { update: Update(8), entries: Vec::new(), more: false, digest };
        let shown = serde_json::to_value(Changes::at(&PublicUrl::default(), last)).unwrap();
        assert_eq!(shown, json!({"update": 8, "messages": [], "more": false, "digest": "0123456789abcdef"}));
    }
}
