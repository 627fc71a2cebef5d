//! `ficus load` by a scenario, against a shop that looks at what it is asked.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::store::{ficus, said};

/// What the shop knows.
#[derive(Default)]
struct Shop {
    tokens: BTreeSet<String>,
    /// Numbers of orders, none twice.
    orders: BTreeSet<String>,
}

type Shared = Arc<Mutex<Shop>>;

fn known(shop: &Shared, headers: &HeaderMap) -> bool {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    shop.lock().unwrap().tokens.contains(token)
}

async fn sign_up(State(shop): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    let token = format!("token-of-{}", body["email"].as_str().unwrap());
    shop.lock().unwrap().tokens.insert(token.clone());
    Json(json!({ "session": { "token": token } }))
}

async fn items(State(shop): State<Shared>, headers: HeaderMap) -> StatusCode {
    if known(&shop, &headers) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn order(
    State(shop): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    let number = body["number"].as_str().unwrap().to_owned();
    let new = known(&shop, &headers) && shop.lock().unwrap().orders.insert(number);
    if new { StatusCode::CREATED } else { StatusCode::CONFLICT }
}

/// Takes 20 ms for each request, one at a time: 50 a second.
async fn slow(State(door): State<Arc<tokio::sync::Mutex<()>>>) {
    let _alone = door.lock().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn serve(runtime: &Runtime, shop: &Shared) -> SocketAddr {
    let app = Router::new()
        .route("/sign-up", post(sign_up))
        .route("/items", get(items).post(order))
        .with_state(shop.clone())
        .merge(Router::new().route("/slow", get(slow)).with_state(Arc::default()))
        .route("/metrics", get(async || "process_cpu_seconds_total 1\nficus_held_requests 2\n"));
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    })
}

