//! The server over loopback, used by AWS's own clients.

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
