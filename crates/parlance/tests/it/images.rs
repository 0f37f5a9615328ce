//! Images: what the server knows of them, what it leaves out, and their thumbnails.

use crate::harness::{NOWHERE, Process, Server, User};
use crate::live::client::TIMEOUT;
use crate::retention::MovedClock;
use image::{DynamicImage, GenericImageView, GrayImage, ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use test_support::run_sql;

/// In microseconds, as the clock counts.
const DAY: i64 = 86_400_000_000;

/// So wide and high, encoded.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixel = |x: u32, y: u32| Rgb([x as u8, y as u8, 77]);
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(RgbImage::from_fn(width, height, pixel)).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A JPEG that was taken somewhere and lies on its side, with something behind its end.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::Jpeg);
    let exif =
        b"\xff\xe1\0\x35Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0GPS 51 N, 0 W, 8 am";
    [&plain[..2], exif, b"\xff\xfe\0\x0ataken by", &plain[2..], b"behind"].concat()
}

fn form(name: &str, content: &[u8]) -> Form {
    Form::new().part("file", Part::bytes(content.to_vec()).file_name(name.to_owned()))
}

async fn upload(user: &User, content: &[u8]) -> Value {
    user.form("/upload", form("a.jpg", content)).await.expect(201)
}

async fn bytes(user: &User, url: &str) -> Vec<u8> {
    let answer = user.request(Method::GET, url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.bytes().await.unwrap().to_vec()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[actix_web::test]
async fn an_upload_loses_its_metadata_and_tells_its_size() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let photo = photo(64, 32);
    let file = upload(&ada, &photo).await;
    assert_eq!((&file["width"], &file["height"]), (&json!(32), &json!(64)), "{file}");
    let url = file["url"].as_str().unwrap();
    assert_eq!(file["thumbnails"], json!({ "320": format!("{url}?w=320"), "1280": format!("{url}?w=1280") }));
    assert!((8..=36).contains(&file["thumbhash"].as_str().unwrap().len()), "{file}");
    let stored = bytes(&ada, url).await;
    assert_eq!(file["size"], stored.len());
    for secret in ["GPS", "taken by", "behind"] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    // The orientation and the pixels stay.
    assert!(stored.windows(4).any(|part| part == b"Exif"));
    let pixels = |file: &[u8]| image::load_from_memory(file).unwrap().into_rgb8();
    assert_eq!(pixels(&stored), pixels(&photo));

    let body = json!({ "receiver_id": bob.id, "type": "image", "file_id": file["id"] });
    ada.post("/messages", body).await.expect(201);
    let seen = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    assert_eq!(seen[0]["file"], file);
}

#[actix_web::test]
async fn metadata_stays_where_the_operator_says_so() {
    let server = Server::with(|setup| setup.strip_metadata = false).await;
    let ada = server.user("ada").await;
    let photo = photo(64, 32);
    let file = upload(&ada, &photo).await;
    assert_eq!((&file["size"], &file["width"]), (&json!(photo.len()), &json!(32)), "{file}");
    assert_eq!(bytes(&ada, file["url"].as_str().unwrap()).await, photo);
}

#[actix_web::test]
async fn a_retry_is_compared_by_what_was_sent() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let send = |content: Vec<u8>| {
        let form = form("a.jpg", &content).text("receiver_id", bob.id.clone()).text("client_id", "k");
        ada.form("/messages/upload", form)
    };
    let sent = send(photo(64, 32)).await.expect(201);
    assert_eq!(send(photo(64, 32)).await.expect(200), sent);
    let stored = bytes(&ada, sent["file"]["url"].as_str().unwrap()).await;
    send(stored).await.refused(409, None);
}

#[actix_web::test]
async fn the_largest_upload_is_so_large_as_it_is_sent() {
    let photo = photo(64, 32);
    let most = photo.len() as u64;
    let server = Server::with(|setup| setup.http.max_file_bytes = most).await;
    let ada = server.user("ada").await;
    assert!(upload(&ada, &photo).await["size"].as_u64().unwrap() < most);
    let larger = [&photo[..], b"x"].concat();
    ada.form("/upload", form("a.jpg", &larger)).await.refused(413, None);
}

#[actix_web::test]
async fn a_thumbnail_is_made_at_the_first_request_and_kept() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let file = upload(&ada, &picture(640, 200, ImageFormat::Png)).await;
    let uploads = server.directory().join("uploads");
    assert_eq!(files_below(&uploads).len(), 1);
    for (w, size) in [("320", (320, 100)), ("1280", (640, 200)), ("320", (320, 100))] {
        let url = file["thumbnails"][w].as_str().unwrap();
        let answer = ada.request(Method::GET, url).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header("content-type").as_str()), (200, "image/jpeg"));
        assert_eq!(
            (header("cache-control"), header("x-content-type-options")),
            ("private, no-cache".to_owned(), "nosniff".to_owned())
        );
        let tag = header("etag");
        assert_eq!(image::load_from_memory(&answer.bytes().await.unwrap()).unwrap().dimensions(), size);
        let again = ada.request(Method::GET, url).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(again.status(), 304);
        let part = ada.request(Method::GET, url).header("range", "bytes=0-1").send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(&part.bytes().await.unwrap()[..], [0xff, 0xd8]);
        let head = ada.request(Method::HEAD, url).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().unwrap()), (200, tag.as_str()));
    }
    assert_eq!(files_below(&uploads).len(), 3);
}

