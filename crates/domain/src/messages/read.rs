//! Reading messages.

use super::model::{Changes, Message, Recipient, Window};
use super::numbers::Update;
use super::ports::MessageReader;
use crate::context::Caller;
use crate::error::{NotFound, Result};
use crate::ids::{ConversationId, MessageId};
use crate::page::{Limit, Page};
use std::sync::Arc;

/// Lists part of a conversation.
pub struct ListMessages {
    /// Stores messages.
    pub messages: Arc<dyn MessageReader>,
}

impl ListMessages {
    /// # Errors
    /// Those of [`MessageReader::page`].
    pub async fn execute(&self, caller: &Caller, of: Recipient, window: Window) -> Result<Page<Message>> {
        self.messages.page(caller.user, of, window).await
    }
}

/// Shows one message.
pub struct ShowMessage {
    /// Stores messages.
    pub messages: Arc<dyn MessageReader>,
}

impl ShowMessage {
    /// # Errors
    /// [`NotFound::Message`].
    pub async fn execute(&self, caller: &Caller, id: MessageId) -> Result<Message> {
        Ok(self.messages.find(caller.user, id).await?.ok_or(NotFound::Message)?)
    }
}

/// Lists what changed in a conversation.
pub struct ListChanges {
    /// Stores messages.
    pub messages: Arc<dyn MessageReader>,
}

impl ListChanges {
    /// # Errors
    /// Those of [`MessageReader::changes`].
    pub async fn execute(&self, caller: &Caller, of: ConversationId, after: Update, limit: Limit) -> Result<Changes> {
        self.messages.changes(caller.user, of, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::messages::{Cursor, MockMessageReader};
    use crate::testing::{caller, conversation, message, message_id, outcome, user};
    use mockall::predicate::eq;

    #[test]
    fn a_page_is_read_as_the_caller() {
        let window = Window::Before { cursor: Cursor::Latest, limit: Limit::of_list(Some(2)).unwrap() };
        let page = Page { items: vec![message(1), message(2)], more: true };
        let mut messages = MockMessageReader::new();
        let found = page.clone();
        messages
            .expect_page()
            .once()
            .with(eq(user(1)), eq(Recipient::User(user(2))), eq(window))
            .return_once(move |_, _, _| Ok(found));
        let list = ListMessages { messages: Arc::new(messages) };
        assert_eq!(outcome(list.execute(&caller(1), Recipient::User(user(2)), window)).unwrap(), page);
    }

    #[test]
    fn a_message_that_the_caller_may_not_read_does_not_exist() {
        let mut messages = MockMessageReader::new();
        messages.expect_find().with(eq(user(1)), eq(message_id(3))).returning(|_, _| Ok(Some(message(3))));
        messages.expect_find().with(eq(user(4)), eq(message_id(3))).returning(|_, _| Ok(None));
        let show = ShowMessage { messages: Arc::new(messages) };
        assert_eq!(outcome(show.execute(&caller(1), message_id(3))).unwrap(), message(3));
        let hidden = outcome(show.execute(&caller(4), message_id(3)));
        assert!(matches!(hidden, Err(Error::NotFound(NotFound::Message))));
    }

    #[test]
    fn changes_are_read_as_the_caller() {
        let limit = Limit::of_list(None).unwrap();
        let mut messages = MockMessageReader::new();
        messages
            .expect_changes()
            .once()
            .with(eq(user(1)), eq(conversation(1)), eq(Update(4)), eq(limit))
            .returning(|_, _, _, _| Ok(Changes { update: Update(4), entries: Vec::new(), more: false }));
        let changes = ListChanges { messages: Arc::new(messages) };
        assert_eq!(outcome(changes.execute(&caller(1), conversation(1), Update(4), limit)).unwrap().update, Update(4));
    }
}
