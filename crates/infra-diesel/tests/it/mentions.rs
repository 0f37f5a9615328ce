//! Whom messages mention: who may be mentioned, by whom, and what counts.

use crate::world::{World, now, only_boss_broadcasts, refused, stored, text};
use domain::groups::Role;
use domain::messages::{
    Appended, Content, IdempotencyKey, MessageLog, MessageReader, NewMessage, Recipient, SaidMentions,
};
use domain::receipts::ReceiptRepository;
use domain::{MessageId, UserId};
use test_support::TestDb;

on_both!(
    members_are_mentioned_and_nobody_else,
    all_are_mentioned_by_who_runs_the_place,
    mentions_count_while_they_are_unseen,
    a_retry_says_the_same_mentions,
);

fn saying(users: &[UserId], all: bool) -> Option<SaidMentions> {
    SaidMentions::new(users.to_vec(), all).ok()
}

async fn mentions(world: &World, user: UserId) -> Vec<MessageId> {
    let page = world.mentions(user, None, crate::world::limit(200)).await.unwrap();
    page.items.into_iter().map(|message| message.id).collect()
}

async fn members_are_mentioned_and_nobody_else(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    let to = Recipient::Group(tea);
    let sent = world.say(ada, to, "@BOB @eve @ada @nobody").await;
    assert_eq!(sent.mentions.users, [bob, ada]);
    assert_eq!(MessageReader::find(&*world, bob, sent.id).await.unwrap(), Some(sent.clone()));
    // One's own message is no mention of oneself.
    assert_eq!((mentions(&world, bob).await, mentions(&world, ada).await), (vec![sent.id], vec![]));
    // Said outright, the text names nobody.
    let draft = NewMessage { mentions: saying(&[eve, ada, ada], false), ..text(bob, to, "@bob") };
    let outright = stored(world.append(draft).await);
    assert_eq!(outright.mentions.users, [ada]);
    let nobody = stored(world.append(NewMessage { mentions: saying(&[], false), ..text(ada, to, "@bob") }).await);
    assert!(nobody.mentions.is_empty());
    // Who may no longer read it is no longer shown it, and an edit mentions anew.
    world.remove(ada, tea, bob).await.unwrap();
    assert_eq!(mentions(&world, bob).await, []);
    world.add(ada, tea, bob, Role::Member).await.unwrap();
    assert_eq!(mentions(&world, bob).await, [sent.id]);
    world.edit(ada, sent.id, Content::parse("nobody").unwrap(), now()).await.unwrap();
    assert_eq!(mentions(&world, bob).await, []);
    // A direct conversation mentions its two, also in its first message; nobody can mention all there.
    let direct = world.say(eve, Recipient::User(bob), "@bob @ada @all").await;
    assert_eq!((&direct.mentions.users[..], direct.mentions.all), (&[bob][..], false));
    let all = NewMessage { mentions: saying(&[], true), ..text(eve, Recipient::User(bob), "x") };
    refused!(world.append(all).await, "Forbidden(MentionOfAll)");
    world.delete(eve, direct.id, now()).await.unwrap();
    assert_eq!(mentions(&world, bob).await, []);
}

async fn all_are_mentioned_by_who_runs_the_place(db: TestDb) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let (boss, bob, eve) = (world.user("boss").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", boss, [bob]).await;
    let to = Recipient::Group(tea);
    assert!(!world.say(bob, to, "@all").await.mentions.all);
    let outright = NewMessage { mentions: saying(&[], true), ..text(bob, to, "x") };
    refused!(world.append(outright).await, "Forbidden(MentionOfAll)");
    let sent = world.say(boss, to, "@all").await;
    assert!(sent.mentions.all);
    // Who joins later is not mentioned, nor is who left in between.
    world.add(boss, tea, eve, Role::Member).await.unwrap();
    assert_eq!((mentions(&world, bob).await, mentions(&world, eve).await), (vec![sent.id], vec![]));
    world.remove(boss, tea, bob).await.unwrap();
    world.add(boss, tea, bob, Role::Member).await.unwrap();
    assert_eq!(mentions(&world, bob).await, []);
    // An edit mentions the members of its own moment.
    world.edit(boss, sent.id, Content::parse("@all again").unwrap(), now()).await.unwrap();
    assert_eq!((mentions(&world, bob).await, mentions(&world, eve).await), (vec![sent.id], vec![sent.id]));
    world.delete(boss, sent.id, now()).await.unwrap();
    let to_all = world.say(boss, Recipient::Everybody, "@all").await;
    assert_eq!((mentions(&world, bob).await, mentions(&world, eve).await), (vec![to_all.id], vec![to_all.id]));
    let later = world.user("later").await;
    assert_eq!(mentions(&world, later).await, []);
}

async fn mentions_count_while_they_are_unseen(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", ada, [bob, eve]).await;
    let of = tea.conversation();
    let counted = async |user| world.count_in(user, of).await;
    let sent = world.say(ada, Recipient::Group(tea), "@bob @all").await;
    world.say(ada, Recipient::Group(tea), "x").await;
    assert_eq!((counted(bob).await.count, counted(bob).await.mentions), (2, 1));
    world.say(eve, Recipient::Group(tea), "@bob").await;
    assert_eq!((counted(bob).await.count, counted(bob).await.mentions, counted(ada).await.mentions), (3, 2, 0));
    // An edit takes mentions away, and gives some.
    world.edit(ada, sent.id, Content::parse("@eve").unwrap(), now()).await.unwrap();
    assert_eq!((counted(bob).await.mentions, counted(eve).await.mentions), (1, 1));
    world.edit(ada, sent.id, Content::parse("@bob").unwrap(), now()).await.unwrap();
    assert_eq!((counted(bob).await.mentions, counted(eve).await.mentions), (2, 0));
    world.mark_seen(bob, sent.id, now()).await.unwrap();
    assert_eq!((counted(bob).await.count, counted(bob).await.mentions), (2, 1));
}

async fn a_retry_says_the_same_mentions(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    let send = async |said| {
        let key = IdempotencyKey::parse("client_id", "k").ok();
        world.append(NewMessage { mentions: said, key, ..text(ada, Recipient::Group(tea), "x") }).await
    };
    let sent = stored(send(saying(&[ada, bob], false)).await);
    for same in [saying(&[ada, bob], false), saying(&[bob, ada, bob], false)] {
        assert_eq!(send(same).await.unwrap(), Appended::Duplicate(sent.clone()));
    }
    for other in [None, saying(&[ada], false), saying(&[ada, bob], true)] {
        refused!(send(other).await, "Conflict(KeyReused)");
    }
}
