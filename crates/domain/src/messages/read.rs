//! Reading messages.

use super::model::{Changes, Message, Recipient};
use super::numbers::Update;
use super::page_version::{PageRead, PageVersion};
use super::service::MessageService;
use super::windows::{Around, Listing, PageAround, Replies};
use crate::context::Caller;
use crate::error::{NotFound, Result};
use crate::ids::{ConversationId, MessageId};
use crate::page::Limit;

impl MessageService {
    /// Lists part of a conversation, unless it has the version that the caller of this method knows.
    ///
    /// # Errors
    /// Those of [`MessageReader::page`](super::MessageReader::page).
    pub async fn list(
        &self,
        caller: &Caller,
        of: Recipient,
        listing: Listing,
        known: Option<PageVersion>,
    ) -> Result<PageRead> {
        self.reader.page(caller.user, of, listing, known).await
    }

    /// Lists the messages around a place.
    ///
    /// # Errors
    /// Those of [`MessageReader::around`](super::MessageReader::around).
    pub async fn around(
        &self,
        caller: &Caller,
        of: Recipient,
        place: Around,
        replies: Replies,
        limit: Limit,
    ) -> Result<PageAround> {
        self.reader.around(caller.user, of, place, replies, limit).await
    }

    /// Shows one message.
    ///
    /// # Errors
    /// [`NotFound::Message`].
    pub async fn show(&self, caller: &Caller, id: MessageId) -> Result<Message> {
        Ok(self.reader.find(caller.user, id).await?.ok_or(NotFound::Message)?)
    }

    /// Lists what changed in a conversation.
    ///
    /// # Errors
    /// Those of [`MessageReader::changes`](super::MessageReader::changes).
    pub async fn list_changes(
        &self,
        caller: &Caller,
        of: ConversationId,
        after: Update,
        limit: Limit,
    ) -> Result<Changes> {
        self.reader.changes(caller.user, of, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::messages::Window;
    use crate::messages::{Cursor, MockMessageReader};
    use crate::page::Page;
    use crate::testing::{caller, conversation, message, message_id, message_service, outcome, user};
    use mockall::predicate::eq;
    use std::sync::Arc;

    fn over(reader: MockMessageReader) -> MessageService {
        MessageService { reader: Arc::new(reader), ..message_service() }
    }

    #[test]
    fn a_page_is_read_as_the_caller() {
        let window = Window::Before { cursor: Cursor::Latest, limit: Limit::of_list(Some(2)).unwrap() };
        let listing = Listing::from(window);
        let page = Page { items: vec![message(1), message(2)], more: true };
        let mut reader = MockMessageReader::new();
        let found = page.clone();
        reader
            .expect_page()
            .once()
            .with(eq(user(1)), eq(Recipient::User(user(2))), eq(listing), eq(None))
            .return_once(move |_, _, _, _| Ok(PageRead::Read(found, None)));
        let read = outcome(over(reader).list(&caller(1), Recipient::User(user(2)), listing, None)).unwrap();
        assert_eq!(read.into_page(), page);
    }

    #[test]
    fn a_message_that_the_caller_may_not_read_does_not_exist() {
        let mut reader = MockMessageReader::new();
        reader.expect_find().with(eq(user(1)), eq(message_id(3))).returning(|_, _| Ok(Some(message(3))));
        reader.expect_find().with(eq(user(4)), eq(message_id(3))).returning(|_, _| Ok(None));
        let messages = over(reader);
        assert_eq!(outcome(messages.show(&caller(1), message_id(3))).unwrap(), message(3));
        let hidden = outcome(messages.show(&caller(4), message_id(3)));
        assert!(matches!(hidden, Err(Error::NotFound(NotFound::Message))));
    }

    #[test]
    fn changes_are_read_as_the_caller() {
        let limit = Limit::of_list(None).unwrap();
        let mut reader = MockMessageReader::new();
        reader
            .expect_changes()
            .once()
            .with(eq(user(1)), eq(conversation(1)), eq(Update(4)), eq(limit))
            .returning(|_, _, _, _| Ok(Changes { update: Update(4), entries: Vec::new(), more: false, digest: None }));
        let changes = outcome(over(reader).list_changes(&caller(1), conversation(1), Update(4), limit)).unwrap();
        assert_eq!(changes.update, Update(4));
    }
}
