//! A progress bar on the terminal.

use std::io::{self, IsTerminal as _, Write as _};

/// A progress line on the terminal; draws nothing elsewhere.
pub struct Bar {
    watched: bool,
    drawn: String,
}

impl Bar {
    /// Draws on standard error if that is a terminal.
    pub fn new() -> Self {
        Self { watched: io::stderr().is_terminal(), drawn: String::new() }
    }

    /// Shows the progress.
    pub fn draw(&mut self, doing: &str, done: u64, of: u64) {
        if !self.watched {
            return;
        }
        let line = bar(doing, done, of);
        if line != self.drawn {
            // A failed write loses nothing important.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            self.drawn = line;
        }
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        if !self.drawn.is_empty() {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.drawn.clear();
        }
    }
}

/// The width of the bar in characters.
const WIDTH: u64 = 30;

fn bar(doing: &str, done: u64, of: u64) -> String {
    let part = (done.saturating_mul(WIDTH)).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    let (full, empty) = ("#".repeat(part as usize), ".".repeat((WIDTH - part) as usize));
    format!("{doing:<23} [{full}{empty}] {done} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let at = |done, of| bar("copying users", done, of);
        assert_eq!(at(0, 0), format!("copying users           [{}] 0 of 0", "#".repeat(30)));
        assert_eq!(at(1, 3), format!("copying users           [{}{}] 1 of 3", "#".repeat(10), ".".repeat(20)));
        assert_eq!(at(5, 3), format!("copying users           [{}] 5 of 3", "#".repeat(30)));
    }
}
