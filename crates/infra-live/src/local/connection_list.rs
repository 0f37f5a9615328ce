//! Lists of connections. Removing one costs the same however long the list is.

use super::connection::Connection;
use std::cell::Cell;
use std::rc::Rc;

/// Connections in no order. Each remembers its index in the list.
pub struct ConnectionList {
    list: Vec<Rc<Connection>>,
    index: fn(&Connection) -> &Cell<Option<usize>>,
}

impl ConnectionList {
    /// An empty list, whose connections remember their index in the cell that `index` returns.
    pub fn new(index: fn(&Connection) -> &Cell<Option<usize>>) -> Self {
        Self { list: Vec::new(), index }
    }

    pub fn add(&mut self, connection: &Rc<Connection>) {
        (self.index)(connection).set(Some(self.list.len()));
        self.list.push(Rc::clone(connection));
    }

    /// Does nothing if the connection is not in the list.
    pub fn remove(&mut self, connection: &Rc<Connection>) {
        let Some(at) = (self.index)(connection).take() else { return };
        self.list.swap_remove(at);
        if let Some(moved) = self.list.get(at) {
            (self.index)(moved).set(Some(at));
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Rc<Connection>> {
        self.list.iter()
    }
}
