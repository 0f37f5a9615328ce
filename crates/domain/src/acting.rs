//! Requests that name the acting user.
//!
//! Both published APIs have fields for it. The acting user is the token's all the same.

use crate::context::Caller;
use crate::error::{Forbidden, NotFound, Result};
use crate::files::FileRepository;
use crate::groups::GroupRepository;
use crate::ids::{FileId, GroupId, MessageId, UserId};
use crate::messages::{
    Attachment, AttachmentKind, Content, MessageReader, NewBody, Recipient, SendCommand, ThreadStart, UploadCommand,
};
use crate::users::UserRepository;
use std::sync::Arc;

/// The user that a request names as the acting one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedActor {
    /// The field of the request that names the user.
    pub field: &'static str,
    /// The id of the user.
    pub user: UserId,
}

/// A thing that a request names. If it does not exist, the answer says so before it looks at anybody's right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferencedEntity {
    /// An existing user.
    User(UserId),
    /// A group that the caller may see.
    Group(GroupId),
    /// An existing member of a group that the caller may see.
    Member(GroupId, UserId),
    /// A message that the caller may read.
    Message(MessageId),
    /// A message that the caller may read, and its new content.
    EditedMessage(MessageId, Content),
    /// A message that the caller may read, in the conversation with the recipient.
    RepliedMessage(Recipient, MessageId),
    /// A message that the caller may read and that may be the first of a thread in the conversation with the recipient.
    ThreadStart(Recipient, MessageId),
    /// A file that the caller may read and that a message can carry in this way.
    File(AttachmentKind, FileId),
}

impl ReferencedEntity {
    /// The recipient of a message. `None` for the broadcast, which always exists.
    pub fn of(recipient: Recipient) -> Option<Self> {
        match recipient {
            Recipient::User(user) => Some(Self::User(user)),
            Recipient::Group(group) => Some(Self::Group(group)),
            Recipient::Everybody => None,
        }
    }

    /// Everything that a message names, in the order in which
    /// [`MessageLog::append`](crate::messages::MessageLog::append) looks it up.
    pub fn of_message(message: &SendCommand) -> impl Iterator<Item = Self> + Send + use<> {
        let carried = match &message.body {
            NewBody::Attachment(Attachment::Stored { kind, file }, _) => Some(Self::File(*kind, *file)),
            NewBody::Forward(id) => Some(Self::Message(*id)),
            NewBody::Attachment(Attachment::Uploaded(_), _) | NewBody::Text(_) => None,
        };
        let thread = message.thread_id.map(|start| Self::ThreadStart(message.recipient, start));
        let answered = message.reply_to.map(|answered| Self::RepliedMessage(message.recipient, answered));
        Self::of(message.recipient).into_iter().chain(answered).chain(carried).chain(thread)
    }

    /// Like [`Self::of_message`], for a message that carries an uploaded file.
    pub fn of_upload(upload: &UploadCommand) -> impl Iterator<Item = Self> + Send + use<> {
        let answered = upload.reply_to.map(|answered| Self::RepliedMessage(upload.recipient, answered));
        let thread = upload.thread_id.map(|start| Self::ThreadStart(upload.recipient, start));
        Self::of(upload.recipient).into_iter().chain(answered).chain(thread)
    }
}

/// Checks that a request names no other acting user than the caller.
pub struct ActingUserCheck {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Reads messages.
    pub messages: Arc<dyn MessageReader>,
    /// Looks files up.
    pub files: Arc<dyn FileRepository>,
}

impl ActingUserCheck {
    /// Reads nothing if the request names no other user. Otherwise it looks up the entities first (`docs/api.md`,
    /// Conventions: existence before right).
    ///
    /// # Errors
    /// [`NotFound`] for the first entity that does not exist; [`Invalid`](crate::Invalid) if an entity does not take
    /// what comes with it; else [`Forbidden::NotOneself`] naming the first field that names another user.
    pub async fn check(
        &self,
        caller: &Caller,
        named: impl IntoIterator<Item = ClaimedActor> + Send,
        targets: impl IntoIterator<Item = ReferencedEntity> + Send,
    ) -> Result<()> {
        let Some(ClaimedActor { field, .. }) = named.into_iter().find(|named| named.user != caller.user) else {
            return Ok(());
        };
        let targets: Vec<ReferencedEntity> = targets.into_iter().collect();
        for target in targets {
            self.look_for(caller, target).await?;
        }
        Forbidden::NotOneself { field }.err()
    }

