//! A subject that has nothing to do with Trellis: a shop whose orders move to a service with other names.
//! Two databases on two servers, a control database, two controllers, writers that go by `crates/owners`.

mod home;
mod writer;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use ficus_control_api::control::v1::{
    CreateRequest, DoctorResponse, Move, Outcome, StatusRequest, SwitchRequest, VerbRequest,
    moves_client::MovesClient,
};
use ficus_owners::{Owners, Role};
use ficus_pg::Pool;
use sqlx::{AssertSqlSafe, Executor};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use trellis_testkit::{
    Database, Migrations, Program, Server, database, free_address, unique, wait_until,
};

pub use home::Home;
pub use writer::Writers;

pub const CAPABILITY: &str = "orders";
/// After a fault all is well again within this time, and nobody has helped. Promised are 5 s, which a machine that has much
/// else to do may miss; what it took is printed.
pub const HEALED: Duration = Duration::from_secs(15);

pub struct Controller {
    pub program: Program,
    pub address: SocketAddr,
}

pub struct Shop {
    pub monolith: Pool,
    pub service: Pool,
    pub controllers: Vec<Controller>,
    pub databases: [Database; 3],
    pub home: Home,
}

impl Shop {
    /// Databases with 500 orders; no controller runs yet.
    pub async fn new() -> Self {
        Self::on([Server::First, Server::Second]).await
    }

