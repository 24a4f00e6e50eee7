//! Validates a function against the platform's policy and resource bounds. Pure.
//!
//! Admission policies do the same when a function is written. This covers functions that are older
//! than the policy, and clusters where the admission policies are not installed.

use tributary_crds::DestinationFunction;
use tributary_crds::conditions::Reason;
use tributary_crds::function::{Amounts, DestinationFunctionSpec};
use tributary_crds::memory::MemoryNeed;
use tributary_crds::values::{Endpoint, Quantity, SessionName};

use crate::function::FunctionRef;
use crate::platform::{Platform, SidecarTemplate};

/// Why the platform does not allow a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason of the condition `Accepted`.
    pub reason: Reason,
    /// Its message: the wrong value and the fix.
    pub message: String,
    /// The effect on the function's sidecars.
    pub effect: RefusalEffect,
}

/// The effect on the sidecars of a function that is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalEffect {
    /// They are stopped: they could reach resources that the namespace was not granted. The condition reports when they
    /// have ended.
    Stop,
    /// They keep running as last accepted; the function's changes are not applied, the platform's are.
    Freeze,
}

/// Checks everything that the platform restricts, including resources.
///
/// # Errors
/// The first violation.
pub fn check(function: &DestinationFunction, platform: &Platform) -> Result<(), Refusal> {
    check_reach(function, platform)?;
    resources(&function.spec, &platform.sidecar)
}

/// Checks role, unless grants are only audited, session name and endpoints.
///
/// # Errors
/// The first violation; its effect is always [`RefusalEffect::Stop`].
pub fn check_reach(function: &DestinationFunction, platform: &Platform) -> Result<(), Refusal> {
    let (spec, reference) = (&function.spec, FunctionRef::of(function));
    if !platform.policy.audits_grants() {
        role(spec, &reference.namespace, platform)?;
    }
    session_name(spec, &reference.namespace)?;
    endpoints(spec, &reference, platform)
}

fn role(spec: &DestinationFunctionSpec, namespace: &str, platform: &Platform) -> Result<(), Refusal> {
    if platform.policy.allows_role(namespace, &spec.role_arn) {
        return Ok(());
    }
    let message = format!(
        "roleArn \"{}\" is not among the roles that the platform grants to the namespace {namespace} ({}); \
         ask the platform's owner for the role, or name another",
        spec.role_arn,
        platform.policy.roles(namespace)
    );
    Err(Refusal { reason: Reason::RoleNotAllowed, message, effect: RefusalEffect::Stop })
}

/// Checks the role where grants are only audited, for a warning.
///
/// # Errors
/// The violation that enforced grants would refuse.
pub fn audit(function: &DestinationFunction, platform: &Platform) -> Result<(), Refusal> {
    if !platform.policy.audits_grants() {
        return Ok(());
    }
    role(&function.spec, &FunctionRef::of(function).namespace, platform)
}

/// The default is `NAMESPACE.NAME`, which identifies the function in CloudTrail. No namespace contains a dot.
fn session_name(spec: &DestinationFunctionSpec, namespace: &str) -> Result<(), Refusal> {
    let named = spec.session_name.as_ref().map(SessionName::as_str).unwrap_or_default();
    let own = format!("{namespace}.");
    if !named.contains('.') || named.starts_with(&own) {
        return Ok(());
    }
    let message = format!(
        "sessionName \"{named}\" would pass for a function of another namespace; leave out the dot, or begin with {own}"
    );
    Err(Refusal { reason: Reason::SessionNameNotAllowed, message, effect: RefusalEffect::Stop })
}

fn endpoints(spec: &DestinationFunctionSpec, reference: &FunctionRef, platform: &Platform) -> Result<(), Refusal> {
    let named = [
        ("s3.endpoint", spec.s3.endpoint.as_ref()),
        ("sts.endpoint", spec.sts.as_ref().and_then(|sts| sts.endpoint.as_ref())),
    ];
    let is_refused = |endpoint: &Endpoint| !platform.policy.allows_endpoint(reference, endpoint);
    for (field, endpoint) in named {
        if let Some(endpoint) = endpoint.filter(|endpoint| is_refused(endpoint)) {
            let message = format!(
                "{field} \"{endpoint}\" is not among the endpoints that the platform allows; \
                 leave it out to use AWS, or ask the platform's owner to allow it (policy.allowedEndpoints)"
            );
            return Err(Refusal { reason: Reason::EndpointNotAllowed, message, effect: RefusalEffect::Stop });
        }
    }
    Ok(())
}

