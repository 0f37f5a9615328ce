//! What other rows tell of messages: reactions, the summary of a thread, the first sender of a forwarded message.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::prepared::prepared;
use crate::tables::queries::FullMessage;
use crate::tables::rows::{ConversationRow, FileRow, MessageParts, MessageRow, ProfileRow, count};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use domain::messages::{Emoji, Mentions, Message, Reaction, ThreadSummary};
use domain::users::Profile;
use domain::{NotFound, UserId};
use std::collections::HashMap;
use uuid::Uuid;

/// Builds the messages of rows, each in its conversation, in the order of the rows. Everything that shows a message
/// calls this. `viewer` is the user who gets the messages; events have none.
pub fn load_messages<'a>(
    conn: &mut AnyConnection,
    viewer: Option<UserId>,
    found: impl IntoIterator<Item = (&'a ConversationRow, FullMessage)>,
) -> DbResult<Vec<Message>> {
    let found: Vec<_> = found.into_iter().collect();
    let mut parts = Parts::read(conn, viewer, found.iter().map(|(_, (row, ..))| row))?;
    let message = |(of, (row, sender, file)): (&ConversationRow, FullMessage)| -> DbResult<Message> {
        let parts = MessageParts {
            destination: of.destination(row.sender_id),
            sender: sender.profile(),
            file: file.map(FileRow::into_file).transpose()?,
            mentions: parts.mentions.remove(&row.id).unwrap_or_default(),
            reactions: parts.reactions.remove(&row.id).unwrap_or_default(),
            thread: parts.threads.remove(&row.id),
            forwarded_from: row.forwarded_from.and_then(|user| parts.profiles.get(&user).cloned()),
        };
        Ok(row.into_message(parts)?)
    };
    found.into_iter().map(message).collect()
}

/// Like [`load_messages`], for one message.
pub fn load_message(
    conn: &mut AnyConnection,
    viewer: Option<UserId>,
    of: &ConversationRow,
    found: FullMessage,
) -> DbResult<Message> {
    match load_messages(conn, viewer, [(of, found)])?.pop() {
        Some(message) => Ok(message),
        None => Ok(NotFound::Message.err()?),
    }
}

/// Parts by the id of the message, profiles by the id of the user.
#[derive(Default)]
struct Parts {
    mentions: HashMap<Id, Mentions>,
    reactions: HashMap<Id, Vec<Reaction>>,
    threads: HashMap<Id, ThreadSummary>,
    profiles: HashMap<Id, Profile>,
}

impl Parts {
    /// Reads the parts of messages: nothing for those that have none, and for the others one statement for each kind
    /// (Postgres).
    fn read<'a>(
        conn: &mut AnyConnection,
        viewer: Option<UserId>,
        rows: impl Iterator<Item = &'a MessageRow> + Clone,
    ) -> DbResult<Self> {
        let having = |bit| rows.clone().filter(move |row| row.has & bit != 0).map(|row| row.id).collect::<Vec<_>>();
        let mentioning = having(MessageRow::MENTIONS);
        let (reacted, begun) = (having(MessageRow::REACTIONS), having(MessageRow::REPLIES));
        let mut senders: Vec<Id> = rows.filter_map(|row| row.forwarded_from).collect();
        senders.sort_unstable();
        senders.dedup();
        let mut parts = Self::default();
        if !mentioning.is_empty() {
            parts.take_mentions(mentions(conn, mentioning)?);
        }
        if !reacted.is_empty() {
            parts.take_reactions(reactions(conn, viewer, reacted)?);
        }
        if !begun.is_empty() {
            parts.take_threads(threads(conn, begun)?);
        }
        if !senders.is_empty() {
            parts.profiles = profiles(conn, senders)?.into_iter().map(|row| (row.id, row.profile())).collect();
        }
        Ok(parts)
    }

    fn take_mentions(&mut self, found: Vec<(Id, Id)>) {
        for (message, user) in found {
            let mentions = self.mentions.entry(message).or_default();
            if user == EVERYBODY { mentions.all = true } else { mentions.users.push(user.into()) }
        }
    }

    fn take_reactions(&mut self, found: Vec<ReactionRow>) {
        for (message, emoji, user, all) in found {
            let reactions = self.reactions.entry(message).or_default();
            match reactions.iter_mut().find(|reaction| reaction.emoji.as_str() == emoji) {
                Some(reaction) => reaction.users.push(user.into()),
                None => reactions.push(Reaction {
                    emoji: Emoji::from_stored(emoji),
                    count: count(all),
                    users: vec![user.into()],
                }),
            }
        }
    }

    fn take_threads(&mut self, found: Vec<ThreadRow>) {
        for (message, replies, last) in found {
            if let Some(last) = last {
                let summary = ThreadSummary { replies: count(replies), last_reply_at: last.into() };
                self.threads.insert(message, summary);
            }
        }
    }
}

/// The user of the rows that stand for all members.
pub const EVERYBODY: Id = Id(Uuid::nil());

prepared! {
    /// Reads the mentions of a message.
    ReadMentions(id: SqlId => Id) -> (SqlId, SqlId)
        = "SELECT message_id, user_id FROM mentions WHERE message_id = $1 ORDER BY nth"
}

