//! A map that is cheap to copy and to change in the copy: what readers hold while the owner makes the next one.

use std::{hash::Hash, sync::Arc};

use hashbrown::HashMap;

/// A change copies one of this many parts.
const BUCKETS: usize = 256;

/// A map from keys whose first byte is spread evenly (hashes, public keys). A clone shares every part until it is changed.
#[derive(Debug, Clone)]
pub struct Buckets<K, V> {
    buckets: Arc<[Arc<HashMap<K, V>>]>,
    len: usize,
}

impl<K, V> Default for Buckets<K, V> {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Arc::default()).collect(), len: 0 }
    }
}

impl<const N: usize, V: Clone> Buckets<[u8; N], V>
where
    [u8; N]: Hash + Eq,
{
    fn bucket_mut(&mut self, key: &[u8; N]) -> &mut HashMap<[u8; N], V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.buckets)[usize::from(key[0])])
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8; N]) -> Option<&V> {
        self.buckets[usize::from(key[0])].get(key)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, key: [u8; N], value: V) {
        self.len += usize::from(self.bucket_mut(&key).insert(key, value).is_none());
    }

    /// Takes `key` away.
    pub fn remove(&mut self, key: &[u8; N]) {
        if self.get(key).is_some() {
            self.bucket_mut(key).remove(key);
            self.len -= 1;
        }
    }

    /// Number of keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_was() {
        let mut map = Buckets::<[u8; 2], u32>::default();
        for number in 0..1000u16 {
            map.insert(number.to_le_bytes(), u32::from(number));
        }
        let copy = map.clone();
        map.insert([1, 0], 77);
        map.remove(&[2, 0]);
        map.remove(&[2, 0]);
        assert_eq!((map.len(), map.get(&[1, 0]), map.get(&[2, 0])), (999, Some(&77), None));
        assert_eq!((copy.len(), copy.get(&[1, 0]), copy.get(&[2, 0])), (1000, Some(&1), Some(&2)));
    }
}
