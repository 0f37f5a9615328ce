//! Sessions.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::store::session_cache::SessionCache;
use crate::tables::rows::user_role;
use crate::tables::schema::{sessions, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::{has_password, lock_user};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::sessions::{LiveSession, OpenSession, Session, SessionRepository, UserAgent, oldest_usable, surplus};
use domain::users::{PasswordHash, Username};
use domain::{Limit, NotFound, Page, Result, SessionId, Timestamp, Unauthenticated, UserId};
use std::collections::HashMap;
use uuid::Uuid;

/// How many sessions beyond a user's limit one transaction ends, and how many it forgets. All other writes wait for it.
const ENDED_AT_ONCE: usize = 1_000;
const FORGOTTEN_AT_ONCE: i64 = 100;

#[derive(Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct NewSessionRow {
    id: Id,
    user_id: Id,
    created_at: Time,
    last_seen_at: Time,
    user_agent: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    id: Id,
    user_id: Id,
    created_at: Time,
    last_seen_at: Time,
    user_agent: Option<String>,
}

impl SessionRow {
    /// The session. Its last use is the one that the cache knows, which may be newer than the stored one.
    fn into_session(self, known: &SessionCache) -> Session {
        let id = self.id.into();
        Session {
            id,
            user: self.user_id.into(),
            created_at: self.created_at.into(),
            last_seen_at: known.last_seen(id, self.last_seen_at.into()),
            user_agent: self.user_agent.as_deref().map(UserAgent::clean),
        }
    }
}

/// The sessions of the user that have not ended.
#[diesel::dsl::auto_type]
fn not_ended(user: Id) -> _ {
    sessions::table.filter(sessions::user_id.eq(user).and(sessions::revoked_at.is_null()))
}

/// The user's sessions by last use, newest first: as many as a user may have and one transaction can end.
fn open_sessions(conn: &mut AnyConnection, known: &SessionCache, user: UserId) -> DbResult<Vec<OpenSession>> {
    let rows: Vec<(Id, Time, Time)> = not_ended(user.into())
        .order(sessions::last_seen_at.desc())
        .limit((Session::MAX + ENDED_AT_ONCE) as i64)
        .select((sessions::id, sessions::created_at, sessions::last_seen_at))
        .load(conn)?;
    let open = rows.into_iter().map(|(id, created_at, written)| {
        let last_seen_at = known.last_seen(id.into(), written.into());
        OpenSession { id: id.into(), created_at: created_at.into(), last_seen_at }
    });
    Ok(open.collect())
}

/// Whether the user has more sessions than one transaction ends.
fn is_crowded(conn: &mut AnyConnection, user: UserId) -> DbResult<bool> {
    let further = not_ended(user.into()).order(sessions::last_seen_at.desc()).offset(ENDED_AT_ONCE as i64);
    Ok(further.select(sessions::id).first::<Id>(conn).optional()?.is_some())
}

/// Ends sessions of the user, who is locked: transactions that end several sessions lock the user first, so that two of
/// them do not deadlock.
fn end_these(tx: &mut Tx<'_>, user: UserId, these: Vec<SessionId>, at: Timestamp) -> DbResult<()> {
    if these.is_empty() {
        return Ok(());
    }
    let these = not_ended(user.into()).filter(sessions::id.eq_any(these.into_iter().map(Id::from).collect::<Vec<_>>()));
    let end = diesel::update(these).set(sessions::revoked_at.eq(Time::from(at))).returning(sessions::id);
    let ended: Vec<Id> = per_backend!(tx.conn, |conn| end.load(conn))?;
    tx.events.extend(ended.into_iter().map(|session| Event::SessionEnded { user, session: session.into() }));
    Ok(())
}

