//! Events as nodes tell them.

use domain::events::Event;
use domain::files::{File, FileName, MediaType, Sha256};
use domain::groups::{Description, Group, GroupName, Member, Role, Visibility};
use domain::messages::{AttachmentKind, Body, Caption, Message, MessageType, Place, Text, Tombstone};
use domain::users::Profile;
use domain::{ConversationId, FileId, GroupId, MessageId, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceOnWire {
    Direct(Uuid),
    Group(Uuid),
    Broadcast,
}

impl From<Place> for PlaceOnWire {
    fn from(place: Place) -> Self {
        match place {
            Place::Direct { receiver } => Self::Direct(receiver.0),
            Place::Group(group) => Self::Group(group.0),
            Place::Broadcast => Self::Broadcast,
        }
    }
}

impl From<PlaceOnWire> for Place {
    fn from(place: PlaceOnWire) -> Self {
        match place {
            PlaceOnWire::Direct(receiver) => Self::Direct { receiver: UserId(receiver) },
            PlaceOnWire::Group(group) => Self::Group(GroupId(group)),
            PlaceOnWire::Broadcast => Self::Broadcast,
        }
    }
}

/// An [`Event`]. Moments are microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EventOnWire {
    Created(MessageOnWire),
    Updated(MessageOnWire),
    Deleted { id: Uuid, of: Uuid, seq: i64, update: i64, at: i64, sender: Uuid, place: PlaceOnWire },
    Seen { of: Uuid, place: PlaceOnWire, message: Uuid, sender: Uuid, reader: Uuid, at: i64 },
    Read { of: Uuid, place: PlaceOnWire, told: Uuid, reader: Uuid, up_to: Uuid },
    GroupUpdated(GroupOnWire),
    GroupDeleted(GroupOnWire),
    MemberAdded(MemberOnWire),
    MemberUpdated(MemberOnWire),
    MemberRemoved(MemberOnWire),
    SessionEnded { user: Uuid, session: Uuid },
    UserDeleted(Uuid),
    Acquainted([Uuid; 2]),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageOnWire {
    id: Uuid,
    of: Uuid,
    place: PlaceOnWire,
    sender: Uuid,
    username: String,
    display_name: String,
    #[serde(rename = "type")]
    message_type: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    file: Option<FileOnWire>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reply_to: Option<Uuid>,
    seq: i64,
    update: i64,
    created: i64,
    updated: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    edited: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileOnWire {
    id: Uuid,
    uploader: Uuid,
    name: String,
    size: u64,
    media_type: String,
    sha256: [u8; 32],
    created: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupOnWire {
    id: Uuid,
    name: String,
    description: String,
    visibility: String,
    members: u64,
    created: i64,
    updated: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberOnWire {
    group: Uuid,
    user: Uuid,
    username: String,
    role: String,
    created: i64,
    updated: i64,
}

impl From<&Message> for MessageOnWire {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.0,
            of: message.conversation.0,
            place: message.place.into(),
            sender: message.sender.id.0,
            username: message.sender.username.clone(),
            display_name: message.sender.display_name.clone(),
            message_type: message.body.message_type().as_str().to_owned(),
            content: message.body.content().to_owned(),
            file: message.body.file().map(FileOnWire::from),
            reply_to: message.reply_to.map(|id| id.0),
            seq: message.seq,
            update: message.update,
            created: message.created_at.as_micros(),
            updated: message.updated_at.as_micros(),
            edited: message.edited_at.map(Timestamp::as_micros),
        }
    }
}

impl MessageOnWire {
    fn into_message(self) -> Option<Message> {
        let attachment = |kind, file: Option<FileOnWire>, words| {
            let caption = Caption::restored(words);
            Some(Body::Attachment { kind, file: file?.into_file()?, caption })
        };
        let body = match MessageType::parse(&self.message_type).ok()? {
            MessageType::Text => Body::Text(Text::restored(self.content)),
            MessageType::Image => attachment(AttachmentKind::Image, self.file, self.content)?,
            MessageType::File => attachment(AttachmentKind::File, self.file, self.content)?,
        };
        Some(Message {
            id: MessageId(self.id),
            conversation: ConversationId(self.of),
            place: self.place.into(),
            sender: Profile { id: UserId(self.sender), username: self.username, display_name: self.display_name },
            body,
            reply_to: self.reply_to.map(MessageId),
            seq: self.seq,
            update: self.update,
            created_at: Timestamp::from_micros(self.created)?,
            updated_at: Timestamp::from_micros(self.updated)?,
            edited_at: match self.edited {
                Some(at) => Some(Timestamp::from_micros(at)?),
                None => None,
            },
        })
    }
}

impl From<&File> for FileOnWire {
    fn from(file: &File) -> Self {
        Self {
            id: file.id.0,
            uploader: file.uploader.0,
            name: file.name.as_str().to_owned(),
            size: file.size,
            media_type: file.media_type.as_str().to_owned(),
            sha256: file.sha256.0,
            created: file.created_at.as_micros(),
        }
    }
}

impl FileOnWire {
    fn into_file(self) -> Option<File> {
        Some(File {
            id: FileId(self.id),
            uploader: UserId(self.uploader),
            name: FileName::restored(self.name),
            size: self.size,
            media_type: MediaType::restored(self.media_type),
            sha256: Sha256(self.sha256),
            created_at: Timestamp::from_micros(self.created)?,
        })
    }
}

impl From<&Group> for GroupOnWire {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.0,
            name: group.name.as_str().to_owned(),
            description: group.description.as_str().to_owned(),
            visibility: group.visibility.as_str().to_owned(),
            members: group.member_count,
            created: group.created_at.as_micros(),
            updated: group.updated_at.as_micros(),
        }
    }
}

