//! The model's lists: pages, changes, receipts, counts, conversations.

use super::call::SOMEWHEN;
use super::model::{Conversation, Kind, Model, Said};
use super::people::page;
use super::views::beginning;
use domain::conversations::{self, ConversationFilter, Counterpart};
use domain::groups::GroupView;
use domain::messages::{
    Around, ChangeEntry, Changes, Cursor, Listing, Message, PageAround, Recipient, Replies, Seq, Tombstone, Update,
    Window,
};
use domain::receipts::{Receipt, Unseen, UnseenCount};
use domain::{ConversationId, GroupId, Limit, MessageId, NotFound, Page, Result, UserId};

/// All are far fewer than are counted.
fn counted(in_: &Conversation, user: UserId) -> UnseenCount {
    UnseenCount { count: in_.unseen(user), more: false, mentions: in_.unseen_mentions(user) }
}

/// Whether a list contains the message.
fn is_listed(said: &Said, replies: Replies) -> bool {
    replies == Replies::Included || said.parts.thread_id.is_none()
}

impl Model {
    /// The conversation with the recipient, if there is one, for a viewer who may read it.
    fn open(&self, viewer: UserId, of: Recipient) -> Result<Conversation> {
        match of {
            Recipient::User(other) => drop(self.users.get(&other).ok_or(NotFound::User)?),
            Recipient::Group(group) => drop(self.group_access(viewer, group)?),
            Recipient::Everybody => {}
        }
        let begun = self.destination(viewer, of).and_then(|id| self.conversations.get(&id)).cloned();
        Ok(begun.unwrap_or_else(|| Conversation::new(ConversationId::BROADCAST, Kind::Broadcast)))
    }

    pub fn page(&self, viewer: UserId, of: Recipient, listing: Listing) -> Result<Page<Message>> {
        let in_ = &self.open(viewer, of)?;
        let Listing { window, replies } = listing;
        let listed = || in_.live().filter(move |said| is_listed(said, replies));
        let shown = |said: &Said| self.message(in_, said);
        Ok(match window {
            Window::Offset { offset, limit } => page(listed().skip(offset as usize).map(shown), limit),
            Window::After { cursor, limit } => {
                let place = in_.place_of(cursor)?;
                page(listed().filter(|said| said.seq > place).map(shown), limit)
            }
            Window::Before { cursor, limit } => {
                let place = match cursor {
                    Cursor::Latest => i64::MAX,
                    Cursor::Message(id) => in_.place_of(id)?,
                };
                let mut page = page(listed().rev().filter(|said| said.seq < place).map(shown), limit);
                page.items.reverse();
                page
            }
        })
    }

    pub fn around(
        &self,
        viewer: UserId,
        of: Recipient,
        place: Around,
        replies: Replies,
        limit: Limit,
    ) -> Result<PageAround> {
        let in_ = &self.open(viewer, of)?;
        let place = match place {
            Around::Message(id) => in_.place_of(id)?,
            Around::FirstUnseen => in_.first_unseen(viewer).unwrap_or(i64::MAX),
        };
        let listed: Vec<&Said> = in_.live().filter(|said| is_listed(said, replies)).collect();
        let older = listed.iter().filter(|said| said.seq < place).count();
        // As many on both sides, and the rest where there are more.
        let begin = older.saturating_sub(limit.get() / 2).min(listed.len().saturating_sub(limit.get()));
        let end = (begin + limit.get()).min(listed.len());
        Ok(PageAround {
            items: listed[begin..end].iter().map(|said| self.message(in_, said)).collect(),
            older: begin > 0,
            newer: end < listed.len(),
        })
    }

    pub fn changes(&self, viewer: UserId, of: ConversationId, after: i64, limit: Limit) -> Result<Changes> {
        let in_ = self.readable(viewer, of)?;
        let mut changed: Vec<&Said> = in_.said.iter().filter(|said| said.update > after).collect();
        changed.sort_by_key(|said| said.update);
        let entries = changed.into_iter().map(|said| match said.deleted_at {
            None => ChangeEntry::Message(Box::new(self.message(in_, said))),
            Some(deleted_at) => {
                let (id, seq, update) = (said.id, said.seq, said.update);
                ChangeEntry::Deleted(Tombstone {
                    id,
                    conversation: of,
                    seq: Seq(seq),
                    update: Update(update),
                    deleted_at,
                })
            }
        });
        let Page { items, more } = page(entries, limit);
        let update = items.last().filter(|_| more).map_or(Update(in_.update), ChangeEntry::update);
        let digest = (!more).then(|| in_.digest(1, in_.update).short());
        Ok(Changes { update, entries: items, more, digest })
    }

