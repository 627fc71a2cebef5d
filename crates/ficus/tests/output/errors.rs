//! What fails before anything is asked of a controller or a broker says so, and what to do.

use crate::store::{ficus, said};

#[test]
fn an_error_names_the_next_step_once() {
    for (arguments, wanted) in [
        (&["move", "list", "--config", "none.toml"][..], "none.toml: No such file or directory"),
        (
            &["dlq", "show", "x"],
            "\"x\" is no topic/partition/offset; `ficus dlq list` prints them\n",
        ),
        (&["trace", "--from", "tempo:3200"], "say --from http://host:port\n"),
    ] {
        let (status, out, err) = said(&mut ficus(arguments));
        assert_eq!(err.matches(wanted).count(), 1, "{err}");
        assert!(err.starts_with("ficus: ") && err.lines().count() == 1, "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
}

#[test]
fn help_has_examples_for_every_verb() {
    let verbs = [
        "create",
        "prepare",
        "start",
        "stop",
        "vdiff",
        "switch-traffic",
        "reverse-traffic",
        "complete",
        "cancel",
        "status",
        "doctor",
    ];
    for verb in verbs {
        let (status, out, _) = said(&mut ficus(&["move", "notifications", verb, "--help"]));
        assert!(out.contains(&format!("\n  ficus move notifications {verb}")), "{out}");
        assert_eq!(status, 0);
    }
    for verb in ["move", "dlq", "trace"] {
        let (_, out, _) = said(&mut ficus(&[verb, "--help"]));
        assert!(out.contains(&format!("\n  ficus {verb} ")), "{out}");
    }
}
