//! Peers: other programs that accept events over HTTP and store them in S3, configured for the same workloads.
//!
//! The bench generates their configurations; their binaries are given on the command line. A peer uses the user's keys
//! without assuming a role, so it does less than the sidecar.

mod fluent_bit;
mod redpanda_connect;
mod vector;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::ValueEnum;
use tempfile::TempDir;
use tokio::process::Command;

use crate::content::Content;
use crate::double::{self, Double};
use crate::external::{External, free_address};
use crate::workload::Workload;

/// The workloads that peers are measured with.
const WORKLOADS: [&str; 2] = ["object", "batch"];
/// Size before compression at which a peer's batch is uploaded: the sidecar's default.
const BATCH_BYTES: usize = 5 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    Vector,
    FluentBit,
    RedpandaConnect,
}

/// A peer and its binary, from `NAME=PATH`.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerBinary {
    pub peer: Peer,
    pub path: PathBuf,
}

/// What a configuration depends on.
struct PeerSetup<'a> {
    listen: SocketAddr,
    /// The URL of S3.
    endpoint: &'a str,
    /// Requests at a time, each of which waits for a PUT.
    connections: u32,
    /// Whether many events are stored as one object, compressed with gzip.
    batches: bool,
    /// A folder for the peer's own files.
    folder: &'a Path,
}

impl Peer {
    /// Whether it is measured with this workload. Fluent Bit can't store one object per event.
    pub fn supports(self, workload: &Workload) -> bool {
        let is_measured = WORKLOADS.contains(&workload.name);
        is_measured && (self != Peer::FluentBit || workload.content != Some(Content::Event))
    }

    /// Starts the peer for requests on this many connections, and waits until it listens.
    pub async fn start(self, binary: &Path, content: Content, connections: u32, double: &Double) -> Result<External> {
        let folder = TempDir::new()?;
        let listen = free_address()?;
        let setup = PeerSetup {
            listen,
            endpoint: &double.endpoint(),
            connections,
            batches: content != Content::Event,
            folder: folder.path(),
        };
        let (configuration, args): (String, &[&str]) = match self {
            Peer::Vector => (vector::configuration(&setup), &["--quiet", "--config"]),
            Peer::FluentBit => (fluent_bit::configuration(&setup), &["--config"]),
            Peer::RedpandaConnect => (redpanda_connect::configuration(&setup), &["run"]),
        };
        let file = folder.path().join("config.yaml");
        fs::write(&file, configuration)?;
        let mut command = Command::new(binary);
        command
            .args(args)
            .arg(file)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", double::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", double::SECRET_ACCESS_KEY)
            .env("AWS_REGION", double::REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        External::start(command, folder, listen).await
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Peer::Vector => "Vector",
            Peer::FluentBit => "Fluent Bit",
            Peer::RedpandaConnect => "Redpanda Connect",
        })
    }
}

impl FromStr for PeerBinary {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<PeerBinary> {
        let (name, path) = text.split_once('=').context("a peer is NAME=PATH")?;
        let names = Peer::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
        let peer = Peer::from_str(name, false).ok();
        let peer = peer.with_context(|| format!("{name:?} is not one of {}", names.join(", ")))?;
        Ok(PeerBinary { peer, path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_path() {
        let parsed: PeerBinary = "fluent-bit=/opt/a=b".parse().unwrap();
        assert_eq!(parsed, PeerBinary { peer: Peer::FluentBit, path: "/opt/a=b".into() });
        let error = "logstash=/bin/x".parse::<PeerBinary>().unwrap_err().to_string();
        assert_eq!(error, "\"logstash\" is not one of vector, fluent-bit, redpanda-connect");
    }

    #[test]
    fn fluent_bit_is_measured_with_batches_only() {
        let supported =
            |peer: Peer| ["take", "object", "batch", "batch-100"].map(|name| peer.supports(Workload::named(name)));
        assert_eq!(supported(Peer::Vector), [false, true, true, false]);
        assert_eq!(supported(Peer::FluentBit), [false, false, true, false]);
    }

    #[test]
    fn configurations_have_the_address_the_endpoint_and_the_bucket() {
        for batches in [false, true] {
            let setup = PeerSetup {
                listen: (Ipv4Addr::LOCALHOST, 8080).into(),
                endpoint: "http://127.0.0.1:9000",
                connections: 64,
                batches,
                folder: Path::new("/tmp/peer"),
            };
            let configurations = [
                vector::configuration(&setup),
                fluent_bit::configuration(&setup),
                redpanda_connect::configuration(&setup),
            ];
            for text in configurations {
                assert!(text.contains("8080") && text.contains("http://127.0.0.1:9000"), "{text}");
                assert!(text.contains(double::BUCKET), "{text}");
            }
        }
    }
}
