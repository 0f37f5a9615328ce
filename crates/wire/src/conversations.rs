//! JSON of conversations in a user's list, and of receipts.

use crate::PublicUrl;
use crate::views::{Draft, Settings};
use crate::{Group, Id, Message, ShortDigest, Time, User};
use domain::conversations::Counterpart;
use domain::{conversations, receipts, users};
use serde::Serialize;
use utoipa::ToSchema;

/// A receipt: a user has seen a message.
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

/// Whether there are more than the counted ones; absent if not.
fn no_more(more: &bool) -> bool {
    !*more
}

/// The number of unseen messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnseenCount {
    /// Exact up to 1000, where counting stops.
    #[schema(maximum = 1000)]
    unseen_count: u64,
    /// Whether there are more than `count`.
    #[serde(skip_serializing_if = "no_more")]
    #[schema(required = false)]
    unseen_more: bool,
    /// How many of them mention the user.
    unseen_mentions: u64,
}

impl From<receipts::UnseenCount> for UnseenCount {
    fn from(unseen: receipts::UnseenCount) -> Self {
        Self { unseen_count: unseen.count, unseen_more: unseen.more, unseen_mentions: unseen.mentions }
    }
}

/// Unseen messages from another user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnseenDirect {
    user_id: Id,
    username: String,
    #[serde(flatten)]
    unseen: UnseenCount,
}

/// Unseen messages in a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnseenGroup {
    group_id: Id,
    group_name: String,
    #[serde(flatten)]
    unseen: UnseenCount,
}

/// Unseen messages of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unseen {
    direct_messages: Vec<UnseenDirect>,
    group_messages: Vec<UnseenGroup>,
    /// The sum of all given counts.
    total: u64,
    /// Whether some conversation has more than its count.
    #[serde(skip_serializing_if = "no_more")]
    #[schema(required = false)]
    unseen_more: bool,
}

impl From<receipts::Unseen> for Unseen {
    fn from(unseen: receipts::Unseen) -> Self {
        let total = unseen.total();
        let direct = |(user, username, unseen): (domain::UserId, _, receipts::UnseenCount)| UnseenDirect {
            user_id: Id(user.0),
            username,
            unseen: unseen.into(),
        };
        let group = |(group, group_name, unseen): (domain::GroupId, _, receipts::UnseenCount)| UnseenGroup {
            group_id: Id(group.0),
            group_name,
            unseen: unseen.into(),
        };
        Self {
            direct_messages: unseen.direct.into_iter().map(direct).collect(),
            group_messages: unseen.groups.into_iter().map(group).collect(),
            total: total.count,
            unseen_more: total.more,
        }
    }
}

/// A conversation in the caller's list.
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
    #[serde(flatten)]
    unseen: UnseenCount,
    update: i64,
    digest: ShortDigest,
    /// Up to this `seq` nothing is unseen for the reader.
    read_up_to: i64,
    /// The newest `seq` that another user has marked as seen or read; 0 if nobody has.
    others_read_up_to: i64,
    settings: Settings,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    draft: Option<Draft>,
    updated_at: Time,
}

impl Conversation {
    /// The conversation as listed to a reader who sees other users by `view`, with files' URLs relative to this base
    /// URL.
    pub fn listed(
        public: &PublicUrl,
        conversation: conversations::Conversation,
        view: impl Fn(&users::User) -> users::UserView,
    ) -> Self {
        let (kind, user, group) = match conversation.with {
            Counterpart::User(user) => ("direct", Some(view(&user).into()), None),
            Counterpart::Group(group) => ("group", None, Some(group.into())),
            Counterpart::Everybody => ("broadcast", None, None),
        };
        Self {
            id: Id(conversation.id.0),
            kind,
            user,
            group,
            last_message: conversation.last_message.map(|message| Message::at(public, message)),
            unseen: conversation.unseen.into(),
            update: conversation.update.0,
            digest: ShortDigest(conversation.digest),
            read_up_to: conversation.read_up_to.0,
            others_read_up_to: conversation.others_read_up_to.0,
            settings: conversation.settings.into(),
            draft: conversation.draft.map(Into::into),
            updated_at: Time(conversation.active_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::events::Revision;
    use domain::messages::{Digest, Seq, Update};
    use domain::{ConversationId, GroupId, Timestamp, UserId};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn unseen_counts_are_listed_with_their_sum() {
        let count = |count, more| receipts::UnseenCount { count, more, mentions: count / 2 };
        let mut unseen = receipts::Unseen {
            direct: vec![(UserId(Uuid::nil()), "ada".to_owned(), count(2, false))],
            groups: vec![(GroupId(Uuid::max()), "all".to_owned(), count(3, false))],
        };
        assert_eq!(
            serde_json::to_value(Unseen::from(unseen.clone())).unwrap(),
            json!({
                "direct_messages": [{"user_id": Uuid::nil().to_string(), "username": "ada", "unseen_count": 2, "unseen_mentions": 1}],
                "group_messages": [{"group_id": Uuid::max().to_string(), "group_name": "all", "unseen_count": 3, "unseen_mentions": 1}],
                "total": 5,
            })
        );
        unseen.direct[0].2 = count(1000, true);
        assert_eq!(
            serde_json::to_value(Unseen::from(unseen)).unwrap(),
            json!({
                "direct_messages": [{
                    "user_id": Uuid::nil().to_string(), "username": "ada", "unseen_count": 1000, "unseen_more": true,
                    "unseen_mentions": 500,
                }],
                "group_messages": [{"group_id": Uuid::max().to_string(), "group_name": "all", "unseen_count": 3, "unseen_mentions": 1}],
                "total": 1003,
                "unseen_more": true,
            })
        );
    }

    #[test]
    fn the_broadcast_has_neither_user_nor_group_and_an_empty_conversation_says_so() {
        let everybody = conversations::Conversation {
            id: ConversationId::BROADCAST,
            with: Counterpart::Everybody,
            last_message: None,
            unseen: receipts::UnseenCount::default(),
            update: Update(4),
            digest: Digest::ZERO.short(),
            read_up_to: Seq(3),
            others_read_up_to: Seq(2),
            settings: domain::views::Settings::default(),
            draft: None,
            activity: conversations::Activity { revision: Revision(1), nth: 0 },
            active_at: Timestamp::from_micros(0).unwrap(),
        };
        assert_eq!(
            serde_json::to_value(Conversation::listed(&PublicUrl::default(), everybody, |_| unreachable!("no user")))
                .unwrap(),
            json!({
                "id": ConversationId::BROADCAST.to_string(), "kind": "broadcast", "last_message": null,
                "unseen_count": 0, "unseen_mentions": 0, "update": 4, "digest": "0000000000000000", "read_up_to": 3,
                "others_read_up_to": 2, "settings": {"notify": "all", "archived": false, "favourite": false}, "updated_at": "1970-01-01T00:00:00.000000Z",
            })
        );
    }
}
