//! What messages have beside their content: reactions, pins, threads, forwards, versions. The state machine test holds
//! what each call answers to a model; these tests hold limits, rights, events and what deletion leaves.

use crate::append::a_file;
use crate::world::{World, draft, limit, now, only_boss_broadcasts, refused, stored, text};
use domain::events::Event;
use domain::files::FileRepository;
use domain::groups::{Role, Visibility};
use domain::messages::{
    Around, Attachment, AttachmentKind, Caption, Content, Cursor, EditHistory, Emoji, IdempotencyKey, Listing, Message,
    MessageLog, MessageReader, NewBody, NewMessage, PageRead, Recipient, Replies, SaidMentions, ThreadWindow, Update,
    Window,
};
use domain::users::ServerPolicy;
use domain::{MessageId, UserId};
use test_support::TestDb;

on_both!(
    a_reaction_takes_a_number_once_and_is_told_whole,
    a_message_has_room_for_so_many_reactions,
    who_reacted_later_is_shown_to_oneself,
    only_who_may_send_reacts,
    pins_are_for_who_runs_the_place,
    a_conversation_has_room_for_so_many_pins,
    a_reply_takes_one_number_and_none_of_the_first_message,
    a_thread_is_in_its_conversation,
    a_forward_carries_what_one_may_read_and_stays_as_it_is,
    a_retry_names_the_same_thread_and_forward,
    an_edit_keeps_what_was_said,
    an_edit_that_changes_nothing_takes_no_number,
    a_deleted_message_leaves_none_of_its_parts,
);

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

/// So many different ones.
fn all_emoji(count: usize) -> Vec<Emoji> {
    // From 🐀 on.
    let animals = (0x1f400_u32..).filter_map(char::from_u32).filter_map(|one| Emoji::parse(&one.to_string()).ok());
    animals.take(count).collect()
}

async fn show(world: &World, viewer: UserId, id: MessageId) -> Message {
    MessageReader::find(&**world, viewer, id).await.unwrap().unwrap()
}