    /// The same with the monolith's and the service's database on these servers.
    pub async fn on(servers: [Server; 2]) -> Self {
        let monolith = database(servers[0], &ficus()).await;
        let service = database(servers[1], &ficus()).await;
        let migrator = &ficus_controller::app::MIGRATOR;
        let migrations = Migrations { migrator, table: "_sqlx_migrations" };
        let control = database(Server::Second, &[migrations]).await;
        let (monolith_pool, service_pool) = (monolith.pool().await, service.pool().await);
        monolith_pool.execute(include_str!("monolith.sql")).await.unwrap();
        service_pool.execute(include_str!("service.sql")).await.unwrap();
        let seed = "WITH o AS (INSERT INTO orders (customer, total, note)
                        SELECT 'seed ' || n, n * 100, CASE WHEN n % 3 = 0 THEN 'gift' END
                          FROM generate_series(1, 500) AS n RETURNING id)
                    INSERT INTO order_lines SELECT id, line, 'sku-' || line, line
                      FROM o, generate_series(1, 3) AS line";
        monolith_pool.execute(seed).await.unwrap();
        Self {
            monolith: monolith_pool,
            service: service_pool,
            controllers: Vec::new(),
            databases: [monolith, service, control],
            home: Home::new().await,
        }
    }

    /// Starts one more controller; `failpoints` as in `FICUS_FAILPOINTS`.
    pub async fn controller(&mut self, failpoints: &str) {
        let service = self.databases[1].url().to_owned();
        self.controller_reaching(&service, failpoints).await;
    }

    /// The same, but for where it looks for the control database.
    pub async fn controller_led_by(&mut self, control: &str) {
        let service = self.databases[1].url().to_owned();
        self.start_controller(&service, control, "").await;
    }

    /// The same, but for where it looks for the service's database.
    pub async fn controller_reaching(&mut self, service: &str, failpoints: &str) {
        let control = self.control_url();
        self.start_controller(service, &control, failpoints).await;
    }

    pub fn control_url(&self) -> String {
        self.databases[2].url().to_owned()
    }

    async fn start_controller(&mut self, service: &str, control: &str, failpoints: &str) {
        let address = free_address();
        let name = format!("controller-{}", self.controllers.len() + 1);
        let arguments = [
            "--config".to_owned(),
            self.home.config().display().to_string(),
            "--listen".to_owned(),
            address.to_string(),
            "--name".to_owned(),
            name,
        ];
        let environment = [
            ("SHOP_MONOLITH_URL", self.databases[0].url()),
            ("SHOP_SERVICE_URL", service),
            ("SHOP_CONTROL_URL", control),
            ("FICUS_FAILPOINTS", failpoints),
            ("RUST_LOG", "info,sqlx=warn"),
        ];
        let mut program = Program::start(env!("CARGO_BIN_EXE_controller"), arguments, environment);
        program.listening(address).await;
        self.controllers.push(Controller { program, address });
    }

    /// Two controllers, the move created, prepared, copied and compared.
    pub async fn verified(&mut self) {
        let mut moves = self.leader().await;
        let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
        done(&moves.create(create).await.unwrap().into_inner());
        done(&moves.prepare(verb()).await.unwrap().into_inner());
        done(&moves.start(verb()).await.unwrap().into_inner());
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
    }

    /// A client of the controller that leads.
    pub async fn leader(&self) -> MovesClient<Channel> {
        let mut leader = None;
        wait_until("a controller is to lead", Duration::from_secs(30), async || {
            leader = self.find_leader().await;
            leader.is_some()
        })
        .await;
        leader.unwrap()
    }

    /// The same, if one leads now.
    pub async fn find_leader(&self) -> Option<MovesClient<Channel>> {
        for controller in &self.controllers {
            let leader = leads(controller.address).await;
            if leader.is_some() {
                return leader;
            }
        }
        None
    }

    pub async fn status(&mut self) -> Move {
        let mut found = None;
        wait_until("the leader is to tell the status", Duration::from_secs(30), async || {
            let request = StatusRequest { capability: CAPABILITY.to_owned(), journal: 100 };
            let mut moves = self.leader().await;
            // The leader may be stopped between the two calls.
            let asking = tokio::time::timeout(Duration::from_millis(500), moves.status(request));
            let Ok(Ok(answer)) = asking.await else { return false };
            found = answer.into_inner().moves.pop();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub async fn doctor(&mut self) -> Result<DoctorResponse, Status> {
        let mut moves = self.leader().await;
        moves.doctor(verb()).await.map(tonic::Response::into_inner)
    }

    /// Three tries. A switch that is refused because the stream is behind, as it may be on a busy machine, is asked for
    /// again.
    pub async fn switch(&mut self, forward: bool) -> Result<Outcome, Status> {
        let begun = Instant::now();
        loop {
            let answer = self.switch_in(3, forward).await;
            let behind = |line: &String| line.contains(" ms behind");
            let again = answer.as_ref().is_ok_and(|outcome| outcome.refusals.iter().any(behind));
            if !again || begun.elapsed() > ANSWER {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One try, no more.
    pub async fn switch_once(&mut self, forward: bool) -> Result<Outcome, Status> {
        self.switch_in(1, forward).await
    }

    async fn switch_in(&mut self, tries: u32, forward: bool) -> Result<Outcome, Status> {
        let mut moves = self.leader().await;
        let request = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: false, tries };
        let answer = if forward {
            moves.switch_traffic(request).await
        } else {
            moves.reverse_traffic(request).await
        };
        answer.map(tonic::Response::into_inner)
    }

    pub async fn picker(&self, role: Role) -> Owners {
        let url = self.databases[2].url();
        Owners::start(url, &unique("picker"), role, [CAPABILITY.to_owned()]).await.unwrap()
    }

    /// Every row of both sides, under the monolith's names.
    pub async fn rows(&self) -> [Vec<String>; 2] {
        let monolith = rows(
            &self.monolith,
            "SELECT o::text FROM orders o UNION ALL SELECT l::text FROM order_lines l ORDER BY 1",
        );
        let service = rows(
            &self.service,
            "SELECT p::text FROM purchases p UNION ALL SELECT l::text FROM purchase_lines l ORDER BY 1",
        );
        [monolith.await, service.await]
    }

    /// Waits until no switch is under way, as the control row has it: to ask a leader is dear while there is none.
    pub async fn until_no_switch(&self, within: Duration) {
        let mut control = self.databases[2].connect().await;
        wait_until("the switch is to be healed", within, async || {
            let steps = "SELECT count(step) FROM move";
            sqlx::query_scalar::<_, i64>(steps).fetch_one(&mut control).await.unwrap() == 0
        })
        .await;
    }

    /// Waits until both sides hold the same rows; nobody writes any more.
    pub async fn until_equal(&self, within: Duration) {
        wait_until("both sides are to be equal", within, async || {
            let [monolith, service] = self.rows().await;
            monolith == service
        })
        .await;
    }

    /// Who accepts a write that changes nothing.
    pub async fn open(&self) -> [bool; 2] {
        let accepts = async |pool: &Pool, table: &str| {
            let statement = format!("DELETE FROM {table} WHERE false");
            pool.execute(AssertSqlSafe(statement)).await.is_ok()
        };
        [accepts(&self.monolith, "orders").await, accepts(&self.service, "purchases").await]
    }

    /// How often each customer's order stands on the side that owns.
    pub async fn customers(&self, service: bool) -> BTreeMap<String, i64> {
        let (pool, query) = if service {
            (&self.service, "SELECT buyer, count(*) FROM purchases GROUP BY 1")
        } else {
            (&self.monolith, "SELECT customer, count(*) FROM orders GROUP BY 1")
        };
        let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
        rows.into_iter().collect()
    }
}

/// So long any verb may take.
const ANSWER: Duration = Duration::from_mins(2);

/// A client of the controller at `address` if it leads; one that is stopped does not answer.
async fn leads(address: SocketAddr) -> Option<MovesClient<Channel>> {
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?.timeout(ANSWER);
        let mut moves = MovesClient::new(endpoint.connect().await.ok()?);
        moves.status(StatusRequest::default()).await.ok()?;
        Some(moves)
    };
    tokio::time::timeout(Duration::from_millis(500), asking).await.ok()?
}

async fn rows(pool: &Pool, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap()
}

fn ficus() -> [Migrations; 2] {
    [
        Migrations { migrator: &ficus_events::MIGRATOR, table: "_sqlx_migrations_events" },
        Migrations { migrator: &ficus_mover::MIGRATOR, table: "_sqlx_migrations_mover" },
    ]
}

pub fn verb() -> VerbRequest {
    VerbRequest { capability: CAPABILITY.to_owned(), dry_run: false }
}

pub fn done(outcome: &Outcome) {
    assert!(outcome.done, "refused: {outcome:#?}");
}
