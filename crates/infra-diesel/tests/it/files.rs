//! `FileRepository`.

use crate::append::a_file;
use crate::world::{World, draft, fresh_file, limit, now, stored};
use domain::UserId;
use domain::files::{File, FileRepository};
use domain::groups::{GroupChange, GroupRepository, Role, Visibility};
use domain::messages::{
    Attachment, AttachmentKind, Caption, Message, MessageLog, MessageReader, NewBody, PageRead, Recipient, Window,
};
use infra_diesel::images::UnreadImages;
use test_support::TestDb;

on_both!(
    a_file_is_the_uploaders,
    a_message_opens_its_file_to_who_may_read_it,
    one_message_that_may_be_read_is_enough,
    an_empty_file_is_fine,
    images_of_before_are_found_and_noted,
);

async fn send(world: &World, sender: UserId, recipient: Recipient, file: &File) -> Message {
    let attached = Attachment::Stored { kind: AttachmentKind::File, file: file.id };
    stored(world.append(draft(sender, recipient, NewBody::Attachment(attached, Caption::none()))).await)
}

async fn readers(world: &World, file: &File, people: &[UserId]) -> Vec<bool> {
    let mut readers = Vec::new();
    for person in people {
        let found = FileRepository::find(&**world, *person, file.id).await.unwrap();
        assert!(found.is_none() || found.as_ref() == Some(file));
        readers.push(found.is_some());
    }
    readers
}

async fn a_file_is_the_uploaders(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for file in [a_file(ada, "application/pdf"), a_file(ada, "image/png")] {
        FileRepository::create(&*world, file.clone()).await.unwrap();
        assert_eq!(readers(&world, &file, &[ada, bob]).await, [true, false]);
    }
    let as_sent = a_file(ada, "image/png");
    let as_sent = File { sent_sha256: as_sent.sha256, ..as_sent };
    FileRepository::create(&*world, as_sent.clone()).await.unwrap();
    assert_eq!(readers(&world, &as_sent, &[ada]).await, [true]);
    assert_eq!(FileRepository::find(&*world, ada, fresh_file()).await.unwrap(), None);
}

async fn a_message_opens_its_file_to_who_may_read_it(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let people = [ada, bob, eve];
    let upload = async || {
        let file = a_file(ada, "application/pdf");
        FileRepository::create(&*world, file.clone()).await.unwrap();
        file
    };
    let direct = upload().await;
    let sent = send(&world, ada, Recipient::User(bob), &direct).await;
    assert_eq!(readers(&world, &direct, &people).await, [true, true, false]);
    world.delete(ada, sent.id, now()).await.unwrap();
    assert_eq!(readers(&world, &direct, &people).await, [true, false, false]);

    let grouped = upload().await;
    let group = world.private_group("tea", ada, [bob]).await;
    send(&world, ada, Recipient::Group(group), &grouped).await;
    assert_eq!(readers(&world, &grouped, &people).await, [true, true, false]);
    world.add(ada, group, eve, Role::Member).await.unwrap();
    world.remove(ada, group, bob).await.unwrap();
    assert_eq!(readers(&world, &grouped, &people).await, [true, false, true]);
    let open = GroupChange { visibility: Some(Visibility::Public), ..GroupChange::default() };
    GroupRepository::change(&*world, ada, group, open, now()).await.unwrap();
    assert_eq!(readers(&world, &grouped, &people).await, [true, true, true]);
    GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    assert_eq!(readers(&world, &grouped, &people).await, [true, false, false]);

    let news = upload().await;
    send(&world, ada, Recipient::Everybody, &news).await;
    assert_eq!(readers(&world, &news, &people).await, [true, true, true]);
}

async fn one_message_that_may_be_read_is_enough(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let file = a_file(ada, "application/pdf");
    FileRepository::create(&*world, file.clone()).await.unwrap();
    let one = send(&world, ada, Recipient::User(bob), &file).await;
    send(&world, ada, Recipient::User(eve), &file).await;
    world.delete(ada, one.id, now()).await.unwrap();
    assert_eq!(readers(&world, &file, &[bob, eve]).await, [false, true]);
}

async fn an_empty_file_is_fine(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let file = File { size: 0, ..a_file(ada, "application/octet-stream") };
    FileRepository::create(&*world, file.clone()).await.unwrap();
    assert_eq!(readers(&world, &file, &[ada]).await, [true]);
}

async fn images_of_before_are_found_and_noted(db: TestDb) {
    let url = db.url().to_owned();
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut unread = Vec::new();
    for (media_type, is_unread) in
        [("image/png", true), ("image/webp", true), ("image/svg+xml", false), ("text/plain", false)]
    {
        let file = File { image: None, ..a_file(ada, media_type) };
        FileRepository::create(&*world, file.clone()).await.unwrap();
        unread.extend(is_unread.then_some(file));
    }
    FileRepository::create(&*world, a_file(ada, "image/png")).await.unwrap();
    unread.sort_by_key(|file| file.id);
    send(&world, ada, Recipient::User(bob), &unread[0]).await;
    let window = Window::Offset { offset: 0, limit: limit(9) };
    let read =
        async |known| MessageReader::page(&*world, bob, Recipient::User(ada), window.into(), known).await.unwrap();
    let PageRead::Read(_, version) = read(None).await else { panic!("nobody knew it") };
    assert_eq!(read(version).await, PageRead::Unchanged);

    // While the store is open.
    let mut images = UnreadImages::open(&url).unwrap();
    assert_eq!(images.page(None).unwrap(), unread);
    assert_eq!(images.page(Some(unread[0].id)).unwrap(), unread[1..]);
    let image = a_file(ada, "image/png").image.unwrap();
    images.note(unread[0].id, &image).unwrap();
    assert_eq!(images.page(None).unwrap(), unread[1..]);
    let found = FileRepository::find(&*world, bob, unread[0].id).await.unwrap().unwrap();
    assert_eq!(found, File { image: Some(image), ..unread[0].clone() });
    assert_ne!(read(version).await, PageRead::Unchanged);
}