fn updated(events: Vec<Event>) -> Vec<Message> {
    let message = |event| match event {
        Event::MessageUpdated(message, _) => message,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(message).collect()
}

async fn a_reaction_takes_a_number_once_and_is_told_whole(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    world.events.take();
    let when = now();
    world.react(bob, sent.id, emoji("❤"), when).await.unwrap();
    world.react(bob, sent.id, emoji("❤\u{fe0f}"), now()).await.unwrap();
    let told = updated(world.events.take());
    assert_eq!(told, [show(&world, ada, sent.id).await]);
    assert_eq!((told[0].update, told[0].seq, told[0].updated_at), (Update(sent.update.0 + 1), sent.seq, when));
    assert_eq!((told[0].edited_at, &told[0].body), (None, &sent.body));
    assert_eq!((told[0].reactions[0].count, &told[0].reactions[0].users[..]), (1, &[bob][..]));
    world.unreact(ada, sent.id, emoji("❤"), now()).await.unwrap();
    assert_eq!(world.events.take(), []);
    world.unreact(bob, sent.id, emoji("❤"), now()).await.unwrap();
    let told = updated(world.events.take());
    assert_eq!((told[0].update, &told[0].reactions[..]), (Update(sent.update.0 + 2), &[][..]));
}

async fn a_message_has_room_for_so_many_reactions(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    let sent = world.say(ada, Recipient::Group(group), "x").await;
    let all = all_emoji(51);
    for (name, some) in ["bob", "eve", "joe"].into_iter().zip(all.chunks(20)) {
        let user = world.user(name).await;
        world.add(ada, group, user, Role::Member).await.unwrap();
        for one in some.iter().take(if name == "joe" { 10 } else { 20 }) {
            world.react(user, sent.id, one.clone(), now()).await.unwrap();
        }
        let one_more = if name == "joe" { &all[50] } else { &all[49] };
        refused!(world.react(user, sent.id, one_more.clone(), now()).await, "Conflict(TooManyReactions)");
    }
    // There is room for more of what is there, and for another once one is gone.
    world.react(ada, sent.id, all[0].clone(), now()).await.unwrap();
    assert_eq!(show(&world, ada, sent.id).await.reactions.len(), 50);
}

async fn who_reacted_later_is_shown_to_oneself(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    let of = Recipient::Group(group);
    let sent = world.say(ada, of, "x").await;
    let mut users = Vec::new();
    for n in 0..52 {
        let user = world.user(&format!("user{n}")).await;
        world.add(ada, group, user, Role::Member).await.unwrap();
        world.react(user, sent.id, emoji("👍"), now()).await.unwrap();
        users.push(user);
    }
    let told = updated(world.events.take().into_iter().filter(|event| event.update().is_some()).skip(1).collect());
    assert_eq!((told[51].reactions[0].count, &told[51].reactions[0].users), (52, &users[..50].to_vec()));
    for (viewer, shown) in
        [(ada, &users[..50]), (users[49], &users[..50]), (users[51], &[&users[..50], &users[51..]].concat())]
    {
        assert_eq!(show(&world, viewer, sent.id).await.reactions[0].users, shown, "{viewer}");
    }
    // A page that viewers see differently is not kept for others.
    let window = Window::Before { cursor: Cursor::Latest, limit: limit(10) };
    let read = MessageReader::page(&*world, users[51], of, window.into(), None).await.unwrap();
    assert!(matches!(read, PageRead::Read(_, None)));
    let (first, later) = (Update(0), show(&world, ada, sent.id).await.update);
    let page = world.reactors(ada, sent.id, None, first, limit(50)).await.unwrap();
    assert_eq!((page.items.len(), page.more), (50, true));
    let rest = world.reactors(ada, sent.id, None, page.items[49].update, limit(50)).await.unwrap();
    assert_eq!(rest.items.iter().map(|reactor| reactor.user.id).collect::<Vec<_>>(), users[50..]);
    assert_eq!((rest.items[1].update, rest.more), (later, false));
}

async fn only_who_may_send_reacts(db: TestDb) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let (boss, bob, eve) = (world.user("boss").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", boss, [bob]).await;
    let open = world.group(boss, "open", Visibility::Public).await;
    let like = async |user, id| world.react(user, id, emoji("👍"), now()).await;
    let sent = world.say(boss, Recipient::Group(tea), "x").await.id;
    like(bob, sent).await.unwrap();
    refused!(like(eve, sent).await, "NotFound(Message)");
    let sent = world.say(boss, Recipient::Group(open), "x").await.id;
    refused!(like(eve, sent).await, "Forbidden(NotAMember)");
    refused!(world.unreact(eve, sent, emoji("👍"), now()).await, "Forbidden(NotAMember)");
    let sent = world.say(boss, Recipient::Everybody, "x").await.id;
    like(boss, sent).await.unwrap();
    refused!(like(eve, sent).await, "Forbidden(BroadcastIsForAdmins)");
    // A direct conversation with a deleted user stays open.
    let sent = world.say(eve, Recipient::User(bob), "x").await.id;
    crate::world::delete_user(&world, eve, now()).await.unwrap();
    like(bob, sent).await.unwrap();
    refused!(like(boss, sent).await, "NotFound(Message)");
}

async fn pins_are_for_who_runs_the_place(db: TestDb) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let (boss, bob, eve) = (world.user("boss").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", boss, [bob]).await;
    let in_group = world.say(bob, Recipient::Group(tea), "x").await;
    refused!(world.pin(bob, in_group.id, now()).await, "Forbidden(NotAModerator)");
    refused!(world.pin(eve, in_group.id, now()).await, "NotFound(Message)");
    world.events.take();
    let when = now();
    world.pin(boss, in_group.id, when).await.unwrap();
    world.pin(boss, in_group.id, now()).await.unwrap();
    refused!(world.unpin(bob, in_group.id, now()).await, "Forbidden(NotAModerator)");
    let told = updated(world.events.take());
    let pin = told[0].pinned.unwrap();
    assert_eq!((told.len(), pin.at, pin.by, pin.update), (1, when, boss, told[0].update));
    let to_all = world.say(boss, Recipient::Everybody, "x").await.id;
    refused!(world.pin(bob, to_all, now()).await, "Forbidden(BroadcastIsForAdmins)");
    world.pin(boss, to_all, now()).await.unwrap();
    // In a direct conversation both pin, the one pinned last comes first, and each may unpin.
    let first = world.say(bob, Recipient::User(eve), "1").await;
    let second = world.say(bob, Recipient::User(eve), "2").await;
    for (user, id) in [(eve, second.id), (bob, first.id)] {
        world.pin(user, id, now()).await.unwrap();
    }
    let pins = async |before, most| world.pins(eve, first.conversation, before, limit(most)).await.unwrap();
    let page = pins(None, 1).await;
    assert_eq!((page.items[0].id, page.more), (first.id, true));
    let cursor = page.items[0].pinned.map(|pin| pin.update);
    // The cursor stays good when its entry is unpinned.
    world.unpin(eve, first.id, now()).await.unwrap();
    let rest = pins(cursor, 10).await;
    assert_eq!((rest.items[0].id, rest.items.len(), rest.more), (second.id, 1, false));
    refused!(world.pins(boss, first.conversation, None, limit(1)).await, "NotFound(Conversation)");
}

async fn a_conversation_has_room_for_so_many_pins(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut last = None;
    for n in 0..250 {
        let sent = world.say(ada, Recipient::User(bob), &n.to_string()).await;
        world.pin(bob, sent.id, now()).await.unwrap();
        last = Some(sent.id);
    }
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    refused!(world.pin(bob, sent.id, now()).await, "Conflict(TooManyPins)");
    MessageLog::delete(&*world, ada, last.unwrap(), now()).await.unwrap();
    world.pin(bob, sent.id, now()).await.unwrap();
}

async fn a_reply_takes_one_number_and_none_of_the_first_message(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let (to_bob, to_ada) = (Recipient::User(bob), Recipient::User(ada));
    let first = world.say(ada, to_bob, "first").await;
    world.events.take();
    let reply = stored(world.append(NewMessage { thread_id: Some(first.id), ..text(bob, to_ada, "reply") }).await);
    let events = world.events.take();
    let [Event::MessageCreated(created, Some(_)), acquainted] = &events[..] else { panic!("{events:?}") };
    assert_eq!((created, acquainted), (&reply, &Event::Acquainted([bob, ada])));
    assert_eq!((reply.seq.0, reply.thread_id), (2, Some(first.id)));
    let shown = show(&world, ada, first.id).await;
    let thread = shown.thread.unwrap();
    assert_eq!((shown.update, thread.replies, thread.last_reply_at), (first.update, 1, reply.created_at));
    assert_eq!(world.unseen_in(ada, first.conversation).await, 1);
    let listing = |replies| Listing { window: Window::Before { cursor: Cursor::Latest, limit: limit(10) }, replies };
    for (replies, ids) in [(Replies::Included, vec![first.id, reply.id]), (Replies::Excluded, vec![first.id])] {
        let page = MessageReader::page(&*world, ada, to_bob, listing(replies), None).await.unwrap().into_page();
        assert_eq!(page.items.iter().map(|message| message.id).collect::<Vec<_>>(), ids);
    }
    MessageLog::delete(&*world, bob, reply.id, now()).await.unwrap();
    assert_eq!(show(&world, ada, first.id).await.thread, None);
    let thread = world.thread(ada, first.id, ThreadWindow::Start, limit(10)).await.unwrap();
    assert_eq!(thread.items.len(), 1);
}

async fn a_thread_is_in_its_conversation(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let first = world.say(ada, Recipient::User(bob), "first").await;
    let say =
        async |sender, to, thread| world.append(NewMessage { thread_id: Some(thread), ..text(sender, to, "x") }).await;
    let reply = stored(say(bob, Recipient::User(ada), first.id).await);
    refused!(say(ada, Recipient::User(bob), reply.id).await, "Invalid(thread_id)");
    refused!(say(ada, Recipient::User(eve), first.id).await, "Invalid(thread_id)");
    refused!(say(eve, Recipient::User(ada), first.id).await, "NotFound(Message)");
    MessageLog::delete(&*world, ada, first.id, now()).await.unwrap();
    refused!(say(ada, Recipient::User(bob), first.id).await, "NotFound(Message)");
    // The replies stay, and lead to each other.
    refused!(world.thread(ada, first.id, ThreadWindow::Start, limit(10)).await, "NotFound(Message)");
    let thread = world.thread(ada, reply.id, ThreadWindow::Start, limit(10)).await.unwrap();
    assert_eq!(thread.items.iter().map(|message| message.id).collect::<Vec<_>>(), [reply.id]);
    let other = world.say(ada, Recipient::User(bob), "other").await;
    refused!(world.thread(ada, reply.id, ThreadWindow::After(other.id), limit(10)).await, "NotFound(Message)");
    refused!(world.thread(eve, reply.id, ThreadWindow::Start, limit(10)).await, "NotFound(Message)");
}

async fn a_forward_carries_what_one_may_read_and_stays_as_it_is(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let file = a_file(ada, "image/png");
    FileRepository::create(&*world, file.clone()).await.unwrap();
    let attached = Attachment::Stored { kind: AttachmentKind::Image, file: file.id };
    let body = NewBody::Attachment(attached, Caption::parse("see").unwrap());
    let first = stored(world.append(draft(ada, Recipient::User(bob), body)).await);
    let forward = async |sender, to, id| world.append(draft(sender, Recipient::User(to), NewBody::Forward(id))).await;
    refused!(forward(eve, bob, first.id).await, "NotFound(Message)");
    let sent = stored(forward(bob, eve, first.id).await);
    assert_eq!((&sent.body, sent.sender.id, sent.reply_to), (&first.body, bob, None));
    let again = stored(forward(eve, bob, sent.id).await);
    for message in [&sent, &again] {
        let forwarded = message.forwarded.clone().unwrap();
        assert_eq!((forwarded.sender.id, forwarded.created_at), (ada, first.created_at));
        assert_eq!(show(&world, bob, message.id).await, *message);
    }
    // Whoever reads the message reads its file, and what becomes of the first message is nothing to it.
    assert!(FileRepository::find(&*world, eve, file.id).await.unwrap().is_some());
    MessageLog::delete(&*world, ada, first.id, now()).await.unwrap();
    assert_eq!(show(&world, eve, sent.id).await, sent);
    refused!(world.edit(bob, sent.id, Content::parse("mine").unwrap(), now()).await, "Conflict(Forwarded)");
    refused!(world.edit(eve, sent.id, Content::parse("mine").unwrap(), now()).await, "Forbidden(NotTheSender)");
}

async fn a_retry_names_the_same_thread_and_forward(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let to = Recipient::User(bob);
    let (one, two) = (world.say(ada, to, "one").await, world.say(ada, to, "two").await);
    let keyed =
        |key: &str, draft: NewMessage| NewMessage { key: IdempotencyKey::parse("client_id", key).ok(), ..draft };
    let reply = |thread_id| keyed("reply", NewMessage { thread_id, ..text(ada, to, "x") });
    let sent = stored(world.append(reply(Some(one.id))).await);
    let retried = world.append(reply(Some(one.id))).await.unwrap();
    assert_eq!(retried, domain::messages::Appended::Duplicate(sent.clone()));
    for thread in [None, Some(two.id)] {
        refused!(world.append(reply(thread)).await, "Conflict(KeyReused)");
    }
    refused!(world.append(reply(Some(sent.id))).await, "Invalid(thread_id)");
    let forward = |id| keyed("forward", draft(ada, to, NewBody::Forward(id)));
    let sent = stored(world.append(forward(one.id)).await);
    // What is forwarded may change in between, or go.
    world.edit(ada, one.id, Content::parse("uno").unwrap(), now()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.append(forward(one.id)).await.unwrap(), domain::messages::Appended::Duplicate(sent.clone()));
        let _ = MessageLog::delete(&*world, ada, one.id, now()).await;
    }
    refused!(world.append(forward(two.id)).await, "Conflict(KeyReused)");
    refused!(world.append(keyed("forward", text(ada, to, "one"))).await, "Conflict(KeyReused)");
    refused!(world.append(keyed("reply", draft(ada, to, NewBody::Forward(two.id)))).await, "Conflict(KeyReused)");
}

