//! Values as bytes that are the same for both databases.

use crate::tables::sql_types::{Id, Time};
use sha2::{Digest, Sha256};

/// Feeds a value into a hash so that no two different rows feed the same bytes: a value of variable length feeds its
/// length first.
pub trait Canonical {
    fn feed(&self, hash: &mut Sha256);
}

impl Canonical for Id {
    fn feed(&self, hash: &mut Sha256) {
        hash.update(self.0.as_bytes());
    }
}

impl Canonical for i64 {
    fn feed(&self, hash: &mut Sha256) {
        hash.update(self.to_be_bytes());
    }
}

impl Canonical for Time {
    fn feed(&self, hash: &mut Sha256) {
        self.0.feed(hash);
    }
}

impl Canonical for [u8] {
    fn feed(&self, hash: &mut Sha256) {
        hash.update((self.len() as u64).to_be_bytes());
        hash.update(self);
    }
}

impl Canonical for Vec<u8> {
    fn feed(&self, hash: &mut Sha256) {
        self.as_slice().feed(hash);
    }
}

impl Canonical for String {
    fn feed(&self, hash: &mut Sha256) {
        self.as_bytes().feed(hash);
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn feed(&self, hash: &mut Sha256) {
        match self {
            None => hash.update([0]),
            Some(value) => {
                hash.update([1]);
                value.feed(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(values: &[&dyn Canonical]) -> [u8; 32] {
        let mut hash = Sha256::new();
        values.iter().for_each(|value| value.feed(&mut hash));
        hash.finalize().into()
    }

    #[test]
    fn what_differs_hashes_differently() {
        let text = |text: &str| text.to_owned();
        let empty: Option<String> = None;
        assert_ne!(digest(&[&text("ab"), &text("c")]), digest(&[&text("a"), &text("bc")]));
        assert_ne!(digest(&[&empty]), digest(&[&Some(text(""))]));
        assert_ne!(digest(&[&empty, &Some(text("a"))]), digest(&[&Some(text("a")), &empty]));
        assert_eq!(digest(&[&text("🙂")]), digest(&[&"🙂".as_bytes().to_vec()]));
    }
}
