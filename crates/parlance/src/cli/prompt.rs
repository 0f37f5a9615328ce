//! Reads a secret from standard input: without echo from a terminal, else one line.

use anyhow::{Context as _, anyhow, bail};
use hidden::Hidden;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use tokio::sync::oneshot;

/// The longest line that is read, in bytes: more than any password has.
const MAX_LINE_BYTES: u64 = 1024;

/// A secret as somebody types it, twice, or as a program writes it in a line.
///
/// # Errors
/// In words for the operator: where there is none, it is no text, what is typed the second time differs, or Ctrl-C is
/// pressed.
pub async fn secret(question: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    // Shows again what is typed when it goes, whatever the reason: Ctrl-C, too.
    let mut hidden = Hidden::begin().context("the terminal cannot be kept from showing the password")?;
    let typed = ask(&mut hidden, format!("{question}: ")).await?;
    if typed != ask(&mut hidden, format!("{question}, once more: ")).await? {
        bail!("the two passwords differ");
    }
    Ok(typed)
}

async fn ask(hidden: &mut Hidden, question: String) -> anyhow::Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question}").and_then(|()| stderr.flush()).context("standard error is closed")?;
    let (tell, told) = oneshot::channel();
    // A thread that nobody waits for at the end: it cannot be stopped while it waits for a line.
    let read = move || drop(tell.send(line()));
    std::thread::Builder::new().name("prompt".to_owned()).spawn(read).context("no thread for the terminal")?;
    tokio::select! {
        line = told => line.map_err(|_| anyhow!("the terminal is gone"))?,
        () = hidden.interrupted() => bail!("interrupted"),
    }
}

fn line() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
    read.context("cannot read the password")?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("the password is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(unix)]
mod hidden {
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// The terminal shows nothing of what is typed but the ends of lines, until this is dropped.
    pub struct Hidden {
        before: Termios,
        interrupts: Signal,
    }

    impl Hidden {
        pub fn begin() -> std::io::Result<Self> {
            // First: from now on Ctrl-C ends nothing by itself, and leaves no terminal behind that shows nothing.
            let interrupts = signal(SignalKind::interrupt())?;
            let terminal = std::io::stdin();
            let before = tcgetattr(&terminal)?;
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            modes.local_modes.insert(LocalModes::ECHONL);
            // What was typed before is kept: whoever pastes two lines means both.
            tcsetattr(&terminal, OptionalActions::Now, &modes)?;
            Ok(Self { before, interrupts })
        }

        /// Waits for Ctrl-C.
        pub async fn interrupted(&mut self) {
            if self.interrupts.recv().await.is_none() {
                std::future::pending().await
            }
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // A terminal that is gone shows nothing anyway.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    /// Nobody can be kept from seeing it.
    pub struct Hidden;

    impl Hidden {
        pub fn begin() -> std::io::Result<Self> {
            Err(std::io::Error::other("on this system the password has to come from a pipe or a file"))
        }

        pub async fn interrupted(&mut self) {
            std::future::pending().await
        }
    }
}
