//! What `docs/load-testing.md` says to type, typed.

use std::fs;
use std::path::Path;
use std::process::Command;

use trellis_testkit::binary;

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
fn worked(typed: &str, status: Option<i32>, out: &str, err: &str) -> bool {
    let void = || err.lines().any(|line| line.contains("void: "));
    match status {
        Some(0) => true,
        Some(2) if typed.contains("ficus load compare") => out.contains("99 % within"),
        Some(2) => void(),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_load_testing_works_as_it_stands() {
    let stack = Stack::start().await;
    let folder = stack.folder().join(".ficus");
    fs::create_dir_all(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(binary("ficus"), folder.join("bin/ficus")).unwrap();
    scenarios(&stack);
    let blocks: Vec<_> =
        PAGE.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() >= 10, "{blocks:?}");
    for block in blocks {
        let typed = stack.in_place(block);
        let mut shell = Command::new("bash");
        let shell = shell.args(["-euo", "pipefail", "-c", &typed]).current_dir(stack.folder());
        let output = shell.output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(worked(&typed, output.status.code(), &out, &err), "{typed}\n{out}{err}");
        assert!(!out.contains("│ error "), "{typed}\n{out}");
    }
}
