//! A job of the writer, and its outcome.

use crate::connection::DatabaseUrl;
use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::error::{DbError, DbResult, Fatal, damage, is_out_of_reach, is_undone};
use crate::mailbox::Answer;
use crate::transaction::revisions::Revisions;
use crate::transaction::tx::Tx;
use domain::events::EventPublisher;
use domain::messages::{Appended, NewMessage};
use domain::users::ServerPolicy;
use domain::{Error, Unavailable};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use tokio::sync::oneshot;

/// Why a whole transaction failed.
#[derive(Debug, Clone, Copy)]
pub enum BatchFailed {
    /// The disk is full. The transaction has stored nothing.
    StorageFull,
    /// The database is out of reach. The outcome is unknown.
    OutOfReach,
}

impl From<BatchFailed> for Error {
    fn from(failed: BatchFailed) -> Self {
        match failed {
            BatchFailed::StorageFull => Self::StorageFull,
            BatchFailed::OutOfReach => Unavailable::StorageOutOfReach.into(),
        }
    }
}

/// What the writer does with the changes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keeps them.
    Keep,
    /// Undoes them: a rule refused, or something failed.
    Undo,
    /// Another transaction was in the way, and the database rolled this one back. A retry may succeed.
    Retry,
    /// The connection broke, or its session takes no writes. The writer opens another one.
    Lost,
    /// The database is damaged: the writer keeps nothing of the whole transaction.
    Damaged,
}

/// A job that is no append. The writer may undo its changes and run it again.
pub trait Work: Send {
    /// Runs inside a transaction.
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict;

    /// Whether it may change rows that appends look up: users, conversations, roles.
    fn changes_what_appends_read(&self) -> bool;

    /// The database's report of its damage in the last run.
    fn damage(&self) -> &str;

    /// Answers the caller, once the transaction has ended.
    fn finish(self: Box<Self>, ended: Result<(), BatchFailed>);
}

/// Work for a caller who waits.
pub struct Awaited<T, F> {
    pub work: F,
    /// The outcome of the last run.
    pub outcome: Option<DbResult<T>>,
    pub answer: oneshot::Sender<domain::Result<T>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> DbResult<T> + Send> Work for Awaited<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        let outcome = (self.work)(tx).and_then(|done| {
            std::mem::take(tx.counts).write(tx.conn)?;
            Ok(done)
        });
        let verdict = verdict(&outcome);
        self.outcome = Some(outcome);
        verdict
    }

    fn changes_what_appends_read(&self) -> bool {
        true
    }

    fn damage(&self) -> &str {
        match &self.outcome {
            Some(Err(DbError::Database(error))) => damage(error).unwrap_or_default(),
            _ => "",
        }
    }

    fn finish(self: Box<Self>, ended: Result<(), BatchFailed>) {
        let outcome = match (self.outcome, ended) {
            (Some(outcome), Ok(())) => outcome,
            // A refusal stands, even if the transaction failed afterwards.
            (Some(outcome), Err(failed)) => outcome.and(Err(DbError::Rule(failed.into()))),
            (None, failed) => Err(DbError::Rule(failed.err().unwrap_or(BatchFailed::OutOfReach).into())),
        };
        // The caller may be gone by now.
        let _ = self.answer.send(outcome.map_err(Error::from));
    }
}

/// Work that may be lost and has no caller that waits. It changes nothing that appends look up.
pub struct Deferred<F>(pub F, pub String);

impl<F: FnMut(&mut Tx<'_>) -> DbResult<()> + Send> Work for Deferred<F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        let outcome = (self.0)(tx).and_then(|()| std::mem::take(tx.counts).write(tx.conn));
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a deferred write failed");
            self.1 = error.to_string();
        }
        verdict(&outcome)
    }

    fn changes_what_appends_read(&self) -> bool {
        false
    }

    fn damage(&self) -> &str {
        &self.1
    }

    fn finish(self: Box<Self>, _: Result<(), BatchFailed>) {}
}

pub fn verdict<T>(outcome: &DbResult<T>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Keep,
        Err(DbError::Database(error)) if is_undone(error) => Verdict::Retry,
        Err(DbError::Database(error)) if is_out_of_reach(error) => Verdict::Lost,
        Err(DbError::Database(error)) if damage(error).is_some() => Verdict::Damaged,
        Err(_) => Verdict::Undo,
    }
}

pub enum Job {
    /// The hot one: appends share their look-ups and their statements.
    Append(Box<NewMessage>, Answer<domain::Result<Appended>>),
    /// Anything else.
    Work(Box<dyn Work>),
}

impl Job {
    /// Answers that every try failed.
    pub fn give_up(self) {
        match self {
            Self::Append(_, answer) => answer.send(Unavailable::Overloaded.err()),
            Self::Work(work) => work.finish(Ok(())),
        }
    }
}

/// A job in the queue.
pub struct Queued {
    pub job: Job,
    pub since: Instant,
}

/// What every writer works with.
#[derive(Clone)]
pub struct Context {
    /// The URL of the database.
    pub url: DatabaseUrl,
    /// The operator's rules.
    pub policy: Arc<ServerPolicy>,
    /// Receives committed events.
    pub events: Arc<dyn EventPublisher>,
    /// Ends the process.
    pub fatal: Fatal,
    /// Counts the writer's transactions.
    pub revisions: Arc<Revisions>,
    /// Learns of damage.
    pub health: Arc<Health>,
    /// Steps that SQLite has taken for the writer so far, in thousands.
    pub steps: Arc<AtomicU64>,
    /// Held until the last connection is closed.
    pub _lock: Option<Arc<DatabaseLock>>,
}
