use super::*;
use domain::events::{ConversationVersion, Revision};
use domain::files::{File, FileName, Image as Picture, MediaType, Sha256, ThumbHash};
use domain::groups::{Description, Group, GroupName, Member, Role, Visibility};
use domain::messages::{
    AttachmentKind, Body, Caption, Destination, Emoji, Mentions, Message, Pin, Reaction, Seq, ShortDigest, Text,
    ThreadSummary, Tombstone, Update,
};
use domain::users::Profile;
use domain::{ConversationId, FileId, GroupId, MessageId, SessionId, Timestamp};

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn message(body: Body, destination: Destination) -> Message {
    Message {
        conversation: ConversationId(id(2)),
        destination,
        sender: Profile { id: UserId(id(3)), username: "ada".into(), display_name: "Ada \"|\" 🦀".into() },
        body,
        reply_to: Some(MessageId(id(4))),
        mentions: Mentions { users: vec![UserId(id(28))], all: true },
        reactions: vec![Reaction { emoji: Emoji::from_stored("🦀".into()), count: 1, users: vec![UserId(id(21))] }],
        pinned: Some(Pin { at: at(22), by: UserId(id(23)), update: Update(24) }),
        thread_id: Some(MessageId(id(25))),
        thread: Some(ThreadSummary { replies: 26, last_reply_at: at(27) }),
        forwarded: Some(Message::sample().forwarded_as()),
        seq: Seq(5),
        update: Update(6),
        created_at: at(7),
        updated_at: at(8),
        edited_at: Some(at(9)),
        ..Message::sample()
    }
}

