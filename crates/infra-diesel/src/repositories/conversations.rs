//! The list of a user's conversations. What users change of their views is in [`views`].

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::unseen_counts::{Counted, Seat, SeatColumns, UnseenCounts, WatermarkTarget};
use crate::repositories::messages::shard_of_pair;
use crate::repositories::views;
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::parts::load_messages;
use crate::tables::prepared::prepared;
use crate::tables::queries::pair;
use crate::tables::rows::{ConversationRow, FileRow, GroupRow, MessageRow, ProfileRow, UserRow, role};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use crate::tables::views::{DraftRow, ViewRow};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::conversations::{
    Activity, Conversation, ConversationCursor, ConversationFilter, ConversationRepository, Counterpart, Opened,
};
use domain::events::Revision;
use domain::groups::GroupView;
use domain::messages::{Seq, Update};
use domain::views::{NewDraft, SettingsChange};
use domain::{ConversationId, Limit, NotFound, Page, Result, Timestamp, UserId};
use std::sync::Arc;

/// A page of the list, with everything that it shows. The innermost query selects the conversations: the user's
/// memberships, and the broadcast once it has a message. The next query adds the `seq` of the newest message that is
/// not deleted. `OFFSET 0` keeps both databases from merging that query into the outer one, which would run it once for
/// each mention. It scans at most a hundred thousand deleted messages: a user who deletes many must not make the lists
/// of others slow. `$listed` is the condition that chooses among the conversations.
macro_rules! list {
    ($listed:literal, $surplus:literal) => {
        concat!(
            "SELECT mine.revision, mine.nth, mine.active, mine.role, mine.others_read_up_to, mine.last_seq, \
             mine.read_up_to, c.deletions, mine.marks, mine.muted_until, mine.notify, mine.favourite, \
             mine.archived_at_seq, ",
            columns_of!(ConversationRow, "c"),
            ", ",
            columns_of!(GroupRow, "c"),
            ", d.content, d.reply_to, d.thread_id, d.updated_at, ",
            columns_of!(UserRow, "other"),
            ", ",
            columns_of!(MessageRow, "newest"),
            ", ",
            columns_of!(ProfileRow, "sender"),
            ", ",
            columns_of!(FileRow, "f"),
            " FROM (
    SELECT page.*, (SELECT m.seq FROM messages m
        WHERE m.conversation_id = page.id AND m.deleted_at IS NULL AND m.seq > CASE
            WHEN page.expired_up_to < page.last_seq - 100000 THEN page.last_seq - 100000 ELSE page.expired_up_to END
        ORDER BY m.seq DESC LIMIT 1) AS last_live
    FROM (
        SELECT mine.*, c.last_seq, c.expired_up_to,
            CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END AS revision,
            CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END AS nth,
            coalesce(c.active_at, mine.joined_at) AS active,
            CASE WHEN c.seen_by = $1 THEN c.seen_seq_of_others ELSE c.seen_seq END AS others_read_up_to,
            CASE WHEN c.id = $2 THEN c.last_seq WHEN mine.own_read_up_to < c.expired_up_to THEN c.expired_up_to
                ELSE mine.own_read_up_to END AS read_up_to
        FROM (
            SELECT conversation_id AS id, role, read_up_to AS own_read_up_to, joined_at, joined_revision, marks, hidden,
                muted_until, notify, favourite, archived_at_seq
            FROM members WHERE user_id = $1 AND conversation_id <> $2
            UNION ALL
            SELECT c.id, 'member', 0, coalesce(c.active_at, c.created_at), 0, coalesce(seat.marks, 0), 0,
                seat.muted_until, coalesce(seat.notify, 'all'), coalesce(seat.favourite, 0), seat.archived_at_seq
            FROM conversations c LEFT JOIN members seat ON seat.conversation_id = c.id AND seat.user_id = $1
            WHERE c.id = $2
        ) mine
        JOIN conversations c ON c.id = mine.id
        WHERE c.deleted_at IS NULL AND ",
            $listed,
            "
        ORDER BY revision DESC, nth DESC, mine.id DESC
        LIMIT ",
            $surplus,
            "
    ) page
    LIMIT ",
            $surplus,
            " OFFSET 0
) mine
JOIN conversations c ON c.id = mine.id
LEFT JOIN drafts d ON d.conversation_id = mine.id AND d.user_id = $1
LEFT JOIN users other ON other.id = CASE WHEN c.first_user = $1 THEN c.second_user ELSE c.first_user END
LEFT JOIN messages newest ON newest.conversation_id = mine.id AND newest.seq = mine.last_live
LEFT JOIN users sender ON sender.id = newest.sender_id
LEFT JOIN files f ON f.id = newest.file_id
ORDER BY mine.revision DESC, mine.nth DESC, mine.id DESC"
        )
    };
}

