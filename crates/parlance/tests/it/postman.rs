//! Checks the Postman collection against the URL map. `scripts/newman.sh` checks the answers.

use api_actix::routes::ROUTES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Requests that no route is to take.
const ASTRAY: &[(&str, &str)] = &[("get", "/nowhere"), ("put", "/users")];

fn collection() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    serde_json::from_str(&std::fs::read_to_string(root.join("docs/postman_collection.json")).unwrap()).unwrap()
}

/// All requests, in whatever folders they are.
fn requests<'a>(item: &'a Value, found: &mut Vec<&'a Value>) {
    match item["item"].as_array() {
        Some(items) => items.iter().for_each(|item| requests(item, found)),
        None => found.push(item),
    }
}

/// Method and path, as routes have them.
fn asked(request: &Value) -> (String, String) {
    let url = request["request"]["url"]["raw"].as_str().unwrap();
    let path = url.strip_prefix("{{baseUrl}}").unwrap_or_else(|| panic!("{url} is not of the server"));
    let path = path.split('?').next().unwrap_or_default();
    (request["request"]["method"].as_str().unwrap().to_lowercase(), path.to_owned())
}

fn leads_to(path: &str, route: &str) -> bool {
    let (path, route): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
    path.len() == route.len()
        && path.iter().zip(route).all(|(segment, expected)| expected.starts_with('{') || *segment == expected)
}

/// The route that takes it: one without placeholders before another.
fn route_of(method: &str, path: &str) -> Option<(&'static str, &'static str)> {
    let mut fitting: Vec<_> =
        ROUTES.iter().filter(|(its, route)| *its == method && leads_to(path, route)).copied().collect();
    fitting.sort_by_key(|(_, route)| route.matches('{').count());
    fitting.first().copied()
}

#[test]
fn every_route_has_a_request_and_every_request_a_route() {
    let collection = collection();
    let mut all = Vec::new();
    requests(&collection, &mut all);
    let mut called = BTreeSet::new();
    for request in &all {
        let (method, path) = asked(request);
        match route_of(&method, &path) {
            Some(route) => {
                called.insert(route);
            }
            None => assert!(ASTRAY.contains(&(method.as_str(), path.as_str())), "no route takes {method} {path}"),
        }
    }
    let uncalled: Vec<_> = ROUTES.iter().filter(|route| !called.contains(*route)).collect();
    assert!(uncalled.is_empty(), "docs/postman_collection.json calls no {uncalled:?}");
}

#[test]
fn every_request_says_what_must_come_back() {
    let collection = collection();
    let mut all = Vec::new();
    requests(&collection, &mut all);
    for request in &all {
        let events = request["event"].as_array().unwrap();
        let test = events.iter().find(|event| event["listen"] == "test");
        let script = test.map(|test| test["script"]["exec"].to_string()).unwrap_or_default();
        assert!(script.contains("is answered with"), "{}", request["name"]);
    }
}

#[test]
fn every_variable_is_declared() {
    let collection = collection();
    let declared: BTreeSet<_> =
        collection["variable"].as_array().unwrap().iter().map(|variable| variable["key"].as_str().unwrap()).collect();
    let text = collection.to_string();
    for name in text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        assert!(declared.contains(name), "{name} is used and not declared");
    }
}
