//! Who may read and change messages, and which sends are retries. Adapters ask inside the transaction that acts.

use super::model::{Attachment, Destination, Message, NewBody, NewMessage, Recipient};
use crate::context::Timestamp;
use crate::error::{Conflict, Forbidden, NotFound, Result};
use crate::files::{AttachmentKind, File};
use crate::groups::GroupAccess;
use crate::ids::{ConversationId, MessageId, UserId};

/// The relation of a user to a conversation that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The user is one of the two of a direct conversation.
    Participant,
    /// The user is not one of the two.
    Stranger,
    /// The user's access to the group.
    Group(GroupAccess),
    /// The broadcast, which all users may read.
    Broadcast,
}

impl Access {
    /// # Errors
    /// [`NotFound::Conversation`]. A caller that looks for something else in the conversation answers that this does
    /// not exist.
    pub fn may_read(self) -> Result<()> {
        match self {
            Self::Participant | Self::Broadcast => Ok(()),
            Self::Stranger => NotFound::Conversation.err(),
            Self::Group(group_access) => group_access.may_read().or(NotFound::Conversation.err()),
        }
    }

    /// Whether the user may mark messages as seen and the conversation as read.
    ///
    /// # Errors
    /// [`NotFound::Conversation`], [`Forbidden::NotAMember`].
    pub fn may_mark(self) -> Result<()> {
        self.may_read()?;
        match self {
            Self::Group(group_access) => group_access.may_mark(),
            _ => Ok(()),
        }
    }

    /// Whether `actor` may edit a message of `sender`.
    ///
    /// # Errors
    /// [`NotFound::Message`], [`Forbidden::NotTheSender`].
    pub fn may_edit(self, actor: UserId, sender: UserId) -> Result<()> {
        self.may_read().or(NotFound::Message.err())?;
        if actor == sender { Ok(()) } else { Forbidden::NotTheSender.err() }
    }

    /// Whether the user may react to a message: whoever may send there, without joining. `may_broadcast` decides in the
    /// broadcast.
    ///
    /// # Errors
    /// [`NotFound::Message`], [`Forbidden::NotAMember`], those of `may_broadcast`.
    pub fn may_react(self, may_broadcast: impl FnOnce() -> Result<()>) -> Result<()> {
        self.may_read().or(NotFound::Message.err())?;
        match self {
            Self::Participant | Self::Stranger => Ok(()),
            Self::Group(group_access) => group_access.may_mark(),
            Self::Broadcast => may_broadcast(),
        }
    }

    /// Whether the user may pin and unpin messages. `may_broadcast` decides in the broadcast.
    ///
    /// # Errors
    /// [`NotFound::Message`], [`Forbidden::NotAModerator`], those of `may_broadcast`.
    pub fn may_pin(self, may_broadcast: impl FnOnce() -> Result<()>) -> Result<()> {
        self.may_read().or(NotFound::Message.err())?;
        match self {
            Self::Participant | Self::Stranger => Ok(()),
            Self::Group(group_access) if group_access.is_moderator() => Ok(()),
            Self::Group(_) => Forbidden::NotAModerator.err(),
            Self::Broadcast => may_broadcast(),
        }
    }

    /// Whether the user may mention all members at once. `may_broadcast` decides in the broadcast.
    ///
    /// # Errors
    /// [`Forbidden::MentionOfAll`].
    pub fn may_mention_all(self, may_broadcast: impl FnOnce() -> Result<()>) -> Result<()> {
        let may = match self {
            Self::Participant | Self::Stranger => false,
            Self::Group(group_access) => group_access.is_moderator(),
            Self::Broadcast => may_broadcast().is_ok(),
        };
        if may { Ok(()) } else { Forbidden::MentionOfAll.err() }
    }

