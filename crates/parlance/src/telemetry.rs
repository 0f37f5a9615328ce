//! Metrics (`docs/observability.md`): the process's recorder, and the metrics of the server as a whole.

use anyhow::Context as _;
use domain::files::{Reserve, Space};
use metrics::{Gauge, Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
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

/// What the composition counts itself.
pub struct Metrics {
    /// The size of the database.
    pub database_bytes: Gauge,
    /// Lines of the log that nobody read in time.
    pub log_lines_lost: Gauge,
    /// 1 while the clock is not believed.
    pub clock_doubted: Gauge,
}

impl Metrics {
    fn register() -> Self {
        describe_gauge!("parlance_database_bytes", Unit::Bytes, "The size of the database, asked for when metrics are");
        describe_gauge!("parlance_clock_doubted", "1 while the clock is too far ahead to delete what is too old");
        describe_gauge!("parlance_disk_free_bytes", Unit::Bytes, "Room on the disks of database and uploads, by place");
        describe_gauge!("parlance_disk_reserve_bytes", Unit::Bytes, "What uploads leave free there, by place");
        describe_gauge!(
            "parlance_log_lines_lost",
            "Lines of the log that were lost, since nobody read it as fast as they came"
        );
        Self {
            database_bytes: gauge!("parlance_database_bytes"),
            log_lines_lost: gauge!("parlance_log_lines_lost"),
            clock_doubted: gauge!("parlance_clock_doubted"),
        }
    }
}

/// Takes note of how much room there is on a disk, and how much of it uploads leave free.
pub fn disk(place: &'static str, space: Space, reserve: Reserve) {
    gauge!("parlance_disk_free_bytes", "place" => place).set(space.free as f64);
    gauge!("parlance_disk_reserve_bytes", "place" => place).set(reserve.of(space.whole) as f64);
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

    /// All of it, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}
