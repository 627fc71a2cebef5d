//! What `docs/load-testing.md` says to type, typed.

use std::process::Command;

use trellis_testkit::binary;

use crate::stack::Stack;

const PAGE: &str = include_str!("../../../../docs/load-testing.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_load_testing_works_as_it_stands() {
    let stack = Stack::start().await;
    let folder = stack.folder().join(".ficus");
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(binary("ficus"), folder.join("bin/ficus")).unwrap();
    let blocks: Vec<_> =
        PAGE.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "{blocks:?}");
    for block in blocks {
        let typed = block
            .replace("http://127.0.0.1:8200", &stack.gateway())
            .replace("127.0.0.1:8231", &stack.notifications())
            .replace("127.0.0.1:8202", &stack.internal());
        let mut shell = Command::new("bash");
        let shell = shell.args(["-euo", "pipefail", "-c", &typed]).current_dir(stack.folder());
        let output = shell.output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        // On a machine that is busy with other things a run may be void.
        let worked = output.status.success() || err.lines().all(|line| line.starts_with("void: "));
        assert!(worked, "{typed}\n{out}{err}");
        assert!(!out.contains("│ error"), "{typed}\n{out}");
    }
}
