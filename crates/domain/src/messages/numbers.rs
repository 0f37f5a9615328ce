//! The two numbers of a message. Both come from the counter of its conversation, and are easily mistaken for each
//! other.

/// The position of a message in its conversation: the number that it took when it was sent. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct Seq(pub i64);

/// A number of a conversation's counter. Every message that is sent takes the next one, and so does every change of a
/// message: an edit, a reaction, a pin, a deletion. They are dense from 1 on, in the order of commits. 0 is before the
/// first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct Update(pub i64);

impl Seq {
    /// Whether the message was sent after the change that took this number.
    pub const fn is_after(self, known: Update) -> bool {
        self.0 > known.0
    }
}

impl Update {
    /// How many numbers lie behind `earlier`, up to this one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}
