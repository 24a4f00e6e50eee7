//! One budget of memory for all the bodies being worked on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Bytes that bodies may take together.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// A reservation of nothing, which can grow.
    pub(crate) fn reserve_nothing(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// Takes `bytes` more. False, and nothing taken, when there are not as many.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.0.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    /// Gives back what is over `bytes`.
    pub(crate) fn keep(&mut self, bytes: usize) {
        drop(self.split(self.bytes.saturating_sub(bytes)));
    }

    /// Hands over `bytes` of it, or as many as it has.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }

    /// Takes over another of the same budget.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

/// Bytes that come bit by bit. What is allocated for them is reserved, filled or not: a client that
/// says that it will send much and sends little takes little.
#[derive(Debug)]
pub(super) struct Growing<'a> {
    bytes: Vec<u8>,
    most: usize,
    reservation: &'a mut Reservation,
}

impl<'a> Growing<'a> {
    /// No bytes yet, and never more than `most`.
    pub(super) fn new(most: usize, reservation: &'a mut Reservation) -> Self {
        Self { bytes: Vec::new(), most, reservation }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes. False, and nothing added, when there is no memory for them.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> bool {
        let (capacity, needed) = (self.bytes.capacity(), self.bytes.len() + bytes.len());
        if needed > capacity {
            let wanted = (2 * capacity).min(self.most).max(needed);
            if !self.reservation.grow(wanted - capacity) {
                return false;
            }
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(10);
        let mut one = budget.reserve_nothing();
        assert!(one.grow(6) && one.grow(4));
        let mut two = budget.reserve_nothing();
        assert!(!two.grow(1));
        drop(one);
        assert!(two.grow(10));
    }

    #[test]
    fn what_is_allocated_is_reserved() {
        let budget = Budget::new(1_000);
        let left = || budget.0.load(Ordering::Acquire);
        let mut reservation = budget.reserve_nothing();
        let mut growing = Growing::new(600, &mut reservation);
        assert!(growing.extend(&[1; 300]));
        assert_eq!(left(), 700);
        assert!(growing.extend(&[2; 10]));
        assert_eq!(left(), 400, "twice as much is allocated, and no more than it can become");
        assert!(growing.extend(&[3; 290]) && growing.len() == 600);
        assert_eq!(left(), 400);
        assert_eq!(growing.into_bytes().len(), 600);
        let mut other = budget.reserve_nothing();
        let mut growing = Growing::new(600, &mut other);
        assert!(growing.extend(&[1; 400]) && !growing.extend(&[1; 1]));
        assert_eq!(growing.len(), 400);
    }

    #[test]
    fn what_is_taken_can_change_hands() {
        let budget = Budget::new(10);
        let left = || {
            let mut rest = budget.reserve_nothing();
            (0..=10).rev().find(|bytes| rest.grow(*bytes)).unwrap()
        };
        let mut one = budget.reserve_nothing();
        assert!(one.grow(9));
        one.keep(20);
        assert_eq!(left(), 1);
        one.keep(7);
        assert_eq!(left(), 3);
        let mut two = one.split(5);
        drop(one);
        assert_eq!(left(), 5);
        two.join(budget.reserve_nothing());
        two.join(two.budget.clone().reserve_nothing());
        drop(two);
        assert_eq!(left(), 10);
    }
}
