//! The model: `docs/api.md` in plain collections, with no thought for cost. The tables of who may do what are the
//! domain's own; what is modelled is what happens then.

use super::call::{Call, in_order, shown};
use super::parts::{Mentioned, Parts};
use super::views::View;
use domain::groups::{Entry, Group, Role};
use domain::messages::{
    Access, Appended, Body, Content, Destination, Forwarded, IdempotencyKey, Message, MessageType, NewMessage,
    Recipient, Seq, Text, Update,
};
use domain::users::User;
use domain::{Conflict, ConversationId, GroupId, MessageId, NotFound, Result, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody's place in a conversation.
#[derive(Debug, Clone)]
pub struct Seat {
    pub role: Role,
    /// What was said up to here is none of one's unseen.
    pub joined_after: i64,
    pub joined_at: Timestamp,
    /// By which call.
    pub joined_by: u64,
    pub updated_at: Timestamp,
}

impl Seat {
    pub fn new(role: Role, joined_after: i64, at: Timestamp, joined_by: u64) -> Self {
        Self { role, joined_after, joined_at: at, joined_by, updated_at: at }
    }
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// In order.
    Direct(UserId, UserId),
    /// Its `member_count` is not kept.
    Group(Group),
    Broadcast,
}

#[derive(Debug, Clone)]
pub struct Said {
    pub id: MessageId,
    pub sender: UserId,
    pub words: String,
    pub sent_with: String,
    pub reply_to: Option<MessageId>,
    pub key: Option<IdempotencyKey>,
    pub seq: i64,
    pub update: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub seen: BTreeMap<UserId, Timestamp>,
    /// Who has seen it and marked it as unread since.
    pub unread: BTreeSet<UserId>,
    pub parts: Parts,
}

#[derive(Debug, Clone)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: Kind,
    pub update: i64,
    pub active_at: Option<Timestamp>,
    /// By which call the last message was sent.
    pub sent_by: Option<u64>,
    pub seats: BTreeMap<UserId, Seat>,
    pub said: Vec<Said>,
    /// How far each reader has ever come.
    pub seen_to: BTreeMap<UserId, i64>,
    pub views: BTreeMap<UserId, View>,
    pub deleted_at: Option<Timestamp>,
}

impl Conversation {
    pub fn new(id: ConversationId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            update: 0,
            active_at: None,
            sent_by: None,
            seats: BTreeMap::new(),
            said: Vec::new(),
            seen_to: BTreeMap::new(),
            views: BTreeMap::new(),
            deleted_at: None,
        }
    }

    pub fn next(&mut self) -> i64 {
        self.update += 1;
        self.update
    }

    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Said> {
        self.said.iter().filter(|said| said.deleted_at.is_none())
    }

    pub fn place_of(&self, id: MessageId) -> Result<i64> {
        Ok(self.said.iter().find(|said| said.id == id).map(|said| said.seq).ok_or(NotFound::Message)?)
    }

    fn all_unseen(&self, user: UserId) -> impl Iterator<Item = &Said> {
        let joined_after = self.seats.get(&user).map_or(i64::MAX, |seat| seat.joined_after);
        let unseen = self.live().filter(move |said| said.seq > joined_after && said.sender != user);
        unseen.filter(move |said| !said.seen.contains_key(&user) || said.unread.contains(&user))
    }

    /// How many unseen messages mention the user.
    pub fn unseen_mentions(&self, user: UserId) -> u64 {
        let joined_by = self.seats.get(&user).map_or(u64::MAX, |seat| seat.joined_by);
        self.all_unseen(user).filter(|said| said.parts.mentioned.includes(user, joined_by)).count() as u64
    }

    pub fn unseen(&self, user: UserId) -> u64 {
        self.all_unseen(user).count() as u64
    }

    pub fn first_unseen(&self, user: UserId) -> Option<i64> {
        self.all_unseen(user).next().map(|said| said.seq)
    }
}

