//! Reactions: emoji that users put below a message.

use super::model::Message;
use super::numbers::Update;
use super::service::MessageService;
use crate::context::{Caller, Timestamp};
use crate::error::{Conflict, Invalid, Result};
use crate::ids::{MessageId, UserId};
use crate::page::{Limit, Page};
use crate::text::text_type;
use crate::users::Profile;

text_type!(
    /// One emoji of Unicode's `emoji-test`, fully qualified: `❤` and `❤️` are the same emoji.
    Emoji
);

impl Emoji {
    /// # Errors
    /// [`Invalid`] naming `emoji` unless the text is exactly one emoji. A component alone (a skin tone) is none, and
    /// neither is one in text style.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match emojis::get(text) {
            Some(emoji) => Ok(Self(emoji.as_str().to_owned())),
            None => Err(Invalid::new("emoji", "emoji must be exactly one emoji")),
        }
    }
}

/// The reactions of a message with one emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Reaction {
    /// The emoji.
    pub emoji: Emoji,
    /// How many users reacted with it.
    pub count: u64,
    /// The users who reacted first, at most [`Reaction::MOST_SHOWN`], and behind them the viewer, if the viewer reacted
    /// later. An event has no viewer.
    pub users: Vec<UserId>,
}

impl Reaction {
    /// Most users that a message shows of a reaction, without the viewer (`docs/api.md`, Reactions).
    pub const MOST_SHOWN: usize = 50;

    /// Whether other viewers may see other users.
    pub fn depends_on_viewer(&self) -> bool {
        self.count > Self::MOST_SHOWN as u64
    }
}

impl Message {
    /// Whether the message shows each viewer the same.
    pub fn is_same_for_all(&self) -> bool {
        !self.reactions.iter().any(Reaction::depends_on_viewer)
    }
}

/// A user who reacted to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reactor {
    /// With which emoji.
    pub emoji: Emoji,
    /// The user.
    pub user: Profile,
    /// When the user reacted.
    pub created_at: Timestamp,
    /// The number that the reaction took of the conversation's counter. Reactions are listed in this order.
    pub update: Update,
}

/// The reactions that a message has, as far as a further one depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReactionCounts {
    /// Different emoji.
    pub different: u64,
    /// Reactions of the user who wants to react.
    pub own: u64,
    /// Whether anybody reacted with the emoji.
    pub has_emoji: bool,
}

impl ReactionCounts {
    /// Most different emoji of a message (`docs/api.md`, Reactions).
    pub const MOST_DIFFERENT: u64 = 50;
    /// Most reactions of one user to a message (`docs/api.md`, Reactions).
    pub const MOST_OWN: u64 = 20;

    /// Whether the user may add a reaction that the user has not made yet.
    ///
    /// # Errors
    /// [`Conflict::TooManyReactions`].
    pub fn may_add(self) -> Result<()> {
        let is_one_too_many = !self.has_emoji && self.different >= Self::MOST_DIFFERENT;
        if is_one_too_many || self.own >= Self::MOST_OWN { Conflict::TooManyReactions.err() } else { Ok(()) }
    }
}

impl MessageService {
    /// Reacts to a message. Nothing changes if the caller has reacted with the emoji before.
    ///
    /// # Errors
    /// Those of [`MessageLog::react`](super::MessageLog::react).
    pub async fn react(&self, caller: &Caller, id: MessageId, emoji: Emoji) -> Result<()> {
        self.log.react(caller.user, id, emoji, self.clock.now()).await
    }

    /// Takes a reaction back. Nothing changes if there is none.
    ///
    /// # Errors
    /// Those of [`MessageLog::unreact`](super::MessageLog::unreact).
    pub async fn unreact(&self, caller: &Caller, id: MessageId, emoji: Emoji) -> Result<()> {
        self.log.unreact(caller.user, id, emoji, self.clock.now()).await
    }

    /// Lists who reacted to a message, all or with one emoji, oldest first, from behind a number.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message).
    pub async fn reactors(
        &self,
        caller: &Caller,
        id: MessageId,
        emoji: Option<Emoji>,
        after: Update,
        limit: Limit,
    ) -> Result<Page<Reactor>> {
        self.reader.reactors(caller.user, id, emoji, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, NotFound};
    use crate::messages::MockMessageLog;
    use crate::testing::{at, caller, message_id, message_service, outcome, user};
    use mockall::predicate::eq;
    use std::sync::Arc;

    #[test]
    fn an_emoji_is_exactly_one_and_fully_qualified() {
        for (text, kept) in [
            ("👍", "👍"),
            ("👍\u{fe0f}", "👍"),
            ("❤", "❤\u{fe0f}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("👍🏽", "👍🏽"),
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
            ("🇩🇪", "🇩🇪"),
            ("👩\u{200d}❤\u{200d}👨", "👩\u{200d}❤\u{fe0f}\u{200d}👨"),
            ("🫩", "🫩"),
        ] {
            assert_eq!(Emoji::parse(text).unwrap().as_str(), kept, "{text}");
        }
        for text in ["", "a", "1", "#", "👍👍", "👍 ", ":+1:", "🏽", "🇩", "\u{200d}", "❤\u{fe0e}", "🦰", "\0"]
        {
            assert_eq!(Emoji::parse(text).unwrap_err().field, "emoji", "{text:?}");
        }
    }

    #[test]
    fn a_message_has_room_for_some_emoji_and_a_user_for_fewer() {
        for (different, own, has_emoji, may) in [
            (0, 0, false, true),
            (49, 19, false, true),
            (50, 0, false, false),
            (50, 0, true, true),
            (20, 20, true, false),
            (20, 20, false, false),
        ] {
            let outcome = ReactionCounts { different, own, has_emoji }.may_add();
            assert_eq!(outcome.is_ok(), may, "{different} {own} {has_emoji}");
            assert!(may || matches!(outcome, Err(Error::Conflict(Conflict::TooManyReactions))));
        }
    }

    #[test]
    fn a_message_with_few_reactions_is_the_same_for_all() {
        let with = |count| Reaction { emoji: Emoji::parse("👍").unwrap(), count, users: vec![user(1)] };
        assert!(Message::sample().is_same_for_all());
        assert!(Message { reactions: vec![with(50), with(1)], ..Message::sample() }.is_same_for_all());
        assert!(!Message { reactions: vec![with(1), with(51)], ..Message::sample() }.is_same_for_all());
    }

    #[test]
    fn reactions_are_the_callers_and_happen_now() {
        let mut log = MockMessageLog::new();
        let emoji = Emoji::parse("👍").unwrap();
        let expected = (eq(user(1)), eq(message_id(3)), eq(emoji.clone()), eq(at(7)));
        log.expect_react()
            .once()
            .with(expected.0, expected.1, expected.2, expected.3)
            .returning(|_, _, _, _| NotFound::Message.err());
        log.expect_unreact()
            .once()
            .with(eq(user(1)), eq(message_id(3)), eq(emoji.clone()), eq(at(7)))
            .returning(|_, _, _, _| Ok(()));
        let messages = MessageService { log: Arc::new(log), ..message_service() };
        let refused = outcome(messages.react(&caller(1), message_id(3), emoji.clone()));
        assert!(matches!(refused, Err(Error::NotFound(NotFound::Message))));
        outcome(messages.unreact(&caller(1), message_id(3), emoji)).unwrap();
    }
}
