//! Where things lie: the clone's `.ficus` folder, and a folder for the servers' data outside the clone.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folder that has `ficus.toml`.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// Looks upwards from the folder that `lab` runs in.
    pub fn find() -> Result<Self> {
        let here = env::current_dir()?;
        let root = here.ancestors().find(|folder| folder.join("ficus.toml").exists());
        let root = root.context("no ficus.toml here or above; run lab from the repository")?;
        Ok(Self(root.to_owned()))
    }

    /// The repository itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the engine is told about Trellis.
    pub fn config(&self) -> PathBuf {
        self.0.join("ficus.toml")
    }

    /// Everything that `lab` leaves in the clone.
    pub fn folder(&self) -> PathBuf {
        self.0.join(".ficus")
    }

    /// Links to the programs.
    pub fn bin(&self) -> PathBuf {
        self.folder().join("bin")
    }

    /// The output of each process.
    pub fn logs(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// The output of the process of this name.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// What the mail server took.
    pub fn mail_file(&self) -> PathBuf {
        self.folder().join("mail.jsonl")
    }

    /// The spans that were sampled.
    pub fn spans_file(&self) -> PathBuf {
        self.folder().join("spans.jsonl")
    }

    /// Which processes there are.
    pub fn stack_file(&self) -> PathBuf {
        self.folder().join("stack.json")
    }

    /// The tour's reports.
    pub fn tour(&self) -> PathBuf {
        self.folder().join("tour")
    }

    /// The servers' data, where the user that runs PostgreSQL can reach it.
    pub fn data(&self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        let user = nix::unistd::geteuid();
        env::temp_dir().join(format!("ficus-{user}-{:016x}", hasher.finish()))
    }

    /// Makes the folders and links the programs that were built beside this one.
    pub fn prepare(&self) -> Result<()> {
        for folder in [self.bin(), self.logs(), self.data()] {
            fs::create_dir_all(&folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
        }
        let built = env::current_exe()?.canonicalize()?;
        let built = built.parent().context("lab's own folder is unknown")?;
        for program in super::programs::BUILT {
            link(&built.join(program), &self.bin().join(program))?;
        }
        Ok(())
    }

    /// Links PostgreSQL's client beside the programs, so that printed commands work wherever it lies.
    pub fn link_psql(&self, client: &Path) -> Result<()> {
        let client = if client.is_absolute() { Some(client.to_owned()) } else { on_path(client) };
        let client = client.context("psql is neither beside PostgreSQL's programs nor on PATH")?;
        link(&client, &self.bin().join("psql"))
    }
}

fn on_path(program: &Path) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|file| file.exists())
}

fn link(target: &Path, link: &Path) -> Result<()> {
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(target, link)
        .with_context(|| format!("failed to link {}", link.display()))
}
