//! The function on Node.js, in `bench/node`, with either AWS SDK for JavaScript.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use tempfile::TempDir;
use tokio::process::Command;

use crate::double::{self, Double};
use crate::external::{External, free_address};
use crate::workload::Workload;

/// The folder with the function; its dependencies are installed there.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// A major version of the AWS SDK for JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AwsSdk {
    V2,
    V3,
}

impl AwsSdk {
    /// Whether it is measured with this workload: the function stores one object per event.
    pub fn supports(workload: &Workload) -> bool {
        workload.name == "object"
    }

    /// Starts the function and waits until it listens.
    pub async fn start(self, double: &Double) -> Result<External> {
        check_dependencies(Path::new(FOLDER))?;
        let address = free_address()?;
        let mut command = Command::new("node");
        command
            .arg("server.mjs")
            .arg(self.to_string())
            .current_dir(FOLDER)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1")
            .env("AWS_ACCESS_KEY_ID", double::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", double::SECRET_ACCESS_KEY)
            .env("LISTEN", address.to_string())
            .env("ENDPOINT", double.endpoint())
            .env("REGION", double::REGION)
            .env("BUCKET", double::BUCKET)
            .env("ROLE_ARN", double::ROLE_ARN)
            .env("EXTERNAL_ID", double::EXTERNAL_ID);
        External::start(command, TempDir::new()?, address).await
    }
}

/// The bench installs nothing itself, so that a measurement downloads nothing.
fn check_dependencies(folder: &Path) -> Result<()> {
    let is_installed = folder.join("node_modules").is_dir();
    ensure!(is_installed, "the function's dependencies are not installed; run: npm ci --prefix {}", folder.display());
    Ok(())
}

impl fmt::Display for AwsSdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AwsSdk::V2 => "v2",
            AwsSdk::V3 => "v3",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_dependencies_the_error_names_the_command() {
        let folder = TempDir::new().unwrap();
        let error = check_dependencies(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("run: npm ci --prefix {}", folder.path().display())), "{error}");
    }
}
