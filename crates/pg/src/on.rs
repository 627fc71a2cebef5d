//! A single statement on a pool, as sqlx has it, but on a [`Session`](crate::Session).

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use crate::acquire;

/// Where a single statement is executed that is no transaction. Not on the pool itself: that waits without a limit for
/// the ping with which a connection goes back.
pub fn on(pool: &PgPool) -> On<'_> {
    On(pool)
}

/// A pool, from [`on`]. What a statement gives is read to its end before any of it is handed out.
#[derive(Clone, Copy, Debug)]
pub struct On<'p>(&'p PgPool);

impl<'p> Executor<'p> for On<'p> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut session = acquire(self.0).await?;
            let all: Vec<_> = session.fetch_many(query).try_collect().await?;
            Ok(stream::iter(all.into_iter().map(Ok)))
        };
        all.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move { acquire(self.0).await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        async move { acquire(self.0).await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        async move { acquire(self.0).await?.describe(sql).await }.boxed()
    }
}
