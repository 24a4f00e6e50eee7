//! The functions' statuses: computed from the observed state, and written when they have changed.
//!
//! [`conditions`] and the status around them ([`function_status`]) are pure. [`writer`] writes the status, and reports
//! changes in the log and as [`events`].

pub mod conditions;
pub mod events;
pub mod function_status;
pub mod writer;
