//! Messages: editing, deleting and reading. What a message has beside its content is in the modules of its parts.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::heads::AskedHead;
use crate::reads::visible::{AccessColumns, AccessRow, find_visible};
use crate::repositories::pages::{read_around, read_page};
use crate::repositories::{mentioning, pins, reactions, threads, versions};
use crate::tables::columns::columns_of;
use crate::tables::parts::{load_message, load_messages};
use crate::tables::prepared::prepared;
use crate::tables::queries::{FullColumns, FullMessage, find_role, full_messages, may_broadcast, pair};
use crate::tables::rows::{ConversationRow, MessageRow, role};
use crate::tables::schema::{conversations, files, messages, users};
use crate::tables::sql_types::{Id, SqlId, Time};
use crate::transaction::change::{lock_message, publish_change, touch};
use crate::transaction::mentions::{self, Among, Mentioning};
use crate::transaction::numbering::store_counter;
use crate::transaction::tx::Tx;
use crate::writer::content_digest;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use domain::events::Event;
use domain::files::Growth;
use domain::messages::{
    Appended, Around, ChangeEntry, Changes, EditCommand, Emoji, Listing, Mentions, Message, MessageLog, MessageReader,
    MessageVersion, NewMessage, PageAround, PageRead, PageVersion, Reactor, Recipient, Replies, ThreadWindow, Update,
    not_before,
};
use domain::users::ServerPolicy;
use domain::{ConversationId, Limit, MessageId, NotFound, Page, Result, Timestamp, UserId};
use uuid::Uuid;

fn edit(
    tx: &mut Tx<'_>,
    (actor, id): (UserId, MessageId),
    EditCommand { content, mentions }: &EditCommand,
    policy: &ServerPolicy,
    at: Timestamp,
) -> DbResult<Message> {
    let (mut conversation, message) = lock_message(tx.conn, id)?;
    tx.record_version(&conversation);
    let role = find_role(tx.conn, conversation.id.into(), actor)?;
    let access = conversation.access(actor, role)?;
    let mut row = message.0.clone();
    // Existence first, then form, which depends on the message, then right.
    access.may_read().or_else(|_| NotFound::Message.err())?;
    let mut message = load_message(tx.conn, Some(actor), &conversation, message)?;
    let words = content.for_type(message.body.message_type()).map_err(domain::Error::from)?;
    access.may_edit(actor, row.sender_id.into())?;
    message.can_be_edited()?;
    let rights = (access, may_broadcast(tx.conn, policy, actor)?);
    let is_same = message.body.content() == words;
    let mentioned = if is_same && mentions.is_none() {
        message.mentions.clone()
    } else {
        mentions::find(tx.conn, rights, &Among::of(&conversation), words, mentions.as_ref())?
    };
    if is_same && mentioned == message.mentions {
        return Ok(message);
    }
    tx.grow(Growth::Edit(words.len() + row.content.len()))?;
    if !is_same && policy.edit_history.keeps_versions() {
        versions::keep(tx, &row)?;
    }
    touch(tx, &mut conversation, &mut row, at, |row| words.clone_into(&mut row.content))?;
    let here = messages::table.find((conversation.id, row.seq));
    // A retry with the same key is compared with the content that was sent first.
    let digest = content_digest(message.body.content()).to_vec();
    let first_edit = here.filter(messages::client_id.is_not_null().and(messages::sent_digest.is_null()));
    diesel::update(first_edit).set(messages::sent_digest.eq(digest)).execute(tx.conn)?;
    let at = not_before(message.updated_at, at);
    if !is_same {
        let edited = (messages::content.eq(words), messages::edited_at.eq(Time::from(at)));
        diesel::update(here).set(edited).execute(tx.conn)?;
        message.edited_at = Some(at);
    }
    // All are those of the edit, who may be others than before.
    if mentioned != message.mentions || (mentioned.all && !is_same) {
        change_mentions(tx, &row, &mentioned, at)?;
    }
    publish_change(tx, &conversation, id)?;
    message.mentions = mentioned;
    message.body = message.body.with_content(words);
    message.update = Update(row.update);
    message.updated_at = at;
    Ok(message)
}

/// Replaces the mentions of a message. What readers have counted is no longer right.
fn change_mentions(tx: &mut Tx<'_>, row: &MessageRow, mentioned: &Mentions, at: Timestamp) -> DbResult<()> {
    let of = Mentioning { conversation: row.conversation_id, seq: row.seq, message: row.id };
    mentions::forget(tx.conn, row.id)?;
    mentions::insert(tx.conn, of, mentioned, (tx.revision, at.into()))?;
    let has = if mentioned.is_empty() { row.has & !MessageRow::MENTIONS } else { row.has | MessageRow::MENTIONS };
    diesel::update(messages::table.find((row.conversation_id, row.seq))).set(messages::has.eq(has)).execute(tx.conn)?;
    diesel::update(conversations::table.find(row.conversation_id))
        .set(conversations::deletions.eq(conversations::deletions + 1))
        .execute(tx.conn)?;
    Ok(())
}

