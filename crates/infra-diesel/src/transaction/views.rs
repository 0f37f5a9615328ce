//! Changes of users' views of conversations, inside a transaction.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, drafts, members};
use crate::tables::sql_types::{Id, Time};
use crate::tables::views::ViewRow;
use crate::transaction::membership::{NewMemberRow, insert_member_row};
use diesel::prelude::*;
use domain::events::Event;
use domain::views::Settings;
use domain::{ConversationId, Timestamp, UserId};

/// Where a user stands in a conversation.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct Standing {
    /// The watermark.
    pub read_up_to: i64,
    /// Nothing up to this `seq` was ever unseen. `None` for a member from before the database stored it.
    pub joined_seq: Option<i64>,
    pub joined_at: Time,
}

/// Where a user who may mark stands. In the broadcast, users have no row at first: this creates it.
pub fn standing(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    user: Id,
    revision: i64,
    at: Timestamp,
) -> DbResult<Standing> {
    let row = members::table.find((of.id, user));
    let columns = (members::read_up_to, members::joined_seq, members::joined_at);
    if let Some(standing) = row.select(columns).first(conn).optional()? {
        return Ok(standing);
    }
    let at = Time::from(at);
    let row = NewMemberRow {
        conversation_id: of.id,
        user_id: user,
        role: "member",
        read_up_to: 0,
        joined_seq: 0,
        joined_at: at,
        updated_at: at,
        joined_revision: revision,
        added_by: None,
        hidden: 0,
    };
    insert_member_row(conn, &row)?;
    Ok(Standing { read_up_to: 0, joined_seq: Some(0), joined_at: at })
}

/// Records that a view has changed, for the user's live connections that resume.
pub fn record_view_change(conn: &mut AnyConnection, of: Id, user: Id, revision: i64) -> DbResult<()> {
    diesel::update(members::table.find((of, user))).set(members::view_revision.eq(revision)).execute(conn)?;
    Ok(())
}

/// Drops a draft. Returns the event, if there was one.
pub fn drop_draft(conn: &mut AnyConnection, of: &ConversationRow, user: Id, revision: i64) -> DbResult<Option<Event>> {
    if diesel::delete(drafts::table.find((of.id, user))).execute(conn)? == 0 {
        return Ok(None);
    }
    record_view_change(conn, of.id, user, revision)?;
    let (conversation, destination) = (of.id.into(), of.destination(user));
    Ok(Some(Event::DraftChanged { conversation, destination, user: user.into(), draft: None }))
}

/// Members whom one transaction tells that a message has brought the conversation back.
const TOLD_AT_ONCE: i64 = 200;

/// Brings a locked conversation, of which `of` has the newest message, back for members who have archived it and have
/// not muted it: for as many of them as one transaction takes. Whoever reads the settings of the others sees that it is
/// back for them, too. Returns the events, and the time from which on a message may bring it back for more of them.
pub fn bring_back(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    revision: i64,
) -> DbResult<(Vec<Event>, Option<Time>)> {
    let Some(sent_at) = of.active_at else { return Ok((Vec::new(), of.archived_until)) };
    let archived =
        || members::table.filter(members::conversation_id.eq(of.id).and(members::archived_at_seq.is_not_null()));
    let told: Vec<(Id, ViewRow)> = archived()
        .filter(members::muted_until.is_null().or(members::muted_until.le(sent_at)))
        .order(members::user_id)
        .limit(TOLD_AT_ONCE)
        .select((members::user_id, ViewRow::as_select()))
        .load(conn)?;
    let users: Vec<Id> = told.iter().map(|(user, _)| *user).collect();
    diesel::update(archived().filter(members::user_id.eq_any(users)))
        .set((members::archived_at_seq.eq(None::<i64>), members::view_revision.eq(revision)))
        .execute(conn)?;
    let until = if (told.len() as i64) < TOLD_AT_ONCE {
        archived().order(members::muted_until).select(members::muted_until).first(conn).optional()?.flatten()
    } else {
        of.archived_until
    };
    diesel::update(conversations::table.find(of.id)).set(conversations::archived_until.eq(until)).execute(conn)?;
    let conversation = ConversationId::from(of.id);
    let events = told.into_iter().map(|(user, view)| {
        let settings = Settings { archived: false, ..view.settings(None)?.at(sent_at.into()) };
        let destination = of.destination(user);
        Ok(Event::SettingsChanged { conversation, destination, user: UserId::from(user), settings })
    });
    Ok((events.collect::<DbResult<_>>()?, until))
}