/// Ends the sessions of the user, who is locked, but `keep`. Returns whether one of them could still be used.
pub fn end_sessions(tx: &mut Tx<'_>, user: UserId, keep: Option<SessionId>, at: Timestamp) -> DbResult<bool> {
    // No session has the nil id.
    let keep = Id(keep.map_or(Uuid::nil(), |keep| keep.0));
    let others = not_ended(user.into()).filter(sessions::id.ne(keep));
    let end = diesel::update(others).set(sessions::revoked_at.eq(Time::from(at)));
    let end = end.returning((sessions::id, sessions::created_at));
    let ended: Vec<(Id, Time)> = per_backend!(tx.conn, |conn| end.load(conn))?;
    let oldest = Time::from(oldest_usable(at)?);
    let any = ended.iter().any(|(_, created_at)| *created_at > oldest);
    tx.events.extend(ended.into_iter().map(|(session, _)| Event::SessionEnded { user, session: session.into() }));
    Ok(any)
}

/// Forgets sessions, and stores when each of their users was last seen.
fn forget(tx: &mut Tx<'_>, before: Time) -> DbResult<usize> {
    type Row = (Id, Id, Time, Option<Time>);
    let mut old: Vec<Row> = sessions::table
        .filter(sessions::created_at.lt(before))
        .order(sessions::created_at)
        .limit(FORGOTTEN_AT_ONCE)
        .select((sessions::id, sessions::user_id, sessions::last_seen_at, sessions::revoked_at))
        .load(tx.conn)?;
    let mut seen: HashMap<Id, Time> = HashMap::new();
    for (_, user, last_seen_at, _) in &old {
        let newest = seen.entry(*user).or_insert(*last_seen_at);
        *newest = (*newest).max(*last_seen_at);
    }
    if let AnyConnection::Postgres(conn) = tx.conn {
        // Skips users that other transactions have locked: waiting for one while holding others could deadlock.
        let users = users::table.filter(users::id.eq_any(seen.keys().copied().collect::<Vec<_>>()));
        let held = users.select(users::id).for_no_key_update().skip_locked().load::<Id>(conn)?;
        seen.retain(|user, _| held.contains(user));
        old.retain(|(_, user, ..)| seen.contains_key(user));
    }
    for (user, at) in seen {
        let unseen = users::last_seen_at.is_null().or(users::last_seen_at.lt(at));
        let user = users::table.find(user).filter(users::deleted_at.is_null());
        diesel::update(user.filter(unseen)).set(users::last_seen_at.eq(at)).execute(tx.conn)?;
    }
    let ids: Vec<Id> = old.iter().map(|(id, ..)| *id).collect();
    let forgotten = diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(tx.conn)?;
    let ended = old.into_iter().filter(|(.., revoked_at)| revoked_at.is_none());
    let ended = ended.map(|(id, user, ..)| Event::SessionEnded { user: user.into(), session: id.into() });
    tx.events.extend(ended);
    Ok(forgotten)
}

