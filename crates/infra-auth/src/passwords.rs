//! Hashes passwords on threads of their own, so that slow hashes never delay chat requests.

use crate::telemetry::METRICS;
use async_trait::async_trait;
use domain::users::{Password, PasswordHash, PasswordHasher, TypedPassword, Verdict};
use domain::{Error, Unavailable};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many jobs may queue per thread; none waits longer than [`QUEUE_TIMEOUT`].
const QUEUE_PER_THREAD: usize = 128;
/// How long a job may wait for a thread. The client then tries again later, and the pool skips jobs whose caller has
/// given up.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
/// On a machine with at most this many cores, hashing threads have lower priority than serving threads; with more
/// cores, one core stays free for serving.
const FEW_CORES: usize = 2;
/// The `nice` value of a hashing thread: it gets about a third of the time of another thread.
const STANDS_BACK_BY: i32 = 5;

enum Work {
    Hash(Password, oneshot::Sender<domain::Result<PasswordHash>>),
    Verify(TypedPassword, Option<PasswordHash>, oneshot::Sender<domain::Result<Verdict>>),
}

struct Job {
    work: Work,
    /// The first to set it wins: the thread that begins the job, or the caller that gives it up.
    decided: Arc<AtomicBool>,
}

/// Why the pool cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// bcrypt refuses the cost.
    #[error("bcrypt does not work")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// The system refuses to start a thread.
    #[error("there is no thread for hashing passwords")]
    Thread(#[from] std::io::Error),
}

/// Runs bcrypt on separate threads, on all cores but one. The queue is bounded in length and waiting time. Dropping the
/// pool ends the threads.
pub struct BcryptPool {
    jobs: SyncSender<Job>,
    timeout: Duration,
}

/// The number of hashing threads for this number of cores. One core stays free for serving.
fn threads_on(cores: usize) -> usize {
    cores.saturating_sub(1).max(1)
}

/// Lowers the priority of the calling thread on machines with few cores.
fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        // Linux applies "this process" to the calling thread (setpriority(2), notes).
        let lowered =
            getpriority_process(None).and_then(|nice| setpriority_process(None, (nice + STANDS_BACK_BY).min(19)));
        if let Err(error) = lowered {
            tracing::warn!(%error, "a thread that hashes passwords keeps its priority");
        }
    }
}

impl BcryptPool {
    /// Starts the threads for a machine with `cores` cores. It also makes a dummy hash of the same cost, which the pool
    /// compares for users without a hash.
    ///
    /// # Errors
    /// [`StartError`] if bcrypt refuses the cost or the system refuses to start threads.
    pub fn start(cost: u32, cores: usize) -> Result<Self, StartError> {
        let nobodys = bcrypt::non_truncating_hash("nobody has this password", cost)?;
        let nobodys = Arc::new(PasswordHash(nobodys));
        let threads = threads_on(cores);
        let (jobs, queue) = sync_channel(QUEUE_PER_THREAD * threads);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let (queue, nobodys) = (Arc::clone(&queue), Arc::clone(&nobodys));
            let thread = std::thread::Builder::new().name(format!("bcrypt-{number}"));
            let run = move || {
                if cores <= FEW_CORES {
                    stand_back();
                }
                work(&queue, &nobodys, cost);
            };
            thread.spawn(run)?;
        }
        Ok(Self { jobs, timeout: QUEUE_TIMEOUT })
    }

    async fn submit<T>(&self, work: impl FnOnce(oneshot::Sender<domain::Result<T>>) -> Work) -> domain::Result<T> {
        let (reply, mut answer) = oneshot::channel();
        let decided = Arc::new(AtomicBool::new(false));
        METRICS.hash_queue.increment(1.0);
        let taken = self.jobs.try_send(Job { work: work(reply), decided: Arc::clone(&decided) });
        if let Err(refused) = taken {
            METRICS.hash_queue.decrement(1.0);
            return match refused {
                TrySendError::Full(_) => Unavailable::Overloaded.err(),
                TrySendError::Disconnected(_) => Unavailable::Stopping.err(),
            };
        }
        match tokio::time::timeout(self.timeout, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if !decided.swap(true, Ordering::SeqCst) => return Unavailable::Overloaded.err(),
            // A thread is hashing it: the result is near.
            Err(_) => answer.await,
        }
        .map_err(Error::internal)?
    }
}

#[async_trait]
impl PasswordHasher for BcryptPool {
    async fn hash(&self, password: Password) -> domain::Result<PasswordHash> {
        self.submit(|reply| Work::Hash(password, reply)).await
    }

    async fn verify(&self, typed: TypedPassword, hash: Option<PasswordHash>) -> domain::Result<Verdict> {
        self.submit(|reply| Work::Verify(typed, hash, reply)).await
    }
}

/// Compares each spelling until one matches. For a user without a hash, it compares with the dummy hash, so that the
/// time is the same.
fn compare(
    typed: &TypedPassword,
    hash: Option<&PasswordHash>,
    nobodys: &PasswordHash,
) -> bcrypt::BcryptResult<Verdict> {
    let against = hash.unwrap_or(nobodys);
    let mut compared = false;
    for (spelling, verdict) in typed.spellings() {
        compared = true;
        if bcrypt::non_truncating_verify(spelling, &against.0)? && hash.is_some() {
            return Ok(verdict);
        }
    }
    if !compared {
        bcrypt::non_truncating_verify("what nobody can have", &against.0)?;
    }
    Ok(Verdict::Wrong)
}

