//! The values of a function that exist only when they are right.
//!
//! Each has one `Shape`: what it must match, how long it may be, and what to say of a wrong one.
//! The parser here, the schema and the CEL rules in the CRD are all made from it, so the API
//! server, the operator, the sidecar and the tool judge a value alike and in the same words.

mod aws;
mod external_id;
mod ingest;
mod key_template;
mod kubernetes;
mod measure;
mod shape;
mod wildcard;

pub use aws::{
    AccountId, Bucket, Endpoint, KmsKeyArn, Prefix, Region, RoleArn, RoleArnPattern, SessionName, StorageClass,
};
pub use external_id::{ExternalId, ExternalIdPrefix, InvalidExternalId};
pub use ingest::{EventNamePattern, Origin};
pub use key_template::{KeyTemplate, Part, TimeField, Variable};
pub use kubernetes::{Quantity, SecretKey, SecretName};
pub use measure::{BatchAge, BatchBytes, EventBytes};
pub use shape::InvalidValue;

pub(crate) use shape::Shape;
