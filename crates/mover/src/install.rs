//! Prepare: views, capture and fences on both sides, and the cursor that the copy starts from.

use ficus_process::fault;

use crate::{
    Direction, Mover, Result, Side,
    fence::{PATIENT, bounded, step},
};

impl Mover {
    /// Installs everything that a move needs, capture on both sides and the fence shut on the side that does not
    /// own, and stores the cursor of the owner's direction. May be repeated; a cursor that is there stays.
    /// [`Mover::raise_token`] on both sides comes first.
    pub async fn install(&self, attempt: i64, epoch: i64, owner: Side) -> Result<()> {
        for direction in [Direction::Forward, Direction::Reverse] {
            for table in self.inner.definition.tables(direction) {
                let text = "SELECT ficus.install_view($1, $2, $3, $4)";
                let side = direction.source();
                step(self, side, attempt, text, &table.table, &table.projection).await?;
            }
        }
        for side in [owner.other(), owner] {
            for table in self.tables_of(side) {
                self.install_table(side, attempt, table, side != owner).await?;
            }
        }
        // After the last trigger's commit: what was written before is in the copy, what comes later is captured.
        self.store_cursor(owner.outward(), attempt, epoch, false).await
    }

    async fn install_table(&self, side: Side, attempt: i64, table: &str, shut: bool) -> Result<()> {
        let database = self.database(side);
        let definition = &self.inner.definition;
        let inward = definition.tables(side.outward().opposite());
        let key = inward.iter().find(|t| t.table == table).map(|t| t.key.as_slice());
        let key = key.unwrap_or_default();
        let links: Vec<&str> = definition.captured_columns(side, table);
        let links: Vec<&str> =
            links.into_iter().filter(|link| !key.iter().any(|k| k == link)).collect();
        let links = if fault::planted("links-off") { Vec::new() } else { links };
        let call = || async {
            sqlx::query("SELECT ficus.install_table($1, $2, $3, $4, $5, $6)")
                .bind(&self.inner.capability)
                .bind(attempt)
                .bind(table)
                .bind(key)
                .bind(&links)
                .bind(shut)
                .execute(&database.steps)
                .await
        };
        bounded(database, table, PATIENT, call).await.map(drop)
    }
}
