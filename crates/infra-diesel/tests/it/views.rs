//! `ConversationRepository`: settings, drafts, opening; and `ReceiptRepository::mark_unread`. What lists show of them
//! is compared with the model (`state_machine`).

use crate::world::{World, at, fault, fresh, limit, now, text};
use domain::conversations::{Conversation, ConversationRepository, Opened};
use domain::events::{Event, Revision};
use domain::groups::{Role, Visibility};
use domain::live::LiveReader;
use domain::messages::{Destination, MessageLog, Recipient};
use domain::receipts::ReceiptRepository;
use domain::users::Change;
use domain::views::{DraftContent, Mute, NewDraft, Settings, SettingsChange};
use domain::{ConversationId, MessageId, UserId};
use test_support::TestDb;

on_both!(
    a_change_is_told_once_and_to_oneself,
    a_message_brings_back_what_is_archived_and_not_muted,
    many_are_told_a_bounded_number_at_a_time_and_all_see_it,
    a_draft_ends_with_the_message_that_it_became,
    a_view_ends_with_the_membership,
    a_view_is_for_members,
    unread_is_told_once_and_keeps_what_others_were_told,
    who_resumes_learns_that_a_view_changed,
    opening_tells_nobody,
);

fn draft(words: &str) -> NewDraft {
    NewDraft { content: DraftContent::parse(words).unwrap().unwrap(), reply_to: None, thread_id: None }
}

fn archive() -> SettingsChange {
    SettingsChange { archived: Some(true), ..SettingsChange::default() }
}

/// The conversation as the user's list shows it.
async fn listed(world: &World, user: UserId, of: ConversationId) -> Conversation {
    world.conversations(user).await.into_iter().find(|listed| listed.id == of).unwrap()
}

async fn a_change_is_told_once_and_to_oneself(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "1").await.conversation;
    world.events.take();
    let change = SettingsChange { muted: Change::Set(Mute::Forever), ..archive() };
    for _ in 0..2 {
        world.change_settings(bob, of, change.clone(), now()).await.unwrap();
    }
    let settings = Settings { muted: Some(Mute::Forever), archived: true, ..Settings::default() };
    let destination = Destination::Direct { receiver: ada };
    assert_eq!(world.events.take(), [Event::SettingsChanged { conversation: of, destination, user: bob, settings }]);
    assert_eq!(listed(&world, bob, of).await.settings, settings);
    assert_eq!(listed(&world, ada, of).await.settings, Settings::default());
    world.drop_draft(bob, of).await.unwrap();
    assert_eq!(world.events.take(), []);
    world.keep_draft(bob, of, draft("hm"), at(9)).await.unwrap();
    world.drop_draft(bob, of).await.unwrap();
    let [Event::DraftChanged { draft: Some(kept), .. }, Event::DraftChanged { draft: None, user, .. }] =
        &world.events.take()[..]
    else {
        panic!("a draft is told, and its end")
    };
    assert_eq!((kept.content.as_str(), kept.updated_at, *user), ("hm", at(9), bob));
}

async fn a_message_brings_back_what_is_archived_and_not_muted(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob, eve]).await;
    let of = group.conversation();
    world.say(ada, Recipient::Group(group), "1").await;
    let muted = SettingsChange { muted: Change::Set(Mute::Forever), ..archive() };
    world.change_settings(ada, of, archive(), now()).await.unwrap();
    world.change_settings(bob, of, archive(), now()).await.unwrap();
    world.change_settings(eve, of, muted, now()).await.unwrap();
    world.events.take();
    // One's own message brings it back, too.
    world.say(ada, Recipient::Group(group), "2").await;
    let events = world.events.take();
    let told: Vec<UserId> = events
        .iter()
        .filter_map(|event| match event {
            Event::SettingsChanged { user, settings, .. } if !settings.archived => Some(*user),
            _ => None,
        })
        .collect();
    let mut expected = [ada, bob];
    expected.sort_unstable();
    assert_eq!((told, events.len()), (expected.to_vec(), 3));
    world.say(ada, Recipient::Group(group), "3").await;
    assert_eq!(world.events.take().len(), 1);
    for (user, archived) in [(ada, false), (bob, false), (eve, true)] {
        assert_eq!(listed(&world, user, of).await.settings.archived, archived);
    }
    // The end of the mute alone brings nothing back; the next message does.
    let unmuted = SettingsChange { muted: Change::Clear, ..SettingsChange::default() };
    assert!(world.change_settings(eve, of, unmuted, now()).await.unwrap().settings.archived);
    world.say(bob, Recipient::Group(group), "4").await;
    assert!(!listed(&world, eve, of).await.settings.archived);
}

