//! Black-box tests of the built sidecar, against an S3 and an STS on this machine.

mod access;
mod answers;
mod batches;
mod connections;
mod durability;
mod faults;
mod lifecycle;
mod memory;
mod metrics;
mod objects;
mod production;
mod secrecy;
mod session;
mod tls;
