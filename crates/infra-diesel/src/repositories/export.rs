//! All of a user's own data, in small reads.
//!
//! No index finds messages by their sender: every message would pay for it. So an export scans all conversations that
//! the user can have written to, a bounded stretch at a time: the user's direct ones, and all groups, since the user
//! may have left any of them.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::api_tokens::load_tokens;
use crate::repositories::mentioning;
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, find_profile, full_messages};
use crate::tables::rows::{ConversationRow, FileRow, role};
use crate::tables::schema::{
    conversations, drafts, files, members, messages, reactions, receipts, sessions, users, versions,
};
use crate::tables::sql_types::{Id, Time};
use crate::tables::views::{DraftRow, ViewRow};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::api_tokens::ApiToken;
use domain::export::{
    Counterpart, ExportReader, Membership, MentionedIn, OwnReaction, PastSession, PastVersion, ReadRange, ScanPage,
    ScanPosition,
};
use domain::files::File;
use domain::groups::GroupName;
use domain::messages::{Emoji, Message, MessageVersion, ReactionCounts, Seq};
use domain::sessions::{Session, UserAgent};
use domain::{ConversationId, FileId, GroupId, Limit, MessageId, NotFound, Page, Result, SessionId, Timestamp, UserId};

/// Positions of a conversation that one query scans.
const STRETCH: i64 = 2000;
/// Queries of a walk that make one read.
const STRETCHES: usize = 50;
/// Most entries that one read returns.
const MAX_ENTRIES: usize = Limit::MAX as usize;

/// Most entries of a page of an export.
fn limit() -> DbResult<Limit> {
    Ok(Limit::of_list(Some(u64::from(Limit::MAX))).map_err(domain::Error::from)?)
}

/// The next conversation by id that has messages and that the user can have written to.
fn following(conn: &mut AnyConnection, me: Id, after: Option<Id>) -> DbResult<Option<ConversationRow>> {
    let after = after.unwrap_or(Id(uuid::Uuid::nil()));
    let mine: Option<Id> = members::table
        .filter(members::user_id.eq(me).and(members::conversation_id.gt(after)))
        .order(members::conversation_id)
        .select(members::conversation_id)
        .first(conn)
        .optional()?;
    let room: Option<Id> = conversations::table
        .filter(conversations::first_user.is_null().and(conversations::id.gt(after)))
        .order(conversations::id)
        .select(conversations::id)
        .first(conn)
        .optional()?;
    match [mine, room].into_iter().flatten().min() {
        Some(id) => find(conn, id),
        None => Ok(None),
    }
}

/// The conversation, deleted or not.
fn find(conn: &mut AnyConnection, id: Id) -> DbResult<Option<ConversationRow>> {
    Ok(conversations::table.find(id).select(ConversationRow::as_select()).first(conn).optional()?)
}

/// Scans conversations from a position on. `look` gets a `seq` and a limit. It reads entries of one conversation behind
/// that `seq`, and returns the `seq` up to which it has looked.
fn walk<T>(
    conn: &mut AnyConnection,
    me: Id,
    from: Option<ScanPosition>,
    mut look: impl FnMut(&mut AnyConnection, &ConversationRow, i64, i64) -> DbResult<(Vec<T>, i64)>,
) -> DbResult<ScanPage<T>> {
    let mut items = Vec::new();
    let (mut current, mut seq) = match from {
        Some(walked) => (find(conn, walked.conversation.into())?, walked.seq.0),
        None => (following(conn, me, None)?, 0),
    };
    for _ in 0..STRETCHES {
        let Some(row) = &current else { return Ok(ScanPage { items, next: None }) };
        if seq >= row.last_seq {
            (current, seq) = (following(conn, me, Some(row.id))?, 0);
            continue;
        }
        let room = (MAX_ENTRIES - items.len()) as i64;
        let (mut found, reached) = look(conn, row, seq, room)?;
        seq = reached;
        items.append(&mut found);
        if items.len() >= MAX_ENTRIES {
            break;
        }
    }
    let next = current.map(|row| ScanPosition { conversation: row.id.into(), seq: Seq(seq) });
    Ok(ScanPage { items, next })
}

fn sent(conn: &mut AnyConnection, me: Id, of: &ConversationRow, seq: i64, most: i64) -> DbResult<(Vec<Message>, i64)> {
    let end = seq + STRETCH;
    let found: Vec<FullMessage> = full_messages!()
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(seq)).and(messages::seq.le(end)))
        .filter(messages::sender_id.eq(me).and(messages::deleted_at.is_null()))
        .order(messages::seq.asc())
        .limit(most)
        .load(conn)?;
    let reached = match found.last() {
        Some((last, ..)) if found.len() as i64 == most => last.seq,
        _ => end,
    };
    let messages = load_messages(conn, Some(me.into()), found.into_iter().map(|message| (of, message)))?;
    Ok((messages, reached))
}

