//! Reactions to messages.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::tables::rows::{MessageRow, ProfileRow, count as counted};
use crate::tables::schema::{messages, reactions, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::change::{lock_for_change, publish_change, touch};
use crate::transaction::tx::Tx;
use diesel::dsl::{count, count_star};
use diesel::prelude::*;
use domain::files::Growth;
use domain::messages::{Emoji, ReactionCounts, Reactor, Update, not_before};
use domain::users::ServerPolicy;
use domain::{Limit, MessageId, NotFound, Page, Timestamp, UserId};

fn counts(conn: &mut AnyConnection, of: Id, user: Id, emoji: &str) -> DbResult<ReactionCounts> {
    let all = || reactions::table.filter(reactions::message_id.eq(of));
    let different: i64 = all().select(count(reactions::emoji).aggregate_distinct()).first(conn)?;
    let own: i64 = all().filter(reactions::user_id.eq(user)).select(count_star()).first(conn)?;
    let one: Option<i64> = all().filter(reactions::emoji.eq(emoji)).select(reactions::update).first(conn).optional()?;
    Ok(ReactionCounts { different: counted(different), own: counted(own), has_emoji: one.is_some() })
}

/// Adds a reaction, unless it is there.
pub fn add(
    tx: &mut Tx<'_>,
    policy: &ServerPolicy,
    (actor, id): (UserId, MessageId),
    emoji: &Emoji,
    at: Timestamp,
) -> DbResult<()> {
    let (mut conversation, mut row) =
        lock_for_change(tx, policy, (actor, id), |access, broadcasts| access.may_react(|| broadcasts))?;
    let own = reactions::table.find((row.id, Id::from(actor), emoji.as_str())).select(reactions::update);
    if own.first::<i64>(tx.conn).optional()?.is_some() {
        return Ok(());
    }
    counts(tx.conn, row.id, actor.into(), emoji.as_str())?.may_add()?;
    tx.grow(Growth::Reaction)?;
    touch(tx, &mut conversation, &mut row, at, |_| ())?;
    diesel::insert_into(reactions::table)
        .values((
            reactions::message_id.eq(row.id),
            reactions::user_id.eq(Id::from(actor)),
            reactions::emoji.eq(emoji.as_str()),
            reactions::update.eq(row.update),
            reactions::created_at.eq(Time::from(not_before(row.created_at.into(), at))),
        ))
        .execute(tx.conn)?;
    set_has(tx.conn, &row, row.has | MessageRow::REACTIONS)?;
    publish_change(tx, &conversation, id)
}

/// Takes a reaction back, if it is there.
pub fn take_back(
    tx: &mut Tx<'_>,
    policy: &ServerPolicy,
    (actor, id): (UserId, MessageId),
    emoji: &Emoji,
    at: Timestamp,
) -> DbResult<()> {
    let (mut conversation, mut row) =
        lock_for_change(tx, policy, (actor, id), |access, broadcasts| access.may_react(|| broadcasts))?;
    let own = reactions::table.find((row.id, Id::from(actor), emoji.as_str()));
    if diesel::delete(own).execute(tx.conn)? == 0 {
        return Ok(());
    }
    let others = reactions::table.filter(reactions::message_id.eq(row.id)).select(reactions::update);
    if others.first::<i64>(tx.conn).optional()?.is_none() {
        set_has(tx.conn, &row, row.has & !MessageRow::REACTIONS)?;
    }
    touch(tx, &mut conversation, &mut row, at, |_| ())?;
    publish_change(tx, &conversation, id)
}

fn set_has(conn: &mut AnyConnection, row: &MessageRow, has: i64) -> DbResult<()> {
    if has != row.has {
        diesel::update(messages::table.find((row.conversation_id, row.seq)))
            .set(messages::has.eq(has))
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets the reactions to a message that is being deleted.
pub fn forget(conn: &mut AnyConnection, row: &MessageRow) -> DbResult<()> {
    if row.has & MessageRow::REACTIONS != 0 {
        diesel::delete(reactions::table.filter(reactions::message_id.eq(row.id))).execute(conn)?;
    }
    Ok(())
}

/// Lists who reacted, from behind a number.
pub fn list(
    conn: &mut AnyConnection,
    viewer: UserId,
    id: MessageId,
    emoji: Option<&Emoji>,
    after: Update,
    limit: Limit,
) -> DbResult<Page<Reactor>> {
    if find_visible(conn, viewer, id)?.is_none() {
        return Ok(NotFound::Message.err()?);
    }
    let mut found = reactions::table
        .inner_join(users::table)
        .filter(reactions::message_id.eq(Id::from(id)).and(reactions::update.gt(after.0)))
        .order(reactions::update.asc())
        .limit(limit.get() as i64 + 1)
        .select((reactions::emoji, reactions::created_at, reactions::update, ProfileRow::as_select()))
        .into_boxed();
    if let Some(emoji) = emoji {
        found = found.filter(reactions::emoji.eq(emoji.as_str()));
    }
    let found: Vec<(String, Time, i64, ProfileRow)> = found.load(conn)?;
    let reactor = |(emoji, at, update, user): (String, Time, i64, ProfileRow)| Reactor {
        emoji: Emoji::from_stored(emoji),
        user: user.profile(),
        created_at: at.into(),
        update: Update(update),
    };
    Ok(Page::from_surplus(found.into_iter().map(reactor).collect(), limit))
}