prepared! {
    postgres
    /// Reads the mentions of many messages.
    ReadMentionsOfMany(ids: Array<SqlId> => Vec<Id>) -> (SqlId, SqlId)
        = "SELECT message_id, user_id FROM mentions WHERE message_id = ANY($1) ORDER BY message_id, nth"
}

fn mentions(conn: &mut AnyConnection, ids: Vec<Id>) -> DbResult<Vec<(Id, Id)>> {
    match conn {
        AnyConnection::Postgres(conn) => Ok(ReadMentionsOfMany { ids }.load(conn)?),
        AnyConnection::Sqlite(conn) => {
            let mut found = Vec::new();
            for id in ids {
                found.append(&mut ReadMentions { id }.load(conn)?);
            }
            Ok(found)
        }
    }
}

/// A message, an emoji, a user who reacted with it, and how many did.
type ReactionRow = (Id, String, Id, i64);

/// The users who reacted first, and the viewer, in the order in which they reacted. `$of` says which messages, after
/// `$1`; `$2` is the viewer. A test compares the limit with the domain's.
macro_rules! reactions_of {
    ($of:literal) => {
        concat!(
            "SELECT message_id, emoji, user_id, whole FROM (
                SELECT message_id, emoji, user_id, \"update\", count(*) OVER (PARTITION BY message_id, emoji) AS whole,
                row_number() OVER (PARTITION BY message_id, emoji ORDER BY \"update\") AS place
                FROM reactions WHERE message_id",
            $of,
            ") placed WHERE place <= 50 OR user_id = $2 ORDER BY message_id, \"update\""
        )
    };
}

prepared! {
    /// Reads the reactions of a message.
    ReadReactions(id: SqlId => Id, viewer: Nullable<SqlId> => Option<Id>) -> (SqlId, Text, SqlId, BigInt)
        = reactions_of!(" = $1")
}

prepared! {
    postgres
    /// Reads the reactions of many messages.
    ReadReactionsOfMany(ids: Array<SqlId> => Vec<Id>, viewer: Nullable<SqlId> => Option<Id>)
        -> (SqlId, Text, SqlId, BigInt) = reactions_of!(" = ANY($1)")
}

fn reactions(conn: &mut AnyConnection, viewer: Option<UserId>, ids: Vec<Id>) -> DbResult<Vec<ReactionRow>> {
    let viewer = viewer.map(Id::from);
    match conn {
        AnyConnection::Postgres(conn) => Ok(ReadReactionsOfMany { ids, viewer }.load(conn)?),
        AnyConnection::Sqlite(conn) => {
            let mut found = Vec::new();
            for id in ids {
                found.append(&mut ReadReactions { id, viewer }.load(conn)?);
            }
            Ok(found)
        }
    }
}

/// A message, how many replies its thread has, and when the last was sent.
type ThreadRow = (Id, i64, Option<Time>);

prepared! {
    /// Counts the replies of a thread.
    ReadThread(id: SqlId => Id) -> (BigInt, Nullable<SqlTime>)
        = "SELECT count(*), max(created_at) FROM messages WHERE thread_id = $1 AND deleted_at IS NULL"
}

prepared! {
    postgres
    /// Counts the replies of many threads.
    ReadThreads(ids: Array<SqlId> => Vec<Id>) -> (SqlId, BigInt, Nullable<SqlTime>)
        = "SELECT thread_id, count(*), max(created_at) FROM messages
        WHERE thread_id = ANY($1) AND deleted_at IS NULL GROUP BY thread_id"
}

fn threads(conn: &mut AnyConnection, ids: Vec<Id>) -> DbResult<Vec<ThreadRow>> {
    match conn {
        AnyConnection::Postgres(conn) => Ok(ReadThreads { ids }.load(conn)?),
        AnyConnection::Sqlite(conn) => {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let (replies, last): (i64, Option<Time>) = ReadThread { id }.get_result(conn)?;
                found.push((id, replies, last));
            }
            Ok(found)
        }
    }
}

prepared! {
    /// Reads the names of a user.
    ReadProfile(id: SqlId => Id) -> ColumnsOf<ProfileRow>
        = concat!("SELECT ", columns_of!(ProfileRow, "u"), " FROM users u WHERE u.id = $1")
}

prepared! {
    postgres
    /// Reads the names of many users.
    ReadProfiles(ids: Array<SqlId> => Vec<Id>) -> ColumnsOf<ProfileRow>
        = concat!("SELECT ", columns_of!(ProfileRow, "u"), " FROM users u WHERE u.id = ANY($1)")
}

fn profiles(conn: &mut AnyConnection, ids: Vec<Id>) -> DbResult<Vec<ProfileRow>> {
    match conn {
        AnyConnection::Postgres(conn) => Ok(ReadProfiles { ids }.load(conn)?),
        AnyConnection::Sqlite(conn) => {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.append(&mut ReadProfile { id }.load(conn)?);
            }
            Ok(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_shows_as_many_users_as_the_domain_says() {
        assert!(reactions_of!("").contains(&format!("place <= {} ", Reaction::MOST_SHOWN)));
    }
}
