//! JSON of what a message has beside its content.

use crate::people::Sender;
use crate::{Id, Time};
use domain::messages;
use serde::Serialize;
use utoipa::ToSchema;

/// The reactions to a message with one emoji.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reaction {
    #[schema(examples("👍"))]
    emoji: String,
    count: u64,
    /// The first 50 users who reacted, and the caller, if the caller reacted later. Live frames have no caller.
    user_ids: Vec<Id>,
}

impl From<messages::Reaction> for Reaction {
    fn from(reaction: messages::Reaction) -> Self {
        Self {
            emoji: reaction.emoji.into_string(),
            count: reaction.count,
            user_ids: reaction.users.into_iter().map(|user| Id(user.0)).collect(),
        }
    }
}

/// A user who reacted to a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reactor {
    #[schema(examples("👍"))]
    emoji: String,
    user: Sender,
    created_at: Time,
}

impl From<messages::Reactor> for Reactor {
    fn from(reactor: messages::Reactor) -> Self {
        Self { emoji: reactor.emoji.into_string(), user: reactor.user.into(), created_at: Time(reactor.created_at) }
    }
}

/// That a message is pinned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pinned {
    at: Time,
    /// The user who pinned it.
    by: Id,
}

impl From<messages::Pin> for Pinned {
    fn from(pin: messages::Pin) -> Self {
        Self { at: Time(pin.at), by: Id(pin.by.0) }
    }
}

/// The replies to the first message of a thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct Thread {
    replies: u64,
    last_reply_at: Time,
}

impl From<messages::ThreadSummary> for Thread {
    fn from(summary: messages::ThreadSummary) -> Self {
        Self { replies: summary.replies, last_reply_at: Time(summary.last_reply_at) }
    }
}

/// Where a forwarded message comes from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forwarded {
    /// The user who said it first.
    sender: Sender,
    created_at: Time,
}

impl From<messages::Forwarded> for Forwarded {
    fn from(forwarded: messages::Forwarded) -> Self {
        Self { sender: forwarded.sender.into(), created_at: Time(forwarded.created_at) }
    }
}

/// A content that a message has or had.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageVersion {
    content: String,
    /// Since when the message said so.
    created_at: Time,
}

impl From<messages::MessageVersion> for MessageVersion {
    fn from(version: messages::MessageVersion) -> Self {
        Self { content: version.content, created_at: Time(version.created_at) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Message, PublicUrl};
    use domain::messages::{self, Emoji, Forwarded, Mentions, Pin, Reaction, ThreadSummary, Update};
    use domain::{MessageId, Timestamp, UserId};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn a_message_shows_its_parts() {
        let at = Timestamp::from_micros(1).unwrap();
        let user = |n| UserId(Uuid::from_u128(n));
        let id = |n| Uuid::from_u128(n).to_string();
        let sample = messages::Message::sample();
        let message = messages::Message {
            mentions: Mentions { users: vec![user(8), user(9)], all: true },
            reactions: vec![Reaction { emoji: Emoji::parse("👍").unwrap(), count: 2, users: vec![user(4), user(5)] }],
            pinned: Some(Pin { at, by: user(6), update: Update(9) }),
            thread_id: Some(MessageId(Uuid::from_u128(7))),
            thread: Some(ThreadSummary { replies: 3, last_reply_at: at }),
            forwarded: Some(Forwarded { sender: sample.sender.clone(), created_at: at }),
            ..sample
        };
        let shown = serde_json::to_value(Message::at(&PublicUrl::default(), message)).unwrap();
        let moment = "1970-01-01T00:00:00.000001Z";
        assert_eq!((&shown["mentions"], &shown["mentions_all"]), (&json!([id(8), id(9)]), &json!(true)));
        assert_eq!(shown["reactions"], json!([{"emoji": "👍", "count": 2, "user_ids": [id(4), id(5)]}]));
        assert_eq!(shown["pinned"], json!({"at": moment, "by": id(6)}));
        assert_eq!(shown["thread_id"], json!(id(7)));
        assert_eq!(shown["thread"], json!({"replies": 3, "last_reply_at": moment}));
        let sender = json!({"id": id(1), "username": "ada", "display_name": "Ada"});
        assert_eq!(shown["forwarded"], json!({"sender": sender, "created_at": moment}));
    }
}
