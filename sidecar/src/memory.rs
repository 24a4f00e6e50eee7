//! The budget of memory: whatever clients can make grow is reserved here before it is allocated.
//!
//! One budget covers the bodies of requests, the events made of them and the batches that they are put
//! into. A [`Reservation`] is taken from it and given back when it is dropped, so it has to live as long
//! as the memory that it stands for. What a client cannot be given is answered 429.
//!
//! How large it is, and what a sidecar takes in addition, is the arithmetic of [`tributary_crds::memory`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Bytes that may be allocated together. Clones share one budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    bytes: usize,
    left: AtomicUsize,
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

/// A number of the definition's arithmetic, which is made of 64 bits on every machine.
pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Shares { bytes, left: AtomicUsize::new(bytes) }))
    }

    /// All bytes of the budget, reserved or not.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The bytes that are reserved now.
    pub(crate) fn reserved(&self) -> usize {
        self.0.bytes - self.0.left.load(Ordering::Acquire)
    }

    /// A reservation of nothing, which can grow.
    pub(crate) fn reserve_nothing(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A reservation of nothing from the same budget.
    pub(crate) fn another(&self) -> Self {
        self.budget.reserve_nothing()
    }

    /// As much of another budget instead; nothing when that has not as much.
    pub(crate) fn moved_to(self, budget: &Budget) -> Option<Self> {
        let mut moved = budget.reserve_nothing();
        moved.grow(self.bytes).then_some(moved)
    }

    /// Takes `bytes` more. False, and nothing taken, when there are not as many.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.0.left.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    /// Gives back what is over `bytes`.
    pub(crate) fn keep(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
    }

    /// Gives back `bytes` of it, or all that it has.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.0.left.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Gives `buffer` room for `additional` bytes more. It at least doubles, within `most` bytes, so that
    /// growing byte by byte copies little. False, and nothing done, when there is no memory for it.
    ///
    /// While the content is copied the old allocation is there beside the new one: both are reserved.
    pub(crate) fn make_room(&mut self, buffer: &mut Vec<u8>, additional: usize, most: usize) -> bool {
        let (capacity, needed) = (buffer.capacity(), buffer.len() + additional);
        if needed <= capacity {
            return true;
        }
        let wanted = (2 * capacity).min(most).max(needed);
        if !self.grow(wanted) {
            return false;
        }
        buffer.reserve_exact(wanted - buffer.len());
        self.give_back(capacity);
        true
    }
}

/// A body's bytes as they arrive. What is allocated for them is reserved, filled or not: a client that
/// says that it will send much and sends little takes little.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    bytes: Vec<u8>,
    most: usize,
    reservation: &'a mut Reservation,
}

impl<'a> Growing<'a> {
    /// No bytes yet, and never more than `most`.
    pub(crate) fn new(most: usize, reservation: &'a mut Reservation) -> Self {
        Self { bytes: Vec::new(), most, reservation }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes. False, and nothing added, when there is no memory for them.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> bool {
        let has_room = self.reservation.make_room(&mut self.bytes, bytes.len(), self.most);
        if has_room {
            self.bytes.extend_from_slice(bytes);
        }
        has_room
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
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
        let left = || budget.bytes() - budget.reserved();
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
    fn a_reservation_keeps_what_it_is_told_to() {
        let budget = Budget::new(10);
        let mut reservation = budget.reserve_nothing();
        assert!(reservation.grow(9));
        reservation.keep(20);
        assert_eq!(budget.reserved(), 9);
        reservation.keep(7);
        assert_eq!(budget.reserved(), 7);
        reservation.give_back(2);
        assert_eq!(budget.reserved(), 5);
        reservation.give_back(20);
        drop(reservation);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn a_reservation_moves_whole_or_not_at_all() {
        let (from, to) = (Budget::new(10), Budget::new(10));
        let reserve = |bytes| {
            let mut reservation = from.reserve_nothing();
            assert!(reservation.grow(bytes));
            reservation
        };
        let moved = reserve(6).moved_to(&to).unwrap();
        assert_eq!((from.reserved(), to.reserved()), (0, 6));
        assert!(reserve(5).moved_to(&to).is_none());
        assert_eq!((from.reserved(), to.reserved()), (0, 6));
        drop(moved);
        assert_eq!(to.reserved(), 0);
    }

    #[test]
    fn while_a_buffer_grows_the_old_allocation_is_reserved_too() {
        let budget = Budget::new(500);
        let (mut reservation, mut buffer) = (budget.reserve_nothing(), Vec::new());
        assert!(reservation.make_room(&mut buffer, 200, 1_000));
        buffer.resize(200, 0);
        // 200 are there and 400 more would be: that is over 500 for a moment.
        assert!(!reservation.make_room(&mut buffer, 1, 1_000));
        assert!(reservation.make_room(&mut buffer, 1, 250));
        assert_eq!((budget.reserved(), buffer.capacity()), (250, 250));
    }
}
