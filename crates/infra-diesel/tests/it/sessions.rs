//! `SessionRepository`.

use crate::world::{World, at, fresh, limit, now, refused};
use domain::admin::{Actor, AdminCommand, AdminRepository};
use domain::events::Event;
use domain::sessions::{LiveSession, Session, SessionRepository, UserAgent};
use domain::users::{PasswordHash, ProfileChange, UserRepository, UserRole};
use domain::{SessionId, UserId};
use test_support::{Backend, TestDb};

on_both!(
    a_session_lives_until_it_is_ended,
    an_end_is_known_at_once_though_remembered,
    only_ones_own_session_is_ended_and_once,
    sessions_are_listed_newest_first,
    a_use_is_noted,
    sessions_outlive_the_server,
    all_sessions_are_ended_at_once_and_each_is_told,
    a_further_login_ends_the_session_unused_for_longest,
    a_use_that_is_not_written_yet_counts,
    what_has_expired_takes_no_place,
    many_logins_at_once_leave_as_many_as_there_may_be,
    too_many_sessions_of_old_are_ended_a_bounded_number_at_a_time,
    what_nobody_can_use_is_forgotten_but_not_when_its_user_was_seen,
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
        token: None,
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
    assert_eq!(list(first.last_seen_at, None, 9).await.unwrap().items, std::slice::from_ref(&third));
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

async fn all_sessions_are_ended_at_once_and_each_is_told(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    // Also of what has expired: a clock that was ahead may be set back.
    let expired = Session::begin(SessionId(fresh()), ada, None, at(0));
    world.begin_session(expired.clone()).await.unwrap();
    let mut open = vec![expired.id];
    for _ in 0..3 {
        open.push(begin(&world, ada).await.id);
    }
    let bobs = world.user("bob").await;
    let bobs = begin(&world, bobs).await;
    // The first login since has ended it.
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: expired.id }]);
    world.raw().run("UPDATE sessions SET revoked_at = NULL");
    world.delete_user(ada).await;
    let mut told = world.events.take();
    assert_eq!(told.pop(), Some(Event::UserDeleted(ada)));
    for session in &open {
        assert!(told.contains(&Event::SessionEnded { user: ada, session: *session }));
    }
    assert_eq!(told.len(), open.len());
    assert_eq!(world.raw().number("SELECT count(*) FROM sessions WHERE revoked_at IS NULL"), 1);
    assert!(world.live(bobs.id).await.unwrap().is_some());
}

/// Sessions of the user that began one second after the other, from `first` on.
async fn begin_many(world: &World, user: UserId, count: usize, first: i64) -> Vec<Session> {
    let mut sessions = Vec::new();
    for n in 0..count {
        let session = Session::begin(SessionId(fresh()), user, None, at(first + n as i64 * 1_000_000));
        world.begin_session(session.clone()).await.unwrap();
        sessions.push(session);
    }
    sessions
}

async fn listed(world: &World, user: UserId) -> Vec<SessionId> {
    let page = SessionRepository::list(&**world, user, at(0), None, limit(200)).await.unwrap();
    page.items.into_iter().map(|session| session.id).collect()
}

/// A moment of the tests, in microseconds, and a day.
const NOON: i64 = 1_700_000_000_000_000;
const DAY: i64 = 86_400_000_000;

/// Waits until all that was to be written of the user is.
async fn written(world: &World, user: UserId) {
    assert!(!world.end(user, SessionId(fresh()), now()).await.unwrap());
}

async fn a_further_login_ends_the_session_unused_for_longest(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let bobs = begin(&world, bob).await;
    let sessions = begin_many(&world, ada, Session::MAX, NOON).await;
    // The first was used since.
    world.live(sessions[0].id).await.unwrap().unwrap();
    world.touch(ada, sessions[0].id, at(NOON + 3_600_000_000)).await.unwrap();
    for session in &sessions {
        assert!(world.live(session.id).await.unwrap().is_some());
    }
    world.events.take();
    for ends in [&sessions[1], &sessions[2]] {
        let further = begin_many(&world, ada, 1, NOON + 7_200_000_000).await.remove(0);
        assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: ends.id }]);
        assert_eq!(world.live(ends.id).await.unwrap(), None);
        let listed = listed(&world, ada).await;
        assert!(listed.contains(&further.id) && !listed.contains(&ends.id) && listed.len() == Session::MAX);
    }
    assert!(world.live(sessions[0].id).await.unwrap().is_some());
    // A login that fails ends none.
    let refused = Session::begin(SessionId(fresh()), ada, None, now());
    refused!(SessionRepository::create(&*world, refused, None).await, "Unauthenticated(InvalidCredentials)");
    assert!(world.events.take().is_empty());
    assert!(world.live(bobs.id).await.unwrap().is_some());
}

