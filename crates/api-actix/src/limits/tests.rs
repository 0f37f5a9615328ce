use super::*;
use governor::clock::FakeRelativeClock;
use std::time::Duration;
use uuid::Uuid;

const ADA: UserId = UserId(Uuid::from_u128(1));
const BOB: UserId = UserId(Uuid::from_u128(2));

fn limits(rates: &[(Limit, &str)]) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let rate = |rates: Rates, (limit, text): &(Limit, &str)| rates.with(*limit, Rate::parse(text).unwrap());
    let rates = rates.iter().fold(Rates::off(), rate);
    (Limits::with_clock(&rates, &clock, 1024), clock)
}

fn network(address: &str) -> Key {
    Key::network(Some(address.parse().unwrap()))
}

/// How many are taken until it is refused.
fn burst(limits: &Limits<FakeRelativeClock>, limit: Limit, key: Key) -> usize {
    (0..10_000).take_while(|_| limits.take(&[limit], key).is_ok()).count()
}

#[test]
fn a_bucket_empties_and_fills_again_and_each_has_its_own() {
    let (limits, clock) = limits(&[(Limit::Sends, "20/s:60")]);
    assert_eq!(burst(&limits, Limit::Sends, Key::User(ADA)), 60);
    assert_eq!(limits.take(&[Limit::Sends], Key::User(ADA)), Err(RateLimited { limit: Limit::Sends, seconds: 1 }));
    assert_eq!(burst(&limits, Limit::Sends, Key::User(BOB)), 60);
    clock.advance(Duration::from_millis(500));
    assert_eq!(burst(&limits, Limit::Sends, Key::User(ADA)), 10);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(burst(&limits, Limit::Sends, Key::User(ADA)), 60);
    assert_eq!(burst(&limits, Limit::Requests, Key::User(ADA)), 10_000, "what has no rate has no limit");
}

#[test]
fn a_refusal_says_when_to_come_back_and_then_it_goes_on() {
    for (rate, seconds) in [("1/s", 1), ("10/min", 6), ("7/min", 9), ("1/h", 3600), ("1000/s:1", 1)] {
        let (limits, clock) = limits(&[(Limit::SignUps, rate)]);
        let taken = burst(&limits, Limit::SignUps, network("192.0.2.1"));
        assert!(taken > 0);
        let refusal = limits.take(&[Limit::SignUps], network("192.0.2.1")).unwrap_err();
        assert_eq!(refusal.seconds, seconds, "{rate}");
        assert_eq!(refusal.to_string(), format!("too many sign-ups: try again in {seconds} s"));
        clock.advance(Duration::from_secs(seconds.into()));
        assert_eq!(limits.take(&[Limit::SignUps], network("192.0.2.1")), Ok(()), "{rate}");
    }
}

#[test]
fn what_costs_two_takes_both_or_none() {
    let (limits, _) = limits(&[(Limit::Sends, "5/h"), (Limit::Uploads, "1/h")]);
    let both = [Limit::Sends, Limit::Uploads];
    assert_eq!(limits.take(&both, Key::User(ADA)), Ok(()));
    for _ in 0..10 {
        assert_eq!(limits.take(&both, Key::User(ADA)).unwrap_err().limit, Limit::Uploads);
    }
    assert_eq!(burst(&limits, Limit::Sends, Key::User(ADA)), 4);
}

#[test]
fn a_network_is_an_address_or_a_64() {
    let of = |address: &str| network(address);
    assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
}

#[test]
fn only_failed_logins_count_and_for_an_account_whatever_its_spelling() {
    let (limits, clock) = limits(&[(Limit::FailedLoginsOfAccount, "10/min")]);
    for _ in 0..100 {
        limits.try_login("ada", network("192.0.2.1")).unwrap().did_not_fail();
    }
    for (number, name) in ["ada", "Ada", "ADA", "aDa", "ａｄａ"].iter().cycle().take(10).enumerate() {
        // Dropped, as where the client goes away: failed.
        let tried = limits.try_login(name, network(&format!("192.0.2.{number}")));
        assert!(tried.is_ok());
    }
    let refusal = limits.try_login("ada", network("198.51.100.1")).err().unwrap();
    assert_eq!(refusal, RateLimited { limit: Limit::FailedLoginsOfAccount, seconds: 6 });
    assert_eq!(refusal.to_string(), "too many failed logins: try again in 6 s");
    assert!(limits.try_login("bob", network("192.0.2.1")).is_ok());
    clock.advance(Duration::from_secs(6));
    limits.try_login("ada", network("192.0.2.1")).unwrap().did_not_fail();
    limits.try_login("ada", network("192.0.2.1")).unwrap().did_not_fail();
    assert!(limits.try_login("ada", network("192.0.2.1")).is_ok());
    assert!(limits.try_login("ada", network("192.0.2.1")).is_err());
}

