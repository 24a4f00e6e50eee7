//! How events become S3 objects: keys, batches and compression.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{BatchAge, BatchBytes, DeadLetterPrefix, EventAge, KeyTemplate};

/// How events become S3 objects: one object per event, or many events per object.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("self.mode == 'Batch' || !has(self.batch)")
        .message("delivery.batch is allowed only in mode Batch: write mode: Batch, or leave batch out"),
    validation = Rule::new("!has(self.key) || self.mode == 'Batch' || self.key.contains('{messageId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has no {messageId}, without which two events could share a key in mode Object; write it like {type}/{millis}-{messageId}.json'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Batch' || !self.key.contains('{batchId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has {batchId}, which is allowed only in mode Batch; write it like {type}/{millis}-{messageId}.json'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Object' || self.key.contains('{batchId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has no {batchId}, without which two batches could share a key; write it like type={type}/{millis}-{batchId}.ndjson.gz'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Object' || !self.key.matches('[{](event|messageId|userId)[}]')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has a variable of a single event, of which a batch has many; in mode Batch it may have {type}, {millis}, times and {batchId}'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Batch' || !self.key.contains('{timestamp:')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has an event time, which is allowed only in mode Batch; in mode Object, times such as {yyyy-MM-dd} are those of the event'".into())),
    validation = Rule::new("!has(self.batch) || !has(self.batch.maxPartitions) && !has(self.batch.maxEventAge) || has(self.key) && self.key.contains('{timestamp:')")
        .message("delivery.batch.maxPartitions and maxEventAge are allowed only if delivery.key has an event time; write it like type={type}/dt={timestamp:yyyy-MM-dd}/{millis}-{batchId}.ndjson.gz"),
    validation = Rule::new("!has(self.deadLetter) || !has(self.key) || !self.key.startsWith(self.deadLetter.prefix)")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" begins with deadLetter.prefix, so readers could take an event for a dead letter; write deadLetter.prefix like _dead-letters/'".into())),
)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Object stores one object per event; Batch stores many events per object, as newline-delimited JSON.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// Template of object keys, after the prefix: literals and variables. Both modes have {type}, {millis} and UTC
    /// times of yyyy, MM, dd, HH, mm and ss, such as {yyyy-MM-dd}. Mode Object also has {event}, {userId} and
    /// {messageId}, which is required; its times are the event's timestamp. Mode Batch also has {batchId}, which is
    /// required; its times are when the batch was sealed. Event times of yyyy, MM, dd and HH, such as
    /// {timestamp:yyyy-MM-dd}, are those of the events' stored timestamp: only events with the same values share
    /// objects. An event that is older than batch.maxEventAge, more than one hour in the future, or beyond
    /// batch.maxPartitions has the value __HIVE_DEFAULT_PARTITION__, which readers take for null. If a key of mode Batch has {type}, 64 types at a time, in
    /// addition to Segment's six, have objects of their own; events of further types share objects whose {type} is
    /// other. By default {type}/{millis}-{messageId}.json, and in mode Batch
    /// type={type}/dt={yyyy-MM-dd}/hour={HH}/{millis}-{batchId} with the extension of its compression, such as
    /// .ndjson.gz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyTemplate>,
    /// When a batch is sealed, and how its object is compressed. Only with mode Batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Stores the events that are rejected as invalid, each with the reason and the bytes that the client sent. Without
    /// it, a rejected event is only reported in the answer, and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

/// Where rejected events are stored.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Prefix of the keys of dead letters, after s3.prefix, with / at its end. The rest of a key is a hash of what it
    /// holds, so an event that is sent and rejected again is not stored twice.
    #[serde(default)]
    pub prefix: DeadLetterPrefix,
}

/// One object per event, or many events per object.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum DeliveryMode {
    /// One object per event.
    #[default]
    Object,
    /// Many events per object, as newline-delimited JSON.
    Batch,
}

/// When a batch is sealed, and how its object is compressed.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Size before compression at which a batch is sealed, from 64Ki to 64Mi; by default 5Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<BatchBytes>,
    /// Number of events at which a batch is sealed; by default 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes has no unsigned integer formats.
    #[schemars(with = "Option<i32>", range(min = 1, max = 100_000))]
    pub max_events: Option<u32>,
    /// Longest time that a batch waits for more events before it is sealed, from 100ms to 5s; by default 1s. After a
    /// pause of that length a batch is sealed almost immediately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<BatchAge>,
    /// Maximum number of partitions by event time (of all event types) that receive events within one maxAge, in addition
    /// to those of the current time; by default 64. Further events go to the partition __HIVE_DEFAULT_PARTITION__. Only
    /// if delivery.key has an event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes has no unsigned integer formats.
    #[schemars(with = "Option<i32>", range(min = 1, max = 256))]
    pub max_partitions: Option<u32>,
    /// How old an event may be to go to the partition of its own time, from 1h to 9999d; by default 7d. Only if
    /// delivery.key has an event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_event_age: Option<EventAge>,
    /// Compression of the object: gzip, zstd or none.
    #[serde(default)]
    pub compression: Compression,
}

/// Compression of a batch's object.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip, RFC 1952.
    #[default]
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// No compression.
    None,
}
