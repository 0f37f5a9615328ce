//! Rows of the tables, and their conversion to values of the domain.

use crate::error::Corrupt;
use crate::tables::schema::{conversations, files, members, messages, users};
use crate::tables::sql_types::{Id, StoredDigest, Time};
use diesel::prelude::*;
use domain::UserId;
use domain::events::{ConversationVersion, Revision};
use domain::files::{File, FileName, Image, MediaType, Sha256, ThumbHash};
use domain::groups::{Description, Group, GroupAccess, GroupName, Member, Role, Visibility};
use domain::messages::{
    Access, AttachmentKind, Body, Caption, Destination, Forwarded, Mentions, Message, MessageType, Pin, Reaction, Seq,
    Text, ThreadSummary, Tombstone, Update,
};
use domain::users::{DisplayName, Email, Profile, User, UserRole, Username};

/// Reads a stored word with a parser of the domain.
pub fn word<T, E>(what: &'static str, value: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Corrupt> {
    parse(value).map_err(|_| Corrupt { what, value: value.to_owned() })
}

/// A role in a group as stored.
pub fn role(value: &str) -> Result<Role, Corrupt> {
    word("role", value, Role::parse)
}

/// A role on the server as stored.
pub fn user_role(value: &str) -> Result<UserRole, Corrupt> {
    match value {
        "member" => Ok(UserRole::Member),
        "admin" => Ok(UserRole::Admin),
        _ => Err(Corrupt { what: "user role", value: value.to_owned() }),
    }
}

/// A stored count or size. Never negative.
pub fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn hash(bytes: &[u8]) -> Result<Sha256, Corrupt> {
    let digest = <[u8; 32]>::try_from(bytes);
    digest.map(Sha256).map_err(|_| Corrupt { what: "SHA-256", value: format!("{} bytes", bytes.len()) })
}

/// What is known of an image, as stored.
fn image(width: i64, height: i64, thumb_hash: Vec<u8>) -> Result<Image, Corrupt> {
    let found = (u32::try_from(width), u32::try_from(height), ThumbHash::of_bytes(thumb_hash));
    let (Ok(width), Ok(height), Some(thumb_hash)) = found else {
        return Err(Corrupt { what: "image", value: format!("{width}x{height}") });
    };
    Ok(Image { width, height, thumb_hash })
}

/// All columns of a user.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct UserRow {
    pub id: Id,
    pub username: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub role: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
    pub disabled_at: Option<Time>,
}

impl UserRow {
    /// # Errors
    /// [`Corrupt`].
    pub fn into_user(self) -> Result<User, Corrupt> {
        Ok(User {
            id: self.id.into(),
            username: Username::from_stored(self.username),
            display_name: self.display_name.map(DisplayName::from_stored),
            email: self.email.map(Email::from_stored),
            role: user_role(&self.role)?,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            deleted_at: self.deleted_at.map(Into::into),
            disabled_at: self.disabled_at.map(Into::into),
        })
    }
}

/// A user's names, as shown beside the user's messages.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct ProfileRow {
    pub id: Id,
    pub username: String,
    pub display_name: Option<String>,
    pub role: String,
    pub deleted_at: Option<Time>,
}

impl ProfileRow {
    /// The names that others see.
    pub fn profile(&self) -> Profile {
        let username = Username::from_stored(self.username.clone());
        let display_name = self.display_name.clone().map(DisplayName::from_stored);
        Profile::of(self.id.into(), &username, display_name.as_ref(), self.deleted_at.is_some())
    }
}

/// The columns of a conversation that the rules look at.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = conversations)]
pub struct ConversationRow {
    pub id: Id,
    pub kind: String,
    pub update: i64,
    pub last_seq: i64,
    pub active_at: Option<Time>,
    pub first_user: Option<Id>,
    pub second_user: Option<Id>,
    pub visibility: Option<String>,
    pub revision: i64,
    pub roster_revision: i64,
    pub deleted_at: Option<Time>,
    /// Retention has deleted every message up to this `seq`.
    pub expired_up_to: i64,
    /// The revision of the transaction that sent the newest message, and the number of that message within the
    /// transaction.
    pub sent_revision: i64,
    pub sent_nth: i64,
    /// Which users of a direct conversation have ever written: 1 the first, 2 the second, 3 both.
    pub written_by: i64,
    /// The digest of the conversation at `update`.
    pub digest: StoredDigest,
    /// How many messages were ever sent.
    pub message_count: i64,
    /// A message from this time on may bring the conversation back for a member who has archived it.
    pub archived_until: Option<Time>,
}