#[test]
fn right_logins_count_for_the_account_and_wrong_ones_take_nothing_from_them() {
    let (limits, clock) = limits(&[(Limit::LoginsOfAccount, "3/min"), (Limit::FailedLoginsOfAccount, "100/h")]);
    let login = |name: &str| {
        let attempt = limits.try_login(name, network("192.0.2.1"))?;
        attempt.was_right()
    };
    let refusal = RateLimited { limit: Limit::LoginsOfAccount, seconds: 20 };
    // A client that guesses takes nothing, however many attempts run at once.
    let guesses: Vec<_> = (0..50).map(|_| limits.try_login("ada", network("198.51.100.1")).unwrap()).collect();
    // Of those that are under way at once, too, so many are let in.
    let mut right: Vec<_> = (0..5).map(|_| limits.try_login("Ada", network("192.0.2.1")).unwrap()).collect();
    drop(guesses);
    assert_eq!(right.pop().unwrap().was_right(), Ok(()));
    assert_eq!((login("ada"), login("ADA")), (Ok(()), Ok(())));
    assert_eq!(right.pop().unwrap().was_right(), Err(refusal));
    // Before any password is looked at.
    for _ in 0..10 {
        assert_eq!(login("ada"), Err(refusal));
    }
    assert_eq!(refusal.to_string(), "too many logins: try again in 20 s");
    assert_eq!(login("bob"), Ok(()));
    clock.advance(Duration::from_secs(20));
    assert_eq!((login("ada"), login("ada")), (Ok(()), Err(refusal)));
}

#[test]
fn many_tries_at_once_are_no_more_than_one_after_the_other() {
    let (limits, _) = limits(&[(Limit::FailedLoginsOfAccount, "3/h")]);
    let under_way: Vec<_> = (0..10).filter_map(|_| limits.try_login("ada", network("192.0.2.1")).ok()).collect();
    assert_eq!(under_way.len(), 3);
    under_way.into_iter().for_each(Attempt::did_not_fail);
    assert!(limits.try_login("ada", network("192.0.2.1")).is_ok());
}

#[test]
fn who_is_refused_for_an_account_does_not_pay_for_the_network() {
    let (limits, _) = limits(&[(Limit::FailedLoginsOfAccount, "1/h"), (Limit::FailedLoginsOfAddress, "3/h")]);
    let tries = |name: &str| limits.try_login(name, network("192.0.2.1")).map(drop).map_err(|refusal| refusal.limit);
    assert_eq!(tries("ada"), Ok(()));
    for _ in 0..10 {
        assert_eq!(tries("ada"), Err(Limit::FailedLoginsOfAccount));
    }
    assert_eq!((tries("bob"), tries("eve")), (Ok(()), Ok(())));
    assert_eq!(tries("joe"), Err(Limit::FailedLoginsOfAddress));
    assert!(limits.try_login("joe", network("192.0.2.2")).is_ok());
}

#[test]
fn a_session_that_has_ended_pays_for_itself() {
    let (limits, _) = limits(&[(Limit::Requests, "2/h")]);
    let session = SessionId(Uuid::from_u128(3));
    assert_eq!(limits.check_ended(session), Ok(()));
    for _ in 0..2 {
        assert_eq!(limits.check_ended(session), Ok(()));
        assert_eq!(limits.take(&[Limit::Requests], Key::EndedSession(session)), Ok(()));
    }
    assert!(limits.check_ended(session).is_err());
    assert_eq!(limits.check_ended(SessionId(Uuid::from_u128(4))), Ok(()));
}

#[test]
fn who_floods_the_table_neither_fills_memory_nor_frees_whom_it_refuses() {
    let (limits, clock) = limits(&[(Limit::FailedLoginsOfAccount, "10/min"), (Limit::Requests, "50/s:200")]);
    while limits.try_login("ada", network("192.0.2.1")).is_ok() {}
    for number in 0..50_000_u128 {
        let address = IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64)));
        limits.take(&[Limit::Requests], Key::network(Some(address))).unwrap();
        assert!(limits.try_login(&format!("somebody-{number}"), Key::network(Some(address))).is_ok());
        clock.advance(Duration::from_micros(10));
    }
    for limiter in limits.limiters.iter().flatten() {
        assert!(limiter.buckets.len() <= 1024);
    }
    assert!(limits.try_login("ada", network("192.0.2.1")).is_err());
}

#[test]
fn what_is_charged_afterwards_is_paid_for_by_what_comes_later() {
    let (limits, clock) = limits(&[(Limit::Connects, "1/s:10")]);
    let key = Key::User(ADA);
    limits.take(&[Limit::Connects], key).unwrap();
    limits.charge(Limit::Connects, key, Costs::of_subscriptions(2_600));
    assert_eq!(burst(&limits, Limit::Connects, key), 4);
    // The charge never takes more than the bucket has, so that no user is in debt for hours.
    limits.charge(Limit::Connects, key, Costs::of_subscriptions(1_000_000));
    clock.advance(Duration::from_secs(1));
    assert_eq!(burst(&limits, Limit::Connects, key), 1);
    assert_eq!(Costs::of_subscriptions(499), 0);
}
