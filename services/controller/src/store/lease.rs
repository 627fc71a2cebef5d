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
    /// that this one has raised.
    pub async fn lease(&self) -> Result<Option<Holder>> {
        let renewed = sqlx::query!(
            "INSERT INTO lease (name, holder, address, expires_at)
             VALUES ('controller', $1, $2, clock_timestamp() + interval '1.5 s')
             ON CONFLICT (name) DO UPDATE
             SET holder = excluded.holder, address = excluded.address,
                 expires_at = excluded.expires_at
             WHERE lease.holder = excluded.holder OR lease.expires_at < clock_timestamp()
                OR lease.expires_at > excluded.expires_at",
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
