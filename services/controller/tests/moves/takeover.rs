//! The controller is killed around each step, there and back, under writes; another one heals what it left.

use std::time::{Duration, Instant};

use crate::{
    lanes::in_lanes,
    shop::{HEALED, Shop, Writers, done, verb},
};
use sqlx::Executor as _;
use trellis_testkit::{free_address, setting, wait_until};

/// How often each place is met; `FICUS_KILLS=50` is more thorough.
const PASSES: u64 = 3;
/// Passes of one kind that run side by side: most of their time is the dead one's lease.
const LANES: usize = 3;

/// Where the leader dies, and whether the switch was to make the service the owner. A death from C6 on changes the
/// owner, so directions follow one another as the owner does: these begin with the monolith.
const FROM_THE_MONOLITH: [(&str, bool); 20] = [
    ("before.C0", true),
    ("C0", true),
    ("before.C1", true),
    ("C1", true),
    ("before.C2", true),
    ("C2", true),
    ("before.C3", true),
    ("C3", true),
    ("before.C4", true),
    ("C4", true),
    ("before.C5", true),
    ("C5", true),
    ("before.C6", true),
    ("C6", true),
    ("before.C7", false),
    ("C7", true),
    ("C8", false),
    ("before.C8", true),
    ("C9", false),
    ("before.C9", true),
];

/// Kills the leader at `place` of a switch, and checks what the other one makes of it. The next leader dies at `next`.
/// How long it took until all was well.
async fn killed_at(
    shop: &mut Shop,
    place: &str,
    forward: bool,
    next: &str,
    writers: &Writers,
) -> Duration {
    let what = format!("{place}, forward {forward}");
    shop.controller(&failpoint(next)).await;
    let answer = shop.switch(forward).await;
    let died = Instant::now();
    let mut leader = shop.controllers.remove(0);
    let ended = format!("{what}: it was to die, and said {answer:?}");
    wait_until(&ended, Duration::from_secs(10), async || !leader.program.is_running()).await;

    shop.until_no_switch(HEALED).await;
    let service = forward == is_decided(place);
    let status = shop.status().await;
    assert_eq!(status.owner == "service", service, "{what}: the point of no return is C6");
    assert_eq!(shop.open().await, [!service, service], "{what}: one side is open");
    let before = writers.count();
    let left = HEALED.saturating_sub(died.elapsed());
    wait_until("writes are to go on", left, async || writers.count() > before + 4).await;
    let healed = died.elapsed();
    println!("{what}: at rest {healed:?} after the kill, {} owns", status.owner);
    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    healed
}

fn failpoint(place: &str) -> String {
    format!("controller.{place}=kill")
}

fn is_decided(place: &str) -> bool {
    ["C6", "before.C7", "C7", "before.C8", "C8", "before.C9", "C9"].contains(&place)
}

/// One pass over `places`; at the end the ledger of acknowledged writes is compared with both sides. The longest time
/// to rest.
async fn killed_everywhere(places: &[(&'static str, bool)]) -> Duration {
    let mut shop = Shop::new().await;
    let (first, monolith_first) = (failpoint(places[0].0), places[0].1);
    shop.controller(if monolith_first { &first } else { "" }).await;
    let writers = Writers::gentle(&shop).await;
    shop.verified().await;
    if !monolith_first {
        done(&shop.switch(true).await.unwrap());
        shop.controller(&first).await;
        shop.controllers.remove(0);
        let mut moves = shop.leader().await;
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
    }
    let mut slowest = Duration::ZERO;
    for (number, (place, forward)) in places.iter().enumerate() {
        let next = places.get(number + 1).map_or("none", |(next, _)| next);
        let healed = killed_at(&mut shop, place, *forward, next, &writers).await;
        slowest = slowest.max(healed);
    }
    let acknowledged = writers.stop().await;
    shop.until_equal(HEALED).await;
    let service = shop.status().await.owner == "service";
    let customers = shop.customers(service).await;
    for customer in &acknowledged {
        assert_eq!(customers.get(customer), Some(&1), "{customer}");
    }
    assert_eq!(customers.len(), acknowledged.len() + 500);
    slowest
}

/// Every pass on databases of its own, several at once.
fn killed_in_passes(places: &[(&'static str, bool)]) {
    let passes = setting("FICUS_KILLS", PASSES);
    let replay = |pass| format!("pass {pass} of {passes}");
    let slowest = in_lanes(LANES, 0..passes, replay, async |_| killed_everywhere(places).await);
    println!("{passes} passes, at rest after {:?} at most", slowest.iter().max());
}

/// The owner must not refuse writes because the other side is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_opens_the_owner_although_the_other_side_is_away() {
    let mut shop = Shop::new().await;
    shop.controller("controller.C1=kill").await;
    shop.verified().await;
    let nowhere = format!("postgres://nobody@{}/nothing", free_address());
    shop.controller_reaching(&nowhere, "").await;
    assert!(shop.switch(true).await.is_err(), "it was to die");
    assert_eq!(shop.open().await, [false, false]);
    shop.controllers.remove(0);
    let open = "the owner is to be open, though nobody reaches the service";
    wait_until(open, HEALED, async || shop.open().await == [true, false]).await;

    shop.controllers.clear();
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
    writers.stop().await;
}

/// The same where the owner was changed already: the old one is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_opens_the_new_owner_although_the_old_one_is_away() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    done(&shop.switch(true).await.unwrap());
    shop.controller("controller.C6=kill").await;
    shop.controllers.remove(0);
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    let nowhere = format!("postgres://nobody@{}/nothing", free_address());
    shop.controller_reaching(&nowhere, "").await;
    assert!(shop.switch(false).await.is_err(), "it was to die");
    assert_eq!(shop.open().await, [false, false]);
    shop.controllers.remove(0);
    let open = "the new owner is to be open, though nobody reaches the old one";
    wait_until(open, HEALED, async || shop.open().await == [true, false]).await;

    shop.controllers.clear();
    shop.controller("").await;
    shop.until_no_switch(HEALED).await;
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
}

/// Its tables are open, and stay so; to open them again would wait for whoever holds them, and have others wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_waits_for_nobody_who_holds_the_owners_tables() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let mut holder = shop.databases[0].connect().await;
    let held = "BEGIN; INSERT INTO orders (customer, total) VALUES ('slow', 1)";
    holder.execute(held).await.unwrap();
    shop.controllers.clear();
    shop.controller("").await;
    wait_until("it is to be in hand", HEALED, async || {
        let compared = shop.leader().await.vdiff(verb()).await;
        compared.is_ok_and(|outcome| outcome.into_inner().done)
    })
    .await;
    holder.execute("COMMIT").await.unwrap();
    done(&shop.switch(true).await.unwrap());
    assert_eq!(shop.customers(true).await.get("slow"), Some(&1));
}

#[test]
fn killed_around_each_step_from_the_monolith_on() {
    killed_in_passes(&FROM_THE_MONOLITH);
}

#[test]
fn killed_around_each_step_from_the_service_on() {
    killed_in_passes(&FROM_THE_MONOLITH.map(|(place, forward)| (place, !forward)));
}
