//! The index of messages by their words: where it is kept, and how it is made and follows the log.
//!
//! On SQLite it is a file of its own beside the database, on Postgres tables in the database. It can be made anew at
//! any time. It never decides anything: a search checks each message that the index gives by the rules of the domain,
//! against the message and the memberships of one moment. So an index that is behind leaks nothing.
//!
//! Who makes a generation of the index goes through all conversations in small transactions; whoever comes next
//! continues. Meanwhile the follower puts every change into it, too. Both take the same lock, and whoever makes it
//! reads the messages after taking the lock, so that no older state of a message stays.

pub mod documents;
pub mod generations;
pub mod reading;

use crate::connection::sqlite_file::sibling;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, per_backend};
use crate::error::{DbError, DbResult, is_lost};
use crate::search::documents::{put, remove as remove_documents};
use crate::search::generations::{Generation, State, generations};
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, full_messages};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, files, messages, users};
use crate::tables::sql_types::Id;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use domain::followers::{FollowerName, Lease};
use domain::messages::ChangeEntry;
use domain::search::Document;
use domain::{Error, Unavailable};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Messages that one transaction puts into a generation.
const STEP: usize = 500;
/// Conversations that one such transaction looks at.
const CONVERSATIONS: usize = 200;
/// How long searches may still read a generation after another one took its place.
const RETIRED_FOR: Duration = Duration::from_secs(10);

/// The file of the index of a SQLite database.
pub fn file_of(database: &std::path::Path) -> PathBuf {
    sibling(database, "-search")
}

/// What was done for a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// There is nothing to make.
    Nothing,
    /// A part; so many percent are done.
    Part(u8),
    /// The rest.
    Rest,
}

/// Connections that are opened when they are needed.
#[derive(Default)]
struct Connections {
    /// To the index, for writing.
    index: Option<AnyConnection>,
    /// To the database, for reading (SQLite).
    database: Option<AnyConnection>,
    /// When a retired generation was first seen.
    retired: Option<Instant>,
}

/// The index of one database.
pub struct SearchIndex {
    url: DatabaseUrl,
    /// `None` once closed.
    connections: Mutex<Option<Connections>>,
    /// To the file of the index, for searches (SQLite). At most as many as there are readers of the database.
    readers: Mutex<Vec<AnyConnection>>,
}

impl SearchIndex {
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url, connections: Mutex::new(Some(Connections::default())), readers: Mutex::default() }
    }

    /// Closes all connections. Whatever is under way ends first.
    pub fn close(&self) {
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn index_url(&self) -> DatabaseUrl {
        match &self.url {
            DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(file_of(path)),
            postgres @ DatabaseUrl::Postgres(_) => postgres.clone(),
        }
    }

    /// Runs `work` in a write transaction of the index. It gets the index, and the database if that is another one.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut AnyConnection, Option<&mut AnyConnection>, &mut Option<Instant>) -> DbResult<T>,
    ) -> DbResult<T> {
        let mut guard = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Connections { index, database, retired }) = guard.as_mut() else {
            return Ok(Err(Error::from(Unavailable::Stopping))?);
        };
        let unopened = |error: ConnectionError| DbError::NoConnection(error.to_string());
        let conn = match index {
            Some(conn) => conn,
            None => index.insert(AnyConnection::open(&self.index_url(), Purpose::Write).map_err(unopened)?),
        };
        if let (DatabaseUrl::Sqlite(_), None) = (&self.url, &database) {
            *database = Some(AnyConnection::open(&self.url, Purpose::Read).map_err(unopened)?);
        }
        let done = conn.begin_write().map_err(DbError::from).and_then(|()| {
            let done = work(conn, database.as_mut(), retired);
            if done.is_ok() {
                conn.commit()?
            } else {
                conn.rollback()?
            }
            done
        });
        if matches!(&done, Err(DbError::Database(error)) if is_lost(error)) {
            *index = None;
        }
        done
    }

    /// Prepares the index for a server: begins a generation if there is none that belongs to the database.
    /// `has_position` says whether the follower of this database has been there before.
    pub fn prepare(&self, has_position: bool) -> DbResult<()> {
        self.write(|index, database, _| {
            generations::create_table(index)?;
            let found = generations(index)?;
            if !has_position {
                for old in &found {
                    generations::remove(index, old)?;
                }
            }
            if !has_position || found.is_empty() {
                let total = places(database.unwrap_or(index))?;
                generations::begin(index, total)?;
            }
            Ok(())
        })
    }

    /// Begins a new generation beside the one that searches use.
    ///
    /// # Errors
    /// [`Unavailable::Indexing`] if no server has made an index of this database yet.
    pub fn begin(&self) -> DbResult<()> {
        if let DatabaseUrl::Sqlite(path) = &self.url
            && !(path.exists() && file_of(path).exists())
        {
            return Ok(Err(Error::from(Unavailable::Indexing { percent: 0 }))?);
        }
        self.write(|index, database, _| {
            generations::create_table(index)?;
            if generations::lock(index, FollowerName::Search.as_str())?.is_none() || generations(index)?.is_empty() {
                return Ok(Err(Error::from(Unavailable::Indexing { percent: 0 }))?);
            }
            let total = places(database.unwrap_or(index))?;
            generations::begin(index, total)?;
            Ok(())
        })
    }

    /// Continues a generation that is being made, by a bounded number of messages, and removes one that retired a
    /// while ago.
    pub fn make(&self) -> DbResult<Made> {
        self.write(|index, database, retired| {
            if generations::lock(index, FollowerName::Search.as_str())?.is_none() {
                return Ok(Made::Nothing);
            }
            let found = generations(index)?;
            match found.iter().find(|generation| generation.state() == State::Retired) {
                None => *retired = None,
                Some(old) if retired.get_or_insert_with(Instant::now).elapsed() >= RETIRED_FOR => {
                    generations::remove(index, old)?;
                    *retired = None;
                }
                Some(_) => {}
            }
            let Some(building) = found.into_iter().find(|generation| generation.state() == State::Building) else {
                return Ok(Made::Nothing);
            };
            let (made, documents) = match database {
                Some(database) => read_on(database, building)?,
                None => read_on(index, building)?,
            };
            let number = documents.number;
            put(index, number, &made)?;
            if documents.is_done {
                generations::finish(index, number)?;
                return Ok(Made::Rest);
            }
            generations::save_progress(index, &documents.generation)?;
            Ok(Made::Part(documents.generation.percent()))
        })
    }

    /// Whether a generation is being made, or an old one is to be removed.
    pub fn has_work(&self) -> DbResult<bool> {
        self.write(|index, _, _| Ok(generations(index)?.iter().any(|of| of.state() != State::Ready)))
    }

    /// Puts changes into every generation in use. Returns `false` if another process leads.
    pub fn follow(&self, lease: Lease, changes: &[ChangeEntry]) -> DbResult<bool> {
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                ChangeEntry::Message(message) => live.push(Document::of(message)),
                ChangeEntry::Deleted(tombstone) => gone.push(tombstone.id),
            }
        }
        self.write(|index, _, _| {
            let leader = generations::lock(index, lease.follower.as_str())?;
            let is_file = matches!(index, AnyConnection::Sqlite(_));
            if !is_file && leader != Some(Some(Id(lease.leader))) {
                return Ok(false);
            }
            for of in generations(index)?.iter().filter(|of| of.state() != State::Retired) {
                put(index, of.number, &live)?;
                remove_documents(index, of.number, &gone)?;
            }
            Ok(true)
        })
    }
}

