//! What upkeep reads and writes: the time that servers last believed, and files that nobody needs.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::retention::carried;
use crate::tables::schema::{conversations, files, server};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::dsl::not;
use diesel::prelude::*;
use domain::upkeep::{Evidence, Loose, UpkeepRepository};
use domain::{Error, FileId, Result, Timestamp};
use std::collections::HashSet;
use uuid::Uuid;

/// Files that one read looks at.
const LOOKED_AT: i64 = 200;
/// Ids that one read looks up.
const LOOKED_UP: usize = 200;
/// Files that one transaction withdraws. A sender may have to wait for it.
const WITHDRAWN: usize = 50;

fn evidence(conn: &mut AnyConnection) -> DbResult<Evidence> {
    let (believed, doubts): (Option<Time>, i64) =
        server::table.select((server::believed_at, server::doubts)).first(conn)?;
    let newest: Option<Time> = match believed {
        // The believed time suffices: this saves a scan of all conversations.
        Some(_) => None,
        None => {
            let active = conversations::table.filter(conversations::active_at.is_not_null());
            let newest = active.order(conversations::active_at.desc()).select(conversations::active_at);
            newest.first::<Option<Time>>(conn).optional()?.flatten()
        }
    };
    Ok(Evidence { believed: believed.map(Into::into), newest: newest.map(Into::into), doubts: doubts.unsigned_abs() })
}

fn believe(tx: &mut Tx<'_>, now: Time, pause_ended: Time) -> DbResult<bool> {
    let believed = (server::believed_at.eq(now), server::doubts.eq(0));
    let mine = match tx.conn {
        AnyConnection::Sqlite(conn) => diesel::update(server::table).set(believed).execute(conn)?,
        AnyConnection::Postgres(conn) => {
            let free = server::believed_at.is_null().or(server::believed_at.le(pause_ended));
            // A server that was ahead of this one had a wrong clock.
            let free = free.or(server::believed_at.gt(now));
            diesel::update(server::table.filter(free)).set(believed).execute(conn)?
        }
    };
    Ok(mine > 0)
}

fn doubt(tx: &mut Tx<'_>) -> DbResult<u64> {
    diesel::update(server::table).set(server::doubts.eq(server::doubts + 1)).execute(tx.conn)?;
    Ok(server::table.select(server::doubts).first::<i64>(tx.conn)?.unsigned_abs())
}

fn loose(conn: &mut AnyConnection, cutoff: Time, after: Option<FileId>) -> DbResult<Loose> {
    let after = after.map_or(Id(Uuid::nil()), Id::from);
    let page = files::table.filter(files::id.gt(after)).order(files::id).limit(LOOKED_AT).select(files::id);
    let page: Vec<Id> = page.load(conn)?;
    let Some(last) = page.last().copied() else { return Ok(Loose { files: Vec::new(), next: None }) };
    let found = files::table
        .filter(files::id.gt(after).and(files::id.le(last)))
        .filter(files::created_at.lt(cutoff).and(not(carried())))
        .order(files::id)
        .select(files::id);
    let found: Vec<Id> = found.load(conn)?;
    let next = (page.len() as i64 == LOOKED_AT).then(|| last.into());
    Ok(Loose { files: found.into_iter().map(Into::into).collect(), next })
}

fn withdraw(tx: &mut Tx<'_>, loose: &[FileId], at: Time) -> DbResult<Vec<FileId>> {
    let mut withdrawn = Vec::new();
    for file in loose {
        let id = Id::from(*file);
        if let AnyConnection::Postgres(conn) = tx.conn {
            // A sender locks the file that it sends: after the lock either a message carries the file, or the file is
            // withdrawn.
            files::table.find(id).select(files::id).for_update().first::<Id>(conn).optional()?;
        }
        let still = files::table.find(id).filter(not(carried())).select(files::id);
        if still.first::<Id>(tx.conn).optional()?.is_some() {
            let fresh = files::table.find(id).filter(files::deleted_at.is_null());
            diesel::update(fresh).set(files::deleted_at.eq(at)).execute(tx.conn)?;
            withdrawn.push(*file);
        }
    }
    Ok(withdrawn)
}

fn unknown(conn: &mut AnyConnection, ids: &[FileId]) -> DbResult<Vec<FileId>> {
    let asked = ids.iter().copied().map(Id::from);
    let known: Vec<Id> = files::table.filter(files::id.eq_any(asked)).select(files::id).load(conn)?;
    let known: HashSet<FileId> = known.into_iter().map(Into::into).collect();
    Ok(ids.iter().copied().filter(|id| !known.contains(id)).collect())
}

#[async_trait]
impl UpkeepRepository for Store {
    async fn evidence(&self) -> Result<Evidence> {
        self.read(evidence).await
    }

    async fn believe(&self, now: Timestamp, every: i64) -> Result<bool> {
        let ended = Timestamp::from_micros(now.as_micros().saturating_sub(every / 4 * 3));
        let ended = ended.ok_or_else(|| Error::internal("the clock is out of range"))?;
        self.write(Uuid::nil(), move |tx| believe(tx, now.into(), ended.into())).await
    }

    async fn doubt(&self) -> Result<u64> {
        self.write(Uuid::nil(), doubt).await
    }

    async fn loose(&self, cutoff: Timestamp, after: Option<FileId>) -> Result<Loose> {
        self.read(move |conn| loose(conn, cutoff.into(), after)).await
    }

    async fn withdraw(&self, files: Vec<FileId>, at: Timestamp) -> Result<Vec<FileId>> {
        let mut withdrawn = Vec::new();
        for some in files.chunks(WITHDRAWN) {
            let some = some.to_vec();
            withdrawn.extend(self.write(Uuid::nil(), move |tx| withdraw(tx, &some, at.into())).await?);
        }
        Ok(withdrawn)
    }

    async fn unknown(&self, ids: Vec<FileId>) -> Result<Vec<FileId>> {
        let mut found = Vec::new();
        for some in ids.chunks(LOOKED_UP) {
            let some = some.to_vec();
            found.extend(self.read(move |conn| unknown(conn, &some)).await?);
        }
        Ok(found)
    }
}
