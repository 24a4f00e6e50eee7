//! Redpanda Connect's configuration, for its input `http_server` and its output `aws_s3`.
//! <https://docs.redpanda.com/redpanda-connect/components/outputs/aws_s3/>
//!
//! It has been run with Benthos 4.27.0, from which Redpanda Connect was made.

use super::{BATCH_BYTES, PeerSetup};
use crate::double;
use crate::workload::BATCH_AGE;

/// It answers a request when S3 has stored its event, as the sidecar does.
pub(super) fn configuration(setup: &PeerSetup<'_>) -> String {
    let PeerSetup { listen, endpoint, connections, batches, .. } = setup;
    let (path, batching) = if *batches {
        let processors = "[{archive: {format: lines}}, {compress: {algorithm: gzip}}]";
        let age = BATCH_AGE.as_millis();
        let batching = format!("{{byte_size: {BATCH_BYTES}, period: {age}ms, processors: {processors}}}");
        ("events/${! uuid_v4() }.ndjson.gz", batching)
    } else {
        ("${! json(\"type\") }/${! json(\"messageId\") }.json", "{}".to_owned())
    };
    format!(
        "http: {{enabled: false}}\n\
         logger: {{level: WARN}}\n\
         input:\n  \
           http_server: {{address: \"{listen}\", path: /v1/track, timeout: 30s}}\n\
         output:\n  \
           aws_s3:\n    \
             bucket: {bucket}\n    \
             region: {region}\n    \
             endpoint: {endpoint}\n    \
             force_path_style_urls: true\n    \
             credentials: {{id: {id}, secret: {secret}}}\n    \
             path: '{path}'\n    \
             content_type: application/json\n    \
             max_in_flight: {connections}\n    \
             batching: {batching}\n",
        bucket = double::BUCKET,
        region = double::REGION,
        id = double::ACCESS_KEY_ID,
        secret = double::SECRET_ACCESS_KEY,
    )
}