impl ConversationRow {
    /// The version of the conversation.
    pub fn version(&self) -> ConversationVersion {
        ConversationVersion {
            update: Update(self.update),
            messages_revision: Revision(self.revision),
            membership_revision: Revision(self.roster_revision),
        }
    }

    /// The access of a user with that role in the conversation.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn access(&self, user: UserId, role: Option<Role>) -> Result<Access, Corrupt> {
        Ok(match self.kind.as_str() {
            "direct" if [self.first_user, self.second_user].contains(&Some(user.into())) => Access::Participant,
            "direct" => Access::Stranger,
            "group" => Access::Group(self.group_access(role)?),
            "broadcast" => Access::Broadcast,
            other => return Err(Corrupt { what: "conversation kind", value: other.to_owned() }),
        })
    }

    /// The access of a user with that role in the group.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn group_access(&self, role: Option<Role>) -> Result<GroupAccess, Corrupt> {
        let visibility = word("visibility", self.visibility.as_deref().unwrap_or_default(), Visibility::parse)?;
        Ok(GroupAccess { visibility, role })
    }

    /// The destination of a message of that sender.
    pub fn destination(&self, sender: Id) -> Destination {
        match (self.first_user, self.second_user) {
            (Some(first), Some(second)) => {
                Destination::Direct { receiver: if sender == first { second } else { first }.into() }
            }
            _ if self.kind == "group" => Destination::Group(self.id.into()),
            _ => Destination::Broadcast,
        }
    }
}

