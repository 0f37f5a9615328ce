//! `MessageLog::append`.

use crate::world::{
    World, contents, draft, fresh, fresh_file, limit, now, only_boss_broadcasts, refused, stored, text,
};
use domain::events::Event;
use domain::files::{File, FileName, FileRepository, Image, MediaType, Sha256, ThumbHash};
use domain::groups::{GroupRepository, Role, Visibility};
use domain::messages::{
    Attachment, AttachmentKind, Body, Caption, Destination, Digest, MessageLog, MessageReader, NewBody, NewMessage,
    Recipient, Window,
};
use domain::receipts::ReceiptRepository;
use domain::{ConversationId, GroupId, MessageId, NotFound, Unavailable, UserId};
use test_support::TestDb;

on_both!(
    a_message_is_stored_as_sent,
    two_users_share_one_conversation_and_oneself_is_one,
    each_conversation_counts_from_one_without_gaps,
    sending_to_a_public_group_joins_it,
    what_one_may_not_see_does_not_exist,
    an_answer_is_in_the_same_conversation,
    files_are_carried_by_who_may_read_them,
    an_uploaded_file_is_stored_with_its_message,
    errors_come_in_their_order,
    a_refused_draft_takes_no_number_and_leaves_nothing,
    broadcasts_are_for_whom_the_policy_says,
    one_refusal_does_not_touch_its_neighbours,
    what_was_answered_is_there_after_a_restart,
    a_closed_store_takes_no_more,
);

pub fn a_file(uploader: UserId, media_type: &str) -> File {
    File {
        id: fresh_file(),
        uploader,
        name: FileName::clean("päper 1.pdf"),
        size: 1 << 40,
        media_type: MediaType::from_stored(media_type.to_owned()),
        sha256: Sha256([0xfe; 32]),
        sent_sha256: Sha256([0xfd; 32]),
        image: (media_type == "image/png").then(|| Image {
            width: 40_000_000,
            height: 1,
            thumb_hash: ThumbHash::of_bytes(vec![0, 255, 7]).unwrap(),
        }),
        created_at: now(),
    }
}

fn carrying(sender: UserId, recipient: Recipient, kind: AttachmentKind, file: &File) -> NewMessage {
    let body = NewBody::Attachment(Attachment::Stored { kind, file: file.id }, Caption::parse("see").unwrap());
    draft(sender, recipient, body)
}

async fn a_message_is_stored_as_sent(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.events.take();
    let words = " a|b \"c\" 'd' \\ \u{1f642}\n\u{301} ";
    let sent = text(ada, Recipient::User(bob), words);
    let message = stored(world.append(sent.clone()).await);
    assert_eq!(message.body.content(), words);
    assert_eq!((message.id, message.conversation), (sent.id, sent.new_conversation));
    assert_eq!((message.destination, message.sender.id), (Destination::Direct { receiver: bob }, ada));
    assert_eq!((message.sender.username.as_str(), message.sender.display_name.as_str()), ("ada", "ada"));
    assert_eq!((message.seq.0, message.update.0, message.edited_at, message.reply_to), (1, 1, None, None));
    assert_eq!((message.created_at, message.updated_at), (sent.at, sent.at));
    for viewer in [ada, bob] {
        assert_eq!(MessageReader::find(&*world, viewer, message.id).await.unwrap().unwrap(), message);
    }
    let hash = Digest::of_message(message.id, message.seq, message.update, Some(words));
    assert_eq!(world.events.take(), [Event::MessageCreated(message, Some(hash.short()))]);
}

async fn two_users_share_one_conversation_and_oneself_is_one(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let there = world.say(ada, Recipient::User(bob), "there").await;
    let back = world.say(bob, Recipient::User(ada), "back").await;
    assert_eq!((there.conversation, back.seq.0), (back.conversation, 2));
    assert_eq!(back.destination, Destination::Direct { receiver: ada });
    let note = world.say(ada, Recipient::User(ada), "note").await;
    assert_eq!((note.seq.0, note.destination), (1, Destination::Direct { receiver: ada }));
    assert_ne!(note.conversation, there.conversation);
    let window = Window::Offset { offset: 0, limit: limit(50) };
    let both = [(ada, bob), (bob, ada)];
    for (viewer, other) in both {
        let page = world.page(viewer, Recipient::User(other), window).await.unwrap();
        assert_eq!(contents(&page.items), ["there", "back"]);
    }
    let own = world.page(ada, Recipient::User(ada), window).await.unwrap();
    assert_eq!(contents(&own.items), ["note"]);
    assert_eq!(world.conversations(ada).await.len(), 2);
}

async fn each_conversation_counts_from_one_without_gaps(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    for n in 1..=5 {
        for recipient in [Recipient::User(bob), Recipient::Group(group), Recipient::Everybody] {
            let message = world.say(ada, recipient, "x").await;
            assert_eq!((message.seq.0, message.update.0), (n, n));
        }
    }
    let everywhere = world.conversations(ada).await;
    assert!(everywhere.iter().all(|conversation| conversation.update.0 == 5), "{everywhere:?}");
}

