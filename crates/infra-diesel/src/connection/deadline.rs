//! The time limit of a read of a SQLite file. Postgres has a `statement_timeout`; SQLite asks a progress handler.
//!
//! SQLite calls the handler of a connection every thousand steps of its virtual machine. Every connection of the
//! process has the same handler. The handler reads the deadline of its thread; a thread that has set none has no limit.

use libsqlite3_sys::{SQLITE_OK, sqlite3, sqlite3_api_routines, sqlite3_auto_extension, sqlite3_progress_handler};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// SQLite asks the handler after this many steps of its virtual machine: some ten microseconds.
const STEPS: c_int = 1_000;

thread_local! {
    /// The deadline of the work that the thread does now.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Set while SQLite has to stop what it does on this thread.
    static GIVES_WAY: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// How often SQLite has asked this thread.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Whether SQLite has to stop what it does on this thread.
extern "C" fn is_too_late(_: *mut c_void) -> c_int {
    // A thread that is about to end has no deadline any more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get().wrapping_add(1)));
    let deadline = DEADLINE.try_with(Cell::get).ok().flatten();
    c_int::from(deadline.is_some_and(|deadline| Instant::now() >= deadline) || is_told_to_end())
}

fn is_told_to_end() -> bool {
    let told = |told: &RefCell<Option<Arc<AtomicBool>>>| {
        told.try_borrow().is_ok_and(|told| told.as_ref().is_some_and(|told| told.load(Ordering::Relaxed)))
    };
    GIVES_WAY.try_with(told).unwrap_or(false)
}

/// Makes SQLite end its statements on this thread with an error while `told` is set.
pub fn give_way_when(told: Arc<AtomicBool>) {
    GIVES_WAY.set(Some(told));
}

/// Gives the handler to a connection that SQLite is opening.
#[expect(unsafe_code, reason = "SQLite calls it with a pointer")]
unsafe extern "C" fn watch(conn: *mut sqlite3, _: *mut *mut c_char, _: *const sqlite3_api_routines) -> c_int {
    // SAFETY: SQLite calls its automatic extensions with the connection that it is opening, and nobody else has that
    // connection yet. The handler takes no pointer, so that none has to outlive the connection. It does not call
    // SQLite, and it cannot unwind.
    unsafe { sqlite3_progress_handler(conn, STEPS, Some(is_too_late), std::ptr::null_mut()) };
    SQLITE_OK
}

/// Gives the handler to every connection that is opened from now on. Returns whether that succeeded.
#[expect(unsafe_code, reason = "diesel lends nobody the pointer of its connection, and has no word for the handler")]
pub fn watch_connections() -> bool {
    static WATCHED: LazyLock<c_int> = LazyLock::new(|| {
        // SAFETY: `watch` has the signature of SQLite's automatic extensions and lives as long as the process. It is
        // put in the list once, under SQLite's own lock.
        unsafe { sqlite3_auto_extension(Some(watch)) }
    });
    *WATCHED == SQLITE_OK
}

/// Removes the deadline again, however the work ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        DEADLINE.set(None);
    }
}

/// Runs `work`. SQLite ends its statements with an error once the deadline has passed. Also returns their steps, in
/// thousands.
pub fn within<T>(deadline: Instant, work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED.get();
    DEADLINE.set(Some(deadline));
    let until = Until;
    let done = work();
    drop(until);
    (done, ASKED.get().wrapping_sub(before))
}

/// Steps that this thread has taken so far, in thousands.
pub fn steps() -> u64 {
    ASKED.get()
}
