//! Appends many messages at once. They share look-ups. The batch counts counters in memory and writes them once. The
//! rules judge by what this transaction sees.

use super::memory::Memory;
use super::replay::mentions_digest;
use super::statements;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::queries::{find_profile, find_role, lock_conversation, lock_direct, pair};
use crate::tables::rows::{ConversationRow, FileRow, MessageRow, ProfileRow, user_role};
use crate::tables::schema::{conversations, files};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::find_living;
use crate::transaction::directs::{ListedFor, make_direct};
use crate::transaction::file_usage::{add_usage, check_quota, lock_usage};
use crate::transaction::membership::add_member;
use crate::transaction::mentions::{self, Mentioning};
use crate::transaction::quotas::{self, Counts};
use crate::transaction::room::Room;
use crate::transaction::tx::{ConversationVersions, membership_mark};
use crate::transaction::views::{bring_back, drop_draft};
use diesel::prelude::*;
use domain::events::{ConversationVersion, Event};
use domain::files::Growth;
use domain::groups::{Entry, Role};
use domain::messages::{
    Appended, Attachment, Body, Destination, Forwarded, Mentions, Message, NewBody, NewMessage, Recipient, Seq, Update,
};
use domain::users::{Profile, ServerPolicy, UserRole, Username};
use domain::{ConversationId, NotFound, Unauthenticated, UserId};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// What the rules need of a user.
#[derive(Clone)]
pub struct Sender {
    profile: Profile,
    pub(super) username: Username,
    pub(super) role: UserRole,
}

/// What a message is to say, and what follows from it.
struct Said {
    body: Body,
    forwarded: Option<Forwarded>,
    mentions: Mentions,
}

/// Messages on their way into one transaction.
pub struct AppendBatch<'a> {
    pub(super) conn: &'a mut AnyConnection,
    pub(super) policy: &'a ServerPolicy,
    room: &'a mut Room,
    counts: Counts,
    revision: i64,
    /// The number of the next message within the transaction.
    nth: i64,
    /// Given back by [`AppendBatch::finish`]: a batch that fails leaves nothing to remember.
    memory: Memory,
    /// The conversations that got messages. Their counters are in memory until [`AppendBatch::finish`].
    counted: HashSet<ConversationId>,
    /// Whose drafts in which conversations end with their messages.
    sent_drafts: BTreeSet<(ConversationId, UserId)>,
    versions: ConversationVersions,
    /// Not inserted yet.
    rows: Vec<MessageRow>,
    /// The idempotency keys of `rows`.
    pub(super) keys: HashSet<(UserId, String)>,
    events: Vec<Event>,
}

