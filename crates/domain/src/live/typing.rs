//! "Is typing": the server passes it on to the clients that may see it, at most every few seconds, and stores nothing.

use super::service::LiveService;
use crate::context::Caller;
use crate::error::{Error, NotFound, Result};
use crate::events::Audience;
use crate::groups::GroupAccess;
use crate::ids::{ConversationId, UserId};
use crate::messages::Recipient;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A user is typing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Typing {
    /// The user who types. The user's own clients do not get it.
    pub user: UserId,
    /// The name as shown.
    pub username: String,
    /// The conversation. `None` for two users who share a group and have not written to each other.
    pub conversation: Option<ConversationId>,
    /// The users whose clients get it.
    pub audience: Audience,
}

impl LiveService {
    /// Finds out who is to know that somebody is typing. `None` where nobody is: between strangers
    /// ([`Acquaintance`](super::Acquaintance)). Who types is not told that, as little as whether the other is there.
    ///
    /// # Errors
    /// [`Recipient::not_found`] for a deleted user too, [`Forbidden::NotAMember`](crate::Forbidden::NotAMember) in a
    /// public group one is not in.
    pub async fn signal_typing(&self, caller: &Caller, to: Recipient) -> Result<Option<Typing>> {
        let (conversation, audience) = match to {
            Recipient::User(user) => {
                let other =
                    self.users.find(user).await?.filter(|user| user.deleted_at.is_none()).ok_or(NotFound::User)?;
                let acquaintance = self.live.acquaintance(caller.user, other.id).await?;
                if !acquaintance.are_told_of_each_other() {
                    return Ok(None);
                }
                (acquaintance.conversation, Audience::Users([other.id, other.id]))
            }
            Recipient::Group(group) => {
                let view = self.groups.find(caller.user, group).await?.ok_or(NotFound::Group)?;
                GroupAccess { visibility: view.group.visibility, role: view.role }.may_mark()?;
                (Some(group.conversation()), Audience::Members(group))
            }
            Recipient::Everybody => return Err(Error::from(to.not_found())),
        };
        let oneself = self.users.find(caller.user).await?.ok_or(NotFound::User)?;
        Ok(Some(Typing { user: caller.user, username: oneself.profile().username, conversation, audience }))
    }
}

/// Lets a user's typing through once every [`TypingThrottle::EVERY`] for each conversation.
///
/// Its memory is bounded, and a call costs the same however many users type. It has two generations of entries; when
/// the younger becomes old or full, it forgets the older one.
#[derive(Debug, Default)]
pub struct TypingThrottle {
    young: HashMap<(UserId, uuid::Uuid), Instant>,
    old: HashMap<(UserId, uuid::Uuid), Instant>,
    /// When the younger generation began.
    since: Option<Instant>,
}

impl TypingThrottle {
    /// The shortest time between two that it lets through (`docs/api.md`, Live).
    pub const EVERY: Duration = Duration::from_secs(3);
    /// Entries of a generation. If more users type at once, it lets some through more often.
    const MANY: usize = 10_000;

    /// Whether the server may pass it on now. If so, it refuses the next ones for a while.
    pub fn admits(&mut self, user: UserId, to: Recipient, now: Instant) -> bool {
        let passed = |since: Instant| now.saturating_duration_since(since) >= Self::EVERY;
        if self.young.len() >= Self::MANY || self.since.is_some_and(passed) {
            self.old = std::mem::take(&mut self.young);
            self.since = None;
        }
        let key = (user, Self::place(to));
        if self.young.get(&key).or_else(|| self.old.get(&key)).is_some_and(|at| !passed(*at)) {
            return false;
        }
        self.young.insert(key, now);
        self.since.get_or_insert(now);
        true
    }

    /// The server did not pass it on after all: the next one counts as the first.
    pub fn withdraw(&mut self, user: UserId, to: Recipient) {
        let key = (user, Self::place(to));
        self.young.remove(&key);
        self.old.remove(&key);
    }

