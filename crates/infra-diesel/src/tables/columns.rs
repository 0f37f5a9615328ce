//! The columns of each row, as text, for statements that are written as text. A test compares them with the rows.

use diesel::dsl::SqlTypeOf;
use diesel::expression::Selectable;
use diesel::pg::Pg;

/// The SQL types of a row.
pub type ColumnsOf<Row> = SqlTypeOf<<Row as Selectable<Pg>>::SelectExpression>;

/// Names the columns of a row of the table that the statement calls `$t`.
macro_rules! columns_of {
    (ConversationRow, $t:literal) => {
        $crate::tables::columns::columns_of!(
            @list $t, "id", "kind", "\"update\"", "last_seq", "active_at", "first_user", "second_user", "visibility",
            "revision", "roster_revision", "deleted_at", "expired_up_to", "sent_revision", "sent_nth", "written_by",
            "digest", "message_count", "archived_until"
        )
    };
    (GroupRow, $t:literal) => {
        $crate::tables::columns::columns_of!(
            @list $t, "id", "name", "description", "visibility", "member_count", "created_at", "updated_at"
        )
    };
    (UserRow, $t:literal) => {
        $crate::tables::columns::columns_of!(
            @list $t, "id", "username", "email", "display_name", "role", "created_at", "updated_at", "deleted_at",
            "disabled_at"
        )
    };
    (ProfileRow, $t:literal) => {
        $crate::tables::columns::columns_of!(@list $t, "id", "username", "display_name", "role", "deleted_at")
    };
    (MessageRow, $t:literal) => {
        $crate::tables::columns::columns_of!(
            @list $t, "conversation_id", "seq", "id", "sender_id", "type", "content", "file_id", "reply_to", "client_id",
            "created_at", "updated_at", "edited_at", "deleted_at", "\"update\"", "revision", "thread_id", "has",
            "pinned_update", "pinned_at", "pinned_by", "forward_of", "forwarded_from", "forwarded_at",
            "said_mentions"
        )
    };
    (FileRow, $t:literal) => {
        $crate::tables::columns::columns_of!(
            @list $t, "id", "uploader_id", "name", "size", "type", "sha256", "created_at", "width",
            "height", "thumbhash", "sent_sha256"
        )
    };
    (@list $t:literal, $first:literal $(, $column:literal)*) => {
        concat!($t, ".", $first $(, ", ", $t, ".", $column)*)
    };
}
pub(crate) use columns_of;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::rows::{ConversationRow, FileRow, GroupRow, MessageRow, ProfileRow, UserRow};
    use crate::tables::schema::{conversations, files, messages, users};
    use diesel::prelude::*;

    #[test]
    fn the_text_names_the_columns_of_the_rows() {
        macro_rules! compare {
            ($($Row:ident of $table:ident as $name:literal),+) => {$(
                let query = $table::table.select($Row::as_select());
                let built = diesel::debug_query::<Pg, _>(&query).to_string().replace('"', "");
                let text = format!("SELECT {} FROM {}", columns_of!($Row, $name), $name).replace('"', "");
                assert!(built.starts_with(&text), "{built} is not {text}");
            )+};
        }
        compare!(
            ConversationRow of conversations as "conversations",
            GroupRow of conversations as "conversations",
            UserRow of users as "users",
            ProfileRow of users as "users",
            MessageRow of messages as "messages",
            FileRow of files as "files"
        );
    }
}
