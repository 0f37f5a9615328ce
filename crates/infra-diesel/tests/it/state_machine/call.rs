//! What can be asked of the ports, and how it is asked of a store.

use super::views::without_place;
use crate::world::{delete_user, limit};
use domain::conversations::{Activity, ConversationCursor, ConversationFilter, ConversationRepository, Opened};
use domain::events::Revision;
use domain::groups::{
    GroupChange, GroupName, GroupNamePrefix, GroupRepository, MemberRepository, NewGroup, NewMember, Role,
};
use domain::messages::{
    Around, Content, Emoji, Listing, Message, MessageLog, MessageReader, NewMessage, PageRead, PageVersion, Recipient,
    Replies, ThreadWindow, Update,
};
use domain::receipts::{ReceiptRepository, Unseen};
use domain::users::{NewUser, ProfileChange, UserRepository, Username, UsernamePrefix};
use domain::views::{NewDraft, SettingsChange};
use domain::{ConversationId, GroupId, Limit, MessageId, Page, SessionId, Timestamp, UserId};
use infra_diesel::Store;
use std::collections::HashMap;
use uuid::Uuid;

/// A call of a port.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a test has one at a time")]
pub enum Call {
    SignUp(NewUser),
    ChangeProfile(UserId, ProfileChange, Timestamp),
    DeleteUser(UserId, Timestamp),
    CreateGroup(NewGroup),
    ChangeGroup(UserId, GroupId, GroupChange, Timestamp),
    DeleteGroup(UserId, GroupId, Timestamp),
    Add(UserId, NewMember, Timestamp),
    ChangeRole(UserId, GroupId, UserId, Role, Timestamp),
    Remove(UserId, GroupId, UserId, Timestamp),
    Append(NewMessage),
    React(UserId, MessageId, Emoji, Timestamp),
    Unreact(UserId, MessageId, Emoji, Timestamp),
    Pin(UserId, MessageId, Timestamp),
    Unpin(UserId, MessageId, Timestamp),
    Edit(UserId, MessageId, Content, Timestamp),
    DeleteMessage(UserId, MessageId, Timestamp),
    Seen(UserId, MessageId, Timestamp),
    Read(UserId, ConversationId, MessageId, Timestamp),
    Unread(UserId, ConversationId, MessageId),
    Settings(UserId, ConversationId, SettingsChange, Timestamp),
    Draft(UserId, ConversationId, Option<NewDraft>, Timestamp),
    Open(UserId, UserId, ConversationId, Timestamp),
    FindUser(Username),
    ListUsers(UsernamePrefix, Option<UserId>, Limit),
    FindGroup(UserId, GroupName),
    ListGroups(UserId, GroupNamePrefix, Option<GroupId>, Limit),
    ListMembers(UserId, GroupId, Option<UserId>, Limit),
    Page(UserId, Recipient, Listing),
    Around(UserId, Recipient, Around, Replies, Limit),
    Thread(UserId, MessageId, ThreadWindow, Limit),
    Mentions(UserId, Option<MessageId>, Limit),
    Pins(UserId, ConversationId, Option<Update>, Limit),
    Reactors(UserId, MessageId, Option<Emoji>, Update, Limit),
    Versions(UserId, MessageId),
    FindMessage(UserId, MessageId),
    Changes(UserId, ConversationId, i64, Limit),
    Receipts(UserId, MessageId),
    Unseen(UserId),
    /// Behind one of them, if it is in the list.
    Conversations(UserId, ConversationFilter, Option<ConversationId>, Limit),
}

/// An answer as text: refusals tell their kind.
pub fn shown<T: std::fmt::Debug>(answer: domain::Result<T>) -> String {
    format!("{answer:?}")
}

/// Stands for the place of a conversation in a list.
pub const SOMEWHEN: Activity = Activity { revision: Revision(0), nth: 0 };

/// Counts come in no promised order.
pub fn in_order(mut unseen: Unseen) -> Unseen {
    unseen.direct.sort_by_key(|(user, ..)| *user);
    unseen.groups.sort_by_key(|(group, ..)| *group);
    unseen
}