    async fn look_for(&self, caller: &Caller, target: ReferencedEntity) -> Result<()> {
        let (found, missing) = match target {
            ReferencedEntity::User(id) => (self.lives(id).await?, NotFound::User),
            ReferencedEntity::Group(id) => (self.sees(caller, id).await?, NotFound::Group),
            ReferencedEntity::Member(group, user) => {
                if !self.sees(caller, group).await? {
                    return NotFound::Group.err();
                }
                // Every member sees the group and the roles of its members.
                let view = self.groups.find(user, group).await?;
                (view.is_some_and(|view| view.role.is_some()) && self.lives(user).await?, NotFound::Member)
            }
            ReferencedEntity::Message(id) => (self.messages.find(caller.user, id).await?.is_some(), NotFound::Message),
            ReferencedEntity::EditedMessage(id, content) => {
                let found = self.messages.find(caller.user, id).await?;
                if let Some(message) = &found {
                    content.for_type(message.body.message_type())?;
                }
                (found.is_some(), NotFound::Message)
            }
            ReferencedEntity::RepliedMessage(recipient, id) => {
                let found = self.messages.find(caller.user, id).await?;
                (found.is_some_and(|message| message.is_with(caller.user, recipient)), NotFound::Message)
            }
            ReferencedEntity::ThreadStart(recipient, id) => {
                let found = self.messages.find(caller.user, id).await?;
                let here = found.as_ref().filter(|message| message.is_with(caller.user, recipient));
                let here = here.map(|message| message.conversation);
                let start = found.map(|message| ThreadStart {
                    conversation: message.conversation,
                    is_reply: message.thread_id.is_some(),
                });
                return ThreadStart::admits(start, here);
            }
            ReferencedEntity::File(kind, id) => {
                let found = self.files.find(caller.user, id).await?;
                if let Some(file) = &found {
                    kind.fits(file)?;
                }
                (found.is_some(), NotFound::File)
            }
        };
        if found { Ok(()) } else { missing.err() }
    }

    async fn lives(&self, user: UserId) -> Result<bool> {
        Ok(self.users.find(user).await?.is_some_and(|user| user.deleted_at.is_none()))
    }

