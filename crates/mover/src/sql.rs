//! Every statement whose names are data. Identifiers are quoted here and nowhere else; values are parameters.
//!
//! Rows travel as arrays of text, one element a column, and are cast back by the types of where they go.

use sqlx::AssertSqlSafe;

/// A statement built here.
pub(crate) type Sql = AssertSqlSafe<String>;

/// A table or view that rows are read from or written to.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Qualified and quoted.
    pub name: String,
    /// Quoted.
    pub columns: Vec<String>,
    /// The type of each column, as a cast names it.
    pub types: Vec<String>,
}

/// An identifier, quoted.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A customer's table.
pub(crate) fn table(name: &str) -> String {
    format!("public.{}", ident(name))
}

/// The view that holds the projection of a target table, in the direction's source.
pub(crate) fn view(capability: &str, table: &str) -> String {
    format!("ficus.{}", ident(&format!("{capability}.{table}")))
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

impl Relation {
    fn texts(&self, columns: impl IntoIterator<Item = usize>) -> String {
        list(columns.into_iter().map(|i| format!("v.{}::text", self.columns[i])))
    }

    fn all_texts(&self) -> String {
        self.texts(0..self.columns.len())
    }

    /// The same for the same values on both sides, whatever the types that hold them.
    fn hash(&self) -> String {
        format!("hashtextextended(ROW({})::text COLLATE \"C\", 0)", self.all_texts())
    }

    /// `v.a, v.b` among the arrays of text at parameters `first`, `first + 1`, …
    fn among(&self, columns: &[usize], first: usize) -> String {
        let of = list(columns.iter().map(|&i| format!("v.{}", self.columns[i])));
        let casts =
            list(columns.iter().enumerate().map(|(n, &i)| format!("u.u{n}::{}", self.types[i])));
        format!("({of}) IN (SELECT {casts} FROM {})", arrays("u", "u", columns.len(), first))
    }

    /// Beyond the key at parameters `first`, … in the key's own order.
    fn beyond(&self, key: &[usize], first: usize) -> String {
        let of = list(key.iter().map(|&i| format!("v.{}", self.columns[i])));
        let casts = key.iter().enumerate();
        let casts = list(casts.map(|(n, &i)| format!("${}::text::{}", first + n, self.types[i])));
        format!("({of}) > ({casts})")
    }

    fn ordered(&self, key: &[usize]) -> String {
        list(key.iter().map(|&i| format!("v.{}", self.columns[i])))
    }
}

/// `unnest($1::text[], …) AS u(u0, …)`
fn arrays(alias: &str, column: &str, count: usize, first: usize) -> String {
    let parameters = list((0..count).map(|n| format!("${}::text[]", first + n)));
    let names = list((0..count).map(|n| format!("{column}{n}")));
    format!("unnest({parameters}) AS {alias}({names})")
}

/// Whole rows of the covers at $1, ….
pub(crate) fn rows_of_covers(from: &Relation, covers: &[usize]) -> Sql {
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[] FROM {} AS v WHERE {}",
        from.all_texts(),
        from.name,
        from.among(covers, 1)
    ))
}

/// Whole rows in the order of their key: limit $1, after the key at $2, … if there is one.
pub(crate) fn rows_of_chunk(from: &Relation, key: &[usize], after: bool) -> Sql {
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[] FROM {} AS v {} ORDER BY {} LIMIT $1",
        from.all_texts(),
        from.name,
        where_beyond(from, key, after),
        from.ordered(key)
    ))
}

/// Key and hash of each row in the order of the key: limit $1, after the key at $2, … if there is one.
pub(crate) fn hashes_of_chunk(from: &Relation, key: &[usize], after: bool) -> Sql {
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[], {} FROM {} AS v {} ORDER BY {} LIMIT $1",
        from.texts(key.iter().copied()),
        from.hash(),
        from.name,
        where_beyond(from, key, after),
        from.ordered(key)
    ))
}

fn where_beyond(from: &Relation, key: &[usize], after: bool) -> String {
    if after { format!("WHERE {}", from.beyond(key, 2)) } else { String::new() }
}

/// Key and hash of each row of the covers at $1, ….
pub(crate) fn hashes_of_covers(from: &Relation, key: &[usize], covers: &[usize]) -> Sql {
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[], {} FROM {} AS v WHERE {}",
        from.texts(key.iter().copied()),
        from.hash(),
        from.name,
        from.among(covers, 1)
    ))
}