impl<'a> AppendBatch<'a> {
    /// Begins a batch inside the open transaction. `drafts` are the messages to append: on Postgres this locks their
    /// conversations, in one order for all writers, and reads ahead in a few statements. `nth` is the number of
    /// messages that the transaction has appended before. `memory` is what the writer remembers.
    pub fn begin<'d>(
        conn: &'a mut AnyConnection,
        (policy, room): (&'a ServerPolicy, &'a mut Room),
        (revision, nth): (i64, i64),
        memory: Memory,
        drafts: impl Iterator<Item = &'d NewMessage> + Clone,
    ) -> DbResult<Self> {
        let mut batch = Self {
            conn,
            policy,
            room,
            counts: Counts::default(),
            revision,
            nth,
            memory,
            counted: HashSet::new(),
            sent_drafts: BTreeSet::new(),
            versions: ConversationVersions::new(),
            rows: Vec::new(),
            keys: HashSet::new(),
            events: Vec::new(),
        };
        if let AnyConnection::Postgres(_) = batch.conn {
            batch.read_ahead(drafts.clone())?;
            let uploads = drafts.filter(|draft| matches!(draft.body, NewBody::Attachment(Attachment::Uploaded(_), _)));
            lock_usage(batch.conn, uploads.map(|draft| Id::from(draft.sender)))?;
        }
        Ok(batch)
    }

    /// Locks and reads what the drafts need, in a fixed number of statements.
    fn read_ahead<'d>(&mut self, drafts: impl Iterator<Item = &'d NewMessage>) -> DbResult<()> {
        let AnyConnection::Postgres(conn) = &mut *self.conn else { return Ok(()) };
        let ahead = statements::read_ahead(conn, drafts)?;
        for row in ahead.conversations {
            if let (Some(first), Some(second)) = (row.first_user, row.second_user) {
                self.memory.directs.insert((first, second), row.id.into());
            }
            let live = row.deleted_at.is_none();
            self.versions.insert(row.id.into(), row.version());
            self.memory.conversations.insert(row.id.into(), live.then_some(row));
        }
        for user in ahead.users {
            self.memory.users.insert(user.id.into(), sender(user)?);
        }
        for (conversation, user, role) in ahead.roles {
            self.memory.roles.insert((conversation.into(), user.into()), Some(crate::tables::rows::role(&role)?));
        }
        for (conversation, user) in ahead.asked_roles {
            self.memory.roles.entry((conversation.into(), user.into())).or_insert(None);
        }
        Ok(())
    }

    /// Appends one message. The outer error fails the batch. The inner one fails only this draft, which then leaves no
    /// trace: the batch checks everything before it writes anything.
    pub fn append(&mut self, draft: &NewMessage) -> DbResult<domain::Result<Appended>> {
        match self.append_checked(draft) {
            Ok(appended) => Ok(Ok(appended)),
            Err(crate::error::DbError::Rule(rule)) => Ok(Err(rule)),
            Err(error) => Err(error),
        }
    }

    fn append_checked(&mut self, draft: &NewMessage) -> DbResult<Appended> {
        let Some(sender) = self.user(draft.sender)? else { return Ok(Unauthenticated::InvalidToken.err()?) };
        if let Some(replayed) = self.replay(draft)? {
            return Ok(Appended::Duplicate(replayed));
        }
        // Existence before rights: the recipient, the answered message, the file, then whether the sender may.
        let (conversation, entry) = self.destination(draft)?;
        self.check_reply(draft, conversation)?;
        let is_admitted = self.check_thread(draft, conversation)?;
        let (body, forwarded) = self.body(draft)?;
        is_admitted?;
        self.check_broadcast(draft)?;
        let mentions = self.mentions(draft, conversation, entry, &body)?;
        if let NewBody::Attachment(Attachment::Uploaded(file), _) = &draft.body {
            check_quota(self.conn, self.policy.files, file)?;
        }
        if entry == Entry::Joins {
            quotas::may_join(self.conn, &self.counts, &self.policy.groups, draft.sender)?;
        }
        self.room.take(Growth::Message(body.content().len()))?;
        // From here on nothing refuses.
        let conversation = match (conversation, draft.recipient) {
            (Some(conversation), _) => conversation,
            (None, Recipient::User(receiver)) => self.begin_direct(draft, receiver)?,
            (None, _) => return Ok(draft.recipient.not_found().err()?),
        };
        if entry == Entry::Joins {
            self.join(conversation, draft)?;
        }
        if let NewBody::Attachment(Attachment::Uploaded(file), _) = &draft.body {
            add_usage(self.conn, file)?;
            diesel::insert_into(files::table).values(FileRow::from(file)).execute(self.conn)?;
        }
        self.push(draft, conversation, sender.profile, Said { body, forwarded, mentions }).map(Appended::Stored)
    }

    /// Creates the direct conversation of the two, with both as members. Another node may do the same at this moment.
    fn begin_direct(&mut self, draft: &NewMessage, receiver: UserId) -> DbResult<ConversationId> {
        let (id, stamp) = (Id::from(draft.new_conversation), (self.revision, Time::from(draft.at)));
        let (row, made) = make_direct(self.conn, id, (draft.sender, receiver), ListedFor::Both, stamp)?;
        let conversation = ConversationId::from(row.id);
        self.versions
            .entry(conversation)
            .or_insert_with(|| if made { ConversationVersion::NEW } else { row.version() });
        self.memory.directs.insert(pair(draft.sender, receiver), conversation);
        self.memory.conversations.insert(conversation, Some(row));
        Ok(conversation)
    }

    fn join(&mut self, conversation: ConversationId, draft: &NewMessage) -> DbResult<()> {
        let Some(Some(row)) = self.memory.conversations.get(&conversation) else {
            return Ok(NotFound::Group.err()?);
        };
        let new = domain::groups::NewMember::new(domain::GroupId(conversation.0), draft.sender, Role::Member)
            .map_err(domain::Error::from)?;
        let mark = membership_mark(self.conn, self.versions.get(&conversation), self.revision);
        // The quota check has locked the sender, who may have been deleted since the batch read it.
        let Some(user) = find_living(self.conn, draft.sender)? else {
            return Ok(Unauthenticated::InvalidToken.err()?);
        };
        let marks = (self.revision, mark);
        let member = add_member(self.conn, new, draft.sender, user, row.update, marks, draft.at)?;
        if let Some(Some(row)) = self.memory.conversations.get_mut(&conversation) {
            row.roster_revision = mark;
        }
        self.counts.members(draft.sender.into(), Some(draft.sender.into()), 1);
        self.memory.roles.insert((conversation, draft.sender), Some(Role::Member));
        self.events.push(Event::MemberAdded(member));
        Ok(())
    }

    /// Gives the message its number.
    fn push(
        &mut self,
        draft: &NewMessage,
        conversation: ConversationId,
        sender: Profile,
        Said { body, forwarded, mentions }: Said,
    ) -> DbResult<Message> {
        let sent = (self.revision, self.nth);
        self.nth += 1;
        self.counted.insert(conversation);
        let revision = self.revision;
        let Some(of) = self.conversation(conversation)? else { return Ok(NotFound::Conversation.err()?) };
        let at = Time::from(draft.at);
        of.update += 1;
        of.last_seq = of.update;
        of.revision = revision;
        // On Postgres, a transaction that began earlier may have waited for one that began later.
        (of.sent_revision, of.sent_nth) = sent.max((of.sent_revision, of.sent_nth));
        // The clock may jump back; the time that a conversation shows must not.
        of.active_at = of.active_at.max(Some(at));
        let (writes_first, makes_contacts) = of.record_writer(draft.sender.into());
        let written_by = of.written_by;
        let (seq, destination) = (of.update, of.destination(draft.sender.into()));
        let row = MessageRow {
            conversation_id: conversation.into(),
            seq,
            id: draft.id.into(),
            sender_id: draft.sender.into(),
            message_type: body.message_type().as_str().to_owned(),
            content: body.content().to_owned(),
            file_id: body.file().map(|file| file.id.into()),
            reply_to: draft.reply_to.map(Into::into),
            client_id: draft.key.as_ref().map(|key| key.as_str().to_owned()),
            created_at: at,
            updated_at: at,
            edited_at: None,
            deleted_at: None,
            update: seq,
            revision,
            thread_id: draft.thread_id.map(Into::into),
            has: if mentions.is_empty() { 0 } else { MessageRow::MENTIONS },
            pinned_update: None,
            pinned_at: None,
            pinned_by: None,
            forward_of: match &draft.body {
                NewBody::Forward(id) => Some((*id).into()),
                NewBody::Text(_) | NewBody::Attachment(..) => None,
            },
            forwarded_from: forwarded.as_ref().map(|forwarded| forwarded.sender.id.into()),
            forwarded_at: forwarded.as_ref().map(|forwarded| forwarded.created_at.into()),
            said_mentions: draft.mentions.as_ref().map(|said| mentions_digest(said).to_vec()),
        };
        of.count_sent(&row);
        let digest = Some(of.short_digest());
        let mentioning = Mentioning { conversation: row.conversation_id, seq, message: row.id };
        mentions::insert(self.conn, mentioning, &mentions, (self.revision, at))?;
        if let Some(first) = row.thread_id {
            statements::begin_thread(self.conn, first)?;
        }
        if writes_first {
            // This happens at most twice for a conversation.
            let here = conversations::table.find(row.conversation_id);
            diesel::update(here).set(conversations::written_by.eq(written_by)).execute(self.conn)?;
        }
        if let Some(key) = &row.client_id {
            self.keys.insert((draft.sender, key.clone()));
        }
        self.rows.push(row);
        let message = Message {
            id: draft.id,
            conversation,
            destination,
            sender,
            body,
            reply_to: draft.reply_to,
            mentions,
            reactions: Vec::new(),
            pinned: None,
            thread_id: draft.thread_id,
            thread: None,
            forwarded,
            seq: Seq(seq),
            update: Update(seq),
            created_at: draft.at,
            updated_at: draft.at,
            edited_at: None,
        };
        self.events.push(Event::MessageCreated(message.clone(), digest));
        if draft.clears_draft {
            self.sent_drafts.insert((conversation, draft.sender));
        }
        if let (true, Destination::Direct { receiver }) = (makes_contacts, destination) {
            self.events.push(Event::Acquainted([draft.sender, receiver]));
        }
        Ok(message)
    }

    pub(super) fn insert_rows(&mut self) -> DbResult<()> {
        self.keys.clear();
        statements::insert_messages(self.conn, std::mem::take(&mut self.rows))
    }

    /// Flushes pending rows and counters. Returns the events, each conversation's version before this batch, and what
    /// the writer may remember. Call it once, before the commit.
    pub fn finish(mut self) -> DbResult<(Vec<Event>, ConversationVersions, Memory)> {
        self.change_views()?;
        let counted = self.counted.iter().filter_map(|id| self.memory.conversations.get(id)?.clone());
        statements::store(self.conn, self.rows, counted.collect(), self.revision)?;
        self.counts.write(self.conn)?;
        Ok((self.events, self.versions, self.memory))
    }

    /// Drops the drafts that were sent, and brings conversations that got messages back for members who have archived
    /// them. Goes through the conversations in the order of all transactions that change several rows of a user.
    fn change_views(&mut self) -> DbResult<()> {
        let counted: BTreeSet<ConversationId> = self.counted.iter().copied().collect();
        for id in counted {
            let sent = self.sent_drafts.range((id, UserId(Uuid::nil()))..=(id, UserId(Uuid::max())));
            let Some(Some(of)) = self.memory.conversations.get_mut(&id) else { continue };
            for (_, sender) in sent {
                self.events.extend(drop_draft(self.conn, of, (*sender).into(), self.revision)?);
            }
            if of.archived_until.is_some() && of.archived_until <= of.active_at {
                let (events, until) = bring_back(self.conn, of, self.revision)?;
                self.events.extend(events);
                of.archived_until = until;
            }
        }
        Ok(())
    }

    pub(super) fn user(&mut self, id: UserId) -> DbResult<Option<Sender>> {
        Ok(match self.memory.users.entry(id) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(unknown) => {
                let found = find_profile(self.conn, id)?.map(sender).transpose()?.flatten();
                unknown.insert(found)
            }
        }
        .clone())
    }

    pub(super) fn role(&mut self, conversation: ConversationId, user: UserId) -> DbResult<Option<Role>> {
        Ok(match self.memory.roles.entry((conversation, user)) {
            Slot::Occupied(known) => *known.get(),
            Slot::Vacant(unknown) => *unknown.insert(find_role(self.conn, conversation, user)?),
        })
    }

    pub(super) fn conversation(&mut self, id: ConversationId) -> DbResult<Option<&mut ConversationRow>> {
        let found = match self.memory.conversations.entry(id) {
            Slot::Occupied(known) => known.into_mut(),
            // It was made after the batch had locked the conversations of its drafts.
            Slot::Vacant(unknown) => unknown.insert(lock_conversation(self.conn, id)?),
        };
        if let Some(row) = found {
            self.versions.entry(id).or_insert_with(|| row.version());
        }
        Ok(found.as_mut())
    }

    pub(super) fn direct(&mut self, one: UserId, other: UserId) -> DbResult<Option<ConversationId>> {
        let pair = pair(one, other);
        if let Some(known) = self.memory.directs.get(&pair) {
            return Ok(Some(*known));
        }
        // Another node made it after this batch had locked the conversations of its drafts: its counter moves, too.
        let Some(row) = lock_direct(self.conn, one, other)? else { return Ok(None) };
        let id = ConversationId::from(row.id);
        self.memory.directs.insert(pair, id);
        self.versions.entry(id).or_insert_with(|| row.version());
        self.memory.conversations.entry(id).or_insert(Some(row));
        Ok(Some(id))
    }
}

/// What the rules need of an existing user.
fn sender(row: ProfileRow) -> DbResult<Option<Sender>> {
    if row.deleted_at.is_some() {
        return Ok(None);
    }
    let role = user_role(&row.role)?;
    Ok(Some(Sender { profile: row.profile(), username: Username::from_stored(row.username), role }))
}
