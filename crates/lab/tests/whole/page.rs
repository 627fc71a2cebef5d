//! What a page of the docs says to type, typed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use trellis_testkit::binary;

use crate::stack::Stack;

/// What came of commands that were typed.
#[derive(Debug)]
pub struct Typed {
    /// With this stack's addresses.
    pub commands: String,
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The blocks of commands on a page.
pub fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

impl Stack {
    /// Types commands as in the folder of a clone that was built.
    pub fn typed(&self, commands: &str) -> Typed {
        let ficus = self.folder().join(".ficus/bin/ficus");
        if !ficus.exists() {
            fs::create_dir_all(ficus.parent().unwrap()).unwrap();
            symlink(binary("ficus"), ficus).unwrap();
        }
        let commands = self.in_place(commands);
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(self.folder())
            .env("KAFKA_BROKERS", &self.broker.address)
            .env("FICUS_TRACES", self.sandbox())
            .output()
            .unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Typed { commands, status: output.status.code(), out, err }
    }
}
