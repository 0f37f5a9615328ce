//! Who is told that somebody is there, or typing.

use crate::ids::ConversationId;

/// How two users stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acquaintance {
    /// Their direct conversation, if either has ever written.
    pub conversation: Option<ConversationId>,
    /// Each has written to the other. A message that was deleted since was written all the same.
    pub each_wrote: bool,
    /// There is a living group that both are in.
    pub share_a_group: bool,
}

impl Acquaintance {
    /// Whether each may be told that the other is there, or typing: only whom one has answered, or meets in a group.
    /// What a stranger writes gives that stranger nothing.
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
