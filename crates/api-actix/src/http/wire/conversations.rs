//! Conversations as one sees them in a list, and who has seen what.

use super::{Group, Id, Message, Time, User};
use domain::conversations::With;
use domain::{conversations, receipts, users};
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody has seen a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    user_id: Id,
    username: String,
    seen_at: Time,
}

impl From<receipts::Receipt> for Receipt {
    fn from(receipt: receipts::Receipt) -> Self {
        Self { user_id: Id(receipt.user.0), username: receipt.username, seen_at: Time(receipt.seen_at) }
    }
}

/// What one has not seen of another user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnseenDirect {
    user_id: Id,
    username: String,
    unseen_count: u64,
}

/// What one has not seen of a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnseenGroup {
    group_id: Id,
    group_name: String,
    unseen_count: u64,
}

/// What one has not seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unseen {
    direct_messages: Vec<UnseenDirect>,
    group_messages: Vec<UnseenGroup>,
    total: u64,
}

impl From<receipts::Unseen> for Unseen {
    fn from(unseen: receipts::Unseen) -> Self {
        let total = unseen.total();
        let direct = |(user, username, unseen_count): (domain::UserId, _, _)| UnseenDirect {
            user_id: Id(user.0),
            username,
            unseen_count,
        };
        let group = |(group, group_name, unseen_count): (domain::GroupId, _, _)| UnseenGroup {
            group_id: Id(group.0),
            group_name,
            unseen_count,
        };
        Self {
            direct_messages: unseen.direct.into_iter().map(direct).collect(),
            group_messages: unseen.groups.into_iter().map(group).collect(),
            total,
        }
    }
}

/// A conversation in one's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversation {
    id: Id,
    #[schema(schema_with = super::kind_word)]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<Group>,
    #[schema(required)]
    last_message: Option<Message>,
    unseen_count: u64,
    update: i64,
    updated_at: Time,
}

impl Conversation {
    /// As listed to a reader who sees other users by `view`.
    pub fn listed(conversation: conversations::Conversation, view: impl Fn(&users::User) -> users::UserView) -> Self {
        let (kind, user, group) = match conversation.with {
            With::User(user) => ("direct", Some(view(&user).into()), None),
            With::Group(group) => ("group", None, Some(group.into())),
            With::Everybody => ("broadcast", None, None),
        };
        Self {
            id: Id(conversation.id.0),
            kind,
            user,
            group,
            last_message: conversation.last_message.map(Message::from),
            unseen_count: conversation.unseen,
            update: conversation.update,
            updated_at: Time(conversation.active_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ConversationId, GroupId, Timestamp, UserId};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn unseen_counts_are_listed_with_their_sum() {
        let unseen = receipts::Unseen {
            direct: vec![(UserId(Uuid::nil()), "ada".to_owned(), 2)],
            groups: vec![(GroupId(Uuid::max()), "all".to_owned(), 3)],
        };
        assert_eq!(
            serde_json::to_value(Unseen::from(unseen)).unwrap(),
            json!({
                "direct_messages": [{"user_id": Uuid::nil().to_string(), "username": "ada", "unseen_count": 2}],
                "group_messages": [{"group_id": Uuid::max().to_string(), "group_name": "all", "unseen_count": 3}],
                "total": 5,
            })
        );
    }

    #[test]
    fn the_broadcast_has_neither_user_nor_group_and_an_empty_conversation_says_so() {
        let everybody = conversations::Conversation {
            id: ConversationId::BROADCAST,
            with: With::Everybody,
            last_message: None,
            unseen: 0,
            update: 4,
            active_at: Timestamp::from_micros(0).unwrap(),
        };
        assert_eq!(
            serde_json::to_value(Conversation::listed(everybody, |_| unreachable!("there is no user to be seen")))
                .unwrap(),
            json!({
                "id": ConversationId::BROADCAST.to_string(), "kind": "broadcast", "last_message": null,
                "unseen_count": 0, "update": 4, "updated_at": "1970-01-01T00:00:00.000000Z",
            })
        );
    }
}
