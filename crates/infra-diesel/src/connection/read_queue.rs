//! The queue of reads in front of the reading threads. It is bounded as a whole and for each user.
//!
//! One user has at most a share of the threads at once, however much the user asks for. Further reads of that user wait
//! behind each other, and reads of other users overtake them.

use domain::{Unavailable, UserId};
use std::collections::{HashMap, VecDeque};

/// How many reads may wait for a thread before the queue refuses more.
const MAX_WAITING: usize = 4096;
/// How many reads of one user may wait behind the user's share: more than a user may have connections.
pub const MAX_WAITING_OF_USER: usize = 512;

/// The user for whom the read is. `None` for the server itself.
pub type OnBehalfOf = Option<UserId>;

/// The reads of one user.
#[derive(Debug)]
struct UserReads<J> {
    /// Reads that run or wait in the common queue: at most the user's share.
    admitted: usize,
    /// Reads that wait for one of those to end.
    parked: VecDeque<J>,
}

/// Jobs that wait for a thread.
#[derive(Debug)]
pub struct ReadQueue<J> {
    is_open: bool,
    next: VecDeque<(OnBehalfOf, J)>,
    users: HashMap<UserId, UserReads<J>>,
    waiting: usize,
    /// How many threads one user may have at once.
    share: usize,
}

impl<J> ReadQueue<J> {
    /// An open queue in front of `threads` threads, of which one user may have half.
    pub fn new(threads: usize) -> Self {
        let share = (threads / 2).max(1);
        Self { is_open: true, next: VecDeque::new(), users: HashMap::new(), waiting: 0, share }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`Unavailable::Stopping`] once the queue is closed; [`Unavailable::Overloaded`] if the queue is full, or the
    /// user's part of it.
    pub fn push(&mut self, user: OnBehalfOf, job: J) -> Result<(), Unavailable> {
        if !self.is_open {
            return Err(Unavailable::Stopping);
        }
        if self.waiting >= MAX_WAITING {
            return Err(Unavailable::Overloaded);
        }
        match user {
            Some(id) => {
                let reads = self.users.entry(id).or_insert_with(|| UserReads { admitted: 0, parked: VecDeque::new() });
                if reads.admitted < self.share {
                    reads.admitted += 1;
                    self.next.push_back((user, job));
                } else if reads.parked.len() < MAX_WAITING_OF_USER {
                    reads.parked.push_back(job);
                } else {
                    return Err(Unavailable::Overloaded);
                }
            }
            None => self.next.push_back((user, job)),
        }
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next job out of the queue.
    pub fn pop(&mut self) -> Option<(OnBehalfOf, J)> {
        let next = self.next.pop_front()?;
        self.waiting -= 1;
        Some(next)
    }

    /// Records that a read of the user has ended, and moves the user's next parked read to the end of the common queue.
    pub fn record_end(&mut self, user: OnBehalfOf) {
        let Some(id) = user else { return };
        let Some(reads) = self.users.get_mut(&id) else { return };
        match reads.parked.pop_front() {
            Some(job) => self.next.push_back((user, job)),
            None if reads.admitted > 1 => reads.admitted -= 1,
            None => drop(self.users.remove(&id)),
        }
    }

    /// Refuses further jobs. Jobs in the queue stay in it.
    pub fn close(&mut self) {
        self.is_open = false;
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// How many reads of the user are parked. `None` if no read of the user runs or waits.
    #[cfg(test)]
    pub fn parked(&self, user: UserId) -> Option<usize> {
        self.users.get(&user).map(|reads| reads.parked.len())
    }

    /// Whether no user has a read that runs or waits.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.users.is_empty()
    }
}
