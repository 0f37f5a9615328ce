//! Forwarding: sending on what another message says and carries.

use super::model::Message;
use crate::context::Timestamp;
use crate::error::{Conflict, Result};
use crate::users::Profile;

/// Where the content of a forwarded message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Forwarded {
    /// The user who said it first. A message that is forwarded again keeps that sender.
    pub sender: Profile,
    /// When that user said it.
    pub created_at: Timestamp,
}

impl Message {
    /// What a message that forwards this one shows of where it comes from.
    pub fn forwarded_as(&self) -> Forwarded {
        match &self.forwarded {
            Some(first) => first.clone(),
            None => Forwarded { sender: self.sender.clone(), created_at: self.created_at },
        }
    }

    /// Whether the content of the message can change. The words of a forwarded message are somebody else's.
    ///
    /// # Errors
    /// [`Conflict::Forwarded`].
    pub fn can_be_edited(&self) -> Result<()> {
        if self.forwarded.is_some() { Conflict::Forwarded.err() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::testing::at;

    #[test]
    fn a_message_that_is_forwarded_again_keeps_its_first_sender() {
        let first = Message { created_at: at(5), ..Message::sample() };
        let forwarded = Message { forwarded: Some(first.forwarded_as()), created_at: at(9), ..Message::sample() };
        assert_eq!(first.forwarded_as(), Forwarded { sender: first.sender.clone(), created_at: at(5) });
        assert_eq!(forwarded.forwarded_as(), first.forwarded_as());
        assert!(first.can_be_edited().is_ok());
        assert!(matches!(forwarded.can_be_edited(), Err(Error::Conflict(Conflict::Forwarded))));
    }
}
