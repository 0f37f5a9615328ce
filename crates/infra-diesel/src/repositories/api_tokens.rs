//! Tokens of programs: sessions that no login began.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::{Corrupt, DbResult};
use crate::store::session_cache::SessionCache;
use crate::tables::schema::sessions;
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::lock_user;
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::api_tokens::{ApiToken, ApiTokenRepository, TokenName};
use domain::events::Event;
use domain::files::Growth;
use domain::sessions::{SecretHash, TokenGrant};
use domain::{Conflict, Result, Scopes, SessionId, Timestamp, Unauthenticated, UserId};

/// When a token was last used that nobody has used: the column takes no null.
const NEVER: Time = Time(0);

/// What a session has that is a token. Without a hash it is a login.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct TokenColumns {
    token_hash: Option<Vec<u8>>,
    token_scopes: Option<i64>,
    token_expires_at: Option<Time>,
}

impl TokenColumns {
    /// How the server knows the token, and what it is good for.
    pub fn grant(self) -> DbResult<Option<TokenGrant>> {
        let Some(hash) = self.token_hash else { return Ok(None) };
        let corrupt = || Corrupt { what: "hash of a token", value: format!("of {} bytes", hash.len()) };
        let hash = SecretHash(<[u8; 32]>::try_from(hash.as_slice()).map_err(|_| corrupt())?);
        let scopes = scopes(self.token_scopes)?;
        Ok(Some(TokenGrant { hash, scopes, expires_at: self.token_expires_at.map(Into::into) }))
    }
}

fn scopes(bits: Option<i64>) -> DbResult<Scopes> {
    let bits = bits.unwrap_or(0);
    let known = u8::try_from(bits).ok().and_then(Scopes::from_bits);
    Ok(known.ok_or_else(|| Corrupt { what: "scopes of a token", value: bits.to_string() })?)
}

#[derive(Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct NewTokenRow {
    id: Id,
    user_id: Id,
    created_at: Time,
    last_seen_at: Time,
    token_hash: Vec<u8>,
    token_name: String,
    token_scopes: i64,
    token_expires_at: Option<Time>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct TokenRow {
    id: Id,
    created_at: Time,
    last_seen_at: Time,
    token_name: Option<String>,
    token_scopes: Option<i64>,
    token_expires_at: Option<Time>,
}

impl TokenRow {
    fn into_token(self, known: &SessionCache) -> DbResult<ApiToken> {
        let id = self.id.into();
        let last_used_at = Time::from(known.last_seen(id, self.last_seen_at.into()));
        Ok(ApiToken {
            id,
            name: TokenName::from_stored(self.token_name.unwrap_or_default()),
            scopes: scopes(self.token_scopes)?,
            created_at: self.created_at.into(),
            expires_at: self.token_expires_at.map(Into::into),
            last_used_at: (last_used_at != NEVER).then(|| last_used_at.into()),
        })
    }
}

/// The tokens of the user that have neither ended nor expired.
#[diesel::dsl::auto_type]
fn good(user: Id, now: Time) -> _ {
    let lasts = sessions::token_expires_at.is_null().or(sessions::token_expires_at.assume_not_null().gt(now));
    let tokens = sessions::revoked_at.is_null().and(sessions::token_hash.is_not_null());
    sessions::table.filter(sessions::user_id.eq(user)).filter(tokens).filter(lasts)
}

/// The user's tokens that have neither ended nor expired, the last made first.
pub fn load_tokens(
    conn: &mut AnyConnection,
    known: &SessionCache,
    user: UserId,
    now: Timestamp,
) -> DbResult<Vec<ApiToken>> {
    let rows: Vec<TokenRow> = good(user.into(), now.into())
        .order((sessions::created_at.desc(), sessions::id.desc()))
        .limit(ApiToken::MAX as i64)
        .select(TokenRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| row.into_token(known)).collect()
}

/// Stores a token of the user, who is locked.
pub fn insert_token(tx: &mut Tx<'_>, user: UserId, token: ApiToken, hash: SecretHash) -> DbResult<()> {
    let row = NewTokenRow {
        id: token.id.into(),
        user_id: user.into(),
        created_at: token.created_at.into(),
        last_seen_at: token.last_used_at.map_or(NEVER, Time::from),
        token_hash: hash.0.to_vec(),
        token_name: token.name.into_string(),
        token_scopes: token.scopes.bits().into(),
        token_expires_at: token.expires_at.map(Into::into),
    };
    diesel::insert_into(sessions::table).values(row).execute(tx.conn)?;
    Ok(())
}

#[async_trait]
impl ApiTokenRepository for Store {
    async fn create(&self, user: UserId, token: ApiToken, hash: SecretHash) -> Result<()> {
        self.write(user.0, move |tx| {
            tx.grow(Growth::Token)?;
            let living = lock_user(tx.conn, user)?;
            if living.is_none_or(|user| user.deleted_at.is_some() || user.disabled_at.is_some()) {
                return Ok(Unauthenticated::InvalidToken.err()?);
            }
            let has: i64 = good(user.into(), token.created_at.into()).count().get_result(tx.conn)?;
            if has >= ApiToken::MAX as i64 {
                return Ok(Conflict::TooManyTokens.err()?);
            }
            insert_token(tx, user, token.clone(), hash)
        })
        .await
    }

    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<ApiToken>> {
        let known = self.session_cache();
        self.read_for(user, move |conn| load_tokens(conn, &known, user, now)).await
    }

    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool> {
        self.write(user.0, move |tx| {
            let token = good(user.into(), at.into()).filter(sessions::id.eq(Id::from(id)));
            let ended = diesel::update(token).set(sessions::revoked_at.eq(Time::from(at))).execute(tx.conn)? == 1;
            if ended {
                tx.events.push(Event::SessionEnded { user, session: id });
            }
            Ok(ended)
        })
        .await
    }
}
