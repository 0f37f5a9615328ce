//! What messages of the model have beside their words: reactions, pins, threads, forwards, versions.

use super::model::{Conversation, Kind, Model};
use super::people::page;
use domain::groups::Role;
use domain::messages::{
    AddressedNames, EditHistory, Emoji, Mentions, Message, MessageVersion, NewBody, NewMessage, Pin, Reaction, Reactor,
    Recipient, ThreadStart, ThreadSummary, ThreadWindow, Update,
};
use domain::{ConversationId, Limit, MessageId, NotFound, Page, Result, Timestamp, UserId};

#[derive(Debug, Clone)]
pub(super) struct Reacted {
    emoji: Emoji,
    user: UserId,
    update: i64,
    at: Timestamp,
}

/// Whom a message mentions, by which call, and when.
#[derive(Debug, Clone, Default)]
pub struct Mentioned {
    pub mentions: Mentions,
    by: u64,
    at: Option<Timestamp>,
}

impl Mentioned {
    /// Whether a user is mentioned who joined by that call.
    pub fn includes(&self, user: UserId, joined_by: u64) -> bool {
        self.mentions.users.contains(&user) || (self.mentions.all && joined_by <= self.by)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Parts {
    pub mentioned: Mentioned,
    /// In order.
    pub(super) reacted: Vec<Reacted>,
    pub pinned: Option<Pin>,
    pub thread_id: Option<MessageId>,
    /// Who said it first, and when.
    pub forwarded: Option<(UserId, Timestamp)>,
    pub(super) versions: Vec<(String, Timestamp)>,
}

impl Parts {
    pub fn reactions(&self) -> Vec<Reaction> {
        let mut shown: Vec<Reaction> = Vec::new();
        for Reacted { emoji, user, .. } in &self.reacted {
            match shown.iter_mut().find(|reaction| reaction.emoji == *emoji) {
                Some(reaction) => {
                    reaction.count += 1;
                    reaction.users.push(*user);
                }
                None => shown.push(Reaction { emoji: emoji.clone(), count: 1, users: vec![*user] }),
            }
        }
        shown
    }

    pub fn keep_version(&mut self, words: &str, since: Timestamp) {
        self.versions.push((words.to_owned(), since));
        let surplus = (self.versions.len() + 1).saturating_sub(MessageVersion::MOST);
        self.versions.drain(..surplus);
    }
}

impl Model {
    /// The recipient by which the user sends into the conversation of a message.
    pub fn place_for(&self, user: UserId, id: MessageId) -> Option<Recipient> {
        let in_ = &self.conversations[&self.conversation_of(id)?];
        Some(match &in_.kind {
            Kind::Direct(a, b) => Recipient::User(if *a == user { *b } else { *a }),
            Kind::Group(group) => Recipient::Group(group.id),
            Kind::Broadcast => Recipient::Everybody,
        })
    }

    /// Takes a number for a message and changes it.
    fn change(&mut self, id: MessageId, at: Timestamp, change: impl FnOnce(&mut Parts, i64, Timestamp)) {
        let (in_, index) = self.said_mut(id);
        let update = in_.next();
        let said = &mut in_.said[index];
        (said.update, said.updated_at) = (update, at.max(said.updated_at));
        change(&mut said.parts, update, at.max(said.created_at));
    }

    fn may_react(&self, actor: UserId, id: MessageId) -> Result<&Parts> {
        let (in_, said) = self.visible(actor, id)?;
        self.access(actor, in_)?.may_react(|| Ok(()))?;
        Ok(&said.parts)
    }

    pub fn react(&mut self, user: UserId, id: MessageId, emoji: Emoji, at: Timestamp) -> Result<()> {
        let parts = self.may_react(user, id)?;
        if parts.reacted.iter().any(|reacted| reacted.user == user && reacted.emoji == emoji) {
            return Ok(());
        }
        self.change(id, at, |parts, update, at| parts.reacted.push(Reacted { emoji, user, update, at }));
        Ok(())
    }

    pub fn unreact(&mut self, user: UserId, id: MessageId, emoji: &Emoji, at: Timestamp) -> Result<()> {
        let is_it = |reacted: &Reacted| reacted.user == user && reacted.emoji == *emoji;
        if self.may_react(user, id)?.reacted.iter().any(is_it) {
            self.change(id, at, |parts, _, _| parts.reacted.retain(|reacted| !is_it(reacted)));
        }
        Ok(())
    }

    fn may_pin(&self, actor: UserId, id: MessageId) -> Result<&Parts> {
        let (in_, said) = self.visible(actor, id)?;
        self.access(actor, in_)?.may_pin(|| Ok(()))?;
        Ok(&said.parts)
    }

    pub fn pin(&mut self, by: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        if self.may_pin(by, id)?.pinned.is_none() {
            self.change(id, at, |parts, update, at| parts.pinned = Some(Pin { at, by, update: Update(update) }));
        }
        Ok(())
    }

    pub fn unpin(&mut self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        if self.may_pin(actor, id)?.pinned.is_some() {
            self.change(id, at, |parts, _, _| parts.pinned = None);
        }
        Ok(())
    }

    /// Whether the draft may go into its thread: existence outside, the rest inside.
    pub fn check_thread(&self, draft: &NewMessage) -> Result<Result<()>> {
        let Some(id) = draft.thread_id else { return Ok(Ok(())) };
        let (in_, said) = self.visible(draft.sender, id)?;
        let start = ThreadStart { conversation: in_.id, is_reply: said.parts.thread_id.is_some() };
        Ok(ThreadStart::admits(Some(start), self.destination(draft.sender, draft.recipient)))
    }

    /// Whom the sender mentions with these words.
    pub fn mentioned_by(&self, sender: UserId, to: Recipient, words: &str, at: Timestamp) -> Mentioned {
        let in_ = self.destination(sender, to).and_then(|id| self.conversations.get(&id));
        let (among, may_mention_all) = match (to, in_) {
            (Recipient::User(other), _) => (vec![sender, other], false),
            (Recipient::Group(_), Some(in_)) => {
                let role = in_.seats.get(&sender).map(|seat| seat.role);
                let members = in_.seats.keys().copied().collect();
                (members, matches!(role, Some(Role::Owner | Role::Admin)))
            }
            _ => (self.living(), true),
        };
        let member = |name: &str| {
            let mut living = among.iter().filter_map(|user| self.living_user(*user).ok());
            living.find(|user| user.username.key() == name).map(|user| user.id)
        };
        let mentions = AddressedNames::read(words).resolve(member, may_mention_all);
        Mentioned { mentions, by: self.calls, at: Some(at) }
    }

    pub fn mentions(&self, viewer: UserId, before: Option<MessageId>, limit: Limit) -> Page<Message> {
        let me = &self.users[&viewer];
        let mut found: Vec<Message> = Vec::new();
        for in_ in self.conversations.values().filter(|in_| self.readable(viewer, in_.id).is_ok()) {
            let seat = in_.seats.get(&viewer);
            let all = in_.live().filter(|said| said.sender != viewer).filter(|said| match in_.kind {
                Kind::Broadcast => {
                    let mentioned = &said.parts.mentioned;
                    let signed_up = mentioned.at.is_some_and(|at| me.created_at <= at);
                    mentioned.mentions.users.contains(&viewer) || (mentioned.mentions.all && signed_up)
                }
                _ => said.parts.mentioned.includes(viewer, seat.map_or(u64::MAX, |seat| seat.joined_by)),
            });
            found.extend(all.map(|said| self.message(in_, said)));
        }
        found.retain(|message| before.is_none_or(|before| message.id < before));
        found.sort_by_key(|message| std::cmp::Reverse(message.id));
        page(found, limit)
    }

    /// What the draft says, and who said it first.
    pub fn words(&self, draft: &NewMessage) -> Result<(String, Option<(UserId, Timestamp)>)> {
        let NewBody::Forward(id) = &draft.body else { return Ok((draft.body.content().to_owned(), None)) };
        let (_, said) = self.visible(draft.sender, *id)?;
        let first = said.parts.forwarded.unwrap_or((said.sender, said.created_at));
        Ok((said.words.clone(), Some(first)))
    }

    pub fn thread_summary(&self, in_: &Conversation, id: MessageId) -> Option<ThreadSummary> {
        let replies: Vec<_> = in_.live().filter(|said| said.parts.thread_id == Some(id)).collect();
        let last_reply_at = replies.iter().map(|said| said.created_at).max()?;
        Some(ThreadSummary { replies: replies.len() as u64, last_reply_at })
    }

    pub fn thread(&self, viewer: UserId, id: MessageId, window: ThreadWindow, limit: Limit) -> Result<Page<Message>> {
        let (in_, said) = self.visible(viewer, id)?;
        let start = said.parts.thread_id.unwrap_or(id);
        let belongs = |id, thread| id == start || thread == Some(start);
        let place_of = |cursor| {
            let said = in_.said.iter().find(|said| said.id == cursor && belongs(said.id, said.parts.thread_id));
            said.map(|said| said.seq).ok_or(NotFound::Message)
        };
        let all = || in_.live().filter(|said| belongs(said.id, said.parts.thread_id));
        Ok(match window {
            ThreadWindow::Start => page(all().map(|said| self.message(in_, said)), limit),
            ThreadWindow::After(cursor) => {
                let place = place_of(cursor)?;
                page(all().filter(|said| said.seq > place).map(|said| self.message(in_, said)), limit)
            }
            ThreadWindow::Before(cursor) => {
                let place = place_of(cursor)?;
                let older = all().rev().filter(|said| said.seq < place);
                let mut page = page(older.map(|said| self.message(in_, said)), limit);
                page.items.reverse();
                page
            }
        })
    }

    pub fn pins(
        &self,
        viewer: UserId,
        of: ConversationId,
        before: Option<Update>,
        limit: Limit,
    ) -> Result<Page<Message>> {
        let in_ = self.readable(viewer, of)?;
        let mut pinned: Vec<_> = in_.live().filter_map(|said| Some((said.parts.pinned?.update, said))).collect();
        pinned.retain(|(update, _)| before.is_none_or(|before| *update < before));
        pinned.sort_by_key(|(update, _)| std::cmp::Reverse(*update));
        Ok(page(pinned.into_iter().map(|(_, said)| self.message(in_, said)), limit))
    }

    pub fn reactors(
        &self,
        viewer: UserId,
        id: MessageId,
        emoji: Option<&Emoji>,
        after: Update,
        limit: Limit,
    ) -> Result<Page<Reactor>> {
        let (_, said) = self.visible(viewer, id)?;
        let listed = said.parts.reacted.iter().filter(|reacted| reacted.update > after.0);
        let listed = listed.filter(|reacted| emoji.is_none_or(|emoji| reacted.emoji == *emoji));
        let shown = |reacted: &Reacted| Reactor {
            emoji: reacted.emoji.clone(),
            user: self.users[&reacted.user].profile(),
            created_at: reacted.at,
            update: Update(reacted.update),
        };
        Ok(page(listed.map(shown), limit))
    }

    pub fn versions(&self, viewer: UserId, id: MessageId) -> Result<Vec<MessageVersion>> {
        let (_, said) = self.visible(viewer, id)?;
        EditHistory::Author.may_read(viewer, said.sender)?;
        let present = (said.words.clone(), said.edited_at.unwrap_or(said.created_at));
        let all = said.parts.versions.iter().cloned().chain([present]);
        Ok(all.map(|(content, created_at)| MessageVersion { content, created_at }).collect())
    }
}
