//! Fixtures for the tests of live connections.

use super::frames::JsonFramer;
use crate::use_cases::{Adapters, UseCases};
use domain::events::NoListeners;
use domain::sessions::{Session, SessionRepository};
use domain::users::{NewUser, UserRepository, Username};
use domain::{Access, Caller, Clock as _, IdGenerator as _, SessionId, UserId};
use infra_auth::BcryptPool;
use infra_diesel::{Store, StoreOptions};
use infra_files::Blobs;
use infra_images::Workshop;
use infra_live::{AttachGuard, Hub, HubOptions, Shard, Transport};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use test_support::{SystemClock, UuidV7};

/// The use cases over a new database that notifies no hub, and a signed-in user.
pub struct World {
    pub use_cases: UseCases,
    pub caller: Caller,
    _directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            policy: Arc::default(),
            events: Arc::new(NoListeners),
            fatal: Arc::new(|reason| panic!("{reason}")),
            pool_size: Some(1),
            allow_unsafe_durability: false,
        };
        let url = format!("sqlite://{}", directory.path().join("parlance.db").display());
        let store = Arc::new(Store::open(&url, options).await.unwrap());
        let (id, at) = (UserId(UuidV7.next()), SystemClock.now());
        let username = Username::parse("username", "ada").unwrap();
        UserRepository::create(&*store, NewUser { id, username, email: None, password: None, at }).await.unwrap();
        let session = Session::begin(SessionId(UuidV7.next()), id, None, at);
        SessionRepository::create(&*store, session.clone(), None).await.unwrap();
        let hasher = Arc::new(BcryptPool::start(4, 1).unwrap());
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(UuidV7));
        let blobs = Arc::new(Blobs::in_memory());
        let images = Arc::new(Workshop::new(blobs.clone()));
        let adapters = Adapters::from_store(&store, blobs, images, hasher, clock, ids);
        let use_cases = UseCases::new(adapters, Arc::default(), 1024);
        let caller = Caller { user: id, session: session.id, admin: false, access: Access::Login };
        Self { use_cases, caller, _directory: directory }
    }

    /// Attaches the caller to a shard of its own.
    pub fn attach(&self) -> (Rc<Shard>, AttachGuard) {
        let shard = Shard::new(Arc::new(Hub::new(Arc::new(JsonFramer::default()), HubOptions::default())));
        let expires = Instant::now() + Duration::from_secs(3600);
        let guard = shard.attach(&self.caller, Transport::WebSocket, expires).unwrap();
        (shard, guard)
    }
}
