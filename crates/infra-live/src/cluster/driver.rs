//! Runs a node: hands it everything that arrives, and tells it the time.

use super::bus::{Bus, BusEvent};
use super::inbox::{Inbox, Next};
use super::node::Node;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often a node looks for work that is due.
const TICK: Duration = Duration::from_millis(50);

/// Runs the node until the process closes it, or has dropped its side of the inbox.
pub async fn run<B: Bus>(mut node: Node<B>, mut inbox: Inbox, mut bus: mpsc::Receiver<BusEvent>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = inbox.next() => {
                follow(&mut node, &inbox);
                match next {
                    Some(Next::Commit(committed)) => node.committed(committed, Instant::now()),
                    Some(Next::Notice(notice)) => node.notified(notice, Instant::now()),
                    Some(Next::Subscriptions) => {}
                    Some(Next::Close(done)) => {
                        while let Some(committed) = inbox.next_commit() {
                            node.committed(committed, Instant::now());
                        }
                        while let Some(notice) = inbox.next_notice() {
                            node.notified(notice, Instant::now());
                        }
                        node.close().await;
                        // An error means that the caller has stopped waiting.
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                }
            }
            Some(event) = bus.recv() => node.received(event, Instant::now()),
            completion = node.next() => node.complete(completion, Instant::now()),
            _ = ticks.tick() => {
                follow(&mut node, &inbox);
                node.tick(Instant::now());
            }
        }
    }
}

/// Tells the node which subscriptions changed, and whether notices were lost.
fn follow<B: Bus>(node: &mut Node<B>, inbox: &Inbox) {
    for (subject, subscribed) in inbox.take_subscriptions() {
        node.set_subscribed(subject, subscribed);
    }
    if inbox.take_overrun() {
        node.notices_were_lost();
    }
}