/// All columns of a group.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = conversations)]
pub struct GroupRow {
    pub id: Id,
    pub name: Option<String>,
    pub description: Option<String>,
    pub visibility: Option<String>,
    pub member_count: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl GroupRow {
    /// # Errors
    /// [`Corrupt`].
    pub fn into_group(self) -> Result<Group, Corrupt> {
        Ok(Group {
            id: self.id.into(),
            name: GroupName::from_stored(self.name.unwrap_or_default()),
            description: Description::from_stored(self.description.unwrap_or_default()),
            visibility: word("visibility", self.visibility.as_deref().unwrap_or_default(), Visibility::parse)?,
            member_count: count(self.member_count),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// A member without the name.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = members)]
pub struct MemberRow {
    pub conversation_id: Id,
    pub user_id: Id,
    pub role: String,
    pub joined_at: Time,
    pub updated_at: Time,
}

impl MemberRow {
    /// # Errors
    /// [`Corrupt`].
    pub fn into_member(self, user: &ProfileRow) -> Result<Member, Corrupt> {
        Ok(Member {
            group: self.conversation_id.into(),
            user: self.user_id.into(),
            username: user.profile().username,
            role: role(&self.role)?,
            created_at: self.joined_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// All columns of a file.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = files, treat_none_as_default_value = false)]
pub struct FileRow {
    pub id: Id,
    pub uploader_id: Id,
    pub name: String,
    pub size: i64,
    pub media_type: String,
    pub sha256: Vec<u8>,
    pub created_at: Time,
    /// With `height` and `thumbhash`: all three or none.
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub thumbhash: Option<Vec<u8>>,
    /// `None` if the client sent what is stored.
    pub sent_sha256: Option<Vec<u8>>,
}

impl FileRow {
    /// # Errors
    /// [`Corrupt`].
    pub fn into_file(self) -> Result<File, Corrupt> {
        let sha256 = hash(&self.sha256)?;
        let sent_sha256 = self.sent_sha256.as_deref().map_or(Ok(sha256), hash)?;
        let image = match (self.width, self.height, self.thumbhash) {
            (Some(width), Some(height), Some(placeholder)) => Some(image(width, height, placeholder)?),
            _ => None,
        };
        Ok(File {
            id: self.id.into(),
            uploader: self.uploader_id.into(),
            name: FileName::from_stored(self.name),
            size: count(self.size),
            media_type: MediaType::from_stored(self.media_type),
            sha256,
            sent_sha256,
            image,
            created_at: self.created_at.into(),
        })
    }
}

impl From<&File> for FileRow {
    fn from(file: &File) -> Self {
        Self {
            id: file.id.into(),
            uploader_id: file.uploader.into(),
            name: file.name.as_str().to_owned(),
            size: i64::try_from(file.size).unwrap_or(i64::MAX),
            media_type: file.media_type.as_str().to_owned(),
            sha256: file.sha256.0.to_vec(),
            created_at: file.created_at.into(),
            width: file.image.as_ref().map(|image| image.width.into()),
            height: file.image.as_ref().map(|image| image.height.into()),
            thumbhash: file.image.as_ref().map(|image| image.thumb_hash.as_bytes().to_vec()),
            sent_sha256: (file.sent_sha256 != file.sha256).then(|| file.sent_sha256.0.to_vec()),
        }
    }
}

/// A message without its sender and its file.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
pub struct MessageRow {
    pub conversation_id: Id,
    pub seq: i64,
    pub id: Id,
    pub sender_id: Id,
    pub message_type: String,
    pub content: String,
    pub file_id: Option<Id>,
    pub reply_to: Option<Id>,
    pub client_id: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub edited_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub update: i64,
    pub revision: i64,
    pub thread_id: Option<Id>,
    /// [`REACTIONS`](Self::REACTIONS), [`REPLIES`](Self::REPLIES) and [`MENTIONS`](Self::MENTIONS), if other rows
    /// belong to it.
    pub has: i64,
    pub pinned_update: Option<i64>,
    pub pinned_at: Option<Time>,
    pub pinned_by: Option<Id>,
    pub forward_of: Option<Id>,
    pub forwarded_from: Option<Id>,
    pub forwarded_at: Option<Time>,
    pub said_mentions: Option<Vec<u8>>,
}

/// What other rows and a message's destination tell of it.
pub struct MessageParts {
    pub destination: Destination,
    pub sender: Profile,
    pub file: Option<File>,
    pub mentions: Mentions,
    pub reactions: Vec<Reaction>,
    pub thread: Option<ThreadSummary>,
    pub forwarded_from: Option<Profile>,
}

impl MessageRow {
    /// The bit of `has` of a message that somebody has reacted to.
    pub const REACTIONS: i64 = 1;
    /// The bit of `has` of a message that somebody has replied to in its thread.
    pub const REPLIES: i64 = 2;

    /// The bit of `has` of a message that mentions somebody.
    pub const MENTIONS: i64 = 4;

    fn pin(&self) -> Option<Pin> {
        let (update, at, by) = (self.pinned_update?, self.pinned_at?, self.pinned_by?);
        Some(Pin { at: at.into(), by: by.into(), update: Update(update) })
    }

    /// The message with its parts.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn into_message(self, parts: MessageParts) -> Result<Message, Corrupt> {
        let MessageParts { destination, sender, file, mentions, reactions, thread, forwarded_from } = parts;
        let pinned = self.pin();
        let forwarded = forwarded_from.zip(self.forwarded_at);
        let message_type = word("message type", &self.message_type, MessageType::parse)?;
        let kind = match message_type {
            MessageType::Text => None,
            MessageType::Image => Some(AttachmentKind::Image),
            MessageType::File => Some(AttachmentKind::File),
        };
        let body = match (kind, file) {
            (None, _) => Body::Text(Text::from_stored(self.content)),
            (Some(kind), Some(file)) => Body::Attachment { kind, file, caption: Caption::from_stored(self.content) },
            (Some(_), None) => return Err(Corrupt { what: "message with a file", value: self.message_type }),
        };
        Ok(Message {
            id: self.id.into(),
            conversation: self.conversation_id.into(),
            destination,
            sender,
            body,
            reply_to: self.reply_to.map(Into::into),
            mentions,
            reactions,
            pinned,
            thread_id: self.thread_id.map(Into::into),
            thread,
            forwarded: forwarded.map(|(sender, at)| Forwarded { sender, created_at: at.into() }),
            seq: Seq(self.seq),
            update: Update(self.update),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            edited_at: self.edited_at.map(Into::into),
        })
    }

    /// The tombstone of a deleted message.
    pub fn tombstone(&self) -> Option<Tombstone> {
        self.deleted_at.map(|deleted_at| Tombstone {
            id: self.id.into(),
            conversation: self.conversation_id.into(),
            seq: Seq(self.seq),
            update: Update(self.update),
            deleted_at: deleted_at.into(),
        })
    }
}
