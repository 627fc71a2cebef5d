//! Gateways that lose the control database, one without being told and one by closed connections, before a
//! switch and in the middle of one, while a third keeps it. Members of the crew write through one and read
//! through the other.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use trellis_testkit::{Program, wait_until};

use crate::{
    crew::{Crew, Door},
    stand::{Gateway, Stand},
    wire::State,
};

struct Gateways {
    connected: Gateway,
    silent: Gateway,
    closed: Gateway,
    doors: [Arc<Door>; 3],
}

impl Gateways {
    async fn start(stand: &Stand) -> Self {
        let connected = stand.gateway("connected").await;
        let silent = stand.gateway("silent").await;
        let closed = stand.gateway("closed").await;
        let doors = [&connected, &silent, &closed].map(Door::of);
        Self { connected, silent, closed, doors }
    }

    fn crew(&self) -> Crew {
        let [connected, silent, closed] = &self.doors;
        let both = |cut_off: &Arc<Door>| vec![connected.clone(), cut_off.clone()];
        let alone = |door: &Arc<Door>| vec![door.clone()];
        Crew::start([
            alone(connected),
            alone(silent),
            alone(closed),
            both(silent),
            both(closed),
            both(silent),
            both(closed),
        ])
    }

    fn cut(&self) {
        self.silent.wire.set(State::Silent);
        self.closed.wire.set(State::Closed);
    }

    fn mend(&self) {
        self.silent.wire.set(State::Whole);
        self.closed.wire.set(State::Whole);
    }

    /// Both that are cut off go on refusing reads and writes, and the third goes on serving.
    async fn until_refused(&self) {
        let before = self.doors.each_ref().map(|door| door.counts());
        wait_until("who is cut off is to refuse", Duration::from_secs(20), async || {
            let now = self.doors.each_ref().map(|door| door.counts());
            let refused = |n: usize| now[n][2] > before[n][2] && now[n][3] > before[n][3];
            refused(1) && refused(2) && now[0][0] > before[0][0] && now[0][1] > before[0][1]
        })
        .await;
    }

    /// Everybody serves.
    async fn until_served(&self) {
        let before = self.doors.each_ref().map(|door| door.counts());
        let start = Instant::now();
        wait_until("who was cut off is to serve again", Duration::from_secs(30), async || {
            let now = self.doors.each_ref().map(|door| door.counts());
            now.iter()
                .zip(&before)
                .all(|(now, before)| now[0] > before[0] + 10 && now[1] > before[1] + 10)
        })
        .await;
        println!("served again after {:?}", start.elapsed());
    }

    fn no_refusal_but_of_those_cut_off(&self) {
        for door in &self.doors {
            println!("reads, writes, refused reads, refused writes: {:?}", door.counts());
        }
        let [.., reads, writes] = self.doors[0].counts();
        assert_eq!((reads, writes), (0, 0), "{} refused", self.connected.name);
    }
}

/// What the journal says of `step`.
async fn journal(stand: &Stand, step: &str) -> String {
    let status = stand.ficus("status --journal 100").await;
    let lines = status["journal"].as_array().unwrap().clone();
    let of_step = lines.iter().filter(|line| line["step"] == step);
    of_step.filter_map(|line| line["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_before_a_switch_is_waited_for_and_says_nothing_stale() {
    let mut stand = Stand::new().await;
    stand.controller("").await;
    stand.controller("").await;
    let gateways = Gateways::start(&stand).await;
    let crew = gateways.crew();
    stand.verified().await;

    gateways.cut();
    let cut = Instant::now();
    stand.ficus("switch-traffic").await;
    let waited = cut.elapsed();
    println!("switched {waited:?} after the cut");
    // A registration lives 40 s, and was renewed up to a second before.
    assert!(waited > Duration::from_secs(38) && waited < Duration::from_mins(1), "{waited:?}");
    let waiting = journal(&stand, "C0").await;
    for gateway in [&gateways.silent, &gateways.closed] {
        let named = format!("gateway {} (epoch 1", gateway.name);
        assert!(waiting.contains("waiting for") && waiting.contains(&named), "{waiting}");
    }
    gateways.until_refused().await;
    gateways.mend();
    gateways.until_served().await;
    gateways.no_refusal_but_of_those_cut_off();
    crew.stop(&stand, true).await;
    stand.until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_during_a_switch_says_nothing_stale() {
    let mut stand = Stand::new().await;
    stand.controller("").await;
    let gateways = Gateways::start(&stand).await;
    let crew = gateways.crew();
    stand.verified().await;

    for (verb, service) in [("switch-traffic", true), ("reverse-traffic", false)] {
        stand.controllers.clear();
        stand.controller("controller.before.C6=stop").await;
        stand.controller("").await;
        stand.ficus("vdiff").await;
        let (outcome, ()) = tokio::join!(stand.ficus(verb), cut_before_c6(&stand, &gateways));
        assert_eq!(outcome["switch"]["tries"], 1, "{outcome}");
        let late = journal(&stand, "C8").await;
        let named = |gateway: &Gateway| late.contains(&format!("gateway {}", gateway.name));
        assert!(named(&gateways.silent) && named(&gateways.closed), "{late}");
        assert_eq!(stand.ficus("status").await["owner"] == "service", service);
        gateways.until_refused().await;
        gateways.mend();
        gateways.until_served().await;
    }
    gateways.no_refusal_but_of_those_cut_off();
    crew.stop(&stand, false).await;
    stand.until_equal().await;
}

/// Everybody has acknowledged that the switch is pending and C6 is about to be asked for: then the cut.
async fn cut_before_c6(stand: &Stand, gateways: &Gateways) {
    let controller = &stand.controllers[0];
    wait_until("the controller is to stop before C6", Duration::from_secs(30), async || {
        is_stopped(controller)
    })
    .await;
    gateways.cut();
    let pid = controller.id().to_string();
    let woken = Command::new("kill").args(["-s", "CONT", &pid]).status();
    assert!(woken.unwrap().success());
}

fn is_stopped(program: &Program) -> bool {
    let state = Command::new("ps").args(["-o", "state=", "-p", &program.id().to_string()]).output();
    state.unwrap().stdout.starts_with(b"T")
}
