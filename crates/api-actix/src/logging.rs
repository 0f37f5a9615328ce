//! The log: lines on standard error, written by a thread of their own. Standard output carries only the line that says
//! where the server listens.

use crate::config::{Config, LogFormat};
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written.
const QUEUE: usize = 8192;
/// How long [`flush`] waits for a reader of the log that has stalled.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

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
pub fn start(config: &Config) -> io::Result<()> {
    let (lines, queue) = sync_channel(QUEUE);
    if LINES.set(lines.clone()).is_err() {
        return Ok(());
    }
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&queue, io::stderr()))?;
    // What the framework says of its own threads is of no use to an operator, unless asked for.
    let filter = EnvFilter::builder().parse_lossy(format!("actix_server=warn,{}", config.log));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines(lines))
        .with_ansi(io::stderr().is_terminal());
    // An error means that a subscriber is in place already.
    let _ = match config.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    Ok(())
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