/// Checks the platform's maxima, that no request exceeds its limit (Kubernetes' own message is worse), and that the
/// memory limit suffices for the sidecar's budgets.
fn resources(spec: &DestinationFunctionSpec, template: &SidecarTemplate) -> Result<(), Refusal> {
    let refusal =
        |message| Err(Refusal { reason: Reason::ResourcesOutOfBounds, message, effect: RefusalEffect::Freeze });
    let max = &template.max_resources;
    let given = template.resources(spec.resources.as_ref());
    let of = |amounts: &Option<Amounts>, pick: fn(&Amounts) -> Option<&Quantity>| -> Option<Quantity> {
        amounts.as_ref().and_then(pick).cloned()
    };
    let cpu: fn(&Amounts) -> Option<&Quantity> = |amounts| amounts.cpu.as_ref();
    let memory: fn(&Amounts) -> Option<&Quantity> = |amounts| amounts.memory.as_ref();
    for (name, pick, max) in [("cpu", cpu, &max.cpu), ("memory", memory, &max.memory)] {
        let (request, limit) = (of(&given.requests, pick), of(&given.limits, pick));
        for (what, amount) in [("requests", &request), ("limits", &limit)] {
            if let Some((amount, max)) = amount.as_ref().zip(max.as_ref()).filter(|(amount, max)| exceeds(amount, max))
            {
                return refusal(format!(
                    "resources.{what}.{name} is {amount}, and the platform gives a sidecar at most {max}; ask for less"
                ));
            }
        }
        if let Some((request, limit)) = request.zip(limit).filter(|(request, limit)| exceeds(request, limit)) {
            return refusal(format!(
                "resources.requests.{name} is {request}, which is over resources.limits.{name}, {limit}; raise the limit \
                 or ask for less"
            ));
        }
    }
    let limit = of(&given.limits, memory);
    match limit.and_then(|limit| MemoryNeed::of(spec).refusal(&limit)) {
        Some(message) => refusal(message),
        None => Ok(()),
    }
}

