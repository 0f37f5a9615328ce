//! The export of a user's data: one JSON object, written part by part.

use crate::PublicUrl;
use crate::{ApiToken, Draft, File, Id, Message, Settings, Time, User};
use domain::export::{
    Counterpart, ExportPart, Membership, MentionedIn, OwnReaction, PastSession, PastVersion, ReadRange,
};
use domain::{Timestamp, users};
use serde::Serialize;
use utoipa::ToSchema;

/// All data of a user. It contains no messages that others wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    /// When the export began. The server reads its parts one after the other.
    exported_at: Time,
    user: User,
    /// All sessions, ended ones too.
    sessions: Vec<ExportedSession>,
    /// The user's conversations.
    conversations: Vec<ExportedConversation>,
    /// The messages that the user sent and that are not deleted, also to groups that the user has left.
    messages: Vec<Message>,
    /// What these messages said before their edits.
    versions: Vec<ExportedVersion>,
    /// The user's reactions, also in groups that the user has left.
    reactions: Vec<ExportedReaction>,
    /// The messages of others that mention the user and that the user may read, newest first.
    mentions: Vec<ExportedMention>,
    /// The ranges of messages that the user has seen.
    receipts: Vec<ExportedReceipt>,
    /// The user's uploads.
    files: Vec<File>,
    /// The tokens that the user made for programs, without their secrets.
    tokens: Vec<ApiToken>,
}

/// A session of the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSession {
    id: Id,
    created_at: Time,
    last_seen_at: Time,
    #[schema(required)]
    user_agent: Option<String>,
    /// When the user or an admin ended it before it expired, or null.
    #[schema(required)]
    ended_at: Option<Time>,
}

impl From<PastSession> for ExportedSession {
    fn from(PastSession { session, ended_at }: PastSession) -> Self {
        Self {
            id: Id(session.id.0),
            created_at: Time(session.created_at),
            last_seen_at: Time(session.last_seen_at),
            user_agent: session.user_agent.map(|agent| agent.as_str().to_owned()),
            ended_at: ended_at.map(Time),
        }
    }
}

/// The other user of a direct conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedUser {
    id: Id,
    #[schema(examples("bob"))]
    username: String,
}

/// A group, and the user's role in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedGroup {
    id: Id,
    #[schema(examples("book club"))]
    name: String,
    #[schema(schema_with = super::role_word)]
    role: &'static str,
}

/// A conversation of the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedConversation {
    id: Id,
    #[schema(schema_with = super::kind_word)]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<ExportedUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<ExportedGroup>,
    joined_at: Time,
    /// The user has seen everything up to this `seq`.
    read_up_to: i64,
    settings: Settings,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    draft: Option<Draft>,
}

impl From<Membership> for ExportedConversation {
    fn from(membership: Membership) -> Self {
        let (kind, user, group) = match membership.with {
            Counterpart::User(other) => {
                ("direct", Some(ExportedUser { id: Id(other.id.0), username: other.username }), None)
            }
            Counterpart::Group(id, name, role) => {
                let group = ExportedGroup { id: Id(id.0), name: name.into_string(), role: role.as_str() };
                ("group", None, Some(group))
            }
            Counterpart::Everybody => ("broadcast", None, None),
        };
        Self {
            id: Id(membership.conversation.0),
            kind,
            user,
            group,
            joined_at: Time(membership.joined_at),
            read_up_to: membership.read_up_to.0,
            settings: membership.settings.into(),
            draft: membership.draft.map(Into::into),
        }
    }
}

/// What a message of the user said before an edit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedVersion {
    message_id: Id,
    content: String,
    /// Since when the message said so.
    created_at: Time,
}

impl From<PastVersion> for ExportedVersion {
    fn from(PastVersion { message, version }: PastVersion) -> Self {
        Self { message_id: Id(message.0), content: version.content, created_at: Time(version.created_at) }
    }
}

/// A reaction of the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReaction {
    conversation_id: Id,
    message_id: Id,
    #[schema(examples("👍"))]
    emoji: String,
    created_at: Time,
}

impl From<OwnReaction> for ExportedReaction {
    fn from(reaction: OwnReaction) -> Self {
        Self {
            conversation_id: Id(reaction.conversation.0),
            message_id: Id(reaction.message.0),
            emoji: reaction.emoji.into_string(),
            created_at: Time(reaction.created_at),
        }
    }
}

/// A message that mentions the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedMention {
    conversation_id: Id,
    message_id: Id,
    /// When it was sent.
    created_at: Time,
}

impl From<MentionedIn> for ExportedMention {
    fn from(mention: MentionedIn) -> Self {
        Self {
            conversation_id: Id(mention.conversation.0),
            message_id: Id(mention.message.0),
            created_at: Time(mention.created_at),
        }
    }
}

/// The user saw everything after one `seq` and up to another at that time.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReceipt {
    conversation_id: Id,
    after_seq: i64,
    up_to_seq: i64,
    seen_at: Time,
}

impl From<ReadRange> for ExportedReceipt {
    fn from(seen: ReadRange) -> Self {
        Self {
            conversation_id: Id(seen.conversation.0),
            after_seq: seen.after.0,
            up_to_seq: seen.up_to.0,
            seen_at: Time(seen.seen_at),
        }
    }
}

