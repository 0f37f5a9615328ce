//! Whom a message mentions: found among the members, and stored.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::parts::EVERYBODY;
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{members, mentions, users};
use crate::tables::sql_types::{Id, Time};
use diesel::prelude::*;
use domain::UserId;
use domain::messages::{Access, AddressedNames, Mentions, SaidMentions};
use std::collections::{HashMap, HashSet};

/// The members among whom a message mentions.
pub enum Among<'a> {
    /// The two users of a direct conversation, which may not exist yet.
    Pair([UserId; 2]),
    /// The members of a group; in the broadcast all users.
    Members(&'a ConversationRow),
}

impl<'a> Among<'a> {
    /// The members of a conversation that exists.
    pub fn of(conversation: &'a ConversationRow) -> Self {
        match (conversation.first_user, conversation.second_user) {
            (Some(first), Some(second)) => Self::Pair([first.into(), second.into()]),
            _ => Self::Members(conversation),
        }
    }
}

/// Names by the forms in which they are compared, and ids: those of members who are not deleted.
macro_rules! living_members {
    ($conn:expr, $among:expr, $condition:expr) => {{
        let living = users::table.filter(users::deleted_at.is_null()).filter($condition);
        let found: Vec<(String, Id)> = match $among {
            Among::Pair(pair) => {
                let pair = pair.map(Id::from);
                living.filter(users::id.eq_any(pair)).select((users::username_key, users::id)).load($conn)?
            }
            Among::Members(of) if of.kind == "group" => living
                .inner_join(members::table)
                .filter(members::conversation_id.eq(of.id))
                .select((users::username_key, users::id))
                .load($conn)?,
            Among::Members(_) => living.select((users::username_key, users::id)).load($conn)?,
        };
        found
    }};
}

/// The mentions that a sender gives, or else those that the content names. `access` is the sender's.
pub fn find(
    conn: &mut AnyConnection,
    (access, may_broadcast): (Access, domain::Result<()>),
    among: &Among<'_>,
    content: &str,
    said: Option<&SaidMentions>,
) -> DbResult<Mentions> {
    if let Some(said) = said {
        if said.all() {
            access.may_mention_all(|| may_broadcast)?;
        }
        let ids: Vec<Id> = said.users().iter().copied().map(Id::from).collect();
        if ids.is_empty() {
            return Ok(said.among(|_| false));
        }
        let found = living_members!(conn, among, users::id.eq_any(ids));
        let known: HashSet<UserId> = found.into_iter().map(|(_, id)| id.into()).collect();
        return Ok(said.among(|user| known.contains(&user)));
    }
    let addressed = AddressedNames::read(content);
    let names: Vec<&str> = addressed.names().collect();
    if names.is_empty() {
        return Ok(Mentions::default());
    }
    let found = living_members!(conn, among, users::username_key.eq_any(names));
    let found: HashMap<String, Id> = found.into_iter().collect();
    let may_mention_all = access.may_mention_all(|| may_broadcast).is_ok();
    Ok(addressed.resolve(|name| found.get(name).copied().map(Into::into), may_mention_all))
}

/// The message that mentions.
#[derive(Clone, Copy)]
pub struct Mentioning {
    pub conversation: Id,
    pub seq: i64,
    pub message: Id,
}

/// Stores the mentions of a message that has none.
pub fn insert(
    conn: &mut AnyConnection,
    of: Mentioning,
    mentioned: &Mentions,
    (revision, at): (i64, Time),
) -> DbResult<()> {
    let users = mentioned.users.iter().copied().map(Id::from).chain(mentioned.all.then_some(EVERYBODY));
    for (nth, user) in (0_i64..).zip(users) {
        diesel::insert_into(mentions::table)
            .values((
                mentions::user_id.eq(user),
                mentions::conversation_id.eq(of.conversation),
                mentions::seq.eq(of.seq),
                mentions::message_id.eq(of.message),
                mentions::nth.eq(nth),
                mentions::revision.eq(revision),
                mentions::created_at.eq(at),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets the mentions of a message.
pub fn forget(conn: &mut AnyConnection, message: Id) -> DbResult<()> {
    diesel::delete(mentions::table.filter(mentions::message_id.eq(message))).execute(conn)?;
    Ok(())
}