fn exceeds(amount: &Quantity, max: &Quantity) -> bool {
    amount.thousandths() > max.thousandths()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLATFORM: &str = "
        sidecar:
          image: i
          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}
          maxResources: {cpu: 2, memory: 1Gi}
        policy:
          allowedEndpoints: ['https://minio.storage.svc:9000']
          grants: {namespaces: {shop: {roleArns: ['arn:aws:iam::123456789012:role/shop-*']}}}
    ";

    /// Checks a function with these fields in its spec.
    fn checked(fields: &Value) -> Result<(), Refusal> {
        checked_by(&serde_yaml::from_str(PLATFORM).unwrap(), fields)
    }

    fn checked_by(platform: &Platform, fields: &Value) -> Result<(), Refusal> {
        check(&function(fields), platform)
    }

    fn function(fields: &Value) -> DestinationFunction {
        let mut spec = json!({
            "roleArn": "arn:aws:iam::123456789012:role/shop-orders",
            "externalIdSecretRef": {"name": "orders-lake"},
            "s3": {"bucket": "orders-lake", "region": "us-west-2"},
        });
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let function = json!({
            "apiVersion": "tributary.dev/v1alpha1",
            "kind": "DestinationFunction",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": spec,
        });
        serde_json::from_value(function).unwrap()
    }

    fn at(endpoint: &str) -> Value {
        json!({"bucket": "orders-lake", "region": "us-west-2", "endpoint": endpoint})
    }

    #[test]
    fn an_allowed_function_is_accepted() {
        for fields in [
            json!({}),
            json!({"s3": at("https://minio.storage.svc:9000")}),
            json!({"resources": {"limits": {"cpu": "2", "memory": "1024Mi"}}}),
            // Exactly the memory that the sidecar needs.
            json!({"resources": {"limits": {"memory": "136Mi"}}}),
            json!({"delivery": {"mode": "Batch"}}),
            json!({"paused": true}),
            json!({"sessionName": "orders"}),
            json!({"sessionName": "shop.anything"}),
            // A request above the default limit raises it.
            json!({"resources": {"requests": {"memory": "512Mi"}}, "delivery": large_batches()}),
        ] {
            assert_eq!(checked(&fields), Ok(()), "{fields}");
        }
    }

    fn large_batches() -> Value {
        json!({"mode": "Batch", "batch": {"maxBytes": "64Mi", "compression": "none"}})
    }

    #[test]
    fn audited_grants_are_reported_but_not_enforced() {
        let mut platform: Value = serde_yaml::from_str(PLATFORM).unwrap();
        let other = json!({"roleArn": "arn:aws:iam::123456789012:role/other"});
        let audited = |platform: &Value, fields: &Value| {
            let platform: Platform = serde_json::from_value(platform.clone()).unwrap();
            (checked_by(&platform, fields), audit(&function(fields), &platform).map_err(|refusal| refusal.reason))
        };
        assert!(matches!(audited(&platform, &other), (Err(_), Ok(()))));
        platform["policy"]["grantsMode"] = json!("Audit");
        assert_eq!(audited(&platform, &other), (Ok(()), Err(Reason::RoleNotAllowed)));
        assert_eq!(audited(&platform, &json!({})), (Ok(()), Ok(())));
        // Endpoints are not part of the grants.
        assert!(audited(&platform, &json!({"s3": at("https://evil.example.com")})).0.is_err());
    }

    #[test]
    fn without_any_limit_nothing_is_too_large() {
        let mut platform: Platform = serde_yaml::from_str(PLATFORM).unwrap();
        platform.sidecar.resources.limits = None;
        assert_eq!(checked_by(&platform, &json!({"delivery": large_batches()})), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_wrong_value() {
        use Reason::{EndpointNotAllowed, ResourcesOutOfBounds, RoleNotAllowed, SessionNameNotAllowed};
        for (fields, reason, effect, part) in [
            (
                json!({"roleArn": "arn:aws:iam::123456789012:role/other"}),
                RoleNotAllowed,
                RefusalEffect::Stop,
                "role/other\" is not among the roles that the platform grants to the namespace shop (arn:aws:iam::123456789012:role/shop-*)",
            ),
            (
                json!({"sessionName": "bank.payments"}),
                SessionNameNotAllowed,
                RefusalEffect::Stop,
                "sessionName \"bank.payments\" would pass for a function of another namespace; leave out the dot, or begin with \
                 shop.",
            ),
            (
                json!({"s3": at("https://evil.example.com")}),
                EndpointNotAllowed,
                RefusalEffect::Stop,
                "s3.endpoint \"https://evil.example.com\"",
            ),
            (
                json!({"sts": {"endpoint": "https://evil.example.com"}}),
                EndpointNotAllowed,
                RefusalEffect::Stop,
                "sts.endpoint \"https://evil.example.com\"",
            ),
            (
                json!({"resources": {"limits": {"cpu": "2500m"}}}),
                ResourcesOutOfBounds,
                RefusalEffect::Freeze,
                "resources.limits.cpu is 2500m, and the platform gives a sidecar at most 2",
            ),
            (
                json!({"resources": {"requests": {"memory": "512Mi"}, "limits": {"memory": "256Mi"}}}),
                ResourcesOutOfBounds,
                RefusalEffect::Freeze,
                "is 512Mi, which is over resources.limits.memory, 256Mi",
            ),
            (
                json!({"resources": {"limits": {"memory": "16Mi"}}}),
                ResourcesOutOfBounds,
                RefusalEffect::Freeze,
                "a memory limit of 16Mi is too small: the function needs 136Mi: 24Mi for the process",
            ),
            // The platform's default limit counts too.
            (
                json!({"delivery": large_batches()}),
                ResourcesOutOfBounds,
                RefusalEffect::Freeze,
                "raise spec.resources.limits.memory to at least 344Mi, or lower spec.delivery.batch.maxBytes",
            ),
            // A pause does not keep a function from being stopped.
            (
                json!({"paused": true, "sts": {"endpoint": "https://evil.example.com"}}),
                EndpointNotAllowed,
                RefusalEffect::Stop,
                "sts.endpoint",
            ),
        ] {
            let refusal = checked(&fields).unwrap_err();
            assert_eq!((refusal.reason, refusal.effect), (reason, effect), "{fields}");
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }
}
