//! A store, who is in it, and what it told its listeners.

use domain::conversations::Conversation;
use domain::endings::{Ended, EndingRepository};
use domain::events::{Committed, Event, EventPublisher};
use domain::files::FileQuota;
use domain::groups::{
    Description, Group, GroupName, GroupRepository, Member, MemberRepository, NewGroup, NewMember, Role, Visibility,
};
use domain::messages::{
    Appended, Content, Message, MessageLog, MessageReader, NewBody, NewMessage, PageRead, Recipient, Text, Window,
};
use domain::receipts::UnseenCount;
use domain::sessions::{Session, SessionRepository};
use domain::users::{Broadcasters, Email, NewUser, PasswordHash, ServerPolicy, User, UserRepository, Username};
use domain::{ConversationId, Error, FileId, GroupId, Limit, MessageId, Page, Result, Timestamp, UserId};
use infra_diesel::{Store, StoreOptions};
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::TestDb;
use uuid::Uuid;

/// Keeps what was published.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Committed>>, AtomicUsize);

impl EventPublisher for Recorder {
    fn publish(&self, committed: Committed) {
        self.0.lock().unwrap().push(committed);
    }

    fn lost(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder {
    /// How often it was not known what was committed.
    pub fn lost(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    /// What was published since it was last asked.
    pub fn take(&self) -> Vec<Event> {
        self.take_committed().into_iter().flat_map(|committed| committed.events).collect()
    }

    /// As [`Recorder::take`], by transaction.
    pub fn take_committed(&self) -> Vec<Committed> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Ids and moments of all worlds of this process: counted, so that they are one's own and in order.
static COUNT: AtomicI64 = AtomicI64::new(1);

/// An id that nobody has.
pub fn fresh() -> Uuid {
    // Spread over both ends, as UUIDv7 are over the tail: writers share the work by it. The version must not mix with
    // the number, or ids would not be in order.
    let n = COUNT.fetch_add(1, Ordering::Relaxed).unsigned_abs();
    Uuid::from_u128((u128::from(n) << 80) | 0x7000_8000_0000_0000_0000 | u128::from(n))
}

/// A moment later than any given before, not on a whole millisecond.
pub fn now() -> Timestamp {
    at(1_700_000_000_000_001 + COUNT.fetch_add(1, Ordering::Relaxed) * 1_003)
}

pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

pub fn limit(n: u64) -> Limit {
    Limit::of_list(Some(n)).unwrap()
}

/// A policy in which only `boss` may broadcast.
pub fn only_boss_broadcasts() -> ServerPolicy {
    let admins = domain::users::AdminNames::parse(["boss"]).unwrap();
    ServerPolicy { admins, broadcasters: Broadcasters::Admins, files: FileQuota(u64::MAX), ..ServerPolicy::default() }
}

/// A store over a test's database.
pub struct World {
    store: Arc<Store>,
    pub events: Arc<Recorder>,
    pub db: TestDb,
}

impl Deref for World {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Opens a store as the server does, but with few readers and with a fatal error that fails the test.
pub async fn open(db: &TestDb, policy: ServerPolicy, events: Arc<dyn EventPublisher>) -> Store {
    let fatal = Arc::new(|why: &str| panic!("fatal: {why}"));
    let policy = Arc::new(policy);
    let options = StoreOptions { policy, events, fatal, pool_size: Some(2), allow_unsafe_durability: false };
    Store::open(db.url(), options).await.unwrap()
}

/// Deletes by the password that the user has, and takes the user out of all groups.
pub async fn delete_user(store: &Store, id: UserId, at: Timestamp) -> Result<()> {
    let proven = store.credentials(id).await?.and_then(|credentials| credentials.password);
    UserRepository::delete(store, id, proven, at).await?;
    while store.tidy(Ended::Account(id), at).await? {}
    Ok(())
}

impl World {
    pub async fn new(db: TestDb) -> Self {
        // The files of these tests are larger than any disk.
        Self::with(db, ServerPolicy { files: FileQuota(u64::MAX), ..ServerPolicy::default() }).await
    }

    pub async fn with(db: TestDb, policy: ServerPolicy) -> Self {
        let events = Arc::new(Recorder::default());
        let store = Arc::new(open(&db, policy, events.clone()).await);
        Self { store, events, db }
    }

    /// The store, for what shares it.
    pub fn shared(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// The same database after a restart of the server.
    pub async fn reopened(self) -> Self {
        Self::new(self.closed().await).await
    }

    /// The database, its server stopped.
    pub async fn closed(self) -> TestDb {
        self.store.close().await;
        self.db
    }

    pub async fn user(&self, name: &str) -> UserId {
        self.create_user(name, None).await.unwrap().id
    }

    /// Begins a session by the password that its user has.
    pub async fn begin_session(&self, session: Session) -> Result<()> {
        let proven = self.store.credentials(session.user).await?.and_then(|credentials| credentials.password);
        SessionRepository::create(&*self.store, session, proven).await
    }

    pub async fn create_user(&self, name: &str, email: Option<&str>) -> Result<User> {
        let new = NewUser {
            id: UserId(fresh()),
            username: Username::parse("username", name).unwrap(),
            email: email.map(|email| Email::parse(email).unwrap()),
            password: Some(PasswordHash(format!("hash of {name}"))),
            at: now(),
        };
        UserRepository::create(&*self.store, new).await
    }

    pub async fn delete_user(&self, id: UserId) {
        delete_user(&self.store, id, now()).await.unwrap();
    }

    pub async fn group(&self, owner: UserId, name: &str, visibility: Visibility) -> GroupId {
        self.create_group(owner, name, visibility).await.unwrap().id
    }

    pub async fn create_group(&self, owner: UserId, name: &str, visibility: Visibility) -> Result<Group> {
        let name = GroupName::parse("name", name).unwrap();
        let id = GroupId(fresh());
        let new = NewGroup { id, name, description: Description::none(), visibility, owner, at: now() };
        GroupRepository::create(&*self.store, new).await
    }

    pub async fn add(&self, actor: UserId, group: GroupId, user: UserId, role: Role) -> Result<Member> {
        MemberRepository::add(&*self.store, actor, NewMember::new(group, user, role).unwrap(), now()).await
    }

    pub async fn remove(&self, actor: UserId, group: GroupId, user: UserId) -> Result<()> {
        MemberRepository::remove(&*self.store, actor, group, user, now()).await
    }

    /// A private group of the first, with the others in it.
    pub async fn private_group<const N: usize>(&self, name: &str, owner: UserId, others: [UserId; N]) -> GroupId {
        let group = self.group(owner, name, Visibility::Private).await;
        for other in others {
            self.add(owner, group, other, Role::Member).await.unwrap();
        }
        group
    }

    /// Sends a text and expects it to be stored.
    pub async fn say(&self, sender: UserId, recipient: Recipient, words: &str) -> Message {
        stored(self.append(text(sender, recipient, words)).await)
    }

    /// Edits a message; the content says whom it mentions.
    pub async fn edit(&self, actor: UserId, id: MessageId, content: Content, at: Timestamp) -> Result<Message> {
        MessageLog::edit(&*self.store, actor, id, content.into(), at).await
    }

    /// Deletes a message: several ports have a `delete`.
    pub async fn delete(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        MessageLog::delete(&*self.store, actor, id, at).await
    }

    pub async fn conversations(&self, user: UserId) -> Vec<Conversation> {
        use domain::conversations::{ConversationFilter, ConversationRepository};
        ConversationRepository::list(&*self.store, user, ConversationFilter::default(), None, limit(200))
            .await
            .unwrap()
            .items
    }

    /// A page of messages. Whoever knows its version is told that it is unchanged.
    pub async fn page(&self, viewer: UserId, of: Recipient, window: Window) -> Result<Page<Message>> {
        let read = MessageReader::page(&*self.store, viewer, of, window.into(), None).await?;
        if let PageRead::Read(_, Some(version)) = read {
            let again = MessageReader::page(&*self.store, viewer, of, window.into(), Some(version)).await;
            assert_eq!(again.unwrap(), PageRead::Unchanged);
        }
        Ok(read.into_page())
    }

    /// How many are unseen in a conversation, by the list of conversations and by the counts, which have to agree.
    pub async fn unseen_in(&self, user: UserId, of: ConversationId) -> u64 {
        self.count_in(user, of).await.count
    }

    /// The same, with whether there are more.
    pub async fn count_in(&self, user: UserId, of: ConversationId) -> UnseenCount {
        use domain::receipts::ReceiptRepository;
        let listed = self.conversations(user).await.into_iter().find(|found| found.id == of);
        let listed = listed.map(|found| (found.unseen, found.with));
        let unseen = self.store.unseen(user).await.unwrap();
        let counted = match &listed {
            Some((_, domain::conversations::Counterpart::User(other))) => {
                unseen.direct.iter().find(|(id, ..)| *id == other.id).map(|(.., count)| *count)
            }
            _ => unseen.groups.iter().find(|(id, ..)| id.conversation() == of).map(|(.., count)| *count),
        };
        let listed = listed.map_or(UnseenCount::default(), |(count, _)| count);
        assert_eq!(listed, counted.unwrap_or_default(), "the list of conversations and the counts agree");
        listed
    }

    /// The tables themselves, past the store.
    pub fn raw(&self) -> Raw {
        Raw::open(&self.db)
    }
}

/// A draft of a text.
pub fn text(sender: UserId, recipient: Recipient, words: &str) -> NewMessage {
    draft(sender, recipient, NewBody::Text(Text::parse(words).unwrap()))
}

pub fn draft(sender: UserId, recipient: Recipient, body: NewBody) -> NewMessage {
    NewMessage {
        id: MessageId(fresh()),
        new_conversation: ConversationId(fresh()),
        sender,
        recipient,
        body,
        reply_to: None,
        thread_id: None,
        mentions: None,
        key: None,
        clears_draft: false,
        at: now(),
    }
}

pub fn stored(outcome: Result<Appended>) -> Message {
    match outcome.unwrap() {
        Appended::Stored(message) => message,
        Appended::Duplicate(message) => panic!("replayed {message:?}"),
    }
}

/// What went wrong, without its words: as the domain tells faults apart.
pub fn fault<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    match outcome {
        Err(Error::Invalid(invalid)) => format!("Invalid({})", invalid.field),
        Err(error) => format!("{error:?}"),
        Ok(value) => panic!("{value:?}"),
    }
}

/// Fails unless the outcome is the fault, named as in `NotFound(Group)`.
macro_rules! refused {
    ($outcome:expr, $fault:expr) => {
        assert_eq!(crate::world::fault($outcome), $fault)
    };
}
pub(crate) use refused;

pub fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.content()).collect()
}

/// A file id that nobody has.
pub fn fresh_file() -> FileId {
    FileId(fresh())
}

/// A connection of the tests' own to either database.
#[derive(diesel::MultiConnection)]
pub enum Raw {
    Sqlite(diesel::SqliteConnection),
    Postgres(diesel::PgConnection),
}

impl Raw {
    pub fn open(db: &TestDb) -> Self {
        use diesel::Connection;
        match db.url().strip_prefix("sqlite://") {
            Some(path) => Self::Sqlite(diesel::SqliteConnection::establish(path).unwrap()),
            None => Self::Postgres(diesel::PgConnection::establish(db.url()).unwrap()),
        }
    }

    /// Runs a statement.
    pub fn run(&mut self, sql: &str) {
        use diesel::RunQueryDsl;
        diesel::sql_query(sql).execute(self).unwrap();
    }

    /// Runs a statement that the database may refuse; whether it did not.
    pub fn try_run(&mut self, sql: &str) -> bool {
        use diesel::RunQueryDsl;
        diesel::sql_query(sql).execute(self).is_ok()
    }

    /// The one number that a query gives.
    pub fn number(&mut self, sql: &str) -> i64 {
        use diesel::RunQueryDsl;
        #[derive(diesel::QueryableByName)]
        struct One {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS n");
        diesel::sql_query(sql).get_result::<One>(self).unwrap().n
    }
}
