//! Which mechanisms are taken out, and the schedule that each one's loss shows by.

use std::time::Duration;

use Finding::{Doubled, Lost, OutOfOrder, Stale};

use crate::judge::Verdict;

/// One mechanism, and what happens while it is gone.
#[derive(Debug)]
pub struct Plot {
    pub name: &'static str,
    /// What is done without, for a person.
    pub without: &'static str,
    pub how: How,
    /// Failpoints of a process, which it is started with so often.
    pub failpoints: Option<Failpoints>,
    /// What is done at every switch.
    pub at_switch: AtSwitch,
    /// What is done all the while.
    pub meanwhile: Meanwhile,
    /// What the judge must find, one of these.
    pub shows: &'static [Finding],
}

/// What a judge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Lost,
    Doubled,
    OutOfOrder,
    Stale,
}

impl Finding {
    /// How much of it there is.
    pub const fn of(self, verdict: &Verdict) -> usize {
        match self {
            Self::Lost => verdict.lost,
            Self::Doubled => verdict.doubled,
            Self::OutOfOrder => verdict.out_of_order,
            Self::Stale => verdict.stale,
        }
    }
}

/// How the mechanism is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By `FICUS_FAULTS`, in every process.
    Process,
    /// By this script, in the database of either owner.
    Sql(&'static str),
}

/// `FICUS_FAILPOINTS` of one process, or of every one.
#[derive(Debug, Clone, Copy)]
pub struct Failpoints {
    pub process: Option<&'static str>,
    pub what: &'static str,
    /// Starts that have them.
    pub starts: usize,
}

/// What is done at every switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtSwitch {
    Nothing,
    /// The process loses the control database once it has acknowledged that a switch is pending.
    Cut(&'static str),
    /// The gateway loses the control database once nothing stands against a switch and before it hears that one is
    /// pending; another gateway does not. Who is cut off before that is waited for.
    CutBefore,
    /// The old owner's process is stopped once it has acknowledged that a switch is pending.
    Freeze(&'static str),
    /// Both controllers are stopped once the fence shuts, until *pending* has run out.
    FreezeControllers,
}

/// What is done all the while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    /// The mail server takes so long for each mail.
    SlowMail(Duration),
    /// A writer of the monolith's commits late, before the first switch.
    LateCommits,
    /// Requests carry no idempotency keys.
    NoKeys,
    /// Writers of one key begin their transactions in another order than they come to write.
    LateEvents,
    /// Few people change their preferences, each often.
    FewChoosers,
}

impl Plot {
    const fn of(name: &'static str, without: &'static str, shows: &'static [Finding]) -> Self {
        Self {
            name,
            without,
            how: How::Process,
            failpoints: None,
            at_switch: AtSwitch::Nothing,
            meanwhile: Meanwhile::Nothing,
            shows,
        }
    }

    const fn sql(self, script: &'static str) -> Self {
        Self { how: How::Sql(script), ..self }
    }

    const fn at_switch(self, at_switch: AtSwitch) -> Self {
        Self { at_switch, ..self }
    }

    const fn meanwhile(self, meanwhile: Meanwhile) -> Self {
        Self { meanwhile, ..self }
    }

    const fn failing(self, process: &'static str, what: &'static str, starts: usize) -> Self {
        let process = Some(process);
        Self { failpoints: Some(Failpoints { process, what, starts }), ..self }
    }

    /// A failpoint that makes whoever comes by wait.
    const fn waiting(self, what: &'static str) -> Self {
        Self { failpoints: Some(Failpoints { process: None, what, starts: usize::MAX }), ..self }
    }
}

const FENCE_OFF: &str = "
    CREATE OR REPLACE FUNCTION ficus.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RETURN coalesce(NEW, OLD);
    END $$;";