async fn sending_to_a_public_group_joins_it(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.group(ada, "open", Visibility::Public).await;
    world.events.take();
    let message = world.say(bob, Recipient::Group(group), "hello").await;
    let events = world.events.take();
    let [Event::MemberAdded(member), Event::MessageCreated(created, _)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((member.user, member.role, created), (bob, Role::Member, &message));
    let view = GroupRepository::find(&*world, bob, group).await.unwrap().unwrap();
    assert_eq!((view.role, view.group.member_count), (Some(Role::Member), 2));
    world.say(bob, Recipient::Group(group), "again").await;
    assert_eq!(world.events.take().len(), 1, "one joins once");
}

async fn what_one_may_not_see_does_not_exist(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("secret", ada, [bob]).await;
    world.delete_user(eve).await;
    let eve2 = world.user("eve2").await;
    let talk = world.say(ada, Recipient::User(bob), "x").await.conversation;
    let send = |sender, recipient| world.append(text(sender, recipient, "x"));
    refused!(send(ada, Recipient::User(UserId(fresh()))).await, "NotFound(User)");
    refused!(send(ada, Recipient::User(eve)).await, "NotFound(User)");
    refused!(send(eve2, Recipient::Group(group)).await, "NotFound(Group)");
    refused!(send(ada, Recipient::Group(GroupId(fresh()))).await, "NotFound(Group)");
    refused!(send(ada, Recipient::Group(GroupId(talk.0))).await, "NotFound(Group)");
    refused!(send(ada, Recipient::Group(GroupId(ConversationId::BROADCAST.0))).await, "NotFound(Group)");
    refused!(send(eve, Recipient::User(ada)).await, "Unauthenticated(InvalidToken)");
    GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    refused!(send(ada, Recipient::Group(group)).await, "NotFound(Group)");
}

async fn an_answer_is_in_the_same_conversation(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let first = world.say(ada, Recipient::User(bob), "first").await;
    let elsewhere = world.say(ada, Recipient::User(eve), "elsewhere").await;
    let deleted = world.say(ada, Recipient::User(bob), "deleted").await;
    world.delete(ada, deleted.id, now()).await.unwrap();
    let answer = |to| NewMessage { reply_to: Some(to), ..text(bob, Recipient::User(ada), "answer") };
    assert_eq!(stored(world.append(answer(first.id)).await).reply_to, Some(first.id));
    for nothing in [MessageId(fresh()), elsewhere.id, deleted.id] {
        refused!(world.append(answer(nothing)).await, "NotFound(Message)");
    }
    // There is nothing yet to answer where nothing was said.
    let to_new = NewMessage { reply_to: Some(first.id), ..text(bob, Recipient::User(eve), "x") };
    refused!(world.append(to_new).await, "NotFound(Message)");
    assert!(world.conversations(eve).await.len() == 1, "a refused draft begins no conversation");
}

async fn files_are_carried_by_who_may_read_them(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let (picture, paper) = (a_file(ada, "image/png"), a_file(ada, "application/pdf"));
    for file in [&picture, &paper] {
        FileRepository::create(&*world, file.clone()).await.unwrap();
    }
    let to = Recipient::User(bob);
    let sent = stored(world.append(carrying(ada, to, AttachmentKind::Image, &picture)).await);
    let caption = Caption::parse("see").unwrap();
    assert_eq!(sent.body, Body::Attachment { kind: AttachmentKind::Image, file: picture.clone(), caption });
    assert_eq!(MessageReader::find(&*world, bob, sent.id).await.unwrap().unwrap(), sent);
    // Who got it may pass it on, as whatever it can be.
    stored(world.append(carrying(bob, Recipient::User(eve), AttachmentKind::File, &picture)).await);
    refused!(world.append(carrying(ada, to, AttachmentKind::Image, &paper)).await, "Invalid(file_id)");
    refused!(world.append(carrying(bob, Recipient::User(ada), AttachmentKind::File, &paper)).await, "NotFound(File)");
    let nothing = a_file(ada, "image/png");
    refused!(world.append(carrying(ada, to, AttachmentKind::File, &nothing)).await, "NotFound(File)");
}

async fn an_uploaded_file_is_stored_with_its_message(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let file = a_file(ada, "image/jpeg");
    let uploaded = |recipient| {
        let body = NewBody::Attachment(Attachment::Uploaded(file.clone()), Caption::none());
        draft(ada, recipient, body)
    };
    refused!(world.append(uploaded(Recipient::User(UserId(fresh())))).await, "NotFound(User)");
    assert_eq!(FileRepository::find(&*world, ada, file.id).await.unwrap(), None, "nothing of a refused upload stays");
    let sent = stored(world.append(uploaded(Recipient::User(bob))).await);
    let expected = Body::Attachment { kind: AttachmentKind::Image, file: file.clone(), caption: Caption::none() };
    assert_eq!(sent.body, expected);
    assert_eq!(FileRepository::find(&*world, bob, file.id).await.unwrap(), Some(file.clone()));
    assert_eq!(FileRepository::find(&*world, eve, file.id).await.unwrap(), None);
}

/// A draft with several faults is refused for the first of them.
async fn errors_come_in_their_order(db: TestDb) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let paper = a_file(ada, "application/pdf");
    FileRepository::create(&*world, paper.clone()).await.unwrap();
    let nowhere = Recipient::User(UserId(fresh()));
    let missing = a_file(ada, "image/png");
    let reply_to = Some(MessageId(fresh()));
    let as_image = AttachmentKind::Image;
    let everything_wrong = NewMessage { reply_to, ..carrying(ada, nowhere, as_image, &missing) };
    refused!(world.append(everything_wrong).await, "NotFound(User)");
    let there = NewMessage { reply_to, ..carrying(ada, Recipient::User(bob), as_image, &paper) };
    refused!(world.append(there).await, "NotFound(Message)");
    let no_image = carrying(ada, Recipient::Everybody, as_image, &paper);
    refused!(world.append(no_image).await, "Invalid(file_id)");
    let no_right = carrying(ada, Recipient::Everybody, AttachmentKind::File, &paper);
    refused!(world.append(no_right).await, "Forbidden(BroadcastIsForAdmins)");
}

