//! Black-box tests of the built sidecar against an in-process S3 and STS.

mod access;
mod admin_port;
mod answers;
mod batches;
mod client_libraries;
mod connections;
mod dead_letters;
mod durability;
mod egress;
mod event_time;
mod faults;
mod lifecycle;
mod load_balancers;
mod memory;
mod metrics;
mod objects;
mod production;
mod s3_answers;
mod secrecy;
mod session;
mod tls;
