//! The plan, the progress and the report of a copy.

use domain::ConversationId;

/// The state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is empty, or holds only what the migrations make.
    Empty,
    /// It holds an unfinished copy from the same source.
    Begun,
}

/// The progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `copying` or `comparing`.
    pub doing: &'static str,
    /// The table.
    pub table: &'static str,
    /// Rows of the table that are done.
    pub rows: u64,
    /// Rows that the table has.
    pub of: u64,
}

/// The result for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: &'static str,
    /// Rows and hash of the source.
    pub from: (u64, [u8; 32]),
    /// Rows and hash of the target.
    pub to: (u64, [u8; 32]),
}

impl TableReport {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        self.from == self.to
    }
}

/// The result of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All tables.
    pub tables: Vec<TableReport>,
    /// How many conversations the copy has compared one by one.
    pub conversations: usize,
    /// Conversations whose members, messages or receipts differ, or whose digest is not that of their messages.
    pub differing: Vec<ConversationId>,
}

impl Report {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        self.differing.is_empty() && self.tables.iter().all(TableReport::is_same)
    }
}

/// What a copy would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tables, each with the number of rows in the source.
    pub tables: Vec<(&'static str, u64)>,
    /// The state of the target.
    pub target: TargetState,
}
