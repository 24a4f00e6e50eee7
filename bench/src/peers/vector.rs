//! Vector's configuration, for its sources `http_server` and its sink `aws_s3`.
//! <https://vector.dev/docs/reference/configuration/sinks/aws_s3/>
//!
//! It has not been run with this benchmark: Vector is not on a package registry.

use super::{BATCH_BYTES, PeerSetup};
use crate::double;
use crate::workload::BATCH_AGE;

/// With acknowledgements, Vector answers a request when S3 has stored its event, as the sidecar does.
pub(super) fn configuration(setup: &PeerSetup<'_>) -> String {
    let PeerSetup { listen, endpoint, connections, batches, folder } = setup;
    let (compression, batch) = if *batches {
        ("gzip", format!("{{max_bytes: {BATCH_BYTES}, timeout_secs: {}}}", BATCH_AGE.as_secs_f64()))
    } else {
        ("none", "{max_events: 1}".to_owned())
    };
    format!(
        "data_dir: {folder}\n\
         acknowledgements: {{enabled: true}}\n\
         sources:\n  \
           events: {{type: http_server, address: \"{listen}\", path: /v1/track, decoding: {{codec: json}}}}\n\
         sinks:\n  \
           s3:\n    \
             type: aws_s3\n    \
             inputs: [events]\n    \
             bucket: {bucket}\n    \
             region: {region}\n    \
             endpoint: {endpoint}\n    \
             force_path_style: true\n    \
             healthcheck: {{enabled: false}}\n    \
             key_prefix: events/\n    \
             filename_append_uuid: true\n    \
             content_type: application/json\n    \
             encoding: {{codec: json}}\n    \
             framing: {{method: newline_delimited}}\n    \
             compression: {compression}\n    \
             batch: {batch}\n    \
             request: {{concurrency: {connections}}}\n",
        folder = folder.display(),
        bucket = double::BUCKET,
        region = double::REGION,
    )
}