pub(crate) fn count(from: &Relation) -> Sql {
    AssertSqlSafe(format!("SELECT count(*) FROM {}", from.name))
}

pub(crate) fn any_row(from: &str) -> Sql {
    AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {from})"))
}

/// Deletes the rows of the covers at $1, ….
pub(crate) fn delete_covers(into: &Relation, covers: &[usize]) -> Sql {
    AssertSqlSafe(format!("DELETE FROM {} AS v WHERE {}", into.name, into.among(covers, 1)))
}

/// Inserts rows whose columns are at $1, …. With `keep`, a row whose key is there stays.
pub(crate) fn insert(into: &Relation, keep: Option<&[usize]>) -> Sql {
    let columns = into.columns.len();
    let casts = (0..columns).map(|n| format!("u.u{n}::{}", into.types[n]));
    let keep = keep.map_or(String::new(), |key| {
        let key = list(key.iter().map(|&i| into.columns[i].clone()));
        format!(" ON CONFLICT ({key}) DO NOTHING")
    });
    AssertSqlSafe(format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}{keep}",
        into.name,
        list(into.columns.iter().cloned()),
        list(casts),
        arrays("u", "u", columns, 1),
    ))
}

/// Takes rows in COPY's text format.
pub(crate) fn copy_in(into: &Relation) -> String {
    format!("COPY {} ({}) FROM STDIN", into.name, list(into.columns.iter().cloned()))
}

/// Statements for `ficus.rehearse`, which has room for one parameter each: $1 is an array of rows in JSON, each an
/// array of text.
pub(crate) mod rehearsed {
    use super::{Relation, list};

    fn values(relation: &Relation, columns: &[usize]) -> String {
        let casts = columns.iter().enumerate();
        list(casts.map(|(n, &i)| format!("(e ->> {n})::{}", relation.types[i])))
    }

    /// The rows whose columns are among $1.
    pub fn among(relation: &Relation, columns: &[usize]) -> String {
        let of = list(columns.iter().map(|&i| format!("v.{}", relation.columns[i])));
        let values = values(relation, columns);
        format!("({of}) IN (SELECT {values} FROM jsonb_array_elements($1) AS e)")
    }

    pub fn delete(into: &Relation, covers: &[usize]) -> String {
        format!("DELETE FROM {} AS v WHERE {}", into.name, among(into, covers))
    }

    pub fn insert(into: &Relation) -> String {
        let all: Vec<usize> = (0..into.columns.len()).collect();
        format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM jsonb_array_elements($1) AS e",
            into.name,
            list(into.columns.iter().cloned()),
            values(into, &all),
        )
    }

    /// Whole rows, as one array of arrays of text.
    pub fn rows(from: &Relation, covers: &[usize]) -> String {
        format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(ARRAY[{}]::text[])), '[]') FROM {} AS v WHERE {}",
            from.all_texts(),
            from.name,
            among(from, covers)
        )
    }
}

/// Which keys differ: hashes at $1, the source's keys at $2, …. Does not see rows that only the target has.
pub(crate) fn differing_in_chunk(into: &Relation, key: &[usize]) -> Sql {
    let hash =
        format!("CASE WHEN v.{} IS NULL THEN NULL ELSE {} END", into.columns[key[0]], into.hash());
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[] FROM {} LEFT JOIN {} AS v ON {} WHERE {hash} IS DISTINCT FROM s.h",
        list((0..key.len()).map(|n| format!("s.k{n}"))),
        hashed_keys(key.len()),
        into.name,
        same_key(into, key),
    ))
}

/// Which keys of the covers differ: hashes at $1, the source's keys at $2, …, the covers after them.
pub(crate) fn differing_in_covers(into: &Relation, key: &[usize], covers: &[usize]) -> Sql {
    let keys = list(key.iter().map(|&i| format!("v.{}", into.columns[i])));
    let both = key.iter().enumerate();
    let both = list(both.map(|(n, &i)| format!("coalesce(s.k{n}, v.{}::text)", into.columns[i])));
    AssertSqlSafe(format!(
        "SELECT ARRAY[{both}]::text[] FROM {} FULL JOIN (SELECT {keys}, {} AS h FROM {} AS v WHERE {}) AS v ON {} \
         WHERE v.h IS DISTINCT FROM s.h",
        hashed_keys(key.len()),
        into.hash(),
        into.name,
        into.among(covers, 2 + key.len()),
        same_key(into, key),
    ))
}

