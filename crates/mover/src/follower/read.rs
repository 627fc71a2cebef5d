//! The source's half of a page: one REPEATABLE READ transaction, over before the target's begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use ficus_pg::Snapshot;
use ficus_process::fault;
use sqlx::PgConnection;

use crate::{
    Error, Result,
    catalog::Shape,
    opening::{Look, flush_log},
    sql::{self, Relation},
};

use super::{
    Follower, IDLE_STORE,
    compare::Compared,
    cursor::{Cursor, Position},
    pace,
    page::{self, Entry},
    pending::{Pending, Place},
    rows::{Covers, Row, Values, key_text},
};

/// What a round asks of the source.
#[derive(Debug)]
pub(super) struct Wants {
    /// Entries at most; none: everything since the cursor's snapshot in one page.
    pub limit: Option<u32>,
    pub chunks: u32,
    /// Covers to compare again at most.
    pub pending: usize,
    pub sequences: bool,
}

/// Reads the source from where a cursor stands; changes nothing of the follower.
#[derive(Clone, Copy)]
pub(super) struct Reader<'f> {
    pub follower: &'f Follower,
    pub cursor: &'f Cursor,
}

/// What one source transaction gave, all as of one snapshot.
#[derive(Debug)]
pub(super) struct Source {
    pub begun: Instant,
    pub look: Look,
    /// Entries taken in.
    pub entries: u64,
    pub last: Option<(String, i64)>,
    /// The page took in all that was left of its round.
    pub short: bool,
    /// The round is this one page.
    pub single: bool,
    pub changed: Vec<Changed>,
    /// Rows of the source's own tables, for the way back.
    pub back: Vec<Changed>,
    /// What is to be compared again after this page.
    pub dirtied: Pending,
    /// What this page compares of that.
    pub again: Pending,
    pub copied: Vec<Copied>,
    pub compared: Vec<Compared>,
    /// The last values of the source's sequences, in the definition's order.
    pub sequences: Vec<i64>,
    /// Nothing that the target must be told, and a cursor that was stored lately. Only then the source's log need not
    /// be flushed past the snapshot, which must not be stored.
    pub idle: bool,
    /// How many others are at work on the source, where that matters.
    pub others: Option<i32>,
    /// How long the log took, and each chunk.
    pub page_took: Duration,
    pub chunks_took: Vec<Duration>,
}

/// What changed of one table: these covers, which now have these rows.
#[derive(Debug)]
pub(super) struct Changed {
    pub shape: usize,
    pub covers: BTreeSet<Covers>,
    pub rows: Vec<Row>,
}

/// A chunk to be copied.
#[derive(Debug)]
pub(super) struct Copied {
    pub shape: usize,
    pub rows: Vec<Row>,
    pub position: Position,
}

impl Source {
    /// Nothing that the target must be told.
    fn is_empty(&self) -> bool {
        self.single
            && self.entries == 0
            && self.copied.is_empty()
            && self.compared.is_empty()
            && self.back.is_empty()
    }
}