/// How far a generation is after a step.
struct Progress {
    number: i64,
    generation: Generation,
    is_done: bool,
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The places of messages in all conversations, deleted messages included.
fn places(conn: &mut AnyConnection) -> DbResult<i64> {
    let sum = sql_query("SELECT CAST(coalesce(sum(last_seq), 0) AS BIGINT) AS n FROM conversations");
    Ok(per_backend!(conn, |conn| sum.get_result::<Sum>(conn))?.n)
}

/// Reads the messages behind the place up to which a generation was made.
fn read_on(conn: &mut AnyConnection, mut generation: Generation) -> DbResult<(Vec<Document>, Progress)> {
    let (number, before) = (generation.number, generation.done - generation.seq);
    let (mut documents, mut finished, mut is_done) = (Vec::new(), before, false);
    for _ in 0..CONVERSATIONS {
        let row = conversations::table.filter(conversations::id.ge(generation.conversation_id));
        let row = row.order(conversations::id.asc());
        let row = per_backend!(conn, |conn| row.select(ConversationRow::as_select()).first(conn)).optional()?;
        let Some(of) = row else {
            is_done = true;
            break;
        };
        if of.id != generation.conversation_id {
            (generation.conversation_id, generation.seq) = (of.id, 0);
        }
        let room = STEP - documents.len();
        let found: Vec<FullMessage> = if of.deleted_at.is_some() {
            Vec::new()
        } else {
            let behind = messages::conversation_id.eq(of.id).and(messages::seq.gt(generation.seq));
            let behind = full_messages!().filter(behind.and(messages::deleted_at.is_null()));
            behind.order(messages::seq.asc()).limit(room as i64).load(conn)?
        };
        let last = found.last().map(|(row, ..)| row.seq);
        let is_full = found.len() == room;
        let loaded = load_messages(conn, None, found.into_iter().map(|message| (&of, message)))?;
        documents.extend(loaded.iter().map(Document::of));
        if is_full {
            generation.seq = last.unwrap_or(generation.seq);
            break;
        }
        finished += of.last_seq;
        // The next conversation.
        let next = uuid::Uuid::from_u128(of.id.0.as_u128().saturating_add(1));
        (generation.conversation_id, generation.seq) = (Id(next), 0);
    }
    generation.done = finished + generation.seq;
    Ok((documents, Progress { number, generation, is_done }))
}
