//! What people write in `services/<name>/move/`: `tables.toml`, `forward/<table>.sql`, `reverse/<table>.sql`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{Direction, Error, Result, Side};

/// A capability's tables and how each side's rows follow from the other's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    #[serde(default)]
    pub topics: Vec<String>,
    /// The service's tables.
    pub forward: Vec<Table>,
    /// The monolith's tables.
    pub reverse: Vec<Table>,
    #[serde(default, rename = "sequence")]
    pub sequences: Vec<Sequence>,
}

/// One target table of a direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// In schema `public` of the direction's target.
    pub table: String,
    /// Its primary key.
    pub key: Vec<String>,
    /// The columns whose rows one dirty entry stands for.
    pub covers: Vec<String>,
    /// Captured source table → its columns that give `covers`, in that order.
    pub from: BTreeMap<String, Vec<String>>,
    /// Tables whose rows come first; informational.
    #[serde(default)]
    pub after: Vec<String>,
    /// The projection: one SELECT on the direction's source.
    #[serde(default)]
    pub projection: String,
}

/// A sequence and the one that takes over from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    pub monolith: String,
    pub service: String,
}

impl Definition {
    /// Reads a move folder and checks that it is consistent in itself.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut definition: Self = toml::from_str(&text(&folder.join("tables.toml"))?)
            .map_err(|e| Error::Definition(format!("{}/tables.toml: {e}", folder.display())))?;
        for direction in [Direction::Forward, Direction::Reverse] {
            for table in definition.tables_mut(direction) {
                let file = folder.join(direction.as_str()).join(format!("{}.sql", table.table));
                text(&file)?.trim().trim_end_matches(';').clone_into(&mut table.projection);
            }
        }
        definition.check()?;
        Ok(definition)
    }

    /// The target tables of a direction.
    pub fn tables(&self, direction: Direction) -> &[Table] {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }

    fn tables_mut(&mut self, direction: Direction) -> &mut [Table] {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Reverse => &mut self.reverse,
        }
    }

    /// Every table of the capability on this side, by name.
    pub fn tables_of(&self, side: Side) -> Vec<&str> {
        self.tables(side.outward().opposite()).iter().map(|t| t.table.as_str()).collect()
    }

    /// The columns that capture writes down for a table of this side, by name.
    pub fn captured_columns(&self, side: Side, table: &str) -> Vec<&str> {
        let outward =
            self.tables(side.outward()).iter().filter_map(|t| t.from.get(table)).flatten();
        let inward = self.tables(side.outward().opposite()).iter().filter(|t| t.table == table);
        let own = inward.flat_map(|t| t.covers.iter().chain(&t.key));
        let columns: BTreeSet<&str> = outward.chain(own).map(String::as_str).collect();
        columns.into_iter().collect()
    }

    fn check(&self) -> Result<()> {
        for direction in [Direction::Forward, Direction::Reverse] {
            let known: BTreeSet<&str> = self.tables_of(direction.source()).into_iter().collect();
            for table in self.tables(direction) {
                table.check(direction, &known)?;
            }
        }
        Ok(())
    }
}

impl Table {
    fn check(&self, direction: Direction, known: &BTreeSet<&str>) -> Result<()> {
        let wrong = |what: String| {
            Err(Error::Definition(format!("tables.toml, {direction} table {}: {what}", self.table)))
        };
        if self.key.is_empty() || self.covers.is_empty() || self.from.is_empty() {
            return wrong("key, covers and from must not be empty".to_owned());
        }
        for (source, columns) in &self.from {
            if !known.contains(source.as_str()) {
                return wrong(format!("{source} is no table of the {}", direction.source()));
            }
            if columns.len() != self.covers.len() {
                return wrong(format!("from {source} must name {} columns", self.covers.len()));
            }
        }
        Ok(())
    }
}

fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|e| Error::Definition(format!("failed to read {}: {e}", file.display())))
}
