//! What a name, an address and a password must be.

use ficus_rpc::Error;

const SHORTEST_PASSWORD: usize = 15;
const LONGEST_PASSWORD: usize = 256;
const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 254;

/// A person as the rest of Trellis knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub user_id: i64,
    pub name: String,
    pub email: String,
}

/// The address in lower case, so that one person does not sign up twice by accident.
pub fn email(text: &str) -> Result<String, Error> {
    let email = text.trim().to_lowercase();
    let plausible = email
        .split_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    let printable = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if plausible && printable && email.len() <= LONGEST_EMAIL {
        Ok(email)
    } else {
        Err(Error::unprocessable("bad_email", "email must be an e-mail address"))
    }
}

/// A name that a person or a workspace can have.
pub fn name(text: &str) -> Result<&str, Error> {
    let name = text.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err(Error::unprocessable("bad_name", "name must have 1 to 200 characters"))
    }
}

/// Holds for passwords that may be chosen: 15 to 256 characters of any sort.
pub fn new_password(text: &str) -> Result<(), Error> {
    match text.chars().count() {
        ..SHORTEST_PASSWORD => {
            Err(Error::unprocessable("password_too_short", "a password has at least 15 characters"))
        }
        SHORTEST_PASSWORD..=LONGEST_PASSWORD => Ok(()),
        _ => {
            Err(Error::unprocessable("password_too_long", "a password has at most 256 characters"))
        }
    }
}

/// What the first workspace of a person is called.
pub fn first_workspace(name: &str) -> String {
    format!("{name}'s workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_lower_case() {
        assert_eq!(email(" Ada@Example.ORG ").ok().as_deref(), Some("ada@example.org"));
        for text in ["", "ada", "@example.org", "ada@", "a@b@c", "a b@example.org"] {
            assert!(email(text).is_err_and(|e| e.code == "bad_email"), "{text}");
        }
    }

    #[test]
    fn a_password_is_counted_in_characters() {
        assert!(new_password("fünfzehn Zeichen").is_ok());
        assert!(
            new_password("ü".repeat(14).as_str()).is_err_and(|e| e.code == "password_too_short")
        );
        assert!(
            new_password("ü".repeat(257).as_str()).is_err_and(|e| e.code == "password_too_long")
        );
    }

    #[test]
    fn a_name_is_neither_empty_nor_endless() {
        assert_eq!(name(" Ada ").ok(), Some("Ada"));
        for text in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(name(text).is_err_and(|e| e.code == "bad_name"), "{text}");
        }
    }
}
