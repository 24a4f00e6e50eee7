//! The process around the controllers: command-line flags, the admin port, and health checks.

pub mod admin;
pub mod flags;
pub mod health;
