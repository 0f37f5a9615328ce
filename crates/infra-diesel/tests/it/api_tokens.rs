//! `ApiTokenRepository`: tokens of programs beside logins.

use crate::sessions::begin;
use crate::world::{World, at, fresh, now, refused};
use domain::admin::{Actor, AdminCommand, AdminRepository};
use domain::api_tokens::{ApiToken, ApiTokenRepository, TokenName};
use domain::events::Event;
use domain::sessions::{SecretHash, SessionRepository, TokenGrant};
use domain::users::{PasswordHash, ProfileChange, UserRepository};
use domain::{Result, Scopes, SessionId, Timestamp, UserId};
use futures_util::future::join_all;
use test_support::TestDb;

on_both!(
    a_token_is_known_as_a_session_with_its_grant,
    a_user_has_fifty_tokens,
    tokens_are_no_logins,
    a_use_shows_at_once,
    one_ends_ones_own_once,
    tokens_end_with_the_password_and_with_the_account,
    expired_tokens_are_forgotten_and_unused_ones_are_not,
);

const DAY: i64 = 86_400_000_000;

fn sample(expires_at: Option<Timestamp>) -> ApiToken {
    ApiToken {
        id: SessionId(fresh()),
        name: TokenName::parse("ci").unwrap(),
        scopes: Scopes::parse(["read"]).unwrap(),
        created_at: now(),
        expires_at,
        last_used_at: None,
    }
}

async fn create(world: &World, user: UserId, token: &ApiToken) -> Result<()> {
    ApiTokenRepository::create(&**world, user, token.clone(), SecretHash([7; 32])).await
}

async fn made(world: &World, user: UserId) -> ApiToken {
    let token = sample(None);
    create(world, user, &token).await.unwrap();
    token
}

async fn list(world: &World, user: UserId) -> Vec<ApiToken> {
    ApiTokenRepository::list(&**world, user, now()).await.unwrap()
}

async fn a_token_is_known_as_a_session_with_its_grant(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let expires_at = Some(at(now().as_micros() + DAY));
    let token = sample(expires_at);
    create(&world, ada, &token).await.unwrap();
    let grant = TokenGrant { hash: SecretHash([7; 32]), scopes: token.scopes, expires_at };
    let mut world = world;
    for _ in 0..2 {
        let live = world.live(token.id).await.unwrap().unwrap();
        assert_eq!((live.user, live.token), (ada, Some(grant)));
        assert_eq!(list(&world, ada).await, std::slice::from_ref(&token));
        world = world.reopened().await;
    }
}

async fn a_user_has_fifty_tokens(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    // One that has expired and one that has ended take no room.
    create(&world, ada, &sample(Some(at(1)))).await.unwrap();
    let ended = made(&world, ada).await;
    assert!(ApiTokenRepository::end(&*world, ada, ended.id, now()).await.unwrap());
    for _ in 1..ApiToken::MAX {
        made(&world, ada).await;
    }
    let tokens: Vec<_> = (0..5).map(|_| sample(None)).collect();
    let outcomes = join_all(tokens.iter().map(|token| create(&world, ada, token))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        refused!(outcome, "Conflict(TooManyTokens)");
    }
    assert_eq!(list(&world, ada).await.len(), ApiToken::MAX);
    made(&world, bob).await;
}

async fn tokens_are_no_logins(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let (login, token) = (begin(&world, ada).await, made(&world, ada).await);
    let logins = SessionRepository::list(&*world, ada, at(0), None, crate::world::limit(50)).await.unwrap();
    assert_eq!(logins.items.iter().map(|session| session.id).collect::<Vec<_>>(), [login.id]);
    assert!(!SessionRepository::end(&*world, ada, token.id, now()).await.unwrap());
    assert!(!ApiTokenRepository::end(&*world, ada, login.id, now()).await.unwrap());
    // They are no surplus of logins either.
    for _ in 0..domain::sessions::Session::MAX {
        begin(&world, ada).await;
    }
    assert!(world.live(login.id).await.unwrap().is_none() && world.live(token.id).await.unwrap().is_some());
    AdminRepository::execute(&*world, Actor::CommandLine, AdminCommand::EndSessions(ada), now()).await.unwrap();
    assert!(world.live(token.id).await.unwrap().is_some());
}

async fn a_use_shows_at_once(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let token = made(&world, ada).await;
    world.live(token.id).await.unwrap();
    let used = now();
    world.touch(ada, token.id, used).await.unwrap();
    assert_eq!(list(&world, ada).await[0].last_used_at, Some(used));
}

async fn one_ends_ones_own_once(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let token = made(&world, ada).await;
    let expired = sample(Some(at(1)));
    create(&world, ada, &expired).await.unwrap();
    world.events.take();
    for (who, id, ended) in
        [(bob, token.id, false), (ada, expired.id, false), (ada, token.id, true), (ada, token.id, false)]
    {
        world.live(id).await.unwrap();
        assert_eq!(ApiTokenRepository::end(&*world, who, id, now()).await.unwrap(), ended);
    }
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: token.id }]);
    assert!(world.live(token.id).await.unwrap().is_none() && list(&world, ada).await.is_empty());
}

async fn tokens_end_with_the_password_and_with_the_account(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tokens = [(ada, made(&world, ada).await), (bob, made(&world, bob).await), (eve, made(&world, eve).await)];
    let login = begin(&world, ada).await;
    let hash = |text: &str| Some(PasswordHash(text.to_owned()));
    let change = ProfileChange { password: hash("new"), proven: hash("hash of ada"), ..ProfileChange::default() };
    UserRepository::change(&*world, ada, change, login.id, now()).await.unwrap();
    AdminRepository::execute(&*world, Actor::CommandLine, AdminCommand::Disable(bob), now()).await.unwrap();
    UserRepository::delete(&*world, eve, hash("hash of eve"), now()).await.unwrap();
    for (user, token) in &tokens {
        assert!(world.live(token.id).await.unwrap().is_none());
        assert!(list(&world, *user).await.is_empty());
    }
    assert!(world.live(login.id).await.unwrap().is_some());
    for (user, _) in &tokens[1..] {
        refused!(create(&world, *user, &sample(None)).await, "Unauthenticated(InvalidToken)");
    }
    made(&world, ada).await;
}

async fn expired_tokens_are_forgotten_and_unused_ones_are_not(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let lasting = made(&world, ada).await;
    let expires_at = at(now().as_micros() + DAY);
    create(&world, ada, &sample(Some(expires_at))).await.unwrap();
    let later = |micros: i64| at(expires_at.as_micros() + micros);
    assert_eq!(world.forget(later(0), later(DAY)).await.unwrap(), 0);
    assert_eq!(world.forget(later(1), later(DAY)).await.unwrap(), 1);
    assert_eq!(world.forget(later(1), later(DAY)).await.unwrap(), 0);
    assert!(world.live(lasting.id).await.unwrap().is_some());
}
