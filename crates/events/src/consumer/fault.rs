//! Whose fault an error of the database is.

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's: the fence refused, the capability is being switched.
    Fence,
    /// The database's or the program's: it would meet every event alike.
    Database,
    /// The event's.
    Event,
}

/// Classes and states after which the same statement may succeed, or would fail for every event
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>): connection, rollback by conflict,
/// syntax and rights, resources, intervention, system; read-only, lock not available, cancelled.
const NOT_THE_EVENTS: [&str; 11] =
    ["08", "28", "40", "42", "53", "55", "57", "58", "25", "3D", "XX"];

pub fn of(error: &sqlx::Error) -> Fault {
    if ficus_pg::fenced(error).is_some() {
        let poison = ficus_process::fault::planted("fence-is-poison");
        return if poison { Fault::Event } else { Fault::Fence };
    }
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            let database = NOT_THE_EVENTS.iter().any(|class| code.starts_with(class));
            if database { Fault::Database } else { Fault::Event }
        }
        sqlx::Error::RowNotFound
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. } => Fault::Event,
        _ => Fault::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_missing_is_the_events_fault_and_a_closed_pool_is_not() {
        assert_eq!(of(&sqlx::Error::RowNotFound), Fault::Event);
        assert_eq!(of(&sqlx::Error::PoolTimedOut), Fault::Database);
    }
}
