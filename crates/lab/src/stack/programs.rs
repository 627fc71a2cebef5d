//! What the stack is made of, in the order in which it is started.

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

/// The programs that are built here and linked into `.ficus/bin`.
pub const BUILT: [&str; 7] =
    ["monolith", "gateway", "notifications", "controller", "sandbox", "ficus", "lab"];

/// One process of the stack.
#[derive(Debug)]
pub struct Program {
    /// Its name in the stack, as `controller-1`.
    pub name: &'static str,
    pub ports: &'static [(&'static str, u16)],
    /// Where a person or a client finds it.
    pub url: Option<&'static str>,
    pub health: Health,
    /// How it is asked to end.
    pub stop: Signal,
}

/// How it is known that a process answers.
#[derive(Debug, Clone, Copy)]
pub enum Health {
    /// A statement is answered on this port.
    Postgres(u16),
    /// The port accepts connections.
    Port(u16),
    /// `GET /healthz` answers 200 on this port.
    Http(u16),
    /// The gRPC health service says SERVING on this port.
    Grpc(u16),
}

pub const PROGRAMS: [Program; 9] = [
    Program {
        name: "postgres-monolith",
        ports: &[("postgres", 8261)],
        url: None,
        health: Health::Postgres(8261),
        stop: Signal::SIGINT,
    },
    Program {
        name: "postgres-services",
        ports: &[("postgres", 8262)],
        url: None,
        health: Health::Postgres(8262),
        stop: Signal::SIGINT,
    },
    Program {
        name: "kafka",
        ports: &[("kafka", 8271), ("controller", 8272)],
        url: None,
        health: Health::Port(8271),
        // Its data is removed with it.
        stop: Signal::SIGKILL,
    },
    Program {
        name: "sandbox",
        ports: &[("smtp", 8251), ("http", 8252), ("otlp", 8253), ("metrics", 8254)],
        url: Some("http://127.0.0.1:8252"),
        health: Health::Http(8252),
        stop: Signal::SIGTERM,
    },
    Program {
        name: "monolith",
        ports: &[("http", 8201), ("grpc", 8202), ("metrics", 8203)],
        url: Some("http://127.0.0.1:8201"),
        health: Health::Http(8201),
        stop: Signal::SIGTERM,
    },
    Program {
        name: "controller-1",
        ports: &[("grpc", 8241), ("metrics", 8243)],
        url: Some("http://127.0.0.1:8241"),
        health: Health::Grpc(8241),
        stop: Signal::SIGTERM,
    },
    Program {
        name: "controller-2",
        ports: &[("grpc", 8242), ("metrics", 8244)],
        url: Some("http://127.0.0.1:8242"),
        health: Health::Grpc(8242),
        stop: Signal::SIGTERM,
    },
    Program {
        name: "gateway",
        ports: &[("http", 8200), ("metrics", 8204)],
        url: Some("http://127.0.0.1:8200"),
        health: Health::Http(8200),
        stop: Signal::SIGTERM,
    },
    Program {
        name: "notifications",
        ports: &[("grpc", 8231), ("metrics", 8232)],
        url: Some("http://127.0.0.1:8231"),
        health: Health::Grpc(8231),
        stop: Signal::SIGTERM,
    },
];

/// The databases: name, and the port of the server it is on.
pub const DATABASES: [(&str, u16); 3] =
    [("monolith", 8261), ("notifications", 8262), ("control", 8262)];

/// The process of this name.
pub fn named(name: &str) -> Result<&'static Program> {
    if let Some(program) = PROGRAMS.iter().find(|program| program.name == name) {
        return Ok(program);
    }
    let names: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
    bail!("there is no {name}; there are {}", names.join(", "))
}

impl Program {
    /// A server that others store in, not a program of ours.
    pub fn is_server(&self) -> bool {
        matches!(self.name, "postgres-monolith" | "postgres-services" | "kafka")
    }

    /// Where it serves its metrics, if it does.
    pub fn metrics(&self) -> Option<u16> {
        self.ports.iter().find(|(what, _)| *what == "metrics").map(|(_, port)| *port)
    }

    /// The program that runs, and its arguments.
    pub fn line(&self) -> (&'static str, Vec<&'static str>) {
        let arguments = match self.name {
            "sandbox" => vec![
                "--smtp-listen",
                "127.0.0.1:8251",
                "--http-listen",
                "127.0.0.1:8252",
                "--otlp-listen",
                "127.0.0.1:8253",
            ],
            "monolith" => {
                vec!["--listen", "127.0.0.1:8201", "--internal-listen", "127.0.0.1:8202"]
            }
            "controller-1" => {
                vec!["--listen", "127.0.0.1:8241", "--name", "controller-1"]
            }
            "controller-2" => {
                vec!["--listen", "127.0.0.1:8242", "--name", "controller-2"]
            }
            "gateway" => vec!["--listen", "127.0.0.1:8200"],
            // The second key is a load tester's, which asks the service without a gateway; the third one a second gateway's,
            // which some faults need.
            "notifications" => vec![
                "--listen",
                "127.0.0.1:8231",
                "--gateway-keys",
                "http://127.0.0.1:8200/.well-known/jwks.json,http://127.0.0.1:8209/keys,\
                 http://127.0.0.1:8210/.well-known/jwks.json",
            ],
            _ => Vec::new(),
        };
        (self.name.trim_end_matches("-1").trim_end_matches("-2"), arguments)
    }
}
