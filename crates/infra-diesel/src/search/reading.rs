//! Searching: candidates of the index and the newest changes, judged at one moment of the database.

use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use crate::search::documents::{Span, candidates};
use crate::search::generations::{State, generations};
use crate::search::{SearchIndex, file_of};
use crate::tables::parts::load_messages;
use crate::tables::queries::{find_access, find_direct};
use crate::tables::rows::{ConversationRow, FileRow, MessageRow, ProfileRow, role};
use crate::tables::schema::{conversations, files, members, messages, users};
use crate::tables::sql_types::{Id, Time};
use diesel::prelude::*;
use domain::events::Revision;
use domain::messages::Recipient;
use domain::search::{Found, IndexQuery, Search, SearchCursor};
use domain::{ConversationId, Error, NotFound, Page, Unavailable, UserId};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a search may take.
const MOST_TIME: Duration = Duration::from_millis(2_000);
/// Changes that a search looks at because the index does not have them yet.
const MOST_CHANGES: i64 = 20_000;
/// Messages that one query loads.
const LOADED: usize = 200;
/// Candidates of the first question to the index, and of the last ones.
const CANDIDATES: (i64, i64) = (100, 800);
/// In more conversations than this the index looks everywhere.
const MOST_CONVERSATIONS: i64 = 100;

/// A message with its conversation and the viewer's role there.
type Readable = (ConversationRow, Option<String>, MessageRow, ProfileRow, Option<FileRow>);

/// Every query of a search begins with this: messages of the viewer's conversations, of the broadcast, and of the
/// conversation that the search names. The rules judge each row again.
macro_rules! readable {
    ($viewer:expr, $named:expr) => {
        messages::table
            .inner_join(users::table)
            .left_join(files::table)
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .left_join(
                members::table
                    .on(members::conversation_id.eq(messages::conversation_id).and(members::user_id.eq($viewer))),
            )
            .filter(messages::deleted_at.is_null().and(conversations::deleted_at.is_null()))
            .filter(
                members::role
                    .nullable()
                    .is_not_null()
                    .or(conversations::kind.eq("broadcast"))
                    .or(conversations::id.eq($named)),
            )
            .select((
                ConversationRow::as_select(),
                members::role.nullable(),
                MessageRow::as_select(),
                ProfileRow::as_select(),
                Option::<FileRow>::as_select(),
            ))
    };
}

/// The conversation that the search names; `None` if two users have none yet.
fn named(conn: &mut AnyConnection, viewer: UserId, search: &Search) -> DbResult<Option<Option<ConversationId>>> {
    let user = |conn: &mut AnyConnection, id: UserId| -> DbResult<()> {
        let found: Option<Id> = users::table.find(Id::from(id)).select(users::id).first(conn).optional()?;
        found.map(|_| ()).ok_or_else(|| DbError::Rule(NotFound::User.into()))
    };
    if let Some(sender) = search.sender {
        user(conn, sender)?;
    }
    Ok(match search.within {
        None => Some(None),
        Some(Recipient::Everybody) => Some(Some(ConversationId::BROADCAST)),
        Some(Recipient::User(other)) => {
            user(conn, other)?;
            find_direct(conn, viewer, other)?.map(|row| Some(row.id.into()))
        }
        Some(of @ Recipient::Group(group)) => {
            let found = find_access(conn, group.conversation(), viewer)?;
            let readable = found.filter(|(row, access)| row.kind == "group" && access.may_read().is_ok());
            if readable.is_none() {
                return Ok(of.not_found().err()?);
            }
            Some(Some(group.conversation()))
        }
    })
}

/// The conversations to look in, if they are few.
fn conversations_of(conn: &mut AnyConnection, viewer: UserId) -> DbResult<Vec<ConversationId>> {
    let mine = members::table.filter(members::user_id.eq(Id::from(viewer))).select(members::conversation_id);
    let mine: Vec<Id> = mine.limit(MOST_CONVERSATIONS + 1).load(conn)?;
    if mine.len() as i64 > MOST_CONVERSATIONS {
        return Ok(Vec::new());
    }
    let mine = mine.into_iter().map(ConversationId::from).filter(|id| *id != ConversationId::BROADCAST);
    Ok(mine.chain([ConversationId::BROADCAST]).collect())
}

/// What a search has found so far.
struct Collecting<'a> {
    viewer: UserId,
    search: &'a Search,
    within: Option<ConversationId>,
    until: Instant,
    found: Vec<Found>,
}