impl Call {
    pub async fn ask(&self, store: &Store, kept: &mut KeptPages) -> String {
        let call = self.clone();
        match call {
            Self::SignUp(new) => shown(UserRepository::create(store, new).await),
            Self::ChangeProfile(user, change, at) => {
                shown(UserRepository::change(store, user, change, SessionId(Uuid::nil()), at).await)
            }
            Self::DeleteUser(user, at) => shown(delete_user(store, user, at).await),
            Self::CreateGroup(new) => shown(GroupRepository::create(store, new).await),
            Self::ChangeGroup(actor, group, change, at) => {
                shown(GroupRepository::change(store, actor, group, change, at).await)
            }
            Self::DeleteGroup(actor, group, at) => shown(GroupRepository::delete(store, actor, group, at).await),
            Self::Add(actor, new, at) => shown(store.add(actor, new, at).await),
            Self::ChangeRole(actor, group, user, role, at) => {
                shown(store.change_role(actor, group, user, role, at).await)
            }
            Self::Remove(actor, group, user, at) => shown(store.remove(actor, group, user, at).await),
            Self::Append(draft) => shown(store.append(draft).await),
            Self::React(actor, id, emoji, at) => shown(store.react(actor, id, emoji, at).await),
            Self::Unreact(actor, id, emoji, at) => shown(store.unreact(actor, id, emoji, at).await),
            Self::Pin(actor, id, at) => shown(store.pin(actor, id, at).await),
            Self::Unpin(actor, id, at) => shown(store.unpin(actor, id, at).await),
            Self::Edit(actor, id, content, at) => shown(store.edit(actor, id, content.into(), at).await),
            Self::DeleteMessage(actor, id, at) => shown(MessageLog::delete(store, actor, id, at).await),
            Self::Seen(reader, id, at) => shown(store.mark_seen(reader, id, at).await),
            Self::Read(reader, of, up_to, at) => shown(store.mark_read(reader, of, up_to, at).await),
            Self::Unread(reader, of, from) => shown(store.mark_unread(reader, of, from).await),
            Self::Settings(user, of, change, at) => {
                shown(store.change_settings(user, of, change, at).await.map(without_place))
            }
            Self::Draft(user, of, Some(draft), at) => shown(store.keep_draft(user, of, draft, at).await),
            Self::Draft(user, of, None, _) => shown(store.drop_draft(user, of).await),
            Self::Open(user, other, new, at) => {
                shown(store.open_direct(user, other, new, at).await.map(|opened| match opened {
                    Opened::Made(conversation) => Opened::Made(without_place(conversation)),
                    Opened::Found(conversation) => Opened::Found(without_place(conversation)),
                }))
            }
            Self::FindUser(name) => shown(UserRepository::find_by_name(store, &name).await),
            Self::ListUsers(prefix, after, limit) => {
                shown(UserRepository::list(store, Some(&prefix), after, limit).await)
            }
            Self::FindGroup(viewer, name) => shown(GroupRepository::find_by_name(store, viewer, &name.key()).await),
            Self::ListGroups(viewer, prefix, after, limit) => {
                shown(GroupRepository::list(store, viewer, Some(&prefix), after, limit).await)
            }
            Self::ListMembers(viewer, group, after, limit) => {
                shown(MemberRepository::list(store, viewer, group, after, limit).await)
            }
            Self::Page(viewer, of, listing) => shown(kept.read(store, viewer, of, listing).await),
            Self::Around(viewer, of, place, replies, limit) => {
                shown(store.around(viewer, of, place, replies, limit).await)
            }
            Self::Thread(viewer, id, window, limit) => shown(store.thread(viewer, id, window, limit).await),
            Self::Mentions(viewer, before, limit) => shown(store.mentions(viewer, before, limit).await),
            Self::Pins(viewer, of, before, limit) => shown(store.pins(viewer, of, before, limit).await),
            Self::Reactors(viewer, id, emoji, after, limit) => {
                shown(store.reactors(viewer, id, emoji, after, limit).await)
            }
            Self::Versions(viewer, id) => shown(store.versions(viewer, id).await),
            Self::FindMessage(viewer, id) => shown(MessageReader::find(store, viewer, id).await),
            Self::Changes(viewer, of, after, limit) => shown(store.changes(viewer, of, Update(after), limit).await),
            Self::Receipts(viewer, id) => {
                shown(store.of_message(viewer, id, None, limit(200)).await.map(|page| page.items))
            }
            Self::Unseen(user) => shown(store.unseen(user).await.map(in_order)),
            Self::Conversations(user, filter, behind, most) => {
                let all = ConversationRepository::list(store, user, ConversationFilter::default(), None, limit(200))
                    .await
                    .unwrap()
                    .items;
                let before = all.iter().find(|listed| Some(listed.id) == behind).map(ConversationCursor::behind);
                let mut page = ConversationRepository::list(store, user, filter, before, most).await;
                // The order is compared; by what numbers each database has it is its own.
                page.iter_mut().flat_map(|page| &mut page.items).for_each(|listed| listed.activity = SOMEWHEN);
                shown(page)
            }
        }
    }
}

/// Pages as a server keeps them for whoever reads them next.
#[derive(Default)]
pub struct KeptPages(HashMap<(Recipient, UserId, Listing), (PageVersion, Page<Message>)>);

impl KeptPages {
    async fn read(
        &mut self,
        store: &Store,
        viewer: UserId,
        of: Recipient,
        listing: Listing,
    ) -> domain::Result<Page<Message>> {
        // Both users of a direct conversation, and all members of a group, share its pages.
        let key = match of {
            Recipient::User(other) => (Recipient::User(viewer.min(other)), viewer.max(other), listing),
            of => (of, UserId(Uuid::nil()), listing),
        };
        let known = self.0.get(&key).map(|(version, _)| *version);
        match store.page(viewer, of, listing, known).await? {
            PageRead::Unchanged => Ok(self.0[&key].1.clone()),
            PageRead::Read(page, version) => {
                if let Some(version) = version {
                    self.0.insert(key, (version, page.clone()));
                }
                Ok(page)
            }
        }
    }
}
