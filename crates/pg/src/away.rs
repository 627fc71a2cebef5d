//! A database that is away, told from one that refuses.

/// Whether the statement met no database that could do it: no connection, none free, or one that its server has ended,
/// as it does when it is stopped (SQLSTATE class 57P), has lost it (08), or takes no more of them (53300). Of a commit
/// it says nothing: that may have happened.
pub fn away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "53300"
        }),
        _ => false,
    }
}