#[actix_web::test]
async fn a_thumbnail_is_for_who_may_read_the_file() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let file = upload(&ada, &picture(400, 200, ImageFormat::WebP)).await;
    let url = file["thumbnails"]["320"].as_str().unwrap();
    let status = async |user: &User| user.request(Method::GET, url).send().await.unwrap().status().as_u16();
    assert_eq!((status(&ada).await, status(&bob).await), (200, 404));
    let body = json!({ "receiver_id": bob.id, "type": "image", "file_id": file["id"] });
    let sent = ada.post("/messages", body).await.expect(201);
    assert_eq!((status(&bob).await, status(&eve).await), (200, 404));
    server.anyone().get(url).await.refused(401, None);
    ada.delete(&format!("/messages/{}", sent["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(status(&bob).await, 404);
}

#[actix_web::test]
async fn other_widths_and_other_files_have_no_thumbnail() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let file = upload(&ada, &picture(400, 200, ImageFormat::Gif)).await;
    let url = file["url"].as_str().unwrap();
    for w in ["", "0", "321", "640", "x", "-320", "0320", "4294967616"] {
        ada.get(&format!("{url}?w={w}")).await.refused(400, Some("w"));
    }
    ada.get(&format!("{url}?w=320&w=320")).await.refused(400, Some("w"));
    let nobody = format!("/uploads/{}/a.png", NOWHERE);
    ada.get(&format!("{nobody}?w=1")).await.refused(400, Some("w"));
    ada.get(&format!("{nobody}?w=320")).await.refused(404, None);
    let whole = picture(400, 200, ImageFormat::Jpeg);
    for content in [&b"no image"[..], b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", &whole[..whole.len() / 2], b""] {
        let file = upload(&ada, content).await;
        for absent in ["width", "height", "thumbhash", "thumbnails"] {
            assert!(file.get(absent).is_none(), "{file}");
        }
        ada.get(&format!("{}?w=320", file["url"].as_str().unwrap())).await.refused(404, None);
    }
}

#[actix_web::test]
async fn a_bomb_is_stored_and_not_opened() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut bomb = Cursor::new(Vec::new());
    let zeros = GrayImage::new(40_001, 1_000);
    DynamicImage::from(zeros).write_to(&mut bomb, ImageFormat::Png).unwrap();
    let file = upload(&ada, &bomb.into_inner()).await;
    assert_eq!((&file["type"], file.get("width")), (&json!("image/png"), None));
}

#[actix_web::test]
async fn reindex_reads_images_of_before_beside_the_server() {
    let mut database_url = String::new();
    let server = Server::with(|setup| database_url.clone_from(&setup.database_url)).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let file = upload(&ada, &photo(64, 32)).await;
    let broken = upload(&ada, &photo(64, 32)[..300]).await;
    let body = json!({ "receiver_id": bob.id, "type": "image", "file_id": file["id"] });
    ada.post("/messages", body).await.expect(201);
    run_sql(&database_url, "UPDATE files SET width = NULL, height = NULL, thumbhash = NULL");
    let page = format!("/messages?receiver_id={}", ada.id);
    assert_eq!(bob.get(&page).await.expect(200)[0]["file"].get("width"), None);

    let directory = server.directory().to_owned();
    let place = directory.to_str().unwrap();
    let environment = [("DATABASE_URL", database_url.as_str()), ("PARLANCE_DATA_DIR", place)];
    let run = || {
        let output = Process::run(&directory, &["reindex"], &environment);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run().contains("sizes of 1 images; 1 files"));
    assert!(run().contains("sizes of 0 images; 1 files"));
    assert_eq!(bob.get(&page).await.expect(200)[0]["file"], file);
    assert_eq!(broken.get("width"), None);
    // The server writes on.
    ada.send(&bob.id, "still there").await;
}

#[actix_web::test]
async fn thumbnails_go_with_their_file() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|setup| {
        setup.clock = clock.clone();
        setup.upkeep_every = Duration::from_millis(20);
    })
    .await;
    let ada = server.user("ada").await;
    let file = upload(&ada, &picture(400, 300, ImageFormat::Png)).await;
    bytes(&ada, file["thumbnails"]["320"].as_str().unwrap()).await;
    bytes(&ada, file["thumbnails"]["1280"].as_str().unwrap()).await;
    let uploads = server.directory().join("uploads");
    assert_eq!(files_below(&uploads).len(), 3);
    clock.0.store(DAY + 60_000_000, Ordering::Relaxed);
    let begun = Instant::now();
    while !files_below(&uploads).is_empty() {
        assert!(begun.elapsed() < TIMEOUT, "{:?}", files_below(&uploads));
        // A directory does not announce changes, so the test polls.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