    async fn sees(&self, caller: &Caller, group: GroupId) -> Result<bool> {
        Ok(self.groups.find(caller.user, group).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Invalid};
    use crate::files::{File, MediaType, MockFileRepository};
    use crate::groups::{GroupView, MockGroupRepository, Role};
    use crate::messages::{MockMessageReader, Text};
    use crate::testing::{account, caller, file, file_id, group, message, message_id, outcome, user};
    use crate::users::{MockUserRepository, User};
    use uuid::Uuid;

    const GROUP: GroupId = GroupId(Uuid::from_u128(4));
    const NO_GROUP: GroupId = GroupId(Uuid::from_u128(5));

    /// There are user 2 (user 3 is deleted), message 1 from user 1 to user 2, a group that all see and user 2 is not
    /// in, and files 1 (a picture) and 2 (none).
    fn acting() -> ActingUserCheck {
        let (mut users, mut groups) = (MockUserRepository::new(), MockGroupRepository::new());
        let (mut messages, mut files) = (MockMessageReader::new(), MockFileRepository::new());
        users.expect_find().returning(|id| {
            let deleted_at = (id == user(3)).then_some(crate::testing::at(1));
            Ok(Some(User { id, deleted_at, ..account(2, "bob") }))
        });
        groups.expect_find().returning(|viewer, id| {
            let role = (viewer != user(2)).then_some(Role::Member);
            Ok((id == GROUP).then(|| GroupView { group: group(4), role }))
        });
        messages.expect_find().returning(|_, id| Ok((id == message_id(1)).then(|| message(1))));
        files.expect_find().returning(|_, id| {
            let text = || File { media_type: MediaType::from_stored("text/plain".to_owned()), ..file(2) };
            Ok(if id == file_id(1) { Some(file(1)) } else { (id == file_id(2)).then(text) })
        });
        let (users, groups) = (Arc::new(users), Arc::new(groups));
        ActingUserCheck { users, groups, messages: Arc::new(messages), files: Arc::new(files) }
    }

    fn other(field: &'static str) -> ClaimedActor {
        ClaimedActor { field, user: user(2) }
    }

    #[test]
    fn oneself_or_nobody_may_be_named() {
        let nothing = ActingUserCheck {
            users: Arc::new(MockUserRepository::new()),
            groups: Arc::new(MockGroupRepository::new()),
            messages: Arc::new(MockMessageReader::new()),
            files: Arc::new(MockFileRepository::new()),
        };
        let oneself = ClaimedActor { field: "user_id", user: user(1) };
        for named in [vec![], vec![oneself], vec![oneself, oneself]] {
            outcome(nothing.check(&caller(1), named, [ReferencedEntity::Message(message_id(9))])).unwrap();
        }
    }

    #[test]
    fn of_several_all_must_be_the_caller() {
        let oneself = ClaimedActor { field: "user_id", user: user(1) };
        for (named, field) in [
            (vec![other("sender_id"), oneself], "sender_id"),
            (vec![oneself, other("sender_id")], "sender_id"),
            (vec![oneself, other("sender_id"), other("user_id")], "sender_id"),
        ] {
            let refused = outcome(acting().check(&caller(1), named, [])).unwrap_err();
            assert_eq!(refused.field(), Some(field), "{refused:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_before_who_may_not() {
        let (no_group, there) = (ReferencedEntity::Group(NO_GROUP), ReferencedEntity::User(user(2)));
        let (to_bob, to_group) = (Recipient::User(user(2)), Recipient::Group(GROUP));
        let answered = |recipient| ReferencedEntity::RepliedMessage(recipient, message_id(1));
        for (targets, missing) in [
            (vec![], None),
            (vec![there.clone(), ReferencedEntity::Message(message_id(1)), ReferencedEntity::Group(GROUP)], None),
            (vec![there, no_group.clone()], Some(NotFound::Group)),
            (vec![ReferencedEntity::User(user(3)), no_group], Some(NotFound::User)),
            (vec![ReferencedEntity::Message(message_id(2))], Some(NotFound::Message)),
            (vec![ReferencedEntity::Member(GROUP, user(1))], None),
            (vec![ReferencedEntity::Member(NO_GROUP, user(1))], Some(NotFound::Group)),
            (vec![ReferencedEntity::Member(GROUP, user(2))], Some(NotFound::Member)),
            (vec![ReferencedEntity::Member(GROUP, user(3))], Some(NotFound::Member)),
            (vec![answered(to_bob)], None),
            (vec![answered(to_group)], Some(NotFound::Message)),
            (vec![answered(Recipient::Everybody)], Some(NotFound::Message)),
            (vec![ReferencedEntity::RepliedMessage(to_bob, message_id(2))], Some(NotFound::Message)),
            (vec![ReferencedEntity::File(AttachmentKind::Image, file_id(1))], None),
            (vec![ReferencedEntity::File(AttachmentKind::File, file_id(2))], None),
            (vec![ReferencedEntity::File(AttachmentKind::File, file_id(3))], Some(NotFound::File)),
            (vec![ReferencedEntity::EditedMessage(message_id(1), Content::parse("x").unwrap())], None),
            (
                vec![ReferencedEntity::EditedMessage(message_id(2), Content::parse("").unwrap())],
                Some(NotFound::Message),
            ),
        ] {
            let refused = outcome(acting().check(&caller(1), [other("sender_id")], targets.clone())).unwrap_err();
            match missing {
                None => assert_eq!(refused.field(), Some("sender_id"), "{targets:?}: {refused:?}"),
                Some(missing) => assert!(matches!(refused, Error::NotFound(which) if which == missing), "{targets:?}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_before_who_may_not() {
        for (target, field) in [
            (ReferencedEntity::File(AttachmentKind::Image, file_id(2)), "file_id"),
            (ReferencedEntity::EditedMessage(message_id(1), Content::parse(" ").unwrap()), "content"),
        ] {
            let refused = outcome(acting().check(&caller(1), [other("sender_id")], [target])).unwrap_err();
            assert!(matches!(&refused, Error::Invalid(Invalid { field: at, .. }) if at == field), "{refused:?}");
        }
    }

    #[test]
    fn all_that_a_message_names_is_looked_for_in_order() {
        let targets = |message: &SendCommand| ReferencedEntity::of_message(message).collect::<Vec<_>>();
        let plain = SendCommand::text(Recipient::Everybody, Text::parse("x").unwrap());
        assert_eq!(targets(&plain), []);
        let recipient = Recipient::User(user(2));
        let body = NewBody::parse(crate::messages::MessageType::File, None, Some(file_id(1))).unwrap();
        let whole = SendCommand { recipient, body, reply_to: Some(message_id(1)), ..plain };
        let answered = ReferencedEntity::RepliedMessage(recipient, message_id(1));
        let file = ReferencedEntity::File(AttachmentKind::File, file_id(1));
        assert_eq!(targets(&whole), [ReferencedEntity::User(user(2)), answered, file]);
    }

    #[test]
    fn everybody_is_always_there() {
        assert_eq!(ReferencedEntity::of(Recipient::Everybody), None);
        assert_eq!(ReferencedEntity::of(Recipient::User(user(2))), Some(ReferencedEntity::User(user(2))));
    }
}
