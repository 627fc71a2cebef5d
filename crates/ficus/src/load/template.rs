//! Text with `${name}` in it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// What names stand for.
pub(super) type Names = BTreeMap<String, String>;

/// Stands for another number in each request; only bodies of calls have a place for it.
pub(super) const NUMBER: &str = "${number}";

/// These, with the mark of a number left as it is.
pub(super) fn with_number(names: &Names) -> Names {
    let mut names = names.clone();
    names.insert("number".to_owned(), NUMBER.to_owned());
    names
}

/// The text with what its names stand for. Fails at a name that stands for nothing.
pub(super) fn fill(text: &str, names: &Names) -> anyhow::Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        filled.push_str(&rest[..at]);
        let (name, after) = rest[at + 2..]
            .split_once('}')
            .with_context(|| format!("\"{text}\" has ${{ without }}"))?;
        match names.get(name) {
            Some(value) => filled.push_str(value),
            None if name == "number" => bail!("{NUMBER} is for bodies of calls only"),
            None => {
                let known: Vec<_> = names.keys().map(String::as_str).collect();
                bail!("${{{name}}} stands for nothing; there are {}", known.join(", "))
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The same of every text in a JSON value, keys excepted.
pub(super) fn fill_json(value: &Value, names: &Names) -> anyhow::Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(fill(text, names)?),
        Value::Array(items) => {
            let items: anyhow::Result<_> =
                items.iter().map(|item| fill_json(item, names)).collect();
            Value::Array(items?)
        }
        Value::Object(fields) => {
            let fields: anyhow::Result<_> = fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill_json(value, names)?)))
                .collect();
            Value::Object(fields?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        [("token", "t\"1"), ("user", "7")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    }

    #[test]
    fn names_stand_for_what_is_known_of_a_user() {
        assert_eq!(fill("a ${user}, ${user}$", &names()).expect("filled"), "a 7, 7$");
        let numbered = fill("${number}-${user}", &with_number(&names()));
        assert_eq!(numbered.expect("filled"), "${number}-7");
        assert!(fill("${number}", &names()).is_err(), "not everywhere");
        let body = json!({"list": ["${token}", 1], "${user}": null});
        let filled = fill_json(&body, &names()).expect("filled");
        assert_eq!(filled, json!({"list": ["t\"1", 1], "${user}": null}));
    }

    #[test]
    fn a_name_that_stands_for_nothing_is_told_with_those_there_are() {
        let error = fill("${tokn}", &names()).expect_err("no such name").to_string();
        assert_eq!(error, "${tokn} stands for nothing; there are token, user");
        assert!(fill("${user", &names()).is_err());
    }
}
