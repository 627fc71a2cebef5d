//! What the fence says when it refuses a write.

/// The state of a refused write. The standard leaves classes from I on to implementations.
pub const FENCED_SQLSTATE: &str = "ZF001";

/// This database does not own the capability (any more, or yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    pub capability: String,
    /// The epoch that the database knows.
    pub epoch: i64,
}

/// The fence's refusal, if that is what the error is. The transaction that met it is gone.
pub fn fenced(error: &sqlx::Error) -> Option<Fenced> {
    let error = error.as_database_error()?;
    if error.code()? != FENCED_SQLSTATE {
        return None;
    }
    let detail =
        error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|e| e.detail());
    Some(parse(detail.unwrap_or_default()))
}

/// `capability=… epoch=…`, as the fence's trigger writes it.
fn parse(detail: &str) -> Fenced {
    let field = |name: &str| {
        detail.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    Fenced {
        capability: field("capability").unwrap_or_default().to_owned(),
        epoch: field("epoch").and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_names_capability_and_epoch() {
        assert_eq!(
            parse("capability=notifications epoch=7"),
            Fenced { capability: "notifications".to_owned(), epoch: 7 }
        );
    }
}
