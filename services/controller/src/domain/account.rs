//! What the journal says that a move has become, and whether that is what the control row says. Every change of the
//! row writes its line in the same statement, so the two part only by a defect or by a hand.

use chrono::{DateTime, Utc};
use ficus_mover::{Direction, Side};

use super::{Facts, Step, Stream};

/// One line of the journal.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub attempt: i64,
    pub epoch: i64,
    pub step: String,
    pub text: String,
    pub by: String,
}

/// How the text of C0's line begins that says that a switch is under way; others tell who is waited for.
const BEGUN: &str = "switch to the ";
/// The last line of a cancellation.
const CANCELLED: &str = "cancelled";
/// The last line of a completion.
pub const RENAMED: &str = "the monolith's tables are renamed away";

/// Those of the facts that the journal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    owner: Side,
    epoch: i64,
    attempt: i64,
    switch: Option<(Step, Side)>,
    prepared: bool,
    stream: Stream,
    direction: Option<Direction>,
    retired: bool,
    unfinished: bool,
}

/// Why the journal does not explain the facts; `None` if it does. `entries` are the move's, oldest first.
pub fn unexplained(entries: &[Entry], facts: &Facts) -> Option<String> {
    // A move that was cancelled and is created anew is told from there: the monolith owns what is created.
    let created = entries.iter().rposition(|entry| entry.step == "create");
    let Some((create, rest)) = created.and_then(|at| entries[at..].split_first()) else {
        return Some("it does not say that the move was created".to_owned());
    };
    let mut account = Account::created(create);
    for entry in rest {
        if !account.take_in(entry) {
            let (id, step, text) = (entry.id, &entry.step, &entry.text);
            return Some(format!("line {id} ({step}: {text}) cannot follow on what is before it"));
        }
    }
    let known = Account::of(facts);
    (account != known).then(|| format!("it tells {account:?}, and the control row {known:?}"))
}

impl Account {
    fn created(entry: &Entry) -> Self {
        Self {
            owner: Side::Monolith,
            epoch: entry.epoch,
            attempt: entry.attempt,
            switch: None,
            prepared: false,
            stream: Stream::None,
            direction: None,
            retired: false,
            unfinished: true,
        }
    }

    /// Within C1 nothing is written down before C6 happens: the journal has C0 for it.
    fn of(facts: &Facts) -> Self {
        let told = |(step, to)| (if step == Step::C1 { Step::C0 } else { step }, to);
        Self {
            owner: facts.owner,
            epoch: facts.epoch,
            attempt: facts.attempt,
            switch: facts.switch.map(told),
            prepared: facts.prepared,
            stream: facts.stream,
            direction: facts.direction,
            retired: facts.retired,
            unfinished: facts.unfinished,
        }
    }

    /// Whether the line can follow.
    fn take_in(&mut self, entry: &Entry) -> bool {
        let fits = match entry.step.as_str() {
            "attempt" => {
                self.attempt += 1;
                true
            }
            "prepare" => self.prepare(),
            "stream" => self.flow(&entry.text),
            "C0" if entry.text.starts_with(BEGUN) => self.begin(&entry.text),
            // C1 to C5 are written with C6, under its epoch.
            "C1" | "C2" | "C3" | "C4" | "C5" => return self.is_at(Step::C0),
            "C6" => self.decide(),
            "C7" => self.pass(Step::C7),
            "C8" => self.is_at(Step::C7) && self.pass(Step::C8),
            "C9" => self.finish(),
            "abort" => self.abort(),
            "cancel" => self.cancel(&entry.text),
            "complete" => self.complete(&entry.text),
            "C0" | "vdiff" | "relay" | "cleared" => true,
            _ => false,
        };
        fits && entry.attempt == self.attempt && entry.epoch == self.epoch
    }

    fn is_at(&self, step: Step) -> bool {
        self.switch.is_some_and(|(at, _)| at == step)
    }

    fn prepare(&mut self) -> bool {
        let fits = !self.prepared && self.unfinished && self.stream == Stream::None;
        self.prepared = true;
        fits
    }

    /// The text begins with the stream and its direction.
    fn flow(&mut self, text: &str) -> bool {
        let told = text.split(':').next().unwrap_or_default();
        let Some((stream, direction)) = told.split_once(", ") else { return false };
        let way = self.owner.outward();
        let Ok(stream) = stream.parse() else { return false };
        self.stream = stream;
        self.direction = Some(way);
        // One that breaks while a switch is pending aborts it.
        let before = self.switch.is_none() || self.is_at(Step::C0);
        self.prepared && before && direction == way.as_str()
    }

    fn begin(&mut self, text: &str) -> bool {
        let to = self.owner.other();
        let fits = self.prepared && self.switch.is_none();
        self.switch = Some((Step::C0, to));
        fits && text.strip_prefix(BEGUN) == Some(to.as_str())
    }

    fn decide(&mut self) -> bool {
        let Some((Step::C0, to)) = self.switch else { return false };
        self.owner = to;
        self.epoch += 1;
        self.switch = Some((Step::C6, to));
        true
    }

    /// At a takeover C7 may be told again, and C8 not at all.
    fn pass(&mut self, step: Step) -> bool {
        let Some((at, to)) = self.switch else { return false };
        self.switch = Some((step, to));
        at.after_the_point_of_no_return()
    }

    fn finish(&mut self) -> bool {
        let fits = self.is_at(Step::C7) || self.is_at(Step::C8);
        self.switch = None;
        self.stream = Stream::Following;
        self.direction = Some(self.owner.outward());
        fits
    }

