use serde_json::Value;

use super::grouped;
use crate::head::Head;
use crate::judge::Verdict;
use crate::stack::memory::Memory;
use crate::tour::report::{Broke, ChapterReport, Moment, Pauses, StepReport, Switch, TourReport};

const HOSTILE: &str = "</script><script>alert('rows & \"more\"')</script>";

fn step(name: &str) -> StepReport {
    StepReport { name: name.to_owned(), why: format!("Why {name}."), ..StepReport::default() }
}

fn second(second: usize) -> Moment {
    Moment {
        second,
        sent: 200,
        failed: 0,
        p50: 3.5,
        p99: 40.25,
        max: 120.0,
        sign_up_p50: (second == 1).then_some(90.0),
        notifications_slowest: [3.0, 4.0, 71.5, 0.0],
    }
}

fn report() -> TourReport {
    let switches = vec![Switch {
        capability: "notifications",
        direction: "forward",
        epoch: Some(2),
        at_seconds: Some(1.5),
        pause_ms: Some(52.04),
        ..Switch::default()
    }];
    let chapter = |n, title, names: &[&str]| ChapterReport {
        n,
        title,
        steps: names.iter().map(|name| step(name)).collect(),
    };
    TourReport {
        head: Head {
            started_at: "2026-11-23T06:24:30.532Z".to_owned(),
            broker: "kafka",
            ..Head::default()
        },
        verdict: Some(Verdict::default()),
        chapters: vec![
            chapter(0, "The MVP", &["the MVP at work"]),
            chapter(4, "Notifications leave", &["the service takes over", HOSTILE]),
        ],
        pauses: Pauses::of(&switches),
        switches,
        memory: vec![
            Memory { name: "gateway".to_owned(), pss_mb: Some(12.4) },
            Memory { name: "elsewhere".to_owned(), pss_mb: None },
        ],
        series: vec![second(0), second(1)],
        failures: vec![format!("at 1.0 s: GET /v1/inbox answered 500 {HOSTILE}")],
        ..TourReport::default()
    }
}

/// What stands between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).expect("the mark is there");
    rest.split_once(to).expect("the end is there").0
}

#[test]
fn the_page_loads_nothing() {
    let html = report().html().expect("a page");
    for load in [" src=", "href=\"http", "href='http", "href=\"//", "@import", "url(http", "url(//"]
    {
        assert!(!html.contains(load), "the page has {load}");
    }
    for load in ["fetch(", "XMLHttpRequest", "WebSocket", "importScripts", "sendBeacon"] {
        assert!(!html.contains(load), "a script has {load}");
    }
    assert!(html.contains("default-src 'none'"), "the browser is told to load nothing");
    // What is left of addresses are the links of the library's and our own comments, and the stack's own.
    let links = html.match_indices("http").map(|(at, _)| &html[at..(at + 30).min(html.len())]);
    for link in links.filter(|link| link.contains("://")) {
        assert!(link.starts_with("https://github.com/leeoniya/"), "{link}");
    }
}

#[test]
fn the_data_of_the_page_is_the_report() {
    let report = report();
    let html = report.html().expect("a page");
    let data = between(&html, "<script type=\"application/json\" id=\"report\">", "</script>");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data, serde_json::to_value(&report).expect("JSON"));
    assert_eq!(data["series"][1]["notifications_slowest"][2], 71.5);
    assert_eq!(data["chapters"][1]["steps"][1]["name"], HOSTILE);
}

#[test]
fn every_step_is_in_the_table_and_text_is_escaped() {
    let html = report().html().expect("a page");
    let table = between(&html, "<table id=\"steps\">", "</table>");
    for name in ["the MVP at work", "the service takes over"] {
        assert!(table.contains(name), "{name}");
    }
    assert!(table.contains("&#60;/script&#62;&#60;script&#62;alert("), "{table}");
    assert!(!html.contains(HOSTILE), "nothing can end a script or begin one");
    assert_eq!(html.matches("</script>").count(), html.matches("<script").count());
}

#[test]
fn switches_and_memory_are_told() {
    let html = report().html().expect("a page");
    let switches = between(&html, "<table id=\"switches\">", "</table>");
    assert!(switches.contains("52.0") && switches.contains("forward"), "{switches}");
    let memory = between(&html, "<table id=\"memory\">", "</table>");
    assert!(memory.contains("gateway") && memory.contains("12"), "{memory}");
    assert!(memory.contains("not known"), "{memory}");
}

#[test]
fn a_tour_that_broke_says_where_and_why() {
    let why = format!("the controller did not answer {HOSTILE}");
    let broke = Some(Broke { step: "the service takes over".to_owned(), why });
    let report = TourReport { broke, verdict: None, ..report() };
    assert!(!report.clean());
    let html = report.html().expect("a page");
    let head = between(&html, "<header>", "</header>");
    assert!(head.contains("broke at step") && head.contains("the service takes over"), "{head}");
    assert!(head.contains("the controller did not answer &#60;/script&#62;"), "{head}");
}

#[test]
fn a_tour_that_broke_at_once_has_a_page_too() {
    let broke = Some(Broke { step: "starting".to_owned(), why: "a port is taken".to_owned() });
    let html = TourReport { broke, ..TourReport::default() }.html().expect("a page");
    assert!(html.contains("a port is taken"));
}

#[test]
fn thousands_are_set_apart() {
    let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
    assert_eq!(numbers, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
}
