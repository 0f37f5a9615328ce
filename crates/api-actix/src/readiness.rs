//! Reports whether the server can serve requests.

use crate::operations::Operations;
use domain::{Result, Unavailable};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};

/// How long the server reuses the database's answer. Readiness probes have no rate limit: however many clients ask, the
/// server asks the database at most forty times per second, one query at a time.
const HOLDS: Duration = Duration::from_millis(25);

/// The state behind `GET /ready`.
pub struct Readiness {
    operations: Arc<dyn Operations>,
    known: CachedAnswer,
    draining: AtomicBool,
    under_way: AtomicUsize,
    idle: Notify,
}

/// A running request, until it is dropped.
pub struct RunningRequest<'a>(&'a Readiness);

impl Drop for RunningRequest<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.idle.notify_one();
        }
    }
}

impl Readiness {
    /// Ready as long as the operations port reports ready.
    pub fn new(operations: Arc<dyn Operations>) -> Self {
        Self {
            operations,
            known: CachedAnswer::holding_for(HOLDS),
            draining: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Registers a running request.
    pub fn begins(&self) -> RunningRequest<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        RunningRequest(self)
    }

    /// Makes the server permanently not ready, because it is stopping. Probes are answered until the last running
    /// request ends.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        while self.under_way.load(Ordering::SeqCst) > 0 {
            self.idle.notified().await;
        }
    }

    /// # Errors
    /// [`Unavailable::Stopping`], [`Unavailable::StorageOutOfReach`].
    pub async fn check(&self) -> Result<()> {
        if self.draining.load(Ordering::SeqCst) {
            return Unavailable::Stopping.err();
        }
        if self.known.or_ask(self.operations.is_ready()).await { Ok(()) } else { Unavailable::StorageOutOfReach.err() }
    }
}

/// A cached answer that the next caller refreshes when it is too old.
struct CachedAnswer {
    known: Mutex<Option<(Instant, bool)>>,
    holds: Duration,
}

impl CachedAnswer {
    fn holding_for(holds: Duration) -> Self {
        Self { known: Mutex::new(None), holds }
    }

    /// Callers that arrive during a query wait for its answer. If the asking caller disconnects, the next one asks.
    async fn or_ask(&self, question: impl Future<Output = bool>) -> bool {
        let mut known = self.known.lock().await;
        if let Some((since, answer)) = *known
            && since.elapsed() < self.holds
        {
            return answer;
        }
        let answer = question.await;
        *known = Some((Instant::now(), answer));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    async fn questions(holds: Duration) -> usize {
        let (recent, asked) = (CachedAnswer::holding_for(holds), AtomicUsize::new(0));
        let question = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            true
        };
        // A caller that disconnects during its query must not block the next one.
        let gone = recent.or_ask(question());
        assert!(futures_util::FutureExt::now_or_never(gone).is_none());
        assert!(join_all((0..1000).map(|_| recent.or_ask(question()))).await.into_iter().all(|ready| ready));
        asked.into_inner() - 1
    }

    #[actix_web::test]
    async fn a_thousand_who_ask_at_once_are_one_question_while_the_answer_holds() {
        assert_eq!(questions(Duration::MAX).await, 1);
        assert_eq!(questions(Duration::ZERO).await, 1000);
    }
}