/// The lists of an [`Export`], in order.
const LISTS: [&str; 9] =
    ["sessions", "conversations", "messages", "versions", "reactions", "mentions", "receipts", "files", "tokens"];

/// Writes an [`Export`] piece by piece. The pieces are bounded as the parts are; together they form one JSON object.
#[derive(Debug, Default)]
pub struct ExportWriter {
    /// The base URL of files.
    public: PublicUrl,
    /// The number of lists begun.
    begun: usize,
    /// Whether the last list has an entry.
    filled: bool,
}

impl ExportWriter {
    /// A writer that encodes files' URLs relative to this base URL.
    pub fn at(public: PublicUrl) -> Self {
        Self { public, ..Self::default() }
    }

    /// The beginning of the object.
    ///
    /// # Errors
    /// None is expected: every part serializes.
    pub fn begin(&self, at: Timestamp, account: users::UserView) -> serde_json::Result<Vec<u8>> {
        let mut text = format!(r#"{{"exported_at":{},"user":"#, serde_json::to_string(&Time(at))?).into_bytes();
        serde_json::to_writer(&mut text, &User::from(account))?;
        Ok(text)
    }

    /// The next part. The caller passes the parts in the order of the lists.
    ///
    /// # Errors
    /// As [`ExportWriter::begin`].
    pub fn part(&mut self, part: ExportPart) -> serde_json::Result<Vec<u8>> {
        let (mut text, public) = (Vec::new(), self.public.clone());
        match part {
            ExportPart::Sessions(items) => self.list(&mut text, 1, items, ExportedSession::from)?,
            ExportPart::Conversations(items) => self.list(&mut text, 2, items, ExportedConversation::from)?,
            ExportPart::Messages(items) => self.list(&mut text, 3, items, |item| Message::at(&public, item))?,
            ExportPart::Versions(items) => self.list(&mut text, 4, items, ExportedVersion::from)?,
            ExportPart::Reactions(items) => self.list(&mut text, 5, items, ExportedReaction::from)?,
            ExportPart::Mentions(items) => self.list(&mut text, 6, items, ExportedMention::from)?,
            ExportPart::Seen(items) => self.list(&mut text, 7, items, ExportedReceipt::from)?,
            ExportPart::Files(items) => self.list(&mut text, 8, items, |item| File::at(&public, item))?,
            ExportPart::Tokens(items) => self.list(&mut text, 9, items, ApiToken::from)?,
        }
        Ok(text)
    }

    /// The end of the object.
    pub fn end(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.open(&mut text, LISTS.len());
        text.extend(b"]}");
        text
    }

    /// Ends lists and begins the next ones until so many have begun.
    fn open(&mut self, text: &mut Vec<u8>, number: usize) {
        for name in LISTS.iter().take(number).skip(self.begun) {
            if self.begun > 0 {
                text.push(b']');
            }
            text.extend(format!(r#","{name}":["#).into_bytes());
            self.begun += 1;
            self.filled = false;
        }
    }

    fn list<T: Serialize, D>(
        &mut self,
        text: &mut Vec<u8>,
        number: usize,
        items: Vec<D>,
        shown: impl Fn(D) -> T,
    ) -> serde_json::Result<()> {
        self.open(text, number);
        for item in items {
            if self.filled {
                text.push(b',');
            }
            serde_json::to_writer(&mut *text, &shown(item))?;
            self.filled = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::messages::Seq;
    use domain::users::{Profile, UserView};
    use domain::{ConversationId, UserId};
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    /// The JSON of these parts.
    fn written(parts: Vec<ExportPart>) -> Value {
        let profile = Profile { id: UserId(Uuid::nil()), username: "ada".to_owned(), display_name: "A".to_owned() };
        let account = UserView { profile, email: None, admin: false, created_at: at(1), updated_at: at(1) };
        let mut writer = ExportWriter::default();
        let mut text = writer.begin(at(7), account).unwrap();
        for part in parts {
            text.extend(writer.part(part).unwrap());
        }
        text.extend(writer.end());
        serde_json::from_slice(&text).unwrap()
    }

    fn seen(up_to: i64) -> ReadRange {
        ReadRange { conversation: ConversationId(Uuid::nil()), after: Seq(0), up_to: Seq(up_to), seen_at: at(1) }
    }

    #[test]
    fn however_it_comes_in_parts_it_is_one_object() {
        let empty = json!([]);
        for parts in [vec![], vec![ExportPart::Sessions(vec![]), ExportPart::Files(vec![])]] {
            let export = written(parts);
            assert!(LISTS.iter().all(|list| export[list] == empty), "{export}");
            assert_eq!(
                (&export["user"]["username"], export.as_object().unwrap().len()),
                (&json!("ada"), 2 + LISTS.len())
            );
        }
        let parts = [vec![seen(1)], vec![], vec![seen(2), seen(3)]];
        let export = written(parts.into_iter().map(ExportPart::Seen).collect());
        let places: Vec<_> =
            export["receipts"].as_array().unwrap().iter().map(|one| one["up_to_seq"].clone()).collect();
        assert_eq!(places, [1, 2, 3]);
        assert_eq!((&export["messages"], &export["files"]), (&empty, &empty));
    }
}
