//! C2, C3 and C4: the last round of a direction, under the source's fence.

use sqlx::{PgConnection, Row as _};

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

    /// One round trip, as setting them: nobody can write meanwhile.
    pub(super) async fn read_sequences(
        &self,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Vec<i64>> {
        let sequences = &self.mover.inner.definition.sequences;
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let names = sequences.iter().map(|sequence| sequence.of(self.direction.source()));
        let row = sqlx::raw_sql(sql::last_values(names)).fetch_one(connection).await?;
        (0..sequences.len()).map(|place| row.try_get(place)).collect()
    }

    /// Not undone by an abort, which is harmless: a sequence may stand higher than it must.
    pub(super) async fn set_sequences(
        &self,
        source: &Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let sequences = self.mover.inner.definition.sequences.iter();
        let names = sequences.map(|sequence| sequence.of(self.direction.target()));
        let values = names.zip(source.sequences.iter().copied());
        if source.sequences.is_empty() {
            return Ok(());
        }
        sqlx::raw_sql(sql::set_sequences(values)).execute(connection).await.map(drop)
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
