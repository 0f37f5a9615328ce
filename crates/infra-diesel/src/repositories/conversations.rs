//! The list of a user's conversations.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::unseen::{UnseenColumns, first_unseen, unseen_from};
use crate::tables::queries::{full_messages, load_messages};
use crate::tables::rows::{ConversationRow, GroupRow, UserRow, role};
use crate::tables::schema::{conversations, files, messages, users};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::conversations::{Activity, Conversation, ConversationCursor, ConversationRepository, Counterpart};
use domain::events::Revision;
use domain::groups::GroupView;
use domain::messages::{Message, Update};
use domain::{ConversationId, Limit, Page, Result, UserId};
use std::collections::HashMap;

#[derive(QueryableByName)]
struct ListedRow {
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = BigInt)]
    nth: i64,
    #[diesel(sql_type = SqlTime)]
    active: Time,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
    #[diesel(embed)]
    unseen: UnseenColumns,
    #[diesel(sql_type = Nullable<BigInt>)]
    last_live: Option<i64>,
}

/// A page of the list. The inner query selects the conversations: the user's memberships, and the broadcast once it has
/// a message. The outer one adds the newest live message and the unseen count of each. SQLite numbers `$n` by their
/// first appearance, so they appear in order. `OFFSET 0` keeps both databases from looking for the first unseen message
/// once for each mention. The query looks for the newest live message among at most a hundred thousand deleted ones: a
/// user who deletes many must not make the lists of others slow.
const LIST: &str = concat!(
    "SELECT mine.id, mine.revision, mine.nth, mine.active, mine.role, mine.last_seq, mine.read_up_to, mine.first_unseen, ",
    unseen_from!("mine.id", "mine.first_unseen"),
    ", (SELECT m.seq FROM messages m
     WHERE m.conversation_id = mine.id AND m.deleted_at IS NULL AND m.seq > CASE
         WHEN mine.expired_up_to < mine.last_seq - 100000 THEN mine.last_seq - 100000 ELSE mine.expired_up_to END
     ORDER BY m.seq DESC LIMIT 1) AS last_live
FROM (
    SELECT page.*, CASE WHEN page.id = $2 THEN NULL ELSE ",
    first_unseen!("page.id", "page.read_up_to"),
    " END AS first_unseen
    FROM (
        SELECT c.id, c.last_seq, c.expired_up_to, mine.role,
            CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END AS revision,
            CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END AS nth,
            coalesce(c.active_at, mine.joined_at) AS active,
            CASE WHEN c.id = $2 THEN c.last_seq WHEN mine.read_up_to < c.expired_up_to THEN c.expired_up_to
                ELSE mine.read_up_to END AS read_up_to
        FROM (
            SELECT conversation_id, role, read_up_to, joined_at, joined_revision FROM members
            WHERE user_id = $1 AND conversation_id <> $2
            UNION ALL
            SELECT id, 'member', 0, active_at, 0 FROM conversations WHERE id = $2 AND last_seq > 0
        ) mine
        JOIN conversations c ON c.id = mine.conversation_id
        WHERE c.deleted_at IS NULL
          AND (CASE WHEN c.last_seq > 0 THEN c.sent_revision ELSE mine.joined_revision END,
               CASE WHEN c.last_seq > 0 THEN c.sent_nth ELSE 0 END, c.id) < ($3, $4, $5)
        ORDER BY 5 DESC, 6 DESC, 1 DESC
        LIMIT $6
    ) page
    LIMIT $6 OFFSET 0
) mine
ORDER BY mine.revision DESC, mine.nth DESC, mine.id DESC"
);

/// The position at the top of the list.
const TOP: (i64, i64, Id) = (i64::MAX, i64::MAX, Id(uuid::Uuid::max()));

/// Conversations, each with the position to which its watermark could rise.
type WatermarkTargets = Vec<(Id, i64)>;