async fn an_edit_keeps_what_was_said(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "0").await;
    let said = async |viewer| world.versions(viewer, sent.id).await.unwrap();
    assert_eq!(said(ada).await.len(), 1);
    let mut since = vec![sent.created_at];
    for n in 1..=60 {
        let when = now();
        world.edit(ada, sent.id, Content::parse(&n.to_string()).unwrap(), when).await.unwrap();
        since.push(when);
    }
    let versions = said(ada).await;
    let words: Vec<_> = versions.iter().map(|version| version.content.parse::<usize>().unwrap()).collect();
    assert_eq!(words, (11..=60).collect::<Vec<_>>());
    assert!(versions.iter().zip(&words).all(|(version, n)| version.created_at == since[*n]));
    refused!(world.versions(bob, sent.id).await, "Forbidden(VersionsAreTheSenders)");
    let eve = world.user("eve").await;
    refused!(world.versions(eve, sent.id).await, "NotFound(Message)");
    let of_all = ServerPolicy { edit_history: EditHistory::Members, ..ServerPolicy::default() };
    let world = World::with(world.closed().await, of_all).await;
    assert_eq!(world.versions(bob, sent.id).await.unwrap(), versions);
    refused!(world.versions(eve, sent.id).await, "NotFound(Message)");
    let off = ServerPolicy { edit_history: EditHistory::Off, ..ServerPolicy::default() };
    let world = World::with(world.closed().await, off).await;
    assert_eq!(world.versions(ada, sent.id).await.unwrap(), versions[49..]);
}

