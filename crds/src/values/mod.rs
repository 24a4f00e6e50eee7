//! The types of single values in a function's spec, which hold only valid values.
//!
//! Each has one `Shape`: the patterns that it must and must not match, its length, and the messages for an invalid
//! value. Parser, schema and CEL rules are made from it, so the API server, the operator, the sidecar and the command
//! line tool validate a value alike and report an invalid one in the same words.

mod aws;
mod bucket;
mod external_id;
mod ingest;
mod key_template;
mod kubernetes;
mod measure;
mod partition;
mod shape;
mod wildcard;

pub use aws::{
    AccountId, DeadLetterPrefix, Endpoint, KmsKeyArn, Prefix, Region, RoleArn, RoleArnPattern, SessionName,
    StorageClass,
};
pub use bucket::Bucket;
pub use external_id::{ExternalId, ExternalIdPrefix, InvalidExternalId};
pub use ingest::{EventNamePattern, Origin};
pub use key_template::{KeyTemplate, Part, TimeField, TimePart, Variable};
pub use kubernetes::{Quantity, SecretKey, SecretName};
pub use measure::{BatchAge, BatchBytes, ConnectionAge, EventAge, EventBytes, IdleTimeout};
pub use partition::Partition;
pub use shape::InvalidValue;

pub(crate) use bucket::RESERVED_IN_AWS;
pub(crate) use partition::{cel_home_region_of, cel_partition_of, region_pattern};
pub(crate) use shape::Shape;
