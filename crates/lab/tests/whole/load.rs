//! What `docs/load-testing.md` says to type, typed.

use std::fs;
use std::path::Path;

use crate::page::{self, Typed};
use crate::stack::Stack;

const PAGE: &str = include_str!("../../../../docs/load-testing.md");

/// The repository's scenarios, for this stack.
fn scenarios(stack: &Stack) {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    for service in ["gateway", "monolith", "notifications"] {
        let to = stack.folder().join("services").join(service).join("load");
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(services.join(service).join("load")).unwrap() {
            let file = file.unwrap();
            let text = stack.in_place(&fs::read_to_string(file.path()).unwrap());
            fs::write(to.join(file.file_name()), text).unwrap();
        }
    }
}

/// Whether a command did what the page says of it. On a machine that is busy with other things a run may be void, and
/// of two runs one may be slower.
fn worked(typed: &Typed) -> bool {
    match typed.status {
        Some(0) => true,
        Some(2) if typed.commands.contains("ficus load compare") => {
            typed.out.contains("99 % within")
        }
        Some(2) => typed.err.lines().any(|line| line.contains("void: ")),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_load_testing_works_as_it_stands() {
    let stack = Stack::start().await;
    scenarios(&stack);
    let blocks = page::blocks(PAGE);
    assert!(blocks.len() >= 10, "{blocks:?}");
    for block in blocks {
        let typed = stack.typed(block);
        assert!(worked(&typed), "{typed:?}");
        assert!(!typed.out.contains("│ error "), "{typed:?}");
    }
}
