//! JSON of what a conversation is to its reader: settings and a draft.

use crate::{Id, Time};
use domain::views;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// The end of a mute: a time, or `forever`.
#[derive(Debug, Clone, Copy)]
pub struct Mute(views::Mute);

impl Serialize for Mute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            views::Mute::Until(end) => Time(end).serialize(serializer),
            views::Mute::Forever => serializer.serialize_str(views::Mute::FOREVER),
        }
    }
}

impl utoipa::PartialSchema for Mute {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let text: Object = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A time as RFC 3339 writes it, or `forever`."))
            .examples([views::Mute::FOREVER])
            .build();
        text.into()
    }
}

impl ToSchema for Mute {}

/// The words of [`views::Notify`].
fn notify_word() -> Object {
    use views::Notify::{All, Mentions, None};
    let words = [All, Mentions, None].map(views::Notify::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The reader's settings of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Settings {
    /// Absent if the conversation is not muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    muted_until: Option<Mute>,
    #[schema(schema_with = notify_word)]
    notify: &'static str,
    archived: bool,
    favourite: bool,
}

impl From<views::Settings> for Settings {
    fn from(settings: views::Settings) -> Self {
        let views::Settings { muted, notify, archived, favourite } = settings;
        Self { muted_until: muted.map(Mute), notify: notify.as_str(), archived, favourite }
    }
}

/// What the reader has begun to write in a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Draft {
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reply_to: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    thread_id: Option<Id>,
    updated_at: Time,
}

impl From<views::Draft> for Draft {
    fn from(draft: views::Draft) -> Self {
        let views::Draft { content, reply_to, thread_id, updated_at } = draft;
        Self {
            content: content.into_string(),
            reply_to: reply_to.map(|id| Id(id.0)),
            thread_id: thread_id.map(|id| Id(id.0)),
            updated_at: Time(updated_at),
        }
    }
}

/// The draft of a conversation as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct DraftChanged {
    /// `null` if there is none any more.
    #[schema(required)]
    draft: Option<Draft>,
}

impl From<Option<views::Draft>> for DraftChanged {
    fn from(draft: Option<views::Draft>) -> Self {
        Self { draft: draft.map(Into::into) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{MessageId, Timestamp};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn settings_say_how_long_a_conversation_is_muted() {
        let plain = json!({"notify": "all", "archived": false, "favourite": false});
        assert_eq!(serde_json::to_value(Settings::from(views::Settings::default())).unwrap(), plain);
        let until = views::Mute::Until(Timestamp::from_micros(0).unwrap());
        for (mute, word) in [(views::Mute::Forever, "forever"), (until, "1970-01-01T00:00:00.000000Z")] {
            let settings =
                views::Settings { muted: Some(mute), notify: views::Notify::Mentions, archived: true, favourite: true };
            let shown = json!({"muted_until": word, "notify": "mentions", "archived": true, "favourite": true});
            assert_eq!(serde_json::to_value(Settings::from(settings)).unwrap(), shown);
        }
    }

    #[test]
    fn a_draft_names_only_what_it_has() {
        let draft = views::Draft {
            content: views::DraftContent::parse("hm").unwrap().unwrap(),
            reply_to: None,
            thread_id: Some(MessageId(Uuid::nil())),
            updated_at: Timestamp::from_micros(0).unwrap(),
        };
        assert_eq!(
            serde_json::to_value(Draft::from(draft)).unwrap(),
            json!({"content": "hm", "thread_id": Uuid::nil().to_string(), "updated_at": "1970-01-01T00:00:00.000000Z"})
        );
    }
}