/// A folder that has a scenario, and goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, scenario: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("services/shop/load")).unwrap();
        fs::write(path.join("services/shop/load/mix.toml"), scenario).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn load(&self, more: &[&str]) -> (i32, String, String) {
        let config = self.file("ficus.toml");
        let common = ["--config", &config, "load"];
        said(&mut ficus(&[&common[..], more].concat()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn scenario(address: SocketAddr) -> String {
    format!(
        r#"
about = "a shop's customers"
[set]
shop = "http://{address}"
[metrics]
shop = "${{shop}}/metrics"
[users]
count = 3
[[users.setup]]
url = "${{shop}}/sign-up"
body = {{ email = "${{run}}-${{user}}@example.org" }}
keep = {{ token = "/session/token" }}
[[call]]
name = "look"
weight = 3
url = "${{shop}}/items"
header = {{ Authorization = "Bearer ${{token}}" }}
[[call]]
name = "order"
url = "${{shop}}/items"
header = {{ Authorization = "Bearer ${{token}}" }}
body = {{ number = "${{number}}" }}
"#
    )
}

#[test]
fn a_scenario_sets_users_up_and_sends_its_mix() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let folder = Folder::new("mix", &scenario(serve(&runtime, &shop)));
    let (out, page) = (folder.file("out.json"), folder.file("page.html"));
    let (_, said, err) = folder.load(&[
        "shop",
        "--rate",
        "60",
        "--for",
        "3s",
        "--warm-up",
        "1s",
        "--out",
        &out,
        "--report",
        &page,
    ]);
    assert!(!err.contains("no metrics"), "{err}");
    assert!(said.starts_with("shop/mix\n") && said.contains("│ order"), "{said}");
    let told: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((&told["ok"], &told["errors"]), (&json!(120), &json!({})), "{said}");
    let due: Vec<_> = told["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["due"].as_u64().unwrap())
        .collect();
    assert_eq!(due.iter().sum::<u64>(), 120);
    assert!(due[0] > due[1] && due[1] > 10, "{due:?}");
    assert_eq!(shop.lock().unwrap().tokens.len(), 3);

    let html = fs::read_to_string(&page).unwrap();
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"run\">").unwrap();
    let run: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let seconds = run["seconds"].as_array().unwrap();
    assert_eq!(seconds.len(), 3);
    assert!(seconds.iter().all(|second| second["ok"] == json!(60)), "the warm-up is there too");
    assert_eq!(run["charts"][0]["lines"][0]["program"], "shop", "{}", run["charts"]);
    // On a machine that is busy with other things the run may be void.
    let verdict = if told["void"] == json!(true) {
        "void: "
    } else {
        "Every request was answered as wanted."
    };
    for wanted in ["id=\"calls\"", verdict, "id=\"metric-0\""] {
        assert!(html.contains(wanted), "{wanted}");
    }
    for load in [" src=", "href=\"http", "@import", "url(http", "fetch(", "XMLHttpRequest"] {
        assert!(!html.contains(load), "the page has {load}");
    }
}

#[test]
fn what_keeps_a_scenario_from_being_sent_is_told_in_one_line() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let address = serve(&runtime, &shop);
    let sound = scenario(address);
    let wrong = [
        (
            sound.replace("http://", ""),
            &*format!("mix.toml: call of users.setup: {address}: no scheme; say http://"),
        ),
        (
            format!("run = {{ rate = \"fast\" }}\n{sound}"),
            "mix.toml: rate of [run]: \"fast\" is no",
        ),
        (sound.replace("/session/token", "/token"), "its answer has no /token"),
        (sound.replace("/sign-up", "/sing-up"), "it answered 404 Not Found"),
        (sound.replace("Bearer ${token}", "Bearer ${tokn}"), "${tokn} stands for nothing"),
        (sound.replace(&address.to_string(), "127.0.0.1:9"), "nothing listens at 127.0.0.1:9"),
        (sound.replace("weight", "wieght"), "line 15: unknown field `wieght`"),
    ];
    for (text, wanted) in wrong {
        let folder = Folder::new("wrong", &text);
        let (status, out, err) = folder.load(&["shop"]);
        assert!(err.contains(wanted) && err.lines().count() == 1, "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
    let folder = Folder::new("flags", &sound);
    for (flags, wanted) in [
        (&["shop/cold"][..], "there is no scenario shop/cold; there are shop/mix"),
        (&["shop", "--set", "shp=http://a"], "has no shp to set; its [set] has shop"),
        (&["shop", "--body", "{}"], "go with a URL"),
        (&["shop", "--find-capacity"], "say --slo"),
        (&["http://127.0.0.1:9/", "--users", "3"], "go with a scenario"),
    ] {
        let (status, out, err) = folder.load(flags);
        assert!(err.contains(wanted), "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
}

#[test]
fn scenarios_are_listed() {
    let folder = Folder::new("list", &scenario("127.0.0.1:9".parse().unwrap()));
    let (status, out, _) = folder.load(&["list"]);
    assert!(out.contains("shop/mix") && out.contains("look, order"), "{out}");
    assert_eq!(status, 0);
    let (_, out, _) = folder.load(&["list", "--json"]);
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all[0]["name"], "shop/mix");
}

#[test]
fn reports_are_compared_and_added_up() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let folder = Folder::new("compare", &scenario(serve(&runtime, &shop)));
    let (a, b, sum) = (folder.file("a.json"), folder.file("b.json"), folder.file("sum.json"));
    let run = ["shop", "--rate", "50", "--for", "2s", "--warm-up", "0s", "--out"];
    folder.load(&[&run[..], &[&a]].concat());
    // Without a token nothing is answered as wanted.
    shop.lock().unwrap().tokens.clear();
    let broken = folder.file("broken.toml");
    let sent = fs::read_to_string(folder.file("services/shop/load/mix.toml")).unwrap();
    fs::write(&broken, sent.replace("Bearer ${token}", "Bearer nobody")).unwrap();
    folder.load(&[&broken, "--rate", "50", "--for", "2s", "--warm-up", "0s", "--out", &b]);

    let (_, out, err) = folder.load(&["compare", &a, &a]);
    assert!(!out.contains("worse"), "{out}{err}");
    let (status, out, err) = folder.load(&["compare", &a, &b]);
    assert!(out.contains("worse") && err.contains("two targets"), "{out}{err}");
    assert_eq!(status, 2);

    let (status, _, err) = folder.load(&["merge", &a, &a]);
    assert!(err.contains("are reports of the same run; name it once"), "{err}");
    assert_eq!(status, 1);
    let with = |name: &str, changes: Value| {
        let mut report: Value = serde_json::from_slice(&fs::read(&a).unwrap()).unwrap();
        report.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        fs::write(folder.file(name), report.to_string()).unwrap();
        folder.file(name)
    };
    // Whatever the machine was like.
    let a = with("sound.json", json!({"void": false, "why_void": null}));
    let other = with("other.json", json!({"seed": 2, "void": false, "why_void": null}));
    let (status, out, err) = folder.load(&["merge", &a, &other, "--out", &sum, "--json"]);
    let merged: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &merged["ok"], &merged["schema"]), (0, &json!(200), &json!(1)), "{err}");
    assert_eq!(err, "");
    assert_eq!(merged, serde_json::from_slice::<Value>(&fs::read(&sum).unwrap()).unwrap());
    let later = json!({"started_at": "2099-01-01T00:00:00Z", "void": false, "why_void": null});
    for (name, changes, wanted, exit) in [
        ("later.json", later, "they were not side by side", (2, 0)),
        (
            "share.json",
            json!({"share": "1/2"}),
            "they are shares 0/1, 1/2; give every share",
            (2, 0),
        ),
        (
            "void.json",
            json!({"void": true, "why_void": "it was late"}),
            "is void: it was late",
            (2, 2),
        ),
        ("none.json", json!({"ok": 0}), "none.json: no request was answered as wanted", (2, 2)),
    ] {
        let (merged, out, err) = folder.load(&["merge", &a, &with(name, changes), "--json"]);
        assert!(err.contains(wanted), "{err}");
        assert!(out.contains("\"void\":true") || name == "none.json", "{out}");
        let (compared, ..) = folder.load(&["compare", &a, &folder.file(name)]);
        assert_eq!((merged, compared), exit, "{name}");
    }
    let (status, _, err) = folder.load(&["merge", &a, &b]);
    assert!(err.contains("are not the same target"), "{err}");
    assert_eq!(status, 1);
    let (status, _, err) = folder.load(&["compare", &a, &broken]);
    assert!(err.contains("is no report of a run"), "{err}");
    assert_eq!(status, 1);
}

#[test]
fn the_capacity_is_the_highest_rate_at_which_the_slo_is_met() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let folder = Folder::new("capacity", &scenario(serve(&runtime, &shop)));
    let text = fs::read_to_string(folder.file("services/shop/load/mix.toml")).unwrap();
    let shop_url = text.split_once("shop = \"").unwrap().1.split_once('"').unwrap().0;
    let (target, page) = (format!("{shop_url}/slow"), folder.file("page.html"));
    let (_, out, err) = folder.load(&[
        &target,
        "--find-capacity",
        "--slo",
        "p99<400ms,errors<1%",
        "--rate",
        "20",
        "--for",
        "2s",
        "--warm-up",
        "0s",
        "--json",
        "--report",
        &page,
    ]);
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    // 50 a second by the shop's own time, less on a machine that is busy with other things.
    let capacity = told["capacity"].as_f64().unwrap_or_default();
    assert!(capacity < 75.0, "{told}");
    let steps = told["steps"].as_array().unwrap();
    let void = steps.iter().any(|step| step["void"] == json!(true));
    assert!(steps.len() >= 3 || void, "{told}");
    let most = steps.iter().filter_map(|step| step["achieved"].as_f64()).fold(0.0, f64::max);
    assert!(most < 55.0, "what the shop cannot do was not achieved: {told}");
    assert!(fs::read_to_string(&page).unwrap().contains("id=\"steps\""));
}

