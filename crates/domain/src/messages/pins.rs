//! Pins: messages that a conversation keeps at hand.

use super::model::Message;
use super::numbers::Update;
use super::service::MessageService;
use crate::context::{Caller, Timestamp};
use crate::error::{Conflict, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::page::{Limit, Page};

/// That a message is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Pin {
    /// When the user pinned it.
    pub at: Timestamp,
    /// The user who pinned it.
    pub by: UserId,
    /// The number that the pin took of the conversation's counter. Pins are listed in this order.
    pub update: Update,
}

/// Most pins of a conversation (`docs/api.md`, Pins).
const MOST_PINS: u64 = 250;

/// Whether a conversation with so many pins has room for another.
///
/// # Errors
/// [`Conflict::TooManyPins`].
pub fn may_pin_another(pins: u64) -> Result<()> {
    if pins < MOST_PINS { Ok(()) } else { Conflict::TooManyPins.err() }
}

impl MessageService {
    /// Pins a message. Nothing changes if it is pinned.
    ///
    /// # Errors
    /// Those of [`MessageLog::pin`](super::MessageLog::pin).
    pub async fn pin(&self, caller: &Caller, id: MessageId) -> Result<()> {
        self.log.pin(caller.user, id, self.clock.now()).await
    }

    /// Unpins a message. Nothing changes if it is not pinned.
    ///
    /// # Errors
    /// Those of [`MessageLog::unpin`](super::MessageLog::unpin).
    pub async fn unpin(&self, caller: &Caller, id: MessageId) -> Result<()> {
        self.log.unpin(caller.user, id, self.clock.now()).await
    }

    /// Lists the pinned messages of a conversation, pinned last first: those that were pinned before a number.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation).
    pub async fn pins(
        &self,
        caller: &Caller,
        of: ConversationId,
        before: Option<Update>,
        limit: Limit,
    ) -> Result<Page<Message>> {
        self.reader.pins(caller.user, of, before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Forbidden};
    use crate::messages::MockMessageLog;
    use crate::testing::{at, caller, message_id, message_service, outcome, user};
    use mockall::predicate::eq;
    use std::sync::Arc;

    #[test]
    fn a_conversation_has_room_for_some_pins() {
        assert!(may_pin_another(249).is_ok());
        assert!(matches!(may_pin_another(250), Err(Error::Conflict(Conflict::TooManyPins))));
    }

    #[test]
    fn pins_are_the_callers_and_happen_now() {
        let mut log = MockMessageLog::new();
        let forbidden = |_, _, _| Forbidden::NotAModerator.err();
        log.expect_pin().once().with(eq(user(1)), eq(message_id(3)), eq(at(7))).returning(forbidden);
        log.expect_unpin().once().with(eq(user(1)), eq(message_id(3)), eq(at(7))).returning(|_, _, _| Ok(()));
        let messages = MessageService { log: Arc::new(log), ..message_service() };
        let refused = outcome(messages.pin(&caller(1), message_id(3)));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAModerator))));
        outcome(messages.unpin(&caller(1), message_id(3))).unwrap();
    }
}
