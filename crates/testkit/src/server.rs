//! The servers that tests are given.

/// A PostgreSQL server. Sides of a move are on two of them; a move between two databases of one would prove little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    First,
    Second,
    /// Flushes what a commit asks for and else as late as it can. Tests kill it: only for who holds
    /// [`crate::Killable`].
    Killable,
}

impl Server {
    /// Where its superuser connects, database `postgres`.
    pub fn url(self) -> String {
        given(match self {
            Self::First => "FICUS_TEST_POSTGRES",
            Self::Second => "FICUS_TEST_POSTGRES_2",
            Self::Killable => "FICUS_TEST_POSTGRES_3",
        })
    }
}

/// The broker, as `host:port`.
pub fn kafka() -> String {
    given("FICUS_TEST_KAFKA")
}

fn given(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `make test`, which starts the servers")
    })
}

/// A name that nothing else has: for databases, topics, groups, pickers.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{:016x}", u64::from_ne_bytes(ficus_process::random::bytes()))
}
