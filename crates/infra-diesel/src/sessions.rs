//! Logins, and what is remembered of them so that a request costs no query.

use crate::Store;
use crate::rows::user_role;
use crate::schema::{sessions, users};
use crate::sql_types::{Id, Time};
use crate::users::{has_password, lock_user};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::sessions::{LiveSession, Session, SessionRepository, UserAgent};
use domain::users::{PasswordHash, Username};
use domain::{Limit, NotFound, Page, Result, SessionId, Timestamp, Unauthenticated, UserId};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How many sessions are remembered; more than that are forgotten all at once and asked for again.
const MOST_REMEMBERED: usize = 200_000;

enum Remembered {
    Live {
        session: LiveSession,
        until: Option<Instant>,
    },
    /// Stays until its token has expired, so that a look-up that began before the end cannot bring the session back.
    Ended {
        since: Instant,
    },
}

/// What is known of sessions without asking the database.
pub struct SessionCache {
    /// How long a live session is believed. `None`: as long as this process is the only one that can end it.
    believed: Option<Duration>,
    entries: RwLock<HashMap<SessionId, Remembered>>,
}

impl SessionCache {
    pub fn new(believed: Option<Duration>) -> Self {
        Self { believed, entries: RwLock::default() }
    }

    /// `None`: not known.
    fn get(&self, id: SessionId) -> Option<Option<LiveSession>> {
        match self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id)? {
            Remembered::Live { until: Some(until), .. } if *until < Instant::now() => None,
            Remembered::Live { session, .. } => Some(Some(session.clone())),
            Remembered::Ended { .. } => Some(None),
        }
    }

    /// Remembers what was found, and gives what is known now: the session may have ended since it was found.
    fn remember(&self, id: SessionId, session: LiveSession) -> Option<LiveSession> {
        let until = self.believed.map(|believed| Instant::now() + believed);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST_REMEMBERED {
            let expired = Duration::from_secs(Session::LIFETIME_SECONDS.unsigned_abs() + 60);
            entries.retain(|_, entry| matches!(entry, Remembered::Ended { since } if since.elapsed() < expired));
        }
        let entry = entries.entry(id).or_insert_with(|| Remembered::Live { session: session.clone(), until });
        if matches!(entry, Remembered::Ended { .. }) {
            return None;
        }
        *entry = Remembered::Live { session: session.clone(), until };
        Some(session)
    }

    fn touched(&self, id: SessionId, at: Timestamp) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Remembered::Live { session, .. }) = entries.get_mut(&id) {
            session.last_seen_at = at;
        }
    }

    /// Takes note of committed ends of sessions.
    pub fn observe(&self, events: &[Event]) {
        for event in events {
            if let Event::SessionEnded { session, .. } = event {
                let ended = Remembered::Ended { since: Instant::now() };
                self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(*session, ended);
            }
        }
    }
}

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

#[async_trait]
impl SessionRepository for Store {
    async fn create(&self, session: Session, proven: Option<PasswordHash>) -> Result<()> {
        self.write(session.user.0, move |tx| {
            let row = NewSessionRow {
                id: session.id.into(),
                user_id: session.user.into(),
                created_at: session.created_at.into(),
                last_seen_at: session.last_seen_at.into(),
                user_agent: session.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
            };
            let user = lock_user(tx.conn, session.user)?;
            if user.is_none_or(|user| user.deleted_at.is_some() || user.disabled_at.is_some()) {
                return Ok(Unauthenticated::InvalidCredentials.err()?);
            }
            if !has_password(tx.conn, session.user, proven.as_ref())? {
                return Ok(Unauthenticated::InvalidCredentials.err()?);
            }
            diesel::insert_into(sessions::table).values(row).execute(tx.conn)?;
            Ok(())
        })
        .await
    }

    async fn live(&self, id: SessionId) -> Result<Option<LiveSession>> {
        if let Some(known) = self.sessions().get(id) {
            return Ok(known);
        }
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
                let username = Username::restored(username);
                let (user, last_seen_at) = (user.into(), last_seen_at.into());
                Ok(Some(LiveSession { user, username, role: user_role(&role)?, last_seen_at }))
            })
            .await?;
        Ok(found.and_then(|session| self.sessions().remember(id, session)))
    }

    async fn list(
        &self,
        user: UserId,
        since: Timestamp,
        after: Option<SessionId>,
        limit: Limit,
    ) -> Result<Page<Session>> {
        self.snapshot_for(user, move |conn| {
            let mut query = sessions::table
                .filter(sessions::user_id.eq(Id::from(user)).and(sessions::revoked_at.is_null()))
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
            let sessions = page.items.into_iter().map(|row| Session {
                id: row.id.into(),
                user: row.user_id.into(),
                created_at: row.created_at.into(),
                last_seen_at: row.last_seen_at.into(),
                user_agent: row.user_agent.as_deref().map(UserAgent::clean),
            });
            Ok(Page { items: sessions.collect(), more: page.more })
        })
        .await
    }

    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool> {
        self.write(user.0, move |tx| {
            let live = sessions::table
                .find(Id::from(id))
                .filter(sessions::user_id.eq(Id::from(user)).and(sessions::revoked_at.is_null()));
            let ended = diesel::update(live).set(sessions::revoked_at.eq(Time::from(at))).execute(tx.conn)? == 1;
            if ended {
                tx.events.push(Event::SessionEnded { user, session: id });
            }
            Ok(ended)
        })
        .await
    }

    async fn touch(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<()> {
        // Remembered at once, so that the next request does not do the same; written when there is time.
        self.sessions().touched(id, at);
        // By the same writer as whatever else changes the user's sessions: two would be in each other's way.
        self.write_later(user.0, move |tx| {
            let session = sessions::table.find(Id::from(id));
            diesel::update(session).set(sessions::last_seen_at.eq(Time::from(at))).execute(tx.conn)?;
            Ok(())
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::users::UserRole;
    use uuid::Uuid;

    #[test]
    fn an_end_counts_though_a_look_up_that_began_before_it_found_the_session() {
        let (user, id) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        let last_seen_at = Timestamp::from_micros(0).unwrap();
        let found =
            LiveSession { user, username: Username::restored("ada".to_owned()), role: UserRole::Member, last_seen_at };
        for believed in [None, Some(Duration::from_secs(60))] {
            let cache = SessionCache::new(believed);
            assert_eq!(cache.remember(id, found.clone()), Some(found.clone()));
            cache.observe(&[Event::SessionEnded { user, session: id }]);
            assert_eq!(cache.remember(id, found.clone()), None);
            assert_eq!(cache.get(id), Some(None));
        }
    }
}
