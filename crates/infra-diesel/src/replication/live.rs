//! What live connections read: a user's groups and contacts, and what the user missed since a revision.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::contacts::is_of_contacts;
use crate::tables::prepared::prepared;
use crate::tables::queries::find_direct;
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, members, messages, users};
use crate::tables::sql_types::{Id, SqlId, Time};
use async_trait::async_trait;
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::events::{ConversationVersion, Revision};
use domain::live::{Acquaintance, LiveReader, MAX_MISSED_IN_ALL, MAX_MISSED_IN_ONE, Missed, MissedIn, Subscriptions};
use domain::messages::Update;
use domain::{ConversationId, GroupId, Result, UserId};

fn group_and_version((id, update, messages, membership): (Id, i64, i64, i64)) -> (GroupId, ConversationVersion) {
    (
        id.into(),
        ConversationVersion {
            update: Update(update),
            messages_revision: Revision(messages),
            membership_revision: Revision(membership),
        },
    )
}

fn subscriptions(conn: &mut AnyConnection, user: UserId, at: Revision) -> DbResult<Subscriptions> {
    let me = Id::from(user);
    let mine = || members::table.inner_join(conversations::table).filter(members::user_id.eq(me));
    let groups: Vec<(Id, i64, i64, i64)> = mine()
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
        .select((conversations::id, conversations::update, conversations::revision, conversations::roster_revision))
        .load(conn)?;
    let pairs: Vec<(Option<Id>, Option<Id>)> =
        mine().filter(is_of_contacts()).select((conversations::first_user, conversations::second_user)).load(conn)?;
    let others = pairs.into_iter().filter_map(|(first, second)| if first == Some(me) { second } else { first });
    let others: Vec<Id> = others.filter(|other| *other != me).collect();
    let contacts: Vec<Id> = if others.is_empty() {
        others
    } else {
        let living = users::table.filter(users::id.eq_any(others).and(users::deleted_at.is_null()));
        living.select(users::id).load(conn)?
    };
    Ok(Subscriptions {
        groups: groups.into_iter().map(group_and_version).collect(),
        contacts: contacts.into_iter().map(Into::into).collect(),
        at,
    })
}

/// How far to look back for a number whose message has not changed since it was sent.
const NEAR: i64 = 64;

/// Whether the number `floor` or one before it is known to be a change at `since` or later. Then every later change is,
/// too, and no query has to scan them.
fn reaches_behind(conn: &mut AnyConnection, of: Id, floor: i64, since: Revision) -> DbResult<bool> {
    let unchanged: Option<i64> = messages::table
        .filter(messages::conversation_id.eq(of).and(messages::update.eq(messages::seq)))
        .filter(messages::seq.le(floor).and(messages::seq.gt(floor - NEAR)))
        .order(messages::seq.desc())
        .select(messages::revision)
        .first(conn)
        .optional()?;
    let changed: Option<i64> = messages::table
        .filter(messages::conversation_id.eq(of).and(messages::update.ne(messages::seq)))
        .filter(messages::update.le(floor))
        .order(messages::update.desc())
        .select(messages::revision)
        .first(conn)
        .optional()?;
    Ok(unchanged.max(changed).is_some_and(|revision| revision >= since.0))
}

/// The number of the last change of a conversation before `since`, but at least `floor`: a client may have missed
/// everything after it. Reads backwards from the newest change, so that the cost grows with what was missed, and with
/// no more than the numbers behind `floor`.
fn last_before(conn: &mut AnyConnection, of: Id, since: Revision, floor: i64) -> DbResult<i64> {
    let older = || messages::table.filter(messages::conversation_id.eq(of).and(messages::revision.lt(since.0)));
    let unchanged: Option<i64> = older()
        .filter(messages::update.eq(messages::seq).and(messages::seq.gt(floor)))
        .order(messages::seq.desc())
        .select(messages::seq)
        .first(conn)
        .optional()?;
    let changed: Option<i64> = older()
        .filter(messages::update.ne(messages::seq).and(messages::update.gt(floor)))
        .order(messages::update.desc())
        .select(messages::update)
        .first(conn)
        .optional()?;
    Ok(unchanged.max(changed).unwrap_or(0).max(floor))
}

/// How much the search for where a client left its conversations may still scan.
pub struct Walk {
    /// Numbers that a replay may still contain.
    replayed: i64,
    /// Numbers that the search may still scan.
    looked_at: i64,
}

impl Walk {
    pub fn new() -> Self {
        // A search that finds too many numbers to replay is rare. A client can cause more of them.
        Self { replayed: MAX_MISSED_IN_ALL, looked_at: 2 * MAX_MISSED_IN_ALL }
    }