async fn many_are_told_a_bounded_number_at_a_time_and_all_see_it(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.private_group("tea", ada, []).await;
    let of = group.conversation();
    let mut members = Vec::new();
    for n in 0..201 {
        let user = world.user(&format!("user{n}")).await;
        world.add(ada, group, user, Role::Member).await.unwrap();
        world.change_settings(user, of, archive(), now()).await.unwrap();
        members.push(user);
    }
    for told in [200, 1, 0] {
        world.events.take();
        world.say(ada, Recipient::Group(group), "1").await;
        assert_eq!(world.events.take().len(), 1 + told);
        for user in &members[199..] {
            assert!(!listed(&world, *user, of).await.settings.archived);
        }
    }
}

async fn a_draft_ends_with_the_message_that_it_became(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "1").await.conversation;
    world.keep_draft(ada, of, draft("Dear Bob"), now()).await.unwrap();
    world.keep_draft(bob, of, draft("Dear Ada"), now()).await.unwrap();
    world.say(ada, Recipient::User(bob), "2").await;
    assert!(listed(&world, ada, of).await.draft.is_some());
    world.events.take();
    let sent = domain::messages::NewMessage { clears_draft: true, ..text(ada, Recipient::User(bob), "Dear Bob") };
    world.append(sent).await.unwrap();
    let events = world.events.take();
    let [Event::MessageCreated(..), Event::DraftChanged { draft: None, user, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*user, ada);
    assert_eq!(listed(&world, ada, of).await.draft, None);
    assert_eq!(listed(&world, bob, of).await.draft.unwrap().content.as_str(), "Dear Ada");
    // Without a draft, nobody is told that it ended.
    world
        .append(domain::messages::NewMessage { clears_draft: true, ..text(ada, Recipient::User(bob), "3") })
        .await
        .unwrap();
    assert_eq!(world.events.take().len(), 1);
    // An account takes its drafts along.
    world.delete_user(bob).await;
    assert_eq!(world.raw().number("SELECT count(*) AS n FROM drafts"), 0);
}

async fn a_view_ends_with_the_membership(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    let of = group.conversation();
    world.change_settings(bob, of, archive(), now()).await.unwrap();
    world.keep_draft(bob, of, draft("hm"), now()).await.unwrap();
    world.remove(bob, group, bob).await.unwrap();
    assert_eq!(world.raw().number("SELECT count(*) AS n FROM drafts"), 0);
    world.add(ada, group, bob, Role::Member).await.unwrap();
    let again = listed(&world, bob, of).await;
    assert_eq!((again.settings, again.draft), (Settings::default(), None));
}

async fn a_view_is_for_members(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.group(ada, "open", Visibility::Public).await;
    let (of, said) = (group.conversation(), world.say(ada, Recipient::Group(group), "1").await.id);
    let (nowhere, elsewhere) = (ConversationId(fresh()), world.say(ada, Recipient::User(bob), "2").await.id);
    for (of, expected) in [(of, "Forbidden"), (nowhere, "NotFound")] {
        let answers = [
            fault(world.change_settings(bob, of, archive(), now()).await),
            fault(world.keep_draft(bob, of, draft("hm"), now()).await),
            fault(world.drop_draft(bob, of).await),
            fault(world.mark_unread(bob, of, said).await),
        ];
        assert!(answers.iter().all(|answer| answer.starts_with(expected)), "{answers:?}");
    }
    let unseen = world.say(ada, Recipient::User(ada), "to oneself").await.id;
    let of = world.conversations(bob).await[0].id;
    for (id, expected) in [(said, "Invalid"), (unseen, "NotFound"), (MessageId(fresh()), "NotFound")] {
        let with = NewDraft { reply_to: Some(id), ..draft("hm") };
        let in_thread = NewDraft { thread_id: Some(id), ..draft("hm") };
        let answers = [
            fault(world.keep_draft(bob, of, with, now()).await),
            fault(world.keep_draft(bob, of, in_thread, now()).await),
            fault(world.mark_unread(bob, of, id).await),
        ];
        assert!(answers.iter().all(|answer| answer.starts_with(expected)), "{answers:?}");
    }
    world.keep_draft(bob, of, NewDraft { reply_to: Some(elsewhere), ..draft("hm") }, now()).await.unwrap();
}

