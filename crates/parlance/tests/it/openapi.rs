//! Checks the OpenAPI document against the URL map, the server and itself.

use crate::harness::{Process, Server};
use api_actix::document;
use api_actix::routes::ROUTES;
use serde_json::Value;
use std::collections::BTreeSet;
use wire::PublicUrl;
use wire::events::EventName;

fn document() -> Value {
    serde_json::from_str(&document::text(&PublicUrl::default()).unwrap()).unwrap()
}

/// Method, path and what the document says of it.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// A path as OpenAPI writes it: without the patterns of its placeholders.
fn plain(path: &str) -> String {
    path.replace(":.*}", "}")
}

/// All that is in a value, itself included.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(fields) => fields.values().for_each(|field| walk(field, visit)),
        _ => {}
    }
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    let document = document();
    let routes: BTreeSet<_> = ROUTES.iter().map(|(method, path)| ((*method).to_owned(), plain(path))).collect();
    let documented = operations(&document).map(|(method, path, _)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(routes, documented);
    assert_eq!(routes.len(), ROUTES.len(), "a route is listed twice");
}

#[test]
fn placeholders_are_parameters() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let of_path: BTreeSet<_> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let named: BTreeSet<_> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(of_path, named, "{method} {path}");
    }
}

#[test]
fn every_operation_says_what_it_does_and_how_it_is_refused() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: the id is another's");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{place}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place}");
        let responses = operation["responses"].as_object().unwrap();
        let has = |status: &str| responses.contains_key(status);
        assert!(responses.keys().any(|status| status.starts_with(['1', '2', '3'])), "{place} never succeeds");
        assert!(has("500"), "{place}");
        let open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(has("401"), !open || ["/login", "/token"].contains(&path), "{place}");
        let takes_json = !operation["requestBody"]["content"]["application/json"].is_null();
        assert!(!takes_json || (has("400") && has("413") && has("415")), "{place}");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            assert!(response["$ref"].is_string(), "{place}: {status} is not as all others");
        }
    }
    let declared: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let used = operations(&document).map(|(_, _, operation)| operation["tags"][0].as_str().unwrap()).collect();
    assert_eq!(declared, used);
}

#[test]
fn what_a_quota_may_refuse_says_so() {
    let document = document();
    for (method, path) in [
        ("post", "/groups"),
        ("post", "/group/create"),
        ("post", "/groups/{id}/members"),
        ("post", "/messages"),
        ("post", "/messages/upload"),
        ("post", "/group/send"),
    ] {
        assert!(document["paths"][path][method]["responses"]["409"].is_object(), "{method} {path}");
    }
}

#[test]
fn where_the_acting_user_may_be_named_is_said() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let field = match path.split('/').nth(1) {
            Some("messages") => "sender_id",
            Some("groups") => "requester_id",
            _ if path == "/conversations" => "user_id",
            _ => continue,
        };
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let declared = parameters.iter().any(|one| one["name"] == field && one["in"] == "query");
        assert!(declared && operation["responses"]["403"].is_object(), "{method} {path}");
    }
}

#[test]
fn references_lead_somewhere_and_nothing_lies_about_unused() {
    let document = document();
    let mut referenced = BTreeSet::new();
    walk(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            referenced.insert(reference.to_owned());
        }
    });
    for reference in &referenced {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(referenced.contains(&format!("#/components/{kind}/{name}")), "{kind} {name}");
        }
    }
    let errors = document["components"]["responses"].as_object().unwrap();
    for (code, error) in errors {
        let json = &error["content"]["application/json"];
        assert_eq!(json["schema"]["$ref"], "#/components/schemas/Error", "{code}");
        assert_eq!(json["example"]["code"], code.as_str());
    }
}

#[actix_web::test]
async fn the_document_is_served_and_printed_alike() {
    let server = Server::start().await;
    let served = server.anyone().get("/openapi.json").await;
    let text = String::from_utf8(served.body.clone()).unwrap();
    assert!(served.expect(200)["openapi"].as_str().unwrap().starts_with("3.1"));
    // Needs no configuration, and leaves nothing behind.
    let directory = tempfile::tempdir().unwrap();
    let printed = Process::run(directory.path(), &["openapi"], &[("PARLANCE_BCRYPT_COST", "nonsense")]);
    assert_eq!(printed.status.code(), Some(0));
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), text.trim_end());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[actix_web::test]
async fn swagger_ui_comes_from_the_binary_with_nothing_inline() {
    let server = Server::start().await;
    let page = server.anyone().get("/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("content-type"), Some("text/html"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("//"), "{html}");
    for tag in html.split("<script").skip(1) {
        assert!(tag.trim_start().starts_with("src=") && tag.split('>').nth(1).unwrap().trim() == "</script", "{tag}");
    }
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for name in html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let file = server.anyone().get(&format!("/docs/{}", name.trim_start_matches("./"))).await;
            assert_eq!(file.status, 200, "{name}");
            files += 1;
        }
    }
    assert!(files >= 5, "{html}");
    server.anyone().get("/docs/nothing.js").await.refused(404, None);
    server.anyone().get("/docs/..%2fCargo.toml").await.refused(404, None);
}

/// Whoever reads the repository, or makes a client from it, reads what the server serves.
#[test]
fn the_document_that_is_checked_in_is_the_one_that_is_served() {
    let kept = include_str!("../../../../docs/openapi.json");
    let served = document::text(&PublicUrl::default()).unwrap();
    assert!(kept.trim_end() == served.trim_end(), "write it anew: cargo run -- openapi > docs/openapi.json");
}

#[test]
fn live_events_are_among_the_components() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.contains_key("EventFrame"));
    for name in EventName::ALL {
        assert!(schemas.contains_key(&name.data()), "{}", name.as_str());
    }
}
