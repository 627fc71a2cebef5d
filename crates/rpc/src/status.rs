//! Errors in gRPC: the kind is the status code, the stable code an `ErrorInfo` reason
//! (<https://google.aip.dev/193>).

use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt};

use crate::{Error, FENCED, Kind};

const DOMAIN: &str = "ficus";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let details = ErrorDetails::with_error_info(error.code.as_ref(), DOMAIN, []);
        let mut status =
            Self::with_error_details(grpc_code(&error.kind), error.detail.as_str(), details);
        if let Kind::Fenced { capability, epoch } = &error.kind
            && let Ok(value) = MetadataValue::try_from(format!("{capability} {epoch}"))
        {
            status.metadata_mut().insert(FENCED, value);
        }
        status
    }
}

impl Error {
    /// The error that a service answered. A status without a stable code, as a broken connection gives,
    /// gets one by its kind; its message may name inside addresses and is not passed on.
    pub fn from_status(status: &Status) -> Self {
        if let Some((capability, epoch)) = fenced(status) {
            return Self::fenced(capability, epoch);
        }
        match own(status) {
            Some(info) => Self {
                kind: kind(status.code()),
                code: info.reason.into(),
                detail: status.message().to_owned(),
            },
            None => plain(status.code()),
        }
    }

    /// Whether a status is one of these errors on its way, and not the word of a connection, a proxy or somebody else.
    pub fn is_told_by(status: &Status) -> bool {
        fenced(status).is_some() || own(status).is_some()
    }
}

fn own(status: &Status) -> Option<ErrorInfo> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN)
}

fn fenced(status: &Status) -> Option<(String, i64)> {
    let value = status.metadata().get(FENCED)?.to_str().ok()?;
    let (capability, epoch) = value.split_once(' ')?;
    Some((capability.to_owned(), epoch.parse().ok()?))
}

fn plain(code: Code) -> Error {
    match kind(code) {
        Kind::Unauthenticated => Error::unauthenticated(),
        Kind::Deadline => Error::deadline("deadline", "failed to answer in time; try again"),
        Kind::Unavailable => {
            Error::unavailable("unavailable", "failed to reach the owner; try again")
        }
        Kind::TooLarge => Error::too_large("too_large", "send less at a time"),
        Kind::Invalid => Error::invalid("bad_request", "failed to understand the request"),
        Kind::NotFound => Error::not_found("not_found", "there is no such thing"),
        _ => Error::internal(),
    }
}

fn grpc_code(kind: &Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Forbidden => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::TooLarge => Code::ResourceExhausted,
        Kind::Unprocessable => Code::FailedPrecondition,
        Kind::Fenced { .. } | Kind::Unavailable => Code::Unavailable,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Internal => Code::Internal,
    }
}

fn kind(code: Code) -> Kind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::PermissionDenied => Kind::Forbidden,
        Code::NotFound => Kind::NotFound,
        Code::AlreadyExists | Code::Aborted => Kind::Conflict,
        Code::ResourceExhausted => Kind::TooLarge,
        Code::FailedPrecondition => Kind::Unprocessable,
        Code::Unavailable => Kind::Unavailable,
        Code::DeadlineExceeded | Code::Cancelled => Kind::Deadline,
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        for error in [
            Error::invalid("bad_page_token", "take page_token from an answer"),
            Error::unauthenticated(),
            Error::forbidden("not_a_member", "ask an owner"),
            Error::not_found("not_found", "there is no such notification"),
            Error::conflict("email_taken", "sign in instead"),
            Error::too_large("too_large", "send less"),
            Error::unprocessable("idempotency_key_reused", "use a new key"),
            Error::unavailable("busy", "try again"),
            Error::deadline("deadline", "try again"),
            Error::fenced("notifications", 4),
            Error::internal(),
        ] {
            assert_eq!(Error::from_status(&Status::from(error.clone())), error);
        }
    }

    #[test]
    fn a_broken_connection_names_no_address() {
        let error = Error::from_status(&Status::unavailable("tcp connect error 10.0.0.7:8231"));
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(!error.detail.contains("10.0.0.7"));
    }
}