async fn unread_is_told_once_and_keeps_what_others_were_told(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..6 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let of = said[0].conversation;
    let seen_at = now();
    world.mark_seen(bob, said[5].id, seen_at).await.unwrap();
    world.mark_read(bob, of, said[3].id, seen_at).await.unwrap();
    assert_eq!((world.unseen_in(bob, of).await, listed(&world, ada, of).await.others_read_up_to.0), (1, 6));
    world.events.take();
    for _ in 0..2 {
        world.mark_unread(bob, of, said[1].id).await.unwrap();
    }
    let destination = Destination::Direct { receiver: ada };
    let told = Event::MarkedUnread { conversation: of, destination, user: bob, from: said[1].id };
    assert_eq!(world.events.take(), [told]);
    let mine = listed(&world, bob, of).await;
    assert_eq!((mine.unseen.count, mine.read_up_to.0, mine.others_read_up_to.0), (5, 1, 0));
    assert_eq!(listed(&world, ada, of).await.others_read_up_to.0, 6);
    // Inside the range that was read, then from the front: every receipt keeps its time, and the sender hears nothing.
    world.mark_seen(bob, said[2].id, now()).await.unwrap();
    let events = world.events.take();
    let [Event::MessageSeen { sender, reader, seen_at: told_at, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*sender, *reader, *told_at), (bob, bob, seen_at));
    assert_eq!(world.unseen_in(bob, of).await, 4);
    world.mark_read(bob, of, said[4].id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 1);
    for (n, message) in said.iter().enumerate() {
        let receipts = world.of_message(ada, message.id, None, limit(9)).await.unwrap().items;
        assert_eq!(receipts.len(), 1, "{n}");
        assert_eq!(receipts[0].seen_at == seen_at, n != 4, "{n}");
    }
}

async fn who_resumes_learns_that_a_view_changed(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "1").await;
    let of = sent.conversation;
    let changed = async |since: Revision| world.missed(bob, since).await.unwrap().unwrap().views_changed;
    let cursor = async || world.subscriptions(bob).await.unwrap().at;
    let mut since = cursor().await;
    assert!(!changed(since).await);
    world.change_settings(bob, of, archive(), now()).await.unwrap();
    assert!(changed(since).await);
    since = cursor().await;
    world.keep_draft(bob, of, draft("hm"), now()).await.unwrap();
    assert!(changed(since).await);
    since = cursor().await;
    world.mark_read(bob, of, sent.id, now()).await.unwrap();
    assert!(!changed(since).await);
    world.mark_unread(bob, of, sent.id).await.unwrap();
    assert!(changed(since).await);
    since = cursor().await;
    // Another's message brings it back.
    world.say(ada, Recipient::User(bob), "2").await;
    assert!(changed(since).await);
}

async fn opening_tells_nobody(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let Opened::Made(made) = world.open_direct(ada, bob, ConversationId(fresh()), now()).await.unwrap() else {
        panic!("there was none")
    };
    let ids = async |user| world.conversations(user).await.into_iter().map(|listed| listed.id).collect::<Vec<_>>();
    assert_eq!((ids(ada).await, ids(bob).await), (vec![made.id], vec![]));
    assert_eq!(world.events.take(), []);
    let Opened::Found(found) = world.open_direct(bob, ada, ConversationId(fresh()), now()).await.unwrap() else {
        panic!("there is one")
    };
    assert_eq!((found.id, ids(bob).await), (made.id, vec![made.id]));
    // Nobody has written: it is no acquaintance.
    assert!(!world.acquaintance(ada, bob).await.unwrap().each_wrote);
    let gone = world.user("gone").await;
    world.delete_user(gone).await;
    for other in [gone, UserId(fresh())] {
        assert_eq!(fault(world.open_direct(ada, other, ConversationId(fresh()), now()).await), "NotFound(User)");
    }
    world.delete_user(bob).await;
    assert!(matches!(world.open_direct(ada, bob, ConversationId(fresh()), now()).await.unwrap(), Opened::Found(_)));
}