async fn an_edit_that_changes_nothing_takes_no_number(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    world.events.take();
    assert_eq!(world.edit(ada, sent.id, Content::parse("x").unwrap(), now()).await.unwrap(), sent);
    assert_eq!(world.events.take(), []);
    assert_eq!(show(&world, bob, sent.id).await, sent);
    refused!(world.edit(bob, sent.id, Content::parse("x").unwrap(), now()).await, "Forbidden(NotTheSender)");
}

async fn a_deleted_message_leaves_none_of_its_parts(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let to = Recipient::User(bob);
    let (kept, sent) = (world.say(ada, to, "kept").await, world.say(ada, to, "x").await);
    let forwarded = stored(world.append(draft(ada, to, NewBody::Forward(kept.id))).await);
    for id in [kept.id, sent.id] {
        world.react(bob, id, emoji("👍"), now()).await.unwrap();
        world.edit(ada, id, Content::parse("y").unwrap(), now()).await.unwrap();
        world.pin(bob, id, now()).await.unwrap();
    }
    for id in [sent.id, forwarded.id] {
        MessageLog::delete(&*world, ada, id, now()).await.unwrap();
    }
    let mut raw = world.raw();
    for (count, of) in [
        (1, "reactions"),
        (1, "versions"),
        (1, "messages WHERE pinned_update IS NOT NULL OR pinned_by IS NOT NULL OR pinned_at IS NOT NULL"),
        (0, "messages WHERE forward_of IS NOT NULL OR forwarded_from IS NOT NULL OR forwarded_at IS NOT NULL"),
    ] {
        assert_eq!(raw.number(&format!("SELECT count(*) FROM {of}")), count, "{of}");
    }
    refused!(world.react(bob, sent.id, emoji("👍"), now()).await, "NotFound(Message)");
    refused!(world.pin(bob, sent.id, now()).await, "NotFound(Message)");
}

