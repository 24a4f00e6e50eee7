//! The process around the controllers: flags, the platform port, and whether the process is healthy.

pub mod admin;
pub mod flags;
pub mod health;
