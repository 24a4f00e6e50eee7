//! The memory budget: memory that clients can make grow is reserved here before it is allocated.
//!
//! One budget covers the bodies of requests, the events parsed from them, and their batches. A [`Reservation`] returns
//! its bytes to the budget when it is dropped, so it must live as long as the memory that it represents. If
//! memory can't be reserved, [`ingest`](crate::ingest) answers the request with 429. Bodies of requests that have proved
//! no credential yet have a smaller budget of their own (`ingest::unproven`).
//!
//! [`tributary_crds::memory`] computes the size of the budget, and the memory that a sidecar needs in addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// A limit in bytes on all its reservations together. Clones share one budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    bytes: usize,
    left: AtomicUsize,
}

/// Bytes reserved from a [`Budget`], and released when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

/// Converts a size from [`tributary_crds::memory`], which is a `u64` on every platform.
pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Shares { bytes, left: AtomicUsize::new(bytes) }))
    }

    /// The size of the budget in bytes, reserved or not.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The bytes that are reserved now.
    pub(crate) fn reserved(&self) -> usize {
        self.0.bytes - self.0.left.load(Ordering::Acquire)
    }

    /// An empty reservation, to be grown with [`Reservation::grow`].
    pub(crate) fn reserve_nothing(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// The reserved bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An empty reservation from the same budget.
    pub(crate) fn another(&self) -> Self {
        self.budget.reserve_nothing()
    }

    /// Moves `bytes`, or everything if it holds less, into a reservation of their own.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }

    /// Adds the bytes of another reservation from the same budget.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Moves the reservation to another budget. If that has too little left, returns `None` and releases this one.
    pub(crate) fn moved_to(self, budget: &Budget) -> Option<Self> {
        let mut moved = budget.reserve_nothing();
        moved.grow(self.bytes).then_some(moved)
    }

    /// Reserves `bytes` more. Returns false, and reserves nothing, if the budget has fewer left.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let result = self.budget.0.left.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        if result.is_ok() {
            self.bytes += bytes;
        }
        result.is_ok()
    }

    /// Shrinks the reservation to at most `bytes`.
    pub(crate) fn keep(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
    }

    /// Releases `bytes`, or everything if it holds less.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.0.left.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Makes room in `buffer` for `additional` bytes. The capacity at least doubles, up to `most` bytes, so that
    /// growing byte by byte copies little. Returns false, and changes nothing, if the budget has too little left.
    ///
    /// The old and the new allocation exist together while the content is copied, so both are reserved meanwhile.
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

/// A buffer for a body that arrives in pieces. Its whole capacity is reserved. It grows with the bytes received and not
/// with the announced length, so a client that announces much and sends little uses little.
#[derive(Debug)]
pub(crate) struct GrowingBuffer<'a> {
    bytes: Vec<u8>,
    most: usize,
    reservation: &'a mut Reservation,
}

impl<'a> GrowingBuffer<'a> {
    /// An empty buffer. `most` is the largest capacity, in bytes, that doubling reaches.
    pub(crate) fn new(most: usize, reservation: &'a mut Reservation) -> Self {
        Self { bytes: Vec::new(), most, reservation }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends bytes. Returns false, and appends nothing, if the budget has too little left for them.
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
    fn dropped_reservations_return_their_bytes() {
        let budget = Budget::new(10);
        let mut one = budget.reserve_nothing();
        assert!(one.grow(6) && one.grow(4));
        let mut two = budget.reserve_nothing();
        assert!(!two.grow(1));
        drop(one);
        assert!(two.grow(10));
    }

    #[test]
    fn a_growing_buffer_reserves_its_capacity() {
        let budget = Budget::new(1_000);
        let left = || budget.bytes() - budget.reserved();
        let mut reservation = budget.reserve_nothing();
        let mut growing = GrowingBuffer::new(600, &mut reservation);
        assert!(growing.extend(&[1; 300]));
        assert_eq!(left(), 700);
        assert!(growing.extend(&[2; 10]));
        assert_eq!(left(), 400, "twice as much is allocated, and no more than it can become");
        assert!(growing.extend(&[3; 290]) && growing.len() == 600);
        assert_eq!(left(), 400);
        assert_eq!(growing.into_bytes().len(), 600);
        let mut other = budget.reserve_nothing();
        let mut growing = GrowingBuffer::new(600, &mut other);
        assert!(growing.extend(&[1; 400]) && !growing.extend(&[1; 1]));
        assert_eq!(growing.len(), 400);
    }

    #[test]
    fn a_reservation_shrinks_to_the_given_size() {
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
    fn a_reservation_is_split_and_joined() {
        let budget = Budget::new(10);
        let mut all = budget.reserve_nothing();
        assert!(all.grow(9));
        let mut part = all.split(4);
        part.join(all.split(20));
        assert_eq!((all.bytes(), part.bytes(), budget.reserved()), (0, 9, 9));
        drop((all, part));
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn while_a_buffer_grows_the_old_allocation_is_reserved_too() {
        let budget = Budget::new(500);
        let (mut reservation, mut buffer) = (budget.reserve_nothing(), Vec::new());
        assert!(reservation.make_room(&mut buffer, 200, 1_000));
        buffer.resize(200, 0);
        // 200 bytes are allocated and 400 more are needed: together they exceed 500 during the copy.
        assert!(!reservation.make_room(&mut buffer, 1, 1_000));
        assert!(reservation.make_room(&mut buffer, 1, 250));
        assert_eq!((budget.reserved(), buffer.capacity()), (250, 250));
    }
}
