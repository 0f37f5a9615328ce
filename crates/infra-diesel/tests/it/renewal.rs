//! `SessionRepository::renew`.

use crate::sessions::begin;
use crate::world::{World, at, fresh, limit, open, refused};
use domain::admin::{Actor, AdminCommand, AdminRepository};
use domain::events::Event;
use domain::sessions::{Generation, RefreshClaims, Renewed, Session, SessionRepository};
use domain::users::{PasswordHash, ProfileChange, ServerPolicy, UserRepository};
use domain::{Result, SessionId, Timestamp, UserId};
use futures_util::future::join_all;
use std::sync::Arc;
use test_support::{Backend, TestDb};

on_both!(
    a_spent_token_has_one_successor,
    of_many_at_once_one_spends_the_token,
    two_servers_agree,
    whoever_presents_what_another_has_spent_ends_the_session,
    a_session_that_ended_is_not_renewed,
    a_renewal_is_a_use,
    what_nobody_used_for_long_is_not_renewed,
    a_token_of_later_than_the_database_is_refused,
);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

async fn renew(world: &World, session: &Session, generation: i64, at: Timestamp) -> Result<Renewed> {
    let spent = RefreshClaims { session: session.id, generation: Generation(generation) };
    SessionRepository::renew(&**world, session.user, spent, at).await
}

/// A session of Ada, and a moment so many microseconds after its begin.
async fn session(world: &World) -> (Session, impl Fn(i64) -> Timestamp + use<>) {
    let ada = world.user("ada").await;
    let session = begin(world, ada).await;
    let begun = session.created_at.as_micros();
    (session, move |micros| at(begun + micros))
}

async fn a_spent_token_has_one_successor(db: TestDb) {
    let world = World::new(db).await;
    let (session, after) = session(&world).await;
    world.events.take();
    let renewed = renew(&world, &session, 1, after(DAY)).await.unwrap();
    assert_eq!((renewed.successor, renewed.username.as_str()), (Generation(2), "ada"));
    assert_eq!(renewed.session, Session { last_seen_at: after(DAY), ..session.clone() });
    // The answer was lost, and the server with it.
    let world = world.reopened().await;
    for seconds in [0, 59, 60] {
        let again = renew(&world, &session, 1, after(DAY + seconds * SECOND)).await.unwrap();
        assert_eq!((again.successor, again.session.last_seen_at), (Generation(2), after(DAY + seconds * SECOND)));
    }
    assert_eq!(renew(&world, &session, 2, after(2 * DAY)).await.unwrap().successor, Generation(3));
    assert!(world.live(session.id).await.unwrap().is_some() && world.events.take().is_empty());
}

async fn of_many_at_once_one_spends_the_token(db: TestDb) {
    let world = World::new(db).await;
    let (session, after) = session(&world).await;
    let answers = join_all((0..20).map(|n| renew(&world, &session, 1, after(n)))).await;
    assert!(answers.into_iter().all(|renewed| renewed.unwrap().successor == Generation(2)));
    assert_eq!(renew(&world, &session, 2, after(DAY)).await.unwrap().successor, Generation(3));
}

async fn two_servers_agree(db: TestDb) {
    if db.backend() == Backend::Sqlite {
        return;
    }
    let world = World::new(db).await;
    let other = open(&world.db, ServerPolicy::default(), Arc::new(domain::events::NoListeners)).await;
    let (session, after) = session(&world).await;
    for generation in 1..20 {
        let spent = RefreshClaims { session: session.id, generation: Generation(generation) };
        let at = after(generation * DAY);
        let (here, there) = futures_util::future::join(
            SessionRepository::renew(&*world, session.user, spent, at),
            SessionRepository::renew(&other, session.user, spent, at),
        )
        .await;
        assert_eq!(
            (here.unwrap().successor, there.unwrap().successor),
            (spent.generation.next(), spent.generation.next())
        );
    }
    // Of a thief and the owner at two nodes, whoever is second ends the session.
    let (here, there) = futures_util::future::join(
        renew(&world, &session, 20, after(20 * DAY)),
        SessionRepository::renew(
            &other,
            session.user,
            RefreshClaims { session: session.id, generation: Generation(18) },
            after(20 * DAY),
        ),
    )
    .await;
    refused!(there, "Unauthenticated(InvalidToken)");
    assert!(here.is_err() || here.unwrap().successor == Generation(21));
    refused!(renew(&world, &session, 21, after(20 * DAY)).await, "Unauthenticated(InvalidToken)");
    other.close().await;
}

