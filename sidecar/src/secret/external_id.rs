//! Parses the external ID from its Secret, and checks the prefix that the platform requires. The memory of an ID is
//! cleared when it is dropped, which is when another value replaces it. Pure.
//!
//! A changed Secret is noticed by [`follow`](super::follow), and answered with a new session by `session::manager`.

use tributary_crds::values::{ExternalId, ExternalIdPrefix, InvalidExternalId};

use super::{Missing, Value};

/// Why there is no usable external ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoExternalId {
    /// The Secret or its key is missing.
    Missing(Missing),
    /// STS does not accept the value as an external ID.
    Invalid(InvalidExternalId),
    /// The external ID lacks the prefix that the platform requires in this namespace.
    WrongPrefix,
}

/// The current external ID, or why there is none.
pub(crate) type ExternalIdState = Result<ExternalId, NoExternalId>;

/// Parses a Secret's value as an external ID, which must start with `prefix`, if given.
pub(crate) fn external_id(value: &Value, prefix: Option<&ExternalIdPrefix>) -> ExternalIdState {
    let value = value.as_ref().map_err(|missing| NoExternalId::Missing(*missing))?;
    let text = std::str::from_utf8(value).map_err(|_| NoExternalId::Invalid(InvalidExternalId::NotText))?;
    let id = ExternalId::from_secret(text).map_err(NoExternalId::Invalid)?;
    match prefix {
        Some(prefix) if !id.reveal().starts_with(prefix.as_str()) => Err(NoExternalId::WrongPrefix),
        _ => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8], prefix: Option<&str>) -> Result<String, NoExternalId> {
        let prefix: Option<ExternalIdPrefix> = prefix.map(|prefix| prefix.parse().unwrap());
        external_id(&Ok(value.to_vec().into()), prefix.as_ref()).map(|id| id.reveal().to_owned())
    }

    #[test]
    fn a_value_is_parsed_as_external_id_or_refused_with_the_cause() {
        assert_eq!(read(b"abc\n", None), Ok("abc".to_owned()));
        assert_eq!(read(b"team/abc", Some("team/")), Ok("team/abc".to_owned()));
        assert_eq!(read(b"abc", Some("team/")), Err(NoExternalId::WrongPrefix));
        assert_eq!(read(b"\xff\xfe", None), Err(NoExternalId::Invalid(InvalidExternalId::NotText)));
        assert!(matches!(read(b"no spaces", None), Err(NoExternalId::Invalid(_))));
        assert_eq!(external_id(&Err(Missing::Key), None), Err(NoExternalId::Missing(Missing::Key)));
    }
}