    fn abort(&mut self) -> bool {
        let fits = self.is_at(Step::C0);
        self.switch = None;
        fits
    }

    fn cancel(&mut self, text: &str) -> bool {
        let fits = self.owner == Side::Monolith && self.unfinished && self.switch.is_none();
        if text == CANCELLED {
            let begun = !self.prepared && self.stream == Stream::Stopped;
            (self.stream, self.direction, self.unfinished) = (Stream::None, None, false);
            return fits && begun;
        }
        (self.stream, self.direction) = (Stream::Stopped, Some(Direction::Forward));
        self.prepared = false;
        fits
    }

    fn complete(&mut self, text: &str) -> bool {
        let fits = self.owner == Side::Service && self.unfinished && self.switch.is_none();
        if text == RENAMED {
            self.unfinished = false;
            return fits && self.retired;
        }
        self.retired = true;
        (self.stream, self.direction) = (Stream::None, None);
        fits
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use super::*;

    /// Attempt, epoch, step and text of each line of a move there, back and there again, to its end.
    const JOURNAL: &str = "
        0 1 create written down
        1 1 attempt taken in hand
        1 1 prepare installed
        1 1 stream copying, forward
        1 1 stream following, forward: 7 rows copied: comparing
        1 1 vdiff 7 rows compared
        2 1 attempt switch to the service
        2 1 C0 switch to the service
        2 1 abort too slow
        3 1 attempt switch to the service
        3 1 C0 switch to the service
        3 2 C1 fenced
        3 2 C6 the service owns it
        3 2 C7 open
        3 2 C8 every picker
        3 2 C9 changes flow back
        3 2 relay goes on
        3 2 stream stopped, reverse: by command
        3 2 stream following, reverse
        4 2 attempt switch to the monolith
        4 2 C0 waiting for nobody
        4 2 C0 switch to the monolith
        4 3 C6 the monolith owns it
        5 3 attempt taken in hand
        5 3 C7 rolled forward
        5 3 C9 rolled forward
        6 3 attempt switch to the service
        6 3 C0 switch to the service
        6 4 C6 the service owns it
        6 4 C7 open
        6 4 C8 every picker
        6 4 C9 changes flow back
        6 4 complete the way back is given up
        6 4 complete the monolith's tables are renamed away";
    /// Without one of these the journal tells the same.
    const NO_CHANGE: [&str; 6] = ["vdiff", "C1", "C8", "relay", "waiting", "written"];

    fn entry(line: &str) -> Entry {
        let mut words = line.trim().splitn(4, ' ');
        let mut word = || words.next().unwrap().to_owned();
        let (attempt, epoch) = (word().parse().unwrap(), word().parse().unwrap());
        let (step, text) = (word(), word());
        let at = DateTime::UNIX_EPOCH;
        Entry { id: 1, at, attempt, epoch, step, text, by: String::new() }
    }

    fn entries(text: &str) -> Vec<Entry> {
        text.lines().filter(|line| !line.trim().is_empty()).map(entry).collect()
    }

    /// The facts that these lines tell, less what they do not tell.
    fn facts(owner: Side, epoch: i64, attempt: i64) -> Facts {
        Facts {
            capability: "ledger".to_owned(),
            owner,
            epoch,
            attempt,
            switch: None,
            prepared: true,
            stream: Stream::None,
            direction: None,
            stream_error: String::new(),
            diff: None,
            switched_at: None,
            retired: true,
            unfinished: false,
        }
    }

    #[test]
    fn a_whole_move_is_explained_and_each_line_of_it_is_needed() {
        let whole = entries(JOURNAL);
        let end = facts(Side::Service, 4, 6);
        assert_eq!(unexplained(&whole, &end), None);
        for missing in 0..whole.len() - 1 {
            let mut rest = whole.clone();
            let gone = rest.remove(missing);
            let told =
                NO_CHANGE.iter().any(|word| gone.step == *word || gone.text.starts_with(word));
            // The stream may be stopped and started without a trace; only its last line counts.
            let same = told && gone.step != "create" || gone.step == "stream";
            assert_eq!(unexplained(&rest, &end).is_none(), same, "without {gone:?}");
        }
    }

    #[test]
    fn a_row_that_was_changed_by_hand_is_not_explained() {
        let whole = entries(JOURNAL);
        for changed in [
            facts(Side::Monolith, 4, 6),
            facts(Side::Service, 5, 6),
            facts(Side::Service, 4, 7),
            Facts { unfinished: true, ..facts(Side::Service, 4, 6) },
        ] {
            assert!(unexplained(&whole, &changed).is_some(), "{changed:?}");
        }
    }

    #[test]
    fn a_cancelled_move_and_one_that_is_created_anew_are_explained() {
        let text = "
            3 3 create written down
            4 3 prepare installed
            4 3 cancel the stream has ended
            4 3 cancel cancelled
            4 3 create written down";
        let mut lines = entries(text);
        lines.insert(1, entry("4 3 attempt taken in hand"));
        let planned = Facts {
            prepared: false,
            retired: false,
            unfinished: true,
            ..facts(Side::Monolith, 3, 4)
        };
        assert_eq!(unexplained(&lines, &planned), None);
        lines.pop();
        let cancelled = Facts { unfinished: false, ..planned.clone() };
        assert_eq!(unexplained(&lines, &cancelled), None);
        assert!(unexplained(&lines, &planned).is_some());
    }
}
