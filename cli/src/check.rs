//! `tributary check`: validates the functions of a file as the API server does, without a cluster.

use std::path::PathBuf;

use tributary_crds::DestinationFunction;
use tributary_crds::memory::{CHART_MEMORY_LIMIT, MemoryNeed};
use tributary_crds::values::Quantity;

use crate::Outcome;
use crate::manifest::{FunctionDocument, Manifest};
use crate::secret_check::{self, MissingSecret};

/// Checks the functions in files as `kubectl apply` would, without a cluster.
///
/// Reads the files as kubectl does: without quotes, yes is true, 010 is 8, and an account ID can be a number.
/// Checks every field against the resource's schema and validation rules, and the memory limit (by default, the
/// chart's) against the memory that the sidecar needs. If a function's Secrets are in the same file, checks their keys
/// and the external ID too.
#[derive(clap::Args)]
#[command(after_help = "\
Prints one line per problem, or ok, and notes on probable mistakes that kubectl accepts; exits with 1 if there is a problem, and with 64 if a file can't be
read or parsed, after checking the others. Objects of other kinds are skipped.

Examples:
  tributary check function.yaml
  tributary check functions/*.yaml
  kustomize build | tributary check -")]
pub struct Arguments {
    /// YAML files with DestinationFunctions and, optionally, their Secrets; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Checks every function and Secret in the files. The output is `ok` or one line per problem for each function, and one
/// line for each invalid Secret; fails if there is a problem.
/// A file that can't be read or parsed does not stop the check of the others.
pub fn run(arguments: &Arguments) -> Outcome {
    let (mut lines, mut all_valid, mut errors) = (String::new(), true, Vec::new());
    for path in &arguments.files {
        let file = path.display();
        let manifest = match Manifest::load(path) {
            Ok(manifest) => manifest,
            Err(error) => {
                errors.push(format!("{file}: {error}"));
                continue;
            }
        };
        for function in &manifest.functions {
            let (problems, notes) = problems(&manifest, function);
            all_valid &= problems.is_empty();
            let messages = if problems.is_empty() { vec!["ok".to_owned()] } else { problems };
            for line in messages.into_iter().chain(notes) {
                lines.push_str(&format!("{file}: {}: {line}\n", function.name));
            }
        }
        all_valid &= manifest.invalid_secrets.is_empty();
        for invalid in &manifest.invalid_secrets {
            lines.push_str(&format!("{file}: {invalid}\n"));
        }
        if !manifest.skipped.is_empty() {
            lines.push_str(&format!("{file}: skipped: {}\n", manifest.skipped.join(", ")));
        }
    }
    match (errors.is_empty(), all_valid) {
        (false, _) => Outcome::Incomplete { text: lines, errors },
        (true, true) => Outcome::Done(lines),
        (true, false) => Outcome::Failed(lines),
    }
}

/// The function's problems, and notes on what is accepted or was not checked.
fn problems(manifest: &Manifest, document: &FunctionDocument) -> (Vec<String>, Vec<String>) {
    let namespace = &document.namespace;
    let mut notes: Vec<_> = document.notes().map(|note| format!("note: {note}")).collect();
    match document.judge() {
        Ok(function) => {
            let mut problems = secret_check::problems(manifest, namespace, &function, MissingSecret::Allowed);
            problems.extend(memory_problem(&function));
            notes.extend(secret_check::unchecked(manifest, namespace, &function));
            (problems, notes)
        }
        Err(problems) => (problems, notes),
    }
}

/// The error if the sidecar needs more memory than its limit, in the operator's words. Assumes a platform with the
/// chart's defaults.
fn memory_problem(function: &DestinationFunction) -> Option<String> {
    let need = MemoryNeed::of(&function.spec);
    let resources = function.spec.resources.as_ref();
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.memory.clone());
    if let Some(limit) = limit {
        return need.refusal(&limit);
    }
    let default = Quantity::Text(CHART_MEMORY_LIMIT.to_owned());
    // The operator raises the default limit to the memory request.
    let request = resources.and_then(|resources| resources.requests.as_ref()?.memory.clone());
    let request = request.filter(|request| request.thousandths() > default.thousandths());
    let (limit, source) = match request {
        Some(request) => (request, "spec.resources.requests.memory, which is then the limit too"),
        None => (default, "the chart's default"),
    };
    let message = need.refusal(&limit)?;
    Some(format!("spec.resources.limits.memory is not set; with {source}: {message}"))
}
