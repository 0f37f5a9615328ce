//! Receipts: which user has seen which message.

use crate::context::{Caller, Clock, Timestamp};
use crate::error::Result;
use crate::ids::{ConversationId, GroupId, MessageId, UserId};
use crate::messages::Destination;
use crate::page::{Limit, Page};
use async_trait::async_trait;
use std::sync::Arc;

/// A user has seen a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the user.
    pub user: UserId,
    /// The name as shown.
    pub username: String,
    /// When the reader marked it as seen.
    pub seen_at: Timestamp,
}

/// How many messages a user has not seen: exact up to [`UnseenCount::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnseenCount {
    /// The number of unseen messages, at most [`UnseenCount::MAX`].
    pub count: u64,
    /// Whether there are more than `count`.
    pub more: bool,
    /// How many of the unseen messages mention the user.
    pub mentions: u64,
}

impl UnseenCount {
    /// Where counting stops. No client shows a greater number, and counting on would cost in proportion to what the
    /// user never read.
    pub const MAX: u64 = 1_000;
    /// How many positions (`seq`) of a conversation an adapter looks at, from the first unseen message on. The count is
    /// too small only for a user who wrote nearly all of so many messages.
    pub const MAX_POSITIONS: u32 = 100_000;

    /// From up to one message more than [`UnseenCount::MAX`]: the extra one only tells that there are more.
    /// `looked_at_all`: whether the adapter looked at every position. `mentions`: how many of them mention the user.
    pub fn from_surplus(found: u64, looked_at_all: bool, mentions: u64) -> Self {
        Self { count: found.min(Self::MAX), more: found > Self::MAX || !looked_at_all, mentions }
    }
}

impl std::iter::Sum for UnseenCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, one| Self {
            count: sum.count.saturating_add(one.count),
            more: sum.more || one.more,
            mentions: sum.mentions.saturating_add(one.mentions),
        })
    }
}

/// What a user has not seen yet. Leaves out the user's own messages, deleted ones and the broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unseen {
    /// Direct conversations: id and shown name of the other user, count. Leaves out those with 0.
    pub direct: Vec<(UserId, String, UnseenCount)>,
    /// Groups: id, name, count. Leaves out those with 0.
    pub groups: Vec<(GroupId, String, UnseenCount)>,
}

impl Unseen {
    /// The sum of all counts. There are more if any of them has more.
    pub fn total(&self) -> UnseenCount {
        let direct = self.direct.iter().map(|(.., count)| *count);
        direct.chain(self.groups.iter().map(|(.., count)| *count)).sum()
    }
}

/// [`ReceiptRepository::mark_read`] notifies the senders of at most this many of the newest messages. Larger than a
/// normal backlog, small enough to keep the transaction short.
pub const MAX_SENDERS_NOTIFIED: u32 = 1_000;

/// Whether the server notifies senders when a user reads their messages. Broadcast senders are not notified.
pub fn tells_senders(destination: Destination) -> bool {
    match destination {
        Destination::Direct { .. } | Destination::Group(_) => true,
        Destination::Broadcast => false,
    }
}

