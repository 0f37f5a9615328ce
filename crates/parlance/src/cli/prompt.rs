//! Reads a secret from standard input: without echo from a terminal, else one line.

use anyhow::{Context as _, anyhow, bail};
use hidden::Hidden;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use tokio::sync::oneshot;

/// The longest line in bytes; longer than any password.
const MAX_LINE_BYTES: u64 = 1024;

/// Reads a secret: typed twice at a terminal, or from one line of a program's output.
///
/// # Errors
/// A message for the operator if there is no input, it is no text, the second entry differs, or the user presses
/// Ctrl-C.
pub async fn secret(question: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    // Dropping it restores the echo, also after Ctrl-C.
    let mut hidden = Hidden::begin().context("cannot switch off the echo of the terminal")?;
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
    // The program does not join this thread: nothing can stop it while it waits for a line.
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

    /// Switches the terminal's echo off, except for line ends, until it is dropped.
    pub struct Hidden {
        before: Termios,
        interrupts: Signal,
    }

    impl Hidden {
        pub fn begin() -> std::io::Result<Self> {
            // Ctrl-C must not kill the process from here on: it would leave the terminal without echo.
            let interrupts = signal(SignalKind::interrupt())?;
            let terminal = std::io::stdin();
            let before = tcgetattr(&terminal)?;
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            modes.local_modes.insert(LocalModes::ECHONL);
            // Keeps earlier input: a user may paste two lines.
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
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    /// This system cannot switch the echo off.
    pub struct Hidden;

    impl Hidden {
        pub fn begin() -> std::io::Result<Self> {
            Err(std::io::Error::other("this system needs the password from a pipe or a file"))
        }

        pub async fn interrupted(&mut self) {
            std::future::pending().await
        }
    }
}
