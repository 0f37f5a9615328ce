//! Small reads of many callers, answered by one statement (Postgres).
//!
//! A statement that finds one row costs Postgres and this process more in round trips, wake-ups and set-up than in
//! looking. So while a statement is under way, callers with the same question wait, and the next statement answers all
//! of them. A caller that finds nothing under way does not wait.

use crate::connection::AnyConnection;
use crate::connection::readers::Readers;
use crate::error::DbResult;
use crate::mailbox;
use domain::{Error, Unavailable};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many statements are under way at once.
const AT_ONCE: usize = 2;
/// How many questions one statement answers.
const LARGEST: usize = 256;
/// How many questions may wait. Further callers read by themselves, and so come under the bounds of [`Readers`].
const MOST_WAITING: usize = 4096;

/// Answers questions, each in its place.
type Answers<Q, A> = fn(&mut AnyConnection, &[Q]) -> DbResult<Vec<A>>;

/// The way back to a caller.
type Answer<A> = mailbox::Answer<Result<A, Unavailable>>;

struct Waiting<Q, A> {
    questions: Vec<(Q, Answer<A>)>,
    under_way: usize,
}

/// The callers with one kind of question.
pub struct Batches<Q, A> {
    answers: Answers<Q, A>,
    waiting: Arc<Mutex<Waiting<Q, A>>>,
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Batches<Q, A> {
    /// Nobody waits yet. `answers` MUST give one answer for each question, in their order.
    pub fn new(answers: Answers<Q, A>) -> Self {
        Self { answers, waiting: Arc::new(Mutex::new(Waiting { questions: Vec::new(), under_way: 0 })) }
    }

    /// The answer to the question. `None` if too many callers wait, or the statement has failed: then the caller should
    /// read by itself, which tells the fault.
    ///
    /// # Errors
    /// [`Unavailable`], no later than [`Readers::run`] would tell: a caller does not wait once more for a database that
    /// does not answer.
    pub async fn ask(&self, readers: &Arc<Readers>, question: Q) -> domain::Result<Option<A>> {
        let (answer, answered) = Answer::channel();
        let leads = {
            let mut waiting = lock(&self.waiting);
            if waiting.questions.len() >= MOST_WAITING {
                return Ok(None);
            }
            waiting.questions.push((question, answer));
            let leads = waiting.under_way < AT_ONCE;
            waiting.under_way += usize::from(leads);
            leads
        };
        if leads {
            let led = Led { waiting: Arc::clone(&self.waiting), is_done: false };
            // A task of its own, because the caller may be cancelled.
            tokio::spawn(lead(led, Arc::clone(readers), self.answers));
        }
        match readers.in_time(answered).await? {
            Ok(answer) => Ok(Some(answer?)),
            Err(_) => Ok(None),
        }
    }
}

fn lock<Q, A>(waiting: &Mutex<Waiting<Q, A>>) -> MutexGuard<'_, Waiting<Q, A>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts as under way until it is done or dropped: the runtime may end in the middle.
struct Led<Q, A> {
    waiting: Arc<Mutex<Waiting<Q, A>>>,
    is_done: bool,
}

impl<Q, A> Led<Q, A> {
    /// The next questions. Empty if none wait: then whoever asks next leads.
    fn next(&mut self) -> Vec<(Q, Answer<A>)> {
        let mut waiting = lock(&self.waiting);
        let taken = waiting.questions.len().min(LARGEST);
        if taken == 0 {
            waiting.under_way -= 1;
            self.is_done = true;
        }
        waiting.questions.drain(..taken).collect()
    }
}

impl<Q, A> Drop for Led<Q, A> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut waiting = lock(&self.waiting);
        waiting.under_way -= 1;
        if waiting.under_way == 0 {
            // Nobody would answer these questions. Their callers read by themselves.
            waiting.questions.clear();
        }
    }
}

/// Answers everything that waits, statement by statement.
async fn lead<Q: Send + Sync + 'static, A: Send + 'static>(
    mut led: Led<Q, A>,
    readers: Arc<Readers>,
    answers: Answers<Q, A>,
) {
    loop {
        let batch = led.next();
        if batch.is_empty() {
            return;
        }
        let (questions, callers): (Vec<Q>, Vec<Answer<A>>) = batch.into_iter().unzip();
        let questions = Arc::new(questions);
        let outcome = readers.run(None, move |conn| answers(conn, &questions)).await;
        match outcome {
            Ok(answers) => mailbox::send_all(callers.into_iter().zip(answers.into_iter().map(Ok))),
            Err(Error::Unavailable(why)) => {
                mailbox::send_all(callers.into_iter().map(|caller| (caller, Err(why))));
            }
            // Dropped callers read by themselves.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::health::Health;
    use crate::connection::{DatabaseUrl, Purpose};
    use crate::error::DbError;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

    fn doubled(_: &mut AnyConnection, questions: &[u32]) -> DbResult<Vec<u32>> {
        STATEMENTS.fetch_add(1, Ordering::Relaxed);
        if questions.contains(&13) {
            return Err(DbError::NoConnection("as asked".to_owned()));
        }
        Ok(questions.iter().map(|question| question * 2).collect())
    }

    #[tokio::test]
    async fn questions_at_once_share_statements_and_each_gets_its_answer() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("x.db"));
        AnyConnection::open(&url, Purpose::Write).unwrap();
        let readers = Arc::new(Readers::start(&url, 2, &Arc::new(Health::of(&url)), None).unwrap());
        let batches = Arc::new(Batches::new(doubled));
        let ask = |question| {
            let (batches, readers) = (Arc::clone(&batches), Arc::clone(&readers));
            tokio::spawn(async move { batches.ask(&readers, question).await })
        };
        assert_eq!(ask(1).await.unwrap().unwrap(), Some(2));
        let before = STATEMENTS.load(Ordering::Relaxed);
        let asked: Vec<_> = (100..1_100).map(ask).collect();
        for (question, answer) in (100..).zip(asked) {
            assert_eq!(answer.await.unwrap().unwrap(), Some(question * 2));
        }
        let statements = STATEMENTS.load(Ordering::Relaxed) - before;
        assert!(statements < 100, "{statements}");
        // A database out of reach is told at once and leaves nobody waiting. The next question is answered.
        assert!(matches!(ask(13).await.unwrap(), Err(Error::Unavailable(Unavailable::StorageOutOfReach))));
        assert_eq!(ask(14).await.unwrap().unwrap(), Some(28));
        let left = |waiting: &Waiting<u32, u32>| (waiting.questions.len(), waiting.under_way);
        assert_eq!(left(&lock(&batches.waiting)), (0, 0));
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }
}