async fn whoever_presents_what_another_has_spent_ends_the_session(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let moment = |session: &Session, micros: i64| at(session.created_at.as_micros() + micros);
    for late in [false, true] {
        let session = begin(&world, ada).await;
        world.live(session.id).await.unwrap().unwrap();
        renew(&world, &session, 1, moment(&session, 0)).await.unwrap();
        world.events.take();
        let at = if late {
            moment(&session, 60 * SECOND + 1)
        } else {
            // Within the minute, but its successor is spent.
            renew(&world, &session, 2, moment(&session, SECOND)).await.unwrap();
            moment(&session, 2 * SECOND)
        };
        refused!(renew(&world, &session, 1, at).await, "Unauthenticated(InvalidToken)");
        assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: session.id }]);
        assert_eq!(world.live(session.id).await.unwrap(), None);
        for generation in 1..4 {
            refused!(renew(&world, &session, generation, at).await, "Unauthenticated(InvalidToken)");
        }
        assert!(world.events.take().is_empty());
    }
}

async fn a_session_that_ended_is_not_renewed(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let hash = || PasswordHash("hash of ada".to_owned());
    for way in 0..4 {
        let session = begin(&world, ada).await;
        let at = session.created_at;
        match way {
            0 => assert!(world.end(ada, session.id, at).await.unwrap()),
            1 => {
                let change = ProfileChange { password: Some(hash()), proven: Some(hash()), ..ProfileChange::default() };
                UserRepository::change(&*world, ada, change, SessionId(fresh()), at).await.unwrap();
            }
            2 => world.execute(Actor::CommandLine, AdminCommand::Disable(ada), at).await.unwrap(),
            _ => {
                world.delete_user(ada).await;
            }
        }
        refused!(renew(&world, &session, 1, at).await, "Unauthenticated(InvalidToken)");
        if way == 2 {
            world.execute(Actor::CommandLine, AdminCommand::Enable(ada), at).await.unwrap();
            refused!(renew(&world, &session, 1, at).await, "Unauthenticated(InvalidToken)");
        }
    }
    // Another's session is none of one's own.
    let session = begin(&world, bob).await;
    let spent = RefreshClaims { session: session.id, generation: Generation::FIRST };
    for nobody in [ada, UserId(fresh())] {
        let refused = SessionRepository::renew(&*world, nobody, spent, session.created_at).await;
        refused!(refused, "Unauthenticated(InvalidToken)");
    }
    renew(&world, &session, 1, session.created_at).await.unwrap();
}

async fn a_renewal_is_a_use(db: TestDb) {
    let world = World::new(db).await;
    let (session, after) = session(&world).await;
    world.live(session.id).await.unwrap().unwrap();
    for (generation, days) in [(1, 20), (2, 40), (3, 60)] {
        renew(&world, &session, generation, after(days * DAY)).await.unwrap();
        let seen = Session { last_seen_at: after(days * DAY), ..session.clone() };
        let list = SessionRepository::list(&*world, session.user, at(0), None, limit(9)).await.unwrap();
        assert_eq!(list.items, [seen]);
        assert_eq!(world.live(session.id).await.unwrap().unwrap().last_seen_at, after(days * DAY));
    }
}

async fn what_nobody_used_for_long_is_not_renewed(db: TestDb) {
    let world = World::new(db).await;
    let (session, after) = session(&world).await;
    refused!(renew(&world, &session, 1, after(30 * DAY)).await, "Unauthenticated(InvalidToken)");
    // A use that is not written yet counts.
    world.live(session.id).await.unwrap().unwrap();
    world.touch(session.user, session.id, after(DAY)).await.unwrap();
    assert!(renew(&world, &session, 1, after(31 * DAY - 1)).await.is_ok());
}

async fn a_token_of_later_than_the_database_is_refused(db: TestDb) {
    let world = World::new(db).await;
    let (session, after) = session(&world).await;
    for generation in [2, 3, i64::MAX] {
        refused!(renew(&world, &session, generation, after(0)).await, "Unauthenticated(InvalidToken)");
    }
    assert!(world.live(session.id).await.unwrap().is_some());
}
