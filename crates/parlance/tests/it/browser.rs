//! The web client in a real browser: two users chat.

use crate::harness::{Browser, Driver, Server};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const ENTER: &str = "\u{E007}";
const COMPOSER: &str = ".composer textarea";

/// The client's own tests, of what needs no browser.
#[test]
fn the_clients_units_hold() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let mut tests: Vec<_> = std::fs::read_dir(web.join("tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tests.retain(|path| path.to_string_lossy().ends_with(".test.mjs"));
    assert!(!tests.is_empty());
    match Command::new("node").arg("--test").args(tests).current_dir(web).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI without node: nothing may be left out there");
            eprintln!("\n!!! node is not installed ({error}): THE WEB CLIENT'S UNIT TESTS ARE LEFT OUT !!!\n");
        }
    }
}

async fn sign_up(browser: &Browser, server: &Server, name: &str) {
    browser.open(&format!("http://{}/", server.anyone().address())).await;
    browser.click(".tabs button:last-child").await;
    browser.write("[name=username]", name).await;
    browser.write("[name=password]", &format!("password of {name}{ENTER}")).await;
    browser.until("document.querySelector('.sidebar:not(.offline)')").await;
}

async fn find(browser: &Browser, name: &str) {
    browser.write(".search input", name).await;
    browser.shows(".row-title", name).await;
    browser.write(".search input", ENTER).await;
    browser.shows(".who h2", name).await;
}

async fn say(browser: &Browser, text: &str) {
    browser.write(COMPOSER, &format!("{text}{ENTER}")).await;
    browser.shows(".message.own:not(.pending) .prose", text).await;
}

/// The texts of the open conversation, oldest first.
async fn texts(browser: &Browser) -> Value {
    browser.value("[...document.querySelectorAll('.message .prose')].map((one) => one.innerText)").await
}

/// Chooses an entry in the menu of the user's own newest message.
async fn choose(browser: &Browser, action: &str) {
    let menu = "[...document.querySelectorAll('.message.own')].at(-1).querySelector('.more').click()";
    browser.value(menu).await;
    browser.until("document.querySelector('.menu')").await;
    let entry = format!(
        "[...document.querySelectorAll('.menu button')].find((one) => one.querySelector('span')?.innerText === {})",
        json!(action)
    );
    browser.value(&format!("{entry}.click()")).await;
}

#[actix_web::test]
async fn two_people_talk_in_their_browsers() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start().await;
    let (ada, bob) = (driver.browser().await, driver.browser().await);

    // A name that can't be had is said at its field; a good one lets one in.
    ada.open(&format!("http://{}/", server.anyone().address())).await;
    ada.click(".tabs button:last-child").await;
    ada.write("[name=username]", "a").await;
    ada.write("[name=password]", &format!("long enough{ENTER}")).await;
    ada.until("document.querySelector('[name=username][aria-invalid=true]')").await;
    assert!(ada.complaints().await.iter().all(|line| line.contains("/signup") && line.contains("400")));
    sign_up(&ada, &server, "ada").await;
    sign_up(&bob, &server, "bob").await;

    // What one says, the other is shown as unseen; once it was looked at, the first one is told.
    find(&ada, "bob").await;
    let markup = "<img src=x onerror=alert(1)> & \"quotes\" | https://example.org/?a=1";
    say(&ada, markup).await;
    bob.shows(".row .badge", "1").await;
    bob.click(".row[href^='#u:']").await;
    bob.shows(".message.theirs .prose", markup).await;
    assert_eq!(bob.value("document.querySelectorAll('.prose img').length").await, 0);
    assert_eq!(bob.value("document.querySelector('.prose a').href").await, "https://example.org/?a=1");
    bob.until("!document.querySelector('.row .badge')").await;
    ada.until("document.querySelector('.message.own .tick[data-seen=true]')").await;

    // Writing shows while it lasts, and the answer when it is there.
    let elsewhere = server.log_in("bob", "password of bob").await;
    elsewhere.post("/dm/send", json!({ "to": "ada", "content": "an" })).await.expect(200);
    ada.shows(".message.theirs .prose", "an").await;
    futures_util::join!(bob.write(COMPOSER, "ans"), ada.shows(".subtitle", "typing…"));
    bob.write(COMPOSER, &format!("wer{ENTER}")).await;
    ada.shows(".message.theirs .prose", "answer").await;

    // An edit and a deletion reach the other side.
    say(&ada, "a mistake").await;
    choose(&ada, "Edit").await;
    ada.value("document.querySelector('.composer textarea').select()").await;
    ada.write(COMPOSER, &format!("no mistake{ENTER}")).await;
    bob.shows(".message.theirs .prose", "no mistake").await;
    say(&ada, "nonsense").await;
    bob.shows(".message.theirs .prose", "nonsense").await;
    choose(&ada, "Delete").await;
    ada.click("dialog .danger").await;
    bob.until("![...document.querySelectorAll('.prose')].some((one) => one.innerText === 'nonsense')").await;
    assert_eq!(texts(&bob).await, json!([markup, "an", "answer", "no mistake"]));

    // A session that is ended elsewhere ends here, and nothing was against the page's policy.
    for browser in [&ada, &bob] {
        let complaints = browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:?}");
    }
    let elsewhere = server.log_in("bob", "password of bob").await;
    let sessions = elsewhere.get("/sessions").await.expect(200);
    for session in sessions.as_array().unwrap().iter().filter(|session| session["current"] == false) {
        elsewhere.delete(&format!("/sessions/{}", session["id"].as_str().unwrap()), json!({})).await.expect(204);
    }
    bob.until("document.querySelector('.auth .notice')").await;
}

#[actix_web::test]
async fn older_messages_and_images_come_when_they_are_looked_for() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start().await;
    let ada = driver.browser().await;
    sign_up(&ada, &server, "ada").await;
    let bob = server.user("bob").await;
    let found = bob.get("/users?q=ada").await.expect(200);
    let id = found[0]["id"].as_str().unwrap();
    for number in 1..=130 {
        bob.send(id, &format!("number {number}")).await;
    }
    // The smallest PNG that a browser draws: one pixel.
    let pixel = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
    let part = reqwest::multipart::Part::bytes(pixel.to_vec()).file_name("pixel.png");
    let form = reqwest::multipart::Form::new().text("receiver_id", id.to_owned()).part("file", part);
    bob.form("/messages/upload", form).await.expect(201);

    ada.shows(".row .badge", "131").await;
    ada.click(".row[href^='#u:']").await;
    // The first unseen one is what she sees; the newest is a button away, and nothing is unseen there.
    ada.shows(".message:has(> .divider) .prose", "number 1").await;
    ada.click(".down").await;
    ada.until("document.querySelector('.picture:not(.loading)')").await;
    assert_eq!(ada.value("document.querySelector('.picture img').naturalWidth").await, 1);
    ada.until("!document.querySelector('.row .badge')").await;
    // Up to the first one, page by page; then all are there, once and in order.
    ada.until(
        "(document.querySelector('.scroller').scrollTop = 0, document.querySelector('.prose').innerText === 'number 1')",
    )
    .await;
    let all: Vec<_> = (1..=130).map(|number| format!("number {number}")).collect();
    assert_eq!(texts(&ada).await, json!(all));
    assert!(ada.complaints().await.is_empty());
    assert_eq!(bob.get("/users?q=ada").await.expect(200)[0]["id"], id);
}
