//! A scenario: a file that says who asks a service for what, and how often.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The scenario that a service's name alone means.
const DEFAULT: &str = "mix";

/// `services/<service>/load/<name>.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// One line for `ficus load list`.
    pub about: String,
    /// What flags say unless they are given.
    #[serde(default)]
    pub run: Run,
    /// What names stand for; `--set` says otherwise.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Where programs serve metrics for Prometheus, by the program's name.
    #[serde(default)]
    pub metrics: BTreeMap<String, String>,
    #[serde(default)]
    pub users: Users,
    pub call: Vec<Request>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub rate: Option<String>,
    pub spacing: Option<crate::cli::Spacing>,
    pub slo: Option<String>,
    /// When requests once came: a file as `--replay` takes it, beside the scenario's.
    pub replay: Option<PathBuf>,
}

/// Those in whose names requests are sent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Users {
    #[serde(default)]
    pub count: u32,
    /// Sent once for each of them, in this order, before the load.
    #[serde(default)]
    pub setup: Vec<Request>,
    /// Has a service that believes the gateway alone believe that the user with this id asks.
    pub inside: Option<Inside>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inside {
    /// The user's id.
    pub subject: String,
    /// Where the service fetches the key, `host:port`.
    pub keys: String,
}

/// A request as it is written down: of a call its name and weight, of a setup what is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default)]
    pub name: String,
    /// Its share is this by the sum of all.
    #[serde(default = "one")]
    pub weight: f64,
    pub url: String,
    pub method: Option<String>,
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// A text is sent as it is, all else as JSON.
    pub body: Option<Value>,
    /// Statuses that are right; without it any 2xx.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// What an answer must be besides, as `--check` has it.
    #[serde(default)]
    pub check: Vec<String>,
    /// What is kept of the answer: a name, and where the value lies in the JSON (RFC 6901, as `/token`).
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

fn one() -> f64 {
    1.0
}

/// A scenario's name and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// `service/name`
    pub name: String,
    pub path: PathBuf,
}

impl Scenario {
    /// Fails with the line that is wrong.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let scenario = Self::parse(&text);
        scenario.with_context(|| format!("{} is no scenario", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        ensure!(!scenario.call.is_empty(), "it has no [[call]]");
        let weights: f64 = scenario.call.iter().map(|call| call.weight).sum();
        let sound = |weight: f64| weight.is_finite() && weight >= 0.0;
        ensure!(
            scenario.call.iter().all(|call| sound(call.weight)) && weights > 0.0,
            "a weight is 0 or more, and one is more"
        );
        ensure!(
            scenario.call.iter().all(|call| !call.name.is_empty()),
            "every [[call]] needs a name"
        );
        ensure!(
            scenario.call.iter().all(|call| call.keep.is_empty()),
            "keep is for [[users.setup]]; nothing comes after a [[call]] that could use it"
        );
        ensure!(
            scenario.users.setup.iter().all(|setup| setup.check.is_empty()),
            "check is for a [[call]]; a setup keeps what it needs"
        );
        let mut names: Vec<_> = scenario.call.iter().map(|call| call.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[one, next]| one == next) {
            bail!("two calls are named {name}");
        }
        Ok(scenario)
    }
}

/// The parser's own text shows the line and points at it, in five lines.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().replace('\n', ", ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => anyhow!("line {}: {message}", before.matches('\n').count() + 1),
        None => anyhow!(message),
    }
}

/// All scenarios under this folder, by name.
pub(super) fn all(folder: &Path) -> Vec<Found> {
    let mut all = Vec::new();
    for service in entries(&folder.join("services")) {
        for path in entries(&service.join("load")) {
            let toml = path.extension().is_some_and(|extension| extension == "toml");
            if let (true, Some(service), Some(name)) = (toml, service.file_name(), path.file_stem())
            {
                let name = format!("{}/{}", service.to_string_lossy(), name.to_string_lossy());
                all.push(Found { name, path });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The scenario of this name, `service` or `service/name`. Fails with those there are.
pub(super) fn find(name: &str, folder: &Path) -> anyhow::Result<Found> {
    let all = all(folder);
    let whole = if name.contains('/') { name.to_owned() } else { format!("{name}/{DEFAULT}") };
    if let Some(found) = all.iter().find(|found| found.name == whole) {
        return Ok(found.clone());
    }
    if all.is_empty() {
        bail!(
            "there is no scenario {name}: {} has no services/<name>/load/*.toml; give --config, a file, or a URL",
            folder.display()
        );
    }
    let names: Vec<_> = all.iter().map(|found| found.name.as_str()).collect();
    bail!("there is no scenario {whole}; there are {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "about = \"a\"\n[[call]]\nname = \"one\"\nurl = \"http://a/\"\n";

    #[test]
    fn every_scenario_of_this_repository_is_sound() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let all = all(folder);
        for service in ["gateway", "monolith", "notifications"] {
            assert!(find(service, folder).is_ok(), "{service}");
        }
        for found in all {
            let scenario = Scenario::read(&found.path).expect("a scenario");
            assert!(scenario.about.len() < 100, "{}", found.name);
        }
    }

    #[test]
    fn what_is_no_scenario_says_why() {
        assert!(Scenario::parse(LEAST).is_ok());
        let twice = format!("{LEAST}[[call]]\nname = \"one\"\nurl = \"http://a/\"\n");
        for (text, wanted) in [
            ("about = \"a\"\ncall = []", "no [[call]]"),
            (&*twice, "two calls are named one"),
            (&*format!("{LEAST}weight = 0"), "one is more"),
            (&*format!("typo = 1\n{LEAST}"), "line 1: unknown field `typo`"),
            (
                &*format!("{LEAST}expect = 200"),
                "line 5: invalid type: integer `200`, expected a sequence",
            ),
            ("about = \"a\n", "line 1: "),
            ("about = \"a\"\n[[call]]\nname = \"one\"\n", "missing field `url`"),
            ("about = \"a\"\n[[call]]\nurl = \"http://a/\"\n", "every [[call]] needs a name"),
        ] {
            let error = format!("{:#}", Scenario::parse(text).expect_err(text));
            assert!(error.contains(wanted) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_there_are() {
        let folder = std::env::temp_dir().join(format!("scenarios-{}", std::process::id()));
        let error = find("shop", &folder).expect_err("nothing there").to_string();
        assert!(error.contains("services/<name>/load/*.toml"), "{error}");
        let load = folder.join("services/shop/load");
        fs::create_dir_all(&load).expect("a folder");
        fs::write(load.join("mix.toml"), LEAST).expect("a file");
        fs::write(load.join("notes.md"), "").expect("a file");
        let found = find("shop", &folder).map(|found| found.name);
        let error = find("shop/cold", &folder).expect_err("no such").to_string();
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(found.expect("found"), "shop/mix");
        assert_eq!(error, "there is no scenario shop/cold; there are shop/mix");
    }
}
