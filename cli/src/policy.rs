//! `tributary policy`: prints the IAM policies that the owner of a function's role has to set.

use std::path::PathBuf;

use clap::ValueEnum;
use regex_lite::Regex;
use tributary_crds::DestinationFunction;
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::policy::{KmsPermission, PolicyDocument, permissions, requires_external_id, trust};
use tributary_crds::values::{ExternalId, Partition};

use crate::Outcome;
use crate::manifest::{FunctionDocument, Manifest};
use crate::secret_check::external_id_of;

/// The rest of the ARNs that the trust policy can name, after the partition: of a role, a user, or an account's root.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
const PRINCIPAL_PATTERN: &str = "^iam::[0-9]{12}:(root|(role|user)/([!-.0-~]+/)*[A-Za-z0-9_+=,.@-]{1,64})$";

/// Prints the trust policy and the permission policy that a function's role needs.
///
/// The external ID comes from --external-id or, without it, from the function's Secret in the file.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tributary policy function.yaml --principal arn:aws:iam::210987654321:role/tributary
  tributary policy function.yaml --principal arn:aws:iam::210987654321:role/tributary --only trust > trust.json
  aws iam update-assume-role-policy --role-name my-secure-role --policy-document file://trust.json")]
pub struct Arguments {
    /// YAML file with one DestinationFunction and its Secret; - reads standard input
    file: PathBuf,
    /// ARN of the sidecars' base identity, which will assume the role: a role, a user, or an account's root
    #[arg(long, value_name = "ARN", value_parser = principal)]
    principal: Principal,
    /// Also allow sts:TagSession, for a base identity from EKS Pod Identity, whose session tags are transitive
    #[arg(long)]
    pod_identity: bool,
    /// External ID, if the file does not contain its Secret
    #[arg(long, value_name = "ID", value_parser = external_id)]
    external_id: Option<ExternalId>,
    /// Print only the JSON of one policy, for other programs
    #[arg(long, value_name = "POLICY")]
    only: Option<PolicyKind>,
}

/// The ARN of the principal that assumes the role.
#[derive(Clone)]
struct Principal {
    arn: String,
    partition: Partition,
}

#[derive(Clone, Copy, ValueEnum)]
enum PolicyKind {
    /// The trust policy: who may assume the role
    Trust,
    /// The permission policy: what the role may do
    Permissions,
}

/// Returns both policies with headings, or only one with `--only`; any problem is a usage error.
pub fn run(arguments: &Arguments) -> Outcome {
    match policies(arguments) {
        Ok(text) => Outcome::Done(text),
        Err(error) => Outcome::Usage(format!("{}: {error}", arguments.file.display())),
    }
}

fn policies(arguments: &Arguments) -> Result<String, String> {
    let manifest = Manifest::load(&arguments.file).map_err(|error| error.to_string())?;
    let document = manifest.function().map_err(|error| error.to_string())?;
    let function = function(document)?;
    let (spec, Principal { arn, partition }) = (&function.spec, &arguments.principal);
    let role = &spec.role_arn;
    if *partition != role.partition() {
        return Err(format!(
            "principal {arn} and roleArn {role} are in different partitions; a role can be assumed only within its partition"
        ));
    }
    let permission_policy = permissions(spec);
    if let Some(PolicyKind::Permissions) = arguments.only {
        return to_json(&permission_policy);
    }
    let id = match &arguments.external_id {
        _ if !requires_external_id(spec) => None,
        Some(id) => Some(id.clone()),
        None => Some(external_id_in(&manifest, document, &function)?),
    };
    let trust_policy = trust(arn, id.as_ref().map(ExternalId::reveal), arguments.pod_identity);
    if arguments.only.is_some() {
        return to_json(&trust_policy);
    }
    let (trust_policy, permission_policy) = (to_json(&trust_policy)?, to_json(&permission_policy)?);
    let (trust_notes, kms_notes) = (trust_notes(spec), kms_notes(KmsPermission::of(spec)));
    Ok(format!(
        "# Trust policy of {role}: only this principal may assume it{trust_notes}\n\n{trust_policy}\n\
         # Permission policy of {role}: what it may do{kms_notes}\n\n{permission_policy}"
    ))
}

