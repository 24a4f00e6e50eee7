//! Tests requests that no client library sends, byte for byte, each on its own connection: how they are answered,
//! whether the connection stays open, and that no request smuggled inside another is ever processed.
//!
//! Where hyper is more lenient than it must be, the case explains why that does no harm.

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
