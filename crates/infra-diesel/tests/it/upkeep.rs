//! `UpkeepRepository`, and how much the files of a user may take.

use crate::append::a_file;
use crate::concurrency::all;
use crate::world::{World, at, draft, fresh_file, now, refused, stored};
use domain::context::Timestamp;
use domain::files::{File, FileQuota, FileRepository};
use domain::messages::{Attachment, AttachmentKind, Caption, MessageLog, NewBody, NewMessage, Recipient};
use domain::retention::RetentionRepository;
use domain::upkeep::{Evidence, UpkeepRepository};
use domain::users::ServerPolicy;
use domain::{FileId, UserId};
use infra_diesel::Store;
use test_support::{Backend, TestDb};

on_both!(
    what_no_live_message_carries_is_loose,
    files_are_gone_through_page_by_page,
    a_file_that_is_being_sent_is_not_withdrawn,
    a_quota_counts_what_is_stored_and_not_forgotten,
    a_quota_is_kept_by_uploads_at_once,
    a_refused_upload_leaves_no_trace_in_its_batch,
    the_last_clock_that_was_believed_is_known,
    doubts_are_counted_over_restarts_until_a_clock_is_believed,
    ids_that_no_file_has_are_unknown,
);

fn carrying(sender: UserId, to: UserId, file: &File) -> NewMessage {
    let attachment = Attachment::Stored { kind: AttachmentKind::File, file: file.id };
    draft(sender, Recipient::User(to), NewBody::Attachment(attachment, Caption::none()))
}

fn uploaded(sender: UserId, to: UserId, file: File) -> NewMessage {
    draft(sender, Recipient::User(to), NewBody::Attachment(Attachment::Uploaded(file), Caption::none()))
}

async fn upload(world: &World, uploader: UserId) -> File {
    let file = a_file(uploader, "application/pdf");
    FileRepository::create(&**world, file.clone()).await.unwrap();
    file
}

async fn all_loose(world: &World, cutoff: Timestamp) -> Vec<FileId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.loose(cutoff, after).await.unwrap();
        found.extend(page.files);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn healthy(world: &World) {
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [""; 0]);
}

async fn what_no_live_message_carries_is_loose(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let unsent = upload(&world, ada).await;
    let sent = upload(&world, ada).await;
    stored(world.append(carrying(ada, bob, &sent)).await);
    let deleted = upload(&world, ada).await;
    let message = stored(world.append(carrying(ada, bob, &deleted)).await);
    world.delete(ada, message.id, now()).await.unwrap();
    let resent = upload(&world, ada).await;
    let message = stored(world.append(carrying(ada, bob, &resent)).await);
    stored(world.append(carrying(ada, eve, &resent)).await);
    world.delete(ada, message.id, now()).await.unwrap();
    let of_nobody = upload(&world, eve).await;
    world.delete_user(eve).await;
    let cutoff = now();
    let young = upload(&world, ada).await;

    let mut expected = [unsent.id, deleted.id, of_nobody.id];
    expected.sort_by_key(|id| id.0);
    assert_eq!(all_loose(&world, cutoff).await, expected);
    let asked = [&expected[..], &[sent.id]].concat();
    assert_eq!(UpkeepRepository::withdraw(&*world, asked, now()).await.unwrap(), expected);
    // Out of reach at once, and found again until it is forgotten.
    assert_eq!(FileRepository::find(&*world, ada, unsent.id).await.unwrap(), None);
    refused!(world.append(carrying(ada, bob, &unsent)).await, "NotFound(File)");
    assert_eq!(all_loose(&world, cutoff).await, expected);
    world.forget_files(expected.to_vec()).await.unwrap();
    assert_eq!(all_loose(&world, cutoff).await, []);
    for file in [&sent, &resent, &young] {
        assert!(FileRepository::find(&*world, ada, file.id).await.unwrap().is_some());
    }
    healthy(&world).await;
}

async fn files_are_gone_through_page_by_page(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut all = Vec::new();
    for _ in 0..450 {
        all.push(upload(&world, ada).await.id);
    }
    all.sort_by_key(|id| id.0);
    let first = world.loose(now(), None).await.unwrap();
    assert!(first.next.is_some() && first.files.len() < 450);
    assert_eq!(all_loose(&world, now()).await, all);
    let withdrawn = UpkeepRepository::withdraw(&*world, all.clone(), now()).await.unwrap();
    assert_eq!(withdrawn, all);
    world.forget_files(all).await.unwrap();
    assert_eq!(world.raw().number("SELECT bytes FROM file_usage"), 0);
    healthy(&world).await;
}

async fn a_file_that_is_being_sent_is_not_withdrawn(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for _ in 0..20 {
        let file = upload(&world, ada).await;
        let sending = world.append(carrying(ada, bob, &file));
        let withdrawing = UpkeepRepository::withdraw(&*world, vec![file.id], now());
        let (sent, withdrawn) = tokio::join!(sending, withdrawing);
        // Exactly one of the two had it.
        assert_ne!(sent.is_ok(), withdrawn.unwrap() == [file.id], "{sent:?}");
    }
}

fn of_size(uploader: UserId, size: u64) -> File {
    File { size, ..a_file(uploader, "application/pdf") }
}

async fn with_quota(db: TestDb, bytes: u64) -> World {
    World::with(db, ServerPolicy { files: FileQuota(bytes), ..ServerPolicy::default() }).await
}