impl Reader<'_> {
    /// What is to be stored leaves with the log flushed past its snapshot, by the commit of the session that took the
    /// snapshot: a server that has crashed meanwhile has ended that session.
    pub async fn read(self, wants: &Wants) -> Result<Source> {
        let Self { follower: Follower { mover, direction, .. }, cursor } = self;
        let begun = Instant::now();
        let database = mover.database(direction.source());
        let mut transaction = database.read_page().await?;
        let look = mover.look(&mut transaction, *direction, &cursor.snap).await;
        let look = look.map_err(|e| database.error(e))?;
        self.recognise(&look)?;
        let asked = Instant::now();
        let entries = self.entries(&mut transaction, &look, wants.limit).await;
        let (entries, short) = entries.map_err(|e| database.error(e))?;
        let page_took = asked.elapsed();
        page::refuse_truncation(&entries, database)?;
        let source = self.gather(begun, look, &entries, short, wants, &mut transaction).await;
        let mut source = source.map_err(|e| database.error(e))?;
        source.page_took = page_took;
        source.idle =
            source.is_empty() && !wants.sequences && self.follower.stored_at.elapsed() < IDLE_STORE;
        let flushed = source.look.flushed == Some(true) || fault::planted("flush-off");
        if !source.idle && !flushed {
            flush_log(&mut transaction).await.map_err(|e| database.error(e))?;
        }
        transaction.commit().await.map_err(|e| database.error(e))?;
        Ok(source)
    }

    /// One entry more than the limit tells whether the page is short.
    async fn entries(
        self,
        connection: &mut PgConnection,
        look: &Look,
        limit: Option<u32>,
    ) -> sqlx::Result<(Vec<Entry>, bool)> {
        let until = self.cursor.page.as_ref().filter(|_| limit.is_some());
        let until = until.map_or(&look.snap, |page| &page.snap).clone();
        let ask = limit.map(|limit| limit + 1);
        let capability = &self.follower.mover.inner.capability;
        let mut entries = page::entries(connection, capability, self.cursor, &until, ask).await?;
        let most = limit.map_or(usize::MAX, |limit| limit as usize);
        let short = entries.len() <= most;
        entries.truncate(most);
        Ok((entries, short))
    }

    /// The source must be what the cursor was read from.
    fn recognise(self, look: &Look) -> Result<()> {
        let side = self.follower.direction.source();
        let reason = if look.recovering {
            format!("the {side}'s database is a standby")
        } else if look.system != Some(self.cursor.system) {
            format!("the {side}'s database is another server than the one that was read before")
        } else if look.timeline != Some(self.cursor.timeline) {
            format!("the {side}'s database failed over or was restored")
        } else if look.definitions.as_deref() != Some(self.cursor.definitions.as_str()) {
            format!("tables or projections of the {side} were changed")
        } else if look.gap {
            "the log was pruned beyond the cursor".to_owned()
        } else if went_back(self.cursor, look) {
            format!("the {side}'s database was restored to an earlier point")
        } else {
            return Ok(());
        };
        Err(Error::NeedsRebase { reason })
    }

    async fn gather(
        self,
        begun: Instant,
        look: Look,
        entries: &[Entry],
        short: bool,
        wants: &Wants,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Source> {
        let single = short && (self.cursor.page.is_none() || wants.limit.is_none());
        let covered = page::covered(entries, &self.follower.shapes);
        let rows = |shape: &Shape| shape.source.clone();
        let changed = changed(&self.follower.shapes, &covered, rows, connection).await?;
        let covered_back =
            page::covered_back(entries, &changed, &self.follower.shapes, &self.follower.back);
        let dirtied = self.dirtied(&covered, &covered_back, single);
        let again =
            if single { self.follower.pending.first(wants.pending) } else { Pending::default() };
        let mut source = Source {
            begun,
            look,
            entries: entries.len() as u64,
            last: entries.last().map(|last| (last.xid.clone(), last.id)),
            short,
            single,
            changed,
            back: Vec::new(),
            dirtied,
            again,
            copied: Vec::new(),
            compared: Vec::new(),
            sequences: Vec::new(),
            idle: false,
            others: None,
            page_took: Duration::ZERO,
            chunks_took: Vec::new(),
        };
        if single {
            self.read_back(covered_back, &mut source, connection).await?;
            if wants.chunks > 0 && self.cursor.has_chunks() {
                source.others = Some(pace::others_at_work(connection).await?);
            }
            self.read_chunks(wants.chunks, &mut source, connection).await?;
            self.read_hashes(wants, &mut source, connection).await?;
        }
        if wants.sequences {
            source.sequences = self.follower.read_sequences(connection).await?;
        }
        Ok(source)
    }

    /// Everything changed is to be compared again once the comparison has begun. The way back is looked at in the
    /// page itself if it is the whole round, else later.
    fn dirtied(
        self,
        covered: &BTreeMap<usize, BTreeSet<Covers>>,
        covered_back: &BTreeMap<usize, BTreeSet<Covers>>,
        single: bool,
    ) -> Pending {
        let mut dirtied = Pending::default();
        let parts = [
            (covered, &self.follower.shapes, false, self.cursor.copy.done),
            (covered_back, &self.follower.back, true, !single),
        ];
        for (covered, shapes, inverse, wanted) in parts {
            for (&shape, covers) in covered.iter().filter(|_| wanted) {
                let place = Place { table: shapes[shape].table.clone(), inverse };
                for covers in covers {
                    dirtied.add(place.clone(), covers.clone());
                }
            }
        }
        dirtied
    }

    async fn read_back(
        self,
        mut covered: BTreeMap<usize, BTreeSet<Covers>>,
        source: &mut Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        for (place, shape) in self.follower.back.iter().enumerate() {
            if let Some(waiting) = source.again.of(&shape.table, true) {
                covered.entry(place).or_default().extend(waiting.iter().cloned());
            }
        }
        let own = |shape: &Shape| shape.target.clone();
        source.back = changed(&self.follower.back, &covered, own, connection).await?;
        Ok(())
    }

    async fn read_chunks(
        self,
        chunks: u32,
        source: &mut Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let mut positions = self.cursor.copy.tables.clone();
        for _ in 0..chunks {
            let next = self
                .follower
                .shapes
                .iter()
                .position(|s| !positions.get(&s.table).is_some_and(|p| p.done));
            let (Some(place), false) = (next, self.cursor.copy.done) else {
                return Ok(());
            };
            let shape = &self.follower.shapes[place];
            let position = positions.entry(shape.table.clone()).or_default();
            let begun = Instant::now();
            let limit = self.follower.pace.chunk_rows();
            let statement = sql::rows_of_chunk(&shape.source, &shape.key, position.after.is_some());
            let values =
                Values::default().add(limit)?.key(position.after.as_deref().unwrap_or_default())?;
            let rows = values.fetch_rows(statement, connection).await?;
            *position =
                moved(position, rows.last().map(|row| shape.key_parts(row)), rows.len(), limit);
            source.copied.push(Copied { shape: place, rows, position: position.clone() });
            source.chunks_took.push(begun.elapsed());
        }
        Ok(())
    }
}

