//! There and back.

use std::time::Duration;

use trellis_testkit::wait_until;

use crate::{
    crew::{Crew, Door},
    stand::Stand,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_app_moves_there_and_back_and_no_client_notices() {
    let mut stand = Stand::new().await;
    stand.controller("").await;
    stand.controller("").await;
    let gateway = stand.gateway("gateway-a").await;
    let door = Door::of(&gateway);
    let crew = Crew::start(vec![vec![door.clone()]; 6]);
    stand.verified().await;

    for (verb, owner) in [
        ("switch-traffic", "service"),
        ("reverse-traffic", "monolith"),
        ("switch-traffic", "service"),
    ] {
        let [_, before, ..] = door.counts();
        let outcome = stand.ficus(verb).await;
        println!("{verb}: {}", outcome["switch"]);
        let moved = stand.ficus("vdiff").await;
        assert_eq!(moved["done"], true);
        assert_eq!(stand.ficus("status").await["owner"], owner);
        wait_until("writes are to go on", Duration::from_secs(30), async || {
            door.counts()[1] > before + 100
        })
        .await;
    }

    stand.ficus("complete --soak 0s").await;
    assert_eq!(stand.ficus("status").await["phase"], "completed");
    let [reads, writes, refused_reads, refused_writes] = door.counts();
    println!("{reads} reads, {writes} writes");
    assert_eq!((refused_reads, refused_writes), (0, 0), "a client was refused");
    crew.stop(&stand, true).await;
}

#[test]
fn the_page_on_a_monolith_of_ones_own_shows_what_is_moved_here() {
    let page = include_str!("../../../../docs/take-home.md");
    assert!(page.contains(include_str!("harbour/ficus.toml")));
    let tables = include_str!("harbour/move/tables.toml");
    let shown = page.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(tables.contains(shown), "{shown}");
}