fn work(queue: &Mutex<Receiver<Job>>, nobodys: &PasswordHash, cost: u32) {
    loop {
        // The thread holds the lock while it waits: one thread waits for a job, the others for the lock. No job runs
        // under the lock.
        let Ok(job) = queue.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
        METRICS.hash_queue.decrement(1.0);
        if job.decided.swap(true, Ordering::SeqCst) {
            continue;
        }
        let begun = Instant::now();
        // The send fails only if the caller is gone.
        match job.work {
            Work::Hash(password, reply) if !reply.is_closed() => {
                let hash = bcrypt::non_truncating_hash(password.expose(), cost);
                let _ = reply.send(hash.map(PasswordHash).map_err(Error::internal));
            }
            Work::Verify(typed, hash, reply) if !reply.is_closed() => {
                let verdict = compare(&typed, hash.as_ref(), nobodys);
                let _ = reply.send(verdict.map_err(Error::internal));
            }
            Work::Hash(..) | Work::Verify(..) => continue,
        }
        METRICS.hashing.record(begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse("password", text).unwrap()
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let pool = BcryptPool::start(4, 3).unwrap();
        for text in ["12345678", &"x".repeat(71), "pässwörter sind 🙂"] {
            let hash = pool.hash(password(text)).await.unwrap();
            assert!(hash.0.contains("$04$"));
            for (typed, verdict) in [(text, Verdict::Right), ("another one", Verdict::Wrong), ("", Verdict::Wrong)] {
                let typed = TypedPassword::of(typed);
                assert_eq!(pool.verify(typed, Some(hash.clone())).await.unwrap(), verdict);
            }
        }
    }

    #[tokio::test]
    async fn a_hash_of_the_normal_form_knows_every_spelling_and_an_older_one_its_own() {
        let pool = BcryptPool::start(4, 1).unwrap();
        let (composed, decomposed) = ("pässwörd", "pa\u{308}sswo\u{308}rd");
        let new = pool.hash(password(decomposed)).await.unwrap();
        let old = PasswordHash(bcrypt::non_truncating_hash(decomposed, 4).unwrap());
        for (typed, hash, verdict) in [
            (composed, &new, Verdict::Right),
            (decomposed, &new, Verdict::Right),
            (decomposed, &old, Verdict::RightAsTyped),
            (composed, &old, Verdict::Wrong),
        ] {
            assert_eq!(pool.verify(TypedPassword::of(typed), Some(hash.clone())).await.unwrap(), verdict);
        }
    }

    #[tokio::test]
    async fn nobody_is_compared_with_a_real_hash_and_never_let_in() {
        let pool = BcryptPool::start(4, 1).unwrap();
        let verify = async |text: &str, hash| pool.verify(TypedPassword::of(text), hash).await;
        assert_eq!(verify("nobody has this password", None).await.unwrap(), Verdict::Wrong);
        let broken = PasswordHash("not a hash".to_owned());
        // Also if there is nothing to compare with.
        for text in ["12345678", "a NUL\0", &"x".repeat(72)] {
            assert!(matches!(verify(text, Some(broken.clone())).await, Err(Error::Internal(_))), "{text:?}");
            assert_eq!(verify(text, None).await.unwrap(), Verdict::Wrong);
        }
    }

    /// A pool without threads; the test takes jobs from its queue.
    fn idle(most: usize, timeout: Duration) -> (BcryptPool, Receiver<Job>) {
        let (jobs, queue) = sync_channel(most);
        (BcryptPool { jobs, timeout }, queue)
    }

    fn is_busy<T>(outcome: &domain::Result<T>) -> bool {
        matches!(outcome, Err(Error::Unavailable(Unavailable::Overloaded)))
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once() {
        let (pool, _queue) = idle(1, QUEUE_TIMEOUT);
        let waiting = futures_util::future::poll_immediate(Box::pin(pool.hash(password("12345678")))).await;
        assert!(waiting.is_none());
        assert!(is_busy(&pool.hash(password("12345678")).await));
    }

    #[tokio::test]
    async fn who_waited_long_is_told_and_not_hashed() {
        let (pool, queue) = idle(9, Duration::from_millis(1));
        assert!(is_busy(&pool.hash(password("12345678")).await));
        assert!(is_busy(&pool.verify(TypedPassword::of("12345678"), None).await));
        for _ in 0..2 {
            assert!(queue.recv().unwrap().decided.load(Ordering::SeqCst), "a thread passes over it");
        }
    }

    #[tokio::test]
    async fn who_is_being_hashed_waits_however_long_it_takes() {
        let timeout = Duration::from_millis(20);
        let (pool, queue) = idle(9, timeout);
        let mut verifying = Box::pin(pool.verify(TypedPassword::of("12345678"), None));
        assert!(futures_util::future::poll_immediate(&mut verifying).await.is_none());
        // A thread begins the job. The caller, which nothing polls meanwhile, then sees its timeout expired.
        let job = queue.recv().unwrap();
        assert!(!job.decided.swap(true, Ordering::SeqCst));
        assert!(tokio::time::timeout(3 * timeout, &mut verifying).await.is_err());
        let Work::Verify(.., reply) = job.work else { panic!("another job") };
        let _ = reply.send(Ok(Verdict::Right));
        assert_eq!(verifying.await.unwrap(), Verdict::Right);
    }

    #[test]
    fn one_core_is_left_alone() {
        for (cores, threads) in [(0, 1), (1, 1), (2, 1), (3, 2), (64, 63)] {
            assert_eq!(threads_on(cores), threads, "{cores}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_stands_back_alone() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let after = std::thread::spawn(move || {
            stand_back();
            nice()
        });
        assert_eq!(after.join().unwrap(), (before + STANDS_BACK_BY).min(19));
        assert_eq!(nice(), before);
    }
}
