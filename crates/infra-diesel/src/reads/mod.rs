//! Reads that a node asks for again and again: what decides about them, and what the store keeps of them.

pub mod heads;
pub mod seats;
pub mod unseen_counts;
pub mod visible;