/// Longer than *pending* lives, shorter than the gateway is cut off.
const FENCE_BY_CLOCK: &str = "
    CREATE TABLE ficus.shut (at timestamptz NOT NULL);
    INSERT INTO ficus.shut VALUES (clock_timestamp());
    CREATE OR REPLACE FUNCTION ficus.fence_table(p_capability text, p_attempt bigint, p_table text, p_shut boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        PERFORM ficus.begin_step(p_capability, p_attempt);
        PERFORM ficus.set_fence(p_table, p_shut);
        INSERT INTO ficus.shut VALUES (clock_timestamp());
    END $$;
    CREATE OR REPLACE FUNCTION ficus.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF clock_timestamp() > (SELECT max(at) FROM ficus.shut) + interval '3 s' THEN
            RETURN coalesce(NEW, OLD);
        END IF;
        RAISE EXCEPTION 'this database does not own %', TG_ARGV[0]
            USING ERRCODE = 'ZF001', DETAIL = format('capability=%s epoch=0', TG_ARGV[0]);
    END $$;";

/// All of them.
pub const PLOTS: [Plot; 12] = [
    Plot::of("fence-off", "the fence", &[Stale, Lost])
        .sql(FENCE_OFF)
        .at_switch(AtSwitch::Cut("gateway")),
    Plot::of("fence-by-clock", "a fence that stays shut: it opens after 3 s", &[Stale, Lost])
        .sql(FENCE_BY_CLOCK)
        .at_switch(AtSwitch::Cut("gateway")),
    Plot::of("quiesce-off", "waiting for mails that are on their way", &[Doubled])
        .meanwhile(Meanwhile::SlowMail(Duration::from_millis(400))),
    Plot::of("acknowledgements-off", "waiting for the pickers' acknowledgements", &[Stale, Lost])
        .waiting("controller.before.C0=wait:500")
        .at_switch(AtSwitch::CutBefore),
    Plot::of("hand-over-off", "the relays' hand-over", &[OutOfOrder])
        .failing("notifications", "relay.read=wait:120", 1)
        .at_switch(AtSwitch::Freeze("notifications"))
        .meanwhile(Meanwhile::FewChoosers),
    Plot::of("fence-is-poison", "telling a refusal of the fence from a poison message", &[Lost])
        .at_switch(AtSwitch::FreezeControllers),
    Plot::of(
        "cursor-by-id",
        "the open transactions of a snapshot: the cursor is `id > last`",
        &[Lost, Stale],
    )
    .meanwhile(Meanwhile::LateCommits),
    Plot::of("relay-by-xid", "the order of ids: the relay goes by transaction", &[OutOfOrder])
        .failing("monolith", "relay.read=wait:300", 1)
        .meanwhile(Meanwhile::LateEvents),
    Plot::of("outbox-apart", "one transaction for a write and its event", &[Doubled, Lost])
        .failing("monolith", "outbox.appended=kill", 4),
    Plot::of("offset-first", "effects before the offset's commit", &[Lost]).failing(
        "monolith",
        "consumer.committed=kill",
        2,
    ),
    Plot::of("inbox-off", "the inbox of applied events", &[Doubled]).failing(
        "monolith",
        "consumer.applied=kill",
        2,
    ),
    Plot::of("repeat-any", "`Ficus-Fenced` as the only reason to repeat a write", &[Doubled])
        .failing("monolith", "write.committed=kill", 6)
        .meanwhile(Meanwhile::NoKeys),
];

/// The plot of this name.
pub fn named(name: &str) -> Result<&'static Plot, String> {
    PLOTS.iter().find(|plot| plot.name == name).ok_or_else(|| {
        let names: Vec<_> = PLOTS.iter().map(|plot| plot.name).collect();
        format!("there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::{PLOTS, named};

    #[test]
    fn every_plot_has_a_name_of_its_own() {
        let mut names: Vec<_> = PLOTS.iter().map(|plot| plot.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PLOTS.len());
        assert!(names.iter().all(|name| named(name).is_ok()));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_those_that_are() {
        assert!(named("fence").expect_err("there is none").contains("fence-off, "));
    }
}
