//! Metrics of requests, uploads and connections (`docs/observability.md`).

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Created on first use, when the metrics recorder is installed.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// The metrics of this crate, except for requests.
pub struct Metrics {
    /// Bytes of files received.
    pub uploaded_bytes: Counter,
    /// Live connections refused because their user has too many.
    pub refused_sockets: Counter,
    /// Uploads refused because their user has too many under way.
    pub refused_uploads: Counter,
    /// Open connections of every kind.
    pub connections: Gauge,
    /// Connections refused because their network has too many.
    pub refused_connections: Counter,
    /// Requests whose head or body is not valid HTTP.
    pub malformed: Counter,
    /// Clients that had what the server has, or asked about a past number.
    pub sync_checks_ok: Counter,
    /// Clients that had something else.
    pub sync_checks_conflict: Counter,
}

impl Metrics {
    fn register() -> Self {
        describe_counter!("parlance_http_requests_total", "Requests answered, by method, route and status");
        describe_histogram!(
            "parlance_http_request_seconds",
            Unit::Seconds,
            "How long requests took until their answer began"
        );
        describe_counter!(
            "parlance_upload_bytes_total",
            Unit::Bytes,
            "Bytes of files that arrived, of refused uploads too"
        );
        describe_counter!("parlance_rate_limited_total", "Requests and operations refused as too many, by limit");
        describe_gauge!("parlance_connections", "Connections that are open, of whatever kind");
        describe_counter!("parlance_http_malformed_total", "Requests whose head or body is no HTTP");
        describe_counter!(
            "parlance_sync_checks_total",
            "Clients that compared what they have of a conversation, by result"
        );
        Self {
            uploaded_bytes: counter!("parlance_upload_bytes_total"),
            refused_sockets: counter!("parlance_rate_limited_total", "limit" => "sockets"),
            refused_uploads: counter!("parlance_rate_limited_total", "limit" => "uploads_under_way"),
            connections: gauge!("parlance_connections"),
            refused_connections: counter!("parlance_rate_limited_total", "limit" => "connections"),
            malformed: counter!("parlance_http_malformed_total"),
            sync_checks_ok: counter!("parlance_sync_checks_total", "result" => "ok"),
            sync_checks_conflict: counter!("parlance_sync_checks_total", "result" => "conflict"),
        }
    }
}

type Series = (Counter, Histogram);
/// By route, then by method and status.
type Known = HashMap<String, HashMap<(&'static str, u16), Series>>;

thread_local! {
    /// The counters that this worker already knows, so that a request costs a look-up and no allocation.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Counts a request. `route` is a pattern of the URL map, never a client's text; this bounds the number of series.
pub fn answered(method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
    let (method, route, status) = (label(method), route.unwrap_or("none"), status.as_u16());
    KNOWN.with_borrow_mut(|known| {
        if !known.contains_key(route) {
            known.insert(route.to_owned(), HashMap::new());
        }
        let Some(of_route) = known.get_mut(route) else { return };
        let (requests, seconds) = of_route.entry((method, status)).or_insert_with(|| register(method, route, status));
        requests.increment(1);
        seconds.record(took);
    });
}

fn register(method: &'static str, route: &str, status: u16) -> Series {
    let route = route.to_owned();
    let requests = counter!("parlance_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string());
    (requests, histogram!("parlance_http_request_seconds", "method" => method, "route" => route))
}

/// A client may send any word as its method, so unknown ones share a label.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