/// Everything there is.
pub struct Model {
    pub users: BTreeMap<UserId, User>,
    pub conversations: BTreeMap<ConversationId, Conversation>,
    /// How many calls were answered: what comes later was committed later, whatever the clock says.
    pub calls: u64,
}

impl Default for Model {
    fn default() -> Self {
        let broadcast = Conversation::new(ConversationId::BROADCAST, Kind::Broadcast);
        Self { users: BTreeMap::new(), conversations: BTreeMap::from([(broadcast.id, broadcast)]), calls: 0 }
    }
}

impl Model {
    pub fn answer(&mut self, call: &Call) -> String {
        self.calls += 1;
        match call.clone() {
            Call::SignUp(new) => shown(self.sign_up(new)),
            Call::ChangeProfile(user, change, at) => shown(self.change_profile(user, change, at)),
            Call::DeleteUser(user, at) => shown(self.delete_user(user, at)),
            Call::CreateGroup(new) => shown(self.create_group(new)),
            Call::ChangeGroup(actor, id, change, at) => shown(self.change_group(actor, id, change, at)),
            Call::DeleteGroup(actor, id, at) => shown(self.delete_group(actor, id, at)),
            Call::Add(actor, new, at) => shown(self.add(actor, new, at)),
            Call::ChangeRole(actor, group, user, role, at) => shown(self.change_role(actor, group, user, role, at)),
            Call::Remove(actor, group, user, at) => shown(self.remove(actor, group, user, at)),
            Call::Append(draft) => shown(self.append(draft)),
            Call::React(actor, id, emoji, at) => shown(self.react(actor, id, emoji, at)),
            Call::Unreact(actor, id, emoji, at) => shown(self.unreact(actor, id, &emoji, at)),
            Call::Pin(actor, id, at) => shown(self.pin(actor, id, at)),
            Call::Unpin(actor, id, at) => shown(self.unpin(actor, id, at)),
            Call::Edit(actor, id, content, at) => shown(self.edit(actor, id, &content, at)),
            Call::DeleteMessage(actor, id, at) => shown(self.delete_message(actor, id, at)),
            Call::Seen(reader, id, at) => shown(self.mark_seen(reader, id, at)),
            Call::Read(reader, of, up_to, at) => shown(self.mark_read(reader, of, up_to, at)),
            Call::Unread(reader, of, from) => shown(self.mark_unread(reader, of, from)),
            Call::Settings(user, of, change, at) => shown(self.change_settings(user, of, &change, at)),
            Call::Draft(user, of, draft, at) => shown(self.set_draft(user, of, draft, at)),
            Call::Open(user, other, new, at) => shown(self.open_direct(user, other, new, at)),
            Call::FindUser(name) => shown(Ok(self.find_user(&name))),
            Call::ListUsers(prefix, after, limit) => shown(self.list_users(&prefix, after, limit)),
            Call::FindGroup(viewer, name) => shown(Ok(self.find_group(viewer, &name))),
            Call::ListGroups(viewer, prefix, after, limit) => shown(self.list_groups(viewer, &prefix, after, limit)),
            Call::ListMembers(viewer, group, after, limit) => shown(self.list_members(viewer, group, after, limit)),
            Call::Page(viewer, of, listing) => shown(self.page(viewer, of, listing)),
            Call::Around(viewer, of, place, replies, limit) => shown(self.around(viewer, of, place, replies, limit)),
            Call::Thread(viewer, id, window, limit) => shown(self.thread(viewer, id, window, limit)),
            Call::Mentions(viewer, before, limit) => shown(Ok(self.mentions(viewer, before, limit))),
            Call::Pins(viewer, of, before, limit) => shown(self.pins(viewer, of, before, limit)),
            Call::Reactors(viewer, id, emoji, after, limit) => {
                shown(self.reactors(viewer, id, emoji.as_ref(), after, limit))
            }
            Call::Versions(viewer, id) => shown(self.versions(viewer, id)),
            Call::FindMessage(viewer, id) => {
                shown(Ok(self.visible(viewer, id).ok().map(|(in_, said)| self.message(in_, said))))
            }
            Call::Changes(viewer, of, after, limit) => shown(self.changes(viewer, of, after, limit)),
            Call::Receipts(viewer, id) => shown(self.receipts(viewer, id)),
            Call::Unseen(user) => shown(Ok(in_order(self.unseen(user)))),
            Call::Conversations(user, filter, behind, limit) => {
                shown(Ok(self.list_conversations(user, filter, behind, limit)))
            }
        }
    }

