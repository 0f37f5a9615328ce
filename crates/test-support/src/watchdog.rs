//! Cleaning up after a test process that may be killed at any time.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A child that outlives this process by the moment it needs to stop a cluster and remove its directory: it waits for
/// the end of a pipe that only this process holds, so that it notices also a `kill -9`.
#[derive(Debug)]
pub struct Watchdog(Child);

impl Watchdog {
    /// Watches over the cluster in `root`, whose data is in `data`.
    pub fn start(root: &Path, data: &Path) -> Self {
        // The postmaster's process id is the first line of its pid file; SIGQUIT is its immediate shutdown, after which
        // the file is gone.
        const SCRIPT: &str = r#"
            cat > /dev/null
            if pid=$(head -n 1 "$2/postmaster.pid" 2> /dev/null); then
                kill -QUIT "$pid"
                for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2> /dev/null || break; sleep 0.2; done
            fi
            rm -rf "$1"
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "watchdog"]).args([root, data]).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C in the terminal ends the tests, not who cleans up after them.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self(command.spawn().unwrap())
    }

    /// Cleans up now and waits for it.
    pub fn finish(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}
