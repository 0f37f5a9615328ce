//! Lists of connections, out of which one is taken without a search.

use crate::local::connection::Connection;
use std::cell::Cell;
use std::rc::Rc;

/// Connections, in no order. Each remembers where it stands.
pub struct Roll {
    list: Vec<Rc<Connection>>,
    place: fn(&Connection) -> &Cell<Option<usize>>,
}

impl Roll {
    /// An empty one, whose connections remember their place in `place`.
    pub fn new(place: fn(&Connection) -> &Cell<Option<usize>>) -> Self {
        Self { list: Vec::new(), place }
    }

    pub fn add(&mut self, connection: &Rc<Connection>) {
        (self.place)(connection).set(Some(self.list.len()));
        self.list.push(Rc::clone(connection));
    }

    /// Nothing where it is not in.
    pub fn remove(&mut self, connection: &Rc<Connection>) {
        let Some(at) = (self.place)(connection).take() else { return };
        self.list.swap_remove(at);
        if let Some(moved) = self.list.get(at) {
            (self.place)(moved).set(Some(at));
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Rc<Connection>> {
        self.list.iter()
    }
}
