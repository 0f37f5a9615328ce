//! The log: lines on standard error, written by a thread of their own. Standard output carries only the line that says
//! where the server listens.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// How many lines may wait to be written.
const QUEUE: usize = 8192;
/// How long [`flush`] waits for a reader of the log that has stalled.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

/// How many warnings and errors of one place in the program are written in [`WINDOW`]: a fault that many requests meet is told,
/// and does not drown what else there is, whoever makes it happen.
const MOST_OF_A_PLACE: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// What the framework says is left out unless it is asked for: of its own threads it is of no use to an operator, and of
/// connections it has errors for what any stranger sends. (`parlance_http_malformed_total` counts that.)
const QUIET: &str = "actix_server=warn,actix_http::h1=off,actix_http::ws=off";

static LINES: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where a line goes on its way to the thread. Whoever logs never waits for who reads the log: a line that finds the
/// queue full is counted and lost.
struct Line(SyncSender<Entry>);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Entry::Line(line.to_vec())).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Lines(SyncSender<Entry>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

/// Begins to log. A second call in one process changes nothing.
///
/// # Errors
/// Where the system has no thread to give.
pub fn start(directives: &str, form: LogFormat) -> io::Result<()> {
    let (lines, queue) = sync_channel(QUEUE);
    if LINES.set(lines.clone()).is_err() {
        return Ok(());
    }
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&queue, io::stderr()))?;
    let filter = EnvFilter::builder().parse_lossy(format!("{QUIET},{}", directives));
    let throttle = Throttle { format: form, places: Mutex::default() };
    let subscriber = tracing_subscriber::registry().with(filter).with(throttle);
    let format = tracing_subscriber::fmt::layer().with_writer(Lines(lines)).with_ansi(io::stderr().is_terminal());
    // An error means that a subscriber is in place already.
    let _ = match form {
        LogFormat::Text => subscriber.with(format).try_init(),
        LogFormat::Json => subscriber.with(format.json()).try_init(),
    };
    Ok(())
}

/// Leaves out warnings and errors of a place that says too many, and says how many it left out.
struct Throttle {
    format: LogFormat,
    places: Mutex<HashMap<Identifier, Place>>,
}

/// What a place said since its window began.
struct Place {
    begun: Instant,
    lines: u32,
}

impl Throttle {
    /// Whether a line of that place is written; and how many were left out before it.
    fn admits(&self, place: Identifier, now: Instant) -> (bool, u32) {
        // A panic elsewhere leaves numbers behind and nothing half done.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let said = places.entry(place).or_insert(Place { begun: now, lines: 0 });
        let left_out = if now.duration_since(said.begun) >= WINDOW {
            let before = std::mem::replace(said, Place { begun: now, lines: 0 });
            before.lines.saturating_sub(MOST_OF_A_PLACE)
        } else {
            0
        };
        said.lines = said.lines.saturating_add(1);
        (said.lines <= MOST_OF_A_PLACE, left_out)
    }

    fn tell(&self, left_out: u32, target: &str) {
        let line = match self.format {
            LogFormat::Text => format!("{left_out} more lines like the next ({target}) were left out\n"),
            LogFormat::Json => {
                format!(
                    "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{left_out} more lines like the next were left out\"}},\"target\":\"{target}\"}}\n"
                )
            }
        };
        if let Some(lines) = LINES.get() {
            let _ = Line(lines.clone()).write(line.as_bytes());
        }
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // The less a level matters, the greater it is.
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

/// Waits until what was logged so far is written, but not for long. For the end of the process.
pub fn flush() {
    let Some(lines) = LINES.get() else { return };
    let (done, wait) = sync_channel(1);
    if lines.try_send(Entry::Flush(done)).is_ok() {
        // Too late is as good as never: the process ends.
        let _ = wait.recv_timeout(FLUSH_DEADLINE);
    }
}

/// Writes what comes until nobody is left to log, many lines at once where many wait.
fn write(queue: &Receiver<Entry>, to: impl Write) {
    let mut to = io::BufWriter::new(to);
    loop {
        let entry = match queue.try_recv() {
            Err(TryRecvError::Empty) => {
                // Nobody could be told that the log cannot be written.
                let _ = to.flush();
                queue.recv().ok()
            }
            Err(TryRecvError::Disconnected) => None,
            Ok(entry) => Some(entry),
        };
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(to, "{lost} lines of the log were lost");
        }
        match entry {
            Some(Entry::Line(line)) => {
                let _ = to.write_all(&line);
            }
            Some(Entry::Flush(done)) => {
                let _ = to.flush();
                let _ = done.send(());
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Metadata;
    use tracing::callsite::Callsite;
    use tracing::subscriber::Interest;

    /// Told from others by where it is in memory, so it must take some.
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
        assert_eq!(written, MOST_OF_A_PLACE as usize);
        assert_eq!(throttle.admits(Identifier(&THERE), begun), (true, 0));
        let later = begun + WINDOW;
        assert_eq!(throttle.admits(here(), later), (true, 1_000 - MOST_OF_A_PLACE));
        assert_eq!(throttle.admits(here(), later), (true, 0));
    }

    #[test]
    fn lines_come_out_whole_and_in_order_and_the_lost_ones_are_counted() {
        let (lines, queue) = sync_channel(3);
        let writer = Lines(lines);
        for n in 0..5 {
            writer.make_writer().write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        drop(writer);
        let mut written = Vec::new();
        write(&queue, &mut written);
        let written = String::from_utf8(written).unwrap();
        let told: Vec<_> = written.lines().filter(|line| !line.contains("lost")).collect();
        assert_eq!(told, ["line 0", "line 1", "line 2"]);
        assert!(written.starts_with("2 lines of the log were lost\n"), "{written}");
    }
}