/// Calls every port about parts of messages, for the test of plans.
pub async fn use_all_parts(world: &World, [ada, bob]: [UserId; 2], first: &Message) {
    let (to, of) = (Recipient::User(bob), first.conversation);
    let emoji = Emoji::parse("👍").unwrap();
    for user in [ada, bob] {
        world.react(user, first.id, emoji.clone(), now()).await.unwrap();
    }
    world.pin(ada, first.id, now()).await.unwrap();
    let reply = stored(world.append(NewMessage { thread_id: Some(first.id), ..text(ada, to, "reply") }).await);
    world.append(draft(ada, to, NewBody::Forward(first.id))).await.unwrap();
    for replies in [Replies::Included, Replies::Excluded] {
        for place in [Around::Message(reply.id), Around::FirstUnseen] {
            world.around(bob, Recipient::User(ada), place, replies, limit(10)).await.unwrap();
        }
        let window = Window::Before { cursor: Cursor::Latest, limit: limit(10) };
        MessageReader::page(&**world, ada, to, Listing { window, replies }, None).await.unwrap();
    }
    for window in [ThreadWindow::Start, ThreadWindow::After(first.id), ThreadWindow::Before(reply.id)] {
        world.thread(bob, reply.id, window, limit(10)).await.unwrap();
    }
    for emoji in [None, Some(emoji.clone())] {
        world.reactors(bob, first.id, emoji, Update(0), limit(10)).await.unwrap();
    }
    world.pins(bob, of, None, limit(10)).await.unwrap();
    world.say(bob, Recipient::User(ada), "@ada look").await;
    let said = SaidMentions::new(vec![ada], false).ok();
    world.append(NewMessage { mentions: said, ..text(ada, Recipient::Everybody, "x") }).await.unwrap();
    world.mentions(bob, Some(reply.id), limit(10)).await.unwrap();
    for words in ["better", "best"] {
        world.edit(ada, reply.id, Content::parse(words).unwrap(), now()).await.unwrap();
    }
    world.versions(ada, reply.id).await.unwrap();
    world.unpin(ada, first.id, now()).await.unwrap();
    for user in [ada, bob] {
        world.unreact(user, first.id, emoji.clone(), now()).await.unwrap();
    }
    world.react(bob, reply.id, emoji, now()).await.unwrap();
    MessageLog::delete(&**world, ada, reply.id, now()).await.unwrap();
}
