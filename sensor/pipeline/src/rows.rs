//! Final rows in order of closing, whichever worker finishes first: the same file with any number
//! of workers.

use std::collections::BTreeMap;

/// Puts numbered rows back into order.
#[derive(Debug)]
pub struct InOrder<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> InOrder<T> {
    /// Takes a row; returns those whose turn has come.
    pub fn add(&mut self, order: u64, row: T) -> Vec<T> {
        self.waiting.insert(order, row);
        let mut ready = Vec::new();
        while let Some(row) = self.waiting.remove(&self.next) {
            ready.push(row);
            self.next += 1;
        }
        ready
    }

    /// Rows that still wait for an earlier one.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_in_order() {
        let mut rows = InOrder::default();
        assert!(rows.add(1, 'b').is_empty());
        assert!(rows.add(2, 'c').is_empty());
        assert_eq!(rows.add(0, 'a'), ['a', 'b', 'c']);
        assert_eq!(rows.waiting(), 0);
    }
}