    fn place(to: Recipient) -> uuid::Uuid {
        match to {
            Recipient::User(other) => other.0,
            Recipient::Group(group) => group.0,
            Recipient::Everybody => ConversationId::BROADCAST.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Forbidden;
    use crate::groups::{Group, GroupView, MockGroupRepository, Role, Visibility};
    use crate::ids::GroupId;
    use crate::live::{Acquaintance, MockLiveReader};
    use crate::testing::{at, caller, conversation, outcome, user};
    use crate::users::{MockUserRepository, User, UserRole, Username};
    use std::sync::Arc;
    use uuid::Uuid;

    const GROUP: GroupId = GroupId(Uuid::from_u128(9));

    fn known(id: UserId, deleted: bool) -> User {
        User {
            id,
            username: Username::parse("username", "ada").unwrap(),
            display_name: None,
            email: None,
            role: UserRole::Member,
            created_at: at(1),
            updated_at: at(1),
            deleted_at: deleted.then(|| at(2)),
            disabled_at: None,
        }
    }

    /// User 2 is an acquaintance, 3 deleted, 4 unknown, 5 a stranger; the group is as it is to the caller.
    fn over(group: Option<(Visibility, Option<Role>)>) -> LiveService {
        let mut users = MockUserRepository::new();
        users.expect_find().returning(|id| Ok((id != user(4)).then(|| known(id, id == user(3)))));
        let mut groups = MockGroupRepository::new();
        groups.expect_find().returning(move |_, id| {
            Ok(group.map(|(visibility, role)| {
                let group = Group { id, visibility, ..crate::testing::group(9) };
                GroupView { group, role }
            }))
        });
        let mut live = MockLiveReader::new();
        live.expect_acquaintance().returning(|one, other| {
            assert_eq!(one, user(1));
            let each_wrote = other == user(2);
            Ok(Acquaintance { conversation: Some(conversation(1)), each_wrote, share_a_group: false })
        });
        LiveService { users: Arc::new(users), groups: Arc::new(groups), live: Arc::new(live) }
    }

    #[test]
    fn the_other_of_a_direct_conversation_is_told() {
        let typing = outcome(over(None).signal_typing(&caller(1), Recipient::User(user(2)))).unwrap().unwrap();
        assert_eq!(typing.audience, Audience::Users([user(2), user(2)]));
        assert_eq!((typing.username.as_str(), typing.conversation), ("ada", Some(conversation(1))));
        let to_a_stranger = outcome(over(None).signal_typing(&caller(1), Recipient::User(user(5)))).unwrap();
        assert_eq!(to_a_stranger, None);
        for gone in [3, 4] {
            let refused = outcome(over(None).signal_typing(&caller(1), Recipient::User(user(gone))));
            assert!(matches!(refused, Err(Error::NotFound(NotFound::User))));
        }
    }

    #[test]
    fn in_a_group_only_its_members_type() {
        let ask = |group| outcome(over(group).signal_typing(&caller(1), Recipient::Group(GROUP)));
        let typing = ask(Some((Visibility::Private, Some(Role::Member)))).unwrap().unwrap();
        assert_eq!((typing.conversation, typing.audience), (Some(GROUP.conversation()), Audience::Members(GROUP)));
        assert!(matches!(ask(Some((Visibility::Public, None))), Err(Error::Forbidden(Forbidden::NotAMember))));
        assert!(matches!(ask(None), Err(Error::NotFound(NotFound::Group))));
    }

    #[test]
    fn typing_is_let_through_every_three_seconds_for_each_conversation() {
        let mut throttle = TypingThrottle::default();
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let (here, there) = (Recipient::User(user(2)), Recipient::Group(GROUP));
        for (who, to, millis, admitted) in [
            (1, here, 0, true),
            (1, here, 2_999, false),
            (1, there, 2_999, true),
            (5, here, 2_999, true),
            (1, here, 3_000, true),
            (1, here, 5_999, false),
        ] {
            assert_eq!(throttle.admits(user(who), to, after(millis)), admitted, "{who} {to:?} {millis}");
        }
    }
}
