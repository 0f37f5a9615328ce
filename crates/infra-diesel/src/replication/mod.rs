//! What live connections and other nodes read of what was committed.

mod live;
mod nodes;
