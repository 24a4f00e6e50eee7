//! `tributary external-id`: a new external ID, as the Secret that a function refers to.

use regex_lite::Regex;
use tributary_crds::values::{ExternalIdPrefix, SecretName};

use crate::Outcome;

/// 40 of 62 characters are 238 bits: nobody meets another's ID by chance or by trying.
const LENGTH: usize = 40;
/// Of what STS takes, the characters that no shell, URL or YAML treats in a special way.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Prints a Secret with a new random external ID: 40 characters, behind the prefix if there is one.
///
/// Choose one for each function: the external ID keeps others who share the base identity from
/// assuming the function's role.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tributary external-id orders-lake > secret.yaml
  tributary external-id orders-lake --namespace shop --prefix shop/ > secret.yaml")]
pub struct Arguments {
    /// The Secret's name, as in spec.externalIdSecretRef.name
    name: SecretName,
    /// The Secret's namespace: the function's own
    #[arg(long, value_name = "NS", value_parser = namespace)]
    namespace: Option<String>,
    /// What the platform demands that the namespace's external IDs begin with (the chart's policy.grants)
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<ExternalIdPrefix>,
}

/// Prints the Secret.
pub fn run(arguments: &Arguments) -> Outcome {
    let id = match random() {
        Ok(id) => id,
        Err(error) => return Outcome::Failed(format!("the system gave no random bytes: {error}\n")),
    };
    let Arguments { name, namespace, prefix } = arguments;
    let prefix = prefix.as_ref().map(ExternalIdPrefix::as_str).unwrap_or_default();
    let namespace = namespace.as_ref().map(|namespace| format!("  namespace: \"{namespace}\"\n")).unwrap_or_default();
    // In quotes: a name or an ID may look like a number.
    Outcome::Done(format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{name}\"\n{namespace}type: Opaque\nstringData:\n  externalId: \"{prefix}{id}\"\n"
    ))
}

/// A random external ID: characters of [`ALPHABET`], each as likely as any other.
///
/// # Errors
/// When the system gives no random bytes.
pub fn random() -> Result<String, getrandom::Error> {
    let mut id = String::with_capacity(LENGTH);
    let mut bytes = [0; 64];
    while id.len() < LENGTH {
        getrandom::fill(&mut bytes)?;
        // Six bits are 0 to 63: the two numbers too many are thrown away, since folding them in
        // would make some characters likelier than others.
        let characters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        id.extend(characters.take(LENGTH - id.len()).map(|character| char::from(*character)));
    }
    Ok(id)
}

fn namespace(text: &str) -> Result<String, String> {
    let pattern = Regex::new("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$").map_err(|error| error.to_string())?;
    if pattern.is_match(text) {
        return Ok(text.to_owned());
    }
    Err("not a namespace (1 to 63 lower-case letters, digits and hyphens); write it like lake".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_comes_up_and_no_other() {
        let ids: String = (0..100).map(|_| random().unwrap()).collect();
        assert_eq!(ids.len(), 100 * LENGTH);
        for character in ALPHABET {
            assert!(ids.contains(char::from(*character)));
        }
        assert!(ids.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
