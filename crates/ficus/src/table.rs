//! The look of tables, and how wide they may be.

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use console::Term;

/// A table that wraps its cells rather than leave the terminal.
pub fn new() -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width());
    table
}

/// As wide as the terminal, within reason; 80 columns where there is none.
pub fn width() -> u16 {
    let terminal = Term::stdout().size_checked();
    terminal.map_or(80, |(_, columns)| columns).clamp(70, 160)
}

/// Words on lines of at most `width` characters; a longer word stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let line = lines.last_mut().expect("there is a line from the start");
        if used > 0 && used + 1 + length > width {
            lines.push(word.to_owned());
            used = length;
            continue;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("an unbreakable word", 6), ["an", "unbreakable", "word"]);
        assert_eq!(wrap("", 6), [""]);
    }
}
