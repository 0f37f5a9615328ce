//! Listing, opening and arranging one's own conversations.

use super::model::{Conversation, ConversationCursor, ConversationFilter, Opened};
use super::ports::ConversationRepository;
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::Result;
use crate::ids::{ConversationId, UserId};
use crate::page::{Limit, Page};
use crate::views::{NewDraft, SettingsChange};
use std::sync::Arc;

/// Lists conversations, and changes the caller's view of them.
pub struct ConversationService {
    /// Stores views of conversations.
    pub conversations: Arc<dyn ConversationRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Generates the ids of new conversations.
    pub ids: Arc<dyn IdGenerator>,
}

impl ConversationService {
    /// Lists the caller's conversations.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: ConversationFilter,
        before: Option<ConversationCursor>,
        limit: Limit,
    ) -> Result<Page<Conversation>> {
        let mut page = self.conversations.list(caller.user, filter, before, limit).await?;
        page.items.iter_mut().for_each(|conversation| self.date(conversation));
        Ok(page)
    }

    /// Opens the direct conversation of the caller with a user, who may be the caller.
    ///
    /// # Errors
    /// Those of [`ConversationRepository::open_direct`].
    pub async fn open_direct(&self, caller: &Caller, other: UserId) -> Result<Opened> {
        let new = ConversationId(self.ids.next());
        let mut opened = self.conversations.open_direct(caller.user, other, new, self.clock.now()).await?;
        let (Opened::Made(conversation) | Opened::Found(conversation)) = &mut opened;
        self.date(conversation);
        Ok(opened)
    }

    /// Changes the caller's settings of a conversation.
    ///
    /// # Errors
    /// Those of [`ConversationRepository::change_settings`].
    pub async fn change_settings(
        &self,
        caller: &Caller,
        of: ConversationId,
        change: SettingsChange,
    ) -> Result<Conversation> {
        let changed = self.conversations.change_settings(caller.user, of, change, self.clock.now()).await;
        let mut conversation = changed?;
        self.date(&mut conversation);
        Ok(conversation)
    }

    /// Keeps the caller's draft; `None` drops it.
    ///
    /// # Errors
    /// Those of [`ConversationRepository::keep_draft`] and [`ConversationRepository::drop_draft`].
    pub async fn set_draft(&self, caller: &Caller, of: ConversationId, draft: Option<NewDraft>) -> Result<()> {
        match draft {
            Some(draft) => self.conversations.keep_draft(caller.user, of, draft, self.clock.now()).await,
            None => self.conversations.drop_draft(caller.user, of).await,
        }
    }

    /// Leaves out of the settings what has ended by now.
    fn date(&self, conversation: &mut Conversation) {
        conversation.settings = conversation.settings.at(self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Activity, Counterpart, MockConversationRepository};
    use super::*;
    use crate::error::{Error, NotFound};
    use crate::events::Revision;
    use crate::messages::{Digest, Seq, Update};
    use crate::receipts::UnseenCount;
    use crate::testing::{CountedIds, StoppedClock, at, caller, conversation, message, message_id, outcome, user};
    use crate::views::{DraftContent, Mute, Settings};
    use mockall::predicate::eq;

    fn over(conversations: MockConversationRepository) -> ConversationService {
        ConversationService {
            conversations: Arc::new(conversations),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
        }
    }

    /// The broadcast, muted until a moment before the clock's.
    fn listed() -> Conversation {
        Conversation {
            id: conversation(5),
            with: Counterpart::Everybody,
            last_message: Some(message(1)),
            unseen: UnseenCount::default(),
            update: Update(1),
            digest: Digest::ZERO.short(),
            read_up_to: Seq(1),
            others_read_up_to: Seq(0),
            settings: Settings { muted: Some(Mute::Until(at(6))), ..Settings::default() },
            draft: None,
            activity: Activity { revision: Revision(7), nth: 2 },
            active_at: at(9),
        }
    }

    fn shown() -> Conversation {
        Conversation { settings: Settings::default(), ..listed() }
    }

    #[test]
    fn ones_own_conversations_are_listed_and_the_last_one_tells_where_to_go_on() {
        let behind = ConversationCursor::behind(&listed());
        let activity = Activity { revision: Revision(7), nth: 2 };
        assert_eq!(behind, ConversationCursor { activity, id: conversation(5) });
        let limit = Limit::of_list(Some(1)).unwrap();
        let filter = ConversationFilter { archived: Some(true), unseen: None };
        let mut conversations = MockConversationRepository::new();
        conversations
            .expect_list()
            .once()
            .with(eq(user(1)), eq(filter), eq(Some(behind)), eq(limit))
            .return_once(move |_, _, _, _| Ok(Page { items: vec![listed()], more: true }));
        let page = outcome(over(conversations).list(&caller(1), filter, Some(behind), limit)).unwrap();
        assert_eq!(page, Page { items: vec![shown()], more: true });
    }

    #[test]
    fn a_new_conversation_gets_a_new_id() {
        let mut conversations = MockConversationRepository::new();
        conversations
            .expect_open_direct()
            .once()
            .with(eq(user(1)), eq(user(2)), eq(conversation(1)), eq(at(7)))
            .return_once(|_, _, _, _| Ok(Opened::Made(listed())));
        assert_eq!(outcome(over(conversations).open_direct(&caller(1), user(2))).unwrap(), Opened::Made(shown()));
    }

    #[test]
    fn settings_are_changed_now() {
        let change = SettingsChange { favourite: Some(true), ..SettingsChange::default() };
        let mut conversations = MockConversationRepository::new();
        conversations
            .expect_change_settings()
            .once()
            .with(eq(user(1)), eq(conversation(5)), eq(change.clone()), eq(at(7)))
            .return_once(|_, _, _, _| Ok(listed()));
        assert_eq!(outcome(over(conversations).change_settings(&caller(1), conversation(5), change)).unwrap(), shown());
    }

    #[test]
    fn a_draft_is_kept_or_dropped() {
        let content = DraftContent::parse("hm").unwrap().unwrap();
        let draft = NewDraft { content, reply_to: Some(message_id(3)), thread_id: None };
        let mut conversations = MockConversationRepository::new();
        conversations
            .expect_keep_draft()
            .once()
            .with(eq(user(1)), eq(conversation(5)), eq(draft.clone()), eq(at(7)))
            .return_once(|_, _, _, _| Ok(()));
        conversations
            .expect_drop_draft()
            .once()
            .with(eq(user(1)), eq(conversation(6)))
            .return_once(|_, _| NotFound::Conversation.err());
        let conversations = over(conversations);
        outcome(conversations.set_draft(&caller(1), conversation(5), Some(draft))).unwrap();
        let refused = outcome(conversations.set_draft(&caller(1), conversation(6), None));
        assert!(matches!(refused, Err(Error::NotFound(NotFound::Conversation))));
    }
}