    /// Whether `actor` may delete a message of `sender`.
    ///
    /// # Errors
    /// [`NotFound::Message`], [`Forbidden::NotTheSenderNorModerator`].
    pub fn may_delete(self, actor: UserId, sender: UserId) -> Result<()> {
        self.may_read().or(NotFound::Message.err())?;
        let is_moderator = matches!(self, Self::Group(group_access) if group_access.is_moderator());
        if actor == sender || is_moderator { Ok(()) } else { Forbidden::NotTheSenderNorModerator.err() }
    }
}

/// The message that was sent under an idempotency key, reduced to what a retry is compared with.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord<'a> {
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// Whether the draft has the text with which the message was sent. The sender may have edited it since.
    pub same_content: bool,
    /// The file of the message and how it carries it.
    pub attachment: Option<(AttachmentKind, &'a File)>,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The first message of its thread.
    pub thread_id: Option<MessageId>,
    /// The message that it forwards. Then the text and the file are that message's.
    pub forward_of: Option<MessageId>,
    /// Whether the draft gives the mentions with which the message was sent, or none if it was sent with none.
    pub same_mentions: bool,
    /// Whether somebody has deleted it.
    pub deleted: bool,
}

impl IdempotencyRecord<'_> {
    /// Whether `draft` is a retry of this message. `conversation` is the draft's; `None` for a direct one that does not
    /// exist yet. A file that comes with the draft is compared by the hash of what the client sent.
    ///
    /// # Errors
    /// [`Conflict::KeyReused`] if it is another message.
    pub fn is_retried_by(&self, draft: &NewMessage, conversation: Option<ConversationId>) -> Result<()> {
        let same_body = match (&draft.body, self.attachment) {
            (NewBody::Forward(of), _) => self.forward_of == Some(*of),
            (_, _) if self.forward_of.is_some() => false,
            (NewBody::Text(_), None) => self.same_content,
            (NewBody::Attachment(Attachment::Stored { kind, file }, _), Some((stored_kind, stored))) => {
                self.same_content && *kind == stored_kind && *file == stored.id
            }
            (NewBody::Attachment(Attachment::Uploaded(new), _), Some((stored_kind, stored))) => {
                self.same_content && new.kind() == stored_kind && new.sent_sha256 == stored.sent_sha256
            }
            (NewBody::Text(_) | NewBody::Attachment(..), _) => false,
        };
        let same = !self.deleted
            && conversation == Some(self.conversation)
            && same_body
            && draft.reply_to == self.reply_to
            && draft.thread_id == self.thread_id
            && self.same_mentions;
        if same { Ok(()) } else { Conflict::KeyReused.err() }
    }
}

/// The time of a change to something that last changed at `last`: `now`, but never before `last`. The clock may have
/// gone back, and no message is edited, deleted or seen before it was sent.
pub fn not_before(last: Timestamp, now: Timestamp) -> Timestamp {
    last.max(now)
}

impl Message {
    /// Whether the message belongs to the conversation of `reader`, who may read it, with `recipient`.
    pub fn is_with(&self, reader: UserId, recipient: Recipient) -> bool {
        match (self.destination, recipient) {
            (Destination::Direct { receiver }, Recipient::User(other)) => {
                let ends = (self.sender.id, receiver);
                ends == (reader, other) || ends == (other, reader)
            }
            (Destination::Group(group), Recipient::Group(asked)) => group == asked,
            (Destination::Broadcast, Recipient::Everybody) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::files::{FileName, MediaType, Sha256};
    use crate::groups::{Role, Visibility};
    use crate::ids::GroupId;
    use crate::messages::{Caption, Text};
    use crate::testing::{at, conversation, file_id, message, message_id};
    use uuid::Uuid;

    const SENDER: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));

    fn group(visibility: Visibility, role: Option<Role>) -> Access {
        Access::Group(GroupAccess { visibility, role })
    }

    #[test]
    fn nothing_happens_to_a_message_before_it_was_sent() {
        assert_eq!(not_before(at(5), at(9)), at(9));
        assert_eq!(not_before(at(9), at(5)), at(9));
    }