impl Collecting<'_> {
    fn in_time(&self) -> DbResult<()> {
        if Instant::now() < self.until { Ok(()) } else { Ok(Err(Error::from(Unavailable::Overloaded))?) }
    }

    /// Judges messages: whether the viewer may read them, and whether they are what is searched.
    fn judge(&mut self, conn: &mut AnyConnection, rows: Vec<Readable>) -> DbResult<()> {
        let mut readable = Vec::with_capacity(rows.len());
        for (of, role_of_viewer, message, sender, file) in rows {
            let is_named = self.within.is_none_or(|within| Id::from(within) == of.id);
            let role = role_of_viewer.as_deref().map(role).transpose()?;
            if is_named && of.access(self.viewer, role)?.may_read().is_ok() {
                readable.push((of, Some((message, sender, file))));
            }
        }
        let messages = readable.iter_mut().filter_map(|(of, message)| message.take().map(|message| (&*of, message)));
        for message in load_messages(conn, Some(self.viewer), messages)? {
            self.in_time()?;
            self.found.extend(self.search.judge(message));
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.found.sort_by_key(|found| std::cmp::Reverse(SearchCursor::at(&found.message)));
    }

    /// The time of the last message of the page, if the page is full.
    fn last(&mut self) -> Option<Time> {
        self.sort();
        self.found.get(self.search.limit.get()).map(|found| found.message.created_at.into())
    }
}

/// Searches at one moment. `file` is the index, if it is not in the database.
fn search_at(
    conn: &mut AnyConnection,
    mut file: Option<&mut AnyConnection>,
    viewer: UserId,
    search: &Search,
    position: Option<Revision>,
) -> DbResult<Page<Found>> {
    let Some(within) = named(conn, viewer, search)? else { return Ok(Page { items: Vec::new(), more: false }) };
    let all = generations(file.as_deref_mut().unwrap_or(conn)).unwrap_or_default();
    let ready = all.iter().find(|of| of.state() == State::Ready);
    let (Some(generation), Some(position)) = (ready, position) else {
        let percent = all.first().map_or(0, |of| of.percent());
        return Ok(Err(Error::from(Unavailable::Indexing { percent }))?);
    };
    let g = generation.number;
    let (viewer_id, named_id) = (Id::from(viewer), within.map_or(Id(Uuid::nil()), Id::from));
    let until = Instant::now() + MOST_TIME;
    let mut collecting = Collecting { viewer, search, within, until, found: Vec::new() };

    // What the index does not have yet.
    let newest = readable!(viewer_id, named_id).filter(messages::revision.ge(position.0)).limit(MOST_CHANGES + 1);
    let newest: Vec<Readable> = newest.load(conn)?;
    if newest.len() as i64 > MOST_CHANGES {
        return Ok(Err(Error::from(Unavailable::Overloaded))?);
    }
    collecting.judge(conn, newest)?;

    let places = match within {
        Some(within) => vec![within],
        None => conversations_of(conn, viewer)?,
    };
    let query = IndexQuery::of(search, &places);
    let (latest, since) = (search.latest().map(Time::from), search.since.map(Time::from));
    let mut span = Span::new(file.as_deref_mut().unwrap_or(conn), g, latest, since)?;
    let mut most = CANDIDATES.0;
    while let Some(part) = span {
        collecting.in_time()?;
        let given = candidates(file.as_deref_mut().unwrap_or(conn), g, &query, part, most)?;
        for some in given.chunks(LOADED) {
            let ids: Vec<Id> = some.iter().map(|candidate| candidate.id).collect();
            let rows = readable!(viewer_id, named_id)
                .filter(messages::revision.lt(position.0))
                .filter(messages::id.eq_any(ids));
            let rows: Vec<Readable> = rows.load(conn)?;
            collecting.judge(conn, rows)?;
        }
        let Some(oldest) = given.last().filter(|_| given.len() as i64 == most) else { break };
        // Of one moment the index has no order: the page is full once nothing of its last moment may come.
        if collecting.last().is_some_and(|last| last > oldest.created_at) {
            break;
        }
        span = Some(part.before(oldest));
        most = (most * 2).min(CANDIDATES.1);
    }
    collecting.sort();
    Ok(Page::from_surplus(collecting.found, search.limit))
}

impl SearchIndex {
    /// Searches at the moment that `conn` sees. `position` is that of the follower at this moment.
    pub fn search(
        &self,
        conn: &mut AnyConnection,
        viewer: UserId,
        search: &Search,
        position: Option<Revision>,
    ) -> DbResult<Page<Found>> {
        let DatabaseUrl::Sqlite(path) = &self.url else { return search_at(conn, None, viewer, search, position) };
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut file = match pooled {
            Some(file) => file,
            None => {
                let path = file_of(path);
                if !path.exists() {
                    return Ok(Err(Error::from(Unavailable::Indexing { percent: 0 }))?);
                }
                let opened = AnyConnection::open(&DatabaseUrl::Sqlite(path), Purpose::Read);
                opened.map_err(|error| DbError::NoConnection(error.to_string()))?
            }
        };
        // The position was read before the moment of the index, which is therefore not behind it.
        let found = file.snapshot(|file| search_at(conn, Some(file), viewer, search, position));
        if !matches!(found, Err(DbError::Database(_))) {
            self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(file);
        }
        found
    }
}
