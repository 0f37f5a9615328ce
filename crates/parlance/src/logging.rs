//! The log. A separate thread writes lines to standard error. Standard output carries only the line with the server's
//! address.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// The number of lines that may queue for the log thread.
const QUEUE: usize = 8192;
/// How many warnings and errors of one place in the program are written per [`WINDOW`]. An error that many requests hit
/// therefore shows without drowning the rest of the log.
const MAX_LINES_PER_CALLSITE: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// The framework's own lines are off by default. Lines about its threads do not help operators, and it logs errors for
/// arbitrary bytes of any client. (`parlance_http_malformed_total` counts those.)
const QUIET: &str = "actix_server=warn,actix_http::h1=off,actix_http::ws=off";

/// The queue to the log thread, and the number of lines that found it full. Callers never wait for the log's reader.
static LINES: OnceLock<(NonBlocking, ErrorCounter)> = OnceLock::new();
/// Dropping the guard writes queued lines and ends the thread.
static THREAD: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Starts logging. A second call in one process changes nothing.
pub fn start(directives: &str, form: LogFormat) {
    if LINES.get().is_some() {
        return;
    }
    // The thread writes many queued lines at once.
    let to = io::BufWriter::new(io::stderr());
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUE).thread_name("log");
    let (lines, thread) = builder.finish(to);
    let _ = LINES.set((lines.clone(), lines.error_counter()));
    *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    let filter = EnvFilter::builder().parse_lossy(format!("{QUIET},{}", directives));
    let throttle = Throttle { format: form, places: Mutex::default() };
    let subscriber = tracing_subscriber::registry().with(filter).with(throttle);
    let format = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(io::stderr().is_terminal());
    // An error means that a subscriber is already installed.
    let _ = match form {
        LogFormat::Text => subscriber.with(format).try_init(),
        LogFormat::Json => subscriber.with(format.json()).try_init(),
    };
}

/// The number of lines lost because the log's reader was too slow.
pub fn lost() -> u64 {
    LINES.get().map_or(0, |(_, lost)| lost.dropped_lines() as u64)
}

/// Drops warnings and errors of a place that logs too many, and logs how many it dropped.
struct Throttle {
    format: LogFormat,
    places: Mutex<HashMap<Identifier, CallsiteWindow>>,
}

/// The lines of a place since its window began.
struct CallsiteWindow {
    begun: Instant,
    lines: u32,
}

impl Throttle {
    /// Whether to write a line of that place, and how many were dropped before it.
    fn admits(&self, place: Identifier, now: Instant) -> (bool, u32) {
        // The map holds only numbers: a panic elsewhere cannot leave it half changed.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let said = places.entry(place).or_insert(CallsiteWindow { begun: now, lines: 0 });
        let left_out = if now.duration_since(said.begun) >= WINDOW {
            let before = std::mem::replace(said, CallsiteWindow { begun: now, lines: 0 });
            before.lines.saturating_sub(MAX_LINES_PER_CALLSITE)
        } else {
            0
        };
        said.lines = said.lines.saturating_add(1);
        (said.lines <= MAX_LINES_PER_CALLSITE, left_out)
    }

    fn tell(&self, left_out: u32, target: &str) {
        let line = match self.format {
            LogFormat::Text => format!("dropped {left_out} lines like the next ({target})\n"),
            LogFormat::Json => {
                format!(
                    "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"dropped {left_out} lines like the next\"}},\"target\":\"{target}\"}}\n"
                )
            }
        };
        if let Some((lines, _)) = LINES.get() {
            // If the log cannot be written, there is nowhere to report that.
            let _ = lines.clone().write(line.as_bytes());
        }
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // Less important levels compare as greater.
        if *metadata.level() > Level::WARN {
            return true;
        }
        let (admitted, left_out) = self.admits(metadata.callsite(), Instant::now());
        if left_out > 0 {
            self.tell(left_out, metadata.target());
        }
        admitted
    }
}

/// Waits briefly until queued lines are written. Call it at the end of the process: later lines are lost.
pub fn flush() {
    drop(THREAD.lock().unwrap_or_else(PoisonError::into_inner).take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Metadata;
    use tracing::callsite::Callsite;
    use tracing::subscriber::Interest;

    /// Callsites differ by their address, so the type must not be zero-sized.
    struct Somewhere(#[expect(dead_code, reason = "only its place matters")] u8);

    impl Callsite for Somewhere {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("nobody asks")
        }
    }

    static HERE: Somewhere = Somewhere(0);
    static THERE: Somewhere = Somewhere(1);

    #[test]
    fn a_place_that_says_too_much_is_heard_now_and_then_and_others_always() {
        let throttle = Throttle { format: LogFormat::Text, places: Mutex::default() };
        let (here, begun) = (|| Identifier(&HERE), Instant::now());
        let written = (0..1_000).filter(|_| throttle.admits(here(), begun) == (true, 0)).count();
        assert_eq!(written, MAX_LINES_PER_CALLSITE as usize);
        assert_eq!(throttle.admits(Identifier(&THERE), begun), (true, 0));
        let later = begun + WINDOW;
        assert_eq!(throttle.admits(here(), later), (true, 1_000 - MAX_LINES_PER_CALLSITE));
        assert_eq!(throttle.admits(here(), later), (true, 0));
    }
}
