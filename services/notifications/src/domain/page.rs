//! Pages of a list, newest first, by the last id of the page before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ficus_rpc::Error;

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows.
    pub size: i64,
    /// Only rows with a smaller id.
    pub before: i64,
}

impl Page {
    /// Reads what a request says: size 0 means 50, more than 100 means 100.
    pub fn asked(size: i32, token: &str) -> Result<Self, Error> {
        let size = match size {
            ..0 => return Err(Error::invalid("bad_page_size", "page_size must not be negative")),
            0 => 50,
            1.. => i64::from(size.min(100)),
        };
        Ok(Self { size, before: if token.is_empty() { i64::MAX } else { read(token)? } })
    }

    /// Takes `size` of the rows, of which one more than that was asked for, and the token of the next
    /// page: empty on the last.
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
        assert_eq!(Page::asked(0, "").unwrap().size, 50);
        assert_eq!(Page::asked(7, "").unwrap().size, 7);
        assert_eq!(Page::asked(1000, "").unwrap().size, 100);
        assert_eq!(Page::asked(-1, "").unwrap_err().code, "bad_page_size");
    }

    #[test]
    fn a_token_leads_to_the_rows_after_the_page() {
        let page = Page { size: 2, before: i64::MAX };
        let (rows, token) = page.cut(vec![9, 8, 5], |id| *id);
        assert_eq!(rows, [9, 8]);
        assert_eq!(Page::asked(2, &token).unwrap(), Page { size: 2, before: 8 });
        assert_eq!(page.cut(vec![5, 4], |id| *id), (vec![5, 4], String::new()));
    }

    #[test]
    fn other_tokens_are_refused() {
        for token in ["%", "eyJ9", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAx"] {
            assert_eq!(Page::asked(0, token).unwrap_err().code, "bad_page_token", "{token}");
        }
    }
}