fn delete(tx: &mut Tx<'_>, actor: UserId, id: MessageId, at: Timestamp) -> DbResult<()> {
    let (conversation, (row, ..)) = lock_message(tx.conn, id)?;
    tx.record_version(&conversation);
    let role = find_role(tx.conn, conversation.id.into(), actor)?;
    conversation.access(actor, role)?.may_delete(actor, row.sender_id.into())?;
    tombstone_messages(tx, conversation, vec![row], at)
}

/// Turns messages of a conversation into tombstones. Each takes the next number. The caller has locked the conversation
/// and recorded its version.
pub fn tombstone_messages(
    tx: &mut Tx<'_>,
    mut conversation: ConversationRow,
    rows: Vec<MessageRow>,
    at: Timestamp,
) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let count = rows.len() as i64;
    for mut row in rows {
        reactions::forget(tx.conn, &row)?;
        versions::forget(tx.conn, &row)?;
        if row.has & MessageRow::MENTIONS != 0 {
            mentions::forget(tx.conn, row.id)?;
        }
        let at = not_before(row.updated_at.into(), at);
        conversation.renumber(&mut row, |row| row.deleted_at = Some(at.into()));
        diesel::update(messages::table.find((conversation.id, row.seq)))
            .set((
                messages::content.eq(""),
                messages::sent_digest.eq(None::<Vec<u8>>),
                messages::has.eq(row.has & MessageRow::REPLIES),
                messages::pinned_update.eq(None::<i64>),
                messages::pinned_at.eq(None::<Time>),
                messages::pinned_by.eq(None::<Id>),
                messages::forward_of.eq(None::<Id>),
                messages::forwarded_from.eq(None::<Id>),
                messages::forwarded_at.eq(None::<Time>),
                messages::updated_at.eq(Time::from(at)),
                messages::deleted_at.eq(row.deleted_at),
                messages::update.eq(row.update),
                messages::revision.eq(tx.revision),
            ))
            .execute(tx.conn)?;
        tx.events.extend(row.tombstone().map(|tombstone| Event::MessageDeleted {
            tombstone,
            sender: row.sender_id.into(),
            destination: conversation.destination(row.sender_id),
            digest: Some(conversation.short_digest()),
        }));
    }
    store_counter(tx, &conversation)?;
    diesel::update(conversations::table.find(conversation.id))
        .set(conversations::deletions.eq(conversations::deletions + count))
        .execute(tx.conn)?;
    Ok(())
}

#[async_trait]
impl MessageLog for Store {
    async fn append(&self, draft: NewMessage) -> Result<Appended> {
        let shard = match draft.recipient {
            Recipient::User(receiver) => shard_of_pair(pair(draft.sender, receiver)),
            Recipient::Group(group) => group.0,
            Recipient::Everybody => ConversationId::BROADCAST.0,
        };
        self.writers()?.append(shard, draft).await
    }

    async fn edit(&self, actor: UserId, id: MessageId, command: EditCommand, at: Timestamp) -> Result<Message> {
        let shard = self.shard_of_message(actor, id).await?;
        let policy = self.policy();
        self.write(shard, move |tx| edit(tx, (actor, id), &command, &policy, at)).await
    }

    async fn delete(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        let shard = self.shard_of_message(actor, id).await?;
        self.write(shard, move |tx| delete(tx, actor, id, at)).await
    }

    async fn react(&self, actor: UserId, id: MessageId, emoji: Emoji, at: Timestamp) -> Result<()> {
        let (shard, policy) = (self.shard_of_message(actor, id).await?, self.policy());
        self.write(shard, move |tx| reactions::add(tx, &policy, (actor, id), &emoji, at)).await
    }

    async fn unreact(&self, actor: UserId, id: MessageId, emoji: Emoji, at: Timestamp) -> Result<()> {
        let (shard, policy) = (self.shard_of_message(actor, id).await?, self.policy());
        self.write(shard, move |tx| reactions::take_back(tx, &policy, (actor, id), &emoji, at)).await
    }

    async fn pin(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        let (shard, policy) = (self.shard_of_message(actor, id).await?, self.policy());
        self.write(shard, move |tx| pins::pin(tx, &policy, (actor, id), at)).await
    }

