//! C2, C3 and C4: the last round of a direction, under the source's fence.

use sqlx::PgConnection;

use crate::{Error, Result, Side, definition::Sequence, sql};

use super::{
    Drained, Follower,
    pace::LARGEST_DRAIN,
    read::{Source, Wants},
};

impl Follower {
    /// C2, C3 and C4, after C1's last commit: one round in one page, every key compared that was changed since it
    /// was compared last, and the target's sequences set beyond the source's. [`Error::Backlog`] if the changes are
    /// more than one page, [`Error::Differs`] if rows do (what was drained is applied all the same).
    pub async fn drain(&mut self, attempt: i64) -> Result<Drained> {
        if self.pending.len() > u64::from(LARGEST_DRAIN) {
            return Err(Error::Backlog);
        }
        // A round in several pages that is under way is begun anew, as one page.
        let wants = Wants {
            limit: Some(LARGEST_DRAIN).filter(|_| self.cursor.page.is_none() && !self.alone),
            chunks: 0,
            pending: usize::MAX,
            sequences: true,
        };
        let before = self.verdict().rows_differing;
        // It would take the cursor back to an older snapshot.
        self.ahead = None;
        let source = self.reader(&self.cursor).read(&wants).await?;
        if !source.single {
            return Err(Error::Backlog);
        }
        let next = self.cursor.after(&source, &self.shapes);
        let (cursor, verified) = match self.write(&source, next, Some(attempt)).await {
            Ok(written) => written,
            Err(failed) => return Err(self.explain(failed, &source).await),
        };
        self.stored(&source, cursor);
        self.alone = false;
        let verdict = self.verdict();
        if verdict.rows_differing > before {
            return Err(Error::Differs {
                rows: verdict.rows_differing - before,
                first: verdict.differing.first().cloned().unwrap_or_default(),
            });
        }
        Ok(Drained { dirty: source.entries, verified, snapshot: source.look.snap })
    }

    pub(super) async fn read_sequences(
        &self,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Vec<i64>> {
        let mut values = Vec::new();
        for sequence in &self.mover.inner.definition.sequences {
            let name = sequence.of(self.direction.source());
            values
                .push(sqlx::query_scalar(sql::last_value(name)).fetch_one(&mut *connection).await?);
        }
        Ok(values)
    }

    /// Not undone by an abort, which is harmless: a sequence may stand higher than it must.
    pub(super) async fn set_sequences(
        &self,
        source: &Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        for (sequence, value) in self.mover.inner.definition.sequences.iter().zip(&source.sequences)
        {
            sqlx::query(sql::set_sequence(sequence.of(self.direction.target())))
                .bind(value)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

impl Sequence {
    pub(crate) fn of(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }
}