/// The SQL types of a [`ListedRow`].
type ListedColumns = (
    (BigInt, BigInt, SqlTime, Nullable<Text>, BigInt),
    SeatColumns,
    (Nullable<SqlTime>, Text, BigInt, Nullable<BigInt>),
    ColumnsOf<ConversationRow>,
    ColumnsOf<GroupRow>,
    Nullable<(Text, Nullable<SqlId>, Nullable<SqlId>, SqlTime)>,
    Nullable<ColumnsOf<UserRow>>,
    Nullable<ColumnsOf<MessageRow>>,
    Nullable<ColumnsOf<ProfileRow>>,
    Nullable<ColumnsOf<FileRow>>,
);

prepared! {
    /// Reads a page of the list: what lies behind a place, is archived or not (`archived`: 1, 0, or -1 for both), and
    /// may have unseen messages (if `unseen` is 1). The filter of the domain decides; this reads no more than it has
    /// to.
    ReadList(
        user: SqlId => Id,
        broadcast: SqlId => Id,
        revision: BigInt => i64,
        nth: BigInt => i64,
        id: SqlId => Id,
        archived: BigInt => i64,
        unseen: BigInt => i64,
        surplus: BigInt => i64,
    ) -> ListedColumns = list!(
        "(c.last_seq > 0 OR (mine.hidden = 0 AND c.id <> $2))
          AND (CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END,
               CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END, c.id) < ($3, $4, $5)
          AND ($6 < 0 OR $6 = CASE WHEN mine.archived_at_seq IS NULL THEN 0 WHEN c.last_seq <= mine.archived_at_seq
               THEN 1 WHEN mine.muted_until > c.active_at THEN 1 ELSE 0 END)
          AND ($7 = 0 OR (c.id <> $2 AND c.last_seq > mine.own_read_up_to))",
        "$8"
    )
}

prepared! {
    /// Reads one conversation as the list shows it, listed or not.
    ReadOne(user: SqlId => Id, broadcast: SqlId => Id, id: SqlId => Id) -> ListedColumns = list!("c.id = $3", "1")
}

#[derive(Queryable)]
struct PlaceRow {
    revision: i64,
    nth: i64,
    active: Time,
    role: Option<String>,
    others_read_up_to: i64,
}

#[derive(Queryable)]
struct ListedRow {
    place: PlaceRow,
    seat: Seat,
    view: ViewRow,
    conversation: ConversationRow,
    group: GroupRow,
    draft: Option<DraftRow>,
    /// The other user of a direct conversation.
    other: Option<UserRow>,
    newest: Option<MessageRow>,
    sender: Option<ProfileRow>,
    file: Option<FileRow>,
}

/// The position at the top of the list.
const TOP: (i64, i64, Id) = (i64::MAX, i64::MAX, Id(uuid::Uuid::max()));

/// A place in the list: what comes before it is listed already.
type Place = (i64, i64, Id);

impl ListedRow {
    fn place(&self) -> Place {
        (self.place.revision, self.place.nth, self.conversation.id)
    }
}

/// Conversations, each with the position to which its watermark could rise.
type WatermarkTargets = Vec<(Id, WatermarkTarget)>;

fn read_list(
    conn: &mut AnyConnection,
    user: Id,
    filter: ConversationFilter,
    (revision, nth, id): Place,
    surplus: i64,
) -> DbResult<Vec<ListedRow>> {
    let broadcast = Id::from(ConversationId::BROADCAST);
    let archived = filter.archived.map_or(-1, i64::from);
    let unseen = i64::from(filter.unseen == Some(true));
    let list = ReadList { user, broadcast, revision, nth, id, archived, unseen, surplus };
    Ok(per_backend!(conn, |conn| list.load(conn))?)
}

/// Rows of the list, each with its count.
type CountedRows = Vec<(ListedRow, Counted)>;

fn counted(
    conn: &mut AnyConnection,
    counts: &UnseenCounts,
    user: Id,
    read: impl Fn(&mut AnyConnection) -> DbResult<Vec<ListedRow>>,
) -> DbResult<CountedRows> {
    let (listed, counted) = counts.read(conn, user, |conn| {
        let listed = read(conn)?;
        let seats = listed.iter().map(|row| (row.conversation.id, row.seat)).collect();
        Ok((listed, seats))
    })?;
    Ok(listed.into_iter().zip(counted).collect())
}

/// The rows of a page and one more, if there are more. What is unseen only a count tells, so that a page of it may take
/// several reads: at most one for each page of the whole list.
fn admitted(
    conn: &mut AnyConnection,
    counts: &UnseenCounts,
    user: Id,
    filter: ConversationFilter,
    (mut place, limit): (Place, Limit),
) -> DbResult<CountedRows> {
    let surplus = limit.get() + 1;
    let mut admitted = Vec::new();
    loop {
        let rows = counted(conn, counts, user, |conn| read_list(conn, user, filter, place, surplus as i64))?;
        let is_last = rows.len() < surplus;
        place = rows.last().map_or(place, |(row, _)| row.place());
        for (row, counted) in rows {
            if filter.admits(row.view.settings(row.conversation.newest())?.archived, counted.unseen()) {
                admitted.push((row, counted));
            }
        }
        if is_last || admitted.len() >= surplus {
            return Ok(admitted);
        }
    }
}