impl GroupOnWire {
    fn into_group(self) -> Option<Group> {
        Some(Group {
            id: GroupId(self.id),
            name: GroupName::restored(self.name),
            description: Description::restored(self.description),
            visibility: Visibility::parse(&self.visibility).ok()?,
            member_count: self.members,
            created_at: Timestamp::from_micros(self.created)?,
            updated_at: Timestamp::from_micros(self.updated)?,
        })
    }
}

impl From<&Member> for MemberOnWire {
    fn from(member: &Member) -> Self {
        Self {
            group: member.group.0,
            user: member.user.0,
            username: member.username.clone(),
            role: member.role.as_str().to_owned(),
            created: member.created_at.as_micros(),
            updated: member.updated_at.as_micros(),
        }
    }
}

impl MemberOnWire {
    fn into_member(self) -> Option<Member> {
        Some(Member {
            group: GroupId(self.group),
            user: UserId(self.user),
            username: self.username,
            role: Role::parse(&self.role).ok()?,
            created_at: Timestamp::from_micros(self.created)?,
            updated_at: Timestamp::from_micros(self.updated)?,
        })
    }
}

impl From<&Event> for EventOnWire {
    fn from(event: &Event) -> Self {
        match event {
            Event::MessageCreated(message) => Self::Created(message.into()),
            Event::MessageUpdated(message) => Self::Updated(message.into()),
            Event::MessageDeleted { tombstone, sender, place } => Self::Deleted {
                id: tombstone.id.0,
                of: tombstone.conversation.0,
                seq: tombstone.seq,
                update: tombstone.update,
                at: tombstone.deleted_at.as_micros(),
                sender: sender.0,
                place: (*place).into(),
            },
            Event::MessageSeen { conversation, place, message, sender, reader, seen_at } => Self::Seen {
                of: conversation.0,
                place: (*place).into(),
                message: message.0,
                sender: sender.0,
                reader: reader.0,
                at: seen_at.as_micros(),
            },
            Event::ConversationRead { conversation, place, told, reader, up_to } => Self::Read {
                of: conversation.0,
                place: (*place).into(),
                told: told.0,
                reader: reader.0,
                up_to: up_to.0,
            },
            Event::GroupUpdated(group) => Self::GroupUpdated(group.into()),
            Event::GroupDeleted(group) => Self::GroupDeleted(group.into()),
            Event::MemberAdded(member) => Self::MemberAdded(member.into()),
            Event::MemberUpdated(member) => Self::MemberUpdated(member.into()),
            Event::MemberRemoved(member) => Self::MemberRemoved(member.into()),
            Event::SessionEnded { user, session } => Self::SessionEnded { user: user.0, session: session.0 },
            Event::UserDeleted(user) => Self::UserDeleted(user.0),
            Event::Acquainted(users) => Self::Acquainted(users.map(|user| user.0)),
        }
    }
}