    #[test]
    fn what_one_may_not_see_does_not_exist() {
        for access in [Access::Stranger, group(Visibility::Private, None)] {
            assert!(matches!(access.may_read(), Err(Error::NotFound(NotFound::Conversation))));
            assert!(matches!(access.may_mark(), Err(Error::NotFound(NotFound::Conversation))));
            // One's own messages go with the group one has left.
            assert!(matches!(access.may_edit(SENDER, SENDER), Err(Error::NotFound(NotFound::Message))));
            assert!(matches!(access.may_delete(SENDER, SENDER), Err(Error::NotFound(NotFound::Message))));
        }
    }

    #[test]
    fn readers_of_a_public_group_keep_their_own_messages_and_mark_nothing() {
        let reader = group(Visibility::Public, None);
        assert!(matches!(reader.may_mark(), Err(Error::Forbidden(Forbidden::NotAMember))));
        assert!(reader.may_edit(SENDER, SENDER).is_ok());
        assert!(reader.may_delete(SENDER, SENDER).is_ok());
        assert!(matches!(reader.may_delete(OTHER, SENDER), Err(Error::Forbidden(_))));
    }

    #[test]
    fn only_the_sender_edits_and_who_runs_the_group_deletes() {
        for (access, deletes) in [
            (Access::Participant, false),
            (Access::Broadcast, false),
            (group(Visibility::Private, Some(Role::Member)), false),
            (group(Visibility::Private, Some(Role::Admin)), true),
            (group(Visibility::Public, Some(Role::Owner)), true),
        ] {
            assert!(matches!(access.may_edit(OTHER, SENDER), Err(Error::Forbidden(Forbidden::NotTheSender))));
            assert_eq!(access.may_delete(OTHER, SENDER).is_ok(), deletes, "{access:?}");
        }
    }

    fn stored_file(n: u128, media_type: &str) -> File {
        File {
            id: file_id(n),
            uploader: SENDER,
            name: FileName::clean("a"),
            size: 1,
            media_type: MediaType::from_stored(media_type.to_owned()),
            sha256: Sha256([9; 32]),
            sent_sha256: Sha256([1; 32]),
            image: None,
            created_at: at(1),
        }
    }

    fn draft(body: NewBody, reply_to: Option<MessageId>) -> NewMessage {
        NewMessage {
            id: message_id(1),
            new_conversation: conversation(2),
            sender: SENDER,
            recipient: Recipient::User(OTHER),
            body,
            reply_to,
            thread_id: None,
            mentions: None,
            key: None,
            clears_draft: false,
            at: at(1),
        }
    }

