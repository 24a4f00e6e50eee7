//! What is said of a function: computed from what was observed, written when it has changed.
//!
//! [`conditions`] and the status around them ([`function_status`]) are pure. [`writer`] writes them to the function, and
//! says in the log and by [`events`] what has turned.

pub mod conditions;
pub mod events;
pub mod function_status;
pub mod writer;
