//! What every process of the project needs: logging, signals, listening sockets, an HTTP server with limits and a
//! drain, and the admin port.
//!
//! [`log`] starts logging, [`errors`] writes errors on one line, [`signals`] waits for the end. [`listen`] binds
//! sockets and [`server`] serves HTTP on them. [`admin_port`] is the port that the platform asks for health and metrics,
//! and [`exposition`] writes the metrics in the scraper's format.

pub mod admin_port;
pub mod errors;
pub mod exposition;
mod listener;
pub mod log;
pub mod server;
pub mod signals;

pub use listener::listen;