    pub fn living(&self) -> Vec<UserId> {
        self.users.values().filter(|user| user.deleted_at.is_none()).map(|user| user.id).collect()
    }

    /// Live ones.
    pub fn groups_seen_by(&self, user: UserId) -> Vec<GroupId> {
        let groups = self.conversations.keys().map(|id| GroupId(id.0));
        groups.filter(|group| self.group_access(user, *group).is_ok()).collect()
    }

    pub fn members_of(&self, group: GroupId) -> Vec<UserId> {
        let in_ = self.conversations.get(&group.conversation());
        in_.map_or_else(Vec::new, |in_| in_.seats.keys().copied().collect())
    }

    pub fn owner_of(&self, group: GroupId) -> Option<UserId> {
        let seats = &self.conversations.get(&group.conversation())?.seats;
        seats.iter().find(|(_, seat)| seat.role == Role::Owner).map(|(user, _)| *user)
    }

    /// Deleted ones, too.
    pub fn messages_seen_by(&self, user: UserId) -> Vec<MessageId> {
        let readable = self.conversations.keys().filter_map(|id| self.readable(user, *id).ok());
        readable.flat_map(|in_| in_.said.iter().map(|said| said.id)).collect()
    }

    pub fn conversation_of(&self, id: MessageId) -> Option<ConversationId> {
        self.conversations.values().find(|in_| in_.place_of(id).is_ok()).map(|in_| in_.id)
    }

    pub fn living_sender(&self, id: MessageId) -> Option<UserId> {
        let in_ = &self.conversations[&self.conversation_of(id)?];
        let said = in_.said.iter().find(|said| said.id == id)?;
        self.living_user(said.sender).ok().map(|user| user.id)
    }

    /// Some message, live or deleted, of the conversation that the viewer has with the recipient.
    pub fn message_in(&self, viewer: UserId, of: Recipient, number: u8) -> Option<MessageId> {
        let said = &self.conversations.get(&self.destination(viewer, of)?)?.said;
        (!said.is_empty()).then(|| said[usize::from(number) % said.len()].id)
    }

    pub fn destination(&self, from: UserId, to: Recipient) -> Option<ConversationId> {
        match to {
            Recipient::User(other) => {
                let (one, two) = (from.min(other), from.max(other));
                let pair = |in_: &&Conversation| matches!(in_.kind, Kind::Direct(a, b) if (a, b) == (one, two));
                self.conversations.values().find(pair).map(|in_| in_.id)
            }
            Recipient::Group(group) => Some(group.conversation()),
            Recipient::Everybody => Some(ConversationId::BROADCAST),
        }
    }

    pub fn access(&self, user: UserId, in_: &Conversation) -> Result<Access> {
        if in_.deleted_at.is_some() {
            return NotFound::Conversation.err();
        }
        Ok(match &in_.kind {
            Kind::Direct(a, b) if [*a, *b].contains(&user) => Access::Participant,
            Kind::Direct(..) => Access::Stranger,
            Kind::Broadcast => Access::Broadcast,
            Kind::Group(group) => {
                let role = in_.seats.get(&user).map(|seat| seat.role);
                Access::Group(domain::groups::GroupAccess { visibility: group.visibility, role })
            }
        })
    }

