//! The dirty entries of one page, and what they cover.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, types::Json};

use crate::{Error, Result, catalog::Shape, database::Database};

use super::{cursor::Cursor, rows::Covers};

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
/// planner would read the whole log by it. S is the round's snapshot, older than this page's own from the second
/// page on.
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
         WHERE capability = $1 AND xid >= pg_snapshot_xmax($2::text::pg_snapshot)
           AND (xid, id) > ($4::text::xid8, $5)
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
    sqlx::query_as(ENTRIES)
        .bind(capability)
        .bind(&cursor.snap)
        .bind(until)
        .bind(page.map_or("0", |page| &page.xid))
        .bind(page.map_or(0, |page| page.id))
        .bind(limit.map_or(i64::MAX, i64::from))
        .fetch_all(connection)
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

/// What the entries cover of the source's own tables: `back` are the shapes of the way back.
pub(crate) fn covered_back(entries: &[Entry], back: &[Shape]) -> BTreeMap<usize, BTreeSet<Covers>> {
    let mut covered: BTreeMap<usize, BTreeSet<Covers>> = BTreeMap::new();
    for entry in entries {
        for (place, shape) in back.iter().enumerate().filter(|(_, s)| s.table == entry.tbl) {
            if let Some(covers) = entry.pick(&shape.covers_names) {
                covered.entry(place).or_default().insert(covers);
            }
        }
    }
    covered
}
