//! Runs the server on loopback, and calls it with AWS's SDKs.

mod access;
mod connections;
mod faults;
mod files;
mod objects;
mod regions;
mod roles;
mod sessions;
mod shutdown;
mod signatures;
mod support;
mod tokens;