    pub fn receipts(&self, viewer: UserId, id: MessageId) -> Result<Vec<Receipt>> {
        let (_, said) = self.visible(viewer, id)?;
        let readers = said.seen.iter().filter(|(user, _)| **user != said.sender);
        let living = readers.filter_map(|(user, seen_at)| {
            let user = self.living_user(*user).ok()?;
            Some(Receipt { user: user.id, username: user.username.to_string(), seen_at: *seen_at })
        });
        Ok(living.collect())
    }

    /// The conversations the user is in, the broadcast left out.
    fn own(&self, user: UserId) -> impl Iterator<Item = &Conversation> {
        let own = self.conversations.values().filter(move |in_| in_.seats.contains_key(&user));
        own.filter(|in_| in_.deleted_at.is_none() && !matches!(in_.kind, Kind::Broadcast))
    }

    pub fn unseen(&self, user: UserId) -> Unseen {
        let mut unseen = Unseen::default();
        for in_ in self.own(user).filter(|in_| in_.unseen(user) > 0) {
            match &in_.kind {
                Kind::Group(group) => unseen.groups.push((group.id, group.name.to_string(), counted(in_, user))),
                Kind::Direct(a, b) => {
                    let other = &self.users[if *a == user { b } else { a }];
                    unseen.direct.push((other.id, other.profile().username, counted(in_, user)));
                }
                Kind::Broadcast => {}
            }
        }
        unseen
    }

    pub fn list_conversations(
        &self,
        user: UserId,
        filter: ConversationFilter,
        behind: Option<ConversationId>,
        limit: Limit,
    ) -> Page<conversations::Conversation> {
        let broadcast = self.conversations.get(&ConversationId::BROADCAST).filter(|in_| in_.active_at.is_some());
        let activity = |in_: &Conversation| in_.sent_by.unwrap_or_else(|| in_.seats[&user].joined_by);
        let mut mine: Vec<&Conversation> = self.own(user).chain(broadcast).collect();
        mine.sort_by_key(|in_| std::cmp::Reverse((activity(in_), in_.id)));
        if let Some(place) = mine.iter().position(|in_| Some(in_.id) == behind) {
            mine.drain(..=place);
        }
        mine.retain(|in_| !in_.said.is_empty() || !in_.views.get(&user).is_some_and(|view| view.hidden));
        let listed = mine.into_iter().map(|in_| self.listed(user, in_));
        page(listed.filter(|listed| filter.admits(listed.settings.archived, listed.unseen)), limit)
    }

    /// A conversation as the user's list shows it.
    pub fn listed(&self, user: UserId, in_: &Conversation) -> conversations::Conversation {
        let is_broadcast = matches!(in_.kind, Kind::Broadcast);
        let view = in_.views.get(&user).cloned().unwrap_or_default();
        let last = in_.said.last().map_or(0, |said| said.seq);
        let others = in_.seen_to.iter().filter(|(reader, _)| **reader != user);
        let joined_at = || in_.seats.get(&user).map_or_else(beginning, |seat| seat.joined_at);
        conversations::Conversation {
            id: in_.id,
            with: match &in_.kind {
                Kind::Direct(a, b) => Counterpart::User(self.users[if *a == user { b } else { a }].clone()),
                Kind::Group(group) => Counterpart::Group(GroupView {
                    group: self.group(GroupId(group.id.0)).unwrap(),
                    role: in_.seats.get(&user).map(|seat| seat.role),
                }),
                Kind::Broadcast => Counterpart::Everybody,
            },
            last_message: in_.live().next_back().map(|said| self.message(in_, said)),
            unseen: if is_broadcast { UnseenCount::default() } else { counted(in_, user) },
            update: Update(in_.update),
            digest: in_.digest(1, in_.update).short(),
            read_up_to: Seq(in_.first_unseen(user).filter(|_| !is_broadcast).map_or(last, |first| first - 1)),
            others_read_up_to: Seq(others.map(|(_, seq)| *seq).max().unwrap_or(0)),
            settings: view.settings,
            draft: view.draft,
            activity: SOMEWHEN,
            active_at: in_.active_at.unwrap_or_else(joined_at),
        }
    }
}
