//! The tables, defined once for both databases, and all that follows from the list: diesel's schema here, and what a
//! copy copies. A test compares them with the tables that the migrations of each database create.

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

/// The types of columns.
mod types {
    pub use crate::tables::sql_types::{SqlId, SqlTime};
    pub use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};
}

/// Every table, once, in an order in which each refers only to tables before it: its name, its primary key, and its
/// columns. A copy copies the first ones row by row. `in` names the column of the conversation that a row belongs to.
/// `server` belongs to one database: a copy takes over what it needs of it separately
/// ([`continue_in_copy`](crate::transaction::revisions::continue_in_copy)). So do `followers`: what they derive is made
/// anew from the copy.
macro_rules! all_tables {
    ($then:ident) => {
        $then! {
            copied: {
                users: UserCopy by (id) {
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
                sessions: SessionCopy by (id) {
                    id -> SqlId,
                    user_id -> SqlId,
                    created_at -> SqlTime,
                    last_seen_at -> SqlTime,
                    user_agent -> Nullable<Text>,
                    revoked_at -> Nullable<SqlTime>,
                    generation -> BigInt,
                    spent_at -> Nullable<SqlTime>,
                    token_hash -> Nullable<Binary>,
                    token_name -> Nullable<Text>,
                    token_scopes -> Nullable<BigInt>,
                    token_expires_at -> Nullable<SqlTime>,
                }
                conversations: ConversationCopy by (id) in id {
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
                    digest -> Binary,
                    message_count -> BigInt,
                    archived_until -> Nullable<SqlTime>,
                    seen_seq -> BigInt,
                    seen_by -> Nullable<SqlId>,
                    seen_seq_of_others -> BigInt,
                }
                members: MemberCopy by (conversation_id, user_id) in conversation_id {
                    conversation_id -> SqlId,
                    user_id -> SqlId,
                    role -> Text,
                    read_up_to -> BigInt,
                    joined_at -> SqlTime,
                    updated_at -> SqlTime,
                    joined_revision -> BigInt,
                    added_by -> Nullable<SqlId>,
                    marks -> BigInt,
                    muted_until -> Nullable<SqlTime>,
                    notify -> Text,
                    favourite -> BigInt,
                    archived_at_seq -> Nullable<BigInt>,
                    hidden -> BigInt,
                    joined_seq -> Nullable<BigInt>,
                    view_revision -> BigInt,
                }
                drafts: DraftCopy by (conversation_id, user_id) in conversation_id {
                    conversation_id -> SqlId,
                    user_id -> SqlId,
                    content -> Text,
                    reply_to -> Nullable<SqlId>,
                    thread_id -> Nullable<SqlId>,
                    updated_at -> SqlTime,
                }
                files: FileCopy by (id) {
                    id -> SqlId,
                    uploader_id -> SqlId,
                    name -> Text,
                    size -> BigInt,
                    #[sql_name = "type"]
                    media_type -> Text,
                    sha256 -> Binary,
                    created_at -> SqlTime,
                    deleted_at -> Nullable<SqlTime>,
                    width -> Nullable<BigInt>,
                    height -> Nullable<BigInt>,
                    thumbhash -> Nullable<Binary>,
                    sent_sha256 -> Nullable<Binary>,
                }
                file_usage: FileUsageCopy by (user_id) {
                    user_id -> SqlId,
                    bytes -> BigInt,
                }
                group_usage: GroupUsageCopy by (user_id) {
                    user_id -> SqlId,
                    made -> BigInt,
                    joined -> BigInt,
                    added -> BigInt,
                    added_by_others -> BigInt,
                }
                messages: MessageCopy by (conversation_id, seq) in conversation_id {
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
                    thread_id -> Nullable<SqlId>,
                    has -> BigInt,
                    pinned_update -> Nullable<BigInt>,
                    pinned_at -> Nullable<SqlTime>,
                    pinned_by -> Nullable<SqlId>,
                    forward_of -> Nullable<SqlId>,
                    forwarded_from -> Nullable<SqlId>,
                    forwarded_at -> Nullable<SqlTime>,
                    said_mentions -> Nullable<Binary>,
                }
                mentions: MentionCopy by (user_id, conversation_id, seq) in conversation_id {
                    user_id -> SqlId,
                    conversation_id -> SqlId,
                    seq -> BigInt,
                    message_id -> SqlId,
                    nth -> BigInt,
                    revision -> BigInt,
                    created_at -> SqlTime,
                }
                reactions: ReactionCopy by (message_id, user_id, emoji) {
                    message_id -> SqlId,
                    user_id -> SqlId,
                    emoji -> Text,
                    update -> BigInt,
                    created_at -> SqlTime,
                }
                versions: VersionCopy by (message_id, nth) {
                    message_id -> SqlId,
                    nth -> BigInt,
                    content -> Text,
                    created_at -> SqlTime,
                }
                receipts: ReceiptCopy by (conversation_id, user_id, seq) in conversation_id {
                    conversation_id -> SqlId,
                    user_id -> SqlId,
                    seq -> BigInt,
                    from_seq -> BigInt,
                    seen_at -> SqlTime,
                    undone -> BigInt,
                }
                audit: AuditCopy by (number) {
                    number -> BigInt,
                    created_at -> SqlTime,
                    actor_id -> Nullable<SqlId>,
                    action -> Text,
                    user_id -> Nullable<SqlId>,
                    group_id -> Nullable<SqlId>,
                }
                endings: EndingCopy by (id) {
                    id -> SqlId,
                    kind -> Text,
                    revision -> BigInt,
                }
            }
            own: {
                server by (id) {
                    id -> Integer,
                    starts -> BigInt,
                    origin -> BigInt,
                    believed_at -> Nullable<SqlTime>,
                    name_form -> BigInt,
                    doubts -> BigInt,
                    profiles -> BigInt,
                    digest_form -> BigInt,
                }
                followers by (name) {
                    name -> Text,
                    revision -> BigInt,
                    leader -> Nullable<SqlId>,
                    lapses_at -> Nullable<SqlTime>,
                }
            }
        }
    };
}
pub(crate) use all_tables;

macro_rules! define {
    (
        copied: { $($table:ident: $Row:ident by ($($key:ident),+) $(in $conversation:ident)? {
            $($(#[$meta:meta])* $column:ident -> $Sql:ident $(<$Inner:ident>)?,)+
        })+ }
        own: { $($own:ident by ($own_key:ident) {
            $($own_column:ident -> $OwnSql:ident $(<$OwnInner:ident>)?,)+
        })+ }
    ) => {
        $(table! {
            use super::types::*;
            $table ($($key),+) {
                $($(#[$meta])* $column -> $Sql $(<$Inner>)?,)+
            }
        })+
        $(table! {
            use super::types::*;
            $own ($own_key) {
                $($own_column -> $OwnSql $(<$OwnInner>)?,)+
            }
        })+
        allow_tables_to_appear_in_same_query!($($table,)+ $($own,)+);
    };
}
all_tables!(define);

joinable!(messages -> users (sender_id));
joinable!(messages -> files (file_id));
joinable!(reactions -> users (user_id));
joinable!(members -> users (user_id));
joinable!(members -> conversations (conversation_id));