async fn a_use_that_is_not_written_yet_counts(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let sessions = begin_many(&world, ada, Session::MAX, NOON).await;
    world.live(sessions[0].id).await.unwrap().unwrap();
    let used = at(NOON + 3_600_000_000);
    world.touch(ada, sessions[0].id, used).await.unwrap();
    // As where the writer had no time for it, or another node has just written what it knew.
    let micros = match world.db.backend() {
        Backend::Sqlite => NOON.to_string(),
        Backend::Postgres => format!("to_timestamp({NOON} / 1000000)"),
    };
    written(&world, ada).await;
    world.raw().run(&format!("UPDATE sessions SET last_seen_at = {micros} WHERE last_seen_at > {micros}"));
    let page = SessionRepository::list(&*world, ada, at(0), None, limit(200)).await.unwrap();
    let first = page.items.iter().find(|session| session.id == sessions[0].id).unwrap();
    assert_eq!(first.last_seen_at, used, "it is listed at once");
    world.events.take();
    begin(&world, ada).await;
    // Of the others, which are all said to have been used at the same time, the oldest.
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: sessions[1].id }]);
}

async fn what_has_expired_takes_no_place(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let expired = begin_many(&world, ada, 3, NOON - 30 * DAY).await;
    let used = begin_many(&world, ada, 1, NOON - 29 * DAY).await;
    // The first is older than those, and was used since.
    world.live(expired[0].id).await.unwrap().unwrap();
    world.touch(ada, expired[0].id, at(NOON)).await.unwrap();
    let sessions = begin_many(&world, ada, Session::MAX - 2, NOON + DAY / 2).await;
    let listed = listed(&world, ada).await;
    let stay = sessions.iter().chain(&used).chain(&expired[..1]);
    assert!(stay.into_iter().all(|session| listed.contains(&session.id)), "{}", listed.len());
    assert_eq!(listed.len(), Session::MAX);
}

async fn many_logins_at_once_leave_as_many_as_there_may_be(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let logins = (0..Session::MAX + 30).map(|_| begin(&world, ada));
    futures_util::future::join_all(logins).await;
    assert_eq!(listed(&world, ada).await.len(), Session::MAX);
    let ended = world.events.take().into_iter().filter(|event| matches!(event, Event::SessionEnded { .. }));
    assert_eq!(ended.count(), 30);
}

/// Fills the tables with sessions as there were before there was a most, that began one microsecond after the other.
fn seed(world: &World, user: UserId, count: usize, first: i64) {
    let mut raw = world.raw();
    let (user, sql) = (
        user.0.simple(),
        match world.db.backend() {
            Backend::Sqlite => {
                "INSERT INTO sessions (id, user_id, created_at, last_seen_at) \
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
             SELECT randomblob(16), x'{user}', {first} + n, {first} + n FROM n"
            }
            Backend::Postgres => {
                "INSERT INTO sessions (id, user_id, created_at, last_seen_at) \
             SELECT gen_random_uuid(), '{user}', t, t FROM generate_series(1, {count}) n, \
             LATERAL (SELECT timestamptz 'epoch' + ({first}::bigint + n) * interval '1 microsecond' AS t) moment"
            }
        },
    );
    let sql = sql.replace("{count}", &count.to_string()).replace("{first}", &first.to_string());
    raw.run(&sql.replace("{user}", &user.to_string()));
}

