//! Permission to raise attempts, on the control database's clock; nothing else.

use super::{Result, Store, bounded};

/// Who has the lease, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub holder: String,
    pub address: String,
}

impl Store {
    /// Takes the lease for 1.5 s if it is free, or renews it; who has it now, if anybody. One that ends in 3 s or more was
    /// taken before the database's clock went back, further than to be waited for; who may still go by it raises no
    /// attempt that this one has raised. The clock is read once the row is locked, after any renewal that was under way.
    pub async fn lease(&self) -> Result<Option<Holder>> {
        let renewed = sqlx::query!(
            "INSERT INTO lease (name, holder, address, expires_at)
             VALUES ('controller', $1, $2, clock_timestamp() + interval '1.5 s')
             ON CONFLICT (name) DO UPDATE
             SET holder = excluded.holder, address = excluded.address,
                 expires_at = clock_timestamp() + interval '1.5 s'
             WHERE lease.holder = excluded.holder OR lease.expires_at < clock_timestamp()
                OR lease.expires_at > clock_timestamp() + interval '3 s'",
            self.holder,
            self.address,
        )
        .execute(&self.pool);
        if bounded(renewed).await?.rows_affected() == 1 {
            return Ok(Some(Holder { holder: self.holder.clone(), address: self.address.clone() }));
        }
        bounded(
            sqlx::query_as!(Holder, "SELECT holder, address FROM lease WHERE name = 'controller'")
                .fetch_optional(&self.pool),
        )
        .await
    }

    /// Gives the lease back, so that another need not wait for its end.
    pub async fn give_back(&self) -> Result<()> {
        let statement = sqlx::query!(
            "DELETE FROM lease WHERE name = 'controller' AND holder = $1",
            self.holder
        );
        bounded(statement.execute(&self.pool)).await?;
        Ok(())
    }

    /// Whether `holder` is this process.
    pub fn is_own(&self, holder: &Holder) -> bool {
        holder.holder == self.holder
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sqlx::Executor as _;
    use trellis_testkit::{Migrations, Server, database};

    use super::*;
    use crate::app::MIGRATOR;

    #[tokio::test]
    async fn a_lease_that_is_renewed_while_another_asks_for_it_is_left_alone() {
        let migrations = Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" };
        let database = database(Server::Second, &[migrations]).await;
        let pool = database.pool().await;
        let store = |name: &str| Store::new(pool.clone(), name.to_owned(), format!("{name}:1"));
        let (first, second) = (store("first"), store("second"));
        assert!(first.is_own(&first.lease().await.unwrap().unwrap()));

        let mut renewal = database.connect().await;
        renewal.execute("BEGIN; SELECT FROM lease FOR UPDATE").await.unwrap();
        let asking = tokio::spawn(async move { second.lease().await });
        database.blocked(1).await;
        // To the second it ends as late as it may: the clock has gone back by a second meanwhile.
        let renewed = "UPDATE lease SET expires_at = clock_timestamp() + interval '2.5 s'; COMMIT";
        renewal.execute(renewed).await.unwrap();
        let holder = asking.await.unwrap().unwrap().unwrap();
        assert!(first.is_own(&holder), "taken by {holder:?}");
    }
}