/// A page, and the watermarks that could rise.
fn list(
    conn: &mut AnyConnection,
    user: UserId,
    before: Option<ConversationCursor>,
    limit: Limit,
) -> DbResult<(Page<Conversation>, WatermarkTargets)> {
    let behind = |cursor: ConversationCursor| (cursor.activity.revision.0, cursor.activity.nth, cursor.id.into());
    let (revision, nth, id) = before.map_or(TOP, behind);
    let listed: Vec<ListedRow> = diesel::sql_query(LIST)
        .bind::<SqlId, _>(Id::from(user))
        .bind::<SqlId, _>(Id::from(ConversationId::BROADCAST))
        .bind::<BigInt, _>(revision)
        .bind::<BigInt, _>(nth)
        .bind::<SqlId, _>(id)
        .bind::<BigInt, _>(limit.get() as i64 + 1)
        .load(conn)?;
    let page = Page::from_surplus(listed, limit);
    let raised = page.items.iter().filter_map(|row| Some((row.id, row.unseen.watermark_target()?))).collect();
    let ids: Vec<Id> = page.items.iter().map(|row| row.id).collect();
    let rows: Vec<(ConversationRow, GroupRow)> = conversations::table
        .filter(conversations::id.eq_any(ids))
        .select((ConversationRow::as_select(), GroupRow::as_select()))
        .load(conn)?;
    let others = rows.iter().filter_map(|(row, _)| other_of(row, user)).collect();
    let mut people = people(conn, others)?;
    let mut rows: HashMap<Id, (ConversationRow, GroupRow)> = rows.into_iter().map(|row| (row.0.id, row)).collect();
    let mut newest = newest_messages(conn, &page.items, &rows)?;
    let mut items = Vec::with_capacity(page.items.len());
    for listed in page.items {
        let Some((row, group)) = rows.remove(&listed.id) else { continue };
        let with = match other_of(&row, user) {
            Some(other) => match people.remove(&other) {
                Some(other) => Counterpart::User(other.into_user()?),
                None => continue,
            },
            None if row.kind == "group" => {
                let role = listed.role.as_deref().map(role).transpose()?;
                Counterpart::Group(GroupView { group: group.into_group()?, role })
            }
            None => Counterpart::Everybody,
        };
        items.push(Conversation {
            id: row.id.into(),
            with,
            last_message: newest.remove(&row.id),
            unseen: listed.unseen.count(),
            update: Update(row.update),
            activity: Activity { revision: Revision(listed.revision), nth: listed.nth },
            active_at: listed.active.into(),
        });
    }
    Ok((Page { items, more: page.more }, raised))
}

/// The other user of a direct conversation.
fn other_of(row: &ConversationRow, user: UserId) -> Option<Id> {
    let (first, second) = (row.first_user?, row.second_user?);
    Some(if first == Id::from(user) { second } else { first })
}

fn people(conn: &mut AnyConnection, ids: Vec<Id>) -> DbResult<HashMap<Id, UserRow>> {
    let rows: Vec<UserRow> = users::table.filter(users::id.eq_any(ids)).select(UserRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The newest message of each conversation that has one. Deleted messages do not count.
fn newest_messages(
    conn: &mut AnyConnection,
    listed: &[ListedRow],
    rows: &HashMap<Id, (ConversationRow, GroupRow)>,
) -> DbResult<HashMap<Id, Message>> {
    let mut found = Vec::new();
    for listed in listed {
        if let (Some(seq), Some((row, _))) = (listed.last_live, rows.get(&listed.id)) {
            let here = messages::conversation_id.eq(row.id).and(messages::seq.eq(seq));
            found.push((row, full_messages!().filter(here).first(conn)?));
        }
    }
    let messages = load_messages(conn, found)?;
    Ok(messages.into_iter().map(|message| (message.conversation.into(), message)).collect())
}

#[async_trait]
impl ConversationRepository for Store {
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>> {
        let (page, raised) = self.snapshot_for(user, move |conn| list(conn, user, before, limit)).await?;
        self.raise_watermarks_later(user, raised);
        Ok(page)
    }
}