async fn a_quota_counts_what_is_stored_and_not_forgotten(db: TestDb) {
    let world = with_quota(db, 100).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let used_up = "QuotaUsedUp { limit: 100 }";
    let kept = of_size(ada, 60);
    FileRepository::create(&*world, kept.clone()).await.unwrap();
    refused!(FileRepository::create(&*world, of_size(ada, 41)).await, used_up);
    refused!(world.append(uploaded(ada, bob, of_size(ada, 41))).await, used_up);
    stored(world.append(uploaded(ada, bob, of_size(ada, 40))).await);
    refused!(FileRepository::create(&*world, of_size(ada, 1)).await, used_up);
    assert_eq!((world.usage(ada).await.unwrap(), world.usage(bob).await.unwrap()), (100, 0));
    FileRepository::create(&*world, of_size(ada, 0)).await.unwrap();
    FileRepository::create(&*world, of_size(bob, 100)).await.unwrap();
    healthy(&world).await;

    // Withdrawn it still lies on the disk; forgotten it does not.
    assert_eq!(UpkeepRepository::withdraw(&*world, vec![kept.id], now()).await.unwrap(), [kept.id]);
    refused!(FileRepository::create(&*world, of_size(ada, 1)).await, used_up);
    for _ in 0..2 {
        world.forget_files(vec![kept.id]).await.unwrap();
    }
    assert_eq!(world.usage(ada).await.unwrap(), 40);
    refused!(FileRepository::create(&*world, of_size(ada, 61)).await, used_up);
    FileRepository::create(&*world, of_size(ada, 60)).await.unwrap();
    healthy(&world).await;
}

async fn a_quota_is_kept_by_uploads_at_once(db: TestDb) {
    let two = db.backend() == Backend::Postgres;
    let world = with_quota(db, 100).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let policy = ServerPolicy { files: FileQuota(100), ..ServerPolicy::default() };
    let other = if two { Some(crate::world::open(&world.db, policy, world.events.clone()).await) } else { None };
    let other: &Store = other.as_ref().unwrap_or(&world);
    let outcomes = all((0..40).map(|n| {
        let (uploader, to) = if n % 2 == 0 { (ada, bob) } else { (bob, ada) };
        let store: &Store = if n % 3 == 0 { other } else { &world };
        async move {
            let file = of_size(uploader, 10);
            match n % 4 {
                0 | 1 => FileRepository::create(store, file).await.is_ok(),
                _ => store.append(uploaded(uploader, to, file)).await.is_ok(),
            }
        }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|taken| **taken).count(), 20);
    assert_eq!(world.raw().number("SELECT sum(bytes) FROM file_usage"), 200);
    healthy(&world).await;
}

async fn a_refused_upload_leaves_no_trace_in_its_batch(db: TestDb) {
    let world = with_quota(db, 100).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let outcomes =
        all((0..30).map(|n| world.append(uploaded(ada, bob, of_size(ada, if n % 3 == 0 { 101 } else { 1 }))))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 20);
    assert_eq!(world.raw().number("SELECT bytes FROM file_usage"), 20);
    assert_eq!(world.raw().number("SELECT count(*) FROM files"), 20);
    healthy(&world).await;
}

async fn the_last_clock_that_was_believed_is_known(db: TestDb) {
    const HOUR: i64 = 3_600_000_000;
    let shared = db.backend() == Backend::Postgres;
    let world = World::new(db).await;
    assert_eq!(world.evidence().await.unwrap(), Evidence::default());
    let ada = world.user("ada").await;
    let said = world.say(ada, Recipient::User(ada), "now").await;
    assert_eq!(world.evidence().await.unwrap(), Evidence { believed: None, newest: Some(said.created_at), doubts: 0 });
    let noon = 1_800_000_000_000_000;
    assert!(world.believe(at(noon), HOUR).await.unwrap());
    assert_eq!(world.evidence().await.unwrap().believed, Some(at(noon)));
    // Of several servers one has the work to do; a SQLite file has one.
    for (time, mine) in [(noon + 1, !shared), (noon + HOUR / 2, !shared), (noon + HOUR, true), (noon - 40 * HOUR, true)]
    {
        assert_eq!(world.believe(at(time), HOUR).await.unwrap(), mine, "{time}");
    }
    let world = world.reopened().await;
    assert_eq!(world.evidence().await.unwrap().believed, Some(at(noon - 40 * HOUR)));
}

async fn doubts_are_counted_over_restarts_until_a_clock_is_believed(db: TestDb) {
    let world = World::new(db).await;
    assert_eq!((world.doubt().await.unwrap(), world.doubt().await.unwrap()), (1, 2));
    let world = world.reopened().await;
    assert_eq!(world.evidence().await.unwrap().doubts, 2);
    assert_eq!(world.doubt().await.unwrap(), 3);
    assert!(world.believe(at(1_800_000_000_000_000), 1).await.unwrap());
    assert_eq!(world.evidence().await.unwrap().doubts, 0);
}

async fn ids_that_no_file_has_are_unknown(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for n in 0..450 {
        let id = if n % 9 == 0 { upload(&world, ada).await.id } else { fresh_file() };
        asked.push(id);
        if n % 9 != 0 {
            expected.push(id);
        }
    }
    assert_eq!(world.unknown(asked.clone()).await.unwrap(), expected);
    assert_eq!(world.unknown(Vec::new()).await.unwrap(), []);
    // A withdrawn file still has its blob, and who forgets it removes that; a forgotten one has none.
    let first = vec![asked[0]];
    assert_eq!(UpkeepRepository::withdraw(&*world, first.clone(), now()).await.unwrap(), first);
    assert_eq!(world.unknown(first.clone()).await.unwrap(), []);
    world.forget_files(first.clone()).await.unwrap();
    assert_eq!(world.unknown(first.clone()).await.unwrap(), first);
}