/// Cuts a list that may end within the entries of one message, ordered by the `seq` of their messages: the rest of
/// that message belongs to the next read. `most` is the limit under which the list was read; it is greater than the
/// number of entries of any one message.
fn whole_messages<T>(mut found: Vec<(i64, T)>, most: i64, end: i64) -> (Vec<T>, i64) {
    let mut reached = end;
    if found.len() as i64 == most {
        let cut = found.last().map_or(end, |(seq, _)| *seq);
        found.retain(|(seq, _)| *seq != cut);
        reached = cut - 1;
    }
    (found.into_iter().map(|(_, entry)| entry).collect(), reached)
}

fn past(
    conn: &mut AnyConnection,
    me: Id,
    of: &ConversationRow,
    seq: i64,
    most: i64,
) -> DbResult<(Vec<PastVersion>, i64)> {
    let (end, most) = (seq + STRETCH, most + MessageVersion::MOST as i64);
    let found: Vec<(i64, Id, String, Time)> = messages::table
        .inner_join(versions::table.on(versions::message_id.eq(messages::id)))
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(seq)).and(messages::seq.le(end)))
        .filter(messages::sender_id.eq(me).and(messages::deleted_at.is_null()).and(messages::edited_at.is_not_null()))
        .order((messages::seq.asc(), versions::nth.asc()))
        .limit(most)
        .select((messages::seq, messages::id, versions::content, versions::created_at))
        .load(conn)?;
    let version = |(seq, id, content, at): (i64, Id, String, Time)| {
        (seq, PastVersion { message: id.into(), version: MessageVersion { content, created_at: at.into() } })
    };
    Ok(whole_messages(found.into_iter().map(version).collect(), most, end))
}

fn reacted(
    conn: &mut AnyConnection,
    me: Id,
    of: &ConversationRow,
    seq: i64,
    most: i64,
) -> DbResult<(Vec<OwnReaction>, i64)> {
    let (end, most) = (seq + STRETCH, most + ReactionCounts::MOST_OWN as i64);
    let found: Vec<(i64, Id, String, Time)> = messages::table
        .inner_join(reactions::table.on(reactions::message_id.eq(messages::id).and(reactions::user_id.eq(me))))
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(seq)).and(messages::seq.le(end)))
        // Of messages with a bit of `has` alone. One of the bits says that there are reactions.
        .filter(messages::has.ne(0).and(messages::deleted_at.is_null()))
        .order((messages::seq.asc(), reactions::update.asc()))
        .limit(most)
        .select((messages::seq, messages::id, reactions::emoji, reactions::created_at))
        .load(conn)?;
    let reaction = |(seq, id, emoji, at): (i64, Id, String, Time)| {
        let (conversation, message, emoji) = (of.id.into(), id.into(), Emoji::from_stored(emoji));
        (seq, OwnReaction { conversation, message, emoji, created_at: at.into() })
    };
    Ok(whole_messages(found.into_iter().map(reaction).collect(), most, end))
}

fn seen(
    conn: &mut AnyConnection,
    me: Id,
    of: &ConversationRow,
    seq: i64,
    most: i64,
) -> DbResult<(Vec<ReadRange>, i64)> {
    let found: Vec<(i64, i64, Time)> = receipts::table
        .filter(receipts::conversation_id.eq(of.id).and(receipts::user_id.eq(me)).and(receipts::seq.gt(seq)))
        .order(receipts::seq.asc())
        .limit(most)
        .select((receipts::from_seq, receipts::seq, receipts::seen_at))
        .load(conn)?;
    let reached = match found.last() {
        Some((_, last, _)) if found.len() as i64 == most => *last,
        _ => of.last_seq,
    };
    let stretches = found.into_iter().map(|(after, up_to, seen_at)| ReadRange {
        conversation: of.id.into(),
        after: Seq(after),
        up_to: Seq(up_to),
        seen_at: seen_at.into(),
    });
    Ok((stretches.collect(), reached))
}

#[derive(Queryable)]
struct MemberOf {
    conversation: ConversationRow,
    name: Option<String>,
    role: String,
    joined_at: Time,
    read_up_to: i64,
    view: ViewRow,
    draft: Option<DraftRow>,
}

fn membership(conn: &mut AnyConnection, user: UserId, row: MemberOf) -> DbResult<Membership> {
    let MemberOf { conversation, name, role: role_word, joined_at, read_up_to, view, draft } = row;
    let id = conversation.id;
    let with = match (conversation.first_user, conversation.second_user, name) {
        (Some(first), Some(second), _) => {
            let other = if first == Id::from(user) { second } else { first };
            let other = find_profile(conn, other.into())?.ok_or(NotFound::User).map_err(domain::Error::from)?;
            Counterpart::User(other.profile())
        }
        (_, _, Some(name)) => Counterpart::Group(GroupId(id.0), GroupName::from_stored(name), role(&role_word)?),
        _ => Counterpart::Everybody,
    };
    Ok(Membership {
        conversation: id.into(),
        with,
        joined_at: joined_at.into(),
        read_up_to: Seq(read_up_to),
        settings: view.settings(conversation.newest())?,
        draft: draft.map(Into::into),
    })
}