async fn too_many_sessions_of_old_are_ended_a_bounded_number_at_a_time(db: TestDb) {
    const MANY: usize = 5_000;
    let world = World::new(db).await;
    let mine = begin_many(&world, world.user("ada").await, 1, NOON).await.remove(0);
    let ada = mine.user;
    let live = format!(
        "SELECT count(*) FROM sessions WHERE revoked_at IS NULL AND user_id = {}",
        match world.db.backend() {
            Backend::Sqlite => format!("x'{}'", ada.0.simple()),
            Backend::Postgres => format!("'{ada}'"),
        }
    );
    let execute = async |command| world.execute(Actor::CommandLine, command, at(NOON + 10_000_000)).await.unwrap();
    let hash = || PasswordHash("hash of ada".to_owned());
    for way in 0..6 {
        seed(&world, ada, MANY, NOON + 1_000_000);
        world.events.take_committed();
        let mut left = 0;
        match way {
            0 => {
                let login = Session::begin(SessionId(fresh()), ada, None, at(NOON + 10_000_000));
                world.begin_session(login).await.unwrap();
                left = Session::MAX;
            }
            1 => {
                let change = ProfileChange { password: Some(hash()), proven: Some(hash()), ..ProfileChange::default() };
                UserRepository::change(&*world, ada, change, mine.id, at(NOON + 10_000_000)).await.unwrap();
            }
            2 => execute(AdminCommand::EndSessions(ada)).await,
            3 => execute(AdminCommand::SetPassword(ada, hash())).await,
            4 => {
                execute(AdminCommand::Disable(ada)).await;
                execute(AdminCommand::Enable(ada)).await;
            }
            _ => world.delete_user(ada).await,
        }
        assert_eq!(world.raw().number(&live), left as i64, "way {way}");
        let steps: Vec<usize> = world.events.take_committed().iter().map(|committed| committed.events.len()).collect();
        assert!(steps.iter().sum::<usize>() >= MANY - left, "way {way}: {steps:?}");
        assert!(steps.iter().all(|step| *step <= 1_100), "way {way}: {steps:?}");
    }
}

async fn what_nobody_can_use_is_forgotten_but_not_when_its_user_was_seen(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    seed(&world, ada, 250, NOON);
    let (old, ended) = (begin_many(&world, bob, 1, NOON + 5).await, begin_many(&world, bob, 1, NOON + 6).await);
    world.end(bob, ended[0].id, at(NOON + 7)).await.unwrap();
    world.live(old[0].id).await.unwrap().unwrap();
    world.touch(bob, old[0].id, at(NOON + 900)).await.unwrap();
    written(&world, bob).await;
    let young = begin_many(&world, eve, 1, NOON + 10_000_000).await.remove(0);
    world.events.take();
    // Neither what ended later nor what was used since.
    assert_eq!(world.forget(at(NOON + 7), at(NOON)).await.unwrap(), 0);
    let before = at(NOON + 10_000_000);
    let mut steps = Vec::new();
    loop {
        match world.forget(before, before).await.unwrap() {
            0 => break,
            step => steps.push(step),
        }
    }
    assert_eq!(steps, [1, 100, 100, 51]);
    assert_eq!(world.raw().number("SELECT count(*) FROM sessions"), 1);
    // What had not ended has by now.
    let told = world.events.take();
    assert_eq!(told.len(), 251);
    assert!(told.contains(&Event::SessionEnded { user: bob, session: old[0].id }));
    assert_eq!(world.live(old[0].id).await.unwrap(), None);
    assert!(world.live(young.id).await.unwrap().is_some());
    let seen = async |user| world.account(user).await.unwrap().unwrap().last_seen_at;
    assert_eq!(seen(ada).await, Some(at(NOON + 250)));
    assert_eq!(seen(bob).await, Some(at(NOON + 900)));
    assert_eq!(seen(eve).await, Some(young.last_seen_at));
    // What is forgotten later may have been used earlier.
    seed(&world, ada, 1, NOON);
    assert_eq!(world.forget(before, before).await.unwrap(), 1);
    assert_eq!(seen(ada).await, Some(at(NOON + 250)));
    // Nothing is kept of who is gone.
    world.delete_user(ada).await;
    seed(&world, ada, 1, NOON);
    assert_eq!(world.forget(before, before).await.unwrap(), 1);
    assert_eq!(world.raw().number("SELECT count(*) FROM users WHERE last_seen_at IS NOT NULL"), 1);
}
