//! Many at once: over one store, and over two that share one Postgres as two server processes do.

use crate::world::{Recorder, World, fresh, limit, open, text};
use domain::events::{Committed, Event};
use domain::groups::Visibility;
use domain::messages::{
    Appended, ChangeEntry, IdempotencyKey, MessageLog, MessageReader, NewMessage, Recipient, Update,
};
use domain::users::{NewUser, ServerPolicy, UserRepository, Username};
use domain::{Conflict, ConversationId, Error, UserId};
use infra_diesel::Store;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use test_support::{Backend, TestDb};

on_both!(
    counters_are_dense_and_in_commit_order,
    retries_from_everywhere_store_once,
    a_key_for_many_conversations_at_once_stores_one_message,
    of_eight_signups_of_one_name_one_succeeds,
    two_begin_their_conversation_at_once,
    edits_and_deletes_among_sends_lose_nothing,
);

/// Waits for all of them together.
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(futures).await
}

/// Servers over one database: two where it can have two. The first is the world's.
pub struct Servers {
    pub world: World,
    second: Option<(Store, Arc<Recorder>)>,
}

impl Servers {
    pub async fn start(db: TestDb) -> Self {
        let world = World::new(db).await;
        let second = match world.db.backend() {
            Backend::Sqlite => None,
            Backend::Postgres => {
                let events = Arc::new(Recorder::default());
                Some((open(&world.db, ServerPolicy::default(), events.clone()).await, events))
            }
        };
        Self { world, second }
    }

    /// By turns the one and the other.
    pub fn any(&self, n: usize) -> &Store {
        match &self.second {
            Some((second, _)) if !n.is_multiple_of(2) => second,
            _ => &self.world,
        }
    }

    /// What each server published.
    fn published(&self) -> Vec<Vec<Event>> {
        let events = |committed: Vec<Committed>| committed.into_iter().flat_map(|committed| committed.events).collect();
        self.committed().into_iter().map(events).collect()
    }

    /// As [`Servers::published`], by transaction.
    pub fn committed(&self) -> Vec<Vec<Committed>> {
        let second = self.second.as_ref().map(|(_, events)| events.take_committed());
        std::iter::once(self.world.events.take_committed()).chain(second).collect()
    }
}

const WRITERS: usize = 32;
const EACH: usize = 20;

async fn counters_are_dense_and_in_commit_order(db: TestDb) {
    let servers = Servers::start(db).await;
    let world = &servers.world;
    let ada = world.user("ada").await;
    let mut recipients = vec![Recipient::Everybody];
    for n in 0..4 {
        recipients.push(Recipient::Group(world.group(ada, &format!("g{n}"), Visibility::Public).await));
    }
    for n in 0..3 {
        recipients.push(Recipient::User(world.user(&format!("u{n}")).await));
    }
    servers.published();
    // Each writer sends one after the other, so that its own messages have to come in its own order.
    let sent = all((0..WRITERS).map(|writer| {
        let (servers, recipients) = (&servers, &recipients);
        async move {
            let mut sent = Vec::new();
            for n in 0..EACH {
                let to = recipients[(writer + n) % recipients.len()];
                let draft = text(ada, to, &format!("{writer} {n}"));
                match servers.any(writer).append(draft).await.unwrap() {
                    Appended::Stored(message) => sent.push(message),
                    Appended::Duplicate(message) => panic!("{message:?}"),
                }
            }
            sent
        }
    }))
    .await;
    let mut by_conversation: HashMap<ConversationId, BTreeMap<i64, String>> = HashMap::new();
    for message in sent.iter().flatten() {
        let words = message.body.content().to_owned();
        let before = by_conversation.entry(message.conversation).or_default().insert(message.seq.0, words);
        assert_eq!(before, None, "no number is given twice");
    }
    assert_eq!(by_conversation.len(), 8);
    for (of, numbered) in &by_conversation {
        let most = i64::try_from(numbered.len()).unwrap();
        assert!(numbered.keys().copied().eq(1..=most), "dense from 1");
        let changes = world.changes(ada, *of, Update(0), limit(200)).await.unwrap();
        let stored = changes.entries.iter().map(|entry| match entry {
            ChangeEntry::Message(message) => (message.update.0, message.body.content()),
            ChangeEntry::Deleted(tombstone) => panic!("{tombstone:?}"),
        });
        assert!(stored.eq(numbered.iter().map(|(seq, words)| (*seq, words.as_str()))), "stored as answered");
        assert_eq!(changes.update.0, most);
    }
    for writer in &sent {
        let mut last: HashMap<ConversationId, i64> = HashMap::new();
        for message in writer {
            let before = last.insert(message.conversation, message.seq.0).unwrap_or(0);
            assert!(before < message.seq.0, "what is sent after an answer comes after it");
        }
    }
    for published in servers.published() {
        let mut last: HashMap<ConversationId, i64> = HashMap::new();
        for event in published {
            let Event::MessageCreated(message, _) = event else { panic!("{event:?}") };
            let before = last.insert(message.conversation, message.update.0).unwrap_or(0);
            assert!(before < message.update.0, "published in commit order");
        }
    }
}

