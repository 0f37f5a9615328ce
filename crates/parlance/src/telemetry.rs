//! Metrics (`docs/observability.md`): the process's recorder, and the metrics of the server as a whole.

use anyhow::Context as _;
use domain::files::{Reserve, Space};
use metrics::{Gauge, Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::LazyLock;
use std::time::Duration;

/// Upper bounds of latencies, in seconds: from a read in memory to a request that its client has given up.
const SECONDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Upper bounds of batches; the last is the largest batch of a writer.
const JOBS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// How often recorded values are sorted into the histograms, so that they do not pile up if no one reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The one recorder of the process.
static RECORDER: LazyLock<Option<PrometheusHandle>> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let builder =
        builder.and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_jobs".to_owned()), &JOBS));
    builder.and_then(PrometheusBuilder::install_recorder).ok()
});

/// Created on first use, when the metrics recorder is installed.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// The metrics of the composition root.
pub struct Metrics {
    /// The size of the database.
    pub database_bytes: Gauge,
    /// Log lines lost because the log's reader was too slow.
    pub log_lines_lost: Gauge,
    /// 1 while the server does not trust its clock.
    pub clock_doubted: Gauge,
}

impl Metrics {
    fn register() -> Self {
        describe_gauge!(
            "parlance_database_bytes",
            Unit::Bytes,
            "The size of the database, measured when somebody reads the metrics"
        );
        describe_gauge!(
            "parlance_clock_doubted",
            "1 while the server doubts its clock and deletes nothing because of its age"
        );
        describe_gauge!(
            "parlance_disk_free_bytes",
            Unit::Bytes,
            "Free bytes on the disks of database and uploads, by place"
        );
        describe_gauge!("parlance_disk_reserve_bytes", Unit::Bytes, "What uploads leave free there, by place");
        describe_gauge!(
            "parlance_follower_lag_seconds",
            Unit::Seconds,
            "How long the oldest change waits for what is derived from the log, by follower"
        );
        describe_gauge!("parlance_log_lines_lost", "Log lines that were lost because the log's reader was too slow");
        Self {
            database_bytes: gauge!("parlance_database_bytes"),
            log_lines_lost: gauge!("parlance_log_lines_lost"),
            clock_doubted: gauge!("parlance_clock_doubted"),
        }
    }
}

/// Records the free space of a disk, and how much of it uploads leave free.
pub fn disk(place: &'static str, space: Space, reserve: Reserve) {
    gauge!("parlance_disk_free_bytes", "place" => place).set(space.free as f64);
    gauge!("parlance_disk_reserve_bytes", "place" => place).set(reserve.of(space.whole) as f64);
}

/// Records how long the oldest change waits for a follower.
pub fn follower_lag(follower: &'static str, micros: i64) {
    gauge!("parlance_follower_lag_seconds", "follower" => follower).set(micros as f64 / 1e6);
}

/// The running recorder.
pub struct Telemetry(PrometheusHandle);

impl Telemetry {
    /// Starts recording. Call it before any metric is created, inside an actix system.
    ///
    /// # Errors
    /// An error if another recorder is installed in this process.
    pub fn start() -> anyhow::Result<Self> {
        let handle = RECORDER.clone().context("metrics are recorded elsewhere")?;
        LazyLock::force(&METRICS);
        LazyLock::force(&api_actix::telemetry::METRICS);
        infra_auth::describe();
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

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}