/// The rest of the trust policy's heading: whether the policy requires the external ID, and what that means for the STS.
fn trust_notes(spec: &DestinationFunctionSpec) -> &'static str {
    match (spec.sts_store(), requires_external_id(spec)) {
        (None, _) => ", and only with the external ID",
        (Some(_), true) => {
            ", and only with the external ID.\n\
             # A store that ignores external IDs would refuse the role for good: for such a store, set\n\
             # spec.externalIdEnforcement: Warn. The policy then has no condition on sts:ExternalId."
        }
        (Some(_), false) => {
            ".\n\
             # It has no condition on sts:ExternalId, because the function accepts a store that ignores external IDs\n\
             # (spec.externalIdEnforcement: Warn)."
        }
    }
}

/// The rest of the permission policy's heading: why it has a permission for KMS, or none.
fn kms_notes(permission: KmsPermission<'_>) -> &'static str {
    match permission {
        KmsPermission::Key(_) => ".\n# kms:GenerateDataKey is for the key that encrypts the objects.",
        KmsPermission::AnyKeyOfS3 => {
            ".\n\
             # kms:GenerateDataKey is for a bucket that encrypts with a KMS key by default. It allows every key, but only\n\
             # through S3. With spec.s3.encryption: {type: S3}, it is not needed."
        }
        KmsPermission::S3ManagedKeys => ".\n# It needs no permission for KMS, because S3 manages the keys.",
        KmsPermission::OtherStore => {
            ".\n\
             # It has no permission for KMS, because spec.s3.endpoint is not AWS's, and stores refuse policies that name\n\
             # AWS's services."
        }
    }
}

fn function(document: &FunctionDocument) -> Result<DestinationFunction, String> {
    document.judge().map_err(|problems| {
        let first = problems.first().cloned().unwrap_or_default();
        let more = match problems.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more: see tributary check)"),
        };
        format!("{}: {first}{more}", document.name)
    })
}

fn external_id_in(
    manifest: &Manifest,
    document: &FunctionDocument,
    function: &DestinationFunction,
) -> Result<ExternalId, String> {
    let reference = &function.spec.external_id_secret_ref;
    let (name, key) = (&reference.name, &reference.key);
    let secret = manifest.secret(&document.namespace, name.as_str()).ok_or_else(|| {
        format!("the file has no Secret {name} in namespace {}: add it, or pass --external-id", document.namespace)
    })?;
    external_id_of(secret, key.as_str()).map_err(|error| format!("Secret {name}, key {key}: {error}"))
}

fn to_json(policy: &PolicyDocument) -> Result<String, String> {
    serde_json::to_string_pretty(policy).map(|json| json + "\n").map_err(|error| error.to_string())
}

fn principal(text: &str) -> Result<Principal, String> {
    let pattern = Regex::new(PRINCIPAL_PATTERN).map_err(|error| error.to_string())?;
    let (partition, rest) = text.strip_prefix("arn:").and_then(|arn| arn.split_once(':')).unwrap_or_default();
    match Partition::try_from(partition.to_owned()) {
        Ok(partition) if pattern.is_match(rest) => Ok(Principal { arn: text.to_owned(), partition }),
        _ => Err(
            "not the ARN of a role, a user or an account's root; write it like arn:aws:iam::123456789012:role/tributary"
                .to_owned(),
        ),
    }
}

fn external_id(text: &str) -> Result<ExternalId, String> {
    ExternalId::from_secret(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::principal;

    #[test]
    fn a_principal_is_a_role_a_user_or_an_account_root() {
        for valid in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:role/tributary",
            "arn:aws-us-gov:iam::123456789012:role/teams/data/tributary",
            "arn:aws-cn:iam::123456789012:user/a+b@c",
            "arn:aws-eusc:iam::123456789012:root",
            "arn:aws-iso-b:iam::123456789012:role/tributary",
        ] {
            assert!(principal(valid).is_ok(), "{valid}");
        }
        for invalid in [
            "*",
            "123456789012",
            "arn:aws-xx:iam::123456789012:root",
            "arn:aws:iam::123456789012:group/all",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:root",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:assumed-role/a/b",
        ] {
            assert!(principal(invalid).is_err(), "{invalid}");
        }
    }
}
