//! Manifests, and the verdict of kubectl with the API server, which `tributary check` must give too.

/// A manifest and its verdict.
pub struct Case {
    pub name: &'static str,
    /// The bytes of the file.
    pub file: Vec<u8>,
    pub verdict: Verdict,
}

pub enum Verdict {
    /// The API server stores these values of the function, given by JSON pointer and as JSON. `check` prints ok and this
    /// note.
    Accepted { values: &'static [(&'static str, &'static str)], note: &'static str },
    /// The messages contain these parts.
    Refused { kubectl: &'static str, check: &'static str },
}

const FUNCTION: &str = "\
apiVersion: tributary.dev/v1alpha1
kind: DestinationFunction
metadata:
  name: orders
spec:
  roleArn: arn:aws:iam::123456789012:role/my-secure-role
  externalIdSecretRef:
    name: orders-lake
  s3:
    bucket: my-bucket
    region: us-west-2
";
/// The same in JSON, without the last brace.
const JSON: &str = r#"{"apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction",
 "spec": {"roleArn": "arn:aws:iam::123456789012:role/my-secure-role", "externalIdSecretRef": {"name": "orders-lake"},
  "s3": {"bucket": "my-bucket", "region": "us-west-2"}},
 "metadata": {"name": "orders""#;
const SECRET: &str = "\
---
apiVersion: v1
kind: Secret
metadata:
  name: orders-lake
";
const NOT_A_STRING: &str = "must be of type string";

/// All cases.
pub fn cases() -> Vec<Case> {
    [values(), texts_without_quotes(), secrets(), files(), mistakes()].into_iter().flatten().collect()
}

/// The function, with text after its last field, which is in `spec.s3`.
pub fn with(text: &str) -> String {
    format!("{FUNCTION}{text}")
}

/// The function, with text after its name, in its metadata.
fn with_metadata(text: &str) -> String {
    FUNCTION.replace("  name: orders\n", &format!("  name: orders\n{text}"))
}

fn accepted(name: &'static str, file: impl Into<Vec<u8>>, values: &'static [(&'static str, &'static str)]) -> Case {
    noted(name, file, values, "")
}

fn noted(
    name: &'static str,
    file: impl Into<Vec<u8>>,
    values: &'static [(&'static str, &'static str)],
    note: &'static str,
) -> Case {
    Case { name, file: file.into(), verdict: Verdict::Accepted { values, note } }
}

fn refused(name: &'static str, file: impl Into<Vec<u8>>, kubectl: &'static str, check: &'static str) -> Case {
    Case { name, file: file.into(), verdict: Verdict::Refused { kubectl, check } }
}

/// Values that are not text, as people write them.
fn values() -> Vec<Case> {
    vec![
        accepted("a truth value in words", with("  paused: yes\n"), &[("/spec/paused", "true")]),
        accepted("a truth value of one letter", with("  paused: n\n"), &[("/spec/paused", "false")]),
        refused(
            "a truth value in quotes",
            with("  paused: \"yes\"\n"),
            "must be of type boolean",
            "spec.paused: must be of type boolean: \"string\"",
        ),
        accepted("an octal number", with("  replicas: 010\n"), &[("/spec/replicas", "8")]),
        accepted("a number that is not octal", with("  replicas: 08\n"), &[("/spec/replicas", "8")]),
        accepted("a hexadecimal number", with("  replicas: 0x1f\n"), &[("/spec/replicas", "31")]),
        accepted("a number with an exponent", with("  replicas: 1e1\n"), &[("/spec/replicas", "10")]),
        accepted("a number with underscores", with("  replicas: 1_0\n"), &[("/spec/replicas", "10")]),
        accepted("a number after a tab", with("  replicas:\t2\n"), &[("/spec/replicas", "2")]),
        accepted(
            "a memory limit as a number",
            with("  resources: {limits: {memory: 0x10000000}}\n"),
            &[("/spec/resources/limits/memory", "268435456")],
        ),
        refused(
            "a fraction",
            with("  replicas: 1.5\n"),
            "must be of type integer",
            "must be of type integer: \"number\"",
        ),
        accepted(
            "a null",
            with("  sessionName: ~\n  paused: null\n  replicas:\n"),
            &[("/spec/s3/bucket", "\"my-bucket\"")],
        ),
        accepted(
            "a merge key replaces what is before it",
            with_metadata("  labels: &labels {a: x, b: x}\n  annotations: {a: old, <<: *labels, b: new}\n"),
            &[("/metadata/annotations", r#"{"a": "x", "b": "new"}"#)],
        ),
        accepted(
            "merge keys with a tag and with a list",
            with_metadata("  labels: &a {a: x, b: x}\n  annotations:\n    !!merge <<: [*a, {b: z, c: z}]\n"),
            &[("/metadata/annotations", r#"{"a": "x", "b": "x", "c": "z"}"#)],
        ),
        refused(
            "a merge key in quotes, which is a key",
            with_metadata("  annotations: {\"<<\": {a: b}}\n"),
            "",
            "metadata.annotations.<<: must be of type string: \"object\"",
        ),
        accepted(
            "text that YAML 1.1 reads as a time or a number to the base of 60",
            with_metadata("  annotations: {day: 2026-01-01, time: 12:30:45, version: 1.5.2}\n"),
            &[("/metadata/annotations", r#"{"day": "2026-01-01", "time": "12:30:45", "version": "1.5.2"}"#)],
        ),
        accepted(
            "text with a tag",
            with("    expectedBucketOwner: !!str 020222070707\n"),
            &[("/spec/s3/expectedBucketOwner", "\"020222070707\"")],
        ),
    ]
}

/// Text that is something else, because it has no quotes.
fn texts_without_quotes() -> Vec<Case> {
    vec![
        accepted(
            "an account in quotes",
            with("    expectedBucketOwner: \"020222070707\"\n"),
            &[("/spec/s3/expectedBucketOwner", "\"020222070707\"")],
        ),
        refused(
            "an account that is an octal number",
            with("    expectedBucketOwner: 020222070707\n"),
            "expectedBucketOwner in body must be of type string",
            "spec.s3.expectedBucketOwner: must be of type string: \"integer\"; line 12 column 26: kubectl reads \
             020222070707 as the number 2185785799; put quotes around it: expectedBucketOwner: \"020222070707\"",
        ),
        refused(
            "an account that is no octal number",
            with("    expectedBucketOwner: 098765432109\n"),
            NOT_A_STRING,
            "kubectl reads 098765432109 as the number 98765432109; put quotes around it",
        ),
        refused(
            "a session name that is a truth value",
            with("  sessionName: yes\n"),
            NOT_A_STRING,
            "spec.sessionName: must be of type string: \"boolean\"; line 12 column 16: kubectl reads yes as true; put \
             quotes around it: sessionName: \"yes\"",
        ),
        refused(
            "a session name with an exponent",
            with("  sessionName: 12e3\n"),
            NOT_A_STRING,
            "kubectl reads 12e3 as the number 12000; put quotes around it: sessionName: \"12e3\"",
        ),
        refused(
            "tags that are no text",
            with("    tags: {pii: no, cost-center: 0042}\n"),
            NOT_A_STRING,
            "spec.s3.tags.pii: must be of type string: \"boolean\"; line 12 column 17: kubectl reads no as false; put \
             quotes around it: pii: \"no\"",
        ),
        refused(
            "an item of a list",
            with("  events:\n    names:\n    - Order *\n    - on\n"),
            NOT_A_STRING,
            "spec.events.names[1]: must be of type string: \"boolean\"; line 15 column 7: kubectl reads on as true; put \
             quotes around it: \"on\"",
        ),
        refused(
            "a label",
            with_metadata("  labels: {example.com/v: 1.10}\n"),
            "cannot unmarshal number",
            "metadata.labels.example.com/v: must be of type string: \"number\"; line 5 column 27: kubectl reads 1.10 as \
             the number 1.1; put quotes around it: example.com/v: \"1.10\"",
        ),
        refused(
            "a name",
            FUNCTION.replace("name: orders\n", "name: 0123\n"),
            "",
            "metadata.name: must be of type string: \"integer\"; line 4 column 9: kubectl reads 0123 as the number 83; put \
             quotes around it: name: \"0123\"",
        ),
        noted(
            "a key",
            with("    tags: {no: x, 1.10: z}\n"),
            &[("/spec/s3/tags", r#"{"false": "x", "1.1": "z"}"#)],
            "note: line 12 column 12: kubectl reads the key no as \"false\"; to keep it, put quotes around it: \"no\"",
        ),
    ]
}

/// Secrets in the function's file. No message shows a value.
fn secrets() -> Vec<Case> {
    let secret = |data: &str| format!("{FUNCTION}{SECRET}{data}");
    vec![
        accepted("an external ID in quotes", secret("stringData: {externalId: \"012345678901\"}\n"), &[]),
        refused(
            "an external ID that is a number",
            secret("stringData:\n  externalId: 012345678901\n"),
            "cannot unmarshal number",
            "Secret orders-lake: stringData.externalId: line 18 column 15: kubectl reads it as a number, not as text; put \
             quotes around it: externalId: \"…\"",
        ),
        refused(
            "an external ID that is a truth value",
            secret("stringData: {externalId: on}\n"),
            "cannot unmarshal bool",
            "stringData.externalId: line 17 column 26: kubectl reads it as true or false, not as text",
        ),
        refused(
            "base64 that is a number",
            secret("data: {externalId: 12345678}\n"),
            "cannot unmarshal number",
            "data.externalId: line 17 column 20: kubectl reads it as a number",
        ),
        refused(
            "a Secret's label",
            secret("  labels: {team: on}\nstringData: {externalId: abc}\n"),
            "cannot unmarshal bool",
            "Secret orders-lake: metadata.labels.team: line 17 column 18: kubectl reads on as true; put quotes around \
             it: team: \"on\"",
        ),
        accepted("a Secret's truth value", secret("immutable: yes\nstringData: {externalId: abc}\n"), &[]),
    ]
}

/// Encodings, line ends, separators, lists and JSON.
fn files() -> Vec<Case> {
    const REPLICAS: &[(&str, &str)] = &[("/spec/replicas", "8")];
    let octal = with("  replicas: 010\n");
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| format!("\u{FEFF}{text}").encode_utf16().flat_map(bytes).collect();
    let (le, be): (Vec<u8>, Vec<u8>) = (utf16(&octal, u16::to_le_bytes), utf16(&octal, u16::to_be_bytes));
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
    let in_list = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>().replacen(' ', "-", 1);
    vec![
        accepted("a byte order mark", format!("\u{FEFF}{octal}"), REPLICAS),
        accepted("a byte order mark in each document", format!("\u{FEFF}{other}---\n\u{FEFF}{octal}"), REPLICAS),
        accepted("UTF-16 of PowerShell", le, REPLICAS),
        accepted("UTF-16 with the high byte first", be, REPLICAS),
        accepted("bytes that are not UTF-8", [b"# caf\xE9\n", octal.as_bytes()].concat(), REPLICAS),
        accepted("line ends of Windows", octal.replace('\n', "\r\n"), REPLICAS),
        accepted("no line end at the end", octal.trim_end(), REPLICAS),
        accepted("empty documents", format!("---\n---\n# a\n---\n\n---\n{octal}---\n"), REPLICAS),
        accepted("separators with comments", format!("--- # settings\n{other}---   # function\n{octal}"), REPLICAS),
        accepted("separators of Windows", format!("{other}---\r\n{octal}"), REPLICAS),
        refused(
            "text after a separator",
            format!("{other}--- {{a: b}}\n"),
            "invalid Yaml document separator",
            "line 4 column 4: kubectl refuses text after ---; move it to the next line",
        ),
        refused(
            "a directive",
            format!("%YAML 1.1\n---\n{octal}"),
            "did not find expected <document start>",
            "document 1, line 1 column 1: kubectl refuses directives such as %YAML; remove the line",
        ),
        noted(
            "a document after three dots",
            format!("{octal}...\n{other}"),
            REPLICAS,
            "note: line 13 column 1: kubectl ignores what follows here; write --- between documents",
        ),
        accepted("a list", format!("apiVersion: v1\nkind: List\nitems:\n{}", in_list(&octal)), REPLICAS),
        refused(
            "a value in a list",
            format!("apiVersion: v1\nkind: List\nitems:\n{}", in_list(&with("    expectedBucketOwner: 1\n"))),
            NOT_A_STRING,
            "line 15 column 28: kubectl reads 1 as the number 1; put quotes around it: expectedBucketOwner: \"1\"",
        ),
        accepted("JSON", format!("{JSON}}}}}"), &[("/spec/s3/bucket", "\"my-bucket\"")]),
        accepted(
            "JSON with escapes that YAML does not have",
            format!("\n{JSON}, \"annotations\": {{\"a\": \"\\ud83d\\ude00\"}}}}}}"),
            &[("/metadata/annotations/a", "\"😀\"")],
        ),
        accepted("YAML in braces", format!("{JSON}, labels: {{a: b}}}}}}"), &[("/metadata/labels/a", "\"b\"")]),
        accepted(
            "JSON, then YAML",
            format!(
                "{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {{\"name\": \"a\"}}}}\n---\n{octal}"
            ),
            REPLICAS,
        ),
    ]
}

/// Mistakes in the syntax, each with its place and a remedy.
fn mistakes() -> Vec<Case> {
    let second =
        |text: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\n---\n{}", with(text));
    vec![
        refused(
            "a tab for indentation",
            second("\treplicas: 1\n"),
            "found a tab character that violates indentation",
            "document 2, line 16 column 1: found a tab character that violates indentation, while scanning a plain scalar \
             at line 15 column 13; indent with spaces instead of tabs",
        ),
        refused(
            "a tab for indentation after a key",
            second("  delivery:\n\tmode: Batch\n"),
            "found character that cannot start any token",
            "document 2, line 17 column 1: found character that cannot start any token, while scanning for the next token; \
             indent with spaces instead of tabs",
        ),
        refused(
            "wrong indentation",
            second("   replicas: 1\n"),
            "did not find expected key",
            "document 2, line 16 column 4: did not find expected key",
        ),
        refused(
            "a quote that is not closed",
            second("  sessionName: 'a\n"),
            "found unexpected end of stream",
            "found unexpected end of stream, while scanning a quoted scalar at line 16 column 16; close the quotes",
        ),
        refused(
            "a list that is not closed",
            second("  events: {types: [track}\n"),
            "did not find expected ',' or ']'",
            "put commas between the items of the list, and ] after them",
        ),
        refused(
            "a value with a colon",
            second("  sessionName: a: b\n"),
            "mapping values are not allowed in this context",
            "document 2, line 16 column 17: mapping values are not allowed in this context; check the indentation, and put \
             quotes around a value that contains a colon",
        ),
        refused(
            "a number that JSON does not have",
            second("  replicas: .inf\n"),
            "unsupported value: +Inf",
            "document 2, line 16 column 13: kubectl refuses .nan and .inf",
        ),
        refused(
            "a key that is a null",
            second("  ~: 1\n"),
            "unsupported map key",
            "document 2, line 16 column 3: kubectl refuses a key that is not text; put quotes around the key",
        ),
        refused(
            "an unknown anchor",
            second("  paused: *a\n"),
            "unknown anchor",
            "document 2, line 16 column 11: unknown anchor",
        ),
        noted(
            "a duplicate key",
            second("  replicas: 2\n  replicas: 3\n"),
            &[("/spec/replicas", "3")],
            "note: line 17 column 3: the key replicas appears twice in its mapping, and kubectl uses only the last value; \
             remove one",
        ),
    ]
}
