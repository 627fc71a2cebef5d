//! Pages of a list, by the last id of the page before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ficus_rpc::Error;

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    size: i64,
    last: Option<i64>,
}

impl Page {
    /// Reads what a request says: size 0 means 50, more than 100 means 100.
    pub fn asked(size: i32, token: &str) -> Result<Self, Error> {
        let size = match size {
            ..0 => return Err(Error::invalid("bad_page_size", "page_size must not be negative")),
            0 => 50,
            1.. => i64::from(size.min(100)),
        };
        let last = if token.is_empty() { None } else { Some(read(token)?) };
        Ok(Self { size, last })
    }

    /// For a list that goes up: only rows with a greater id.
    pub fn after(self) -> i64 {
        self.last.unwrap_or(0)
    }

    /// For a list that goes down: only rows with a smaller id.
    pub fn before(self) -> i64 {
        self.last.unwrap_or(i64::MAX)
    }

    /// How many rows to read: one more than the page, to know whether another page follows.
    pub fn rows(self) -> i64 {
        self.size + 1
    }

    /// The page of the rows that were read, and the token of the next: empty on the last.
    pub fn cut<T>(self, mut rows: Vec<T>, id: impl Fn(&T) -> i64) -> (Vec<T>, String) {
        let size = usize::try_from(self.size).expect("a page's size is between 1 and 100");
        if rows.len() <= size {
            return (rows, String::new());
        }
        rows.truncate(size);
        let token = rows.last().map(|last| URL_SAFE_NO_PAD.encode(id(last).to_string()));
        (rows, token.unwrap_or_default())
    }
}

fn read(token: &str) -> Result<i64, Error> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::invalid("bad_page_token", "page_token is not one that was given out"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(Page::asked(0, "").unwrap().rows(), 51);
        assert_eq!(Page::asked(7, "").unwrap().rows(), 8);
        assert_eq!(Page::asked(1000, "").unwrap().rows(), 101);
        assert_eq!(Page::asked(-1, "").unwrap_err().code, "bad_page_size");
    }

    #[test]
    fn a_token_leads_to_the_rows_after_the_page() {
        let page = Page::asked(2, "").unwrap();
        let (rows, token) = page.cut(vec![9, 8, 5], |id| *id);
        assert_eq!(rows, [9, 8]);
        assert_eq!(Page::asked(2, &token).unwrap().before(), 8);
        assert_eq!(page.cut(vec![5, 4], |id| *id), (vec![5, 4], String::new()));
    }

    #[test]
    fn other_tokens_are_refused() {
        for token in ["%", "eyJ9", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAx"] {
            assert_eq!(Page::asked(0, token).unwrap_err().code, "bad_page_token", "{token}");
        }
    }
}