/// Whether transactions that the cursor knows of are still to come: a server that crashes gives no id out again that was
/// stored, since its log was flushed before. Not seen is one that was restored and has had as many transactions since.
fn went_back(cursor: &Cursor, look: &Look) -> bool {
    let known = cursor.page.as_ref().map_or(&cursor.snap, |page| &page.snap);
    let xmax = |snap: &str| snap.parse().map(|snap: Snapshot| snap.xmax());
    match (xmax(&look.snap), xmax(known)) {
        (Ok(now), Ok(known)) => now < known,
        _ => false,
    }
}

/// The position after a chunk; a chunk that is not full was the last.
pub(super) fn moved(before: &Position, last: Option<Row>, rows: usize, limit: i64) -> Position {
    let done = i64::try_from(rows).is_ok_and(|rows| rows < limit);
    Position { after: last.map(|key| key_text(&key)).or_else(|| before.after.clone()), done }
}

/// The rows of covers, table by table.
async fn changed(
    shapes: &[Shape],
    covered: &BTreeMap<usize, BTreeSet<Covers>>,
    relation: impl Fn(&Shape) -> Relation,
    connection: &mut PgConnection,
) -> sqlx::Result<Vec<Changed>> {
    let mut all = Vec::new();
    for (&place, covers) in covered {
        let shape = &shapes[place];
        let statement = sql::rows_of_covers(&relation(shape), &shape.covers);
        let values = Values::default().covers(covers, shape.covers.len())?;
        let rows = values.fetch_rows(statement, connection).await?;
        all.push(Changed { shape: place, covers: covers.clone(), rows });
    }
    Ok(all)
}
