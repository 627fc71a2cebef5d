//! The chapters as data: what is done at each step, and why.

use std::time::Duration;

use crate::stack::Stack;

/// One chapter.
pub struct Chapter {
    pub n: u32,
    pub title: &'static str,
    pub steps: Vec<Step>,
}

/// One step.
pub struct Step {
    pub name: &'static str,
    pub why: &'static str,
    /// What must hold before, as part of the step but outside what is measured as during.
    pub first: Vec<Act>,
    pub acts: Vec<Act>,
    /// Whether the step changes who owns notifications.
    pub switch: Option<Direction>,
}

/// A thing that a step does.
pub enum Act {
    /// Runs a command.
    Run(String),
    /// Runs a command that takes long and shows the move's progress meanwhile.
    Follow(String),
    /// Runs a command that may be refused for a moment, as while the load peaks, until it is not.
    Insist(String),
    /// Sends the load somewhere else from now on.
    Aim(&'static str),
    /// Lets the load run.
    Watch(Duration),
}

/// Which way the owner changes.
#[derive(Clone, Copy)]
pub enum Direction {
    Forward,
    Reverse,
}

pub const MONOLITH: &str = "http://127.0.0.1:8201";
pub const GATEWAY: &str = "http://127.0.0.1:8200";

/// The chapters that there are.
pub fn all(stack: &Stack) -> Vec<Chapter> {
    vec![mvp(), gateway(), notifications(stack)]
}

fn mvp() -> Chapter {
    let steps = vec![
        step(
            "the MVP at work",
            "One process, one database. A sign-up sends its welcome mail before it answers.",
            vec![watch(4)],
        ),
        step(
            "the mail server slows down",
            "It takes 300 ms longer to accept a mail. Whoever signs up waits for it.",
            vec![Act::Run(mail_delay(300)), watch(6)],
        ),
        step(
            "the mail server recovers",
            "Sign-ups are fast again.",
            vec![Act::Run(mail_delay(0)), watch(1)],
        ),
    ];
    Chapter { n: 0, title: "The MVP", steps }
}

fn gateway() -> Chapter {
    let steps = vec![step(
        "the gateway goes in front",
        "Every request passes the gateway, which sends it to the owner of its capability: still the \
         monolith for all of them. Nothing moves yet.",
        vec![Act::Run(up("gateway")), Act::Aim(GATEWAY), watch(4)],
    )];
    Chapter { n: 3, title: "The gateway in front", steps }
}

fn notifications(stack: &Stack) -> Chapter {
    let mut steps = apart(stack);
    steps.extend(carried());
    steps.extend(switched());
    Chapter { n: 4, title: "Notifications leave", steps }
}

/// Nothing else reaches into the tables that will move.
fn apart(stack: &Stack) -> Vec<Step> {
    vec![
        step(
            "mail goes to a queue",
            "What happened is published in the transaction in which it happened; the mail is sent later. A \
             slow mail server no longer keeps anybody who signs up.",
            vec![
                Act::Run(sql(stack, "-c \"UPDATE settings SET mail_mode = 'queued'\"")),
                Act::Run(mail_delay(300)),
                watch(5),
                Act::Run(mail_delay(0)),
            ],
        ),
        step(
            "the foreign keys across the edge are cut",
            "Rows that will live in another database cannot refer to users, workspaces, tasks and comments \
             by constraint. Each lock is asked for with a limit and tried again.",
            vec![Act::Run(sql(stack, "-q -f crates/lab/src/tour/cut.sql"))],
        ),
    ]
}

fn carried() -> Vec<Step> {
    vec![
        step(
            "the service and the controllers start",
            "The service answers nothing yet. Two controllers: one leads, the other takes over if it dies.",
            vec![Act::Run(up("controller-1,controller-2,notifications"))],
        ),
        step(
            "the move is written down and prepared",
            "create notes what moves; prepare checks everything that could be refused, and installs change \
             capture on the monolith's tables and a shut fence on the service's.",
            vec![Act::Run(ficus("create")), Act::Run(ficus("prepare"))],
        ),
        step(
            "rows are copied and compared",
            "Chunks are read through the projection at one snapshot and written as the service's own tables; \
             changes follow. vdiff waits until both sides were compared whole.",
            vec![Act::Run(ficus("start")), Act::Follow(ficus("vdiff"))],
        ),
    ]
}

fn switched() -> Vec<Step> {
    vec![
        switch(
            "the service takes over",
            "The fence shuts at the monolith, the last changes are carried over and compared, the owner \
             changes, the fence opens at the service. Writes wait that long.",
            "switch-traffic",
            Direction::Forward,
        ),
        switch(
            "the monolith takes over again",
            "The way back is open: since the switch every change was carried back. Nothing is lost by it.",
            "reverse-traffic",
            Direction::Reverse,
        ),
        switch(
            "the service takes over for good",
            "The same once more.",
            "switch-traffic",
            Direction::Forward,
        ),
        Step {
            first: vec![Act::Follow(ficus("vdiff"))],
            ..step(
                "the move is completed",
                "After a soak time (a day by default, 5 s here) the way back is given up and the monolith's \
                 tables are renamed away.",
                vec![Act::Insist(ficus("complete --soak 5s"))],
            )
        },
    ]
}

/// Both sides are compared first: after each switch the rows' way is another.
fn switch(name: &'static str, why: &'static str, verb: &str, direction: Direction) -> Step {
    let first = vec![Act::Follow(ficus("vdiff"))];
    let acts = vec![Act::Insist(ficus(verb))];
    Step { first, switch: Some(direction), ..step(name, why, acts) }
}

fn step(name: &'static str, why: &'static str, acts: Vec<Act>) -> Step {
    Step { name, why, first: Vec::new(), acts, switch: None }
}

fn watch(seconds: u64) -> Act {
    Act::Watch(Duration::from_secs(seconds))
}

fn ficus(verb: &str) -> String {
    let (verb, flags) = verb.split_once(' ').unwrap_or((verb, ""));
    format!(".ficus/bin/ficus move notifications {verb} {flags}").trim_end().to_owned() + " --json"
}

fn up(names: &str) -> String {
    format!(".ficus/bin/lab up --only {names}")
}

fn sql(stack: &Stack, what: &str) -> String {
    let database = stack.databases.get("monolith").map(String::as_str).unwrap_or_default();
    format!("{} {database} -v ON_ERROR_STOP=1 {what}", stack.psql.display())
}

fn mail_delay(milliseconds: u32) -> String {
    format!(
        "curl -fsS -X POST http://127.0.0.1:8252/smtp/delay -H 'content-type: application/json' \
         -d '{{\"milliseconds\": {milliseconds}}}'"
    )
}

impl Step {
    /// The commands that it runs, in order.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.first.iter().chain(&self.acts).filter_map(Act::command)
    }
}

impl Act {
    /// The command, if it is one.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Run(line) | Self::Follow(line) | Self::Insist(line) => Some(line),
            Self::Aim(_) | Self::Watch(_) => None,
        }
    }
}

impl Direction {
    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}
