//! What operators see (`docs/observability.md`): the recorder, and what is counted of requests, uploads and passwords.

use crate::limits::Limit;
use actix_web::http::{Method, StatusCode};
use anyhow::Context as _;
use domain::files::{Reserve, Space};
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Upper bounds of latencies, in seconds: from a read out of memory to what nobody waits for any more.
const SECONDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Upper bounds of batches; the last is the most that a writer takes.
const JOBS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// How often what was recorded is sorted into the histograms, so that nothing piles up where nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// The one recorder of the process.
static RECORDER: LazyLock<Option<PrometheusHandle>> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let builder =
        builder.and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_jobs".to_owned()), &JOBS));
    builder.and_then(PrometheusBuilder::install_recorder).ok()
});

/// Made when first used, of the recorder that is there by then.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// What this crate counts besides requests.
pub struct Metrics {
    /// Bytes of files that arrived.
    pub uploaded_bytes: Counter,
    /// Passwords that wait to be hashed.
    pub hash_queue: Gauge,
    /// How long hashing took.
    pub hashing: Histogram,
    /// The size of the database.
    pub database_bytes: Gauge,
    /// 1 while the clock is not believed.
    pub clock_doubted: Gauge,
    /// What each limit refused, in the order of [`Limit::ALL`].
    refused: [Counter; Limit::ALL.len()],
    /// Live connections refused because their user has too many.
    pub refused_sockets: Counter,
    /// Uploads refused as too many of one user under way.
    pub refused_uploads: Counter,
    /// Connections there are, of whatever kind.
    pub connections: Gauge,
    /// Connections refused because their network has too many.
    pub refused_connections: Counter,
    /// Requests whose head or body is no HTTP.
    pub malformed: Counter,
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
        describe_gauge!("parlance_password_queue_depth", "Passwords that wait to be hashed or compared");
        describe_histogram!(
            "parlance_password_hash_seconds",
            Unit::Seconds,
            "How long hashing or comparing a password took"
        );
        describe_counter!("parlance_rate_limited_total", "Requests and operations refused as too many, by limit");
        describe_gauge!("parlance_connections", "Connections that are open, of whatever kind");
        describe_counter!("parlance_http_malformed_total", "Requests whose head or body is no HTTP");
        describe_gauge!("parlance_database_bytes", Unit::Bytes, "The size of the database, asked for when metrics are");
        describe_gauge!("parlance_clock_doubted", "1 while the clock is too far ahead to delete what is too old");
        describe_gauge!("parlance_disk_free_bytes", Unit::Bytes, "Room on the disks of database and uploads, by place");
        describe_gauge!("parlance_disk_reserve_bytes", Unit::Bytes, "What uploads leave free there, by place");
        Self {
            uploaded_bytes: counter!("parlance_upload_bytes_total"),
            hash_queue: gauge!("parlance_password_queue_depth"),
            hashing: histogram!("parlance_password_hash_seconds"),
            database_bytes: gauge!("parlance_database_bytes"),
            clock_doubted: gauge!("parlance_clock_doubted"),
            refused: Limit::ALL.map(|limit| counter!("parlance_rate_limited_total", "limit" => limit.name())),
            refused_sockets: counter!("parlance_rate_limited_total", "limit" => "sockets"),
            refused_uploads: counter!("parlance_rate_limited_total", "limit" => "uploads_under_way"),
            connections: gauge!("parlance_connections"),
            refused_connections: counter!("parlance_rate_limited_total", "limit" => "connections"),
            malformed: counter!("parlance_http_malformed_total"),
        }
    }
}

/// Takes note of how much room there is on a disk, and how much of it uploads leave free.
pub fn disk(place: &'static str, space: Space, reserve: Reserve) {
    gauge!("parlance_disk_free_bytes", "place" => place).set(space.free as f64);
    gauge!("parlance_disk_reserve_bytes", "place" => place).set(reserve.of(space.whole) as f64);
}

/// Counts a refusal.
pub fn refused(limit: Limit) {
    METRICS.refused[limit as usize].increment(1);
}

/// The recorder, running.
pub struct Telemetry(PrometheusHandle);

impl Telemetry {
    /// Starts recording. To be called before anything counts, inside an actix system.
    ///
    /// # Errors
    /// Where another recorder is installed in this process.
    pub fn start() -> anyhow::Result<Self> {
        let handle = RECORDER.clone().context("metrics are recorded elsewhere")?;
        LazyLock::force(&METRICS);
        let upkeep = handle.clone();
        actix_web::rt::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }

    /// All of it, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

type Series = (Counter, Histogram);
/// By route, then by method and status.
type Known = HashMap<String, HashMap<(&'static str, u16), Series>>;

thread_local! {
    /// What was counted before on this worker, so that a request costs a look-up and no allocation.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Counts a request. `route` is a pattern of the URL map, never what a client wrote: so there are only so many series.
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

/// A client may send any word as its method.
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
