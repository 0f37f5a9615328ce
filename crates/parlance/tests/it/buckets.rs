//! Uploads in S3: served as from a disk, shared by several servers, and while the bucket is unreachable.

use crate::harness::{Process, SECRET, User};
use crate::live::client::soon;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::path::Path;
use std::time::Instant;
use test_s3::{Mood, S3};
use test_support::TestDb;

const MIB: usize = 1024 * 1024;

/// What a server is told, to keep its uploads in the bucket.
fn settings(s3: &S3, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let place = format!("s3://{}/uploads", test_s3::BUCKET);
    let ours = [
        ("PARLANCE_FILES", place.as_str()),
        ("PARLANCE_JWT_SECRET", SECRET),
        ("PARLANCE_RATE_LIMITS", "off"),
        ("PARLANCE_MAX_FILE_BYTES", "70000000"),
        ("PARLANCE_LOG", "debug"),
        ("NO_PROXY", "*"),
    ];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    s3.environment().into_iter().chain(ours.iter().map(owned)).chain(more.iter().map(owned)).collect()
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn serve(directory: &Path, settings: &[(String, String)]) -> Process {
    Process::start(directory, &["serve"], &borrowed(settings))
}

async fn user(server: &Process, name: &str) -> User {
    let account = json!({ "username": name, "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    User::new(&server.client, &server.client.post("/login", account).await.expect(200), "12345678")
}

fn file(content: &[u8]) -> Form {
    Form::new().part("file", Part::bytes(content.to_vec()).file_name("a.bin"))
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn url(file: &Value) -> &str {
    file["url"].as_str().unwrap()
}

#[actix_web::test]
async fn a_large_file_goes_through_without_being_held() {
    let (s3, directory) = (S3::start(), tempfile::tempdir().unwrap());
    let server = serve(directory.path(), &settings(&s3, &[]));
    let ada = user(&server, "ada").await;
    ada.form("/upload", file(b"first")).await.expect(201);
    let before = server.peak_memory();
    let content = noise(60 * MIB);
    let stored = ada.form("/upload", file(&content)).await.expect(201);
    assert_eq!(stored["size"], json!(60 * MIB));
    // One that was sent again counts, too.
    assert!(s3.parts_sent() >= 12);
    let given = ada.get(url(&stored)).await;
    assert_eq!(given.status, 200);
    assert!(given.body == content);
    let part = ada.raw("GET", url(&stored), &[("range", "bytes=31457279-36700160")], "").await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 31457279-36700160/62914560")));
    assert!(part.body == content[31_457_279..=36_700_160]);
    // A part on its way, one that is gathered, and what the allocator keeps.
    let grown = server.peak_memory() - before;
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);

    let refused = ada.form("/upload", file(&noise(67 * MIB))).await;
    refused.refused(413, None);
    let objects = s3.kept().into_iter().filter(|name| !name.ends_with(".parlance"));
    assert_eq!(objects.count(), 2, "{:?}", s3.kept());
    assert!(!directory.path().join("data/uploads").exists());
}

#[actix_web::test]
async fn a_file_uploaded_at_one_server_comes_from_another() {
    let Some(database) = TestDb::postgres() else { return };
    let s3 = S3::start();
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let settings = settings(&s3, &[("DATABASE_URL", database.url())]);
    let servers = directories.each_ref().map(|directory| serve(directory.path(), &settings));
    let (ada, bob) = (user(&servers[0], "ada").await, user(&servers[1], "bob").await);
    for content in [b"small".to_vec(), noise(6 * MIB)] {
        let form = file(&content).text("receiver_id", bob.id.clone());
        let message = ada.form("/messages/upload", form).await.expect(201);
        // Each of them at the other server.
        for reader in [&bob, &ada.at(&servers[1].client), &bob.at(&servers[0].client)] {
            let given = reader.get(url(&message["file"])).await;
            assert_eq!(given.status, 200, "{given}");
            assert!(given.body == content);
        }
    }
}

#[actix_web::test]
async fn while_the_bucket_is_away_files_are_refused_in_time_and_messages_go_on() {
    let (s3, directory) = (S3::start(), tempfile::tempdir().unwrap());
    let server = serve(directory.path(), &settings(&s3, &[]));
    let (ada, bob) = (user(&server, "ada").await, user(&server, "bob").await);
    let stored = ada.form("/upload", file(b"abc")).await.expect(201);
    let large = noise(11 * MIB);
    for mood in [Mood::Gone, Mood::Silent] {
        s3.set(mood);
        let asked = Instant::now();
        let uploads = futures_util::future::join_all([b"abc".as_slice(), &large].map(|content| async {
            ada.form("/upload", file(content)).await.refused(503, None);
        }));
        let download = async {
            ada.get(url(&stored)).await.refused(503, None);
        };
        let messages = async {
            ada.send(&bob.id, "still here").await;
            server.client.get("/ready").await.expect(200);
        };
        soon("answers", async { futures_util::join!(uploads, download, messages) }).await;
        // Told, not asserted: the machine may be busy.
        eprintln!("{mood:?}: all were answered after {:?}", asked.elapsed());
        s3.set(Mood::Well);
        assert_eq!(ada.get(url(&stored)).await.body, b"abc");
        ada.form("/upload", file(&large)).await.expect(201);
    }
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("out of reach") && !log.contains(test_s3::SECRET_KEY), "{log}");
}

#[actix_web::test]
async fn an_outage_in_the_middle_of_an_upload_is_told_and_leaves_no_file() {
    let (s3, directory) = (S3::start(), tempfile::tempdir().unwrap());
    let server = serve(directory.path(), &settings(&s3, &[]));
    let ada = user(&server, "ada").await;
    let (more, body) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let body = futures_util::stream::unfold(body, |mut body| async {
        body.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), body))
    });
    let upload =
        ada.form("/upload", Form::new().part("file", Part::stream(Body::wrap_stream(body)).file_name("a.bin")));
    let arriving = async {
        while more.send(noise(MIB)).await.is_ok() {
            if s3.parts_sent() >= 2 {
                s3.set(Mood::Gone);
            }
        }
        std::future::pending().await
    };
    // Answered while the client still sends.
    let answer = tokio::select! {
        answer = upload => answer,
        () = arriving => unreachable!("it waits for ever"),
    };
    answer.refused(503, None);
    s3.set(Mood::Well);
    // Only parts of unfinished uploads remain, which no server could remove; docs/deploying.md says how to expire them.
    assert!(s3.kept().iter().all(|name| name.starts_with(".upload") || name.ends_with(".parlance")), "{:?}", s3.kept());
}

