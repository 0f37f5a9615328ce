//! What live connections read: one's groups, and what was missed since a revision.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::schema::{conversations, members, messages, users};
use crate::sql_types::Id;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::{Head, Revision};
use domain::live::{LiveReader, Missed, MissedIn, Roster};
use domain::{ConversationId, GroupId, Result, UserId};

fn group_and_head((id, update, changed, roster): (Id, i64, i64, i64)) -> (GroupId, Head) {
    (id.into(), Head { update, changed: Revision(changed), roster: Revision(roster) })
}

fn roster(conn: &mut AnyConnection, user: UserId, at: Revision) -> DbResult<Roster> {
    let me = Id::from(user);
    let mine = || members::table.inner_join(conversations::table).filter(members::user_id.eq(me));
    let groups: Vec<(Id, i64, i64, i64)> = mine()
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
        .select((conversations::id, conversations::update, conversations::revision, conversations::roster_revision))
        .load(conn)?;
    let pairs: Vec<(Option<Id>, Option<Id>)> = mine()
        .filter(conversations::kind.eq("direct"))
        .select((conversations::first_user, conversations::second_user))
        .load(conn)?;
    let others = pairs.into_iter().filter_map(|(first, second)| if first == Some(me) { second } else { first });
    let contacts: Vec<Id> = users::table
        .filter(users::id.eq_any(others.filter(|other| *other != me).collect::<Vec<_>>()))
        .filter(users::deleted_at.is_null())
        .select(users::id)
        .load(conn)?;
    Ok(Roster {
        groups: groups.into_iter().map(group_and_head).collect(),
        contacts: contacts.into_iter().map(Into::into).collect(),
        at,
    })
}

/// The number of the last change of a conversation that is older than `since`: everything after it may have been missed.
/// Read backwards from the newest, so that it costs in proportion to what was missed.
pub fn last_before(conn: &mut AnyConnection, of: Id, since: Revision) -> DbResult<i64> {
    let older = || messages::table.filter(messages::conversation_id.eq(of).and(messages::revision.lt(since.0)));
    let unchanged: Option<i64> = older()
        .filter(messages::update.eq(messages::seq))
        .order(messages::seq.desc())
        .select(messages::seq)
        .first(conn)
        .optional()?;
    let changed: Option<i64> = older()
        .filter(messages::update.ne(messages::seq))
        .order(messages::update.desc())
        .select(messages::update)
        .first(conn)
        .optional()?;
    Ok(unchanged.max(changed).unwrap_or(0))
}

fn missed(conn: &mut AnyConnection, user: UserId, since: Revision, next: Revision) -> DbResult<Option<Missed>> {
    if since > next {
        return Ok(None);
    }
    let me = Id::from(user);
    let removed: Option<i64> = users::table.find(me).select(users::roster_revision).first(conn).optional()?;
    let columns = (conversations::id, conversations::update, conversations::revision, conversations::roster_revision);
    let mut mine: Vec<(Id, i64, i64, i64)> = members::table
        .inner_join(conversations::table)
        .filter(members::user_id.eq(me).and(conversations::deleted_at.is_null()))
        .filter(conversations::revision.ge(since.0).or(conversations::roster_revision.ge(since.0)))
        .filter(conversations::kind.ne("broadcast"))
        .select(columns)
        .load(conn)?;
    mine.push(conversations::table.find(Id::from(ConversationId::BROADCAST)).select(columns).first(conn)?);
    let mut missed =
        Missed { roster_changed: removed.is_some_and(|revision| revision >= since.0), conversations: Vec::new() };
    for (id, update, revision, roster_revision) in mine {
        missed.roster_changed |= roster_revision >= since.0;
        if revision >= since.0 {
            let after = last_before(conn, id, since)?;
            missed.conversations.push(MissedIn { conversation: id.into(), after, update });
        }
    }
    Ok(Some(missed))
}

#[async_trait]
impl LiveReader for Store {
    async fn roster(&self, user: UserId) -> Result<Roster> {
        self.snapshot_and_horizon(Some(user), move |conn, (at, _)| roster(conn, user, at)).await
    }

    async fn missed(&self, user: UserId, since: Revision) -> Result<Option<Missed>> {
        if since < self.revisions().origin() {
            return Ok(None);
        }
        self.snapshot_and_horizon(Some(user), move |conn, (_, next)| missed(conn, user, since, next)).await
    }
}