impl EventOnWire {
    /// `None` where a part of it is none of ours.
    pub fn into_event(self) -> Option<Event> {
        Some(match self {
            Self::Created(message) => Event::MessageCreated(message.into_message()?),
            Self::Updated(message) => Event::MessageUpdated(message.into_message()?),
            Self::Deleted { id, of, seq, update, at, sender, place } => Event::MessageDeleted {
                tombstone: Tombstone {
                    id: MessageId(id),
                    conversation: ConversationId(of),
                    seq,
                    update,
                    deleted_at: Timestamp::from_micros(at)?,
                },
                sender: UserId(sender),
                place: place.into(),
            },
            Self::Seen { of, place, message, sender, reader, at } => Event::MessageSeen {
                conversation: ConversationId(of),
                place: place.into(),
                message: MessageId(message),
                sender: UserId(sender),
                reader: UserId(reader),
                seen_at: Timestamp::from_micros(at)?,
            },
            Self::Read { of, place, told, reader, up_to } => Event::ConversationRead {
                conversation: ConversationId(of),
                place: place.into(),
                told: UserId(told),
                reader: UserId(reader),
                up_to: MessageId(up_to),
            },
            Self::GroupUpdated(group) => Event::GroupUpdated(group.into_group()?),
            Self::GroupDeleted(group) => Event::GroupDeleted(group.into_group()?),
            Self::MemberAdded(member) => Event::MemberAdded(member.into_member()?),
            Self::MemberUpdated(member) => Event::MemberUpdated(member.into_member()?),
            Self::MemberRemoved(member) => Event::MemberRemoved(member.into_member()?),
            Self::SessionEnded { user, session } => {
                Event::SessionEnded { user: UserId(user), session: SessionId(session) }
            }
            Self::UserDeleted(user) => Event::UserDeleted(UserId(user)),
            Self::Acquainted(users) => Event::Acquainted(users.map(UserId)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    fn message(body: Body, place: Place) -> Message {
        Message {
            id: MessageId(id(1)),
            conversation: ConversationId(id(2)),
            place,
            sender: Profile { id: UserId(id(3)), username: "ada".into(), display_name: "Ada \"|\" 🦀".into() },
            body,
            reply_to: Some(MessageId(id(4))),
            seq: 5,
            update: 6,
            created_at: at(7),
            updated_at: at(8),
            edited_at: Some(at(9)),
        }
    }

    #[test]
    fn every_event_comes_out_as_it_went_in() {
        let file = File {
            id: FileId(id(10)),
            uploader: UserId(id(3)),
            name: FileName::restored("a b.png".into()),
            size: 11,
            media_type: MediaType::restored("image/png".into()),
            sha256: Sha256([7; 32]),
            created_at: at(12),
        };
        let image = Body::Attachment { kind: AttachmentKind::Image, file, caption: Caption::restored("look".into()) };
        let words = Body::Text(Text::restored("a | \"b\"\n".into()));
        let group = Group {
            id: GroupId(id(13)),
            name: GroupName::restored("tea".into()),
            description: Description::restored("hot".into()),
            visibility: Visibility::Private,
            member_count: 14,
            created_at: at(15),
            updated_at: at(16),
        };
        let member = Member {
            group: group.id,
            user: UserId(id(17)),
            username: "bob".into(),
            role: Role::Admin,
            created_at: at(18),
            updated_at: at(19),
        };
        let (in_group, direct) = (Place::Group(group.id), Place::Direct { receiver: UserId(id(20)) });
        let tombstone = Tombstone {
            id: MessageId(id(1)),
            conversation: ConversationId(id(2)),
            seq: 3,
            update: 4,
            deleted_at: at(5),
        };
        for event in [
            Event::MessageCreated(message(words.clone(), direct)),
            Event::MessageCreated(Message { reply_to: None, edited_at: None, ..message(image, in_group) }),
            Event::MessageUpdated(message(words, Place::Broadcast)),
            Event::MessageDeleted { tombstone, sender: UserId(id(3)), place: in_group },
            Event::MessageSeen {
                conversation: ConversationId(id(2)),
                place: direct,
                message: MessageId(id(1)),
                sender: UserId(id(3)),
                reader: UserId(id(20)),
                seen_at: at(21),
            },
            Event::ConversationRead {
                conversation: ConversationId(id(2)),
                place: in_group,
                told: UserId(id(20)),
                reader: UserId(id(3)),
                up_to: MessageId(id(1)),
            },
            Event::GroupUpdated(group.clone()),
            Event::GroupDeleted(group),
            Event::MemberAdded(member.clone()),
            Event::MemberUpdated(member.clone()),
            Event::MemberRemoved(member),
            Event::SessionEnded { user: UserId(id(3)), session: SessionId(id(22)) },
            Event::UserDeleted(UserId(id(3))),
            Event::Acquainted([UserId(id(3)), UserId(id(20))]),
        ] {
            let sent = serde_json::to_vec(&EventOnWire::from(&event)).unwrap();
            let come: EventOnWire = serde_json::from_slice(&sent).unwrap();
            assert_eq!(come.into_event(), Some(event));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_no_event() {
        let sent = serde_json::json!({ "MemberAdded": {
            "group": id(1), "user": id(2), "username": "x", "role": "emperor", "created": 0, "updated": 0,
        } });
        assert_eq!(serde_json::from_value::<EventOnWire>(sent).unwrap().into_event(), None);
    }
}
