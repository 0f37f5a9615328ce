//! `GET /metrics`: who may read it, its contents, and their description in the guide.

use crate::harness::{Client, NOWHERE, Server};
use infra_live::NatsOptions;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

const GUIDE: &str = include_str!("../../../../docs/observability.md");
const DASHBOARD: &str = include_str!("../../../../docs/grafana-dashboard.json");

/// Names and kinds of what is exposed.
fn kinds(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.map(|line| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap()).collect()
}

/// The value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

async fn metrics(server: &Server) -> String {
    let answer = server.anyone().get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer}");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    String::from_utf8(answer.body).unwrap()
}

/// Uses everything once, so that everything is exposed.
async fn busy(server: Server) -> Server {
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let file = reqwest::multipart::Part::bytes(vec![7; 1000]).file_name("x");
    ada.form("/upload", reqwest::multipart::Form::new().part("file", file)).await.expect(201);
    ada.send(&bob.id, "hello").await;
    bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    server
}

#[actix_web::test]
async fn what_happens_is_counted_by_pattern() {
    // Other tests of this process count too: at least as many, never fewer.
    let server = busy(Server::start().await).await;
    let before = metrics(&server).await;
    let ada = server.log_in("ada", "password of ada").await;
    ada.send(&ada.id, "to myself").await;
    ada.get(&format!("/users/{NOWHERE}")).await.refused(404, None);
    ada.get(&format!("/secret-{NOWHERE}")).await.refused(404, None);
    ada.raw("BREW", "/users", &[], "").await.refused(405, None);
    let after = metrics(&server).await;
    for series in [
        r#"parlance_http_requests_total{method="POST",route="/messages",status="201"}"#,
        r#"parlance_http_requests_total{method="GET",route="/users/{id}",status="404"}"#,
        r#"parlance_http_requests_total{method="GET",route="none",status="404"}"#,
        r#"parlance_http_requests_total{method="other",route="/users",status="405"}"#,
        r#"parlance_http_request_seconds_count{method="POST",route="/messages"}"#,
        "parlance_messages_sent_total",
        "parlance_write_batch_jobs_count",
        "parlance_write_commit_seconds_count",
        "parlance_read_wait_seconds_count",
        "parlance_password_hash_seconds_count",
    ] {
        assert!(value(&after, series) > value(&before, series), "{series}");
    }
    assert!(value(&after, "parlance_upload_bytes_total") >= 1000.0);
    assert!(value(&after, "parlance_database_bytes") > 0.0);
    // Nothing that a client wrote is in it.
    assert!(!after.contains(NOWHERE) && !after.contains("BREW") && !after.contains("secret"));
}

#[actix_web::test]
async fn the_guide_and_the_dashboard_name_what_is_exposed() {
    // As one node of several, whose NATS is away: the others don't expose what passes between nodes.
    let node = Server::with(|config| {
        let servers = NatsOptions::parse_servers("nats://127.0.0.1:1").unwrap();
        let prefix = "parlance.test".to_owned();
        config.nats = Some(NatsOptions { servers, credentials: None, ca: None, certificate: None, prefix });
    });
    let exposed = kinds(&metrics(&busy(node.await).await).await);
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| name.starts_with("parlance_") && !name.contains(' '));
    let guide = rows.map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap().to_owned())).collect();
    assert_eq!(exposed, guide);

    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.starts_with("parlance_")) {
                let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
                assert!(exposed.contains_key(name), "{query}");
                shown.insert(name.to_owned());
            }
        }
    }
    assert_eq!(shown, exposed.into_keys().collect(), "each is somewhere on the dashboard");
}

/// The address by which this machine would speak to others; no packet is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[actix_web::test]
async fn from_elsewhere_an_admins_token_is_needed() {
    let Some(address) = own_address() else {
        return eprintln!("LEFT OUT: this machine has no address but the loopback one");
    };
    let server = Server::with(|config| {
        config.http.listen = "0.0.0.0:0".to_owned();
        config.policy.admins = domain::users::AdminNames::parse(["root"].into_iter()).unwrap();
    })
    .await;
    let (_, port) = server.anyone().address().split_once(':').unwrap();
    let anyone = Client::new(format!("http://{address}:{port}"));
    let forwarded = [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "::1")];
    assert_eq!(anyone.raw("GET", "/metrics", &forwarded, "").await.refused(401, None)["error"], "missing token");
    let wrong = anyone.with_token("x.y.z");
    assert_eq!(wrong.get("/metrics").await.refused(401, None)["error"], "invalid token");
    for (name, status) in [("ada", 403), ("root", 200)] {
        let account = json!({ "username": name, "password": "12345678" });
        anyone.post("/signup", account.clone()).await.expect(201);
        let login = anyone.post("/login", account).await.expect(200);
        let answer = anyone.with_token(login["token"].as_str().unwrap()).get("/metrics").await;
        assert_eq!(answer.status, status, "{answer}");
    }
}
