//! What only a bucket meets: parts, outages, refusals at the start.

use crate::{ID, MAX, OWNER, Pieces, blobs_in, in_bucket, noise, read};
use async_trait::async_trait;
use domain::files::{BlobStore, ByteSource};
use domain::{Error, Result, Unavailable};
use infra_files::{Blobs, Bucket, OpenError};
use std::time::{Duration, Instant};
use test_s3::{Mood, S3};

/// Nobody is to wait longer for an answer, whatever has become of the bucket: told where it was longer, and not
/// asserted, since the machine may be busy.
const LONGEST: Duration = Duration::from_secs(15);

fn tell(what: &str, took: Duration) {
    if took > LONGEST {
        eprintln!("{what} took {took:?}, and {LONGEST:?} is promised");
    }
}

fn bucket(name: &str) -> Bucket {
    Bucket::parse(&format!("s3://{name}")).unwrap()
}

/// Sets one variable otherwise.
fn with(s3: &S3, name: &str, value: &str) -> Vec<(String, String)> {
    let others = s3.environment().into_iter().filter(|(other, _)| other != name);
    others.chain([(name.to_owned(), value.to_owned())]).collect()
}

async fn refused(bucket: &Bucket, settings: Vec<(String, String)>) -> OpenError {
    Blobs::in_bucket(bucket, settings, Duration::from_secs(2)).await.unwrap_err()
}

#[tokio::test]
async fn a_large_blob_is_sent_in_parts_and_a_small_one_at_once() {
    let s3 = S3::start();
    let blobs = in_bucket(&s3).await;
    blobs.store(ID, OWNER, Pieces::of(&noise(5 * 1024 * 1024), 100_003), MAX).await.unwrap();
    assert_eq!(s3.parts_sent(), 0);
    let bytes = noise(12 * 1024 * 1024);
    blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.unwrap();
    assert_eq!(s3.parts_sent(), 3);
    assert!(read(&blobs, None).await.unwrap() == bytes);
    assert_eq!(blobs_in(&s3), [format!("some/prefix/ab/{ID}")]);
}

#[tokio::test]
async fn no_parts_are_left_of_what_fails() {
    let s3 = S3::start();
    let blobs = in_bucket(&s3).await;
    let bytes = noise(12 * 1024 * 1024);
    let failed = blobs.store(ID, OWNER, Pieces::of_then_failing(&bytes, 100_003), MAX).await;
    assert!(matches!(failed, Err(Error::Internal(error)) if error.to_string() == "the client went away"));
    let refused = blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), 11 * 1024 * 1024).await;
    assert!(matches!(refused, Err(Error::FileTooLarge { .. })));
    assert!(s3.parts_sent() >= 4);
    assert_eq!(blobs_in(&s3), [""; 0]);
}

#[tokio::test]
async fn what_the_start_refuses_is_told_in_a_sentence_without_secrets() {
    let s3 = S3::start();
    let ours = bucket(test_s3::BUCKET);
    let absent = refused(&bucket("another-bucket"), s3.environment()).await;
    assert!(matches!(absent, OpenError::NoSuchBucket(_)), "{absent}");
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_ACCESS_KEY_ID", "hush")] {
        let denied = refused(&ours, with(&s3, name, value)).await;
        assert!(matches!(denied, OpenError::Denied { .. }), "{denied}");
        let sentence = denied.to_string();
        assert!(sentence.contains("403") && !sentence.contains("hush") && !sentence.contains('\n'), "{sentence}");
    }
    let asked = Instant::now();
    let away = refused(&ours, with(&s3, "AWS_ENDPOINT", "http://127.0.0.1:1")).await;
    assert!(matches!(away, OpenError::OutOfReach { .. }), "{away}");
    assert!(away.to_string().starts_with("s3://parlance-tests is out of reach: "), "{away}");
    s3.set(Mood::Silent);
    assert!(matches!(refused(&ours, s3.environment()).await, OpenError::OutOfReach { .. }));
    tell("the refusals at the start", asked.elapsed());
}

#[tokio::test]
async fn a_short_outage_does_not_keep_it_from_starting() {
    let s3 = S3::start();
    s3.set(Mood::Gone);
    let ours = bucket(test_s3::BUCKET);
    let opening = Blobs::in_bucket(&ours, s3.environment(), Duration::from_secs(60));
    let back = async {
        // It has been asked once, and in vain.
        while s3.turned_away() == 0 {
            tokio::task::yield_now().await;
        }
        s3.set(Mood::Well);
    };
    let (opened, ()) = futures_util::join!(opening, back);
    opened.unwrap();
}

#[tokio::test]
async fn while_the_bucket_is_away_everybody_is_told_in_time_and_all_is_well_after() {
    let s3 = S3::start();
    let blobs = in_bucket(&s3).await;
    let bytes = noise(12 * 1024 * 1024);
    for mood in [Mood::Gone, Mood::Silent] {
        s3.set(mood);
        let small = async {
            let asked = Instant::now();
            let stored = blobs.store(ID, OWNER, Pieces::of(b"abc", 3), MAX).await.map(drop);
            (stored, asked.elapsed())
        };
        let large = async {
            let asked = Instant::now();
            let stored = blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.map(drop);
            (stored, asked.elapsed())
        };
        let given = async {
            let asked = Instant::now();
            let given = blobs.open(ID, None).await.map(drop);
            (given, asked.elapsed())
        };
        let (small, large, given) = futures_util::join!(small, large, given);
        for (answer, took) in [small, large, given] {
            assert!(matches!(answer, Err(Error::Unavailable(Unavailable::StorageOutOfReach))), "{answer:?}");
            tell(&format!("an answer while it is {mood:?}"), took);
        }
        s3.set(Mood::Well);
        blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.unwrap();
        assert!(read(&blobs, None).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_a_fault_and_no_end() {
    let s3 = S3::start();
    let blobs = in_bucket(&s3).await;
    let bytes = noise(12 * 1024 * 1024);
    blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.unwrap();
    let mut source = blobs.open(ID, None).await.unwrap().unwrap();
    source.next().await.unwrap().unwrap();
    s3.set(Mood::Gone);
    let ended = loop {
        match source.next().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(matches!(ended, Err(Error::Unavailable(Unavailable::StorageOutOfReach))), "{ended:?}");
}

/// Gives some bytes, and never more.
struct Stalled(Option<Vec<u8>>);

#[async_trait]
impl ByteSource for Stalled {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self.0.take() {
            Some(bytes) => Ok(Some(bytes)),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn uploads_hold_no_more_memory_than_they_may() {
    let s3 = S3::start();
    // Room for one part and a half.
    let blobs = in_bucket(&s3).await.holding(7_500 * 1024);
    let bytes = noise(15 * 1024 * 1024);
    // One after the other they all fit.
    for _ in 0..2 {
        blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.unwrap();
    }
    // Whoever holds what he has and does nothing does not hold the others up for ever.
    let stalled = blobs.store(ID, OWNER, Box::new(Stalled(Some(noise(4 * 1024 * 1024)))), MAX);
    let other = async {
        let refused = blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await;
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))), "{refused:?}");
        blobs.store(ID, OWNER, Pieces::of(&noise(1024 * 1024), 100_003), MAX).await.unwrap();
    };
    tokio::select! {
        biased;
        _ = stalled => panic!("it came to an end"),
        () = other => {}
    }
}
