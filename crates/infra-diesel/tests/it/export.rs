//! `ExportReader`.

use crate::append::a_file;
use crate::world::{World, contents, now, text};
use domain::ConversationId;
use domain::export::{Counterpart, ExportReader, ScanPosition};
use domain::files::FileRepository;
use domain::groups::{Role, Visibility};
use domain::messages::{MessageLog, Recipient, Seq};
use domain::receipts::ReceiptRepository;
use domain::sessions::{Session, SessionRepository};
use domain::{SessionId, UserId};
use test_support::TestDb;

on_both!(
    all_messages_one_sent_are_found_wherever_they_are,
    a_walk_goes_on_where_it_stopped,
    what_one_has_seen_is_told_in_stretches,
    memberships_sessions_and_files_are_ones_own,
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
