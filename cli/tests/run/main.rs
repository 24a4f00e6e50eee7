//! Runs `tributary run` as a user does: the built binary, real ports, files that are edited.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod capture;
mod edits;
mod examples;
mod plain_output;
mod process;
mod refusals;
mod shutdown;
mod startup_errors;
mod terminal;
mod yaml;

pub use process::{EVENT, OBJECT, Run, WAIT_TIMEOUT, edit, example, interrupt, request, send_signal, tributary};
