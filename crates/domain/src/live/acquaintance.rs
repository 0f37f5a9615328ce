//! Which users learn of each other's presence and typing.

use crate::ids::ConversationId;

/// The relation of two users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acquaintance {
    /// Their direct conversation, if one of them has written to the other.
    pub conversation: Option<ConversationId>,
    /// Each has written to the other. A deleted message counts.
    pub each_wrote: bool,
    /// A group that is not deleted has both as members.
    pub share_a_group: bool,
}

impl Acquaintance {
    /// Whether each learns of the other's presence and typing: only a user who got an answer, or who is in a group with
    /// the other. A stranger who writes learns nothing.
    pub fn are_told_of_each_other(&self) -> bool {
        self.each_wrote || self.share_a_group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_answered_or_share_a_group_are_told_of_each_other() {
        let conversation = Some(ConversationId(uuid::Uuid::nil()));
        for (each_wrote, share_a_group, told) in
            [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
        {
            let acquaintance = Acquaintance { conversation, each_wrote, share_a_group };
            assert_eq!(acquaintance.are_told_of_each_other(), told);
        }
    }
}