impl Store {
    /// Ends surplus sessions of the user, a bounded number in one transaction, until one transaction can end all that
    /// are left (but `keep`). Only data from before the limit of sessions has a surplus.
    pub(crate) async fn thin_out_sessions(&self, user: UserId, keep: Option<SessionId>, at: Timestamp) -> Result<()> {
        while self.read(move |conn| is_crowded(conn, user)).await? {
            let known = self.session_cache();
            self.write(user.0, move |tx| {
                lock_user(tx.conn, user)?;
                let mut ending = surplus(open_sessions(tx.conn, &known, user)?, Session::MAX, oldest_usable(at)?);
                ending.retain(|session| Some(*session) != keep);
                end_these(tx, user, ending, at)
            })
            .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl SessionRepository for Store {
    async fn create(&self, session: Session, proven: Option<PasswordHash>) -> Result<()> {
        let (user, at, known) = (session.user, session.created_at, self.session_cache());
        self.thin_out_sessions(user, None, at).await?;
        self.write(user.0, move |tx| {
            let row = NewSessionRow {
                id: session.id.into(),
                user_id: user.into(),
                created_at: session.created_at.into(),
                last_seen_at: session.last_seen_at.into(),
                user_agent: session.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
            };
            let found = lock_user(tx.conn, user)?;
            if found.is_none_or(|user| user.deleted_at.is_some() || user.disabled_at.is_some()) {
                return Ok(Unauthenticated::InvalidCredentials.err()?);
            }
            if !has_password(tx.conn, user, proven.as_ref())? {
                return Ok(Unauthenticated::InvalidCredentials.err()?);
            }
            // Before the new session is there, which must not end.
            let ending = surplus(open_sessions(tx.conn, &known, user)?, Session::MAX - 1, oldest_usable(at)?);
            end_these(tx, user, ending, at)?;
            diesel::insert_into(sessions::table).values(row).execute(tx.conn)?;
            Ok(())
        })
        .await
    }

    async fn live(&self, id: SessionId) -> Result<Option<LiveSession>> {
        if let Some(known) = self.sessions().get(id) {
            return Ok(known);
        }
        let look_up = self.sessions().look_up(id);
        let found = self
            .read(move |conn| {
                let found: Option<(Id, String, String, Time)> = sessions::table
                    .inner_join(users::table.on(users::id.eq(sessions::user_id)))
                    .filter(sessions::id.eq(Id::from(id)).and(sessions::revoked_at.is_null()))
                    .filter(users::deleted_at.is_null().and(users::disabled_at.is_null()))
                    .select((users::id, users::username, users::role, sessions::last_seen_at))
                    .first(conn)
                    .optional()?;
                let Some((user, username, role, last_seen_at)) = found else { return Ok(None) };
                let username = Username::from_stored(username);
                let (user, last_seen_at) = (user.into(), last_seen_at.into());
                Ok(Some(LiveSession { user, username, role: user_role(&role)?, last_seen_at }))
            })
            .await?;
        Ok(look_up.found(found))
    }

    async fn list(
        &self,
        user: UserId,
        since: Timestamp,
        after: Option<SessionId>,
        limit: Limit,
    ) -> Result<Page<Session>> {
        let known = self.session_cache();
        self.snapshot_for(user, move |conn| {
            let mut query = not_ended(user.into())
                .filter(sessions::created_at.gt(Time::from(since)))
                .order((sessions::created_at.desc(), sessions::id.desc()))
                .limit(limit.get() as i64 + 1)
                .select(SessionRow::as_select())
                .into_boxed();
            if let Some(after) = after.map(Id::from) {
                let place = sessions::table.find(after).filter(sessions::user_id.eq(Id::from(user)));
                let Some(begun) = place.select(sessions::created_at).first::<Time>(conn).optional()? else {
                    return Ok(NotFound::Session.err()?);
                };
                let beside = sessions::created_at.eq(begun).and(sessions::id.lt(after));
                query = query.filter(sessions::created_at.lt(begun).or(beside));
            }
            let page = Page::from_surplus(query.load::<SessionRow>(conn)?, limit);
            let sessions = page.items.into_iter().map(|row| row.into_session(&known));
            Ok(Page { items: sessions.collect(), more: page.more })
        })
        .await
    }

    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool> {
        self.write(user.0, move |tx| {
            let live = not_ended(user.into()).filter(sessions::id.eq(Id::from(id)));
            let ended = diesel::update(live).set(sessions::revoked_at.eq(Time::from(at))).execute(tx.conn)? == 1;
            if ended {
                tx.events.push(Event::SessionEnded { user, session: id });
            }
            Ok(ended)
        })
        .await
    }

    async fn touch(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<()> {
        // The cache knows at once, so that the next request does not write again. The database learns of it later.
        self.sessions().touched(id, at);
        // The writer that also makes the other changes of the user's sessions: two writers would block each other.
        self.write_later(user.0, move |tx| {
            let session = sessions::table.find(Id::from(id));
            diesel::update(session).set(sessions::last_seen_at.eq(Time::from(at))).execute(tx.conn)?;
            Ok(())
        });
        Ok(())
    }

    async fn forget(&self, before: Timestamp) -> Result<usize> {
        self.write(Uuid::nil(), move |tx| forget(tx, before.into())).await
    }
}
