//! Small fakes and shorthands for the tests of services.

use crate::access::Access;
use crate::admin::{Actor, AdminCommand, MockAdminRepository};
use crate::context::{Caller, Clock, IdGenerator, Timestamp};
use crate::endings::{EndingService, MockEndingRepository};
use crate::files::{
    File, FileName, FileQuota, FileService, Image, MediaType, MockBlobStore, MockFileRepository, MockImageReader,
    Sha256, ThumbHash, UploadQuota,
};
use crate::groups::{Description, Group, GroupName, MockGroupRepository, Visibility};
use crate::ids::{ConversationId, FileId, GroupId, MessageId, SessionId, UserId};
use crate::live::{LiveService, MockLiveReader};
use crate::messages::{Message, MessageService, MockMessageLog, MockMessageReader};
use crate::sessions::{MockSessionRepository, SessionService};
use crate::users::{Email, MockPasswordHasher, MockUserRepository, User, UserRole, UserService, Username};
use futures_util::FutureExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// A clock that stands still.
pub(crate) struct StoppedClock(pub i64);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        at(self.0)
    }
}

/// Ids that count from 1.
#[derive(Default)]
pub(crate) struct CountedIds(AtomicU64);

impl IdGenerator for CountedIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

/// The outcome of a use case over mocks, which never wait.
pub(crate) fn outcome<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

pub(crate) fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(crate) fn message_id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

pub(crate) fn conversation(n: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(n))
}

pub(crate) fn file_id(n: u128) -> FileId {
    FileId(Uuid::from_u128(n))
}

/// A plain user.
pub(crate) fn caller(n: u128) -> Caller {
    Caller { user: user(n), session: SessionId(Uuid::from_u128(n)), admin: false, access: Access::Login }
}

/// A living user with an email and no display name.
pub(crate) fn account(n: u128, name: &str) -> User {
    User {
        id: user(n),
        username: Username::parse("username", name).unwrap(),
        display_name: None,
        email: Some(Email::parse(&format!("{name}@example.org")).unwrap()),
        role: UserRole::Member,
        created_at: at(1),
        updated_at: at(1),
        deleted_at: None,
        disabled_at: None,
    }
}

/// A picture of three bytes that user 1 uploaded at 7.
pub(crate) fn file(n: u128) -> File {
    File {
        id: file_id(n),
        uploader: user(1),
        name: FileName::clean("a.png"),
        size: 3,
        media_type: MediaType::from_stored("image/png".to_owned()),
        sha256: Sha256([7; 32]),
        sent_sha256: Sha256([6; 32]),
        image: None,
        created_at: at(7),
    }
}

/// An image of three pixels.
pub(crate) fn image() -> Image {
    Image { width: 3, height: 1, thumb_hash: ThumbHash::of_bytes(vec![1, 2, 3, 4, 5]).unwrap() }
}

/// A private group of one.
pub(crate) fn group(n: u128) -> Group {
    Group {
        id: GroupId(Uuid::from_u128(n)),
        name: GroupName::parse("name", "g").unwrap(),
        description: Description::none(),
        visibility: Visibility::Private,
        member_count: 1,
        created_at: at(1),
        updated_at: at(1),
    }
}

/// A text that user 1 sent to user 2.
pub(crate) fn message(n: u128) -> Message {
    Message { id: message_id(n), created_at: at(1), updated_at: at(1), ..Message::sample() }
}

/// Expects this one command of this actor.
pub(crate) fn admin_executing(actor: Actor, expected: AdminCommand) -> MockAdminRepository {
    let mut admin = MockAdminRepository::new();
    admin
        .expect_execute()
        .once()
        .withf(move |by, command, when| (by, command, *when) == (&actor, &expected, at(7)))
        .returning(|_, _, _| Ok(()));
    admin
}

// Services whose clock stands at 7. All of their ports panic: a test replaces those that it expects calls of.

pub(crate) fn message_service() -> MessageService {
    MessageService {
        log: Arc::new(MockMessageLog::new()),
        reader: Arc::new(MockMessageReader::new()),
        blobs: Arc::new(MockBlobStore::new()),
        clock: Arc::new(StoppedClock(7)),
        ids: Arc::new(CountedIds::default()),
    }
}

/// One upload at once, of one byte.
pub(crate) fn file_service() -> FileService {
    FileService {
        files: Arc::new(MockFileRepository::new()),
        blobs: Arc::new(MockBlobStore::new()),
        images: Arc::new(MockImageReader::new()),
        quota: FileQuota(1),
        at_once: UploadQuota(1),
        under_way: Arc::default(),
        max_file_bytes: 1,
        clock: Arc::new(StoppedClock(7)),
        ids: Arc::new(CountedIds::default()),
    }
}

pub(crate) fn user_service() -> UserService {
    UserService {
        users: Arc::new(MockUserRepository::new()),
        hasher: Arc::new(MockPasswordHasher::new()),
        policy: Arc::default(),
        endings: EndingService { endings: Arc::new(MockEndingRepository::new()), clock: Arc::new(StoppedClock(7)) },
        clock: Arc::new(StoppedClock(7)),
        ids: Arc::new(CountedIds::default()),
    }
}

pub(crate) fn session_service() -> SessionService {
    SessionService {
        users: Arc::new(MockUserRepository::new()),
        sessions: Arc::new(MockSessionRepository::new()),
        hasher: Arc::new(MockPasswordHasher::new()),
        policy: Arc::default(),
        clock: Arc::new(StoppedClock(7)),
        ids: Arc::new(CountedIds::default()),
    }
}

pub(crate) fn live_service() -> LiveService {
    LiveService {
        users: Arc::new(MockUserRepository::new()),
        groups: Arc::new(MockGroupRepository::new()),
        live: Arc::new(MockLiveReader::new()),
    }
}
