//! The dirty entries of one page, and what they cover.

use std::collections::{BTreeMap, BTreeSet};

use ficus_process::fault;
use sqlx::{PgConnection, types::Json};

use crate::{Error, Result, catalog::Shape, database::Database};

use super::{cursor::Cursor, read::Changed, rows::Covers};

/// One entry of the log.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Entry {
    pub xid: String,
    pub id: i64,
    pub tbl: String,
    /// Column → value as text; null if the whole table was truncated.
    values: Option<Json<BTreeMap<String, Option<String>>>>,
}

/// What became visible between P and S: `xid` from P's xmax on, and those that were open at P. Each part is in
/// the order of the index, which a page goes by, and ends at the limit; `id` alone orders nothing here, or the
/// planner would read the whole log by it. Where the index is read from is one bound, the later of P's xmax and the
/// page before: of two, PostgreSQL may begin at either and passes over all that is between. S is the round's snapshot,
/// older than this page's own from the second page on.
const ENTRIES: &str = "
    SELECT xid::text AS xid, id, tbl,
           (SELECT jsonb_object_agg(e.key, e.value)
            FROM jsonb_each_text(page.key || coalesce(page.links, '{}')) AS e) AS values
    FROM (
        (SELECT d.xid, d.id, d.tbl, d.key, d.links
         FROM pg_snapshot_xip($2::text::pg_snapshot) AS open
         CROSS JOIN LATERAL (
             SELECT xid, id, tbl, key, links FROM ficus.dirty
             WHERE capability = $1 AND xid = open AND (xid, id) > ($4::text::xid8, $5)
               AND pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
         ) AS d
         ORDER BY d.xid, d.id LIMIT $6)
        UNION ALL
        (SELECT xid, id, tbl, key, links FROM ficus.dirty
         WHERE capability = $1
           AND (xid, id) > (greatest($4::text::xid8, pg_snapshot_xmax($2::text::pg_snapshot)),
                            CASE WHEN $4::text::xid8 >= pg_snapshot_xmax($2::text::pg_snapshot) THEN $5 ELSE 0 END)
           AND pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
         ORDER BY xid, id LIMIT $6)
    ) AS page
    ORDER BY page.xid, page.id LIMIT $6";

/// Up to `limit` entries of the round that ends at `until`; without a limit all of (P, `until`] at once.
pub(crate) async fn entries(
    connection: &mut PgConnection,
    capability: &str,
    cursor: &Cursor,
    until: &str,
    limit: Option<u32>,
) -> sqlx::Result<Vec<Entry>> {
    let page = cursor.page.as_ref().filter(|_| limit.is_some());
    // Planned anew each time: a plan that was made while the log was empty, which reads all of it, would be kept until
    // it is next analysed.
    let mut entries: Vec<Entry> = sqlx::query_as(ENTRIES)
        .persistent(false)
        .bind(capability)
        .bind(&cursor.snap)
        .bind(until)
        .bind(page.map_or("0", |page| &page.xid))
        .bind(page.map_or(0, |page| page.id))
        .bind(limit.map_or(i64::MAX, i64::from))
        .fetch_all(&mut *connection)
        .await?;
    if fault::planted("cursor-by-id") {
        let last = last_id(connection, capability, &cursor.snap).await?;
        entries.retain(|entry| entry.id > last);
    }
    Ok(entries)
}

/// The highest id that was taken in with a snapshot: what a cursor would be that goes by ids.
async fn last_id(connection: &mut PgConnection, capability: &str, snap: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT coalesce(max(id), 0) FROM ficus.dirty
         WHERE capability = $1 AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)",
    )
    .bind(capability)
    .bind(snap)
    .fetch_one(connection)
    .await
}

impl Entry {
    /// The values of these columns; none if one of them is null, which covers nothing.
    fn pick(&self, columns: &[String]) -> Option<Covers> {
        let Json(values) = self.values.as_ref()?;
        columns.iter().map(|column| values.get(column).cloned().flatten()).collect()
    }
}

/// A truncated table has no keys to follow.
pub(crate) fn refuse_truncation(entries: &[Entry], source: &Database) -> Result<()> {
    match entries.iter().find(|entry| entry.values.is_none()) {
        Some(entry) => {
            let reason = format!("table {} of the {} was truncated", entry.tbl, source.side);
            Err(Error::NeedsRebase { reason })
        }
        None => Ok(()),
    }
}

/// What the entries cover in each target table, by its place among the shapes.
pub(crate) fn covered(entries: &[Entry], shapes: &[Shape]) -> BTreeMap<usize, BTreeSet<Covers>> {
    let mut covered: BTreeMap<usize, BTreeSet<Covers>> = BTreeMap::new();
    for entry in entries {
        for (place, shape) in shapes.iter().enumerate() {
            let covers = shape.from.get(&entry.tbl).and_then(|columns| entry.pick(columns));
            if let Some(covers) = covers {
                covered.entry(place).or_default().insert(covers);
            }
        }
    }
    covered
}

/// What is to be read back of the source's own tables, by their place in `back`, the shapes of the way back: what
/// changed itself, and what the rows that go to the target (`changed`, of `shapes`) lead to there.
pub(crate) fn covered_back(
    entries: &[Entry],
    changed: &[Changed],
    shapes: &[Shape],
    back: &[Shape],
) -> BTreeMap<usize, BTreeSet<Covers>> {
    let mut covered: BTreeMap<usize, BTreeSet<Covers>> = BTreeMap::new();
    for (place, shape) in back.iter().enumerate() {
        let own = entries.iter().filter(|entry| entry.tbl == shape.table);
        let own = own.filter_map(|entry| entry.pick(&shape.covers_names));
        let led = changed.iter().flat_map(|c| led_to(c, &shapes[c.shape], shape));
        let all: BTreeSet<Covers> = own.chain(led).collect();
        if !all.is_empty() {
            covered.insert(place, all);
        }
    }
    covered
}

/// The covers of `back` that rows of `shape`'s table give, and those that its deleted rows gave if the covers tell.
fn led_to(changed: &Changed, shape: &Shape, back: &Shape) -> Vec<Covers> {
    let Some(columns) = back.from.get(&shape.table) else {
        return Vec::new();
    };
    let in_row: Option<Vec<usize>> = columns.iter().map(|c| shape.column(c)).collect();
    let in_covers: Option<Vec<usize>> =
        columns.iter().map(|c| shape.covers_names.iter().position(|name| name == c)).collect();
    let rows = changed.rows.iter().filter_map(|row| {
        in_row.as_ref()?.iter().map(|&i| row[i].clone()).collect::<Option<Covers>>()
    });
    let gone = changed.covers.iter().filter_map(|covers| {
        Some(in_covers.as_ref()?.iter().map(|&i| covers[i].clone()).collect::<Covers>())
    });
    rows.chain(gone).collect()
}
