//! `tributary external-id`: generates a random external ID and prints it as a Secret.

use regex_lite::Regex;
use tributary_crds::values::{ExternalIdPrefix, SecretName};

use crate::Outcome;

/// Number of random characters in an ID. 40 characters out of 62 are 238 bits, so IDs do not collide and can't be
/// guessed.
const ID_LENGTH: usize = 40;
/// The characters that STS accepts and that have no special meaning in a shell, a URL or YAML.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Prints a Secret with a new random external ID: the prefix, if any, and 40 letters and digits.
///
/// Use a separate external ID per function: it prevents other functions with the same base identity
/// from assuming the function's role.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tributary external-id orders-lake > secret.yaml
  tributary external-id orders-lake --namespace shop --prefix shop/ > secret.yaml")]
pub struct Arguments {
    /// Name of the Secret, as in spec.externalIdSecretRef.name
    name: SecretName,
    /// Namespace of the Secret, which must be the function's
    #[arg(long, value_name = "NS", value_parser = namespace)]
    namespace: Option<String>,
    /// Prefix that the platform requires for the namespace's external IDs (the chart's policy.grants)
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<ExternalIdPrefix>,
}

/// Returns the Secret as YAML; fails only if the system has no random bytes.
pub fn run(arguments: &Arguments) -> Outcome {
    let id = match random() {
        Ok(id) => id,
        Err(error) => return Outcome::Error(format!("can't get random bytes from the system: {error}")),
    };
    let Arguments { name, namespace, prefix } = arguments;
    let prefix = prefix.as_ref().map(ExternalIdPrefix::as_str).unwrap_or_default();
    let namespace = namespace.as_ref().map(|namespace| format!("  namespace: \"{namespace}\"\n")).unwrap_or_default();
    // In quotes, because YAML would read some names and IDs as numbers.
    Outcome::Done(format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{name}\"\n{namespace}type: Opaque\nstringData:\n  externalId: \"{prefix}{id}\"\n"
    ))
}

/// A random external ID: [`ID_LENGTH`] characters of [`ALPHABET`], uniformly distributed.
///
/// # Errors
/// If the system's random source fails.
fn random() -> Result<String, getrandom::Error> {
    let mut id = String::with_capacity(ID_LENGTH);
    let mut bytes = [0; 64];
    while id.len() < ID_LENGTH {
        getrandom::fill(&mut bytes)?;
        // Six bits are 0 to 63. The values 62 and 63 are discarded: mapping them to characters too
        // would make some more likely than others (modulo bias).
        let characters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        id.extend(characters.take(ID_LENGTH - id.len()).map(|character| char::from(*character)));
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
    fn an_id_has_every_character_of_the_alphabet_and_no_other() {
        let ids: String = (0..100).map(|_| random().unwrap()).collect();
        assert_eq!(ids.len(), 100 * ID_LENGTH);
        for character in ALPHABET {
            assert!(ids.contains(char::from(*character)));
        }
        assert!(ids.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