/// Stores receipts.
///
/// The transaction that marks MUST ask [`Access::may_mark`](crate::messages::Access::may_mark). Marking is idempotent.
/// It publishes an event only if it changes something. A message once seen stays seen for others, whatever the reader
/// marks as unread later.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ReceiptRepository: Send + Sync {
    /// Marks one live message. The sender's own message stays unmarked.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message), then the rule's.
    async fn mark_seen(&self, reader: UserId, message: MessageId, at: Timestamp) -> Result<()>;

    /// Marks all messages of the conversation up to `up_to`, which may be a deleted one. MUST publish an event for the
    /// reader. Where [`tells_senders`] says so, MUST publish one for each sender of the newest [`MAX_SENDERS_NOTIFIED`]
    /// of these messages.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation); [`NotFound::Message`](crate::NotFound::Message) where
    /// `up_to` is no message of it; then the rule's.
    async fn mark_read(&self, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> Result<()>;

    /// Makes the message `from`, which may be a deleted one, and all after it unseen again for the reader, as far as
    /// they had counted as unseen: not the reader's own ones, nor those from before the reader joined, nor any of the
    /// broadcast. Receipts stay, so that others see what they saw before. MUST publish an event for the reader if
    /// anything changes.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation); [`NotFound::Message`](crate::NotFound::Message) if
    /// `from` names no message that the reader may read; [`Invalid`](crate::Invalid) naming `from` if it names one of
    /// another conversation; then the rule's.
    async fn mark_unread(&self, reader: UserId, of: ConversationId, from: MessageId) -> Result<()>;

    /// Who has seen a live message (its sender and deleted users left out), by id; behind `after`, if given. MUST cost
    /// in proportion to the readers that the page passes, wherever in the list it begins.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) where the viewer may not read it,
    /// [`NotFound::User`](crate::NotFound::User) where `after` has not seen it.
    async fn of_message(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt>>;

    /// What the user has not seen. MUST cost in proportion to what is counted ([`UnseenCount`]), not to what was ever
    /// said.
    async fn unseen(&self, user: UserId) -> Result<Unseen>;
}

/// Marks messages as seen, lists receipts, and counts unseen messages.
pub struct ReceiptService {
    /// Stores receipts.
    pub receipts: Arc<dyn ReceiptRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ReceiptService {
    /// Marks one message as seen.
    ///
    /// # Errors
    /// Those of [`ReceiptRepository::mark_seen`].
    pub async fn mark_seen(&self, caller: &Caller, message: MessageId) -> Result<()> {
        self.receipts.mark_seen(caller.user, message, self.clock.now()).await
    }

    /// Marks a conversation as read up to a message.
    ///
    /// # Errors
    /// Those of [`ReceiptRepository::mark_read`].
    pub async fn mark_read(&self, caller: &Caller, of: ConversationId, up_to: MessageId) -> Result<()> {
        self.receipts.mark_read(caller.user, of, up_to, self.clock.now()).await
    }

    /// Marks a message and all after it as unread, for the caller alone.
    ///
    /// # Errors
    /// Those of [`ReceiptRepository::mark_unread`].
    pub async fn mark_unread(&self, caller: &Caller, of: ConversationId, from: MessageId) -> Result<()> {
        self.receipts.mark_unread(caller.user, of, from).await
    }

    /// Lists who has seen a message.
    ///
    /// # Errors
    /// Those of [`ReceiptRepository::of_message`].
    pub async fn list(
        &self,
        caller: &Caller,
        message: MessageId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt>> {
        self.receipts.of_message(caller.user, message, after, limit).await
    }

    /// Counts what the caller has not seen.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn count_unseen(&self, caller: &Caller) -> Result<Unseen> {
        self.receipts.unseen(caller.user).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Forbidden};
    use crate::testing::{StoppedClock, at, caller, conversation, message_id, outcome, user};
    use mockall::predicate::eq;
    use uuid::Uuid;

    fn over(receipts: MockReceiptRepository) -> ReceiptService {
        ReceiptService { receipts: Arc::new(receipts), clock: Arc::new(StoppedClock(7)) }
    }

    #[test]
    fn marking_is_the_callers_and_happens_now() {
        let mut receipts = MockReceiptRepository::new();
        receipts.expect_mark_seen().once().with(eq(user(1)), eq(message_id(3)), eq(at(7))).returning(|_, _, _| Ok(()));
        receipts
            .expect_mark_read()
            .once()
            .with(eq(user(1)), eq(conversation(2)), eq(message_id(3)), eq(at(7)))
            .returning(|_, _, _, _| Forbidden::NotAMember.err());
        receipts
            .expect_mark_unread()
            .once()
            .with(eq(user(1)), eq(conversation(2)), eq(message_id(3)))
            .returning(|_, _, _| Ok(()));
        let receipts = over(receipts);
        outcome(receipts.mark_unread(&caller(1), conversation(2), message_id(3))).unwrap();
        outcome(receipts.mark_seen(&caller(1), message_id(3))).unwrap();
        let refused = outcome(receipts.mark_read(&caller(1), conversation(2), message_id(3)));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAMember))));
    }

    #[test]
    fn receipts_are_read_as_the_caller() {
        let mut receipts = MockReceiptRepository::new();
        let seen = Receipt { user: user(2), username: "bob".to_owned(), seen_at: at(5) };
        let found = Page { items: vec![seen.clone()], more: false };
        receipts
            .expect_of_message()
            .once()
            .withf(|viewer, of, after, limit| {
                (*viewer, *of, *after, limit.get()) == (user(1), message_id(3), Some(user(4)), 3)
            })
            .return_once(move |_, _, _, _| Ok(found));
        let three = Limit::of_list(Some(3)).unwrap();
        let page = outcome(over(receipts).list(&caller(1), message_id(3), Some(user(4)), three)).unwrap();
        assert_eq!(page.items, [seen]);
    }

    #[test]
    fn ones_own_counts_add_up() {
        let unseen = Unseen {
            direct: vec![(user(2), "bob".to_owned(), exactly(3)), (user(3), "eve".to_owned(), exactly(1))],
            groups: vec![(GroupId(Uuid::from_u128(4)), "all".to_owned(), exactly(2))],
        };
        let mut receipts = MockReceiptRepository::new();
        let found = unseen.clone();
        receipts.expect_unseen().once().with(eq(user(1))).return_once(move |_| Ok(found));
        let counted = outcome(over(receipts).count_unseen(&caller(1))).unwrap();
        assert_eq!((counted.total(), counted), (exactly(6), unseen));
        assert_eq!(Unseen::default().total(), exactly(0));
    }

    fn exactly(count: u64) -> UnseenCount {
        UnseenCount { count, more: false, mentions: 0 }
    }

    #[test]
    fn a_count_is_exact_up_to_a_thousand_and_says_where_it_is_not() {
        for (found, looked_at_all, count, more) in [
            (0, true, 0, false),
            (999, true, 999, false),
            (1_000, true, 1_000, false),
            (1_001, true, 1_000, true),
            (7, false, 7, true),
        ] {
            assert_eq!(
                UnseenCount::from_surplus(found, looked_at_all, 2),
                UnseenCount { count, more, mentions: 2 },
                "{found}"
            );
        }
        let sum: UnseenCount =
            [exactly(3), UnseenCount { count: 1_000, more: true, mentions: 3 }, exactly(4)].into_iter().sum();
        assert_eq!(sum, UnseenCount { count: 1_007, more: true, mentions: 3 });
    }
}
