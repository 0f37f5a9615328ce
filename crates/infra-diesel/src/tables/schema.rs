//! The tables, defined once for both databases. A test compares them with the tables that the migrations of each
//! create.

use crate::tables::sql_types::{SqlId, SqlTime};
use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::{SqlId, SqlTime};
    users (id) {
        id -> SqlId,
        username -> Text,
        username_key -> Text,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        display_name -> Nullable<Text>,
        role -> Text,
        created_at -> SqlTime,
        updated_at -> SqlTime,
        deleted_at -> Nullable<SqlTime>,
        roster_revision -> BigInt,
        disabled_at -> Nullable<SqlTime>,
        last_seen_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::{Nullable, Text};
    use super::{SqlId, SqlTime};
    sessions (id) {
        id -> SqlId,
        user_id -> SqlId,
        created_at -> SqlTime,
        last_seen_at -> SqlTime,
        user_agent -> Nullable<Text>,
        revoked_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::{SqlId, SqlTime};
    conversations (id) {
        id -> SqlId,
        kind -> Text,
        update -> BigInt,
        last_seq -> BigInt,
        active_at -> Nullable<SqlTime>,
        first_user -> Nullable<SqlId>,
        second_user -> Nullable<SqlId>,
        name -> Nullable<Text>,
        name_key -> Nullable<Text>,
        description -> Nullable<Text>,
        visibility -> Nullable<Text>,
        member_count -> BigInt,
        revision -> BigInt,
        roster_revision -> BigInt,
        created_at -> SqlTime,
        updated_at -> SqlTime,
        deleted_at -> Nullable<SqlTime>,
        expired_up_to -> BigInt,
        sent_revision -> BigInt,
        sent_nth -> BigInt,
        made_by -> Nullable<SqlId>,
        written_by -> BigInt,
        deletions -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::{SqlId, SqlTime};
    members (conversation_id, user_id) {
        conversation_id -> SqlId,
        user_id -> SqlId,
        role -> Text,
        read_up_to -> BigInt,
        joined_at -> SqlTime,
        updated_at -> SqlTime,
        joined_revision -> BigInt,
        added_by -> Nullable<SqlId>,
        marks -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use super::{SqlId, SqlTime};
    files (id) {
        id -> SqlId,
        uploader_id -> SqlId,
        name -> Text,
        size -> BigInt,
        #[sql_name = "type"]
        media_type -> Text,
        sha256 -> Binary,
        created_at -> SqlTime,
        deleted_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::{BigInt, Binary, Nullable, Text};
    use super::{SqlId, SqlTime};
    messages (conversation_id, seq) {
        conversation_id -> SqlId,
        seq -> BigInt,
        id -> SqlId,
        sender_id -> SqlId,
        #[sql_name = "type"]
        message_type -> Text,
        content -> Text,
        file_id -> Nullable<SqlId>,
        reply_to -> Nullable<SqlId>,
        client_id -> Nullable<Text>,
        sent_digest -> Nullable<Binary>,
        created_at -> SqlTime,
        updated_at -> SqlTime,
        edited_at -> Nullable<SqlTime>,
        deleted_at -> Nullable<SqlTime>,
        update -> BigInt,
        revision -> BigInt,
    }
}

table! {
    use diesel::sql_types::BigInt;
    use super::{SqlId, SqlTime};
    receipts (conversation_id, user_id, seq) {
        conversation_id -> SqlId,
        user_id -> SqlId,
        seq -> BigInt,
        from_seq -> BigInt,
        seen_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::{SqlId, SqlTime};
    audit (number) {
        number -> BigInt,
        created_at -> SqlTime,
        actor_id -> Nullable<SqlId>,
        action -> Text,
        user_id -> Nullable<SqlId>,
        group_id -> Nullable<SqlId>,
    }
}

table! {
    use diesel::sql_types::BigInt;
    use super::SqlId;
    file_usage (user_id) {
        user_id -> SqlId,
        bytes -> BigInt,
    }
}

table! {
    use diesel::sql_types::BigInt;
    use super::SqlId;
    group_usage (user_id) {
        user_id -> SqlId,
        made -> BigInt,
        joined -> BigInt,
        added -> BigInt,
        added_by_others -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Text};
    use super::SqlId;
    endings (id) {
        id -> SqlId,
        kind -> Text,
        revision -> BigInt,
    }
}

table! {
    use diesel::sql_types::{BigInt, Integer, Nullable};
    use super::SqlTime;
    server (id) {
        id -> Integer,
        starts -> BigInt,
        origin -> BigInt,
        believed_at -> Nullable<SqlTime>,
        name_form -> BigInt,
        doubts -> BigInt,
        profiles -> BigInt,
    }
}

joinable!(messages -> users (sender_id));
joinable!(messages -> files (file_id));
joinable!(members -> users (user_id));
joinable!(members -> conversations (conversation_id));

/// Every table, once, in an order in which each refers only to tables before it. A table that a copy copies names the
/// row type for it. `server` belongs to one database: a copy takes over what it needs of it separately
/// ([`continue_in_copy`](crate::transaction::revisions::continue_in_copy)).
macro_rules! all_tables {
    ($then:ident) => {
        $then! {
            copied: {
                users: UserCopy,
                sessions: SessionCopy,
                conversations: ConversationCopy,
                members: MemberCopy,
                files: FileCopy,
                file_usage: FileUsageCopy,
                group_usage: GroupUsageCopy,
                messages: MessageCopy,
                receipts: ReceiptCopy,
                audit: AuditCopy,
                endings: EndingCopy,
            }
            own: { server }
        }
    };
}
pub(crate) use all_tables;

macro_rules! let_all_appear_together {
    (copied: { $($table:ident: $Row:ident,)+ } own: { $($own:ident),+ }) => {
        allow_tables_to_appear_in_same_query!($($table,)+ $($own,)+);
    };
}
all_tables!(let_all_appear_together);
