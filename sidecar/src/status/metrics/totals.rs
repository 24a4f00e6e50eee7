//! The totals of a sidecar, or of several in turn.

use std::ops::Add;

/// Totals since the start, for the log and `tributary run`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that are stored, by this or an earlier request.
    pub stored: u64,
    /// The part of `stored` that earlier requests had stored.
    pub deduplicated: u64,
    /// Valid events that the function's filter excludes.
    pub filtered: u64,
    /// Events, and whole bodies, refused as invalid.
    pub rejected: u64,
    /// The part of `rejected` that is stored as dead letters.
    pub dead_letters: u64,
    /// Requests answered 4xx or 5xx: their valid events may not all be stored.
    pub refused_requests: u64,
    /// Objects written to S3.
    pub objects: u64,
    /// Bytes of those objects, as stored.
    pub bytes: u64,
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            stored: self.stored + other.stored,
            deduplicated: self.deduplicated + other.deduplicated,
            filtered: self.filtered + other.filtered,
            rejected: self.rejected + other.rejected,
            dead_letters: self.dead_letters + other.dead_letters,
            refused_requests: self.refused_requests + other.refused_requests,
            objects: self.objects + other.objects,
            bytes: self.bytes + other.bytes,
        }
    }
}