    fn stored(attachment: Option<(AttachmentKind, &File)>) -> IdempotencyRecord<'_> {
        IdempotencyRecord {
            conversation: conversation(3),
            same_content: true,
            attachment,
            reply_to: None,
            thread_id: None,
            forward_of: None,
            same_mentions: true,
            deleted: false,
        }
    }

    #[test]
    fn a_retry_says_the_same_in_the_same_place_and_answers_the_same() {
        let text = || draft(NewBody::Text(Text::parse("x").unwrap()), None);
        let answer = draft(NewBody::Text(Text::parse("x").unwrap()), Some(message_id(4)));
        let here = Some(conversation(3));
        for (sent, draft, destination, same) in [
            (stored(None), text(), here, true),
            (stored(None), text(), Some(conversation(4)), false),
            (stored(None), text(), None, false),
            (IdempotencyRecord { same_content: false, ..stored(None) }, text(), here, false),
            (IdempotencyRecord { deleted: true, ..stored(None) }, text(), here, false),
            (IdempotencyRecord { same_mentions: false, ..stored(None) }, text(), here, false),
            (stored(None), answer.clone(), here, false),
            (IdempotencyRecord { reply_to: Some(message_id(4)), ..stored(None) }, answer.clone(), here, true),
            (IdempotencyRecord { reply_to: Some(message_id(5)), ..stored(None) }, answer, here, false),
            (IdempotencyRecord { reply_to: Some(message_id(4)), ..stored(None) }, text(), here, false),
        ] {
            let outcome = sent.is_retried_by(&draft, destination);
            assert_eq!(outcome.is_ok(), same, "{sent:?} {draft:?} {destination:?}");
            assert!(same || matches!(outcome, Err(Error::Conflict(Conflict::KeyReused))));
        }
    }

    #[test]
    fn a_retry_is_in_the_same_thread_and_forwards_the_same_message() {
        let here = Some(conversation(3));
        let text = |thread_id| NewMessage { thread_id, ..draft(NewBody::Text(Text::parse("x").unwrap()), None) };
        let forward = |n| draft(NewBody::Forward(message_id(n)), None);
        let in_thread = IdempotencyRecord { thread_id: Some(message_id(4)), ..stored(None) };
        // The text of a forwarded message is the other one's, which may have changed since.
        let forwarded = IdempotencyRecord { forward_of: Some(message_id(5)), same_content: false, ..stored(None) };
        for (sent, draft, same) in [
            (in_thread.clone(), text(Some(message_id(4))), true),
            (in_thread.clone(), text(Some(message_id(5))), false),
            (in_thread, text(None), false),
            (stored(None), text(Some(message_id(4))), false),
            (forwarded.clone(), forward(5), true),
            (forwarded.clone(), forward(6), false),
            (IdempotencyRecord { same_content: true, ..forwarded }, text(None), false),
            (stored(None), forward(5), false),
        ] {
            assert_eq!(sent.is_retried_by(&draft, here).is_ok(), same, "{sent:?} {draft:?}");
        }
    }

    #[test]
    fn who_may_send_may_react_and_who_runs_the_place_may_pin() {
        let yes = || Ok(());
        let no = || Forbidden::BroadcastIsForAdmins.err();
        for (access, reacts, pins) in [
            (Access::Participant, true, true),
            (Access::Stranger, false, false),
            (group(Visibility::Private, None), false, false),
            (group(Visibility::Public, None), false, false),
            (group(Visibility::Public, Some(Role::Member)), true, false),
            (group(Visibility::Private, Some(Role::Admin)), true, true),
            (group(Visibility::Private, Some(Role::Owner)), true, true),
            (Access::Broadcast, true, true),
        ] {
            assert_eq!(access.may_react(yes).is_ok(), reacts, "{access:?}");
            assert_eq!(access.may_pin(yes).is_ok(), pins, "{access:?}");
        }
        assert!(matches!(Access::Broadcast.may_react(no), Err(Error::Forbidden(Forbidden::BroadcastIsForAdmins))));
        assert!(matches!(Access::Broadcast.may_pin(no), Err(Error::Forbidden(Forbidden::BroadcastIsForAdmins))));
        assert!(matches!(Access::Stranger.may_react(yes), Err(Error::NotFound(NotFound::Message))));
        let reader = group(Visibility::Public, None);
        assert!(matches!(reader.may_react(yes), Err(Error::Forbidden(Forbidden::NotAMember))));
        assert!(matches!(reader.may_pin(yes), Err(Error::Forbidden(Forbidden::NotAModerator))));
    }

    #[test]
    fn only_who_runs_the_place_mentions_all() {
        for (access, may) in [
            (Access::Participant, false),
            (group(Visibility::Public, None), false),
            (group(Visibility::Public, Some(Role::Member)), false),
            (group(Visibility::Private, Some(Role::Admin)), true),
            (group(Visibility::Private, Some(Role::Owner)), true),
            (Access::Broadcast, true),
        ] {
            assert_eq!(access.may_mention_all(|| Ok(())).is_ok(), may, "{access:?}");
        }
        let refused = Access::Broadcast.may_mention_all(|| Forbidden::BroadcastIsForAdmins.err()).unwrap_err();
        assert_eq!(refused.field(), Some("mentions"));
    }

    #[test]
    fn a_retry_carries_the_same_file_in_the_same_way() {
        use AttachmentKind::{File as AsFile, Image as AsImage};
        let (picture, paper) = (stored_file(1, "image/png"), stored_file(2, "application/pdf"));
        let of = |attachment| draft(NewBody::Attachment(attachment, Caption::none()), None);
        let by_id = |kind, n| of(Attachment::Stored { kind, file: file_id(n) });
        let uploaded = |file: &File| of(Attachment::Uploaded(File { id: file_id(9), ..file.clone() }));
        let other_bytes = File { sent_sha256: Sha256([2; 32]), ..picture.clone() };
        let text = draft(NewBody::Text(Text::parse("x").unwrap()), None);
        for (attachment, draft, same) in [
            (Some((AsImage, &picture)), by_id(AsImage, 1), true),
            (Some((AsFile, &picture)), by_id(AsFile, 1), true),
            (Some((AsImage, &picture)), by_id(AsFile, 1), false),
            (Some((AsImage, &picture)), by_id(AsImage, 2), false),
            (Some((AsImage, &picture)), uploaded(&picture), true),
            (Some((AsFile, &paper)), uploaded(&paper), true),
            (Some((AsFile, &picture)), uploaded(&picture), false),
            (Some((AsImage, &picture)), uploaded(&other_bytes), false),
            (Some((AsImage, &picture)), text.clone(), false),
            (None, by_id(AsImage, 1), false),
            (None, uploaded(&picture), false),
            (None, text, true),
        ] {
            let outcome = stored(attachment).is_retried_by(&draft, Some(conversation(3)));
            assert_eq!(outcome.is_ok(), same, "{attachment:?} {draft:?}");
        }
    }

    #[test]
    fn a_message_belongs_to_one_conversation() {
        let (group, other_group) = (GroupId(Uuid::from_u128(7)), GroupId(Uuid::from_u128(8)));
        let (third, to) = (UserId(Uuid::from_u128(3)), Recipient::User);
        let direct = |receiver| Destination::Direct { receiver };
        // Sent by SENDER.
        for (destination, reader, recipient, is_with) in [
            (direct(OTHER), SENDER, to(OTHER), true),
            (direct(OTHER), OTHER, to(SENDER), true),
            (direct(OTHER), SENDER, to(SENDER), false),
            (direct(OTHER), OTHER, to(OTHER), false),
            (direct(OTHER), SENDER, to(third), false),
            (direct(SENDER), SENDER, to(SENDER), true),
            (direct(SENDER), SENDER, to(OTHER), false),
            (direct(OTHER), SENDER, Recipient::Group(group), false),
            (Destination::Group(group), OTHER, Recipient::Group(group), true),
            (Destination::Group(group), OTHER, Recipient::Group(other_group), false),
            (Destination::Group(group), OTHER, to(SENDER), false),
            (Destination::Broadcast, OTHER, Recipient::Everybody, true),
            (Destination::Broadcast, OTHER, to(SENDER), false),
        ] {
            let message = Message { destination, ..message(1) };
            assert_eq!(message.is_with(reader, recipient), is_with, "{destination:?} {reader} {recipient:?}");
        }
    }

    #[test]
    fn only_an_image_is_carried_as_one() {
        let (picture, paper) = (stored_file(1, "image/png"), stored_file(2, "application/pdf"));
        assert!(AttachmentKind::Image.fits(&picture).is_ok() && AttachmentKind::File.fits(&picture).is_ok());
        assert!(AttachmentKind::File.fits(&paper).is_ok());
        assert_eq!(AttachmentKind::Image.fits(&paper).unwrap_err().field, "file_id");
    }
}
