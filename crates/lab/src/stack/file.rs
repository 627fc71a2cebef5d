//! `.ficus/stack.json`: which processes there are, and where they answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Root, process, programs};

/// What was started and not stopped yet.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    pub processes: Vec<Entry>,
    pub urls: BTreeMap<String, String>,
    pub databases: BTreeMap<String, String>,
    /// Kafka's address, also where it was started by somebody else.
    pub brokers: String,
    /// As "15".
    pub postgres: String,
}

/// One process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub pid: i32,
    pub ports: BTreeMap<String, u16>,
    pub log: PathBuf,
    /// Tells the process from a later one with the same pid.
    pub started: String,
}

impl Stack {
    /// What an earlier `lab up` wrote down; `None` if there is none.
    pub fn read(root: &Root) -> Result<Option<Self>> {
        let file = root.stack_file();
        if !file.exists() {
            return Ok(None);
        }
        let text = fs::read(&file)?;
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("failed to read {}", file.display()))
    }

    /// What is up; an error that says what to do if nothing is.
    pub fn of(root: &Root) -> Result<Self> {
        Self::read(root)?.context("nothing is up here; start it with `lab up`")
    }

    /// Replaces the file whole.
    pub fn write(&self, root: &Root) -> Result<()> {
        let file = root.stack_file();
        let draft = file.with_extension("draft");
        fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&draft, &file).with_context(|| format!("failed to write {}", file.display()))
    }

    /// Puts a process down that was just started.
    pub fn add(&mut self, root: &Root, name: &str, pid: i32) -> Result<()> {
        let program = programs::named(name)?;
        self.processes.retain(|entry| entry.name != name);
        self.processes.push(Entry {
            name: name.to_owned(),
            pid,
            ports: program.ports.iter().map(|(use_, port)| ((*use_).to_owned(), *port)).collect(),
            log: root.log(name),
            started: process::started(pid).unwrap_or_default(),
        });
        if let Some(url) = program.url {
            self.urls.insert(name.to_owned(), url.to_owned());
        }
        self.write(root)
    }

    /// The process of this name.
    pub fn named(&self, name: &str) -> Result<&Entry> {
        let names = || self.processes.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>();
        self.processes
            .iter()
            .find(|entry| entry.name == name)
            .with_context(|| format!("no process {name}; there are {}", names().join(", ")))
    }

    /// The URL of a database.
    pub fn database(&self, name: &str) -> Result<&str> {
        let url = self.databases.get(name).map(String::as_str);
        url.with_context(|| format!("the stack has no database {name}"))
    }
}

impl Entry {
    /// Whether this very process runs.
    pub fn alive(&self) -> bool {
        process::started(self.pid).is_some_and(|started| started == self.started)
    }
}