#[test]
fn a_bucket_that_cannot_be_used_is_refused_at_the_start_in_a_sentence() {
    let s3 = S3::start();
    for (name, value, said) in [
        ("AWS_SECRET_ACCESS_KEY", "hush-another", "403"),
        ("PARLANCE_FILES", "s3://another-bucket/hush", "does not exist"),
        ("PARLANCE_FILES", "s3://key:hush@bucket", "AWS_"),
        ("AWS_ENDPOINT", "http://127.0.0.1:1", "out of reach"),
        ("AWS_ALLOW_HTTP", "false", "AWS_ALLOW_HTTP"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&s3, &[(name, value)]);
        settings.retain(|(other, old)| other != name || old == value);
        settings.retain(|(other, _)| other != "PARLANCE_LOG");
        let ended = Process::run(directory.path(), &["serve"], &borrowed(&settings));
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{text}");
        let sentence = text.lines().last().unwrap();
        assert!(sentence.contains("PARLANCE_FILES") && sentence.contains(said), "{text}");
        assert!(!text.contains("hush-") && !text.contains("key:hush") && !text.contains(test_s3::SECRET_KEY), "{text}");
    }
}

#[actix_web::test]
async fn thumbnails_are_kept_in_the_bucket_and_come_from_every_server() {
    let Some(database) = TestDb::postgres() else { return };
    let s3 = S3::start();
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let settings = settings(&s3, &[("DATABASE_URL", database.url())]);
    let servers = directories.each_ref().map(|directory| serve(directory.path(), &settings));
    let (ada, eve) = (user(&servers[0], "ada").await, user(&servers[1], "eve").await);
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(640, 400).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let stored = ada.form("/upload", file(&picture.into_inner())).await.expect(201);
    let small = stored["thumbnails"]["320"].as_str().unwrap();
    let objects = s3.kept().len();
    let made = ada.get(small).await;
    let size = image::load_from_memory(&made.body).unwrap();
    assert_eq!((made.status, size.width(), size.height()), (200, 320, 200));
    assert_eq!(s3.kept().len(), objects + 1, "{:?}", s3.kept());
    let there = ada.at(&servers[1].client).get(small).await;
    assert!(there.status == 200 && there.body == made.body, "{there}");
    assert_eq!(s3.kept().len(), objects + 1, "{:?}", s3.kept());
    eve.get(small).await.refused(404, None);

    // Neither a kept one nor one to be made is there while the bucket is away, and both are again.
    let large = stored["thumbnails"]["1280"].as_str().unwrap();
    s3.set(Mood::Gone);
    for url in [small, large] {
        ada.get(url).await.refused(503, None);
    }
    s3.set(Mood::Well);
    for url in [small, large] {
        assert_eq!(ada.get(url).await.status, 200);
    }
}