async fn retries_from_everywhere_store_once(db: TestDb) {
    let servers = Servers::start(db).await;
    let (ada, bob) = (servers.world.user("ada").await, servers.world.user("bob").await);
    servers.published();
    for to in [Recipient::User(bob), Recipient::User(bob), Recipient::Everybody] {
        let key = Some(IdempotencyKey::parse("client_id", &fresh().to_string()).unwrap());
        let draft = || NewMessage { key: key.clone(), ..text(ada, to, "once") };
        let outcomes = all((0..40).map(|n| servers.any(n).append(draft()))).await;
        let mut ids = Vec::new();
        let mut stores = 0;
        for outcome in outcomes {
            let message = match outcome.unwrap() {
                Appended::Stored(message) => {
                    stores += 1;
                    message
                }
                Appended::Duplicate(message) => message,
            };
            ids.push((message.id, message.seq));
        }
        ids.dedup();
        assert_eq!((stores, ids.len()), (1, 1), "{ids:?}");
        assert_eq!(servers.published().into_iter().flatten().count(), 1);
    }
    assert_eq!(servers.world.say(ada, Recipient::User(bob), "next").await.seq.0, 3);
}

async fn a_key_for_many_conversations_at_once_stores_one_message(db: TestDb) {
    let servers = Servers::start(db).await;
    let ada = servers.world.user("ada").await;
    let mut others = Vec::new();
    for n in 0..10 {
        others.push(servers.world.user(&format!("user{n}")).await);
    }
    servers.published();
    // No lock is common to them, and the conversations are not there yet.
    for _ in 0..3 {
        let key = Some(IdempotencyKey::parse("client_id", &fresh().to_string()).unwrap());
        let draft =
            |n: usize| NewMessage { key: key.clone(), ..text(ada, Recipient::User(others[n % others.len()]), "once") };
        let outcomes = all((0..20).map(|n| servers.any(n / 2).append(draft(n)))).await;
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::Stored(_)))).count();
        let reused = |outcome: &&_| matches!(outcome, Err(Error::Conflict(Conflict::KeyReused)));
        let refused = outcomes.iter().filter(reused).count();
        assert_eq!((stored, refused), (1, 18), "{outcomes:?}");
        assert_eq!(servers.published().into_iter().flatten().count(), 1);
    }
}

async fn of_eight_signups_of_one_name_one_succeeds(db: TestDb) {
    let servers = Servers::start(db).await;
    for round in 0..5 {
        let outcomes = all((0..8).map(|n| {
            let name = format!("{}{round}", if n % 3 == 0 { "Name" } else { "nAME" });
            let new = NewUser {
                id: UserId(fresh()),
                username: Username::parse("username", &name).unwrap(),
                email: None,
                password: None,
                at: crate::world::now(),
            };
            UserRepository::create(servers.any(n), new)
        }))
        .await;
        let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        let taken = |outcome: &_| matches!(outcome, Err(Error::Conflict(Conflict::UsernameTaken)));
        assert!(refused.iter().all(taken), "{refused:?}");
    }
}

async fn two_begin_their_conversation_at_once(db: TestDb) {
    let servers = Servers::start(db).await;
    let ada = servers.world.user("ada").await;
    for round in 0..30 {
        let bob = servers.world.user(&format!("bob{round}")).await;
        let sends = all((0..8).map(|n| {
            let (from, to) = if n % 4 < 2 { (ada, bob) } else { (bob, ada) };
            servers.any(n).append(text(from, Recipient::User(to), &n.to_string()))
        }))
        .await;
        let sent: Vec<_> = sends.into_iter().map(crate::world::stored).collect();
        assert!(sent.iter().all(|message| message.conversation == sent[0].conversation));
        let mut seqs: Vec<_> = sent.iter().map(|message| message.seq.0).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=8).collect::<Vec<_>>());
        assert_eq!(servers.world.unseen_in(bob, sent[0].conversation).await, 4);
    }
}

async fn edits_and_deletes_among_sends_lose_nothing(db: TestDb) {
    let servers = Servers::start(db).await;
    let (ada, bob) = (servers.world.user("ada").await, servers.world.user("bob").await);
    let of = servers.world.say(ada, Recipient::User(bob), "first").await.conversation;
    all((0..WRITERS).map(|n| {
        let servers = &servers;
        async move {
            for turn in 0..4 {
                let draft = text(ada, Recipient::User(bob), "x");
                let sent = crate::world::stored(servers.any(n).append(draft).await);
                let words = domain::messages::Content::parse("y").unwrap();
                servers.any(n + 1).edit(ada, sent.id, words.into(), crate::world::now()).await.unwrap();
                if turn % 2 == 0 {
                    MessageLog::delete(servers.any(n + turn), ada, sent.id, crate::world::now()).await.unwrap();
                }
            }
        }
    }))
    .await;
    // 1 + 32 * (4 sends + 4 edits + 2 deletions).
    let mut after = 0;
    let mut updates = Vec::new();
    loop {
        let page = servers.world.changes(bob, of, Update(after), limit(37)).await.unwrap();
        updates.extend(page.entries.iter().map(ChangeEntry::update));
        after = page.update.0;
        if !page.more {
            break;
        }
    }
    assert_eq!((after, updates.len()), (321, 129));
    assert!(updates.is_sorted() && *updates.last().unwrap() <= Update(321));
    assert_eq!(servers.world.unseen_in(bob, of).await, 1 + 64);
}
