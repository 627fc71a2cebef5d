//! The way back, tried before a switch: one row of each of the source's tables goes to the target, is written there
//! as by a customer of the new owner, comes back through the other direction's projection and is put into the source,
//! each side in one call that takes everything back.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::types::Json;

use crate::{
    Direction, Error, Mover, Refusal, Result, Side,
    catalog::Shape,
    database::sqlstate,
    fence::{FENCE_BUDGET, bounded},
    follower::{
        inverse::first_difference,
        rows::{Covers, Row, Values},
    },
    refusals::trial::{Sampled, led_to, rows_of, sharing_covers},
    sql::{self, rehearsed},
};

const NEXT: &str =
    "mend the projection, the row or the constraint; without a way back there is no switch";
const IN_THE_WAY: &str = "try again; others had the tables";

/// The rows of one source snapshot.
struct Rows {
    /// Of the source's own tables, in the order of the shapes of the way back.
    own: Vec<Sampled>,
    /// Of the target's tables, in the order of the direction's shapes.
    carried: Vec<(BTreeSet<Covers>, Vec<Row>)>,
}

/// The arguments of `ficus.rehearse`.
#[derive(Default)]
struct Rehearsal {
    open: Vec<String>,
    apply: Vec<(String, Value)>,
    touch: Vec<(String, String, Value)>,
    ask: Vec<(String, Value)>,
}

/// What it said, or why it could not be done.
type Said = Result<(Vec<String>, Vec<Vec<Row>>), Refusal>;

impl Mover {
    pub(crate) async fn rehearse(&self, direction: Direction) -> Result<Vec<Refusal>> {
        let shapes = self.shapes(direction).await?;
        let back = self.shapes(direction.opposite()).await?;
        let rows = self.rows_to_rehearse(direction, &shapes, &back).await?;

        let there = self.rehearsal_there(direction, &shapes, &back, &rows);
        let (uncaptured, given) = match self.try_and_take_back(direction.target(), there).await? {
            Ok(said) => said,
            Err(refusal) => return Ok(vec![refusal]),
        };
        let mut found: Vec<Refusal> = uncaptured
            .iter()
            .map(|table| {
                refuse(format!("a write to {table} of the {} is not captured", direction.target()))
            })
            .collect();
        for ((shape, own), given) in back.iter().zip(&rows.own).zip(&given) {
            if let Some(row) = first_difference(&own.rows, given.clone()) {
                let (table, key) = (&shape.table, shape.key_of(&row));
                found.push(refuse(format!("row {key} of {table} does not come back as it is")));
            }
        }
        if found.is_empty() {
            let home = rehearsal_home(&back, &rows, &given);
            let said = self.try_and_take_back(direction.source(), home).await?;
            found.extend(said.err());
        }
        Ok(found)
    }

    async fn rows_to_rehearse(
        &self,
        direction: Direction,
        shapes: &[Shape],
        back: &[Shape],
    ) -> Result<Rows> {
        let source = self.database(direction.source());
        let mut transaction = source.read().await?;
        let read = async {
            let mut own = Vec::new();
            for shape in back {
                let last = sql::last_row(&shape.target, &shape.key);
                let last = Values::default().fetch_rows(last, &mut transaction).await?;
                own.push(sharing_covers(shape, &last, &mut transaction).await?);
            }
            let mut carried = Vec::new();
            for shape in shapes {
                let covers = led_to(shape, back, &own);
                let rows = rows_of(&shape.source, &shape.covers, &covers, &mut transaction).await?;
                carried.push((covers, rows));
            }
            transaction.commit().await?;
            Ok(Rows { own, carried })
        };
        source.ask_much(read).await
    }

    /// In the target: opened as C7 will, the rows as the stream brings them, a write as a customer's, and the way
    /// back's projection read.
    fn rehearsal_there(
        &self,
        direction: Direction,
        shapes: &[Shape],
        back: &[Shape],
        rows: &Rows,
    ) -> Rehearsal {
        let mut there = Rehearsal {
            open: self.tables_of(direction.target()).into_iter().map(str::to_owned).collect(),
            ..Rehearsal::default()
        };
        let each = || shapes.iter().zip(&rows.carried);
        for (shape, (covers, _)) in each() {
            there.apply.push((rehearsed::delete(&shape.target, &shape.covers), json!(covers)));
        }
        for (shape, (_, carried)) in each().filter(|(_, (_, carried))| !carried.is_empty()) {
            there.apply.push((rehearsed::insert(&shape.target), json!(carried)));
            let keys: Vec<_> = carried.iter().map(|row| shape.key_parts(row)).collect();
            let which = rehearsed::among(&shape.target, &shape.key);
            there.touch.push((shape.table.clone(), which, json!(keys)));
        }
        for (shape, own) in back.iter().zip(&rows.own) {
            there.ask.push((rehearsed::rows(&shape.source, &shape.covers), json!(own.covers)));
        }
        there
    }

    /// One call; what it says, or the reason if a row or the fence stands against it.
    async fn try_and_take_back(&self, side: Side, rehearsal: Rehearsal) -> Result<Said> {
        let database = self.database(side);
        let (apply, applied): (Vec<_>, Vec<_>) = rehearsal.apply.into_iter().unzip();
        let (ask, asked): (Vec<_>, Vec<_>) = rehearsal.ask.into_iter().unzip();
        let mut touch = (Vec::new(), Vec::new(), Vec::new());
        for (table, which, touched) in rehearsal.touch {
            touch.0.push(table);
            touch.1.push(which);
            touch.2.push(touched);
        }
        let call = || async {
            sqlx::query_as(
                "SELECT uncaptured, said FROM ficus.rehearse($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(&self.inner.capability)
            .bind(&rehearsal.open)
            .bind(&apply)
            .bind(&applied)
            .bind(&touch.0)
            .bind(&touch.1)
            .bind(&touch.2)
            .bind(&ask)
            .bind(&asked)
            .fetch_one(&database.rehearsals)
            .await
        };
        match bounded(database, "every table", FENCE_BUDGET, call).await {
            Ok((uncaptured, Json(given))) => Ok(Ok((uncaptured, given))),
            Err(Error::Database { source, .. }) if stands_against(&source) => {
                Ok(Err(refuse(format!("the {side}'s database refuses it: {source}"))))
            }
            Err(Error::Database { source, .. })
                if sqlstate(&source).as_deref() == Some("57014") =>
            {
                let reason = format!("at the {side} it was not done within a second");
                Ok(Err(Refusal::new("way back", reason, IN_THE_WAY)))
            }
            Err(error @ Error::LockTimeout { .. }) => {
                Ok(Err(Refusal::new("way back", error.to_string(), IN_THE_WAY)))
            }
            Err(error) => Err(error),
        }
    }
}

fn refuse(reason: String) -> Refusal {
    Refusal::new("way back", reason, NEXT)
}

/// In the source: what came back takes the place of what is there.
fn rehearsal_home(back: &[Shape], rows: &Rows, given: &[Vec<Row>]) -> Rehearsal {
    let mut home = Rehearsal::default();
    for (shape, own) in back.iter().zip(&rows.own) {
        home.apply.push((rehearsed::delete(&shape.target, &shape.covers), json!(own.covers)));
    }
    for (shape, given) in back.iter().zip(given) {
        home.apply.push((rehearsed::insert(&shape.target), json!(given)));
    }
    home
}

/// Data, integrity, a fence that did not open.
fn stands_against(error: &sqlx::Error) -> bool {
    let state = sqlstate(error).unwrap_or_default();
    state.starts_with("22") || state.starts_with("23") || state == "ZF001"
}
