//! `ExportReader`.

use crate::append::a_file;
use crate::world::{World, contents, now, text};
use domain::ConversationId;
use domain::export::{Counterpart, ExportReader, ScanPosition};
use domain::files::FileRepository;
use domain::groups::{Role, Visibility};
use domain::messages::{Content, Emoji, Message, MessageLog, Recipient, Seq};
use domain::receipts::ReceiptRepository;
use domain::sessions::{Session, SessionRepository};
use domain::{MessageId, SessionId, UserId};
use test_support::TestDb;

on_both!(
    all_messages_one_sent_are_found_wherever_they_are,
    a_walk_goes_on_where_it_stopped,
    what_one_has_seen_is_told_in_stretches,
    memberships_sessions_and_files_are_ones_own,
    what_ones_messages_said_before_is_ones_own,
    a_walk_over_versions_and_reactions_leaves_none_out,
    reactions_stay_ones_own_in_a_group_one_has_left,
    a_mention_is_told_as_long_as_one_may_read_it,
);

/// Everything a user sent, by a walk from its beginning, and how many reads it took.
async fn sent(world: &World, user: UserId) -> (Vec<String>, usize) {
    let (mut all, mut from, mut reads) = (Vec::new(), None, 0);
    loop {
        let stage = world.sent(user, from).await.unwrap();
        assert!(stage.items.len() <= 200);
        all.extend(contents(&stage.items).into_iter().map(str::to_owned));
        (from, reads) = (stage.next, reads + 1);
        if from.is_none() {
            return (all, reads);
        }
    }
}

async fn all_messages_one_sent_are_found_wherever_they_are(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    world.say(ada, Recipient::User(bob), "direct").await;
    world.say(bob, Recipient::User(ada), "bob's").await;
    world.say(bob, Recipient::User(eve), "not ada's at all").await;
    world.say(ada, Recipient::User(ada), "to oneself").await;
    world.say(ada, Recipient::Everybody, "broadcast").await;
    let (left, ended) = (world.private_group("left", bob, [ada]).await, world.private_group("ended", bob, [ada]).await);
    for group in [left, ended] {
        world.say(ada, Recipient::Group(group), "in a group").await;
    }
    world.remove(ada, left, ada).await.unwrap();
    domain::groups::GroupRepository::delete(&*world, bob, ended, now()).await.unwrap();
    let gone = world.say(ada, Recipient::User(bob), "deleted").await;
    world.delete(ada, gone.id, now()).await.unwrap();

    let (mut all, _) = sent(&world, ada).await;
    all.sort();
    assert_eq!(all, ["broadcast", "direct", "in a group", "in a group", "to oneself"]);
    assert_eq!(sent(&world, eve).await.0, [""; 0]);
}

