//! What nodes over one database read of the commits of other nodes.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::replication::live::Walk;
use crate::repositories::messages::changed_messages;
use crate::tables::parts::load_messages;
use crate::tables::queries::FullMessage;
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, members, messages, sessions, users};
use crate::tables::sql_types::Id;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::{Audience, ConversationVersion, Event, Revision};
use domain::live::{Changed, ChangedConversation, Known, NodeReader, Past};
use domain::messages::Update;
use domain::{ConversationId, GroupId, Limit, Result, SessionId, UserId};
use std::collections::HashSet;

impl ConversationRow {
    /// The users whom the events of the conversation concern.
    fn audience(&self) -> Audience {
        match (self.first_user, self.second_user) {
            (Some(first), Some(second)) => Audience::Users([first.into(), second.into()]),
            _ if self.kind == "group" => Audience::Members(GroupId(self.id.0)),
            _ => Audience::Everybody,
        }
    }
}

fn changed(conn: &mut AnyConnection, since: Revision, at: Revision) -> DbResult<Changed> {
    let said = messages::table.filter(messages::revision.ge(since.0)).select(messages::conversation_id).distinct();
    let mut ids: HashSet<Id> = said.load(conn)?.into_iter().collect();
    let rosters = conversations::table.filter(conversations::roster_revision.ge(since.0)).select(conversations::id);
    ids.extend(rosters.load::<Id>(conn)?);
    let rows = conversations::table.filter(conversations::id.eq_any(ids));
    let rows: Vec<ConversationRow> = per_backend!(conn, |conn| rows.select(ConversationRow::as_select()).load(conn))?;
    let conversations = rows.iter().map(|row| ChangedConversation {
        conversation: row.id.into(),
        audience: row.audience(),
        version: row.version(),
    });
    Ok(Changed { conversations: conversations.collect(), at })
}

/// The last change of each message as an event, in the order of the changes. If a user sent a message after the change
/// `known`, it is new to the node.
fn events(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    found: Vec<FullMessage>,
    known: Update,
) -> DbResult<Vec<Event>> {
    // The digests at earlier numbers are nowhere.
    let known_digest = |update: Update| (update.0 == of.update).then(|| of.short_digest());
    let (deleted, live): (Vec<_>, Vec<_>) = found.into_iter().partition(|(row, ..)| row.deleted_at.is_some());
    let mut events = Vec::with_capacity(deleted.len() + live.len());
    for message in load_messages(conn, None, live.into_iter().map(|message| (of, message)))? {
        let update = message.update;
        let is_new = message.seq.is_after(known);
        let digest = known_digest(update);
        let event = if is_new { Event::MessageCreated } else { Event::MessageUpdated };
        events.push((update, event(message, digest)));
    }
    for (row, ..) in deleted {
        let (sender, destination) = (row.sender_id.into(), of.destination(row.sender_id));
        let (update, tombstone) = (Update(row.update), row.tombstone());
        let digest = known_digest(update);
        events.extend(
            tombstone.map(|tombstone| (update, Event::MessageDeleted { tombstone, sender, destination, digest })),
        );
    }
    events.sort_by_key(|(update, _)| *update);
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

fn past(conn: &mut AnyConnection, of: ConversationId, known: Known, among: &[UserId]) -> DbResult<Option<Past>> {
    // A deleted group, too: its members have to learn of it.
    let row = conversations::table.find(Id::from(of));
    let row = per_backend!(conn, |conn| row.select(ConversationRow::as_select()).first(conn)).optional()?;
    let Some(row) = row else { return Ok(None) };
    let stands = row.version();
    let (after, memberships_changed) = match known {
        Known::Version(version) => (version.update, version.membership_revision < stands.membership_revision),
        Known::Before(revision) => {
            (Update(Walk::new().begins(conn, row.id, row.update, revision)?), stands.membership_revision >= revision)
        }
    };
    let members = match (row.audience(), memberships_changed) {
        // An ended group has no members, though their rows may stay for a while.
        (Audience::Members(_), true) if row.deleted_at.is_some() => Some(Vec::new()),
        (Audience::Members(_), true) => {
            let asked = among.iter().map(|user| Id::from(*user)).collect::<Vec<_>>();
            let inside = members::table.filter(members::conversation_id.eq(row.id).and(members::user_id.eq_any(asked)));
            Some(inside.select(members::user_id).load::<Id>(conn)?.into_iter().map(Into::into).collect())
        }
        _ => None,
    };
    let page = changed_messages(conn, &row, after.0, Limit::of_history(None).map_err(domain::Error::from)?)?;
    let reached = match page.items.last() {
        Some((last, ..)) if page.more => Update(last.update),
        _ => stands.update,
    };
    let events = events(conn, &row, page.items, after)?;
    Ok(Some(Past {
        audience: row.audience(),
        events,
        version: ConversationVersion { update: reached, ..stands },
        stands,
        more: page.more,
        missed: stands.update.since(after),
        members,
    }))
}

#[async_trait]
impl NodeReader for Store {
    async fn changed(&self, since: Revision) -> Result<Changed> {
        self.snapshot_with_watermarks(None, move |conn, (at, _)| changed(conn, since, at)).await
    }

    async fn past(&self, of: ConversationId, known: Known, among: Vec<UserId>) -> Result<Option<Past>> {
        self.snapshot(move |conn| past(conn, of, known, &among)).await
    }

    fn heard(&self, events: &[Event]) {
        self.sessions().observe(events);
    }

    async fn ended(&self, asked: Vec<SessionId>) -> Result<Vec<SessionId>> {
        self.read(move |conn| {
            let ids: Vec<Id> = asked.iter().map(|id| Id::from(*id)).collect();
            let live: Vec<Id> = sessions::table
                .inner_join(users::table.on(users::id.eq(sessions::user_id)))
                .filter(sessions::id.eq_any(ids).and(sessions::revoked_at.is_null()))
                .filter(users::deleted_at.is_null().and(users::disabled_at.is_null()))
                .select(sessions::id)
                .load(conn)?;
            let live: HashSet<Id> = live.into_iter().collect();
            Ok(asked.iter().copied().filter(|id| !live.contains(&Id::from(*id))).collect())
        })
        .await
    }
}
