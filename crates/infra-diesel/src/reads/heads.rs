//! What the rules judge before a page is read.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::prepared::prepared;
use crate::tables::queries::pair;
use crate::tables::rows::{ConversationRow, role};
use crate::tables::sql_types::{Id, SqlId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use domain::messages::{PageVersion, ProfilesVersion, Recipient, Update};
use domain::{ConversationId, UserId};

/// The columns of [`Head`].
pub type HeadColumns = (ColumnsOf<ConversationRow>, Nullable<Text>, BigInt);

/// What the rules judge, and the version of the page.
#[derive(Queryable)]
pub struct Head {
    pub conversation: ConversationRow,
    /// The viewer's, in a group.
    role: Option<String>,
    profiles: i64,
}

impl Head {
    /// The version of a page of the conversation.
    pub fn version(&self) -> PageVersion {
        PageVersion { update: Update(self.conversation.update), profiles: ProfilesVersion(self.profiles) }
    }

    /// Judges whether the viewer may read.
    ///
    /// # Errors
    /// [`Recipient::not_found`] if the viewer may not read.
    pub fn check(&self, viewer: UserId, of: Recipient) -> DbResult<()> {
        // The id of a conversation of another kind names no group.
        if matches!(of, Recipient::Group(_)) && self.conversation.kind != "group" {
            return Ok(of.not_found().err()?);
        }
        let role = self.role.as_deref().map(role).transpose()?;
        match self.conversation.access(viewer, role)?.may_read() {
            Ok(()) => Ok(()),
            Err(_) => Ok(of.not_found().err()?),
        }
    }
}

/// The conversation that a viewer shares with a recipient: the ordered pair of a direct one; otherwise the id and the
/// viewer.
#[derive(Debug, Clone, Copy)]
pub struct AskedHead {
    one: Id,
    two: Id,
    is_direct: bool,
}

impl AskedHead {
    /// The conversation of the viewer with `of`.
    pub fn new(viewer: UserId, of: Recipient) -> Self {
        let by_id = |id: Id| (id, viewer.into());
        let (one, two) = match of {
            Recipient::User(other) => pair(viewer, other),
            Recipient::Group(group) => by_id(group.into()),
            Recipient::Everybody => by_id(ConversationId::BROADCAST.into()),
        };
        Self { one, two, is_direct: matches!(of, Recipient::User(_)) }
    }
}

prepared! {
    postgres
    /// Reads the heads of many conversations, each with its place among the questions.
    ReadHeads(one: Array<SqlId> => Vec<Id>, two: Array<SqlId> => Vec<Id>, is_direct: Array<Bool> => Vec<bool>)
        -> (BigInt, HeadColumns) = concat!(
        "SELECT asked.nth, ",
        columns_of!(ConversationRow, "c"),
        ", seat.role, server.profiles \
         FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) WITH ORDINALITY AS asked(one, two, is_direct, nth) \
         CROSS JOIN LATERAL (SELECT * FROM conversations \
         WHERE asked.is_direct AND first_user = asked.one AND second_user = asked.two \
         UNION ALL SELECT * FROM conversations WHERE NOT asked.is_direct AND id = asked.one AND deleted_at IS NULL) c \
         CROSS JOIN server \
         LEFT JOIN members seat ON NOT asked.is_direct AND seat.conversation_id = c.id AND seat.user_id = asked.two"
    )
}

/// The head of each conversation, or `None` for one that does not exist (Postgres).
pub fn heads(conn: &mut AnyConnection, asked: &[AskedHead]) -> DbResult<Vec<Option<Head>>> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(asked.iter().map(|_| None).collect()) };
    let read = ReadHeads {
        one: asked.iter().map(|asked| asked.one).collect(),
        two: asked.iter().map(|asked| asked.two).collect(),
        is_direct: asked.iter().map(|asked| asked.is_direct).collect(),
    };
    let found: Vec<(i64, Head)> = read.load(conn)?;
    let mut heads: Vec<Option<Head>> = asked.iter().map(|_| None).collect();
    for (nth, head) in found {
        // Postgres counts from 1.
        if let Some(place) = usize::try_from(nth - 1).ok().and_then(|place| heads.get_mut(place)) {
            *place = Some(head);
        }
    }
    Ok(heads)
}
