//! Where a request names the acting user too.
//!
//! Both published APIs let it; the acting user is the token's all the same.

use crate::context::Caller;
use crate::error::{Forbidden, NotFound, Result};
use crate::groups::GroupRepository;
use crate::ids::{GroupId, MessageId, UserId};
use crate::messages::{MessageReader, Recipient};
use crate::users::UserRepository;
use std::sync::Arc;

/// Whom a request names as its acting user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// By which of its fields.
    pub field: &'static str,
    /// Who.
    pub user: UserId,
}

/// What else a request names, which is missed before anybody's right is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A living user.
    User(UserId),
    /// A group that the caller sees.
    Group(GroupId),
    /// A message that the caller may read.
    Message(MessageId),
}

impl Target {
    /// To whom one writes; the broadcast is always there.
    pub fn of(recipient: Recipient) -> Option<Self> {
        match recipient {
            Recipient::User(user) => Some(Self::User(user)),
            Recipient::Group(group) => Some(Self::Group(group)),
            Recipient::Everybody => None,
        }
    }
}

/// Lets the caller act as whom the request names, which can only be the caller.
pub struct ActAs {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Where groups are kept.
    pub groups: Arc<dyn GroupRepository>,
    /// Where messages are read.
    pub messages: Arc<dyn MessageReader>,
}

impl ActAs {
    /// Asks for nothing where nobody else is named. Otherwise what does not exist is told first (`API.md`, Conventions: existence
    /// before right).
    ///
    /// # Errors
    /// [`NotFound`] for the first of the targets that is not there, else [`Forbidden::NotOneself`].
    pub async fn execute(
        &self,
        caller: &Caller,
        named: Option<Named>,
        targets: impl IntoIterator<Item = Target> + Send,
    ) -> Result<()> {
        let Some(Named { field, .. }) = named.filter(|named| named.user != caller.user) else { return Ok(()) };
        let targets: Vec<Target> = targets.into_iter().collect();
        for target in targets {
            self.look_for(caller, target).await?;
        }
        Forbidden::NotOneself { field }.err()
    }

    async fn look_for(&self, caller: &Caller, target: Target) -> Result<()> {
        let (found, missing) = match target {
            Target::User(id) => {
                let user = self.users.find(id).await?;
                (user.is_some_and(|user| user.deleted_at.is_none()), NotFound::User)
            }
            Target::Group(id) => (self.groups.find(caller.user, id).await?.is_some(), NotFound::Group),
            Target::Message(id) => (self.messages.find(caller.user, id).await?.is_some(), NotFound::Message),
        };
        if found { Ok(()) } else { missing.err() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::groups::MockGroupRepository;
    use crate::messages::MockMessageReader;
    use crate::testing::{account, caller, message, message_id, outcome, user};
    use crate::users::MockUserRepository;
    use uuid::Uuid;

    /// User 2 is there and user 3 deleted, message 1 is there, and no group is.
    fn act_as() -> ActAs {
        let (mut users, mut groups, mut messages) =
            (MockUserRepository::new(), MockGroupRepository::new(), MockMessageReader::new());
        users.expect_find().returning(|id| {
            let deleted_at = (id == user(3)).then_some(crate::testing::at(1));
            Ok(Some(crate::users::User { id, deleted_at, ..account(2, "bob") }))
        });
        groups.expect_find().returning(|_, _| Ok(None));
        messages.expect_find().returning(|_, id| Ok((id == message_id(1)).then(|| message(1))));
        ActAs { users: Arc::new(users), groups: Arc::new(groups), messages: Arc::new(messages) }
    }

    #[test]
    fn oneself_or_nobody_may_be_named() {
        let nothing = ActAs {
            users: Arc::new(MockUserRepository::new()),
            groups: Arc::new(MockGroupRepository::new()),
            messages: Arc::new(MockMessageReader::new()),
        };
        for named in [None, Some(Named { field: "user_id", user: user(1) })] {
            outcome(nothing.execute(&caller(1), named, [Target::Message(message_id(9))])).unwrap();
        }
    }

    #[test]
    fn what_is_missing_is_told_before_who_may_not() {
        let named = Some(Named { field: "sender_id", user: user(2) });
        let group = Target::Group(GroupId(Uuid::from_u128(5)));
        let (there, message) = (Target::User(user(2)), Target::Message(message_id(1)));
        for (targets, missing) in [
            (vec![], None),
            (vec![there, message], None),
            (vec![there, group], Some(NotFound::Group)),
            (vec![Target::User(user(3)), group], Some(NotFound::User)),
            (vec![Target::Message(message_id(2))], Some(NotFound::Message)),
        ] {
            let refused = outcome(act_as().execute(&caller(1), named, targets.clone())).unwrap_err();
            match missing {
                None => assert_eq!(refused.field(), Some("sender_id"), "{targets:?}: {refused:?}"),
                Some(missing) => assert!(matches!(refused, Error::NotFound(which) if which == missing), "{targets:?}"),
            }
        }
    }

    #[test]
    fn everybody_is_always_there() {
        assert_eq!(Target::of(Recipient::Everybody), None);
        assert_eq!(Target::of(Recipient::User(user(2))), Some(Target::User(user(2))));
    }
}