/// One of each kind, and each kind of what they carry.
fn events() -> Vec<Event> {
    let file = File {
        id: FileId(id(10)),
        uploader: UserId(id(3)),
        name: FileName::from_stored("a b.png".into()),
        size: 11,
        media_type: MediaType::from_stored("image/png".into()),
        sha256: Sha256([7; 32]),
        sent_sha256: Sha256([8; 32]),
        image: Some(Picture { width: 9, height: 10, thumb_hash: ThumbHash::of_bytes(vec![1, 2]).unwrap() }),
        created_at: at(12),
    };
    let caption = |words: &str| Caption::from_stored(words.into());
    let image = Body::Attachment { kind: AttachmentKind::Image, file: file.clone(), caption: caption("look") };
    let download = Body::Attachment { kind: AttachmentKind::File, file, caption: caption("") };
    let words = Body::Text(Text::from_stored("a | \"b\"\n".into()));
    let group = Group {
        id: GroupId(id(13)),
        name: GroupName::from_stored("tea".into()),
        description: Description::from_stored("hot".into()),
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
    let (in_group, direct) = (Destination::Group(group.id), Destination::Direct { receiver: UserId(id(20)) });
    let tombstone = Tombstone {
        id: MessageId(id(1)),
        conversation: ConversationId(id(2)),
        seq: Seq(3),
        update: Update(4),
        deleted_at: at(5),
    };
    let digest = Some(ShortDigest::parse("0123456789abcdef").unwrap());
    vec![
        Event::MessageCreated(message(words.clone(), direct), digest),
        Event::MessageCreated(Message { reply_to: None, edited_at: None, ..message(image, in_group) }, None),
        Event::MessageCreated(message(download, in_group), digest),
        Event::MessageUpdated(message(words, Destination::Broadcast), digest),
        Event::MessageDeleted { tombstone, sender: UserId(id(3)), destination: in_group, digest },
        Event::MessageSeen {
            conversation: ConversationId(id(2)),
            destination: direct,
            message: MessageId(id(1)),
            sender: UserId(id(3)),
            reader: UserId(id(20)),
            seen_at: at(21),
        },
        Event::ConversationRead {
            conversation: ConversationId(id(2)),
            destination: in_group,
            recipient: UserId(id(20)),
            reader: UserId(id(3)),
            up_to: MessageId(id(1)),
        },
        Event::GroupUpdated(group.clone()),
        Event::GroupDeleted(Group { visibility: Visibility::Public, ..group }),
        Event::MemberAdded(member.clone()),
        Event::MemberUpdated(Member { role: Role::Owner, ..member.clone() }),
        Event::MemberRemoved(Member { role: Role::Member, ..member }),
        Event::SessionEnded { user: UserId(id(3)), session: SessionId(id(22)) },
        Event::UserDeleted(UserId(id(3))),
        Event::Acquainted([UserId(id(3)), UserId(id(20))]),
    ]
}

fn messages() -> Vec<PeerMessage> {
    let users = || vec![UserId(id(3)), UserId(id(17))];
    let audience = PresenceAudience { groups: vec![GroupId(id(13))], contacts: users() };
    let version = |update| ConversationVersion {
        update: Update(update),
        messages_revision: Revision(30),
        membership_revision: Revision(31),
    };
    let (before, after) = (version(5), version(6));
    let delta = ConversationDelta { conversation: ConversationId(id(2)), before, after, events: events() };
    let typing = |conversation, audience| {
        PeerMessage::Typing(Typing { user: UserId(id(3)), username: "ada".into(), conversation, audience })
    };
    let group = GroupId(id(13));
    vec![
        PeerMessage::Delta(delta.without_events(), Audience::Users([UserId(id(3)), UserId(id(17))])),
        PeerMessage::Delta(delta, Audience::Members(group)),
        PeerMessage::GlobalEvent(Box::new(Event::UserDeleted(UserId(id(3))))),
        typing(Some(ConversationId(id(2))), Audience::MembersAmong(group, [UserId(id(3)), UserId(id(17))])),
        typing(None, Audience::Everybody),
        PeerMessage::Presence(Announcement { user: UserId(id(3)), online: true, audience: audience.clone() }),
        PeerMessage::LastConnectionGone(UserId(id(3))),
        PeerMessage::StillOnline(UserId(id(3))),
        PeerMessage::WhoIsOnline(UserId(id(3)), audience),
        PeerMessage::Online { asked_by: UserId(id(3)), users: users() },
        PeerMessage::Heartbeat,
        PeerMessage::RosterRequest { node: id(40) },
        PeerMessage::RosterPart { users: users(), part: 1, parts: 2 },
        PeerMessage::Leaving { users: users() },
    ]
}

fn encoded(sequence: u64, message: &PeerMessage) -> Vec<u8> {
    encode(id(50), sequence, message).unwrap()
}

#[test]
fn every_message_arrives_as_it_was_sent() {
    for (sequence, message) in (0..).zip(messages()) {
        let envelope = decode(&encoded(sequence, &message)).unwrap();
        assert_eq!((envelope.sender, envelope.sequence, envelope.message), (id(50), sequence, message));
    }
}

/// FNV-1a of the JSON of all messages above.
const FINGERPRINT: u64 = 0xfb81_2568_e89f_f3cf;

#[test]
fn the_version_changes_with_the_packets() {
    let bytes = messages().iter().flat_map(|message| encoded(1, message)).collect::<Vec<u8>>();
    let fingerprint = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    assert_eq!(fingerprint, FINGERPRINT, "the packets look different: count VERSION on and note the new fingerprint");
}

#[test]
fn packets_of_other_versions_are_refused() {
    let packet = serde_json::from_slice::<serde_json::Value>(&encoded(1, &PeerMessage::Heartbeat)).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut packet = packet.clone();
        packet[key] = value;
        decode(&serde_json::to_vec(&packet).unwrap())
    };
    assert!(with("version", VERSION.into()).is_ok());
    assert!(matches!(with("version", (VERSION + 1).into()), Err(DecodeError::Version(_))));
    // A message that this version does not know, of another one and of its own.
    let unknown = || serde_json::json!({ "Mood": { "emoji": "🦀" } });
    let mut other = packet.clone();
    (other["version"], other["message"]) = ((VERSION + 1).into(), unknown());
    assert!(matches!(decode(&serde_json::to_vec(&other).unwrap()), Err(DecodeError::Version(_))));
    assert!(matches!(with("message", unknown()), Err(DecodeError::Malformed(_))));
    // What versions before the first number sent.
    let old = serde_json::json!({ "from": id(1), "number": 1, "word": "Alive" });
    assert!(matches!(decode(&serde_json::to_vec(&old).unwrap()), Err(DecodeError::Malformed(_))));
}

#[test]
fn a_value_with_an_unknown_field_or_word_is_refused() {
    let sent = |event: &Event| serde_json::to_value(event).unwrap();
    for event in events() {
        let mut value = sent(&event);
        let fields = value.as_object_mut().unwrap().values_mut().next().unwrap();
        let fields = match fields.as_array_mut() {
            Some(both) => &mut both[0],
            None => fields,
        };
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("mood".to_owned(), serde_json::json!([]));
            assert!(serde_json::from_value::<Event>(value).is_err(), "{event:?}");
        }
    }
    let member = events().into_iter().find(|event| matches!(event, Event::MemberAdded(_))).unwrap();
    let mut value = sent(&member);
    value["MemberAdded"]["role"] = "emperor".into();
    assert!(serde_json::from_value::<Event>(value).is_err());
}