fn hashed_keys(columns: usize) -> String {
    let parameters = list((0..columns).map(|n| format!("${}::text[]", n + 2)));
    let names = list((0..columns).map(|n| format!("k{n}")));
    format!("unnest($1::bigint[], {parameters}) AS s(h, {names})")
}

fn same_key(into: &Relation, key: &[usize]) -> String {
    let each = key.iter().enumerate();
    let each = each.map(|(n, &i)| format!("v.{} = s.k{n}::{}", into.columns[i], into.types[i]));
    each.collect::<Vec<_>>().join(" AND ")
}

/// The last values of sequences, a column each.
pub(crate) fn last_values<'s>(sequences: impl Iterator<Item = &'s str>) -> Sql {
    AssertSqlSafe(format!("SELECT {}", list(sequences.map(last_value))))
}

/// Sets sequences beyond their own and the other side's last values.
pub(crate) fn set_sequences<'s>(sequences: impl Iterator<Item = (&'s str, i64)>) -> Sql {
    let set = |(name, other): (&str, i64)| {
        let quoted = table(name).replace('\'', "''");
        format!("setval('{quoted}', GREATEST({}, {other} + {SEQUENCE_GAP}))", last_value(name))
    };
    AssertSqlSafe(format!("SELECT {}", list(sequences.map(set))))
}

fn last_value(sequence: &str) -> String {
    format!("(SELECT last_value FROM {})", table(sequence))
}

/// A crash of the source may forget up to 32 values that were drawn; the rest is room.
const SEQUENCE_GAP: i64 = 100;

/// Giving empty pages at the end back would lock readers out.
pub(crate) fn vacuum(name: &str) -> Sql {
    AssertSqlSafe(format!("VACUUM (ANALYZE, TRUNCATE false) {}", table(name)))
}

/// The name of a projection's view while it is only tried.
pub(crate) fn trial_view(capability: &str, table: &str) -> String {
    format!("pg_temp.{}", ident(&format!("{capability}.{table}")))
}

/// A view that lasts as long as its session, for a projection that is only tried.
pub(crate) fn create_trial_view(capability: &str, table: &str, projection: &str) -> Sql {
    let name = ident(&format!("{capability}.{table}"));
    AssertSqlSafe(format!("CREATE TEMPORARY VIEW {name} AS {projection}"))
}

/// Rows of a foreign key's table that have no parent: `pairs` are (column, the parent's column), bare names.
pub(crate) fn orphans(child: &str, parent: &str, pairs: &[(String, String)]) -> Sql {
    let all = pairs.iter().map(|(c, _)| format!("c.{} IS NOT NULL", ident(c)));
    let same = pairs.iter().map(|(c, p)| format!("p.{} = c.{}", ident(p), ident(c)));
    let and = |parts: Vec<String>| parts.join(" AND ");
    AssertSqlSafe(format!(
        "SELECT count(*) FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})",
        table(child),
        and(all.collect()),
        table(parent),
        and(same.collect())
    ))
}

/// Groups of rows that share what must be unique.
pub(crate) fn duplicates(name: &str, columns: &[String]) -> Sql {
    let quoted = list(columns.iter().map(|c| ident(c)));
    let known = columns.iter().map(|c| format!("{} IS NOT NULL", ident(c)));
    AssertSqlSafe(format!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE {} GROUP BY {quoted} HAVING count(*) > 1) AS d",
        table(name),
        known.collect::<Vec<_>>().join(" AND ")
    ))
}

/// The last row in the order of the key.
pub(crate) fn last_row(from: &Relation, key: &[usize]) -> Sql {
    let order = list(key.iter().map(|&i| format!("v.{} DESC", from.columns[i])));
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[] FROM {} AS v ORDER BY {order} LIMIT 1",
        from.all_texts(),
        from.name
    ))
}

/// Some whole rows, at most $1.
pub(crate) fn sample(from: &Relation) -> Sql {
    AssertSqlSafe(format!(
        "SELECT ARRAY[{}]::text[] FROM {} AS v LIMIT $1",
        from.all_texts(),
        from.name
    ))
}