    async fn unpin(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        let (shard, policy) = (self.shard_of_message(actor, id).await?, self.policy());
        self.write(shard, move |tx| pins::unpin(tx, &policy, (actor, id), at)).await
    }
}

/// A direct conversation belongs to the writer of its pair, which is known before the conversation exists.
pub fn shard_of_pair((first, second): (Id, Id)) -> Uuid {
    Uuid::from_u128(first.0.as_u128() ^ second.0.as_u128())
}

impl Store {
    /// The writer of the message's conversation, so that events leave in commit order.
    async fn shard_of_message(&self, actor: UserId, id: MessageId) -> Result<Uuid> {
        if !self.writers()?.sharded() {
            return Ok(id.0);
        }
        self.read_for(actor, move |conn| {
            let found: Option<(Id, Option<Id>, Option<Id>)> = messages::table
                .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
                .filter(messages::id.eq(Id::from(id)))
                .select((conversations::id, conversations::first_user, conversations::second_user))
                .first(conn)
                .optional()?;
            Ok(match found {
                Some((_, Some(first), Some(second))) => shard_of_pair((first, second)),
                Some((conversation, ..)) => conversation.0,
                None => return Ok(NotFound::Message.err()?),
            })
        })
        .await
    }
}

/// The `seq` of a message of the conversation, deleted or not.
pub fn seq_of(conn: &mut AnyConnection, conversation: Option<&ConversationRow>, id: MessageId) -> DbResult<i64> {
    let Some(conversation) = conversation else { return Ok(NotFound::Message.err()?) };
    let found = messages::table
        .filter(messages::id.eq(Id::from(id)).and(messages::conversation_id.eq(conversation.id)))
        .select(messages::seq)
        .first(conn)
        .optional()?;
    match found {
        Some(seq) => Ok(seq),
        None => Ok(NotFound::Message.err()?),
    }
}

/// The changes after a number, from two sorted streams: messages as they were sent (`update` equals `seq`, the order of
/// the clustered table), and messages that changed since (a partial index). The second stream bounds the first.
pub fn changed_messages(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    after: i64,
    limit: Limit,
) -> DbResult<Page<FullMessage>> {
    let surplus = limit.get() as i64 + 1;
    let changed = full_messages!()
        .filter(messages::conversation_id.eq(of.id))
        .filter(messages::update.gt(after).and(messages::update.ne(messages::seq)));
    let mut found: Vec<FullMessage> = changed.order(messages::update.asc()).limit(surplus).load(conn)?;
    let bound = match found.last() {
        Some((row, ..)) if found.len() > limit.get() => row.update,
        _ => i64::MAX,
    };
    let unchanged = full_messages!()
        .filter(messages::conversation_id.eq(of.id))
        .filter(messages::seq.gt(after.max(of.expired_up_to)).and(messages::seq.lt(bound)))
        .filter(messages::update.eq(messages::seq));
    found.append(&mut unchanged.order(messages::seq.asc()).limit(surplus).load(conn)?);
    found.sort_by_key(|(row, ..)| row.update);
    Ok(Page::from_surplus(found, limit))
}

/// A conversation, the viewer's role in it, and its changes after a number: the two streams of [`changed_messages`],
/// each as long as a page. The caller shows nothing of it before the rules have judged the conversation and the role.
const CHANGES: &str = concat!(
    "SELECT ",
    columns_of!(ConversationRow, "c"),
    ", seat.role, ",
    columns_of!(MessageRow, "m"),
    ", ",
    columns_of!(ProfileRow, "u"),
    ", ",
    columns_of!(FileRow, "f"),
    " FROM conversations c LEFT JOIN members seat ON seat.conversation_id = c.id AND seat.user_id = $1
    LEFT JOIN (
        SELECT * FROM (
            SELECT * FROM messages WHERE conversation_id = $2 AND \"update\" > $3 AND \"update\" <> seq
            ORDER BY \"update\" LIMIT $4
        ) changed
        UNION ALL
        SELECT * FROM (
            SELECT * FROM messages WHERE conversation_id = $2 AND \"update\" = seq AND seq > (
                SELECT CASE WHEN expired_up_to > $3 THEN expired_up_to ELSE $3 END FROM conversations WHERE id = $2
            )
            ORDER BY seq LIMIT $4
        ) unchanged
    ) m ON m.conversation_id = c.id
    LEFT JOIN users u ON u.id = m.sender_id LEFT JOIN files f ON f.id = m.file_id
    WHERE c.id = $2 AND c.deleted_at IS NULL"
);

