//! Requests that no client library sends, byte for byte, each on a connection of its own: what is
//! answered, whether the connection goes on, and that no second request is ever seen inside one.
//!
//! Where hyper is more lenient than it must be, the case says why that does no harm.

mod case;
mod chunks;
mod connections;
mod encodings;
mod fuzz;
mod heads;
mod lengths;
mod sizes;
mod targets;
mod transfer_codings;