    /// The number after which the client may have missed a change of a conversation at `since` or later, at most one
    /// further back than a replay reaches. `update` is the conversation's counter.
    pub fn begins(&mut self, conn: &mut AnyConnection, of: Id, update: i64, since: Revision) -> DbResult<i64> {
        let most = self.replayed.min(MAX_MISSED_IN_ONE);
        let floor = update - most - 1;
        if self.looked_at <= 0 || (floor > 0 && reaches_behind(conn, of, floor, since)?) {
            return Ok(floor.max(0));
        }
        let after = last_before(conn, of, since, floor)?;
        let missed = update - after;
        self.looked_at -= missed;
        if missed <= most {
            self.replayed -= missed;
        }
        Ok(after)
    }
}

/// A conversation, its counter, and the revisions of the last change of a message and of the membership.
type ConversationState = (Id, i64, i64, i64);

/// Whether there is a group that is not deleted and has both as members.
const SHARE_A_GROUP: &str = "
SELECT count(*) AS n FROM (
    SELECT 1 FROM members theirs
    JOIN members mine ON mine.conversation_id = theirs.conversation_id AND mine.user_id = $1
    JOIN conversations c ON c.id = theirs.conversation_id AND c.deleted_at IS NULL
    WHERE theirs.user_id = $2 AND theirs.added_by IS NOT NULL
    LIMIT 1
) shared";

prepared! {
    /// Asks for such a group.
    ShareAGroup(one: SqlId => Id, other: SqlId => Id) -> BigInt = SHARE_A_GROUP
}

fn acquaintance(conn: &mut AnyConnection, one: UserId, other: UserId) -> DbResult<Acquaintance> {
    let direct = find_direct(conn, one, other)?;
    let each_wrote = direct.as_ref().is_some_and(ConversationRow::is_of_contacts);
    let conversation = direct.map(|row| row.id.into());
    if each_wrote {
        // Their groups do not matter then.
        return Ok(Acquaintance { conversation, each_wrote, share_a_group: false });
    }
    let shared = ShareAGroup { one: one.into(), other: other.into() };
    let share_a_group = per_backend!(conn, |conn| shared.get_result::<i64>(conn))? > 0;
    Ok(Acquaintance { conversation, each_wrote, share_a_group })
}

fn missed(conn: &mut AnyConnection, user: UserId, since: Revision, next: Revision) -> DbResult<Option<Missed>> {
    if since > next {
        return Ok(None);
    }
    let me = Id::from(user);
    let removed: Option<i64> = users::table.find(me).select(users::roster_revision).first(conn).optional()?;
    let views = members::table.filter(members::user_id.eq(me)).select(max(members::view_revision));
    let viewed: Option<i64> = views.first(conn)?;
    let columns = (conversations::id, conversations::update, conversations::revision, conversations::roster_revision);
    let changed: Vec<(ConversationState, Option<Time>)> = members::table
        .inner_join(conversations::table)
        .filter(members::user_id.eq(me))
        .filter(conversations::revision.ge(since.0).or(conversations::roster_revision.ge(since.0)))
        .filter(conversations::kind.ne("broadcast"))
        .select((columns, conversations::deleted_at))
        .load(conn)?;
    // An ended group has no members, though their rows may stay for a while.
    let (mine, ended): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(_, deleted_at)| deleted_at.is_none());
    let removed = removed.is_some_and(|revision| revision >= since.0)
        || ended.iter().any(|((_, _, _, membership), _)| *membership >= since.0);
    let mut mine: Vec<ConversationState> = mine.into_iter().map(|(place, _)| place).collect();
    mine.push(conversations::table.find(Id::from(ConversationId::BROADCAST)).select(columns).first(conn)?);
    let mut missed = Missed {
        memberships_changed: removed,
        views_changed: viewed.is_some_and(|revision| revision >= since.0),
        conversations: Vec::new(),
    };
    let mut walk = Walk::new();
    for (id, update, revision, roster_revision) in mine {
        missed.memberships_changed |= roster_revision >= since.0;
        if revision >= since.0 {
            let after = walk.begins(conn, id, update, since)?;
            missed.conversations.push(MissedIn {
                conversation: id.into(),
                after: Update(after),
                update: Update(update),
            });
        }
    }
    Ok(Some(missed))
}

#[async_trait]
impl LiveReader for Store {
    async fn subscriptions(&self, user: UserId) -> Result<Subscriptions> {
        self.snapshot_with_watermarks(Some(user), move |conn, (at, _)| subscriptions(conn, user, at)).await
    }

    async fn acquaintance(&self, one: UserId, other: UserId) -> Result<Acquaintance> {
        self.snapshot(move |conn| acquaintance(conn, one, other)).await
    }

    async fn missed(&self, user: UserId, since: Revision) -> Result<Option<Missed>> {
        if since < self.revisions().origin() {
            return Ok(None);
        }
        self.snapshot_with_watermarks(Some(user), move |conn, (_, next)| missed(conn, user, since, next)).await
    }
}
