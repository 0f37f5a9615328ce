//! `SessionRepository`.

use crate::world::{World, at, fresh, limit, now, refused};
use domain::events::Event;
use domain::sessions::{LiveSession, Session, SessionRepository, UserAgent};
use domain::users::UserRole;
use domain::{SessionId, UserId};
use test_support::{Backend, TestDb};

on_both!(
    a_session_lives_until_it_is_ended,
    an_end_is_known_at_once_though_remembered,
    only_ones_own_session_is_ended_and_once,
    sessions_are_listed_newest_first,
    a_use_is_noted,
    sessions_outlive_the_server,
    all_sessions_are_ended_at_once_and_who_is_open_is_told,
);

pub async fn begin(world: &World, user: UserId) -> Session {
    let session = Session::begin(SessionId(fresh()), user, Some(UserAgent::clean("curl/8")), now());
    world.begin_session(session.clone()).await.unwrap();
    session
}

async fn a_session_lives_until_it_is_ended(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("Ada", None).await.unwrap();
    let session = begin(&world, ada.id).await;
    let live = LiveSession {
        user: ada.id,
        username: ada.username.clone(),
        role: UserRole::Member,
        last_seen_at: session.last_seen_at,
    };
    // From the database, then from memory.
    for _ in 0..2 {
        assert_eq!(world.live(session.id).await.unwrap(), Some(live.clone()));
    }
    assert_eq!(world.live(SessionId(fresh())).await.unwrap(), None);
}

async fn an_end_is_known_at_once_though_remembered(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    for remembered in [false, true] {
        let session = begin(&world, ada).await;
        if remembered {
            world.live(session.id).await.unwrap().unwrap();
        }
        assert!(world.end(ada, session.id, now()).await.unwrap());
        assert_eq!(world.live(session.id).await.unwrap(), None);
    }
    let session = begin(&world, ada).await;
    world.live(session.id).await.unwrap().unwrap();
    world.delete_user(ada).await;
    assert_eq!(world.live(session.id).await.unwrap(), None);
}

async fn only_ones_own_session_is_ended_and_once(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let session = begin(&world, ada).await;
    world.events.take();
    assert!(!world.end(bob, session.id, now()).await.unwrap());
    assert!(world.live(session.id).await.unwrap().is_some());
    assert!(!world.end(ada, SessionId(fresh()), now()).await.unwrap());
    assert!(world.end(ada, session.id, now()).await.unwrap());
    assert!(!world.end(ada, session.id, now()).await.unwrap());
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: session.id }]);
}

async fn sessions_are_listed_newest_first(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let (first, second, third) = (begin(&world, ada).await, begin(&world, ada).await, begin(&world, ada).await);
    let anothers = begin(&world, bob).await;
    world.end(ada, second.id, now()).await.unwrap();
    let list = async |since, after, most| SessionRepository::list(&*world, ada, since, after, limit(most)).await;
    assert_eq!(list(at(0), None, 2).await.unwrap().items, [third.clone(), first.clone()]);
    assert_eq!(list(first.created_at, None, 9).await.unwrap().items, std::slice::from_ref(&third));
    // In pages, also behind one that has ended.
    let page = list(at(0), None, 1).await.unwrap();
    assert_eq!((&page.items[..], page.more), (std::slice::from_ref(&third), true));
    for after in [third.id, second.id] {
        let page = list(at(0), Some(after), 1).await.unwrap();
        assert_eq!((&page.items[..], page.more), (std::slice::from_ref(&first), false));
    }
    for unknown in [anothers.id, SessionId(fresh())] {
        refused!(list(at(0), Some(unknown), 1).await, "NotFound(Session)");
    }
}

async fn a_use_is_noted(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let session = begin(&world, ada).await;
    world.live(session.id).await.unwrap().unwrap();
    let later = now();
    world.touch(ada, session.id, later).await.unwrap();
    // Postgres is asked again after a while, and may not have been told yet.
    if world.db.backend() == Backend::Sqlite {
        assert_eq!(world.live(session.id).await.unwrap().unwrap().last_seen_at, later);
    }
    // What is written later is written before the server stops.
    let world = world.reopened().await;
    assert_eq!(
        SessionRepository::list(&*world, ada, at(0), None, limit(9)).await.unwrap().items[0].last_seen_at,
        later
    );
}

async fn sessions_outlive_the_server(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let (kept, ended) = (begin(&world, ada).await, begin(&world, ada).await);
    world.end(ada, ended.id, now()).await.unwrap();
    let world = world.reopened().await;
    assert!(world.live(kept.id).await.unwrap().is_some());
    assert_eq!(world.live(ended.id).await.unwrap(), None);
    assert_eq!(SessionRepository::list(&*world, ada, at(0), None, limit(9)).await.unwrap().items, [kept]);
}

async fn all_sessions_are_ended_at_once_and_who_is_open_is_told(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let expired = Session::begin(SessionId(fresh()), ada, None, at(0));
    world.begin_session(expired).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(begin(&world, ada).await.id);
    }
    let bobs = world.user("bob").await;
    let bobs = begin(&world, bobs).await;
    world.events.take();
    world.delete_user(ada).await;
    let mut told = world.events.take();
    assert_eq!(told.pop(), Some(Event::UserDeleted(ada)));
    for session in &open {
        assert!(told.contains(&Event::SessionEnded { user: ada, session: *session }));
    }
    assert_eq!(told.len(), open.len(), "of what has expired nobody is told");
    assert_eq!(world.raw().number("SELECT count(*) FROM sessions WHERE revoked_at IS NULL"), 1);
    assert!(world.live(bobs.id).await.unwrap().is_some());
}
