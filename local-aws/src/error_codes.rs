//! Maps the error codes of S3 and STS to HTTP statuses.

use hyper::StatusCode;
use s3s::S3ErrorCode;

use crate::calls::Service;

/// The status that AWS gives an error; `None` if `code` is not one of the service's.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
pub(crate) fn status_of(service: Service, code: &str) -> Option<StatusCode> {
    if service == Service::S3 {
        return match code {
            "XAmzContentSHA256Mismatch" => Some(StatusCode::BAD_REQUEST),
            _ => S3ErrorCode::from_bytes(code.as_bytes())?.status_code(),
        };
    }
    Some(match code {
        "AccessDenied"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "RegionDisabledException"
        | "SignatureDoesNotMatch" => StatusCode::FORBIDDEN,
        "ExpiredTokenException"
        | "IDPCommunicationError"
        | "IDPRejectedClaim"
        | "IncompleteSignature"
        | "InvalidAction"
        | "InvalidIdentityToken"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "Throttling"
        | "ValidationError" => StatusCode::BAD_REQUEST,
        "InternalFailure" => StatusCode::INTERNAL_SERVER_ERROR,
        "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => return None,
    })
}
