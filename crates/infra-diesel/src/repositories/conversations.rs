//! The list of a user's conversations.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::unseen_counts::{Seat, SeatColumns, UnseenCounts};
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::parts::load_messages;
use crate::tables::prepared::prepared;
use crate::tables::rows::{ConversationRow, FileRow, GroupRow, MessageRow, ProfileRow, UserRow, role};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::conversations::{Activity, Conversation, ConversationCursor, ConversationRepository, Counterpart};
use domain::events::Revision;
use domain::groups::GroupView;
use domain::messages::Update;
use domain::{ConversationId, Limit, Page, Result, UserId};
use std::sync::Arc;

/// A page of the list, with everything that it shows. The innermost query selects the conversations: the user's
/// memberships, and the broadcast once it has a message. The next query adds the `seq` of the newest message that is
/// not deleted. `OFFSET 0` keeps both databases from merging that query into the outer one, which would run it once for
/// each mention. It scans at most a hundred thousand deleted messages: a user who deletes many must not make the lists
/// of others slow.
const LIST: &str = concat!(
    "SELECT mine.revision, mine.nth, mine.active, mine.role, mine.last_seq, mine.read_up_to, c.deletions, mine.marks, ",
    columns_of!(ConversationRow, "c"),
    ", ",
    columns_of!(GroupRow, "c"),
    ", ",
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
        SELECT c.id, c.last_seq, c.expired_up_to, mine.role, mine.marks,
            CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END AS revision,
            CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END AS nth,
            coalesce(c.active_at, mine.joined_at) AS active,
            CASE WHEN c.id = $1 THEN c.last_seq WHEN mine.read_up_to < c.expired_up_to THEN c.expired_up_to
                ELSE mine.read_up_to END AS read_up_to
        FROM (
            SELECT conversation_id, role, read_up_to, joined_at, joined_revision, marks FROM members
            WHERE user_id = $2 AND conversation_id <> $1
            UNION ALL
            SELECT id, 'member', 0, active_at, 0, 0 FROM conversations WHERE id = $1 AND last_seq > 0
        ) mine
        JOIN conversations c ON c.id = mine.conversation_id
        WHERE c.deleted_at IS NULL
          AND (CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END,
               CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END, c.id) < ($3, $4, $5)
        ORDER BY 6 DESC, 7 DESC, 1 DESC
        LIMIT $6
    ) page
    LIMIT $6 OFFSET 0
) mine
JOIN conversations c ON c.id = mine.id
LEFT JOIN users other ON other.id = CASE WHEN c.first_user = $2 THEN c.second_user ELSE c.first_user END
LEFT JOIN messages newest ON newest.conversation_id = mine.id AND newest.seq = mine.last_live
LEFT JOIN users sender ON sender.id = newest.sender_id
LEFT JOIN files f ON f.id = newest.file_id
ORDER BY mine.revision DESC, mine.nth DESC, mine.id DESC"
);

prepared! {
    /// Reads a page of the list.
    ReadList(
        broadcast: SqlId => Id,
        user: SqlId => Id,
        revision: BigInt => i64,
        nth: BigInt => i64,
        id: SqlId => Id,
        surplus: BigInt => i64,
    ) -> (
        (BigInt, BigInt, SqlTime, Nullable<Text>),
        SeatColumns,
        ColumnsOf<ConversationRow>,
        ColumnsOf<GroupRow>,
        Nullable<ColumnsOf<UserRow>>,
        Nullable<ColumnsOf<MessageRow>>,
        Nullable<ColumnsOf<ProfileRow>>,
        Nullable<ColumnsOf<FileRow>>,
    ) = LIST
}

#[derive(Queryable)]
struct PlaceRow {
    revision: i64,
    nth: i64,
    active: Time,
    role: Option<String>,
}

#[derive(Queryable)]
struct ListedRow {
    place: PlaceRow,
    seat: Seat,
    conversation: ConversationRow,
    group: GroupRow,
    /// The other user of a direct conversation.
    other: Option<UserRow>,
    newest: Option<MessageRow>,
    sender: Option<ProfileRow>,
    file: Option<FileRow>,
}

/// The position at the top of the list.
const TOP: (i64, i64, Id) = (i64::MAX, i64::MAX, Id(uuid::Uuid::max()));

/// Conversations, each with the position to which its watermark could rise.
type WatermarkTargets = Vec<(Id, i64)>;

fn read_list(
    conn: &mut AnyConnection,
    user: UserId,
    before: Option<ConversationCursor>,
    limit: Limit,
) -> DbResult<Vec<ListedRow>> {
    let behind = |cursor: ConversationCursor| (cursor.activity.revision.0, cursor.activity.nth, cursor.id.into());
    let (revision, nth, id) = before.map_or(TOP, behind);
    let (user, broadcast) = (Id::from(user), Id::from(ConversationId::BROADCAST));
    let list = ReadList { user, broadcast, revision, nth, id, surplus: limit.get() as i64 + 1 };
    Ok(per_backend!(conn, |conn| list.load(conn))?)
}

/// A page, and the watermarks that could rise.
fn list(
    conn: &mut AnyConnection,
    counts: &UnseenCounts,
    user: UserId,
    before: Option<ConversationCursor>,
    limit: Limit,
) -> DbResult<(Page<Conversation>, WatermarkTargets)> {
    let (listed, counted) = counts.read(conn, user.into(), |conn| {
        let listed = read_list(conn, user, before, limit)?;
        let seats = listed.iter().map(|row| (row.conversation.id, row.seat)).collect();
        Ok((listed, seats))
    })?;
    let mut page = Page::from_surplus(listed, limit);
    let raised = page.items.iter().zip(&counted);
    let raised = raised.filter_map(|(row, counted)| Some((row.conversation.id, counted.watermark_target()?))).collect();
    let newest = page.items.iter_mut().filter_map(|listed| {
        let ListedRow { conversation, newest, sender, file, .. } = listed;
        Some((&*conversation, (newest.take()?, sender.take()?, file.take())))
    });
    // In the order of the list.
    let mut newest = load_messages(conn, Some(user), newest)?.into_iter().peekable();
    let mut items = Vec::with_capacity(page.items.len());
    for (listed, counted) in page.items.into_iter().zip(counted) {
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
            activity: Activity { revision: Revision(listed.place.revision), nth: listed.place.nth },
            active_at: listed.place.active.into(),
        });
    }
    Ok((Page { items, more: page.more }, raised))
}

#[async_trait]
impl ConversationRepository for Store {
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>> {
        let counts = Arc::clone(self.counts());
        let (page, raised) = self.read_for(user, move |conn| list(conn, &counts, user, before, limit)).await?;
        self.raise_watermarks_later(user, raised);
        Ok(page)
    }
}
