//! The way back: what the target gives back for a row must be that row, else the move can not be reversed again.

use sqlx::PgConnection;

use crate::{Error, Result, sql};

use super::{
    Follower,
    read::Source,
    rows::{Row, Values},
};

impl Follower {
    /// Reads the rows of this page back through the other direction's projection, in the target's transaction.
    pub(super) async fn check_back(
        &self,
        source: &Source,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let target = self.mover.database(self.direction.target());
        for own in &source.back {
            let shape = &self.back[own.shape];
            let statement = sql::rows_of_covers(&shape.source, &shape.covers);
            let given = async {
                let values = Values::default().covers(&own.covers, shape.covers.len())?;
                values.fetch_rows(statement, connection).await
            };
            let given = given.await.map_err(|e| target.error(e))?;
            if let Some(row) = first_difference(&own.rows, given) {
                return Err(Error::Irreversible {
                    table: shape.table.clone(),
                    key: shape.key_of(&row),
                    reason: format!("the {} does not give it back as it is", target.side),
                });
            }
        }
        Ok(())
    }
}

/// A row that only one of the two has.
pub(crate) fn first_difference(own: &[Row], mut given: Vec<Row>) -> Option<Row> {
    let mut own = own.to_vec();
    own.sort_unstable();
    given.sort_unstable();
    if own == given {
        return None;
    }
    let missing = own.iter().find(|row| given.binary_search(row).is_err());
    let extra = given.iter().find(|row| own.binary_search(row).is_err());
    missing.or(extra).or(own.first()).or(given.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        vec![Some(text.to_owned()), None]
    }

    #[test]
    fn order_does_not_matter_and_rows_do() {
        assert_eq!(first_difference(&[row("a"), row("b")], vec![row("b"), row("a")]), None);
        assert_eq!(first_difference(&[row("a"), row("b")], vec![row("a")]), Some(row("b")));
        assert_eq!(first_difference(&[row("a")], vec![row("a"), row("c")]), Some(row("c")));
    }
}