    /// The conversation, if the user may read it.
    pub fn readable(&self, user: UserId, id: ConversationId) -> Result<&Conversation> {
        let in_ = self.conversations.get(&id).ok_or(NotFound::Conversation)?;
        self.access(user, in_)?.may_read()?;
        Ok(in_)
    }

    /// The live message, if the user may read it.
    pub fn visible(&self, user: UserId, id: MessageId) -> Result<(&Conversation, &Said)> {
        let of = self.conversation_of(id).ok_or(NotFound::Message)?;
        let in_ = self.readable(user, of).or(NotFound::Message.err())?;
        let said = in_.live().find(|said| said.id == id).ok_or(NotFound::Message)?;
        Ok((in_, said))
    }

    pub fn said_mut(&mut self, id: MessageId) -> (&mut Conversation, usize) {
        let of = self.conversation_of(id).unwrap();
        let in_ = self.conversations.get_mut(&of).unwrap();
        let index = in_.said.iter().position(|said| said.id == id).unwrap();
        (in_, index)
    }

    pub fn message(&self, in_: &Conversation, said: &Said) -> Message {
        Message {
            id: said.id,
            conversation: in_.id,
            destination: match &in_.kind {
                Kind::Direct(a, b) => Destination::Direct { receiver: if said.sender == *a { *b } else { *a } },
                Kind::Group(group) => Destination::Group(group.id),
                Kind::Broadcast => Destination::Broadcast,
            },
            sender: self.users[&said.sender].profile(),
            body: Body::Text(Text::from_stored(said.words.clone())),
            reply_to: said.reply_to,
            mentions: said.parts.mentioned.mentions.clone(),
            reactions: said.parts.reactions(),
            pinned: said.parts.pinned,
            thread_id: said.parts.thread_id,
            thread: self.thread_summary(in_, said.id),
            forwarded: said
                .parts
                .forwarded
                .map(|(sender, created_at)| Forwarded { sender: self.users[&sender].profile(), created_at }),
            seq: Seq(said.seq),
            update: Update(said.update),
            created_at: said.created_at,
            updated_at: said.updated_at,
            edited_at: said.edited_at,
        }
    }

    fn append(&mut self, draft: NewMessage) -> Result<Appended> {
        if let Some(key) = &draft.key {
            let mine = |said: &&Said| said.sender == draft.sender && said.key.as_ref() == Some(key);
            let sent = self.conversations.values().find_map(|in_| Some((in_, in_.said.iter().find(mine)?)));
            if let Some((in_, said)) = sent {
                if self.destination(draft.sender, draft.recipient) != Some(in_.id) {
                    self.may_send(&draft)?;
                    self.check_reply(&draft)?;
                    return Conflict::KeyReused.err();
                }
                self.readable(draft.sender, in_.id).or(draft.recipient.not_found().err())?;
                let same = said.sent_with == draft.body.content() && said.reply_to == draft.reply_to;
                if !same || said.deleted_at.is_some() {
                    if said.reply_to != draft.reply_to {
                        self.check_reply(&draft)?;
                    }
                    return Conflict::KeyReused.err();
                }
                return Ok(Appended::Duplicate(self.message(in_, said)));
            }
        }
        let entry = self.may_send(&draft)?;
        self.check_reply(&draft)?;
        let in_thread = self.check_thread(&draft)?;
        let (words, forwarded) = self.words(&draft)?;
        in_thread?;
        let mentioned = match forwarded {
            Some(_) => Mentioned::default(),
            None => self.mentioned_by(draft.sender, draft.recipient, &words, draft.at),
        };
        let destination = self.destination(draft.sender, draft.recipient);
        if let (Entry::Joins, Recipient::Group(group)) = (entry, draft.recipient) {
            self.join(group, draft.sender, Role::Member, draft.at);
        }
        let of = destination.unwrap_or(draft.new_conversation);
        if let (None, Recipient::User(other)) = (destination, draft.recipient) {
            let (one, two) = (draft.sender.min(other), draft.sender.max(other));
            let mut begun = Conversation::new(of, Kind::Direct(one, two));
            for user in [one, two] {
                begun.seats.insert(user, Seat::new(Role::Member, 0, draft.at, self.calls));
            }
            self.conversations.insert(of, begun);
        }
        let in_ = self.conversations.get_mut(&of).unwrap();
        let seq = in_.next();
        in_.active_at = in_.active_at.max(Some(draft.at));
        in_.sent_by = Some(self.calls);
        let parts = Parts { thread_id: draft.thread_id, forwarded, mentioned, ..Parts::default() };
        in_.said.push(Said {
            id: draft.id,
            sender: draft.sender,
            sent_with: draft.body.content().to_owned(),
            words,
            reply_to: draft.reply_to,
            key: draft.key,
            seq,
            update: seq,
            created_at: draft.at,
            updated_at: draft.at,
            edited_at: None,
            deleted_at: None,
            seen: BTreeMap::new(),
            unread: BTreeSet::new(),
            parts,
        });
        in_.bring_back();
        if draft.clears_draft {
            in_.views.entry(draft.sender).or_default().draft = None;
        }
        let (in_, said) = self.visible(draft.sender, draft.id)?;
        Ok(Appended::Stored(self.message(in_, said)))
    }

