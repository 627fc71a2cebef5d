//! `ficus.toml`: all that the engine knows of the system that it moves.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// A serialised `FileDescriptorSet` with `google.api.http` annotations, relative to the file. A
    /// subject without protos leaves it out and lists `routes` per capability.
    pub descriptors: Option<PathBuf>,
    pub control: Control,
    pub monolith: Monolith,
    #[serde(default)]
    pub identity: Identity,
    #[serde(default)]
    pub capability: BTreeMap<String, Capability>,
    /// The folder that the file stands in.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Where moves are kept and commanded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub database: Database,
    /// `http://host:port` of every controller.
    pub controllers: Vec<String>,
}

/// The process family that owns everything at first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monolith {
    /// Public HTTP.
    pub url: String,
    /// gRPC for inside calls.
    pub internal: Option<String>,
    pub database: Database,
}

/// A PostgreSQL URL, taken from an environment variable so that no password stands in a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub env: String,
}

/// How a customer's token becomes an identity inside.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    #[serde(default)]
    pub mode: IdentityMode,
    /// `package.Service/Method` with a request field `token` and answers `active` and `subject`, in the
    /// manner of RFC 7662, asked of the monolith's internal port.
    pub endpoint: Option<String>,
}

/// See [`Identity`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityMode {
    /// The header travels as it came.
    #[default]
    Passthrough,
    /// The token is resolved, and a short-lived signed token travels inside.
    Introspect,
}

/// One domain that moves as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// `http://host:port` of the service.
    pub service: String,
    /// The service speaks HTTP instead of gRPC.
    #[serde(default)]
    pub http: bool,
    pub database: Database,
    /// Packages of the descriptor set whose routes belong to it.
    #[serde(default)]
    pub packages: Vec<String>,
    /// `METHOD /path/{field}`, for a subject without protos.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The move's folder, relative to the file.
    #[serde(rename = "move")]
    pub move_folder: PathBuf,
}

/// Why a `ficus.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    #[error("failed to read {path}: {source}; name the file with --config")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to understand {path}: {source}")]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{path} names the environment variable {variable} for a database, and it is not set")]
    Unset { path: PathBuf, variable: String },
    #[error("there is no capability {name} in {path}; it has {known}")]
    Unknown { path: PathBuf, name: String, known: String },
}

impl Subject {
    /// Reads the file; paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self, SubjectError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SubjectError::Read { path: path.to_owned(), source })?;
        let mut subject: Self = toml::from_str(&text).map_err(|source| SubjectError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        path.parent().unwrap_or(Path::new("")).clone_into(&mut subject.folder);
        Ok(subject)
    }

    /// A path of the file, from where the process runs.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.folder.join(relative)
    }

    /// The capability of that name.
    pub fn capability(&self, name: &str) -> Result<&Capability, SubjectError> {
        self.capability.get(name).ok_or_else(|| SubjectError::Unknown {
            path: self.folder.join("ficus.toml"),
            name: name.to_owned(),
            known: self.capability.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}

impl Database {
    /// The URL, from the environment.
    pub fn url(&self) -> Result<String, SubjectError> {
        std::env::var(&self.env).map_err(|_| SubjectError::Unset {
            path: PathBuf::from("ficus.toml"),
            variable: self.env.clone(),
        })
    }
}
