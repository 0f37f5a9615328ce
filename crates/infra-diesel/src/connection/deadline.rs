//! How long a read of a SQLite file may take: Postgres has a `statement_timeout`, SQLite asks its progress handler.
//!
//! SQLite calls the handler of a connection every thousand steps of its virtual machine. The handler belongs to every connection of
//! the process, and knows the deadline of the thread that it is called on: whoever sets none has none.

use libsqlite3_sys::{SQLITE_OK, sqlite3, sqlite3_api_routines, sqlite3_auto_extension, sqlite3_progress_handler};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// After how many steps of its virtual machine SQLite asks whether to go on: some ten microseconds.
const STEPS: c_int = 1_000;

thread_local! {
    /// Until when what the thread does now may take.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Set once what the thread does now is to end.
    static GIVES_WAY: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// How often SQLite has asked this thread.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Whether to stop what SQLite does on this thread.
extern "C" fn is_too_late(_: *mut c_void) -> c_int {
    // A thread that is about to end has no more deadline.
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

/// Lets all that SQLite does on this thread end with an error while `told` is set.
pub fn give_way_when(told: Arc<AtomicBool>) {
    GIVES_WAY.set(Some(told));
}

/// Gives a connection that is being opened its handler.
#[expect(unsafe_code, reason = "SQLite calls it with a pointer")]
unsafe extern "C" fn watch(conn: *mut sqlite3, _: *mut *mut c_char, _: *const sqlite3_api_routines) -> c_int {
    // SAFETY: SQLite calls its automatic extensions with the connection that it is opening, which nobody else has yet. The handler
    // takes no pointer, so that none has to outlive the connection; it does not call SQLite, and it cannot unwind.
    unsafe { sqlite3_progress_handler(conn, STEPS, Some(is_too_late), std::ptr::null_mut()) };
    SQLITE_OK
}

/// Lets every connection that is opened from now on ask. Says whether that is so.
#[expect(unsafe_code, reason = "diesel lends nobody the pointer of its connection, and has no word for the handler")]
pub fn watch_connections() -> bool {
    static WATCHED: LazyLock<c_int> = LazyLock::new(|| {
        // SAFETY: `watch` has the signature that SQLite calls automatic extensions by, and lives as long as the process; it is put in
        // the list once, under SQLite's own lock.
        unsafe { sqlite3_auto_extension(Some(watch)) }
    });
    *WATCHED == SQLITE_OK
}

/// Takes the deadline away again, however the work ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        DEADLINE.set(None);
    }
}

/// Does `work`, of which SQLite's part ends with an error once the deadline has passed. Also gives how many thousands of steps it
/// took.
pub fn within<T>(deadline: Instant, work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED.get();
    DEADLINE.set(Some(deadline));
    let until = Until;
    let done = work();
    drop(until);
    (done, ASKED.get().wrapping_sub(before))
}

/// How many thousands of steps this thread has taken so far.
pub fn steps() -> u64 {
    ASKED.get()
}

/// Whether SQLite ended a statement because its deadline had passed, or because it was told to give way.
pub fn is_past(error: &diesel::result::Error) -> bool {
    matches!(error, diesel::result::Error::DatabaseError(_, info) if info.message() == "interrupted")
}
