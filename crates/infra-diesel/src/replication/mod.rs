//! What live connections and other nodes read of committed transactions.

mod live;
mod nodes;
