//! The plan, the progress and the report of a copy.

use domain::ConversationId;

/// The state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// There is nothing, or only what the migrations make.
    Empty,
    /// A copy from the same source was begun before.
    Begun,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `copying` or `comparing`.
    pub doing: &'static str,
    /// Which table.
    pub table: &'static str,
    /// How many rows of it.
    pub rows: u64,
    /// Of how many.
    pub of: u64,
}

/// What a table came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Which.
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

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All tables.
    pub tables: Vec<TableReport>,
    /// How many conversations the copy has compared one by one.
    pub conversations: usize,
    /// Conversations whose members, messages or receipts differ.
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
    /// Tables and how many rows the source has in each.
    pub tables: Vec<(&'static str, u64)>,
    /// What the target is.
    pub target: TargetState,
}
