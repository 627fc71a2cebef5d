//! Permission to raise attempts, on the control database's clock; nothing else.

use ficus_pg::on;

use super::{Result, Store, bounded};

/// Who has the lease, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub holder: String,
    pub address: String,
}

impl Store {
    /// Takes the lease for 1.5 s if it is free, or renews it; who has it now, if anybody. One that ends later than one
    /// that is taken now was taken before the database's clock went back; who may still go by it raises no attempt
    /// that this one has raised. The clock is read once the row is locked: by what it said before, one that was renewed
    /// in between would look like that.
    pub async fn lease(&self) -> Result<Option<Holder>> {
        let renewed = sqlx::query!(
            "INSERT INTO lease (name, holder, address, expires_at)
             VALUES ('controller', $1, $2, clock_timestamp() + interval '1.5 s')
             ON CONFLICT (name) DO UPDATE
             SET holder = excluded.holder, address = excluded.address,
                 expires_at = clock_timestamp() + interval '1.5 s'
             WHERE lease.holder = excluded.holder OR lease.expires_at < clock_timestamp()
                OR lease.expires_at > clock_timestamp() + interval '1.5 s'",
            self.holder,
            self.address,
        )
        .execute(on(&self.pool));
        if bounded(renewed).await?.rows_affected() == 1 {
            return Ok(Some(Holder { holder: self.holder.clone(), address: self.address.clone() }));
        }
        bounded(
            sqlx::query_as!(Holder, "SELECT holder, address FROM lease WHERE name = 'controller'")
                .fetch_optional(on(&self.pool)),
        )
        .await
    }

    /// Gives the lease back, so that another need not wait for its end.
    pub async fn give_back(&self) -> Result<()> {
        let statement = sqlx::query!(
            "DELETE FROM lease WHERE name = 'controller' AND holder = $1",
            self.holder
        );
        bounded(statement.execute(on(&self.pool))).await?;
        Ok(())
    }

    /// Whether `holder` is this process.
    pub fn is_own(&self, holder: &Holder) -> bool {
        holder.holder == self.holder
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::Executor as _;
    use trellis_testkit::{Migrations, Server, database, wait_until};

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
        let mut onlooker = database.connect().await;
        wait_until("the second waits for the row", Duration::from_secs(5), async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut onlooker).await.unwrap() == 1
        })
        .await;
        let renewed = "UPDATE lease SET expires_at = clock_timestamp() + interval '1.5 s'; COMMIT";
        renewal.execute(renewed).await.unwrap();
        let holder = asking.await.unwrap().unwrap().unwrap();
        assert!(first.is_own(&holder), "taken by {holder:?}");
    }
}