async fn a_walk_goes_on_where_it_stopped(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    // More than a page of one's own, and stretches in which there is nothing of one's own.
    let others = crate::concurrency::all((0..4_500).map(|_| world.append(text(bob, Recipient::User(ada), "bob's"))));
    assert!(others.await.iter().all(Result::is_ok));
    for n in 0..450 {
        world.say(ada, Recipient::User(bob), &n.to_string()).await;
    }
    let (all, reads) = sent(&world, ada).await;
    assert_eq!(all, (0..450).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!((3..=5).contains(&reads), "{reads}");
    // Into nowhere: the end.
    let nowhere = ScanPosition { conversation: ConversationId(uuid::Uuid::max()), seq: Seq(0) };
    assert_eq!(world.sent(ada, Some(nowhere)).await.unwrap().next, None);
}

async fn what_one_has_seen_is_told_in_stretches(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..5 {
        said.push(world.say(bob, Recipient::User(ada), &n.to_string()).await);
    }
    let at = [now(), now()];
    world.mark_seen(ada, said[1].id, at[0]).await.unwrap();
    world.mark_read(ada, said[0].conversation, said[3].id, at[1]).await.unwrap();
    let stage = world.seen(ada, None).await.unwrap();
    let shown: Vec<_> = stage.items.iter().map(|seen| (seen.after.0, seen.up_to.0, seen.seen_at)).collect();
    assert_eq!(shown, [(0, 1, at[1]), (1, 2, at[0]), (2, 4, at[1])]);
    assert!(stage.next.is_none() && stage.items[0].conversation == said[0].conversation);
    assert!(world.seen(bob, None).await.unwrap().items.is_empty());
}

async fn memberships_sessions_and_files_are_ones_own(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(bob, Recipient::User(ada), "hello").await;
    let group = world.group(ada, "ours", Visibility::Private).await;
    world.group(bob, "bob's", Visibility::Public).await;
    let (open, ended) = (SessionId(crate::world::fresh()), SessionId(crate::world::fresh()));
    for id in [open, ended] {
        let session = Session::begin(id, ada, None, now());
        world.begin_session(session).await.unwrap();
    }
    let end = now();
    world.end(ada, ended, end).await.unwrap();
    let file = a_file(ada, "application/pdf");
    FileRepository::create(&*world, file.clone()).await.unwrap();
    FileRepository::create(&*world, a_file(bob, "application/pdf")).await.unwrap();

    let memberships = world.memberships(ada, None).await.unwrap();
    assert!(!memberships.more);
    let mut with: Vec<_> = memberships.items.into_iter().map(|membership| membership.with).collect();
    with.sort_by_key(|with| matches!(with, Counterpart::Group(..)));
    assert!(matches!(&with[0], Counterpart::User(user) if user.username == "bob"));
    assert!(matches!(&with[1], Counterpart::Group(id, _, Role::Owner) if *id == group) && with.len() == 2);
    let sessions = world.sessions(ada, None).await.unwrap().items;
    let known: Vec<_> = sessions.iter().map(|past| (past.session.id, past.ended_at)).collect();
    assert_eq!(known, [(open, None), (ended, Some(end))]);
    assert_eq!(world.sessions(ada, Some(open)).await.unwrap().items.len(), 1);
    assert_eq!(ExportReader::files(&*world, ada, None).await.unwrap().items, [file]);
}

async fn edit(world: &World, by: UserId, of: &Message, words: &str) {
    world.edit(by, of.id, Content::parse(words).unwrap(), now()).await.unwrap();
}

/// Everything that a user's messages said before, by a walk from its beginning, and how many reads it took.
async fn versions(world: &World, user: UserId) -> (Vec<(MessageId, String)>, usize) {
    let (mut all, mut from, mut reads) = (Vec::new(), None, 0);
    loop {
        let stage = ExportReader::versions(&**world, user, from).await.unwrap();
        assert!(stage.items.len() < 250);
        all.extend(stage.items.into_iter().map(|past| (past.message, past.version.content)));
        (from, reads) = (stage.next, reads + 1);
        if from.is_none() {
            return (all, reads);
        }
    }
}

/// All of a user's reactions, by a walk from its beginning, and how many reads it took.
async fn reactions(world: &World, user: UserId) -> (Vec<(MessageId, String)>, usize) {
    let (mut all, mut from, mut reads) = (Vec::new(), None, 0);
    loop {
        let stage = world.reactions(user, from).await.unwrap();
        assert!(stage.items.len() < 220);
        all.extend(stage.items.into_iter().map(|own| (own.message, own.emoji.into_string())));
        (from, reads) = (stage.next, reads + 1);
        if from.is_none() {
            return (all, reads);
        }
    }
}

async fn what_ones_messages_said_before_is_ones_own(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let left = world.private_group("left", bob, [ada]).await;
    let direct = world.say(ada, Recipient::User(bob), "one").await;
    let grouped = world.say(ada, Recipient::Group(left), "uno").await;
    let theirs = world.say(bob, Recipient::User(ada), "bob's").await;
    let gone = world.say(ada, Recipient::User(bob), "gone").await;
    for (by, of, words) in [(ada, &direct, "two"), (ada, &direct, "three"), (ada, &grouped, "due")] {
        edit(&world, by, of, words).await;
    }
    edit(&world, bob, &theirs, "bob's own").await;
    edit(&world, ada, &gone, "gone too").await;
    world.delete(ada, gone.id, now()).await.unwrap();
    world.remove(ada, left, ada).await.unwrap();
    let (mut found, _) = versions(&world, ada).await;
    found.sort_by_key(|(id, _)| *id);
    let mut expected = [(direct.id, "one"), (direct.id, "two"), (grouped.id, "uno")];
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(found, expected.map(|(id, words)| (id, words.to_owned())));
    let stage = ExportReader::versions(&*world, bob, None).await.unwrap();
    assert_eq!((stage.items[0].version.created_at, stage.items.len()), (theirs.created_at, 1));
}

async fn a_walk_over_versions_and_reactions_leaves_none_out(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let faces = ["😀", "😁", "😂", "🤣", "😃", "😄", "😅"];
    let (mut said, mut reacted) = (Vec::new(), Vec::new());
    for n in 0..70 {
        let sent = world.say(ada, Recipient::User(bob), &format!("{n}: 0")).await;
        for k in 1..=7 {
            edit(&world, ada, &sent, &format!("{n}: {k}")).await;
            said.push((sent.id, format!("{n}: {}", k - 1)));
            let face = faces[k - 1];
            world.react(ada, sent.id, Emoji::parse(face).unwrap(), now()).await.unwrap();
            world.react(bob, sent.id, Emoji::parse(face).unwrap(), now()).await.unwrap();
            reacted.push((sent.id, face.to_owned()));
        }
    }
    // More than two pages; no page ends within a message.
    let (found, reads) = versions(&world, ada).await;
    assert!(found == said && (3..=5).contains(&reads), "{} of {} in {reads}", found.len(), said.len());
    let (found, reads) = reactions(&world, ada).await;
    assert!(found == reacted && (3..=5).contains(&reads), "{} of {} in {reads}", found.len(), reacted.len());
    assert_eq!(versions(&world, bob).await.0, []);
}

async fn reactions_stay_ones_own_in_a_group_one_has_left(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let left = world.private_group("left", bob, [ada]).await;
    let (sent, gone) =
        (world.say(bob, Recipient::Group(left), "x").await, world.say(bob, Recipient::Group(left), "y").await);
    let like = Emoji::parse("👍").unwrap();
    let at = now();
    for id in [sent.id, gone.id] {
        world.react(ada, id, like.clone(), at).await.unwrap();
    }
    world.react(ada, sent.id, Emoji::parse("🎉").unwrap(), at).await.unwrap();
    world.unreact(ada, sent.id, Emoji::parse("🎉").unwrap(), now()).await.unwrap();
    world.delete(bob, gone.id, now()).await.unwrap();
    world.remove(ada, left, ada).await.unwrap();
    let stage = world.reactions(ada, None).await.unwrap();
    assert_eq!((stage.items.len(), stage.next), (1, None));
    let own = &stage.items[0];
    assert_eq!((own.conversation, own.message, &own.emoji, own.created_at), (sent.conversation, sent.id, &like, at));
    assert_eq!(world.reactions(bob, None).await.unwrap().items, []);
}

async fn a_mention_is_told_as_long_as_one_may_read_it(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", bob, [ada]).await;
    let direct = world.say(bob, Recipient::User(ada), "@ada").await;
    let grouped = world.say(bob, Recipient::Group(tea), "@all").await;
    world.say(ada, Recipient::Group(tea), "@ada and @bob").await;
    let page = world.mentioned(ada, None).await.unwrap();
    let told: Vec<_> = page.items.iter().map(|one| (one.conversation, one.message, one.created_at)).collect();
    assert_eq!(told, [&grouped, &direct].map(|of| (of.conversation, of.id, of.created_at)));
    let before = world.mentioned(ada, Some(grouped.id)).await.unwrap();
    assert_eq!((before.items[..].to_vec(), before.more), (vec![page.items[1]], false));
    world.remove(ada, tea, ada).await.unwrap();
    assert_eq!(world.mentioned(ada, None).await.unwrap().items, before.items);
}