prepared! {
    /// Reads the changes of a conversation.
    ReadChanges(viewer: SqlId => Id, of: SqlId => Id, after: BigInt => i64, surplus: BigInt => i64)
        -> (AccessColumns, Nullable<FullColumns>) = CHANGES
}

fn changes(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: ConversationId,
    after: Update,
    limit: Limit,
) -> DbResult<Changes> {
    let read = ReadChanges { viewer: viewer.into(), of: of.into(), after: after.0, surplus: limit.get() as i64 + 1 };
    let rows: Vec<(AccessRow, Option<FullMessage>)> = per_backend!(conn, |conn| read.load(conn))?;
    let Some(((of, role_of_viewer), _)) = rows.first() else { return Ok(NotFound::Conversation.err()?) };
    of.access(viewer, role_of_viewer.as_deref().map(role).transpose()?)?.may_read()?;
    let of = of.clone();
    let mut found: Vec<FullMessage> = rows.into_iter().filter_map(|(_, message)| message).collect();
    found.sort_by_key(|(row, ..)| row.update);
    let page = Page::from_surplus(found, limit);
    let (deleted, live): (Vec<_>, Vec<_>) = page.items.into_iter().partition(|(row, ..)| row.deleted_at.is_some());
    let messages = load_messages(conn, Some(viewer), live.into_iter().map(|message| (&of, message)))?;
    let mut entries: Vec<_> = messages.into_iter().map(|message| ChangeEntry::Message(Box::new(message))).collect();
    entries.extend(deleted.iter().filter_map(|(row, ..)| row.tombstone()).map(ChangeEntry::Deleted));
    entries.sort_by_key(ChangeEntry::update);
    let update = match entries.last() {
        Some(last) if page.more => last.update(),
        _ => Update(of.update),
    };
    let digest = (!page.more).then(|| of.short_digest());
    Ok(Changes { update, entries, more: page.more, digest })
}

#[async_trait]
impl MessageReader for Store {
    async fn page(
        &self,
        viewer: UserId,
        of: Recipient,
        listing: Listing,
        known: Option<PageVersion>,
    ) -> Result<PageRead> {
        if known.is_some()
            && self.is_shared()
            && let Some(Some(head)) = self.heads().ask(self.readers(), AskedHead::new(viewer, of)).await?
        {
            head.check(viewer, of)?;
            if known == Some(head.version()) {
                return Ok(PageRead::Unchanged);
            }
        }
        self.read_for(viewer, move |conn| read_page(conn, viewer, of, listing, known)).await
    }

    async fn around(
        &self,
        viewer: UserId,
        of: Recipient,
        place: Around,
        replies: Replies,
        limit: Limit,
    ) -> Result<PageAround> {
        self.snapshot_for(viewer, move |conn| read_around(conn, viewer, of, place, replies, limit)).await
    }

    async fn thread(&self, viewer: UserId, id: MessageId, window: ThreadWindow, limit: Limit) -> Result<Page<Message>> {
        self.snapshot_for(viewer, move |conn| threads::read(conn, viewer, id, window, limit)).await
    }

    async fn mentions(&self, viewer: UserId, before: Option<MessageId>, limit: Limit) -> Result<Page<Message>> {
        self.snapshot_for(viewer, move |conn| mentioning::list(conn, viewer, before, limit)).await
    }

    async fn pins(
        &self,
        viewer: UserId,
        of: ConversationId,
        before: Option<Update>,
        limit: Limit,
    ) -> Result<Page<Message>> {
        self.snapshot_for(viewer, move |conn| pins::list(conn, viewer, of, before, limit)).await
    }

    async fn reactors(
        &self,
        viewer: UserId,
        id: MessageId,
        emoji: Option<Emoji>,
        after: Update,
        limit: Limit,
    ) -> Result<Page<Reactor>> {
        self.snapshot_for(viewer, move |conn| reactions::list(conn, viewer, id, emoji.as_ref(), after, limit)).await
    }

    async fn versions(&self, viewer: UserId, id: MessageId) -> Result<Vec<MessageVersion>> {
        let history = self.policy().edit_history;
        self.snapshot_for(viewer, move |conn| versions::list(conn, viewer, id, history)).await
    }

    async fn find(&self, viewer: UserId, id: MessageId) -> Result<Option<Message>> {
        self.read_for(viewer, move |conn| Ok(find_visible(conn, viewer, id)?.map(|(_, message)| message))).await
    }

    async fn changes(&self, viewer: UserId, of: ConversationId, after: Update, limit: Limit) -> Result<Changes> {
        self.read_for(viewer, move |conn| changes(conn, viewer, of, after, limit)).await
    }
}
