//! Slow hashes on threads of their own, so that who logs in stalls nobody who chats.

use crate::telemetry::METRICS;
use anyhow::Context as _;
use async_trait::async_trait;
use domain::users::{Password, PasswordHash, PasswordHasher};
use domain::{Error, Result, Unavailable};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many may wait for each thread: about six seconds' worth at the default cost.
const QUEUE_PER_THREAD: usize = 128;

enum Job {
    Hash(Password, oneshot::Sender<Result<PasswordHash>>),
    Verify(Password, Option<PasswordHash>, oneshot::Sender<Result<bool>>),
}

/// bcrypt on one thread per core, behind a bounded queue. The threads end with the last clone of the pool.
pub struct BcryptPool {
    jobs: SyncSender<Job>,
}

impl BcryptPool {
    /// Starts the threads and makes the hash that a password of nobody is compared with, at the same cost as all others.
    ///
    /// # Errors
    /// Where bcrypt refuses the cost or the system has no threads to give.
    pub fn start(cost: u32, threads: usize) -> anyhow::Result<Self> {
        let nobodys = bcrypt::non_truncating_hash("nobody has this password", cost).context("bcrypt does not work")?;
        let nobodys = Arc::new(PasswordHash(nobodys));
        let (jobs, queue) = sync_channel(QUEUE_PER_THREAD * threads);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let (queue, nobodys) = (Arc::clone(&queue), Arc::clone(&nobodys));
            let thread = std::thread::Builder::new().name(format!("bcrypt-{number}"));
            thread.spawn(move || work(&queue, &nobodys, cost)).context("no thread for hashing passwords")?;
        }
        Ok(Self { jobs })
    }

    async fn submit<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        METRICS.hash_queue.increment(1.0);
        let taken = self.jobs.try_send(job(reply));
        if taken.is_err() {
            METRICS.hash_queue.decrement(1.0);
        }
        match taken {
            Ok(()) => answer.await.map_err(Error::internal)?,
            Err(TrySendError::Full(_)) => Unavailable::Overloaded.err(),
            Err(TrySendError::Disconnected(_)) => Unavailable::Stopping.err(),
        }
    }
}

#[async_trait]
impl PasswordHasher for BcryptPool {
    async fn hash(&self, password: Password) -> Result<PasswordHash> {
        self.submit(|reply| Job::Hash(password, reply)).await
    }

    async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool> {
        self.submit(|reply| Job::Verify(password, hash, reply)).await
    }
}

fn work(queue: &Mutex<Receiver<Job>>, nobodys: &PasswordHash, cost: u32) {
    loop {
        // The lock is held while waiting: one thread waits for a job, the others for the lock. No job runs under it.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        if job.is_ok() {
            METRICS.hash_queue.decrement(1.0);
        }
        let begun = Instant::now();
        // Nobody hears of a send that fails: the one who asked has gone away.
        match job {
            Ok(Job::Hash(password, reply)) if !reply.is_closed() => {
                let hash = bcrypt::non_truncating_hash(password.expose(), cost);
                let _ = reply.send(hash.map(PasswordHash).map_err(Error::internal));
            }
            Ok(Job::Verify(password, hash, reply)) if !reply.is_closed() => {
                let verify = |hash: &PasswordHash| bcrypt::non_truncating_verify(password.expose(), &hash.0);
                let verdict = match &hash {
                    Some(hash) => verify(hash),
                    None => verify(nobodys).map(|_| false),
                };
                let _ = reply.send(verdict.map_err(Error::internal));
            }
            Ok(_) => {}
            Err(_) => return,
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

    #[actix_web::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let pool = BcryptPool::start(4, 2).unwrap();
        for text in ["12345678", &"x".repeat(71), "pässwörter sind 🙂"] {
            let hash = pool.hash(password(text)).await.unwrap();
            assert!(hash.0.contains("$04$"));
            assert!(pool.verify(password(text), Some(hash.clone())).await.unwrap());
            assert!(!pool.verify(password("another one"), Some(hash)).await.unwrap());
        }
    }

    #[actix_web::test]
    async fn nobody_is_compared_with_a_real_hash_and_never_let_in() {
        let pool = BcryptPool::start(4, 1).unwrap();
        assert!(!pool.verify(password("nobody has this password"), None).await.unwrap());
        let broken = PasswordHash("not a hash".to_owned());
        assert!(matches!(pool.verify(password("12345678"), Some(broken)).await, Err(Error::Internal(_))));
    }

    #[actix_web::test]
    async fn a_full_queue_is_told_at_once() {
        // No thread takes anything out of this queue.
        let (jobs, _queue) = sync_channel(1);
        let pool = BcryptPool { jobs };
        let waiting = futures_util::future::poll_immediate(Box::pin(pool.hash(password("12345678")))).await;
        assert!(waiting.is_none());
        let refused = pool.hash(password("12345678")).await;
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))));
    }
}
