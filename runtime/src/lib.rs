//! The parts that every process of the project needs: logging, signals, listening sockets, an HTTP server with limits
//! and a graceful drain, and the admin port.
//!
//! [`log`] starts logging, [`errors`] formats errors on one line, [`signals`] waits for the shutdown signal. [`listen`]
//! binds sockets and [`server`] serves HTTP on them. [`admin_port`] is the port for health checks and metrics, and
//! [`exposition`] writes the metrics in the scraper's format.

pub mod admin_port;
pub mod errors;
pub mod exposition;
mod listener;
pub mod log;
pub mod open_files;
pub mod server;
pub mod signals;

pub use listener::listen;