    fn check_reply(&self, draft: &NewMessage) -> Result<()> {
        let Some(answered) = draft.reply_to else { return Ok(()) };
        let destination = self.destination(draft.sender, draft.recipient);
        let in_ = destination.and_then(|id| self.conversations.get(&id)).ok_or(NotFound::Message)?;
        Ok(in_.live().find(|said| said.id == answered).map(drop).ok_or(NotFound::Message)?)
    }

    fn may_send(&self, draft: &NewMessage) -> Result<Entry> {
        match draft.recipient {
            Recipient::User(other) => self.living_user(other).map(|_| Entry::Member),
            Recipient::Group(group) => self.group_access(draft.sender, group)?.1.may_send(),
            Recipient::Everybody => Ok(Entry::Member),
        }
    }

    fn edit(&mut self, actor: UserId, id: MessageId, content: &Content, at: Timestamp) -> Result<Message> {
        let (in_, said) = self.visible(actor, id)?;
        let words = content.for_type(MessageType::Text)?.to_owned();
        self.access(actor, in_)?.may_edit(actor, said.sender)?;
        let shown = self.message(in_, said);
        shown.can_be_edited()?;
        if shown.body.content() == words {
            return Ok(shown);
        }
        let place = self.place_for(actor, id).unwrap();
        let mentioned = self.mentioned_by(actor, place, &words, at.max(said.updated_at));
        let (in_, index) = self.said_mut(id);
        let update = in_.next();
        let said = &mut in_.said[index];
        let at = at.max(said.updated_at);
        if said.parts.mentioned.mentions != mentioned.mentions || mentioned.mentions.all {
            said.parts.mentioned = mentioned;
        }
        said.parts.keep_version(&said.words, said.edited_at.unwrap_or(said.created_at));
        (said.words, said.update, said.updated_at, said.edited_at) = (words, update, at, Some(at));
        let (in_, said) = self.visible(actor, id)?;
        Ok(self.message(in_, said))
    }

    fn delete_message(&mut self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        let (in_, said) = self.visible(actor, id)?;
        self.access(actor, in_)?.may_delete(actor, said.sender)?;
        let (in_, index) = self.said_mut(id);
        let update = in_.next();
        let said = &mut in_.said[index];
        let at = at.max(said.updated_at);
        (said.update, said.updated_at, said.deleted_at) = (update, at, Some(at));
        said.parts.pinned = None;
        Ok(())
    }
}
