//! Brings outcomes to callers on other threads, with one wake-up for each thread.
//!
//! To wake a task of another thread costs a system call. A batch has up to hundreds of callers, on a few threads. So
//! each thread that asks for something has a mailbox: whoever has the outcomes puts all those of the thread into it,
//! and a task of the thread hands them out, which costs no system call.

use std::cell::RefCell;
use tokio::runtime::{Handle, Id};
use tokio::sync::{mpsc, oneshot};

/// Gives an outcome to its caller.
type Delivery = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The mailbox of this thread, and the runtime that hands out what is in it.
    static MAILBOX: RefCell<Option<(Id, Mailbox)>> = const { RefCell::new(None) };
}

/// Where the outcomes for a thread go. It holds no more than the queues of its callers did.
#[derive(Clone)]
struct Mailbox(mpsc::UnboundedSender<Vec<Delivery>>);

impl Mailbox {
    fn of_this_thread() -> Self {
        let runtime = Handle::current();
        MAILBOX.with_borrow_mut(|kept| match kept {
            Some((id, mailbox)) if *id == runtime.id() && !mailbox.0.is_closed() => mailbox.clone(),
            _ => {
                let (sender, mut arrived) = mpsc::unbounded_channel::<Vec<Delivery>>();
                runtime.spawn(async move {
                    while let Some(deliveries) = arrived.recv().await {
                        hand_out(deliveries);
                    }
                });
                kept.insert((runtime.id(), Self(sender))).1.clone()
            }
        })
    }
}

fn hand_out(deliveries: Vec<Delivery>) {
    deliveries.into_iter().for_each(|deliver| deliver());
}

/// The way back to a caller.
pub struct Answer<T> {
    caller: oneshot::Sender<T>,
    mailbox: Mailbox,
}

impl<T: Send + 'static> Answer<T> {
    /// An answer, and what its caller waits for. Call it inside a tokio runtime.
    pub fn channel() -> (Self, oneshot::Receiver<T>) {
        let (caller, answered) = oneshot::channel();
        (Self { caller, mailbox: Mailbox::of_this_thread() }, answered)
    }

    /// Answers at once.
    pub fn send(self, outcome: T) {
        // The caller may be gone by now.
        let _ = self.caller.send(outcome);
    }
}

/// Answers many callers.
pub fn send_all<T: Send + 'static>(answers: impl IntoIterator<Item = (Answer<T>, T)>) {
    let mut mailboxes: Vec<(Mailbox, Vec<Delivery>)> = Vec::new();
    for (Answer { caller, mailbox }, outcome) in answers {
        // The caller may be gone by now.
        let deliver: Delivery = Box::new(move || drop(caller.send(outcome)));
        match mailboxes.iter_mut().find(|(known, _)| known.0.same_channel(&mailbox.0)) {
            Some((_, deliveries)) => deliveries.push(deliver),
            None => mailboxes.push((mailbox, vec![deliver])),
        }
    }
    for (mailbox, deliveries) in mailboxes {
        if let Err(refused) = mailbox.0.send(deliveries) {
            // The runtime of the thread has ended. Its callers may wait on another.
            hand_out(refused.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Waiting = (Vec<Answer<usize>>, Vec<oneshot::Receiver<usize>>);

    fn asked(count: usize) -> Waiting {
        (0..count).map(|_| Answer::channel()).unzip()
    }

    #[test]
    fn callers_of_several_threads_and_runtimes_get_their_outcomes() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        // Two runtimes of one thread. Nobody drives the first while a caller waits on the second.
        let (first, second) = (runtime(), runtime());
        let (answers, of_first) = first.block_on(async { asked(2) });
        let (more, of_second) = second.block_on(async { asked(3) });
        let writer = std::thread::spawn(|| send_all(answers.into_iter().chain(more).zip(0..)));
        writer.join().unwrap();
        for (n, answered) in (2..).zip(of_second) {
            assert_eq!(second.block_on(answered), Ok(n));
        }
        for (n, answered) in (0..).zip(of_first) {
            assert_eq!(first.block_on(answered), Ok(n));
        }
        let (answers, answered) = first.block_on(async { asked(2) });
        drop(first);
        send_all(answers.into_iter().zip(0..));
        for (n, answered) in (0..).zip(answered) {
            assert_eq!(second.block_on(answered), Ok(n), "though the runtime has ended in which it was asked");
        }
    }
}