/// The conversations of rows, in their order, and the watermarks that could rise.
fn present(
    conn: &mut AnyConnection,
    user: UserId,
    mut rows: CountedRows,
) -> DbResult<(Vec<Conversation>, WatermarkTargets)> {
    let raised = rows.iter().filter_map(|(row, counted)| Some((row.conversation.id, counted.watermark_target()?)));
    let raised = raised.collect();
    let newest = rows.iter_mut().filter_map(|(listed, _)| {
        let ListedRow { conversation, newest, sender, file, .. } = listed;
        Some((&*conversation, (newest.take()?, sender.take()?, file.take())))
    });
    let mut newest = load_messages(conn, Some(user), newest)?.into_iter().peekable();
    let mut items = Vec::with_capacity(rows.len());
    for (listed, counted) in rows {
        let of = &listed.conversation;
        let with = match listed.other {
            Some(other) => Counterpart::User(other.into_user()?),
            None if of.kind == "group" => {
                let role = listed.place.role.as_deref().map(role).transpose()?;
                Counterpart::Group(GroupView { group: listed.group.into_group()?, role })
            }
            None => Counterpart::Everybody,
        };
        items.push(Conversation {
            id: of.id.into(),
            with,
            last_message: newest.next_if(|message| message.conversation == of.id.into()),
            unseen: counted.unseen(),
            update: Update(of.update),
            digest: of.short_digest(),
            read_up_to: Seq(counted.read_up_to()),
            others_read_up_to: Seq(listed.place.others_read_up_to),
            settings: listed.view.settings(of.newest())?,
            draft: listed.draft.map(Into::into),
            activity: Activity { revision: Revision(listed.place.revision), nth: listed.place.nth },
            active_at: listed.place.active.into(),
        });
    }
    Ok((items, raised))
}

impl Store {
    /// One conversation as the user's list shows it. The user may read it.
    async fn listed(&self, user: UserId, id: ConversationId) -> Result<Conversation> {
        let counts = Arc::clone(self.counts());
        let (me, id, broadcast) = (Id::from(user), Id::from(id), Id::from(ConversationId::BROADCAST));
        let found = self.read_for(user, move |conn| {
            let read = |conn: &mut AnyConnection| {
                let one = ReadOne { broadcast, user: me, id };
                Ok(per_backend!(conn, |conn| one.load(conn))?)
            };
            let rows = counted(conn, &counts, me, read)?;
            Ok(present(conn, user, rows)?.0.pop())
        });
        // The user may have left the group meanwhile.
        found.await?.ok_or_else(|| NotFound::Conversation.into())
    }
}

#[async_trait]
impl ConversationRepository for Store {
    async fn list(
        &self,
        user: UserId,
        filter: ConversationFilter,
        before: Option<ConversationCursor>,
        limit: Limit,
    ) -> Result<Page<Conversation>> {
        let counts = Arc::clone(self.counts());
        let behind = |cursor: ConversationCursor| (cursor.activity.revision.0, cursor.activity.nth, cursor.id.into());
        let place = before.map_or(TOP, behind);
        let (page, raised) = self
            .read_for(user, move |conn| {
                let rows = admitted(conn, &counts, user.into(), filter, (place, limit))?;
                let Page { items, more } = Page::from_surplus(rows, limit);
                let (items, raised) = present(conn, user, items)?;
                Ok((Page { items, more }, raised))
            })
            .await?;
        self.raise_watermarks_later(user, raised);
        Ok(page)
    }

    async fn open_direct(&self, user: UserId, other: UserId, new: ConversationId, at: Timestamp) -> Result<Opened> {
        let shard = shard_of_pair(pair(user, other));
        let (id, made) = self.write(shard, move |tx| views::open_direct(tx, (user, other), new, at)).await?;
        let conversation = self.listed(user, id).await?;
        Ok(if made { Opened::Made(conversation) } else { Opened::Found(conversation) })
    }

    async fn change_settings(
        &self,
        user: UserId,
        of: ConversationId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Conversation> {
        self.write(user.0, move |tx| views::change_settings(tx, user, of, &change, at)).await?;
        self.listed(user, of).await
    }

    async fn keep_draft(&self, user: UserId, of: ConversationId, draft: NewDraft, at: Timestamp) -> Result<()> {
        self.write(user.0, move |tx| views::keep_draft(tx, user, of, &draft, at)).await
    }

    async fn drop_draft(&self, user: UserId, of: ConversationId) -> Result<()> {
        self.write(user.0, move |tx| views::drop_draft(tx, user, of)).await
    }
}
