//! Sessions.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::repositories::api_tokens::TokenColumns;
use crate::store::session_cache::SessionCache;
use crate::tables::rows::user_role;
use crate::tables::schema::{sessions, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::{has_password, lock_user};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::sessions::{
    Generation, LiveSession, OpenSession, Redemption, RefreshClaims, RefreshState, Renewed, Session, SessionLifetime,
    SessionRepository, UserAgent, redeem, surplus,
};
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

/// The sessions of the user that have not ended, tokens of programs among them.
#[diesel::dsl::auto_type]
fn not_ended(user: Id) -> _ {
    sessions::table.filter(sessions::user_id.eq(user).and(sessions::revoked_at.is_null()))
}

/// Those of them that a login began. It asks for the name of a token and not for the hash: an index without the user is
/// for sessions without a hash, and Postgres would walk over it.
#[diesel::dsl::auto_type]
fn logins(user: Id) -> _ {
    let open = sessions::revoked_at.is_null().and(sessions::token_name.is_null());
    sessions::table.filter(sessions::user_id.eq(user).and(open))
}

/// The user's logins by last use, newest first: as many as a user may have and one transaction can end.
fn open_sessions(conn: &mut AnyConnection, known: &SessionCache, user: UserId) -> DbResult<Vec<OpenSession>> {
    let rows: Vec<(Id, Time, Time)> = logins(user.into())
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

/// Whether the user has more logins than one transaction ends.
fn is_crowded(conn: &mut AnyConnection, user: UserId) -> DbResult<bool> {
    let further = logins(user.into()).order(sessions::last_seen_at.desc()).offset(ENDED_AT_ONCE as i64);
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

/// Ends the sessions of the user, who is locked, but `keep`; tokens of programs too.
pub fn end_sessions(tx: &mut Tx<'_>, user: UserId, keep: Option<SessionId>, at: Timestamp) -> DbResult<()> {
    // No session has the nil id.
    let keep = Id(keep.map_or(Uuid::nil(), |keep| keep.0));
    let others = not_ended(user.into()).filter(sessions::id.ne(keep));
    let end = diesel::update(others).set(sessions::revoked_at.eq(Time::from(at))).returning(sessions::id);
    let ended: Vec<Id> = per_backend!(tx.conn, |conn| end.load(conn))?;
    tx.events.extend(ended.into_iter().map(|session| Event::SessionEnded { user, session: session.into() }));
    Ok(())
}

/// Ends the logins of the user, who is locked. Returns when the last used of them was.
pub fn end_logins(tx: &mut Tx<'_>, user: UserId, at: Timestamp) -> DbResult<Option<Timestamp>> {
    let end = diesel::update(logins(user.into())).set(sessions::revoked_at.eq(Time::from(at)));
    let end = end.returning((sessions::id, sessions::last_seen_at));
    let ended: Vec<(Id, Time)> = per_backend!(tx.conn, |conn| end.load(conn))?;
    let newest = ended.iter().map(|(_, last_seen_at)| *last_seen_at).max();
    tx.events.extend(ended.into_iter().map(|(session, _)| Event::SessionEnded { user, session: session.into() }));
    Ok(newest.map(Into::into))
}

/// What a renewal reads of a session.
type RenewedRow = (SessionRow, i64, Option<Time>);

/// Spends a refresh token of a session, which this locks. `None` if the session has ended by now or ends by this, or if
/// the token is not good.
fn renew(
    tx: &mut Tx<'_>,
    (known, lifetime): (&SessionCache, SessionLifetime),
    user: UserId,
    spent: RefreshClaims,
    at: Timestamp,
) -> DbResult<Option<Renewed>> {
    // Every transaction that ends sessions of a user or the user's account locks the user first.
    let living = lock_user(tx.conn, user)?.filter(|user| user.deleted_at.is_none() && user.disabled_at.is_none());
    let Some(living) = living else { return Ok(None) };
    let mine = || logins(user.into()).filter(sessions::id.eq(Id::from(spent.session)));
    if let AnyConnection::Postgres(conn) = tx.conn {
        // A logout ends one session, and locks only that.
        mine().select(sessions::id).for_no_key_update().first::<Id>(conn).optional()?;
    }
    let found = mine().select((SessionRow::as_select(), sessions::generation, sessions::spent_at));
    let found: Option<RenewedRow> = found.first(tx.conn).optional()?;
    let Some((row, unspent, spent_at)) = found else { return Ok(None) };
    let session = row.into_session(known);
    let last_seen_at = session.last_seen_at;
    let state = RefreshState { unspent: Generation(unspent), spent_at: spent_at.map(Into::into), last_seen_at };
    let used = sessions::last_seen_at.eq(Time::from(at.max(last_seen_at)));
    let successor = match redeem(spent.generation, state, lifetime, at)? {
        Redemption::Spend(successor) => {
            let set = (sessions::generation.eq(successor.0), sessions::spent_at.eq(Time::from(at)), used);
            diesel::update(mine()).set(set).execute(tx.conn)?;
            successor
        }
        Redemption::Repeat(successor) => {
            diesel::update(mine()).set(used).execute(tx.conn)?;
            successor
        }
        Redemption::Reused => {
            tracing::warn!(%user, session = %spent.session, "a spent refresh token was presented: the session ends");
            end_these(tx, user, vec![spent.session], at)?;
            return Ok(None);
        }
        Redemption::Expired | Redemption::Unknown => return Ok(None),
    };
    let session = Session { last_seen_at: at, ..session };
    Ok(Some(Renewed { session, username: living.username, successor }))
}

/// Forgets sessions, and stores when each of their users was last seen.
fn forget(tx: &mut Tx<'_>, ended: Time, unused: Time) -> DbResult<usize> {
    type Row = (Id, Id, Time, Option<Time>);
    let columns = (sessions::id, sessions::user_id, sessions::last_seen_at, sessions::revoked_at);
    let mut old: Vec<Row> = sessions::table
        .filter(sessions::revoked_at.is_not_null().and(sessions::revoked_at.lt(ended)))
        .order(sessions::revoked_at)
        .limit(FORGOTTEN_AT_ONCE)
        .select(columns)
        .load(tx.conn)?;
    if old.is_empty() {
        old = sessions::table
            .filter(sessions::token_expires_at.is_not_null().and(sessions::token_expires_at.lt(ended)))
            .order(sessions::token_expires_at)
            .limit(FORGOTTEN_AT_ONCE)
            .select(columns)
            .load(tx.conn)?;
    }
    if old.is_empty() {
        old = sessions::table
            .filter(sessions::revoked_at.is_null().and(sessions::token_hash.is_null()))
            .filter(sessions::last_seen_at.lt(unused))
            .order(sessions::last_seen_at)
            .limit(FORGOTTEN_AT_ONCE)
            .select(columns)
            .load(tx.conn)?;
    }
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
            let (known, oldest) = (self.session_cache(), self.policy().sessions.oldest_usable(at)?);
            self.write(user.0, move |tx| {
                lock_user(tx.conn, user)?;
                let mut ending = surplus(open_sessions(tx.conn, &known, user)?, Session::MAX, oldest);
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
        let oldest = self.policy().sessions.oldest_usable(at)?;
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
            let ending = surplus(open_sessions(tx.conn, &known, user)?, Session::MAX - 1, oldest);
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
                let found: Option<(Id, String, String, Time, TokenColumns)> = sessions::table
                    .inner_join(users::table.on(users::id.eq(sessions::user_id)))
                    .filter(sessions::id.eq(Id::from(id)).and(sessions::revoked_at.is_null()))
                    .filter(users::deleted_at.is_null().and(users::disabled_at.is_null()))
                    .select((
                        users::id,
                        users::username,
                        users::role,
                        sessions::last_seen_at,
                        TokenColumns::as_select(),
                    ))
                    .first(conn)
                    .optional()?;
                let Some((user, username, role, last_seen_at, token)) = found else { return Ok(None) };
                let (username, token) = (Username::from_stored(username), token.grant()?);
                let (user, last_seen_at) = (user.into(), last_seen_at.into());
                Ok(Some(LiveSession { user, username, role: user_role(&role)?, last_seen_at, token }))
            })
            .await?;
        Ok(look_up.found(found))
    }

    async fn renew(&self, user: UserId, spent: RefreshClaims, at: Timestamp) -> Result<Renewed> {
        let (known, lifetime) = (self.session_cache(), self.policy().sessions);
        let renewed = self.write(user.0, move |tx| renew(tx, (&known, lifetime), user, spent, at)).await?;
        // The commit may have ended the session, so the refusal is no error of the transaction.
        let Some(renewed) = renewed else { return Unauthenticated::InvalidToken.err() };
        self.sessions().touched(spent.session, at);
        Ok(renewed)
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
            let mut query = logins(user.into())
                .filter(sessions::last_seen_at.gt(Time::from(since)))
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
            let live = logins(user.into()).filter(sessions::id.eq(Id::from(id)));
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

    async fn forget(&self, ended: Timestamp, unused: Timestamp) -> Result<usize> {
        self.write(Uuid::nil(), move |tx| forget(tx, ended.into(), unused.into())).await
    }
}
