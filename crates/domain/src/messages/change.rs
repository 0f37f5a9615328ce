//! Editing and deleting messages.

use super::model::{Content, Message};
use super::ports::MessageLog;
use crate::context::{Caller, Clock};
use crate::error::Result;
use crate::ids::MessageId;
use std::sync::Arc;

/// Changes what a message says.
pub struct EditMessage {
    /// Stores messages.
    pub log: Arc<dyn MessageLog>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl EditMessage {
    /// # Errors
    /// Those of [`MessageLog::edit`].
    pub async fn execute(&self, caller: &Caller, id: MessageId, content: Content) -> Result<Message> {
        self.log.edit(caller.user, id, content, self.clock.now()).await
    }
}

/// Takes a message back.
pub struct DeleteMessage {
    /// Stores messages.
    pub log: Arc<dyn MessageLog>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl DeleteMessage {
    /// # Errors
    /// Those of [`MessageLog::delete`].
    pub async fn execute(&self, caller: &Caller, id: MessageId) -> Result<()> {
        self.log.delete(caller.user, id, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Forbidden, NotFound};
    use crate::messages::MockMessageLog;
    use crate::testing::{StoppedClock, at, caller, message, message_id, outcome, user};
    use mockall::predicate::eq;

    #[test]
    fn an_edit_is_the_callers_and_happens_now() {
        let mut log = MockMessageLog::new();
        let words = Content::parse("better").unwrap();
        log.expect_edit()
            .once()
            .with(eq(user(1)), eq(message_id(3)), eq(words.clone()), eq(at(7)))
            .returning(|_, _, _, _| Ok(message(3)));
        let edit = EditMessage { log: Arc::new(log), clock: Arc::new(StoppedClock(7)) };
        assert_eq!(outcome(edit.execute(&caller(1), message_id(3), words)).unwrap(), message(3));
    }

    #[test]
    fn an_edit_the_log_refuses_is_refused() {
        let mut log = MockMessageLog::new();
        log.expect_edit().once().returning(|_, _, _, _| Forbidden::NotTheSender.err());
        let edit = EditMessage { log: Arc::new(log), clock: Arc::new(StoppedClock(7)) };
        let refused = outcome(edit.execute(&caller(2), message_id(3), Content::parse("x").unwrap()));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotTheSender))));
    }

    #[test]
    fn a_deletion_is_the_callers_and_happens_now() {
        let mut log = MockMessageLog::new();
        log.expect_delete().once().with(eq(user(1)), eq(message_id(3)), eq(at(7))).returning(|_, _, _| Ok(()));
        log.expect_delete().once().returning(|_, _, _| NotFound::Message.err());
        let delete = DeleteMessage { log: Arc::new(log), clock: Arc::new(StoppedClock(7)) };
        outcome(delete.execute(&caller(1), message_id(3))).unwrap();
        let again = outcome(delete.execute(&caller(1), message_id(3)));
        assert!(matches!(again, Err(Error::NotFound(NotFound::Message))));
    }
}
