//! Editing and deleting messages.

use super::mentions::EditCommand;
use super::model::Message;
use super::service::MessageService;
use crate::context::Caller;
use crate::error::Result;
use crate::ids::MessageId;

impl MessageService {
    /// Edits a message.
    ///
    /// # Errors
    /// Those of [`MessageLog::edit`](super::MessageLog::edit).
    pub async fn edit(&self, caller: &Caller, id: MessageId, edit: EditCommand) -> Result<Message> {
        self.log.edit(caller.user, id, edit, self.clock.now()).await
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// Those of [`MessageLog::delete`](super::MessageLog::delete).
    pub async fn delete(&self, caller: &Caller, id: MessageId) -> Result<()> {
        self.log.delete(caller.user, id, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Forbidden, NotFound};
    use crate::messages::{Content, MockMessageLog};
    use crate::testing::{at, caller, message, message_id, message_service, outcome, user};
    use mockall::predicate::eq;
    use std::sync::Arc;

    fn over(log: MockMessageLog) -> MessageService {
        MessageService { log: Arc::new(log), ..message_service() }
    }

    #[test]
    fn an_edit_is_the_callers_and_happens_now() {
        let mut log = MockMessageLog::new();
        let words = Content::parse("better").unwrap();
        log.expect_edit()
            .once()
            .with(eq(user(1)), eq(message_id(3)), eq(EditCommand::from(words.clone())), eq(at(7)))
            .returning(|_, _, _, _| Ok(message(3)));
        assert_eq!(outcome(over(log).edit(&caller(1), message_id(3), words.into())).unwrap(), message(3));
    }

    #[test]
    fn an_edit_the_log_refuses_is_refused() {
        let mut log = MockMessageLog::new();
        log.expect_edit().once().returning(|_, _, _, _| Forbidden::NotTheSender.err());
        let refused = outcome(over(log).edit(&caller(2), message_id(3), Content::parse("x").unwrap().into()));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotTheSender))));
    }

    #[test]
    fn a_deletion_is_the_callers_and_happens_now() {
        let mut log = MockMessageLog::new();
        log.expect_delete().once().with(eq(user(1)), eq(message_id(3)), eq(at(7))).returning(|_, _, _| Ok(()));
        log.expect_delete().once().returning(|_, _, _| NotFound::Message.err());
        let messages = over(log);
        outcome(messages.delete(&caller(1), message_id(3))).unwrap();
        let again = outcome(messages.delete(&caller(1), message_id(3)));
        assert!(matches!(again, Err(Error::NotFound(NotFound::Message))));
    }
}