#[async_trait]
impl ExportReader for Store {
    async fn sessions(&self, user: UserId, after: Option<SessionId>) -> Result<Page<PastSession>> {
        let known = self.session_cache();
        self.read_for(user, move |conn| {
            let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
            type Row = (Id, Time, Time, Option<String>, Option<Time>);
            let rows: Vec<Row> = sessions::table
                .filter(sessions::user_id.eq(Id::from(user)).and(sessions::id.gt(after)))
                .filter(sessions::token_hash.is_null())
                .order(sessions::id)
                .limit(MAX_ENTRIES as i64 + 1)
                .select((
                    sessions::id,
                    sessions::created_at,
                    sessions::last_seen_at,
                    sessions::user_agent,
                    sessions::revoked_at,
                ))
                .load(conn)?;
            let page = Page::from_surplus(rows, limit()?);
            let past = page.items.into_iter().map(|(id, created_at, last_seen_at, agent, revoked_at)| PastSession {
                session: Session {
                    id: id.into(),
                    user,
                    created_at: created_at.into(),
                    last_seen_at: known.last_seen(id.into(), last_seen_at.into()),
                    user_agent: agent.as_deref().map(UserAgent::clean),
                },
                ended_at: revoked_at.map(Into::into),
            });
            Ok(Page { items: past.collect(), more: page.more })
        })
        .await
    }

    async fn memberships(&self, user: UserId, after: Option<ConversationId>) -> Result<Page<Membership>> {
        self.snapshot_for(user, move |conn| {
            let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
            let rows: Vec<MemberOf> =
                members::table
                    .inner_join(conversations::table)
                    .left_join(drafts::table.on(
                        drafts::conversation_id.eq(members::conversation_id).and(drafts::user_id.eq(members::user_id)),
                    ))
                    .filter(members::user_id.eq(Id::from(user)).and(members::conversation_id.gt(after)))
                    .filter(conversations::deleted_at.is_null())
                    .order(members::conversation_id)
                    .limit(MAX_ENTRIES as i64 + 1)
                    .select((
                        ConversationRow::as_select(),
                        conversations::name,
                        members::role,
                        members::joined_at,
                        members::read_up_to,
                        ViewRow::as_select(),
                        Option::<DraftRow>::as_select(),
                    ))
                    .load(conn)?;
            let page = Page::from_surplus(rows, limit()?);
            let items = page.items.into_iter().map(|row| membership(conn, user, row));
            Ok(Page { items: items.collect::<DbResult<_>>()?, more: page.more })
        })
        .await
    }

    async fn sent(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<Message>> {
        let me = Id::from(user);
        self.snapshot_for(user, move |conn| walk(conn, me, from, |conn, of, seq, most| sent(conn, me, of, seq, most)))
            .await
    }

    async fn versions(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<PastVersion>> {
        let me = Id::from(user);
        self.snapshot_for(user, move |conn| walk(conn, me, from, |conn, of, seq, most| past(conn, me, of, seq, most)))
            .await
    }

    async fn reactions(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<OwnReaction>> {
        let me = Id::from(user);
        self.snapshot_for(user, move |conn| {
            walk(conn, me, from, |conn, of, seq, most| reacted(conn, me, of, seq, most))
        })
        .await
    }

    async fn mentioned(&self, user: UserId, before: Option<MessageId>) -> Result<Page<MentionedIn>> {
        self.snapshot_for(user, move |conn| {
            let page = mentioning::list(conn, user, before, limit()?)?;
            let mention = |message: Message| MentionedIn {
                conversation: message.conversation,
                message: message.id,
                created_at: message.created_at,
            };
            Ok(Page { items: page.items.into_iter().map(mention).collect(), more: page.more })
        })
        .await
    }

    async fn seen(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<ReadRange>> {
        let me = Id::from(user);
        self.snapshot_for(user, move |conn| walk(conn, me, from, |conn, of, seq, most| seen(conn, me, of, seq, most)))
            .await
    }

    async fn tokens(&self, user: UserId, now: Timestamp) -> Result<Vec<ApiToken>> {
        let known = self.session_cache();
        self.read_for(user, move |conn| load_tokens(conn, &known, user, now)).await
    }

    async fn files(&self, user: UserId, after: Option<FileId>) -> Result<Page<File>> {
        self.read_for(user, move |conn| {
            let after = after.map_or(Id(uuid::Uuid::nil()), Id::from);
            let rows: Vec<FileRow> = files::table
                .filter(files::uploader_id.eq(Id::from(user)).and(files::id.gt(after)))
                .filter(files::deleted_at.is_null())
                .order(files::id)
                .limit(MAX_ENTRIES as i64 + 1)
                .select(FileRow::as_select())
                .load(conn)?;
            let page = Page::from_surplus(rows, limit()?);
            let files = page.items.into_iter().map(FileRow::into_file);
            Ok(Page { items: files.collect::<std::result::Result<_, _>>()?, more: page.more })
        })
        .await
    }
}