async fn a_refused_draft_takes_no_number_and_leaves_nothing(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.group(ada, "open", Visibility::Public).await;
    world.say(ada, Recipient::Group(group), "one").await;
    world.events.take();
    let refused = NewMessage { reply_to: Some(MessageId(fresh())), ..text(bob, Recipient::Group(group), "x") };
    refused!(world.append(refused.clone()).await, "NotFound(Message)");
    assert_eq!(world.events.take(), []);
    let view = GroupRepository::find(&*world, bob, group).await.unwrap().unwrap();
    assert_eq!((view.role, view.group.member_count), (None, 1), "a refused sender does not join");
    assert_eq!(world.say(ada, Recipient::Group(group), "two").await.seq.0, 2);
    assert_eq!(MessageReader::find(&*world, ada, refused.id).await.unwrap(), None);
}

async fn broadcasts_are_for_whom_the_policy_says(db: TestDb) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let (ada, boss) = (world.user("ada").await, world.user("Boss").await);
    refused!(world.append(text(ada, Recipient::Everybody, "x")).await, "Forbidden(BroadcastIsForAdmins)");
    let sent = world.say(boss, Recipient::Everybody, "news").await;
    assert_eq!(
        (sent.destination, sent.conversation, sent.seq.0),
        (Destination::Broadcast, ConversationId::BROADCAST, 1)
    );
    let page = world.page(ada, Recipient::Everybody, Window::Offset { offset: 0, limit: limit(50) }).await.unwrap();
    assert_eq!(page.items, [sent]);
}

/// All at once, so that they share a transaction.
async fn one_refusal_does_not_touch_its_neighbours(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let nobody = UserId(fresh());
    let sends = (0..100).map(|n| {
        let to = if n % 3 == 0 { nobody } else { bob };
        world.append(text(ada, Recipient::User(to), &n.to_string()))
    });
    let outcomes = crate::concurrency::all(sends).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Err(domain::Error::NotFound(NotFound::User)) if n % 3 == 0 => {}
            outcome => assert_eq!(stored(outcome).body.content(), n.to_string()),
        }
    }
    let page = world.page(ada, Recipient::User(bob), Window::Offset { offset: 0, limit: limit(200) }).await.unwrap();
    let seqs: Vec<_> = page.items.iter().map(|message| message.seq.0).collect();
    assert_eq!(seqs, (1..=66).collect::<Vec<_>>());
}

async fn what_was_answered_is_there_after_a_restart(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "kept").await;
    let world = world.reopened().await;
    assert_eq!(MessageReader::find(&*world, bob, sent.id).await.unwrap().unwrap(), sent);
    assert_eq!(world.say(bob, Recipient::User(ada), "next").await.seq.0, 2);
}

async fn a_closed_store_takes_no_more(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.unseen(bob).await.unwrap();
    world.close().await;
    let outcome = world.append(text(ada, Recipient::User(bob), "late")).await;
    assert!(matches!(outcome, Err(domain::Error::Unavailable(Unavailable::Stopping))), "{outcome:?}");
    let read = world.unseen(bob).await;
    assert!(matches!(read, Err(domain::Error::Unavailable(Unavailable::Stopping))), "{read:?}");
    // The last connection to a file takes its log away.
    if let Some(path) = world.db.url().strip_prefix("sqlite://") {
        assert!(!std::path::Path::new(&format!("{path}-wal")).exists(), "somebody still has the file open");
    }
}