/// Ten kinds of calls, all of which have something of the user's own.
fn customers(address: SocketAddr) -> String {
    let kind = |number: u32| {
        format!(
            r#"
[[call]]
name = "kind {number}"
url = "${{shop}}/items?customer=${{user}}&kind={number}"
header = {{ Authorization = "Bearer ${{token}}" }}
body = {{ number = "{number}-${{user}}-${{number}}" }}
expect = [201]
"#
        )
    };
    scenario(address) + &(0..8).map(kind).collect::<String>()
}

/// The most memory that a process ever held, in KiB; nothing once it is gone.
#[cfg(target_os = "linux")]
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_users_take_less_than_100_mib() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let folder = Folder::new("many", &customers(serve(&runtime, &shop)));
    let (config, out) = (folder.file("ficus.toml"), folder.file("out.json"));
    let mut command = ficus(&["--config", &config, "load", "shop", "--users", "10000"]);
    command.args(["--rate", "200", "--for", "3s", "--warm-up", "0s", "--out", &out]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = peak(child.id()).unwrap_or_default().max(most);
        std::thread::sleep(Duration::from_millis(20));
    }
    let told: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((&told["ok"], &told["errors"]), (&json!(600), &json!({})), "{told}");
    assert_eq!(shop.lock().unwrap().tokens.len(), 10_000);
    assert!((1..100 * 1024).contains(&most), "{most} KiB");
}

#[test]
fn a_scenario_may_bring_what_was_recorded() {
    let (runtime, shop) = (Runtime::new().unwrap(), Shared::default());
    let text = scenario(serve(&runtime, &shop));
    let folder = Folder::new("recorded", &format!("run = {{ replay = \"day.log\" }}\n{text}"));
    fs::write(folder.file("services/shop/load/day.log"), "7 GET /\n7.2 GET /\n7.9 GET /\n")
        .unwrap();
    let told = |more: &[&str]| -> Value {
        let (_, out, err) = folder.load(&[&["shop", "--json", "--warm-up", "0s"], more].concat());
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"))
    };
    assert_eq!(told(&[])["ok"], json!(3));
    assert_eq!(told(&["--rate", "10", "--for", "1s"])["ok"], json!(10), "a rate is another thing");
    fs::remove_file(folder.file("services/shop/load/day.log")).unwrap();
    let (status, _, err) = folder.load(&["shop"]);
    assert!(err.contains("failed to read") && err.contains("day.log"), "{err}");
    assert_eq!(status, 1);
}
