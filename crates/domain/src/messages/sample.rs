//! A message for tests of any crate.

use super::{Body, Destination, Mentions, Message, Seq, Text, Update};
use crate::context::Timestamp;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::users::Profile;
use chrono::DateTime;
use uuid::Uuid;

impl Message {
    /// A text that user 1, Ada, sent to user 2 in 1970: the first message of conversation 1, and never changed. A test
    /// sets the fields that it is about, and takes the rest from here. So a new field of messages touches no such test.
    pub fn sample() -> Self {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let at = Timestamp::from(DateTime::UNIX_EPOCH);
        Self {
            id: MessageId(one),
            conversation: ConversationId(one),
            destination: Destination::Direct { receiver: UserId(two) },
            sender: Profile { id: UserId(one), username: "ada".to_owned(), display_name: "Ada".to_owned() },
            body: Body::Text(Text::from_stored("hello".to_owned())),
            reply_to: None,
            mentions: Mentions::default(),
            reactions: Vec::new(),
            pinned: None,
            thread_id: None,
            thread: None,
            forwarded: None,
            seq: Seq(1),
            update: Update(1),
            created_at: at,
            updated_at: at,
            edited_at: None,
        }
    }
}
